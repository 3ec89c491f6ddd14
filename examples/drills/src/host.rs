//! One of the processes that are drilled: it takes signals from its standard input, carries out what
//! is due, and says on its standard output what it has durably taken.

use std::io::{self, BufRead as _, Write as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tipstaff::{Engine, EngineError, SharedStore, Signal, StoreError};
use tipstaff_console::store::Database;

use crate::world::{LEASE, Order, no_rules, wait};

/// How long it waits after an error of the store.
const PAUSE: Duration = Duration::from_millis(30);

/// What a host says, one line each.
pub(crate) enum Said {
    /// It works.
    Ready,
    /// That signal is decided on, durably.
    Taken(u64),
    /// An error that passes, by its name, and its text.
    Trouble(String),
    /// What must not be.
    Wrong(String),
}

impl Said {
    /// Reads a line.
    pub(crate) fn read(line: &str) -> Self {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("ready", _) => Self::Ready,
            ("taken", n) => n.parse().map_or_else(|_| Self::Wrong(line.to_owned()), Self::Taken),
            ("trouble", text) => Self::Trouble(text.to_owned()),
            _ => Self::Wrong(line.to_owned()),
        }
    }
}

fn say(line: &str) {
    // Nobody may listen any more: the drill is over then.
    let mut out = io::stdout().lock();
    if writeln!(out, "{}", line.replace('\n', " ")).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Runs until it is killed, or until its standard input ends.
pub(crate) fn run(order: &str) {
    let order: Order = serde_json::from_str(order).expect("the drill says what to do");
    let store = open(&order);
    // Some claim one by one, some in batches, of which some are sent all at once.
    let (batch, webhooks) = match std::process::id() % 3 {
        0 => (1, order.webhooks()),
        1 => (6, order.webhooks()),
        _ => (6, order.webhooks().on_threads()),
    };
    let engine = Engine::new(store, webhooks, no_rules()).lease(LEASE).claim_up_to(batch);
    say("ready");
    let (heard, given) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| carry_out(&engine, &order));
        scope.spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                let _ = line.parse().map(|n| heard.send(n));
            }
            std::process::exit(0);
        });
        // What has come meanwhile goes into one commit.
        while let Ok(first) = given.recv() {
            take(&engine, &order, std::iter::once(first).chain(given.try_iter()).collect());
        }
    });
}

fn open(order: &Order) -> SharedStore {
    let Ok(database) = order.database.parse::<Database>();
    loop {
        match wait(database.open()) {
            Ok(store) => return store,
            Err(error) => say(&format!("trouble open: {error}")),
        }
        thread::sleep(PAUSE);
    }
}

/// Submits signals until all are decided on.
fn take(engine: &Engine, order: &Order, mut given: Vec<u64>) {
    while !given.is_empty() {
        let signals: Vec<Signal> = given.iter().map(|n| order.signal(*n).into()).collect();
        let decided = wait(engine.submit_all(signals, order.now()));
        let mut left = Vec::new();
        for (n, decision) in given.into_iter().zip(decided) {
            match decision {
                Ok(_) => say(&format!("taken {n}")),
                Err(error) => {
                    tell(&error);
                    left.push(n);
                }
            }
        }
        given = left;
        if !given.is_empty() {
            thread::sleep(PAUSE);
        }
    }
}

fn carry_out(engine: &Engine, order: &Order) {
    loop {
        match wait(engine.run_due(order.now())) {
            Ok(report) => report.faults.iter().for_each(|fault| tell(&fault.error)),
            Err(error) => tell(&error),
        }
        thread::sleep(PAUSE);
    }
}

/// Errors that say to try again pass; no other may come.
fn tell(error: &EngineError) {
    let name = match error {
        EngineError::Store(StoreError::Unavailable(_)) => "unavailable",
        EngineError::Store(StoreError::Unknown(_)) => "unknown",
        EngineError::Busy => "busy",
        _ => return say(&format!("wrong {error}")),
    };
    say(&format!("trouble {name}: {error}"));
}
