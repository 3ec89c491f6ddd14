//! What comes in: events, scores, occurrences of a timetable, and orders of people.

mod level;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::action::{ActionType, Params};
use crate::hash::{Hash, Hasher};
use crate::id::{
    ActorId, EnforcementId, IdError, OccurrenceId, RuleId, ScaleId, SignalId, Source, Subject, TenantId,
    TriggerId,
};
use crate::pattern::{Payload, PayloadError};
use crate::score::{Confidence, Score};
use crate::time::Time;
use crate::words::words;

pub use level::{Dismissal, LevelTurn, LevelWhy};

/// The longest reason of a manual start and comment of a vote, in bytes.
pub const MAX_REASON_BYTES: usize = 4_096;

words! {
    /// How a run was initiated; never the category of a threat.
    TriggerKind, "kind of trigger" {
        Event: "event", "a security event";
        Score: "score", "a change of a subject's score";
        Schedule: "schedule", "an occurrence of a rule's timetable";
        Manual: "manual", "a person or an integrated workflow ordered it";
    }

    /// A field of a signal that its source did not give and the host filled in. No restricting
    /// action follows from a guessed subject.
    DefaultedField, "field" {
        Id: "id", "the signal's id";
        Time: "time", "the signal's time";
        Source: "source", "the signal's source or type";
        Subject: "subject", "whom it is about";
    }
}

/// A security event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its owner.
    pub tenant: TenantId,
    /// Its id as the source gave it. The same id twice is one event.
    pub id: SignalId,
    /// Its source, or log type; rules bind to it.
    pub source: Source,
    /// Whom it is about.
    pub subject: Subject,
    /// When it happened.
    pub at: Time,
    /// What happened.
    pub payload: Payload,
    /// The subject's attributes, for rules that ask for them.
    pub attributes: Option<Payload>,
    /// The fields that the host filled in.
    pub defaulted: BTreeSet<DefaultedField>,
    /// The action of this engine that caused it, where the host knows of one: its key. How deep the
    /// chain of causes is, the engine reads from its own records.
    pub caused_by: Option<EnforcementId>,
}

/// An event that cannot be taken; its payload comes back.
#[derive(Clone, Debug, thiserror::Error)]
#[error("event `{id}`: {fault}")]
pub struct EventError {
    /// The event's id as given, cut to 80 characters.
    pub id: String,
    /// What is wrong.
    pub fault: EventFault,
    /// The payload as given: nothing is lost.
    pub payload: String,
}

/// Why an event cannot be taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EventFault {
    /// Its id or source is no identifier.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Its payload is no JSON object, or too large.
    #[error("payload: {0}")]
    Payload(String),
}

impl Event {
    /// Checks an event at the door.
    ///
    /// # Errors
    /// [`EventError`] with the fault's place, and the payload as it was given.
    pub fn new(
        tenant: TenantId,
        id: &str,
        source: &str,
        subject: impl Into<Subject>,
        at: Time,
        payload: impl Into<String>,
    ) -> Result<Self, EventError> {
        let payload = payload.into();
        let refused = |fault: EventFault, payload: String| EventError {
            id: id.chars().take(80).collect(),
            fault,
            payload,
        };
        let (signal, source) = match (id.parse(), source.parse()) {
            (Ok(signal), Ok(source)) => (signal, source),
            (Err(e), _) | (_, Err(e)) => return Err(refused(EventFault::Id(e), payload)),
        };
        let payload = Payload::new(payload).map_err(|error: PayloadError| {
            refused(EventFault::Payload(error.to_string()), error.into_text())
        })?;
        Ok(Self {
            tenant,
            id: signal,
            source,
            subject: subject.into(),
            at,
            payload,
            attributes: None,
            defaulted: BTreeSet::new(),
            caused_by: None,
        })
    }

    /// With what the host knows of the subject: department, employment, whether privileged.
    #[must_use]
    pub fn attributes(self, attributes: Payload) -> Self {
        Self { attributes: Some(attributes), ..self }
    }

    /// With the action that caused it: a lock's own event, say, of which the host knows the key. What
    /// follows is then one deeper than that action, and beyond the tenant's `loop_depth` people must
    /// agree to it.
    #[must_use]
    pub fn caused_by(self, action: EnforcementId) -> Self {
        Self { caused_by: Some(action), ..self }
    }

    /// With a mark that the host filled this field in.
    #[must_use]
    pub fn defaulted(mut self, field: DefaultedField) -> Self {
        self.defaulted.insert(field);
        self
    }
}

