//! What a backend needs to know from the client's side before it can answer: a result with `input_required`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::RpcError;
use super::calls::Context;
use super::session::{Abilities, Ability};
use crate::json::Members;

/// What a backend needs.
pub(super) struct Asked {
    /// By the keys under which the answers are wanted.
    pub(super) requests: Vec<(String, Question)>,
    /// What it wants back as it is: JSON.
    pub(super) state: Option<String>,
}

/// A request to the client.
#[derive(Deserialize)]
pub(super) struct Question {
    pub(super) method: String,
    pub(super) params: Option<Box<RawValue>>,
}

impl Asked {
    /// What a result asks for; `None` where it asks for nothing.
    pub(super) fn of(result: &Members<'_>) -> Option<Self> {
        if result.get("resultType")?.get() != "\"input_required\"" {
            return None;
        }
        let requests = result.get("inputRequests").map_or("{}", |requests| requests.get());
        let requests = Members::parse(requests).unwrap_or_default();
        let read = |(key, value): &(Cow<'_, str>, &RawValue)| {
            Some((key.clone().into_owned(), serde_json::from_str(value.get()).ok()?))
        };
        Some(Self {
            requests: requests.0.iter().filter_map(read).collect(),
            state: result.get("requestState").map(|state| state.get().to_owned()),
        })
    }

    /// Whether the client can answer.
    pub(super) fn check(&self, context: &Context) -> Result<(), RpcError> {
        let abilities = match &context.session {
            Some(session) => session.abilities(),
            None => Abilities::of_modern(&context.params),
        };
        for (_, question) in &self.requests {
            let Some(ability) = Ability::needed_for(&question.method) else {
                let reason =
                    format!("the service asks for {:?}, which is nothing to ask for", question.method);
                return Err(RpcError::internal(reason));
            };
            if !abilities.has(ability) {
                return Err(RpcError::missing_capability(ability.as_str()));
            }
        }
        Ok(())
    }
}

/// Checks what a Service answers for a prompt or a resource. It has the member that makes it a result of the method;
/// only a modern client may be given another kind of result instead, and a question only where it can answer.
pub(super) fn check(
    context: &Context,
    result: &Members<'_>,
    method: &str,
    member: &str,
) -> Result<(), RpcError> {
    if context.generation().is_modern() {
        if let Some(asked) = Asked::of(result) {
            return asked.check(context);
        }
        if result.get("resultType").is_some_and(|kind| kind.get() != "\"complete\"") {
            return Ok(());
        }
    }
    if result.has(member) {
        Ok(())
    } else {
        Err(RpcError::internal(format!("the service's answer is no result of {method}")))
    }
}
