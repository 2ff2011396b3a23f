//! Gauges whose values are asked for when they are scraped.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

/// Registers a gauge that `value` computes at each scrape.
pub fn gauge_at_scrape(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    value: impl Fn() -> f64 + Send + Sync + 'static,
) {
    let values: Values<NoLabelSet> = Box::new(move || vec![(None, value())]);
    registry.register_collector(Box::new(Gauges { name, help, unit: None, values }));
}

/// Registers a family of gauges that `values` computes at each scrape, one for each label set it names. `values` is
/// called on the server's task: it must be quick, and not block.
pub fn gauges_at_scrape<L: EncodeLabelSet + 'static>(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    values: impl Fn() -> Vec<(L, f64)> + Send + Sync + 'static,
) {
    let labelled = |(labels, value)| (Some(labels), value);
    let values: Values<L> = Box::new(move || values().into_iter().map(labelled).collect());
    registry.register_collector(Box::new(Gauges { name, help, unit, values }));
}

type Values<L> = Box<dyn Fn() -> Vec<(Option<L>, f64)> + Send + Sync>;

struct Gauges<L> {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    values: Values<L>,
}

impl<L> fmt::Debug for Gauges<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauges").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<L: EncodeLabelSet + 'static> Collector for Gauges<L> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let values = (self.values)();
        if values.is_empty() {
            return Ok(());
        }
        // A registry adds the full stop to its own helps, and leaves those of collectors alone.
        let help = format!("{}.", self.help);
        let mut family =
            encoder.encode_descriptor(self.name, &help, self.unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in &values {
            match labels {
                Some(labels) => family.encode_family(labels)?.encode_gauge(value)?,
                None => family.encode_gauge(value)?,
            }
        }
        Ok(())
    }
}
