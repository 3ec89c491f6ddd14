//! Hosts on one store, and a scheduler that decides call by call whose turn it is. Everything is drawn
//! from one seed: who goes next, what fails, who falls, sleeps or is ended, whose clock is wrong.

use std::sync::Arc;

use tipstaff::*;

use crate::finish;
use crate::hosts::Process;
use crate::net::{Faults, Net};
use crate::random::Random;
use crate::rules::{HEAVY, LIGHT, Rules, rules, start};
use crate::witness::{Checked, Violation, Witness, ensure};
use crate::work::{Bound, Work, draw};

pub(crate) const DRAINS: &str = "everything drains once faults stop";
pub(crate) const REFUSED: &str = "a refused input leaves the store byte for byte as it was";
pub(crate) const SOUND: &str = "no record makes no sense";
pub(crate) const SLEPT: &str = "nothing that is due is slept through";
pub(crate) const RELEASED: &str = "a host that ended in good order holds nothing";

/// How long a worker holds what it claimed.
pub(crate) const LEASE: Span = Span::secs(60);

/// How hard a run is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Weight {
    Light,
    Heavy,
}

impl Weight {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Heavy => "heavy",
        }
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) commits: u64,
    pub(crate) falls: u64,
    pub(crate) pauses: u64,
    /// Hosts that ended in good order while faults struck.
    pub(crate) ends: u64,
    /// Runs of two tenants.
    pub(crate) shared: u64,
    pub(crate) late: u64,
    /// Enforcements that ended with nothing to do.
    pub(crate) idle: u64,
    /// Restrictions that could not be judged, as a worker that outlived its lease fell before it told.
    pub(crate) untold: u64,
}

/// Where a piece of work stands with its sender.
pub(crate) struct Item {
    /// Which tenant's it is.
    pub(crate) tenant: usize,
    pub(crate) work: Work,
    pub(crate) bound: Option<Bound>,
    pub(crate) sent: bool,
    pub(crate) done: bool,
    pub(crate) tries: u32,
}

impl Item {
    pub(crate) const fn new(tenant: usize, work: Work) -> Self {
        Self { tenant, work, bound: None, sent: false, done: false, tries: 0 }
    }
}

/// What was promised to those outside.
#[derive(Default)]
pub(crate) struct Promises {
    /// Decisions that were acknowledged, each with its signal.
    pub(crate) decisions: Vec<(Signal, Decision)>,
    /// Answers to requests that were acknowledged.
    pub(crate) votes: Vec<(ApprovalId, &'static str, Verdict)>,
    /// Whether somebody used a kill switch, exempted somebody, or changed a rule.
    pub(crate) stopped: bool,
    pub(crate) exempted: bool,
    pub(crate) edited: bool,
}

/// How often what may go wrong besides the calls.
struct Budget {
    falls: u32,
    pauses: u32,
    steps: u32,
    ends: u32,
}

pub(crate) struct World {
    pub(crate) net: Arc<Net>,
    /// Those of each tenant.
    pub(crate) rules: Vec<Arc<Rules>>,
    /// What each tenant was promised.
    pub(crate) promises: Vec<Promises>,
    pub(crate) random: Random,
    pub(crate) hosts: Vec<Process>,
    pub(crate) items: Vec<Item>,
    budget: Budget,
    pub(crate) tally: Tally,
    pub(crate) heavy: bool,
}

/// Runs a seed; the trace is empty unless it was asked for.
pub(crate) fn run(weight: Weight, seed: u64, traced: bool) -> (Result<Tally, Violation>, Vec<String>) {
    let mut world = World::new(weight, seed, traced);
    let outcome = world.live().and_then(|()| finish::check(&world));
    let (untold, late) = match outcome {
        Ok(ends) => ends,
        Err(violation) => return (Err(violation), world.net.take_trace()),
    };
    let state = world.net.state();
    let shared = u64::from(world.rules.len() > 1);
    let (calls, commits, idle) = (state.calls, state.witness.commits, state.targets.already.len() as u64);
    let tally = Tally { calls, commits, untold, late, idle, shared, ..world.tally };
    drop(state);
    (Ok(tally), world.net.take_trace())
}

impl World {
    fn new(weight: Weight, seed: u64, traced: bool) -> Self {
        let heavy = weight == Weight::Heavy;
        let mut random = Random::new(seed ^ if heavy { 0x0068_6561_7679 } else { 0 });
        let sets = if heavy { &HEAVY } else { &LIGHT };
        let tenants = if random.chance(300) { 2 } else { 1 };
        let rules: Vec<_> = (0..tenants).map(|tenant| rules(random.pick(sets), tenant)).collect();
        let names = rules.iter().map(|rules| rules.tenant.clone()).collect();
        let net = Arc::new(Net::new(random.next(), start(), names, traced));
        rules.iter().for_each(|rules| rules.install(&net.store));
        let pieces = if heavy { 7 + random.below(6) } else { 3 + random.below(4) };
        let work = draw(&mut random, &rules, pieces);
        let mut state = net.state();
        state.witness = Witness::of(rules.iter().flat_map(|rules| &rules.records));
        state.switches = work.iter().any(|(_, work)| matches!(work, Work::Switch { .. }));
        state.faults = match (heavy, random.below(4)) {
            (_, 0) => Faults::Peace,
            (false, _) => Faults::Chance { before: 10, lost: 15 },
            (true, 1) => Faults::Chance { before: 15, lost: 30 },
            (true, _) => Faults::Chance { before: 30, lost: 60 },
        };
        state.targets.moods = random.pick(&[[0, 0, 0], [100, 0, 0], [50, 30, 100], [0, 0, 250]]);
        state.targets.frank = random.pick(&[0, 300, 1_000]);
        let poisonous =
            ["send_email", "lock_account", "escalate_to_hr", "assign_training", "revoke_sessions"];
        state.targets.poison = if random.chance(60) { Some(random.pick(&poisonous)) } else { None };
        drop(state);
        let budget = match heavy {
            false => Budget {
                falls: random.below(3) as u32,
                pauses: random.below(2) as u32,
                steps: 0,
                ends: random.below(2) as u32,
            },
            true => Budget {
                falls: random.below(6) as u32,
                pauses: random.below(4) as u32,
                steps: random.below(3) as u32,
                ends: random.below(4) as u32,
            },
        };
        let mut world = Self {
            net,
            promises: rules.iter().map(|_| Promises::default()).collect(),
            rules,
            items: work.into_iter().map(|(tenant, work)| Item::new(tenant, work)).collect(),
            hosts: Vec::new(),
            budget,
            random,
            tally: Tally::default(),
            heavy,
        };
        let hosts = if heavy { 4 + world.random.below(5) } else { 2 + world.random.below(2) };
        for place in 0..hosts {
            let process = world.process(place, 0);
            world.hosts.push(process);
        }
        world
    }

