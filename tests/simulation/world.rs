//! Hosts on one store, and a scheduler that decides call by call whose turn it is. Everything is drawn
//! from one seed: who goes next, what fails, who falls or sleeps, whose clock is wrong.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tipstaff::*;

use crate::finish;
use crate::net::{Faults, Net, Wire};
use crate::random::Random;
use crate::rules::{HEAVY, LIGHT, Rules, records, rules, start, switches};
use crate::support::id;
use crate::target::Port;
use crate::witness::{Checked, Violation, Witness, ensure, violated};
use crate::work::{Bound, Host, Outcome, Work, body, draw, is_passing, leaves_nothing, perform};

pub(crate) const DRAINS: &str = "everything drains once faults stop";
pub(crate) const REFUSED: &str = "a refused input leaves the store byte for byte as it was";
pub(crate) const SOUND: &str = "no record makes no sense";

/// How long a worker holds what it claimed.
const LEASE: Span = Span::secs(60);

/// The name of a run of what is due.
const RUN: &str = "run";

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
    pub(crate) late: u64,
    /// Restrictions that could not be judged, as a worker that outlived its lease fell before it told.
    pub(crate) untold: u64,
}

/// Where a piece of work stands with its sender.
struct Item {
    work: Work,
    bound: Option<Bound>,
    sent: bool,
    done: bool,
    tries: u32,
}

/// What was promised to those outside.
#[derive(Default)]
pub(crate) struct Promises {
    /// Decisions that were acknowledged.
    pub(crate) decisions: Vec<(usize, Decision)>,
    /// Answers to requests that were acknowledged.
    pub(crate) votes: Vec<(ApprovalId, &'static str, Verdict)>,
    /// Whether somebody used a kill switch, exempted somebody, or changed a rule.
    pub(crate) stopped: bool,
    pub(crate) exempted: bool,
    pub(crate) edited: bool,
}

struct Task {
    /// Which piece of work it is; none for a run of what is due.
    item: Option<usize>,
    name: String,
    commits: u64,
    future: Pin<Box<dyn Future<Output = Outcome>>>,
}

struct Process {
    place: usize,
    lives: u32,
    engine: Arc<Host>,
    worker: String,
    /// How much its clock is ahead, in microseconds.
    skew: i64,
    asleep_until: Option<Time>,
    tasks: Vec<Task>,
}

/// How often what may go wrong besides the calls.
struct Budget {
    falls: u32,
    pauses: u32,
    steps: u32,
}

pub(crate) struct World {
    pub(crate) net: Arc<Net>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) promises: Promises,
    random: Random,
    hosts: Vec<Process>,
    items: Vec<Item>,
    budget: Budget,
    pub(crate) tally: Tally,
    heavy: bool,
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
    let tally = Tally { calls: state.calls, commits: state.witness.commits, untold, late, ..world.tally };
    drop(state);
    (Ok(tally), world.net.take_trace())
}

