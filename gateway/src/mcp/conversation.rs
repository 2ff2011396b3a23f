//! A call that takes more than a question and an answer: a backend that streams messages, and one that needs input.
//!
//! What a backend needs to know from the client's side (a form filled in, a model asked, the roots) it says in its
//! result (`input_required`). Modern clients are given that result. Legacy ones are asked by requests of their own
//! generation, on the stream of their call, and the backend is called again with the answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use serde::Deserialize;
use tokio::time::timeout;

use super::RpcError;
use super::calls::{Context, Reply};
use super::input::{Asked, Question};
use super::message::Params;
use super::protocol::LogLevel;
use super::session::Answering;
use super::tools::{Outcome, Ran, run};
use crate::catalog::Tool;
use crate::json::{Members, Object};
use crate::upstream::{Deadline, Events, Permit};

/// How long a client may take to answer a request: a person may have to read it.
const ANSWER: Duration = Duration::from_secs(300);

/// How often a backend may need more.
const MAX_ROUNDS: usize = 10;

/// A backend's stream of messages.
pub(super) struct EventRun {
    pub(super) events: Box<Events>,
    /// Held while it is read.
    pub(super) _permit: Permit,
    pub(super) tool: Arc<Tool>,
    pub(super) deadline: Deadline,
}

enum Read {
    Notification(String),
    Outcome(Outcome),
}

impl EventRun {
    /// The next message: notifications, and in the end the outcome.
    async fn next(&mut self, context: &Context) -> Read {
        loop {
            let event = self.deadline.wait(self.events.next()).await;
            let data = match event.flatten() {
                Ok(Some(data)) => data,
                Ok(None) => {
                    return Read::Outcome(Outcome::failure("the service's stream ended without a result"));
                }
                Err(failure) => {
                    context.gateway.metrics.backend_failed(&failure);
                    return Read::Outcome(Outcome::failure(&failure.to_string()));
                }
            };
            let Ok(message) = Members::parse(&data) else {
                return Read::Outcome(Outcome::failure(
                    "the service's stream holds something that is no JSON object",
                ));
            };
            if message.has("method") {
                // Nobody could answer a request on this way.
                if !message.has("id") && is_wanted(&message, context.log_level) {
                    return Read::Notification(data);
                }
                continue;
            }
            if let Some(error) = message.get("error") {
                let error = RpcError::read(error.get());
                return Read::Outcome(error.map_or_else(
                    || Outcome::failure("the service answered with an error that is none"),
                    Outcome::Error,
                ));
            }
            let result = message.get("result").map_or(data.as_str(), |result| result.get());
            return Read::Outcome(Outcome::raw(Bytes::copy_from_slice(result.as_bytes()), &self.tool));
        }
    }
}

/// Whether a client wants a notification: log messages from a level on, everything else always.
fn is_wanted(message: &Members<'_>, from: Option<LogLevel>) -> bool {
    #[derive(Deserialize)]
    struct Log {
        level: LogLevel,
    }
    let is_log = message.get("method").is_some_and(|method| method.get() == "\"notifications/message\"");
    if !is_log {
        return true;
    }
    let log = message.get("params").and_then(|params| serde_json::from_str::<Log>(params.get()).ok());
    log.zip(from).is_some_and(|(log, from)| log.level >= from)
}

/// What is asked of the client before a backend can go on.
struct Questions {
    params: Params,
    left: VecDeque<(String, Question)>,
    asked: Option<(String, Answering)>,
    answers: Object,
    state: Option<String>,
}

enum Stage {
    Reading(EventRun, Params),
    Asking(Questions),
    Ended(Arc<Outcome>),
    Refused(RpcError),
    Over,
}

/// A call on its way.
pub(super) struct Conversation {
    context: Arc<Context>,
    stage: Stage,
    rounds: usize,
}

impl Conversation {
    /// The reply to a call that came this far: at once where that is all.
    pub(super) async fn reply(context: Arc<Context>, ran: Ran) -> Reply {
        let params = context.params.clone();
        let mut conversation = Self { context, stage: Stage::Over, rounds: 0 };
        conversation.stage = conversation.after(ran, params);
        loop {
            match &mut conversation.stage {
                Stage::Ended(outcome) => {
                    return match outcome.respond(&conversation.context) {
                        Ok(response) => Reply::Response(response.into()),
                        Err(error) => error.into(),
                    };
                }
                Stage::Refused(error) => return error.clone().into(),
                Stage::Over => return RpcError::internal("the call ended without an outcome").into(),
                Stage::Reading(..) | Stage::Asking(_) if conversation.context.accepts_events => {
                    let messages = stream::unfold(conversation, |mut conversation| async move {
                        Some((conversation.next().await?, conversation))
                    });
                    return Reply::Messages(messages.boxed());
                }
                Stage::Asking(_) => {
                    let error =
                        "the tool needs an answer from the client, which does not accept text/event-stream";
                    return RpcError::invalid_request(error).into();
                }
                Stage::Reading(run, params) => {
                    if let Read::Outcome(outcome) = run.next(&conversation.context).await {
                        let params = params.clone();
                        conversation.stage = conversation.after(Ran::Done(Arc::new(outcome)), params);
                    }
                }
            }
        }
    }

