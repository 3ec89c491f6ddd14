//! What a rule that waits for something to happen, or not to, remembers of a person.

use serde::{Deserialize, Serialize};

use crate::id::{RuleId, TriggerId, UserId};
use crate::rule::{Absent, Deadline, Reopened, Role};
use crate::time::Time;

/// What one rule has heard about one user; of all that was awaited only the newest.
///
/// # When something is absent
/// Everything is by the events' own time, but none counts as later than the time at which it came:
/// a source whose clock is ahead cannot put a person's absence off.
///
/// At an occurrence of a schedule, nothing was seen of a user if the newest awaited event is older
/// than the span, or there is none. One that came after the occurrence, which is being made up for,
/// counts as seen: the person has done by now what is asked for.
///
/// Nobody can tell what was absent before the rule listened or before the user was known, and nobody
/// is acted upon for it: while the rule has listened for less than the span (since it was activated,
/// or since what it awaits was edited last), its occurrences are left out and audited; a user is
/// asked about when they have been known for the whole of it.
///
/// # Deadlines
/// ```text
///            opens                    closes, not later than due
///   idle ─────────────▶ open ──────────────────────────────▶ idle
///                        │ due
///                        ▼
///                      fires, idle
/// ```
/// While one is open, a later opening is ignored or begins it anew, as [`Reopened`] says. An opening
/// says nothing that is older than the one that is open, than one whose deadline has passed, than the
/// newest closing event, or than the rule's listening. An event that does both closes first. A
/// closing event that comes after its deadline was acted upon changes nothing: what was done stays,
/// to be undone by people. So feed what has come in before running what is due.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Watch {
    /// The rule.
    pub rule: RuleId,
    /// The user.
    pub user: UserId,
    /// When the newest event happened that was awaited, or that closes a deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Time>,
    /// The deadline that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Open>,
    /// The opening of the last deadline that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Time>,
}

/// A deadline that is open.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Open {
    /// When the event happened that opened it.
    pub at: Time,
    /// When it ends.
    pub due: Time,
    /// The signal that opened it.
    pub by: TriggerId,
}

/// What an event does to a deadline.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Heard {
    pub(crate) closed: bool,
    pub(crate) opened: bool,
}

impl Watch {
    /// Of whom nothing was heard yet.
    #[must_use]
    pub const fn new(rule: RuleId, user: UserId) -> Self {
        Self { rule, user, seen: None, open: None, passed: None }
    }

    /// Whether nothing was seen within the span before an occurrence.
    #[must_use]
    pub fn is_absent(&self, absent: &Absent, occurrence: Time) -> bool {
        self.seen.is_none_or(|seen| seen <= occurrence.before(absent.within))
    }

    /// An awaited event happened.
    pub(crate) fn see(&mut self, at: Time) {
        self.seen = self.seen.max(Some(at));
    }

    /// An event that plays these roles happened; the rule has listened since `listening`.
    pub(crate) fn hear(
        &mut self,
        roles: &[Role],
        at: Time,
        by: TriggerId,
        deadline: &Deadline,
        listening: Time,
    ) -> Heard {
        let mut heard = Heard::default();
        let seen = self.seen;
        if roles.contains(&Role::Awaited) {
            heard.closed = self.open.take_if(|open| open.at <= at && at <= open.due).is_some();
            self.see(at);
        }
        let told = at < listening || seen.is_some_and(|seen| seen >= at);
        if !roles.contains(&Role::Opens) || told || self.passed.is_some_and(|passed| passed >= at) {
            return heard;
        }
        heard.opened = match &self.open {
            None => true,
            Some(open) => deadline.reopened == Reopened::Restart && at > open.at,
        };
        if heard.opened {
            self.open = Some(Open { at, due: at.after(deadline.within), by });
        }
        heard
    }

    /// The deadline that is open has passed, or is given up.
    pub(crate) fn pass(&mut self) {
        if let Some(open) = self.open.take() {
            self.passed = self.passed.max(Some(open.at));
        }
    }
}

/// Why nothing can be said of a span before an occurrence: the rule has not listened for all of it.
pub(crate) fn too_young(absent: &Absent, listening: Option<Time>, occurrence: Time) -> bool {
    listening.is_none_or(|since| since > occurrence.before(absent.within))
}
