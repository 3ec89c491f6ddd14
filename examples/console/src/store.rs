//! Where the console keeps its records: a SQLite file or a PostgreSQL database.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use tipstaff::SharedStore;
use tipstaff_postgres::{Form, PostgresStore};
use tipstaff_sqlite::{Phase, SqliteStore};
use tokio::runtime::{Builder, Runtime};

/// The name of a database: `postgres://…` or `postgresql://…` for a server, all else for a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Database {
    /// A SQLite file.
    File(PathBuf),
    /// The address of a PostgreSQL database.
    Server(String),
}

impl FromStr for Database {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let server = text.starts_with("postgres://") || text.starts_with("postgresql://");
        Ok(if server { Self::Server(text.to_owned()) } else { Self::File(text.into()) })
    }
}

/// The address of a server may hold a password, which is shown to nobody.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(address) => {
                let rest = address.split_once("://").map_or("", |(_, rest)| rest);
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                let place = place.split(['?', '#']).next().unwrap_or_default();
                write!(f, "postgres://{place}")
            }
        }
    }
}

impl Database {
    /// Its name as the command line takes it, without the password that the address of a server may hold.
    #[must_use]
    pub fn without_password(&self) -> String {
        let Self::Server(address) = self else { return self.to_string() };
        let (scheme, rest) = address.split_once("://").unwrap_or(("postgres", address));
        let (person, place) = match rest.rsplit_once('@') {
            Some((person, place)) => (person.split(':').next().map(|name| format!("{name}@")), place),
            None => (None, rest),
        };
        let (place, options) = place.split_once('?').unwrap_or((place, ""));
        let options: Vec<&str> =
            options.split('&').filter(|one| !one.is_empty() && !one.starts_with("password=")).collect();
        let sign = if options.is_empty() { "" } else { "?" };
        format!("{scheme}://{}{place}{sign}{}", person.unwrap_or_default(), options.join("&"))
    }

    /// Where files belong that lie beside the database: in its folder; with a server, where we stand.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        match self {
            Self::File(path) => path.with_file_name(name),
            Self::Server(_) => Path::new(name).to_owned(),
        }
    }

    /// Whether it is there already. A server's tables are made when it is opened, so it always is.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Self::File(path) => path.exists(),
            Self::Server(_) => true,
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn open(&self) -> Result<SharedStore, OpenError> {
        Ok(match self {
            Self::File(path) => SharedStore::new(SqliteStore::open(path)?),
            Self::Server(address) => SharedStore::new(PostgresStore::connect(address).await?),
        })
    }

    /// Opens it with at most so many connections to a server, where many share it.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn open_narrow(&self, connections: usize) -> Result<SharedStore, OpenError> {
        let Self::Server(address) = self else { return self.open().await };
        let config = address.parse().map_err(|error: tokio_postgres::Error| {
            tipstaff_postgres::OpenError::Address(error.to_string())
        })?;
        let pool = PostgresStore::pool(config, connections)?;
        Ok(SharedStore::new(PostgresStore::with_pool(pool, Form::default()).await?))
    }

    /// Opens it, and has the hook called before and after each commit to a file; a server's commits are
    /// not seen from here.
    #[doc(hidden)]
    pub async fn open_watched(
        &self,
        hook: Box<dyn Fn(Phase) + Send + Sync>,
    ) -> Result<SharedStore, OpenError> {
        match self {
            Self::File(path) => Ok(SharedStore::new(SqliteStore::open(path)?.on_commit(hook))),
            Self::Server(_) => self.open().await,
        }
    }
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file.
    #[error(transparent)]
    Sqlite(#[from] tipstaff_sqlite::OpenError),
    /// A server.
    #[error(transparent)]
    Postgres(#[from] tipstaff_postgres::OpenError),
}

/// Drives a call to its end. SQLite's never wait; a server's do, on one runtime of this process.
///
/// # Panics
/// Within another runtime, and where the system refuses to make one.
pub fn block_on<T>(call: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Builder::new_current_thread().enable_all().build().expect("the system has threads"))
        .block_on(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_server_and_all_else_a_file() {
        for (text, shown, beside) in [
            ("my.db", "my.db", "outbox"),
            ("/var/lib/my.db", "/var/lib/my.db", "/var/lib/outbox"),
            ("postgres.db", "postgres.db", "outbox"),
            (
                "postgres://ana:secret@db.example.com:5432/security",
                "postgres://db.example.com:5432/security",
                "outbox",
            ),
            ("postgresql://ana@db/s?password=secret", "postgres://db/s", "outbox"),
            ("postgres://db", "postgres://db", "outbox"),
        ] {
            let Ok(database) = text.parse::<Database>();
            assert_eq!(database.to_string(), shown);
            assert_eq!(database.beside("outbox"), Path::new(beside));
            assert_eq!(matches!(database, Database::Server(_)), text.contains("://"));
        }
    }
    #[test]
    fn an_address_is_told_without_its_password_and_names_the_same_place() {
        for (text, told) in [
            ("my.db", "my.db"),
            ("postgres://ana:secret@db:5432/s", "postgres://ana@db:5432/s"),
            ("postgres://ana:se@cret@db/s", "postgres://ana@db/s"),
            ("postgresql://ana@db/s?password=secret", "postgresql://ana@db/s"),
            (
                "postgres://db/s?a=b&password=secret&options=-c%20search_path%3Dx",
                "postgres://db/s?a=b&options=-c%20search_path%3Dx",
            ),
        ] {
            let Ok(database) = text.parse::<Database>();
            assert_eq!(database.without_password(), told);
        }
    }
}
