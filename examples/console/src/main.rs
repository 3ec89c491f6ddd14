//! The console host's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    tipstaff_console::cli::main()
}
