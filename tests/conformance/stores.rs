//! Wrong stores: each breaks the laws that are named for it, and no other.

use std::collections::BTreeSet;

use tipstaff::conformance::{STORE_LAWS, Variant, at_once, prove_store};

use crate::defects::{Defect, HIDDEN, RACES};
use crate::faulty::Faulty;

/// How often a law may miss what it ought to find: some set hosts against each other, who on a busy
/// machine need not meet.
const TRIES: usize = 100;

/// Whether the laws say of a defect what they ought to: plainly, those that are named for it and no
/// other; in each other variant those that are named, but for what repeats hide.
fn judged(defect: Defect, named: &[&str]) -> Result<(), String> {
    let breaks =
        |law: &str, variant: Variant| prove_store(law, variant, || Faulty::new(defect), at_once).err();
    let mut wrong = Vec::new();
    for law in STORE_LAWS {
        let of_it = named.contains(&law.test);
        if RACES.contains(&(defect, law.test)) {
            continue;
        }
        let found = |variant: Variant| (0..TRIES).find_map(|_| breaks(law.test, variant));
        match if of_it { found(Variant::Plain) } else { breaks(law.test, Variant::Plain) } {
            Some(broken) if !of_it => wrong.push(format!("plain breaks {}: {broken}", law.test)),
            None if of_it => wrong.push(format!("plain does not break {}", law.test)),
            _ => {}
        }
        for variant in Variant::ALL.iter().filter(|variant| of_it && **variant != Variant::Plain) {
            if !HIDDEN.contains(&(defect, law.test)) && found(*variant).is_none() {
                wrong.push(format!("{variant} does not break {}", law.test));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{defect:?}:\n    {}", wrong.join("\n    "))) }
}

#[test]
fn a_wrong_store_breaks_the_laws_named_for_it() {
    // The two cores of a small machine share the work.
    let (left, right) = Defect::ALL.split_at(Defect::ALL.len() / 2);
    let judge = |defects: &[(Defect, &[&str])]| -> Vec<String> {
        defects.iter().filter_map(|(defect, named)| judged(*defect, named).err()).collect()
    };
    let wrong = std::thread::scope(|scope| {
        let left = scope.spawn(|| judge(left));
        let right = judge(right);
        [left.join().unwrap(), right].concat()
    });
    assert!(wrong.is_empty(), "{} defects are misjudged\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_law_is_broken_by_some_store() {
    let broken: BTreeSet<&str> = Defect::ALL.iter().flat_map(|(_, laws)| laws.iter().copied()).collect();
    let laws: BTreeSet<&str> = STORE_LAWS.iter().map(|law| law.test).collect();
    assert_eq!(broken, laws);
}
