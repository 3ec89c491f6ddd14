//! What to do while the store does not answer: wait, and longer each time.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first pause, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that double, each spread by chance over its second half, so that hosts that lost one server
/// do not come back to it at one instant.
#[derive(Clone, Debug, Default)]
pub struct BackOff {
    failures: u32,
}

impl BackOff {
    /// How long to wait after one more failure.
    pub fn pause(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // The standard library's only source of chance: keys that differ each time.
        let share = RandomState::new().hash_one(self.failures) % 1_000;
        whole / 2 + whole.mul_f64(share as f64 / 2_000.0)
    }

    /// It worked: the next failure is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let mut pauses = BackOff::default();
        for n in 0..40 {
            let whole = FIRST.saturating_mul(1 << n.min(16)).min(LONGEST);
            let pause = pauses.pause();
            assert!(pause >= whole / 2 && pause <= whole, "{n}: {pause:?} of {whole:?}");
        }
        pauses.reset();
        assert!(pauses.pause() <= FIRST);
    }

    #[test]
    fn no_two_hosts_wait_for_the_same_time() {
        let pauses: std::collections::BTreeSet<_> = (0..50).map(|_| BackOff::default().pause()).collect();
        assert!(pauses.len() > 10, "{pauses:?}");
    }
}
