//! What must hold when a drill is over, whatever happened on the way.

mod ends;
mod stands;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::DeserializeOwned;
use tipstaff::{
    Approval, ApprovalId, ApprovalState, AuditRecord, Decision, Enforcement, EnforcementId, Engine,
    HeldEffect, Kind, MAX_PAGE, Order, Purpose, Query, Reason, Store,
};
use tipstaff_delivery::Effects;

use crate::world::{concerns, signal_id, tenant};

/// The audit records of the moves of an enforcement or of a notice: one for each change of its record.
const MOVES: [&str; 16] = [
    "ENFORCEMENT_CREATED",
    "ENFORCEMENT_QUEUED",
    "ENFORCEMENT_CLAIMED",
    "ENFORCEMENT_RECLAIMED",
    "ENFORCEMENT_RETRY_SCHEDULED",
    "ENFORCEMENT_ACCEPTED",
    "ENFORCEMENT_SUCCEEDED",
    "ENFORCEMENT_FAILED",
    "ENFORCEMENT_CANCELLED",
    "ENFORCEMENT_CANCEL_ASKED",
    "ENFORCEMENT_HANDED_BACK",
    "ENFORCEMENT_POSTPONED",
    "ENFORCEMENT_OUTCOME_UNKNOWN",
    "ENFORCEMENT_UNDO_FAILED",
    "APPROVAL_NOTICE_SENT",
    "APPROVAL_NOTICE_FAILED",
];

/// Those of a request of one stage. That it was granted or rejected is told beside the answer that brought
/// it about, in one change.
const ANSWERS: [&str; 5] = [
    "APPROVAL_REQUESTED",
    "APPROVAL_VOTE_CAST",
    "APPROVAL_REMINDED",
    "APPROVAL_EXPIRED",
    "APPROVAL_WITHDRAWN",
];

/// An answer that was refused, as the claim was somebody else's by then.
const LATE_ANSWER: &str = "ENFORCEMENT_SETTLE_REFUSED";

/// All that is known in the end.
pub(crate) struct Facts {
    /// The signals that a host has taken.
    pub(crate) taken: BTreeSet<u64>,
    /// What the receiver saw.
    pub(crate) effects: Effects,
    decisions: Vec<Decision>,
    /// Enforcements and notices, with their versions.
    enforcements: Vec<(Enforcement, u64)>,
    /// Requests, with their versions.
    approvals: Vec<(Approval, u64)>,
    /// What locks left standing, and what became of that.
    held: Vec<HeldEffect>,
    audit: Vec<AuditRecord>,
    /// What is wrong with the chain.
    chain: Option<String>,
}

/// A page by page reading of everything.
pub(crate) async fn facts(
    engine: &Engine,
    taken: BTreeSet<u64>,
    effects: Effects,
) -> Result<Facts, tipstaff::EngineError> {
    let mut audit: Vec<AuditRecord> = Vec::new();
    loop {
        let after = audit.last().map_or(0, |record| record.seq);
        let page = engine.audit(&tenant(), after, MAX_PAGE).await?;
        if page.is_empty() {
            break;
        }
        audit.extend(page);
    }
    let chain = engine.verify_audit(&tenant(), None).await?.err().map(|broken| broken.to_string());
    let store = engine.store();
    let mut enforcements = all(store, Kind::Enforcement).await?;
    enforcements.extend(all(store, Kind::Notice).await?);
    let decisions: Vec<(Decision, u64)> = all(store, Kind::Trigger).await?;
    let held: Vec<(HeldEffect, u64)> = all(store, Kind::Effect).await?;
    Ok(Facts {
        taken,
        effects,
        decisions: decisions.into_iter().map(|(body, _)| body).collect(),
        enforcements,
        approvals: all(store, Kind::Approval).await?,
        held: held.into_iter().map(|(body, _)| body).collect(),
        audit,
        chain,
    })
}

/// Whether an answer has come for what somebody else had taken over, in what the trail says after that
/// number; it is put forward.
pub(crate) async fn late_answer(engine: &Engine, read: &mut u64) -> Result<bool, tipstaff::EngineError> {
    loop {
        let page = engine.audit(&tenant(), *read, MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(false) };
        if page.iter().any(|record| record.code == LATE_ANSWER) {
            return Ok(true);
        }
        *read = last.seq;
    }
}

