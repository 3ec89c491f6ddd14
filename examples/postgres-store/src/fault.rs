//! What PostgreSQL's errors mean to a caller. The codes are those of its manual's appendix
//! "PostgreSQL Error Codes".

use std::fmt::Display;

use deadpool_postgres::PoolError;
use tipstaff::StoreError;
use tokio_postgres::Error;

/// Why a transaction was not written.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The store's answer.
    Store(StoreError),
    /// Another transaction was in the way. Nothing was written; the same may be tried again.
    Again(String),
}

impl Fault {
    /// What is stored at that place, or was to be, makes no sense.
    pub(crate) fn corrupt(place: impl Display, fault: impl Display) -> Self {
        Self::Store(StoreError::Corrupt { place: place.to_string(), fault: fault.to_string() })
    }

    /// An error of `COMMIT` itself. Only a transaction that the server says it has rolled back is
    /// known not to be written.
    pub(crate) fn at_commit(error: &Error) -> Self {
        match class(error) {
            Some("40") => Self::Again(text(error)),
            _ => Self::Store(StoreError::Unknown(text(error))),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Before its commit a transaction that fails has written nothing.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let code = error.code().map(|code| code.code());
        match (code, class(&error)) {
            // A lock that was not to be had, and a key that another transaction has just made.
            (Some("55P03" | "23505"), _) | (_, Some("40")) => Self::Again(text(&error)),
            // No connection; no resources; an operator stepped in; the system failed; read-only.
            (None, _) | (_, Some("08" | "53" | "57" | "58")) | (Some("25006"), _) => {
                Self::Store(StoreError::Unavailable(text(&error)))
            }
            _ => Self::corrupt("the database", text(&error)),
        }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        Self::Store(StoreError::Unavailable(error.to_string()))
    }
}

/// After the last turn.
impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error,
            Fault::Again(why) => Self::Unavailable(format!("other transactions are in the way: {why}")),
        }
    }
}

/// The first two characters of the error's code.
fn class(error: &Error) -> Option<&str> {
    error.code().and_then(|code| code.code().get(..2))
}

/// What the server says, without the statement's values.
fn text(error: &Error) -> String {
    match error.as_db_error() {
        Some(known) => format!("{} ({})", known.message(), known.code().code()),
        None => error.to_string(),
    }
}
