//! `prompts/get`.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use super::calls::{Context, Reply};
use super::result::{Keep, complete};
use super::{RpcError, header, input};
use crate::catalog::{Prompt, PromptSource};
use crate::json::{Members, Object, array};
use crate::upstream::{Answer, Failure, Target};

/// How large the result of a Service may be, in bytes.
const MAX_BYTES: usize = 4 << 20;

#[derive(Deserialize)]
struct Get<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    arguments: Option<HashMap<String, String>>,
}

/// Answers `prompts/get`.
pub(super) async fn get(context: &Context) -> Result<Reply, RpcError> {
    let get: Get<'_> = context.params.read()?;
    if context.generation().is_modern() {
        header::check_name(&context.headers, &get.name)?;
    }
    let unknown = || RpcError::invalid_params(format!("there is no prompt {:?}", get.name));
    let prompt = context.catalog.prompt(&get.name).ok_or_else(unknown)?;
    let arguments = get.arguments.unwrap_or_default();
    prompt.check(&arguments).map_err(|error| RpcError::invalid_params(error.to_string()))?;
    match &prompt.source {
        PromptSource::Template(parts) => {
            let result = message(prompt, &prompt.render(parts, &arguments));
            let members = Members::parse(&result).unwrap_or_default();
            Ok(Reply::of(complete(&members, context.generation(), Keep::NoWord, context.server_info())))
        }
        PromptSource::Service(target) => from_service(context, target).await,
    }
}

/// One user message.
fn message(prompt: &Prompt, text: &str) -> String {
    let content = Object::new().string("type", "text").string("text", text).finish();
    let message = Object::new().string("role", "user").raw("content", &content).finish();
    Object::new()
        .optional("description", prompt.description.as_deref())
        .raw("messages", &array([message]))
        .finish()
}

async fn from_service(context: &Context, target: &Target) -> Result<Reply, RpcError> {
    let answer = ask(context, target).await.map_err(|failure| {
        context.gateway.metrics.backend_failed(&failure);
        RpcError::internal(failure.to_string())
    })?;
    let bytes = match answer {
        Answer::Result(bytes) => bytes,
        Answer::Content(content) if content.is_json() => content.bytes,
        Answer::Error(bytes) => {
            let error = std::str::from_utf8(&bytes).ok().and_then(RpcError::read);
            return Err(error.unwrap_or_else(|| RpcError::internal("the service's error is none")));
        }
        Answer::Content(_) | Answer::Events(_) => {
            return Err(RpcError::internal("the service did not answer with JSON"));
        }
    };
    let members = std::str::from_utf8(&bytes).ok().and_then(|text| Members::parse(text).ok());
    let members = members.unwrap_or_default();
    input::check(context, &members, "prompts/get", "messages")?;
    Ok(Reply::of(complete(&members, context.generation(), Keep::NoWord, context.server_info())))
}

async fn ask(context: &Context, target: &Target) -> Result<Answer, Failure> {
    context.ask(target).await?.answer(MAX_BYTES).await
}
