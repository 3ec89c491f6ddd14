//! The targets of actions: they honour keys where the type says so, remember every effect, and hold
//! each delivery against what the store has of its claim.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tipstaff::*;

use crate::net::{Faults, Hit, Net, State};
use crate::support::go;
use crate::witness::{APART, Checked, ensure, violated};

pub(crate) const CLAIMED: &str = "no delivery without a durable claim";
pub(crate) const APPROVED: &str = "no delivery without its approval";
pub(crate) const CAPPED: &str = "no more deliveries than attempts are allowed";
pub(crate) const CARRIED: &str = "a host is given only what it carries";
pub(crate) const ONCE: &str = "an effect is there once";

/// A tenant's user, and the name of a restriction.
pub(crate) type Place = (TenantId, String, &'static str);

/// What became of one key at its target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// How often it had its effect.
    pub(crate) effects: u32,
    pub(crate) deliveries: u32,
    /// The target refused it for good.
    pub(crate) refused: bool,
    /// The target asked for another attempt, or its answer was lost.
    pub(crate) again: u32,
    /// A worker delivered it whose claim was somebody else's by then.
    pub(crate) late: bool,
}

/// All targets.
#[derive(Default)]
pub(crate) struct Targets {
    pub(crate) keys: BTreeMap<EnforcementId, Seen>,
    /// Who is under which restriction.
    pub(crate) restricted: BTreeMap<Place, bool>,
    /// Restrictions that a worker changed after its claim was somebody else's; it has not told yet.
    pub(crate) untold: BTreeMap<Place, String>,
    /// Of a thousand deliveries, how many are refused for a while, for good, or get no answer.
    pub(crate) moods: [u64; 3],
    /// Actions that are refused whenever they come.
    pub(crate) poison: Option<&'static str>,
}

/// The way of one host to the targets.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) net: Arc<Net>,
    pub(crate) worker: String,
    pub(crate) carries: Option<BTreeSet<ActionType>>,
}

/// What changes a restriction: its name, and whether it is there afterwards.
fn restriction(action: &str) -> Option<(&'static str, bool)> {
    match action {
        "lock_account" => Some(("lock", true)),
        "unlock_account" => Some(("lock", false)),
        "restrict_access" => Some(("scope", true)),
        "lift_restriction" => Some(("scope", false)),
        _ => None,
    }
}

/// Whether a repeat under the same key has its effect again.
pub(crate) fn honours_keys(action: &str) -> bool {
    !action.starts_with("escalate_")
}

impl Delivery for Port {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        self.carries.clone()
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(async move {
            let hit = self.net.turn().await;
            let delivered = self.deliver_now(job, hit);
            self.net
                .trace(|| format!("deliver {} {} -> {:?} {hit:?}", job.action, job.key, delivered.outcome));
            if hit == Hit::Crash { self.net.fall().await } else { delivered }
        })
    }

    fn probe<'a>(&'a self, job: &'a Job) -> Answer<'a, Probe> {
        Box::pin(async move {
            let hit = self.net.turn().await;
            let there = self.net.is_there(job.key);
            self.net.trace(|| format!("probe {} -> {there} {hit:?}", job.key));
            match hit {
                Hit::Crash => self.net.fall().await,
                Hit::Before | Hit::Lost => Probe::Unknown,
                Hit::None if there => Probe::Done,
                Hit::None => Probe::NotDone,
            }
        })
    }
}

