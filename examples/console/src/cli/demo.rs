//! The main job on data of our own: a fortnight of events, scores and timetables.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tipstaff::{
    Actor, ApprovalState, Engine, Filter, Order, Reason, RuleSet, Severity, SharedStore, Signal, Status,
    Store as _, Time,
};

use super::args::{Cli, DEFAULT_TENANT};
use super::feed::Feed;
use super::host::{Host, due, wait};
use super::operators::{self, Deed};
use super::{Failure, Output, approvals, audit, rules, show};
use crate::input::{Layout, People, Reader, RejectFile};
use crate::outbox::Outbox;
use crate::store::{Database, block_on};

const RULES: &str = include_str!("../../demo/rules.json");
const MAP: &str = include_str!("../../demo/map.json");
const PEOPLE: &str = include_str!("../../demo/people.json");
// One of its lines is not UTF-8, as exports have them.
const EVENTS: &[u8] = include_bytes!("../../demo/events.ndjson");
const SCORES: &[u8] = include_bytes!("../../demo/scores.ndjson");
const OPERATORS: &str = include_str!("../../demo/operators.ndjson");
const OUTBOX: &str = include_str!("../../demo/outbox.json");

/// The file by which a folder is known as the demo's: only such a folder is emptied.
const MARK: &str = "this-is-the-tipstaff-demo";
/// How many rows of the log and of the audit trail are shown.
const SHOWN: usize = 40;

/// What happens, in the order of time.
enum Step {
    Signal(Box<Signal>),
    Deed(Deed),
}

/// Runs the demo and prints what became of it.
pub(super) fn run(cli: &Cli, dir: &Path) -> Result<Output, Failure> {
    empty(dir)?;
    let set = RuleSet::from_json(RULES)?;
    let mut rejects = RejectFile::create(dir.join("rejects.ndjson"))?;
    let steps = steps(cli, &mut rejects)?;
    let refused = rejects.count();
    rejects.finish()?;
    let begin = steps.first().map_or(Time::EPOCH, |(at, _)| *at);
    let store = store(cli, dir)?;
    let outbox = Outbox::open(dir.join("outbox"))?.config(OUTBOX.parse()?);
    let engine = Engine::new(store, outbox, set.clone());
    wait(engine.add_rules(&cli.tenant, &set, &Actor::Host, begin))?;
    let mut feed = Feed::new(&engine, &cli.tenant, 1);
    for (at, step) in steps {
        match step {
            Step::Signal(signal) => drop(feed.signal(*signal)?),
            Step::Deed(deed) => {
                let now = feed.advance(at);
                feed.due(now)?;
                deed.perform(&engine, &cli.tenant, now)?;
                feed.due(now)?;
            }
        }
    }
    let fed = feed.fed;
    let host = Host { tenant: cli.tenant.clone(), now: fed.now.unwrap_or(begin), json: cli.json, engine };
    due(&host.engine, host.now)?;
    if cli.json {
        return report_json(&host, refused);
    }
    let head = format!(
        "A fortnight, {begin} to {}: {} signals, {} concerned a rule, {refused} lines could not be read \
         (see {}).\n\n",
        host.now,
        fed.signals,
        fed.concerned,
        dir.join("rejects.ndjson").display()
    );
    let warnings: String = set.warnings().iter().map(|warning| format!("warning: {warning}\n")).collect();
    Ok(Output::ok(head + &warnings + &report(cli, &host, dir)?))
}

/// A file in the demo's folder; or the server that the command line names, where the tenant must be
/// new: nothing is deleted there.
fn store(cli: &Cli, dir: &Path) -> Result<SharedStore, Failure> {
    let Database::Server(_) = cli.db else {
        return Ok(block_on(Database::File(dir.join("demo.db")).open())?);
    };
    let store = block_on(cli.db.open())?;
    if wait(async { Ok(store.head(&cli.tenant, 0).await?) })?.seq > 0 {
        let (tenant, db) = (&cli.tenant, &cli.db);
        return Err(format!("tenant `{tenant}` of {db} has records; name another with --tenant").into());
    }
    Ok(store)
}

