//! The end of a log, whatever its length.

use std::collections::VecDeque;

/// Whole lines from the end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The lines; what was not UTF-8 is replaced.
    pub text: String,
    /// Whether lines that were asked for are missing at the beginning: there were too many bytes.
    pub lacks_beginning: bool,
    /// Whether lines are missing at the end: reading stopped.
    pub lacks_end: bool,
}

/// Takes a log as it comes and keeps its last bytes.
#[derive(Debug)]
pub(super) struct Tail {
    kept: VecDeque<u8>,
    keep: usize,
    taken: usize,
    take: usize,
}

impl Tail {
    /// Keeps the last `keep` bytes of at most `take`.
    pub(super) fn new(keep: usize, take: usize) -> Self {
        Self { kept: VecDeque::new(), keep, taken: 0, take }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.taken = self.taken.saturating_add(bytes.len());
        let fits = bytes.get(bytes.len().saturating_sub(self.keep)..).unwrap_or_default();
        let too_many = (self.kept.len() + fits.len()).saturating_sub(self.keep);
        self.kept.drain(..too_many);
        self.kept.extend(fits);
    }

    /// Whether no more is to be read.
    pub(super) fn is_full(&self) -> bool {
        self.taken >= self.take
    }

    pub(super) fn into_log(self) -> Log {
        let lacks_end = self.is_full();
        let lacks_beginning = self.taken > self.kept.len();
        let mut bytes = Vec::from(self.kept);
        // A line of which the beginning is gone goes too, unless there is no other.
        if lacks_beginning
            && let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
            && end + 1 < bytes.len()
        {
            bytes.drain(..=end);
        }
        Log { text: String::from_utf8_lossy(&bytes).into_owned(), lacks_beginning, lacks_end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(keep: usize, take: usize, parts: &[&str]) -> Log {
        let mut tail = Tail::new(keep, take);
        for part in parts {
            if !tail.is_full() {
                tail.push(part.as_bytes());
            }
        }
        tail.into_log()
    }

    #[test]
    fn a_short_log_is_kept_whole() {
        let kept = log(100, 100, &["one\n", "two\n"]);
        assert_eq!(kept, Log { text: "one\ntwo\n".to_owned(), lacks_beginning: false, lacks_end: false });
        assert_eq!(log(100, 100, &[]).text, "");
    }

    #[test]
    fn of_a_long_one_the_last_whole_lines_are_kept() {
        let kept = log(10, 100, &["one\ntwo\n", "three\nfour\n"]);
        assert_eq!(kept, Log { text: "four\n".to_owned(), lacks_beginning: true, lacks_end: false });
        // However it is cut into parts.
        assert_eq!(log(10, 100, &["one\n", "two\nthr", "ee", "\nfour\n"]), kept);
        assert_eq!(log(10, 100, &["one\ntwo\nthree\nfour\n"]), kept);
    }

    #[test]
    fn of_one_endless_line_the_end_is_kept() {
        assert_eq!(log(4, 100, &["abcdef", "gh\n"]).text, "fgh\n");
    }

    #[test]
    fn reading_stops() {
        let kept = log(100, 8, &["one\n", "two\n", "three\n"]);
        assert_eq!(kept.text, "one\ntwo\n");
        assert!(kept.lacks_end && !kept.lacks_beginning);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut tail = Tail::new(8, 8);
        tail.push(b"a\xffb");
        assert_eq!(tail.into_log().text, "a\u{fffd}b");
    }
}
