//! What a resource is addressed by and made of: URIs, URI templates, media types, base64.

use std::net::Ipv6Addr;

use thiserror::Error;

use super::name::is_http_token;
use super::path::{self, PathError, Piece};

/// Why a string is no URI, or no URI template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UriError {
    /// No scheme, or none that is a scheme.
    #[error("must be a URI with a scheme, such as docs://readme")]
    Scheme,
    /// A character that URIs hold percent-encoded only.
    #[error(
        "must be a URI: white space, control characters, non-ASCII and any of \"<>\\^`{{|}} stand percent-encoded"
    )]
    Character,
    /// A `%` without two hexadecimal digits.
    #[error("must have two hexadecimal digits after each %")]
    PercentEncoding,
    /// What follows `//` is no authority.
    #[error("must have an authority of the form [USER@]HOST[:PORT] after //")]
    Authority,
    /// Braces that do not pair up, or hold nothing.
    #[error("must have each {{ closed by a }}, with a name between them")]
    Braces,
    /// An operator, a modifier, or several variables between one pair of braces.
    #[error(
        "must be a level 1 URI template: between {{ and }} stands the name of one variable, and nothing else"
    )]
    Variable,
}

/// Whether the text is a URI with a scheme (RFC 3986, section 3).
///
/// # Errors
/// What is wrong with it.
pub fn check_uri(text: &str) -> Result<(), UriError> {
    check_pieces(&[Piece::Literal(text)])
}

/// A URI template of level 1 (RFC 6570, section 1.2): a URI in which `{NAME}` may stand for text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriTemplate<'a> {
    pieces: Vec<Piece<'a>>,
}

impl<'a> UriTemplate<'a> {
    /// Parses a URI template; a URI is one without variables.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        let pieces = path::pieces(text).map_err(|error| match error {
            PathError::Name => UriError::Variable,
            _ => UriError::Braces,
        })?;
        if path::placeholders(&pieces).all(is_variable) {
            check_pieces(&pieces)?;
            Ok(Self { pieces })
        } else {
            Err(UriError::Variable)
        }
    }

    /// The parts in order; no literal is empty.
    #[must_use]
    pub fn pieces(&self) -> &[Piece<'a>] {
        &self.pieces
    }

    /// The names of the variables, in order, and as often as they stand.
    pub fn variables(&self) -> impl Iterator<Item = &'a str> {
        path::placeholders(&self.pieces)
    }

    /// The template with every variable's name left out: two templates that match the same URIs have one shape.
    #[must_use]
    pub fn shape(&self) -> String {
        path::shape(&self.pieces)
    }
}

/// RFC 6570's `varname`.
fn is_variable(name: &str) -> bool {
    name.split('.').all(|part| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '%');
        !part.is_empty() && part.chars().all(is_letter) && has_whole_percents(part)
    })
}

/// Checks a URI whose placeholders stand for percent-encoded text: they may be anywhere but in the scheme and the port.
fn check_pieces(pieces: &[Piece<'_>]) -> Result<(), UriError> {
    /// What no scheme and no port may hold, and every other part may.
    const ENCODED: &str = "%7B";
    let uri: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text,
            Piece::Placeholder(_) => ENCODED,
        })
        .collect();
    let (scheme, rest) = uri.split_once(':').ok_or(UriError::Scheme)?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !is_scheme {
        return Err(UriError::Scheme);
    }
    if !rest.bytes().all(|b| is_unreserved_or_sub_delim(b) || b":/?#[]@%".contains(&b)) {
        return Err(UriError::Character);
    }
    if !has_whole_percents(rest) {
        return Err(UriError::PercentEncoding);
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (hierarchy, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match hierarchy.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) =
                rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
            (Some(authority), path)
        }
        None => (None, hierarchy),
    };
    if authority.is_some_and(|authority| !is_authority(authority)) {
        return Err(UriError::Authority);
    }
    // The other parts allow everything that is left but what delimits them.
    if path.contains(['[', ']']) || [query, fragment].iter().any(|part| part.contains(['[', ']', '#'])) {
        return Err(UriError::Character);
    }
    Ok(())
}

