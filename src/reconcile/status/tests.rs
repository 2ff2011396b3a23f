use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use mcp_crds::catalog::{Claim, Conflict, Id};
use mcp_crds::kind::Kind;
use mcp_crds::v1alpha1::MCPServerStatus;
use serde_json::{Value, json};

use super::*;
use crate::children::ChildKey;
use crate::pods::{Failure, Probe, ProbeFailure};
use crate::reconcile::fixture::{NOW, at, identity, mk_deployment, mk_server, mk_tool, offered, sight};

mod gateway;

/// A pass over a server, with the children that it left.
struct Pass {
    document: Value,
    offered: Offered,
    children: Applied,
    trouble: Option<Trouble>,
}

impl Pass {
    /// All children are there; the Deployment has these replicas.
    fn new(spec: Value, wanted: i32, available: i32) -> Self {
        Self {
            document: mk_server(spec),
            offered: Offered::default(),
            children: Applied::of_children([
                own(&json!({"kind": "Service", "metadata": {"name": "main", "namespace": "team"}})),
                own(&mk_deployment(wanted, available)),
            ]),
            trouble: None,
        }
    }

    fn with(mut self, kind: ChildKind, child: Child) -> Self {
        self.children.put((key(kind), child));
        self
    }

    fn status_after(&self, stored: &MCPServerStatus, now: i64) -> MCPServerStatus {
        let identity = identity(&self.document);
        let plan = Plan::new(&identity, &self.document, &self.offered, "mcp-gateway:1");
        let facts = Facts {
            identity: &identity,
            plan: &plan,
            offered: &self.offered,
            children: &self.children,
            trouble: self.trouble.as_ref(),
        };
        server(&facts, stored, at(now))
    }

    fn status(&self) -> MCPServerStatus {
        self.status_after(&MCPServerStatus::default(), NOW)
    }
}

fn key(kind: ChildKind) -> ChildKey {
    ChildKey { kind, namespace: "team".into(), name: "main".into() }
}

fn own(object: &Value) -> (ChildKey, Child) {
    let sight = sight(object);
    (sight.key, Child::Own(sight.observed.into()))
}

impl Applied {
    fn of_children(children: impl IntoIterator<Item = (ChildKey, Child)>) -> Self {
        let mut applied = Self::default();
        children.into_iter().for_each(|child| applied.put(child));
        applied
    }
}

fn image() -> Value {
    json!({"image": "server:1"})
}

/// Status, reason and message of a condition.
#[track_caller]
fn condition<'a>(status: &'a MCPServerStatus, type_: &str) -> (&'a str, &'a str, &'a str) {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_).expect("the condition");
    (&found.status, &found.reason, &found.message)
}

#[test]
fn a_server_with_its_pods_is_ready() {
    let status = Pass::new(image(), 3, 3).status();
    assert_eq!(status.phase, Phase::Ready);
    assert_eq!(condition(&status, "Ready"), ("True", "Available", "3 of 3 replicas are available"));
    assert_eq!((status.replicas, status.ready_replicas), (3, 3));
    assert_eq!(status.endpoint.as_deref(), Some("http://main.team.svc.cluster.local:8080"));
    assert_eq!(status.url.as_deref(), Some("http://main.team.svc.cluster.local:8080/mcp"));
    assert_eq!(
        status.selector.as_deref(),
        Some("app.kubernetes.io/instance=main,app.kubernetes.io/name=mcp-server")
    );
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.last_transition_time, Some(whole_seconds(at(NOW))));
}

#[test]
fn conditions_stand_in_one_order() {
    let status = Pass::new(image(), 1, 0).status();
    let types: Vec<_> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Ready", "DeploymentReady", "ServiceReady", "ConfigurationValid"]);
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(1)));
}

#[test]
fn while_pods_start_it_is_pending() {
    let status = Pass::new(image(), 2, 1).status();
    assert_eq!(status.phase, Phase::Pending);
    assert_eq!(condition(&status, "Ready"), ("False", "Progressing", "1 of 2 replicas are available"));
    assert_eq!(condition(&status, "ServiceReady").0, "True");
}

#[test]
fn scaled_to_zero_is_pending_and_no_failure() {
    let status = Pass::new(json!({"image": "server:1", "replicas": 0}), 0, 0).status();
    assert_eq!(status.phase, Phase::Pending);
    assert_eq!(condition(&status, "Ready").1, "ScaledToZero");
    assert_eq!(condition(&status, "DeploymentReady"), ("True", "ScaledToZero", "no replicas are wanted"));
}

