//! When a rule, or all of a tenant's, may act: from and until when, not during maintenance, and not in
//! quiet hours.
//!
//! ```
//! use tipstaff::{RuleSet, Time};
//! let rules = RuleSet::from_json(r#"{
//!   "quiet_hours": [{ "from": "22:00", "to": "06:00", "zone": "Europe/Berlin", "categories": ["notification"] }],
//!   "rules": [{ "id": "remind",
//!     "trigger": { "event": { "pattern": { "course": ["overdue"] } } },
//!     "actions": [{ "key": "a", "type": "escalate_to_manager" }],
//!     "guards": { "not_before": "2026-03-09T00:00:00Z",
//!       "maintenance": [{ "from": "2026-03-14T20:00:00Z", "to": "2026-03-15T04:00:00Z", "why": "the mail server moves" }] } }] }"#)?;
//! let night: Time = "2026-03-02T23:00:00Z".parse().unwrap();
//! assert!(rules.settings().times.quiet_hours[0].hours.hold(night));
//! # Ok::<(), tipstaff::DocumentError>(())
//! ```
//!
//! All of it is judged by decision time: what a signal asks for meanwhile is held back for good, and
//! its record says when the next one would pass. What was decided on before, and was approved, delayed or
//! is tried again meanwhile, waits for the end, and has its whole window to start in from then on; one
//! that is time-sensitive has no more time than it had, and nothing comes after the end of its rule.

use std::collections::BTreeSet;

use super::document::{Faults, RuleFault, below};
use super::item::{Item, Object};
use super::write::{array, object, text};
use super::{MAX_TITLE_BYTES, check};
use crate::action::{ActionCatalog, ActionSpec, ActionType, Category};
use crate::schedule::{Clock, Hours, Weekday, Zone};
use crate::time::Time;

/// The most quiet hours, and the most maintenance windows, of a rule and of a tenant. Our decision.
pub const MAX_TIMES: usize = 100;

/// When something may act.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Times {
    /// Not before this instant; a rule's own.
    pub not_before: Option<Time>,
    /// Not at this instant or later; a rule's own.
    pub not_after: Option<Time>,
    /// Not in these spans. At most [`MAX_TIMES`].
    pub maintenance: Vec<Maintenance>,
    /// Not in these hours of the week. At most [`MAX_TIMES`].
    pub quiet_hours: Vec<QuietHours>,
}

/// A span in which nothing that it holds is done, once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Maintenance {
    /// When it begins.
    pub from: Time,
    /// When it is over.
    pub to: Time,
    /// What it is for.
    pub why: Option<String>,
    /// What it holds.
    pub holds: ActionScope,
}

/// Hours of the week in which nothing that they hold is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QuietHours {
    /// When.
    pub hours: Hours,
    /// What they hold.
    pub holds: ActionScope,
}

/// Which actions something is about: those of these categories and those of these types; all, where
/// it names neither.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ActionScope {
    /// All types of these categories.
    pub categories: BTreeSet<Category>,
    /// These types.
    pub types: BTreeSet<ActionType>,
}

impl ActionScope {
    /// Whether it names anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty() && self.types.is_empty()
    }

    /// Whether it is about actions of that type.
    #[must_use]
    pub fn covers(&self, spec: &ActionSpec) -> bool {
        self.is_empty() || self.names(spec)
    }

    /// Whether it names that type, or its category.
    #[must_use]
    pub fn names(&self, spec: &ActionSpec) -> bool {
        self.categories.contains(&spec.category) || self.types.contains(&spec.name)
    }

    pub(super) fn read(object: &Object<'_>, faults: &mut Faults) -> Self {
        Self {
            categories: object.each("categories", "an array of categories", faults, Item::parsed),
            types: object.each("types", "an array of action types", faults, Item::parsed),
        }
    }

    pub(super) fn write(&self) -> [(&'static str, Option<String>); 2] {
        let categories = (!self.categories.is_empty()).then(|| array(self.categories.iter().map(text)));
        let types = (!self.types.is_empty()).then(|| array(self.types.iter().map(text)));
        [("categories", categories), ("types", types)]
    }

    pub(super) fn check(&self, pointer: &str, catalog: &ActionCatalog, faults: &mut Faults) {
        // A type that could not be read is there all the same.
        let all_known = faults.touch("/types");
        for unknown in self.types.iter().filter(|name| !all_known && catalog.get(name).is_none()) {
            let accepted: Vec<_> = catalog.iter().map(|spec| format!("`{}`", spec.name)).collect();
            let (found, accepted) = (unknown.to_string(), accepted.join(", "));
            faults.add(below(pointer, "types"), RuleFault::UnknownAction { found, accepted });
        }
    }

    /// In words, to be put after what holds them.
    pub(super) fn describe(&self) -> String {
        let categories = self.categories.iter().map(|category| format!("all of {category}"));
        let types = self.types.iter().map(ToString::to_string);
        let named: Vec<_> = categories.chain(types).collect();
        if named.is_empty() { String::new() } else { format!(" for {}", named.join(", ")) }
    }
}

/// Reads the windows that settings and rules have in common.
pub(super) fn read_windows(object: &Object<'_>, faults: &mut Faults) -> Times {
    Times {
        maintenance: object.each("maintenance", "an array", faults, read_maintenance),
        quiet_hours: object.each("quiet_hours", "an array", faults, read_quiet),
        ..Times::default()
    }
}

