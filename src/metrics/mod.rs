//! What the operator measures, in Prometheus' form.
//!
//! Labels come from enums alone, never from names or messages, so the number of series is fixed. What some part already
//! knows (how long a queue is, when a certificate ends) is asked for at each scrape rather than copied at each change.

mod at_scrape;
mod process;

use std::fmt;
use std::time::Duration;

use mcp_crds::kind::Kind;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::lease::Leadership;
use crate::queue::{Depth, Key, WorkQueue};

pub use at_scrape::{gauge_at_scrape, gauges_at_scrape};

/// The prefix of every family but those of the process.
const PREFIX: &str = "mcp_operator";

/// What `/metrics` answers with its text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// There is nothing more to do, also where an object is wrong: then its status says so.
    Success,
    /// Something is on its way, as pods that start.
    Waiting,
    /// Something that goes away by itself failed.
    Error,
    /// The pass panicked.
    Panic,
    /// Leadership ended while the pass ran.
    NotLeading,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Success, Self::Waiting, Self::Error, Self::Panic, Self::NotLeading];
}

/// One of the certificates that the webhook's TLS needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certificate {
    /// What signs the leaf.
    Ca,
    /// What the webhook presents.
    Leaf,
}

/// Where a queue's keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Waiting {
    Ready,
    Delayed,
    Running,
}

/// Label values are what these say.
macro_rules! label_values {
    ($($label:ident { $($variant:ident => $value:literal),+ $(,)? })+) => {$(
        impl EncodeLabelValue for $label {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                EncodeLabelValue::encode(&match self { $(Self::$variant => $value),+ }, encoder)
            }
        }
    )+};
}

label_values! {
    Outcome {
        Success => "success",
        Waiting => "waiting",
        Error => "error",
        Panic => "panic",
        NotLeading => "not_leading",
    }
    Certificate { Ca => "ca", Leaf => "leaf" }
    Waiting { Ready => "ready", Delayed => "delayed", Running => "running" }
}

/// The kind as a manifest says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct KindName(Kind);

impl EncodeLabelValue for KindName {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.0.as_str(), encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: KindName,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    kind: KindName,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabel {
    certificate: Certificate,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WaitingLabel {
    state: Waiting,
}

/// The counts of passes. Clones count together.
#[derive(Clone, Debug)]
pub struct Reconciles {
    passes: Family<PassLabels, Counter>,
    durations: Family<KindLabel, Histogram, fn() -> Histogram>,
}

impl Reconciles {
    fn register(registry: &mut Registry) -> Self {
        let passes = Family::<PassLabels, Counter>::default();
        for kind in Kind::ALL {
            for outcome in Outcome::ALL {
                // Present from the start, so that the first failure is an increase and not a new series.
                drop(passes.get_or_create(&PassLabels { kind: KindName(kind), outcome }));
            }
        }
        let durations = Family::new_with_constructor(pass_durations as fn() -> Histogram);
        registry.register(
            "reconciles",
            "Passes over an object, by its kind and their outcome",
            passes.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "How long passes took, by the kind of object",
            Unit::Seconds,
            durations.clone(),
        );
        Self { passes, durations }
    }

    /// Counts a pass over an object of `kind`.
    pub fn observe(&self, kind: Kind, outcome: Outcome, took: Duration) {
        self.passes.get_or_create(&PassLabels { kind: KindName(kind), outcome }).inc();
        self.durations.get_or_create(&KindLabel { kind: KindName(kind) }).observe(took.as_secs_f64());
    }
}

/// From a pass that finds nothing to do to one that waits for a slow API server.
fn pass_durations() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

/// All families, and the means to add what other parts know.
///
/// Parts are added while the process is put together; what is left is a [`Scrape`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Reconciles,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The families that need no other part: of passes, of the build, and of the process.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let reconciles = Reconciles::register(&mut registry);
        let build = [("version", crate::VERSION), ("commit", crate::COMMIT)];
        registry.register("build", "What was built", Info::new(build.to_vec()));
        Self { registry, reconciles }
    }

