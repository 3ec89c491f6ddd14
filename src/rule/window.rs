//! Windowed counts: a rule that fires on the n-th of something, not on each.

use super::document::{Faults, RuleFault, below};
use super::item::Item;
use super::read;
use super::write::{array, object, text};
use super::{MAX_SOURCES, check};
use crate::hash::{Hash, Hasher};
use crate::id::Source;
use crate::pattern::Pattern;
use crate::time::Span;

/// The most matches that a window counts to. What is remembered of a subject grows with it (twice
/// as many instants), and is written with each match: some 70 KB at the limit. Thresholds of
/// published detections lie below 200, but for a few that mean "never".
pub const MAX_WINDOW_COUNT: u32 = 1_000;
/// The most distinct values that a window counts to: what is remembered is twice as many digests,
/// each with at most four instants.
pub const MAX_WINDOW_VALUES: u32 = 100;
/// The longest window.
pub const MAX_WINDOW: Span = Span::days(31);
/// The longest path of a field that a window counts the values of, or a cooldown rests for, in
/// bytes.
pub const MAX_FIELD_BYTES: usize = 512;

/// How many matches a rule waits for, and within what time. The kinds and their names are those of
/// Sigma's correlations.
///
/// ```
/// let text = r#"{ "id": "guessing", "actions": [{ "key": "a", "type": "escalate_to_hr" }],
///     "trigger": { "event": { "sources": ["okta"], "pattern": { "outcome": ["FAILURE"] },
///                             "window": { "count": 5, "in": "10m" } } } }"#;
/// let rule = tipstaff::Rule::from_json(text)?;
/// assert_eq!(rule.conditions(), r#"5 within 10m of: an event from okta where outcome is "FAILURE""#);
/// # Ok::<(), tipstaff::DocumentError>(())
/// ```
///
/// | window | fires on |
/// |---|---|
/// | `{"count": 5, "in": "10m"}` | five matches within ten minutes |
/// | `{"distinct": "client.ip", "count": 3, "in": "1h"}` | matches with three values at that path |
/// | `{"then": {"sources": […], "pattern": {…}}, "in": "30m"}` | a match, and after it an event that matches `then` |
///
/// always of one subject, by the signals' own time; once a window, or with `"every": true` each time.
/// [`Tally`](crate::Tally) says exactly what is counted, and what *once a window* means. The rule's
/// pattern on the subject's attributes, where it has one, must hold with each event that counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    /// What is counted.
    pub kind: WindowKind,
    /// How close together it must be: events of one window are *less* than this apart.
    pub span: Span,
    /// Whether each event fires that completes a window; otherwise once a window.
    pub every: bool,
}

/// What a window counts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WindowKind {
    /// Matches (Sigma: `event_count`).
    EventCount {
        /// How many, 1 to [`MAX_WINDOW_COUNT`].
        count: u32,
    },
    /// The distinct values of a field in matches (Sigma: `value_count`).
    ValueCount {
        /// The field's dotted path.
        field: String,
        /// How many, 1 to [`MAX_WINDOW_VALUES`].
        count: u32,
    },
    /// A match, then another event (Sigma: `temporal_ordered`).
    TemporalOrdered {
        /// The sources of the other event; none means all.
        sources: Vec<Source>,
        /// What it must look like.
        pattern: Pattern,
    },
}

impl Window {
    /// How much must come together: matches, values, or the two events of a pair.
    #[must_use]
    pub const fn needed(&self) -> u32 {
        match self.kind {
            WindowKind::EventCount { count } | WindowKind::ValueCount { count, .. } => count,
            WindowKind::TemporalOrdered { .. } => 2,
        }
    }

    /// What the count is about. A rule that is edited goes on counting as long as this is the
    /// same; whether it fires once or every time is no part of it.
    pub(crate) fn definition(&self) -> Hash {
        let all = Self { every: false, ..self.clone() };
        Hasher::new("tipstaff/window/1").text(&all.to_json()).finish()
    }

    pub(super) fn to_json(&self) -> String {
        let (distinct, count, then) = match &self.kind {
            WindowKind::EventCount { count } => (None, Some(count.to_string()), None),
            WindowKind::ValueCount { field, count } => (Some(text(field)), Some(count.to_string()), None),
            WindowKind::TemporalOrdered { sources, pattern } => {
                let sources = (!sources.is_empty()).then(|| array(sources.iter().map(text)));
                let then = object([("sources", sources), ("pattern", Some(pattern.text().to_owned()))]);
                (None, None, Some(then))
            }
        };
        object([
            ("distinct", distinct),
            ("count", count),
            ("then", then),
            ("in", Some(text(self.span))),
            ("every", self.every.then(|| "true".to_owned())),
        ])
    }

    /// In words, to be put before what an event must look like.
    pub(super) fn describe(&self) -> String {
        let every = if self.every { ", each time" } else { "" };
        let (count, span) = (self.needed(), self.span);
        match &self.kind {
            WindowKind::EventCount { .. } => format!("{count} within {span}{every} of: "),
            WindowKind::ValueCount { field, .. } => {
                format!("{count} different values of {field} within {span}{every} in: ")
            }
            WindowKind::TemporalOrdered { .. } => format!("in this order within {span}{every}: "),
        }
    }
}

/// Reads a window.
pub(super) fn window(item: &Item<'_>, faults: &mut Faults) -> Option<Window> {
    const COUNTS: &str = "a whole number from 1 to 1000";
    const VALUES: &str = "a whole number from 1 to 100";
    let object = item.object(&["count", "distinct", "then", "in", "every"], "a window", faults)?;
    let least = super::MIN_DEADLINE;
    let span = object.need("in", faults).and_then(|item| read::span(&item, least, MAX_WINDOW, faults));
    let every = object.get("every").map_or(Some(false), |item| item.flag(faults));
    let kind = if let Some(then) = object.get("then") {
        for other in ["count", "distinct"].iter().filter_map(|name| object.get(name)) {
            other.kind_fault("nothing beside `then`", faults);
        }
        let then = then.object(&["sources", "pattern"], "an object with `pattern`", faults)?;
        let (sources, pattern) = read::listened(&then, faults)?;
        WindowKind::TemporalOrdered { sources, pattern }
    } else if let Some(distinct) = object.get("distinct") {
        let field = field(&distinct, faults);
        let count = object.need("count", faults);
        let count = count.and_then(|count| count.count(MAX_WINDOW_VALUES, VALUES, faults));
        WindowKind::ValueCount { field: field?, count: count? }
    } else {
        let count = object.need("count", faults)?.count(MAX_WINDOW_COUNT, COUNTS, faults)?;
        WindowKind::EventCount { count }
    };
    Some(Window { kind, span: span?, every: every? })
}

/// Reads the dotted path of a field.
pub(super) fn field(item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let path = item.text(faults)?;
    if (1..=MAX_FIELD_BYTES).contains(&path.len()) && path.split('.').all(|step| !step.is_empty()) {
        return Some(path.to_owned());
    }
    let path = super::document::cut(path);
    faults.add_at(&item.pointer, item.node.at, RuleFault::FieldPath(path));
    None
}

/// What a window means beside its rule.
pub(super) fn faults(trigger: &str, window: &Window, faults: &mut Faults) {
    if let WindowKind::TemporalOrdered { sources, .. } = &window.kind {
        let pointer = format!("{}/sources", below(&below(trigger, "window"), "then"));
        check::count(&pointer, "sources", sources.len(), 0, MAX_SOURCES, faults);
        check::repeated(&pointer, sources.iter(), faults);
    }
}
