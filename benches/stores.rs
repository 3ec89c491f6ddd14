//! Signals to committed enforcements through SQLite, and through PostgreSQL where `DATABASE_URL` names a server:
//! one at a time and in batches of 100 and 1,000, beside the raw insert of the same bytes, as plain rows of one
//! table and as one row a commit. (`tipstaff-console load commits` measures the same in turns, so that both meet
//! the same neighbours, and the same commits without the engine as well.)
//!
//! `cargo bench -p tipstaff-console --bench stores`

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tipstaff::{Actor, Engine, Signal, TenantId, Time};
use tipstaff_console::cli::load::counted::{Counted, rows};
use tipstaff_console::cli::load::raw::Raw;
use tipstaff_console::cli::load::{Nothing, fresh, rules, signal};
use tipstaff_console::store::{Database, block_on};
use tokio_postgres::NoTls;

/// Of how many signals the commits are kept to be written raw, in turn; of five batches at least.
const KEPT: usize = 500;

/// Signals in their order, a thousand a second of their own time.
struct Source {
    tenant: TenantId,
    begun: Time,
    next: usize,
}

impl Source {
    fn at(&self, n: usize) -> Time {
        Time::from_micros(self.begun.micros() + 1_000 * i64::try_from(n).unwrap_or(i64::MAX))
    }

    fn take(&mut self, batch: usize) -> (Vec<Signal>, Time) {
        let from = self.next;
        self.next += batch;
        let signals = (from..self.next).map(|n| signal(&self.tenant, n, self.at(n)).into()).collect();
        (signals, self.at(self.next))
    }
}

fn submit(engine: &Engine, (mut signals, now): (Vec<Signal>, Time)) {
    let decided = match signals.len() {
        1 => signals.pop().map(|one| block_on(engine.submit(one, now))).into_iter().collect(),
        _ => block_on(engine.submit_all(signals, now)),
    };
    for decision in decided {
        decision.expect("the store works");
    }
}

fn through(c: &mut Criterion, name: &str, database: &Database) {
    let mut group = c.benchmark_group(name);
    group.sample_size(20);
    let store = block_on(database.open()).expect("the store opens");
    for batch in [1, 100, 1_000] {
        let (tenant, begun) = fresh(&format!("bench-{batch}"));
        let mut source = Source { tenant, begun, next: 0 };
        let counted = Counted::new(store.clone());
        let engine = Engine::new(counted.clone(), Nothing, rules());
        block_on(engine.add_rules(&source.tenant, &rules(), &Actor::Host, begun))
            .expect("the rules are sound");
        drop(counted.take_commits());
        let kept = (KEPT / batch).max(5);
        for _ in 0..kept {
            submit(&engine, source.take(batch));
        }
        // To keep what is committed is no part of what is measured.
        let engine = Engine::new(store.clone(), Nothing, rules());
        submit(&engine, source.take(batch));
        // A batch of many may be several commits: what is compared is a batch.
        let commits: Vec<Vec<Vec<u8>>> = counted.take_commits().0.iter().map(rows).collect();
        let per_batch = commits.len() / kept;
        let mut raw = Raw::open(database).expect("the database opens");
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("engine", batch), |b| {
            b.iter_batched(
                || source.take(batch),
                |signals| submit(&engine, signals),
                BatchSize::PerIteration,
            );
        });
        let mut turn = commits.iter().cycle();
        group.bench_function(BenchmarkId::new("same rows", batch), |b| {
            b.iter(|| {
                for rows in turn.by_ref().take(per_batch) {
                    raw.write(rows).expect("the database works");
                }
            });
        });
        let whole: Vec<[Vec<u8>; 1]> = commits.iter().map(|rows| [rows.concat()]).collect();
        let mut turn = whole.iter().cycle();
        group.bench_function(BenchmarkId::new("as one row", batch), |b| {
            b.iter(|| {
                for row in turn.by_ref().take(per_batch) {
                    raw.write(row).expect("the database works");
                }
            });
        });
    }
    group.finish();
}

fn on_a_server(c: &mut Criterion, address: &str) {
    const SCHEMA: &str = "tipstaff_bench";
    let administer = |sql: String| {
        block_on(async {
            let (client, connection) =
                tokio_postgres::connect(address, NoTls).await.expect("the server answers");
            tokio::spawn(connection);
            client.batch_execute(&sql).await.expect("the server lets us");
        });
    };
    administer(format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}"));
    let more = if address.contains('?') { '&' } else { '?' };
    let address_there = format!("{address}{more}options=-c%20search_path%3D{SCHEMA}");
    through(c, "postgres", &Database::Server(address_there));
    administer(format!("DROP SCHEMA {SCHEMA} CASCADE"));
}

fn bench(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is room");
    through(c, "sqlite", &Database::File(folder.path().join("bench.db")));
    match std::env::var("DATABASE_URL") {
        Ok(address) => on_a_server(c, &address),
        Err(_) => println!("left out: PostgreSQL, as DATABASE_URL is not set"),
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
