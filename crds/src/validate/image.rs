//! References to container images, in the grammar of the distribution specification
//! (`[DOMAIN[:PORT]/]PATH[:TAG][@DIGEST]`).

use thiserror::Error;

/// Why a string is no image reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ImageError {
    /// Nothing.
    #[error("must be an image reference, such as registry.example.com/team/server:1.0")]
    Empty,
    /// A space, a line break, or the like.
    #[error("must not hold white space")]
    WhiteSpace,
    /// `https://…`.
    #[error("must begin with a registry or a repository, without a scheme such as https://")]
    Scheme,
    /// No registry, and none that its port could follow.
    #[error("must have a registry of the form HOST or HOST:PORT before the first slash")]
    Domain,
    /// An upper-case letter in the repository.
    #[error("must have its repository in lower case")]
    UpperCase,
    /// A repository that is missing, or that has a character, or a separator, where none may be.
    #[error(
        "must have a repository of lower case letters and digits, with single '/', and '.', '_', '__' or '-' between them"
    )]
    Repository,
    /// 64 hexadecimal digits alone, which is an image's own id.
    #[error("must name a repository, not an image id")]
    Id,
    /// Registry and repository together are too long.
    #[error("must have at most 255 characters before the tag")]
    TooLong,
    /// A colon without a tag after it.
    #[error("must have a tag after ':', or no ':'")]
    EmptyTag,
    /// A tag with a character that tags do not have, or of more than 128.
    #[error(
        "must have a tag of at most 128 letters, digits, '_', '.' and '-', beginning with a letter, a digit or '_'"
    )]
    Tag,
    /// What follows `@` is no digest.
    #[error("must have a digest such as sha256: and 64 lower case hexadecimal digits after '@'")]
    Digest,
}

const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// The parts of an image reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// The registry, where there is one, and the repository.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The tag, without its colon.
    #[must_use]
    pub const fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// The digest, with its algorithm.
    #[must_use]
    pub const fn digest(&self) -> Option<&'a str> {
        self.digest
    }

    /// Whether another image may stand behind the same reference tomorrow without anyone having meant it: there is no
    /// digest, and the tag is `latest` or missing.
    #[must_use]
    pub fn floats(&self) -> bool {
        self.digest.is_none() && self.tag.is_none_or(|tag| tag == "latest")
    }
}

/// Parses an image reference.
///
/// One thing is stricter than the grammar: a first component with an upper-case letter is taken for a registry only where
/// it has a dot or a port, since `Team/server` is a misspelt repository and never a host.
///
/// # Errors
/// Where it is none; the error says what to write instead.
pub fn check_reference(text: &str) -> Result<Reference<'_>, ImageError> {
    if text.is_empty() {
        return Err(ImageError::Empty);
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(ImageError::WhiteSpace);
    }
    if text.contains("://") {
        return Err(ImageError::Scheme);
    }
    if text.len() == 64 && text.bytes().all(is_lower_hex) {
        return Err(ImageError::Id);
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let last_slash = rest.rfind('/').map_or(0, |at| at + 1);
    let tag_at = rest.get(last_slash..).and_then(|last| last.find(':')).map(|at| last_slash + at);
    let (name, tag) = match tag_at.and_then(|at| rest.split_at_checked(at)) {
        Some((name, tag)) => (name, Some(tag.strip_prefix(':').unwrap_or(tag))),
        None => (rest, None),
    };
    check_name(name)?;
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(ImageError::Digest);
    }
    Ok(Reference { name, tag, digest })
}

fn check_name(name: &str) -> Result<(), ImageError> {
    let path = match name.split_once('/') {
        Some((first, path)) if is_registry(first) => {
            if !is_domain(first) {
                return Err(ImageError::Domain);
            }
            path
        }
        _ => name,
    };
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(ImageError::UpperCase);
    }
    if !path.split('/').all(is_component) {
        return Err(ImageError::Repository);
    }
    if name.len() > MAX_NAME { Err(ImageError::TooLong) } else { Ok(()) }
}

/// Whether what stands before the first slash names a registry, and not the first component of the repository.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first.eq_ignore_ascii_case("localhost") || first.starts_with('[')
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(is_domain_component),
    };
    is_host && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn is_domain_component(component: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !component.is_empty()
        && !component.starts_with('-')
        && !component.ends_with('-')
        && component.bytes().all(is_inner)
}

/// Runs of lower-case letters and digits; between two of them one `.`, one or two `_`, or any number of `-`.
fn is_component(component: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let framed = [component.bytes().next(), component.bytes().next_back()];
    framed.into_iter().all(|end| end.is_some_and(is_alphanumeric))
        && component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

fn check_tag(tag: &str) -> Result<(), ImageError> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if tag.is_empty() {
        Err(ImageError::EmptyTag)
    } else if tag.len() <= MAX_TAG
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
    {
        Ok(())
    } else {
        Err(ImageError::Tag)
    }
}

/// One of the registered algorithms, with as many digits as it gives.
fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return false,
        };
        hex.len() == length && hex.bytes().all(is_lower_hex)
    })
}

