//! Feeding files of the past.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tipstaff::{Actor, Engine, RuleSet, Time};

use super::args::{Cli, Replay};
use super::feed::Feed;
use super::host::{beside, outbox, read, wait};
use super::{Failure, Output};
use crate::input::{Layout, LineFault, Map, People, Reader, RejectFile};
use crate::store::block_on;

/// Timers are looked at whenever a signal led to something, and after this many that did not.
const QUIET: u64 = 64;

/// Feeds the files.
pub(super) fn run(cli: &Cli, replay: &Replay) -> Result<Output, Failure> {
    let set = RuleSet::from_json(&read(&replay.rules)?)
        .map_err(|error| format!("{}: {error}", replay.rules.display()))?;
    let layout = layout(replay.map.as_deref())?;
    let people = Arc::new(people(replay.people.as_deref())?);
    // All that is to be read is looked at before anything is made or replaced.
    let rejects = replay.rejects.clone().unwrap_or_else(|| beside(cli, "rejects.ndjson"));
    let bar = bar(replay, &rejects)?;
    let engine = open(cli, replay, set.clone())?;
    let mut rejects =
        RejectFile::create(&rejects).map_err(|error| format!("{}: {error}", rejects.display()))?;
    let mut feed = Feed::new(&engine, &cli.tenant, QUIET);
    let mut installed = false;
    for file in &replay.events {
        let input = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut reader =
            Reader::new(BufReader::new(bar.wrap_read(input)), cli.tenant.clone(), layout.clone())
                .people(Arc::clone(&people));
        while let Some(line) = reader.next() {
            match line {
                // The rest of the file is not bad, but unread.
                Err(bad) if matches!(bad.fault, LineFault::Io(_)) => {
                    return Err(format!("{}: {bad}", file.display()).into());
                }
                Err(bad) => rejects.write(&bad)?,
                Ok(signal) => {
                    // In force from the first signal on: timetables begin then, not today.
                    if !installed {
                        install(&engine, cli, &set, signal.at())?;
                        installed = true;
                    }
                    let fed = feed
                        .signal(signal)
                        .map_err(|error| format!("{}: line {}: {error}", file.display(), reader.line()))?;
                    if let Err(refused) = fed {
                        rejects.write(&reader.refuse(&refused))?;
                    }
                }
            }
        }
    }
    let left = feed.drain()?;
    bar.finish_and_clear();
    let refused = rejects.count();
    rejects.finish()?;
    let fed = feed.fed;
    if cli.json {
        return Ok(Output::json(&json!({
            "signals": fed.signals, "concerned": fed.concerned, "repeats": fed.repeats, "firings": fed.firings,
            "rejected": refused, "until": fed.now, "left": left.json(),
        })));
    }
    let mut text: String = set.warnings().iter().map(|warning| format!("warning: {warning}\n")).collect();
    text.push_str(&format!(
        "{} signals taken, {} concerned a rule ({} had come before), {} rule firings, {refused} lines rejected\n",
        fed.signals, fed.concerned, fed.repeats, fed.firings
    ));
    text.push_str(&left.text());
    Ok(Output::ok(text))
}

/// How lines are read: by a map, or as they stand.
pub(super) fn layout(map: Option<&Path>) -> Result<Layout, Failure> {
    let Some(file) = map else { return Ok(Layout::Native) };
    let map: Map = read(file)?.parse().map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Layout::Mapped(Arc::new(map)))
}

/// What is known of people.
pub(super) fn people(file: Option<&Path>) -> Result<People, Failure> {
    let Some(file) = file else { return Ok(People::default()) };
    Ok(read(file)?.parse().map_err(|error| format!("{}: {error}", file.display()))?)
}

fn install(engine: &Engine, cli: &Cli, set: &RuleSet, at: Time) -> Result<(), Failure> {
    wait(engine.add_rules(&cli.tenant, set, &Actor::Host, at))?;
    Ok(())
}

fn open(cli: &Cli, replay: &Replay, set: RuleSet) -> Result<Engine, Failure> {
    let outbox = outbox(cli)?;
    let (store, outbox) = if replay.drill {
        let hook = Box::new(|phase| announce(&format!("commit {phase:?}")));
        let step = Box::new(|step| announce(&format!("delivery {step:?}")));
        (block_on(cli.db.open_watched(hook))?, outbox.on_step(step))
    } else {
        (block_on(cli.db.open())?, outbox)
    };
    Ok(Engine::new(store, outbox, set).lease(replay.lease))
}

/// Says where the process is, and stays there until a line comes in: so that a kill can be aimed.
fn announce(place: &str) {
    let mut out = io::stdout().lock();
    // Nobody may listen any more; a drill goes on all the same.
    let _ = writeln!(out, "{place}").and_then(|()| out.flush());
    let _ = io::stdin().read_line(&mut String::new());
}

/// A bar over the bytes of all files; none where standard error is no terminal.
fn bar(replay: &Replay, rejects: &Path) -> Result<ProgressBar, Failure> {
    let replaced = rejects.canonicalize().ok();
    let mut bytes = 0;
    for file in &replay.events {
        let named = |error| format!("{}: {error}", file.display());
        bytes += std::fs::metadata(file).map_err(named)?.len();
        if replaced.is_some() && file.canonicalize().ok() == replaced {
            return Err(format!(
                "{}: the rejected lines would replace it; name another file with --rejects",
                file.display()
            )
            .into());
        }
    }
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {percent}% of {total_bytes}, {eta} left")?;
    Ok(bar.with_style(style))
}
