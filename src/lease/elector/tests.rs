//! What is decided, case by case.

use super::*;

const DURATION: Duration = Duration::from_secs(15);
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn settings(me: &str) -> Settings {
    Settings {
        namespace: "mcp-operator-system".into(),
        name: "mcp-operator".into(),
        identity: me.into(),
        lease_duration: DURATION,
        renew_deadline: DEADLINE,
        retry_period: Duration::from_secs(2),
    }
}

/// A Lease as `holder` renewed it at `renewed` seconds after the epoch.
fn mk_lease(holder: &str, renewed: i64) -> Lease {
    Lease {
        metadata: ObjectMeta { name: Some("mcp-operator".into()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            renew_time: Some(wall(renewed)),
            ..LeaseSpec::default()
        }),
    }
}

fn wall(second: i64) -> MicroTime {
    MicroTime(Timestamp::from_second(second).unwrap())
}

/// A look at the Lease, so many seconds after the start.
type Seen = (u64, Option<Lease>);

/// What `me` knows after all these looks.
fn observed(me: &str, start: Instant, seen: &[Seen]) -> Observation {
    let mut observation = Observation::default();
    for (offset, lease) in seen {
        observation.record(lease.clone(), me, start + Duration::from_secs(*offset), DURATION);
    }
    observation
}

#[test]
fn decisions() {
    let start = Instant::now();
    let at = |second: u64| start + Duration::from_secs(second);
    let nameless = Lease { spec: None, ..mk_lease("a", 0) };
    let wait = |second| Decision::Wait { until: at(second) };
    let cases: [(&str, Vec<Seen>, u64, Decision); 12] = [
        ("nothing is there", vec![(0, None)], 0, Decision::Acquire),
        ("nobody holds it", vec![(0, Some(mk_lease("", 0)))], 0, Decision::Acquire),
        ("it has no spec", vec![(0, Some(nameless))], 0, Decision::Acquire),
        ("it is ours", vec![(0, Some(mk_lease("me", 0)))], 0, Decision::Renew),
        ("it is ours, however old", vec![(0, Some(mk_lease("me", 0)))], 9_000, Decision::Renew),
        ("another's, just seen", vec![(0, Some(mk_lease("a", 0)))], 0, wait(15)),
        ("another's, about to end", vec![(0, Some(mk_lease("a", 0)))], 14, wait(15)),
        ("another's, at its end", vec![(0, Some(mk_lease("a", 0)))], 15, Decision::Acquire),
        (
            "another's, seen twice without a change",
            vec![(0, Some(mk_lease("a", 0))), (14, Some(mk_lease("a", 0)))],
            15,
            Decision::Acquire,
        ),
        (
            "another's, renewed",
            vec![(0, Some(mk_lease("a", 0))), (14, Some(mk_lease("a", 14)))],
            15,
            wait(29),
        ),
        ("vacated", vec![(0, Some(mk_lease("a", 0))), (1, Some(mk_lease("", 1)))], 1, Decision::Acquire),
        ("deleted while another holds it", vec![(0, Some(mk_lease("a", 0))), (1, None)], 1, wait(15)),
    ];
    for (name, seen, now, expected) in cases {
        assert_eq!(decide(&observed("me", start, &seen), "me", at(now)), expected, "{name}");
    }
}

#[test]
fn a_holders_clock_is_never_compared_with_ours() {
    let start = Instant::now();
    for renewed in [0, 4_000_000_000] {
        let seen = observed("me", start, &[(0, Some(mk_lease("a", renewed)))]);
        assert_eq!(decide(&seen, "me", start), Decision::Wait { until: start + DURATION });
        assert_eq!(decide(&seen, "me", start + DURATION), Decision::Acquire);
    }
}

#[test]
fn another_is_respected_for_as_long_as_it_asked() {
    let start = Instant::now();
    let mut lease = mk_lease("a", 0);
    lease.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
    let seen = observed("me", start, &[(0, Some(lease))]);
    assert_eq!(
        decide(&seen, "me", start + DURATION),
        Decision::Wait { until: start + Duration::from_secs(60) }
    );
}

