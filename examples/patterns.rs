//! Holds recorded cases of the event-pattern language against this crate.
//!
//! `cargo run --release --example patterns -- FILE.ndjson…`: each line is an object with
//! `pattern`, `event` and `should_match`, or with `pattern` and `valid`, or with an `event` that
//! must be refused. Prints every disagreement with its reason, field by field, and the sums last.

#![allow(clippy::disallowed_methods, reason = "a program reads its arguments; only the library must not")]

use std::process::ExitCode;
use std::{env, fs};

#[path = "support/pattern_cases.rs"]
mod cases;

use cases::{Case, Outcome, Tally};

fn main() -> ExitCode {
    let files: Vec<String> = env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: patterns FILE.ndjson…");
        return ExitCode::from(2);
    }
    let mut tally = Tally::default();
    for file in &files {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) => {
                eprintln!("`{file}`: {e}");
                return ExitCode::from(2);
            }
        };
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let (id, outcome) = match Case::read(line) {
                Ok(case) => (case.id.clone(), case.outcome()),
                Err(reason) => (String::new(), Outcome::Failed(reason)),
            };
            tally.add(&outcome);
            match outcome {
                Outcome::Passed => {}
                Outcome::ByDesign(choice) => println!("{file}:{number} {id}: by design: {choice}"),
                Outcome::Failed(reason) => println!("{file}:{number} {id}: {reason}\n  {line}"),
            }
        }
    }
    println!("{tally}");
    if tally.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
