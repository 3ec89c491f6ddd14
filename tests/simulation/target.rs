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
pub(crate) const ALREADY: &str = "nothing to do means that the target was in that state already";

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
    /// Everything that changed a restriction, in its order: which, whether it is there since, and whether
    /// the worker's claim was somebody else's by then.
    changes: Vec<(Place, bool, bool)>,
    /// How many of these there were when an enforcement was claimed last.
    claimed: BTreeMap<String, usize>,
    /// What ended with nothing to do, and had nothing.
    pub(crate) already: BTreeSet<EnforcementId>,
    /// Restrictions that a worker changed after its claim was somebody else's; it has not told yet.
    pub(crate) untold: BTreeMap<Place, String>,
    /// Of a thousand deliveries, how many are refused for a while, for good, or get no answer.
    pub(crate) moods: [u64; 3],
    /// Actions that are refused whenever they come.
    pub(crate) poison: Option<&'static str>,
    /// Of a thousand deliveries of what is so already, how many are answered so.
    pub(crate) frank: u64,
    /// How long each takes.
    pub(crate) takes: Span,
    /// The action of which the first answer is lost, whatever else happens.
    pub(crate) mute: Option<&'static str>,
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
        "take_badge" => Some(("badge", true)),
        "give_badge" => Some(("badge", false)),
        _ => None,
    }
}

fn place_of(tenant: &TenantId, subject: &Subject, action: &ActionType) -> Option<(Place, bool)> {
    let (what, there) = restriction(action.as_str())?;
    Some(((tenant.clone(), subject.user.to_string(), what), there))
}

impl Targets {
    /// Whether a delivery would change nothing: its restriction is as it asks, or its key had its effect.
    fn is_so(&self, job: &Job) -> bool {
        match place_of(&job.tenant, &job.subject, &job.action) {
            Some((place, there)) => self.restricted.get(&place).copied().unwrap_or(false) == there,
            None => honours_keys(job.action.as_str()) && self.had_effect(job.key),
        }
    }

    fn had_effect(&self, key: EnforcementId) -> bool {
        self.keys.get(&key).is_some_and(|seen| seen.effects > 0)
    }

    /// A worker has claimed it.
    pub(crate) fn claimed(&mut self, key: &Key) {
        self.claimed.insert(key.id.clone(), self.changes.len());
    }

    /// An enforcement ends with nothing to do: its target was in that state at some moment since it was
    /// claimed. Of what restricts nobody, its own key had its effect. What a worker changed whose claim was
    /// somebody else's, nobody can know before it tells.
    pub(crate) fn nothing_to_do(&mut self, made: &Enforcement) -> Checked {
        let holds = match place_of(&made.tenant, &made.subject, &made.action) {
            None => self.had_effect(made.id),
            Some((place, there)) => {
                let since = self.claimed.get(&made.id.to_string()).copied().unwrap_or(0);
                let of = |change: &&(Place, bool, bool)| change.0 == place;
                let (before, after) = self.changes.split_at(since);
                let was = before.iter().rev().find(of).is_some_and(|change| change.1);
                was == there
                    || after.iter().filter(of).any(|change| change.1 == there)
                    || self.changes.iter().rev().find(of).is_some_and(|change| change.2)
            }
        };
        self.already.insert(made.id);
        ensure(ALREADY, holds, || made.to_string())
    }
}

/// Whether a repeat under the same key has its effect again.
pub(crate) fn honours_keys(action: &str) -> bool {
    !action.starts_with("escalate_")
}

/// Declares the calls of a delivery, each of which waits for its turn. One that is added to [`Delivery`] does
/// not compile before it stands here.
macro_rules! calls {
    ($($name:ident -> $answer:ty: $now:ident;)+) => {
        /// The calls of a delivery, by name.
        pub(crate) const CALLS: &[&str] = &[$(stringify!($name)),+];

        impl Delivery for Port {
            fn channels(&self) -> Option<BTreeSet<ActionType>> {
                self.carries.clone()
            }

            $(fn $name<'a>(&'a self, job: &'a Job) -> Answer<'a, $answer> {
                Box::pin(async move {
                    let hit = self.net.turn(stringify!($name)).await;
                    let answer = self.$now(job, hit);
                    if hit == Hit::Crash { self.net.fall().await } else { answer }
                })
            })+
        }
    };
}

calls! {
    deliver -> Delivered: deliver_now;
    probe -> Probe: probe_now;
}

impl Port {
    fn probe_now(&self, job: &Job, hit: Hit) -> Probe {
        let there = self.net.state().targets.had_effect(job.key);
        self.net.trace(|| format!("probe {} -> {there} {hit:?}", job.key));
        match hit {
            Hit::Before | Hit::Lost => Probe::Unknown,
            Hit::Crash | Hit::None if there => Probe::Done,
            Hit::Crash | Hit::None => Probe::NotDone,
        }
    }

    fn deliver_now(&self, job: &Job, hit: Hit) -> Delivered {
        let late = match self.claim_of(job) {
            Ok(late) => late,
            Err(violation) => {
                self.net.check(Err(violation));
                false
            }
        };
        let mut state = self.net.state();
        let first = !state.targets.keys.contains_key(&job.key);
        let mute = first && state.targets.mute == Some(job.action.as_str());
        let hit = if mute && hit == Hit::None { Hit::Lost } else { hit };
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
            if let Some((place, there)) = place_of(&job.tenant, &job.subject, &job.action) {
                if late {
                    state.targets.untold.insert(place.clone(), who);
                }
                state.targets.changes.push((place.clone(), there, late));
                state.targets.restricted.insert(place, there);
            }
        }
        let takes = state.targets.takes;
        drop(state);
        self.net.check(checked);
        self.net.advance_to(self.net.now().after(takes));
        self.net.trace(|| format!("deliver {} {} -> {outcome:?} {hit:?}", job.action, job.key));
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
    if targets.is_so(job) && random.chance(targets.frank) {
        return Outcome::NoOp;
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
