//! The guards that do not count, as stories: times, rollout, protected subjects, the last
//! administrators, exemptions by attribute, and what tells of them.

mod administrators;
mod hosts;
mod hours;
mod protected;
mod rollout;
mod stories;
mod times;
mod told;
mod waivers;

use tipstaff::*;

/// What became of the one action of a decision: the reason where it was held back, and until when.
#[track_caller]
pub(crate) fn held(decision: &Decision) -> Option<(&'static str, Option<Time>)> {
    let [outcome] = decision.outcomes.as_slice() else { panic!("one action: {decision}") };
    match &outcome.effect {
        Effect::Suppressed(held) => Some((held.reason.as_str(), held.until)),
        _ => None,
    }
}

/// The reason alone.
#[track_caller]
pub(crate) fn reason(decision: &Decision) -> Option<&'static str> {
    held(decision).map(|(reason, _)| reason)
}
