//! An occurrence works through its audience, page by page.

use std::collections::BTreeMap;

use super::absence::watch_key;
use super::describe::user_key;
use super::intake::{replace, subject_key, trigger_key};
use super::run::step_id;
use super::timetable::{occurrence, scheduled, timer_of};
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::{AuditCode, AuditDraft};
use crate::id::{CommitId, Subject, TenantId};
use crate::pattern::Payload;
use crate::plan::Decision;
use crate::rule::{Audience, RuleSet};
use crate::signal::{Absence, Signal, Turn};
use crate::state::{Run, SubjectState, Timer};
use crate::store::{Facet, Key, Kind, MAX_PAGE, Order, Page, Query, Record, Store, StoreError, decode};
use crate::time::Time;
use crate::watch::Watch;

/// How many subjects one commit visits, at first and after each conflict: a page writes the rule's
/// counters, which every delivery that settles writes as well, and a smaller page gets in between.
/// A page of 200 takes a megabyte or two, and makes the share of a commit's sync small beside the
/// writing itself.
const PAGES: [usize; 4] = [MAX_PAGE, 50, 10, 1];

impl Engine {
    /// Visits the next page of the audience.
    pub(super) async fn step_run(&self, tx: Tx<'_>, key: &Key, now: Time) -> Result<(), EngineError> {
        let mut tx = Some(tx);
        let mut outcome = Err(EngineError::Busy);
        for size in PAGES {
            let attempt = match tx.take() {
                Some(tx) => tx,
                None => {
                    let mut tx = self.tx(&key.tenant);
                    tx.load([key.clone()]).await?;
                    tx
                }
            };
            outcome = self.visit_page(attempt, key, size, now).await;
            if !matches!(outcome, Err(EngineError::Store(StoreError::Conflict(_)))) {
                break;
            }
        }
        outcome
    }

    async fn visit_page(&self, mut tx: Tx<'_>, key: &Key, size: usize, now: Time) -> Result<(), EngineError> {
        let tenant = &key.tenant;
        let Some(stored) = tx.get::<Run>(key)?.filter(|stored| !stored.body.done) else { return Ok(()) };
        let id = step_id(&tx, key);
        let run = stored.body.clone();
        let installed = self.rules_in(&mut tx, tenant, now).await?;
        if !installed.rules.rule(&run.rule).is_some_and(|rule| rule.acts()) {
            return self.stop_run(tx, key, run, id, "switched_off", now).await;
        }
        // An edit in the middle changes nothing: the revision is that of the beginning.
        let rules = match self.rules_at(&mut tx, key, &run.rule, run.revision, now).await {
            Ok(rules) => rules,
            // Beside the settings of today it is no rule any more, and will be none at the next step either.
            Err(EngineError::Rules(_) | EngineError::NotFound { .. }) => {
                return self.stop_run(tx, key, run, id, "outdated", now).await;
            }
            Err(error) => return Err(error),
        };
        let page = self.store.query(&members(tenant, &run, size)).await?;
        let next = page.next.as_ref().map(ToString::to_string);
        let turns = self.turns(&mut tx, tenant, &run, &rules, page, now).await?;
        let visited = run.visited + turns.len() as u64;
        let keys = turns.iter().map(|turn| trigger_key(tenant, turn.trigger_id()));
        tx.load(keys).await?;
        for signal in &turns {
            let mark = tx.mark();
            match self.visit(&mut tx, &rules, signal, now).await {
                // Whatever is damaged of one of them holds up nobody else.
                Err(EngineError::Store(StoreError::Corrupt { place, .. })) => {
                    tx.back_to(&mark);
                    tx.log([damaged(tenant, &run, &place, now)]);
                }
                visited => visited?,
            }
        }
        let run = Run { cursor: next, visited, ..run };
        if run.cursor.is_some() {
            replace(&mut tx, key.clone(), run)?;
            tx.commit(id).await?;
            return Ok(());
        }
        let draft = occurrence(tenant, AuditCode::ScheduleOccurrenceCompleted, &run.rule, run.at, now);
        tx.log([draft.detail("visited", visited)]);
        self.end_run(tx, key, Run { done: true, ..run }, id).await
    }

    /// Plans for one of the audience, who was not visited before.
    async fn visit(
        &self,
        tx: &mut Tx<'_>,
        rules: &RuleSet,
        signal: &Signal,
        now: Time,
    ) -> Result<(), EngineError> {
        let known = tx.get::<Decision>(&trigger_key(signal.tenant(), signal.trigger_id()))?;
        let concerned = rules.concerned(signal);
        if known.is_none() && !concerned.is_empty() {
            self.plan_into(tx, rules, &concerned, signal, now).await?;
        }
        Ok(())
    }

    /// The run ends before its whole audience was visited.
    async fn stop_run(
        &self,
        mut tx: Tx<'_>,
        key: &Key,
        run: Run,
        id: CommitId,
        why: &str,
        now: Time,
    ) -> Result<(), EngineError> {
        let stopped = occurrence(&key.tenant, AuditCode::ScheduleOccurrenceStopped, &run.rule, run.at, now);
        tx.log([stopped.detail("visited", run.visited).detail("reason", why)]);
        self.end_run(tx, key, Run { done: true, ..run }, id).await
    }