/// Makes the folder, or empties it if it is the demo's. The folder itself stays: it may be the one
/// that we stand in.
fn empty(dir: &Path) -> Result<(), Failure> {
    let named = |error: io::Error| format!("{}: {error}", dir.display());
    fs::create_dir_all(dir).map_err(named)?;
    let mark = dir.join(MARK);
    let entries: Vec<_> = fs::read_dir(dir).and_then(Iterator::collect).map_err(named)?;
    if !mark.exists() && !entries.is_empty() {
        return Err(format!(
            "`{}` is not empty and not of an earlier demo; name another with --dir",
            dir.display()
        )
        .into());
    }
    for entry in entries.iter().filter(|entry| entry.path() != mark) {
        let gone = match entry.file_type().map_err(named)?.is_dir() {
            true => fs::remove_dir_all(entry.path()),
            false => fs::remove_file(entry.path()),
        };
        gone.map_err(named)?;
    }
    fs::write(mark, "").map_err(named)?;
    Ok(())
}

/// Everything that happens, by time; the order of the files decides between equals.
fn steps(cli: &Cli, rejects: &mut RejectFile<impl Write>) -> Result<Vec<(Time, Step)>, Failure> {
    let people = Arc::new(PEOPLE.parse::<People>()?);
    let mapped = Layout::Mapped(Arc::new(MAP.parse()?));
    let mut steps = Vec::new();
    for (lines, layout) in [(EVENTS, mapped), (SCORES, Layout::Native)] {
        let reader = Reader::new(lines, cli.tenant.clone(), layout).people(Arc::clone(&people));
        for line in reader {
            match line {
                Ok(signal) => steps.push((signal.at(), Step::Signal(Box::new(signal)))),
                Err(bad) => rejects.write(&bad)?,
            }
        }
    }
    steps.extend(operators::read(OPERATORS)?.into_iter().map(|deed| (deed.at, Step::Deed(deed))));
    steps.sort_by_key(|(at, _)| *at);
    Ok(steps)
}

