//! The endpoint: what is HTTP about a message, which generation it belongs to, and who answers it.

mod legacy;
mod methods;
mod negotiation;
mod response;

use std::mem;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mcp_process::body::collect;
use tokio::time::Instant;
use tracing::Span;

use self::legacy::{end_session, session};
use self::methods::{dispatch, known_method};
use self::negotiation::{Accepts, accepts, decide, said, said_version};
use self::response::{busy, method_not_allowed, refusal, respond};
use super::calls::Context;
use super::message::{Body, Id, Message, Meta, Params, meta};
use super::protocol::{Generation, Version};
use super::session::Session;
use super::{RpcError, events, header as mirrored, subscriptions};
use crate::catalog::Catalog;
use crate::gateway::Gateway;
use crate::policy::gate::Ticket;
use crate::telemetry;

/// Answers `POST`: one message, or several in 2025-03-26.
pub async fn post(gateway: &Arc<Gateway>, catalog: &Arc<Catalog>, request: &mut Request) -> Response {
    let begun = Instant::now();
    let accepts = match Accepts::of(request.headers()) {
        Ok(accepts) => accepts,
        Err(refusal) => return refusal.into_response(),
    };
    let bounds = &gateway.bounds;
    let body = match collect(request.body_mut(), bounds.body_bytes, begun + bounds.body_time, &gateway.bodies)
        .await
    {
        Ok(body) => body,
        Err(error) => {
            gateway.metrics.refused_body(error);
            return error.into_response();
        }
    };
    let Some(ticket) = gateway.requests.enter(catalog.server.max_concurrent_requests) else {
        gateway.metrics.refused("requests");
        return busy("the server is busy with as many requests as it serves at a time");
    };
    let headers = Arc::new(mem::take(request.headers_mut()));
    let exchange = Exchange { gateway, catalog, headers, accepts, ticket };
    let (method, generation, response) = exchange.answer(&body).await;
    gateway.metrics.answered(method, generation, response.status(), begun.elapsed());
    response
}

/// Answers `GET`: the stream of a legacy session.
pub async fn get(gateway: &Arc<Gateway>, headers: &HeaderMap) -> Response {
    if let Some(refusal) = unless_legacy(headers) {
        return refusal;
    }
    let accepts_events = accepts(headers, "text/event-stream");
    if !accepts_events {
        return (StatusCode::NOT_ACCEPTABLE, "only text/event-stream can be had here\n").into_response();
    }
    let (id, session) = match session(gateway, headers).await {
        Ok(found) => found,
        Err(error) => return refusal(&error, None, Generation::Legacy),
    };
    let Some(ticket) = gateway.streams.enter(gateway.bounds.streams) else {
        gateway.metrics.refused("streams");
        return busy("as many streams are open as the server holds");
    };
    events::response(subscriptions::of_session(gateway, session, id).await, ticket)
}

/// Answers `DELETE`: ends a legacy session.
pub async fn delete(gateway: &Gateway, headers: &HeaderMap) -> Response {
    if let Some(refusal) = unless_legacy(headers) {
        return refusal;
    }
    match end_session(gateway, headers).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refusal(&error, None, Generation::Legacy),
    }
}

/// The answer to who uses what is the legacy generation's alone in another version.
fn unless_legacy(headers: &HeaderMap) -> Option<Response> {
    match said_version(headers) {
        Ok(Some(version)) if version.generation().is_modern() => Some(method_not_allowed()),
        Ok(_) => None,
        Err(error) => Some(refusal(&error, None, Generation::Legacy)),
    }
}

struct Exchange<'r> {
    gateway: &'r Arc<Gateway>,
    catalog: &'r Arc<Catalog>,
    headers: Arc<HeaderMap>,
    accepts: Accepts,
    ticket: Ticket,
}