/// A score of a subject.
#[derive(Clone, Debug)]
pub struct ScoreReading {
    /// Its owner.
    pub tenant: TenantId,
    /// Its id as the scorer gave it.
    pub id: SignalId,
    /// The scale that it is on.
    pub scale: ScaleId,
    /// Whose score it is.
    pub subject: Subject,
    /// When it held.
    pub at: Time,
    /// The value.
    pub score: Score,
    /// How sure the scorer is, from 0 to 1, where it says so.
    pub confidence: Option<Confidence>,
    /// The subject's attributes, for rules that ask for them.
    pub attributes: Option<Payload>,
    /// The fields that the host filled in.
    pub defaulted: BTreeSet<DefaultedField>,
}

impl ScoreReading {
    /// A reading without confidence and attributes.
    #[must_use]
    pub fn new(
        tenant: TenantId,
        id: SignalId,
        scale: ScaleId,
        subject: impl Into<Subject>,
        at: Time,
        score: Score,
    ) -> Self {
        let (confidence, attributes, defaulted) = (None, None, BTreeSet::new());
        Self { tenant, id, scale, subject: subject.into(), at, score, confidence, attributes, defaulted }
    }
}

/// What a person or an integrated workflow orders.
#[derive(Clone, Debug)]
pub struct ManualStart {
    /// Its owner.
    pub tenant: TenantId,
    /// The caller's id of the order: the same id twice is one order.
    pub id: SignalId,
    /// Who orders it. They cannot approve it.
    pub operator: ActorId,
    /// For whom.
    pub subject: Subject,
    /// When it was ordered.
    pub at: Time,
    /// Why; at most [`MAX_REASON_BYTES`].
    pub reason: String,
    /// What is ordered.
    pub order: ManualOrder,
    /// Whether it starts at once although it needs approval, and people ratify it afterwards
    /// (break-glass). The operator needs the right to it.
    pub break_glass: bool,
}

/// What a manual start starts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ManualOrder {
    /// One action, under the default approval of its type.
    Action {
        /// The type.
        action: ActionType,
        /// Its parameters.
        params: Params,
    },
    /// The actions of a rule with a manual trigger.
    Rule(RuleId),
}

/// One subject's turn in an occurrence of a rule's timetable.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Its owner.
    pub tenant: TenantId,
    /// The rule.
    pub rule: RuleId,
    /// Which occurrence.
    pub occurrence: OccurrenceId,
    /// Whose turn it is.
    pub subject: Subject,
    /// The instant of the timetable.
    pub at: Time,
    /// What is known of them, for rules that ask for it.
    pub attributes: Option<Payload>,
    /// What has not happened, where the rule asks for that.
    pub absence: Option<Absence>,
}

/// What has not happened before a turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Absence {
    /// Since when it has not: the beginning of the span, or the opening of the deadline.
    pub since: Time,
    /// When it happened last, as far as the rule has heard.
    pub last: Option<Time>,
}

/// Anything that comes in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Signal {
    /// A security event.
    Event(Event),
    /// A score.
    Score(ScoreReading),
    /// A person's order.
    Manual(ManualStart),
    /// A subject's turn in an occurrence; the engine makes these itself.
    Schedule(Turn),
    /// A look at a subject's level; the engine makes these itself.
    Level(LevelTurn),
}

impl From<Event> for Signal {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

impl From<ScoreReading> for Signal {
    fn from(reading: ScoreReading) -> Self {
        Self::Score(reading)
    }
}

impl From<ManualStart> for Signal {
    fn from(start: ManualStart) -> Self {
        Self::Manual(start)
    }
}

/// A signal as records keep it: without its payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SignalInfo {
    /// How the run was initiated.
    pub kind: TriggerKind,
    /// Where it came from: the event's source, the score's scale, the rule of a timetable, or the
    /// operator of a manual start.
    pub source: String,
    /// Its id.
    pub id: String,
    /// Whom it is about.
    pub subject: Subject,
    /// Its own time.
    pub at: Time,
    /// What it says, in one short line: the score's value, the operator's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// The fields that the host filled in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub defaulted: BTreeSet<DefaultedField>,
}

