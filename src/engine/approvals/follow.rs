//! What follows when a request moved: the next stage is opened and told, those who have not
//! answered are reminded, and whoever caused the request hears how it ended.

use std::collections::BTreeSet;

use super::{approval_key, drafted};
use crate::approval::{Approval, ApprovalInput, ApprovalState, is_one};
use crate::audit::{Actor, AuditCode};
use crate::enforcement::{Enforcement, Origin};
use crate::engine::intake::{enforcement_key, notice_key, replace};
use crate::engine::tx::Tx;
use crate::engine::{Engine, EngineError};
use crate::id::{ActorId, GroupId, TenantId};
use crate::plan::{NoticeKind, notice};
use crate::store::StoreError;
use crate::time::Time;

impl Engine {
    /// Puts a request that moved into a transaction, with all that follows from the move.
    pub(in crate::engine) async fn follow(
        &self,
        tx: &mut Tx<'_>,
        before: &Approval,
        next: Approval,
        actor: Actor,
        now: Time,
    ) -> Result<Approval, EngineError> {
        let mut next = next;
        let opening = |asked: &Approval| (asked.progress.stage, asked.progress.opened_at);
        // A stage that is over as soon as it opened, by answers that count on, asks nobody.
        if next.state == ApprovalState::Open {
            if opening(&next) != opening(before) {
                self.open_stage(tx, &mut next, actor.clone(), now).await?;
            } else if next.progress.reminders > before.progress.reminders {
                self.remind(tx, &next, now).await?;
            }
        }
        self.decided(tx, &next, actor, now).await?;
        if next.state != ApprovalState::Open {
            let causes = causes(&next);
            self.tell(tx, &next, &causes, NoticeKind::Result, now).await?;
        }
        replace(tx, approval_key(&next.tenant, next.id), next.clone())?;
        Ok(next)
    }

    /// Withdraws the open request for an enforcement, and calls the enforcement off with it. Says
    /// whether there was one.
    pub(in crate::engine) async fn withdraw(
        &self,
        tx: &mut Tx<'_>,
        of: &Enforcement,
        actor: Actor,
        now: Time,
    ) -> Result<bool, EngineError> {
        let Some(key) = of.approval.map(|approval| approval_key(&of.tenant, approval)) else {
            return Ok(false);
        };
        tx.load([key.clone()]).await?;
        let asked = tx.get::<Approval>(&key)?.map(|stored| stored.body);
        let Some(asked) = asked.filter(|asked| asked.state == ApprovalState::Open) else {
            return Ok(false);
        };
        let withdrawn = asked.step(&ApprovalInput::Withdraw, now)?;
        self.follow(tx, &asked, withdrawn, actor, now).await?;
        Ok(true)
    }

    async fn open_stage(
        &self,
        tx: &mut Tx<'_>,
        next: &mut Approval,
        actor: Actor,
        now: Time,
    ) -> Result<(), EngineError> {
        let panel = next.panel(next.progress.stage);
        for quorum in &panel.groups {
            let members = self.members_of(tx, &next.tenant, &quorum.name, now).await?;
            next.designated.insert(quorum.name.clone(), members);
        }
        let kind = if panel.fallback { NoticeKind::Fallback } else { NoticeKind::Opened };
        let told = self.tell(tx, next, &next.awaited(), kind, now).await?;
        tx.log([drafted(next, AuditCode::ApprovalStageOpened, actor, now)
            .detail("stage", i64::from(next.progress.stage) + 1)
            .detail("fallback", panel.fallback)
            .detail("expires_at", next.expires_at)
            .detail("notified", told)]);
        Ok(())
    }

    async fn remind(&self, tx: &mut Tx<'_>, next: &Approval, now: Time) -> Result<(), EngineError> {
        let kind = match (next.panel(next.progress.stage).fallback, next.progress.reminders) {
            (false, 1) => NoticeKind::Half,
            (false, _) => NoticeKind::Last,
            (true, 1) => NoticeKind::FallbackHalf,
            (true, _) => NoticeKind::FallbackLast,
        };
        let told = self.tell(tx, next, &next.awaited(), kind, now).await?;
        tx.log([drafted(next, AuditCode::ApprovalReminded, Actor::Engine, now)
            .detail("stage", i64::from(next.progress.stage) + 1)
            .detail("kind", kind.as_str())
            .detail("notified", told)]);
        Ok(())
    }

    /// Makes a notice for each of these people, but for whom there is that notice already. Gives
    /// how many are new.
    pub(in crate::engine) async fn tell(
        &self,
        tx: &mut Tx<'_>,
        asked: &Approval,
        people: &BTreeSet<ActorId>,
        kind: NoticeKind,
        now: Time,
    ) -> Result<usize, EngineError> {
        if people.is_empty() {
            return Ok(0);
        }
        let origin = self.origin_of(tx, asked).await?;
        let mut told = 0;
        for person in people {
            let notice = notice(asked, &origin, person, kind, now);
            let key = notice_key(&asked.tenant, notice.id);
            tx.load([key.clone()]).await?;
            if tx.get::<Enforcement>(&key)?.is_none() {
                tx.put_new(key, notice);
                told += 1;
            }
        }
        Ok(told)
    }

    async fn origin_of(&self, tx: &mut Tx<'_>, asked: &Approval) -> Result<Origin, EngineError> {
        let key = enforcement_key(&asked.tenant, asked.enforcement);
        tx.load([key.clone()]).await?;
        let missing = || StoreError::Corrupt {
            place: key.to_string(),
            fault: "the enforcement of an approval is missing".to_owned(),
        };
        Ok(tx.get::<Enforcement>(&key)?.ok_or_else(missing)?.body.origin)
    }

    /// The members of a group now, by the host's word or by the settings.
    pub(in crate::engine) async fn members_of(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        group: &GroupId,
        now: Time,
    ) -> Result<Vec<ActorId>, EngineError> {
        if let Some(people) = &self.people {
            return Ok(people.members(tenant, group).await?);
        }
        let installed = self.rules_in(tx, tenant, now).await?;
        Ok(installed.rules.settings().groups.get(group).cloned().unwrap_or_default())
    }
}

/// Who caused a request and hears of it: whoever ordered the action, or else the authors of the
/// rules that ask for it. Never its subject, who would be warned by it.
pub(super) fn causes(asked: &Approval) -> BTreeSet<ActorId> {
    let people: BTreeSet<ActorId> = match &asked.orderer {
        Some(orderer) => BTreeSet::from([orderer.clone()]),
        None => asked.authors.clone(),
    };
    let is_subject = |person: &ActorId| is_one(person.as_str(), asked.subject.user.as_str());
    people.into_iter().filter(|person| !is_subject(person)).collect()
}
