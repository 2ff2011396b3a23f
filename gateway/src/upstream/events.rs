//! Server-sent events, as they come in.

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;

use super::{Failure, ResponseBody};

/// The events of a response, one at a time.
#[derive(Debug)]
pub struct Events {
    body: ResponseBody,
    parser: Parser,
}

impl Events {
    /// Reads events of at most `max_bytes` each.
    #[must_use]
    pub fn new(body: ResponseBody, max_bytes: usize) -> Self {
        Self { body, parser: Parser::new(max_bytes) }
    }

    /// The data of the next event; `None` where the response ends. An event that is cut off by that is none.
    ///
    /// # Errors
    /// Where the response breaks off, or an event is too large.
    pub async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(data) = self.parser.next()? {
                return Ok(Some(data));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Failure::Broken(error.to_string())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.parser.push(&data);
                    }
                }
            }
        }
    }
}

/// Splits a stream into events.
#[derive(Debug)]
struct Parser {
    max_bytes: usize,
    buffer: BytesMut,
    /// How much of the buffer has no end of a line in it.
    scanned: usize,
    data: Option<String>,
    after_carriage_return: bool,
}

impl Parser {
    fn new(max_bytes: usize) -> Self {
        Self { max_bytes, buffer: BytesMut::new(), scanned: 0, data: None, after_carriage_return: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The data of the next event that is there whole.
    fn next(&mut self) -> Result<Option<String>, Failure> {
        while let Some(line) = self.line()? {
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Ok(Some(data));
                }
            } else if let Some(value) = line.strip_prefix("data:") {
                let value = value.strip_prefix(' ').unwrap_or(value);
                if self.data.as_ref().map_or(0, String::len) + value.len() > self.max_bytes {
                    return Err(Failure::TooLarge { limit: self.max_bytes });
                }
                match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => self.data = Some(value.to_owned()),
                }
            }
        }
        if self.buffer.len() > self.max_bytes.saturating_add(16) {
            return Err(Failure::TooLarge { limit: self.max_bytes });
        }
        Ok(None)
    }

    /// The next line that is there whole: it ends with `\n`, `\r\n` or `\r`.
    fn line(&mut self) -> Result<Option<String>, Failure> {
        if self.after_carriage_return && self.buffer.first() == Some(&b'\n') {
            self.buffer.advance(1);
            self.scanned = 0;
            self.after_carriage_return = false;
        }
        let rest = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.after_carriage_return &= self.buffer.is_empty();
            self.scanned = self.buffer.len();
            return Ok(None);
        };
        let line = self.buffer.split_to(self.scanned + at);
        self.after_carriage_return = self.buffer.first() == Some(&b'\r');
        self.buffer.advance(1);
        self.scanned = 0;
        let text = std::str::from_utf8(&line).map_err(|error| Failure::Garbage(error.to_string()))?;
        Ok(Some(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(chunks: &[&[u8]], max_bytes: usize) -> Result<Vec<String>, Failure> {
        let (mut parser, mut events) = (Parser::new(max_bytes), Vec::new());
        for chunk in chunks {
            parser.push(chunk);
            while let Some(data) = parser.next()? {
                events.push(data);
            }
        }
        Ok(events)
    }

    #[test]
    fn fields_comments_and_line_ends() {
        let text =
            b": hello\r\nevent: message\r\nid: 7\r\ndata: a\r\ndata:b\r\n\r\n\ndata\n\ndata: c\r\rdata: cut";
        assert_eq!(parse(&[text], 100), Ok(vec!["a\nb".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn a_line_end_of_two_bytes_is_one_wherever_it_is_cut() {
        for chunks in [[b"data: a\r" as &[u8], b"\n\n"], [b"data: a\r\n", b"\n"], [b"data: a\r\n\r", b"\n"]] {
            assert_eq!(parse(&chunks, 100), Ok(vec!["a".to_owned()]), "{chunks:?}");
        }
    }

    #[test]
    fn an_event_is_bounded_whether_it_ends_or_not() {
        let limit = Err(Failure::TooLarge { limit: 10 });
        assert_eq!(parse(&[b"data: 12345678901\n\n"], 10), limit);
        assert_eq!(parse(&[b"data: 123456\ndata: 123456\n\n"], 10), limit);
        assert_eq!(parse(&[&[b'x'; 64]], 10), limit);
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_does_not_matter(
            text in "(data: ?[a-c]{0,3}|[:x]{0,2}|\r\n|\n|\r){0,12}", cut in 0_usize..40
        ) {
            let (before, after) = text.as_bytes().split_at(cut.min(text.len()));
            prop_assert_eq!(parse(&[before, after], 100), parse(&[text.as_bytes()], 100));
        }
    }
}