fn is_authority(authority: &str) -> bool {
    let (user, address) = authority.split_once('@').unwrap_or(("", authority));
    let (host, port) = match address.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (address, ""),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok() || is_future_address(address),
        None => !host.contains(['[', ']', ':', '@']),
    };
    !user.contains(['[', ']']) && is_host && port.bytes().all(|b| b.is_ascii_digit())
}

/// RFC 3986's `IPvFuture`.
fn is_future_address(address: &str) -> bool {
    address.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.')).is_some_and(|(version, rest)| {
        !version.is_empty()
            && version.bytes().all(|b| b.is_ascii_hexdigit())
            && !rest.is_empty()
            && rest.bytes().all(|b| is_unreserved_or_sub_delim(b) || b == b':')
    })
}

fn is_unreserved_or_sub_delim(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b)
}

fn has_whole_percents(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut bytes = after.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
            && bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
    })
}

/// What [`is_media_type`] asks for.
pub const MEDIA_TYPE: &str = "must be a media type, such as text/plain or text/html; charset=utf-8";

/// A media type (RFC 9110, section 8.3.1), whose names are those that can be registered (RFC 6838, section 4.2).
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let essence_end = text.find(';').unwrap_or(text.len());
    let Some((essence, mut rest)) = text.split_at_checked(essence_end) else { return false };
    // White space may stand before a semicolon, and nothing else may.
    let essence = if rest.is_empty() { essence } else { essence.trim_end_matches(BLANK) };
    if !essence.split_once('/').is_some_and(|(kind, subtype)| is_registrable(kind) && is_registrable(subtype))
    {
        return false;
    }
    while let Some(after) = rest.strip_prefix(';') {
        let parameter = after.trim_start_matches(BLANK);
        let Some((_, value)) = parameter.split_once('=').filter(|(name, _)| is_http_token(name)) else {
            return false;
        };
        let Some(end) = value_end(value) else { return false };
        let after = value.get(end..).unwrap_or_default();
        let trimmed = after.trim_start_matches(BLANK);
        rest = if trimmed.is_empty() { after } else { trimmed };
    }
    rest.is_empty()
}

const BLANK: [char; 2] = [' ', '\t'];

