//! The processes: what each has under way, how it begins, ends, falls, and looks for what is due.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tipstaff::*;

use crate::finish::CHAIN;
use crate::net::Wire;
use crate::support::id;
use crate::target::Port;
use crate::witness::{Checked, ensure};
use crate::work::{Bound, Done, Host, Outcome, Work, end, is_passing, leaves_nothing, perform, run};
use crate::world::{LEASE, REFUSED, RELEASED, SLEPT, SOUND, World};

/// What a task does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Doing {
    /// That piece of work.
    Item(usize),
    /// A run of what is due.
    Run,
    Renewal,
    /// The last run of a host that is to end.
    End,
}

pub(crate) struct Task {
    doing: Doing,
    commits: u64,
    future: Pin<Box<dyn Future<Output = Outcome>>>,
}

pub(crate) struct Process {
    place: usize,
    lives: u32,
    pub(crate) engine: Arc<Host>,
    worker: String,
    /// How much its clock is ahead, in microseconds.
    pub(crate) skew: i64,
    pub(crate) asleep_until: Option<Time>,
    /// When it looks for what is due again, by its clock; none is at once. Some look whenever it comes
    /// to their minds.
    wakes_at: Option<Time>,
    restless: bool,
    poll: Span,
    pub(crate) tasks: Vec<Task>,
}

impl World {
    /// A process that begins. Every other host of a heavy run carries no access control.
    pub(crate) fn process(&mut self, place: usize, lives: u32) -> Process {
        let worker = format!("w{place}-{lives}");
        let few = ["send_email", "approval_notice", "assign_training"];
        let carries: BTreeSet<ActionType> = few.iter().map(|name| id(name)).collect();
        let carries = (place % 2 == 1).then_some(carries);
        let port = Port { net: Arc::clone(&self.net), worker: worker.clone(), carries };
        // Both tenants have their rules in the store already.
        let engine = Engine::new(Wire::to(&self.net), port, self.rules[0].set.clone());
        let batch = self.random.pick(&[1, 1, 5]);
        // So seldom that what must not be slept through would be.
        let poll = self.random.pick(&[Span::hours(1), Span::hours(6)]);
        let engine = Arc::new(engine.worker(id(&worker)).lease(LEASE).claim_up_to(batch).poll(poll));
        let skew = match self.random.below(3) {
            0 => 0,
            _ if self.heavy => self.random.between(-120_000_000, 120_000_000),
            _ => self.random.between(-5_000_000, 5_000_000),
        };
        let restless = self.random.chance(500);
        let (asleep_until, wakes_at, tasks) = (None, None, Vec::new());
        Process { place, lives, engine, worker, skew, asleep_until, wakes_at, restless, poll, tasks }
    }

    /// Another process takes the place of one that is no more.
    pub(crate) fn replace(&mut self, host: usize) {
        let Process { place, lives, .. } = self.hosts[host];
        let fresh = self.process(place, lives + 1);
        let gone = std::mem::replace(&mut self.hosts[host], fresh);
        for task in gone.tasks {
            if let Doing::Item(item) = task.doing {
                self.items[item].sent = false;
            }
        }
    }

    fn time_of(&self, host: usize) -> Time {
        Time::from_micros(self.net.now().micros() + self.hosts[host].skew)
    }

    /// Whether a host looks for what is due now: it is time, or it cannot wait.
    pub(crate) fn looks(&self, host: usize) -> bool {
        let process = &self.hosts[host];
        process.restless || process.wakes_at.is_none_or(|wakes_at| wakes_at <= self.time_of(host))
    }

    /// When a host looks again, by the store's clock.
    pub(crate) fn wakes_at(&self, host: usize) -> Option<Time> {
        let process = &self.hosts[host];
        process.wakes_at.map(|wakes_at| Time::from_micros(wakes_at.micros() - process.skew))
    }

    /// How much later than need be a host may wake, so that not all of them do at once.
    pub(crate) fn spread(&self, host: usize) -> Span {
        Span::millis(self.hosts[host].poll.as_millis() / 50 + 1)
    }

