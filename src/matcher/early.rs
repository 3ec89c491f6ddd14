//! When enough of an event has been read.

use super::Inner;
use super::values::Values;

/// The paths beyond the first 63 share a bit, and are never known to be complete.
const SHARED: u64 = 1 << 63;

/// The bit of a path; the source has none, as it is always there.
pub(super) fn bit(path: u32) -> u64 {
    match path {
        0 => 0,
        path => 1 << (path - 1).min(63),
    }
}

/// What a walk asks after each member that a path names.
pub(super) trait Watch {
    /// Whether the answer can ever be yes.
    const STOPS: bool;

    /// Whether nothing else in the event matters, once these paths are complete.
    fn is_enough(&mut self, complete: u64, values: &Values) -> bool;

    /// Whether nothing else matters in an object below which these paths lie.
    fn is_complete(&self, paths: u64, complete: u64) -> bool;
}

/// Reads, and validates, all of it.
pub(super) struct Whole;

impl Watch for Whole {
    const STOPS: bool = false;

    fn is_enough(&mut self, _: u64, _: &Values) -> bool {
        false
    }

    fn is_complete(&self, _: u64, _: u64) -> bool {
        false
    }
}

/// Stops once no rule can change its answer: first the paths that lead to groups must be complete,
/// then those that the rules of the groups they led to ask for.
pub(super) struct Early<'i> {
    inner: &'i Inner,
    wanted: u64,
    groups_known: bool,
}

impl<'i> Early<'i> {
    pub(super) fn new(inner: &'i Inner) -> Self {
        Self { inner, wanted: inner.keyed.bits, groups_known: false }
    }
}

impl Watch for Early<'_> {
    const STOPS: bool = true;

    fn is_enough(&mut self, complete: u64, values: &Values) -> bool {
        // Where fields are tied together the whole event is needed.
        if self.wanted & !(complete & !SHARED) != 0 || values.tangled != 0 {
            return false;
        }
        if !self.groups_known {
            self.groups_known = true;
            self.inner.each_place(values, |place| self.wanted |= self.inner.groups[place as usize].asks);
        }
        self.wanted & !(complete & !SHARED) == 0
    }

    fn is_complete(&self, paths: u64, complete: u64) -> bool {
        let wanted = if self.groups_known { self.wanted } else { u64::MAX };
        paths & wanted & !(complete & !SHARED) == 0
    }
}
