//! Signals to committed enforcements, beside the same without the engine: the same commits in a store of the
//! same kind, the same rows in one plain table, and the bytes of a commit in one row of it.

use std::time::{Duration, Instant};

use comfy_table::Cell;
use serde_json::json;
use tipstaff::{Actor, Commit, Committed, Engine, Signal, Store as _, Time};

use super::super::args::{Cli, LoadCommits};
use super::super::{Failure, Output, show};
use super::again::Again;
use super::counted::{Counted, rows};
use super::raw::Raw;
use super::{Nothing, fresh, rules, signal};
use crate::store::block_on;

/// How often engine and raw rows take turns, so that both meet the same neighbours.
const ROUNDS: usize = 4;

/// What one size of batches came to.
struct Row {
    batch: usize,
    signals: usize,
    rows: usize,
    transactions: usize,
    engine: Duration,
    store: Duration,
    raw: Duration,
    one: Duration,
}

impl Row {
    fn rate(&self, time: Duration) -> f64 {
        self.signals as f64 / time.as_secs_f64()
    }

    /// How much of the raw rate the engine reaches, in per cent.
    fn share(&self, of: Duration) -> f64 {
        100.0 * of.as_secs_f64() / self.engine.as_secs_f64()
    }
}

/// Measures each size of batches.
pub(super) fn run(cli: &Cli, load: &LoadCommits) -> Result<Output, Failure> {
    let rows: Vec<Row> =
        load.batch.iter().map(|batch| measure(cli, load.signals, *batch)).collect::<Result<_, _>>()?;
    if cli.json {
        let rows = rows.iter().map(|row| {
            json!({
                "batch": row.batch, "signals": row.signals, "rows": row.rows, "commits": row.transactions,
                "engine_per_s": row.rate(row.engine), "store_per_s": row.rate(row.store),
                "share_of_store": row.share(row.store), "raw_per_s": row.rate(row.raw),
                "one_row_per_s": row.rate(row.one), "share_of_raw": row.share(row.raw),
                "share_of_one_row": row.share(row.one),
            })
        });
        return Ok(Output::json(&json!(rows.collect::<Vec<_>>())));
    }
    let mut table = show::table(&[
        "batch",
        "signals",
        "commits",
        "rows",
        "signals/s",
        "same commits/s",
        "%",
        "same rows/s",
        "%",
        "as one row/s",
        "%",
    ]);
    for row in &rows {
        table.add_row(vec![
            Cell::new(row.batch),
            Cell::new(row.signals),
            Cell::new(row.transactions),
            Cell::new(row.rows),
            Cell::new(format!("{:.0}", row.rate(row.engine))),
            Cell::new(format!("{:.0}", row.rate(row.store))),
            Cell::new(format!("{:.0}", row.share(row.store))),
            Cell::new(format!("{:.0}", row.rate(row.raw))),
            Cell::new(format!("{:.0}", row.share(row.raw))),
            Cell::new(format!("{:.0}", row.rate(row.one))),
            Cell::new(format!("{:.0}", row.share(row.one))),
        ]);
    }
    Ok(Output::ok(format!("{table}\n")))
}

fn measure(cli: &Cli, signals: usize, batch: usize) -> Result<Row, Failure> {
    let batch = batch.max(1);
    let batches = (signals / batch / ROUNDS).max(1);
    let (tenant, now) = fresh(&format!("commits-{batch}"));
    let counted = Counted::new(block_on(cli.db.open())?);
    let engine = Engine::new(counted.clone(), Nothing, rules());
    block_on(engine.add_rules(&tenant, &rules(), &Actor::Host, now))?;
    let (mut raw, again) = (Raw::open(&cli.db)?, Again::open(&cli.db)?);
    let mut row = Row {
        batch,
        signals: 0,
        rows: 0,
        transactions: 0,
        engine: Duration::ZERO,
        store: Duration::ZERO,
        raw: Duration::ZERO,
        one: Duration::ZERO,
    };
    // The first signal of a tenant compiles its rules.
    block_on(engine.submit(signal(&tenant, usize::MAX, now), now))?;
    repeat(&again, &counted.take_commits().0)?;
    // A thousand signals a second of their own time: what is kept by time comes in its order.
    let at = |n: usize| Time::from_micros(now.micros() + 1_000 * i64::try_from(n).unwrap_or(i64::MAX));
    let mut n = 0;
    for _ in 0..ROUNDS {
        for _ in 0..batches {
            let given: Vec<Signal> = (n..n + batch).map(|n| signal(&tenant, n, at(n)).into()).collect();
            n += batch;
            let now = at(n);
            let begun = Instant::now();
            let decided = match given.len() {
                1 => given.into_iter().map(|signal| block_on(engine.submit(signal, now))).collect(),
                _ => block_on(engine.submit_all(given, now)),
            };
            row.engine += begun.elapsed();
            for decision in decided {
                decision?;
            }
        }
        let (commits, keeping) = counted.take_commits();
        row.engine = row.engine.saturating_sub(keeping);
        let written: Vec<Vec<Vec<u8>>> = commits.iter().map(rows).collect();
        row.transactions += written.len();
        let begun = Instant::now();
        repeat(&again, &commits)?;
        row.store += begun.elapsed();
        let begun = Instant::now();
        for rows in &written {
            raw.write(rows)?;
        }
        row.raw += begun.elapsed();
        row.rows += written.iter().map(Vec::len).sum::<usize>();
        let whole: Vec<Vec<u8>> = written.into_iter().map(|rows| rows.concat()).collect();
        let begun = Instant::now();
        for bytes in whole {
            raw.write(&[bytes])?;
        }
        row.one += begun.elapsed();
    }
    row.signals = n;
    Ok(row)
}

/// Writes commits as they are.
fn repeat(again: &Again, commits: &[Commit]) -> Result<(), Failure> {
    for commit in commits {
        match block_on(again.store.commit(commit))? {
            Committed::Applied => {}
            Committed::AlreadyApplied => return Err("the store for comparison is not empty".into()),
        }
    }
    Ok(())
}
