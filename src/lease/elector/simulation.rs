//! Whole elections: several replicas whose clocks differ in value and in speed, on a network that delays, loses and
//! outlives requests, while processes crash, stop and start.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

/// World time, in milliseconds. No replica can read it.
type Millis = u64;

const END: Millis = 240_000;
/// From here on nothing goes wrong any more.
const CALM: Millis = 180_000;

#[derive(Clone, Debug)]
struct Clock {
    start: Instant,
    offset: Millis,
    /// Local milliseconds in 100 of the world.
    speed: u64,
}

impl Clock {
    fn at(&self, world: Millis) -> Instant {
        self.start + Duration::from_millis(self.offset + world * self.speed / 100)
    }

    fn world_span(&self, local: Duration) -> Millis {
        u64::try_from(local.as_millis()).unwrap() * 100 / self.speed + 1
    }

    /// What this replica writes into the Lease as its time: as wrong as its clock.
    fn wall(&self, world: Millis) -> Timestamp {
        Timestamp::from_millisecond(i64::try_from(self.offset * 1_000 + world * self.speed / 100).unwrap())
            .unwrap()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Ends without a word, and starts anew after a while.
    Crash,
    /// Ends in good order.
    Stop,
    /// Deletes the Lease, whoever holds it.
    Delete,
    /// Loses whatever the replica sends, from now on.
    CutOff,
}

#[derive(Clone, Debug)]
enum Event {
    Turn { replica: usize, life: u32 },
    Arrive { replica: usize, life: u32, request: u64, sent: Instant, step: Step, answer: Option<Millis> },
    Answer { replica: usize, life: u32, request: u64, sent: Instant, result: Answered },
    Timeout { replica: usize, life: u32, request: u64 },
    Fault { replica: usize, fault: Fault },
    Start { replica: usize },
}

#[derive(Clone, Debug)]
enum Answered {
    Read(Option<Lease>),
    Written(Lease),
    Stale,
}

struct Replica {
    clock: Clock,
    life: u32,
    elector: Option<Elector>,
    awaited: Option<u64>,
}

struct World {
    now: Millis,
    events: BinaryHeap<Reverse<(Millis, u64)>>,
    pending: std::collections::HashMap<u64, Event>,
    sequence: u64,
    lease: Option<Lease>,
    version: u64,
    replicas: Vec<Replica>,
    network: Vec<(u16, u16, u8)>,
    /// Times at which somebody began to lead.
    elections: Vec<Millis>,
    cut_off: Option<usize>,
}

impl World {
    fn schedule(&mut self, at: Millis, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence)));
        self.pending.insert(self.sequence, event);
    }

    fn run(mut self) -> Self {
        while let Some(Reverse((at, id))) = self.events.pop() {
            if at > END {
                break;
            }
            self.now = at;
            let event = self.pending.remove(&id).unwrap();
            self.happen(event);
            let leaders = self.leaders();
            assert!(leaders.len() <= 1, "{leaders:?} all lead at {at} ms");
        }
        self
    }

    fn leaders(&self) -> Vec<usize> {
        let leads = |(index, replica): (usize, &Replica)| {
            let elector = replica.elector.as_ref()?;
            let now = replica.clock.at(self.now);
            elector
                .claim()
                .is_some_and(|claim| claim.is_current_for(&elector.settings.identity, now))
                .then_some(index)
        };
        self.replicas.iter().enumerate().filter_map(leads).collect()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start { replica } => {
                let life = self.replicas[replica].life;
                let me = format!("replica-{replica}-{life}");
                self.replicas[replica].elector = Some(Elector::new(tests::settings(&me)));
                self.schedule(self.now, Event::Turn { replica, life });
            }
            Event::Turn { replica, life } if self.replicas[replica].life == life => {
                let now = self.replicas[replica].clock.at(self.now);
                let Some(elector) = self.replicas[replica].elector.as_mut() else { return };
                match elector.begin_turn(now) {
                    Ok(()) => self.step(replica),
                    Err(_) => self.end(replica, 500),
                }
            }
            Event::Arrive { replica, life, request, sent, step, answer } => {
                let result = self.serve(step);
                if let Some(delay) = answer {
                    self.schedule(self.now + delay, Event::Answer { replica, life, request, sent, result });
                }
            }
            Event::Answer { replica, life, request, sent, result }
                if self.replicas[replica].life == life && self.replicas[replica].awaited == Some(request) =>
            {
                self.answered(replica, sent, result);
            }
            Event::Timeout { replica, life, request }
                if self.replicas[replica].life == life && self.replicas[replica].awaited == Some(request) =>
            {
                self.replicas[replica].awaited = None;
                if let Some(elector) = self.replicas[replica].elector.as_mut() {
                    elector.failed();
                }
                self.rest(replica);
            }
            Event::Fault { replica, fault } => self.fault(replica, fault),
            // Meant for a process that is no more, or an answer that nobody waits for.
            Event::Turn { .. } | Event::Answer { .. } | Event::Timeout { .. } => {}
        }
    }

    fn answered(&mut self, replica: usize, sent: Instant, result: Answered) {
        let before = self.leaders();
        let now = self.replicas[replica].clock.at(self.now);
        self.replicas[replica].awaited = None;
        let Some(elector) = self.replicas[replica].elector.as_mut() else { return };
        let outcome = match result {
            Answered::Read(lease) => elector.read(lease, now),
            Answered::Written(lease) => {
                elector.wrote(lease, sent, now);
                Ok(())
            }
            Answered::Stale => {
                elector.failed();
                Ok(())
            }
        };
        if outcome.is_err() {
            return self.end(replica, 500);
        }
        if before.is_empty() && !self.leaders().is_empty() {
            self.elections.push(self.now);
        }
        self.step(replica);
    }

    fn step(&mut self, replica: usize) {
        let Replica { clock, elector: Some(elector), .. } = &self.replicas[replica] else { return };
        let sent = clock.at(self.now);
        match elector.step(sent, clock.wall(self.now)) {
            Step::Rest => self.rest(replica),
            step => self.send(replica, sent, step),
        }
    }

    fn send(&mut self, replica: usize, sent: Instant, step: Step) {
        let (there, back, luck) = match self.network.len() {
            _ if self.now >= CALM => (5, 5, 128),
            0 => (5, 5, 128),
            length => self.network[usize::try_from(self.sequence).unwrap() % length],
        };
        self.sequence += 1;
        let request = self.sequence;
        let life = self.replicas[replica].life;
        self.replicas[replica].awaited = Some(request);
        // One in ten never arrives, one in ten is never answered.
        let answer = (luck >= 26).then_some(u64::from(back));
        if luck < 230 && self.cut_off != Some(replica) {
            let arrive = Event::Arrive { replica, life, request, sent, step, answer };
            self.schedule(self.now + u64::from(there), arrive);
        }
        let clock = &self.replicas[replica].clock;
        let mut patience = clock.world_span(Duration::from_secs(5));
        let claim = self.replicas[replica].elector.as_ref().and_then(Elector::claim);
        if let Some(claim) = claim {
            patience = patience.min(clock.world_span(claim.expires.saturating_duration_since(sent)));
        }
        self.schedule(self.now + patience, Event::Timeout { replica, life, request });
    }

    fn rest(&mut self, replica: usize) {
        let Replica { clock, elector: Some(elector), life, .. } = &self.replicas[replica] else { return };
        let unit = f64::from(u8::try_from(self.sequence % 256).unwrap()) / 256.0;
        let rest = clock.world_span(elector.rest(clock.at(self.now), unit));
        let turn = Event::Turn { replica, life: *life };
        self.schedule(self.now + rest, turn);
    }

    /// The API server: writes need the version that is stored.
    fn serve(&mut self, step: Step) -> Answered {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let mut stored = match (step, &self.lease) {
            (Step::Read | Step::Rest, known) => return Answered::Read(known.clone()),
            (Step::Create(lease), None) => lease,
            (Step::Replace(lease), Some(known)) if version(&lease) == version(known) => lease,
            _ => return Answered::Stale,
        };
        self.version += 1;
        stored.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(stored.clone());
        Answered::Written(stored)
    }

    fn fault(&mut self, replica: usize, fault: Fault) {
        match fault {
            Fault::Delete => self.lease = None,
            Fault::CutOff => self.cut_off = Some(replica),
            Fault::Crash => self.end(replica, 700),
            // A turn is finished first.
            Fault::Stop if self.replicas[replica].awaited.is_some() => {
                self.schedule(self.now + 20, Event::Fault { replica, fault });
            }
            Fault::Stop => {
                let (sent, wall) = {
                    let clock = &self.replicas[replica].clock;
                    (clock.at(self.now), clock.wall(self.now))
                };
                if let Some(elector) = self.replicas[replica].elector.as_mut()
                    && let step @ Step::Replace(_) = elector.vacate(wall)
                {
                    self.send(replica, sent, step);
                }
                self.end(replica, 1_000);
            }
        }
    }

    fn end(&mut self, replica: usize, pause: Millis) {
        self.replicas[replica].life += 1;
        self.replicas[replica].elector = None;
        self.replicas[replica].awaited = None;
        self.schedule(self.now + pause, Event::Start { replica });
    }
}

