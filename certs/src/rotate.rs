//! Carries out what [`crate::rotation`] decides, one step a pass.
//!
//! A pass reads the webhook configurations, then the Secret, decides, and makes at most one kind of write. Both
//! reads are of what the API server has stored, never of a cache, and every write names the version that was read. As
//! the configurations are read first, a replica can only publish what the Secret held later than that, so no replica
//! however slow can undo what another has published since. Passes are started by watches (somebody wiped a
//! `caBundle`, deleted the Secret, created a configuration), by the time a step names, and every few minutes anyway.
//!
//! Every replica runs this. Any of them creates the Secret, which only one can win, and fills a configuration that trusts
//! nobody yet, which takes trust from nobody, so that admission works before there is a leader. Everything else is for the one
//! that the writer gate lets through; the others keep measuring, so a new leader goes on where the last one stopped.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bundle::{BundleError, ReadConfiguration, WebhookConfigurations};
use crate::config::{Config, ConfigError, Policy};
use crate::contents::Contents;
use crate::issuer::IssueError;
use crate::pace::Pace;
use crate::rotation::{Change, Configured, Observation, Steadiness, Step, decide, is_trusted_everywhere};
use crate::store::{Outcome, SecretStore, StoreError, StoredSecret};
use crate::trust::CaBundle;

/// The longest time between two passes. Watches see changes at once; this is for what they may miss.
const RESYNC: Duration = Duration::from_secs(5 * 60);

/// The longest time a pass may take, as a request has no end of its own.
const PASS_TIMEOUT: Duration = Duration::from_secs(30);

/// Keeps the certificate and who trusts it. Made by [`Rotator::new`], driven by [`Rotator::run`].
pub struct Rotator {
    client: Client,
    config: Config,
    store: SecretStore,
    configurations: WebhookConfigurations,
    writer: watch::Receiver<bool>,
    state: watch::Sender<RotationState>,
    steadiness: Steadiness,
    started: Instant,
}

/// How far the rotation is, as this replica sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationState {
    /// Whether every webhook exists and accepts the leaf in the Secret. Stays true through a rotation.
    pub trusted: bool,
    /// The configurations that do not exist, as `KIND/NAME`.
    pub missing: Vec<String>,
    /// Why the last pass failed, if it did.
    pub problem: Option<String>,
}

/// What follows a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Something was written; look again.
    Wrote,
    /// Somebody else wrote first; look again.
    Contended,
    /// Nothing to do for so long, unless something changes.
    After(Duration),
}

impl Rotator {
    /// Prepares the rotation. `writer` is true while this replica may write, that is while it leads.
    ///
    /// # Errors
    /// [`ConfigError`] where the policy could never settle.
    pub fn new(
        client: Client,
        config: Config,
        writer: watch::Receiver<bool>,
    ) -> Result<(Self, watch::Receiver<RotationState>), ConfigError> {
        config.policy.validate()?;
        let (state, seen) = watch::channel(RotationState::default());
        let rotator = Self {
            store: SecretStore::new(client.clone(), &config.namespace, &config.secret),
            configurations: WebhookConfigurations::new(&client, &config),
            client,
            config,
            writer,
            state,
            steadiness: Steadiness::default(),
            started: Instant::now(),
        };
        Ok((rotator, seen))
    }

