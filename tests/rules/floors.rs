//! A room of src/ uses only rooms on lower floors, and of its own floor only those to its left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, from the ground up; ARCHITECTURE.md repeats them.
const FLOORS: &[&[&str]] = &[
    &["ready", "broken", "words", "time", "hash", "decimal", "json", "id"],
    &["audit", "pattern", "matcher", "score", "schedule"],
    &["action", "signal"],
    &["rule"],
    &["approval", "exemption", "state", "watch"],
    &["enforcement", "effect"],
    &["guard"],
    &["plan"],
    &["store", "delivery", "people"],
    &["engine"],
    &["memory", "conformance"],
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file below a folder, with the room that it belongs to.
fn files(folder: &Path, room: Option<&str>, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let room = room.unwrap_or(&name);
        if path.is_dir() {
            files(&path, Some(room), found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((room.to_owned(), path));
        }
    }
}

/// The text without comments, strings aside: what the compiler sees of paths.
fn code(text: &str) -> String {
    let without = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(without).collect::<Vec<_>>().join("\n")
}

/// The rooms that a file names by `crate::room`, also in `use crate::{a, b::c}`.
fn named(code: &str) -> BTreeSet<String> {
    let word =
        |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = true;
        for (i, c) in group.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => item = true,
                _ if item && !c.is_whitespace() => {
                    rooms.insert(word(&group[i..]));
                    item = false;
                }
                _ => {}
            }
        }
    }
    rooms
}

#[test]
fn a_room_uses_only_what_lies_below_it() {
    let place = |room: &str| {
        FLOORS
            .iter()
            .enumerate()
            .find_map(|(floor, rooms)| Some((floor, rooms.iter().position(|r| *r == room)?)))
    };
    let mut found = Vec::new();
    files(&source(), None, &mut found);
    assert!(found.len() > 50, "the sources are there");
    let mut used: BTreeMap<(String, String), PathBuf> = BTreeMap::new();
    for (room, path) in &found {
        let code = code(&fs::read_to_string(path).unwrap());
        for other in named(&code) {
            // What lib.rs itself has: names of the public surface, as doc tests and tests use them.
            let is_room = place(&other).is_some()
                || !other.is_empty() && source().join(&other).is_dir()
                || source().join(format!("{other}.rs")).is_file();
            if *room != "lib" && other != *room && is_room {
                used.entry((room.clone(), other)).or_insert_with(|| path.clone());
            }
        }
    }
    assert!(used.len() > 60, "the paths were read: {}", used.len());
    let mut wrong = Vec::new();
    for ((room, other), path) in &used {
        match (place(room), place(other)) {
            (Some(here), Some(there)) if there < here => {}
            (Some(_), Some(_)) => {
                wrong.push(format!("`{room}` uses `{other}`, which is not below it: {}", path.display()))
            }
            _ => wrong.push(format!("`{room}` or `{other}` has no floor: {}", path.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // And no floor has a room that is not built, but for the one that a feature adds.
    let built: BTreeSet<&str> = found.iter().map(|(room, _)| room.as_str()).collect();
    let missing: Vec<_> = FLOORS
        .iter()
        .copied()
        .flatten()
        .filter(|room| !built.contains(*room) && **room != "conformance")
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let homeless: Vec<_> = built.iter().filter(|room| **room != "lib" && place(room).is_none()).collect();
    assert!(homeless.is_empty(), "{homeless:?} need a floor");
}

#[test]
fn the_reader_of_paths_sees_them() {
    let text = "use crate::{a::{b, c}, d};\nuse crate::e::F; // crate::g\nlet x = crate::h::i();";
    let rooms: Vec<_> = named(&code(text)).into_iter().collect();
    assert_eq!(rooms, ["a", "d", "e", "h"]);
}
