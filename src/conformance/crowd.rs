//! Other hosts on the same store: traffic of other tenants and of the same ones, beside each call
//! of a law.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::bench::{BlockOn, Calls as _, Driven};
use super::broken::{Broken, Checked, holds, same};
use super::props::{START, acme, all, channel, draft, id, other, plain};
use crate::audit::{AuditRecord, Head, Salt};
use crate::id::{CommitId, TenantId, UserId};
use crate::store::{
    Ahead, Claim, Commit, Committed, DuePage, Facet, Key, Kind, Lease, Page, Query, Queue, Record, Renewal,
    Store, StoreError, Trail, Upcoming,
};
use crate::time::{Span, Time};

/// How the records of the traffic begin.
const MARK: &str = "~crowd";
/// The lane that the traffic writes to; no law does.
const LANE: u16 = 39_999;
/// A tenant that comes after every other of the suite, so that its timers end the last page.
const LAST: &str = "\u{1fa70} crowd";

fn is_ours(record: &Record) -> bool {
    record.key.id.starts_with(MARK)
}

/// How far the others may go: one round for each call of the law, so that they neither fall asleep
/// nor take the machine for themselves.
#[derive(Default)]
pub(super) struct Pace {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    allowed: u64,
    over: bool,
}

impl Pace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.state().allowed += 1;
        self.bell.notify_all();
    }

    fn end(&self) {
        self.state().over = true;
        self.bell.notify_all();
    }

    /// Waits for the next round; false when there is none.
    fn next(&self, done: u64) -> bool {
        let state = self.bell.wait_while(self.state(), |state| state.allowed <= done && !state.over);
        !state.unwrap_or_else(PoisonError::into_inner).over
    }
}

/// Ends the traffic when the law ends, also by a panic.
pub(super) struct Over<'a>(pub(super) &'a Pace);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A store that many use: each call sets the others going, and what they wrote is not shown.
pub(super) struct Crowded<'a, S> {
    pub(super) store: &'a S,
    pub(super) pace: &'a Pace,
}

impl<S: Store> Store for Crowded<'_, S> {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.pace.ring();
        self.store.load(keys).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        self.pace.ring();
        self.store.commit(commit).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        self.pace.ring();
        self.store.claim(claim).await
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        self.pace.ring();
        self.store.renew(renewal).await
    }

    async fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, StoreError> {
        self.pace.ring();
        let mut found = self.store.upcoming(ask).await?;
        // What the others hold, they hold for years; a law's own leases last for hours.
        found.lease = found.lease.filter(|left| *left < Span::days(366));
        Ok(found)
    }

    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        self.pace.ring();
        let mut due = self.store.due(page).await?;
        due.retain(|record| !is_ours(record));
        Ok(due)
    }

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        self.pace.ring();
        let mut page = self.store.query(query).await?;
        page.rows.retain(|record| !is_ours(record));
        Ok(page)
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        self.pace.ring();
        self.store.trail(trail).await
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        self.pace.ring();
        self.store.head(tenant, lane).await
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        self.pace.ring();
        self.store.erase(tenant, user).await
    }

    async fn now(&self) -> Result<Time, StoreError> {
        self.store.now().await
    }

    async fn unique(&self) -> Result<Salt, StoreError> {
        self.store.unique().await
    }
}

/// One host of the crowd.
struct Host<'a, S> {
    calls: Driven<'a, S>,
    number: u64,
    made: u64,
}

/// Works until the law is over. The others keep the laws, too: what each wrote is as it wrote it.
pub(super) fn work<S: Store>(store: &S, block_on: BlockOn<'_>, pace: &Pace, number: u64) -> Checked {
    let mut host = Host { calls: Driven { store, block_on }, number, made: 0 };
    let mut versions = [0; 3];
    let mut round = 0;
    while pace.next(round) {
        let which = (round % 3) as usize;
        let tenant: TenantId = [acme(), other(), id(LAST)][which].clone();
        versions[which] = host.write(&tenant, versions[which], which == 2)?;
        host.look(&tenant, round)?;
        host.contend(&tenant, round)?;
        round += 1;
    }
    Ok(())
}

impl<S: Store> Host<'_, S> {
    fn commit(&mut self, tenant: &TenantId) -> Commit {
        self.made += 1;
        let (host, made) = (self.number, self.made);
        let id = CommitId::derive(|hasher| hasher.text("crowd").number(host).number(made));
        Commit {
            id,
            tenant: tenant.clone(),
            expect: Vec::new(),
            fence: Vec::new(),
            put: Vec::new(),
            audit: Vec::new(),
        }
    }

    /// Writes the host's own record of a tenant once more; gives its version.
    fn write(&mut self, tenant: &TenantId, version: u64, timed: bool) -> Result<u64, Broken> {
        let name = format!("{MARK} {}", self.number);
        let mut record = Record {
            version,
            facets: vec![(Facet::Source, MARK.to_owned())],
            ..plain(tenant, Kind::Watch, &name)
        };
        if timed {
            // It is due, and waits; but it is held for ever.
            record.due_at = Some(START);
            record.queue = Some(Queue { channel: channel("send_webhook"), ready_at: START });
            record.lease =
                Some(Lease { worker: id("crowd"), nonce: self.commit(tenant).id, until: Time::MAX });
        }
        let audit = vec![draft(tenant, LANE, "crowd", &name)];
        let commit = Commit { put: vec![record.clone()], audit, ..self.commit(tenant) };
        self.calls.commit(&commit).answer?;
        let there = self.calls.load(std::slice::from_ref(&record.key)).answer?;
        let expected = Record { version: version + 1, ..record };
        same("what another host wrote meanwhile", &vec![Some(expected)], &there)?;
        Ok(version + 1)
    }

    /// Reads one thing or another of the tenant.
    fn look(&mut self, tenant: &TenantId, round: u64) -> Checked {
        match round % 4 {
            0 => drop(self.calls.query(&all(tenant, Kind::Enforcement)).answer?),
            1 => drop(self.calls.due(&DuePage { until: Time::MAX, after: None, limit: 20 }).answer?),
            2 => {
                let trail = Trail { tenant: tenant.clone(), lane: LANE, after: 0, limit: 5 };
                let page = self.calls.trail(&trail).answer?;
                let seqs: Vec<u64> = page.iter().map(|record| record.seq).collect();
                holds(
                    "a lane of the others",
                    seqs.iter().copied().eq(1..=seqs.len() as u64),
                    "1, 2, …",
                    &seqs,
                )?;
            }
            _ => {
                let claim = Claim {
                    worker: id("crowd"),
                    nonce: self.commit(tenant).id,
                    channels: Some([channel("crowd_channel")].into()),
                    max: 5,
                    until: Time::MAX,
                    lease: Span::hours(1),
                    after: None,
                };
                same("a claim of the others", &Vec::new(), &self.calls.claim(&claim).answer?)?;
            }
        }
        Ok(())
    }

    /// Stands in the way of the law's own records, which it expects to be at some version.
    fn contend(&mut self, tenant: &TenantId, round: u64) -> Checked {
        let key = Key::new(tenant, Kind::Stats, "one");
        let commit = Commit { expect: vec![(key, round % 3)], ..self.commit(tenant) };
        match self.calls.commit(&commit).answer {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
