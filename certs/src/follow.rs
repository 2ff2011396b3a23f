//! Follows the Secret through a watch and serves what it holds.
//!
//! This is the only way a certificate gets to a listener, whoever issued it: on the replica that rotates, on the
//! others, and where cert-manager issues.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::watch;

use crate::resolver::CertResolver;
use crate::store;
use crate::trust::CaBundle;

/// Follows one Secret. Made by [`follow`], driven by [`Follower::run`].
#[derive(Debug)]
pub struct Follower {
    api: Api<Secret>,
    name: String,
    resolver: Arc<CertResolver>,
    served: watch::Sender<Served>,
}

/// What a replica serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Until when the certificate in use is valid; `None` while there is none.
    pub not_after: Option<Timestamp>,
    /// The CAs that came with it. Empty where the Secret has no `ca.crt`.
    pub ca_bundle: CaBundle,
    /// Why the Secret's present content is not what is served, if so.
    pub problem: Option<String>,
}

impl Served {
    /// Whether handshakes get a certificate, expired or not.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.not_after.is_some()
    }
}

/// Follows the Secret of that name into `resolver`, and says what is served.
#[must_use]
pub fn follow(
    client: Client,
    namespace: &str,
    name: &str,
    resolver: Arc<CertResolver>,
) -> (Follower, watch::Receiver<Served>) {
    let (served, state) = watch::channel(Served::default());
    let api = Api::namespaced(client, namespace);
    (Follower { api, name: name.to_owned(), resolver, served }, state)
}

impl Follower {
    /// Follows until the process ends. Trouble with the API server is logged and outlived.
    ///
    /// # Errors
    /// [`FollowError`] if the watch, which has no end, ends.
    pub async fn run(self) -> Result<Infallible, FollowError> {
        let only = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut events = pin!(watcher(self.api.clone(), only).default_backoff().into_stream());
        let mut found = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => found = false,
                Ok(Event::InitApply(secret) | Event::Apply(secret)) => {
                    found = true;
                    self.take(&secret, Timestamp::now());
                }
                Ok(Event::InitDone) if found => {}
                Ok(Event::InitDone | Event::Delete(_)) => self.report("secret does not exist".to_owned()),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "watch of the secret failed")
                }
            }
        }
        Err(FollowError::Ended)
    }

    /// Serves what the Secret holds, or keeps what is served.
    fn take(&self, secret: &Secret, now: Timestamp) {
        let contents = store::contents(secret);
        match self.resolver.load(&contents.tls_crt, &contents.tls_key, now) {
            Ok(certificate) => {
                let served = Served {
                    not_after: Some(certificate.not_after()),
                    ca_bundle: CaBundle::from_pem(&contents.ca_crt),
                    problem: None,
                };
                if self.served.send_if_modified(|state| std::mem::replace(state, served.clone()) != served) {
                    tracing::info!(not_after = %certificate.not_after(), "certificate loaded");
                }
            }
            Err(error) => self.report(error.to_string()),
        }
    }

    fn report(&self, problem: String) {
        let changed = self.served.send_if_modified(|state| {
            let changed = state.problem.as_ref() != Some(&problem);
            state.problem = Some(problem.clone());
            changed
        });
        if changed {
            tracing::warn!(problem, "certificate not loaded, keeping the one in use if any");
        }
    }
}

/// Why following ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The watch ended, which it never does by itself.
    #[error("watch of the secret ended")]
    Ended,
}
