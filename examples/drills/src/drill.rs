//! The drills: a store, hosts, a fault or many, calm again, and a look at what became of it all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tipstaff::{Actor, ApprovalState, Engine, EngineError, Filter, Status, Time};
use tipstaff_console::store::Database;
use tipstaff_delivery::Receiver;

use crate::fleet::Fleet;
use crate::obstacle::{SmallDisk, content, writable};
use crate::proxy::Proxy;
use crate::server::{self, Server};
use crate::storm::Storm;
use crate::world::{Order, receiver, rules, tenant, wait};
use crate::{Drill, Form, check};

/// How a drill ended that found nothing wrong.
pub(crate) enum Outcome {
    /// What there was.
    Passed(String),
    /// Why it cannot run here.
    Skipped(String),
}

/// Hosts on a SQLite file, and on a server.
const ON_A_FILE: usize = 4;
const ON_A_SERVER: usize = 8;
/// How long everything may take to come to its end when the faults are over.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long an obstacle stands.
const OBSTRUCTED: Duration = Duration::from_secs(3);

/// Runs one drill.
pub(crate) fn run(drill: Drill, form: Form) -> Result<Outcome, String> {
    let dir = tempfile::Builder::new().prefix("tipstaff-drill-").tempdir().map_err(text)?;
    // The server and the hosts may be other users.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).map_err(text)?;
    let begun = Instant::now();
    let outcome = match drill {
        Drill::Sqlite => sqlite(&dir, form),
        Drill::SqliteFull => sqlite_full(&dir),
        Drill::SqliteReadOnly => sqlite_read_only(&dir),
        Drill::Postgres | Drill::PostgresFull | Drill::PostgresReadOnly => {
            let programs = match Server::programs() {
                Ok(programs) => programs,
                Err(why) => return Ok(Outcome::Skipped(why)),
            };
            let server = Server::make(programs, &dir.path().join("pg"))?;
            match drill {
                Drill::Postgres => postgres(&dir, &server, form),
                Drill::PostgresFull => postgres_full(&dir, &server),
                _ => postgres_read_only(&dir, &server),
            }
        }
    }?;
    Ok(match outcome {
        Outcome::Passed(said) => Outcome::Passed(format!("{said}; {:.1?}", begun.elapsed())),
        skipped @ Outcome::Skipped(_) => skipped,
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn sqlite(dir: &TempDir, form: Form) -> Result<Outcome, String> {
    let world = World::new(&dir.path().join("drill.db").display().to_string())?;
    let fleet = world.hosts(ON_A_FILE, dir.path(), None, None);
    let said = Storm::of(form).blow(&fleet, None, world.late())?;
    world.end(&fleet, &said)
}

fn postgres(dir: &TempDir, server: &Server, form: Form) -> Result<Outcome, String> {
    let world = World::new(&server::url(server.address()))?;
    let proxy = Proxy::start(server.address()).map_err(text)?;
    let through = server::url(proxy.address());
    let fleet = world.hosts(ON_A_SERVER, dir.path(), None, Some(&through));
    let said = Storm::of(form).blow(&fleet, Some((server, &proxy)), world.late())?;
    world.end(&fleet, &said)
}

/// A disk that is full until it is made larger.
fn sqlite_full(dir: &TempDir) -> Result<Outcome, String> {
    let disk = match SmallDisk::mount(&dir.path().join("disk"), 1_536) {
        Ok(disk) => disk,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let world = World::new(&dir.path().join("disk/drill.db").display().to_string())?;
    let fleet = world.hosts(ON_A_FILE, dir.path(), None, None);
    met(&fleet, "the disk is full")?;
    sleep(OBSTRUCTED);
    let during = fleet.taken().len();
    disk.grow(512 * 1_024)?;
    went_on(&fleet, during)?;
    let said = format!("the disk was full {} times", fleet.met("the disk is full"));
    world.end(&fleet, &said)
}

/// A file that nobody may write to while hosts come and go.
fn sqlite_read_only(dir: &TempDir) -> Result<Outcome, String> {
    let user = if server::is_root() { server::user("nobody") } else { None };
    if server::is_root() && user.is_none() {
        return Ok(Outcome::Skipped("there is no user `nobody`, and nothing is read-only for us".into()));
    }
    let files = dir.path().join("files");
    fs::create_dir(&files).map_err(text)?;
    let world = World::new(&files.join("drill.db").display().to_string())?;
    writable(&files, true)?;
    let fleet = world.hosts(ON_A_FILE, dir.path(), user, None);
    went_on(&fleet, 50)?;
    // Whoever has the files open may write on: the processes that meet the obstacle are new.
    world.be_still(true);
    writable(&files, false)?;
    fleet.restart();
    let before = content(&files)?;
    met(&fleet, "readonly database")?;
    sleep(OBSTRUCTED);
    if content(&files)? != before {
        return Err("the files have changed while nobody could write to them".into());
    }
    let during = fleet.taken().len();
    writable(&files, true)?;
    world.be_still(false);
    fleet.restart();
    went_on(&fleet, during)?;
    world.end(&fleet, "the file could not be written to for a while, and did not change")
}

/// Tables on a disk that is full until it is made larger; the server's own log has room.
fn postgres_full(dir: &TempDir, server: &Server) -> Result<Outcome, String> {
    let disk = match SmallDisk::mount(&dir.path().join("disk"), 4 * 1_024) {
        Ok(disk) => disk,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let place = dir.path().join("disk/tables");
    fs::create_dir(&place).map_err(text)?;
    server::give(&place)?;
    server.run(&[
        &format!("CREATE TABLESPACE small LOCATION '{}'", place.display()),
        "ALTER DATABASE postgres SET default_tablespace = small",
    ])?;
    let world = World::new(&server::url(server.address()))?;
    let fleet = world.hosts(ON_A_SERVER, dir.path(), None, None);
    met(&fleet, "No space left")?;
    sleep(OBSTRUCTED);
    let during = fleet.taken().len();
    disk.grow(512 * 1_024)?;
    went_on(&fleet, during)?;
    let said = format!("the disk was full {} times", fleet.met("No space left"));
    let outcome = world.end(&fleet, &said);
    // The server must be gone before its tables' disk is.
    server.crash()?;
    outcome
}

/// A server whose transactions may only read for a while.
fn postgres_read_only(dir: &TempDir, server: &Server) -> Result<Outcome, String> {
    let world = World::new(&server::url(server.address()))?;
    let fleet = world.hosts(ON_A_SERVER, dir.path(), None, None);
    went_on(&fleet, 50)?;
    server.run(&["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"])?;
    met(&fleet, "read-only")?;
    sleep(OBSTRUCTED);
    let during = fleet.taken().len();
    server.run(&[
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    ])?;
    went_on(&fleet, during)?;
    let said = format!("the server took no writes {} times", fleet.met("read-only"));
    world.end(&fleet, &said)
}

/// Waits until hosts have met an error that says this.
fn met(fleet: &Fleet, what: &str) -> Result<(), String> {
    until(&format!("an error that says `{what}`"), fleet, Duration::from_secs(60), || fleet.met(what) > 0)
}

/// Waits until more signals are taken than so many.
fn went_on(fleet: &Fleet, taken: usize) -> Result<(), String> {
    until("more signals to be taken", fleet, PATIENCE, || fleet.taken().len() > taken + 40)
}

fn until(what: &str, fleet: &Fleet, long: Duration, mut reached: impl FnMut() -> bool) -> Result<(), String> {
    let begun = Instant::now();
    while !reached() {
        if begun.elapsed() > long {
            return Err(format!("waited {long:?} in vain for {what}: {}", fleet.told()));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The store with its rules, the receiver, and somebody who answers requests.
struct World {
    order: Order,
    engine: Arc<Engine>,
    receiver: Receiver,
    over: Arc<AtomicBool>,
    /// Held while somebody answers; true where nobody may for now.
    still: Arc<Mutex<bool>>,
}

impl World {
    fn new(database: &str) -> Result<Self, String> {
        let receiver = receiver().map_err(text)?;
        let begun = Time::from(SystemTime::now()).micros();
        let order = Order { database: database.to_owned(), receiver: receiver.url(), begun };
        let Ok(name) = database.parse::<Database>();
        let store = wait(name.open()).map_err(text)?;
        let engine = Arc::new(Engine::new(store, order.webhooks(), rules()));
        wait(engine.add_rules(&tenant(), &rules(), &Actor::Host, order.now())).map_err(text)?;
        let (over, still) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(false)));
        let world = Self { order, engine, receiver, over, still };
        world.answer();
        Ok(world)
    }

    fn hosts(&self, hosts: usize, dir: &Path, user: Option<u32>, through: Option<&str>) -> Arc<Fleet> {
        let database = through.unwrap_or(&self.order.database).to_owned();
        Fleet::start(Order { database, ..self.order.clone() }, hosts, dir, user)
    }

    /// Somebody agrees to most requests and rejects some, again and again until all are answered.
    fn answer(&self) {
        let (engine, order) = (Arc::clone(&self.engine), self.order.clone());
        let (over, still) = (Arc::clone(&self.over), Arc::clone(&self.still));
        thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                let still = still.lock().unwrap_or_else(PoisonError::into_inner);
                if !*still {
                    // Whatever fails is open at the next look.
                    let _ = wait(answers(&engine, &order));
                }
                drop(still);
                sleep(Duration::from_millis(100));
            }
        });
    }

    /// Nobody answers from now on, or somebody does again; waits for an answer that is under way.
    fn be_still(&self, yes: bool) {
        *self.still.lock().unwrap_or_else(PoisonError::into_inner) = yes;
    }

    /// Tells whether an answer has come too late by now.
    fn late(&self) -> impl FnMut() -> bool {
        let mut read = 0;
        // A look that fails is made again.
        move || wait(check::late_answer(&self.engine, &mut read)).unwrap_or(false)
    }

    /// Waits for the end of all work, and looks at what became of it.
    fn end(&self, fleet: &Arc<Fleet>, said: &str) -> Result<Outcome, String> {
        fleet.close();
        until("all signals to be taken", fleet, PATIENCE, || fleet.is_done())?;
        until("all work to be over", fleet, PATIENCE, || matches!(wait(self.is_idle()), Ok(true)))?;
        self.over.store(true, Ordering::SeqCst);
        let (taken, effects) = (fleet.taken(), self.receiver.effects());
        let facts = wait(check::facts(&self.engine, taken, effects)).map_err(text)?;
        let mut faults = facts.faults();
        faults.extend(fleet.wrong());
        if !faults.is_empty() {
            faults.insert(0, format!("{said}: {facts}"));
            return Err(faults.join("\n"));
        }
        Ok(Outcome::Passed(format!("{said}; {facts}; errors met by hosts: {:?}", fleet.troubles())))
    }

    async fn is_idle(&self) -> Result<bool, EngineError> {
        let pending = || Filter::new(&tenant()).status(Status::Pending).limit(1);
        Ok(self.engine.enforcements(pending()).await?.rows.is_empty()
            && self.engine.notices(pending()).await?.rows.is_empty())
    }
}

async fn answers(engine: &Engine, order: &Order) -> Result<(), EngineError> {
    let tenant = tenant();
    let open = Filter::new(&tenant).approval(ApprovalState::Open).limit(tipstaff::MAX_PAGE);
    for asked in engine.approvals(open).await? {
        let by = "s1".parse()?;
        let agree = asked.id.bytes()[0] % 6 != 0;
        let now = order.now();
        match agree {
            true => engine.approve(&tenant, asked.id, &by, asked.digest, None, now).await?,
            false => engine.reject(&tenant, asked.id, &by, asked.digest, None, now).await?,
        };
    }
    Ok(())
}
