//! What a rule remembers of a subject beside the subject's own state: what its window has counted,
//! and the values that it rests for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::rests::Rests;
use crate::hash::Hash;
use crate::id::{RuleId, Subject};
use crate::rule::{Role, Window, WindowKind};
use crate::time::{Span, Time};
use crate::words::words;

/// How many of the counted signals are remembered, and told, by their ids: the newest.
pub const MAX_WINDOW_SIGNALS: usize = 16;
/// For how many values of a field a rule rests at once, for one subject. While all of them rest, a
/// further value rests with them: a storm that changes its value each time makes no more than this.
pub const MAX_RESTING_VALUES: usize = 100;

/// What a rule has counted for a subject, live or in shadow: the two do not count for each other.
///
/// # What a window counts
/// Events lie in one window when they are *less* than the window's span apart, by their own time.
/// An event **completes** a window when it is one of those that make it: of `count` matches, of
/// matches with `count` distinct values, of a pair whose first is truly earlier than its second.
/// Which of them comes in last is no matter; a late event completes the window that it belongs to.
///
/// - An event that is the whole span older than the newest counted one is too late: it is recorded,
///   and not counted. One from the future, beside the decision time, counts as of the decision
///   time, so that a wrong clock cannot make what comes next too late.
/// - **Once a window** (the rule unless it says `every`): of the events on which a rule fires, no
///   two lie in one window. What comes within the span of a firing, on either side, is counted and
///   fires nothing. A firing of which all actions were held back is none.
/// - A value is any text, number or boolean at the path, also in arrays; `null` is none. An event
///   without a value is not counted.
/// - The same event is counted once: its decision is known when it comes again.
///
/// # What is kept
/// Instants, digests of values, and the ids of the newest [`MAX_WINDOW_SIGNALS`] signals. Counts
/// stay exact: to judge an event that is not too late it takes the newest `2 * count` matches or
/// values, none older than twice the span; and of one value that occurs three times within a span
/// the occurrence between the others decides nothing.
///
/// All is forgotten when nothing was counted for twice the span, by decision time. An edit of the
/// rule keeps what was counted as long as its `window` (but for `every`) says the same; otherwise
/// counting begins anew.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tally {
    /// The rule.
    pub rule: RuleId,
    /// The subject.
    pub subject: Subject,
    /// Whether it is the rule in shadow that counts here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// The digest of the window that was counted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Hash>,
    /// What was counted, by time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<Counted>,
    /// When the window made the rule act, by the time of the event that completed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fired: Vec<Time>,
    /// The values for which the rule rests, by their digests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resting: BTreeMap<Hash, Rests>,
    /// When it is forgotten, by decision time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<Time>,
}

/// Something that was counted.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Counted {
    /// When it happened.
    pub at: Time,
    /// What makes it distinct: the digest of a value, or the role in a pair.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// The signal, as long as it is among the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

words! {
    /// What a match is to the window of its rule.
    WindowOutcome, "outcome of a window" {
        Counting: "counting", "it is counted, and not enough has come together";
        Complete: "complete", "it completes the window: the rule's actions are decided on";
        Fired: "fired", "it is counted, and the rule has acted in this window already";
        Late: "late", "it is too old beside the newest: it is not counted";
        NoValue: "no_value", "it lacks the field whose values are counted: it is not counted";
    }
}

impl WindowOutcome {
    /// Whether the event is counted at all.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        !matches!(self, Self::Late | Self::NoValue)
    }
}

/// Where a rule's window stands after an event.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct WindowStand {
    /// The rule.
    pub rule: RuleId,
    /// Its revision.
    pub revision: u32,
    /// How much has come together, the event included; never more than `of`.
    pub count: u32,
    /// How much it takes.
    pub of: u32,
    /// Within what time.
    pub within: Span,
    /// What the event is to it.
    pub outcome: WindowOutcome,
    /// The signals that make it, those that are remembered, by time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
}

