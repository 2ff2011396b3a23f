//! Paths and URIs with `{placeholders}`, to fill in and to match with.

use std::borrow::Cow;

use mcp_crds::validate::path::{self, PathTemplate};
use mcp_crds::validate::uri::UriTemplate;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

/// What RFC 3986 calls unreserved stays as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a request cannot go out to a path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExpandError {
    /// A placeholder has no value.
    #[error("{0}: is needed for the path of the request")]
    Missing(String),
    /// A value is empty: the path would be another one.
    #[error("{0}: must not be empty, since it is a part of the path of the request")]
    Empty(String),
    /// With its values the path would lead elsewhere.
    #[error("must not make a part of the path of the request \".\" or \"..\"")]
    Traversal,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Piece {
    Literal(Box<str>),
    Placeholder(Box<str>),
}

/// A path or URI with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// What stands between slashes.
    segments: Vec<Vec<Piece>>,
    placeholders: usize,
}

impl Pattern {
    /// A path; `None` where it is none.
    #[must_use]
    pub fn path(text: &str) -> Option<Self> {
        Some(Self::new(PathTemplate::parse(text).ok()?.pieces()))
    }

    /// A URI template; `None` where it is none.
    #[must_use]
    pub fn uri(text: &str) -> Option<Self> {
        Some(Self::new(UriTemplate::parse(text).ok()?.pieces()))
    }

    fn new(pieces: &[path::Piece<'_>]) -> Self {
        let (mut segments, mut current, mut placeholders) = (Vec::new(), Vec::new(), 0);
        let mut pieces = pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                path::Piece::Literal(text) => {
                    let text = if pieces.peek().is_some() { closed(text) } else { Cow::Borrowed(*text) };
                    for (n, part) in text.split('/').enumerate() {
                        if n > 0 {
                            segments.push(std::mem::take(&mut current));
                        }
                        if !part.is_empty() {
                            current.push(Piece::Literal(part.into()));
                        }
                    }
                }
                path::Piece::Placeholder(name) => {
                    placeholders += 1;
                    current.push(Piece::Placeholder((*name).into()));
                }
            }
        }
        segments.push(current);
        Self { segments, placeholders }
    }

    /// Whether it has no placeholders.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.placeholders == 0
    }

    /// How many slashes it has.
    #[must_use]
    pub const fn slashes(&self) -> usize {
        self.segments.len() - 1
    }

    /// The placeholders' names, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flatten().filter_map(|piece| match piece {
            Piece::Placeholder(name) => Some(&**name),
            Piece::Literal(_) => None,
        })
    }

    /// Which of two patterns that match the same is the more exact one compares less: literals come before placeholders.
    #[must_use]
    pub fn precedence(&self) -> Vec<(usize, usize)> {
        let literal = |piece: &Piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Placeholder(_) => 0,
        };
        let of = |segment: &Vec<Piece>| {
            let placeholders = segment.iter().filter(|piece| matches!(piece, Piece::Placeholder(_))).count();
            (placeholders, usize::MAX - segment.iter().map(literal).sum::<usize>())
        };
        self.segments.iter().map(of).collect()
    }

    /// The text with a percent-encoded value in every placeholder's place.
    ///
    /// # Errors
    /// Where a value is missing or empty, or where the path would no longer be the one that was meant.
    pub fn expand<'v>(&self, value_of: impl Fn(&str) -> Option<Cow<'v, str>>) -> Result<String, ExpandError> {
        let mut out = String::new();
        for (n, segment) in self.segments.iter().enumerate() {
            if n > 0 {
                out.push('/');
            }
            let from = out.len();
            let mut filled = false;
            for piece in segment {
                match piece {
                    Piece::Literal(text) => out.push_str(text),
                    Piece::Placeholder(name) => {
                        let value =
                            value_of(name).ok_or_else(|| ExpandError::Missing(name.clone().into()))?;
                        if value.is_empty() {
                            return Err(ExpandError::Empty(name.clone().into()));
                        }
                        out.extend(utf8_percent_encode(&value, ENCODED));
                        filled = true;
                    }
                }
            }
            if filled && is_dots(out.get(from..).unwrap_or_default()) {
                return Err(ExpandError::Traversal);
            }
        }
        Ok(out)
    }

    /// The values, percent-decoded, with which the text is this pattern; a value is not empty and holds no slash.
    #[must_use]
    pub fn matches<'t>(&self, text: &'t str) -> Option<Values<'_, 't>> {
        let mut values = Values(Vec::with_capacity(self.placeholders));
        let mut parts = text.split('/');
        for segment in &self.segments {
            match_segment(segment, parts.next()?, &mut values)?;
        }
        parts.next().is_none().then_some(values)
    }
}

