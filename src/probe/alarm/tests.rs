//! The laws of alarms.

use proptest::prelude::*;

use super::*;

const START: i64 = 1_800_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn schedule(text: &str) -> Schedule {
    text.parse().unwrap()
}

/// The times within `(from, to]` that a schedule names.
fn times(schedule: Schedule, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut times = Vec::new();
    let mut next = schedule.next_after(from);
    while let Some(time) = next.filter(|time| *time <= to) {
        times.push(time);
        next = schedule.next_after(time);
    }
    times
}

/// The clock at each look, and whether it rang.
fn looks(alarm: &mut Alarm, clock: impl IntoIterator<Item = i64>) -> Vec<(i64, bool)> {
    clock.into_iter().map(|second| (second, alarm.look(at(second)))).collect()
}

fn rings(alarm: &mut Alarm, clock: impl IntoIterator<Item = i64>) -> usize {
    looks(alarm, clock).into_iter().filter(|(_, rang)| *rang).count()
}

#[test]
fn it_rings_once_for_each_time() {
    let mut alarm = Alarm::new(schedule("*/5 * * * *"), at(START));
    assert_eq!(rings(&mut alarm, (START..START + 3610).step_by(7)), 12);
}

#[test]
fn a_time_that_was_slept_through_is_not_made_up_for() {
    let mut alarm = Alarm::new(schedule("0 * * * *"), at(START));
    let hour = alarm.next().unwrap().as_second();
    // The machine was suspended for ten hours.
    assert_eq!(rings(&mut alarm, [hour + 36_000 + 300]), 0);
    assert_eq!(alarm.next(), Some(at(hour + 39_600)));
    assert_eq!(rings(&mut alarm, [hour + 39_600]), 1);
}

#[test]
fn a_clock_that_is_set_back_a_little_rings_no_second_time() {
    let mut alarm = Alarm::new(schedule("* * * * *"), at(START));
    let minute = alarm.next().unwrap().as_second();
    assert_eq!(rings(&mut alarm, [minute, minute - 2, minute, minute + 1]), 1);
    assert_eq!(rings(&mut alarm, [minute + 60]), 1);
}

#[test]
fn a_clock_that_is_set_back_far_does_not_make_it_wait_until_it_is_there_again() {
    let mut alarm = Alarm::new(schedule("0 * * * *"), at(START));
    let hour = alarm.next().unwrap().as_second();
    assert_eq!(rings(&mut alarm, [hour]), 1);
    let long_ago = hour - 1_000_000_800;
    let next = schedule("0 * * * *").next_after(at(long_ago)).unwrap().as_second();
    assert_eq!(rings(&mut alarm, [long_ago, next]), 1);
}

#[test]
fn a_schedule_that_never_comes_never_rings() {
    let mut alarm = Alarm::new(schedule("0 0 30 2 *"), at(START));
    assert_eq!(alarm.next(), None);
    assert_eq!(rings(&mut alarm, (START..START + 100_000).step_by(60)), 0);
}

fn schedules() -> impl Strategy<Value = Schedule> {
    prop::sample::select(vec![
        "* * * * *",
        "*/5 * * * *",
        "7,8 * * * *",
        "0 * * * *",
        "30 2 * * *",
        "@weekly",
    ])
    .prop_map(schedule)
}

proptest! {
    #[test]
    fn with_a_clock_that_only_runs_every_time_rings_once(
        schedule in schedules(),
        start in START..START + 1_000_000,
        steps in prop::collection::vec(1..=60i64, 1..300),
    ) {
        let mut alarm = Alarm::new(schedule, at(start));
        let mut now = start;
        let clock: Vec<i64> = steps.into_iter().map(|step| { now += step; now }).collect();
        let rang = rings(&mut alarm, clock);
        // A schedule's times are a minute apart at least, and looks at most that.
        prop_assert_eq!(rang, times(schedule, at(start), at(now)).len());
    }

    #[test]
    fn however_the_clock_jumps_it_rings_only_at_its_times_and_never_twice_in_a_row_for_one(
        schedule in schedules(),
        steps in prop::collection::vec(prop_oneof![-30..90i64, -1_000_000..1_000_000i64], 1..200),
    ) {
        let mut alarm = Alarm::new(schedule, at(START));
        let mut now = START;
        let mut rang_for = None;
        for step in steps {
            now += step;
            let due = alarm.next();
            if alarm.look(at(now)) {
                let due = due.unwrap();
                prop_assert!(due <= at(now) && at(now).duration_since(due) <= LATE);
                prop_assert_eq!(times(schedule, due - SignedDuration::from_secs(1), due), vec![due]);
                let again = rang_for == Some(due);
                rang_for = Some(due);
                // Only a clock that went back further than it may comes by a time again.
                prop_assert!(!again || step < -SET_BACK.as_secs() || now < due.as_second() + 61);
            }
        }
    }

    #[test]
    fn after_any_jumps_the_next_time_rings(
        schedule in schedules(),
        jumps in prop::collection::vec(-10_000_000..10_000_000i64, 0..10),
    ) {
        let mut alarm = Alarm::new(schedule, at(START));
        let mut now = START;
        for jump in jumps {
            now += jump;
            alarm.look(at(now));
        }
        let next = alarm.next().unwrap();
        prop_assert!(next > at(now));
        // The next but one at the latest: the next one may be one that has just rung, before a small step back.
        let two = times(schedule, at(now), schedule.next_after(schedule.next_after(at(now)).unwrap()).unwrap());
        prop_assert!(two.contains(&next), "{} is not among {:?}", next, two);
        prop_assert!(alarm.look(next));
    }
}
