//! How a backend's answer becomes the result of a tool.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::protocol::Generation;
use crate::catalog::Tool;
use crate::json::{Members, Object, array, parse_unambiguous, push_string};
use crate::upstream::Content;

/// A result of `tools/call`, before a generation asks for its own members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToolResult {
    /// A JSON array.
    content: String,
    /// JSON.
    structured: Option<Bytes>,
    pub(super) is_error: bool,
}

impl ToolResult {
    /// One sentence that says what went wrong.
    pub(super) fn error(sentence: &str) -> Self {
        Self { content: text(sentence), structured: None, is_error: true }
    }

    /// What a backend answered, in content of the kind that its media type asks for. `Err` holds the complaints where
    /// the content is not what the tool's `outputSchema` says.
    pub(super) fn of(content: &Content, tool: &Tool) -> Result<Self, Vec<String>> {
        if content.bytes.is_empty() {
            return match tool.has_output_schema() {
                true => Err(vec!["the service answered with nothing".to_owned()]),
                false => Ok(Self { content: "[]".to_owned(), structured: None, is_error: false }),
            };
        }
        let json = content.is_json().then(|| content.text()).flatten();
        let value = json.and_then(|json| serde_json::from_str::<&RawValue>(json).ok());
        if let Some(value) = value {
            let structured = (tool.has_output_schema() || value.get().starts_with('{')).then_some(value);
            if let Some(structured) = structured {
                check_output(structured, tool)?;
            }
            return Ok(Self {
                content: text(value.get()),
                structured: structured.map(|value| content.bytes.slice_ref(value.get().as_bytes())),
                is_error: false,
            });
        }
        if content.is_json() {
            return Err(vec!["the service answered with JSON that is none".to_owned()]);
        }
        if tool.has_output_schema() {
            let complaint = format!("the service answered with {}, and not with JSON", content.essence());
            return Err(vec![complaint]);
        }
        Ok(Self { content: blocks(content), structured: None, is_error: false })
    }

    /// Writes the result as a generation wants it.
    pub(super) fn fill(&self, result: &mut Object, generation: Generation, server_info: &str) {
        result.raw("content", &self.content);
        // Legacy clients know objects alone.
        let structured = self.structured();
        if let Some(structured) = structured.filter(|it| generation.is_modern() || it.starts_with('{')) {
            result.raw("structuredContent", structured);
        }
        result.raw("isError", if self.is_error { "true" } else { "false" });
        if generation.is_modern() {
            result.string("resultType", "complete");
            super::result::add_meta(result, server_info);
        }
    }

    /// What it is made of where it is no error: content, and structured content.
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        (&self.content, self.structured())
    }

    fn structured(&self) -> Option<&str> {
        std::str::from_utf8(self.structured.as_deref()?).ok()
    }

    /// A result that is made of this, and no error.
    pub(super) fn from_parts(content: String, structured: Option<String>) -> Self {
        Self { content, structured: structured.map(Bytes::from), is_error: false }
    }

    /// About how many bytes it takes to keep.
    pub(super) fn size(&self) -> usize {
        self.content.len() + self.structured.as_ref().map_or(0, Bytes::len)
    }
}

/// Checks structured content against the tool's `outputSchema`.
pub(super) fn check_output(structured: &RawValue, tool: &Tool) -> Result<(), Vec<String>> {
    if !tool.has_output_schema() {
        return Ok(());
    }
    let value = parse_unambiguous(structured.get()).map_err(|error| vec![error.to_string()])?;
    match tool.check_output(&value) {
        Ok(complaints) if complaints.is_empty() => Ok(()),
        Ok(complaints) => Err(complaints),
        Err(reason) => Err(vec![reason.to_owned()]),
    }
}

/// Checks a result that a backend made itself, as far as the tool's `outputSchema` goes.
pub(super) fn check_result(result: &Members<'_>, tool: &Tool) -> Result<(), Vec<String>> {
    let is = |name: &str, text: &str| result.get(name).is_some_and(|value| value.get() == text);
    let is_complete = !result.has("resultType") || is("resultType", "\"complete\"");
    if !tool.has_output_schema() || !is_complete || is("isError", "true") {
        return Ok(());
    }
    match result.get("structuredContent") {
        Some(structured) => check_output(structured, tool),
        None => Err(vec!["the result has no structuredContent".to_owned()]),
    }
}

/// Content of one text.
fn text(text: &str) -> String {
    const BEGINNING: &str = r#"[{"type":"text","text":"#;
    let mut content = String::with_capacity(BEGINNING.len() + text.len() + text.len() / 8 + 8);
    content.push_str(BEGINNING);
    push_string(&mut content, text);
    content.push_str("}]");
    content
}

/// Content of one block, of the kind that the media type asks for.
fn blocks(content: &Content) -> String {
    let essence = content.essence();
    let media_type = content.media_type.as_deref().unwrap_or(&essence);
    let data = |kind: &str| {
        let mut block = Object::new();
        block.string("type", kind).string("data", &content.base64()).string("mimeType", media_type);
        array([block.finish()])
    };
    match (essence.split('/').next(), content.text()) {
        (Some("text"), Some(body)) => text(body),
        (Some("image"), _) => data("image"),
        (Some("audio"), _) => data("audio"),
        _ => {
            let resource = Object::new()
                .string("uri", "about:blank")
                .string("mimeType", media_type)
                .string("blob", &content.base64())
                .finish();
            array([Object::new().string("type", "resource").raw("resource", &resource).finish()])
        }
    }
}
