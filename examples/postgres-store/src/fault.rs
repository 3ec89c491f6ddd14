//! What PostgreSQL's errors mean to a caller. The codes are those of its manual's appendix
//! "PostgreSQL Error Codes".

use std::fmt::Display;

use deadpool_postgres::PoolError;
use tipstaff::StoreError;
use tokio_postgres::Error;

/// The place of which the server does not say more.
pub(crate) const DATABASE: &str = "the database";

/// Why a transaction was not written.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The store's answer.
    Store(StoreError),
    /// Another transaction was in the way. Nothing was written; the same may be tried again.
    Again(String),
    /// A key was there that was not when it was looked for. Another transaction may have made it; if it
    /// stays in the way, what is stored contradicts itself.
    Twice(String),
}

impl Fault {
    /// What is stored at that place, or was to be, makes no sense.
    pub(crate) fn corrupt(place: impl Display, fault: impl Display) -> Self {
        Self::Store(StoreError::Corrupt { place: place.to_string(), fault: fault.to_string() })
    }

    /// An error of `COMMIT` itself. Only a transaction that the server says it has rolled back is
    /// known not to be written.
    pub(crate) fn at_commit(error: &Error) -> Self {
        match code(error) {
            Some(code) if code.starts_with("40") && code != "40003" => Self::Again(text(error)),
            _ => Self::unknown(error),
        }
    }

    /// A commit had gone out, or may have, and nothing says what became of it.
    pub(crate) fn unknown(error: &Error) -> Self {
        Self::Store(StoreError::Unknown(text(error)))
    }

    /// Before its commit a transaction that fails has written nothing.
    fn of(code: Option<&str>, text: String) -> Self {
        match code.map(|code| (code.get(..2).unwrap_or_default(), code)) {
            Some((_, "23505")) => Self::Twice(text),
            // A lock that was not to be had, and what the server has rolled back for another's sake.
            Some((_, "55P03") | ("40", _)) => Self::Again(text),
            // No connection; no resources; an operator stepped in; the system failed.
            None | Some(("08" | "53" | "57" | "58", _)) => Self::Store(StoreError::Unavailable(text)),
            // Read-only; a transaction that lay idle, or lasted, too long; a statement that the server
            // does not know, as behind a pooler that gives each transaction another session.
            Some((_, "25006" | "25P03" | "25P04" | "26000" | "42P05")) => {
                Self::Store(StoreError::Unavailable(text))
            }
            _ => Self::corrupt(DATABASE, text),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::of(code(&error), text(&error))
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
            Fault::Twice(why) => Self::Corrupt { place: DATABASE.into(), fault: why },
        }
    }
}

/// The error's code, where the server has told one.
fn code(error: &Error) -> Option<&str> {
    error.code().map(|code| code.code())
}

/// What the server says, without the statement's values.
fn text(error: &Error) -> String {
    match error.as_db_error() {
        Some(known) => format!("{} ({})", known.message(), known.code().code()),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_says_what_to_do() {
        for (codes, expected) in [
            ("08006 53300 57P01 57P05 58030 25006 25P03 25P04 26000 42P05", "unavailable"),
            ("40001 40P01 40003 55P03", "again"),
            ("23505", "twice"),
            ("22003 23514 25001 42P01 XX001", "corrupt"),
        ] {
            for code in codes.split(' ') {
                let word = match Fault::of(Some(code), String::new()) {
                    Fault::Store(StoreError::Unavailable(_)) => "unavailable",
                    Fault::Store(StoreError::Corrupt { .. }) => "corrupt",
                    Fault::Store(_) => "another answer",
                    Fault::Again(_) => "again",
                    Fault::Twice(_) => "twice",
                };
                assert_eq!(word, expected, "{code}");
            }
        }
        let broken = Fault::of(None, String::new());
        assert!(matches!(broken, Fault::Store(StoreError::Unavailable(_))), "{broken:?}");
    }
}
