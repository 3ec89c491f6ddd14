//! What the shell does wrong where a [defect](crate::broken) is switched on. In an ordinary build
//! nothing of it is reached.

use super::run::step_id;
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::action::Params;
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::delivery::Job;
use crate::enforcement::{Enforcement, Holder, Reason};
use crate::id::{CommitId, TenantId};
use crate::state::Timer;
use crate::store::{
    Commit, Committed, Facet, Key, Kind, Order, Query, SharedStore, Store, StoreError, Stored, decode,
};
use crate::time::Time;

/// How often a commit is sent again under another id.
const AGAIN: u64 = 8;

/// Commits in a wrong way; none where no defect of a commit is switched on.
pub(super) async fn commit(store: &SharedStore, commit: &Commit) -> Option<Result<Committed, StoreError>> {
    if broken::is(Defect::NewIdAfterUnknown) {
        let mut commit = commit.clone();
        let mut answer = store.commit(&commit).await;
        for n in 0..AGAIN {
            if !matches!(answer, Err(StoreError::Unknown(_))) {
                break;
            }
            commit.id = CommitId::derive(|h| h.bytes(commit.id.bytes()).number(n));
            answer = store.commit(&commit).await;
        }
        return Some(answer);
    }
    if broken::is(Defect::AuditInSecondCommit) {
        let changes = Commit { audit: Vec::new(), ..commit.clone() };
        let answer = store.commit(&changes).await;
        if answer.is_ok() {
            let id = CommitId::derive(|h| h.bytes(commit.id.bytes()).text("audit"));
            let rows =
                Commit { id, expect: Vec::new(), fence: Vec::new(), put: Vec::new(), ..commit.clone() };
            return Some(store.commit(&rows).await.and(answer));
        }
        return Some(answer);
    }
    let has = |kind| commit.put.iter().any(|record| record.key.kind == kind);
    if broken::is(Defect::AcknowledgedBeforeStored) && has(Kind::Trigger) {
        let answer = store.commit(commit).await;
        let later = matches!(answer, Err(StoreError::Unavailable(_) | StoreError::Unknown(_)));
        return Some(if later { Ok(Committed::Applied) } else { answer });
    }
    if broken::is(Defect::ApprovalWithoutCas) && has(Kind::Approval) {
        let mut commit = Commit { expect: Vec::new(), ..commit.clone() };
        let keys: Vec<Key> = commit.put.iter().map(|record| record.key.clone()).collect();
        let found = match store.load(&keys).await {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        for (put, found) in commit.put.iter_mut().zip(found) {
            put.version = found.map_or(0, |record| record.version);
        }
        return Some(store.commit(&commit).await);
    }
    if broken::is(Defect::CapWithoutCas) && has(Kind::Cap) {
        let mut commit = commit.clone();
        commit.expect.retain(|(key, _)| key.kind != Kind::Cap);
        for put in commit.put.iter_mut().filter(|put| put.key.kind == Kind::Cap) {
            put.version = match store.load(std::slice::from_ref(&put.key)).await {
                Ok(found) => found.into_iter().flatten().next().map_or(0, |record| record.version),
                Err(error) => return Some(Err(error)),
            };
        }
        return Some(store.commit(&commit).await);
    }
    None
}

/// Moves the mark of a timetable before what it waits for has begun.
pub(super) async fn move_mark<'s>(
    tx: Tx<'s>,
    fresh: Tx<'s>,
    key: &Key,
    timer: &Timer,
) -> Result<(Tx<'s>, Stored<Timer>), EngineError> {
    let id = step_id(&tx, key);
    let mut tx = tx;
    tx.put_new(key.clone(), Timer { waiting: Vec::new(), ..timer.clone() });
    tx.commit(CommitId::derive(|h| h.text("mark").bytes(id.bytes()))).await?;
    let mut fresh = fresh;
    fresh.load([key.clone()]).await?;
    let stored = fresh.get::<Timer>(key)?.ok_or_else(|| StoreError::Conflict(key.clone()))?;
    Ok((fresh, stored))
}

/// Writes down what is refused, although a refusal leaves nothing behind.
pub(super) async fn write_refusal(
    mut tx: Tx<'_>,
    tenant: &TenantId,
    target: &str,
    now: Time,
) -> Result<(), EngineError> {
    let code = AuditCode::PolicyOrderRefused;
    tx.log([AuditDraft::new(tenant.clone(), code, Actor::Engine, now).target(target)]);
    tx.commit(CommitId::derive(|h| h.text("refusal").text(target).number(now.micros().cast_unsigned())))
        .await?;
    Ok(())
}

impl Engine {
    /// The parameters of a rule that was edited since, in the place of those that were decided on.
    pub(super) async fn params_by_now(&self, of: &Enforcement, now: Time) -> Result<Params, EngineError> {
        let installed = self.rules_of(&of.tenant, now).await?;
        let edited = |holder: &Holder| {
            let rule = installed.rules.rule(&holder.rule)?;
            let action = rule.actions.iter().find(|action| action.action.key == holder.key)?;
            (rule.revision != holder.revision).then(|| action.action.params.clone())
        };
        Ok(of.holders.iter().find_map(edited).unwrap_or_else(|| of.params.clone()))
    }

    /// Delivers the first that is queued, before anybody has claimed it.
    pub(super) async fn deliver_unclaimed(&self) -> Result<(), EngineError> {
        let Some(tenant) = self.lock(&self.installed).first() else { return Ok(()) };
        let query = Query {
            tenant,
            kind: Kind::Enforcement,
            from: None,
            until: None,
            facets: vec![(Facet::Reason, vec![Reason::Queued.to_string()])],
            order: Order::Oldest,
            after: None,
            limit: 1,
        };
        for record in self.store.query(&query).await?.rows {
            self.delivery.deliver(&Job::from(&decode::<Enforcement>(&record)?.body)).await;
        }
        Ok(())
    }
}
