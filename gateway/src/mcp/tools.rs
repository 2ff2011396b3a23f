//! `tools/call`: from arguments to a request, and from its answer to a result.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use tokio::time::Instant;

use super::calls::{Context, Reply};
use super::content::{ToolResult, check_result};
use super::conversation::{Conversation, EventRun};
use super::message::Params;
use super::result::{Keep, fill, length};
use super::{RpcError, header};
use crate::catalog::{HeaderValueSource, Tool};
use crate::json::{Members, Text, parse_unambiguous};
use crate::upstream::{Answer, Exchange, Failure, Outgoing, Request, map};

/// What came of a call.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// A result that was made here.
    Mapped(ToolResult),
    /// A result that the backend made: the text of an object.
    Raw(Bytes),
    /// An error that the backend made.
    Error(RpcError),
}

impl Outcome {
    /// A result that says what went wrong.
    pub(super) fn failure(sentence: &str) -> Self {
        Self::Mapped(ToolResult::error(sentence))
    }

    /// A result that a backend made.
    pub(super) fn raw(text: Bytes, tool: &Tool) -> Self {
        let members = std::str::from_utf8(&text).ok().and_then(|text| Members::parse(text).ok());
        let Some(members) = members else {
            return Self::failure("the service answered with a result that is no JSON object");
        };
        match check_result(&members, tool) {
            Ok(()) => Self::Raw(text),
            Err(complaints) => Self::failure(&unlike_schema(&complaints)),
        }
    }

    /// The members of a result that a backend made.
    pub(super) fn members(&self) -> Option<Members<'_>> {
        match self {
            Self::Raw(text) => Members::parse(std::str::from_utf8(text).ok()?).ok(),
            Self::Mapped(_) | Self::Error(_) => None,
        }
    }

    /// The response, or the error, as the generation wants it.
    pub(super) fn respond(&self, context: &Context) -> Result<String, RpcError> {
        let (generation, server_info) = (context.generation(), context.server_info());
        match self {
            Self::Error(error) => Err(error.clone()),
            Self::Mapped(result) => {
                Ok(context.respond(result.size(), |response| result.fill(response, generation, server_info)))
            }
            Self::Raw(_) => {
                let mut members = self.members().unwrap_or_default();
                let structured = members.get("structuredContent");
                // Legacy clients know objects alone.
                if !generation.is_modern() && structured.is_some_and(|value| !value.get().starts_with('{')) {
                    members.take("structuredContent");
                }
                Ok(context.respond(length(&members), |response| {
                    fill(response, &members, generation, Keep::NoWord, server_info);
                }))
            }
        }
    }

    /// Whether it may be used again, and about how many bytes it then takes.
    fn keepable_size(&self) -> Option<usize> {
        match self {
            Self::Mapped(result) if !result.is_error => Some(result.size()),
            Self::Raw(text) => {
                let members = self.members()?;
                let is = |name: &str, text: &str| members.get(name).is_some_and(|value| value.get() == text);
                let is_complete = !members.has("resultType") || is("resultType", "\"complete\"");
                (is_complete && !is("isError", "true")).then_some(text.len())
            }
            Self::Mapped(_) | Self::Error(_) => None,
        }
    }
}

/// How far a call came at once.
pub(super) enum Ran {
    /// To its end.
    Done(Arc<Outcome>),
    /// To the first of the backend's messages.
    Events(EventRun),
}

/// Answers `tools/call`.
pub(super) async fn call(context: Arc<Context>) -> Reply {
    match run(&context, &context.params).await {
        Ok(ran) => Conversation::reply(context, ran).await,
        Err(error) => error.into(),
    }
}

/// Calls a tool once.
pub(super) async fn run(context: &Context, params: &Params) -> Result<Ran, RpcError> {
    params.check_unambiguous()?;
    let missing = || RpcError::invalid_params("params.name: is missing");
    let Text(name) = params.member("name")?.ok_or_else(missing)?;
    let modern = context.generation().is_modern();
    if modern {
        header::check_name(&context.headers, &name)?;
    }
    let unknown = || RpcError::invalid_params(format!("there is no tool {name:?}"));
    let tool = context.catalog.tool(&name).ok_or_else(unknown)?;
    let given = params.arguments();
    let text = std::str::from_utf8(&given).unwrap_or_default();
    let arguments = parse_unambiguous(text)
        .map_err(|error| RpcError::invalid_params(format!("params.arguments: {error}")))?;
    if !arguments.is_object() {
        return Err(RpcError::invalid_params("params.arguments: must be an object"));
    }
    if modern {
        header::check_params(&context.headers, tool.param_headers(), &arguments)?;
    }
    let done = |outcome: Outcome| Ok(Ran::Done(Arc::new(outcome)));
    match tool.check_arguments(&arguments) {
        Ok(complaints) if complaints.is_empty() => {}
        Ok(complaints) => {
            let sentence = format!("the arguments are not what inputSchema says:\n{}", complaints.join("\n"));
            return done(Outcome::failure(&sentence));
        }
        Err(reason) => return Err(RpcError::internal(format!("inputSchema does not compile: {reason}"))),
    }
    if let Some(limit) = &tool.rate_limit
        && let Err(limited) = context.gateway.rate_limits.take(&tool.name, limit, Instant::now()).await
    {
        context.gateway.metrics.rate_limited();
        return done(Outcome::failure(&limited.to_string()));
    }
    // A round of questions and answers is nobody else's.
    let fresh = params.get("inputResponses").is_none() && params.get("requestState").is_none();
    let key =
        tool.cache_ttl.filter(|_| fresh).map(|ttl| (cache_key(tool.fingerprint, &arguments, text), ttl));
    if let Some((key, _)) = &key
        && let Some(outcome) = context.gateway.results.get(key, Instant::now()).await
    {
        return Ok(Ran::Done(outcome));
    }
    let ran = request(context, tool, &given, params).await;
    let kept = match (&ran, key) {
        (Ran::Done(outcome), Some((key, ttl))) => {
            outcome.keepable_size().map(|size| (key, Arc::clone(outcome), size, ttl))
        }
        _ => None,
    };
    if let Some((key, outcome, size, ttl)) = kept {
        context.gateway.results.put(key, outcome, size, ttl, Instant::now()).await;
    }
    Ok(ran)
}

