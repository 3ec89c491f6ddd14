//! The command line.

mod approvals;
mod args;
mod audit;
mod bands;
mod catalog;
mod demo;
mod effects;
mod exempt;
mod explain;
mod feed;
mod host;
mod kill_switch;
mod left;
pub mod load;
mod log;
mod operators;
mod replay;
mod rules;
mod schedule;
mod show;
mod start;
mod why;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use args::Command;
use host::Host;

/// What a command prints, and whether it found all well.
struct Output {
    /// For standard output.
    text: String,
    /// Whether the command did what was asked and found no fault.
    ok: bool,
}

impl Output {
    fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), ok: true }
    }

    fn json(value: &serde_json::Value) -> Self {
        Self::ok(format!("{value:#}\n"))
    }
}

/// What stops a command.
type Failure = Box<dyn std::error::Error>;

/// Reads the command line, does what it says, prints the outcome.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(output) => match io::stdout().lock().write_all(output.text.as_bytes()) {
            // A reader that has seen enough, such as `head`, is no fault.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => fail(&error),
            _ if output.ok => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        },
        Err(error) => fail(&*error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    // Standard error may be closed as well; there is nobody left to tell then.
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::FAILURE
}

fn run(cli: &Cli) -> Result<Output, Failure> {
    match &cli.command {
        Command::Demo { dir } => demo::run(cli, dir),
        Command::Catalog => Ok(catalog::run(cli)),
        Command::Replay(replay) => replay::run(cli, replay),
        Command::Run => Host::open(cli)?.run_now(),
        Command::Rules(command) => rules::run(cli, command),
        Command::Bands(command) => bands::run(&Host::open(cli)?, command),
        Command::Schedule(command) => schedule::run(cli, command),
        Command::Start(start) => start::run(&Host::open(cli)?, start),
        Command::Log(log) => log::run(&Host::open(cli)?, log),
        Command::Explain(what) => explain::run(cli, what),
        Command::Why { id } => why::run(&Host::open(cli)?, *id),
        Command::WhyNot(asked) => why::not(&Host::open(cli)?, asked),
        Command::Exempt(command) => exempt::run(&Host::open(cli)?, command),
        Command::Effects(command) => effects::run(&Host::open(cli)?, command),
        Command::Signals(signals) => log::signals(&Host::open(cli)?, signals),
        Command::Approvals(command) => approvals::run(&Host::open(cli)?, command),
        Command::Verdict(judge) => approvals::judge(&Host::open(cli)?, judge),
        Command::KillSwitch(command) => kill_switch::run(&Host::open(cli)?, command),
        Command::Load(load) => load::run(cli, load),
        Command::Audit(command) => audit::run(&Host::open(cli)?, command),
    }
}
