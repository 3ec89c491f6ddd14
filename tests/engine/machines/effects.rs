//! The life of an effect against a second table of it.

use tipstaff::*;

use super::retry;
use super::walks::subject_of_walks;
use crate::support::{at, id, tenant};

/// Every pair of a state and an input of an effect, written from the drawing in its room's
/// documentation: `-` is refused as illegal, `not_held` and `other` for those reasons. The state
/// `standing` is held by one rule, `shared` by two.
const EFFECTS: &str = "
state    hold     hold_more release  release_other lift    lifted other_lifted failed other_failed
clear    standing standing  not_held not_held      -       -      -            -      -
standing standing standing  lifting  not_held      -       -      -            -      -
shared   standing standing  standing not_held      -       -      -            -      -
lifting  standing standing  not_held not_held      -       clear  other        stuck  other
stuck    standing standing  not_held not_held      lifting -      -            -      -
";

fn held(rule: &str, until: Option<i64>) -> Held {
    let lock = subject_of_walks(retry(), Success::Accepted, None);
    Held {
        holder: Holding::Rule(id(rule)),
        since: at(0),
        until: until.map(at),
        generation: 0,
        enforcement: lock.id,
        origin: lock.origin,
        rule: Some((1, id("a"))),
    }
}

/// An effect in each state of the table.
fn effect(state: &str) -> HeldEffect {
    let means = |action: &str| Means {
        action: id(action),
        category: Category::AccessControl,
        channel: id(action),
        retry: retry(),
        success: Success::Accepted,
    };
    let clear = HeldEffect {
        id: id("eff_000102030405060708090a0b0c0d0e0f"),
        tenant: tenant(),
        subject: Subject::user(id("ana")),
        apply: means("lock_account"),
        inverse: means("unlock_account"),
        params: Params::new(),
        state: EffectState::Clear,
        generation: 0,
        since: at(0),
        changed_at: at(0),
        lifted_at: None,
        turn: None,
        uncertain: false,
        administrator: false,
    };
    let step = |effect: &HeldEffect, input: EffectInput| effect.step(&input, at(0)).unwrap();
    let release = EffectInput::Release { holder: Holding::Rule(id("r")), undo: Some(undo()) };
    match state {
        "clear" => clear,
        "standing" => step(&clear, EffectInput::Hold(held("r", Some(60)))),
        "shared" => step(&effect("standing"), EffectInput::Hold(held("s", None))),
        "lifting" => step(&effect("standing"), release),
        "stuck" => step(&effect("lifting"), EffectInput::Failed { undo: undo() }),
        other => panic!("no state {other}"),
    }
}

fn undo() -> EnforcementId {
    id("enf_0f0102030405060708090a0b0c0d0e0f")
}

#[test]
fn every_effect_takes_every_input_as_the_table_says() {
    let mut rows = EFFECTS.lines().filter(|line| !line.is_empty()).map(str::split_whitespace);
    let columns: Vec<&str> = rows.next().unwrap().skip(1).collect();
    let other: EnforcementId = id("enf_ff0102030405060708090a0b0c0d0e0f");
    let mut seen = Vec::new();
    for mut row in rows {
        let name = row.next().unwrap();
        let before = effect(name);
        for (column, expected) in columns.iter().zip(row) {
            let input = match *column {
                "hold" => EffectInput::Hold(held("r", Some(60))),
                "hold_more" => EffectInput::Hold(held("r", Some(120))),
                "release" => EffectInput::Release { holder: Holding::Rule(id("r")), undo: None },
                "release_other" => EffectInput::Release { holder: Holding::Person(id("r")), undo: None },
                "lift" => EffectInput::Lift { by: Holding::Person(id("olga")) },
                "lifted" => EffectInput::Lifted { undo: undo() },
                "other_lifted" => EffectInput::Lifted { undo: other },
                "failed" => EffectInput::Failed { undo: undo() },
                "other_failed" => EffectInput::Failed { undo: other },
                other => panic!("no input {other}"),
            };
            let step = before.step(&input, at(1));
            let got = match &step {
                Ok(next) => next.status().as_str(),
                Err(EffectError::Illegal { .. }) => "-",
                Err(EffectError::NotHeld(_)) => "not_held",
                Err(EffectError::OtherUndo(_)) => "other",
                Err(other) => panic!("{other}"),
            };
            assert_eq!(got, expected, "{name} × {column}");
            let Ok(next) = step else { continue };
            assert!(next.generation >= before.generation && next.changed_at == at(1), "{name} × {column}");
            // A state has holders exactly where it stands.
            assert_eq!(next.holders().is_empty(), next.status() != EffectStatus::Standing);
            // The same time again is no extension; a longer one is, and has an undo of its own.
            if name == "standing" {
                let held = next.held_by(&Holding::Rule(id("r")));
                let extended = held.is_some_and(|held| held.generation > before.generation);
                assert_eq!(extended, *column == "hold_more", "{column}");
            }
        }
        seen.push(before.status());
    }
    seen.dedup();
    assert_eq!(seen, EffectStatus::ALL);
}