impl Signal {
    /// Its owner.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        match self {
            Self::Event(s) => &s.tenant,
            Self::Score(s) => &s.tenant,
            Self::Manual(s) => &s.tenant,
            Self::Schedule(s) => &s.tenant,
            Self::Level(s) => &s.tenant,
        }
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        match self {
            Self::Event(s) => &s.subject,
            Self::Score(s) => &s.subject,
            Self::Manual(s) => &s.subject,
            Self::Schedule(s) => &s.subject,
            Self::Level(s) => &s.subject,
        }
    }

    /// Its own time, to which matching, bands and cooldowns refer.
    #[must_use]
    pub fn at(&self) -> Time {
        match self {
            Self::Event(s) => s.at,
            Self::Score(s) => s.at,
            Self::Manual(s) => s.at,
            Self::Schedule(s) => s.at,
            Self::Level(s) => s.at,
        }
    }

    /// The person whose order it is, and their reason; none where nobody ordered it.
    #[must_use]
    pub fn ordered(&self) -> Option<(&ActorId, &str)> {
        match self {
            Self::Manual(s) => Some((&s.operator, &s.reason)),
            Self::Level(LevelTurn { why: LevelWhy::Dismissed { operator, reason, .. }, .. }) => {
                Some((operator, reason))
            }
            _ => None,
        }
    }

    /// The subject's attributes, where the host gave them; of a turn, those that are known.
    #[must_use]
    pub fn attributes(&self) -> Option<&Payload> {
        match self {
            Self::Event(s) => s.attributes.as_ref(),
            Self::Score(s) => s.attributes.as_ref(),
            Self::Level(s) => s.attributes.as_ref(),
            Self::Schedule(s) => s.attributes.as_ref(),
            Self::Manual(_) => None,
        }
    }

    /// The action that caused it, as the host names it.
    #[must_use]
    pub const fn cause(&self) -> Option<EnforcementId> {
        match self {
            Self::Event(s) => s.caused_by,
            _ => None,
        }
    }

    /// The signal as records keep it.
    #[must_use]
    pub fn info(&self) -> SignalInfo {
        let (kind, source, id, says, defaulted) = match self {
            Self::Event(s) => {
                (TriggerKind::Event, s.source.to_string(), s.id.to_string(), None, s.defaulted.clone())
            }
            Self::Score(s) => {
                let says = Some(format!("score {}", s.score));
                (TriggerKind::Score, s.scale.to_string(), s.id.to_string(), says, s.defaulted.clone())
            }
            Self::Manual(s) => {
                let says = Some(s.reason.clone());
                (TriggerKind::Manual, s.operator.to_string(), s.id.to_string(), says, BTreeSet::new())
            }
            Self::Schedule(s) => {
                let id = s.occurrence.to_string();
                let says = s.absence.map(|absence| match absence.last {
                    Some(last) => format!("nothing since {}; the last at {last}", absence.since),
                    None => format!("nothing since {}", absence.since),
                });
                (TriggerKind::Schedule, s.rule.to_string(), id, says, BTreeSet::new())
            }
            Self::Level(s) => {
                let (kind, id, says) = s.told();
                (kind, s.scale.to_string(), id, Some(says), BTreeSet::new())
            }
        };
        SignalInfo { kind, source, id, subject: self.subject().clone(), at: self.at(), says, defaulted }
    }

    /// The id of its trigger record: one per tenant, source, signal id and subject.
    #[must_use]
    pub fn trigger_id(&self) -> TriggerId {
        if let Self::Level(turn) = self {
            return turn.trigger_id();
        }
        let info = self.info();
        // The operator is no part of a manual order's identity: the caller's id is.
        let source = if info.kind == TriggerKind::Manual { "" } else { &info.source };
        TriggerId::derive(|h| {
            let h = h.text(self.tenant().as_str()).text(info.kind.as_str()).text(source).text(&info.id);
            info.subject.feed(h)
        })
    }

    /// A digest of its content: a repeat of the signal has the same, whatever the spelling of its
    /// JSON. Attributes and marks are the host's knowledge, not content.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let hasher = Hasher::new("tipstaff/signal/1");
        // A time that the host filled in is another one when the signal comes again.
        let hasher = match self.info().defaulted.contains(&DefaultedField::Time) {
            true => hasher.text("no time"),
            false => hasher.number(self.at().micros().cast_unsigned()),
        };
        match self {
            Self::Event(s) => s.payload.tree().feed(hasher.text("event")),
            Self::Score(s) => {
                let confidence = s.confidence.as_ref().map(|c| c.value().to_string());
                hasher.text("score").text(&s.score.to_string()).text(&confidence.unwrap_or_default())
            }
            Self::Manual(s) => {
                let hasher = hasher.text("manual").text(s.operator.as_str()).text(&s.reason);
                let hasher = if s.break_glass { hasher.text("break glass") } else { hasher };
                match &s.order {
                    ManualOrder::Rule(rule) => hasher.text("rule").text(rule.as_str()),
                    ManualOrder::Action { action, params } => {
                        feed_params(hasher.text("action").text(action.as_str()), params)
                    }
                }
            }
            Self::Schedule(s) => hasher.text("schedule").text(&s.occurrence.to_string()),
            Self::Level(s) => s.feed(hasher.text("level")),
        }
        .finish()
    }
}

/// Feeds parameters to a hash, each value with its kind.
pub(crate) fn feed_params(hasher: Hasher, params: &Params) -> Hasher {
    use crate::action::ParamValue;
    params.iter().fold(hasher.number(params.len() as u64), |hasher, (name, value)| {
        let kind = match value {
            ParamValue::Text(_) => "text",
            ParamValue::Number(_) => "number",
            ParamValue::Flag(_) => "flag",
        };
        hasher.text(name).text(kind).text(&value.to_string())
    })
}
