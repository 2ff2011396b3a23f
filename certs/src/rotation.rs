//! Decides what to do next about the certificate, from what is seen and nothing else.
//!
//! All state is in the Secret, and what it holds *is* the state; there is no phase to get out of step with it:
//!
//! | `ca.crt` | the leaf's issuer | what is going on |
//! |---|---|---|
//! | one CA | that CA | nothing, until the leaf or the CA is due |
//! | old, new | old | the new CA is being published; after the wait, the leaf is switched |
//! | old, new | new | the leaf has been switched; after the wait, the old CA is dropped |
//!
//! `ca.key` is kept beside them, and signs for the last CA of `ca.crt`: so a leaf that is due, lost, or made for other
//! names is replaced in one write that nobody has to wait for. When that CA cannot sign (two thirds of its life are
//! over, or its key is missing or another's), a new one is added and its key takes the place. Everything that can be
//! wrong with a Secret comes down to "no leaf that anybody accepts", "no CA that can sign", or both.
//!
//! Waits are measured by [`Steadiness`] and not by wall clocks: a wait is over when one process has seen the same
//! state for so long. A crash or another leader starts it again, which only makes it longer.

use std::time::Duration;

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::config::Policy;
use crate::contents::Contents;
use crate::issuer::{IssueError, SigningCa};
use crate::leaf::Leaf;
use crate::trust::CaBundle;

/// What is seen of the cluster in one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The Secret, `None` where there is none.
    pub secret: Option<Contents>,
    /// Each webhook configuration.
    pub configured: Vec<Configured>,
}

/// What is seen of one webhook configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configured {
    /// It does not exist, so nobody calls through it.
    Missing,
    /// The `caBundle` of each webhook, empty where the key is absent.
    Bundles(Vec<Vec<u8>>),
}

impl Configured {
    /// The bundles, none where the configuration is missing.
    pub fn bundles(&self) -> impl Iterator<Item = &[u8]> {
        match self {
            Self::Missing => [].iter(),
            Self::Bundles(bundles) => bundles.iter(),
        }
        .map(Vec::as_slice)
    }

    /// Whether no webhook has a bundle yet, so that to fill them takes trust from nobody.
    #[must_use]
    pub fn trusts_nobody(&self) -> bool {
        self.bundles().all(<[u8]>::is_empty)
    }

    /// Whether nobody calls with another bundle than this.
    #[must_use]
    pub fn has_only(&self, bundle: &CaBundle) -> bool {
        self.bundles().all(|pem| CaBundle::from_pem(pem).holds_the_same(bundle))
    }
}

/// The one thing to do next. After it, the cluster is looked at anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One write of the Secret: a create where there is none, else an update of exactly what was seen.
    Write(Change),
    /// Fill the `caBundle` of every webhook that holds something else.
    Publish(CaBundle),
    /// Nothing until the rest of the propagation wait is over.
    Wait(Duration),
    /// Nothing until something is due.
    Idle {
        /// When the leaf or the CA is due.
        until: Timestamp,
    },
}

/// A change of the Secret's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A CA and a leaf at once, as nobody trusts any CA yet.
    Bootstrap,
    /// A new CA beside those that somebody may still need. The leaf stays what it is.
    StageCa {
        /// Every CA that the Secret or a webhook configuration holds.
        keep: CaBundle,
    },
    /// A new leaf, signed by the newest CA.
    SwitchLeaf,
    /// Only the leaf's issuer stays trusted.
    DropOldCa {
        /// That issuer.
        keep: Certificate,
    },
}

/// Decides the next step.
///
/// `steady_for` is for how long this process has seen `seen` unchanged, see [`Steadiness`].
#[must_use]
pub fn decide(policy: &Policy, seen: &Observation, steady_for: Duration, now: Timestamp) -> Step {
    let absent = Contents::default();
    let secret = seen.secret.as_ref().unwrap_or(&absent);
    let trusted = CaBundle::from_pem(&secret.ca_crt);
    let configured = seen.configured.iter().flat_map(Configured::bundles).map(CaBundle::from_pem);
    let elsewhere = configured.reduce(|all, bundle| all.union(&bundle)).unwrap_or_default();
    let published = seen.configured.iter().all(|configuration| configuration.has_only(&trusted));
    let rest = policy.propagation.saturating_sub(steady_for);

    let leaf = accepted_leaf(policy, secret, &trusted, now);
    // Where `ca.crt` alone was damaged, API servers still accept the leaf by what was published. A CA that is staged takes
    // that into `ca.crt` again; to publish what stands there would cut them off.
    let lost = leaf.is_none() && accepted_leaf(policy, secret, &elsewhere, now).is_some();
    let signer = signer(secret, &trusted, now).filter(|_| !lost);

    match (leaf, signer) {
        // Nothing can be signed. All CAs are kept, even those that look useless: the clock may be wrong, and a replica
        // may still serve a leaf that the Secret no longer shows.
        (leaf, None) => {
            let keep = elsewhere.union(&trusted);
            if leaf.is_none() && keep.is_empty() {
                Step::Write(Change::Bootstrap)
            } else {
                Step::Write(Change::StageCa { keep })
            }
        }
        // Who accepts the old leaf accepts the next of the same CA, so no webhook configuration is looked at, and
        // trouble with them does not keep a leaf from being renewed.
        (Some((leaf, issuer)), Some(signer)) if issuer == signer && !leaf.is_fresh_at(now) => {
            Step::Write(Change::SwitchLeaf)
        }
        (_, Some(_)) if !published => Step::Publish(trusted),
        // Nobody accepts the leaf, so there is nobody whom a wait would spare.
        (None, Some(_)) => Step::Write(Change::SwitchLeaf),
        // Two CAs: one is about to sign, or the other no longer does. Both ways everybody has to have followed.
        (Some((_, issuer)), Some(signer)) if (issuer != signer || trusted.len() > 1) && !rest.is_zero() => {
            Step::Wait(rest)
        }
        (Some((_, issuer)), Some(signer)) if issuer != signer => Step::Write(Change::SwitchLeaf),
        (Some((_, issuer)), Some(_)) if trusted.len() > 1 => {
            Step::Write(Change::DropOldCa { keep: issuer.clone() })
        }
        (Some((leaf, issuer)), Some(_)) => Step::Idle { until: leaf.due_at().min(issuer.due_at()) },
    }
}

