//! The HTTP service: one path a webhook.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use mcp_crds::catalog::Catalog;
use mcp_crds::validate::Operation as Write;
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tracing::field::Empty;

use crate::answer::Answer;
use crate::body::{self, LARGE_BODY_BYTES};
use crate::metrics::{Metrics, ReviewLabels};
use crate::review::{Operation, Request, ReviewError};
use crate::status::{Named, Status};
use crate::subject::{Reading, Subject, Target, named};
use crate::{mutate, scale, validate};

/// Where the mutating webhook is served.
pub const MUTATE_PATH: &str = "/mutate";
/// Where the validating webhook is served.
pub const VALIDATE_PATH: &str = "/validate";

/// How many large reviews are held and judged at once. They are rare, and each may take a hundred times a small
/// one's memory and time.
const LARGE_REVIEWS: usize = 4;

/// How long a name in a span may be; nothing longer names an object.
const MAX_SPAN_CHARS: usize = 253;

/// Which of the two webhooks is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Webhook {
    /// Defaults the object, and refuses it with every error.
    Mutating,
    /// Judges the object as it will be stored, and reserves its names.
    Validating,
}

impl Webhook {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mutating => "mutating",
            Self::Validating => "validating",
        }
    }
}

/// The clock that reservations live by.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Answers admission reviews.
pub struct Admission {
    catalog: Arc<RwLock<Catalog>>,
    metrics: Metrics,
    clock: Clock,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

impl Admission {
    /// Answers from this catalog, which the watches keep.
    #[must_use]
    pub fn new(catalog: Arc<RwLock<Catalog>>, metrics: Metrics, clock: Clock) -> Self {
        Self { catalog, metrics, clock }
    }

    /// Answers one review: from the JSON of the question to the JSON of the answer.
    ///
    /// Whatever a review holds, the answer is a review. A panic in a rule is answered with a denial that says
    /// that it is a bug of ours, because the alternative, a broken connection, would be retried and then
    /// refused by the API server without a word about the cause.
    ///
    /// # Errors
    /// Where the body is no review that could be answered.
    pub fn review(&self, webhook: Webhook, body: &[u8]) -> Result<Vec<u8>, ReviewError> {
        let started = Instant::now();
        let mut labels = ReviewLabels {
            webhook: webhook.as_str(),
            kind: "other",
            operation: "other",
            verdict: "malformed",
        };
        let result = self.answer(webhook, body, &mut labels);
        self.metrics.record(labels, started.elapsed());
        result
    }

    fn answer(
        &self,
        webhook: Webhook,
        body: &[u8],
        labels: &mut ReviewLabels,
    ) -> Result<Vec<u8>, ReviewError> {
        let request = Request::parse(body).inspect_err(|error| tracing::debug!(%error, "not a review"))?;
        let target = Target::of(&request);
        labels.kind = target.as_str();
        labels.operation = request.operation.map_or("other", Operation::as_str);
        let span = tracing::info_span!(
            "review",
            webhook = labels.webhook,
            uid = beginning(&request.uid),
            kind = labels.kind,
            operation = labels.operation,
            namespace = beginning(&request.namespace),
            object = beginning(&request.name),
            verdict = Empty,
        );
        let _entered = span.enter();

        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(webhook, target, &request)));
        labels.verdict = match &decided {
            Ok(Answer { refusal: None, .. }) => "allowed",
            Ok(_) => "denied",
            Err(_) => "failed",
        };
        span.record("verdict", labels.verdict);
        let answer = decided.unwrap_or_else(|panic| {
            tracing::error!(panic = panic_message(panic.as_ref()), "a rule panicked");
            Answer { refusal: Some(Status::bug(fallback_name(target, &request))), ..Answer::default() }
        });
        match &answer.refusal {
            Some(status) => tracing::info!(reason = beginning(status.message()), "refused"),
            None => {
                tracing::debug!(patched = answer.patch.is_some(), warnings = answer.warnings.len(), "allowed")
            }
        }
        answer.into_json(&request.uid).map_err(ReviewError::Answer)
    }

    fn decide(&self, webhook: Webhook, target: Target, request: &Request<'_>) -> Answer {
        if !request.malformed.is_empty() {
            return Answer::refused(fallback_name(target, request), &request.malformed);
        }
        let operation = match request.operation {
            Some(Operation::Create) => Write::Create,
            Some(Operation::Update) => Write::Update,
            // No rule is about these, and `None` is malformed.
            Some(Operation::Delete | Operation::Connect) | None => return Answer::allowed(),
        };
        let kind = match target {
            Target::Object(kind) => kind,
            Target::Scale => return scale::decide(request, &self.catalog.read()),
            Target::None => return Answer::allowed(),
        };
        let subject = match Subject::read(kind, operation, request) {
            Reading::Subject(subject) => subject,
            Reading::Answer(answer) => return answer,
        };
        let named = |subject: &Subject<'_>| named(kind, request, Some(&subject.object));
        let now = (self.clock)();
        match webhook {
            Webhook::Mutating => mutate::decide(subject, named, &self.catalog, now),
            Webhook::Validating => validate::decide(subject, named, &self.catalog, now),
        }
    }
}

/// What to call an object of which only the envelope is known.
fn fallback_name(target: Target, request: &Request<'_>) -> Named {
    match target {
        Target::Object(kind) => named(kind, request, None),
        Target::Scale => named(mcp_crds::kind::Kind::Server, request, None),
        Target::None => Named {
            group: request.kind.group.clone().into_owned().into(),
            kind: request.kind.kind.clone().into_owned().into(),
            name: request.name.clone().into_owned(),
        },
    }
}

fn beginning(text: &str) -> &str {
    text.char_indices().nth(MAX_SPAN_CHARS).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no message)")
}

/// The router of both webhooks.
///
/// A body that is no review is answered with 400, one over 16 MiB with 413, and a sentence; everything else with
/// 200 and a review.
pub fn router(admission: Admission) -> Router {
    let service = Arc::new(Service { admission, large: Arc::new(Semaphore::new(LARGE_REVIEWS)) });
    let handler = |webhook| {
        post(move |State(service): State<Arc<Service>>, request: HttpRequest| async move {
            service.handle(webhook, request).await
        })
    };
    Router::new()
        .route(MUTATE_PATH, handler(Webhook::Mutating))
        .route(VALIDATE_PATH, handler(Webhook::Validating))
        .with_state(service)
}

struct Service {
    admission: Admission,
    large: Arc<Semaphore>,
}

impl Service {
    async fn handle(self: Arc<Self>, webhook: Webhook, request: HttpRequest) -> Response {
        let body = match body::read(request.into_body(), &self.large).await {
            Ok(body) => body,
            Err(error) => return error.into_response(),
        };
        let body::Read { bytes, large } = body;
        if bytes.len() <= LARGE_BODY_BYTES {
            return self.reply(webhook, &bytes);
        }
        let service = Arc::clone(&self);
        let judged = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also where the client has gone meanwhile.
            let _permit = large;
            service.reply(webhook, &bytes)
        });
        match judged.await {
            Ok(response) => response,
            // Reviews do not panic: the runtime is being shut down.
            Err(_) => body::ReadError::GoingDown.into_response(),
        }
    }

    fn reply(&self, webhook: Webhook, body: &[u8]) -> Response {
        match self.admission.review(webhook, body) {
            Ok(json) => {
                let json_type = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, json_type)], Bytes::from(json)).into_response()
            }
            Err(error) => {
                let ours = matches!(error, ReviewError::Answer(_));
                let code = if ours { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
                (code, format!("{error}\n")).into_response()
            }
        }
    }
}