/// Reads what the guards of a rule say of time.
pub(super) fn read(object: &Object<'_>, faults: &mut Faults) -> Times {
    Times {
        not_before: object.get("not_before").and_then(|item| item.parsed(faults)),
        not_after: object.get("not_after").and_then(|item| item.parsed(faults)),
        ..read_windows(object, faults)
    }
}

fn read_maintenance(item: &Item<'_>, faults: &mut Faults) -> Option<Maintenance> {
    const FIELDS: &[&str] = &["from", "to", "why", "categories", "types"];
    let object = item.object(FIELDS, "an object with `from` and `to`", faults)?;
    let from = object.need("from", faults).and_then(|item| item.parsed(faults));
    let to = object.need("to", faults).and_then(|item| item.parsed(faults));
    let why = object.get("why").and_then(|why| why.text(faults)).map(str::to_owned);
    let holds = ActionScope::read(&object, faults);
    Some(Maintenance { from: from?, to: to?, why, holds })
}

fn read_quiet(item: &Item<'_>, faults: &mut Faults) -> Option<QuietHours> {
    const FIELDS: &[&str] = &["days", "from", "to", "zone", "categories", "types"];
    let object = item.object(FIELDS, "an object with `from` and `to`", faults)?;
    let days: BTreeSet<Weekday> = object.each("days", "an array of days of the week", faults, Item::parsed);
    let from = object.need("from", faults).and_then(|item| item.parsed::<Clock>(faults));
    let to = object.need("to", faults).and_then(|item| item.parsed::<Clock>(faults));
    let zone = object.get("zone").map_or(Some(Zone::UTC), |zone| zone.parsed(faults));
    let holds = ActionScope::read(&object, faults);
    Some(QuietHours { hours: Hours { days, ..Hours::daily(from?, to?, zone?) }, holds })
}

/// The windows as [`read_windows`] reads them.
pub(super) fn write_windows(times: &Times) -> [(&'static str, Option<String>); 2] {
    let maintenance = times.maintenance.iter().map(|window| {
        let own = [
            ("from", Some(text(window.from))),
            ("to", Some(text(window.to))),
            ("why", window.why.as_ref().map(text)),
        ];
        object(own.into_iter().chain(window.holds.write()))
    });
    let quiet = times.quiet_hours.iter().map(|quiet| {
        let hours = &quiet.hours;
        let own = [
            ("days", (!hours.days.is_empty()).then(|| array(hours.days.iter().map(text)))),
            ("from", Some(text(hours.from))),
            ("to", Some(text(hours.to))),
            ("zone", Some(text(hours.zone))),
        ];
        object(own.into_iter().chain(quiet.holds.write()))
    });
    [
        ("maintenance", (!times.maintenance.is_empty()).then(|| array(maintenance))),
        ("quiet_hours", (!times.quiet_hours.is_empty()).then(|| array(quiet))),
    ]
}

/// The members as [`read`] reads them.
pub(super) fn write(times: &Times) -> impl Iterator<Item = (&'static str, Option<String>)> {
    let own = [("not_before", times.not_before.map(text)), ("not_after", times.not_after.map(text))];
    own.into_iter().chain(write_windows(times))
}

/// The faults of what stands below `pointer`.
pub(super) fn check(pointer: &str, times: &Times, catalog: &ActionCatalog, faults: &mut Faults) {
    if let (Some(from), Some(to)) = (times.not_before, times.not_after)
        && to <= from
    {
        faults.add(
            below(pointer, "not_after"),
            RuleFault::EndsBefore { from: from.to_string(), to: to.to_string() },
        );
    }
    let place = below(pointer, "maintenance");
    check::count(&place, "maintenance windows", times.maintenance.len(), 0, MAX_TIMES, faults);
    for (i, window) in times.maintenance.iter().enumerate() {
        let place = faults.nth(&place, i);
        if window.to <= window.from {
            let (from, to) = (window.from.to_string(), window.to.to_string());
            faults.add(below(&place, "to"), RuleFault::EndsBefore { from, to });
        }
        if let Some(why) = &window.why {
            check::count(&below(&place, "why"), "bytes of a reason", why.len(), 1, MAX_TITLE_BYTES, faults);
        }
        window.holds.check(&place, catalog, faults);
    }
    let place = below(pointer, "quiet_hours");
    check::count(&place, "quiet hours", times.quiet_hours.len(), 0, MAX_TIMES, faults);
    for (i, quiet) in times.quiet_hours.iter().enumerate() {
        let place = faults.nth(&place, i);
        // Where a day could not be read, the days are not those that were meant.
        let are_known = !faults.touch(&below(&place, "days"));
        if quiet.hours.from == quiet.hours.to || (are_known && quiet.hours.are_always()) {
            faults.add(&place, RuleFault::HoursForEver);
        }
        quiet.holds.check(&place, catalog, faults);
    }
}

/// In words, one part each.
pub(super) fn describe(times: &Times) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(times.not_before.map(|from| format!("not before {from}")));
    parts.extend(times.not_after.map(|to| format!("not from {to} on")));
    for window in &times.maintenance {
        parts.push(format!("not from {} to {}{}", window.from, window.to, window.holds.describe()));
    }
    for quiet in &times.quiet_hours {
        parts.push(format!("not {}{}", quiet.hours, quiet.holds.describe()));
    }
    parts
}
