//! The law of the rotation, tried on a model: several replicas that read, wait and write at their own pace and crash
//! anywhere between, API servers and listeners that lag behind by up to the propagation wait.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use mcp_certs::rotation::{Change, Configured, Observation, Steadiness, Step, decide};
use mcp_certs::{CaBundle, Contents, Leaf, Policy, service_names};
use proptest::prelude::*;

const WAIT: i64 = 4;
const LEAF: i64 = 150;
const CA: i64 = 400;
const START: i64 = 1_000_000;

fn secs(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn policy() -> Policy {
    Policy {
        ca_lifetime: secs(CA),
        leaf_lifetime: secs(LEAF),
        propagation: secs(WAIT),
        ..Policy::new(service_names("webhook", "operators").unwrap())
    }
}

/// Something with versions, the past ones of which may still be around.
#[derive(Clone)]
struct Versioned<T> {
    current: T,
    version: u64,
    /// What it was before, and until when.
    past: Vec<(T, i64)>,
}

impl<T: Clone + PartialEq> Versioned<T> {
    fn new(current: T) -> Self {
        Self { current, version: 0, past: Vec::new() }
    }

    /// The write of somebody who has read `version`; nothing happens if that is old.
    fn write(&mut self, version: u64, value: T, now: i64) {
        if version == self.version {
            self.version += 1;
            let before = std::mem::replace(&mut self.current, value);
            self.past.push((before, now));
        }
    }

    /// Everything that somebody who lags behind by less than the wait may take for current.
    fn visible(&mut self, now: i64) -> Vec<T> {
        self.past.retain(|(_, until)| now - until < WAIT);
        self.past.iter().map(|(value, _)| value).chain([&self.current]).cloned().collect()
    }
}

/// From when until when a bundle verifies a leaf, if it does.
type Verdict = Option<(i64, i64)>;

/// Where a replica is in its pass. Between any two of these, others act, and it may crash.
enum Phase {
    Resting,
    ReadConfigurations(Vec<(u64, Configured)>),
    Decided { configurations: Vec<(u64, Configured)>, secret: u64, contents: Option<Contents>, step: Step },
}

struct Replica {
    phase: Phase,
    steadiness: Steadiness,
    wake: i64,
    skew: i64,
    /// The sum of all versions at its last pass: what a watch would tell it about.
    known: u64,
}

struct World {
    policy: Policy,
    now: i64,
    entropy: u64,
    secret: Versioned<Option<Contents>>,
    configurations: Vec<Versioned<Configured>>,
    replicas: Vec<Replica>,
    verdicts: HashMap<(Vec<u8>, Vec<u8>), Verdict>,
    /// Whether a replica may stall between two phases for longer than the wait.
    stalls: bool,
    writes: u64,
    switches: u64,
}

impl World {
    fn new(secret: Option<Contents>, configurations: Vec<Configured>, skews: &[i64], entropy: u64) -> Self {
        let replica = |skew: &i64| Replica {
            phase: Phase::Resting,
            steadiness: Steadiness::default(),
            wake: START,
            skew: *skew,
            known: 0,
        };
        Self {
            policy: policy(),
            now: START,
            entropy,
            secret: Versioned::new(secret),
            configurations: configurations.into_iter().map(Versioned::new).collect(),
            replicas: skews.iter().map(replica).collect(),
            verdicts: HashMap::new(),
            stalls: false,
            writes: 0,
            switches: 0,
        }
    }

    fn random(&mut self, below: i64) -> i64 {
        self.entropy =
            self.entropy.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.entropy >> 33) % below.unsigned_abs()).unwrap()
    }

    fn versions(&self) -> u64 {
        self.secret.version + self.configurations.iter().map(|one| one.version).sum::<u64>()
    }

    fn crash(&mut self, replica: usize) {
        let wake = self.now + 1 + self.random(3);
        let count = self.replicas.len();
        let replica = &mut self.replicas[replica % count];
        *replica = Replica { phase: Phase::Resting, steadiness: Steadiness::default(), wake, ..*replica };
    }

    fn tick(&mut self) {
        self.now += 1;
        let first = usize::try_from(self.random(8)).unwrap();
        for i in 0..self.replicas.len() {
            self.advance((first + i) % self.replicas.len());
        }
    }

    /// Lets a replica go on for as far as it gets within this second.
    fn advance(&mut self, i: usize) {
        let versions = self.versions();
        if matches!(self.replicas[i].phase, Phase::Resting) && self.replicas[i].known != versions {
            let noticed = self.now + self.random(3);
            self.replicas[i].wake = self.replicas[i].wake.min(noticed);
        }
        for _ in 0..3 {
            if self.replicas[i].wake > self.now {
                return;
            }
            let stalled = self.stalls && self.random(16) == 0;
            let pause = if stalled { 2 * WAIT } else { self.random(3) };
            self.replicas[i].wake = self.now + pause;
            let phase = std::mem::replace(&mut self.replicas[i].phase, Phase::Resting);
            self.replicas[i].phase = self.go_on(i, phase);
        }
    }

    fn go_on(&mut self, i: usize, phase: Phase) -> Phase {
        match phase {
            Phase::Resting => {
                self.replicas[i].known = self.versions();
                let read = self.configurations.iter().map(|one| (one.version, one.current.clone()));
                Phase::ReadConfigurations(read.collect())
            }
            Phase::ReadConfigurations(configurations) => {
                let (secret, contents) = (self.secret.version, self.secret.current.clone());
                let seen = Observation {
                    secret: contents.clone(),
                    configured: configurations.iter().map(|(_, configured)| configured.clone()).collect(),
                };
                let replica = &mut self.replicas[i];
                let steady = replica.steadiness.observe(&seen, secs(self.now));
                let wall = self.now + replica.skew;
                let step = decide(&self.policy, &seen, steady, at(wall));
                match &step {
                    Step::Wait(rest) => {
                        replica.wake = self.now + i64::try_from(rest.as_secs()).unwrap().max(1)
                    }
                    Step::Idle { until } => replica.wake = self.now + (until.as_second() - wall).clamp(1, 60),
                    Step::Write(_) | Step::Publish(_) => {
                        return Phase::Decided { configurations, secret, contents, step };
                    }
                }
                Phase::Resting
            }
            Phase::Decided { configurations, secret, contents, step } => {
                self.writes += 1;
                let wall = self.now + self.replicas[i].skew;
                match step {
                    Step::Write(change) => {
                        self.switches += u64::from(change == Change::SwitchLeaf);
                        let after =
                            change.apply(&contents.unwrap_or_default(), &self.policy, at(wall)).unwrap();
                        self.secret.write(secret, Some(after), self.now);
                    }
                    Step::Publish(bundle) => {
                        for (one, (version, seen)) in self.configurations.iter_mut().zip(&configurations) {
                            if let Configured::Bundles(bundles) = seen
                                && !seen.has_only(&bundle)
                            {
                                let filled = vec![bundle.to_pem(); bundles.len()];
                                one.write(*version, Configured::Bundles(filled), self.now);
                            }
                        }
                    }
                    Step::Wait(_) | Step::Idle { .. } => unreachable!("neither is carried out"),
                }
                Phase::Resting
            }
        }
    }

    /// Every bundle that an API server may hold verifies every leaf that a replica may serve.
    fn assert_law(&mut self) {
        let leaves: Vec<Contents> = self.secret.visible(self.now).into_iter().flatten().collect();
        let mut held: Vec<Vec<u8>> = Vec::new();
        for one in &mut self.configurations {
            let visible = one.visible(self.now);
            held.extend(visible.iter().flat_map(Configured::bundles).map(<[u8]>::to_vec));
        }
        for bundle in &held {
            for leaf in &leaves {
                let key = (bundle.clone(), leaf.tls_crt.clone());
                let policy = &self.policy;
                let verdict = self.verdicts.entry(key).or_insert_with(|| accepted(policy, bundle, leaf));
                let good = verdict.is_some_and(|(from, until)| from <= self.now && self.now < until);
                assert!(
                    good,
                    "at {}: {:?} does not verify {leaf:?}",
                    self.now - START,
                    CaBundle::from_pem(bundle)
                );
            }
        }
    }

    /// Nothing is left to do, all is trusted, and exactly one CA is.
    fn assert_settled(&mut self) {
        let seen = Observation {
            secret: self.secret.current.clone(),
            configured: self.configurations.iter().map(|one| one.current.clone()).collect(),
        };
        let step = decide(&self.policy, &seen, secs(WAIT), at(self.now));
        assert!(matches!(step, Step::Idle { .. }), "{step:?}");
        assert_eq!(CaBundle::from_pem(&self.secret.current.as_ref().unwrap().ca_crt).len(), 1);
        self.assert_law();
    }
}

