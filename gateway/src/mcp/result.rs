//! What every result has beside its own members.

use super::protocol::{Generation, META_SERVER_INFO};
use crate::json::{Members, Object};

/// Adds the `_meta` of a modern result.
pub fn add_meta(result: &mut Object, server_info: &str) {
    result.object("_meta", |meta| {
        meta.raw(META_SERVER_INFO, server_info);
    });
}

/// How long a modern client may keep a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The result is of a method whose results are never kept.
    NoWord,
    /// A second; it is the same for everyone.
    Public,
    /// Not at all: a backend answered it.
    Private,
}

/// Adds to a result what its generation asks for and it does not have yet. What it has stays as it is.
#[must_use]
pub fn complete(members: &Members<'_>, generation: Generation, keep: Keep, server_info: &str) -> String {
    let mut result = Object::with_capacity(length(members) + server_info.len() + 128);
    fill(&mut result, members, generation, keep, server_info);
    result.finish()
}

/// About how many bytes the text of members has.
pub fn length(members: &Members<'_>) -> usize {
    members.0.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum()
}

/// Writes a result with what its generation asks for, as [`complete`] does.
pub fn fill(
    result: &mut Object,
    members: &Members<'_>,
    generation: Generation,
    keep: Keep,
    server_info: &str,
) {
    for (name, value) in &members.0 {
        result.raw(name, value.get());
    }
    if generation.is_modern() {
        let missing = |name: &str| !members.has(name);
        if missing("resultType") {
            result.string("resultType", "complete");
        }
        let is_complete = members.get("resultType").is_none_or(|kind| kind.get() == "\"complete\"");
        if let Some((ttl_ms, scope)) = keep.words().filter(|_| is_complete) {
            if missing("ttlMs") {
                result.raw("ttlMs", ttl_ms);
            }
            if missing("cacheScope") {
                result.string("cacheScope", scope);
            }
        }
        if missing("_meta") {
            add_meta(result, server_info);
        }
    }
}

impl Keep {
    const fn words(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::NoWord => None,
            Self::Public => Some(("1000", "public")),
            Self::Private => Some(("0", "private")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn completed(text: &str, generation: Generation, keep: Keep) -> String {
        complete(&Members::parse(text).unwrap(), generation, keep, "{}")
    }

    #[test]
    fn a_legacy_result_stays_as_it_is() {
        let text = r#"{"b":1.0,"a":{"x":1e5}}"#;
        assert_eq!(completed(text, Generation::Legacy, Keep::Private), text);
    }

    #[test]
    fn a_modern_result_gets_what_it_lacks() {
        let text = completed(r#"{"b":1.0}"#, Generation::Modern, Keep::Public);
        let meta = r#""_meta":{"io.modelcontextprotocol/serverInfo":{}}"#;
        let expected =
            format!(r#"{{"b":1.0,"resultType":"complete","ttlMs":1000,"cacheScope":"public",{meta}}}"#);
        assert_eq!(text, expected);
        let own = r#"{"resultType":"input_required","_meta":{}}"#;
        assert_eq!(completed(own, Generation::Modern, Keep::Private), own);
    }
}
