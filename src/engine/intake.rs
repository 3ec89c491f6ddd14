//! Signals in, decisions out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::away::{Staff, away_key};
use super::counts::stats_key;
use super::describe::user_key;
use super::exemptions::exemption_keys;
use super::installed::{Installed, book_key};
use super::tallies::tally_of;
use super::tx::Tx;
use super::waivers::waiver_key;
use super::{Engine, EngineError, until_settled};
use crate::action::ActionSpec;
use crate::approval::Approval;
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::hash::Hash;
use crate::id::{CommitId, EnforcementId, GroupId, RuleId, Subject, TenantId, TriggerId};
use crate::plan::{Decision, Facts, Plan, PlanError};
use crate::ready::Answer;
use crate::rule::{CompiledRule, RuleSet, Trigger};
use crate::signal::{ManualOrder, ManualStart, Signal};
use crate::state::{Away, Control, Roster, SubjectState};
use crate::store::{Claim, Committed, Key, Kind};
use crate::time::Time;

impl Engine {
    /// Decides on a signal and commits what follows. `now` is the decision time: the present, or
    /// the signal's own time when the past is replayed.
    ///
    /// The first decision on a signal stands: when the signal comes again, that decision is given
    /// back, whatever the rules are by then. A signal that concerns no rule writes nothing. A score
    /// on a scale that the tenant does not have is refused
    /// ([`PlanError::UnknownScale`](crate::PlanError::UnknownScale)): a scale's name misspelt by a
    /// host would otherwise go unnoticed for ever.
    ///
    /// # Errors
    /// [`EngineError`]; nothing has been written then, except that a reused id is audited.
    pub fn submit(&self, signal: impl Into<Signal>, now: Time) -> Answer<'_, Result<Decision, EngineError>> {
        self.submit_one(signal.into(), now)
    }

    fn submit_one(&self, signal: Signal, now: Time) -> Answer<'_, Result<Decision, EngineError>> {
        Box::pin(async move { until_settled!({ self.decide(&signal, now).await }) })
    }

    /// Starts what a person orders; the same as [`Engine::submit`] of the order.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub fn start(&self, order: ManualStart, now: Time) -> Answer<'_, Result<Decision, EngineError>> {
        self.submit_one(order.into(), now)
    }

    pub(super) async fn decide(&self, signal: &Signal, now: Time) -> Result<Decision, EngineError> {
        let tenant = signal.tenant();
        if let Some(own) = self.own_rules(tenant).await?
            && !self.begins(&own, signal, now).await?
        {
            return Ok(Decision::new(signal, now));
        }
        let installed = self.rules_of(tenant, now).await?;
        let concerned = installed.rules.concerned(signal);
        if is_concerned(signal, &installed, &concerned) {
            // It names where this host counts.
            self.worker_id().await?;
        }
        let mut tx = self.tx(tenant);
        tx.load(self.read_for(&tx, &installed, &concerned, signal)).await?;
        let planned = match self.decide_in(&mut tx, &installed, &concerned, signal, now).await? {
            Decided::Before(known) => return self.repeated(signal, *known, now).await,
            Decided::Unconcerned => return Ok(Decision::new(signal, now)),
            Decided::Now(planned) => planned,
        };
        let commit = CommitId::derive(|h| h.text("decide").bytes(planned.decision.id.bytes()));
        match tx.commit(commit).await? {
            Committed::Applied => Ok(planned.decision),
            // Another process, or an earlier life of this one, decided first: that decision stands.
            Committed::AlreadyApplied => {
                let trigger = trigger_key(tenant, signal.trigger_id());
                Err(crate::store::StoreError::Conflict(trigger).into())
            }
        }
    }

    /// Whether a tenant begins with this signal: the first that concerns any of the engine's own rules, or any
    /// at all where these have timetables. What is refused, or concerns none, leaves no trace: a tenant's name
    /// may be misspelt.
    async fn begins(&self, own: &Installed, signal: &Signal, now: Time) -> Result<bool, EngineError> {
        let concerned = own.rules.concerned(signal);
        if is_concerned(signal, own, &concerned) {
            self.worker_id().await?;
        }
        let mut tx = self.tx(signal.tenant());
        tx.load(self.read_for(&tx, own, &concerned, signal)).await?;
        let unconcerned =
            matches!(self.decide_in(&mut tx, own, &concerned, signal, now).await?, Decided::Unconcerned);
        let of_time = |rule: &Arc<CompiledRule>| {
            matches!(rule.rule.trigger, Trigger::Schedule { .. } | Trigger::Deadline(_))
        };
        Ok(!unconcerned || own.rules.rules().any(of_time))
    }

    /// What a decision will read, as far as can be told before it: all of it comes in one call.
    pub(super) fn read_for(
        &self,
        tx: &Tx<'_>,
        installed: &Installed,
        concerned: &[Arc<CompiledRule>],
        signal: &Signal,
    ) -> Vec<Key> {
        let (tenant, subject) = (signal.tenant(), signal.subject());
        let mut keys = vec![book_key(tenant), trigger_key(tenant, signal.trigger_id())];
        if !is_concerned(signal, installed, concerned) {
            return keys;
        }
        keys.extend([subject_key(tenant, subject), Claim::control_key(tenant)]);
        keys.extend(exemption_keys(tenant, subject));
        keys.push(waiver_key(tenant));
        if subject.session.is_some() {
            keys.push(user_key(tenant, &subject.user));
        }
        for rule in concerned {
            keys.push(stats_key(tenant, &rule.rule.id, tx.part()));
            keys.extend(tally_of(rule, signal));
        }
        keys
    }

    /// Decides on a signal within a transaction that has read [`Self::read_for`], and puts what
    /// follows into it.
    pub(super) async fn decide_in(
        &self,
        tx: &mut Tx<'_>,
        installed: &Installed,
        concerned: &[Arc<CompiledRule>],
        signal: &Signal,
        now: Time,
    ) -> Result<Decided, EngineError> {
        let tenant = signal.tenant();
        let trigger = trigger_key(tenant, signal.trigger_id());
        if let Some(known) = tx.get::<Decision>(&trigger)? {
            return Ok(Decided::Before(Box::new(known.body)));
        }
        if tx.version(&book_key(tenant)) != installed.version {
            self.forget(tenant);
            return Err(crate::store::StoreError::Conflict(book_key(tenant)).into());
        }
        if let Signal::Score(reading) = signal {
            installed.rules.settings().known_scale(&reading.scale).map_err(PlanError::from)?;
        }
        if !is_concerned(signal, installed, concerned) {
            return Ok(Decided::Unconcerned);
        }
        if let Signal::Manual(start) = signal
            && start.break_glass
        {
            self.may_break_glass(tx, start, &installed.rules, now).await?;
        }
        if let Signal::Score(reading) = signal {
            self.before_score(tx, installed, reading, now).await?;
        }
        let planned = self.plan_into(tx, &installed.rules, concerned, signal, now).await?;
        self.hear(tx, concerned, signal, now).await?;
        Ok(Decided::Now(Box::new(planned)))
    }

    pub(super) async fn repeated(
        &self,
        signal: &Signal,
        known: Decision,
        now: Time,
    ) -> Result<Decision, EngineError> {
        let given = signal.digest();
        if given == known.digest {
            return Ok(Decision { repeat: true, ..known });
        }
        self.refuse_reuse(signal, &known, given, now).await?;
        Err(EngineError::SignalReused { id: known.signal.id, trigger: known.id, known: known.digest, given })
    }

    /// Writes down that an id was used again with other content: once for each content.
    async fn refuse_reuse(
        &self,
        signal: &Signal,
        known: &Decision,
        given: Hash,
        now: Time,
    ) -> Result<(), EngineError> {
        let mut tx = self.tx(signal.tenant());
        let draft =
            AuditDraft::new(signal.tenant().clone(), AuditCode::PolicySignalRefused, Actor::Engine, now)
                .subject(signal.subject().clone())
                .target(known.signal.id.as_str())
                .trigger(known.id)
                .detail("known", known.digest.to_string())
                .detail("given", given.to_string());
        tx.log([draft]);
        tx.commit(CommitId::derive(|h| h.text("reused").bytes(known.id.bytes()).hash(&given))).await?;
        Ok(())
    }

    /// Plans a signal on what the transaction sees, and puts all that follows into it.
    pub(super) async fn plan_into(
        &self,
        tx: &mut Tx<'_>,
        rules: &RuleSet,
        concerned: &[Arc<CompiledRule>],
        signal: &Signal,
        now: Time,
    ) -> Result<Plan, EngineError> {
        let mut facts = self.facts(tx, rules, concerned, signal).await?;
        let new_subject = !tx.has(&subject_key(signal.tenant(), signal.subject()));
        let mut planned = self.planned(tx, concerned, signal, &mut facts, now).await?;
        if new_subject {
            planned.subject.known_since = Some(now);
        }
        self.learn(tx, signal, &mut planned, now).await?;
        if broken::is(Defect::PlacesOutsideCommit) && planned.away != facts.away {
            self.join_away(tx, &mut planned.away, signal.tenant()).await?;
        }
        self.put_plan(tx, &planned, &facts, new_subject)?;
        self.put_counts(tx, &planned).await?;
        self.put_caps(tx, &planned)?;
        self.put_pauses(tx, &planned)?;
        Ok(planned)
    }

    /// What a plan needs to know, as the transaction sees it.
    pub(super) async fn facts<'r>(
        &self,
        tx: &mut Tx<'_>,
        rules: &'r RuleSet,
        concerned: &[Arc<CompiledRule>],
        signal: &Signal,
    ) -> Result<Facts<'r>, EngineError> {
        let tenant = signal.tenant();
        let subject = subject_key(tenant, signal.subject());
        let control = Claim::control_key(tenant);
        let stats: Vec<(RuleId, Key)> = concerned
            .iter()
            .map(|rule| (rule.rule.id.clone(), stats_key(tenant, &rule.rule.id, tx.part())))
            .collect();
        let keys = stats.iter().map(|(_, key)| key.clone());
        tx.load(keys.chain([subject.clone(), control.clone()])).await?;
        let mut known = BTreeMap::new();
        for (rule, key) in &stats {
            if let Some(stats) = tx.get(key)? {
                known.insert(rule.clone(), stats.body);
            }
        }
        let tallies = self.tallies(tx, concerned, signal).await?;
        let of_subject = tx.get::<SubjectState>(&subject)?;
        let specs = asked_for(signal, rules, concerned);
        let settings = rules.settings();
        let attributes = match specs.iter().any(|spec| settings.asks_attributes(spec)) {
            true => self.attributes_of(tx, tenant, &signal.subject().user).await?,
            false => None,
        };
        let staff = match specs.iter().any(|spec| settings.administrators().covers(spec)) {
            true => self.staff(tx, tenant, rules).await?,
            false => Staff { known: None, away: Away::default() },
        };
        Ok(Facts {
            rules,
            subject: of_subject
                .as_ref()
                .map_or_else(|| SubjectState::new(signal.subject().clone()), |stored| stored.body.clone()),
            tallies,
            control: tx.get::<Control>(&control)?.map(|stored| stored.body).unwrap_or_default(),
            stats: known,
            roster: self.roster(tenant, rules, signal, concerned).await?,
            exemptions: self.exemptions_of(tx, tenant, signal.subject(), signal.attributes()).await?,
            attributes,
            administrators: staff.known,
            away: staff.away,
            caps: BTreeMap::new(),
            population: None,
            cause: self.cause(signal).await?,
        })
    }

    fn put_plan(
        &self,
        tx: &mut Tx<'_>,
        planned: &Plan,
        facts: &Facts<'_>,
        new_subject: bool,
    ) -> Result<(), EngineError> {
        let tenant = &planned.decision.tenant;
        tx.put_new(trigger_key(tenant, planned.decision.id), planned.decision.clone());
        for made in &planned.enforcements {
            tx.put_new(enforcement_key(tenant, made.id), made.clone());
        }
        for notice in &planned.notices {
            tx.put_new(notice_key(tenant, notice.id), notice.clone());
        }
        for asked in &planned.approvals {
            tx.put_new(approval_key(tenant, asked), asked.clone());
        }
        // A subject is known from the first decision on; a scheduled rule reaches them from then on.
        if new_subject || planned.subject != facts.subject {
            let key = subject_key(tenant, &planned.subject.subject);
            replace(tx, key, planned.subject.clone())?;
        }
        for (rule, stats) in &planned.stats {
            replace(tx, stats_key(tenant, rule, tx.part()), stats.clone())?;
        }
        if planned.away != facts.away {
            replace(tx, away_key(tenant), planned.away.clone())?;
        }
        tx.log(planned.audit.iter().cloned());
        Ok(())
    }

    /// The people of every group that the signal's actions may ask.
    async fn roster(
        &self,
        tenant: &TenantId,
        rules: &RuleSet,
        signal: &Signal,
        concerned: &[Arc<CompiledRule>],
    ) -> Result<Roster, EngineError> {
        let policies = concerned.iter().flat_map(|rule| &rule.actions).filter_map(|a| a.approval.as_ref());
        let mut names: BTreeSet<GroupId> =
            policies.flat_map(|policy| &policy.groups).map(|quorum| quorum.name.clone()).collect();
        let limited = signal.cause().is_some()
            || !rules.settings().caps.is_empty()
            || concerned.iter().any(|rule| !rule.rule.guards.caps.is_empty());
        if limited || matches!(signal, Signal::Manual(ManualStart { order: ManualOrder::Action { .. }, .. }))
        {
            names.extend(rules.settings().default_group.clone());
        }
        let mut roster = Roster::default();
        for name in names {
            let members = match &self.people {
                Some(people) => people.members(tenant, &name).await?,
                None => rules.settings().groups.get(&name).cloned().unwrap_or_default(),
            };
            roster.groups.insert(name, members);
        }
        Ok(roster)
    }
}