/// From when until when a client with that bundle accepts the leaf.
fn accepted(policy: &Policy, bundle: &[u8], leaf: &Contents) -> Verdict {
    let leaf = Leaf::from_pem(&leaf.tls_crt, &leaf.tls_key).ok()?;
    let bundle = CaBundle::from_pem(bundle);
    bundle.iter().find_map(|ca| {
        let from = ca.not_before().max(leaf.certificate().not_before());
        let until = ca.not_after().min(leaf.certificate().not_after());
        ca.vouches_for(leaf.chain(), &policy.names, from).then(|| (from.as_second(), until.as_second()))
    })
}

fn mk_contents(policy: &Policy, now: i64) -> Contents {
    Change::Bootstrap.apply(&Contents::default(), policy, at(now)).unwrap()
}

/// Two configurations whose webhooks, one and three, all hold the bundle.
fn mk_configured(bundle: &[u8]) -> Vec<Configured> {
    vec![Configured::Bundles(vec![bundle.to_vec()]), Configured::Bundles(vec![bundle.to_vec(); 3])]
}

/// Values that an entry may have: (good, another CA's, expired, another name's, garbage, nothing, both CAs).
fn mk_entry(which: u8, entry: fn(&Contents) -> &Vec<u8>, good: &Contents) -> Vec<u8> {
    let elsewhere = Policy { names: service_names("other", "operators").unwrap(), ..policy() };
    let made = |contents: Contents| entry(&contents).clone();
    match which {
        0 => entry(good).clone(),
        1 => made(mk_contents(&policy(), START)),
        2 => made(mk_contents(&policy(), START - 2 * CA)),
        3 => made(mk_contents(&elsewhere, START)),
        4 => b"-----BEGIN CERTIFICATE-----\n%%%\n".to_vec(),
        5 => Vec::new(),
        _ => [made(mk_contents(&policy(), START)), entry(good).clone()].concat(),
    }
}

