//! Names: of Kubernetes objects, hosts, labels, environment variables, HTTP headers and MCP's own things.

use std::net::Ipv4Addr;

use thiserror::Error;

/// What [`is_dns_label`] asks for.
pub const DNS_LABEL: &str = "must be a DNS label: at most 63 lower case alphanumeric characters or '-', starting and ending \
                             with an alphanumeric character";
/// What [`is_dns_1035_label`] asks for.
pub const DNS_1035_LABEL: &str = "must be at most 63 lower case alphanumeric characters or '-', starting with a letter and \
                                  ending with an alphanumeric character";
/// What [`is_dns_subdomain`] asks for.
pub const DNS_SUBDOMAIN: &str = "must be at most 253 lower case alphanumeric characters, '-' or '.', starting and ending with \
                                 an alphanumeric character";
/// What [`is_dns_name`] asks for.
pub const DNS_NAME: &str = "must be a lower case DNS name, such as redis or redis.infra.svc";
/// What [`is_host`] asks for.
pub const HOST: &str =
    "must be a lower case DNS name, such as mcp.example.com or *.example.com, and not an IP address";
/// What [`is_env_name`] asks for.
pub const ENV_NAME: &str = "must be a name of printable ASCII characters other than '='";
/// What [`is_http_token`] asks for.
pub const HTTP_TOKEN: &str = "must be an HTTP token: letters, digits and !#$%&'*+-.^_`|~";
/// What [`is_header_value`] asks for.
pub const HEADER_VALUE: &str =
    "must be one line without control characters, and without white space at either end";
/// What [`is_mcp_name`] asks for.
pub const MCP_NAME: &str = "must be 1 to 128 characters of A-Z a-z 0-9 _ - .";

const MAX_LABEL: usize = 63;
const MAX_SUBDOMAIN: usize = 253;
const MAX_MCP_NAME: usize = 128;

/// Why a string is no key or no value of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// A key holds two slashes or more.
    #[error("must be a name with an optional DNS subdomain prefix and '/' (e.g. 'example.com/my-name')")]
    Slashes,
    /// Nothing stands before a key's slash.
    #[error("prefix part must be non-empty")]
    EmptyPrefix,
    /// What stands before a key's slash is no DNS subdomain.
    #[error(
        "prefix part must be a lower case DNS subdomain of at most 253 alphanumeric characters, '-' or '.', and must \
         start and end with an alphanumeric character"
    )]
    Prefix,
    /// A key without a name.
    #[error("name part must be non-empty")]
    Empty,
    /// A key's name, or a value, of more than 63 characters.
    #[error("must be no more than 63 characters")]
    TooLong,
    /// A character that keys and values do not allow, or not there.
    #[error(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    )]
    Characters,
}

/// Non-empty, of alphanumeric characters and what `inner` allows, and alphanumeric at both ends.
fn is_framed(name: &str, alphanumeric: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(|b| alphanumeric(*b)))
        && bytes.iter().all(|b| alphanumeric(*b) || inner(*b))
}

