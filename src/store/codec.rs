//! Between what the engine means and what a store keeps: bodies with a format version and the
//! fields of later versions, and the columns that are derived from them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::query::Facet;
use super::record::{Key, Kind, Queue, Record};
use crate::approval::Approval;
use crate::effect::HeldEffect;
use crate::enforcement::{Enforcement, Holding, Purpose};
use crate::exemption::{Exemptions, Waivers};
use crate::id::Subject;
use crate::plan::{Decision, Effect};
use crate::state::{
    Away, BandRun, Book, CapCounter, Control, Entry, RuleStats, Run, SubjectState, Sweep, Tally, Timer,
};
use crate::time::Time;
use crate::watch::Watch;

/// The format that this version writes. A later one adds fields; those are kept.
const FORMAT: u32 = 1;

/// A body with what this version does not know of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Stored<T> {
    v: u32,
    #[serde(flatten)]
    pub(crate) body: T,
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

impl<T> Stored<T> {
    pub(crate) const fn new(body: T) -> Self {
        Self { v: FORMAT, body, unknown: BTreeMap::new() }
    }

    /// The same record with another body.
    pub(crate) fn with(self, body: T) -> Self {
        Self { body, ..self }
    }
}

/// Something that is stored as the body of a record.
pub(crate) trait Body: Clone + DeserializeOwned + Serialize + Send + 'static {
    const KIND: Kind;

    /// When the record came into being; for those that live on, a fixed time.
    fn at(&self) -> Time {
        Time::EPOCH
    }

    fn due_at(&self) -> Option<Time> {
        None
    }

    fn queue(&self) -> Option<Queue> {
        None
    }

    fn facets(&self) -> Vec<(Facet, String)> {
        Vec::new()
    }

    /// The kind of this value; only an enforcement may be of two.
    fn kind(&self) -> Kind {
        Self::KIND
    }
}

/// Reads a record's body.
pub(crate) fn decode<T: Body>(record: &Record) -> Result<Stored<T>, StoreError> {
    let corrupt = |fault: String| StoreError::Corrupt { place: record.key.to_string(), fault };
    let stored: Stored<T> = serde_json::from_str(&record.body).map_err(|error| corrupt(error.to_string()))?;
    if stored.v > FORMAT {
        return Err(corrupt(format!("format {} is newer than {FORMAT}, which this version reads", stored.v)));
    }
    Ok(stored)
}

/// The record of a body; `version` is the one that it replaces.
pub(crate) fn encode<T: Body>(key: Key, version: u64, stored: &Stored<T>) -> Record {
    Record {
        key,
        version,
        at: stored.body.at(),
        due_at: stored.body.due_at(),
        queue: stored.body.queue(),
        lease: None,
        token: 0,
        facets: stored.body.facets(),
        body: serde_json::to_string(stored).expect("bodies are maps with text keys"),
    }
}

pub(super) fn enforcement_record(stored: &Stored<Enforcement>, version: u64) -> Record {
    let body = &stored.body;
    encode(Key::new(&body.tenant, body.kind(), body.id.to_string()), version, stored)
}

impl Body for Enforcement {
    const KIND: Kind = Kind::Enforcement;

    fn kind(&self) -> Kind {
        match self.purpose {
            Purpose::Notice { .. } | Purpose::RuleNotice { .. } => Kind::Notice,
            Purpose::Action | Purpose::Undo { .. } | Purpose::Restore { .. } => Kind::Enforcement,
        }
    }

    fn at(&self) -> Time {
        self.recorded_at
    }

    fn due_at(&self) -> Option<Time> {
        self.state.due_at()
    }

    fn queue(&self) -> Option<Queue> {
        let ready_at = self.state.ready_at()?;
        Some(Queue { channel: self.channel.clone(), ready_at })
    }

    fn facets(&self) -> Vec<(Facet, String)> {
        let mut facets = of_subject(&self.subject);
        facets.extend([
            (Facet::Action, self.action.to_string()),
            (Facet::Category, self.category.to_string()),
            (Facet::Trigger, self.origin.kind.to_string()),
            (Facet::Status, self.status().to_string()),
            (Facet::Reason, self.reason().to_string()),
            (Facet::Source, self.origin.source.clone()),
            (Facet::Signal, self.origin.signal.clone()),
            (Facet::Mode, crate::rule::Mode::Live.to_string()),
        ]);
        facets.extend(self.holders.iter().map(|holder| (Facet::Rule, holder.rule.to_string())));
        facets.extend(self.votes.iter().map(|vote| (Facet::Approver, vote.actor.to_string())));
        distinct(facets)
    }
}

impl Body for Approval {
    const KIND: Kind = Kind::Approval;

    fn at(&self) -> Time {
        self.requested_at
    }

    fn due_at(&self) -> Option<Time> {
        Self::due_at(self)
    }

    fn facets(&self) -> Vec<(Facet, String)> {
        let mut facets = of_subject(&self.subject);
        facets.push((Facet::Action, self.action.to_string()));
        facets.push((Facet::Status, self.state.to_string()));
        if let Some(signal) = &self.context.signal {
            facets.push((Facet::Trigger, signal.kind.to_string()));
            facets.push((Facet::Source, signal.source.clone()));
            facets.push((Facet::Signal, signal.id.clone()));
        }
        facets.extend(self.rules.iter().map(|rule| (Facet::Rule, rule.to_string())));
        facets.extend(self.votes.iter().map(|vote| (Facet::Approver, vote.actor.to_string())));
        distinct(facets)
    }
}

