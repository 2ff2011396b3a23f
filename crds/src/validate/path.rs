//! Paths of HTTP requests, with and without `{placeholders}`.

use std::collections::HashSet;

use thiserror::Error;

/// Why a string is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// Not from the root.
    #[error("must begin with /")]
    NotAbsolute,
    /// A character that would end the path, or break the request.
    #[error("must not hold white space, control characters, ? or #")]
    Character,
    /// The same, where a query may follow.
    #[error("must not hold white space, control characters or #")]
    Target,
    /// A brace without its other half, or within another pair.
    #[error("must have each {{ closed by a }} before the next one")]
    Unbalanced,
    /// `{}`.
    #[error("must have a name between {{ and }}")]
    Empty,
    /// A placeholder whose name has other characters than letters, digits and `_`.
    #[error("must name its placeholders with letters, digits and _ alone")]
    Name,
    /// A placeholder that stands twice.
    #[error("must have each placeholder once")]
    Repeated,
}

/// The paths on every server that the operator's own probes use.
pub const PROBES: [&str; 2] = ["/health", "/ready"];

/// A path as it stands in a request's line: from the root, without a query.
///
/// # Errors
/// What is wrong with it.
pub fn check_plain(path: &str) -> Result<(), PathError> {
    if !path.starts_with('/') {
        Err(PathError::NotAbsolute)
    } else if path.contains(ends_path) {
        Err(PathError::Character)
    } else {
        Ok(())
    }
}

/// Whether no request's line can have it, or none would be sent it.
fn breaks_request(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '#'
}

fn ends_path(c: char) -> bool {
    breaks_request(c) || c == '?'
}

/// A part of a path with placeholders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Piece<'a> {
    /// Text as it is.
    Literal(&'a str),
    /// `{NAME}`.
    Placeholder(&'a str),
}

/// A path from the root that may hold `{placeholders}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate<'a> {
    pieces: Vec<Piece<'a>>,
}

impl<'a> PathTemplate<'a> {
    /// Parses a path, with a query or without, whose placeholders may have any name without braces, and may stand more than
    /// once.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'a str) -> Result<Self, PathError> {
        Self::parse_without(text, breaks_request, PathError::Target)
    }

    /// Parses a path whose literals hold none of these characters, or it is that error.
    fn parse_without(text: &'a str, barred: fn(char) -> bool, error: PathError) -> Result<Self, PathError> {
        if !text.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        let template = Self { pieces: pieces(text)? };
        if template.literals().any(|literal| literal.contains(barred)) {
            return Err(error);
        }
        Ok(template)
    }

    /// Parses a path that requests are matched with, and so has no query: its placeholders have names of letters, digits and
    /// `_`, and stand once each.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_ingress(text: &'a str) -> Result<Self, PathError> {
        let template = Self::parse_without(text, ends_path, PathError::Character)?;
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !template.placeholders().all(is_name) {
            return Err(PathError::Name);
        }
        let mut seen = HashSet::new();
        if template.placeholders().all(|name| seen.insert(name)) {
            Ok(template)
        } else {
            Err(PathError::Repeated)
        }
    }

    /// The path's parts in order; no literal is empty.
    #[must_use]
    pub fn pieces(&self) -> &[Piece<'a>] {
        &self.pieces
    }

    fn literals(&self) -> impl Iterator<Item = &'a str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(text) => Some(*text),
            Piece::Placeholder(_) => None,
        })
    }

    /// The names of the placeholders, in order, and as often as they stand.
    pub fn placeholders(&self) -> impl Iterator<Item = &'a str> {
        placeholders(&self.pieces)
    }

    /// The path with every placeholder's name left out: two paths that match the same requests have one shape.
    #[must_use]
    pub fn shape(&self) -> String {
        shape(&self.pieces)
    }
}

/// A path or URI template with every placeholder's name left out; the text itself where it is neither.
#[must_use]
pub fn shape_of(text: &str) -> String {
    pieces(text).map_or_else(|_| text.to_owned(), |pieces| shape(&pieces))
}

/// Splits a text at its placeholders.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, PathError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, from)) = rest.find(['{', '}']).and_then(|at| rest.split_at_checked(at)) {
        let inside = from.strip_prefix('{').ok_or(PathError::Unbalanced)?;
        let (name, after) = inside.split_once('}').ok_or(PathError::Unbalanced)?;
        if name.contains('{') {
            return Err(PathError::Unbalanced);
        }
        if name.is_empty() {
            return Err(PathError::Empty);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        pieces.push(Piece::Placeholder(name));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

pub(super) fn placeholders<'a>(pieces: &[Piece<'a>]) -> impl Iterator<Item = &'a str> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Placeholder(name) => Some(*name),
        Piece::Literal(_) => None,
    })
}

