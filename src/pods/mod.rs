//! The servers' pods, reduced on arrival to why they do not come up.
//!
//! Of a pod that is ready nothing is kept but that it is there. What goes wrong is read from the pod's own status; from
//! Events only what stands nowhere else. A server's passes are called when its trouble becomes another, and never by the
//! clock.

mod complaint;
mod detail;
mod standing;
mod trouble;
mod watch;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event, PodStatus};
use kube::api::ObjectMeta;
use mcp_crds::catalog::ObjectKey;
use mcp_crds::kind::Kind;
use mcp_crds::labels;
use parking_lot::RwLock;

use complaint::Complaint;
use standing::Standing;

pub use trouble::{Failure, Probe, ProbeFailure, Trouble};
pub(crate) use watch::{watch, watch_events};

/// On pods: which of a Deployment's templates they were made from.
const TEMPLATE: &str = "pod-template-hash";

/// From this length on the name of a pod may not hold the whole name of its Deployment.
const CUT: usize = 58;

/// The pods of all servers.
#[derive(Debug, Default)]
pub struct Pods {
    by_server: RwLock<HashMap<ObjectKey, BTreeMap<Arc<str>, Pod>>>,
}

#[derive(Debug)]
struct Pod {
    uid: Box<str>,
    /// Seconds since 1970.
    created: i64,
    template: Box<str>,
    standing: Standing,
    /// Of each probe the last failure, and whether it is told.
    probes: Vec<(ProbeFailure, bool)>,
    /// Whether the kubelet has killed its container for its liveness probe.
    killed: bool,
    volume: Option<Box<str>>,
    address: Option<IpAddr>,
}

/// A pod as it has just come from the API server.
#[derive(Debug)]
struct Sight {
    server: ObjectKey,
    name: Arc<str>,
    /// Nothing for one that has ended, or is to end: others stand for it.
    pod: Option<Pod>,
}

impl Pods {
    /// Why a server's pods do not come up, where that can be said. Pods that are on their way out, made from an older template
    /// than the newest pod, say nothing.
    #[must_use]
    pub fn trouble(&self, server: &ObjectKey) -> Option<Trouble> {
        self.by_server.read().get(server).and_then(trouble)
    }

    /// Where a server's pods are, as far as they have addresses.
    #[must_use]
    pub fn addresses(&self, server: &ObjectKey) -> Vec<IpAddr> {
        let by_server = self.by_server.read();
        by_server.get(server).into_iter().flat_map(BTreeMap::values).filter_map(|pod| pod.address).collect()
    }

    /// Takes what a watch shows. Gives the server, where its trouble is another now.
    fn apply(&self, sight: Sight) -> Option<ObjectKey> {
        let Sight { server, name, pod } = sight;
        self.change(server, |pods| match pod {
            Some(mut pod) => {
                if let Some(before) = pods.get_mut(&name).filter(|before| before.uid == pod.uid) {
                    pod.learn(before);
                }
                pods.insert(name, pod);
            }
            None => {
                pods.remove(&name);
            }
        })
    }

    /// Takes a complete list. Gives the servers whose trouble is another now.
    fn reset(&self, list: Vec<Sight>) -> HashSet<ObjectKey> {
        let listed: HashSet<_> =
            list.iter().map(|sight| (sight.server.clone(), Arc::clone(&sight.name))).collect();
        let mut concerned: HashSet<ObjectKey> =
            list.into_iter().filter_map(|sight| self.apply(sight)).collect();
        let servers: Vec<ObjectKey> = self.by_server.read().keys().cloned().collect();
        for server in servers {
            let gone = |pods: &mut BTreeMap<Arc<str>, Pod>| {
                pods.retain(|name, _| listed.contains(&(server.clone(), Arc::clone(name))));
            };
            concerned.extend(self.change(server.clone(), gone));
        }
        concerned
    }

    /// Takes an Event about a pod. Gives the server, where its trouble is another now.
    fn complain(&self, event: &Event) -> Option<ObjectKey> {
        let complaint = Complaint::of(event)?;
        let about = &event.involved_object;
        let (name, uid) = (about.name.as_deref()?, about.uid.as_deref()?);
        let server = self.server_of(about.namespace.as_deref()?, name)?;
        self.change(server, |pods| {
            let Some(pod) = pods.get_mut(name).filter(|pod| *pod.uid == *uid) else { return };
            match complaint {
                Complaint::Probe(failure, is_told) => {
                    // What may be no more than a slow start takes nothing away from what is told.
                    let place = pod.probes.iter_mut().find(|(other, _)| other.probe == failure.probe);
                    match place {
                        Some((_, true)) if !is_told => {}
                        Some(place) => *place = (failure, is_told),
                        None => pod.probes.push((failure, is_told)),
                    }
                }
                Complaint::Killed => pod.killed = true,
                Complaint::Volume(said) => pod.volume = Some(said),
            }
        })
    }