impl Body for Decision {
    const KIND: Kind = Kind::Trigger;

    fn at(&self) -> Time {
        self.decided_at
    }

    fn facets(&self) -> Vec<(Facet, String)> {
        let mut facets = of_subject(&self.signal.subject);
        facets.extend([
            (Facet::Trigger, self.signal.kind.to_string()),
            (Facet::Source, self.signal.source.clone()),
            (Facet::Signal, self.signal.id.clone()),
        ]);
        facets.extend(self.windows.iter().map(|stand| (Facet::Rule, stand.rule.to_string())));
        for outcome in &self.outcomes {
            facets.extend(outcome.rule.as_ref().map(|rule| (Facet::Rule, rule.id.to_string())));
            facets.push((Facet::Action, outcome.action.to_string()));
            let mode = match &outcome.effect {
                Effect::Created { .. } => crate::rule::Mode::Live,
                Effect::Shadow { .. } => crate::rule::Mode::Shadow,
                Effect::Suppressed(held) => {
                    facets.push((Facet::Reason, held.reason.to_string()));
                    continue;
                }
            };
            facets.push((Facet::Mode, mode.to_string()));
        }
        distinct(facets)
    }
}

impl Body for SubjectState {
    const KIND: Kind = Kind::Subject;

    fn due_at(&self) -> Option<Time> {
        self.next_due().map(|(_, due)| due)
    }

    fn facets(&self) -> Vec<(Facet, String)> {
        let mut facets = of_subject(&self.subject);
        let bands = self.scores.iter().map(|(scale, level)| (Facet::Band, format!("{scale}/{}", level.band)));
        facets.extend(bands);
        facets
    }
}

impl Body for Tally {
    const KIND: Kind = Kind::Tally;

    fn due_at(&self) -> Option<Time> {
        self.keep_until
    }

    fn facets(&self) -> Vec<(Facet, String)> {
        let mut facets = of_subject(&self.subject);
        facets.push((Facet::Rule, self.rule.to_string()));
        facets
    }
}

impl Body for CapCounter {
    const KIND: Kind = Kind::Cap;

    fn due_at(&self) -> Option<Time> {
        self.due()
    }
}

impl Body for Timer {
    const KIND: Kind = Kind::Timer;

    fn due_at(&self) -> Option<Time> {
        let waiting = self.waiting.first().filter(|_| self.running.is_none());
        waiting.copied().into_iter().chain(self.next).min()
    }
}

impl Body for Watch {
    const KIND: Kind = Kind::Watch;

    fn due_at(&self) -> Option<Time> {
        self.open.as_ref().map(|open| open.due)
    }

    fn facets(&self) -> Vec<(Facet, String)> {
        vec![(Facet::User, self.user.to_string()), (Facet::Rule, self.rule.to_string())]
    }
}

impl Body for Run {
    const KIND: Kind = Kind::Run;

    fn at(&self) -> Time {
        self.at
    }

    fn due_at(&self) -> Option<Time> {
        (!self.done).then_some(self.at)
    }

    fn facets(&self) -> Vec<(Facet, String)> {
        vec![(Facet::Rule, self.rule.to_string())]
    }
}

impl Body for HeldEffect {
    const KIND: Kind = Kind::Effect;

    fn at(&self) -> Time {
        self.since
    }

    fn facets(&self) -> Vec<(Facet, String)> {
        let mut facets = of_subject(&self.subject);
        facets.push((Facet::Action, self.apply.action.to_string()));
        facets.push((Facet::Status, self.status().to_string()));
        facets.extend(self.holders().iter().filter_map(|held| match &held.holder {
            Holding::Rule(rule) => Some((Facet::Rule, rule.to_string())),
            _ => None,
        }));
        distinct(facets)
    }
}

impl Body for Exemptions {
    const KIND: Kind = Kind::Exemption;

    fn facets(&self) -> Vec<(Facet, String)> {
        of_subject(&self.subject)
    }
}

impl Body for Waivers {
    const KIND: Kind = Kind::Waiver;
}

impl Body for Away {
    const KIND: Kind = Kind::Away;
}

impl Body for Sweep {
    const KIND: Kind = Kind::Sweep;

    fn due_at(&self) -> Option<Time> {
        (!self.done).then_some(self.since)
    }
}

impl Body for BandRun {
    const KIND: Kind = Kind::Change;

    fn at(&self) -> Time {
        self.at
    }

    fn due_at(&self) -> Option<Time> {
        (!self.done).then_some(self.at)
    }
}

impl Body for RuleStats {
    const KIND: Kind = Kind::Stats;
}

impl Body for Control {
    const KIND: Kind = Kind::Control;
}

impl Body for Book {
    const KIND: Kind = Kind::Book;
}

impl Body for Entry {
    const KIND: Kind = Kind::Entry;
}

/// One revision of a rule, as its document.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct RuleDocument {
    pub(crate) document: String,
}

impl Body for RuleDocument {
    const KIND: Kind = Kind::Rule;
}

fn of_subject(subject: &Subject) -> Vec<(Facet, String)> {
    let user = (Facet::User, subject.user.to_string());
    let session = subject.session.as_ref().map(|session| (Facet::Session, session.to_string()));
    std::iter::once(user).chain(session).collect()
}

fn distinct(mut facets: Vec<(Facet, String)>) -> Vec<(Facet, String)> {
    facets.sort();
    facets.dedup();
    facets
}
