//! The contracts, the tables of laws and the documentation of the laws agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tipstaff::conformance::{DELIVERY_LAWS, Law, STORE_LAWS};

/// The sentences of a contract: `/// 7. *Kept whole*: …`.
fn sentences(file: &str) -> BTreeSet<(u8, String)> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    text.lines().filter_map(sentence).collect()
}

fn sentence(line: &str) -> Option<(u8, String)> {
    let (number, rest) = line.trim().strip_prefix("/// ")?.split_once(". *")?;
    let (name, _) = rest.split_once('*')?;
    Some((number.parse().ok()?, name.to_owned()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn named(laws: &[Law]) -> BTreeSet<(u8, String)> {
    laws.iter().map(|law| (law.number, law.name.to_owned())).collect()
}

#[test]
fn each_sentence_of_a_contract_has_its_laws() {
    for (file, laws, count) in [("src/store/mod.rs", STORE_LAWS, 29), ("src/delivery.rs", DELIVERY_LAWS, 5)] {
        let sentences = sentences(file);
        assert_eq!(sentences.len(), count, "{file}");
        assert_eq!(sentences, named(laws), "{file}");
        let numbers: Vec<u8> = sentences.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..).take(count).collect::<Vec<u8>>(), "{file}");
    }
}

#[test]
fn each_law_says_which_sentence_it_is_of() {
    let mut said = BTreeSet::new();
    for file in fs::read_dir(root().join(Path::new("src/conformance/laws"))).unwrap() {
        let path = file.unwrap().path();
        let of_delivery = path.file_stem().is_some_and(|stem| stem == "delivery");
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            let function = pair[1].strip_prefix("pub(in super::super) fn ");
            if let (Some((number, name)), Some(function)) = (sentence(pair[0]), function) {
                let law = function.split('(').next().unwrap().to_owned();
                said.insert((of_delivery, number, name, law));
            }
        }
    }
    let of = |delivery: bool, laws: &[Law]| -> Vec<_> {
        laws.iter().map(|law| (delivery, law.number, law.name.to_owned(), law.test.to_owned())).collect()
    };
    let laws: BTreeSet<_> = of(false, STORE_LAWS).into_iter().chain(of(true, DELIVERY_LAWS)).collect();
    assert_eq!(said, laws);
}

#[test]
fn laws_stand_in_the_order_of_the_contract_under_names_of_their_own() {
    for laws in [STORE_LAWS, DELIVERY_LAWS] {
        assert!(laws.is_sorted_by_key(|law| law.number));
        let names: BTreeSet<&str> = laws.iter().map(|law| law.test).collect();
        assert_eq!(names.len(), laws.len());
    }
}
