//! The record of an effect, and the enforcements that are made of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::machine::{EffectState, EffectStatus};
use crate::action::Params;
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::enforcement::{Enforcement, Holder, Holding, Means, Origin, Purpose, State, Terms};
use crate::id::{ActionKey, EffectId, EnforcementId, Subject, TenantId};
use crate::time::Time;

/// A restriction of a subject, and who holds it. The record stays when the effect is gone, so that
/// its generations never begin anew.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HeldEffect {
    /// Its id, derived from subject, type and parameters.
    pub id: EffectId,
    /// Its owner.
    pub tenant: TenantId,
    /// Who is restricted.
    pub subject: Subject,
    /// How it is brought about.
    pub apply: Means,
    /// How it is taken back.
    pub inverse: Means,
    /// With what parameters, both ways.
    pub params: Params,
    /// Where it stands.
    pub state: EffectState,
    /// How often a holder came, held longer or was the last to go.
    pub generation: u32,
    /// When it was first brought about, by decision time.
    pub since: Time,
    /// When it changed last.
    pub changed_at: Time,
    /// When it was taken back last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<Time>,
    /// The delivery for it that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// Whether nobody knows that it is there: what was to bring it about ended without an answer, or
    /// another delivery may have taken it back, and it is still to be put back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncertain: bool,
    /// Whether an administrator is away by it, while it may be there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub administrator: bool,
}

/// One who holds an effect.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Held {
    /// Who.
    pub holder: Holding,
    /// Since when, by decision time.
    pub since: Time,
    /// Until when; none until somebody lets go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Which extension this is.
    pub generation: u32,
    /// The latest enforcement that brought it about for them.
    pub enforcement: EnforcementId,
    /// What led to that.
    pub origin: Origin,
    /// The revision and the action, where a rule holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<(u32, ActionKey)>,
}

/// A delivery for an effect that is under way: another must wait for its end, or for the end of its
/// lease.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Turn {
    /// Of which enforcement.
    pub enforcement: EnforcementId,
    /// The token of its claim.
    pub token: u64,
    /// When its lease was to run out as it took the turn, by the store's clock; renewed, it lasts longer.
    pub until: Time,
}

impl HeldEffect {
    /// An effect that is not there yet, of an action that would bring it about; none where the action
    /// leaves nothing that stands.
    #[must_use]
    pub fn of(enforcement: &Enforcement, now: Time) -> Option<Self> {
        Some(Self {
            id: enforcement.effect()?,
            tenant: enforcement.tenant.clone(),
            subject: enforcement.subject.clone(),
            apply: Means {
                action: enforcement.action.clone(),
                category: enforcement.category,
                channel: enforcement.channel.clone(),
                retry: enforcement.retry,
                success: enforcement.success,
            },
            inverse: enforcement.inverse.clone()?,
            params: enforcement.params.clone(),
            state: EffectState::Clear,
            generation: 0,
            since: now,
            changed_at: now,
            lifted_at: None,
            turn: None,
            uncertain: false,
            administrator: false,
        })
    }

    /// Where it stands, as a word.
    #[must_use]
    pub const fn status(&self) -> EffectStatus {
        self.state.status()
    }

    /// Who holds it.
    #[must_use]
    pub fn holders(&self) -> &[Held] {
        match &self.state {
            EffectState::Standing { holders } => holders,
            _ => &[],
        }
    }

    /// What is held by them, if they hold it.
    #[must_use]
    pub fn held_by(&self, holder: &Holding) -> Option<&Held> {
        self.holders().iter().find(|held| held.holder == *holder)
    }

    /// The id of the undo that ends a holder's time.
    #[must_use]
    pub fn undo_id(&self, holder: &Holding, generation: u32) -> EnforcementId {
        EnforcementId::derive(|h| {
            let h = h.text("undo").bytes(self.id.bytes());
            let h = match holder {
                Holding::Rule(rule) => h.text("rule").text(rule.as_str()),
                Holding::Person(actor) => h.text("person").text(actor.as_str()),
            };
            h.number(generation.into())
        })
    }

    /// The undo that ends a holder's time: scheduled for its end, where it has one ahead, and ready
    /// at once otherwise.
    pub(crate) fn undo(&self, held: &Held, generation: u32, at: Option<Time>, now: Time) -> Enforcement {
        let holder = held.holder.clone();
        let id = self.undo_id(&holder, generation);
        let purpose = Purpose::Undo { effect: self.id, holder, generation };
        let mut undo = self.enforcement(id, purpose, &self.inverse, held, now);
        // Late is better than never: nobody stays restricted because the time to begin has passed.
        undo.retry.not_after = None;
        undo.start_at = at;
        undo.state = State::begin(None, &undo.terms(), now);
        undo
    }

    /// The enforcement that puts it back for those who hold it.
    pub(crate) fn restoration(&self, held: &Held, now: Time) -> Enforcement {
        let generation = self.generation;
        let id =
            EnforcementId::derive(|h| h.text("restore").bytes(self.id.bytes()).number(generation.into()));
        let purpose = Purpose::Restore { effect: self.id, generation };
        let restoration = self.enforcement(id, purpose, &self.apply, held, now);
        Enforcement { inverse: Some(self.inverse.clone()), ..restoration }
    }

    fn enforcement(
        &self,
        id: EnforcementId,
        purpose: Purpose,
        means: &Means,
        held: &Held,
        now: Time,
    ) -> Enforcement {
        let holder = match (&held.holder, &held.rule) {
            (Holding::Rule(rule), Some((revision, key))) => Some(Holder {
                rule: rule.clone(),
                revision: *revision,
                key: key.clone(),
                hold: None,
                rung: None,
                recheck: false,
            }),
            _ => None,
        };
        let (retry, success) = (means.retry, means.success);
        let terms =
            Terms { id, attempts: 0, lost: false, retry, success, start_at: None, start_within: None };
        Enforcement {
            id,
            tenant: self.tenant.clone(),
            purpose,
            origin: held.origin.clone(),
            subject: self.subject.clone(),
            action: means.action.clone(),
            category: means.category,
            channel: means.channel.clone(),
            params: self.params.clone(),
            holders: holder.into_iter().collect(),
            approval: None,
            votes: Vec::new(),
            recorded_at: now,
            settled_at: None,
            state: State::begin(None, &terms, now),
            attempts: 0,
            history: Vec::new(),
            retry,
            success,
            start_at: None,
            start_within: None,
            inverse: None,
            repeats: 0,
            last_repeat: None,
            windows: Vec::new(),
            administrator: false,
            reserved: Vec::new(),
            judged: None,
            retry_of: None,
        }
    }

    /// An audit record about it.
    pub(crate) fn draft(&self, code: AuditCode, actor: Actor, now: Time) -> AuditDraft {
        AuditDraft::new(self.tenant.clone(), code, actor, now)
            .subject(self.subject.clone())
            .target(self.apply.action.to_string())
            .detail("effect", self.id.to_string())
            .detail("status", self.status().as_str())
            .detail("holders", self.holders().len())
    }
}

impl fmt::Display for HeldEffect {
    /// One line: the id, where it stands, what of whom, and who holds it until when.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: `{}` of {}", self.id, self.status(), self.apply.action, self.subject)?;
        for (i, held) in self.holders().iter().enumerate() {
            write!(f, "{} {}", if i == 0 { ", held by" } else { "," }, held.holder)?;
            match held.until {
                Some(until) => write!(f, " until {until}")?,
                None => f.write_str(" until somebody lets go")?,
            }
        }
        Ok(())
    }
}