    /// The server of a pod. Events carry no labels, but a Deployment's pod is called `NAME-TEMPLATE-SUFFIX`, unless that is too
    /// long.
    fn server_of(&self, namespace: &str, pod: &str) -> Option<ObjectKey> {
        let by_server = self.by_server.read();
        if pod.len() >= CUT {
            let mut servers = by_server.iter().filter(|(server, _)| *server.namespace == *namespace);
            return servers.find(|(_, pods)| pods.contains_key(pod)).map(|(server, _)| server.clone());
        }
        let (rest, _) = pod.rsplit_once('-')?;
        let (server, _) = rest.rsplit_once('-')?;
        let server = ObjectKey::new(Kind::Server, namespace, server);
        by_server.contains_key(&server).then_some(server)
    }

    fn change(
        &self,
        server: ObjectKey,
        change: impl FnOnce(&mut BTreeMap<Arc<str>, Pod>),
    ) -> Option<ObjectKey> {
        let mut by_server = self.by_server.write();
        let pods = by_server.entry(server.clone()).or_default();
        let before = trouble(pods);
        change(pods);
        let after = trouble(pods);
        if pods.is_empty() {
            by_server.remove(&server);
        }
        (before != after).then_some(server)
    }
}

fn trouble(pods: &BTreeMap<Arc<str>, Pod>) -> Option<Trouble> {
    let newest = pods.values().max_by_key(|pod| pod.created)?;
    let current = pods.values().filter(|pod| pod.template == newest.template);
    // The first by name among those of the lowest rank, so that another pod's news changes nothing.
    current.filter_map(Pod::trouble).min_by_key(Trouble::rank)
}

impl Pod {
    fn trouble(&self) -> Option<Trouble> {
        let heard = |probe, at_all: bool| {
            let mut heard = self.probes.iter().filter(|(_, is_told)| at_all || *is_told);
            heard
                .find(|(failure, _)| failure.probe == probe)
                .map(|(failure, _)| Trouble::Probe(failure.clone()))
        };
        match &self.standing {
            Standing::Quiet => None,
            Standing::Trouble(trouble) => Some(trouble.clone()),
            // It would not have been killed if the probe had succeeded.
            Standing::Killed(trouble) => {
                heard(Probe::Liveness, self.killed).or_else(|| Some(trouble.clone()))
            }
            Standing::Running => heard(Probe::Liveness, false).or_else(|| heard(Probe::Readiness, false)),
            Standing::Creating => self.volume.clone().map(Trouble::Volume),
        }
    }

    /// Keeps what was known of the pod before and is still true.
    fn learn(&mut self, before: &mut Self) {
        self.probes = std::mem::take(&mut before.probes);
        self.killed = before.killed;
        if self.standing == Standing::Quiet {
            // A pod is ready until the very moment at which its liveness probe has it killed.
            self.probes.retain(|(failure, _)| failure.probe == Probe::Liveness);
        } else {
            self.volume = before.volume.take();
        }
        // While it waits for the next attempt, older kubelets no longer say why the last one failed.
        if let (Standing::Trouble(Trouble::Image(now)), Standing::Trouble(Trouble::Image(_))) =
            (&self.standing, &before.standing)
            && now.starts_with("Back-off")
        {
            self.standing = before.standing.clone();
        }
    }
}

impl Sight {
    fn read(metadata: &ObjectMeta, status: Option<&PodStatus>) -> Option<Self> {
        let label = |key: &str| metadata.labels.as_ref()?.get(key).map(String::as_str);
        let server = ObjectKey::new(Kind::Server, metadata.namespace.as_deref()?, label(labels::INSTANCE)?);
        let name = metadata.name.as_deref()?.into();
        let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
        let is_over = metadata.deletion_timestamp.is_some() || matches!(phase, "Succeeded" | "Failed");
        let pod = (!is_over).then(|| Pod {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            created: metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
            template: label(TEMPLATE).unwrap_or_default().into(),
            standing: status.map_or(Standing::Quiet, Standing::of),
            probes: Vec::new(),
            killed: false,
            volume: None,
            address: status.and_then(|status| status.pod_ip.as_deref()?.parse().ok()),
        });
        Some(Self { server, name, pod })
    }

    fn gone(self) -> Self {
        Self { pod: None, ..self }
    }
}

#[cfg(test)]
mod tests;
