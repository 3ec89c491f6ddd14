//! The guards of time: from and until when, maintenance, quiet hours. All by decision time.

use super::{Suppressed, Suppression};
use crate::action::ActionSpec;
use crate::rule::Times;
use crate::time::Time;

/// How many windows may follow each other without a gap before nobody can say when they end.
const MAX_CHAIN: usize = 1_000;

/// Why nothing of that type may be done now, by the times of the rule, where one asks, and of the
/// tenant; and when it may, whatever of them holds it until then.
pub(crate) fn held(own: Option<&Times>, tenant: &Times, spec: &ActionSpec, now: Time) -> Option<Suppressed> {
    let times = || own.into_iter().chain([tenant]);
    let held = |reason, detail: Option<String>| Suppressed {
        detail,
        until: opens(own, tenant, spec, now),
        ..Suppressed::new(reason)
    };
    if let Some(from) = times().filter_map(|times| times.not_before).find(|from| now < *from) {
        return Some(held(Suppression::NotBefore, Some(format!("not before {from}"))));
    }
    if let Some(end) = times().filter_map(|times| times.not_after).find(|end| *end <= now) {
        return Some(held(Suppression::NotAfter, Some(format!("not from {end} on"))));
    }
    let maintenance = times().flat_map(|times| &times.maintenance);
    if let Some(window) =
        maintenance.filter(|window| window.holds.covers(spec)).find(|w| w.from <= now && now < w.to)
    {
        return Some(held(Suppression::Maintenance, window.why.clone()));
    }
    let mut quiet = times().flat_map(|times| &times.quiet_hours);
    let quiet = quiet.find(|quiet| quiet.holds.covers(spec) && quiet.hours.hold(now))?;
    Some(held(Suppression::QuietHours, Some(quiet.hours.to_string())))
}

/// The first instant at which nothing of it holds such an action; none where there is none, or none
/// that can be told.
fn opens(own: Option<&Times>, tenant: &Times, spec: &ActionSpec, now: Time) -> Option<Time> {
    let times = || own.into_iter().chain([tenant]);
    let mut from = times().filter_map(|times| times.not_before).fold(now, Time::max);
    for _ in 0..MAX_CHAIN {
        if times().filter_map(|times| times.not_after).any(|end| end <= from) {
            return None;
        }
        let maintenance = times().flat_map(|times| &times.maintenance);
        let in_force = |window: &&crate::rule::Maintenance| {
            window.holds.covers(spec) && window.from <= from && from < window.to
        };
        let mut next = maintenance.filter(in_force).map(|window| window.to).max();
        for quiet in times().flat_map(|times| &times.quiet_hours) {
            if quiet.holds.covers(spec) && quiet.hours.hold(from) {
                next = next.max(Some(quiet.hours.lift(from)?));
            }
        }
        match next {
            Some(next) => from = next,
            None => return Some(from),
        }
    }
    None
}
