//! `resources/read`, and the legacy generation's subscriptions.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use serde::Deserialize;

use super::calls::{Context, Reply};
use super::result::{Keep, complete};
use super::session::{MAX_SUBSCRIPTIONS, MAX_URI, Session};
use super::{RpcError, header, input};
use crate::catalog::{Catalog, Content, Resource};
use crate::json::{Members, Object, array};
use crate::pattern::Values;
use crate::upstream::{self, Answer, Failure, Request, Target};

/// How large the contents of a resource that a Service answers may be, in bytes.
const MAX_BYTES: usize = 4 << 20;

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    uri: Cow<'a, str>,
}

/// Answers `resources/read`.
pub(super) async fn read(context: &Context) -> Result<Reply, RpcError> {
    let read: Read<'_> = context.params.read()?;
    let generation = context.generation();
    if generation.is_modern() {
        header::check_name(&context.headers, &read.uri)?;
    }
    let missing = || RpcError::resource_not_found(&read.uri, generation);
    let (resource, values) = context.catalog.resource(&read.uri).ok_or_else(missing)?;
    let (contents, keep) = match &resource.content {
        Content::Inline(contents) => (String::from_utf8_lossy(contents), Keep::Public),
        Content::Operation(target) => match fetch(context, target, &values).await {
            Ok(Answer::Content(content)) => (describe(&read.uri, resource, &content).into(), Keep::Private),
            Ok(Answer::Result(bytes)) => return from_result(context, &bytes),
            Ok(Answer::Error(bytes)) => {
                let error = std::str::from_utf8(&bytes).ok().and_then(RpcError::read);
                return Err(error.unwrap_or_else(|| RpcError::internal("the service's error is none")));
            }
            Ok(Answer::Events(_)) => return Err(RpcError::internal("the service answered with a stream")),
            Err(Failure::Status { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. }) => {
                return Err(missing());
            }
            Err(failure) => {
                context.gateway.metrics.backend_failed(&failure);
                return Err(RpcError::internal(failure.to_string()));
            }
        },
    };
    let result = Object::new().raw("contents", &array([contents])).finish();
    let members = Members::parse(&result).unwrap_or_default();
    Ok(Reply::of(complete(&members, generation, keep, context.server_info())))
}

fn from_result(context: &Context, bytes: &[u8]) -> Result<Reply, RpcError> {
    let members = std::str::from_utf8(bytes).ok().and_then(|text| Members::parse(text).ok());
    let members = members.unwrap_or_default();
    input::check(context, &members, "resources/read", "contents")?;
    Ok(Reply::of(complete(&members, context.generation(), Keep::Private, context.server_info())))
}

async fn fetch(context: &Context, target: &Target, values: &Values<'_, '_>) -> Result<Answer, Failure> {
    let mut request = Request {
        target,
        method: Method::GET,
        path: PathAndQuery::from_maybe_shared(target.fill(values)?)?,
        headers: context.outgoing_headers(),
        body: bytes::Bytes::new(),
        deadline: context.deadline(None),
        retries: 0,
    };
    context.gateway.upstream.send(&mut request).await?.answer(MAX_BYTES).await
}

/// One entry of `contents`. The answer's own media type is the nearest to the truth.
fn describe(uri: &str, resource: &Resource, content: &upstream::Content) -> String {
    let media_type = content.media_type.as_deref().or(resource.mime_type.as_deref());
    let mut object = Object::new();
    object.string("uri", uri).optional("mimeType", media_type);
    let essence = content.essence();
    let is_text = essence.starts_with("text/") || content.is_json() || essence.ends_with("xml");
    match content.text().filter(|_| is_text) {
        Some(text) => object.string("text", text),
        None => object.string("blob", &content.base64()),
    };
    object.finish()
}

/// Answers `resources/subscribe` of the legacy generation.
pub(super) async fn subscribe(context: &Context, session: &Session) -> Result<Reply, RpcError> {
    let read: Read<'_> = context.params.read()?;
    if context.catalog.resource(&read.uri).is_none() || read.uri.len() > MAX_URI {
        return Err(RpcError::resource_not_found(&read.uri, context.generation()));
    }
    if session.subscribe(&read.uri, known_by(&context.catalog, &read.uri)).await? {
        Ok(Reply::of("{}"))
    } else {
        let reason = format!("a session may subscribe to {MAX_SUBSCRIPTIONS} resources");
        Err(RpcError::invalid_params(reason))
    }
}

/// Answers `resources/unsubscribe` of the legacy generation.
pub(super) async fn unsubscribe(context: &Context, session: &Session) -> Result<Reply, RpcError> {
    let read: Read<'_> = context.params.read()?;
    session.unsubscribe(&read.uri).await?;
    Ok(Reply::of("{}"))
}

/// What the contents of a resource are known by: equal where they are. What a Service answers is not known.
pub(super) fn known_by(catalog: &Catalog, uri: &str) -> Option<u64> {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    match catalog.content_of(uri) {
        Some(contents) => {
            let mut hasher = DefaultHasher::new();
            contents.hash(&mut hasher);
            Some(hasher.finish())
        }
        None => catalog.resource(uri).map(|_| 0),
    }
}
