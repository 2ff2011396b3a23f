//! What is HTTP about a message: what the client takes, and which version of the protocol it speaks.

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::super::RpcError;
use super::super::protocol::{VERSION_HEADER, Version};

/// What a client takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepts {
    pub(super) events: bool,
}

impl Accepts {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, (StatusCode, &'static str)> {
        let is_json = |value: &str| {
            let essence = value.split(';').next().unwrap_or_default();
            essence.trim().eq_ignore_ascii_case("application/json")
        };
        // As nearly all write it, or in another way.
        let said = text(headers, header::CONTENT_TYPE);
        if !said.is_some_and(|value| value == "application/json" || is_json(value)) {
            let sentence = "the body must be application/json\n";
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence));
        }
        // What every client sends.
        if headers.get(header::ACCEPT).is_some_and(|value| value == "application/json, text/event-stream") {
            return Ok(Self { events: true });
        }
        if headers.contains_key(header::ACCEPT) && !accepts(headers, "application/json") {
            let sentence = "Accept must name application/json and text/event-stream\n";
            return Err((StatusCode::NOT_ACCEPTABLE, sentence));
        }
        Ok(Self { events: accepts(headers, "text/event-stream") })
    }
}

/// Whether `Accept` names a media type, or stands for all.
pub(super) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let family = media_type.split_once('/').map_or("", |(family, _)| family);
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        range == "*/*"
            || range.eq_ignore_ascii_case(media_type)
            || range.strip_suffix("/*").is_some_and(|own| own.eq_ignore_ascii_case(family))
    })
}

pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What `MCP-Protocol-Version` says, where it is there.
///
/// # Errors
/// Where it says nothing that could be a version, or several things.
pub(super) fn said(headers: &HeaderMap) -> Result<Option<&str>, RpcError> {
    let mut values = headers.get_all(VERSION_HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => only
            .to_str()
            .map(Some)
            .map_err(|_| RpcError::unsupported_version(&String::from_utf8_lossy(only.as_bytes()))),
        (Some(_), Some(_)) => {
            let reason = "header MCP-Protocol-Version is there more than once";
            Err(RpcError::invalid_request(reason))
        }
    }
}

/// The version that `MCP-Protocol-Version` names, where it is there.
///
/// # Errors
/// Where it names none that is spoken here.
pub(super) fn said_version(headers: &HeaderMap) -> Result<Option<Version>, RpcError> {
    said(headers)?.map(known).transpose()
}

fn known(name: &str) -> Result<Version, RpcError> {
    Version::from_name(name).ok_or_else(|| RpcError::unsupported_version(name))
}

/// Which version a message is in.
pub(super) fn decide(
    method: Option<&str>,
    header: Option<&str>,
    meta: Option<&str>,
) -> Result<Version, RpcError> {
    match (header, meta) {
        (None, None) => Ok(Version::ASSUMED),
        (None, Some(meta)) => match known(meta)? {
            Version::V2026_07_28 => Err(RpcError::header_mismatch("header MCP-Protocol-Version is missing")),
            legacy => Ok(legacy),
        },
        (Some(header), Some(meta)) if header != meta => {
            let reason = format!("header MCP-Protocol-Version says {header:?}, and _meta says {meta:?}");
            Err(RpcError::header_mismatch(reason))
        }
        (Some(header), Some(_)) => known(header),
        // A client of both generations may begin with what it likes best.
        (Some(_), None) if method == Some("initialize") => Ok(Version::ASSUMED),
        (Some(header), None) => known(header),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::super::protocol::Generation;
    use super::*;

    #[test]
    fn the_generation_is_decided_by_what_a_message_says() {
        const MODERN: &str = "2026-07-28";
        for (method, header, meta, version) in [
            ("initialize", None, None, Version::V2025_03_26),
            ("initialize", Some(MODERN), None, Version::V2025_03_26),
            ("initialize", Some(MODERN), Some(MODERN), Version::V2026_07_28),
            ("tools/list", None, None, Version::V2025_03_26),
            ("tools/list", Some("2025-11-25"), None, Version::V2025_11_25),
            ("tools/list", Some(MODERN), Some(MODERN), Version::V2026_07_28),
            ("tools/list", Some(MODERN), None, Version::V2026_07_28),
        ] {
            assert_eq!(decide(Some(method), header, meta), Ok(version), "{method} {header:?} {meta:?}");
        }
        for (header, meta, code) in [
            (None, Some(MODERN), -32020),
            (Some("2025-11-25"), Some(MODERN), -32020),
            (Some("v999.0.0"), Some("v999.0.0"), -32022),
            (Some("v999.0.0"), None, -32022),
        ] {
            let error = decide(Some("tools/list"), header, meta).unwrap_err().text();
            assert!(error.contains(&format!("\"code\":{code}")), "{error}");
        }
    }

    #[test]
    fn a_version_is_one_that_is_spoken_here_or_not_there_at_all() {
        let said = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(VERSION_HEADER, HeaderValue::from_bytes(value).unwrap());
            }
            said_version(&headers).map_err(|error| error.status(Generation::Legacy).as_u16())
        };
        assert_eq!(said(&[]), Ok(None));
        assert_eq!(said(&[b"2025-06-18"]), Ok(Some(Version::V2025_06_18)));
        for wrong in
            [&b""[..], b"2024-11-05", b"2025-06-18, 2025-11-25", b"2025-06-18\xe9", "２０２５".as_bytes()]
        {
            assert_eq!(said(&[wrong]), Err(400), "{wrong:?}");
        }
        assert_eq!(said(&[b"2025-06-18", b"2025-11-25"]), Err(400));
    }

    #[test]
    fn what_a_client_takes() {
        let headers =
            |accept: &str| HeaderMap::from_iter([(header::ACCEPT, HeaderValue::try_from(accept).unwrap())]);
        assert!(accepts(&headers("application/json, text/event-stream"), "text/event-stream"));
        assert!(accepts(&headers("text/html, */*;q=0.1"), "application/json"));
        assert!(accepts(&headers("Text/*"), "text/event-stream"));
        assert!(!accepts(&headers("application/json"), "text/event-stream"));
    }
}
