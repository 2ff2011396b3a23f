//! How answers are written.

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};

use super::super::calls::{Context, Reply};
use super::super::message::Id;
use super::super::protocol::Generation;
use super::super::{RpcError, events};
use crate::chunks::Chunks;
use crate::policy::gate::Ticket;

pub(super) fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response()
}

pub(super) fn busy(sentence: &str) -> Response {
    let headers = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, format!("{sentence}; try again later\n")).into_response()
}

pub(super) fn respond(context: &Context, reply: Reply, held: Ticket) -> Response {
    match reply {
        Reply::Result(result) => result_response(&context.id, result),
        Reply::Response(response) => json(StatusCode::OK, Chunks::from(response)),
        Reply::Error(error) => refusal(&error, Some(&context.id), context.generation()),
        Reply::Messages(messages) => events::response(messages, held),
    }
}

/// How large a result may be to be copied, in bytes: beyond that, pieces cost less.
const COPIED: usize = 8192;

/// The response with a result, which is not copied where it is large, as a list may be.
pub(super) fn result_response(id: &Id, result: Bytes) -> Response {
    if result.len() > COPIED {
        return json(StatusCode::OK, Chunks::from(result_pieces(id, result)));
    }
    let [head, result, end] = result_pieces(id, result);
    let mut whole = BytesMut::with_capacity(head.len() + result.len() + end.len());
    for piece in [head, result, end] {
        whole.extend_from_slice(&piece);
    }
    json(StatusCode::OK, Chunks::from(whole.freeze()))
}

fn result_pieces(id: &Id, result: Bytes) -> [Bytes; 3] {
    let head = format!(r#"{{"jsonrpc":"2.0","id":{},"result":"#, id.as_json());
    [Bytes::from(head), result, Bytes::from_static(b"}")]
}

/// The responses to a batch. No result is copied: fifty may be the same large list.
#[derive(Debug, Default)]
pub(super) struct Responses(Vec<Bytes>);

impl Responses {
    pub(super) fn result(&mut self, id: &Id, result: Bytes) {
        self.separate();
        self.0.extend(result_pieces(id, result));
    }

    pub(super) fn error(&mut self, error: &RpcError, id: Option<&Id>) {
        self.response(error.response(id).into());
    }

    pub(super) fn response(&mut self, response: Bytes) {
        self.separate();
        self.0.push(response);
    }

    fn separate(&mut self) {
        self.0.push(Bytes::from_static(if self.0.is_empty() { b"[" } else { b"," }));
    }
}

impl IntoResponse for Responses {
    fn into_response(mut self) -> Response {
        if self.0.is_empty() {
            return StatusCode::ACCEPTED.into_response();
        }
        self.0.push(Bytes::from_static(b"]"));
        json(StatusCode::OK, Chunks::from(self.0))
    }
}

pub(super) fn refusal(error: &RpcError, id: Option<&Id>, generation: Generation) -> Response {
    json(error.status(generation), Chunks::from(Bytes::from(error.response(id))))
}

fn json<P>(status: StatusCode, body: Chunks<P>) -> Response
where
    P: AsRef<[Bytes]> + AsMut<[Bytes]> + Send + Unpin + 'static,
{
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, HttpBody::new(body)).into_response()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_batch_is_answered_with_an_array_in_which_nothing_was_copied() {
        let list = Bytes::from(r#"{"tools":[]}"#);
        let mut responses = Responses::default();
        for id in ["a", "b"] {
            responses.result(&Id::from(id.to_owned()), list.clone());
        }
        responses.error(&RpcError::method_not_found("x"), None);
        assert_eq!(responses.0.iter().filter(|piece| piece.as_ptr() == list.as_ptr()).count(), 2);
        let response = responses.into_response();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let said: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((said[1]["id"].as_str(), said[2]["error"]["code"].as_i64()), (Some("b"), Some(-32601)));
        assert_eq!(Responses::default().into_response().status(), StatusCode::ACCEPTED);
    }
}
