//! Conditions: which there are, why they are as they are, and when they last flipped.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::pods::Trouble;

/// How long a message may be, in bytes; the API allows 32768, and a person reads less.
const MAX_MESSAGE: usize = 4096;

/// The conditions that passes write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    // In the order in which they stand in a status.
    Ready,
    DeploymentReady,
    ServiceReady,
    IngressReady,
    RedisReady,
    ConfigurationValid,
    ProbeSucceeded,
    Accepted,
    ServiceResolved,
    CredentialsResolved,
}

impl Type {
    const ALL: [Self; 10] = [
        Self::Ready,
        Self::DeploymentReady,
        Self::ServiceReady,
        Self::IngressReady,
        Self::RedisReady,
        Self::ConfigurationValid,
        Self::ProbeSucceeded,
        Self::Accepted,
        Self::ServiceResolved,
        Self::CredentialsResolved,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::DeploymentReady => "DeploymentReady",
            Self::ServiceReady => "ServiceReady",
            Self::IngressReady => "IngressReady",
            Self::RedisReady => "RedisReady",
            Self::ConfigurationValid => "ConfigurationValid",
            Self::ProbeSucceeded => "ProbeSucceeded",
            Self::Accepted => "Accepted",
            Self::ServiceResolved => "ServiceResolved",
            Self::CredentialsResolved => "CredentialsResolved",
        }
    }
}

/// Of stored conditions those that passes write, in the order in which they write them.
pub(super) fn own(stored: Vec<Condition>) -> Vec<Condition> {
    let place = |condition: &Condition| Type::ALL.iter().position(|known| known.as_str() == condition.type_);
    let mut own: Vec<_> = stored.into_iter().filter(|condition| place(condition).is_some()).collect();
    own.sort_by_key(place);
    own
}

