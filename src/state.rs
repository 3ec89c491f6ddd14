//! What the engine remembers: of a subject, of a rule, of a tenant. Plans read it and give its
//! successor back.

mod away;
mod cap;
mod offences;
mod rests;
mod stats;
mod sweep;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::ActionType;
use crate::audit::Actor;
use crate::broken::{self, Defect};
use crate::hash::Hash;
use crate::id::{ActorId, GroupId, OccurrenceId, RuleId, ScaleId, Subject};
use crate::pattern::Payload;
use crate::score::{BandName, Level};
use crate::time::Time;

pub use away::{Administrators, Away, Place, TakenBy};
pub use cap::{CapCounter, CapWindow, MAX_CAP_WINDOWS, Reserved};
pub use offences::Offences;
pub use rests::{Cooling, MAX_RESTS, Rests};
pub use stats::{Precision, RuleStats};
pub use sweep::{Sweep, SweepCause};
pub use tally::{Counted, MAX_RESTING_VALUES, MAX_WINDOW_SIGNALS, Tally, WindowOutcome, WindowStand};

/// What is known of a subject.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SubjectState {
    /// Whom it is about.
    pub subject: Subject,
    /// Their level on each scale.
    #[serde(default)]
    pub scores: BTreeMap<ScaleId, Level>,
    /// When a score rule last acted on each of its moves between bands.
    #[serde(default)]
    pub fired: Vec<Fired>,
    /// The cooldowns that began when rules acted.
    #[serde(default)]
    pub cooldowns: BTreeMap<RuleId, Rests>,
    /// Those that began when rules in shadow would have acted: the two do not count for each other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shadow_cooldowns: BTreeMap<RuleId, Rests>,
    /// How far up they are on the ladders of rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub offences: BTreeMap<RuleId, Offences>,
    /// Since when they are known, by decision time; none for records of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_since: Option<Time>,
    /// What the host last told of a user; their sessions have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
}

/// The longest attributes that are kept of a user, in bytes. They are read for every member of an
/// audience; what a directory says of a person that rules may ask for is far shorter.
pub const MAX_ATTRIBUTE_BYTES: usize = 16 * 1024;

/// What the host told of a user: department, employment, whether privileged.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attributes {
    /// When it was so: the time of the signal that told it, or of [`Engine::describe`](crate::Engine::describe).
    pub at: Time,
    /// A JSON object as it was told; none where it was taken back, or was longer than
    /// [`MAX_ATTRIBUTE_BYTES`]: what is older is no longer true then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A score rule acted on a move.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fired {
    /// The rule.
    pub rule: RuleId,
    /// The band that was left; none at the first score.
    pub from: Option<BandName>,
    /// The band that was entered.
    pub to: BandName,
    /// The score's own time.
    pub at: Time,
    /// Whether the rule ran in shadow then: shadow and live do not count for each other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