impl Port {
    fn deliver_now(&self, job: &Job, hit: Hit) -> Delivered {
        let late = match self.claim_of(job) {
            Ok(late) => late,
            Err(violation) => {
                self.net.check(Err(violation));
                false
            }
        };
        let mut state = self.net.state();
        let outcome = mood(&mut state, job, hit);
        let who = state.who.clone();
        let seen = state.targets.keys.entry(job.key).or_default();
        seen.deliveries += 1;
        seen.late |= late;
        match outcome {
            Outcome::Permanent => seen.refused = true,
            Outcome::Retry { .. } | Outcome::Unknown => seen.again += 1,
            _ => {}
        }
        let happens = match outcome {
            Outcome::Done => true,
            // Half of the answers that are lost were lost on the way back.
            Outcome::Unknown => hit == Hit::Lost || seen.deliveries.is_multiple_of(2),
            _ => false,
        };
        let mut checked: Checked = Ok(());
        if happens {
            if seen.effects == 0 || !honours_keys(job.action.as_str()) {
                seen.effects += 1;
            }
            let (effects, late_once) = (seen.effects, seen.late);
            // What cannot honour a key has its effect again when a worker outlives its lease.
            checked =
                ensure(ONCE, effects == 1 || late_once, || format!("{} {}: {effects}", job.action, job.key));
            if let Some((what, there)) = restriction(job.action.as_str()) {
                let place = (job.tenant.clone(), job.subject.user.to_string(), what);
                if late {
                    state.targets.untold.insert(place.clone(), who);
                }
                state.targets.restricted.insert(place, there);
            }
        }
        drop(state);
        self.net.check(checked);
        outcome.into()
    }

    /// Holds a delivery against the store; says whether the claim is somebody else's by now.
    fn claim_of(&self, job: &Job) -> Result<bool, crate::witness::Violation> {
        let carried = self.carries.as_ref().is_none_or(|carries| carries.contains(&job.channel));
        ensure(CARRIED, carried, || format!("{} {}", job.channel, job.key))?;
        let kind = match job.purpose {
            Purpose::Notice { .. } => Kind::Notice,
            _ => Kind::Enforcement,
        };
        let key = Key::new(&job.tenant, kind, job.key.to_string());
        let Some(record) = go(self.net.store.load(std::slice::from_ref(&key))).remove(0) else {
            return violated(CLAIMED, format!("{key}: there is no such record"));
        };
        let stored: Enforcement = serde_json::from_str(&record.body).expect("it is sound");
        let Some(attempt) = stored.history.iter().find(|attempt| attempt.number == job.attempt) else {
            return violated(CLAIMED, format!("{key} has no attempt {}: {}", job.attempt, stored.reason()));
        };
        ensure(APART, stored.tenant == job.tenant, || format!("{key} is of {}", stored.tenant))?;
        ensure(CLAIMED, attempt.worker.as_str() == self.worker, || {
            format!("{key}: attempt {} is that of {}", job.attempt, attempt.worker)
        })?;
        let deliveries = self.net.state().targets.keys.get(&job.key).map_or(0, |seen| seen.deliveries);
        ensure(CAPPED, deliveries < stored.retry.attempts, || format!("{key}: {} before", deliveries))?;
        if let (Some(asked), true) = (stored.approval, kind == Kind::Enforcement) {
            let asked = Key::new(&job.tenant, Kind::Approval, asked.to_string());
            let asked = go(self.net.store.load(&[asked])).remove(0);
            let asked: Option<Approval> =
                asked.map(|record| serde_json::from_str(&record.body).expect("it is sound"));
            let granted =
                asked.as_ref().is_some_and(|asked| asked.ratifies || asked.state == ApprovalState::Granted);
            ensure(APPROVED, granted, || format!("{key}: {:?}", asked.map(|asked| asked.state)))?;
        }
        Ok(!matches!(stored.state, tipstaff::State::Running { token, .. } if token == attempt.token))
    }
}

/// What the target makes of a delivery.
fn mood(state: &mut State, job: &Job, hit: Hit) -> Outcome {
    match hit {
        Hit::Before => return Outcome::Retry { after: None },
        Hit::Lost => return Outcome::Unknown,
        Hit::Crash => return Outcome::Done,
        Hit::None => {}
    }
    let State { faults, random, targets, .. } = state;
    let takes_back = matches!(restriction(job.action.as_str()), Some((_, false)));
    if targets.poison == Some(job.action.as_str()) {
        return Outcome::Retry { after: None };
    }
    if matches!(faults, Faults::Peace | Faults::Script(_)) {
        return Outcome::Done;
    }
    let [retry, permanent, unknown] = targets.moods;
    match random.next() % 1_000 {
        n if n < retry => Outcome::Retry { after: None },
        // Whoever is to get back what is theirs gets it in the end.
        n if n < retry + permanent && !takes_back => Outcome::Permanent,
        n if n < retry + permanent + unknown => Outcome::Unknown,
        _ => Outcome::Done,
    }
}