#[test]
fn the_claim_counts_from_when_the_renewal_was_sent() {
    let sent = Instant::now();
    let mut elector = Elector::new(settings("me"));
    elector.read(None, sent).unwrap();
    elector.wrote(mk_lease("me", 0), sent, sent + Duration::from_secs(4));

    let claim = elector.claim().unwrap();
    assert!(claim.is_current_for("me", sent + DEADLINE - Duration::from_millis(1)));
    assert!(!claim.is_current_for("me", sent + DEADLINE));
    assert!(!claim.is_current_for("other", sent));
    assert_eq!(elector.begin_turn(sent + DEADLINE), Err(Lost::Expired { deadline: DEADLINE }));
}

#[test]
fn a_holder_renews_without_reading_first() {
    let now = Instant::now();
    let mut elector = Elector::new(settings("me"));
    elector.begin_turn(now).unwrap();
    let first = Timestamp::from_second(100).unwrap();
    assert!(matches!(elector.step(now, first), Step::Read));
    elector.read(None, now).unwrap();
    let Step::Create(created) = elector.step(now, first) else { panic!("creates") };
    assert_eq!(created.spec.as_ref().unwrap().lease_transitions, Some(0));
    elector.wrote(created, now, now);
    assert!(matches!(elector.step(now, first), Step::Rest));

    let second = Timestamp::from_second(102).unwrap();
    elector.begin_turn(now).unwrap();
    let Step::Replace(renewed) = elector.step(now, second) else { panic!("renews") };
    let spec = renewed.spec.unwrap();
    assert_eq!(spec.acquire_time, Some(wall(100)), "the time of acquisition stays");
    assert_eq!(spec.renew_time, Some(wall(102)));
    assert_eq!(spec.lease_transitions, Some(0));
}

#[test]
fn taking_over_counts_a_transition_and_keeps_what_others_wrote() {
    let now = Instant::now();
    let mut elector = Elector::new(settings("me"));
    let mut lease = mk_lease("", 0);
    lease.metadata.labels = Some([("team".to_owned(), "a".to_owned())].into());
    lease.spec.as_mut().unwrap().lease_transitions = Some(6);
    elector.read(Some(lease), now).unwrap();
    let Step::Replace(taken) = elector.step(now, Timestamp::from_second(9).unwrap()) else { panic!("takes") };
    assert_eq!(taken.metadata.labels.unwrap().get("team").map(String::as_str), Some("a"));
    let spec = taken.spec.unwrap();
    assert_eq!(spec.lease_transitions, Some(7));
    assert_eq!(spec.acquire_time, Some(wall(9)));
    assert_eq!(spec.holder_identity.as_deref(), Some("me"));
}

#[test]
fn a_holder_that_reads_anothers_name_has_lost() {
    let now = Instant::now();
    let mut elector = Elector::new(settings("me"));
    elector.wrote(mk_lease("me", 0), now, now);
    elector.failed();
    let taken = elector.read(Some(mk_lease("a", 1)), now);
    assert_eq!(taken, Err(Lost::Taken { holder: "a".into() }));
    assert_eq!(elector.claim(), None);
}

#[test]
fn vacating_frees_only_what_is_ours() {
    let now = Instant::now();
    let wall = Timestamp::UNIX_EPOCH;
    let mut elector = Elector::new(settings("me"));
    assert!(matches!(elector.vacate(wall), Step::Read), "it may be ours by a write that was never answered");
    elector.read(Some(mk_lease("a", 0)), now).unwrap();
    assert!(matches!(elector.vacate(wall), Step::Rest));

    elector.wrote(mk_lease("me", 0), now, now);
    let Step::Replace(vacated) = elector.vacate(wall) else { panic!("vacates") };
    assert_eq!(vacated.spec.unwrap().holder_identity.as_deref(), Some(""));
    assert_eq!(elector.claim(), None, "nothing is written once the claim is given up");
}

#[test]
fn turns_are_spread_but_never_outlast_the_claim() {
    let now = Instant::now();
    let mut elector = Elector::new(settings("me"));
    assert_eq!(elector.rest(now, 0.0), Duration::from_millis(1_800));
    assert_eq!(elector.rest(now, 1.0), Duration::from_millis(2_200));
    elector.wrote(mk_lease("me", 0), now, now);
    assert_eq!(elector.rest(now + Duration::from_millis(9_500), 0.5), Duration::from_millis(500));
}
