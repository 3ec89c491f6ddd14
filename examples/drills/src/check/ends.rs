//! How deliveries came to their end, and what the receiver saw of them.

use std::collections::BTreeMap;

use tipstaff::{Enforcement, Purpose, Reason, Status};

use super::Facts;

/// One enforcement of so many may use up its attempts, each by a fault: on a slow machine a storm has many
/// faults for few signals.
const EXHAUSTED: usize = 20;

impl Facts {
    /// Everything is over, in a way for which a drill has a reason; what succeeded had its effect, and
    /// nothing had one that nobody decided, or was sent without an attempt that is counted.
    pub(super) fn deliveries(&self, faults: &mut Vec<String>) {
        let mut known = BTreeMap::new();
        for (enforcement, _) in &self.enforcements {
            let (key, reason) = (enforcement.id.to_string(), enforcement.reason());
            let seen = |of: &BTreeMap<String, usize>| of.get(&key).copied().unwrap_or(0);
            let (effects, came) = (seen(&self.effects.effects), seen(&self.effects.attempts));
            faults.extend(wrong_end(enforcement).map(|why| format!("{key} {why}")));
            if enforcement.status() == Status::Succeeded && effects == 0 {
                faults.push(format!("{key} succeeded, and the receiver never saw it"));
            }
            if effects > usize::from(reason != Reason::Rejected) {
                faults.push(format!("{key} ({reason}) had its effect {effects} times"));
            }
            // A claim is an attempt; one that is handed back is none, and nothing was sent for it.
            if came > enforcement.attempts as usize {
                faults.push(format!("{key} came {came} times in {} attempts", enforcement.attempts));
            }
            known.insert(key, enforcement);
        }
        for key in self.effects.effects.keys().filter(|key| !known.contains_key(*key)) {
            faults.push(format!("{key} had its effect without a record"));
        }
        let exhausted = known.values().filter(|e| e.reason() == Reason::Exhausted).count();
        if exhausted > known.len().div_ceil(EXHAUSTED) {
            faults.push(format!("{exhausted} of {} used up their attempts", known.len()));
        }
        if self.effects.refused > 0 {
            faults.push(format!("{} messages were not believed", self.effects.refused));
        }
    }
}

/// What is wrong with an end: the receiver refuses nothing for good, nobody calls anything off, all of
/// it may be repeated, and people answer in time.
fn wrong_end(enforcement: &Enforcement) -> Option<String> {
    let reason = enforcement.reason();
    let (attempts, most) = (enforcement.attempts, enforcement.retry.attempts);
    match reason {
        _ if enforcement.status() == Status::Pending => Some(format!("is not over: {reason}")),
        Reason::Done => None,
        Reason::Rejected if enforcement.approval.is_some() => None,
        // Whoever holds on, or for whom somebody else has taken it back, needs it no more.
        Reason::Superseded
            if matches!(enforcement.purpose, Purpose::Undo { .. } | Purpose::Restore { .. }) =>
        {
            None
        }
        Reason::Exhausted if attempts >= most => None,
        Reason::Exhausted => Some(format!("was given up after {attempts} of {most} attempts")),
        _ => Some(format!("came to an end ({reason}), for which there was no reason")),
    }
}