pub(super) fn shape(pieces: &[Piece<'_>]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text,
            Piece::Placeholder(_) => "{}",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_paths() {
        for path in ["/", "/mcp", "/a/b.c/~d%20;e=f", "/{a}"] {
            assert_eq!(check_plain(path), Ok(()), "{path}");
        }
        for path in ["", "mcp", "http://a/b", " /mcp"] {
            assert_eq!(check_plain(path), Err(PathError::NotAbsolute), "{path}");
        }
        for path in ["/a b", "/a?b", "/a#b", "/a\n", "/a\u{7f}"] {
            assert_eq!(check_plain(path), Err(PathError::Character), "{path}");
        }
    }

    #[test]
    fn placeholders_are_found() {
        let template = PathTemplate::parse("/a/{id}/{first name}{id}").expect("a template");
        assert_eq!(template.placeholders().collect::<Vec<_>>(), ["id", "first name", "id"]);
        assert_eq!(template.pieces()[..2], [Piece::Literal("/a/"), Piece::Placeholder("id")]);
        let plain = PathTemplate::parse("/api/tool?x=1").expect("a template");
        assert_eq!(plain.pieces(), [Piece::Literal("/api/tool?x=1")]);
    }

    #[test]
    fn broken_braces() {
        use PathError::*;
        for (path, error) in [
            ("", NotAbsolute),
            ("{id}", NotAbsolute),
            ("/{", Unbalanced),
            ("/}", Unbalanced),
            ("/{id", Unbalanced),
            ("/id}", Unbalanced),
            ("/{{id}}", Unbalanced),
            ("/{a{b}c}", Unbalanced),
            ("/{id}}", Unbalanced),
            ("/{}", Empty),
        ] {
            assert_eq!(PathTemplate::parse(path), Err(error), "{path}");
            assert_eq!(PathTemplate::parse_ingress(path), Err(error), "{path}");
        }
    }

    #[test]
    fn what_no_request_can_have() {
        for path in ["/a b", "/a#b", "/{id}\n", "/a\u{7f}{id}", "/a\u{a0}"] {
            assert_eq!(PathTemplate::parse(path), Err(PathError::Target), "{path:?}");
            assert_eq!(PathTemplate::parse_ingress(path), Err(PathError::Character), "{path:?}");
        }
    }

    #[test]
    fn an_ingress_path_is_stricter() {
        for (path, error) in [
            ("/a?b={id}", PathError::Character),
            ("/{first name}", PathError::Name),
            ("/{a-b}", PathError::Name),
            ("/{é}", PathError::Name),
            ("/{id}/{id}", PathError::Repeated),
        ] {
            assert!(PathTemplate::parse(path).is_ok(), "{path}");
            assert_eq!(PathTemplate::parse_ingress(path), Err(error), "{path}");
        }
        assert!(PathTemplate::parse_ingress("/docs/{id}/{_2}.{Part}").is_ok());
    }

    #[test]
    fn the_shape_forgets_names() {
        let shape = |path| PathTemplate::parse(path).map(|template| template.shape());
        assert_eq!(shape("/docs/{id}"), shape("/docs/{name}"));
        assert_ne!(shape("/docs/{id}"), shape("/docs/{id}/"));
        assert_ne!(shape("/docs/{id}"), shape("/docs/id"));
        assert_eq!(shape("/docs/{id}").as_deref(), Ok("/docs/{}"));
        for (text, shape) in
            [("/docs/{id}", "/docs/{}"), ("docs://{id}/a", "docs://{}/a"), ("/{", "/{"), ("/{}", "/{}")]
        {
            assert_eq!(shape_of(text), shape, "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_up_the_path(path in "/[a{}é]{0,16}") {
            if let Ok(template) = PathTemplate::parse(&path) {
                let text: String = template.pieces().iter().map(|piece| match piece {
                    Piece::Literal(text) => (*text).to_owned(),
                    Piece::Placeholder(name) => format!("{{{name}}}"),
                }).collect();
                prop_assert_eq!(text, path);
            }
        }
    }
}