impl SubjectState {
    /// Of whom nothing is known yet.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            scores: BTreeMap::new(),
            fired: Vec::new(),
            cooldowns: BTreeMap::new(),
            shadow_cooldowns: BTreeMap::new(),
            offences: BTreeMap::new(),
            known_since: None,
            attributes: None,
        }
    }

    /// The attributes that are known of them.
    #[must_use]
    pub fn known_attributes(&self) -> Option<Payload> {
        let text = self.attributes.as_ref()?.text.clone()?;
        Payload::new(text).ok()
    }

    /// Takes in what the host told of them at a time; what is older than what is known says nothing
    /// new. Says whether it says anything else than before.
    pub(crate) fn learn(&mut self, told: Option<&Payload>, at: Time) -> bool {
        let before = self.attributes.as_ref();
        if before.is_some_and(|known| known.at > at) {
            return false;
        }
        let fits = told.filter(|payload| payload.text().len() <= MAX_ATTRIBUTE_BYTES);
        let text = fits.map(|payload| payload.text().to_owned());
        let changed = before.and_then(|known| known.text.as_ref()) != text.as_ref();
        self.attributes = Some(Attributes { at, text });
        changed
    }

    /// The level whose dwell or hold ends first, and when.
    #[must_use]
    pub fn next_due(&self) -> Option<(&ScaleId, Time)> {
        let due = self.scores.iter().filter_map(|(scale, level)| Some((scale, level.due()?)));
        due.min_by_key(|(_, due)| *due)
    }

    /// The cooldowns that began in shadow, or live.
    pub(crate) const fn resting(&self, shadow: bool) -> &BTreeMap<RuleId, Rests> {
        if shadow { &self.shadow_cooldowns } else { &self.cooldowns }
    }

    /// The same, to be changed.
    pub(crate) const fn resting_mut(&mut self, shadow: bool) -> &mut BTreeMap<RuleId, Rests> {
        if shadow { &mut self.shadow_cooldowns } else { &mut self.cooldowns }
    }

    /// When the rule last acted on that move, in shadow or live.
    #[must_use]
    pub fn last_fired(
        &self,
        rule: &RuleId,
        shadow: bool,
        from: Option<&BandName>,
        to: &BandName,
    ) -> Option<Time> {
        self.fired.iter().find(|fired| fired.is(rule, shadow, from, to)).map(|fired| fired.at)
    }

    /// Notes that the rule acted on that move; time never moves back.
    pub fn fire(&mut self, rule: &RuleId, shadow: bool, from: Option<&BandName>, to: &BandName, at: Time) {
        match self.fired.iter_mut().find(|fired| fired.is(rule, shadow, from, to)) {
            Some(fired) => fired.at = fired.at.max(at),
            None => {
                self.fired.push(Fired {
                    rule: rule.clone(),
                    from: from.cloned(),
                    to: to.clone(),
                    at,
                    shadow,
                });
            }
        }
    }
}

impl Fired {
    fn is(&self, rule: &RuleId, shadow: bool, from: Option<&BandName>, to: &BandName) -> bool {
        &self.rule == rule && self.shadow == shadow && self.from.as_ref() == from && &self.to == to
    }
}

/// What names the set of rules that is in force: it changes whenever a rule or a setting does, so
/// that a decision by an older set is refused. The rules themselves are [entries](Entry).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Book {
    /// The settings, as their document.
    pub settings: String,
    /// How often anything changed.
    pub changes: u64,
    /// Which revision of its bands each scale has, those that are gone included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bands: BTreeMap<ScaleId, BandSet>,
    /// The last change of bands that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Hash>,
}

/// The bands of a scale, as far as a changed set must be told from the one before.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BandSet {
    /// Which set of the scale this is, from 1.
    pub revision: u32,
    /// The digest of the scale.
    pub digest: Hash,
    /// When it came.
    pub since: Time,
    /// The names of its bands.
    pub names: Vec<BandName>,
}

/// A change of bands on its way through the subjects, page by page.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BandRun {
    /// The digest of the preview that was agreed to: its id.
    pub digest: Hash,
    /// When it was applied.
    pub at: Time,
    /// By whom.
    pub by: Actor,
    /// The scales whose bands changed, with their new revisions.
    pub scales: BTreeMap<ScaleId, u32>,
    /// How many moves were agreed to; nothing follows from those beyond.
    pub agreed: u64,
    /// How many moves were made.
    pub moved: u64,
    /// How many subjects were visited.
    pub visited: u64,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Whether it is over.
    pub done: bool,
}

/// A rule that a tenant has, and which revision of it is in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// The rule.
    pub rule: RuleId,
    /// The revision in force, from 1.
    pub revision: u32,
    /// The digest of what it says.
    pub digest: Hash,
    /// Whether it is active.
    pub active: bool,
    /// When this revision came.
    pub since: Time,
}