/// What a look at a signal came to.
pub(super) enum Decided {
    /// It was decided on before.
    Before(Box<Decision>),
    /// It concerns no rule.
    Unconcerned,
    /// What follows is in the transaction.
    Now(Box<Plan>),
}

/// Puts a body in the place of what was read, keeping what this version does not know of it.
pub(super) fn replace<T: crate::store::Body>(tx: &mut Tx<'_>, key: Key, body: T) -> Result<(), EngineError> {
    match tx.get::<T>(&key)? {
        Some(stored) => tx.put(key, &stored.with(body)),
        None => tx.put_new(key, body),
    }
    Ok(())
}

/// The types of all actions that a signal may lead to.
fn asked_for<'r>(
    signal: &Signal,
    rules: &'r RuleSet,
    concerned: &'r [Arc<CompiledRule>],
) -> Vec<&'r ActionSpec> {
    let ordered = match signal {
        Signal::Manual(ManualStart { order: ManualOrder::Action { action, .. }, .. }) => {
            rules.catalog().get(action)
        }
        _ => None,
    };
    concerned.iter().flat_map(|rule| rule.actions.iter().map(|action| &action.spec)).chain(ordered).collect()
}

/// A score concerns the tenant as soon as a rule reads its scale; a manual start always does.
fn is_concerned(signal: &Signal, installed: &Installed, concerned: &[Arc<CompiledRule>]) -> bool {
    match signal {
        Signal::Score(reading) => installed.rules.reads_scale(&reading.scale),
        Signal::Manual(_) | Signal::Level(_) => true,
        Signal::Event(_) | Signal::Schedule(_) => !concerned.is_empty(),
    }
}

pub(super) fn trigger_key(tenant: &TenantId, id: TriggerId) -> Key {
    Key::new(tenant, Kind::Trigger, id.to_string())
}

pub(super) fn enforcement_key(tenant: &TenantId, id: EnforcementId) -> Key {
    Key::new(tenant, Kind::Enforcement, id.to_string())
}

pub(super) fn notice_key(tenant: &TenantId, id: EnforcementId) -> Key {
    Key::new(tenant, Kind::Notice, id.to_string())
}

fn approval_key(tenant: &TenantId, approval: &Approval) -> Key {
    Key::new(tenant, Kind::Approval, approval.id.to_string())
}

/// The user's length keeps a user whose name has a colon apart from a session.
pub(super) fn subject_key(tenant: &TenantId, subject: &Subject) -> Key {
    let user = subject.user.as_str();
    let id = match &subject.session {
        None => format!("user:{user}"),
        Some(session) => format!("session:{}:{user}:{session}", user.len()),
    };
    Key::new(tenant, Kind::Subject, id)
}