    /// The counts of passes.
    #[must_use]
    pub fn reconciles(&self) -> Reconciles {
        self.reconciles.clone()
    }

    /// Where another part registers families of its own: the webhook, for one. Their names get the operator's prefix.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Measures how many keys the queue holds.
    pub fn watch_queue<K: Key>(&mut self, queue: WorkQueue<K>) {
        let depth = move || {
            let Depth { ready, delayed, running } = queue.depth();
            [(Waiting::Ready, ready), (Waiting::Delayed, delayed), (Waiting::Running, running)]
                .map(|(state, keys)| (WaitingLabel { state }, count(keys)))
                .to_vec()
        };
        let help = "Objects that are due for a pass, will be due later, or whose pass runs";
        gauges_at_scrape(&mut self.registry, "queue_depth", help, None, depth);
    }

    /// Measures whether this replica writes.
    pub fn watch_leadership(&mut self, leadership: Leadership) {
        let leads = move || if leadership.is_held() { 1.0 } else { 0.0 };
        gauge_at_scrape(&mut self.registry, "leader", "1 on the replica that writes, 0 on others", leads);
    }

    /// Measures how many objects of each kind the catalog holds.
    pub fn watch_catalog(&mut self, objects: impl Fn(Kind) -> usize + Send + Sync + 'static) {
        let objects = by_kind(objects);
        gauges_at_scrape(
            &mut self.registry,
            "catalog_objects",
            "Objects that the catalog holds",
            None,
            objects,
        );
    }

    /// Measures how many objects of each kind are in conflict with another.
    pub fn watch_conflicts(&mut self, conflicts: impl Fn(Kind) -> usize + Send + Sync + 'static) {
        let help = "Objects that lost a conflict with an older one";
        gauges_at_scrape(&mut self.registry, "conflicts", help, None, by_kind(conflicts));
    }

    /// Measures how long certificates are valid for. `not_after` says until when, in seconds since the epoch, where it
    /// is known; `now` is the same for the present.
    pub fn watch_certificates(
        &mut self,
        not_after: impl Fn(Certificate) -> Option<i64> + Send + Sync + 'static,
        now: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        let expiry = move || {
            let now = now();
            let left = |certificate| {
                #[expect(clippy::cast_precision_loss, reason = "seconds are exact for 285 million years")]
                let seconds = not_after(certificate)?.saturating_sub(now) as f64;
                Some((CertificateLabel { certificate }, seconds))
            };
            [Certificate::Ca, Certificate::Leaf].into_iter().filter_map(left).collect()
        };
        let help = "Time until the certificate expires, negative once it has";
        gauges_at_scrape(&mut self.registry, "certificate_expiry", help, Some(Unit::Seconds), expiry);
    }

    /// What `/metrics` answers from. Nothing can be added to it.
    #[must_use]
    pub fn into_scrape(self) -> Scrape {
        // Outside the prefix: the names are the same for any process.
        let mut process = Registry::default();
        process::register(&mut process);
        Scrape { operator: self.registry, process }
    }
}

fn by_kind(
    of: impl Fn(Kind) -> usize + Send + Sync + 'static,
) -> impl Fn() -> Vec<(KindLabel, f64)> + Send + Sync + 'static {
    move || Kind::ALL.map(|kind| (KindLabel { kind: KindName(kind) }, count(of(kind)))).to_vec()
}

#[expect(clippy::cast_precision_loss, reason = "counts of objects are far below 2^53")]
fn count(items: usize) -> f64 {
    items as f64
}

/// Every family, ready to be written out.
#[derive(Debug)]
pub struct Scrape {
    operator: Registry,
    process: Registry,
}

impl Scrape {
    /// The text of one scrape, in OpenMetrics' form.
    ///
    /// # Errors
    /// Where a value cannot be written, which no value of these families is known to be.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode_registry(&mut text, &self.operator)?;
        text::encode_registry(&mut text, &self.process)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
