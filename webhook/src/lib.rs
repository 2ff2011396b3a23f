//! The admission webhooks of mcp-operator: an HTTP service that answers `AdmissionReview`s, and the TLS server
//! that carries it.
//!
//! It has no Kubernetes client. A review is answered from the object, the stored object and the
//! [`Catalog`](mcp_crds::catalog::Catalog) in memory, so an answer never waits for the API server.
//!
//! * [`Admission`] decides; [`router`] serves it at [`MUTATE_PATH`] and [`VALIDATE_PATH`].
//! * [`serve`] accepts TLS connections and drains them.
//! * [`Metrics`] counts.
#![warn(missing_docs)]

mod answer;
mod body;
mod connection;
mod metrics;
mod mutate;
mod patch;
mod review;
mod scale;
mod server;
mod service;
mod status;
mod subject;
mod validate;

pub use metrics::Metrics;
pub use review::ReviewError;
pub use server::{Limits, ServeError, serve};
pub use service::{Admission, Clock, MUTATE_PATH, VALIDATE_PATH, Webhook, router};