impl fmt::Display for WindowStand {
    /// `3 of 5 within 10m`, and what that means.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} within {}", self.count, self.of, self.within)?;
        match self.outcome {
            WindowOutcome::Counting | WindowOutcome::Complete => Ok(()),
            WindowOutcome::Fired => f.write_str(", and the rule has acted in this window"),
            WindowOutcome::Late => f.write_str("; too late to be counted"),
            WindowOutcome::NoValue => f.write_str("; not counted, as the field has no value"),
        }
    }
}

/// Whether two instants lie in one window.
fn together(a: Time, b: Time, span: Span) -> bool {
    a.min(b).after(span) > a.max(b)
}

impl Tally {
    /// Nothing, so far.
    #[must_use]
    pub fn new(rule: RuleId, subject: Subject, shadow: bool) -> Self {
        let (counted, fired, resting) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { rule, subject, shadow, window: None, counted, fired, resting, keep_until: None }
    }

    /// The tally with nothing in it, and no timer: whatever it held cannot count any more.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self::new(self.rule.clone(), self.subject.clone(), self.shadow)
    }

    /// Keeps it for twice that span, from its newest entry or from the decision, whichever is later.
    pub(crate) fn keep(&mut self, span: Span, at: Time, now: Time) {
        let until = now.max(at).after(span).after(span);
        self.keep_until = self.keep_until.max(Some(until));
    }

    /// Counts an event: `whats` is what is distinct about it, one or more. Says how much has come
    /// together and what that means.
    pub(crate) fn count(
        &mut self,
        window: &Window,
        whats: &[String],
        signal: &str,
        at: Time,
    ) -> (u32, WindowOutcome, Vec<String>) {
        if whats.is_empty() {
            return (0, WindowOutcome::NoValue, Vec::new());
        }
        let definition = window.definition();
        if self.window != Some(definition) {
            self.window = Some(definition);
            self.counted.clear();
            self.fired.clear();
        }
        if self.counted.last().is_some_and(|newest| newest.at > at && !together(newest.at, at, window.span)) {
            return (0, WindowOutcome::Late, Vec::new());
        }
        for what in whats {
            let new = Counted { at, what: what.clone(), signal: Some(signal.to_owned()) };
            let place = self.counted.partition_point(|known| known <= &new);
            self.counted.insert(place, new);
        }
        let (count, stretch) = match window.kind {
            WindowKind::TemporalOrdered { .. } => self.pair(whats, window.span, at),
            _ => self.stretch(window, at),
        };
        let signals = self.signals(&stretch);
        self.trim(window);
        let enough = count >= window.needed();
        let rested = !window.every && self.fired.iter().any(|fired| together(*fired, at, window.span));
        let outcome = match (enough, rested) {
            (false, _) => WindowOutcome::Counting,
            (true, true) => WindowOutcome::Fired,
            (true, false) => WindowOutcome::Complete,
        };
        (count.min(window.needed()), outcome, signals)
    }

    /// Notes that the rule acted on the event of that time.
    pub(crate) fn fire(&mut self, at: Time) {
        let place = self.fired.partition_point(|known| *known <= at);
        self.fired.insert(place, at);
    }

    /// How much lies together with that instant, and what: in the first stretch that has enough,
    /// or else in the fullest.
    fn stretch(&self, window: &Window, at: Time) -> (u32, Vec<&Counted>) {
        let counts_values = matches!(window.kind, WindowKind::ValueCount { .. });
        let (mut best, mut place) = (0, 0..0);
        let (mut held, mut end): (BTreeMap<&str, u32>, _) = (BTreeMap::new(), 0);
        for (start, first) in self.counted.iter().enumerate() {
            if first.at > at {
                break;
            }
            while let Some(next) =
                self.counted.get(end).filter(|next| together(first.at, next.at, window.span))
            {
                *held.entry(&next.what).or_default() += 1;
                end += 1;
            }
            let count = if counts_values { held.len() } else { end - start };
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            if together(first.at, at, window.span) && count > best {
                (best, place) = (count, start..end);
                if best >= window.needed() {
                    break;
                }
            }
            if let Some(left) = held.get_mut(&*first.what) {
                *left -= 1;
                if *left == 0 {
                    held.remove(&*first.what);
                }
            }
        }
        (best, self.counted[place].iter().collect())
    }

    /// The pair that an event of that instant and these roles makes, if it makes one.
    fn pair(&self, roles: &[String], span: Span, at: Time) -> (u32, Vec<&Counted>) {
        let plays = |role: Role| roles.iter().any(|known| known == role.as_str());
        let known = |role: Role| self.counted.iter().filter(move |known| known.what == role.as_str());
        let ours = |role: Role| known(role).rfind(|known| known.at == at && plays(role));
        let second = ours(Role::Second).and_then(|second| {
            let before = |first: &&Counted| first.at < at && together(first.at, at, span);
            Some(vec![known(Role::First).rfind(before)?, second])
        });
        let first = || {
            let after = |second: &&Counted| second.at > at && together(at, second.at, span);
            Some(vec![ours(Role::First)?, known(Role::Second).find(after)?])
        };
        match second.or_else(first) {
            Some(both) => (2, both),
            None => (1, self.counted.iter().filter(|known| known.at == at).collect()),
        }
    }

    /// The ids of the newest signals among these, each once, by time.
    fn signals(&self, counted: &[&Counted]) -> Vec<String> {
        let mut signals: Vec<String> = Vec::new();
        for known in counted.iter().rev().filter_map(|known| known.signal.as_ref()) {
            if signals.len() < MAX_WINDOW_SIGNALS && !signals.contains(known) {
                signals.push(known.clone());
            }
        }
        signals.reverse();
        signals
    }

    /// Drops what cannot decide on any event to come; see the type's documentation.
    fn trim(&mut self, window: &Window) {
        let Some(newest) = self.counted.last().map(|newest| newest.at) else { return };
        let span = window.span;
        let reached = |at: Time| at.after(span).after(span) > newest;
        self.counted.retain(|known| reached(known.at));
        self.fired.retain(|fired| reached(*fired));
        let most = 2 * window.needed() as usize;
        match window.kind {
            WindowKind::EventCount { .. } => {
                let excess = self.counted.len().saturating_sub(most);
                self.counted.drain(..excess);
            }
            WindowKind::ValueCount { .. } | WindowKind::TemporalOrdered { .. } => self.thin(span, most),
        }
        let named = self.counted.len().saturating_sub(MAX_WINDOW_SIGNALS);
        self.counted[..named].iter_mut().for_each(|known| known.signal = None);
    }

    /// Of each value drops the occurrences between two others that lie in one window, and of the
    /// values all but the newest.
    fn thin(&mut self, span: Span, most: usize) {
        let mut newest: BTreeSet<&str> = BTreeSet::new();
        for known in self.counted.iter().rev() {
            if newest.len() < most {
                newest.insert(&known.what);
            }
        }
        let newest: BTreeSet<String> = newest.into_iter().map(str::to_owned).collect();
        self.counted.retain(|known| newest.contains(&known.what));
        let mut last: BTreeMap<String, [Option<usize>; 2]> = BTreeMap::new();
        let mut drop = vec![false; self.counted.len()];
        for (i, known) in self.counted.iter().enumerate() {
            let [before, middle] = last.get(&known.what).copied().unwrap_or_default();
            let next = match (before, middle) {
                (Some(first), Some(between)) if together(self.counted[first].at, known.at, span) => {
                    drop[between] = true;
                    [before, Some(i)]
                }
                (None, None) => [Some(i), None],
                (Some(_), None) => [before, Some(i)],
                (_, middle) => [middle, Some(i)],
            };
            last.insert(known.what.clone(), next);
        }
        let mut dropped = drop.into_iter();
        self.counted.retain(|_| !dropped.next().unwrap_or(false));
    }
}