    pub(crate) fn send(&mut self, item: usize, host: usize) {
        if self.hosts[host].tasks.len() >= 3 {
            return;
        }
        let tenant = self.items[item].tenant;
        let rules = Arc::clone(&self.rules[tenant]);
        let sent = &mut self.items[item];
        if sent.bound.is_none() {
            sent.bound = sent.work.bind(&self.net, &rules.tenant, &mut self.random);
        }
        sent.tries += 1;
        let Some(bound) = sent.bound.clone() else {
            // There is nothing of the kind yet, or never.
            sent.done = sent.tries > 6;
            return;
        };
        sent.sent = true;
        let promises = &mut self.promises[tenant];
        match &bound {
            Bound::Switch { .. } => promises.stopped = true,
            Bound::Exempt { .. } | Bound::Waive { .. } => promises.exempted = true,
            Bound::Active { .. } | Bound::Edit => promises.edited = true,
            _ => {}
        }
        let (engine, now) = (Arc::clone(&self.hosts[host].engine), self.time_of(host));
        let name = &rules.tenant;
        self.note(&format!("h{host}"), &format!("is sent item {item} of {name}: {}", brief(&bound)));
        self.begin(host, Doing::Item(item), Box::pin(perform(engine, bound, rules, now)));
    }

    pub(crate) fn begin_run(&mut self, host: usize) {
        if self.hosts[host].tasks.iter().any(|task| task.doing == Doing::Run) {
            return;
        }
        let (engine, now) = (Arc::clone(&self.hosts[host].engine), self.time_of(host));
        self.begin(host, Doing::Run, Box::pin(run(engine, now)));
    }

    /// Leases are prolonged beside a run.
    pub(crate) fn begin_renewal(&mut self, host: usize) {
        if self.hosts[host].tasks.len() != 1 {
            return;
        }
        let engine = Arc::clone(&self.hosts[host].engine);
        let future = async move { engine.renew_held().await.map(|_| Done::Well) };
        self.begin(host, Doing::Renewal, Box::pin(future));
    }

    /// A host that was asked to end and has nothing under way any more writes down what it owes.
    pub(crate) fn end_if_idle(&mut self, host: usize) {
        if self.hosts[host].engine.is_stopped() && self.hosts[host].tasks.is_empty() {
            let (engine, now) = (Arc::clone(&self.hosts[host].engine), self.time_of(host));
            self.begin(host, Doing::End, Box::pin(end(engine, now)));
        }
    }

    fn begin(&mut self, host: usize, doing: Doing, future: Pin<Box<dyn Future<Output = Outcome>>>) {
        self.hosts[host].tasks.push(Task { doing, commits: 0, future });
    }

