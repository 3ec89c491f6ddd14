//! What is true when everything has drained: what was promised is there, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use tipstaff::*;

use crate::net::{Net, State};
use crate::rows::{Row, versions};
use crate::rules::{Rules, records, start};
use crate::support::{go, id};
use crate::target::{ALREADY, ONCE, Seen, honours_keys};
use crate::witness::{APART, Checked, ROWS, TOGETHER, VERSIONS, Violation, ensure, violated};
use crate::work::body;
use crate::world::{DRAINS, Promises, World};

pub(crate) const CHAIN: &str = "the audit chain verifies";
pub(crate) const PATH: &str = "the trail tells each state of an enforcement, one after the other";
pub(crate) const RECORDED: &str = "every acknowledged signal that concerned a rule has one trigger record";
pub(crate) const UNIQUE: &str = "ids are unique";
pub(crate) const LOST: &str = "no enforcement is lost";
pub(crate) const EFFECT: &str = "succeeded means that the target saw the key's effect once";
pub(crate) const WHY: &str = "it fails for a reason that there was";
pub(crate) const COUNTED: &str = "events are counted once each";
pub(crate) const ANSWERED: &str = "every acknowledged answer is in its request";
pub(crate) const OCCURRED: &str = "every occurrence is begun once or told as left out";
pub(crate) const VISITED: &str = "every subject of an audience is visited";
pub(crate) const HELD: &str = "no restriction without a holder";
pub(crate) const HOLDS: &str = "what somebody holds is there";
pub(crate) const ERASED: &str = "what was told as erased is gone";
pub(crate) const TOLD: &str = "an answer is refused only where its claim was lost";

/// Everything that is left, read once.
struct Left {
    enforcements: Vec<(Record, Enforcement)>,
    decisions: BTreeMap<TriggerId, Decision>,
    approvals: BTreeMap<ApprovalId, Approval>,
    trail: Vec<AuditRecord>,
}

/// Checks a world that has drained. Gives how many restrictions could not be judged, and how many
/// deliveries were made by a worker that had outlived its lease.
pub(crate) fn check(world: &World) -> Result<(u64, u64), Violation> {
    let net = &world.net;
    let mut untold = 0;
    let mut apart: BTreeMap<EnforcementId, &TenantId> = BTreeMap::new();
    for (rules, promises) in world.rules.iter().zip(&world.promises) {
        let left = Left::read(net, &rules.tenant);
        promised(rules, promises, &left)?;
        counted(promises, &left)?;
        untold += check_these(net, rules, &left)?;
        for (_, made) in &left.enforcements {
            let other = apart.insert(made.id, &rules.tenant);
            ensure(UNIQUE, other.is_none(), || {
                format!("{} is of {} and of {other:?}", made.id, rules.tenant)
            })?;
        }
    }
    let state = net.state();
    let stranger = state.targets.keys.keys().find(|key| !apart.contains_key(key));
    ensure(LOST, stranger.is_none(), || format!("{stranger:?} was delivered, and there is no record"))?;
    Ok((untold, late(&state)))
}

/// Checks what needs no knowledge of what came in.
pub(crate) fn check_left(net: &Net, rules: &Rules) -> Result<(u64, u64), Violation> {
    let untold = check_these(net, rules, &Left::read(net, &rules.tenant))?;
    Ok((untold, late(&net.state())))
}

fn check_these(net: &Net, rules: &Rules, left: &Left) -> Result<u64, Violation> {
    own(rules, left)?;
    told(net, rules, left)?;
    ended(net, left)?;
    occurrences(net, rules, left)?;
    restrictions(net, rules, left)
}

fn late(state: &State) -> u64 {
    state.targets.keys.values().filter(|seen| seen.late).count() as u64
}

