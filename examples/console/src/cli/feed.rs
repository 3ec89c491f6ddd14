//! Feeding signals of the past: each at its own time, with what falls due meanwhile.

use std::thread::sleep;
use std::time::Duration;

use tipstaff::{Decision, Engine, EngineError, RunReport, Signal, Span, StoreError, TenantId, Time};

use super::Failure;
use super::host::due;
use super::left::{self, Left};
use crate::store::block_on;

/// How far beyond the last signal attempts that failed are followed.
const BEYOND: Span = Span::hours(1);
/// How often a signal is submitted again that others keep from being decided on.
const REPEATS: usize = 5;
/// How long to wait for what others do before it is looked at again.
const LOOK: Duration = Duration::from_millis(50);

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
        let decision = match self.submit(signal, now) {
            Ok(decision) => decision,
            Err(error) if is_of_signal(&error) => {
                self.fed.signals += 1;
                return Ok(Err(error));
            }
            Err(error) => return Err(error.into()),
        };
        self.fed.signals += 1;
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

    /// Submits a signal, and again where others stood in its way or the answer was lost.
    fn submit(&self, signal: Signal, now: Time) -> Result<Decision, EngineError> {
        for _ in 0..REPEATS {
            match block_on(self.engine.submit(signal.clone(), now)) {
                Err(EngineError::Busy | EngineError::Store(StoreError::Unknown(_))) => sleep(LOOK),
                other => return other,
            }
        }
        block_on(self.engine.submit(signal, now))
    }

    /// Does what is due at this time.
    pub(super) fn due(&mut self, now: Time) -> Result<RunReport, Failure> {
        let report = due(self.engine, now)?;
        match report.faults.first() {
            Some(fault) => Err(format!("{}: {}", fault.key, fault.error).into()),
            None => Ok(report),
        }
    }

    /// Follows what is under way to its end: attempts that failed are made again up to an hour
    /// beyond the last signal; what a process left behind that was ended is waited for until its
    /// lease runs out. Nothing else is waited for; what is left then is told.
    pub(super) fn drain(&mut self) -> Result<Left, Failure> {
        let Some(last) = self.fed.now else { return Ok(Left::default()) };
        let end = last.after(BEYOND);
        let (mut now, mut before) = (last, None);
        loop {
            let idle = self.due(now)?.is_idle();
            let left = left::look(self.engine, self.tenant, now)?;
            if let Some(next) = left.retry.filter(|next| *next <= end) {
                (now, before) = (next, None);
                continue;
            }
            // What is ready may have become so while we looked; what a whole pass leaves as it is stays.
            let settled = left.ready == 0 || (idle && before.as_ref() == Some(&left));
            if left.held == 0 && settled {
                return Ok(left);
            }
            before = Some(left);
            sleep(LOOK);
        }
    }
}

/// Whether a signal is refused for what it says: the next one may be better.
const fn is_of_signal(error: &EngineError) -> bool {
    matches!(error, EngineError::Plan(_) | EngineError::SignalReused { .. })
}

#[cfg(test)]
mod tests {
    use tipstaff::{Key, Kind, PlanError};

    use super::*;

    #[test]
    fn only_what_a_signal_says_is_its_own_fault() {
        let reason = EngineError::Plan(PlanError::Reason(0));
        assert!(is_of_signal(&reason));
        let key = Key::new(&"acme".parse().expect("an id"), Kind::Book, "book");
        for error in [
            StoreError::Conflict(key.clone()),
            StoreError::Fenced(key),
            StoreError::Unknown("cut off".into()),
            StoreError::Unavailable("gone".into()),
            StoreError::Corrupt { place: "here".into(), fault: "nonsense".into() },
        ] {
            assert!(!is_of_signal(&error.into()));
        }
        assert!(!is_of_signal(&EngineError::Busy));
    }
}
