#![doc = include_str!("../README.md")]

mod claim;
mod fault;
mod open;
mod query;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tipstaff::{
    Ahead, AuditRecord, Claim, Commit, Committed, DuePage, Head, Key, Page, Query, Record, Renewal, Salt,
    Store, StoreError, TenantId, Time, Trail, Upcoming, UserId,
};

use claim::{Damaged, Found};
use fault::{Fault, at_commit};
pub use open::OpenError;

/// A store in one SQLite file. See [`Store`] for what each call promises.
///
/// Several stores, in one process or in several of one machine, may be open on one file. The
/// futures never wait: the work is done in their first poll, which may last as long as a disk's
/// sync, or five seconds where somebody else holds the file.
pub struct SqliteStore {
    writer: Mutex<Connection>,
    /// None where there is no file that both could open.
    reader: Option<Mutex<Connection>>,
    /// Whether something was erased whose old pages still stand in the write-ahead log.
    owes: AtomicBool,
    clock: Box<dyn Fn() -> Time + Send + Sync>,
    hook: Box<dyn Fn(Phase) + Send + Sync>,
}

/// How often a claim looks again when others have taken all that it found.
const CLAIM_TURNS: usize = 16;

/// What is left of a call's patience when its turn has come, at least: others write for milliseconds.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);

/// How long an erasure waits for those who read the log that it empties: others who write wait as long.
const READERS: Duration = Duration::from_millis(250);

/// Of how many records a look is short: what a group of signals reads is fewer, the rules of a large tenant
/// are more.
const GLANCE: usize = 2_048;

/// Where a write transaction stands when a test's hook is called.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// All is written but the commit: a process that ends here has written nothing.
    BeforeCommit,
    /// It is durable, but the caller has no answer yet.
    AfterCommit,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = lock(&self.writer).path().unwrap_or_default().to_owned();
        f.debug_struct("SqliteStore").field("path", &path).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store in that file; makes the file if there is none.
    ///
    /// # Errors
    /// [`OpenError`] for a file that is no store's or cannot be opened; it is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let (writer, reader) = open::file(path.as_ref())?;
        Ok(Self::of(writer, Some(reader)))
    }

    /// A store that nobody else sees and that is gone when it is dropped.
    ///
    /// # Errors
    /// [`OpenError`] where there is no memory for it.
    pub fn in_memory() -> Result<Self, OpenError> {
        Ok(Self::of(open::memory()?, None))
    }

    fn of(writer: Connection, reader: Option<Connection>) -> Self {
        Self {
            writer: Mutex::new(writer),
            reader: reader.map(Mutex::new),
            owes: AtomicBool::new(false),
            clock: Box::new(|| SystemTime::now().into()),
            hook: Box::new(|_| ()),
        }
    }

    /// Runs leases by this clock instead of the system's. All stores of one file must agree.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Calls the hook before and after each commit to the file, for drills that end the process
    /// there.
    #[doc(hidden)]
    #[must_use]
    pub fn on_commit(self, hook: Box<dyn Fn(Phase) + Send + Sync>) -> Self {
        Self { hook, ..self }
    }

    /// Does some work on one state of the file.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        look(lock(self.reader.as_ref().unwrap_or(&self.writer)), work)
    }

    /// The same for a look so short that a writer may wait for it: on the connection that writes, as
    /// long as nobody does, since what was written last is in its memory, and every write of another
    /// connection empties the memory of the one that reads.
    fn glance<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        match self.writer.try_lock() {
            Ok(writer) => look(writer, work),
            // It holds the lock: to wait for it would be to wait for oneself.
            Err(TryLockError::Poisoned(writer)) => look(writer.into_inner(), work),
            Err(TryLockError::WouldBlock) => self.read(work),
        }
    }

    /// Does some work on the file, all of it or nothing. `IMMEDIATE` takes the write lock at the
    /// start, so nothing that was read can have changed when it is written.
    fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        let called = Instant::now();
        let mut connection = lock(&self.writer);
        // Of the patience, what the wait for one's turn has left: a queue loses it once, not each in turn.
        let left = open::PATIENCE.saturating_sub(called.elapsed()).max(LEAST_PATIENCE);
        connection.busy_timeout(left).map_err(Fault::from)?;
        let begun = Transaction::new(&mut connection, TransactionBehavior::Immediate);
        // Dropped before its commit, it is rolled back.
        let transaction = begun.map_err(Fault::from)?;
        open::check(&transaction)?;
        let done = work(&transaction)?;
        (self.hook)(Phase::BeforeCommit);
        transaction.commit().map_err(|error| at_commit(&error))?;
        (self.hook)(Phase::AfterCommit);
        if self.owes.load(Ordering::Relaxed) {
            self.empty_log(&connection, Duration::ZERO);
        }
        Ok(done)
    }

    /// Empties the write-ahead log. While somebody reads from it that cannot be, and is owed: the next write
    /// tries again.
    fn empty_log(&self, writer: &Connection, patience: Duration) {
        let emptied = writer
            .busy_timeout(patience)
            .and_then(|()| writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)));
        self.owes.store(emptied != Ok(0), Ordering::Relaxed);
    }
}

fn look<T>(
    mut connection: MutexGuard<'_, Connection>,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, StoreError> {
    // Whoever wrote before may have left less of it.
    connection.busy_timeout(open::PATIENCE).map_err(Fault::from)?;
    let snapshot = connection.transaction().map_err(Fault::from)?;
    Ok(work(&snapshot)?)
}

/// A poisoned lock is taken all the same: the transaction of whoever panicked was rolled back.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for SqliteStore {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let work = |db: &Connection| keys.iter().map(|key| row::load(db, key)).collect();
        if keys.len() > GLANCE { self.read(work) } else { self.glance(work) }
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        self.write(|db| write::commit(db, commit, (self.clock)()))
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let (mut damaged, mut turns) = (Damaged::default(), 0);
        // Whoever finds every record gone each time comes again later, as after an empty queue.
        while turns < CLAIM_TURNS {
            let ready = match self.read(|db| claim::look(db, claim, &damaged, (self.clock)()))? {
                Found::Held(held) => return Ok(held),
                Found::Ready(ready) => ready,
            };
            if ready.is_empty() {
                break;
            }
            let known = damaged.count();
            let taken = self.write(|db| claim::take(db, claim, ready, (self.clock)(), &mut damaged))?;
            // None: others were faster with all of these, or they are damaged, and there may be more.
            if !taken.is_empty() {
                return Ok(taken);
            }
            turns += usize::from(damaged.count() == known);
        }
        damaged.fault.map_or(Ok(Vec::new()), |fault| Err(fault.into()))
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        self.write(|db| write::renew(db, renewal, (self.clock)()))
    }

    async fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, StoreError> {
        self.read(|db| claim::upcoming(db, ask, (self.clock)()))
    }

    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        self.read(|db| read::due(db, page))
    }

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        self.read(|db| query::query(db, query))
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        self.read(|db| read::trail(db, trail))
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        self.read(|db| read::head(db, tenant, lane))
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        let erased = self.write(|db| {
            // Whether or not it erases something: a call before may have ended in between, and this one may.
            self.owes.store(true, Ordering::Relaxed);
            write::erase(db, tenant, user)
        })?;
        self.empty_log(&lock(&self.writer), READERS);
        Ok(erased)
    }

    async fn now(&self) -> Result<Time, StoreError> {
        Ok((self.clock)())
    }

    async fn unique(&self) -> Result<Salt, StoreError> {
        write::random()
    }
}
