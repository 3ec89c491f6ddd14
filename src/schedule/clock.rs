//! From wall-clock times to instants: what a line does when the clock is put forward or back.

use crate::schedule::readings::{Fold, Gap};
use crate::schedule::wall::{Times, WallSecs};
use crate::schedule::zone::{MAX_OFFSET, UtcSecs, Zone};

/// A clock that is put back shows again what it showed at most this long ago, and no more than one
/// change happens meanwhile.
const LOOK_BACK: i64 = 2 * MAX_OFFSET;

/// The next run after `after` of a line whose minute or hour is starred: it runs whenever the clock
/// shows one of its times. So both passes of a repeated hour count, and nothing is moved out of a
/// skipped one.
pub(super) fn next_shown(wall: &impl Times, zone: Zone, after: UtcSecs) -> Option<UtcSecs> {
    let mut from = after;
    loop {
        let time = wall.first_from(zone.wall(from) + 1)?;
        let at = time - zone.offset(from);
        // Beyond this the clock shows only times later than now, so none before `time` is due.
        let horizon = from + LOOK_BACK;
        match zone.next_change(from, at.min(horizon)) {
            None if at <= horizon => return Some(at),
            None => from = horizon.max(time - LOOK_BACK),
            Some(change) => {
                let shown = zone.wall(change);
                if wall.first_from(shown) == Some(shown) {
                    return Some(change);
                }
                from = change;
            }
        }
    }
}

/// The next run after `after` of a line with a fixed minute and hour: it runs when the clock first
/// reaches or passes one of its times. So a skipped time runs at the end of the skip, many of them
/// as one, and a repeated one at its first pass.
pub(super) fn next_reached(wall: &impl Times, zone: Zone, after: UtcSecs) -> Option<UtcSecs> {
    // The first time that the clock has not reached by `after`.
    let mut ahead = zone.wall(after) + 1;
    let mut from = after - LOOK_BACK;
    while let Some(change) = zone.next_change(from, after) {
        ahead = ahead.max(change + zone.offset(change - 1));
        from = change;
    }
    let time = wall.first_from(ahead)?;
    let mut from = time - LOOK_BACK;
    loop {
        let at = time - zone.offset(from);
        match zone.next_change(from, at) {
            None => return Some(at),
            Some(change) if zone.wall(change) >= time => return Some(change),
            Some(change) => from = change,
        }
    }
}

/// The next run after `after` by another library's choices, the slow and plain way: every time of
/// the line that could lead there, one by one.
pub(super) fn next_by(
    wall: &impl Times,
    zone: Zone,
    after: UtcSecs,
    gap: Gap,
    fold: Fold,
) -> Option<UtcSecs> {
    let mut best: Option<UtcSecs> = None;
    let mut from = zone.wall(after) - LOOK_BACK;
    while let Some(time) = wall.first_from(from) {
        if best.is_some_and(|best| best < time - MAX_OFFSET) {
            break;
        }
        let runs = runs(zone, time, gap, fold).into_iter().filter(|at| *at > after);
        best = best.into_iter().chain(runs).min();
        from = time + 1;
    }
    best
}

fn runs(zone: Zone, time: WallSecs, gap: Gap, fold: Fold) -> Vec<UtcSecs> {
    let mut passes = Vec::new();
    let mut skipped = None;
    let mut from = time - LOOK_BACK;
    loop {
        let at = time - zone.offset(from);
        let change = zone.next_change(from, time + LOOK_BACK);
        if from <= at && change.is_none_or(|change| at < change) {
            passes.push(at);
        }
        let Some(change) = change else { break };
        if change <= at && time < zone.wall(change) {
            skipped = Some((change, at));
        }
        from = change;
    }
    match (&passes[..], skipped, gap, fold) {
        ([], Some((end, _)), Gap::FirstValid, _) => vec![end],
        ([], Some((_, shifted)), Gap::Shifted, _) => vec![shifted],
        ([first, ..], _, _, Fold::First) => vec![*first],
        ([.., last], _, _, Fold::Second) => vec![*last],
        _ => passes,
    }
}
