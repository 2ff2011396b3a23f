//! What is counted.

use std::time::Duration;

use mcp_crds::kind::Kind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Counters of the admission webhooks. Clones count together.
///
/// Labels come from fixed sets: nothing that a request brings becomes one.
#[derive(Debug, Clone)]
pub struct Metrics {
    reviews: Family<ReviewLabels, Counter>,
    duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
}

/// The labels of one review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReviewLabels {
    /// `mutating` or `validating`.
    pub(crate) webhook: &'static str,
    /// One of our kinds, `Scale` or `other`.
    pub(crate) kind: &'static str,
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT` or `other`.
    pub(crate) operation: &'static str,
    /// `allowed`, `denied`, `failed` (a bug of ours), or `malformed` (no review at all).
    pub(crate) verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    webhook: &'static str,
    kind: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        // 10 µs, which a small object takes, to 2.6 s, of the 5 s that the API server waits.
        let histogram = || Histogram::new(exponential_buckets(10e-6, 4.0, 10));
        let reviews = Family::<ReviewLabels, Counter>::default();
        // Present from the start, so that the first failure is an increase and not a new series.
        for labels in failures() {
            drop(reviews.get_or_create(&labels));
        }
        Self { reviews, duration: Family::new_with_constructor(histogram) }
    }
}

/// The labels of every review that must not happen.
fn failures() -> impl Iterator<Item = ReviewLabels> {
    let webhooks = ["mutating", "validating"].into_iter();
    webhooks.flat_map(|webhook| {
        let malformed = ReviewLabels { webhook, kind: "other", operation: "other", verdict: "malformed" };
        let kinds = Kind::ALL.map(Kind::as_str).into_iter().chain(["Scale"]);
        let failed = kinds.flat_map(move |kind| {
            let of = move |operation| ReviewLabels { webhook, kind, operation, verdict: "failed" };
            ["CREATE", "UPDATE"].map(of)
        });
        failed.chain([malformed])
    })
}

impl Metrics {
    /// Registers `admission_reviews_total` and `admission_review_duration_seconds`, under the registry's own
    /// prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("admission_reviews", "Admission reviews answered", self.reviews.clone());
        registry.register_with_unit(
            "admission_review_duration",
            "Time from a review's whole body to its answer",
            Unit::Seconds,
            self.duration.clone(),
        );
    }

    pub(crate) fn record(&self, labels: ReviewLabels, took: Duration) {
        self.reviews.get_or_create(&labels).inc();
        let ReviewLabels { webhook, kind, .. } = labels;
        self.duration.get_or_create(&DurationLabels { webhook, kind }).observe(took.as_secs_f64());
    }
}
