//! The dialects of JSON Schema, and how a schema names its own.

use jsonschema::Draft;
use serde_json::{Map, Value};

/// A version of JSON Schema; a later one compares greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// draft-04.
    Draft4,
    /// draft-06.
    Draft6,
    /// draft-07.
    Draft7,
    /// 2019-09.
    Draft2019,
    /// 2020-12, which a schema without `$schema` is in, as MCP has it.
    #[default]
    Draft2020,
}

/// What `$schema` may be, as it is written by most. `http` and `https`, with and without the trailing `#`, are the same.
pub(super) const URIS: [&str; 5] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-04/schema#",
];

impl Dialect {
    /// The dialect that a `$schema` names.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
        match rest.strip_suffix('#').unwrap_or(rest).strip_prefix("json-schema.org/")? {
            "draft/2020-12/schema" => Some(Self::Draft2020),
            "draft/2019-09/schema" => Some(Self::Draft2019),
            "draft-07/schema" => Some(Self::Draft7),
            "draft-06/schema" => Some(Self::Draft6),
            "draft-04/schema" => Some(Self::Draft4),
            _ => None,
        }
    }

    /// The dialect that a schema is in; the default where its `$schema` is missing, or names none.
    #[must_use]
    pub fn of(schema: &Value) -> Self {
        schema.get("$schema").and_then(Value::as_str).and_then(Self::from_uri).unwrap_or_default()
    }

    /// The same, as the validator's library names it.
    #[must_use]
    pub const fn draft(self) -> Draft {
        match self {
            Self::Draft4 => Draft::Draft4,
            Self::Draft6 => Draft::Draft6,
            Self::Draft7 => Draft::Draft7,
            Self::Draft2019 => Draft::Draft201909,
            Self::Draft2020 => Draft::Draft202012,
        }
    }

    /// Whether everything beside a `$ref` is ignored, its `$id` among it.
    pub(super) fn ref_stands_alone(self) -> bool {
        self <= Self::Draft7
    }

    /// The keyword that names a resource.
    pub(super) fn id_keyword(self) -> &'static str {
        if self == Self::Draft4 { "id" } else { "$id" }
    }

    /// The URI by which a schema makes itself a resource of its own, relative to the resource around it.
    pub(super) fn id_of(self, schema: &Map<String, Value>) -> Option<&str> {
        let id = schema.get(self.id_keyword())?.as_str()?;
        // Before 2019-09 a bare fragment was an anchor.
        let names_resource =
            !self.ref_stands_alone() || !(id.starts_with('#') || schema.contains_key("$ref"));
        names_resource.then_some(id)
    }

    /// The names by which a schema can be referred to within its resource.
    pub(super) fn anchors_of(self, schema: &Map<String, Value>) -> impl Iterator<Item = &str> {
        let text = |keyword| schema.get(keyword).and_then(Value::as_str);
        let (plain, dynamic) = match self {
            Self::Draft4 | Self::Draft6 | Self::Draft7 => {
                (text(self.id_keyword()).and_then(|id| id.strip_prefix('#')), None)
            }
            Self::Draft2019 => (text("$anchor"), None),
            Self::Draft2020 => (text("$anchor"), text("$dynamicAnchor")),
        };
        plain.into_iter().chain(dynamic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_over_schemes_and_the_empty_fragment() {
        for uri in URIS {
            let bare = uri.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('#');
            let dialect = Dialect::from_uri(uri).unwrap();
            for spelling in [format!("http://{bare}"), format!("https://{bare}"), format!("http://{bare}#")] {
                assert_eq!(Dialect::from_uri(&spelling), Some(dialect), "{spelling}");
            }
        }
    }

    #[test]
    fn other_names_are_none() {
        for uri in [
            "",
            "2020-12",
            "http://json-schema.org/schema#",
            "http://json-schema.org/draft-03/schema#",
            "http://json-schema.org/draft-07/schema##",
            "http://json-schema.org/draft-07/schema#/definitions/x",
            "HTTP://json-schema.org/draft-07/schema",
            "ftp://json-schema.org/draft-07/schema",
            "https://json-schema.org/draft/2020-12/meta/core",
        ] {
            assert_eq!(Dialect::from_uri(uri), None, "{uri}");
        }
    }
}
