//! What the shell does wrong where a [defect](crate::broken) is switched on. In an ordinary build
//! nothing of it is reached.

use super::run::step_id;
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::delivery::{Delivery, Job};
use crate::enforcement::{Enforcement, Reason};
use crate::id::{CommitId, TenantId};
use crate::state::Timer;
use crate::store::{Commit, Committed, Facet, Key, Kind, Order, Query, Store, StoreError, Stored, decode};
use crate::time::Time;

/// How often a commit is sent again under another id.
const AGAIN: u64 = 8;

/// Commits in a wrong way; none where no defect of a commit is switched on.
pub(super) async fn commit<S: Store>(store: &S, commit: &Commit) -> Option<Result<Committed, StoreError>> {
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
    None
}

/// Moves the mark of a timetable before what it waits for has begun.
pub(super) async fn move_mark<'s, S: Store>(
    tx: Tx<'s, S>,
    fresh: Tx<'s, S>,
    key: &Key,
    timer: &Timer,
) -> Result<(Tx<'s, S>, Stored<Timer>), EngineError> {
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
pub(super) async fn write_refusal<S: Store>(
    mut tx: Tx<'_, S>,
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

impl<S: Store, D: Delivery> Engine<S, D> {
    /// Delivers the first that is queued, before anybody has claimed it.
    pub(super) async fn deliver_unclaimed(&self) -> Result<(), EngineError> {
        let Some(tenant) = self.lock(&self.installed).keys().next().cloned() else { return Ok(()) };
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
