//! What is the legacy generation's alone: sessions, batches, and calls that go on when their client goes away.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;

use super::super::calls::{Context, Reply};
use super::super::message::{Id, Message, Meta, Params, meta};
use super::super::protocol::{Generation, LEGACY_CAPABILITIES, SESSION_HEADER, Version};
use super::super::session::{Abilities, InFlight, Missing, Session};
use super::super::{RpcError, events};
use super::Exchange;
use super::methods::dispatch;
use super::negotiation::{said_version, text};
use super::response::{Responses, busy, refusal, respond, result_response};
use crate::gateway::Gateway;
use crate::json::Object;

/// The id of the session that a request names.
fn session_id(headers: &HeaderMap) -> Result<&str, RpcError> {
    text(headers, SESSION_HEADER).ok_or_else(|| {
        let reason = "header Mcp-Session-Id is missing; a session begins with initialize";
        RpcError::invalid_request(reason).with_status(StatusCode::BAD_REQUEST)
    })
}

fn missing(missing: Missing) -> RpcError {
    let status = match missing {
        Missing::Unknown => StatusCode::NOT_FOUND,
        Missing::Away => StatusCode::SERVICE_UNAVAILABLE,
    };
    RpcError::invalid_request(missing.to_string()).with_status(status)
}

/// The session that a request names, with its id.
pub(super) async fn session<'h>(
    gateway: &Gateway,
    headers: &'h HeaderMap,
) -> Result<(&'h str, Arc<Session>), RpcError> {
    let id = session_id(headers)?;
    let said = said_version(headers)?.unwrap_or(Version::ASSUMED);
    let session = gateway.sessions.get(id, said, Instant::now()).await.map_err(missing)?;
    Ok((id, session))
}

/// Ends the session that a request names.
pub(super) async fn end_session(gateway: &Gateway, headers: &HeaderMap) -> Result<(), RpcError> {
    gateway.sessions.end(session_id(headers)?).await.map_err(missing)
}

