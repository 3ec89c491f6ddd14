//! Break-glass: act now, ratify afterwards.

use super::follow::causes;
use crate::action::ActionType;
use crate::approval::{Approval, ApprovalState};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::enforcement::Enforcement;
use crate::engine::intake::enforcement_key;
use crate::engine::tx::Tx;
use crate::engine::undo::TakenBack;
use crate::engine::{Engine, EngineError};
use crate::id::CommitId;
use crate::people::Right;
use crate::plan::{Decision, NoticeKind};
use crate::ready::Answer;
use crate::rule::RuleSet;
use crate::signal::{ManualOrder, ManualStart};
use crate::store::StoreError;
use crate::time::Time;

impl Engine {
    /// Starts what a person orders at once, although it needs approval: break-glass. It is logged as
    /// Critical, and the people who would have been asked are asked to ratify it. Where they refuse,
    /// or their time runs out, it is taken back by its inverse action; where its type has none, that
    /// is logged as Critical, and whoever ordered it is told. What needs no approval is an ordinary
    /// start.
    ///
    /// The same as [`Engine::submit`] of the order with [`ManualStart::break_glass`].
    ///
    /// # Errors
    /// [`EngineError::NotPermitted`] without [`Right::BreakGlass`] for the action; otherwise as
    /// [`Engine::submit`].
    pub fn break_glass(&self, order: ManualStart, now: Time) -> Answer<'_, Result<Decision, EngineError>> {
        Box::pin(async move { self.start(ManualStart { break_glass: true, ..order }, now).await })
    }

    /// Whether the operator may break glass for everything that the order starts.
    pub(in crate::engine) async fn may_break_glass(
        &self,
        tx: &mut Tx<'_>,
        start: &ManualStart,
        rules: &RuleSet,
        now: Time,
    ) -> Result<(), EngineError> {
        let types: Vec<ActionType> = match &start.order {
            ManualOrder::Action { action, .. } => vec![action.clone()],
            ManualOrder::Rule(rule) => rules
                .rule(rule)
                .into_iter()
                .flat_map(|rule| rule.actions.iter().map(|action| action.spec.name.clone()))
                .collect(),
        };
        for action in types {
            let right = Right::BreakGlass(action.clone());
            if !self.allows(tx, &start.tenant, &start.operator, &right, now).await? {
                let person = Actor::Person(start.operator.clone());
                let code = AuditCode::PolicyOrderRefused;
                let draft = AuditDraft::new(start.tenant.clone(), code, person, now)
                    .subject(start.subject.clone())
                    .target(action.as_str());
                let commit = CommitId::derive(|h| {
                    let h = h.text("no right to break glass").text(start.tenant.as_str());
                    h.text(start.id.as_str()).text(start.operator.as_str()).text(action.as_str())
                });
                return Err(self.not_permitted(draft, &start.operator, right, commit).await?);
            }
        }
        Ok(())
    }

    /// What follows when people have ratified what was done, or have not.
    pub(in crate::engine) async fn ratified(
        &self,
        tx: &mut Tx<'_>,
        asked: &Approval,
        now: Time,
    ) -> Result<(), EngineError> {
        let why = match asked.state {
            ApprovalState::Rejected => "its ratification was refused",
            ApprovalState::Expired => "nobody ratified it in time",
            _ => return Ok(()),
        };
        let key = enforcement_key(&asked.tenant, asked.enforcement);
        tx.load([key.clone()]).await?;
        let Some(stored) = tx.get::<Enforcement>(&key)? else {
            let fault = "the enforcement of an approval is missing".to_owned();
            return Err(StoreError::Corrupt { place: key.to_string(), fault }.into());
        };
        let taken = self.take_back(tx, &stored.body, why, Actor::Engine, now).await?;
        if taken == TakenBack::Irreversible {
            self.tell(tx, asked, &causes(asked), NoticeKind::NotReversed, now).await?;
        }
        Ok(())
    }
}
