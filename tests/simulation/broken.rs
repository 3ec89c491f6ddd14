//! Engines that are broken on purpose: each is caught, as a rule by the invariant that names what is wrong,
//! within a bounded number of seeds, which are clean without the defect.

use tipstaff::broken::{Defect, with};

use crate::finish::{ANSWERED, HELD, OCCURRED, RECORDED, TOLD, WHY};
use crate::target::{ALREADY, CAPPED, CARRIED, CLAIMED, ONCE};
use crate::witness::{FAIR, FINAL, HOLDER, ROWS, SETTLED, STOPPED, TOGETHER, TOKENS, Violation};
use crate::world::{REFUSED, RELEASED, SLEPT, Weight};
use crate::{play, rules, seeds};

/// The most seeds of either weight that a defect may survive.
const BOUND: u64 = 20_000;

/// What the simulation must catch, and which invariant says what is wrong.
const KEPT: [(Defect, &str); 25] = [
    (Defect::AcknowledgedBeforeStored, RECORDED),
    (Defect::ApprovalWithoutCas, ANSWERED),
    (Defect::AuditInSecondCommit, TOGETHER),
    (Defect::BlindRescue, ONCE),
    (Defect::EffectBeforeClaim, CLAIMED),
    (Defect::ErrorAsFinal, WHY),
    (Defect::HostClockJudgesLeases, HOLDER),
    (Defect::KeyPerAttempt, CLAIMED),
    (Defect::LeasesSleptThrough, SLEPT),
    (Defect::MarkMovedFirst, OCCURRED),
    (Defect::NewIdAfterUnknown, TOLD),
    (Defect::NoAttemptCap, CAPPED),
    (Defect::OwedForgotten, RELEASED),
    (Defect::RefusalWrites, REFUSED),
    (Defect::SettledWithoutToken, SETTLED),
    (Defect::StoppedIsClaimed, STOPPED),
    (Defect::SwitchUntold, TOGETHER),
    (Defect::TerminalReopened, FINAL),
    (Defect::TimersSleptThrough, SLEPT),
    (Defect::TokenKept, TOKENS),
    (Defect::ToldTwice, ROWS),
    (Defect::TurnsForgotten, FAIR),
    (Defect::UncertainIsThere, ALREADY),
    (Defect::UndoForgotten, HELD),
    (Defect::UnknownTypesFailed, CARRIED),
];

/// How many seeds the invariant that names a defect has to itself; after them, any that does not hold will do.
const NAMED: u64 = 200;

/// The first seed that shows the defect.
fn caught(defect: Defect, invariant: &str) -> Option<(u64, Weight, Violation)> {
    let shown = |seed: u64, any: bool| {
        [Weight::Heavy, Weight::Light].into_iter().find_map(|weight| {
            let outcome = with(Some(defect), || play(weight, seed, false)).0;
            let violation = outcome.err().filter(|violation| any || violation.invariant == invariant);
            violation.map(|violation| (seed, weight, violation))
        })
    };
    (0..NAMED).find_map(|seed| shown(seed, false)).or_else(|| (0..BOUND).find_map(|seed| shown(seed, true)))
}

#[test]
fn every_defect_is_caught() {
    // The rules are installed by an engine that is whole.
    drop(rules::rules(0, 0));
    let (one, other) = KEPT.split_at(KEPT.len() / 2);
    let search = |defects: &[(Defect, &'static str)]| -> Vec<_> {
        defects.iter().map(|(defect, invariant)| (*defect, *invariant, caught(*defect, invariant))).collect()
    };
    let found = std::thread::scope(|scope| {
        let one = scope.spawn(|| search(one));
        let other = search(other);
        [one.join().unwrap(), other].concat()
    });
    let (mut missed, mut most) = (Vec::new(), 0);
    for (defect, invariant, found) in found {
        let name = defect.name();
        match found {
            Some((seed, weight, violation)) => {
                println!("{name:<28} {} seeds ({}): {violation}", seed + 1, weight.name());
                most = most.max(seed + 1);
            }
            None => missed.push(format!("{name}: `{invariant}` and all others hold in {BOUND} seeds")),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    for weight in [Weight::Heavy, Weight::Light] {
        assert_eq!(
            seeds(weight, 0, most).0,
            None,
            "without a defect, {most} {} seeds are clean",
            weight.name()
        );
    }
}
