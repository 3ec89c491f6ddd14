//! The loop by hand: no thread, no runtime, and no clock but the one that the caller puts forward. For
//! tests of rules, for replays, and for programs that have a loop of their own.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tipstaff::{Engine, MemoryStore, Span, Time, ready};

use crate::BackOff;

/// A clock that goes when it is put forward; clones are hands of the same one.
#[derive(Clone, Debug)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// A clock that shows that time.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self(Arc::new(AtomicI64::new(now.micros())))
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }

    /// A store in memory that judges its leases by this clock.
    #[must_use]
    pub fn store(&self) -> MemoryStore {
        let clock = self.clone();
        MemoryStore::with_clock(move || clock.now())
    }

    fn forward_to(&self, moment: Time) {
        self.0.fetch_max(moment.micros(), Ordering::SeqCst);
    }
}

/// Puts the clock forward to that time, and on the way there runs what is due, whenever it is.
///
/// # Errors
/// The store or the delivery had to wait: they need a runtime. Or the store still did not answer at the
/// end; what was due is run by the next call then.
pub fn pass(engine: &Engine, clock: &Clock, until: Time) -> Result<(), Box<dyn Error>> {
    let mut pauses = BackOff::default();
    loop {
        let now = clock.now();
        let turn = async {
            let report = engine.run_due(now).await?;
            for fault in &report.faults {
                eprintln!("{}: {}", fault.key, fault.error); // one record; the others went on
            }
            engine.next_wakeup(now).await
        };
        let turn = ready(turn)?;
        // A run may end before its work does.
        let again = turn.as_ref().is_ok_and(|next| *next <= now);
        if now >= until && !again {
            return Ok(turn.map(drop)?);
        }
        let next = match turn {
            Ok(next) => {
                pauses.reset();
                next
            }
            Err(_) => now.after(Span::millis(pauses.pause().as_millis() as u64)),
        };
        clock.forward_to(next.min(until));
    }
}