/// Nothing here says that it is another tenant's, or follows from a rule of theirs.
fn own(rules: &Rules, left: &Left) -> Checked {
    let tenant = &rules.tenant;
    for (record, made) in &left.enforcements {
        let known = |rule: &RuleId| rules.set.rule(rule).is_some();
        let right = made.tenant == *tenant && made.holders.iter().all(|holder| known(&holder.rule));
        ensure(APART, right, || format!("{}: {made}", record.key))?;
    }
    let decision = left.decisions.values().find(|made| made.tenant != *tenant);
    ensure(APART, decision.is_none(), || format!("{decision:?} of {tenant}"))?;
    let row = left.trail.iter().find(|row| row.tenant != *tenant);
    ensure(APART, row.is_none(), || format!("{row:?} of {tenant}"))
}

impl Left {
    fn read(net: &Net, tenant: &TenantId) -> Self {
        let store = &net.store;
        let trail = Trail { tenant: tenant.clone(), lane: 0, after: 0, limit: usize::MAX };
        let carried = records(store, tenant, &[Kind::Enforcement, Kind::Notice]);
        let decisions = records(store, tenant, &[Kind::Trigger]);
        let approvals = records(store, tenant, &[Kind::Approval]);
        Self {
            enforcements: carried.into_iter().map(|record| (record.clone(), body(&record))).collect(),
            decisions: decisions.iter().map(body).map(|made: Decision| (made.id, made)).collect(),
            approvals: approvals.iter().map(body).map(|asked: Approval| (asked.id, asked)).collect(),
            trail: go(store.trail(&trail)),
        }
    }
}

/// The trail: whole, as long as what was committed, and with a path for each enforcement.
fn told(net: &Net, rules: &Rules, left: &Left) -> Checked {
    if let Err(broken) = verify(&left.trail, Head::default()) {
        return violated(CHAIN, broken.to_string());
    }
    let state = net.state();
    let (rows, found) = (state.witness.rows(&rules.tenant), left.trail.len() as u64);
    ensure(TOGETHER, rows == found, || format!("{found} rows in the place of {rows}"))?;
    let mut of: BTreeMap<EnforcementId, Vec<&AuditRecord>> = BTreeMap::new();
    for row in &left.trail {
        if let Some(about) = row.enforcement {
            of.entry(about).or_default().push(row);
        }
    }
    for (record, made) in &left.enforcements {
        let changes = state.witness.changes.get(&record.key).copied().unwrap_or_default();
        ensure(VERSIONS, record.version == changes.versions, || {
            format!("{}: {} after {changes:?}", record.key, record.version)
        })?;
        let rows = of.get(&made.id).into_iter().flatten().filter(|row| Row::from(**row).tells_of(record));
        let rows: Vec<&&AuditRecord> = rows.collect();
        // That a notice is made, the row of its request tells.
        let untold = changes.bare + u64::from(record.key.kind == Kind::Notice);
        ensure(ROWS, record.version + changes.double == rows.len() as u64 + untold, || {
            format!("{}: version {}, {} rows, {changes:?}", record.key, record.version, rows.len())
        })?;
        // Signals that are decided on together count their repeats in one change.
        ensure(ROWS, changes.bare <= made.repeats, || {
            format!("{}: {} repeats for {changes:?}", record.key, made.repeats)
        })?;
        let word = |row: &AuditRecord, name: &str| row.details.get(name).map(ToString::to_string);
        let mut before: Option<String> = None;
        for row in rows {
            let was = word(row, "was");
            ensure(PATH, before.is_none() || was.is_none() || was == before, || {
                format!("{}: {was:?} after {before:?}", made.id)
            })?;
            before = word(row, "reason").or(before);
        }
        let ends = before.is_none_or(|before| before == made.reason().as_str());
        ensure(PATH, ends, || format!("{} is {}", made.id, made.reason()))?;
    }
    drop(state);
    counted_by_rows(net, rules, left)?;
    erasures(left)?;
    refusals(left)
}

/// Where the trail tells that somebody was erased, nothing personal is left of what it had of them when that
/// was ordered first.
fn erasures(left: &Left) -> Checked {
    let rows = |code: &'static str| left.trail.iter().filter(move |row| row.code == code);
    for erased in rows("POLICY_PERSONAL_DATA_ERASED") {
        let of = |row: &&AuditRecord| row.subject == erased.subject;
        let ordered = rows("POLICY_ERASURE_ORDERED").find(of).map_or(0, |row| row.seq);
        ensure(ERASED, ordered > 0 && ordered < erased.seq, || format!("nobody has ordered {erased}"))?;
        let before = left.trail.iter().filter(of).take_while(|row| row.seq < ordered);
        let kept = before.flat_map(|row| row.personal.values()).find(|field| field.value.is_some());
        ensure(ERASED, kept.is_none(), || format!("{kept:?} is left after {erased}"))?;
    }
    Ok(())
}

