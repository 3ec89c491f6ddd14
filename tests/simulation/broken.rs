//! Engines that are broken on purpose: each is caught, by an invariant that names what is wrong, within
//! a bounded number of seeds, which are clean without the defect.

use tipstaff::broken::{Defect, with};

use crate::witness::Violation;
use crate::world::Weight;
use crate::{play, rules, seeds};

/// The most seeds of either weight that a defect may survive.
const BOUND: u64 = 20_000;

/// What the simulation must catch.
const KEPT: [Defect; 22] = [
    Defect::AcknowledgedBeforeStored,
    Defect::ApprovalWithoutCas,
    Defect::AuditInSecondCommit,
    Defect::BlindRescue,
    Defect::EffectBeforeClaim,
    Defect::ErrorAsFinal,
    Defect::HostClockJudgesLeases,
    Defect::KeyPerAttempt,
    Defect::LeasesSleptThrough,
    Defect::MarkMovedFirst,
    Defect::NewIdAfterUnknown,
    Defect::NoAttemptCap,
    Defect::OwedForgotten,
    Defect::RefusalWrites,
    Defect::SettledWithoutToken,
    Defect::StoppedIsClaimed,
    Defect::TerminalReopened,
    Defect::TimersSleptThrough,
    Defect::TokenKept,
    Defect::TurnsForgotten,
    Defect::UndoForgotten,
    Defect::UnknownTypesFailed,
];

/// The first seed that shows the defect, with what it violates.
fn caught(defect: Defect) -> Option<(u64, Weight, Violation)> {
    (0..BOUND).find_map(|seed| {
        [Weight::Heavy, Weight::Light].into_iter().find_map(|weight| {
            let outcome = with(Some(defect), || play(weight, seed, false)).0;
            outcome.err().map(|violation| (seed, weight, violation))
        })
    })
}

#[test]
fn every_defect_is_caught() {
    // The rules are installed by an engine that is whole.
    drop(rules::rules(0, 0));
    let mut lines: Vec<(&str, Option<u64>, String)> = Vec::new();
    let halves = KEPT.split_at(KEPT.len() / 2);
    std::thread::scope(|scope| {
        let search = |defects: &'static [Defect]| {
            defects.iter().map(|defect| (*defect, caught(*defect))).collect::<Vec<_>>()
        };
        let (one, other): (&'static [Defect], &'static [Defect]) =
            (halves.0.to_vec().leak(), halves.1.to_vec().leak());
        let (one, other) = (scope.spawn(move || search(one)), scope.spawn(move || search(other)));
        for (defect, found) in one.join().unwrap().into_iter().chain(other.join().unwrap()) {
            let line = match &found {
                Some((seed, weight, violation)) => {
                    format!("{} seeds ({}): {violation}", seed + 1, weight.name())
                }
                None => format!("not within {BOUND} seeds"),
            };
            lines.push((defect.name(), found.map(|(seed, ..)| seed), line));
        }
    });
    for (name, _, line) in &lines {
        println!("{name:<28} {line}");
    }
    let missed: Vec<_> = lines.iter().filter(|(_, seed, _)| seed.is_none()).map(|(name, ..)| name).collect();
    assert!(missed.is_empty(), "{missed:?}");
    let most = lines.iter().filter_map(|(_, seed, _)| *seed).max().unwrap_or(0) + 1;
    for weight in [Weight::Heavy, Weight::Light] {
        assert_eq!(
            seeds(weight, 0, most).0,
            None,
            "without a defect, {most} {} seeds are clean",
            weight.name()
        );
    }
}
