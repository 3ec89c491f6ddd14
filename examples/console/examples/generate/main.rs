//! Writes the demo's inputs: `cargo run -p tipstaff-console --example generate [-- FOLDER]`.
//!
//! The same bytes every time. A test holds the committed files against them.

mod cast;
mod cloudtrail;
mod files;
mod github;
mod incidents;
mod json;
mod okta;
mod routine;
mod scores;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let demo = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("demo");
    let folder = std::env::args_os().nth(1).map_or_else(demo, PathBuf::from);
    for (name, content) in files::all() {
        if let Err(error) = std::fs::write(folder.join(name), &content) {
            eprintln!("{}: {error}", folder.join(name).display());
            return ExitCode::FAILURE;
        }
        println!("{name}: {} bytes", content.len());
    }
    ExitCode::SUCCESS
}