impl Exchange<'_> {
    /// Begins a session.
    pub(super) async fn initialize(&self, id: &Id, params: &Params) -> Response {
        #[derive(serde::Deserialize)]
        struct Initialize<'a> {
            #[serde(borrow, rename = "protocolVersion")]
            version: std::borrow::Cow<'a, str>,
            #[serde(borrow)]
            capabilities: Option<&'a serde_json::value::RawValue>,
        }
        let initialize: Initialize<'_> = match params.read() {
            Ok(initialize) => initialize,
            Err(error) => return refusal(&error, Some(id), Generation::Legacy),
        };
        let version = Version::from_name(&initialize.version)
            .filter(|version| !version.generation().is_modern())
            .unwrap_or(Version::LATEST_LEGACY);
        let abilities = Abilities::read(initialize.capabilities);
        let session = match self.gateway.sessions.begin(version, abilities, Instant::now()).await {
            Ok(session) => session,
            Err(refused) => {
                self.gateway.metrics.refused("sessions");
                return busy(&refused.to_string());
            }
        };
        let result = Object::new()
            .string("protocolVersion", version.as_str())
            .raw("capabilities", LEGACY_CAPABILITIES)
            .raw("serverInfo", &self.catalog.server_info)
            .finish();
        let mut response = result_response(id, result.into());
        if let Ok(session) = HeaderValue::try_from(session) {
            response.headers_mut().insert(SESSION_HEADER, session);
        }
        response
    }

    pub(super) async fn legacy(
        &self,
        session: &Arc<Session>,
        message: Message,
        meta: Option<&Meta<'_>>,
    ) -> Response {
        match message {
            Message::Request { id, method, params } => {
                let held = Some(Arc::clone(session));
                let context = self.context(session.version(), id, &method, params, meta, held);
                match self.within(session, context, &method).await {
                    // The protocol wants no answer to what was cancelled, and HTTP wants one.
                    (_, None) => StatusCode::ACCEPTED.into_response(),
                    (context, Some((reply, in_flight))) => self.reply(&context, reply, in_flight),
                }
            }
            Message::Notification { method, params } => {
                notified(session, &method, &params).await;
                StatusCode::ACCEPTED.into_response()
            }
            Message::Response { id, result } => {
                session.answer(&id, result).await;
                StatusCode::ACCEPTED.into_response()
            }
        }
    }

    /// A stream goes on when nobody reads it any more, so it is counted until it is over.
    fn reply(&self, context: &Context, reply: Reply, in_flight: Option<InFlight>) -> Response {
        let Reply::Messages(messages) = reply else { return respond(context, reply, self.ticket.clone()) };
        let Some(stream) = self.gateway.streams.enter(self.gateway.bounds.streams) else {
            self.gateway.metrics.refused("streams");
            return busy("as many streams are open as the server holds");
        };
        let cancelled = in_flight.as_ref().map(|call| call.cancelled.clone()).unwrap_or_default();
        let messages = events::detached(messages, cancelled, (stream, in_flight), &self.gateway.tasks);
        respond(context, Reply::Messages(messages), self.ticket.clone())
    }

    /// Answers a request of a session. It goes on when the client goes away; `None` where it was cancelled.
    async fn within(
        &self,
        session: &Arc<Session>,
        context: Context,
        method: &str,
    ) -> (Arc<Context>, Option<(Reply, Option<InFlight>)>) {
        let context = Arc::new(context);
        let Some(in_flight) = session.begin(&context.id) else {
            let reason = "a request with this id is in flight, or too many are";
            return (context, Some((RpcError::invalid_request(reason).into(), None)));
        };
        if !takes_long(method) {
            let reply = dispatch(Arc::clone(&context), method).await;
            return (context, Some((reply, None)));
        }
        let (work, method, ticket) = (Arc::clone(&context), method.to_owned(), self.ticket.clone());
        let running = self.gateway.tasks.spawn(async move {
            // It is one of the requests that are counted, also when nobody waits for it.
            let _ticket = ticket;
            tokio::select! {
                reply = dispatch(work, &method) => Some((reply, Some(in_flight))),
                () = in_flight.cancelled.cancelled() => None,
            }
        });
        let failed = |_| Some((RpcError::internal("the call failed").into(), None));
        let reply = running.await.unwrap_or_else(failed);
        (context, reply)
    }

    /// Several messages at once, which only 2025-03-26 knows.
    pub(super) async fn batch(
        &self,
        header: Option<&str>,
        messages: Vec<Result<Message, RpcError>>,
    ) -> Response {
        let generation = Generation::Legacy;
        let wrong = |reason: &str| refusal(&RpcError::invalid_request(reason), None, generation);
        if header.is_some_and(|version| version != Version::V2025_03_26.as_str()) {
            return wrong("this version of the protocol knows no batches");
        }
        let (_, session) = match session(self.gateway, &self.headers).await {
            Ok(found) => found,
            Err(error) => return refusal(&error, None, generation),
        };
        if session.version() != Version::V2025_03_26 {
            return wrong("the session's version of the protocol knows no batches");
        }
        let mut responses = Responses::default();
        for message in messages {
            match message {
                Err(error) => responses.error(&error, None),
                Ok(Message::Notification { method, params }) => notified(&session, &method, &params).await,
                Ok(Message::Response { id, result }) => session.answer(&id, result).await,
                Ok(Message::Request { id, method, params }) => {
                    let held = Some(Arc::clone(&session));
                    let mut context = self.context(
                        session.version(),
                        id,
                        &method,
                        params.clone(),
                        meta(&params).as_ref(),
                        held,
                    );
                    context.accepts_events = false;
                    let (context, reply) = self.within(&session, context, &method).await;
                    match reply.map(|(reply, _)| reply) {
                        Some(Reply::Result(result)) => responses.result(&context.id, result),
                        Some(Reply::Response(response)) => responses.response(response),
                        Some(Reply::Error(error)) => responses.error(&error, Some(&context.id)),
                        Some(Reply::Messages(_)) | None => {}
                    }
                }
            }
        }
        responses.into_response()
    }
}

/// Whether a backend may have to answer.
fn takes_long(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

async fn notified(session: &Session, method: &str, params: &Params) {
    #[derive(serde::Deserialize)]
    struct Cancelled<'a> {
        #[serde(borrow, rename = "requestId")]
        request_id: &'a serde_json::value::RawValue,
    }
    if method == "notifications/cancelled"
        && let Ok(cancelled) = params.read::<Cancelled<'_>>()
        && let Some(id) = Id::of(cancelled.request_id)
    {
        session.cancel(&id).await;
    }
}