/// Why a condition is as it is: a fixed set, which programs may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// An object is offered by every server that selects it.
    Accepted,
    /// The Ingress has an address.
    AddressAssigned,
    /// No ingress controller has given the Ingress an address.
    AddressPending,
    /// The server answers as an MCP server does.
    Answered,
    /// Enough pods are available.
    Available,
    /// The bridge that carries a stdio server's messages over HTTP is not there.
    BridgeNotAvailable,
    /// What the server selects is more than a ConfigMap holds.
    CatalogTooLarge,
    /// Redis answers the pods.
    Connected,
    /// The owner of a Secret that the object names has not consented to its being sent.
    ConsentMissing,
    /// What the container is configured from is not there, or contradicts itself.
    ContainerConfigError,
    /// The process cannot be started.
    ContainerStartFailed,
    /// A child is there as it should be.
    Created,
    /// A child that is no longer asked for was deleted.
    Deleted,
    /// Redis does not answer every pod.
    Disconnected,
    /// Something older on the same server has the name.
    DuplicateName,
    /// The API server forbids it: permissions, a policy, or a quota.
    Forbidden,
    /// A container that somebody else has added to the pods does not come up.
    ForeignContainerFailed,
    /// The image cannot be pulled.
    ImagePullFailed,
    /// The object breaks a rule.
    Invalid,
    /// The image's name is none.
    InvalidImageName,
    /// A JSON Schema of the tool breaks a rule.
    InvalidSchema,
    /// What the gateways of a server that is being deleted have kept in Redis cannot be removed.
    KeysNotRemoved,
    /// Somebody else's object has the name of a child.
    NameTaken,
    /// The server took a request and never answered it.
    NoAnswer,
    /// There is no such child.
    NotCreated,
    /// The process used more memory than it may.
    OutOfMemory,
    /// The namespace's Pod Security Standard does not allow the pods.
    PodSecurityViolated,
    /// A probe fails.
    ProbeFailed,
    /// The process ended.
    ProcessEnded,
    /// The rollout took longer than the Deployment's deadline.
    ProgressDeadlineExceeded,
    /// Pods are being started.
    Progressing,
    /// A quota of the namespace does not allow the pods.
    QuotaExceeded,
    /// The API server does not take a child as it would be.
    Refused,
    /// Pods cannot be created.
    ReplicaFailure,
    /// Every Service, or Secret, that the object names is there.
    Resolved,
    /// The Deployment was told to have another number of pods.
    Scaled,
    /// No pods are wanted.
    ScaledToZero,
    /// A Service that the object names does not exist.
    ServiceNotFound,
    /// The object is being deleted.
    Terminating,
    /// No connection to the server came about.
    Unreachable,
    /// No node takes the pods.
    Unschedulable,
    /// The object keeps every rule.
    Valid,
    /// A volume cannot be mounted.
    VolumeNotMounted,
    /// The server answers, and not as an MCP server does.
    WrongAnswer,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 44] = [
        Self::Accepted,
        Self::AddressAssigned,
        Self::AddressPending,
        Self::Answered,
        Self::Available,
        Self::BridgeNotAvailable,
        Self::CatalogTooLarge,
        Self::Connected,
        Self::ConsentMissing,
        Self::ContainerConfigError,
        Self::ContainerStartFailed,
        Self::Created,
        Self::Deleted,
        Self::Disconnected,
        Self::DuplicateName,
        Self::Forbidden,
        Self::ForeignContainerFailed,
        Self::ImagePullFailed,
        Self::Invalid,
        Self::InvalidImageName,
        Self::InvalidSchema,
        Self::KeysNotRemoved,
        Self::NameTaken,
        Self::NoAnswer,
        Self::NotCreated,
        Self::OutOfMemory,
        Self::PodSecurityViolated,
        Self::ProbeFailed,
        Self::ProcessEnded,
        Self::ProgressDeadlineExceeded,
        Self::Progressing,
        Self::QuotaExceeded,
        Self::Refused,
        Self::ReplicaFailure,
        Self::Resolved,
        Self::Scaled,
        Self::ScaledToZero,
        Self::ServiceNotFound,
        Self::Terminating,
        Self::Unreachable,
        Self::Unschedulable,
        Self::Valid,
        Self::VolumeNotMounted,
        Self::WrongAnswer,
    ];

    /// The reason of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// As it stands in a condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::AddressAssigned => "AddressAssigned",
            Self::AddressPending => "AddressPending",
            Self::Answered => "Answered",
            Self::Available => "Available",
            Self::BridgeNotAvailable => "BridgeNotAvailable",
            Self::CatalogTooLarge => "CatalogTooLarge",
            Self::Connected => "Connected",
            Self::ConsentMissing => "ConsentMissing",
            Self::ContainerConfigError => "ContainerConfigError",
            Self::ContainerStartFailed => "ContainerStartFailed",
            Self::Created => "Created",
            Self::Deleted => "Deleted",
            Self::Disconnected => "Disconnected",
            Self::DuplicateName => "DuplicateName",
            Self::Forbidden => "Forbidden",
            Self::ForeignContainerFailed => "ForeignContainerFailed",
            Self::ImagePullFailed => "ImagePullFailed",
            Self::Invalid => "Invalid",
            Self::InvalidImageName => "InvalidImageName",
            Self::InvalidSchema => "InvalidSchema",
            Self::KeysNotRemoved => "KeysNotRemoved",
            Self::NameTaken => "NameTaken",
            Self::NoAnswer => "NoAnswer",
            Self::NotCreated => "NotCreated",
            Self::OutOfMemory => "OutOfMemory",
            Self::PodSecurityViolated => "PodSecurityViolated",
            Self::ProbeFailed => "ProbeFailed",
            Self::ProcessEnded => "ProcessEnded",
            Self::ProgressDeadlineExceeded => "ProgressDeadlineExceeded",
            Self::Progressing => "Progressing",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::Refused => "Refused",
            Self::ReplicaFailure => "ReplicaFailure",
            Self::Resolved => "Resolved",
            Self::Scaled => "Scaled",
            Self::ScaledToZero => "ScaledToZero",
            Self::ServiceNotFound => "ServiceNotFound",
            Self::Terminating => "Terminating",
            Self::Unreachable => "Unreachable",
            Self::Unschedulable => "Unschedulable",
            Self::Valid => "Valid",
            Self::VolumeNotMounted => "VolumeNotMounted",
            Self::WrongAnswer => "WrongAnswer",
        }
    }
}