/// A literal before a placeholder, whose value makes no escape together with a `%` at the literal's end.
fn closed(literal: &str) -> Cow<'_, str> {
    let open = match literal.as_bytes() {
        [.., b'%'] => 1,
        [.., b'%', digit] if digit.is_ascii_hexdigit() => 2,
        _ => return Cow::Borrowed(literal),
    };
    let (before, open) = literal.split_at(literal.len() - open);
    Cow::Owned(format!("{before}%25{}", open.trim_start_matches('%')))
}

/// Whether a segment is one of those that walk through a path, for whoever decodes it first as well.
fn is_dots(segment: &str) -> bool {
    let path = segment.split(['?', '#']).next().unwrap_or_default();
    let decoded = percent_decode_str(path).collect::<Vec<u8>>();
    matches!(decoded.as_slice(), b"." | b"..")
}

/// Values by the names of their placeholders.
#[derive(Debug, Default)]
pub struct Values<'p, 't>(Vec<(&'p str, Cow<'t, str>)>);

impl Values<'_, '_> {
    /// The value of a placeholder.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, value)| &**value)
    }
}

/// Where a text ends after each of its characters; one that is percent-encoded is one as well.
fn cuts(text: &str) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(0), |from| {
        let rest = text.get(*from..)?;
        let length = encoded_character(rest).or_else(|| rest.chars().next().map(char::len_utf8))?;
        Some(from + length)
    })
    .skip(1)
}

/// How long the character is with whose encoding a text begins; a byte that is part of none stands for itself.
fn encoded_character(text: &str) -> Option<usize> {
    const ESCAPE: usize = "%00".len();
    let is_escape =
        |bytes: &&[u8]| matches!(bytes, [b'%', hex @ ..] if hex.iter().all(u8::is_ascii_hexdigit));
    let escapes = text.as_bytes().chunks_exact(ESCAPE).take(4).take_while(is_escape).count();
    let is_one = |count: &usize| {
        let encoded = text.get(..count * ESCAPE).unwrap_or_default();
        percent_decode_str(encoded).decode_utf8().is_ok_and(|decoded| decoded.chars().count() == 1)
    };
    (escapes > 0).then(|| ESCAPE * (1..=escapes).find(is_one).unwrap_or(1))
}