    pub(crate) fn poll_some(&mut self) -> Checked {
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
    pub(crate) fn poll(&mut self, host: usize, task: usize) -> Checked {
        let process = &mut self.hosts[host];
        let polled = &mut process.tasks[task];
        let mut state = self.net.state();
        state.who = format!("h{host}#{} {:?}", process.lives, polled.doing);
        state.worker = (!matches!(polled.doing, Doing::Item(_))).then(|| process.worker.clone());
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
        self.ended(host, &done, outcome)?;
        self.end_if_idle(host);
        Ok(())
    }

    fn ended(&mut self, host: usize, task: &Task, outcome: Outcome) -> Checked {
        if let Err(error) = &outcome {
            self.net.trace(|| format!("ends with: {error}"));
            let corrupt = matches!(error, EngineError::Store(StoreError::Corrupt { .. }));
            ensure(SOUND, !corrupt, || error.to_string())?;
            ensure(REFUSED, !leaves_nothing(error) || task.commits == 0, || {
                format!("{:?}: {error}, after {} commit(s)", task.doing, task.commits)
            })?;
        }
        match (task.doing, outcome) {
            (Doing::Item(item), outcome) => self.answered(item, host, outcome),
            (Doing::Run, Ok(Done::Ran { at, wakes_at, more })) => {
                let who = format!("h{host}#{} {:?}", self.hosts[host].lives, Doing::Run);
                self.net.state().targets.untold.retain(|_, by| *by != who);
                self.sleeps(host, at, wakes_at, more)
            }
            // The store did not answer: it looks again soon.
            (Doing::Run, _) => {
                self.hosts[host].wakes_at = None;
                Ok(())
            }
            (Doing::Renewal, _) => Ok(()),
            (Doing::End, outcome) => {
                if outcome.is_ok() {
                    self.tally.ends += 1;
                    let state = self.net.state();
                    let held = state.witness.held_by(&self.hosts[host].worker, self.net.now());
                    ensure(RELEASED, held.is_none(), || {
                        format!("{held:?} is {}'s", self.hosts[host].worker)
                    })?;
                }
                self.note(&format!("h{host}"), "ended");
                self.replace(host);
                Ok(())
            }
        }
    }

    /// A host goes to sleep: not for longer than it may, and not for less than it said; not at all where
    /// it left anything.
    fn sleeps(&mut self, host: usize, at: Time, wakes_at: Time, more: bool) -> Checked {
        let ahead = self.net.state().take_ahead();
        if more {
            self.hosts[host].wakes_at = Some(wakes_at);
            return ensure(SLEPT, wakes_at == at, || format!("it left work, and sleeps until {wakes_at}"));
        }
        let poll = self.hosts[host].poll.as_millis();
        let (least, most) = (at.after(Span::millis(poll / 4 * 3)), at.after(Span::millis(poll / 4 * 5 + 1)));
        let first = ahead.map_or(most, |first| first.after(self.spread(host)));
        ensure(
            SLEPT,
            wakes_at <= first.min(most) && wakes_at >= ahead.map_or(least, |a| a.min(least)),
            || {
                format!(
                    "{} sleeps from {at} to {wakes_at}, and {ahead:?} comes next",
                    self.hosts[host].worker
                )
            },
        )?;
        self.hosts[host].wakes_at = Some(wakes_at);
        Ok(())
    }

    /// What the sender of a piece of work makes of the answer.
    fn answered(&mut self, item: usize, host: usize, outcome: Outcome) -> Checked {
        let (tenant, work) = (self.items[item].tenant, self.items[item].work.clone());
        // Whatever this process took in is a reason for it to look at once.
        self.hosts[host].wakes_at = None;
        let mut left = Vec::new();
        match outcome {
            Err(error) if is_passing(&error) => {
                self.items[item].sent = false;
                return Ok(());
            }
            Err(_) => {}
            Ok(Done::Decided(decision)) => {
                if let Work::Signal(signal) = work.clone() {
                    self.promised(tenant, *signal, *decision)?;
                }
            }
            Ok(Done::Answered(answers)) => {
                let Work::Many(signals) = work.clone() else { return Ok(()) };
                ensure(REFUSED, answers.len() == signals.len(), || format!("{} answers", answers.len()))?;
                for (signal, answer) in signals.into_iter().zip(answers) {
                    match answer {
                        Ok(decision) => self.promised(tenant, signal, decision)?,
                        Err(error) if is_passing(&error) => left.push(signal),
                        Err(_) => {}
                    }
                }
            }
            Ok(Done::Verified(found)) => ensure(CHAIN, found.is_ok(), || format!("{found:?}"))?,
            Ok(_) => {
                ensure(REFUSED, !matches!(work, Work::Wrong(_)), || format!("{work:?} was taken"))?;
                if let Some(Bound::Vote { request, person, verdict, .. }) = &self.items[item].bound {
                    self.promises[tenant].votes.push((*request, person, *verdict));
                }
            }
        }
        let sent = &mut self.items[item];
        sent.done = true;
        match sent.work {
            Work::Many(_) if !left.is_empty() => {
                (sent.bound, sent.sent, sent.done) = (None, false, false);
                sent.work = Work::Many(left);
            }
            // The acknowledgement itself may be lost on its way: then the signal comes again.
            Work::Signal(_) | Work::Many(_) if sent.tries < 4 && self.random.chance(60) => {
                (sent.sent, sent.done) = (false, false);
            }
            _ => {}
        }
        Ok(())
    }
}

fn brief(bound: &Bound) -> String {
    let of = |signal: &Signal| {
        let info = signal.info();
        format!("{} {} for {}", info.kind, info.id, signal.subject())
    };
    match bound {
        Bound::Signal(signal) => of(signal),
        Bound::Many(signals) => signals.iter().map(of).collect::<Vec<_>>().join(", "),
        Bound::Switch { engage: false, .. } => "release a kill switch".to_owned(),
        other => format!("{other:?}"),
    }
}
