//! What is decided, state by state.

use std::time::Duration;

use jiff::Timestamp;
use mcp_certs::rotation::{Change, Configured, Observation, Steadiness, Step, decide, is_trusted_everywhere};
use mcp_certs::{CaBundle, Contents, Policy, service_names};

const WAIT: Duration = Duration::from_secs(60);
const DAY: i64 = 24 * 60 * 60;

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + day * DAY).unwrap()
}

fn policy() -> Policy {
    Policy::new(service_names("webhook", "operators").unwrap())
}

fn mk_contents() -> Contents {
    Change::Bootstrap.apply(&Contents::default(), &policy(), day(0)).unwrap()
}

/// Both configurations hold the bundle.
fn mk_seen(secret: Option<Contents>, bundle: &[u8]) -> Observation {
    Observation { secret, configured: vec![Configured::Bundles(vec![bundle.to_vec(); 2]); 2] }
}

/// What is in the Secret is published.
fn mk_published(contents: &Contents) -> Observation {
    mk_seen(Some(contents.clone()), &contents.ca_crt)
}

fn step(seen: &Observation, steady_for: Duration, now: Timestamp) -> Step {
    decide(&policy(), seen, steady_for, now)
}

fn change(step: Step) -> Change {
    match step {
        Step::Write(change) => change,
        other => panic!("{other:?}"),
    }
}

fn cas(contents: &Contents) -> CaBundle {
    CaBundle::from_pem(&contents.ca_crt)
}

#[test]
fn a_secret_is_made_with_ca_and_leaf_at_once_where_nobody_trusts_anything() {
    assert_eq!(step(&mk_seen(None, b""), Duration::ZERO, day(0)), Step::Write(Change::Bootstrap));
    let missing = Observation { secret: None, configured: vec![Configured::Missing; 2] };
    assert_eq!(step(&missing, Duration::ZERO, day(0)), Step::Write(Change::Bootstrap));
}

#[test]
fn a_deleted_secret_comes_back_without_taking_trust_from_what_replicas_still_serve() {
    let lost = mk_contents();
    let staged = change(step(&mk_seen(None, &lost.ca_crt), WAIT, day(1)));
    let after = staged.apply(&Contents::default(), &policy(), day(1)).unwrap();
    assert_eq!(cas(&after).len(), 2);
    assert!(cas(&after).contains(cas(&lost).newest().unwrap()));
    assert!(after.tls_crt.is_empty());
    // Nobody accepts what is not there, so there is no wait, but the bundle is first.
    let seen = mk_seen(Some(after.clone()), &lost.ca_crt);
    assert_eq!(step(&seen, Duration::ZERO, day(1)), Step::Publish(cas(&after)));
    assert_eq!(step(&mk_published(&after), Duration::ZERO, day(1)), Step::Write(Change::SwitchLeaf));
}

#[test]
fn nothing_is_done_until_two_thirds_of_the_leafs_life() {
    let Step::Idle { until } = step(&mk_published(&mk_contents()), Duration::ZERO, day(0)) else { panic!() };
    assert!(day(59) < until && until <= day(60), "{until}");
}

#[test]
fn a_due_leaf_is_replaced_at_once_under_the_same_ca() {
    let before = mk_contents();
    // Even while the configurations are in disorder: who accepts the old one accepts the new one.
    for seen in [mk_published(&before), mk_seen(Some(before.clone()), b"")] {
        let after = change(step(&seen, Duration::ZERO, day(61))).apply(&before, &policy(), day(61)).unwrap();
        assert_eq!(after.ca_crt, before.ca_crt);
        assert_ne!(after.tls_crt, before.tls_crt);
        assert!(matches!(step(&mk_published(&after), Duration::ZERO, day(61)), Step::Idle { .. }));
    }
}

#[test]
fn a_due_ca_is_replaced_in_five_steps() {
    let mut contents = mk_contents();
    for at in [61, 121, 181, 241] {
        contents = Change::SwitchLeaf.apply(&contents, &policy(), day(at)).unwrap();
    }
    let (now, old) = (day(244), cas(&contents));

    let stage = change(step(&mk_published(&contents), WAIT, now));
    assert!(matches!(stage, Change::StageCa { .. }));
    let staged = stage.apply(&contents, &policy(), now).unwrap();
    assert_eq!(staged.tls_crt, contents.tls_crt);

    let unpublished = mk_seen(Some(staged.clone()), &contents.ca_crt);
    assert_eq!(step(&unpublished, WAIT, now), Step::Publish(cas(&staged)));

    let half = WAIT / 2;
    assert_eq!(step(&mk_published(&staged), half, now), Step::Wait(half));
    assert_eq!(step(&mk_published(&staged), WAIT, now), Step::Write(Change::SwitchLeaf));
    let switched = Change::SwitchLeaf.apply(&staged, &policy(), now).unwrap();

    assert_eq!(step(&mk_published(&switched), Duration::ZERO, now), Step::Wait(WAIT));
    let dropped = change(step(&mk_published(&switched), WAIT, now)).apply(&switched, &policy(), now).unwrap();
    assert_eq!(cas(&dropped).len(), 1);
    assert!(!cas(&dropped).holds_the_same(&old));

    let stale = mk_seen(Some(dropped.clone()), &switched.ca_crt);
    assert_eq!(step(&stale, WAIT, now), Step::Publish(cas(&dropped)));
    for seen in
        [&mk_published(&contents), &unpublished, &mk_published(&staged), &mk_published(&switched), &stale]
    {
        assert!(is_trusted_everywhere(&policy(), seen, now));
    }
    assert!(matches!(step(&mk_published(&dropped), Duration::ZERO, now), Step::Idle { .. }));
}