/// What people have stopped.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Control {
    /// Everything of every tenant, as far as this one is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<Stop>,
    /// Everything of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Stop>,
    /// Rules, one by one.
    #[serde(default)]
    pub rules: BTreeMap<RuleId, Stop>,
    /// Action types, one by one.
    #[serde(default)]
    pub types: BTreeMap<ActionType, Stop>,
    /// Rules that rest until somebody resumes them: they decide nothing, and what they asked for before
    /// goes on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paused: BTreeMap<RuleId, Pause>,
    /// How often anything was stopped or let go.
    pub epoch: u64,
}

/// Who stopped it, when and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stop {
    /// Who.
    pub by: ActorId,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
}

/// A rule that rests until somebody resumes it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pause {
    /// Who paused it: a person, or the engine where a cap did.
    pub by: Actor,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
}

/// What a kill switch stops.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KillScope {
    /// Everything of every tenant. Of one tenant it is a switch of its own, so that letting go of it
    /// leaves what was stopped for the tenant alone.
    Global,
    /// Everything of the tenant.
    Tenant,
    /// One rule.
    Rule(RuleId),
    /// One action type.
    Type(ActionType),
}

impl Control {
    /// The switch that stops such an action of these rules, if one does. An action that several
    /// rules ask for is stopped when all of them are.
    #[must_use]
    pub fn stops<'a>(
        &self,
        mut rules: impl Iterator<Item = &'a RuleId> + Clone,
        action: &ActionType,
    ) -> Option<&Stop> {
        let any_rule = rules.clone().next().is_some();
        let by_rules = || {
            let first = rules.clone().find_map(|rule| self.rules.get(rule));
            first.filter(|_| any_rule && rules.all(|rule| self.rules.contains_key(rule)))
        };
        let global = self.global.as_ref().filter(|_| !broken::is(Defect::GlobalStopForgotten));
        let all = global.or(self.tenant.as_ref());
        all.or_else(|| self.types.get(action)).or_else(by_rules)
    }
}

impl KillScope {
    /// Whether such an action of these rules is of the scope. One that several rules ask for is of each
    /// one's scope, and stopped when all of them are.
    #[must_use]
    pub fn covers<'a>(&self, mut rules: impl Iterator<Item = &'a RuleId>, action: &ActionType) -> bool {
        match self {
            Self::Global | Self::Tenant => true,
            Self::Type(stopped) => stopped == action,
            Self::Rule(stopped) => rules.any(|rule| rule == stopped),
        }
    }
}

impl fmt::Display for KillScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Tenant => f.write_str("tenant"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
            Self::Type(action) => write!(f, "type {action}"),
        }
    }
}

/// The people whom a plan may ask, as the host or the tenant's settings name them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Roster {
    /// The members of each group that was asked for.
    pub groups: BTreeMap<GroupId, Vec<ActorId>>,
}

/// Where the timetable of a scheduled rule stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Timer {
    /// The rule.
    pub rule: RuleId,
    /// The next occurrence, if the timetable has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
    /// Every occurrence up to here has been dealt with. What comes next is reckoned from it anew
    /// when the timer is stepped, so that a change of the zone's data moves an occurrence and
    /// neither loses nor doubles it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The occurrence that still works through its audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<OccurrenceId>,
    /// Missed occurrences that are still to be made up for, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Time>,
    /// The last occurrence that was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// Since when the rule has listened without a gap, where it waits for events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listening: Option<Time>,
}

impl Timer {
    /// The timer of a rule, not wound up.
    #[must_use]
    pub const fn new(rule: RuleId) -> Self {
        let waiting = Vec::new();
        Self { rule, next: None, since: None, running: None, waiting, last: None, listening: None }
    }
}

/// One run of a timetable over its audience. The revision is pinned when it begins.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Run {
    /// Its id.
    pub id: OccurrenceId,
    /// The rule.
    pub rule: RuleId,
    /// The revision that it began with.
    pub revision: u32,
    /// The instant of the timetable.
    pub at: Time,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many subjects it has visited.
    pub visited: u64,
    /// Whether it is over.
    pub done: bool,
    /// When it was begun, by decision time: whoever is first seen later is not visited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Time>,
    /// The bands of the audience; none for everybody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub bands: BTreeSet<String>,
}
