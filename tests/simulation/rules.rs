//! The rules that the simulated tenants have, compiled once, with the records of a store that has
//! them installed: a run begins with those and need not install anything.

use std::sync::{Arc, OnceLock};

use tipstaff::*;

use crate::support::{at, commit_id, go, id};

const APPROVERS: &str = r#""approvers": { "default": "sec", "groups": { "sec": ["bo", "cy", "di"] } }"#;

/// Mail and hooks, and a count of three that must not be lost or doubled.
const MAIL: &str = r#"
  { "id": "mail", "trigger": { "event": { "pattern": { "do": ["mail", "all"] } } },
    "actions": [{ "key": "a", "type": "send_email", "params": { "to": "subject", "template": "t" } }],
    "guards": { "cooldown": { "for": "5m" } } },
  { "id": "count", "trigger": { "event": { "pattern": { "do": ["hr", "all"] }, "window": { "count": 3, "in": "12h" } } },
    "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
  { "id": "hook", "trigger": { "event": { "pattern": { "do": ["hook"] } } },
    "actions": [{ "key": "a", "type": "send_webhook", "params": { "endpoint": "e" }, "confirm_within": "1h" }] }"#;

/// Locks: one that two people agree to, two that hold the same effect for different times.
const LOCK: &str = r#"
  { "id": "ask", "trigger": { "event": { "pattern": { "do": ["ask"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "for": "1h",
      "approval": { "groups": [{ "name": "sec", "need": 2 }], "within": "2h" } }] },
  { "id": "hold", "trigger": { "event": { "pattern": { "do": ["hold", "both"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "30m" }] },
  { "id": "keep", "trigger": { "event": { "pattern": { "do": ["keep", "both"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "2h" }] }"#;

/// What must not be repeated where it stands, and how it is taken back.
const TYPES: &str = r#""types": [
  { "name": "take_badge", "category": "access_control", "approval": false, "inverse": "give_badge", "retry": "not_idempotent" },
  { "name": "give_badge", "category": "access_control", "approval": false, "restricts": false, "retry": "keyed" }]"#;

/// Scores that restrict while they last, what is harmful when it comes late, and what stands already for
/// whoever does it twice.
const SCORE: &str = r#"
  { "id": "fall", "trigger": { "score": { "enters": ["red", "critical"], "first": true, "cooldown": "15m" } },
    "actions": [{ "key": "a", "type": "restrict_access", "params": { "scope": "mail" }, "approval": "none", "for": "45m" }] },
  { "id": "revoke", "trigger": { "event": { "pattern": { "do": ["revoke"] } } },
    "actions": [{ "key": "a", "type": "revoke_sessions", "approval": "none" }] },
  { "id": "badge", "trigger": { "event": { "pattern": { "do": ["badge"] } } },
    "actions": [{ "key": "a", "type": "take_badge", "for": "45m" }] }"#;

/// Three times a day, for everybody who is known.
const CLOCK: &str = r#"
  { "id": "clock", "trigger": { "schedule": { "cron": "20 12-14 * * *", "audience": "all", "catch_up": "all" } },
    "actions": [{ "key": "a", "type": "assign_training", "params": { "course": "phish" } }] }"#;

/// New revisions of rules that the invariants do not count on.
const EDIT_MAIL: &str = r#"{ "id": "mail", "trigger": { "event": { "pattern": { "do": ["mail"] } } },
    "actions": [{ "key": "a", "type": "send_email", "params": { "to": "subject", "template": "other" } }] }"#;
const EDIT_HOLD: &str = r#"{ "id": "hold", "trigger": { "event": { "pattern": { "do": ["hold", "both"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "40m" }] }"#;

/// Whose rules they are: the first tenant is always there, the second in some runs.
const TENANTS: [&str; 2] = ["acme", "zeta"];

/// A tenant's rules, and what its people may do about them.
pub(crate) struct Rules {
    pub(crate) tenant: TenantId,
    pub(crate) set: RuleSet,
    /// A new revision of the rule that may be edited.
    pub(crate) edit: RuleSet,
    /// The rule that is edited, switched off and on.
    pub(crate) edited: &'static str,
    /// What events may say.
    pub(crate) words: &'static [&'static str],
    pub(crate) scores: bool,
    pub(crate) clock: bool,
    pub(crate) approvals: bool,
    /// What a store holds that has the rules installed.
    pub(crate) records: Vec<Record>,
}

/// The sets of light runs.
pub(crate) const LIGHT: [usize; 4] = [0, 1, 2, 3];
/// The sets of heavy ones.
pub(crate) const HEAVY: [usize; 4] = [4, 5, 6, 7];

/// When every run begins.
pub(crate) fn start() -> Time {
    at(0)
}

/// That set as the rules of that tenant.
pub(crate) fn rules(set: usize, tenant: usize) -> Arc<Rules> {
    static ALL: OnceLock<Vec<Arc<Rules>>> = OnceLock::new();
    let all = ALL.get_or_init(|| (0..16).map(|n| Arc::new(prepare(n % 8, TENANTS[n / 8]))).collect());
    Arc::clone(&all[tenant * 8 + set])
}

fn prepare(set: usize, tenant: &str) -> Rules {
    let tenant: TenantId = id(tenant);
    let (parts, edit, words): (&[&str], _, &'static [&'static str]) = match set {
        0 => (&[MAIL], EDIT_MAIL, &["mail", "hr", "all", "hook"]),
        1 => (&[LOCK], EDIT_HOLD, &["ask", "ask", "hold", "keep", "both"]),
        2 => (&[SCORE], "", &["revoke", "badge"]),
        3 => (&[MAIL, CLOCK], EDIT_MAIL, &["mail", "hr", "all"]),
        4 => (&[MAIL, LOCK], EDIT_HOLD, &["mail", "hr", "all", "hook", "ask", "hold", "both"]),
        5 => (&[LOCK, SCORE], EDIT_HOLD, &["ask", "ask", "hold", "keep", "both", "revoke", "badge"]),
        6 => (&[MAIL, SCORE, CLOCK], EDIT_MAIL, &["mail", "hr", "all", "hook", "revoke", "badge"]),
        _ => (&[LOCK, CLOCK], EDIT_HOLD, &["ask", "ask", "hold", "keep", "both"]),
    };
    let document = format!("{{ {APPROVERS}, {TYPES}, \"rules\": [{}] }}", parts.join(","));
    let set = RuleSet::from_json(&document).unwrap_or_else(|error| panic!("{error}"));
    let edited = if edit == EDIT_MAIL { "mail" } else { "hold" };
    let edit = if edit.is_empty() { "[]" } else { edit };
    let store = MemoryStore::default();
    let engine = Engine::new(store.clone(), |_: &Job| Delivered::done(), set.clone());
    go(engine.rules(&tenant, start()));
    Rules {
        records: records(&store, &tenant, Kind::ALL),
        tenant,
        set,
        edit: RuleSet::from_json(edit).unwrap_or_else(|error| panic!("{error}")),
        edited,
        words,
        scores: parts.contains(&SCORE),
        clock: parts.contains(&CLOCK),
        approvals: parts.contains(&LOCK),
    }
}

/// Everything that a store holds of a tenant, of some kinds.
pub(crate) fn records(store: &MemoryStore, tenant: &TenantId, kinds: &[Kind]) -> Vec<Record> {
    let mut all = Vec::new();
    for kind in kinds {
        let mut after = None;
        loop {
            let query = Query {
                tenant: tenant.clone(),
                kind: *kind,
                from: None,
                until: None,
                facets: Vec::new(),
                order: Order::Oldest,
                after,
                limit: MAX_PAGE,
            };
            let page = go(store.query(&query));
            all.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    all
}

impl Rules {
    /// Fills an empty store with the installed rules.
    pub(crate) fn install(&self, store: &MemoryStore) {
        assert!(self.records.iter().all(|record| record.version == 1), "installed in one commit");
        let put = self.records.iter().map(|record| Record { version: 0, ..record.clone() });
        let commit = Commit {
            id: commit_id("1"),
            tenant: self.tenant.clone(),
            expect: Vec::new(),
            fence: Vec::new(),
            put: put.collect(),
            audit: Vec::new(),
        };
        assert_eq!(go(store.commit(&commit)), Committed::Applied);
    }

    /// Whether the rule may be edited.
    pub(crate) fn editable(&self) -> bool {
        self.edit.rules().next().is_some()
    }
}

/// The kill switches that people use here.
pub(crate) fn switches() -> [KillScope; 3] {
    let lock = BuiltinAction::LockAccount;
    [KillScope::Tenant, KillScope::Type(lock.into()), KillScope::Rule(id("mail"))]
}