    /// The run is over: its rule's timer may begin another.
    async fn end_run(&self, mut tx: Tx<'_>, key: &Key, run: Run, id: CommitId) -> Result<(), EngineError> {
        let timer = timer_of(&key.tenant, &run);
        tx.load([timer.clone()]).await?;
        if let Some(known) = tx.get::<Timer>(&timer)?.filter(|timer| timer.body.running == Some(run.id)) {
            let idle = Timer { running: None, ..known.body.clone() };
            tx.put(timer, &known.with(idle));
        }
        replace(&mut tx, key.clone(), run)?;
        tx.commit(id).await?;
        Ok(())
    }

    /// The turns of those of a page who belong to the audience, with what is known of them.
    async fn turns(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        run: &Run,
        rules: &RuleSet,
        page: Page<Record>,
        now: Time,
    ) -> Result<Vec<Signal>, EngineError> {
        let audience = rules.rule(&run.rule).and_then(scheduled).map(|(_, _, audience)| audience.clone());
        let absent = rules.rule(&run.rule).and_then(|rule| rule.rule.trigger.absent());
        let people_only = !matches!(audience, Some(Audience::Bands { .. }));
        let mut subjects: Vec<Subject> = Vec::new();
        for record in page.rows {
            let Ok(known) = decode::<SubjectState>(&record) else {
                tx.log([damaged(tenant, run, &record.key.id, now)]);
                continue;
            };
            let late = known.body.known_since > run.begun && run.begun.is_some();
            // Of whom nobody could tell yet whether anything is absent.
            let unheard =
                absent.is_some_and(|absent| known.body.known_since > Some(run.at.before(absent.within)));
            let of_a_session = people_only && known.body.subject.session.is_some();
            if !(late || unheard || of_a_session) {
                subjects.push(known.body.subject);
            }
        }
        // Whoever is planned for is read in one go; of a session, the user who has the attributes.
        let users = subjects.iter().map(|subject| user_key(tenant, &subject.user));
        tx.load(users.chain(subjects.iter().map(|subject| subject_key(tenant, subject)))).await?;
        if absent.is_some() {
            tx.load(subjects.iter().map(|subject| watch_key(tenant, &run.rule, &subject.user))).await?;
        }
        let mut known: BTreeMap<&crate::id::UserId, Option<Payload>> = BTreeMap::new();
        let mut turns = Vec::new();
        for subject in &subjects {
            if !known.contains_key(&subject.user) {
                let state = tx.get::<SubjectState>(&user_key(tenant, &subject.user)).ok().flatten();
                known.insert(&subject.user, state.and_then(|stored| stored.body.known_attributes()));
            }
            let attributes = known.get(&subject.user).cloned().flatten();
            if let Some(Audience::Attributes(pattern)) = &audience
                && !pattern.matches_known(attributes.as_ref())
            {
                continue;
            }
            let absence = match absent {
                None => None,
                Some(absent) => {
                    let key = watch_key(tenant, &run.rule, &subject.user);
                    let Ok(watch) = tx.get::<Watch>(&key) else {
                        tx.log([damaged(tenant, run, &key.id, now)]);
                        continue;
                    };
                    let watch = watch.map(|stored| stored.body);
                    if watch.as_ref().is_some_and(|watch| !watch.is_absent(absent, run.at)) {
                        continue;
                    }
                    let last = watch.and_then(|watch| watch.seen);
                    Some(Absence { since: run.at.before(absent.within), last })
                }
            };
            turns.push(Signal::Schedule(Turn {
                tenant: tenant.clone(),
                rule: run.rule.clone(),
                occurrence: run.id,
                subject: subject.clone(),
                at: run.at,
                attributes,
                absence,
            }));
        }
        Ok(turns)
    }
}

/// Somebody of whom a record cannot be read is passed over.
fn damaged(tenant: &TenantId, run: &Run, record: &str, now: Time) -> AuditDraft {
    let skipped = occurrence(tenant, AuditCode::ScheduleOccurrenceSkipped, &run.rule, run.at, now);
    skipped.detail("reason", "damaged").detail("record", record)
}

/// The query of the next page of subjects. They all came into being at the same fixed time, so that
/// they are visited by id: who is known at the beginning is met exactly once.
fn members(tenant: &TenantId, run: &Run, limit: usize) -> Query {
    let bands: Vec<String> = run.bands.iter().cloned().collect();
    Query {
        tenant: tenant.clone(),
        kind: Kind::Subject,
        from: None,
        until: None,
        facets: if bands.is_empty() { Vec::new() } else { vec![(Facet::Band, bands)] },
        order: Order::Oldest,
        after: run.cursor.as_ref().and_then(|cursor| cursor.parse().ok()),
        limit,
    }
}
