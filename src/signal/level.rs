//! Looks at a subject's level without a new score.

use super::TriggerKind;
use crate::hash::Hasher;
use crate::id::{ActorId, ScaleId, SignalId, Subject, TenantId, TriggerId};
use crate::pattern::Payload;
use crate::score::{Confidence, Level, Score};
use crate::time::Time;

/// A subject's level is to be looked at without a new score. Only the engine makes one: whoever could
/// make it up could say that time has passed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LevelTurn {
    /// Its owner.
    pub tenant: TenantId,
    /// The scale.
    pub scale: ScaleId,
    /// Whose level it is.
    pub subject: Subject,
    /// When: the instant when a dwell or hold ended, when it was dismissed, when the bands changed.
    pub at: Time,
    /// Why.
    pub why: LevelWhy,
    /// The last score of the subject.
    pub score: Score,
    /// How sure its scorer was.
    pub confidence: Option<Confidence>,
    /// The subject's attributes that came with that score.
    pub attributes: Option<Payload>,
}

/// Why a level is looked at without a new score.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LevelWhy {
    /// A dwell or a hold ended, which began with this score.
    Elapsed {
        /// The signal of the last score.
        score: SignalId,
    },
    /// An operator reset it.
    Dismissed {
        /// The caller's id of the dismissal: the same id twice is one.
        id: SignalId,
        /// Who.
        operator: ActorId,
        /// Why; at most [`MAX_REASON_BYTES`](crate::MAX_REASON_BYTES).
        reason: String,
    },
    /// The scale has this revision now.
    Reread {
        /// The revision.
        revision: u32,
        /// Whether more subjects move than was agreed to: the move is recorded, and nothing follows.
        over: bool,
    },
}

/// An operator's order to reset a subject's level to what the last score says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dismissal {
    /// Its owner.
    pub tenant: TenantId,
    /// The caller's id of the order: the same id twice is one order.
    pub id: SignalId,
    /// Who orders it; never the subject.
    pub operator: ActorId,
    /// Whose level.
    pub subject: Subject,
    /// On which scale.
    pub scale: ScaleId,
    /// When it was ordered.
    pub at: Time,
    /// Why; at most [`MAX_REASON_BYTES`](crate::MAX_REASON_BYTES).
    pub reason: String,
}

impl LevelTurn {
    /// A look at this level.
    pub(crate) fn new(
        tenant: &TenantId,
        subject: &Subject,
        scale: &ScaleId,
        level: &Level,
        at: Time,
        why: LevelWhy,
    ) -> Self {
        // Attributes were read when they came in; what was changed by hand since is nothing known.
        let attributes = level.attributes.as_deref().and_then(|text| Payload::new(text).ok());
        Self {
            tenant: tenant.clone(),
            scale: scale.clone(),
            subject: subject.clone(),
            at,
            why,
            score: level.score.clone(),
            confidence: level.confidence.clone(),
            attributes,
        }
    }

    /// How it was initiated, its id and what it says.
    pub(super) fn told(&self) -> (TriggerKind, String, String) {
        let score = &self.score;
        match &self.why {
            LevelWhy::Elapsed { score: signal } => {
                (TriggerKind::Score, format!("{signal} elapsed"), format!("score {score}, as time passed"))
            }
            LevelWhy::Reread { revision, .. } => {
                let says = format!("score {score}, by changed bands");
                (TriggerKind::Score, format!("bands r{revision}"), says)
            }
            LevelWhy::Dismissed { id, reason, .. } => (TriggerKind::Manual, id.to_string(), reason.clone()),
        }
    }

    /// One for each end of a dwell or hold, each dismissal, each change of the bands.
    pub(super) fn trigger_id(&self) -> TriggerId {
        TriggerId::derive(|h| {
            // No kind of signal that comes from outside is called so.
            let h = h.text(self.tenant.as_str()).text("level");
            let h = match &self.why {
                LevelWhy::Elapsed { score } => {
                    let h = h.text("elapsed").text(self.scale.as_str()).text(score.as_str());
                    h.number(self.at.micros().cast_unsigned())
                }
                LevelWhy::Reread { revision, .. } => {
                    h.text("reread").text(self.scale.as_str()).number((*revision).into())
                }
                LevelWhy::Dismissed { id, .. } => h.text("dismissed").text(id.as_str()),
            };
            self.subject.feed(h)
        })
    }

    /// Feeds what a repeat must say as well.
    pub(super) fn feed(&self, hasher: Hasher) -> Hasher {
        let hasher = hasher.text(self.scale.as_str());
        match &self.why {
            LevelWhy::Elapsed { score } => hasher.text("elapsed").text(score.as_str()),
            LevelWhy::Reread { revision, .. } => hasher.text("reread").number((*revision).into()),
            LevelWhy::Dismissed { operator, reason, .. } => {
                hasher.text("dismissed").text(operator.as_str()).text(reason)
            }
        }
    }
}