fn match_segment<'p, 't>(pieces: &'p [Piece], text: &'t str, values: &mut Values<'p, 't>) -> Option<()> {
    let mut rest = text;
    let mut pieces = pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Literal(literal) => rest = rest.strip_prefix(&**literal)?,
            Piece::Placeholder(name) => {
                let end = match pieces.peek() {
                    None => rest.len(),
                    // Two placeholders side by side: the first takes one character.
                    Some(Piece::Placeholder(_)) => cuts(rest).next()?,
                    Some(Piece::Literal(next)) => {
                        let mut later = pieces.clone();
                        later.next();
                        if later.peek().is_none() {
                            let end = rest.strip_suffix(&**next)?.len();
                            cuts(rest).find(|cut| *cut == end)?
                        } else {
                            cuts(rest)
                                .find(|cut| rest.get(*cut..).is_some_and(|rest| rest.starts_with(&**next)))?
                        }
                    }
                };
                let (value, after) = rest.split_at_checked(end).filter(|(value, _)| !value.is_empty())?;
                let value = percent_decode_str(value).decode_utf8().ok()?;
                if value.contains(['/', '\\']) || value.contains(char::is_control) {
                    return None;
                }
                values.0.push((name, value));
                rest = after;
            }
        }
    }
    rest.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn expand(pattern: &str, values: &[(&str, &str)]) -> Result<String, ExpandError> {
        let pattern = Pattern::path(pattern).expect("a path");
        pattern.expand(|name| {
            values.iter().find(|(own, _)| *own == name).map(|(_, value)| Cow::Borrowed(*value))
        })
    }

    #[test]
    fn values_are_percent_encoded() {
        assert_eq!(expand("/a/{b}", &[("b", "x y/ü?")]).as_deref(), Ok("/a/x%20y%2F%C3%BC%3F"));
        assert_eq!(expand("/{a}.{b}?q={a}", &[("a", "1"), ("b", "2")]).as_deref(), Ok("/1.2?q=1"));
        assert_eq!(expand("/", &[]).as_deref(), Ok("/"));
    }

    #[test]
    fn no_value_leads_elsewhere() {
        for value in ["..", "."] {
            assert_eq!(expand("/a/{b}/c", &[("b", value)]), Err(ExpandError::Traversal), "{value}");
        }
        assert_eq!(expand("/{a}{b}", &[("a", "."), ("b", ".")]), Err(ExpandError::Traversal));
        assert_eq!(expand("/%2e{b}", &[("b", ".")]), Err(ExpandError::Traversal));
        assert_eq!(expand("/{b}?x", &[("b", "..")]), Err(ExpandError::Traversal));
        assert_eq!(expand("/{b}", &[("b", "...")]).as_deref(), Ok("/..."));
        for value in ["2f", "2F..", "2e"] {
            assert_eq!(expand("/%{b}", &[("b", value)]), Ok(format!("/%25{value}")));
        }
        assert_eq!(expand("/a%2{b}", &[("b", "f..")]).as_deref(), Ok("/a%252f.."));
        // Encoded once more: who decodes it once gets the text, and no path.
        assert_eq!(expand("/{b}", &[("b", "%2e%2e")]).as_deref(), Ok("/%252e%252e"));
        assert_eq!(expand("/{b}", &[("b", "")]), Err(ExpandError::Empty("b".into())));
        assert_eq!(expand("/{b}", &[]), Err(ExpandError::Missing("b".into())));
    }

    #[track_caller]
    fn matched(pattern: &str, text: &str) -> Option<Vec<String>> {
        let pattern = Pattern::path(pattern).expect("a path");
        let values = pattern.matches(text)?;
        Some(values.0.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn what_matches() {
        assert_eq!(matched("/docs/{id}", "/docs/7"), Some(vec!["id=7".into()]));
        assert_eq!(matched("/docs/{id}", "/docs/a%20b"), Some(vec!["id=a b".into()]));
        assert_eq!(matched("/{a}.{b}.json", "/x.y.z.json"), Some(vec!["a=x".into(), "b=y.z".into()]));
        assert_eq!(matched("/{a}.json", "/x.json.json"), Some(vec!["a=x.json".into()]));
        assert_eq!(matched("/docs", "/docs"), Some(vec![]));
        // What is percent-encoded is one character.
        assert_eq!(matched("/{a}{b}", "/%C3%BC%21"), Some(vec!["a=ü".into(), "b=!".into()]));
        assert_eq!(matched("/{a}5{b}", "/%255x"), Some(vec!["a=%".into(), "b=x".into()]));
        assert_eq!(matched("/{a}5", "/%255"), Some(vec!["a=%".into()]));
        assert_eq!(matched("/{a}%{b}", "/x%20y%25.."), Some(vec!["a=x y".into(), "b=..".into()]));
    }

    #[test]
    fn what_does_not() {
        for (pattern, text) in [
            ("/docs/{id}", "/docs/"),
            ("/docs/{id}", "/docs"),
            ("/docs/{id}", "/docs/7/x"),
            ("/docs/{id}", "/docs/a%2Fb"),
            ("/docs/{id}", "/docs/a%5Cb"),
            ("/docs/{id}", "/docs/%00"),
            ("/docs/{id}", "/docs/%ff"),
            ("/docs", "/docs/"),
            ("/{a}.json", "/.json"),
            ("/{a}5", "/%25"),
        ] {
            assert_eq!(matched(pattern, text), None, "{pattern} {text}");
        }
    }

    #[test]
    fn the_more_exact_pattern_comes_first() {
        let precedence = |text| Pattern::path(text).unwrap().precedence();
        assert!(precedence("/a/b") < precedence("/a/{x}"));
        assert!(precedence("/a/{x}.json") < precedence("/a/{x}"));
        assert!(precedence("/a/{x}") < precedence("/{x}/a"));
    }

    proptest! {
        #[test]
        fn what_is_expanded_matches_again(a in "[^/\\\\\\pC]{1,8}", b in "[^/\\\\\\pC]{1,8}") {
            let pattern = Pattern::path("/x/{a}/y/{b}").unwrap();
            let value_of = |name: &str| Some(Cow::Borrowed(if name == "a" { a.as_str() } else { b.as_str() }));
            if let Ok(text) = pattern.expand(value_of) {
                let values = pattern.matches(&text).expect("it matches");
                prop_assert_eq!(values.get("a"), Some(a.as_str()));
                prop_assert_eq!(values.get("b"), Some(b.as_str()));
            }
        }

        #[test]
        fn an_expanded_path_has_as_many_segments_and_none_of_dots(value in "\\PC{1,12}|[./%2eEfF\\\\]{1,8}") {
            let pattern = Pattern::path("/x/{a}/y").unwrap();
            if let Ok(text) = pattern.expand(|_| Some(Cow::Borrowed(value.as_str()))) {
                let segments: Vec<&str> = text.split('/').collect();
                prop_assert_eq!(segments.len(), 4);
                prop_assert!(segments.iter().all(|segment| !is_dots(segment)));
                prop_assert!(text.is_ascii() && !text.contains(char::is_whitespace));
            }
        }
    }
}
