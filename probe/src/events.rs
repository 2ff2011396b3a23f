//! Server-sent events, from bytes as they come.

/// An event that has come whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type; empty where it says none.
    pub(super) kind: String,
    /// Its data, lines joined.
    pub(super) data: String,
}

/// Takes bytes and gives events. What it holds is bounded by what it is given.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    after_carriage_return: bool,
    kind: String,
    data: Option<String>,
    is_begun: bool,
}

impl Events {
    /// The events that end in these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            let ends_line = match byte {
                // The second half of a line's end.
                b'\n' if self.after_carriage_return => false,
                b'\n' | b'\r' => true,
                _ => {
                    self.line.push(*byte);
                    false
                }
            };
            self.after_carriage_return = *byte == b'\r';
            if ends_line {
                let line = std::mem::take(&mut self.line);
                events.extend(self.line(&String::from_utf8_lossy(&line)));
            }
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        let line = if self.is_begun { line } else { line.strip_prefix('\u{feff}').unwrap_or(line) };
        self.is_begun = true;
        if line.is_empty() {
            let kind = std::mem::take(&mut self.kind);
            return self.data.take().map(|data| Event { kind, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A comment, an id, a time to wait: nothing that matters here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(text: &str) -> Vec<Event> {
        Events::default().push(text.as_bytes())
    }

    fn event(kind: &str, data: &str) -> Event {
        Event { kind: kind.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn an_event_ends_with_an_empty_line() {
        assert_eq!(
            events(": hello\n\nevent: endpoint\ndata: /messages\n\ndata: a\ndata:b\nid: 7\n\ndata: cut"),
            [event("endpoint", "/messages"), event("", "a\nb")]
        );
    }

    #[test]
    fn lines_end_in_any_of_three_ways() {
        for end in ["\n", "\r", "\r\n"] {
            assert_eq!(
                events(&format!("data: a{end}{end}data: b{end}{end}")),
                [event("", "a"), event("", "b")]
            );
        }
    }

    #[test]
    fn an_event_without_data_is_none_and_one_with_empty_data_is() {
        assert_eq!(events("event: ping\n\ndata\n\n"), [event("", "")]);
        assert_eq!(events("\u{feff}data: a\n\n"), [event("", "a")]);
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_events_are_the_same(
            text in "(data: ?[a-zä]{0,3}|event: b|:c|)(\n|\r|\r\n)",
            times in 1..6usize,
            at in prop::collection::vec(1..8usize, 0..20),
        ) {
            let bytes = format!("{text}\n").repeat(times).into_bytes();
            let (mut cut, mut rest) = (Events::default(), bytes.as_slice());
            let mut found = Vec::new();
            for at in at {
                let (head, tail) = rest.split_at(at.min(rest.len()));
                found.extend(cut.push(head));
                rest = tail;
            }
            found.extend(cut.push(rest));
            prop_assert_eq!(found, Events::default().push(&bytes));
        }
    }
}
