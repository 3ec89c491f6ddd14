//! How a law says that it does not hold.

use std::fmt::Debug;

use crate::store::StoreError;

/// The most characters of an answer that a failure shows.
const MAX_SHOWN: usize = 600;

/// A law does not hold: what was expected, and what was seen instead.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{place}: expected {expected}; seen {seen}")]
pub struct Broken {
    /// At which step of the law.
    pub place: String,
    /// What the contract promises there.
    pub expected: String,
    /// What came instead, cut to 600 characters.
    pub seen: String,
}

/// What checking a law comes to.
pub(super) type Checked = Result<(), Broken>;

impl Broken {
    pub(super) fn new(
        place: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), expected: cut(expected.into()), seen: cut(seen.into()) }
    }
}

impl From<StoreError> for Broken {
    /// A call that ought to succeed did not.
    fn from(error: StoreError) -> Self {
        Self::new("a call that nothing stands against", "an answer", error.to_string())
    }
}

/// Two values that must be equal.
pub(super) fn same<T: Debug + PartialEq + ?Sized>(place: &str, expected: &T, seen: &T) -> Checked {
    if expected == seen {
        Ok(())
    } else {
        Err(Broken::new(place, format!("{expected:?}"), format!("{seen:?}")))
    }
}

/// Two lists that must be equal; says where they first differ.
pub(super) fn same_list<T: Debug + PartialEq>(place: &str, expected: &[T], seen: &[T]) -> Checked {
    let Some(first) = (0..expected.len().max(seen.len())).find(|i| expected.get(*i) != seen.get(*i)) else {
        return Ok(());
    };
    let show = |list: &[T]| match list.get(first) {
        Some(item) => format!("{item:?} (of {})", list.len()),
        None => format!("nothing more (of {})", list.len()),
    };
    Err(Broken::new(format!("{place}: place {first} of the list"), show(expected), show(seen)))
}

/// A condition on what was seen.
pub(super) fn holds(place: &str, condition: bool, expected: &str, seen: &dyn Debug) -> Checked {
    if condition { Ok(()) } else { Err(Broken::new(place, expected, format!("{seen:?}"))) }
}

/// A call that must be refused in exactly this way.
pub(super) fn refused<T: Debug>(place: &str, error: &StoreError, seen: &Result<T, StoreError>) -> Checked {
    match seen {
        Err(seen) if seen == error => Ok(()),
        other => Err(Broken::new(place, format!("the refusal {error:?}"), format!("{other:?}"))),
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text,
        Some((end, _)) => format!("{} … ({} bytes)", &text[..end], text.len()),
    }
}
