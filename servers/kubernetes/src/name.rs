//! Names of pods, containers and namespaces, valid once they are here: nothing else reaches a path of the API.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Not a DNS label.
    #[error(
        "{0:?} is not a valid name: must be at most 63 lower-case letters, digits and '-', and begin and end with a letter \
         or digit"
    )]
    Label(String),
    /// Not a DNS subdomain.
    #[error(
        "{0:?} is not a valid name: must be at most 253 lower-case letters, digits, '-' and '.', and each part between dots \
         must begin and end with a letter or digit"
    )]
    Subdomain(String),
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let of_label = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    bytes.iter().all(of_label) && ends(bytes.first()) && ends(bytes.last())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $longest:literal, $is_valid:expr, $error:ident, $pattern:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                let is_valid: fn(&str) -> bool = $is_valid;
                if text.len() <= $longest && is_valid(&text) {
                    return Ok(Self(text));
                }
                // The beginning is enough to recognise it by.
                Err(InvalidName::$error(text.chars().take($longest).collect()))
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                text.to_owned().try_into()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let pattern: String = $pattern;
                json_schema!({ "type": "string", "maxLength": $longest, "pattern": pattern })
            }
        }
    };
}

name!(
    /// Name of a pod: a DNS subdomain.
    PodName,
    253,
    |text| text.split('.').all(is_label),
    Subdomain,
    format!(r"^{LABEL}(\.{LABEL})*$")
);
name!(
    /// Name of a namespace: a DNS label.
    Namespace,
    63,
    is_label,
    Label,
    format!("^{LABEL}$")
);
name!(
    /// Name of a container: a DNS label.
    ContainerName,
    63,
    is_label,
    Label,
    format!("^{LABEL}$")
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_kubernetes_takes() {
        for good in ["a", "web-1", "0", "a.b-c.d"] {
            assert!(good.parse::<PodName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", "-a", "a-", "A", "a b", "a/b", "..", "a%2fb", "ä", &"a".repeat(254)] {
            assert!(bad.parse::<PodName>().is_err(), "{bad}");
        }
        assert!("a.b".parse::<Namespace>().is_err());
        assert!("a".repeat(63).parse::<Namespace>().is_ok());
        assert!("a".repeat(64).parse::<Namespace>().is_err());
    }

    #[test]
    fn a_wrong_name_says_what_a_right_one_is() {
        let error = "Web".parse::<ContainerName>().unwrap_err().to_string();
        assert!(error.starts_with("\"Web\" is not a valid name: must be at most 63 lower-case"), "{error}");
    }
}