/// Equal arguments give one key, in whatever order their members are; and what a changed tool answered before is not
/// found. A number that was rounded may be another's as well, and the backend gets what was written: then it is the text
/// that must be equal.
fn cache_key(fingerprint: u64, arguments: &Value, text: &str) -> String {
    if is_exact(arguments) {
        format!("{fingerprint:016x}{arguments}")
    } else {
        format!("{fingerprint:016x}{text}")
    }
}

/// Whether a value says everything that its text does: of integers that fit there is one way to write each.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(elements) => elements.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// Sends the request, and reads the answer.
async fn request(context: &Context, tool: &Arc<Tool>, arguments: &Bytes, params: &Params) -> Ran {
    let failure = |sentence: String| Ran::Done(Arc::new(Outcome::failure(&sentence)));
    let outgoing = map(&tool.target, &tool.method, &tool.path_defaults, arguments, || params.text());
    let Outgoing { path, body } = match outgoing {
        Ok(outgoing) => outgoing,
        Err(error) => return failure(format!("the arguments cannot be used: {error}")),
    };
    let headers = match headers(context, tool) {
        Ok(headers) => headers,
        Err(sentence) => return failure(sentence),
    };
    let mut request = Request {
        target: &tool.target,
        method: tool.method.clone(),
        path,
        headers,
        body,
        deadline: context.deadline(tool.timeout),
        retries: tool.retries,
    };
    match answer(context, tool, &mut request).await {
        Ok((Answer::Events(events), exchange)) => Ran::Events(EventRun {
            events,
            deadline: exchange.deadline(),
            _permit: exchange.into_permit(),
            tool: Arc::clone(tool),
        }),
        Ok((answer, _)) => Ran::Done(Arc::new(mapped(answer, tool))),
        Err(error) => {
            context.gateway.metrics.backend_failed(&error);
            failure(error.to_string())
        }
    }
}

async fn answer(
    context: &Context,
    tool: &Tool,
    request: &mut Request<'_>,
) -> Result<(Answer, Exchange), Failure> {
    let mut exchange = context.gateway.upstream.send(request).await?;
    let answer = exchange.answer(tool.max_response_bytes).await?;
    Ok((answer, exchange))
}

fn mapped(answer: Answer, tool: &Tool) -> Outcome {
    match answer {
        Answer::Result(text) => Outcome::raw(text, tool),
        Answer::Error(text) => {
            let error = std::str::from_utf8(&text).ok().and_then(RpcError::read);
            error.map_or_else(
                || Outcome::failure("the service answered with an error that is none"),
                Outcome::Error,
            )
        }
        Answer::Content(content) => match ToolResult::of(&content, tool) {
            Ok(result) => Outcome::Mapped(result),
            Err(complaints) => Outcome::failure(&unlike_schema(&complaints)),
        },
        // Streams are read by the conversation.
        Answer::Events(_) => Outcome::failure("the service answered with a stream"),
    }
}

fn unlike_schema(complaints: &[String]) -> String {
    format!("the service's answer is not what outputSchema says:\n{}", complaints.join("\n"))
}

/// What is sent along, secrets included.
fn headers(context: &Context, tool: &Tool) -> Result<HeaderMap, String> {
    let mut headers = context.outgoing_headers();
    for (name, source) in &tool.headers {
        let value = match source {
            HeaderValueSource::Value(value) => value.clone(),
            HeaderValueSource::Secret { name: secret, key } => {
                let missing = || format!("the credential for header {name} is not available");
                context.gateway.credentials.get(secret, key).ok_or_else(missing)?
            }
        };
        headers.insert(name.clone(), value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_are_not_the_same_have_not_one_key() {
        let key = |text: &str| cache_key(1, &parse_unambiguous(text).unwrap(), text);
        assert_eq!(key(r#"{"a": 1, "b": [2, "x"]}"#), key(r#"{"b":[2,"\u0078"],"a":1}"#));
        assert_eq!(key(r#"{"a":1.5}"#), key(r#"{"a":1.5}"#));
        for (one, other) in [
            ("1", "2"),
            ("1", "1.0"),
            ("18446744073709551616", "18446744073709551617"),
            ("-9223372036854775809", "-9223372036854775810"),
            ("0.1", "0.10000000000000001"),
        ] {
            let [one, other] = [one, other].map(|number| format!(r#"{{"deep":[{{"a":{number}}}]}}"#));
            assert_ne!(key(&one), key(&other));
        }
    }
}
