//! What is true at every moment: each commit and each claim that a store applied is held against
//! what it had applied before.

use std::collections::BTreeMap;
use std::fmt;

use tipstaff::*;

/// The invariants, by the names that failures show.
pub(crate) const TOGETHER: &str = "a change and its audit row appear together or not at all";
pub(crate) const VERSIONS: &str = "each change raises the version by one";
pub(crate) const TOKENS: &str = "tokens strictly rise";
pub(crate) const FINAL: &str = "terminal states never change";
pub(crate) const HOLDER: &str = "one holder, by the store's clock";
pub(crate) const SETTLED: &str = "only who holds the claim settles";
pub(crate) const STOPPED: &str = "what is stopped is not claimed";

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

/// The audit codes of an enforcement's own life: one row for each of its changes.
pub(crate) fn of_a_life(code: &str) -> bool {
    const BESIDE: [&str; 7] = [
        "ENFORCEMENT_SETTLE_REFUSED",
        "ENFORCEMENT_EFFECT_HELD",
        "ENFORCEMENT_EFFECT_RELEASED",
        "ENFORCEMENT_EFFECT_LIFTED",
        "ENFORCEMENT_UNDONE",
        "ENFORCEMENT_NOT_REVERSED",
        "ENFORCEMENT_BROKE_GLASS",
    ];
    let own = code.starts_with("ENFORCEMENT_") && !BESIDE.contains(&code);
    own || code == "APPROVAL_NOTICE_SENT" || code == "APPROVAL_NOTICE_FAILED"
}

/// A record as it was applied last.
#[derive(Clone, Debug, Default)]
struct Seen {
    version: u64,
    token: u64,
    lease: Option<Lease>,
    status: Option<String>,
    reason: Option<String>,
}

/// How often an enforcement was changed, and by how many rows of the audit trail it was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) versions: u64,
    pub(crate) rows: u64,
    /// Changes without a row: repeats of a storm, which are counts and no states.
    pub(crate) bare: u64,
}

/// Everything that was applied, in short.
#[derive(Default)]
pub(crate) struct Witness {
    seen: BTreeMap<Key, Seen>,
    pub(crate) changes: BTreeMap<String, Changes>,
    /// How many rows the audit trail must have.
    pub(crate) rows: u64,
    pub(crate) commits: u64,
    born: BTreeMap<Key, u64>,
}

fn facet(record: &Record, wanted: Facet) -> Option<String> {
    record.facets.iter().find(|(facet, _)| *facet == wanted).map(|(_, value)| value.clone())
}

fn is_over(status: Option<&String>) -> bool {
    status.is_some_and(|status| status == "succeeded" || status == "failed")
}

fn is_carried(kind: Kind) -> bool {
    matches!(kind, Kind::Enforcement | Kind::Notice)
}

impl Witness {
    pub(crate) fn of(records: &[Record]) -> Self {
        let seen =
            |record: &Record| (record.key.clone(), Seen { version: record.version, ..Seen::default() });
        Self { seen: records.iter().map(seen).collect(), ..Self::default() }
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
        self.rows += rows;
        self.commits += 1;
        for draft in &commit.audit {
            let Some(id) = draft.enforcement.filter(|_| of_a_life(draft.code.as_str())) else { continue };
            let id = id.to_string();
            let changed = commit.put.iter().any(|record| is_carried(record.key.kind) && record.key.id == id);
            ensure(TOGETHER, changed, || format!("{} says what {id} did not do", draft.code.as_str()))?;
        }
        commit.put.iter().try_for_each(|record| self.put(record, commit, worker))
    }

