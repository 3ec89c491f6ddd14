//! Every way to be refused: each variant of every public error, each limit, each with its place
//! and with what would be accepted; and nothing is written by what is refused.

mod approvals;
mod documents;
mod engine;
mod limits;
mod together;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

/// One refusal that was provoked.
pub(crate) struct Row {
    /// `Type` or `Type::Variant`.
    what: String,
}

/// A refusal, which must say what is accepted or what to do.
#[track_caller]
pub(crate) fn row<E: Error>(error: &E, accepted: &str) -> Row {
    let name = std::any::type_name::<E>().rsplit("::").next().unwrap();
    let shown = error.to_string();
    assert!(shown.contains(accepted), "{name}: `{shown}` does not say `{accepted}`");
    assert!(!shown.ends_with('.'), "no full stop: {shown}");
    let first = shown.chars().next().unwrap();
    let named = ["no JSON", "JSON"].iter().any(|start| shown.starts_with(start));
    assert!(named || !first.is_uppercase() || shown.starts_with("CRON"), "lower case: {shown}");
    let debug = format!("{error:?}");
    let variant: String = debug.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
    Row { what: if variant == name { variant } else { format!("{name}::{variant}") } }
}

/// Those that no caller can provoke, with the reason.
const NOT_PROVOKED: &[(&str, &str)] = &[
    ("SyntaxFault::NotUtf8", "texts come in as `str`; the reader of bytes has a test of its own"),
    ("EngineError::Effect", "the engine asks an effect for no move that it does not allow"),
    ("EngineError::Id", "the only id that the engine reads itself is made of hexadecimal digits"),
];

/// The public errors of the crate by their definition: the variants of enums, none for structs.
fn declared() -> BTreeMap<String, Vec<String>> {
    let mut errors = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("conformance") {
                // What a broken law tells is the suite's answer, not a refusal.
            } else if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                read_errors(&fs::read_to_string(path).unwrap(), &mut errors);
            }
        }
    }
    errors
}

fn read_errors(text: &str, errors: &mut BTreeMap<String, Vec<String>>) {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric()).collect::<String>();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("impl std::error::Error for ") {
            errors.insert(word(rest), Vec::new());
        }
    }
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !(line.starts_with("#[derive(") && line.contains("thiserror::Error")) {
            continue;
        }
        let item = lines.by_ref().find(|line| line.starts_with("pub ")).unwrap();
        if let Some(rest) = item.strip_prefix("pub struct ") {
            errors.insert(word(rest), Vec::new());
        } else if let Some(rest) = item.strip_prefix("pub enum ") {
            // A variant begins a line at one step of indentation.
            let body = lines.by_ref().take_while(|line| *line != "}");
            let variant = |line: &str| {
                let name = word(line.strip_prefix("    ")?);
                name.starts_with(|c: char| c.is_ascii_uppercase()).then_some(name)
            };
            errors.insert(word(rest), body.filter_map(variant).collect());
        }
    }
}

#[test]
fn every_variant_of_every_error_was_provoked() {
    let rows =
        documents::rows().into_iter().chain(values::rows()).chain(engine::rows()).chain(approvals::rows());
    let seen: BTreeSet<String> = rows.map(|row| row.what).collect();
    let errors = declared();
    assert!(errors.len() > 45, "the definitions were read: {:?}", errors.keys());
    let all: BTreeSet<String> = errors
        .iter()
        .flat_map(|(name, variants)| match variants.as_slice() {
            [] => vec![name.clone()],
            variants => variants.iter().map(|variant| format!("{name}::{variant}")).collect(),
        })
        .collect();
    let exempt: BTreeSet<String> = NOT_PROVOKED.iter().map(|(what, _)| (*what).to_owned()).collect();
    let missing: Vec<_> = all.difference(&seen).filter(|what| !exempt.contains(*what)).collect();
    assert!(missing.is_empty(), "without a row: {missing:#?}");
    let idle: Vec<_> = exempt.iter().filter(|what| seen.contains(*what) || !all.contains(*what)).collect();
    assert!(idle.is_empty(), "needs no excuse: {idle:?}");
    let unknown: Vec<_> = seen.difference(&all).collect();
    assert!(unknown.is_empty(), "not found in the sources: {unknown:?}");
}
