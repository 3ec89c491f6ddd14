//! What locks leave standing: it is taken back when its time is over, once, and for good.

use std::collections::BTreeMap;

use tipstaff::{EffectId, EffectState, Enforcement, EnforcementId, Purpose, Reason};

use super::{Facts, LATE_ANSWER};

/// Where an effect stands by what has succeeded up to a record of the trail.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Stand {
    /// It was taken back, or never came about.
    #[default]
    Gone,
    /// It must be taken back.
    There,
    /// A late answer may have brought it back; then it is taken back at once.
    Perhaps,
}

impl Facts {
    /// Each time that something stands is ended by one undo: locks of one person share it where one
    /// holds on for the other. The trail has them in the order of their commits, which times of
    /// several hosts do not.
    pub(super) fn stands(&self, faults: &mut Vec<String>) {
        let known: BTreeMap<EnforcementId, &Enforcement> =
            self.enforcements.iter().map(|(enforcement, _)| (enforcement.id, enforcement)).collect();
        let mut stands: BTreeMap<EffectId, Stand> = BTreeMap::new();
        for record in &self.audit {
            let enforcement = record.enforcement.and_then(|id| known.get(&id));
            let Some((enforcement, effect)) = enforcement.and_then(|e| Some((e, e.effect()?))) else {
                continue;
            };
            let stand = stands.entry(effect).or_default();
            *stand = match (&enforcement.purpose, record.code.as_str()) {
                (Purpose::Action, "ENFORCEMENT_SUCCEEDED" | "ENFORCEMENT_FAILED")
                    if self.ends_by_itself(enforcement) =>
                {
                    Stand::There
                }
                // Deliveries of both ways have crossed, and somebody holds it.
                (Purpose::Restore { .. }, "ENFORCEMENT_CREATED") => Stand::There,
                (Purpose::Action, LATE_ANSWER) if *stand == Stand::Gone => Stand::Perhaps,
                (Purpose::Undo { .. }, "ENFORCEMENT_SUCCEEDED") => {
                    if *stand == Stand::Gone {
                        faults.push(format!("{effect} was taken back twice: {}", enforcement.id));
                    }
                    Stand::Gone
                }
                _ => continue,
            };
        }
        for effect in &self.held {
            match &effect.state {
                EffectState::Clear => {}
                // Its undo is one of those that used up their attempts.
                EffectState::Stuck { undo }
                    if known.get(undo).is_some_and(|undo| undo.reason() == Reason::Exhausted) =>
                {
                    stands.remove(&effect.id);
                }
                _ => faults.push(format!("{} is left {}", effect.id, effect.status())),
            }
        }
        for (effect, _) in stands.iter().filter(|(_, stand)| **stand == Stand::There) {
            faults.push(format!("{effect} was never taken back"));
        }
    }

    /// Whether a lock took effect, for a time.
    fn ends_by_itself(&self, lock: &Enforcement) -> bool {
        self.effects.effects.contains_key(&lock.id.to_string())
            && lock.holders.iter().any(|holder| holder.hold.is_some())
    }
}