async fn all<T: DeserializeOwned>(
    store: &impl Store,
    kind: Kind,
) -> Result<Vec<(T, u64)>, tipstaff::StoreError> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let query = Query {
            tenant: tenant(),
            kind,
            from: None,
            until: None,
            facets: Vec::new(),
            order: Order::Oldest,
            after,
            limit: MAX_PAGE,
        };
        let page = store.query(&query).await?;
        for record in &page.rows {
            let body = serde_json::from_str(&record.body).map_err(|error| tipstaff::StoreError::Corrupt {
                place: record.key.to_string(),
                fault: error.to_string(),
            })?;
            found.push((body, record.version));
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

impl Facts {
    /// Everything that does not hold.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.signals(&mut faults);
        self.deliveries(&mut faults);
        self.stands(&mut faults);
        self.agreements(&mut faults);
        self.trail(&mut faults);
        faults
    }

    /// How often a host took over what another held, and how often that one answered all the same.
    pub(crate) fn takeovers(&self) -> [usize; 2] {
        ["ENFORCEMENT_RECLAIMED", LATE_ANSWER]
            .map(|code| self.audit.iter().filter(|record| record.code == code).count())
    }

    /// Every signal that was taken and concerned a rule has one decision, and each action of it once.
    fn signals(&self, faults: &mut Vec<String>) {
        let mut decisions: BTreeMap<&str, usize> = BTreeMap::new();
        for decision in &self.decisions {
            *decisions.entry(&decision.signal.id).or_default() += 1;
        }
        let mut actions: BTreeMap<&str, usize> = BTreeMap::new();
        for (enforcement, _) in self.enforcements.iter().filter(|(e, _)| e.purpose == Purpose::Action) {
            *actions.entry(&enforcement.origin.signal).or_default() += 1;
        }
        for n in &self.taken {
            let id = signal_id(*n);
            let found = (
                decisions.get(id.as_str()).copied().unwrap_or(0),
                actions.get(id.as_str()).copied().unwrap_or(0),
            );
            let wanted = match n % 10 {
                _ if !concerns(*n) => (0, 0),
                0..=3 => (1, 2),
                _ => (1, 1),
            };
            if found != wanted {
                faults.push(format!("{id} was taken: (decisions, actions) are {found:?}, not {wanted:?}"));
            }
        }
        for (id, count) in decisions.iter().filter(|(_, count)| **count > 1) {
            faults.push(format!("{id} has {count} decisions"));
        }
    }

    /// Locks were agreed to, and only those that were had their effect.
    fn agreements(&self, faults: &mut Vec<String>) {
        let by_id: BTreeMap<_, _> = self.approvals.iter().map(|(asked, _)| (asked.id, asked)).collect();
        let locks = self
            .enforcements
            .iter()
            .filter(|(e, _)| e.purpose == Purpose::Action && e.action.as_str() == "lock_account");
        for (lock, _) in locks {
            let asked = lock.approval.and_then(|id| by_id.get(&id));
            let effect = self.effects.effects.contains_key(&lock.id.to_string());
            let rejected = lock.reason() == Reason::Rejected;
            match asked.map(|asked| &asked.state) {
                None => faults.push(format!("{} was never asked for", lock.id)),
                Some(ApprovalState::Granted) if rejected => {
                    faults.push(format!("{} was rejected, but people agreed to it", lock.id));
                }
                Some(ApprovalState::Granted) => {}
                Some(ApprovalState::Open) => faults.push(format!("the request for {} is open", lock.id)),
                Some(state) if effect => {
                    faults.push(format!("{} had its effect, but it was {state}", lock.id));
                }
                Some(_) => {}
            }
        }
    }

    /// The chain is whole, and every change of a record has its audit record.
    fn trail(&self, faults: &mut Vec<String>) {
        faults.extend(self.chain.iter().map(|broken| format!("the trail is not whole: {broken}")));
        let mut moves: BTreeMap<EnforcementId, Vec<&AuditRecord>> = BTreeMap::new();
        let mut answers: BTreeMap<ApprovalId, u64> = BTreeMap::new();
        for record in &self.audit {
            if let (Some(id), true) = (record.enforcement, MOVES.contains(&record.code.as_str())) {
                moves.entry(id).or_default().push(record);
            }
            if let (Some(id), true) = (record.approval, ANSWERS.contains(&record.code.as_str())) {
                *answers.entry(id).or_default() += 1;
            }
        }
        let mut tell = |what: &str, id: String, version: u64, audited: u64| {
            if audited != version {
                faults.push(format!("the {what} {id} has version {version}, and {audited} audit records"));
            }
        };
        for (enforcement, version) in &self.enforcements {
            let rows = moves.get(&enforcement.id).map_or(&[][..], Vec::as_slice);
            // An undo that is called off in the change that makes it, or gives it back, has a row of each.
            let at_once = matches!(enforcement.purpose, Purpose::Undo { .. })
                && rows.windows(2).any(|pair| is_called_off_at_once(pair[0], pair[1]));
            let audited = rows.len() as u64;
            match enforcement.purpose {
                // It comes into being with the request that it is about, in the record of that.
                Purpose::Notice { .. } => tell("notice", enforcement.id.to_string(), *version, audited + 1),
                _ if at_once && audited == version + 1 => {}
                _ => tell("enforcement", enforcement.id.to_string(), *version, audited),
            }
        }
        for (asked, version) in &self.approvals {
            let audited = answers.get(&asked.id).copied().unwrap_or(0);
            tell("request", asked.id.to_string(), *version, audited);
        }
    }
}