    /// Rotates until the process ends. Trouble with the API server is logged and outlived.
    ///
    /// # Errors
    /// [`RotateError`] if a watch, which has no end, ends, or nobody is left who opens the writer gate.
    pub async fn run(mut self) -> Result<Infallible, RotateError> {
        let mut changes = pin!(changes(&self.client, &self.config));
        let mut pace = Pace::default();
        loop {
            let pass = tokio::time::timeout(PASS_TIMEOUT, self.pass(Timestamp::now())).await;
            let pause = match pass.unwrap_or(Err(PassError::Timeout)) {
                Ok(next) => {
                    self.report(|state| state.problem = None);
                    match next {
                        Next::Wrote => pace.wrote(self.started.elapsed()),
                        Next::Contended => pace.failed(),
                        Next::After(pause) => {
                            pace.succeeded();
                            self.idle(pause, &mut changes).await?;
                            continue;
                        }
                    }
                }
                Err(error) => {
                    let problem = with_sources(&error);
                    tracing::warn!(error = problem, "certificate pass failed");
                    self.report(|state| state.problem = Some(problem.clone()));
                    pace.failed()
                }
            };
            // Changes are not listened to here, so that a fight with somebody else stays a slow one.
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks at the cluster and takes one step. [`Self::run`] is this in a loop.
    ///
    /// # Errors
    /// [`PassError`] where a request fails; the next pass starts from what is there then.
    pub async fn pass(&mut self, now: Timestamp) -> Result<Next, PassError> {
        let configurations = self.configurations.read().await?;
        let stored = self.store.read().await?;
        let seen = Observation {
            secret: stored.as_ref().map(StoredSecret::contents),
            configured: configurations.iter().map(|one| one.configured().clone()).collect(),
        };
        let steady_for = self.steadiness.observe(&seen, self.started.elapsed());
        self.note(&configurations, is_trusted_everywhere(&self.config.policy, &seen, now));

        match decide(&self.config.policy, &seen, steady_for, now) {
            Step::Write(change) => self.write(&change, stored.as_ref(), now).await,
            Step::Publish(bundle) => self.publish(&bundle, &configurations).await,
            Step::Wait(rest) => Ok(Next::After(rest.min(RESYNC))),
            Step::Idle { until } => {
                let rest = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                Ok(Next::After(rest.min(RESYNC)))
            }
        }
    }

    async fn write(
        &self,
        change: &Change,
        stored: Option<&StoredSecret>,
        now: Timestamp,
    ) -> Result<Next, PassError> {
        let policy: &Policy = &self.config.policy;
        let outcome = match stored {
            None => self.store.create(&change.apply(&Contents::default(), policy, now)?).await?,
            Some(_) if !self.may_write() => return Ok(Next::After(RESYNC)),
            Some(stored) => {
                let after = change.apply(&stored.contents(), policy, now)?;
                self.store.update(stored, &after).await?
            }
        };
        Ok(self.conclude(outcome, change.name()))
    }

    async fn publish(&self, bundle: &CaBundle, all: &[ReadConfiguration]) -> Result<Next, PassError> {
        let mut outcomes = Vec::new();
        let mut is_left_out = false;
        for seen in all.iter().filter(|seen| !seen.configured().has_only(bundle)) {
            if self.may_write() || seen.configured().trusts_nobody() {
                outcomes.push(self.configurations.fill(seen, bundle).await?);
            } else {
                is_left_out = true;
            }
        }
        if outcomes.is_empty() && is_left_out {
            return Ok(Next::After(RESYNC));
        }
        let all_written = outcomes.iter().all(|outcome| *outcome == Outcome::Written);
        Ok(self.conclude(if all_written { Outcome::Written } else { Outcome::Changed }, "publish"))
    }

    fn conclude(&self, outcome: Outcome, step: &'static str) -> Next {
        match outcome {
            Outcome::Written => {
                tracing::info!(step, secret = self.config.secret, "certificate step done");
                Next::Wrote
            }
            Outcome::Changed => {
                tracing::debug!(step, secret = self.config.secret, "somebody else was faster");
                Next::Contended
            }
        }
    }

    fn may_write(&self) -> bool {
        *self.writer.borrow()
    }

    /// Waits for the time, a change of what passes look at, or a change of the writer gate.
    async fn idle(
        &mut self,
        pause: Duration,
        changes: &mut (impl Stream<Item = ()> + Unpin),
    ) -> Result<(), RotateError> {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            change = changes.next() => change.ok_or(RotateError::WatchEnded)?,
            gate = self.writer.changed() => gate.map_err(|_| RotateError::GateGone)?,
        }
        // One pass answers all changes that are known by now.
        while changes.next().now_or_never().flatten().is_some() {}
        Ok(())
    }

    fn note(&self, configurations: &[ReadConfiguration], trusted: bool) {
        let missing: Vec<String> = configurations
            .iter()
            .filter(|one| *one.configured() == Configured::Missing)
            .map(ToString::to_string)
            .collect();
        self.report(|state| {
            if state.missing != missing && !missing.is_empty() {
                tracing::info!(?missing, "webhook configurations do not exist yet");
            }
            (state.trusted, state.missing) = (trusted, missing.clone());
        });
    }

    fn report(&self, change: impl Fn(&mut RotationState)) {
        self.state.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }
}

impl std::fmt::Debug for Rotator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rotator").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Something that passes look at may have changed. Metadata is enough to know that, and holds no key.
fn changes(client: &Client, config: &Config) -> impl Stream<Item = ()> + Send + Unpin + use<> {
    let secret = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), &config.namespace);
    let mut all = vec![changes_of(secret, &config.secret).boxed()];
    if let Some(name) = &config.validating {
        let api = Api::<PartialObjectMeta<ValidatingWebhookConfiguration>>::all(client.clone());
        all.push(changes_of(api, name).boxed());
    }
    if let Some(name) = &config.mutating {
        let api = Api::<PartialObjectMeta<MutatingWebhookConfiguration>>::all(client.clone());
        all.push(changes_of(api, name).boxed());
    }
    // Ends with the first to end: a rotation that has gone blind on one side must not look alive.
    let ends =
        |one: stream::BoxStream<'static, ()>| one.map(Some).chain(stream::once(async { None })).boxed();
    stream::select_all(all.into_iter().map(ends))
        .take_while(|change| std::future::ready(change.is_some()))
        .map(drop)
        .boxed()
}

fn changes_of<K>(api: Api<K>, name: &str) -> impl Stream<Item = ()> + Send + use<K>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, only).default_backoff().filter_map(async |event| match event {
        Ok(Event::Init | Event::InitApply(_)) => None,
        Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => Some(()),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "watch for the certificate failed");
            None
        }
    })
}

/// The error and what caused it, in a line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        // What the API server says is a sentence; kube would show all of its `Status`, twice.
        if let Some(kube::Error::Api(status)) = error.downcast_ref() {
            line.push_str(&status.message);
            break;
        }
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}

/// Why a pass failed. The next one starts anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// The Secret could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A webhook configuration could not be read or filled.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Nothing could be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The API server did not answer in time.
    #[error("api server did not answer within {PASS_TIMEOUT:?}")]
    Timeout,
}

/// Why rotating ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// A watch ended, which it never does by itself.
    #[error("watch for the certificate ended")]
    WatchEnded,
    /// The sender of the writer gate is gone.
    #[error("writer gate is gone")]
    GateGone,
}
