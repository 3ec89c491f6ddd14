//! Holds the crontab lines of data files against the library, and prints where they disagree.
//!
//! `cargo run --release --example crontab -- FILE.ndjson…`
//!
//! A line of a file is a case: `{"expr","tz","start","inclusive","next":[…]}`, or
//! `{"expr","reason"}` for an expression that is to be refused. The exit code is 1 if a case fails
//! that no choice of design accounts for, and 2 if a file cannot be read.

mod judge;

use std::fs;
use std::process::ExitCode;

use judge::{Tally, Verdict, judge};

fn main() -> ExitCode {
    #[allow(clippy::disallowed_methods, reason = "a program reads its arguments; the library never does")]
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: crontab FILE.ndjson…");
        return ExitCode::from(2);
    }
    let mut tally = Tally::default();
    for file in &files {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::from(2);
            }
        };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let verdict = judge(line).unwrap_or_else(|error| Verdict::Failed(format!("no case: {error}")));
            tally.add(&verdict);
            let place = format!("{file}:{}", number + 1);
            match verdict {
                Verdict::Passed => {}
                Verdict::ByDesign(choice) => println!("by design  {place}: {choice}\n    {line}"),
                Verdict::Failed(why) => println!("FAILED     {place}: {why}\n    {line}"),
            }
        }
    }
    println!(
        "\n{} passed, {} failed, {} by design",
        tally.passed,
        tally.failed,
        tally.by_design.values().sum::<usize>()
    );
    for (choice, count) in &tally.by_design {
        println!("{count:6}  {choice}");
    }
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