/// Where the trail tells each change of a record, it has as many versions, but for the one that a run begins
/// with.
fn counted_by_rows(net: &Net, rules: &Rules, left: &Left) -> Checked {
    let rows: Vec<Row<'_>> = left.trail.iter().map(Row::from).collect();
    for record in records(&net.store, &rules.tenant, Kind::ALL) {
        let Some(told) = versions(&record, &rows) else { continue };
        let known = rules.records.iter().any(|known| known.key == record.key);
        ensure(ROWS, record.version == told + u64::from(known), || {
            format!("{}: version {}, {told} rows", record.key, record.version)
        })?;
    }
    Ok(())
}

/// An answer that the trail calls too late was that of a claim that somebody else had by then.
fn refusals(left: &Left) -> Checked {
    let refused = left.trail.iter().filter(|row| row.code == "ENFORCEMENT_SETTLE_REFUSED");
    for row in refused {
        let Some((_, made)) = left.enforcements.iter().find(|(_, made)| Some(made.id) == row.enforcement)
        else {
            continue;
        };
        // A report that confirms tells of the attempts before it as well.
        if matches!(made.success, Success::Confirmed(_)) {
            continue;
        }
        let token = row.details.get("token").map(ToString::to_string).unwrap_or_default();
        let attempt = made.history.iter().find(|attempt| attempt.token.to_string() == token);
        let settled =
            attempt.is_some_and(|attempt| attempt.outcome.is_some() && attempt.settled_at.is_some());
        ensure(TOLD, !settled, || format!("{}: attempt with token {token} was settled", made.id))?;
    }
    Ok(())
}

/// What was acknowledged is stored, and nothing twice.
fn promised(rules: &Rules, promises: &Promises, left: &Left) -> Checked {
    for (signal, acknowledged) in &promises.decisions {
        // Another content under the same id is another signal, of which this says nothing.
        let stored =
            left.decisions.get(&acknowledged.id).filter(|stored| stored.digest == acknowledged.digest);
        let concerned = match signal {
            Signal::Event(_) => !promises.edited && !rules.set.concerned(signal).is_empty(),
            _ => true,
        };
        ensure(RECORDED, stored.is_some() || (acknowledged.is_empty() && !concerned), || {
            format!("{acknowledged} is not stored")
        })?;
        let Some(stored) = stored else { continue };
        // What concerned no rule left nothing; a copy that comes when the rules have changed is decided on,
        // also by a host whose clock is behind.
        let before = promises.edited && acknowledged.is_empty();
        let same = before || Decision { repeat: false, ..acknowledged.clone() } == *stored;
        ensure(RECORDED, same, || format!("acknowledged: {acknowledged}; stored: {stored}"))?;
    }
    let mut signals = BTreeSet::new();
    for made in left.decisions.values() {
        let signal = &made.signal;
        let name = (signal.kind, signal.source.clone(), signal.id.clone(), signal.subject.clone(), signal.at);
        let again = format!("{name:?}");
        ensure(UNIQUE, signals.insert(again.clone()), || again)?;
    }
    for (request, person, verdict) in &promises.votes {
        let there = left.approvals.get(request).is_some_and(|asked| {
            asked.votes.iter().any(|vote| vote.actor.as_str() == *person && vote.verdict == *verdict)
        });
        ensure(ANSWERED, there, || format!("{person}'s {verdict} to {request}"))?;
    }
    let known: BTreeSet<EnforcementId> = left.enforcements.iter().map(|(_, made)| made.id).collect();
    let mut made_by: BTreeMap<EnforcementId, TriggerId> = BTreeMap::new();
    for decision in left.decisions.values() {
        for made in decision.enforcements() {
            ensure(LOST, known.contains(&made), || format!("{made} of {decision}"))?;
            let other = made_by.insert(made, decision.id);
            ensure(UNIQUE, other.is_none(), || format!("{made} is of two decisions"))?;
        }
    }
    Ok(())
}