    /// What follows from how far a call came.
    fn after(&mut self, ran: Ran, params: Params) -> Stage {
        let outcome = match ran {
            Ran::Events(run) => return Stage::Reading(run, params),
            Ran::Done(outcome) => outcome,
        };
        match outcome.members().as_ref().and_then(Asked::of) {
            None => Stage::Ended(outcome),
            Some(_) if self.rounds >= MAX_ROUNDS => {
                Stage::Refused(RpcError::internal("the service does not stop asking for input"))
            }
            Some(asked) => self.ask(outcome, asked, params),
        }
    }

    /// Asks in the way of the client's generation, if it can answer at all.
    fn ask(&mut self, outcome: Arc<Outcome>, asked: Asked, params: Params) -> Stage {
        self.rounds += 1;
        if let Err(error) = asked.check(&self.context) {
            return Stage::Refused(error);
        }
        if self.context.session.is_none() {
            return Stage::Ended(outcome);
        }
        Stage::Asking(Questions {
            params,
            left: asked.requests.into(),
            asked: None,
            answers: Object::new(),
            state: asked.state,
        })
    }

    /// The next message for the client, of which the last is the response.
    async fn next(&mut self) -> Option<String> {
        loop {
            match &mut self.stage {
                Stage::Over => return None,
                Stage::Ended(outcome) => {
                    let message = outcome.respond(&self.context);
                    let message = message.unwrap_or_else(|error| error.response(Some(&self.context.id)));
                    self.stage = Stage::Over;
                    return Some(message);
                }
                Stage::Refused(error) => {
                    let message = error.response(Some(&self.context.id));
                    self.stage = Stage::Over;
                    return Some(message);
                }
                Stage::Reading(run, params) => match run.next(&self.context).await {
                    Read::Notification(message) => return Some(message),
                    Read::Outcome(outcome) => {
                        let params = params.clone();
                        self.stage = self.after(Ran::Done(Arc::new(outcome)), params);
                    }
                },
                Stage::Asking(questions) => match questions.advance(&self.context).await {
                    Advanced::Request(message) => return Some(message),
                    Advanced::Refused(error) => self.stage = Stage::Refused(error),
                    Advanced::Answered => self.answered().await,
                },
            }
        }
    }

    /// Calls the tool again, with the answers.
    async fn answered(&mut self) {
        let Stage::Asking(questions) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        let params = questions.answered();
        self.stage = match run(&self.context, &params).await {
            Ok(ran) => self.after(ran, params),
            Err(error) => Stage::Refused(error),
        };
    }
}

enum Advanced {
    /// This is to be sent to the client.
    Request(String),
    /// Everything is answered.
    Answered,
    Refused(RpcError),
}

impl Questions {
    async fn advance(&mut self, context: &Context) -> Advanced {
        if let Some((key, answering)) = self.asked.take() {
            match timeout(ANSWER, answering).await {
                Ok(Ok(Ok(result))) => {
                    self.answers.raw(&key, result.text());
                }
                Ok(Ok(Err(error))) => {
                    let reason = format!("the client refused to answer: {}", error.text());
                    return Advanced::Refused(RpcError::internal(reason));
                }
                Ok(Err(_)) => {
                    return Advanced::Refused(RpcError::internal("the session ended before the answer"));
                }
                Err(_) => return Advanced::Refused(RpcError::internal("the client did not answer in time")),
            }
        }
        let Some((key, question)) = self.left.pop_front() else { return Advanced::Answered };
        let Some(session) = &context.session else { return Advanced::Answered };
        let (id, answering) = session.expect_answer();
        let mut message = Object::new();
        message.string("jsonrpc", "2.0").raw("id", id.as_json()).string("method", &question.method);
        message.raw("params", question.params.as_ref().map_or("{}", |params| params.get()));
        self.asked = Some((key, answering));
        Advanced::Request(message.finish())
    }

    /// The params of the next round.
    fn answered(mut self) -> Params {
        self.params.with([("inputResponses", Some(self.answers.finish())), ("requestState", self.state)])
    }
}