impl Change {
    /// What the Secret holds after the change. Time is a parameter, keys and serial numbers are drawn.
    ///
    /// # Errors
    /// See [`IssueError`]; never for a change that [`decide`] just chose for `before`, unless the cryptography
    /// provider fails.
    pub fn apply(&self, before: &Contents, policy: &Policy, now: Timestamp) -> Result<Contents, IssueError> {
        let mut after = before.clone();
        let leaf_signer = match self {
            Self::Bootstrap => Some(stage(&mut after, CaBundle::default(), policy, now)?),
            Self::StageCa { keep } => {
                stage(&mut after, keep.clone(), policy, now)?;
                None
            }
            Self::SwitchLeaf => {
                let trusted = CaBundle::from_pem(&before.ca_crt);
                let newest = trusted.newest().cloned().ok_or(IssueError::NoCa)?;
                Some(SigningCa::from_parts(newest, &before.ca_key)?)
            }
            Self::DropOldCa { keep } => {
                after.ca_crt = CaBundle::of(keep.clone()).to_pem();
                None
            }
        };
        if let Some(ca) = leaf_signer {
            let leaf = ca.issue_leaf(&policy.names, policy.leaf_lifetime, now)?;
            (after.tls_crt, after.tls_key) = (leaf.certificate, leaf.key);
        }
        Ok(after)
    }

    /// A short name for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::StageCa { .. } => "stage-ca",
            Self::SwitchLeaf => "switch-leaf",
            Self::DropOldCa { .. } => "drop-old-ca",
        }
    }
}

/// Whether every webhook exists and accepts the leaf in the Secret: what readiness asks.
///
/// It stays true through a rotation, as every step keeps it so.
#[must_use]
pub fn is_trusted_everywhere(policy: &Policy, seen: &Observation, now: Timestamp) -> bool {
    let Some(secret) = &seen.secret else { return false };
    let Ok(leaf) = Leaf::from_pem(&secret.tls_crt, &secret.tls_key) else { return false };
    let accepts = |pem: &[u8]| {
        CaBundle::from_pem(pem).iter().any(|ca| ca.vouches_for(leaf.chain(), &policy.names, now))
    };
    seen.configured.iter().all(|one| *one != Configured::Missing && one.bundles().all(accepts))
}

/// The leaf and its issuer, if they are what a client that trusts `ca.crt` accepts for every name.
fn accepted_leaf<'a>(
    policy: &Policy,
    secret: &Contents,
    trusted: &'a CaBundle,
    now: Timestamp,
) -> Option<(Certificate, &'a Certificate)> {
    let leaf = Leaf::from_pem(&secret.tls_crt, &secret.tls_key).ok()?;
    let issuer = trusted.iter().rev().find(|ca| ca.vouches_for(leaf.chain(), &policy.names, now))?;
    Some((leaf.certificate().clone(), issuer))
}

/// The newest CA, if its key is at hand and it is not due.
fn signer<'a>(secret: &Contents, trusted: &'a CaBundle, now: Timestamp) -> Option<&'a Certificate> {
    let newest = trusted.newest().filter(|ca| ca.is_fresh_at(now))?;
    SigningCa::from_parts(newest.clone(), &secret.ca_key).ok().map(|_| newest)
}

/// Adds a new CA as the one that signs next.
fn stage(
    contents: &mut Contents,
    mut trusted: CaBundle,
    policy: &Policy,
    now: Timestamp,
) -> Result<SigningCa, IssueError> {
    let ca = SigningCa::issue(policy.ca_lifetime, now)?;
    trusted.push(ca.certificate().clone());
    contents.ca_crt = trusted.to_pem();
    contents.ca_key = ca.key_pem();
    Ok(ca)
}

/// Measures for how long what a process sees has been the same, by that process' own monotonic clock.
///
/// Wall clocks jump and differ between nodes; a wait that is taken from a time in the Secret would be cut short by
/// that. What is lost in a crash is only the part of the wait that has passed.
#[derive(Debug, Default)]
pub struct Steadiness {
    seen: Option<(Fingerprint, Duration)>,
}

/// Everything a change of which starts the wait again. Private keys are not needed for that, so they are not kept.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    served_and_trusted: Option<(Vec<u8>, Vec<u8>)>,
    configured: Vec<Configured>,
}

impl Steadiness {
    /// Takes note of what is seen at `clock`, a reading of a monotonic clock, and says since when it is the same.
    pub fn observe(&mut self, seen: &Observation, clock: Duration) -> Duration {
        let fingerprint = Fingerprint {
            served_and_trusted: seen.secret.as_ref().map(|it| (it.tls_crt.clone(), it.ca_crt.clone())),
            configured: seen.configured.clone(),
        };
        match &self.seen {
            Some((before, since)) if *before == fingerprint => clock.saturating_sub(*since),
            _ => {
                self.seen = Some((fingerprint, clock));
                Duration::ZERO
            }
        }
    }
}
