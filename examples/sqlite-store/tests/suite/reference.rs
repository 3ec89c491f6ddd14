//! This store beside the reference.

use proptest::prelude::*;
use tipstaff::{MemoryStore, Span, Time};
use tipstaff_sqlite::SqliteStore;

use crate::model::{Own, Pair, agree, calls, cases};
use crate::support::{Clock, at};

/// Both have one clock, so that they agree to the byte.
impl Own for Clock {
    fn lease(&self, millis: u64) -> Span {
        Span::millis(millis)
    }

    fn until(&self, micros: i64) -> Time {
        at(micros)
    }

    fn pass(&self, now: i64) {
        self.set(now);
    }

    fn plain(&self, answer: String) -> String {
        answer
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn it_answers_as_the_reference_does(calls in calls()) {
        let clock = Clock::default();
        let store = SqliteStore::in_memory().unwrap().with_clock(clock.read());
        let model = MemoryStore::with_clock(clock.read());
        agree(Pair::new(store, model, clock), calls)?;
    }
}
