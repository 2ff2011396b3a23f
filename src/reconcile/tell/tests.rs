use serde_json::json;

use super::*;
use crate::children::ChildKind;
use crate::reconcile::condition::Verdict;
use crate::reconcile::fixture::{at, identity, mk_server};

fn main() -> Identity {
    identity(&mk_server(json!({"image": "server:1"})))
}

fn key(kind: ChildKind) -> ChildKey {
    ChildKey { kind, namespace: "team".into(), name: "main".into() }
}

fn mk_status(phase: Phase, verdict: Verdict) -> MCPServerStatus {
    let ready = verdict.condition(Type::Ready, 1, &[], at(1));
    MCPServerStatus { phase, conditions: vec![ready], ..MCPServerStatus::default() }
}

fn failed(message: &str) -> MCPServerStatus {
    mk_status(Phase::Failed, Verdict::no(Reason::ImagePullFailed, message))
}

#[test]
fn what_a_pass_made_is_one_event() {
    let made = [ChildKind::Service, ChildKind::Deployment].map(|kind| Change::Created(key(kind)));
    let told = changes(&main(), &made);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].reason, told[0].warning), ("Created", false));
    assert_eq!(told[0].note, "created Service \"main\", Deployment \"main\"");
    assert_eq!((told[0].kind, &*told[0].name, &*told[0].uid), ("MCPServer", "main", "uid-of-main"));
}

#[test]
fn removing_and_scaling_are_told_apart() {
    let done = [Change::Deleted(key(ChildKind::Ingress)), Change::Scaled { from: 1, to: 3 }];
    let notes: Vec<_> = changes(&main(), &done).into_iter().map(|it| (it.reason, it.note)).collect();
    assert_eq!(
        notes,
        [
            ("Deleted", "deleted Ingress \"main\", no longer asked for".to_owned()),
            ("Scaled", "scaled from 1 to 3 replicas".to_owned()),
        ]
    );
    assert!(changes(&main(), &[]).is_empty());
}

#[test]
fn a_failure_is_told_once_for_each_reason_and_message() {
    let pending = mk_status(Phase::Pending, Verdict::no(Reason::Progressing, "0 of 1"));
    let told = status(&main(), &pending, &failed("not found")).expect("an event");
    assert_eq!((told.reason, told.warning, &*told.note), ("ImagePullFailed", true, "not found"));
    assert_eq!(status(&main(), &failed("not found"), &failed("not found")), None);
    assert!(status(&main(), &failed("not found"), &failed("denied")).is_some());
}

#[test]
fn starting_and_serving_are_no_events() {
    let ready = mk_status(Phase::Ready, Verdict::yes(Reason::Available, "1 of 1"));
    let pending = mk_status(Phase::Pending, Verdict::no(Reason::Progressing, "0 of 1"));
    assert_eq!(status(&main(), &MCPServerStatus::default(), &pending), None);
    assert_eq!(status(&main(), &pending, &ready), None);
    assert_eq!(status(&main(), &failed("not found"), &ready), None);
}

#[test]
fn an_object_that_is_not_accepted_is_told_with_its_rival() {
    let condition = |verdict: Verdict| [verdict.condition(Type::Accepted, 1, &[], at(1))];
    let lost =
        condition(Verdict::no(Reason::DuplicateName, "tool \"a\" is already offered by MCPTool \"b\""));
    let told = offer(&main(), &[], &lost).expect("an event");
    assert_eq!((told.reason, told.warning), ("DuplicateName", true));
    assert!(told.note.contains("MCPTool \"b\""));
    assert_eq!(offer(&main(), &lost, &lost), None);
    assert_eq!(offer(&main(), &lost, &condition(Verdict::yes(Reason::Accepted, ""))), None);
}

#[test]
fn every_reason_is_known_by_its_name() {
    for reason in Reason::ALL {
        assert_eq!(Reason::from_name(reason.as_str()), Some(reason));
    }
}
