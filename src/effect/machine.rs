//! The life of an effect, as one `match`; the drawing stands in the room's documentation.

use serde::{Deserialize, Serialize};

use super::record::{Held, HeldEffect};
use crate::broken::{self, Defect};
use crate::enforcement::Holding;
use crate::id::EnforcementId;
use crate::time::Time;
use crate::words::words;

words! {
    /// Where an effect stands.
    EffectStatus, "status of an effect" {
        Clear: "clear", "it is not there";
        Standing: "standing", "it is there, and somebody holds it";
        Lifting: "lifting", "nobody holds it, and it is being taken back";
        Stuck: "stuck", "nobody holds it, and it could not be taken back";
    }
}

/// The state of an effect, with what belongs to that state only.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EffectState {
    /// It is not there.
    Clear,
    /// It is there.
    Standing {
        /// Who holds it: at least one, each once.
        holders: Vec<Held>,
    },
    /// It is being taken back.
    Lifting {
        /// By which enforcement.
        undo: EnforcementId,
    },
    /// It could not be taken back.
    Stuck {
        /// The enforcement that failed.
        undo: EnforcementId,
    },
}

/// What happens to an effect.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EffectInput {
    /// It was brought about, and somebody holds it from now on, or longer. The generation of what is
    /// given does not count; the effect numbers it.
    Hold(Held),
    /// A holder lets go.
    Release {
        /// Who.
        holder: Holding,
        /// The undo that was scheduled for that moment; none where the holder lets go before.
        undo: Option<EnforcementId>,
    },
    /// A person has what is stuck taken back once more.
    Lift {
        /// Who.
        by: Holding,
    },
    /// The undo was carried out.
    Lifted {
        /// Which.
        undo: EnforcementId,
    },
    /// The undo failed.
    Failed {
        /// Which.
        undo: EnforcementId,
    },
}

/// Why an effect does not take an input.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EffectError {
    /// The state has no such move.
    #[error("an effect that is `{state}` cannot take `{input}`")]
    Illegal {
        /// The state.
        state: EffectStatus,
        /// The input's name.
        input: &'static str,
    },
    /// They do not hold it.
    #[error("{0} does not hold the effect; accepted: one of its holders")]
    NotHeld(Holding),
    /// Another undo is under way, or none.
    #[error("the effect is not being taken back by {0}")]
    OtherUndo(EnforcementId),
}

impl HeldEffect {
    /// The effect after an input, or why it takes none. Each arm is one arrow of the drawing.
    ///
    /// # Errors
    /// [`EffectError`]; the effect is then what it was.
    pub fn step(&self, input: &EffectInput, now: Time) -> Result<Self, EffectError> {
        use EffectState::{Clear, Lifting, Standing, Stuck};
        let mut next = Self { changed_at: now, ..self.clone() };
        next.state = match (&self.state, input) {
            (Clear | Lifting { .. } | Stuck { .. }, EffectInput::Hold(held)) => {
                next.generation += 1;
                Standing { holders: vec![Held { generation: next.generation, ..held.clone() }] }
            }
            (Standing { holders }, EffectInput::Hold(held)) => {
                let mut holders = holders.clone();
                match holders.iter_mut().find(|known| known.holder == held.holder) {
                    Some(known) if known.outlasts(held) => known.enforcement = held.enforcement,
                    Some(known) => {
                        next.generation += 1;
                        *known = Held { generation: next.generation, since: known.since, ..held.clone() };
                    }
                    None => {
                        next.generation += 1;
                        holders.push(Held { generation: next.generation, ..held.clone() });
                    }
                }
                Standing { holders }
            }
            (Standing { holders }, EffectInput::Release { holder, undo }) => {
                let rest: Vec<_> = holders.iter().filter(|held| held.holder != *holder).cloned().collect();
                let left = if broken::is(Defect::UndoneWhileHeld) { 0 } else { rest.len() };
                match left {
                    _ if rest.len() == holders.len() => return Err(EffectError::NotHeld(holder.clone())),
                    0 => {
                        next.generation += 1;
                        let fresh = || self.undo_id(holder, next.generation);
                        Lifting { undo: undo.unwrap_or_else(fresh) }
                    }
                    _ => Standing { holders: rest },
                }
            }
            (Stuck { .. }, EffectInput::Lift { by }) => {
                next.generation += 1;
                Lifting { undo: self.undo_id(by, next.generation) }
            }
            (Lifting { undo: own }, EffectInput::Lifted { undo }) if own == undo => {
                next.lifted_at = Some(now);
                next.uncertain = false;
                Clear
            }
            (Lifting { undo: own }, EffectInput::Failed { undo }) if own == undo => Stuck { undo: *undo },
            (Lifting { .. }, EffectInput::Lifted { undo } | EffectInput::Failed { undo }) => {
                return Err(EffectError::OtherUndo(*undo));
            }
            (_, EffectInput::Release { holder, .. }) => return Err(EffectError::NotHeld(holder.clone())),
            (state, input) => {
                return Err(EffectError::Illegal { state: state.status(), input: input.name() });
            }
        };
        Ok(next)
    }
}

impl EffectState {
    /// The word for it.
    #[must_use]
    pub const fn status(&self) -> EffectStatus {
        match self {
            Self::Clear => EffectStatus::Clear,
            Self::Standing { .. } => EffectStatus::Standing,
            Self::Lifting { .. } => EffectStatus::Lifting,
            Self::Stuck { .. } => EffectStatus::Stuck,
        }
    }
}

impl EffectInput {
    /// The input's name, as errors show it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Release { .. } => "release",
            Self::Lift { .. } => "lift",
            Self::Lifted { .. } => "lifted",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Held {
    /// Whether it lasts at least as long as another: then that other changes nothing.
    fn outlasts(&self, other: &Self) -> bool {
        match (self.until, other.until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own >= other,
        }
    }
}