#[test]
fn scaled_up_from_zero_it_is_not_ready_before_a_pod_is() {
    // What an apply answers: its controller has not looked at it since it was to have none.
    let mut deployment = mk_deployment(0, 0);
    deployment["spec"]["replicas"] = 1.into();
    assert_eq!(deployment["status"]["conditions"][0]["status"], "True");
    let mut pass = Pass::new(image(), 1, 0);
    pass.children.put(own(&deployment));
    let status = pass.status();
    assert_eq!(status.phase, Phase::Pending);
    assert_eq!(condition(&status, "Ready"), ("False", "Progressing", "0 of 1 replicas are available"));
}

/// A Deployment of which nothing is available, with these conditions.
fn stuck(conditions: &[(&str, &str, &str, &str)]) -> Pass {
    let conditions = conditions.iter().map(|(type_, status, reason, message)| {
        json!({"type": type_, "status": status, "reason": reason, "message": message})
    });
    let mut deployment = mk_deployment(1, 0);
    deployment["status"]["conditions"] = conditions.collect();
    let mut pass = Pass::new(image(), 1, 0);
    pass.children.put(own(&deployment));
    pass
}

const QUOTA: (&str, &str, &str, &str) =
    ("ReplicaFailure", "True", "FailedCreate", "pods \"main-1-x\" is forbidden: exceeded quota: q");
const LATE: (&str, &str, &str, &str) =
    ("Progressing", "False", "ProgressDeadlineExceeded", "ReplicaSet \"main-1\" has timed out progressing.");

/// The order in which the pods' state is told, from the first to the last.
#[test]
fn what_is_told_of_pods_has_an_order() {
    let unpulled = Some(Trouble::Image("main: not found".into()));
    let mut pass = stuck(&[("Available", "True", "", ""), QUOTA, LATE]);
    let mut serves = mk_deployment(1, 1);
    let conditions = [("Available", "True", "", ""), QUOTA, LATE].map(
        |(type_, status, reason, message)| json!({"type": type_, "status": status, "reason": reason, "message": message}),
    );
    serves["status"]["conditions"] = conditions.into_iter().collect();
    pass.children.put(own(&serves));
    pass.trouble.clone_from(&unpulled);
    let status = pass.status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Ready, "Available"));
    assert!(condition(&status, "Ready").2.contains("; a pod does not come up: pods cannot be created"));

    let mut pass = stuck(&[QUOTA, LATE]);
    pass.trouble.clone_from(&unpulled);
    let status = pass.status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Failed, "QuotaExceeded"));

    let mut pass = stuck(&[LATE]);
    pass.trouble = unpulled;
    let status = pass.status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Failed, "ImagePullFailed"));
    assert_eq!(condition(&status, "DeploymentReady"), condition(&status, "Ready"));

    let status = stuck(&[LATE]).status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Failed, "ProgressDeadlineExceeded"));
    let status = stuck(&[]).status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Pending, "Progressing"));
}

#[test]
fn what_may_mend_itself_is_pending_until_the_deadline() {
    let mut pass = stuck(&[]);
    pass.trouble = Some(Trouble::Unschedulable("0/1 nodes are available".into()));
    assert_eq!(
        (pass.status().phase, condition(&pass.status(), "Ready").1),
        (Phase::Pending, "Unschedulable")
    );
    let mut pass = stuck(&[LATE]);
    pass.trouble = Some(Trouble::Unschedulable("0/1 nodes are available".into()));
    assert_eq!((pass.status().phase, condition(&pass.status(), "Ready").1), (Phase::Failed, "Unschedulable"));
}

#[test]
fn each_trouble_has_a_reason_of_its_own() {
    let text = || Box::<str>::from("x");
    let failure = ProbeFailure { probe: Probe::Readiness, failure: Failure::Refused };
    for (trouble, reason) in [
        (Trouble::Quota(text()), "QuotaExceeded"),
        (Trouble::PodSecurity(text()), "PodSecurityViolated"),
        (Trouble::NotCreated(text()), "ReplicaFailure"),
        (Trouble::ImageName, "InvalidImageName"),
        (Trouble::Image(text()), "ImagePullFailed"),
        (Trouble::Configuration(text()), "ContainerConfigError"),
        (Trouble::Volume(text()), "VolumeNotMounted"),
        (Trouble::Foreign { container: text(), said: text() }, "ForeignContainerFailed"),
        (Trouble::Start(text()), "ContainerStartFailed"),
        (Trouble::Memory, "OutOfMemory"),
        (Trouble::Ended { code: 1, last_line: None }, "ProcessEnded"),
        (Trouble::Probe(failure), "ProbeFailed"),
        (Trouble::Unschedulable(text()), "Unschedulable"),
    ] {
        assert_eq!(Reason::from(&trouble).as_str(), reason);
    }
}

