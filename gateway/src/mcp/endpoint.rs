//! The endpoint: what is HTTP about a message, which generation it belongs to, and who answers it.

use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::Instant;

use super::calls::{Context, Reply};
use super::message::{Body, Id, Message, Params, meta};
use super::protocol::{
    Generation, LEGACY_CAPABILITIES, LogLevel, MODERN_CAPABILITIES, SESSION_HEADER, VERSION_HEADER, Version,
};
use super::result::{Keep, complete};
use super::session::{Abilities, Session};
use super::{RpcError, completion, events, header as mirrored, prompts, resources, subscriptions, tools};
use crate::body::{BodyError, collect};
use crate::catalog::{Catalog, List};
use crate::chunks::Chunks;
use crate::gateway::Gateway;
use crate::json::{Members, Object};
use crate::policy::gate::Ticket;

/// Answers `POST`: one message, or several in 2025-03-26.
pub async fn post(gateway: Arc<Gateway>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let begun = Instant::now();
    let accepts = match Accepts::of(&parts.headers) {
        Ok(accepts) => accepts,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(catalog) = gateway.live.get() else { return not_ready() };
    let body = match collect(body, &gateway.bounds).await {
        Ok(body) => body,
        Err(error) => return error_of_body(&error),
    };
    let Some(ticket) = gateway.requests.enter(catalog.server.max_concurrent_requests) else {
        gateway.metrics.refused("requests");
        return busy("the server is busy with as many requests as it serves at a time");
    };
    let exchange = Exchange { gateway, catalog, headers: parts.headers, accepts, ticket };
    let (method, generation, response) = exchange.answer(&body).await;
    exchange_metrics(&exchange.gateway, method, generation, &response, begun);
    response
}

fn exchange_metrics(
    gateway: &Gateway,
    method: &'static str,
    generation: Generation,
    response: &Response,
    begun: Instant,
) {
    gateway.metrics.answered(method, generation, response.status(), begun.elapsed());
}

/// Answers `GET`: the stream of a legacy session.
pub fn get(gateway: &Arc<Gateway>, headers: &HeaderMap) -> Response {
    if text(headers, VERSION_HEADER) == Some(Version::V2026_07_28.as_str()) {
        return method_not_allowed();
    }
    let accepts_events = accepts(headers, "text/event-stream");
    if !accepts_events {
        return (StatusCode::NOT_ACCEPTABLE, "only text/event-stream can be had here\n").into_response();
    }
    let (id, session) = match session(gateway, headers) {
        Ok(found) => found,
        Err(error) => return refusal(&error, None, Generation::Legacy),
    };
    let Some(ticket) = gateway.streams.enter(gateway.bounds.streams) else {
        gateway.metrics.refused("streams");
        return busy("as many streams are open as the server holds");
    };
    events::response(subscriptions::of_session(gateway, session, &id), ticket)
}

/// Answers `DELETE`: ends a legacy session.
pub fn delete(gateway: &Gateway, headers: &HeaderMap) -> Response {
    if text(headers, VERSION_HEADER) == Some(Version::V2026_07_28.as_str()) {
        return method_not_allowed();
    }
    match session(gateway, headers) {
        Ok((id, _)) => {
            gateway.sessions.end(&id);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => refusal(&error, None, Generation::Legacy),
    }
}

fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response()
}

fn not_ready() -> Response {
    busy("the server has not loaded its catalog yet")
}

fn busy(sentence: &str) -> Response {
    let headers = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, format!("{sentence}; try again later\n")).into_response()
}

fn error_of_body(error: &BodyError) -> Response {
    (error.status(), format!("{error}\n")).into_response()
}

/// What a client takes.
#[derive(Debug, Clone, Copy)]
struct Accepts {
    events: bool,
}

impl Accepts {
    fn of(headers: &HeaderMap) -> Result<Self, (StatusCode, &'static str)> {
        let is_json = text(headers, header::CONTENT_TYPE.as_str())
            .and_then(|value| value.split(';').next())
            .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            let sentence = "the body must be application/json\n";
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence));
        }
        if headers.contains_key(header::ACCEPT) && !accepts(headers, "application/json") {
            let sentence = "Accept must name application/json and text/event-stream\n";
            return Err((StatusCode::NOT_ACCEPTABLE, sentence));
        }
        Ok(Self { events: accepts(headers, "text/event-stream") })
    }
}