/// Everything is over, for a reason that there was, and what succeeded had its effect.
fn ended(net: &Net, left: &Left) -> Checked {
    for asked in left.approvals.values() {
        ensure(DRAINS, asked.state != ApprovalState::Open, || asked.to_string())?;
        let agreed: BTreeSet<_> = asked
            .votes
            .iter()
            .filter(|vote| vote.verdict == Verdict::Approve)
            .map(|vote| &vote.actor)
            .collect();
        let need: u32 = asked.policy.groups.iter().map(|quorum| quorum.need).sum();
        let enough = asked.state != ApprovalState::Granted || agreed.len() as u64 >= u64::from(need);
        ensure(ANSWERED, enough, || format!("{asked}: {} agreed", agreed.len()))?;
    }
    let asked = left.trail.iter().filter(|row| row.code == "ENFORCEMENT_CANCEL_ASKED");
    let cancelled: BTreeSet<EnforcementId> = asked.filter_map(|row| row.enforcement).collect();
    let state = net.state();
    let nothing = Seen::default();
    for (_, made) in &left.enforcements {
        ensure(DRAINS, made.status() != Status::Pending, || made.to_string())?;
        let seen = state.targets.keys.get(&made.id).unwrap_or(&nothing);
        let effects = || format!("{made}: {seen:?}");
        match made.reason() {
            Reason::Done if honours_keys(made.action.as_str()) => ensure(EFFECT, seen.effects == 1, effects)?,
            Reason::Done => ensure(EFFECT, seen.effects == 1 || (seen.late && seen.effects > 1), effects)?,
            Reason::NoOp => ensure(ALREADY, state.targets.already.contains(&made.id), effects)?,
            Reason::PermanentError => ensure(WHY, seen.refused, effects)?,
            Reason::Exhausted => {
                let capped = made.attempts >= made.retry.attempts;
                ensure(WHY, capped || made.retry.not_after.is_some(), effects)?;
            }
            Reason::OutcomeUnknown => {
                let confirmed = matches!(made.success, Success::Confirmed(_));
                let repeats = made.retry.safety != RetrySafety::NotIdempotent;
                // What was called off while it ran, and got no answer, is tried no more.
                let called_off = cancelled.contains(&made.id);
                ensure(WHY, confirmed || !repeats || called_off, effects)?;
            }
            _ => {}
        }
        ensure(ONCE, seen.effects <= 1 || seen.late, effects)?;
    }
    Ok(())
}

/// A window of three fires once for whoever has three.
fn counted(promises: &Promises, left: &Left) -> Checked {
    let rule: RuleId = id("count");
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for decision in left.decisions.values() {
        if decision.windows.iter().any(|stand| stand.rule == rule && stand.outcome != WindowOutcome::Late) {
            *counts.entry(decision.signal.subject.user.to_string()).or_default() += 1;
        }
    }
    for (user, count) in counts {
        let of = |made: &&(Record, Enforcement)| {
            made.1.subject.user.as_str() == user && made.1.holders.iter().any(|holder| holder.rule == rule)
        };
        let made = left.enforcements.iter().filter(of).count();
        let free = !promises.stopped && !promises.exempted;
        let right = if free { made == usize::from(count >= 3) } else { made <= 1 };
        ensure(COUNTED, right, || format!("{user}: {count} event(s), {made} enforcement(s)"))?;
    }
    Ok(())
}