#[test]
fn a_taken_name_is_a_failure_that_says_whose() {
    let taken = "Service \"main\" is not this server's: it was made by \"helm\"";
    let status = Pass::new(image(), 1, 1).with(ChildKind::Service, Child::Taken(taken.to_owned())).status();
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(condition(&status, "ServiceReady"), ("False", "NameTaken", taken));
    assert_eq!(condition(&status, "Ready"), ("False", "NameTaken", taken));
    assert_eq!(condition(&status, "DeploymentReady").0, "True");
}

#[test]
fn a_config_map_that_cannot_be_written_is_about_the_configuration() {
    let pass = Pass::new(json!({"image": "server:1", "config": {"a": 1}}), 1, 1);
    let pass = pass.with(ChildKind::ConfigMap, Child::Refused("no".to_owned()));
    let status = pass.with(ChildKind::Deployment, Child::Absent).status();
    assert_eq!(condition(&status, "ConfigurationValid"), ("False", "Refused", "no"));
    assert_eq!(condition(&status, "DeploymentReady").1, "NotCreated");
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Failed, "Refused"));
}

#[test]
fn an_invalid_object_is_told_every_error_and_what_runs_stays_described() {
    let before = Pass::new(image(), 2, 2).status();
    let broken = json!({"image": "server:1", "transport": "smtp", "port": 0});
    let pass = Pass::new(broken, 2, 1);
    let status = pass.status_after(&before, NOW + 5);
    assert_eq!(status.phase, Phase::Failed);
    let (held, reason, message) = condition(&status, "ConfigurationValid");
    assert_eq!((held, reason), ("False", "Invalid"));
    assert!(message.contains("spec.transport: Unsupported value: \"smtp\""), "{message}");
    assert!(message.contains("spec.port: Invalid value: 0"), "{message}");
    assert_eq!(condition(&status, "Ready").1, "Invalid");
    assert_eq!(status.endpoint, before.endpoint);
    assert_eq!((status.replicas, status.ready_replicas), (2, 1));
}

#[test]
fn a_stdio_server_has_no_address_and_does_not_claim_to_be_reachable() {
    let bridged = json!({"image": "server:1", "transport": "stdio", "command": ["serve"]});
    let status = Pass::new(bridged, 1, 1).status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Failed, "BridgeNotAvailable"));
    assert_eq!((status.endpoint, status.url), (None, None));
    let own = json!({"image": "server:1", "transport": "stdio"});
    let status = Pass::new(own, 1, 1).status();
    assert_eq!(status.phase, Phase::Ready);
    assert!(condition(&status, "Ready").2.ends_with("is not reachable over HTTP"));
    assert_eq!((status.endpoint, status.url), (None, None));
}

#[test]
fn it_counts_what_it_serves_and_names_what_it_leaves_out() {
    let mut pass = Pass::new(json!({"image": "server:1", "toolSelector": {}}), 1, 1);
    pass.offered = offered(&[(Kind::Tool, mk_tool("a")), (Kind::Tool, mk_tool("b"))]);
    let tool = |name: &str| Id { kind: Kind::Tool, name: name.into() };
    let claim = Claim::Name(Kind::Tool, "a".into());
    pass.offered.left_out.push((tool("c"), Conflict { claim, winner: tool("a") }));
    let status = pass.status();
    assert_eq!((status.tools, status.prompts, status.resources), (2, 0, 0));
    assert_eq!(status.catalog_revision.as_deref().map(str::len), Some(16));
    let message = condition(&status, "ConfigurationValid").2;
    assert!(message.contains("MCPTool \"c\" is left out, as tool \"a\" is MCPTool \"a\"'s"), "{message}");
    assert_eq!(status.phase, Phase::Ready);
}

#[test]
fn a_catalog_that_is_too_large_is_reported_and_the_server_serves_on() {
    let mut pass = Pass::new(json!({"image": "server:1", "toolSelector": {}}), 1, 1);
    let mut tool = mk_tool("large");
    tool["spec"]["description"] = "x".repeat(1_100_000).into();
    pass.offered = offered(&[(Kind::Tool, tool)]);
    let status = pass.status();
    assert_eq!(condition(&status, "ConfigurationValid").1, "CatalogTooLarge");
    assert_eq!((status.phase, status.tools, status.catalog_revision), (Phase::Ready, 0, None));
}

#[test]
fn time_alone_changes_nothing() {
    let pass = Pass::new(image(), 1, 1);
    let stored = pass.status();
    assert_eq!(pass.status_after(&stored, NOW + 3600), stored);
}

#[test]
fn times_move_with_what_flips_and_with_the_phase() {
    let stored = Pass::new(image(), 1, 0).status();
    let status = Pass::new(image(), 1, 1).status_after(&stored, NOW + 7);
    let since = |status: &MCPServerStatus, type_: &str| {
        let condition = status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
        condition.last_transition_time.0
    };
    assert_eq!(since(&status, "Ready"), at(NOW + 7));
    assert_eq!(since(&status, "ServiceReady"), at(NOW));
    assert_eq!(status.last_transition_time.as_ref().unwrap().0, at(NOW + 7));
}

