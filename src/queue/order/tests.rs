//! The laws of the queue.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_key_waits_once_however_often_it_is_added() {
    let now = Instant::now();
    let mut order = Order::new(Backoff::default());
    for _ in 0..3 {
        order.add("a");
        order.add("b");
    }
    assert_eq!(order.depth(), Depth { ready: 2, delayed: 0, running: 0 });
    assert_eq!([order.next(now), order.next(now), order.next(now)], [Some("a"), Some("b"), None]);
}

#[test]
fn a_key_added_while_its_pass_runs_is_run_again_after_it() {
    let now = Instant::now();
    let mut order = Order::new(Backoff::default());
    order.add("a");
    order.next(now);
    order.add("a");
    assert_eq!(order.next(now), None, "never two passes for one key");
    order.done(&"a", Outcome::After(secs(60)), now, 0.0);
    assert_eq!(order.next(now), Some("a"));
}

#[test]
fn failures_are_counted_until_a_success() {
    let mut now = Instant::now();
    let mut order = Order::new(Backoff::default());
    order.add("a");
    let mut waits = Vec::new();
    for outcome in
        [Outcome::Backoff, Outcome::Backoff, Outcome::Backoff, Outcome::AwaitChange, Outcome::Backoff]
    {
        now = order.due().unwrap_or(now);
        if order.due().is_none() {
            order.add("a");
        }
        assert_eq!(order.next(now), Some("a"));
        order.done(&"a", outcome, now, 1.0);
        waits.push(order.due().map(|due| (due - now).as_secs()));
    }
    assert_eq!(waits, [Some(2), Some(4), Some(8), None, Some(2)]);
}

#[test]
fn a_change_cuts_a_backoff_short_but_does_not_forget_the_failures() {
    let now = Instant::now();
    let mut order = Order::new(Backoff::default());
    order.add("a");
    order.next(now);
    order.done(&"a", Outcome::Backoff, now, 1.0);
    order.add("a");
    assert_eq!(order.next(now), Some("a"));
    order.done(&"a", Outcome::Backoff, now, 1.0);
    assert_eq!(order.due(), Some(now + secs(4)));
}

#[test]
fn a_time_asked_for_while_the_pass_runs_competes_with_its_outcome() {
    let now = Instant::now();
    let mut order = Order::new(Backoff::default());
    order.add("a");
    order.next(now);
    order.add_at("a", now + secs(5));
    order.done(&"a", Outcome::After(secs(60)), now, 0.0);
    assert_eq!(order.due(), Some(now + secs(5)));

    order.add("a");
    order.next(now);
    order.add_at("a", now + secs(5));
    order.done(&"a", Outcome::AwaitChange, now, 0.0);
    assert_eq!(order.due(), Some(now + secs(5)));
}

#[test]
fn a_key_that_awaits_a_change_leaves_nothing_behind() {
    let now = Instant::now();
    let mut order = Order::new(Backoff::default());
    order.add("a");
    order.next(now);
    order.done(&"a", Outcome::AwaitChange, now, 0.0);
    assert!(order.entries.is_empty());
}

#[test]
fn a_key_that_was_not_handed_out_cannot_be_given_back() {
    let now = Instant::now();
    let mut order = Order::new(Backoff::default());
    order.done(&"a", Outcome::Backoff, now, 0.0);
    order.add("a");
    order.done(&"a", Outcome::AwaitChange, now, 0.0);
    assert_eq!(order.next(now), Some("a"));
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Add(u8),
    AddAfter(u8, u64),
    Next,
    Done(usize, Outcome),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let outcome = prop_oneof![
        Just(Outcome::AwaitChange),
        (0..400_u64).prop_map(|wait| Outcome::After(secs(wait))),
        Just(Outcome::Backoff),
    ];
    prop_oneof![
        3 => (0..5_u8).prop_map(Op::Add),
        2 => (0..5_u8, 0..400_u64).prop_map(|(key, wait)| Op::AddAfter(key, wait)),
        4 => Just(Op::Next),
        4 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Op::Done(which, outcome)),
        2 => (0..200_u64).prop_map(Op::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_key_is_lost_and_none_has_two_passes(ops in proptest::collection::vec(op(), 0..200), unit in 0.0..=1.0_f64) {
        let mut now = Instant::now();
        let mut order = Order::new(Backoff::default());
        let mut running: Vec<u8> = Vec::new();
        // Keys that must get a pass yet, and by when: the model of what was asked for.
        let mut owed: HashMap<u8, Instant> = HashMap::new();
        let owe = |owed: &mut HashMap<u8, Instant>, key, at| {
            let by = owed.entry(key).or_insert(at);
            *by = at.min(*by);
        };
        for op in ops {
            match op {
                Op::Add(key) => {
                    order.add(key);
                    owe(&mut owed, key, now);
                }
                Op::AddAfter(key, wait) => {
                    order.add_at(key, now + secs(wait));
                    owe(&mut owed, key, now + secs(wait));
                }
                Op::Next => {
                    let next = order.next(now);
                    match next {
                        Some(key) => {
                            prop_assert!(!running.contains(&key), "two passes for {}", key);
                            let by = owed.remove(&key);
                            prop_assert!(by.is_some_and(|by| by <= now), "{} is early: {:?}", key, by);
                            running.push(key);
                        }
                        None => {
                            let late = owed.iter().find(|(key, by)| **by <= now && !running.contains(key));
                            prop_assert_eq!(late, None, "due, but not handed out");
                        }
                    }
                }
                Op::Done(which, outcome) if !running.is_empty() => {
                    let key = running.swap_remove(which % running.len());
                    order.done(&key, outcome, now, unit);
                    match outcome {
                        Outcome::AwaitChange => {}
                        Outcome::After(wait) => owe(&mut owed, key, now + wait),
                        Outcome::Backoff => {
                            let by = owed.get(&key).copied();
                            let due = if by.is_some_and(|by| by <= now) { now } else {
                                // The wait itself is checked against its bounds here, its growth elsewhere.
                                let due = order.entries.get(&key).and_then(|entry| entry.due).map(|(due, _)| due);
                                prop_assert!(due.is_some());
                                let due = due.unwrap_or(now);
                                prop_assert!(by.is_some_and(|by| due <= by) || due >= now + secs(1));
                                prop_assert!(due <= now + secs(300));
                                due
                            };
                            owe(&mut owed, key, due);
                        }
                    }
                }
                Op::Done(..) => {}
                Op::Pass(wait) => now += secs(wait),
            }
            let depth = order.depth();
            prop_assert_eq!(depth.running, running.len());
            prop_assert!(depth.ready <= 5 && depth.delayed <= 5, "one entry for each key: {:?}", depth);
        }
        // Left alone, everything that is owed is handed out, and then the queue is empty.
        for key in running.drain(..) {
            order.done(&key, Outcome::AwaitChange, now, unit);
        }
        let mut handed = HashSet::new();
        loop {
            now = order.due().map_or(now, |due| due.max(now));
            let Some(key) = order.next(now) else { break };
            handed.insert(key);
            order.done(&key, Outcome::AwaitChange, now, unit);
        }
        prop_assert!(owed.keys().all(|key| handed.contains(key)));
        prop_assert!(order.entries.is_empty() && order.delayed.is_empty());
    }
}
