//! How answers are written.

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};

use super::super::calls::{Context, Reply};
use super::super::message::Id;
use super::super::protocol::Generation;
use super::super::{RpcError, events};
use crate::body::BodyError;
use crate::chunks::Chunks;
use crate::json::Object;
use crate::policy::gate::Ticket;

pub(super) fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response()
}

pub(super) fn not_ready() -> Response {
    busy("the server has not loaded its catalog yet")
}

pub(super) fn busy(sentence: &str) -> Response {
    let headers = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, format!("{sentence}; try again later\n")).into_response()
}

pub(super) fn error_of_body(error: &BodyError) -> Response {
    (error.status(), format!("{error}\n")).into_response()
}

pub(super) fn respond(context: &Context, reply: Reply, held: Ticket) -> Response {
    match reply {
        Reply::Result(result) => result_response(&context.id, result),
        Reply::Error(error) => refusal(&error, Some(&context.id), context.generation()),
        Reply::Messages(messages) => events::response(messages, held),
    }
}

/// How large a result may be to be copied, in bytes: beyond that, pieces cost less.
const COPIED: usize = 8192;

/// The response with a result, which is not copied where it is large, as a list may be.
pub(super) fn result_response(id: &Id, result: Bytes) -> Response {
    const BEGINNING: &str = r#"{"jsonrpc":"2.0","id":"#;
    const NEXT: &str = r#","result":"#;
    let length = BEGINNING.len() + id.as_json().len() + NEXT.len();
    let copied = if result.len() <= COPIED { result.len() + 1 } else { 0 };
    let mut head = BytesMut::with_capacity(length + copied);
    for text in [BEGINNING, id.as_json(), NEXT] {
        head.extend_from_slice(text.as_bytes());
    }
    if copied > 0 {
        head.extend_from_slice(&result);
        head.extend_from_slice(b"}");
        return json(StatusCode::OK, Chunks::from(head.freeze()));
    }
    let head = head.freeze();
    json(StatusCode::OK, Chunks::from([head, result, Bytes::from_static(b"}")]))
}

pub(super) fn error_text(error: &RpcError, id: Option<&Id>) -> String {
    let mut message = Object::new();
    message.string("jsonrpc", "2.0");
    if let Some(id) = id {
        message.raw("id", id.as_json());
    }
    message.raw("error", &error.text()).finish()
}

pub(super) fn refusal(error: &RpcError, id: Option<&Id>, generation: Generation) -> Response {
    json(error.status(generation), Chunks::from(Bytes::from(error_text(error, id))))
}

pub(super) fn json(status: StatusCode, body: Chunks) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, HttpBody::new(body)).into_response()
}
