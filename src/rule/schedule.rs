//! Rules on a timetable: whom an occurrence visits, and what becomes of occurrences that were missed.
//!
//! ```json
//! { "schedule": { "cron": "0 9 * * MON", "zone": "Europe/Berlin",
//!     "audience": { "attributes": { "department": ["sales"] } }, "catch_up": "latest" } }
//! ```
//!
//! An audience is `"all"`, `{"band": ["red", "critical"]}` (of a `scale`, if not the standard one) or
//! `{"attributes": {…}}` in the language of event patterns. Whom of it the rule's own `subject` pattern
//! does not fit is left out as well.

use super::document::Faults;
use super::item::Item;
use super::read::{band_name, pattern};
use super::write::{array, object, text};
use super::{Absent, CompiledRule, Trigger, absence};
use crate::action::Category;
use crate::id::ScaleId;
use crate::json::Value;
use crate::pattern::Pattern;
use crate::schedule::{Timetable, Zone};
use crate::score::{BandName, Scale};
use crate::time::Span;
use crate::words::words;

/// The most occurrences that [`CatchUp::All`] makes up for (behaviour 4.3); Kubernetes' CronJob
/// controller gives up at the same number of missed starts.
pub const MAX_CATCH_UP: usize = 100;

/// How late an occurrence may be begun without counting as missed, as long as no later one is due.
/// Hosts run what is due every so often, and a run may take its time; Quartz calls the same its
/// misfire threshold, a minute by default. Ours is longer, because what hangs on it is that an
/// access-control rule stays out.
pub const CATCH_UP_GRACE: Span = Span::mins(5);

words! {
    /// What becomes of the occurrences of a timetable that nobody began when they came due.
    ///
    /// An occurrence is *missed* when it is stepped while a later one is due as well, or later than
    /// [`CATCH_UP_GRACE`] after its time. What is not missed is begun under every policy. Each
    /// occurrence that is left out is audited.
    ///
    /// A rule that says nothing has `skip` if one of its actions is access control or restricts a
    /// person: being locked out at noon for a check of last night is worse than no check. Any other
    /// rule has `latest`: notices, trainings, guided corrections, escalations and calls of other
    /// systems take nothing away from anybody, and a report that comes late is better than none.
    CatchUp, "way to catch up" {
        Skip: "skip", "missed occurrences are left out";
        Latest: "latest", "the latest missed occurrence is made up for, those before it are left out";
        All: "all", "missed occurrences are made up for one after the other, at most 100 of them; older ones are left out";
    }
}

/// The subjects of a scheduled rule: those who are known when the occurrence begins, each judged as
/// they are when their page is visited.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Audience {
    /// Every user whom the store knows of this tenant; their sessions are not visited besides.
    All,
    /// The subjects, users or sessions, whose last score lies in one of these bands.
    Bands {
        /// The scale.
        scale: ScaleId,
        /// The bands.
        bands: Vec<BandName>,
    },
    /// The users whose [known attributes](crate::SubjectState::attributes) match; of one without
    /// any, only `exists: false` is true.
    Attributes(Pattern),
}

impl CompiledRule {
    /// What becomes of missed occurrences: what the rule says, or what its actions ask for.
    #[must_use]
    pub fn catch_up(&self) -> CatchUp {
        if let Trigger::Schedule { catch_up: Some(said), .. } = self.rule.trigger {
            return said;
        }
        let hurts =
            |spec: &crate::action::ActionSpec| spec.restricts || spec.category == Category::AccessControl;
        match self.actions.iter().any(|action| hurts(&action.spec)) {
            true => CatchUp::Skip,
            false => CatchUp::Latest,
        }
    }
}

pub(super) fn read(item: &Item<'_>, faults: &mut Faults) -> Option<Trigger> {
    let object = item.object(&["cron", "zone", "audience", "catch_up", "absent"], "an object", faults)?;
    let zone = match object.get("zone") {
        None => Some(Zone::UTC),
        Some(item) => item.parsed(faults),
    };
    let cron = object.need("cron", faults);
    let line = cron.as_ref().and_then(|cron| cron.text(faults));
    let audience = object.need("audience", faults).and_then(|item| audience(&item, faults));
    let catch_up = object.get("catch_up").and_then(|item| item.parsed(faults));
    let absent = object.get("absent").map(|item| absence::read_absent(&item, faults));
    let timetable = Timetable::new(line?, zone?).map_err(|error| {
        if let Some(cron) = &cron {
            faults.add_at(&cron.pointer, cron.node.at, error);
        }
    });
    let absent = match absent {
        None => None,
        Some(absent) => Some(absent?),
    };
    Some(Trigger::Schedule { timetable: timetable.ok()?, audience: audience?, catch_up, absent })
}

fn audience(item: &Item<'_>, faults: &mut Faults) -> Option<Audience> {
    const ACCEPTED: &str = "`\"all\"`, an object with `band`, or an object with `attributes`";
    if matches!(&item.node.value, Value::Text(text) if text == "all") {
        return Some(Audience::All);
    }
    let object = item.object(&["scale", "band", "attributes"], ACCEPTED, faults)?;
    if let Some(attributes) = object.get("attributes") {
        // Both at once is what a rule's own `subject` pattern is for, beside a band.
        for other in ["scale", "band"] {
            if let Some(other) = object.get(other) {
                other.kind_fault("`attributes` alone; beside a band, the rule's `subject` says whom", faults);
            }
        }
        return pattern(&attributes, faults).map(Audience::Attributes);
    }
    let scale: Option<ScaleId> = object.get("scale").and_then(|scale| scale.parsed(faults));
    let bands = object.need("band", faults)?.each("an array of bands", faults, band_name);
    Some(Audience::Bands { scale: scale.unwrap_or_else(|| Scale::standard().id().clone()), bands })
}

pub(super) fn write(
    timetable: &Timetable,
    audience: &Audience,
    catch_up: Option<CatchUp>,
    absent: Option<&Absent>,
) -> String {
    object([
        ("cron", Some(text(timetable.line()))),
        ("zone", Some(text(timetable.zone()))),
        ("audience", Some(audience_text(audience))),
        ("catch_up", catch_up.map(text)),
        ("absent", absent.map(absence::write_absent)),
    ])
}

fn audience_text(audience: &Audience) -> String {
    match audience {
        Audience::All => text("all"),
        Audience::Bands { scale, bands } => {
            object([("scale", Some(text(scale))), ("band", Some(array(bands.iter().map(text))))])
        }
        Audience::Attributes(pattern) => object([("attributes", Some(pattern.text().to_owned()))]),
    }
}

/// Whom the audience holds, in words; `fields` says a pattern.
pub(super) fn whom(audience: &Audience, fields: impl Fn(&str) -> String) -> String {
    match audience {
        Audience::All => "every known user".to_owned(),
        Audience::Bands { scale, bands } => {
            let names: Vec<&str> = bands.iter().map(|band| band.as_str()).collect();
            format!("every subject in {} of scale {scale}", names.join(" or "))
        }
        Audience::Attributes(pattern) => format!("every known user where {}", fields(pattern.text())),
    }
}