#[test]
fn a_wiped_bundle_is_filled_again_and_starts_the_wait_anew() {
    let contents = mk_contents();
    let mut seen = mk_published(&contents);
    let mut steadiness = Steadiness::default();
    assert_eq!(steadiness.observe(&seen, WAIT), Duration::ZERO);
    assert_eq!(steadiness.observe(&seen, WAIT * 2), WAIT);
    seen.configured[1] = Configured::Bundles(vec![contents.ca_crt.clone(), Vec::new()]);
    assert_eq!(steadiness.observe(&seen, WAIT * 3), Duration::ZERO);
    assert_eq!(step(&seen, WAIT, day(1)), Step::Publish(cas(&contents)));
    assert!(!is_trusted_everywhere(&policy(), &seen, day(1)));
}

#[test]
fn a_monotonic_clock_that_steps_back_only_lengthens_the_wait() {
    let seen = mk_published(&mk_contents());
    let mut steadiness = Steadiness::default();
    steadiness.observe(&seen, WAIT);
    assert_eq!(steadiness.observe(&seen, Duration::ZERO), Duration::ZERO);
}

#[test]
fn a_missing_configuration_holds_nothing_up_but_is_not_ready() {
    let contents = mk_contents();
    let mut seen = mk_published(&contents);
    seen.configured[0] = Configured::Missing;
    assert!(matches!(step(&seen, Duration::ZERO, day(1)), Step::Idle { .. }));
    assert!(!is_trusted_everywhere(&policy(), &seen, day(1)));
}

#[test]
fn a_leaf_for_other_names_or_with_a_lost_key_is_replaced_under_the_same_ca() {
    let contents = mk_contents();
    let moved = Policy::new(service_names("webhook", "elsewhere").unwrap());
    let seen = mk_published(&contents);
    assert_eq!(decide(&moved, &seen, Duration::ZERO, day(1)), Step::Write(Change::SwitchLeaf));
    let after = Change::SwitchLeaf.apply(&contents, &moved, day(1)).unwrap();
    assert_eq!(after.ca_crt, contents.ca_crt);

    for tls_key in [Vec::new(), b"garbage".to_vec(), mk_contents().tls_key] {
        let damaged = Contents { tls_key, ..contents.clone() };
        assert_eq!(step(&mk_published(&damaged), Duration::ZERO, day(1)), Step::Write(Change::SwitchLeaf));
    }
}

#[test]
fn somebody_elses_secret_is_taken_over_without_an_outage() {
    let foreign = Contents { ca_key: Vec::new(), ..mk_contents() };
    let staged =
        change(step(&mk_published(&foreign), WAIT, day(1))).apply(&foreign, &policy(), day(1)).unwrap();
    assert_eq!((&staged.tls_crt, cas(&staged).len()), (&foreign.tls_crt, 2));
    assert_eq!(step(&mk_published(&staged), Duration::ZERO, day(1)), Step::Wait(WAIT));
}

#[test]
fn what_has_expired_altogether_is_replaced_without_a_wait_but_bundle_first() {
    let old = mk_contents();
    let now = day(400);
    let staged = change(step(&mk_published(&old), Duration::ZERO, now)).apply(&old, &policy(), now).unwrap();
    let seen = mk_seen(Some(staged.clone()), &old.ca_crt);
    assert_eq!(step(&seen, Duration::ZERO, now), Step::Publish(cas(&staged)));
    assert_eq!(step(&mk_published(&staged), Duration::ZERO, now), Step::Write(Change::SwitchLeaf));
}

#[test]
fn a_secret_from_the_future_is_replaced() {
    let future = mk_contents();
    assert!(matches!(step(&mk_published(&future), WAIT, day(-30)), Step::Write(Change::StageCa { .. })));
}

#[test]
fn debug_of_what_is_decided_and_seen_shows_no_key() {
    let contents = mk_contents();
    let seen = mk_published(&contents);
    let steps = [change(step(&seen, WAIT, day(300))), Change::Bootstrap];
    let shown = format!("{seen:?} {steps:?} {:?}", Steadiness::default());
    assert!(!shown.contains("PRIVATE"));
    let key_bytes = format!("{:?}", &contents.tls_key[..16]);
    assert!(!shown.contains(key_bytes.trim_matches(['[', ']'])));
}