fn is_lower_alphanumeric(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn is_alphanumeric(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

/// A DNS label as in RFC 1123: what most objects of Kubernetes can be named where a dot may not stand.
#[must_use]
pub fn is_dns_label(name: &str) -> bool {
    name.len() <= MAX_LABEL && is_framed(name, is_lower_alphanumeric, |b| b == b'-')
}

/// A DNS label that begins with a letter, as in RFC 1035: what every version of Kubernetes lets a Service be named.
#[must_use]
pub fn is_dns_1035_label(name: &str) -> bool {
    is_dns_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// A DNS subdomain as Kubernetes takes it: what a Secret or a ServiceAccount can be named.
#[must_use]
pub fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= MAX_SUBDOMAIN
        && name.split('.').all(|label| is_framed(label, is_lower_alphanumeric, |b| b == b'-'))
}

/// A lower-case name that DNS can resolve: labels of at most 63 characters, and not an IP address.
#[must_use]
pub fn is_dns_name(name: &str) -> bool {
    name.len() <= MAX_SUBDOMAIN && name.split('.').all(is_dns_label) && name.parse::<Ipv4Addr>().is_err()
}

/// The host of an Ingress: a lower-case DNS name, whose first label may be `*`.
#[must_use]
pub fn is_host(host: &str) -> bool {
    host.len() <= MAX_SUBDOMAIN && is_dns_name(host.strip_prefix("*.").unwrap_or(host))
}

/// The key of a label: a name of at most 63 characters, and before it, if anything, a DNS subdomain and a slash.
///
/// # Errors
/// What is wrong with it, in Kubernetes' words.
pub fn label_key(key: &str) -> Result<(), NameError> {
    let name = match key.split_once('/') {
        None => key,
        Some((_, name)) if name.contains('/') => return Err(NameError::Slashes),
        Some(("", _)) => return Err(NameError::EmptyPrefix),
        Some((prefix, _)) if !is_dns_subdomain(prefix) => return Err(NameError::Prefix),
        Some((_, name)) => name,
    };
    if name.is_empty() { Err(NameError::Empty) } else { label_value(name) }
}

/// The value of a label: empty, or at most 63 characters.
///
/// # Errors
/// What is wrong with it, in Kubernetes' words.
pub fn label_value(value: &str) -> Result<(), NameError> {
    if value.len() > MAX_LABEL {
        Err(NameError::TooLong)
    } else if value.is_empty() || is_framed(value, is_alphanumeric, |b| matches!(b, b'-' | b'_' | b'.')) {
        Ok(())
    } else {
        Err(NameError::Characters)
    }
}

/// What the API server takes as an environment variable's name: printable ASCII other than `=`.
#[must_use]
pub fn is_env_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=')
}

/// An environment variable's name that every shell can say: `[A-Za-z_][A-Za-z0-9_]*`.
#[must_use]
pub fn is_env_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A token as in RFC 9110, section 5.6.2: a header's name.
#[must_use]
pub fn is_http_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A header's value as in RFC 9110, section 5.5. It may be empty, and may hold what is not ASCII.
#[must_use]
pub fn is_header_value(value: &str) -> bool {
    let is_blank = |c: char| matches!(c, ' ' | '\t');
    !value.starts_with(is_blank)
        && !value.ends_with(is_blank)
        && value.bytes().all(|b| b == b'\t' || !b.is_ascii_control())
}

/// A name that MCP allows for a tool, a prompt or a resource.
#[must_use]
pub fn is_mcp_name(name: &str) -> bool {
    (1..=MAX_MCP_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(check: fn(&str) -> bool, accepted: &[&str], refused: &[&str]) {
        for name in accepted {
            assert!(check(name), "{name:?} should be accepted");
        }
        for name in refused {
            assert!(!check(name), "{name:?} should be refused");
        }
    }

    #[test]
    fn dns_labels() {
        let (longest, longer) = ("a".repeat(63), "a".repeat(64));
        all(
            is_dns_label,
            &["a", "my-svc", "1st", &longest],
            &["", "-a", "a-", "A", "a.b", "a_b", "é", &longer],
        );
        all(is_dns_1035_label, &["a", "a1-b", &longest], &["", "1st", "-a", "a.b", &longer]);
    }

    #[test]
    fn dns_names() {
        let long_label = "a".repeat(64);
        let (longest, longer) = (format!("{}a", "a.".repeat(126)), format!("{}aa", "a.".repeat(126)));
        all(
            is_dns_subdomain,
            &["a", "a.b-c.1", &long_label, &longest],
            &["", ".", "a.", ".a", "a..b", "A.b", "a.-b", &longer],
        );
        all(
            is_dns_name,
            &["redis", "redis.infra.svc", "1.2.3"],
            &["", "10.0.0.1", "Redis", "redis.", "redis:6379", &long_label],
        );
    }

    #[test]
    fn hosts() {
        let accepted = ["mcp.example.com", "localhost", "*.example.com", "*.com", "1and1.com"];
        let refused = [
            "",
            "*",
            "*.",
            "a.*.com",
            "*a.com",
            "Mcp.example.com",
            "10.0.0.1",
            "::1",
            "[::1]",
            "mcp.example.com:443",
            "https://a",
        ];
        all(is_host, &accepted, &refused);
    }

    #[test]
    fn label_keys_and_values() {
        for key in ["a", "A.b_c-1", "example.com/a", &format!("{}/{}", "a".repeat(253), "b".repeat(63))] {
            assert_eq!(label_key(key), Ok(()), "{key}");
        }
        for (key, error) in [
            ("", NameError::Empty),
            ("example.com/", NameError::Empty),
            ("/a", NameError::EmptyPrefix),
            ("a/b/c", NameError::Slashes),
            ("Example.com/a", NameError::Prefix),
            ("bad key", NameError::Characters),
            ("-a", NameError::Characters),
            (&"a".repeat(64), NameError::TooLong),
        ] {
            assert_eq!(label_key(key), Err(error), "{key}");
        }
        assert_eq!(label_value(""), Ok(()));
        assert_eq!(label_value("v1.2_3-x"), Ok(()));
        assert_eq!(label_value("a/b"), Err(NameError::Characters));
        assert_eq!(label_value("a."), Err(NameError::Characters));
        assert_eq!(label_value(&"a".repeat(64)), Err(NameError::TooLong));
    }

    #[test]
    fn environment_variables() {
        all(is_env_name, &["A", "my.var", "1 2", "a-b"], &["", "A=B", "A\n", "é"]);
        all(is_env_identifier, &["A", "_a1"], &["", "1a", "a-b", "a.b", "é"]);
    }

    #[test]
    fn headers() {
        all(is_http_token, &["X-Api-Key", "a!#$%&'*+-.^_`|~0"], &["", "X Key", "X:", "X\n", "é", "(a)"]);
        all(
            is_header_value,
            &["", "a", "Bearer a\tb c", "é"],
            &[" a", "a ", "a\t", "a\nb", "a\r\n", "a\u{7f}", "\0"],
        );
    }

    #[test]
    fn names_of_mcp() {
        all(
            is_mcp_name,
            &["a", "Search_v1.2-x", &"a".repeat(128)],
            &["", "a b", "a/b", "é", &"a".repeat(129)],
        );
    }
}
