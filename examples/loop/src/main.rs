//! One host, three loops. Each line of the standard input is somebody who leaves: they are locked out, and
//! HR is told.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, BufRead as _};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use tipstaff::{
    ActionType, Answer, Delivered, Delivery, Engine, Event, Filter, Job, Probe, RuleSet, Signal, Span,
    TenantId, Time, UserId, ready,
};
use tipstaff_loop::by_hand::{Clock, pass};
use tipstaff_loop::threads::block_on;
use tipstaff_loop::{now, tasks, threads};
use tipstaff_sqlite::SqliteStore;
use tokio::sync::{Notify, mpsc};

const RULES: &str = r#"{ "rules": [
  { "id": "leaver", "trigger": { "event": { "pattern": { "do": ["leave"] } } },
    "actions": [
      { "key": "tell", "type": "escalate_to_hr" },
      { "key": "lock", "type": "lock_account", "approval": "none", "for": "90d" } ] } ] }"#;

/// Less than a process manager waits before it kills.
const GRACE: Duration = Duration::from_secs(25);

/// How often the threads' page looks whether its loop has ended.
const LOOK: Duration = Duration::from_millis(100);

/// How long the target takes.
const TAKES: Duration = Duration::from_millis(200);

/// A target that says what it does.
struct Target {
    takes: fn() -> Answer<'static, ()>,
}

impl Delivery for Target {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        None
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(async move {
            println!("begins {job}");
            (self.takes)().await;
            println!("done {job}");
            Delivered::done()
        })
    }

    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(async { Probe::Unknown })
    }
}

fn leaves(user: &str, at: Time) -> Result<Signal, Box<dyn Error>> {
    let (tenant, who): (TenantId, UserId) = ("acme".parse()?, user.parse()?);
    let id = format!("{user}-{}", at.micros());
    Ok(Event::new(tenant, &id, "hr", who, at, r#"{ "do": "leave" }"#)?.into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tokio", file] => with_tokio(file),
        ["threads", file] => with_threads(file),
        ["hand"] => by_hand(),
        _ => Err("accepted: tokio FILE, threads FILE, hand".into()),
    }
}

fn with_tokio(file: &str) -> Result<(), Box<dyn Error>> {
    // It lets others have their turn meanwhile: sixteen at once.
    let target = Target { takes: || Box::pin(tokio::time::sleep(TAKES)) };
    let engine = Engine::new(SqliteStore::open(file)?, target, RuleSet::from_json(RULES)?).claim_up_to(16);
    let engine = Arc::new(engine);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (news, (given, mut leavers)) = (Arc::new(Notify::new()), mpsc::channel(100));
        // A thread of its own, as nothing can end its wait for a line.
        std::thread::spawn(move || lines().try_for_each(|line| given.blocking_send(line)));
        let submit = async {
            while let Some(user) = leavers.recv().await {
                let answer = match leaves(&user, now()) {
                    Ok(signal) => engine.submit(signal, now()).await.map_err(Into::into),
                    Err(refused) => Err(refused),
                };
                // A host with a queue before it acknowledges here, and not before.
                answer.map_or_else(|error| eprintln!("{user}: {error}"), |decision| println!("{decision}"));
                news.notify_one();
            }
        };
        let stop = async {
            tokio::select! {
                () = asked_to_end() => println!("asked to end"),
                () = submit => println!("no more input"),
            }
        };
        tasks::serve(Arc::clone(&engine), Arc::clone(&news), stop, GRACE).await
    })?;
    println!("ended in good order");
    Ok(())
}

/// Ctrl-C, or the signal by which process managers ask.
async fn asked_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn with_threads(file: &str) -> Result<(), Box<dyn Error>> {
    let takes = || -> Answer<'static, ()> {
        std::thread::sleep(TAKES);
        Box::pin(async {})
    };
    let engine = Engine::new(SqliteStore::open(file)?, Target { takes }, RuleSet::from_json(RULES)?);
    let (given, leavers) = sync_channel(100);
    // A thread of its own, as nothing can end its wait for a line.
    std::thread::spawn(move || lines().try_for_each(|line| given.send(line)));
    threads::serve(
        &engine,
        |bell| {
            // Nothing is taken that nobody would deliver.
            while !bell.is_over() {
                let user = match leavers.recv_timeout(LOOK) {
                    Ok(user) => user,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return println!("no more input"),
                };
                let answer = leaves(&user, now())
                    .and_then(|signal| block_on(engine.submit(signal, now())).map_err(Into::into));
                answer.map_or_else(|error| eprintln!("{user}: {error}"), |decision| println!("{decision}"));
                bell.news();
            }
        },
        GRACE,
    )?;
    println!("ended in good order");
    Ok(())
}

/// Ninety days in a moment.
fn by_hand() -> Result<(), Box<dyn Error>> {
    let clock = Clock::new("2026-03-02T09:00:00Z".parse()?);
    let target = Target { takes: || Box::pin(async {}) };
    // Nobody else works on this store: there is nothing to look for in between.
    let engine = Engine::new(clock.store(), target, RuleSet::from_json(RULES)?).poll(Span::hours(1));
    for user in lines() {
        println!("{}", ready(engine.submit(leaves(&user, clock.now())?, clock.now()))??);
        pass(&engine, &clock, clock.now().after(Span::days(1)))?;
    }
    pass(&engine, &clock, clock.now().after(Span::days(90)))?;
    for row in ready(engine.enforcements(Filter::new(&"acme".parse()?)))?? {
        println!("{row}");
    }
    Ok(())
}

fn lines() -> impl Iterator<Item = String> {
    io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty())
}