impl World {
    /// A signal that was sent.
    pub(crate) fn signal(&self, item: usize) -> Option<&Signal> {
        match &self.items[item].work {
            Work::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    fn new(weight: Weight, seed: u64, traced: bool) -> Self {
        let heavy = weight == Weight::Heavy;
        let mut random = Random::new(seed ^ if heavy { 0x0068_6561_7679 } else { 0 });
        let rules = rules(random.pick(if heavy { &HEAVY } else { &LIGHT }));
        let net = Arc::new(Net::new(random.next(), start(), traced));
        rules.install(&net.store);
        let pieces = if heavy { 7 + random.below(6) } else { 3 + random.below(4) };
        let work = draw(&mut random, &rules, pieces);
        let mut state = net.state();
        state.witness = Witness::of(&rules.records);
        state.switches = work.iter().any(|work| matches!(work, Work::Switch { .. }));
        state.faults = match (heavy, random.below(4)) {
            (_, 0) => Faults::Peace,
            (false, _) => Faults::Chance { before: 10, lost: 15 },
            (true, 1) => Faults::Chance { before: 15, lost: 30 },
            (true, _) => Faults::Chance { before: 30, lost: 60 },
        };
        state.targets.moods = random.pick(&[[0, 0, 0], [100, 0, 0], [50, 30, 100], [0, 0, 250]]);
        let poisonous =
            ["send_email", "lock_account", "escalate_to_hr", "assign_training", "revoke_sessions"];
        state.targets.poison = if random.chance(60) { Some(random.pick(&poisonous)) } else { None };
        drop(state);
        let budget = match heavy {
            false => Budget { falls: random.below(3) as u32, pauses: random.below(2) as u32, steps: 0 },
            true => Budget {
                falls: random.below(6) as u32,
                pauses: random.below(4) as u32,
                steps: random.below(3) as u32,
            },
        };
        let items =
            work.into_iter().map(|work| Item { work, bound: None, sent: false, done: false, tries: 0 });
        let mut world = Self {
            net,
            rules,
            promises: Promises::default(),
            items: items.collect(),
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

    /// A process that begins. Every other host of a heavy run carries no access control.
    fn process(&mut self, place: usize, lives: u32) -> Process {
        let worker = format!("w{place}-{lives}");
        let few = ["send_email", "approval_notice", "assign_training"];
        let carries: BTreeSet<ActionType> = few.iter().map(|name| id(name)).collect();
        let carries = (place % 2 == 1).then_some(carries);
        let port = Port { net: Arc::clone(&self.net), worker: worker.clone(), carries };
        let engine = Engine::new(Wire(Arc::clone(&self.net)), port, self.rules.set.clone());
        let batch = self.random.pick(&[1, 1, 5]);
        let engine = Arc::new(engine.worker(id(&worker)).lease(LEASE).claim_up_to(batch));
        let skew = match self.random.below(3) {
            0 => 0,
            _ if self.heavy => self.random.between(-120_000_000, 120_000_000),
            _ => self.random.between(-5_000_000, 5_000_000),
        };
        Process { place, lives, engine, worker, skew, asleep_until: None, tasks: Vec::new() }
    }

    fn note(&self, who: &str, what: &str) {
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
            0..=849 => self.poll_some(),
            850..=909 => {
                let waiting: Vec<usize> =
                    (0..self.items.len()).filter(|n| !self.items[*n].sent && !self.items[*n].done).collect();
                // Roughly in order, so that there is something to answer.
                let first = &waiting[..waiting.len().min(3)];
                match (first, self.awake()) {
                    ([], _) | (_, None) => Ok(()),
                    (first, Some(host)) => {
                        let item = self.random.pick(first);
                        self.send(item, host);
                        Ok(())
                    }
                }
            }
            910..=949 => {
                if let Some(host) = self.awake() {
                    self.begin_run(host);
                }
                Ok(())
            }
            950..=954 => {
                if let Some(host) = self.awake() {
                    self.begin_renewal(host);
                }
                Ok(())
            }
            955..=989 => {
                let span = match self.random.below(20) {
                    0 => Span::mins(self.random.below(40) as u64 + 1),
                    1..=3 => Span::secs(self.random.below(90) as u64),
                    _ => Span::millis(self.random.below(8_000) as u64),
                };
                self.net.advance_to(now.after(span));
                Ok(())
            }
            _ => {
                self.trouble();
                Ok(())
            }
        }
    }

    fn awake(&mut self) -> Option<usize> {
        let up: Vec<usize> =
            (0..self.hosts.len()).filter(|n| self.hosts[*n].asleep_until.is_none()).collect();
        if up.is_empty() { None } else { Some(self.random.pick(&up)) }
    }

    /// A fall, a pause beyond the lease, a step of a clock.
    fn trouble(&mut self) {
        let host = self.random.below(self.hosts.len());
        match self.random.below(3) {
            0 if self.budget.falls > 0 => {
                self.budget.falls -= 1;
                self.fall(host);
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
            _ => {}
        }
    }

    /// A host ends where it is, and another takes its place.
    fn fall(&mut self, host: usize) {
        self.tally.falls += 1;
        self.note(&format!("h{host}"), "falls");
        let lives = self.hosts[host].lives + 1;
        let place = self.hosts[host].place;
        let fresh = self.process(place, lives);
        let fallen = std::mem::replace(&mut self.hosts[host], fresh);
        for task in fallen.tasks {
            if let Some(item) = task.item {
                self.items[item].sent = false;
            }
        }
    }

    fn time_of(&self, host: usize) -> Time {
        Time::from_micros(self.net.now().micros() + self.hosts[host].skew)
    }

    fn send(&mut self, item: usize, host: usize) {
        if self.hosts[host].tasks.len() >= 3 {
            return;
        }
        if self.items[item].bound.is_none() {
            self.items[item].bound = self.items[item].work.bind(&self.net, &mut self.random);
        }
        self.items[item].tries += 1;
        let Some(bound) = self.items[item].bound.clone() else {
            // There is nothing of the kind yet, or never.
            self.items[item].done = self.items[item].tries > 6;
            return;
        };
        self.items[item].sent = true;
        match &bound {
            Bound::Switch { .. } => self.promises.stopped = true,
            Bound::Exempt { .. } => self.promises.exempted = true,
            Bound::Active { .. } | Bound::Edit => self.promises.edited = true,
            _ => {}
        }
        let (engine, rules, now) =
            (Arc::clone(&self.hosts[host].engine), Arc::clone(&self.rules), self.time_of(host));
        let name = format!("item {item}");
        self.note(&format!("h{host}"), &format!("is sent {name}: {}", brief(&bound)));
        self.begin(host, Some(item), name, Box::pin(perform(engine, bound, rules, now)));
    }

    fn begin_run(&mut self, host: usize) {
        if self.hosts[host].tasks.iter().any(|task| task.name == RUN) {
            return;
        }
        let (engine, now) = (Arc::clone(&self.hosts[host].engine), self.time_of(host));
        let future = async move {
            let report = engine.run_due(now).await?;
            match report.faults.into_iter().find(|fault| !is_passing(&fault.error)) {
                Some(fault) => Err(fault.error),
                None => Ok(None),
            }
        };
        self.begin(host, None, RUN.to_owned(), Box::pin(future));
    }

    /// Leases are prolonged beside a run.
    fn begin_renewal(&mut self, host: usize) {
        if self.hosts[host].tasks.len() != 1 {
            return;
        }
        let engine = Arc::clone(&self.hosts[host].engine);
        let future = async move { engine.renew_held().await.map(|_| None) };
        self.begin(host, None, "renewal".to_owned(), Box::pin(future));
    }

    fn begin(
        &mut self,
        host: usize,
        item: Option<usize>,
        name: String,
        future: Pin<Box<dyn Future<Output = Outcome>>>,
    ) {
        self.hosts[host].tasks.push(Task { item, name, commits: 0, future });
    }

    fn poll_some(&mut self) -> Checked {
        let ready: Vec<(usize, usize)> = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(_, host)| host.asleep_until.is_none())
            .flat_map(|(n, host)| (0..host.tasks.len()).map(move |task| (n, task)))
            .collect();
        if ready.is_empty() {
            return Ok(());
        }
        let (host, task) = self.random.pick(&ready);
        self.poll(host, task)
    }

    /// Gives one task its turn: up to its next call.
    fn poll(&mut self, host: usize, task: usize) -> Checked {
        let process = &mut self.hosts[host];
        let polled = &mut process.tasks[task];
        let mut state = self.net.state();
        state.who = format!("h{host}#{} {}", process.lives, polled.name);
        state.worker = polled.item.is_none().then(|| process.worker.clone());
        let before = state.witness.commits;
        drop(state);
        let answer = polled.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let mut state = self.net.state();
        polled.commits += state.witness.commits - before;
        if let Some(violation) = state.violation.take() {
            return Err(violation);
        }
        drop(state);
        let Poll::Ready(outcome) = answer else { return Ok(()) };
        let done = process.tasks.remove(task);
        self.ended(host, &done, outcome)
    }

    fn ended(&mut self, host: usize, task: &Task, outcome: Outcome) -> Checked {
        if let Err(error) = &outcome {
            self.net.trace(|| format!("ends with: {error}"));
            let corrupt = matches!(error, EngineError::Store(StoreError::Corrupt { .. }));
            ensure(SOUND, !corrupt, || error.to_string())?;
            ensure(REFUSED, !leaves_nothing(error) || task.commits == 0, || {
                format!("{}: {error}, after {} commit(s)", task.name, task.commits)
            })?;
        }
        let Some(item) = task.item else {
            if outcome.is_ok() && task.name == RUN {
                let who = format!("h{host}#{} run", self.hosts[host].lives);
                self.net.state().targets.untold.retain(|_, by| *by != who);
            }
            return Ok(());
        };
        let sent = &mut self.items[item];
        match outcome {
            Err(error) if is_passing(&error) => sent.sent = false,
            Err(_) => sent.done = true,
            Ok(decision) => {
                ensure(REFUSED, !matches!(sent.work, Work::Wrong(_)), || {
                    format!("{:?} was taken", sent.work)
                })?;
                sent.done = true;
                self.promises.decisions.extend(decision.map(|decision| (item, *decision)));
                if let Some(Bound::Vote { request, person, verdict, .. }) = &sent.bound {
                    self.promises.votes.push((*request, person, *verdict));
                }
                // The acknowledgement itself may be lost on its way: then the signal comes again.
                if matches!(sent.work, Work::Signal(_)) && sent.tries < 4 && self.random.chance(60) {
                    (sent.sent, sent.done) = (false, false);
                }
            }
        }
        Ok(())
    }

    /// Faults stop: everybody wakes, what was sent is answered, what is stopped goes on, and time
    /// passes from one timer to the next until there is none.
    fn drain(&mut self) -> Checked {
        self.note("world", "peace");
        self.net.state().faults = Faults::Peace;
        for host in &mut self.hosts {
            (host.asleep_until, host.skew) = (None, 0);
        }
        self.settle()?;
        while let Some(item) = self.items.iter().position(|item| !item.done) {
            ensure(DRAINS, self.items[item].tries < 60, || format!("{:?}", self.items[item].work))?;
            let host = self.random.below(self.hosts.len());
            self.send(item, host);
            self.settle()?;
        }
        if self.promises.stopped {
            for scope in switches() {
                self.items.push(Item {
                    work: Work::Switch { scope, engage: false },
                    bound: None,
                    sent: false,
                    done: false,
                    tries: 0,
                });
                let item = self.items.len() - 1;
                self.send(item, 0);
                self.settle()?;
                ensure(DRAINS, self.items[item].done, || "a switch is not released".to_owned())?;
            }
        }
        for _ in 0..400 {
            // The first carries everything; now and then another one is faster.
            let mut order = vec![0];
            if self.random.chance(300) {
                order.insert(0, self.random.below(self.hosts.len()));
                order.dedup();
            }
            for host in order {
                self.begin_run(host);
                self.settle()?;
            }
            match next_moment(&self.net) {
                None => return Ok(()),
                Some(next) => self.net.advance_to(next),
            }
        }
        let left = records(&self.net.store, &[Kind::Enforcement, Kind::Notice, Kind::Approval]);
        let open = |record: &&Record| record.due_at.is_some() || record.queue.is_some();
        violated(
            DRAINS,
            format!("{:?}", left.iter().filter(open).map(|record| &record.key.id).collect::<Vec<_>>()),
        )
    }

    /// Polls until nobody has anything under way.
    fn settle(&mut self) -> Checked {
        for _ in 0..20_000 {
            let busy: Vec<usize> =
                (0..self.hosts.len()).filter(|n| !self.hosts[*n].tasks.is_empty()).collect();
            if busy.is_empty() {
                return Ok(());
            }
            let host = self.random.pick(&busy);
            let task = self.random.below(self.hosts[host].tasks.len());
            self.poll(host, task)?;
        }
        violated(DRAINS, "a call does not end")
    }
}

/// When something is due next, timetables and what is only forgotten aside.
pub(crate) fn next_moment(net: &Net) -> Option<Time> {
    let now = net.now();
    let mut first: Option<Time> = None;
    for record in records(&net.store, Kind::ALL) {
        let due = match record.key.kind {
            Kind::Timer => body::<Timer>(&record).running.map(|_| now),
            Kind::Tally => None,
            _ => record.due_at,
        };
        let lease = record.lease.as_ref().map(|lease| lease.until);
        let queued = record.queue.as_ref().map(|queue| queue.ready_at.max(lease.unwrap_or(Time::MIN)));
        first = due.into_iter().chain(queued).chain(first).min();
    }
    // What is due already and was not done just now waits for a lease or a moment.
    first.map(|moment| moment.max(now.after(Span::millis(1))))
}

fn brief(bound: &Bound) -> String {
    match bound {
        Bound::Signal(signal) => {
            let info = signal.info();
            format!("{} {} for {}", info.kind, info.id, signal.subject())
        }
        Bound::Switch { engage: false, .. } => "release a kill switch".to_owned(),
        other => format!("{other:?}"),
    }
}
