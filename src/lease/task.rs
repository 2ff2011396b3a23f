//! Carrying out what the [`Elector`] decides against the API server.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::field::display;
use tracing::{debug, info, warn};

use super::{Claim, Elector, Leadership, Lost, Settings, Step};

/// A turn makes at most this many requests: read, write, and after a conflict both once more.
const REQUESTS_PER_TURN: usize = 4;

/// The task that stands for election, holds the Lease, and gives it back.
#[derive(Debug)]
pub struct Candidate {
    api: Api<Lease>,
    settings: Settings,
    elector: Elector,
    claim: watch::Sender<Option<Claim>>,
    leading: watch::Sender<bool>,
    failures: u32,
}

/// Why a turn did not succeed.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error("the request failed")]
    Request(#[source] Box<kube::Error>),
    #[error("the request was not answered in time")]
    Unanswered,
}

/// A candidate for the Lease that `settings` names, and what writers ask.
#[must_use]
pub fn candidate(client: kube::Client, settings: Settings) -> (Candidate, Leadership) {
    let (claim, claims) = watch::channel(None);
    let (leading, leads) = watch::channel(false);
    let leadership = Leadership { me: settings.identity.clone(), claim: claims, leading: leads };
    let api = Api::namespaced(client, &settings.namespace);
    let elector = Elector::new(settings.clone());
    (Candidate { api, settings, elector, claim, leading, failures: 0 }, leadership)
}

impl Candidate {
    /// Stands for election until the process stops.
    ///
    /// From `stopping` on nothing is acquired that is not held. What is held is renewed until `writers_stopped`, then
    /// the Lease is vacated, so that another replica takes over at once.
    ///
    /// # Errors
    /// [`Lost`] where the Lease was held and is not any more: the process must end, as what it was about to write may
    /// already be another's to write.
    pub async fn run(
        mut self,
        stopping: impl Future<Output = ()>,
        writers_stopped: impl Future<Output = ()>,
    ) -> Result<(), Lost> {
        let mut stopping = pin!(stopping);
        let mut writers_stopped = pin!(writers_stopped);
        loop {
            let turn = self.turn().await;
            // Published before anything else: a claim that was lost must not be believed a moment longer.
            self.publish();
            self.report(turn)?;
            let rest = sleep(self.elector.rest(Instant::now(), rand::random()));
            tokio::select! {
                biased;
                () = &mut stopping, if self.elector.claim().is_none() => break,
                () = &mut writers_stopped => break,
                () = rest => {}
            }
        }
        self.vacate().await;
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), TurnError> {
        let begun = Instant::now();
        self.elector.begin_turn(begun)?;
        let mut deadline = begun + self.patience();
        if let Some(claim) = self.elector.claim() {
            deadline = deadline.min(claim.expires);
        }
        for _ in 0..REQUESTS_PER_TURN {
            let sent = Instant::now();
            let step = self.elector.step(sent, Timestamp::now());
            if matches!(step, Step::Rest) {
                break;
            }
            let answer = timeout_at(deadline, self.request(step)).await;
            let now = Instant::now();
            match answer {
                Ok(Ok(Answer::Read(lease))) => self.elector.read(lease, now)?,
                Ok(Ok(Answer::Written(lease))) => self.elector.wrote(lease, sent, now),
                Ok(Ok(Answer::Stale)) => self.elector.failed(),
                Ok(Err(error)) => {
                    self.elector.failed();
                    return Err(TurnError::Request(Box::new(error)));
                }
                Err(_) => {
                    self.elector.failed();
                    return Err(TurnError::Unanswered);
                }
            }
        }
        Ok(())
    }

    async fn request(&self, step: Step) -> Result<Answer, kube::Error> {
        let name = &self.settings.name;
        let params = PostParams::default();
        let (written, gone_is_stale) = match step {
            Step::Read | Step::Rest => return self.api.get_opt(name).await.map(Answer::Read),
            // Where a create finds nothing, it is the namespace that is missing.
            Step::Create(lease) => (self.api.create(&params, &lease).await, false),
            Step::Replace(lease) => (self.api.replace(name, &params, &lease).await, true),
        };
        match written {
            Ok(lease) => Ok(Answer::Written(lease)),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Answer::Stale),
            Err(kube::Error::Api(status)) if gone_is_stale && status.is_not_found() => Ok(Answer::Stale),
            Err(error) => Err(error),
        }
    }

    /// Leaves time for a second try before the claim runs out.
    fn patience(&self) -> Duration {
        self.settings.renew_deadline / 2
    }

    fn publish(&self) {
        let claim = self.elector.claim();
        let leads = claim.is_some();
        self.claim.send_if_modified(|published| {
            let changed = published.as_ref() != claim;
            *published = claim.cloned();
            changed
        });
        if self.leading.send_if_modified(|leading| std::mem::replace(leading, leads) != leads) {
            let Settings { name: lease, identity: holder, .. } = &self.settings;
            if leads {
                info!(%lease, %holder, "leading: this replica writes");
            } else {
                warn!(%lease, %holder, "no longer leading: this replica writes nothing");
            }
        }
    }

    /// Says what failed, less and less often while it goes on failing.
    fn report(&mut self, turn: Result<(), TurnError>) -> Result<(), Lost> {
        match turn {
            Ok(()) => {
                self.failures = 0;
                Ok(())
            }
            Err(TurnError::Lost(lost)) => Err(lost),
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let failures = self.failures;
                let source = std::error::Error::source(&error).map(display);
                if failures.is_power_of_two() {
                    warn!(%error, source, failures, lease = %self.settings.name, "the lease could not be read or written");
                } else {
                    debug!(%error, source, failures, lease = %self.settings.name, "the lease could not be read or written");
                }
                Ok(())
            }
        }
    }

    /// Empties the holder, if it is us. Where that fails, others wait for the lease duration, no worse.
    async fn vacate(mut self) {
        self.claim.send_replace(None);
        self.leading.send_replace(false);
        match timeout_at(Instant::now() + self.patience(), self.try_vacate()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, lease = %self.settings.name, "the lease could not be vacated");
            }
            Err(_) => warn!(lease = %self.settings.name, "the lease could not be vacated in time"),
        }
    }

    async fn try_vacate(&mut self) -> Result<(), kube::Error> {
        loop {
            let step = self.elector.vacate(Timestamp::now());
            if matches!(step, Step::Rest) {
                return Ok(());
            }
            match self.request(step).await? {
                // Without a claim there is none to lose.
                Answer::Read(lease) => drop(self.elector.read(lease, Instant::now())),
                Answer::Written(_) => {
                    info!(lease = %self.settings.name, "the lease is vacated");
                    return Ok(());
                }
                // Someone wrote it between our last look and now: look again.
                Answer::Stale => self.elector.failed(),
            }
        }
    }
}

enum Answer {
    Read(Option<Lease>),
    Written(Lease),
    /// The write met a Lease that is not the one that was read.
    Stale,
}

#[cfg(test)]
mod tests;
