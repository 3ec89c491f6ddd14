//! What SQLite's errors mean to a caller. The names are those of "Result and Error Codes",
//! sqlite.org.

use std::fmt::Display;

use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use tipstaff::StoreError;

/// Why a transaction was not written: SQLite's own error, or the store's answer.
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl Fault {
    /// What is stored at that place, or was to be, makes no sense.
    pub(crate) fn corrupt(place: impl Display, fault: impl Display) -> Self {
        Self::Store(StoreError::Corrupt { place: place.to_string(), fault: fault.to_string() })
    }

    /// The same, with the place where SQLite does not say it.
    pub(crate) fn at(self, place: impl Display) -> Self {
        match self {
            Self::Sql(error) if unavailable(&error).is_none() => Self::corrupt(place, error),
            fault => fault,
        }
    }

    /// Whether what is stored contradicts itself in the place that was looked at. A file that is damaged
    /// as a whole is not written to any more.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::Corrupt { .. }),
            Self::Sql(error) => {
                matches!(error.sqlite_error_code(), None | Some(ErrorCode::ConstraintViolation))
            }
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// A value that is not of the type that is asked for.
impl From<FromSqlError> for Fault {
    fn from(error: FromSqlError) -> Self {
        Self::Sql(error.into())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Before its commit a transaction that fails has written nothing.
impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error,
            Fault::Sql(error) => match unavailable(&error) {
                Some(why) => Self::Unavailable(why),
                None => Self::Corrupt { place: "the database".into(), fault: error.to_string() },
            },
        }
    }
}

/// An error of `COMMIT` itself. The write-ahead log is written first and synced then: whoever had
/// to wait (`SQLITE_BUSY`) or found no room (`SQLITE_FULL`) has no commit mark in it; after any
/// other error the mark may be there and be found again at the next start.
pub(crate) fn at_commit(error: &rusqlite::Error) -> StoreError {
    match (error.sqlite_error_code(), unavailable(error)) {
        (Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull), Some(why)) => StoreError::Unavailable(why),
        _ => StoreError::Unknown(error.to_string()),
    }
}

/// What keeps the database from working now, if that is what the error says.
fn unavailable(error: &rusqlite::Error) -> Option<String> {
    let why = match error.sqlite_error_code()? {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => "another connection is writing",
        ErrorCode::DiskFull => "the disk is full",
        ErrorCode::ReadOnly => "the database is read-only",
        ErrorCode::SystemIoFailure => "the disk failed",
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => "the database's files cannot be opened",
        ErrorCode::OutOfMemory => "there is no memory",
        ErrorCode::OperationInterrupted
        | ErrorCode::OperationAborted
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::SchemaChanged => "the call was broken off",
        _ => return None,
    };
    Some(format!("{why}: {error}"))
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn error(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn each_code_says_what_to_do() {
        for (code, before, at) in [
            (ffi::SQLITE_BUSY, "unavailable", "unavailable"),
            (ffi::SQLITE_FULL, "unavailable", "unavailable"),
            (ffi::SQLITE_LOCKED, "unavailable", "unknown"),
            (ffi::SQLITE_IOERR, "unavailable", "unknown"),
            (ffi::SQLITE_IOERR_FSYNC, "unavailable", "unknown"),
            (ffi::SQLITE_READONLY, "unavailable", "unknown"),
            (ffi::SQLITE_CANTOPEN, "unavailable", "unknown"),
            (ffi::SQLITE_CORRUPT, "corrupt", "unknown"),
            (ffi::SQLITE_NOTADB, "corrupt", "unknown"),
            (ffi::SQLITE_CONSTRAINT, "corrupt", "unknown"),
        ] {
            let word = |error: &StoreError| match error {
                StoreError::Unavailable(_) => "unavailable",
                StoreError::Unknown(_) => "unknown",
                StoreError::Corrupt { .. } => "corrupt",
                _ => "other",
            };
            assert_eq!(word(&Fault::Sql(error(code)).into()), before, "{code} before the commit");
            assert_eq!(word(&at_commit(&error(code))), at, "{code} at the commit");
        }
    }
}
