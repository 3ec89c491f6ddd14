//! What has *not* happened: awaited events of a scheduled rule, and deadlines that events open and
//! close.
//!
//! A schedule trigger may ask for what is absent. At each occurrence it fires for those of its
//! audience of whom no such event was seen within the span before it:
//!
//! ```json
//! { "schedule": { "cron": "0 9 * * MON", "audience": "all",
//!     "absent": { "sources": ["lms"], "pattern": { "type": ["course.completed"] }, "within": "14d" } } }
//! ```
//!
//! A deadline trigger fires for one person at the end of a span that one event opened, unless another
//! closes it before:
//!
//! ```json
//! { "deadline": { "opens": { "pattern": { "type": ["course.assigned"] } },
//!     "closes": { "pattern": { "type": ["course.completed"] } }, "within": "14d" } }
//! ```
//!
//! Both are of people: an event about a session counts for its user. [`Watch`](crate::Watch) says
//! exactly when something counts as absent, and for whom nobody can tell yet.

use super::document::Faults;
use super::item::Item;
use super::read::{pattern, span};
use super::write::{array, object, text};
use super::{CompiledRule, MIN_DEADLINE, Trigger};
use crate::id::Source;
use crate::pattern::Pattern;
use crate::time::Span;
use crate::words::words;

/// The longest span within which something is awaited: a year, as yearly trainings are the longest
/// that people are asked for.
pub const MAX_ABSENT_WITHIN: Span = Span::days(366);

words! {
    /// What becomes of a deadline when an event that opens one comes while it is open.
    Reopened, "way to reopen" {
        Keep: "keep", "the first deadline stands: a reminder gives no more time";
        Restart: "restart", "the span begins anew with the later event";
    }
}

/// Which events are meant.
#[derive(Clone, Debug, PartialEq)]
pub struct EventFilter {
    /// Their sources; none means all.
    pub sources: Vec<Source>,
    /// What they look like.
    pub pattern: Pattern,
}

/// What must not have happened for a scheduled rule to fire.
#[derive(Clone, Debug, PartialEq)]
pub struct Absent {
    /// The events that are awaited.
    pub awaited: EventFilter,
    /// How long before the occurrence one counts; from [`MIN_DEADLINE`] to [`MAX_ABSENT_WITHIN`].
    pub within: Span,
}

/// A deadline for a person, from one event on, unless another comes in time.
#[derive(Clone, Debug, PartialEq)]
pub struct Deadline {
    /// The events that open it.
    pub opens: EventFilter,
    /// The events that close it, from its opening to its end, both included, by their own time.
    pub closes: EventFilter,
    /// How long it is; from [`MIN_DEADLINE`] to [`MAX_ABSENT_WITHIN`].
    pub within: Span,
    /// What becomes of it when another event opens it again.
    pub reopened: Reopened,
}

impl Trigger {
    /// What a scheduled rule awaits, if it does.
    #[must_use]
    pub const fn absent(&self) -> Option<&Absent> {
        match self {
            Self::Schedule { absent, .. } => absent.as_ref(),
            _ => None,
        }
    }

    /// Whether it only watches the events that it listens to: it fires at a time of its own.
    pub(crate) const fn watches(&self) -> bool {
        matches!(self, Self::Deadline(_) | Self::Schedule { absent: Some(_), .. })
    }

    /// Whether two triggers watch the same events, so that what was heard for one holds for the other.
    pub(crate) fn watches_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Deadline(a), Self::Deadline(b)) => (&a.opens, &a.closes) == (&b.opens, &b.closes),
            _ => match (self.absent(), other.absent()) {
                (Some(a), Some(b)) => a.awaited == b.awaited,
                _ => false,
            },
        }
    }
}

impl CompiledRule {
    /// The rule's deadline, if that is its trigger.
    #[must_use]
    pub const fn deadline(&self) -> Option<&Deadline> {
        match &self.rule.trigger {
            Trigger::Deadline(deadline) => Some(deadline),
            _ => None,
        }
    }
}

pub(super) fn read_absent(item: &Item<'_>, faults: &mut Faults) -> Option<Absent> {
    let object = item.object(&["sources", "pattern", "within"], "an object", faults)?;
    let within = object.need("within", faults).and_then(|item| within(&item, faults));
    let sources = object.each("sources", "an array of sources", faults, Item::parsed);
    let pattern = object.need("pattern", faults).and_then(|item| pattern(&item, faults));
    Some(Absent { awaited: EventFilter { sources, pattern: pattern? }, within: within? })
}

pub(super) fn read_deadline(item: &Item<'_>, faults: &mut Faults) -> Option<Trigger> {
    let object = item.object(&["opens", "closes", "within", "reopened"], "an object", faults)?;
    let opens = object.need("opens", faults).and_then(|item| filter(&item, faults));
    let closes = object.need("closes", faults).and_then(|item| filter(&item, faults));
    let within = object.need("within", faults).and_then(|item| within(&item, faults));
    let reopened = object.get("reopened").map_or(Some(Reopened::Keep), |item| item.parsed(faults));
    let (opens, closes, within, reopened) = (opens?, closes?, within?, reopened?);
    Some(Trigger::Deadline(Deadline { opens, closes, within, reopened }))
}

fn filter(item: &Item<'_>, faults: &mut Faults) -> Option<EventFilter> {
    let object = item.object(&["sources", "pattern"], "an object", faults)?;
    let sources = object.each("sources", "an array of sources", faults, Item::parsed);
    Some(EventFilter { sources, pattern: pattern(&object.need("pattern", faults)?, faults)? })
}

fn within(item: &Item<'_>, faults: &mut Faults) -> Option<Span> {
    span(item, MIN_DEADLINE, MAX_ABSENT_WITHIN, faults)
}

pub(super) fn write_absent(absent: &Absent) -> String {
    let (sources, pattern) = members(&absent.awaited);
    object([("sources", sources), ("pattern", Some(pattern)), ("within", Some(text(absent.within)))])
}

pub(super) fn write_deadline(deadline: &Deadline) -> String {
    let filter = |filter: &EventFilter| {
        let (sources, pattern) = members(filter);
        object([("sources", sources), ("pattern", Some(pattern))])
    };
    object([
        ("opens", Some(filter(&deadline.opens))),
        ("closes", Some(filter(&deadline.closes))),
        ("within", Some(text(deadline.within))),
        ("reopened", Some(text(deadline.reopened))),
    ])
}

fn members(filter: &EventFilter) -> (Option<String>, String) {
    let sources = (!filter.sources.is_empty()).then(|| array(filter.sources.iter().map(text)));
    (sources, filter.pattern.text().to_owned())
}

/// The events in words; `fields` says a pattern.
pub(super) fn events(filter: &EventFilter, fields: impl Fn(&str) -> String) -> String {
    let sources: Vec<&str> = filter.sources.iter().map(Source::as_str).collect();
    let from = if sources.is_empty() { "any source".to_owned() } else { sources.join(" or ") };
    match fields(filter.pattern.text()) {
        conditions if conditions.is_empty() => format!("event from {from}"),
        conditions => format!("event from {from} where {conditions}"),
    }
}