/// Whether `Accept` names a media type, or stands for all.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let family = media_type.split_once('/').map_or("", |(family, _)| family);
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        range == "*/*"
            || range.eq_ignore_ascii_case(media_type)
            || range.strip_suffix("/*").is_some_and(|own| own.eq_ignore_ascii_case(family))
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The session that a request names.
fn session(gateway: &Gateway, headers: &HeaderMap) -> Result<(String, Arc<Session>), RpcError> {
    let missing = || {
        let reason = "header Mcp-Session-Id is missing; a session begins with initialize";
        RpcError::invalid_request(reason).with_status(StatusCode::BAD_REQUEST)
    };
    let id = text(headers, SESSION_HEADER).ok_or_else(missing)?;
    let unknown = || {
        let reason = "the session has ended, or never was; begin another with initialize";
        RpcError::invalid_request(reason).with_status(StatusCode::NOT_FOUND)
    };
    let session = gateway.sessions.get(id, Instant::now()).ok_or_else(unknown)?;
    Ok((id.to_owned(), session))
}

/// Which version a message is in.
fn decide(method: Option<&str>, header: Option<&str>, meta: Option<&str>) -> Result<Version, RpcError> {
    let known = |name: &str| Version::from_name(name).ok_or_else(|| RpcError::unsupported_version(name));
    match (header, meta) {
        (None, None) => Ok(Version::ASSUMED),
        (None, Some(meta)) => match known(meta)? {
            Version::V2026_07_28 => Err(RpcError::header_mismatch("header MCP-Protocol-Version is missing")),
            legacy => Ok(legacy),
        },
        (Some(header), Some(meta)) if header != meta => {
            let reason = format!("header MCP-Protocol-Version says {header:?}, and _meta says {meta:?}");
            Err(RpcError::header_mismatch(reason))
        }
        (Some(header), Some(_)) => known(header),
        // A client of both generations may begin with what it likes best.
        (Some(_), None) if method == Some("initialize") => Ok(Version::ASSUMED),
        (Some(header), None) => known(header),
    }
}

struct Exchange {
    gateway: Arc<Gateway>,
    catalog: Arc<Catalog>,
    headers: HeaderMap,
    accepts: Accepts,
    ticket: Ticket,
}

impl Exchange {
    /// The response, with what metrics call the method, and the generation.
    async fn answer(&self, body: &Bytes) -> (&'static str, Generation, Response) {
        let version = text(&self.headers, VERSION_HEADER);
        let assumed = version.and_then(Version::from_name).map_or(Generation::Legacy, Version::generation);
        match Body::parse(body) {
            Err(error) => ("invalid", assumed, refusal(&error, None, assumed)),
            Ok(Body::Batch(messages)) => ("batch", Generation::Legacy, self.batch(version, messages).await),
            Ok(Body::One(message)) => self.one(version, message).await,
        }
    }

    async fn one(&self, header: Option<&str>, message: Message) -> (&'static str, Generation, Response) {
        let (name, id) = match &message {
            Message::Request { method, id, .. } => (known_method(method), Some(id.clone())),
            Message::Notification { .. } => ("notification", None),
            Message::Response { .. } => ("response", None),
        };
        let decided = match &message {
            Message::Request { method, params, .. } | Message::Notification { method, params } => {
                let meta = meta(params).and_then(|meta| meta.version);
                decide(Some(method), header, meta.as_deref())
            }
            Message::Response { .. } => decide(None, header, None),
        };
        let version = match decided {
            Ok(version) => version,
            Err(error) => {
                return (name, Generation::Modern, refusal(&error, id.as_ref(), Generation::Modern));
            }
        };
        let generation = version.generation();
        let response = match (generation, message) {
            (Generation::Modern, Message::Request { id, method, params }) => {
                self.modern(version, id, &method, params).await
            }
            (Generation::Modern, Message::Notification { .. }) => StatusCode::ACCEPTED.into_response(),
            (Generation::Modern, Message::Response { .. }) => {
                refusal(&RpcError::invalid_request("nobody was asked anything"), None, generation)
            }
            (Generation::Legacy, Message::Request { id, method, params }) if method == "initialize" => {
                self.initialize(&id, &params)
            }
            (Generation::Legacy, message) => match session(&self.gateway, &self.headers) {
                Err(error) => refusal(&error, id.as_ref(), generation),
                Ok((_, session)) => self.legacy(&session, message).await,
            },
        };
        (name, generation, response)
    }

    fn context(&self, version: Version, id: Id, params: Params, session: Option<Arc<Session>>) -> Context {
        let log_level = match &session {
            Some(session) => Some(session.log_level()),
            None => meta(&params).and_then(|meta| meta.log_level),
        };
        Context {
            gateway: Arc::clone(&self.gateway),
            catalog: Arc::clone(&self.catalog),
            version,
            id,
            params,
            headers: self.headers.clone(),
            session,
            accepts_events: self.accepts.events,
            log_level,
        }
    }