fn world(
    clocks: &[(Millis, u64)],
    network: Vec<(u16, u16, u8)>,
    faults: Vec<(Millis, usize, Fault)>,
) -> World {
    let start = Instant::now();
    let mk_replica = |&(offset, speed): &(Millis, u64)| Replica {
        clock: Clock { start, offset, speed },
        life: 0,
        elector: None,
        awaited: None,
    };
    let mut world = World {
        now: 0,
        events: BinaryHeap::new(),
        pending: std::collections::HashMap::new(),
        sequence: 0,
        lease: None,
        version: 0,
        replicas: clocks.iter().map(mk_replica).collect(),
        network,
        elections: Vec::new(),
        cut_off: None,
    };
    for replica in 0..clocks.len() {
        world.schedule(u64::try_from(replica).unwrap() * 300, Event::Start { replica });
    }
    for (at, replica, fault) in faults {
        world.schedule(at, Event::Fault { replica: replica % clocks.len(), fault });
    }
    world
}

fn faults() -> impl Strategy<Value = Vec<(Millis, usize, Fault)>> {
    let fault = prop_oneof![4 => Just(Fault::Crash), 4 => Just(Fault::Stop), 1 => Just(Fault::Delete)];
    proptest::collection::vec((0..CALM, 0..4_usize, fault), 0..12).prop_map(|mut faults| {
        // A replica that first looks after the Lease was deleted cannot know of a holder. A deletion is survived by those
        // who had looked before, so it comes alone, and after their start.
        if faults.iter().any(|(_, _, fault)| *fault == Fault::Delete) {
            faults.retain(|(at, _, fault)| *fault == Fault::Delete && *at > 5_000);
        }
        faults
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn at_most_one_leads_and_in_the_end_one_does(
        clocks in proptest::collection::vec((0..1_000_000_u64, 90..=110_u64), 2..5),
        network in proptest::collection::vec((0..6_000_u16, 0..6_000_u16, any::<u8>()), 0..60),
        faults in faults(),
    ) {
        let deletes = faults.iter().any(|(_, _, fault)| *fault == Fault::Delete);
        // A deletion and a lost renewal together restart processes, see `faults`.
        let network = if deletes { Vec::new() } else { network };
        let end = world(&clocks, network, faults).run();
        prop_assert_eq!(end.leaders().len(), 1, "nobody leads");
    }

    #[test]
    fn a_leader_that_stops_is_followed_at_once(
        clocks in proptest::collection::vec((0..1_000_000_u64, 90..=110_u64), 2..5),
        stop in CALM + 20_000..CALM + 40_000,
    ) {
        let faults = (0..clocks.len()).map(|replica| (stop, replica, Fault::Stop)).take(1).collect();
        let end = world(&clocks, Vec::new(), faults).run();
        // The first replica to start is the one that led and stopped.
        prop_assert_eq!(end.elections.len(), 2);
        prop_assert!(end.elections[1] - stop < 3_000, "{} ms", end.elections[1] - stop);
    }

    #[test]
    fn a_leader_that_crashes_is_followed_after_its_lease(
        clocks in proptest::collection::vec((0..1_000_000_u64, 90..=110_u64), 2..5),
        crash in 20_000..40_000_u64,
    ) {
        let end = world(&clocks, Vec::new(), vec![(crash, 0, Fault::Crash)]).run();
        prop_assert_eq!(end.elections.len(), 2);
        let gap = end.elections[1] - crash;
        prop_assert!((10_000..=20_000).contains(&gap), "{gap} ms");
    }
}

#[test]
fn with_nothing_going_wrong_one_leads_for_good() {
    let end = world(&[(0, 90), (5_000, 110)], Vec::new(), Vec::new()).run();
    assert_eq!(end.elections.len(), 1);
}

#[test]
fn a_holder_cut_off_from_the_server_has_ended_before_another_begins() {
    // The worst clocks: the holder's is slow, so that it believes for long, the other's is fast.
    let end = world(&[(0, 90), (5_000, 110)], Vec::new(), vec![(60_000, 0, Fault::CutOff)]).run();
    assert_eq!(end.elections.len(), 2);
    assert_eq!(end.leaders(), [1]);
}