    pub(crate) fn note(&self, who: &str, what: &str) {
        who.clone_into(&mut self.net.state().who);
        self.net.trace(|| what.to_owned());
    }

    fn live(&mut self) -> Checked {
        let limit = if self.heavy { 1_500 } else { 500 };
        for _ in 0..limit {
            let quiet = self.items.iter().all(|item| item.done)
                && self.hosts.iter().all(|host| host.tasks.is_empty());
            if quiet {
                break;
            }
            self.step()?;
        }
        self.drain()
    }

    fn step(&mut self) -> Checked {
        let now = self.net.now();
        for host in &mut self.hosts {
            if host.asleep_until.is_some_and(|until| until <= now) {
                host.asleep_until = None;
            }
        }
        match self.random.below(1_000) {
            0..=849 => return self.poll_some(),
            850..=909 => {
                let waiting: Vec<usize> =
                    (0..self.items.len()).filter(|n| !self.items[*n].sent && !self.items[*n].done).collect();
                // Roughly in order, so that there is something to answer.
                let first = &waiting[..waiting.len().min(3)];
                if let (false, Some(host)) = (first.is_empty(), self.awake()) {
                    let item = self.random.pick(first);
                    self.send(item, host);
                }
            }
            910..=949 => {
                if let Some(host) = self.awake().filter(|host| self.looks(*host)) {
                    self.begin_run(host);
                }
            }
            950..=954 => {
                if let Some(host) = self.awake() {
                    self.begin_renewal(host);
                }
            }
            955..=989 => {
                let span = match self.random.below(20) {
                    0 => Span::mins(self.random.below(40) as u64 + 1),
                    1..=3 => Span::secs(self.random.below(90) as u64),
                    _ => Span::millis(self.random.below(8_000) as u64),
                };
                self.net.advance_to(now.after(span));
            }
            _ => self.trouble(),
        }
        Ok(())
    }

    /// A host that is not asleep, and not about to end.
    fn awake(&mut self) -> Option<usize> {
        let up = |n: &usize| self.hosts[*n].asleep_until.is_none() && !self.hosts[*n].engine.is_stopped();
        let up: Vec<usize> = (0..self.hosts.len()).filter(up).collect();
        if up.is_empty() { None } else { Some(self.random.pick(&up)) }
    }

    /// A fall, a pause beyond the lease, a step of a clock, the end of a host in good order.
    fn trouble(&mut self) {
        let host = self.random.below(self.hosts.len());
        match self.random.below(4) {
            0 if self.budget.falls > 0 => {
                self.budget.falls -= 1;
                self.tally.falls += 1;
                self.note(&format!("h{host}"), "falls");
                self.replace(host);
            }
            1 if self.budget.pauses > 0 && !self.hosts[host].tasks.is_empty() => {
                self.budget.pauses -= 1;
                self.tally.pauses += 1;
                let span = Span::secs(self.random.below(240) as u64 + 30);
                self.hosts[host].asleep_until = Some(self.net.now().after(span));
                self.note(&format!("h{host}"), "sleeps");
                // Time goes on meanwhile.
                if self.random.chance(500) {
                    self.net.advance_to(self.net.now().after(span.max(LEASE)));
                }
            }
            2 if self.budget.steps > 0 => {
                self.budget.steps -= 1;
                self.hosts[host].skew += self.random.between(-600_000_000, 600_000_000);
                self.note(&format!("h{host}"), "its clock steps");
            }
            3 if self.budget.ends > 0 && self.hosts[host].asleep_until.is_none() => {
                self.budget.ends -= 1;
                self.note(&format!("h{host}"), "is to end");
                self.hosts[host].engine.stop();
                self.end_if_idle(host);
            }
            _ => {}
        }
    }

    /// Whatever was acknowledged is kept.
    pub(crate) fn promised(&mut self, tenant: usize, signal: Signal, decision: Decision) -> Checked {
        let right = signal.info().id != crate::work::WRONG;
        ensure(REFUSED, right, || format!("{signal:?} was taken"))?;
        self.promises[tenant].decisions.push((signal, decision));
        Ok(())
    }
}