fn is_lower_hex(b: u8) -> bool {
    b.is_ascii_digit() || matches!(b, b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn the_parts_of_a_reference() {
        let hex = "0123456789abcdef".repeat(4);
        let pinned = format!("ghcr.io/acme/server:1.0@sha256:{hex}");
        let reference = check_reference(&pinned).expect("a reference");
        assert_eq!(reference.name(), "ghcr.io/acme/server");
        assert_eq!(reference.tag(), Some("1.0"));
        assert_eq!(reference.digest(), Some(format!("sha256:{hex}").as_str()));
        let reference = check_reference("localhost:5000/server").expect("a reference");
        assert_eq!((reference.name(), reference.tag()), ("localhost:5000/server", None));
        let reference = check_reference("localhost:5000").expect("a reference");
        assert_eq!((reference.name(), reference.tag()), ("localhost", Some("5000")));
    }

    #[test]
    fn what_is_a_reference() {
        let digest = |algorithm: &str, digits: usize| format!("a@{algorithm}:{}", "a".repeat(digits));
        let longest = format!("{}/{}", "a".repeat(127), "b".repeat(127));
        for text in [
            "nginx",
            "ollama-mcp:latest",
            "your-registry/mcp-k8s-server:v1.0.0",
            "a/b/c__d-e---f.g_h",
            "REGISTRY.example.com:443/a:V1_x.y-z",
            "Registry:5000/a",
            "localhost/a",
            "10.0.0.1:5000/a",
            "[fd00::1]:5000/a",
            "[fd00::1]/a",
            &digest("sha256", 64),
            &digest("sha384", 96),
            &digest("sha512", 128),
            &format!("a:{}", "t".repeat(128)),
            &longest,
        ] {
            assert!(check_reference(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference() {
        use ImageError::*;
        let digest =
            |algorithm: &str, digit: &str, digits: usize| format!("a@{algorithm}:{}", digit.repeat(digits));
        for (text, error) in [
            ("", Empty),
            ("my server:1", WhiteSpace),
            (" nginx", WhiteSpace),
            ("nginx\n", WhiteSpace),
            ("https://ghcr.io/acme/server", Scheme),
            (&"a".repeat(64), Id),
            ("Nginx:latest", UpperCase),
            ("Acme/server", UpperCase),
            ("ghcr.io/Acme/server", UpperCase),
            ("-registry.example.com/a", Domain),
            ("registry.example.com:/a", Domain),
            ("registry.example.com:port/a", Domain),
            ("registry..example.com/a", Domain),
            ("[fd00::1/a", Domain),
            (":1", Repository),
            ("/a", Repository),
            ("a/", Repository),
            ("a//b", Repository),
            ("ghcr.io/", Repository),
            ("a..b", Repository),
            ("a___b", Repository),
            ("a-", Repository),
            ("a.-b", Repository),
            ("a$b", Repository),
            ("é", Repository),
            ("@sha256:00", Repository),
            ("nginx:", EmptyTag),
            ("nginx:@sha256:00", EmptyTag),
            ("nginx:.1", Tag),
            ("nginx:-1", Tag),
            ("nginx:1+2", Tag),
            ("nginx:1:2", Tag),
            (&format!("a:{}", "t".repeat(129)), Tag),
            ("nginx@", Digest),
            ("nginx@sha256", Digest),
            ("nginx@sha256:00", Digest),
            (&digest("sha256", "A", 64), Digest),
            (&digest("sha256", "g", 64), Digest),
            (&digest("sha256", "a", 65), Digest),
            (&digest("md5", "a", 32), Digest),
            (&format!("{}@sha256:{}", digest("sha256", "a", 64), "a".repeat(64)), Digest),
            (&format!("{}/{}", "a".repeat(128), "b".repeat(127)), TooLong),
        ] {
            assert_eq!(check_reference(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_reference_floats_without_a_digest_or_a_tag_of_its_own() {
        let hex = "0".repeat(64);
        for (text, floats) in [
            ("a", true),
            ("a:latest", true),
            ("localhost:5000/a", true),
            ("a:1", false),
            (&format!("a@sha256:{hex}"), false),
            (&format!("a:latest@sha256:{hex}"), false),
        ] {
            assert_eq!(check_reference(text).map(|reference| reference.floats()), Ok(floats), "{text}");
        }
    }

    /// The specification's grammar as one expression.
    fn grammar() -> Regex {
        let component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
        let label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
        let domain = format!(r"(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
        let name = format!("((?:{domain}/)?{component}(?:/{component})*)");
        Regex::new(&format!(r"^{name}(?::([A-Za-z0-9_][\w.-]{{0,127}}))?(?:@(sha256:[a-f0-9]{{64}}))?$"))
            .expect("an expression")
    }

    proptest! {
        #[test]
        fn it_is_the_grammar_of_the_specification(text in "[abB0.:/_-]{1,12}(:[aB.-]{0,3})?(@sha256:[a0]{64})?") {
            static GRAMMAR: std::sync::LazyLock<Regex> = std::sync::LazyLock::new(grammar);
            let parts = GRAMMAR.captures(&text).map(|parts| [1, 2, 3].map(|i| parts.get(i).map(|part| part.as_str())));
            // What the grammar would take for a registry, and nobody means as one.
            let misspelt = text.split_once('/').is_some_and(|(first, _)| {
                first.bytes().any(|b| b.is_ascii_uppercase()) && !first.contains(['.', ':'])
            });
            let ours = check_reference(&text).ok().map(|reference| [Some(reference.name), reference.tag, reference.digest]);
            prop_assert_eq!(ours, parts.filter(|_| !misspelt));
        }

        #[test]
        fn anything_is_answered(text in "\\PC{0,40}") {
            let _ = check_reference(&text);
        }
    }
}
