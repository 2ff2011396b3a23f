//! Which keys are a server's.

use std::fmt;

/// Stands for the UID of a server that no API server has given one.
const NO_UID: &str = "-";

/// What every key of a server begins with: `mcp:NAMESPACE:SERVER:UID:`.
///
/// The UID makes a server that is made anew under its name another one: it finds nothing of what its predecessor kept, whether
/// that has been removed or not. No prefix begins with another one, as neither a namespace nor a name has a colon in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// That of a server. Without a cluster there is no UID, and servers of one name share what they keep.
    #[must_use]
    pub fn new(namespace: &str, server: &str, uid: Option<&str>) -> Self {
        Self(format!("mcp:{namespace}:{server}:{}:", uid.unwrap_or(NO_UID)))
    }

    /// A pattern that every key of the server matches, and no other, in the language of Redis' `SCAN`.
    pub(crate) fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.0.len() + 1);
        for character in self.0.chars() {
            if matches!(character, '*' | '?' | '[' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('*');
        pattern
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_one_name_have_keys_of_their_own() {
        assert_eq!(Prefix::new("team", "main", Some("a1")).to_string(), "mcp:team:main:a1:");
        assert_eq!(Prefix::new("team", "main", None).to_string(), "mcp:team:main:-:");
    }

    #[test]
    fn what_is_in_a_name_is_no_pattern() {
        assert_eq!(Prefix::new("n", "s", Some("a*[b]?\\")).pattern(), r"mcp:n:s:a\*\[b]\?\\:*");
    }
}
