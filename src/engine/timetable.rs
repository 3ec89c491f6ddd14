//! Scheduled rules: occurrences begin, and work through their audience page by page.

use super::intake::{replace, trigger_key};
use super::rules::timer_key;
use super::run::step_id;
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::delivery::Delivery;
use crate::id::{OccurrenceId, RuleId, TenantId};
use crate::plan::Decision;
use crate::rule::{Audience, Trigger};
use crate::schedule::Timetable;
use crate::signal::{Signal, Turn};
use crate::state::{Run, SubjectState, Timer};
use crate::store::{Facet, Key, Kind, Order, Query, Store, decode};
use crate::time::Time;

/// How many occurrences one step looks at; more are left to the next.
const OCCURRENCES: usize = 100;
/// How many subjects one commit visits.
const SUBJECTS: usize = 50;

impl<S: Store, D: Delivery> Engine<S, D> {
    /// Begins the latest occurrence that is due. Those before it, and one whose predecessor still
    /// works through its audience, are skipped, and each is audited.
    pub(super) async fn step_timetable(
        &self,
        mut tx: Tx<'_, S>,
        key: &Key,
        now: Time,
    ) -> Result<(), EngineError> {
        let tenant = &key.tenant;
        let Some(stored) = tx.get::<Timer>(key)? else { return Ok(()) };
        let id = step_id(&tx, key);
        let installed = self.rules_in(&mut tx, tenant, now).await?;
        let timer = &stored.body;
        let rule = installed.rules.rule(&timer.rule).filter(|rule| rule.acts());
        let schedule = rule.and_then(|rule| match &rule.rule.trigger {
            Trigger::Schedule { timetable, audience } => Some((rule, timetable, audience)),
            _ => None,
        });
        let Some((rule, timetable, audience)) = schedule else {
            // The rule was switched off without its timer: it stops here.
            tx.put(key.clone(), &stored.clone().with(Timer { next: None, ..timer.clone() }));
            tx.commit(id).await?;
            return Ok(());
        };
        let (missed, latest, next) = due(timetable, timer.next, now);
        let mut running = timer.running;
        let mut skip = |at: Time, why: &str| {
            tx.log([occurrence(tenant, AuditCode::ScheduleOccurrenceSkipped, &timer.rule, at, now)
                .detail("reason", why)]);
        };
        missed.iter().for_each(|at| skip(*at, "missed"));
        match latest {
            Some(at) if running.is_some() => skip(at, "overlap"),
            Some(at) => {
                let run = begin(tenant, rule, audience, at);
                running = Some(run.id);
                tx.log([occurrence(tenant, AuditCode::ScheduleOccurrenceStarted, &timer.rule, at, now)]);
                tx.put_new(Key::new(tenant, Kind::Run, run.id.to_string()), run);
            }
            None => {}
        }
        tx.put(key.clone(), &stored.clone().with(Timer { next, running, ..timer.clone() }));
        tx.commit(id).await?;
        // What has begun is worked through at once; a crash in between leaves it due.
        Ok(())
    }

    /// Visits the next page of the audience.
    pub(super) async fn step_run(&self, mut tx: Tx<'_, S>, key: &Key, now: Time) -> Result<(), EngineError> {
        let tenant = &key.tenant;
        let Some(stored) = tx.get::<Run>(key)? else { return Ok(()) };
        let id = step_id(&tx, key);
        let run = stored.body.clone();
        let rules = self.rules_at(&mut tx, key, &run.rule, run.revision, now).await?;
        let query = Query {
            tenant: tenant.clone(),
            kind: Kind::Subject,
            from: None,
            until: None,
            facets: if run.bands.is_empty() {
                Vec::new()
            } else {
                vec![(Facet::Band, run.bands.iter().cloned().collect())]
            },
            order: Order::Oldest,
            after: run.cursor.as_ref().and_then(|cursor| cursor.parse().ok()),
            limit: SUBJECTS,
        };
        let page = self.store.query(&query).await?;
        let visited = run.visited + page.rows.len() as u64;
        for record in &page.rows {
            let subject = match decode::<SubjectState>(record) {
                Ok(known) => known.body.subject,
                // A damaged record holds up nobody else.
                Err(_) => {
                    let skipped =
                        occurrence(tenant, AuditCode::ScheduleOccurrenceSkipped, &run.rule, run.at, now);
                    tx.log([skipped.detail("reason", "damaged").detail("record", record.key.id.as_str())]);
                    continue;
                }
            };
            let turn = Turn {
                tenant: tenant.clone(),
                rule: run.rule.clone(),
                occurrence: run.id,
                subject,
                at: run.at,
            };
            let signal = Signal::Schedule(turn);
            let trigger = trigger_key(tenant, signal.trigger_id());
            tx.load([trigger.clone()]).await?;
            if tx.get::<Decision>(&trigger)?.is_none() {
                let concerned = rules.concerned(&signal);
                self.plan_into(&mut tx, &rules, &concerned, &signal, now).await?;
            }
        }
        let done = page.next.is_none();
        if done {
            let timer = timer_key(tenant, &run.rule);
            tx.load([timer.clone()]).await?;
            if let Some(known) = tx.get::<Timer>(&timer)?.filter(|timer| timer.body.running == Some(run.id)) {
                let idle = Timer { running: None, ..known.body.clone() };
                tx.put(timer, &known.with(idle));
            }
            let draft = occurrence(tenant, AuditCode::ScheduleOccurrenceCompleted, &run.rule, run.at, now);
            tx.log([draft.detail("visited", visited)]);
        }
        let cursor = page.next.map(|cursor| cursor.to_string());
        replace(&mut tx, key.clone(), Run { cursor, visited, done, ..run })?;
        tx.commit(id).await?;
        Ok(())
    }
}

/// The occurrences that were missed, the latest one that is due, and the next after `now`. Where
/// more than a step's worth is due, all of these were missed, and the rest is left to the next step.
fn due(timetable: &Timetable, next: Option<Time>, now: Time) -> (Vec<Time>, Option<Time>, Option<Time>) {
    let mut due = Vec::new();
    let mut next = next;
    while let Some(at) = next.filter(|at| *at <= now) {
        if due.len() >= OCCURRENCES {
            return (due, None, next);
        }
        due.push(at);
        next = timetable.after(at);
    }
    let latest = due.pop();
    (due, latest, next)
}

fn begin(tenant: &TenantId, rule: &crate::rule::CompiledRule, audience: &Audience, at: Time) -> Run {
    let id = OccurrenceId::derive(|h| {
        h.text(tenant.as_str()).text(rule.rule.id.as_str()).number(at.micros().cast_unsigned())
    });
    let bands = match audience {
        Audience::All => Vec::new(),
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
        bands: bands.into_iter().collect(),
    }
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
