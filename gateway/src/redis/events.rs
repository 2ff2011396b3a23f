//! What the pods of a server tell each other about sessions. Who is not connected hears nothing of it; nothing depends on
//! that but how soon a stream ends.

use ::redis::{Msg, PushInfo};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Away, Redis};
use crate::gateway::Gateway;

/// Something that concerns a session, wherever it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) session: String,
    /// Who says so.
    by: u64,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What happened. Ids and results are JSON, as the client wrote it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(crate) enum What {
    /// It has ended.
    Ended,
    /// Its stream is with the one that says so.
    Stream,
    /// A request is cancelled.
    Cancelled { id: Box<str> },
    /// The client has answered a request.
    Answered { id: Box<str>, is_error: bool, body: Box<str> },
}

impl Redis {
    pub(super) fn channel(&self) -> String {
        format!("{}events", self.prefix)
    }

    /// Tells the other pods.
    pub(crate) async fn tell(&self, session: &str, what: What) -> Result<(), Away> {
        let text = self.event(session, what);
        self.command(::redis::cmd("PUBLISH").arg(self.channel()).arg(text)).await
    }

    pub(super) fn event(&self, session: &str, what: What) -> String {
        let event = Event { session: session.to_owned(), by: self.me, what };
        // Strings and numbers alone.
        serde_json::to_string(&event).unwrap_or_default()
    }

    pub(super) fn hear(&self, push: PushInfo, gateway: &Gateway) {
        let Some(message) = Msg::from_push_info(push) else { return };
        match serde_json::from_slice::<Event>(message.get_payload_bytes()) {
            Ok(event) if event.by == self.me => {}
            Ok(event) => gateway.sessions.heard(event),
            // A pod of another version may say what this one does not know.
            Err(error) => warn!(%error, "another pod said something that is not understood"),
        }
    }
}
