//! What a backend answered.

use std::borrow::Cow;

use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::client::Exchange;
use super::{Events, Failure, ResponseBody};

/// How much of a body is repeated to the caller where the status is one of failure, in bytes.
const BEGINNING: usize = 1024;

/// What a backend answered, by its media type.
#[derive(Debug)]
pub enum Answer {
    /// `application/vnd.mcp.result+json`: an MCP result.
    Result(Bytes),
    /// `application/vnd.mcp.error+json`: a JSON-RPC error.
    Error(Bytes),
    /// `text/event-stream`: JSON-RPC messages.
    Events(Box<Events>),
    /// Anything else.
    Content(Content),
}

/// A body with its media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// As it was given; none where there was none.
    pub media_type: Option<String>,
    /// The body.
    pub bytes: Bytes,
}

impl Content {
    /// The media type without parameters, in lower case.
    #[must_use]
    pub fn essence(&self) -> Cow<'_, str> {
        essence(self.media_type.as_deref().unwrap_or("application/octet-stream"))
    }

    /// Whether the body is JSON by its media type.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let essence = self.essence();
        essence == "application/json" || essence.ends_with("+json")
    }

    /// The body as text; `None` where it is none.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// The body in base64.
    #[must_use]
    pub fn base64(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(&self.bytes)
    }
}

fn essence(media_type: &str) -> Cow<'_, str> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(essence.to_ascii_lowercase())
    } else {
        Cow::Borrowed(essence)
    }
}

impl Exchange {
    /// Reads the answer. A stream of events is read by the caller.
    ///
    /// # Errors
    /// Where the status is one of failure, or the body is too large, breaks off, or does not come in time.
    pub async fn answer(&mut self, max_bytes: usize) -> Result<Answer, Failure> {
        let status = self.status;
        let Some(body) = self.body.take() else {
            return Err(Failure::Broken("it was read already".to_owned()));
        };
        let media_type = media_type(&self.headers);
        if status.as_u16() >= 300 {
            let beginning = self.deadline.wait(beginning(body)).await?;
            return Err(Failure::Status { status, beginning });
        }
        let kind = media_type.as_deref().map(essence).unwrap_or_default();
        if kind == "text/event-stream" {
            return Ok(Answer::Events(Box::new(Events::new(body, max_bytes))));
        }
        let bytes = self.deadline.wait(collect(body, max_bytes)).await??;
        Ok(match &*kind {
            "application/vnd.mcp.result+json" => Answer::Result(bytes),
            "application/vnd.mcp.error+json" => Answer::Error(bytes),
            _ => Answer::Content(Content { media_type, bytes }),
        })
    }
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(header::CONTENT_TYPE)?.to_str().ok()?.to_owned())
}

/// Reads a body of at most `max_bytes`.
///
/// # Errors
/// Where it is larger, or breaks off.
pub async fn collect(mut body: ResponseBody, max_bytes: usize) -> Result<Bytes, Failure> {
    let too_large = || Failure::TooLarge { limit: max_bytes };
    if body.size_hint().lower() > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(more.len()) + data.len() > max_bytes {
            return Err(too_large());
        }
        // Mostly there is one frame, which is then not copied.
        if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&std::mem::take(&mut first));
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// How a body begins, where it is text.
async fn beginning(mut body: ResponseBody) -> String {
    let mut bytes = BytesMut::new();
    while bytes.len() < BEGINNING {
        let Some(Ok(frame)) = body.frame().await else { break };
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(data.get(..data.len().min(BEGINNING)).unwrap_or_default());
        }
    }
    bytes.truncate(BEGINNING);
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        // A character may be cut in two.
        Err(error) if error.error_len().is_none() => bytes
            .get(..error.valid_up_to())
            .and_then(|whole| std::str::from_utf8(whole).ok())
            .unwrap_or_default(),
        Err(_) => return String::new(),
    };
    text.trim().to_owned()
}
