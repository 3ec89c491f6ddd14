//! An occurrence fans out over many people, and its process is killed again and again on the way:
//! everybody of the audience is visited once, and nobody else.
//!
//! `TIPSTAFF_FAN_OUT=1000000 cargo test --release -p tipstaff-sqlite --test fan_out` is the long form;
//! it prints what it took. The program starts itself as the process that is killed, so it has a
//! `main` of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at its first surprise")]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tipstaff::{
    ActionType, Answer, Delivered, Delivery, Engine, Job, Kind, Order, Payload, Probe, Query, RuleSet, Run,
    Store as _, TenantId, Time, ready,
};
use tipstaff_sqlite::{Phase, SqliteStore};

/// People, where nothing else is said; every third is of the audience.
const PEOPLE: usize = 9_000;
/// How often the process is killed.
const KILLS: u64 = 10;

const RULES: &str = r#"{ "id": "weekly", "trigger": { "schedule": { "cron": "0 9 * * MON",
    "audience": { "attributes": { "team": ["red"] } } } },
    "actions": [{ "key": "train", "type": "assign_training", "params": { "course": "phish" } }] }"#;

/// The process that fans out carries nothing out: that is other processes' part.
struct Nothing;

impl Delivery for Nothing {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        Some(BTreeSet::new())
    }
    fn deliver<'a>(&'a self, _: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(std::future::ready(Delivered::done()))
    }
    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

fn engine(store: SqliteStore) -> Engine {
    Engine::new(store, Nothing, RuleSet::from_json(RULES).unwrap())
}

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// Half a minute past the occurrence.
const NOW: &str = "2026-03-02T09:00:30Z";

fn main() {
    match env::var_os("TIPSTAFF_FAN_OUT_FILE") {
        Some(file) => fan_out(Path::new(&file)),
        None => everybody_once_whatever_is_killed(),
    }
}

/// The process that is killed: it tells each commit, and may wait for its end inside one.
fn fan_out(file: &Path) {
    let stop: usize = env::var("TIPSTAFF_FAN_OUT_STOP").map_or(usize::MAX, |n| n.parse().unwrap());
    let seen = AtomicUsize::new(0);
    let store = SqliteStore::open(file).unwrap().on_commit(Box::new(move |phase| {
        let count = seen.fetch_add(1, Ordering::Relaxed);
        println!("{}", if phase == Phase::BeforeCommit { "before" } else { "after" });
        std::io::stdout().flush().unwrap();
        if count >= stop {
            loop {
                sleep(Duration::from_secs(1));
            }
        }
    }));
    let report = ready(engine(store).run_due(time(NOW))).unwrap().unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    println!("peak {}", peak());
}

/// The most memory that this process has had, in KiB.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |kib| kib.trim().to_owned())
}

fn child(file: &Path, stop: Option<u64>) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env("TIPSTAFF_FAN_OUT_FILE", file).stdout(Stdio::piped());
    match stop {
        Some(stop) => command.env("TIPSTAFF_FAN_OUT_STOP", stop.to_string()),
        None => command.env_remove("TIPSTAFF_FAN_OUT_STOP"),
    };
    command.spawn().unwrap()
}

fn everybody_once_whatever_is_killed() {
    let people: usize = env::var("TIPSTAFF_FAN_OUT").map_or(PEOPLE, |n| n.parse().unwrap());
    let long = people > PEOPLE;
    // In the long form everybody is of the audience.
    let of_it = |n: usize| long || n.is_multiple_of(3);
    let members = (0..people).filter(|n| of_it(*n)).count();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.db");

    let begun = Instant::now();
    let told = (0..people).map(|n| {
        let team = if of_it(n) { "red" } else { "blue" };
        let attributes = Payload::new(format!(r#"{{ "team": "{team}" }}"#)).unwrap();
        (format!("person-{n:07}").parse().unwrap(), attributes)
    });
    let store = SqliteStore::open(&file).unwrap();
    ready(engine(store).describe_all(&tenant(), told, time("2026-03-01T12:00:00Z"))).unwrap().unwrap();
    println!("{people} people described in {:.1?}", begun.elapsed());

    let mut numbers = 11_u64;
    let mut below = |n: u64| {
        numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (numbers >> 33) % n
    };
    let begun = Instant::now();
    let mut midway = 0;
    // Two announcements a commit, some fifty commits: each kill comes a few further on.
    let stride = (people as u64 / 200 * 2 / (KILLS + 2)).max(2);
    for n in 0..KILLS {
        let (aimed, stop) = (n % 2 == 0, 1 + below(stride));
        let mut child = child(&file, aimed.then_some(stop));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..=stop {
            lines.next();
        }
        if !aimed {
            sleep(Duration::from_micros(below(40_000)));
        }
        let alive = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        let visited = run(&file).map_or(0, |run| if run.done { usize::MAX } else { run.visited as usize });
        println!("killed {} with {visited} visited", if aimed { "inside a commit" } else { "anywhere" });
        midway += usize::from(alive && (1..members).contains(&visited));
    }
    assert!(midway >= 4, "only {midway} kills came in the middle of the audience");

    let last = child(&file, None).wait_with_output().unwrap();
    assert!(last.status.success());
    let text = String::from_utf8(last.stdout).unwrap();
    let peak = text.lines().last().unwrap();
    println!("{members} visited in {:.1?} with {KILLS} kills; {peak} in the last process", begun.elapsed());
    let run = run(&file).unwrap();
    assert_eq!((run.done, run.visited as usize), (true, members));
    check(&file, members);
}

fn run(file: &Path) -> Option<Run> {
    let store = SqliteStore::open(file).unwrap();
    let page = ready(store.query(&all(Kind::Run, None))).unwrap().unwrap();
    assert!(page.rows.len() <= 1, "one occurrence");
    page.rows.first().map(|record| serde_json::from_str(&record.body).unwrap())
}

fn all(kind: Kind, after: Option<tipstaff::Cursor>) -> Query {
    let (facets, order) = (Vec::new(), Order::Oldest);
    Query { tenant: tenant(), kind, from: None, until: None, facets, order, after, limit: 200 }
}

/// One enforcement and one trigger for each of the audience, counters that agree, a whole chain.
fn check(file: &Path, members: usize) {
    let store = SqliteStore::open(file).unwrap();
    for kind in [Kind::Enforcement, Kind::Trigger] {
        let (mut visited, mut rows, mut after) = (BTreeSet::new(), 0, None);
        loop {
            let page = ready(store.query(&all(kind, after))).unwrap().unwrap();
            for record in &page.rows {
                rows += 1;
                let body: serde_json::Value = serde_json::from_str(&record.body).unwrap();
                let subject =
                    if kind == Kind::Trigger { &body["signal"]["subject"] } else { &body["subject"] };
                visited.insert(subject["user"].as_str().unwrap().to_owned());
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((rows, visited.len()), (members, members), "{kind}");
    }
    let engine = engine(store);
    let rules = ready(engine.rule_rows(&tenant(), time(NOW))).unwrap().unwrap();
    let weekly = rules.iter().find(|row| row.rule.rule.id.as_str() == "weekly").unwrap();
    assert_eq!(weekly.stats.created as usize, members);
    ready(engine.verify_audit(&tenant(), None)).unwrap().unwrap().expect("the chain is whole");
    let none = ready(engine.run_due(time(NOW))).unwrap().unwrap();
    assert!(none.is_idle(), "nothing is left to do: {none:?}");
}