/// The timetable: every occurrence once, and everybody who was known.
fn occurrences(net: &Net, rules: &Rules, left: &Left) -> Checked {
    if !rules.clock {
        return Ok(());
    }
    let rule = rules.set.rule(&id("clock")).expect("the set has it");
    let Trigger::Schedule { timetable, .. } = &rule.rule.trigger else { unreachable!("it has a timetable") };
    let (mut begun, mut skipped) = (BTreeMap::new(), BTreeSet::new());
    for row in &left.trail {
        let Some(occurrence) = row.details.get("occurrence").map(ToString::to_string) else { continue };
        match row.code.as_str() {
            "SCHEDULE_OCCURRENCE_STARTED" => *begun.entry(occurrence).or_insert(0) += 1,
            "SCHEDULE_OCCURRENCE_SKIPPED" => drop(skipped.insert(occurrence)),
            _ => {}
        }
    }
    let mut next = timetable.after(start());
    while let Some(due) = next.filter(|due| *due <= net.now()) {
        let name = due.to_string();
        let times = begun.get(&name).copied().unwrap_or(0);
        let right = times == 1 || (times == 0 && skipped.contains(&name));
        ensure(OCCURRED, right, || format!("{name}: begun {times} time(s)"))?;
        next = timetable.after(due);
    }
    let of = |kind| records(&net.store, &rules.tenant, &[kind]);
    let subjects: Vec<SubjectState> = of(Kind::Subject).iter().map(body).collect();
    let state = net.state();
    let visited: BTreeSet<_> = left
        .decisions
        .values()
        .filter(|made| made.signal.kind == TriggerKind::Schedule)
        .map(|made| (made.signal.at, made.signal.subject.clone()))
        .collect();
    for run in of(Kind::Run).iter().map(body::<Run>) {
        ensure(DRAINS, run.done, || format!("the run of {}", run.at))?;
        // Known before it began, by the order of commits and by the clocks of those who made them.
        let before = |known: &&SubjectState| {
            let (subject, key) =
                (subject_key(rules, known), Key::new(&rules.tenant, Kind::Run, run.id.to_string()));
            known.known_since <= run.begun && state.witness.born(&subject) < state.witness.born(&key)
        };
        for known in subjects.iter().filter(before) {
            let there = visited.contains(&(run.at, known.subject.clone()));
            ensure(VISITED, there, || format!("{} at {}", known.subject, run.at))?;
        }
    }
    Ok(())
}

fn subject_key(rules: &Rules, known: &SubjectState) -> Key {
    Key::new(&rules.tenant, Kind::Subject, format!("user:{}", known.subject.user))
}

/// Who is restricted is held, and who is held is restricted.
fn restrictions(net: &Net, rules: &Rules, left: &Left) -> Result<u64, Violation> {
    let effects = records(&net.store, &rules.tenant, &[Kind::Effect]);
    let effects: Vec<HeldEffect> = effects.iter().map(body).collect();
    let state = net.state();
    let targets = &state.targets;
    let of = |user: &str, what: &str| {
        let name = match what {
            "lock" => "lock_account",
            "scope" => "restrict_access",
            _ => "take_badge",
        };
        effects
            .iter()
            .find(|effect| effect.subject.user.as_str() == user && effect.apply.action.as_str() == name)
    };
    let mut untold = 0;
    for (place, there) in targets.restricted.iter().filter(|(place, _)| place.0 == rules.tenant) {
        if targets.untold.contains_key(place) {
            untold += 1;
            continue;
        }
        let (_, user, what) = place;
        let effect = of(user, what);
        let held = effect.is_some_and(|effect| !effect.holders().is_empty());
        ensure(HELD, !there || held, || match effect {
            Some(effect) => format!("{what} of {user}: {effect}"),
            None => format!("{what} of {user}, and nobody knows of it"),
        })?;
        let sure = |held: &Held| {
            let made = left.enforcements.iter().find(|(_, made)| made.id == held.enforcement);
            made.is_some_and(|(_, made)| made.status() == Status::Succeeded)
        };
        let brought = effect.is_some_and(|effect| effect.holders().iter().any(sure));
        ensure(HOLDS, *there || !brought, || format!("{what} of {user}: {effect:?}"))?;
    }
    for effect in &effects {
        let past = |held: &&Held| held.until.is_some_and(|until| until < net.now());
        ensure(HELD, effect.holders().iter().find(past).is_none(), || effect.to_string())?;
        let over = matches!(effect.status(), EffectStatus::Clear | EffectStatus::Standing);
        ensure(DRAINS, over, || effect.to_string())?;
    }
    Ok(untold)
}
