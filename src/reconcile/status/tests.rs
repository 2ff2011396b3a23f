use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use mcp_crds::catalog::{Claim, Conflict, Id};
use mcp_crds::v1alpha1::MCPServerStatus;
use serde_json::{Value, json};

use super::*;
use crate::reconcile::fixture::{NOW, at, identity, mk_deployment, mk_server, mk_tool, offered};

/// A pass over a server, with the children that it left.
struct Pass {
    document: Value,
    offered: Offered,
    children: Applied,
}

impl Pass {
    /// All children are there; the Deployment has these replicas.
    fn new(spec: Value, wanted: i32, available: i32) -> Self {
        Self {
            document: mk_server(spec),
            offered: Offered::default(),
            children: Applied {
                config_map: Child::Absent,
                service: Child::Own(Arc::new(Service::default())),
                deployment: Child::Own(Arc::new(mk_deployment(wanted, available))),
            },
        }
    }

    fn of_deployment(spec: Value, change: impl FnOnce(&mut Deployment)) -> Self {
        let mut pass = Self::new(spec, 1, 1);
        let mut deployment = mk_deployment(1, 1);
        change(&mut deployment);
        pass.children.deployment = Child::Own(Arc::new(deployment));
        pass
    }

    fn status_after(&self, stored: &MCPServerStatus, now: i64) -> MCPServerStatus {
        let identity = identity(&self.document);
        let plan = Plan::new(&identity, &self.document, &self.offered);
        let facts =
            Facts { identity: &identity, plan: &plan, offered: &self.offered, children: &self.children };
        server(&facts, stored, at(now))
    }

    fn status(&self) -> MCPServerStatus {
        self.status_after(&MCPServerStatus::default(), NOW)
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
fn pods_that_cannot_be_made_or_do_not_come_are_a_failure() {
    for (type_, status, reason, expected) in [
        ("ReplicaFailure", "True", "FailedCreate", "ReplicaFailure"),
        ("Progressing", "False", "ProgressDeadlineExceeded", "ProgressDeadlineExceeded"),
    ] {
        let pass = Pass::of_deployment(image(), |deployment| {
            let conditions = deployment.status.as_mut().unwrap().conditions.as_mut().unwrap();
            conditions.push(DeploymentCondition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some("because".to_owned()),
                ..DeploymentCondition::default()
            });
        });
        let status = pass.status();
        assert_eq!(status.phase, Phase::Failed, "{type_}");
        assert_eq!(condition(&status, "Ready"), ("False", expected, "because"));
    }
}

#[test]
fn a_taken_name_is_a_failure_that_says_whose() {
    let taken = "Service \"main\" is not this server's: it was made by \"helm\"";
    let mut pass = Pass::new(image(), 1, 1);
    pass.children.service = Child::Taken(taken.to_owned());
    let status = pass.status();
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(condition(&status, "ServiceReady"), ("False", "NameTaken", taken));
    assert_eq!(condition(&status, "Ready"), ("False", "NameTaken", taken));
    assert_eq!(condition(&status, "DeploymentReady").0, "True");
}

#[test]
fn a_config_map_that_cannot_be_written_is_about_the_configuration() {
    let mut pass = Pass::new(json!({"image": "server:1", "config": {"a": 1}}), 1, 1);
    pass.children.config_map = Child::Refused("no".to_owned());
    pass.children.deployment = Child::Absent;
    let status = pass.status();
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
fn without_an_image_it_says_that_there_is_no_gateway() {
    let mut pass = Pass::new(json!({"toolSelector": {}}), 1, 1);
    pass.children = Applied { config_map: Child::Absent, service: Child::Absent, deployment: Child::Absent };
    let status = pass.status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Pending, "GatewayNotAvailable"));
    assert_eq!(condition(&status, "ConfigurationValid").0, "True");
    assert_eq!(condition(&status, "DeploymentReady").1, "NotCreated");
}

#[test]
fn a_stdio_server_has_no_url_and_does_not_claim_to_be_reachable() {
    let bridged = json!({"image": "server:1", "transport": "stdio", "command": ["serve"]});
    let status = Pass::new(bridged, 1, 1).status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Pending, "BridgeNotAvailable"));
    assert_eq!(status.url, None);
    let own = json!({"image": "server:1", "transport": "stdio"});
    let status = Pass::new(own, 1, 1).status();
    assert_eq!(status.phase, Phase::Ready);
    assert!(condition(&status, "Ready").2.ends_with("is not reachable over HTTP"));
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
fn probes_that_cannot_run_yet_are_named() {
    let status = Pass::new(json!({"image": "server:1", "probes": {"type": "MCP"}}), 1, 1).status();
    assert!(condition(&status, "ConfigurationValid").2.contains("the port is probed by TCP"));
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
fn what_the_prober_wrote_is_neither_compared_nor_written() {
    let pass = Pass::new(image(), 1, 1);
    let mut stored = pass.status();
    let written = stored.clone();
    stored.last_probe_time = Some(whole_seconds(at(NOW)));
    let probe = Condition { type_: "ProbeSucceeded".to_owned(), ..stored.conditions[0].clone() };
    stored.conditions.push(probe);
    assert_eq!(pass.status_after(&stored, NOW + 1), written);
    assert_eq!(own_part(stored), written);
}

#[test]
fn a_server_that_is_deleted_is_terminating_and_otherwise_as_it_was() {
    let stored = Pass::new(image(), 1, 1).status();
    let identity = identity(&mk_server(image()));
    let status = terminating(&identity, &stored, at(NOW + 9));
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Terminating, "Terminating"));
    assert_eq!(status.conditions.len(), 4);
    assert_eq!(terminating(&identity, &status, at(NOW + 99)), status);
}

#[test]
fn a_deployment_has_reported_when_it_has_seen_all_its_pods() {
    assert!(has_reported(&mk_deployment(3, 0)));
    assert!(has_reported(&mk_deployment(0, 0)));
    let mut early = mk_deployment(3, 0);
    early.status.as_mut().unwrap().replicas = Some(2);
    assert!(!has_reported(&early));
    let mut unseen = mk_deployment(1, 1);
    unseen.metadata.generation = Some(2);
    assert!(!has_reported(&unseen));
    unseen.status = None;
    assert!(!has_reported(&unseen));
}