/// Whether the second row tells of an undo that was called off as the first made it, or gave it back.
fn is_called_off_at_once(first: &AuditRecord, second: &AuditRecord) -> bool {
    let detail = |row: &AuditRecord, name| row.details.get(name).map(ToString::to_string);
    ["ENFORCEMENT_CREATED", "ENFORCEMENT_HANDED_BACK"].contains(&first.code.as_str())
        && first.time == second.time
        && detail(second, "reason").as_deref() == Some(Reason::Superseded.as_str())
        && detail(second, "was") == detail(first, "reason")
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |reason| self.enforcements.iter().filter(|(e, _)| e.reason() == reason).count();
        let attempts: u32 = self.enforcements.iter().map(|(e, _)| e.attempts).sum();
        let sent: usize = self.effects.attempts.values().sum();
        let [taken_over, late] = self.takeovers();
        write!(
            f,
            "{} signals taken, {} decisions, {} enforcements and notices ({} done, {} rejected, {} exhausted), \
             {attempts} attempts, {sent} messages for {} effects, {taken_over} takeovers, {late} late answers refused, \
             {} audit records",
            self.taken.len(),
            self.decisions.len(),
            self.enforcements.len(),
            count(Reason::Done),
            count(Reason::Rejected),
            count(Reason::Exhausted),
            self.effects.effects.len(),
            self.audit.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tipstaff::{Delivered, EffectState, Filter, Job, MemoryStore, State, ready};

    use super::*;
    use crate::world::{Order, rules};

    /// A calm run of twenty signals to its end.
    fn calm() -> Facts {
        let order = Order { database: String::new(), receiver: "http://127.0.0.1:1/".into(), begun: 0 };
        let seen = Arc::new(Mutex::new(Effects::default()));
        let sees = Arc::clone(&seen);
        let deliver = move |job: &Job| {
            let mut seen = sees.lock().unwrap();
            *seen.effects.entry(job.key.to_string()).or_default() += 1;
            *seen.attempts.entry(job.key.to_string()).or_default() += 1;
            Delivered::done()
        };
        let engine = Engine::new(MemoryStore::default(), deliver, rules());
        let mut now = tipstaff::Time::EPOCH.after(tipstaff::Span::secs(60));
        let taken: BTreeSet<u64> = (0..20).collect();
        for n in &taken {
            ready(engine.submit(order.signal(*n), now)).unwrap().unwrap();
        }
        for (n, asked) in
            ready(engine.approvals(Filter::new(&tenant()))).unwrap().unwrap().into_iter().enumerate()
        {
            let by = "s1".parse().unwrap();
            match n {
                0 => ready(engine.reject(&tenant(), asked.id, &by, asked.digest, None, now)),
                _ => ready(engine.approve(&tenant(), asked.id, &by, asked.digest, None, now)),
            }
            .unwrap()
            .unwrap();
        }
        for _ in 0..3 {
            ready(engine.run_due(now)).unwrap().unwrap();
            now = now.after(tipstaff::Span::mins(5));
        }
        let effects = seen.lock().unwrap().clone();
        ready(facts(&engine, taken, effects)).unwrap().unwrap()
    }

    #[test]
    fn a_calm_run_has_no_faults() {
        let facts = calm();
        assert_eq!(facts.faults(), Vec::<String>::new());
        assert_eq!((facts.decisions.len(), facts.approvals.len(), facts.held.len()), (18, 6, 5));
    }

    /// Has the first that succeeded end otherwise.
    fn end(facts: &mut Facts, state: State) {
        let done = facts.enforcements.iter_mut().find(|(e, _)| e.reason() == Reason::Done);
        done.unwrap().0.state = state;
    }

    fn is_undo(facts: &Facts, record: &AuditRecord) -> bool {
        let of = |(e, _): &&(Enforcement, u64)| Some(e.id) == record.enforcement;
        let enforcement = facts.enforcements.iter().find(of);
        enforcement.is_some_and(|(e, _)| matches!(e.purpose, Purpose::Undo { .. }))
            && record.code == "ENFORCEMENT_SUCCEEDED"
    }

    fn key(facts: &Facts, reason: Reason) -> String {
        facts.enforcements.iter().find(|(e, _)| e.reason() == reason).unwrap().0.id.to_string()
    }

    #[test]
    fn an_undo_that_has_used_up_its_attempts_may_leave_its_effect() {
        let mut facts = calm();
        let place = facts.audit.iter().position(|record| is_undo(&facts, record)).unwrap();
        facts.audit[place].code = "ENFORCEMENT_UNDO_FAILED".into();
        let undo = facts.audit[place].enforcement.unwrap();
        let (failed, _) = facts.enforcements.iter_mut().find(|(e, _)| e.id == undo).unwrap();
        (failed.state, failed.attempts) = (State::Exhausted, 10);
        let of = failed.effect();
        let effect = facts.held.iter_mut().find(|effect| Some(effect.id) == of).unwrap();
        effect.state = EffectState::Stuck { undo };
        assert_eq!(facts.faults(), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_may_go_wrong_is_seen() {
        type Spoil = fn(&mut Facts);
        let spoilt: [(&str, Spoil); 23] = [
            ("sig-0 was taken", |facts| facts.decisions.clear()),
            ("has 2 decisions", |facts| facts.decisions.push(facts.decisions[0].clone())),
            ("was taken: (decisions, actions) are (0, 0)", |facts| _ = facts.taken.insert(20)),
            ("the receiver never saw it", |facts| facts.effects.effects.clear()),
            ("had its effect 2 times", |facts| *facts.effects.effects.values_mut().next().unwrap() += 1),
            ("had its effect without a record", |facts| {
                facts.effects.effects.insert("enf_1".into(), 1);
            }),
            ("(rejected) had its effect 1 times", |facts| {
                facts.effects.effects.insert(key(facts, Reason::Rejected), 1);
            }),
            ("was never asked for", |facts| facts.approvals.clear()),
            ("the enforcement", |facts| facts.audit.retain(|record| record.code != "ENFORCEMENT_CLAIMED")),
            ("the notice", |facts| facts.audit.retain(|record| record.code != "APPROVAL_NOTICE_SENT")),
            ("the request", |facts| facts.audit.retain(|record| record.code != "APPROVAL_VOTE_CAST")),
            ("messages were not believed", |facts| facts.effects.refused = 1),
            ("(permanent_error), for which", |facts| end(facts, State::PermanentError)),
            ("(outcome_unknown), for which", |facts| end(facts, State::OutcomeUnknown)),
            ("(approval_expired), for which", |facts| end(facts, State::ApprovalExpired)),
            ("(superseded), for which", |facts| end(facts, State::Superseded)),
            ("was given up after 1 of 10 attempts", |facts| end(facts, State::Exhausted)),
            ("used up their attempts", |facts| {
                for (enforcement, _) in &mut facts.enforcements {
                    (enforcement.state, enforcement.attempts) = (State::Exhausted, 10);
                }
            }),
            ("was rejected, but people agreed to it", |facts| {
                let lock =
                    facts.enforcements.iter_mut().find(|(e, _)| e.approval.is_some() && e.attempts > 0);
                lock.unwrap().0.state = State::Rejected;
            }),
            ("came 2 times in 1 attempts", |facts| *facts.effects.attempts.values_mut().next().unwrap() += 1),
            ("is left stuck", |facts| {
                facts.held[0].state = EffectState::Stuck { undo: facts.enforcements[0].0.id };
            }),
            ("was never taken back", |facts| {
                let undone = facts.audit.iter().filter(|record| is_undo(facts, record));
                let undone: Vec<u64> = undone.map(|record| record.seq).collect();
                facts.audit.retain(|record| !undone.contains(&record.seq));
            }),
            ("was taken back twice", |facts| {
                let undone = facts.audit.iter().find(|record| is_undo(facts, record)).unwrap().clone();
                facts.audit.push(undone);
            }),
        ];
        for (seen, spoil) in spoilt {
            let mut facts = calm();
            spoil(&mut facts);
            let faults = facts.faults();
            assert!(faults.iter().any(|fault| fault.contains(seen)), "{seen}: {faults:?}");
        }
    }
}
