//! Templates of prompts: text with placeholders, `{{name}}` or `<<name>>`.
//!
//! What opens a placeholder: `{{`, always; `<<` where a letter or `_` follows it directly, or where `>>` closes it on its
//! line with at most one word between. Every other `<<`, and every `>>` that closes nothing, is text. `}}` is text where
//! single braces before it account for it, so JSON needs no escape. A backslash directly before `{{` or `<<` is dropped,
//! and makes that pair, what is in it and the pair that closes it text.
//!
//! A pair is closed by the first closing pair on its line, unless another pair of its kind opens before that.

use std::borrow::Cow;
use std::fmt;

pub use crate::field::Position;

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'t> {
    /// Text as it is.
    Text(&'t str),
    /// A value's place.
    Placeholder(Placeholder<'t>),
}

/// A placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholder<'t> {
    /// The variable: an identifier.
    pub name: &'t str,
    /// How the template spells it, with its brackets.
    pub source: &'t str,
    /// Where it begins.
    pub at: Position,
}

/// What is wrong at one place of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem<'t> {
    /// What is wrong.
    pub kind: ProblemKind,
    /// What of the template is wrong: brackets with what is between them, or as much as there is of that.
    pub source: &'t str,
    /// Where it begins.
    pub at: Position,
}

/// What can be wrong with a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// Nothing between the brackets.
    Empty,
    /// No closing pair on its line.
    NotClosed,
    /// Something between the brackets that is no identifier.
    NoIdentifier,
    /// A `}}` before which nothing opened.
    NotOpened,
}

impl fmt::Display for Problem<'_> {
    /// Where it is, and what to do about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A spelling longer than this is not repeated.
        const MAX_REPEATED: usize = 32;
        let pair = if self.source.starts_with(ANGLES.open) { &ANGLES } else { &BRACES };
        write!(f, "{}: ", self.at)?;
        match self.kind {
            ProblemKind::Empty => f.write_str("a placeholder must name a variable")?,
            ProblemKind::NotClosed => write!(f, "a placeholder must be closed with {} on its line", pair.close)?,
            ProblemKind::NoIdentifier => f.write_str(
                "a placeholder must name one variable: letters, digits, '_' and '-', beginning with a letter or '_'",
            )?,
            ProblemKind::NotOpened => return f.write_str("this }} closes nothing: neither {{ nor two single { stand before it"),
        }
        let repeated = if self.source.len() <= MAX_REPEATED && !self.source.contains(char::is_control) {
            self.source
        } else {
            pair.open
        };
        write!(f, "; for plain text, write \\{repeated}")
    }
}

/// A parsed template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template<'t> {
    /// The text and the placeholders, in order. What is in [`Template::problems`] is text.
    pub segments: Vec<Segment<'t>>,
    /// Why the template is refused; empty where it is not.
    pub problems: Vec<Problem<'t>>,
    /// Where a `<<` is taken for text.
    pub shifts: Vec<Position>,
}

impl<'t> Template<'t> {
    /// Parses a template, in time linear in its length.
    #[must_use]
    pub fn parse(text: &'t str) -> Self {
        Parser::new(text).parse()
    }

    /// The placeholders in order, and as often as they stand.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder<'t>> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Placeholder(placeholder) => Some(*placeholder),
            Segment::Text(_) => None,
        })
    }

    /// The text with a value in every placeholder's place, nothing where there is none. Values are put in as they are:
    /// what looks like a placeholder in them is left alone.
    pub fn render<'v>(&self, value_of: impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
        let mut out = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => out.push_str(text),
                Segment::Placeholder(placeholder) => {
                    out.push_str(&value_of(placeholder.name).unwrap_or_default())
                }
            }
        }
        out
    }
}

/// Whether a variable can be named so: `[A-Za-z_][A-Za-z0-9_-]*`.
#[must_use]
pub fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// A kind of brackets, two characters each.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    open: &'static str,
    close: &'static str,
}

const BRACES: Pair = Pair { open: "{{", close: "}}" };
const ANGLES: Pair = Pair { open: "<<", close: ">>" };