    fn put(&mut self, record: &Record, commit: &Commit, worker: Option<&str>) -> Checked {
        let key = &record.key;
        let seen = self.seen.get(key).cloned().unwrap_or_default();
        ensure(VERSIONS, record.version == seen.version, || {
            format!("{key} went from {} to {}", seen.version, record.version + 1)
        })?;
        ensure(TOKENS, record.token >= seen.token, || {
            format!("{key}: {} after {}", record.token, seen.token)
        })?;
        let (status, reason) = (facet(record, Facet::Status), facet(record, Facet::Reason));
        if is_carried(key.kind) {
            ensure(FINAL, !is_over(seen.status.as_ref()) || reason == seen.reason, || {
                format!("{key} was {:?} and is {reason:?}", seen.reason)
            })?;
            let about = |draft: &&AuditDraft| {
                of_a_life(draft.code.as_str()) && draft.enforcement.is_some_and(|id| id.to_string() == key.id)
            };
            let rows = commit.audit.iter().filter(about).count() as u64;
            // A notice comes into being with the request that it is about, in the row of that.
            let silent = key.kind == Kind::Notice && seen.version == 0;
            ensure(TOGETHER, rows > 0 || silent || reason == seen.reason, || {
                format!("{key} went from {:?} to {reason:?} without a row", seen.reason)
            })?;
            let changes = self.changes.entry(key.id.clone()).or_default();
            changes.versions += 1;
            changes.rows += rows;
            changes.bare += u64::from(rows == 0 && !silent);
            let held = seen.reason.as_deref() == Some("running") && reason != seen.reason;
            if let (true, Some(worker), Some(lease)) = (held, worker, &seen.lease) {
                ensure(SETTLED, lease.worker.as_str() == worker, || {
                    format!("{key} was held by {} and settled by {worker}", lease.worker)
                })?;
            }
        }
        if key.kind == Kind::Approval && status != seen.status {
            let about = |draft: &AuditDraft| draft.approval.is_some_and(|id| id.to_string() == key.id);
            ensure(TOGETHER, commit.audit.iter().any(about), || {
                format!("{key} went from {:?} to {status:?} without a row", seen.status)
            })?;
        }
        let lease = record.lease.clone();
        let seen = Seen { version: seen.version + 1, token: record.token, lease, status, reason };
        self.seen.insert(key.clone(), seen);
        self.born.entry(key.clone()).or_insert(self.commits);
        Ok(())
    }

    /// With which commit a record came into being.
    pub(crate) fn born(&self, key: &Key) -> u64 {
        self.born.get(key).copied().unwrap_or(0)
    }

    /// A claim came back from the store at that moment of its clock.
    pub(crate) fn claimed(
        &mut self,
        claim: &Claim,
        taken: &[Record],
        grown: u64,
        now: Time,
        control: Option<&Control>,
    ) -> Checked {
        let mut fresh = 0;
        for record in taken {
            let key = &record.key;
            let seen = self.seen.get(key).cloned().unwrap_or_default();
            if record.version == seen.version && record.token == seen.token {
                continue;
            }
            fresh += 1;
            ensure(TOKENS, record.token == seen.token + 1, || {
                format!("{key}: {} after {}", record.token, seen.token)
            })?;
            ensure(VERSIONS, record.version == seen.version + 1, || {
                format!("{key}: {} after {}", record.version, seen.version)
            })?;
            ensure(FINAL, !is_over(seen.status.as_ref()), || format!("{key} was {:?}", seen.reason))?;
            let held = seen.lease.as_ref().filter(|lease| lease.until > now);
            ensure(HOLDER, held.is_none(), || {
                format!(
                    "{key} is {}'s until {:?}, and {} took it at {now}",
                    held.map_or("nobody", |l| l.worker.as_str()),
                    held.map(|l| l.until),
                    claim.worker
                )
            })?;
            if let Some(control) = control {
                let made: Enforcement = serde_json::from_str(&record.body).expect("a claim is sound");
                let rules = made.holders.iter().map(|holder| &holder.rule);
                let stoppable = matches!(made.purpose, Purpose::Action | Purpose::Restore { .. });
                let stopped = stoppable && control.stops(rules, &made.action).is_some();
                ensure(STOPPED, !stopped, || format!("{key}: {}", made.action))?;
            }
            let changes = self.changes.entry(key.id.clone()).or_default();
            changes.versions += 1;
            changes.rows += 1;
            let (status, reason) = (facet(record, Facet::Status), facet(record, Facet::Reason));
            let lease = record.lease.clone();
            let seen = Seen { version: record.version, token: record.token, lease, status, reason };
            self.seen.insert(key.clone(), seen);
        }
        self.rows += grown;
        ensure(TOGETHER, grown == fresh, || format!("{fresh} claims, {grown} rows"))
    }
}