/// Where a parameter's value ends: a token, or a string in quotes.
fn value_end(value: &str) -> Option<usize> {
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find([';', ' ', '\t']).unwrap_or(value.len());
        return value.get(..end).filter(|token| is_http_token(token)).map(str::len);
    };
    let mut escaped = false;
    for (at, b) in quoted.bytes().enumerate() {
        match b {
            _ if b.is_ascii_control() && b != b'\t' => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// RFC 6838's `restricted-name`.
fn is_registrable(name: &str) -> bool {
    const MAX_LENGTH: usize = 127;
    name.len() <= MAX_LENGTH
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

/// Whether the text is padded base64 of the standard alphabet, without line breaks (RFC 4648, section 4).
#[must_use]
pub fn is_padded_base64(text: &str) -> bool {
    let value = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    // The last digit's bits that the padding leaves over are zero: many decoders refuse anything else.
    let unused = match text.len() - digits.len() {
        0 => 0b0000,
        1 => 0b0011,
        _ => 0b1111,
    };
    text.len().is_multiple_of(4)
        && digits.bytes().all(|b| value(b).is_some())
        && digits.bytes().next_back().and_then(value).is_none_or(|last| last & unused == 0)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_a_uri() {
        for text in [
            "config://template",
            "docs:",
            "urn:isbn:0451450523",
            "mailto:a@example.com",
            "file:///etc/hosts",
            "http://user:pw@example.com:8080/a/b;c=d?q=1&r=2#f",
            "http://example.com:/",
            "http://[::1]:80/?a/b?c#d/e?f",
            "http://[v1.a:b]/",
            "x-a+b.c://%41/%e2%82%ac",
            "a://b//c/../d",
        ] {
            assert_eq!(check_uri(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_no_uri() {
        use UriError::*;
        for (text, error) in [
            ("", Scheme),
            ("readme", Scheme),
            ("/docs/readme", Scheme),
            ("//example.com", Scheme),
            (":a", Scheme),
            ("1a:b", Scheme),
            ("my docs:a", Scheme),
            ("%41:b", Scheme),
            ("é:b", Scheme),
            ("docs://a b", Character),
            ("docs://a\nb", Character),
            ("docs://é", Character),
            ("docs://a/{id}", Character),
            ("docs://a/\\b", Character),
            ("docs://a/[b]", Character),
            ("docs://a?[b]", Character),
            ("docs://a#b#c", Character),
            ("docs://a/%", PercentEncoding),
            ("docs://a/%4", PercentEncoding),
            ("docs://a/%4g", PercentEncoding),
            ("http://a:b/", Authority),
            ("http://a:1:2/", Authority),
            ("http://::1/", Authority),
            ("http://[::1/", Authority),
            ("http://[1.2.3.4]/", Authority),
            ("http://a@b@c/", Authority),
        ] {
            assert_eq!(check_uri(text), Err(error), "{text}");
        }
    }

    #[test]
    fn templates_of_level_1() {
        let template = UriTemplate::parse("docs://{site}/a/{id}?v={v.1}#{id}").expect("a template");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["site", "id", "v.1", "id"]);
        assert!(UriTemplate::parse("docs://readme").is_ok_and(|template| template.variables().count() == 0));
        for (text, error) in [
            ("{scheme}://a", UriError::Scheme),
            ("docs{a}:b", UriError::Scheme),
            ("a/{id}", UriError::Scheme),
            ("http://a:{port}/", UriError::Authority),
            ("docs://{}", UriError::Braces),
            ("docs://{id", UriError::Braces),
            ("docs://id}", UriError::Braces),
            ("docs://{{id}}", UriError::Braces),
            ("docs://{+path}", UriError::Variable),
            ("docs://a{?q}", UriError::Variable),
            ("docs://{a,b}", UriError::Variable),
            ("docs://{a*}", UriError::Variable),
            ("docs://{a:3}", UriError::Variable),
            ("docs://{first name}", UriError::Variable),
            ("docs://{.a}", UriError::Variable),
            ("docs://{%4}", UriError::Variable),
            ("docs://a b/{id}", UriError::Character),
        ] {
            assert_eq!(UriTemplate::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_shape_forgets_names() {
        let shape = |text| UriTemplate::parse(text).map(|template| template.shape());
        assert_eq!(shape("docs://{id}/a"), shape("docs://{name}/a"));
        assert_ne!(shape("docs://{id}/a"), shape("docs://{id}/b"));
    }

    #[test]
    fn media_types() {
        for text in [
            "text/plain",
            "application/vnd.api+json",
            "text/html;charset=utf-8",
            "text/html ; charset=\"utf-8\" ;\tlevel=1",
            "a/b;c=\"d;\\\"é\"",
        ] {
            assert!(is_media_type(text), "{text}");
        }
        for text in [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain/x",
            "*/*",
            "text/*",
            "text plain",
            "text /plain",
            " text/plain",
            "text/plain ",
            "text/plain;",
            "text/plain; charset",
            "text/plain; charset=",
            "text/plain; =a",
            "text/plain; a=b c",
            "text/plain; a=b ",
            "text/plain; a=\"b",
            "text/plain; a=\"b\"c",
            "text/plain, text/html",
            "téxt/plain",
            "text/plain; a=\"\n\"",
        ] {
            assert!(!is_media_type(text), "{text}");
        }
    }

    #[test]
    fn base64() {
        for text in ["", "YQ==", "YWI=", "YWJj", "+/+/"] {
            assert!(is_padded_base64(text), "{text}");
        }
        for text in
            ["YQ", "YQ=", "YQ===", "====", "=", "YR==", "YWJ=", "YW=j", "Y Q=", "YWJj\n", "-_-_", "é==="]
        {
            assert!(!is_padded_base64(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn base64_is_what_a_decoder_takes(text in "[AQRgw+/=\n]{0,9}") {
            prop_assert_eq!(is_padded_base64(&text), STANDARD.decode(&text).is_ok());
        }

        #[test]
        fn anything_is_answered(text in "[a-c:/?#@%0-9{}.\\[\\]é;=\" ]{0,24}") {
            let _ = (UriTemplate::parse(&text), is_media_type(&text));
        }
    }
}
