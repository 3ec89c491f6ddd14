//! Scheduled rules: which occurrences begin, which are left out.

use super::defects::move_mark;
use super::installed::timer_key;
use super::run::step_id;
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::id::{OccurrenceId, RuleId, TenantId};
use crate::rule::{Audience, CATCH_UP_GRACE, CatchUp, CompiledRule, MAX_CATCH_UP, Trigger};
use crate::schedule::Timetable;
use crate::state::{Run, Timer};
use crate::store::{Key, Kind};
use crate::time::Time;
use crate::watch::too_young;

/// How many occurrences one step deals with; more are left to the next. Each has an audit record, so
/// this bounds a commit: a day of a line that runs every minute takes three.
const OCCURRENCES: usize = 500;

impl Engine {
    /// Begins the occurrence whose turn it is; those that are left out are audited.
    pub(super) async fn step_timetable(
        &self,
        mut tx: Tx<'_>,
        key: &Key,
        now: Time,
    ) -> Result<(), EngineError> {
        let tenant = &key.tenant;
        let Some(stored) = tx.get::<Timer>(key)? else { return Ok(()) };
        let id = step_id(&tx, key);
        let installed = self.rules_in(&mut tx, tenant, now).await?;
        let timer = stored.body.clone();
        let rule = installed.rules.rule(&timer.rule).filter(|rule| rule.acts());
        let Some((rule, timetable, audience)) = rule.and_then(|rule| scheduled(rule)) else {
            // The rule was switched off without its timer: it stops here.
            let skipped: Vec<_> = timer.waiting.iter().map(|at| (*at, "stopped")).collect();
            tx.log(skips(tenant, &timer.rule, &skipped, now));
            tx.put(key.clone(), &stored.with(Timer { next: None, waiting: Vec::new(), ..timer }));
            tx.commit(id).await?;
            return Ok(());
        };
        let mut stepped = step(&timer, timetable, rule.catch_up(), now);
        let mut stored = stored;
        if broken::is(Defect::MarkMovedFirst) && !stepped.timer.waiting.is_empty() {
            (tx, stored) = move_mark(tx, self.tx(tenant), key, &stepped.timer).await?;
        }
        // One that is known has begun before, by a clock that was ahead: nobody is visited twice.
        while !stepped.more && timer.running.is_none() && !stepped.timer.waiting.is_empty() {
            let at = stepped.timer.waiting.remove(0);
            let absent = rule.rule.trigger.absent();
            if absent.is_some_and(|absent| too_young(absent, timer.listening, at)) {
                stepped.skipped.push((at, "unheard"));
                continue;
            }
            let run = begin(tenant, rule, audience, at, now);
            let run_key = Key::new(tenant, Kind::Run, run.id.to_string());
            tx.load([run_key.clone()]).await?;
            if tx.record(&run_key).is_some() {
                stepped.skipped.push((at, "done"));
                continue;
            }
            stepped.timer.running = Some(run.id);
            stepped.timer.last = Some(at);
            tx.log([occurrence(tenant, AuditCode::ScheduleOccurrenceStarted, &timer.rule, at, now)]);
            tx.put_new(run_key, run);
            break;
        }
        tx.log(skips(tenant, &timer.rule, &stepped.skipped, now));
        tx.put(key.clone(), &stored.with(stepped.timer));
        tx.commit(id).await?;
        // What has begun is worked through at once; a crash in between leaves it due.
        Ok(())
    }
}

/// The rule with its timetable and audience, if it has them.
pub(super) fn scheduled(
    rule: &std::sync::Arc<CompiledRule>,
) -> Option<(&std::sync::Arc<CompiledRule>, &Timetable, &Audience)> {
    match &rule.rule.trigger {
        Trigger::Schedule { timetable, audience, .. } => Some((rule, timetable, audience)),
        _ => None,
    }
}

/// What a step of a timer comes to: the occurrences that are left out with the reason, and the
/// timer after it. What it waits for then is begun, the oldest first.
pub(super) struct Stepped {
    pub(super) skipped: Vec<(Time, &'static str)>,
    pub(super) timer: Timer,
    /// Whether more is due than one step looks at.
    pub(super) more: bool,
}

/// Deals with every occurrence that is due. While one still works through its audience, those that
/// come due are left out, whatever the policy (Kubernetes calls this `Forbid`).
pub(super) fn step(timer: &Timer, timetable: &Timetable, policy: CatchUp, now: Time) -> Stepped {
    let first = timer.since.map_or(timer.next, |since| timetable.after(since));
    let mut next = first;
    let mut due = Vec::new();
    let is_due = |next: Option<Time>| next.filter(|at| *at <= now);
    while let Some(at) = is_due(next).filter(|_| due.len() < OCCURRENCES) {
        due.push(at);
        next = timetable.after(at);
    }
    let more = is_due(next).is_some();
    let since = due.last().copied().or(timer.since);
    let overlap = timer.running.is_some();
    let mut skipped = Vec::new();
    let mut waiting = timer.waiting.clone();
    match policy {
        CatchUp::All if overlap => skipped.extend(due.into_iter().map(|at| (at, "overlap"))),
        CatchUp::All => {
            waiting.append(&mut due);
            let beyond = waiting.len().saturating_sub(MAX_CATCH_UP);
            skipped.extend(waiting.drain(..beyond).map(|at| (at, "beyond_limit")));
        }
        CatchUp::Skip | CatchUp::Latest => {
            // What waits was missed under another policy, before the rule was edited.
            waiting.append(&mut due);
            let latest = if more { None } else { waiting.pop() };
            skipped.extend(waiting.drain(..).map(|at| (at, "missed")));
            match latest {
                Some(at) if policy == CatchUp::Skip && now > at.after(CATCH_UP_GRACE) => {
                    skipped.push((at, "missed"));
                }
                Some(at) if overlap => skipped.push((at, "overlap")),
                latest => waiting.extend(latest),
            }
        }
    }
    Stepped { skipped, timer: Timer { next, since, waiting, ..timer.clone() }, more }
}

fn begin(tenant: &TenantId, rule: &CompiledRule, audience: &Audience, at: Time, now: Time) -> Run {
    let id = OccurrenceId::derive(|h| {
        h.text(tenant.as_str()).text(rule.rule.id.as_str()).number(at.micros().cast_unsigned())
    });
    let bands = match audience {
        Audience::All | Audience::Attributes(_) => Vec::new(),
        Audience::Bands { scale, bands } => bands.iter().map(|band| format!("{scale}/{band}")).collect(),
    };
    Run {
        id,
        rule: rule.rule.id.clone(),
        revision: rule.revision,
        at,
        cursor: None,
        visited: 0,
        done: false,
        begun: Some(now),
        bands: bands.into_iter().collect(),
    }
}

pub(super) fn timer_of(tenant: &TenantId, run: &Run) -> Key {
    timer_key(tenant, &run.rule)
}

/// The audit records of occurrences that were left out.
pub(super) fn skips(
    tenant: &TenantId,
    rule: &RuleId,
    skipped: &[(Time, &'static str)],
    now: Time,
) -> Vec<AuditDraft> {
    let record = |(at, reason): &(Time, &'static str)| {
        occurrence(tenant, AuditCode::ScheduleOccurrenceSkipped, rule, *at, now).detail("reason", *reason)
    };
    skipped.iter().map(record).collect()
}

pub(super) fn occurrence(
    tenant: &TenantId,
    code: AuditCode,
    rule: &RuleId,
    at: Time,
    now: Time,
) -> AuditDraft {
    AuditDraft::new(tenant.clone(), code, Actor::Engine, now).target(rule.as_str()).detail("occurrence", at)
}
