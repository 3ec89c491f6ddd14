//! When a host must look again.

use std::sync::atomic::Ordering;

use super::{Engine, EngineError};
use crate::broken::{self, Defect};
use crate::hash::Hasher;
use crate::ready::Answer;
use crate::store::{Ahead, Store};
use crate::time::{Span, Time};

/// Which part of the poll interval workers are spread over when they wake for the same instant.
const SPREAD: u64 = 50;
/// And how far at most, in milliseconds: whoever looks once a day is no reason to be half an hour late.
const MOST_SPREAD: u64 = 500;

/// How long after a run that could not write an answer down, as others wrote the same, it is tried again.
const OWED_WAIT: Span = Span::secs(1);

impl Engine {
    /// When to call [`Engine::run_due`] again, after a run at `now` that found nothing more to do: at the
    /// earliest timer, retry or end of a lease that the store knows, and not later than the poll
    /// interval ([`Engine::poll`]), as other processes may bring about anything meanwhile. A host that
    /// submits a signal itself runs what follows at once.
    ///
    /// What was due at `now` and is still there is held back by a kill switch or by a fault: it is no
    /// reason to wake at once, and is looked at again after the poll interval.
    ///
    /// A run that left work for the next one ([`RunReport::more`](crate::RunReport::more)) is a reason to
    /// wake at once, and one that could not write down what was answered to wake after a second.
    ///
    /// The interval differs from worker to worker by up to a quarter, and so does, by up to a fiftieth of
    /// it and half a second at most, the moment at which they wake for one instant: a share that is
    /// derived from the worker's id.
    ///
    /// # Errors
    /// [`EngineError::Store`]: then look again after the poll interval.
    pub fn next_wakeup(&self, now: Time) -> Answer<'_, Result<Time, EngineError>> {
        Box::pin(async move {
            if self.left_off.load(Ordering::SeqCst) {
                return Ok(now);
            }
            let worker = self.worker_id().await?;
            let hash = Hasher::new("tipstaff/poll").text(worker.as_str()).finish();
            let share = u64::from(u16::from_be_bytes([hash.bytes()[0], hash.bytes()[1]]));
            let part = |whole: u64| whole.saturating_mul(share) / u64::from(u16::MAX);
            let poll = self.poll.as_millis();
            // Three quarters to one and a quarter of the interval.
            let latest = now.after(Span::millis(poll - poll / 4 + part(poll / 2)));
            let spread = Span::millis(part((poll / SPREAD).min(MOST_SPREAD)));
            let ask = Ahead { after: now, channels: self.delivery.channels() };
            let upcoming = self.store.upcoming(&ask).await?;
            let lease = upcoming.lease.filter(|_| !broken::is(Defect::LeasesSleptThrough));
            let lease = lease.map(|span| now.after(span));
            let timer = upcoming.timer.filter(|_| !broken::is(Defect::TimersSleptThrough));
            let owed = self.holdings.owes().then(|| now.after(OWED_WAIT));
            let first = [timer, upcoming.ready, lease, owed].into_iter().flatten().min();
            Ok(first.map_or(latest, |first| first.after(spread).min(latest)))
        })
    }
}
