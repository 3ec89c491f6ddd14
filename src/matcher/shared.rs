//! One matcher that changes while threads read it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::Matcher;

/// The matcher in force, shared by those that change it and those that read it.
///
/// Every reader holds a snapshot of its own and takes over the newest when it comes by; it never
/// waits. Changes are made one after the other, each from the newest snapshot.
///
/// ```
/// use tipstaff::{Matcher, RuleIx, Scratch, SharedMatcher};
///
/// let shared = SharedMatcher::new(Matcher::default());
/// let mut reader = shared.reader();
/// let pattern = r#"{"state": ["stopped"]}"#.parse()?;
/// shared.update(|matcher| matcher.with(RuleIx::new(0).unwrap(), &[], pattern));
/// let (mut scratch, mut found) = (Scratch::default(), Vec::new());
/// reader.newest().matches(None, br#"{"state": "stopped"}"#, &mut scratch, &mut found)?;
/// assert_eq!(found.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct SharedMatcher {
    newest: Mutex<Matcher>,
    /// How often `newest` was replaced.
    changes: AtomicU64,
    /// Held while a change is made, so that none is lost.
    changing: Mutex<()>,
}

/// A reader of a [`SharedMatcher`], one for each thread.
#[derive(Debug)]
pub struct MatcherReader<'s> {
    shared: &'s SharedMatcher,
    matcher: Matcher,
    changes: u64,
}

impl SharedMatcher {
    /// Shares a matcher.
    #[must_use]
    pub fn new(matcher: Matcher) -> Self {
        Self { newest: Mutex::new(matcher), ..Self::default() }
    }

    /// The newest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Matcher {
        lock(&self.newest).clone()
    }

    /// Replaces the matcher by what `change` makes of it. Others that change it wait; readers do
    /// not.
    pub fn update(&self, change: impl FnOnce(&Matcher) -> Matcher) {
        let _changing = lock(&self.changing);
        let matcher = change(&self.snapshot());
        // The old one is dropped by whoever lets go of it last, outside the lock.
        let _old = std::mem::replace(&mut *lock(&self.newest), matcher);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// A reader, which begins with the newest snapshot.
    #[must_use]
    pub fn reader(&self) -> MatcherReader<'_> {
        let changes = self.changes.load(Ordering::Acquire);
        MatcherReader { shared: self, matcher: self.snapshot(), changes }
    }
}

impl MatcherReader<'_> {
    /// The newest snapshot; in the instant in which one is exchanged, the one before it.
    ///
    /// Without a change this is one load of a counter.
    pub fn newest(&mut self) -> &Matcher {
        let changes = self.shared.changes.load(Ordering::Acquire);
        if changes != self.changes {
            let newest = match self.shared.newest.try_lock() {
                Ok(newest) => Some(newest.clone()),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner().clone()),
                Err(TryLockError::WouldBlock) => None,
            };
            if let Some(newest) = newest {
                (self.matcher, self.changes) = (newest, changes);
            }
        }
        &self.matcher
    }
}

/// A matcher is whole whenever it stands behind a lock: a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
