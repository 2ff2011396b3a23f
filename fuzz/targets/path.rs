//! A path with placeholders, and their values: what is made of them is the path that was meant. The input is the template and
//! then the values, each of which ends with a NUL.
#![no_main]

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::uri::PathAndQuery;
use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_crds::validate::path::{PathTemplate, Piece};
use mcp_gateway::pattern::Pattern;

/// How often each character that divides a path stands in a text.
fn dividers(text: &str) -> [usize; 4] {
    ['/', '\\', '?', '#'].map(|divider| text.matches(divider).count())
}

/// The text as who decodes it sees it.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|hex| !hex.starts_with('+')).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out
}

/// Whether a segment of the path walks.
fn walks(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/').any(|segment| matches!(decoded(segment).as_slice(), b"." | b".."))
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let mut parts = input.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let template = parts.next().unwrap_or_default();
    let (Some(pattern), Ok(parsed)) = (Pattern::path(&template), PathTemplate::parse(&template)) else {
        assert!(Pattern::path(&template).is_none() && PathTemplate::parse(&template).is_err());
        return Corpus::Reject;
    };
    let values: BTreeMap<&str, Cow<'_, str>> = pattern.placeholders().zip(parts).collect();
    let literals: String = parsed.pieces().iter().fold(String::new(), |text, piece| match piece {
        Piece::Literal(literal) => text + literal,
        Piece::Placeholder(_) => text + "x",
    });
    let Ok(path) = pattern.expand(|name| values.get(name).cloned()) else { return Corpus::Keep };

    assert_eq!(dividers(&path), dividers(&literals), "{template} {path}");
    assert_eq!(pattern.slashes(), path.matches('/').count());
    let is_graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(is_graphic(&path) || !is_graphic(&literals), "{template} {path}");
    assert!(walks(&literals) || !walks(&path), "{template} {path}");
    let meant = parsed.pieces().iter().flat_map(|piece| match piece {
        Piece::Literal(literal) => decoded(literal),
        Piece::Placeholder(name) => values[name].as_bytes().to_vec(),
    });
    assert_eq!(decoded(&path), meant.collect::<Vec<u8>>(), "{template} {path}");
    // Longer ones are refused when they are sent.
    let is_short = path.len() < usize::from(u16::MAX);
    if is_short && PathAndQuery::try_from(literals.as_str()).is_ok() {
        PathAndQuery::try_from(path.as_str()).expect("a path with a query");
    }
    // What it matches is the same path again.
    let unique = pattern.placeholders().count() == values.len();
    if let Some(read) = pattern.matches(&path).filter(|_| unique) {
        let again = pattern.expand(|name| read.get(name).map(Cow::Borrowed));
        assert_eq!(again.as_ref(), Ok(&path), "{template}");
    }
    Corpus::Keep
});
