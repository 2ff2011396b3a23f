//! Values of headers that stand in Secrets.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;

/// By the Secret's name and the key.
type Values = HashMap<(Box<str>, Box<str>), HeaderValue>;

/// Values of headers. Clones are one.
#[derive(Clone, Default)]
pub struct Credentials {
    values: Arc<ArcSwap<Values>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.values.load().len())
    }
}

impl Credentials {
    /// A value.
    #[must_use]
    pub fn get(&self, secret: &str, key: &str) -> Option<HeaderValue> {
        self.values.load().get(&(secret.into(), key.into())).cloned()
    }

    /// Replaces all of them. What no header can hold is left out.
    pub fn replace<'a>(&self, values: impl IntoIterator<Item = (&'a str, &'a str, &'a [u8])>) {
        let value = |(secret, key, bytes): (&str, &str, &[u8])| {
            // A file's last line end is no part of a token.
            let mut value = HeaderValue::from_bytes(bytes.trim_ascii_end()).ok()?;
            value.set_sensitive(true);
            Some(((Box::from(secret), Box::from(key)), value))
        };
        self.values.store(Arc::new(values.into_iter().filter_map(value).collect()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_and_never_shown() {
        let credentials = Credentials::default();
        credentials.replace([("s", "token", b"Bearer x\n".as_slice()), ("s", "broken", b"a\nb")]);
        let value = credentials.get("s", "token").expect("a value");
        assert_eq!(value, "Bearer x");
        assert!(!format!("{value:?} {credentials:?}").contains("Bearer"));
        assert_eq!(credentials.get("s", "broken"), None);
    }
}
