//! Feeding signals of the past: each at its own time, with what falls due meanwhile.

use std::thread::sleep;
use std::time::Duration;

use tipstaff::{Engine, EngineError, Filter, Reason, Signal, Span, Status, StoreError, TenantId, Time};

use super::Failure;
use super::host::wait;
use crate::store::block_on;

/// How far beyond the last signal attempts that failed are followed.
const BEYOND: Span = Span::hours(1);

/// What was fed, and what it led to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fed {
    /// Signals taken.
    pub(super) signals: u64,
    /// Those that concerned a rule.
    pub(super) concerned: u64,
    /// Those that had come before.
    pub(super) repeats: u64,
    /// Pairs of a rule and a signal that fired.
    pub(super) firings: u64,
    /// The time that it has come to: that of the latest signal.
    pub(super) now: Option<Time>,
}

/// Feeds signals to an engine.
pub(super) struct Feed<'a> {
    engine: &'a Engine,
    tenant: &'a TenantId,
    /// How many signals go by before timers are looked at, where none of them led to anything.
    quiet: u64,
    /// What was fed so far.
    pub(super) fed: Fed,
}

impl<'a> Feed<'a> {
    /// Nothing fed yet.
    pub(super) fn new(engine: &'a Engine, tenant: &'a TenantId, quiet: u64) -> Self {
        Self { engine, tenant, quiet, fed: Fed::default() }
    }

    /// The time that the feed has come to; it never goes back, whatever the order of the signals.
    pub(super) fn advance(&mut self, at: Time) -> Time {
        let now = self.fed.now.map_or(at, |now| now.max(at));
        self.fed.now = Some(now);
        now
    }

    /// Feeds one signal; the inner error is the signal's own, and stops nothing.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<Result<(), EngineError>, Failure> {
        let now = self.advance(signal.at());
        self.fed.signals += 1;
        let decision = match block_on(self.engine.submit(signal, now)) {
            Ok(decision) => decision,
            Err(EngineError::Store(error @ (StoreError::Unavailable(_) | StoreError::Corrupt { .. }))) => {
                return Err(error.into());
            }
            Err(error) => return Ok(Err(error)),
        };
        self.fed.repeats += u64::from(decision.repeat);
        let mut rules: Vec<_> = decision
            .outcomes
            .iter()
            .filter_map(|outcome| outcome.rule.as_ref().map(|rule| &rule.id))
            .collect();
        rules.sort();
        rules.dedup();
        self.fed.firings += rules.len() as u64;
        self.fed.concerned += u64::from(!decision.is_empty());
        if !decision.is_empty() || self.fed.signals.is_multiple_of(self.quiet) {
            self.due(now)?;
        }
        Ok(Ok(()))
    }

    /// Does what is due at this time.
    pub(super) fn due(&mut self, now: Time) -> Result<(), Failure> {
        let report = wait(self.engine.run_due(now))?;
        match report.faults.first() {
            Some(fault) => Err(format!("{}: {}", fault.key, fault.error).into()),
            None => Ok(()),
        }
    }

    /// Follows what is under way to its end: attempts that failed are made again up to an hour
    /// beyond the last signal; what a process left behind that was ended is waited for until its
    /// lease runs out.
    pub(super) fn drain(&mut self) -> Result<(), Failure> {
        let Some(last) = self.fed.now else { return Ok(()) };
        let end = last.after(BEYOND);
        let mut now = last;
        loop {
            self.due(now)?;
            let waiting = self.reason(Reason::RetryWait)?;
            let next = waiting.iter().filter_map(|row| row.state.ready_at()).min();
            if let Some(next) = next.filter(|next| *next <= end) {
                now = now.max(next);
            } else if !self.reason(Reason::Running)?.is_empty() || !self.reason(Reason::Queued)?.is_empty() {
                sleep(Duration::from_millis(50));
            } else {
                return Ok(());
            }
        }
    }

    fn reason(&self, reason: Reason) -> Result<Vec<tipstaff::Enforcement>, Failure> {
        let filter =
            || Filter::new(self.tenant).status(Status::Pending).reason(reason).limit(tipstaff::MAX_PAGE);
        let mut rows = wait(self.engine.enforcements(filter()))?.rows;
        rows.extend(wait(self.engine.notices(filter()))?.rows);
        Ok(rows)
    }
}