#[test]
fn what_others_wrote_is_neither_compared_nor_written() {
    let pass = Pass::new(image(), 1, 1);
    let mut stored = pass.status();
    let written = stored.clone();
    let other = Condition { type_: "Audited".to_owned(), ..stored.conditions[0].clone() };
    stored.conditions.push(other);
    assert_eq!(pass.status_after(&stored, NOW + 1), written);
    assert_eq!(own_part(stored), written);
}

#[test]
fn a_server_that_is_deleted_is_terminating_and_otherwise_as_it_was() {
    let stored = Pass::new(image(), 1, 1).status();
    let identity = identity(&mk_server(image()));
    let status = terminating(&identity, &stored, &Keys::None, at(NOW + 9));
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Terminating, "Terminating"));
    assert_eq!(status.conditions.len(), 4);
    assert_eq!(terminating(&identity, &status, &Keys::Removing(None), at(NOW + 99)), status);
}

#[test]
fn what_holds_up_a_deletion_is_said_until_another_replica_knows_better() {
    let identity = identity(&mk_server(image()));
    let next = |stored: &MCPServerStatus, keys: Keys| terminating(&identity, stored, &keys, at(NOW + 9));
    let held = next(&Pass::new(image(), 1, 1).status(), Keys::Removing(Some("no answer".to_owned())));
    assert_eq!(condition(&held, "Ready"), ("False", "KeysNotRemoved", "no answer"));
    assert_eq!(held.phase, Phase::Terminating);
    assert_eq!(next(&held, Keys::Removing(None)), held);
    assert_eq!(condition(&next(&held, Keys::None), "Ready").1, "Terminating");
}

#[test]
fn an_ingress_is_ready_when_it_has_an_address_and_its_url_is_the_servers() {
    let spec = json!({"image": "server:1", "ingress": {"host": "mcp.example.com", "tlsSecretName": "tls"}});
    let with = |status: Value| {
        let metadata = json!({"name": "main", "namespace": "team"});
        let (_, ingress) = own(&json!({"kind": "Ingress", "metadata": metadata, "status": status}));
        Pass::new(spec.clone(), 1, 1).with(ChildKind::Ingress, ingress).status()
    };
    let status = with(json!({}));
    assert_eq!(condition(&status, "IngressReady").1, "AddressPending");
    assert_eq!(
        (condition(&status, "Ready").0, status.phase),
        ("True", Phase::Ready),
        "inside the cluster it serves"
    );
    assert_eq!(status.url.as_deref(), Some("https://mcp.example.com/mcp"));
    assert_eq!(status.endpoint.as_deref(), Some("http://main.team.svc.cluster.local:8080"));
    let status = with(json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}));
    assert_eq!(
        condition(&status, "IngressReady"),
        ("True", "AddressAssigned", "https://mcp.example.com/ leads to the Service")
    );
}

#[test]
fn a_child_without_a_condition_of_its_own_is_told_in_ready() {
    for kind in [ChildKind::NetworkPolicy, ChildKind::PodDisruptionBudget, ChildKind::HorizontalPodAutoscaler]
    {
        let taken = format!("{kind} \"main\" is not this server's");
        let status = Pass::new(image(), 1, 1).with(kind, Child::Taken(taken.clone())).status();
        assert_eq!(
            (status.phase, condition(&status, "Ready")),
            (Phase::Failed, ("False", "NameTaken", &*taken))
        );
    }
}

#[test]
fn of_several_children_that_are_missing_the_one_that_is_written_first_is_the_reason() {
    let mut pass = Pass::new(image(), 1, 0);
    for kind in ChildKind::ALL.into_iter().rev().filter(|kind| *kind != ChildKind::ConfigMap) {
        pass = pass.with(kind, Child::Refused(kind.to_string()));
        assert_eq!(condition(&pass.status(), "Ready").2, kind.as_str());
    }
}

#[test]
fn a_deployment_has_reported_when_it_has_seen_all_its_pods() {
    let has_reported =
        |deployment: &Value| sight(deployment).observed.rollout().expect("a Deployment").has_reported();
    assert!(has_reported(&mk_deployment(3, 0)));
    assert!(has_reported(&mk_deployment(0, 0)));
    let mut early = mk_deployment(3, 0);
    early["status"]["replicas"] = 2.into();
    assert!(!has_reported(&early));
    let mut unseen = mk_deployment(1, 1);
    unseen["metadata"]["generation"] = 2.into();
    assert!(!has_reported(&unseen));
    unseen["status"].take();
    assert!(!has_reported(&unseen));
}
