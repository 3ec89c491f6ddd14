//! The engine on a database, with the outbox beside it.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use tipstaff::{ActionType, Engine, EngineError, RuleId, RuleSet, RunReport, Settings, TenantId, Time};

use super::args::Cli;
use super::{Failure, Output};
use crate::outbox::Outbox;
use crate::store::block_on;

/// An open engine, and how the command line wants it used.
pub(super) struct Host {
    /// The engine.
    pub(super) engine: Engine,
    /// Whose rules and records.
    pub(super) tenant: TenantId,
    /// The time to act at.
    pub(super) now: Time,
    /// Whether to print JSON.
    pub(super) json: bool,
}

impl Host {
    /// The engine on the database that the command line names. The database must be there: only
    /// `demo`, `replay` and `rules add` make one.
    pub(super) fn open(cli: &Cli) -> Result<Self, Failure> {
        let makes_one = matches!(cli.command, super::Command::Rules(super::args::Rules::Add { .. }));
        if !makes_one && !cli.db.exists() {
            let db = &cli.db;
            return Err(format!(
                "no database `{db}`; `replay`, `demo` or `rules add` make one, `--db` names another"
            )
            .into());
        }
        let store = block_on(cli.db.open())?;
        let outbox = outbox(cli)?;
        let none = RuleSet::new(Settings::default(), Vec::new(), &tipstaff::ActionCatalog::default())?;
        Ok(Self {
            engine: Engine::new(store, outbox, none),
            tenant: cli.tenant.clone(),
            now: now(cli),
            json: cli.json,
        })
    }

    /// Whether the tenant has a rule, and an action type, of these names.
    pub(super) fn known(&self, rule: Option<&RuleId>, action: Option<&ActionType>) -> Result<(), Failure> {
        let rules = wait(self.engine.rules(&self.tenant, self.now))?;
        if let Some(rule) = rule.filter(|rule| rules.rule(rule).is_none()) {
            return Err(format!("no rule `{rule}`; `rules list` names them").into());
        }
        if let Some(action) = action.filter(|action| rules.catalog().get(action).is_none()) {
            let known: Vec<_> = rules.catalog().iter().map(|spec| spec.name.as_str()).collect();
            return Err(format!("unknown action type `{action}`; accepted: {}", known.join(", ")).into());
        }
        Ok(())
    }

    /// Carries out what is due.
    pub(super) fn run_now(&self) -> Result<Output, Failure> {
        let report = due(&self.engine, self.now)?;
        let faults: Vec<String> =
            report.faults.iter().map(|fault| format!("{}: {}", fault.key, fault.error)).collect();
        let ok = faults.is_empty();
        let text = if self.json {
            let value = serde_json::json!({
                "at": self.now, "timers": report.timers, "attempts": report.attempts, "succeeded": report.succeeded,
                "failed": report.failed, "waiting": report.waiting, "stale": report.stale, "faults": faults,
            });
            format!("{value:#}\n")
        } else {
            let mut text = format!(
                "{}: {} timers stepped, {} attempts: {} succeeded, {} failed, {} to be tried again\n",
                self.now, report.timers, report.attempts, report.succeeded, report.failed, report.waiting
            );
            faults.iter().for_each(|fault| text.push_str(&format!("fault: {fault}\n")));
            text
        };
        Ok(Output { text, ok })
    }
}

/// The time to act at.
pub(super) fn now(cli: &Cli) -> Time {
    cli.now.unwrap_or_else(|| Time::from(SystemTime::now()))
}

/// The outbox that the command line names, or the one beside the database.
pub(super) fn outbox(cli: &Cli) -> Result<Outbox, Failure> {
    let dir = cli.outbox.clone().unwrap_or_else(|| beside(cli, "outbox"));
    let outbox = Outbox::open(dir)?;
    Ok(match &cli.outbox_config {
        Some(file) => outbox.config(read(file)?.parse()?),
        None => outbox,
    })
}

/// A path beside the database; with a server, where we stand.
pub(super) fn beside(cli: &Cli, name: &str) -> PathBuf {
    cli.db.beside(name)
}

/// Reads a file, and names it where that fails.
pub(super) fn read(file: &std::path::Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// Does all that is due at a time, however long it takes.
pub(super) fn due(engine: &Engine, now: Time) -> Result<RunReport, Failure> {
    let mut report = wait(engine.run_due(now))?;
    while report.more {
        report += wait(engine.run_due(now))?;
    }
    Ok(report)
}

/// The outcome of a call of the engine.
pub(super) fn wait<T>(call: impl Future<Output = Result<T, EngineError>>) -> Result<T, Failure> {
    Ok(block_on(call)?)
}
