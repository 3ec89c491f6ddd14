//! Drills on real processes and servers: what is killed, stopped, cut off and starved here must have
//! lost nothing and done nothing twice. See the README.

mod check;
mod drill;
mod fleet;
mod host;
mod obstacle;
mod proxy;
mod server;
mod storm;
mod world;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::drill::Outcome;

/// Drills of the engine with real processes, a real server and a receiver that counts effects.
#[derive(Debug, Parser)]
#[command(name = "tipstaff-drills", version, max_term_width = 100)]
struct Cli {
    /// How long: `small` takes seconds, `short` is for each change, `long` for each release.
    #[arg(value_enum, default_value_t = Form::Short)]
    form: Form,
    /// Only these drills; may be repeated.
    #[arg(long, value_enum)]
    only: Vec<Drill>,
    /// Fail where this drill cannot run here, rather than skip it; may be repeated.
    #[arg(long, value_enum, value_name = "DRILL")]
    must_run: Vec<Drill>,
    /// Be one of the processes that are drilled.
    #[arg(long, hide = true, value_name = "JSON")]
    host: Option<String>,
}

/// How many faults of each kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Form {
    /// A look at whether the drills themselves work.
    Small,
    /// 100 kills, 3 server crashes, 20 dropped commits, 10 pauses.
    Short,
    /// 1,000 kills, 100 server crashes, 500 dropped commits, 200 pauses.
    Long,
}

/// A drill.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Drill {
    /// Four processes on one SQLite file: kills and pauses.
    Sqlite,
    /// Eight processes on a PostgreSQL server: kills, pauses, crashes of the server, dropped commits.
    Postgres,
    /// Four processes on a SQLite file whose disk is full for a while.
    SqliteFull,
    /// Four processes on a SQLite file that may only be read for a while.
    SqliteReadOnly,
    /// Eight processes on a server whose tables have no room for a while.
    PostgresFull,
    /// Eight processes on a server that takes no writes for a while.
    PostgresReadOnly,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(order) = &cli.host {
        host::run(order);
        return ExitCode::SUCCESS;
    }
    let must = |drill: &Drill| cli.must_run.contains(drill);
    let wanted = |drill: &&Drill| cli.only.is_empty() || cli.only.contains(drill) || must(drill);
    let mut failed = false;
    for drill in Drill::value_variants().iter().filter(wanted) {
        let name = drill.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let (passed, said) = told(drill::run(*drill, cli.form), must(drill));
        println!("{name}: {said}");
        failed |= !passed;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether a drill passed, and what is said of it.
fn told(outcome: Result<Outcome, String>, must_run: bool) -> (bool, String) {
    match outcome {
        Ok(Outcome::Passed(said)) => (true, said),
        Ok(Outcome::Skipped(why)) if must_run => (false, format!("FAILED\nit must run, and cannot: {why}")),
        Ok(Outcome::Skipped(why)) => (true, format!("skipped, {why}")),
        Err(faults) => (false, format!("FAILED\n{faults}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_is_skipped_only_where_it_may_be() {
        let skipped = || Ok(Outcome::Skipped("no server is installed".to_owned()));
        assert_eq!(told(skipped(), false), (true, "skipped, no server is installed".to_owned()));
        let (passed, said) = told(skipped(), true);
        assert!(!passed && said.contains("no server is installed"), "{said}");
        assert!(told(Ok(Outcome::Passed("all is well".to_owned())), true).0);
        assert!(!told(Err("a fault".to_owned()), false).0);
    }
}