impl Exchange<'_> {
    /// The response, with what metrics call the method, and the generation.
    async fn answer(&self, body: &Bytes) -> (&'static str, Generation, Response) {
        let version = match said(&self.headers) {
            Ok(version) => version,
            Err(error) => return ("invalid", Generation::Modern, refusal(&error, None, Generation::Modern)),
        };
        let assumed = version.and_then(Version::from_name).map_or(Generation::Legacy, Version::generation);
        match Body::parse(body) {
            Err(error) => ("invalid", assumed, refusal(&error, None, assumed)),
            Ok(Body::Batch(messages)) => {
                // Seldom used, and large.
                let response = Box::pin(self.batch(version, messages)).await;
                ("batch", Generation::Legacy, response)
            }
            Ok(Body::One(message)) => self.one(version, message).await,
        }
    }

    async fn one(&self, header: Option<&str>, message: Message) -> (&'static str, Generation, Response) {
        let (name, id) = match &message {
            Message::Request { method, id, .. } => (known_method(method), Some(id.clone())),
            Message::Notification { .. } => ("notification", None),
            Message::Response { .. } => ("response", None),
        };
        // Read once: several look at it.
        let (method, params) = match &message {
            Message::Request { method, params, .. } | Message::Notification { method, params } => {
                (Some(method.as_str()), params.clone())
            }
            Message::Response { .. } => (None, Params::default()),
        };
        let meta = meta(&params);
        let decided = decide(method, header, meta.as_ref().and_then(|meta| meta.version.as_deref()));
        let version = match decided {
            Ok(version) => version,
            Err(error) => {
                return (name, Generation::Modern, refusal(&error, id.as_ref(), Generation::Modern));
            }
        };
        let generation = version.generation();
        let response = match (generation, message) {
            (Generation::Modern, Message::Request { id, method, params }) => {
                self.modern(version, id, &method, params, meta.as_ref()).await
            }
            (Generation::Modern, Message::Notification { .. }) => StatusCode::ACCEPTED.into_response(),
            (Generation::Modern, Message::Response { .. }) => {
                refusal(&RpcError::invalid_request("nobody was asked anything"), None, generation)
            }
            (Generation::Legacy, Message::Request { id, method, params }) if method == "initialize" => {
                self.initialize(&id, &params).await
            }
            (Generation::Legacy, message) => match session(self.gateway, &self.headers).await {
                Err(error) => refusal(&error, id.as_ref(), generation),
                Ok((_, session)) => self.legacy(&session, message, meta.as_ref()).await,
            },
        };
        (name, generation, response)
    }

    fn context(
        &self,
        version: Version,
        id: Id,
        method: &str,
        params: Params,
        meta: Option<&Meta<'_>>,
        session: Option<Arc<Session>>,
    ) -> Context {
        let log_level = match &session {
            Some(session) => Some(session.log_level()),
            None => meta.and_then(|meta| meta.log_level),
        };
        let mut trace = telemetry::carried(&self.headers, |name| meta?.trace(name));
        let span = match self.gateway.traces {
            true => telemetry::span(known_method(method), version.as_str(), &trace),
            false => Span::none(),
        };
        telemetry::propagate(&span, &mut trace);
        Context {
            gateway: Arc::clone(self.gateway),
            catalog: Arc::clone(self.catalog),
            version,
            id,
            params,
            headers: Arc::clone(&self.headers),
            session,
            accepts_events: self.accepts.events,
            log_level,
            trace,
            _span: span,
        }
    }

    /// A request that stands for itself. It is cancelled by the client's going away: then this future is dropped.
    async fn modern(
        &self,
        version: Version,
        id: Id,
        method: &str,
        params: Params,
        meta: Option<&Meta<'_>>,
    ) -> Response {
        let checked = match meta {
            Some(meta) if meta.version.is_none() => {
                Err(RpcError::invalid_meta("params._meta lacks io.modelcontextprotocol/protocolVersion"))
            }
            Some(meta) if !meta.capabilities.is_some_and(|given| given.get().starts_with('{')) => {
                Err(RpcError::invalid_meta("params._meta lacks io.modelcontextprotocol/clientCapabilities"))
            }
            Some(_) => mirrored::check_method(&self.headers, method),
            None => Err(RpcError::invalid_meta("params._meta is missing, or is none")),
        };
        if let Err(error) = checked {
            return refusal(&error, Some(&id), Generation::Modern);
        }
        let context = Arc::new(self.context(version, id, method, params, meta, None));
        if method == "subscriptions/listen" {
            return self.listen(&context);
        }
        let reply = dispatch(Arc::clone(&context), method).await;
        respond(&context, reply, self.ticket.clone())
    }

    /// A stream is not one of the requests that are counted; it has a bound of its own.
    fn listen(&self, context: &Context) -> Response {
        match subscriptions::listen(context) {
            Err(error) => refusal(&error, Some(&context.id), Generation::Modern),
            Ok(reply) => match self.gateway.streams.enter(self.gateway.bounds.streams) {
                Some(ticket) => respond(context, reply, ticket),
                None => {
                    self.gateway.metrics.refused("streams");
                    busy("as many streams are open as the server holds")
                }
            },
        }
    }
}
