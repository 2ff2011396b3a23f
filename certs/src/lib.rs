//! Issues, rotates, publishes and serves the certificate of a Kubernetes admission webhook.
//!
//! One Secret holds a leaf and the CAs that are to be trusted. Every replica [follows](follow) it through a watch into a
//! [`CertResolver`], which serves it to the next handshake. Where the operator issues for itself, every replica also
//! runs a [`Rotator`], which keeps the Secret good and both webhook configurations trusting it; where cert-manager
//! issues, following is all.
//!
//! What decides ([`rotation`], [`SigningCa`]) takes time as a parameter and does no I/O; what does I/O decides nothing.
//!
//! The law that [`rotation`] keeps: from a healthy state on, whatever crashes between two steps and however many
//! replicas rotate at once, the `caBundle` that an API server holds, even one that is out of date by the propagation
//! wait, verifies the leaf that a replica serves, even one that is out of date by as much.
//!
//! ```no_run
//! # async fn run(client: kube::Client, leading: tokio::sync::watch::Receiver<bool>) -> Result<(), Box<dyn std::error::Error>> {
//! let config = mcp_certs::Config {
//!     namespace: "mcp-operator-system".into(),
//!     secret: "mcp-operator-webhook-cert".into(),
//!     validating: Some("mcp-operator".into()),
//!     mutating: Some("mcp-operator".into()),
//!     policy: mcp_certs::Policy::new(mcp_certs::service_names("mcp-operator-webhook", "mcp-operator-system")?),
//! };
//! let resolver = mcp_certs::CertResolver::new();
//! let tls = mcp_certs::server_config(resolver.clone())?;
//! let (follower, served) = mcp_certs::follow(client.clone(), &config.namespace, &config.secret, resolver);
//! let (rotator, rotation) = mcp_certs::Rotator::new(client, config, leading)?;
//! tokio::select! {
//!     ended = follower.run() => ended?,
//!     ended = rotator.run() => ended?,
//! };
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bundle;
mod certificate;
mod config;
mod contents;
mod follow;
mod issuer;
mod leaf;
mod pace;
mod resolver;
mod rotate;
pub mod rotation;
mod store;
mod trust;

pub use bundle::{BundleError, ConfigurationKind, ReadConfiguration, WebhookConfigurations};
pub use certificate::Certificate;
pub use config::{Config, ConfigError, MAX_LIFETIME, MIN_LIFETIME, Policy, service_names};
pub use contents::Contents;
pub use follow::{FollowError, Follower, Served, follow};
pub use issuer::{IssueError, IssuedLeaf, SigningCa};
pub use leaf::{Leaf, LeafError};
pub use resolver::{CertResolver, server_config};
pub use rotate::{Next, PassError, RotateError, RotationState, Rotator};
pub use store::{FIELD_MANAGER, Outcome, SecretStore, StoreError, StoredSecret};
pub use trust::{CaBundle, MAX_CAS};