fn any_contents() -> impl Strategy<Value = Option<Contents>> {
    let entries = (0..7_u8, 0..7_u8, 0..7_u8, 0..7_u8);
    proptest::option::weighted(0.9, (entries, 0..5_usize)).prop_map(|drawn| {
        let ((tls_crt, tls_key, ca_crt, ca_key), whole) = drawn?;
        // A whole that fits together, so that not everything is garbage at once.
        let age = [0, 50, 100, 230, 2 * CA][whole];
        let good = mk_contents(&policy(), START - age);
        Some(Contents {
            tls_crt: mk_entry(tls_crt, |it| &it.tls_crt, &good),
            tls_key: mk_entry(tls_key, |it| &it.tls_key, &good),
            ca_crt: mk_entry(ca_crt, |it| &it.ca_crt, &good),
            ca_key: mk_entry(ca_key, |it| &it.ca_key, &good),
        })
    })
}

/// When, whom, what: a crash of a replica, or the wipe of a `caBundle`.
fn any_crashes(ticks: i64) -> impl Strategy<Value = Vec<(i64, usize)>> {
    proptest::collection::vec((0..ticks, 0..3_usize), 0..12)
}

fn any_skews() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(-2..=2_i64, 1..=3)
}

fn run(world: &mut World, ticks: i64, crashes: &[(i64, usize)], lawful: bool) {
    for tick in 0..ticks {
        crashes.iter().filter(|(when, _)| *when == tick).for_each(|(_, whom)| world.crash(*whom));
        world.tick();
        if lawful {
            world.assert_law();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// From a healthy state, through two rotations of the CA and more of the leaf.
    #[test]
    fn every_bundle_an_api_server_may_hold_verifies_every_leaf_served(
        skews in any_skews(),
        crashes in any_crashes(800),
        entropy in any::<u64>(),
    ) {
        let healthy = mk_contents(&policy(), START);
        let configured = mk_configured(&healthy.ca_crt);
        let mut world = World::new(Some(healthy), configured, &skews, entropy);
        world.stalls = true;
        run(&mut world, 800, &crashes, true);
        prop_assert!(world.switches >= 6, "no rotation took place");
    }

    /// What the Secret says about CAs may be anything, as long as what is served and what is trusted fit.
    #[test]
    fn damage_to_the_secrets_cas_is_repaired_without_an_outage(
        skews in any_skews(),
        crashes in any_crashes(20),
        entropy in any::<u64>(),
        ca_crt in 0..7_u8,
        ca_key in 0..7_u8,
        // Another CA with the key that belongs to it, rather than any two entries.
        usurped in any::<bool>(),
    ) {
        let healthy = mk_contents(&policy(), START);
        let configured = mk_configured(&healthy.ca_crt);
        let other = mk_contents(&policy(), START);
        let (ca_crt, ca_key) = if usurped {
            (other.ca_crt, other.ca_key)
        } else {
            (mk_entry(ca_crt, |it| &it.ca_crt, &healthy), mk_entry(ca_key, |it| &it.ca_key, &healthy))
        };
        let damaged = Contents { ca_crt, ca_key, ..healthy };
        let mut world = World::new(Some(damaged), configured, &skews, entropy);
        run(&mut world, 48, &crashes, true);
        world.assert_settled();
    }

    /// From any state, with configurations that are missing, empty, foreign or mixed, all comes to rest.
    #[test]
    fn every_state_converges(
        contents in any_contents(),
        held in proptest::collection::vec(proptest::option::of(proptest::collection::vec(0..7_u8, 0..3)), 0..=2),
        skews in any_skews(),
        crashes in any_crashes(20),
        entropy in any::<u64>(),
        wiped_at in 0..20_i64,
    ) {
        let base = contents.clone().unwrap_or_else(|| mk_contents(&policy(), START));
        let configured = held.into_iter().map(|bundles| match bundles {
            None => Configured::Missing,
            Some(bundles) => Configured::Bundles(
                bundles.into_iter().map(|which| mk_entry(which, |it| &it.ca_crt, &base)).collect(),
            ),
        });
        let mut world = World::new(contents, configured.collect(), &skews, entropy);
        // Well before the first leaf is due: by the clock that is most ahead, that is at 91, where the one that is most behind
        // has issued it.
        for tick in 0..84 {
            crashes.iter().filter(|(when, _)| *when == tick).for_each(|(_, whom)| world.crash(*whom));
            if tick == wiped_at && let Some(one) = world.configurations.first_mut() {
                one.write(one.version, Configured::Bundles(vec![Vec::new(); 2]), world.now);
            }
            world.tick();
        }
        world.assert_settled();
        let writes = world.writes;
        run(&mut world, 3, &[], true);
        prop_assert_eq!(world.writes, writes, "writes although nothing changes");
    }
}
