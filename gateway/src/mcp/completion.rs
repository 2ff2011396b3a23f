//! `completion/complete`. No object lists the values of an argument, so there are none to propose; what is asked about
//! has to exist all the same.

use std::borrow::Cow;

use serde::Deserialize;

use super::RpcError;
use super::calls::{Context, Reply};
use super::result::{Keep, complete as completed};
use crate::json::Members;

#[derive(Deserialize)]
struct Complete<'a> {
    #[serde(borrow, rename = "ref")]
    reference: Reference<'a>,
    #[serde(borrow)]
    argument: Argument<'a>,
}

#[derive(Deserialize)]
struct Argument<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Reference<'a> {
    #[serde(rename = "ref/prompt")]
    Prompt {
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    #[serde(rename = "ref/resource")]
    Resource {
        #[serde(borrow)]
        uri: Cow<'a, str>,
    },
}

/// Answers `completion/complete`.
pub(super) fn complete(context: &Context) -> Result<Reply, RpcError> {
    let complete: Complete<'_> = context.params.read()?;
    match &complete.reference {
        Reference::Prompt { name } => {
            let unknown = || RpcError::invalid_params(format!("there is no prompt {name:?}"));
            let prompt = context.catalog.prompt(name).ok_or_else(unknown)?;
            if !prompt.has_argument(&complete.argument.name) {
                let reason = format!("prompt {name:?} has no argument {:?}", complete.argument.name);
                return Err(RpcError::invalid_params(reason));
            }
        }
        Reference::Resource { uri } => {
            if !context.catalog.has_template(uri) && context.catalog.resource(uri).is_none() {
                return Err(RpcError::resource_not_found(uri, context.generation()));
            }
        }
    }
    let result = r#"{"completion":{"values":[],"total":0,"hasMore":false}}"#;
    let members = Members::parse(result).unwrap_or_default();
    Ok(Reply::of(completed(&members, context.generation(), Keep::NoWord, context.server_info())))
}
