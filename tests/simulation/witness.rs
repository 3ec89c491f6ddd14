//! What is true at every moment: each commit and each claim that a store applied is held against
//! what it had applied before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tipstaff::*;

use crate::rows::{Change, Row, of_change, of_changes};

/// The invariants, by the names that failures show.
pub(crate) const TOGETHER: &str = "a change and its audit row appear together or not at all";
pub(crate) const ROWS: &str = "a record has as many versions as audit rows";
pub(crate) const VERSIONS: &str = "each change raises the version by one";
pub(crate) const TOKENS: &str = "tokens strictly rise";
pub(crate) const FINAL: &str = "terminal states never change";
pub(crate) const HOLDER: &str = "one holder, by the store's clock";
pub(crate) const SETTLED: &str = "only who holds the claim settles";
pub(crate) const STOPPED: &str = "what is stopped is not claimed";
pub(crate) const APART: &str = "nothing of one tenant is in another's";
pub(crate) const FAIR: &str = "no tenant has a second turn while another waits for one";

/// An invariant that does not hold, and what was seen instead.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "violated: {} ({})", self.invariant, self.seen)
    }
}

pub(crate) type Checked = Result<(), Violation>;

pub(crate) fn violated<T>(invariant: &'static str, seen: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { invariant, seen: seen.into() })
}

pub(crate) fn ensure(invariant: &'static str, holds: bool, seen: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { violated(invariant, seen()) }
}

/// How often an enforcement was changed, and how often the trail tells more of it than one row, or none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) versions: u64,
    /// Changes without a row, but for the making of a notice: repeats of a storm, which are counts and no
    /// states.
    pub(crate) bare: u64,
    /// Changes of two rows: an undo that is called off in the commit that makes it, or gives it back.
    pub(crate) double: u64,
}

/// Everything that was applied, in short.
#[derive(Default)]
pub(crate) struct Witness {
    /// Each record as it was applied last.
    seen: BTreeMap<Key, Record>,
    pub(crate) changes: BTreeMap<Key, Changes>,
    /// How many rows the audit trail of each tenant must have.
    rows: BTreeMap<TenantId, u64>,
    pub(crate) commits: u64,
    born: BTreeMap<Key, u64>,
    /// Which tenant each worker served last.
    served: BTreeMap<WorkerId, TenantId>,
    /// From whom the last claim took last.
    taken: Option<(WorkerId, TenantId)>,
}

pub(crate) fn facet(record: &Record, wanted: Facet) -> Option<&str> {
    record.facets.iter().find(|(facet, _)| *facet == wanted).map(|(_, value)| value.as_str())
}

fn reason(record: &Record) -> Option<&str> {
    facet(record, Facet::Reason)
}

fn is_over(record: &Record) -> bool {
    matches!(facet(record, Facet::Status), Some("succeeded" | "failed"))
}

fn is_carried(kind: Kind) -> bool {
    matches!(kind, Kind::Enforcement | Kind::Notice)
}

