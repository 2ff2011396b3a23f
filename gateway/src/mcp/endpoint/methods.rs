//! The methods, and who answers each.

use std::sync::Arc;

use super::super::calls::{Context, Reply};
use super::super::protocol::{Generation, LogLevel, MODERN_CAPABILITIES, Version};
use super::super::result::{Keep, complete};
use super::super::session::Session;
use super::super::{RpcError, completion, prompts, resources, tools};
use crate::catalog::List;
use crate::json::{Members, Object};

/// Answers a request of either generation.
pub(super) async fn dispatch(context: Arc<Context>, method: &str) -> Reply {
    let reply = match (method, &context.session) {
        ("tools/call", _) => return tools::call(context).await,
        ("tools/list", _) => list(&context, List::Tools),
        ("prompts/list", _) => list(&context, List::Prompts),
        ("resources/list", _) => list(&context, List::Resources),
        ("resources/templates/list", _) => list(&context, List::Templates),
        ("prompts/get", _) => prompts::get(&context).await,
        ("resources/read", _) => resources::read(&context).await,
        ("completion/complete", _) => completion::complete(&context),
        ("server/discover", None) => Ok(discover(&context)),
        ("ping", Some(_)) => Ok(Reply::of("{}")),
        ("logging/setLevel", Some(session)) => set_level(&context, session).await,
        ("resources/subscribe", Some(session)) => resources::subscribe(&context, session).await,
        ("resources/unsubscribe", Some(session)) => resources::unsubscribe(&context, session).await,
        _ => Err(RpcError::method_not_found(method)),
    };
    reply.unwrap_or_else(Reply::Error)
}

/// What metrics call a method: nothing that a client can make up.
pub(super) fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 15] = [
        "initialize",
        "ping",
        "server/discover",
        "subscriptions/listen",
        "tools/call",
        "tools/list",
        "prompts/get",
        "prompts/list",
        "resources/read",
        "resources/list",
        "resources/templates/list",
        "resources/subscribe",
        "resources/unsubscribe",
        "completion/complete",
        "logging/setLevel",
    ];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("unknown")
}

/// A list is one page; so there is no cursor that could be valid.
fn list(context: &Context, list: List) -> Result<Reply, RpcError> {
    match context.params.get("cursor") {
        Some(cursor) => {
            let cursor = String::from_utf8_lossy(cursor);
            Err(RpcError::invalid_params(format!("params.cursor: {cursor} is none")))
        }
        None => Ok(Reply::Result(context.catalog.lists.get(list, context.generation()))),
    }
}

fn discover(context: &Context) -> Reply {
    let versions = Version::ALL.map(|version| crate::json::string(version.as_str()));
    let result = Object::new()
        .raw("supportedVersions", &crate::json::array(versions))
        .raw("capabilities", MODERN_CAPABILITIES)
        .finish();
    let members = Members::parse(&result).unwrap_or_default();
    Reply::of(complete(&members, Generation::Modern, Keep::Public, context.server_info()))
}

async fn set_level(context: &Context, session: &Session) -> Result<Reply, RpcError> {
    #[derive(serde::Deserialize)]
    struct SetLevel {
        level: LogLevel,
    }
    let set: SetLevel = context.params.read()?;
    session.set_log_level(set.level).await?;
    Ok(Reply::of("{}"))
}
