//! What has been made under a cap, window by window.

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::time::{Span, Time};

/// How many windows of one cap are counted at once: the newest. One would do if all clocks were right.
pub const MAX_CAP_WINDOWS: usize = 4;

/// What has been made under a cap.
///
/// A window counts what is decided in it, in whatever order the hosts' clocks say so, as long as it is
/// among the newest [`MAX_CAP_WINDOWS`]; what a clock places before all windows that are still counted
/// counts in the oldest of them. So a clock that steps back gives nobody room that was taken before.
/// All is forgotten when nothing was made for a whole window after the last one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CapCounter {
    /// What it counts, for people.
    pub of: String,
    /// How long a window is.
    pub span: Span,
    /// The windows that are counted, by their start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<CapWindow>,
    /// Nothing counts before this start any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Time>,
}

/// One window of a cap.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CapWindow {
    /// When it begins.
    pub start: Time,
    /// How much was made in it, without what was given back.
    pub used: u64,
    /// Whether the log has been told that something was beyond the cap.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
}

/// A place in a window that something takes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Reserved {
    /// The counter.
    pub counter: Hash,
    /// The start of its window.
    pub window: Time,
}

impl CapCounter {
    /// Nothing made so far.
    #[must_use]
    pub fn new(of: impl Into<String>, span: Span) -> Self {
        Self { of: of.into(), span, windows: Vec::new(), floor: None }
    }

    /// The start of the window in which something counts that is decided then.
    #[must_use]
    pub fn window(&self, now: Time) -> Time {
        let at = aligned(now, self.span).max(self.floor.unwrap_or(Time::MIN));
        let known = self.windows.iter().any(|window| window.start == at);
        match self.windows.first() {
            Some(oldest) if !known && self.windows.len() >= MAX_CAP_WINDOWS && at < oldest.start => {
                oldest.start
            }
            _ => at,
        }
    }

    /// How much counts in the window of that time.
    #[must_use]
    pub fn used(&self, now: Time) -> u64 {
        let start = self.window(now);
        self.windows.iter().find(|window| window.start == start).map_or(0, |window| window.used)
    }

    /// When the window of that time is over.
    #[must_use]
    pub fn until(&self, now: Time) -> Time {
        self.window(now).after(self.span)
    }

    /// Takes a place in the window of that time, and gives its start.
    pub fn take(&mut self, now: Time) -> Time {
        let window = self.at(now);
        window.used = window.used.saturating_add(1);
        window.start
    }

    /// Notes that the log is told of the window of that time. Says whether it had not been.
    pub fn tell(&mut self, now: Time) -> bool {
        let window = self.at(now);
        !std::mem::replace(&mut window.told, true)
    }

    /// Gives a place of a window back; of one that is forgotten there is nothing to give.
    pub fn give_back(&mut self, window: Time) {
        if let Some(window) = self.windows.iter_mut().find(|known| known.start == window) {
            window.used = window.used.saturating_sub(1);
        }
    }

    /// When it may be forgotten; none where nothing is counted.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.windows.last().map(|newest| over(newest.start, self.span))
    }

    /// Forgets the windows that are over at that time, each a whole window later.
    pub fn forget(&mut self, now: Time) {
        let gone = self.windows.iter().filter(|window| over(window.start, self.span) <= now);
        let floor = gone.map(|window| window.start.after(self.span)).max();
        self.floor = self.floor.max(floor);
        self.windows.retain(|window| over(window.start, self.span) > now);
    }

    fn at(&mut self, now: Time) -> &mut CapWindow {
        let start = self.window(now);
        let mut place = self.windows.partition_point(|window| window.start < start);
        if self.windows.get(place).is_none_or(|window| window.start != start) {
            self.windows.insert(place, CapWindow { start, used: 0, told: false });
        }
        // It is never the one just counted in: that would have been before all others, and counts in
        // the oldest.
        if self.windows.len() > MAX_CAP_WINDOWS {
            let gone = self.windows.remove(0);
            self.floor = self.floor.max(Some(gone.start.after(self.span)));
            place = place.saturating_sub(1);
        }
        &mut self.windows[place]
    }
}

/// The start of the fixed window in which an instant lies.
fn aligned(now: Time, span: Span) -> Time {
    let length = i64::try_from(span.as_millis().max(1)).unwrap_or(i64::MAX).saturating_mul(1_000);
    Time::from_micros(now.micros().div_euclid(length).saturating_mul(length))
}

/// When a window is forgotten: a whole window after its end.
const fn over(start: Time, span: Span) -> Time {
    start.after(span).after(span)
}
