//! Faults, one after the other and all kinds at once, until enough of each have come.

use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::Form;
use crate::fleet::Fleet;
use crate::proxy::Proxy;
use crate::server::Server;
use crate::world::Numbers;

/// How long a host is stopped: longer than its leases.
const PAUSED: Duration = Duration::from_millis(1_600);
/// How many pauses more there may be until one of them has led to a takeover.
const MORE_PAUSES: u64 = 40;
/// How long a host that goes on may take to answer for what it held.
const LATE: Duration = Duration::from_millis(300);
/// How long a storm may take in all before it is said to hang.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How many faults of each kind one drill has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    kills: u64,
    pauses: u64,
    crashes: u64,
    cuts: u64,
}

impl Storm {
    /// The half of a form's kills and pauses that each of the two stores gets, and the faults that only
    /// a server knows.
    pub(crate) const fn of(form: Form) -> Self {
        match form {
            Form::Small => Self { kills: 4, pauses: 1, crashes: 1, cuts: 4 },
            Form::Short => Self { kills: 50, pauses: 5, crashes: 3, cuts: 20 },
            Form::Long => Self { kills: 500, pauses: 100, crashes: 100, cuts: 500 },
        }
    }

    /// Lets it loose; says what there was. `late` says whether a host has answered for what another one
    /// had taken over from it.
    pub(crate) fn blow(
        self,
        fleet: &Arc<Fleet>,
        server: Option<(&Server, &Proxy)>,
        late: impl FnMut() -> bool,
    ) -> Result<String, String> {
        let begun = Instant::now();
        let busy = thread::scope(|scope| {
            let kills = scope.spawn(|| {
                let mut numbers = Numbers(11);
                (0..self.kills)
                    .map(|_| {
                        sleep(Duration::from_millis(numbers.below(120)));
                        fleet.kill(numbers.below(64), Duration::from_micros(numbers.below(60_000)))
                    })
                    .filter(|busy| *busy)
                    .count()
            });
            for half in 0..2 {
                scope.spawn(move || {
                    let mut numbers = Numbers(13 + half);
                    for _ in 0..(self.pauses + half) / 2 {
                        sleep(Duration::from_millis(numbers.below(200)));
                        fleet.pause(numbers.below(64), PAUSED);
                    }
                });
            }
            let mut crashed = Ok(());
            if let Some((server, proxy)) = server {
                proxy.cut(self.cuts);
                let mut numbers = Numbers(17);
                for _ in 0..self.crashes {
                    sleep(Duration::from_millis(700 + numbers.below(800)));
                    crashed = server.crash().and_then(|()| server.start());
                    if crashed.is_err() {
                        break;
                    }
                }
                while crashed.is_ok() && !proxy.is_done() {
                    if begun.elapsed() > LONGEST {
                        crashed = Err(format!("only {:?} commits came to be cut", proxy.cuts()));
                    }
                    sleep(Duration::from_millis(50));
                }
            }
            let busy = kills.join().map_err(|_| "the kills went wrong".to_owned())?;
            crashed.map(|()| busy)
        })?;
        let pauses = self.pauses + until_one_is_late(fleet, late)?;
        let mut said =
            format!("{} kills ({busy} with signals in hand), {pauses} pauses beyond the lease", self.kills);
        if let Some((_, proxy)) = server {
            let [before, with, answer, named] = proxy.cuts();
            said.push_str(&format!(
                ", {} server crashes, {} commits dropped ({before} before the server saw them, {with} on the way, \
                 {answer} after it had committed, {named} more with a word from a pooler)",
                self.crashes,
                before + with + answer + named
            ));
        }
        Ok(said)
    }
}

/// A host that is stopped while it holds nothing proves nothing: pauses more, until one was stopped that
/// did. Says how many there were.
fn until_one_is_late(fleet: &Fleet, mut late: impl FnMut() -> bool) -> Result<u64, String> {
    let mut numbers = Numbers(19);
    for more in 0..MORE_PAUSES {
        sleep(LATE);
        if late() {
            return Ok(more);
        }
        sleep(Duration::from_millis(numbers.below(100)));
        fleet.pause(numbers.below(64), PAUSED);
    }
    Err("no pause beyond the lease has led to a takeover".to_owned())
}