fn report(cli: &Cli, host: &Host, dir: &Path) -> Result<String, Failure> {
    let mut text = Vec::new();
    let out = &mut text;
    section(out, "Who is restricted, by which rule and signal")?;
    restricted(host, out)?;
    section(out, "Waiting for people")?;
    let open = Filter::new(&host.tenant).approval(ApprovalState::Open).order(Order::Oldest);
    let open = approvals::views(host, &open)?;
    if open.is_empty() {
        writeln!(out, "nothing")?;
    }
    for view in &open {
        writeln!(out, "{view}\n")?;
    }
    section(out, "What failed, and why")?;
    let failed =
        wait(host.engine.enforcements(Filter::new(&host.tenant).status(Status::Failed).limit(SHOWN)))?;
    writeln!(out, "{}", show::enforcements(&failed.rows))?;
    section(out, &format!("The latest {SHOWN} enforcements"))?;
    let log = wait(host.engine.enforcements(Filter::new(&host.tenant).limit(SHOWN)))?;
    writeln!(out, "{}\n{}", show::enforcements(&log.rows), show::footer(log.rows.len(), None))?;
    section(out, "Rules")?;
    let mut table = show::table(&["rule", "mode", "when", "fired", "last fired", "what became of it"]);
    for row in wait(host.engine.rule_rows(&host.tenant, host.now))? {
        table.add_row(vec![
            row.rule.rule.id.to_string(),
            row.rule.rule.mode.to_string(),
            row.rule.rule.conditions(),
            row.stats.fired.to_string(),
            row.stats.last_fired.map_or_else(|| "never".to_owned(), |at| at.to_string()),
            rules::counts(&row.stats),
        ]);
    }
    writeln!(out, "{table}")?;
    section(out, "Audit trail, the gravest first")?;
    let mut records = audit::about(host, |record| record.severity >= Severity::Warning)?;
    audit::rank(&mut records);
    records.truncate(SHOWN);
    writeln!(out, "{}", audit::table(&records))?;
    let head = wait(host.engine.verify_audit(&host.tenant, None))??;
    writeln!(out, "the trail of {} records is whole; head {head}", head.seq)?;
    section(out, "Where it is")?;
    for (folder, files) in Outbox::open(dir.join("outbox"))?.count()? {
        writeln!(out, "{files:>5} in {}", dir.join("outbox").join(folder).display())?;
    }
    writeln!(out, "\nGo on with, for example:")?;
    let program = call(cli, host, dir);
    for command in ["log --status failed", "approvals list", "signals --limit 5", "audit verify"] {
        writeln!(out, "  {program} {command}")?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// How to call the program on what the demo has made. Whoever gave a password knows where it belongs.
fn call(cli: &Cli, host: &Host, dir: &Path) -> String {
    let mut words = vec!["tipstaff-console".to_owned(), "--db".to_owned()];
    match &cli.db {
        Database::Server(_) => {
            let outbox = dir.join("outbox").display().to_string();
            words.extend([cli.db.without_password(), "--outbox".to_owned(), outbox]);
        }
        Database::File(_) => words.push(dir.join("demo.db").display().to_string()),
    }
    if host.tenant.as_str() != DEFAULT_TENANT {
        words.extend(["--tenant".to_owned(), host.tenant.to_string()]);
    }
    words.extend(["--now".to_owned(), host.now.to_string()]);
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn section(out: &mut Vec<u8>, title: &str) -> io::Result<()> {
    writeln!(out, "\n== {title} ==\n")
}

fn restricted(host: &Host, out: &mut Vec<u8>) -> Result<(), Failure> {
    let filter =
        Filter::new(&host.tenant).status(Status::Succeeded).reason(Reason::Done).limit(tipstaff::MAX_PAGE);
    let filter = ["lock_account", "restrict_access", "revoke_sessions"]
        .iter()
        .try_fold(filter, |filter, action| {
            Ok::<_, Failure>(filter.action(action.parse::<tipstaff::ActionType>()?))
        })?;
    let mut table = show::table(&["subject", "action", "since", "by rule", "on signal", "approved by"]);
    for row in wait(host.engine.enforcements(filter))? {
        let approvers: Vec<_> = row
            .votes
            .iter()
            .map(|vote| format!("{} \"{}\"", vote.actor, vote.comment.as_deref().unwrap_or_default()))
            .collect();
        table.add_row(vec![
            row.subject.to_string(),
            row.action.to_string(),
            row.settled_at.map(|at| at.to_string()).unwrap_or_default(),
            show::asked_by(&row),
            format!("{} {} of {}", row.origin.kind, row.origin.signal, row.origin.at),
            if approvers.is_empty() { "no approval asked".to_owned() } else { approvers.join("\n") },
        ]);
    }
    writeln!(out, "{table}")?;
    Ok(())
}

fn report_json(host: &Host, refused: u64) -> Result<Output, Failure> {
    let log = wait(host.engine.enforcements(Filter::new(&host.tenant).limit(tipstaff::MAX_PAGE)))?;
    let open = approvals::views(host, &Filter::new(&host.tenant).approval(ApprovalState::Open))?;
    let mut records = audit::about(host, |record| record.severity >= Severity::Warning)?;
    audit::rank(&mut records);
    let head = wait(host.engine.verify_audit(&host.tenant, None))??;
    Ok(Output::json(&json!({
        "until": host.now, "rejected": refused,
        "enforcements": log.rows.iter().map(super::log::row).collect::<Vec<_>>(),
        "approvals": open.iter().map(|view| &view.approval).collect::<Vec<_>>(),
        "rules": rules::rows(host)?,
        "audit": records, "head": head,
    })))
}
