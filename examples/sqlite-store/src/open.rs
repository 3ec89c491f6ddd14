//! Opening a file: whose it is, the connection's settings, the schema.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::fault::Fault;

/// The schemas, each as the step from the one before. Never change one that was released: append.
pub(crate) const MIGRATIONS: &[&str] = &[include_str!("schema.sql"), include_str!("schema-2.sql")];

/// The schema that this version writes, the file's `user_version`.
pub(crate) const SCHEMA: i32 = MIGRATIONS.len() as i32;

/// `tpst`, the file's `application_id`.
const APPLICATION: i32 = 0x7470_7374;

/// How long a call waits for another connection that writes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Why a file cannot be used as a store. Nothing was written to it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is something else than a database, or a damaged one.
    #[error("`{}` is no SQLite database ({fault}); accepted: a store's file, an empty file or none", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        fault: String,
    },
    /// It is the database of another program.
    #[error("`{}` is the database of another program; accepted: a store's file, an empty file or none", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version has written it.
    #[error("`{}` has schema {found}; accepted: up to {newest}. A newer version of tipstaff-sqlite reads it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i32,
        /// The newest schema that this version knows.
        newest: i32,
    },
    /// It cannot have a write-ahead log: it is not a file, or on a network's file system.
    #[error("`{}` cannot have a write-ahead log (journal mode `{mode}`); accepted: a file on a local disk", path.display())]
    NoWriteAheadLog {
        /// The file.
        path: PathBuf,
        /// The journal mode that SQLite offers instead.
        mode: String,
    },
    /// It cannot be reached or read now.
    #[error("`{}` cannot be opened: {fault}", path.display())]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        fault: String,
    },
}

impl OpenError {
    fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, fault) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::NotADatabase { path, fault },
            _ => Self::Unavailable { path, fault },
        }
    }
}

/// Two connections to a file, the second for reads, with the schema in place.
pub(crate) fn file(path: &Path) -> Result<(Connection, Connection), OpenError> {
    let failed = |error| OpenError::of(path, &error);
    let mut writer = connect(path).map_err(failed)?;
    // Nothing is written to a file that is not ours, nor to one that needs nothing.
    // One snapshot: another process may be making the schema just now.
    let schema = judge(&*writer.transaction().map_err(failed)?, path)?;
    let mode = patiently(|| writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)));
    let mode: String = mode.map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::NoWriteAheadLog { path: path.to_owned(), mode });
    }
    if schema < SCHEMA {
        migrate(&mut writer, path)?;
    }
    let reader = connect(path).map_err(failed)?;
    reader.execute_batch("PRAGMA query_only = ON").map_err(failed)?;
    Ok((writer, reader))
}

/// One connection to a database that nobody else sees.
pub(crate) fn memory() -> Result<Connection, OpenError> {
    let path = Path::new(":memory:");
    let mut connection =
        Connection::open_in_memory().and_then(settled).map_err(|error| OpenError::of(path, &error))?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// A path is a path: no URI is read from it.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    settled(Connection::open_with_flags(path, flags)?)
}

/// The settings that live as long as a connection; the README says what each is for.
fn settled(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA secure_delete = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA wal_autocheckpoint = 8000;
         PRAGMA cache_size = -32000;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Refuses a file that is not ours or newer than we are; gives its schema, 0 for an empty one.
fn judge(connection: &Connection, path: &Path) -> Result<i32, OpenError> {
    let failed = |error| OpenError::of(path, &error);
    let number = |sql: &str| patiently(|| connection.query_row(sql, [], |row| row.get::<_, i32>(0)));
    let application = number("PRAGMA application_id").map_err(failed)?;
    let found = number("PRAGMA user_version").map_err(failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    let path = path.to_owned();
    match (application, found) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION, 1..=SCHEMA) => Ok(found),
        (APPLICATION, newer) if newer > SCHEMA => Err(OpenError::Newer { path, found, newest: SCHEMA }),
        _ => Err(OpenError::Foreign { path }),
    }
}

/// Brings the schema up to date, in one transaction.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::of(path, &error);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Judged again: another process may have been faster.
    let found = judge(&tx, path)?;
    let steps = usize::try_from(found).unwrap_or(0);
    if steps < MIGRATIONS.len() {
        tx.execute_batch(&MIGRATIONS[steps..].concat()).map_err(failed)?;
        tx.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
        tx.pragma_update(None, "user_version", SCHEMA).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// Refuses to write where a newer version has brought the schema further since we opened the file.
pub(crate) fn check(connection: &Connection) -> Result<(), Fault> {
    let found: i32 = connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?;
    match found {
        SCHEMA => Ok(()),
        _ => {
            Err(Fault::corrupt("the schema", format!("it is {found} now, and this version writes {SCHEMA}")))
        }
    }
}

/// Switching to a write-ahead log does not wait by itself while another connection does the same.
fn patiently<T>(mut work: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let begun = Instant::now();
    loop {
        match work() {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < PATIENCE =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}