    /// A request that stands for itself. It is cancelled by the client's going away: then this future is dropped.
    async fn modern(&self, version: Version, id: Id, method: &str, params: Params) -> Response {
        let checked = match meta(&params) {
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
        let context = Arc::new(self.context(version, id, params, None));
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

    /// Begins a session.
    fn initialize(&self, id: &Id, params: &Params) -> Response {
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
        let begun = self.gateway.sessions.begin(version, abilities, Instant::now());
        let Ok((session, _)) = begun.inspect_err(|_| self.gateway.metrics.refused("sessions")) else {
            return busy("there are as many sessions as the server holds");
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

    async fn legacy(&self, session: &Arc<Session>, message: Message) -> Response {
        match message {
            Message::Request { id, method, params } => {
                let context = self.context(session.version, id, params, Some(Arc::clone(session)));
                let (context, reply) = self.within(session, context, &method).await;
                match reply {
                    // The protocol wants no answer to what was cancelled, and HTTP wants one.
                    None => StatusCode::ACCEPTED.into_response(),
                    Some(Reply::Messages(messages)) => {
                        let messages = events::detached(messages, &self.gateway.tasks);
                        respond(&context, Reply::Messages(messages), self.ticket.clone())
                    }
                    Some(reply) => respond(&context, reply, self.ticket.clone()),
                }
            }
            Message::Notification { method, params } => {
                notified(session, &method, &params);
                StatusCode::ACCEPTED.into_response()
            }
            Message::Response { id, result } => {
                session.answer(&id, result);
                StatusCode::ACCEPTED.into_response()
            }
        }
    }

    /// Answers a request of a session. It goes on when the client goes away; `None` where it was cancelled.
    async fn within(
        &self,
        session: &Arc<Session>,
        context: Context,
        method: &str,
    ) -> (Arc<Context>, Option<Reply>) {
        let context = Arc::new(context);
        let Some(in_flight) = session.begin(&context.id) else {
            let reason = "a request with this id is in flight, or too many are";
            return (context, Some(RpcError::invalid_request(reason).into()));
        };
        if !takes_long(method) {
            let reply = dispatch(Arc::clone(&context), method).await;
            return (context, Some(reply));
        }
        let (work, method) = (Arc::clone(&context), method.to_owned());
        let running = self.gateway.tasks.spawn(async move {
            tokio::select! {
                reply = dispatch(work, &method) => Some(reply),
                () = in_flight.cancelled.cancelled() => None,
            }
        });
        let reply = running.await.unwrap_or_else(|_| Some(RpcError::internal("the call failed").into()));
        (context, reply)
    }

    /// Several messages at once, which only 2025-03-26 knows.
    async fn batch(&self, header: Option<&str>, messages: Vec<Result<Message, RpcError>>) -> Response {
        let generation = Generation::Legacy;
        let wrong = |reason: &str| refusal(&RpcError::invalid_request(reason), None, generation);
        if header.is_some_and(|version| version != Version::V2025_03_26.as_str()) {
            return wrong("this version of the protocol knows no batches");
        }
        let (_, session) = match session(&self.gateway, &self.headers) {
            Ok(found) => found,
            Err(error) => return refusal(&error, None, generation),
        };
        if session.version != Version::V2025_03_26 {
            return wrong("the session's version of the protocol knows no batches");
        }
        let mut responses = Vec::new();
        for message in messages {
            match message {
                Err(error) => responses.push(error_text(&error, None)),
                Ok(Message::Notification { method, params }) => notified(&session, &method, &params),
                Ok(Message::Response { id, result }) => session.answer(&id, result),
                Ok(Message::Request { id, method, params }) => {
                    let mut context = self.context(session.version, id, params, Some(Arc::clone(&session)));
                    context.accepts_events = false;
                    let (context, reply) = self.within(&session, context, &method).await;
                    responses.extend(match reply {
                        Some(Reply::Result(result)) => {
                            Some(context.response(std::str::from_utf8(&result).unwrap_or("{}")))
                        }
                        Some(Reply::Error(error)) => Some(context.error_response(&error)),
                        Some(Reply::Messages(_)) | None => None,
                    });
                }
            }
        }
        if responses.is_empty() {
            return StatusCode::ACCEPTED.into_response();
        }
        json(StatusCode::OK, Chunks::from(Bytes::from(crate::json::array(responses))))
    }
}

/// Whether a backend may have to answer.
fn takes_long(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

fn notified(session: &Session, method: &str, params: &Params) {
    #[derive(serde::Deserialize)]
    struct Cancelled<'a> {
        #[serde(borrow, rename = "requestId")]
        request_id: &'a serde_json::value::RawValue,
    }
    if method == "notifications/cancelled"
        && let Ok(cancelled) = params.read::<Cancelled<'_>>()
        && let Some(id) = Id::of(cancelled.request_id)
    {
        session.cancel(&id);
    }
}

/// Answers a request of either generation.
async fn dispatch(context: Arc<Context>, method: &str) -> Reply {
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
        ("logging/setLevel", Some(session)) => set_level(&context, session),
        ("resources/subscribe", Some(session)) => resources::subscribe(&context, session),
        ("resources/unsubscribe", Some(session)) => resources::unsubscribe(&context, session),
        _ => Err(RpcError::method_not_found(method)),
    };
    reply.unwrap_or_else(Reply::Error)
}

/// What metrics call a method: nothing that a client can make up.
fn known_method(method: &str) -> &'static str {
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
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        cursor: Option<&'a serde_json::value::RawValue>,
    }
    let page: Page<'_> = context.params.read()?;
    match page.cursor {
        Some(cursor) => Err(RpcError::invalid_params(format!("params.cursor: {} is none", cursor.get()))),
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

fn set_level(context: &Context, session: &Session) -> Result<Reply, RpcError> {
    #[derive(serde::Deserialize)]
    struct SetLevel {
        level: LogLevel,
    }
    let set: SetLevel = context.params.read()?;
    session.set_log_level(set.level);
    Ok(Reply::of("{}"))
}

fn respond(context: &Context, reply: Reply, held: Ticket) -> Response {
    match reply {
        Reply::Result(result) => result_response(&context.id, result),
        Reply::Error(error) => refusal(&error, Some(&context.id), context.generation()),
        Reply::Messages(messages) => events::response(messages, held),
    }
}

/// The response with a result, which is not copied: a list may be large.
fn result_response(id: &Id, result: Bytes) -> Response {
    let head = format!(r#"{{"jsonrpc":"2.0","id":{},"result":"#, id.as_json());
    json(StatusCode::OK, Chunks::from([Bytes::from(head), result, Bytes::from_static(b"}")]))
}

fn error_text(error: &RpcError, id: Option<&Id>) -> String {
    let mut message = Object::new();
    message.string("jsonrpc", "2.0");
    if let Some(id) = id {
        message.raw("id", id.as_json());
    }
    message.raw("error", &error.text()).finish()
}

fn refusal(error: &RpcError, id: Option<&Id>, generation: Generation) -> Response {
    json(error.status(generation), Chunks::from(Bytes::from(error_text(error, id))))
}

fn json(status: StatusCode, body: Chunks) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, HttpBody::new(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_is_decided_by_what_a_message_says() {
        const MODERN: &str = "2026-07-28";
        for (method, header, meta, version) in [
            ("initialize", None, None, Version::V2025_03_26),
            ("initialize", Some(MODERN), None, Version::V2025_03_26),
            ("initialize", Some(MODERN), Some(MODERN), Version::V2026_07_28),
            ("tools/list", None, None, Version::V2025_03_26),
            ("tools/list", Some("2025-11-25"), None, Version::V2025_11_25),
            ("tools/list", Some(MODERN), Some(MODERN), Version::V2026_07_28),
            ("tools/list", Some(MODERN), None, Version::V2026_07_28),
        ] {
            assert_eq!(decide(Some(method), header, meta), Ok(version), "{method} {header:?} {meta:?}");
        }
        for (header, meta, code) in [
            (None, Some(MODERN), -32020),
            (Some("2025-11-25"), Some(MODERN), -32020),
            (Some("v999.0.0"), Some("v999.0.0"), -32022),
            (Some("v999.0.0"), None, -32022),
        ] {
            let error = decide(Some("tools/list"), header, meta).unwrap_err().text();
            assert!(error.contains(&format!("\"code\":{code}")), "{error}");
        }
    }

    #[test]
    fn what_a_client_takes() {
        let headers =
            |accept: &str| HeaderMap::from_iter([(header::ACCEPT, HeaderValue::try_from(accept).unwrap())]);
        assert!(accepts(&headers("application/json, text/event-stream"), "text/event-stream"));
        assert!(accepts(&headers("text/html, */*;q=0.1"), "application/json"));
        assert!(accepts(&headers("Text/*"), "text/event-stream"));
        assert!(!accepts(&headers("application/json"), "text/event-stream"));
    }
}