/// Where an opening pair ends, and what is in it.
#[derive(Debug, Clone, Copy)]
enum Extent<'t> {
    /// After the closing pair.
    Closed { inside: &'t str, end: usize },
    /// There is no closing pair.
    Open,
    /// It opens nothing.
    Text,
}

struct Parser<'t> {
    text: &'t str,
    template: Template<'t>,
    /// Where the segment of text that is being read begins.
    text_from: usize,
    /// How many single braces are open before the place that is being read.
    open_braces: usize,
    cursor: Cursor<'t>,
    next: Searches,
}

/// The searches that run ahead of the parser; each looks at every character once.
#[derive(Default)]
struct Searches {
    line_end: Search,
    braces_open: Search,
    braces_close: Search,
    angles_open: Search,
    angles_close: Search,
    word_start: Search,
    word_end: Search,
    second_word: Search,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            template: Template::default(),
            text_from: 0,
            open_braces: 0,
            cursor: Cursor::new(text),
            next: Searches::default(),
        }
    }

    fn parse(mut self) -> Template<'t> {
        let mut at = 0;
        while let Some(found) = find_from(self.text, at, |rest| rest.find(['\\', '{', '}', '<'])) {
            at = self.special(found);
        }
        self.end_text(self.text.len());
        self.template
    }

    /// Reads what begins with one of the characters that mean something, and returns where it ends.
    fn special(&mut self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        if let Some(escaped) = rest.strip_prefix('\\') {
            self.escape(at, escaped)
        } else if rest.starts_with(BRACES.open) {
            self.opening(at, &BRACES)
        } else if rest.starts_with(ANGLES.open) {
            self.opening(at, &ANGLES)
        } else if rest.starts_with('{') {
            self.open_braces += 1;
            at + 1
        } else if rest.starts_with(BRACES.close) {
            if self.open_braces < 2 {
                self.problem(ProblemKind::NotOpened, at, at + 2);
            }
            self.open_braces = self.open_braces.saturating_sub(2);
            at + 2
        } else {
            self.open_braces = self.open_braces.saturating_sub(usize::from(rest.starts_with('}')));
            at + 1
        }
    }

    /// A backslash, and what it keeps from being read.
    fn escape(&mut self, at: usize, escaped: &str) -> usize {
        let open = at + 1;
        let pair = match escaped {
            _ if escaped.starts_with(BRACES.open) => &BRACES,
            _ if escaped.starts_with(ANGLES.open) => &ANGLES,
            _ => return open,
        };
        self.end_text(at);
        self.text_from = open;
        let end = match self.extent(open, pair) {
            Extent::Closed { end, .. } => end,
            Extent::Open | Extent::Text => open + 2,
        };
        self.count_braces(open, end);
        end
    }

    /// An opening pair.
    fn opening(&mut self, at: usize, pair: &Pair) -> usize {
        match self.extent(at, pair) {
            Extent::Text => {
                let position = self.cursor.position(at);
                self.template.shifts.push(position);
                at + 2
            }
            Extent::Open => {
                // The first word is enough to know it by.
                let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
                let word = find_from(self.text, at + 2, |rest| rest.find(|c| c != ' '));
                let end = word.and_then(|word| find_from(self.text, word, |rest| rest.find(|c| !is_word(c))));
                self.problem(ProblemKind::NotClosed, at, end.unwrap_or(self.text.len()));
                self.count_braces(at, at + 2);
                at + 2
            }
            Extent::Closed { inside, end } => {
                let name = inside.trim_matches(BLANK);
                if is_identifier(name) {
                    self.end_text(at);
                    self.text_from = end;
                    let source = self.text.get(at..end).unwrap_or_default();
                    let placeholder = Placeholder { name, source, at: self.cursor.position(at) };
                    self.template.segments.push(Segment::Placeholder(placeholder));
                } else {
                    let kind = if name.is_empty() { ProblemKind::Empty } else { ProblemKind::NoIdentifier };
                    self.problem(kind, at, end);
                }
                end
            }
        }
    }

    /// How far the pair that opens at `open` reaches.
    fn extent(&mut self, open: usize, pair: &Pair) -> Extent<'t> {
        let (text, from) = (self.text, open + 2);
        let next = &mut self.next;
        let (close, reopen) = if *pair == BRACES {
            (&mut next.braces_close, &mut next.braces_open)
        } else {
            (&mut next.angles_close, &mut next.angles_open)
        };
        let close = close.from(text, from, |rest| rest.find(pair.close));
        let reopen = reopen.from(text, from, |rest| rest.find(pair.open));
        let line_end = next.line_end.from(text, from, |rest| rest.find('\n'));
        let closed = close.filter(|close| precedes(*close, line_end)).map(|close| {
            (close, Extent::Closed { inside: text.get(from..close).unwrap_or_default(), end: close + 2 })
        });
        let is_letter = |c: char| c.is_alphabetic() || c == '_';
        if *pair == ANGLES && !text.get(from..).is_some_and(|rest| rest.starts_with(is_letter)) {
            // At most one word between: the second one does not begin before the closing pair.
            let first = next.word_start.from(text, from, |rest| rest.find(|c: char| !c.is_whitespace()));
            let end =
                first.and_then(|at| next.word_end.from(text, at, |rest| rest.find(char::is_whitespace)));
            let second = end.and_then(|at| {
                next.second_word.from(text, at, |rest| rest.find(|c: char| !c.is_whitespace()))
            });
            closed.filter(|(close, _)| precedes(*close, second)).map_or(Extent::Text, |(_, extent)| extent)
        } else {
            closed.filter(|(close, _)| precedes(*close, reopen)).map_or(Extent::Open, |(_, extent)| extent)
        }
    }

    fn problem(&mut self, kind: ProblemKind, at: usize, end: usize) {
        let source = self.text.get(at..end).unwrap_or_default();
        let at = self.cursor.position(at);
        self.template.problems.push(Problem { kind, source, at });
    }

    /// Ends the segment of text that is being read.
    fn end_text(&mut self, at: usize) {
        let text = self.text.get(self.text_from..at).unwrap_or_default();
        if !text.is_empty() {
            self.template.segments.push(Segment::Text(text));
        }
    }

    /// Counts the braces of what is text, though it looks like a placeholder.
    fn count_braces(&mut self, from: usize, to: usize) {
        for b in self.text.get(from..to).unwrap_or_default().bytes() {
            match b {
                b'{' => self.open_braces += 1,
                b'}' => self.open_braces = self.open_braces.saturating_sub(1),
                _ => {}
            }
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];

fn find_from(text: &str, from: usize, find: impl FnOnce(&str) -> Option<usize>) -> Option<usize> {
    text.get(from..).and_then(find).map(|at| from + at)
}

/// Whether a place is there, and not after another one that may be there.
fn precedes(at: usize, other: Option<usize>) -> bool {
    other.is_none_or(|other| at <= other)
}

/// A search for the first place, from some place on, that something stands at. It is asked with places that never go
/// back, and looks at every character once.
#[derive(Default)]
struct Search(Option<Option<usize>>);

impl Search {
    fn from(&mut self, text: &str, from: usize, find: impl FnOnce(&str) -> Option<usize>) -> Option<usize> {
        match self.0 {
            Some(found) if found.is_none_or(|at| at >= from) => found,
            _ => *self.0.insert(find_from(text, from, find)),
        }
    }
}

/// Turns offsets that never go back into positions, and looks at every character once.
struct Cursor<'t> {
    rest: &'t str,
    offset: usize,
    position: Position,
}

impl<'t> Cursor<'t> {
    const fn new(text: &'t str) -> Self {
        Self { rest: text, offset: 0, position: Position { line: 1, column: 1 } }
    }

    fn position(&mut self, offset: usize) -> Position {
        if let Some((passed, rest)) = self.rest.split_at_checked(offset.saturating_sub(self.offset)) {
            for c in passed.chars() {
                if c == '\n' {
                    self.position = Position { line: self.position.line + 1, column: 1 };
                } else {
                    self.position.column += 1;
                }
            }
            (self.rest, self.offset) = (rest, offset);
        }
        self.position
    }
}

#[cfg(test)]
mod tests;
