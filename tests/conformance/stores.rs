//! Wrong stores: each breaks the laws that are named for it, and no other.

use std::collections::BTreeSet;

use tipstaff::conformance::{STORE_LAWS, Variant, run_store};

use crate::defects::{Defect, HIDDEN_BY_LOSS};
use crate::faulty::Faulty;

/// Whether the laws say of a defect what they ought to; what is wrong otherwise.
fn judged(defect: Defect, named: &[&str]) -> Result<(), String> {
    let report = run_store(|| Faulty::new(defect));
    let named: BTreeSet<&str> = named.iter().copied().collect();
    let plain = report.broken(Variant::Plain);
    let lost = report.broken(Variant::Lost);
    let hidden = HIDDEN_BY_LOSS.iter().filter(|(of, _)| *of == defect).map(|(_, law)| *law);
    if plain == named && named.difference(&lost).copied().eq(hidden) {
        return Ok(());
    }
    let of_concern = |test: &str| named.contains(test) || plain.contains(test);
    let mut text = format!("{defect:?}: named {named:?}\n  plain {plain:?}\n  lost {lost:?}\n");
    for proof in report.proofs.iter().filter(|proof| of_concern(proof.law.test)) {
        text.push_str(&format!("    {proof}\n"));
    }
    Err(text)
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