impl From<&Trouble> for Reason {
    fn from(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Quota(_) => Self::QuotaExceeded,
            Trouble::PodSecurity(_) => Self::PodSecurityViolated,
            Trouble::NotCreated(_) => Self::ReplicaFailure,
            Trouble::ImageName => Self::InvalidImageName,
            Trouble::Image(_) => Self::ImagePullFailed,
            Trouble::Configuration(_) => Self::ContainerConfigError,
            Trouble::Volume(_) => Self::VolumeNotMounted,
            Trouble::Foreign { .. } => Self::ForeignContainerFailed,
            Trouble::Start(_) => Self::ContainerStartFailed,
            Trouble::Memory => Self::OutOfMemory,
            Trouble::Ended { .. } => Self::ProcessEnded,
            Trouble::Probe(_) => Self::ProbeFailed,
            Trouble::Unschedulable(_) => Self::Unschedulable,
        }
    }
}

/// What holds or does not hold, and why; not yet since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) holds: bool,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn yes(reason: Reason, message: impl Into<String>) -> Self {
        Self { holds: true, reason, message: message.into() }
    }

    pub(super) fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self { holds: false, reason, message: message.into() }
    }

    /// The condition of this verdict. The time is that of `before` unless the status flips.
    pub(super) fn condition(
        self,
        type_: Type,
        generation: i64,
        before: &[Condition],
        now: Timestamp,
    ) -> Condition {
        let status = if self.holds { "True" } else { "False" };
        let before = before.iter().find(|condition| condition.type_ == type_.as_str());
        let since =
            before.filter(|before| before.status == status).map(|before| before.last_transition_time.clone());
        Condition {
            type_: type_.as_str().to_owned(),
            status: status.to_owned(),
            reason: self.reason.as_str().to_owned(),
            message: cut(self.message),
            observed_generation: Some(generation),
            last_transition_time: since.unwrap_or_else(|| whole_seconds(now)),
        }
    }
}

/// A time as Kubernetes stores it, so that what is read back is equal to what was written.
pub(super) fn whole_seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let mut end = MAX_MESSAGE - '…'.len_utf8();
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_time_moves_only_when_the_status_flips() {
        let first = Verdict::no(Reason::Progressing, "0 of 1").condition(Type::Ready, 1, &[], at(10));
        assert_eq!(first.last_transition_time.0, at(10));
        let before = [first];
        let same = Verdict::no(Reason::ReplicaFailure, "quota").condition(Type::Ready, 2, &before, at(20));
        assert_eq!(same.last_transition_time.0, at(10));
        assert_eq!((same.reason.as_str(), same.observed_generation), ("ReplicaFailure", Some(2)));
        let flipped = Verdict::yes(Reason::Available, "1 of 1").condition(Type::Ready, 2, &before, at(20));
        assert_eq!(flipped.last_transition_time.0, at(20));
    }

    #[test]
    fn a_condition_reads_back_as_it_was_written() {
        let now = Timestamp::from_millisecond(1_234_567).unwrap();
        let written = Verdict::yes(Reason::Available, "").condition(Type::Ready, 1, &[], now);
        let read: Condition = serde_json::from_value(serde_json::to_value(&written).unwrap()).unwrap();
        assert_eq!(read, written);
    }

    #[test]
    fn every_reason_is_known_by_its_name() {
        for reason in [Reason::Answered, Reason::NoAnswer, Reason::Unreachable, Reason::WrongAnswer] {
            assert_eq!(Reason::from_name(reason.as_str()), Some(reason));
        }
        // As many as there are names.
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = cut("ä".repeat(MAX_MESSAGE));
        assert!(message.len() <= MAX_MESSAGE && message.ends_with("ä…"));
    }

    #[test]
    fn conditions_that_others_write_are_not_ours_and_ours_have_an_order() {
        let of = |type_| Verdict::yes(Reason::Valid, "").condition(type_, 1, &[], at(1));
        let other = Condition { type_: "Audited".to_owned(), ..of(Type::Ready) };
        let stored = vec![of(Type::ServiceReady), other, of(Type::Ready)];
        assert_eq!(own(stored), [of(Type::Ready), of(Type::ServiceReady)]);
    }
}