impl Witness {
    /// Somebody who has seen that these are there.
    pub(crate) fn of<'r>(records: impl IntoIterator<Item = &'r Record>) -> Self {
        let seen = records.into_iter().map(|record| (record.key.clone(), record.clone()));
        Self { seen: seen.collect(), ..Self::default() }
    }

    /// How many rows the audit trail of a tenant must have.
    pub(crate) fn rows(&self, tenant: &TenantId) -> u64 {
        self.rows.get(tenant).copied().unwrap_or(0)
    }

    /// A commit came back from the store; `grown` says by how many rows the trail did.
    pub(crate) fn committed(
        &mut self,
        commit: &Commit,
        answer: &Result<Committed, StoreError>,
        grown: u64,
        worker: Option<&str>,
    ) -> Checked {
        let applied = *answer == Ok(Committed::Applied);
        let rows = if applied { commit.audit.len() as u64 } else { 0 };
        ensure(TOGETHER, grown == rows, || format!("{grown} rows in the place of {rows}: {answer:?}"))?;
        if !applied {
            return Ok(());
        }
        *self.rows.entry(commit.tenant.clone()).or_default() += rows;
        self.commits += 1;
        let stranger = commit.audit.iter().find(|draft| draft.tenant != commit.tenant);
        ensure(APART, stranger.is_none(), || format!("{} writes {stranger:?}", commit.tenant))?;
        let rows: Vec<Row<'_>> = commit.audit.iter().map(Row::from).collect();
        of_changes(&rows, &commit.put)?;
        commit.put.iter().try_for_each(|record| self.put(record, &rows, commit, worker))
    }

    fn put(&mut self, record: &Record, rows: &[Row<'_>], commit: &Commit, worker: Option<&str>) -> Checked {
        let key = &record.key;
        ensure(APART, key.tenant == commit.tenant, || format!("{} writes {key}", commit.tenant))?;
        let before = self.seen.get(key);
        let (version, token) = before.map_or((0, 0), |before| (before.version, before.token));
        ensure(VERSIONS, record.version == version, || {
            format!("{key} went from {version} to {}", record.version + 1)
        })?;
        ensure(TOKENS, record.token >= token, || format!("{key}: {} after {token}", record.token))?;
        let rows: Vec<&Row<'_>> = rows.iter().filter(|row| row.tells_of(record)).collect();
        of_change(&Change { before, record }, &rows)?;
        if is_carried(key.kind) {
            let was = before.and_then(reason);
            ensure(FINAL, !before.is_some_and(is_over) || reason(record) == was, || {
                format!("{key} was {was:?} and is {:?}", reason(record))
            })?;
            let lease = before.and_then(|before| before.lease.as_ref());
            let held = was == Some("running") && reason(record) != was;
            if let (true, Some(worker), Some(lease)) = (held, worker, lease) {
                ensure(SETTLED, lease.worker.as_str() == worker, || {
                    format!("{key} was held by {} and settled by {worker}", lease.worker)
                })?;
            }
            let made = key.kind == Kind::Notice && before.is_none();
            let changes = self.changes.entry(key.clone()).or_default();
            changes.versions += 1;
            changes.bare += u64::from(rows.is_empty() && !made);
            changes.double += u64::from(rows.len() == 2);
        }
        let mut written = Record { version: version + 1, ..record.clone() };
        // A renewal raises no version: whoever keeps a lease keeps the end that it has by now.
        let renewed = before.and_then(|before| before.lease.as_ref());
        if let (Some(lease), Some(renewed)) = (&mut written.lease, renewed)
            && (&lease.worker, lease.nonce) == (&renewed.worker, renewed.nonce)
        {
            lease.until = renewed.until;
        }
        self.seen.insert(key.clone(), written);
        self.born.entry(key.clone()).or_insert(self.commits);
        Ok(())
    }

    /// With which commit a record came into being.
    pub(crate) fn born(&self, key: &Key) -> u64 {
        self.born.get(key).copied().unwrap_or(0)
    }

    /// A claim came back from the store at that moment of its clock; `grown` says by how many rows the
    /// trail of each tenant did.
    pub(crate) fn claimed(
        &mut self,
        claim: &Claim,
        taken: &[Record],
        grown: &[(&TenantId, u64)],
        now: Time,
        controls: &BTreeMap<TenantId, Control>,
    ) -> Checked {
        let mut fresh: BTreeMap<&TenantId, u64> = BTreeMap::new();
        let waiting =
            if grown.len() > 1 { self.waiting(claim, taken, now, controls) } else { BTreeSet::new() };
        for record in taken {
            let key = &record.key;
            let Some(seen) = self.seen.get(key) else {
                return violated(VERSIONS, format!("{key} was never written"));
            };
            if record.version == seen.version && record.token == seen.token {
                continue;
            }
            *fresh.entry(&key.tenant).or_default() += 1;
            ensure(TOKENS, record.token == seen.token + 1, || {
                format!("{key}: {} after {}", record.token, seen.token)
            })?;
            ensure(VERSIONS, record.version == seen.version + 1, || {
                format!("{key}: {} after {}", record.version, seen.version)
            })?;
            ensure(FINAL, !is_over(seen), || format!("{key} was {:?}", reason(seen)))?;
            let held = seen.lease.as_ref().filter(|lease| lease.until > now);
            ensure(HOLDER, held.is_none(), || {
                format!(
                    "{key} is {}'s until {:?}, and {} took it at {now}",
                    held.map_or("nobody", |l| l.worker.as_str()),
                    held.map(|l| l.until),
                    claim.worker
                )
            })?;
            if let Some(control) = controls.get(&key.tenant) {
                let made: Enforcement = serde_json::from_str(&record.body).expect("a claim is sound");
                let rules = made.holders.iter().map(|holder| &holder.rule);
                let stoppable = matches!(made.purpose, Purpose::Action | Purpose::Restore { .. });
                let stopped = stoppable && control.stops(rules, &made.action).is_some();
                ensure(STOPPED, !stopped, || format!("{key}: {}", made.action))?;
            }
            let changes = self.changes.entry(key.clone()).or_default();
            changes.versions += 1;
            self.seen.insert(key.clone(), record.clone());
        }
        for (tenant, grown) in grown {
            let fresh = fresh.get(tenant).copied().unwrap_or(0);
            *self.rows.entry((*tenant).clone()).or_default() += grown;
            ensure(TOGETHER, *grown == fresh, || format!("{fresh} claims of {tenant}, {grown} rows"))?;
        }
        if grown.len() > 1 && !taken.is_empty() {
            self.in_turn(claim, &fresh, &waiting)?;
        }
        let after = claim.after.as_ref();
        let tenants = taken.iter().map(|record| &record.key.tenant);
        let last = tenants.max_by_key(|tenant| (after.is_some_and(|after| *tenant <= after), *tenant));
        self.taken = last.map(|last| (claim.worker.clone(), last.clone()));
        Ok(())
    }

    /// An answer came back to its host, or did not: who was told what their claim took knows from then on
    /// whose turn is over.
    pub(crate) fn heard(&mut self, heard: bool) {
        let taken = self.taken.take().filter(|_| heard);
        taken.map(|(worker, last)| self.served.insert(worker, last));
    }

    /// The tenants of which a claim could have taken one more.
    fn waiting(
        &self,
        claim: &Claim,
        taken: &[Record],
        now: Time,
        controls: &BTreeMap<TenantId, Control>,
    ) -> BTreeSet<TenantId> {
        let carried =
            |channel: &ActionType| claim.channels.as_ref().is_none_or(|channels| channels.contains(channel));
        let free = |(key, seen): &(&Key, &Record)| {
            seen.queue.as_ref().is_some_and(|queue| queue.ready_at <= claim.until && carried(&queue.channel))
                && seen.lease.as_ref().is_none_or(|lease| lease.until <= now)
                // What comes too late is declined, and so may be what people have stopped.
                && seen.due_at.is_none_or(|start_by| start_by > claim.until)
                && controls.get(&key.tenant).is_none_or(|control| *control == Control::default())
                && taken.iter().all(|record| record.key != **key)
        };
        self.seen.iter().filter(free).map(|(key, _)| key.tenant.clone()).collect()
    }

    /// One of each tenant before a second of any, from the tenant after the one that was served last.
    fn in_turn(
        &self,
        claim: &Claim,
        fresh: &BTreeMap<&TenantId, u64>,
        waiting: &BTreeSet<TenantId>,
    ) -> Checked {
        let before = self.served.get(&claim.worker);
        let rank = |tenant: &TenantId| (before.is_some_and(|before| tenant <= before), tenant.clone());
        for (served, count) in fresh {
            for waits in waiting.iter().filter(|waits| waits != served) {
                let had = fresh.get(waits).copied().unwrap_or(0);
                let right = *count <= had || (*count == had + 1 && rank(served) < rank(waits));
                ensure(FAIR, right, || {
                    format!(
                        "{} took {count} of {served} and {had} of {waits}, after {before:?}",
                        claim.worker
                    )
                })?;
            }
        }
        Ok(())
    }

    /// A lease was prolonged.
    pub(crate) fn renewed(&mut self, key: &Key, until: Time) {
        if let Some(lease) = self.seen.get_mut(key).and_then(|seen| seen.lease.as_mut()) {
            lease.until = until;
        }
    }

    /// What a worker holds still.
    pub(crate) fn held_by(&self, worker: &str, now: Time) -> Option<&Key> {
        let held = |seen: &Record| {
            seen.lease.as_ref().is_some_and(|lease| lease.worker.as_str() == worker && lease.until > now)
        };
        self.seen.iter().find(|(_, seen)| held(seen)).map(|(key, _)| key)
    }

    /// When something is due next, timetables and what is only forgotten aside.
    pub(crate) fn next_moment(&self, now: Time) -> Option<Time> {
        let moments = self.seen.iter().flat_map(|(key, seen)| {
            // What an occurrence works through has a timer of its own.
            let due = seen.due_at.filter(|_| !matches!(key.kind, Kind::Timer | Kind::Tally));
            let lease = seen.lease.as_ref().map_or(Time::MIN, |lease| lease.until);
            due.into_iter().chain(seen.queue.as_ref().map(|queue| queue.ready_at.max(lease)))
        });
        // What is due already and was not done just now waits for a lease or a moment.
        moments.min().map(|moment| moment.max(now.after(Span::millis(1))))
    }

    /// What a host must not sleep through, by its own clock.
    pub(crate) fn ahead(&self, ask: &Ahead, now: Time) -> Option<Time> {
        let carried = |queue: &&Queue| ask.channels.as_ref().is_none_or(|c| c.contains(&queue.channel));
        let moments = self.seen.values().flat_map(|seen| {
            let lease = seen.lease.as_ref().map(|lease| lease.until).filter(|until| *until > now);
            let ready = seen.queue.as_ref().filter(carried).map(|queue| queue.ready_at);
            let ready = ready.filter(|_| lease.is_none());
            let over = lease.map(|until| ask.after.after(now.until(until)));
            [seen.due_at, ready].into_iter().flatten().filter(|time| *time > ask.after).chain(over)
        });
        moments.min()
    }
}
