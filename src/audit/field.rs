//! What a record's fields hold: who did it, and typed values.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{ActorId, IdError, WorkerId};
use crate::time::Time;

/// Who did what a record tells. Written as text: `engine`, `host`, `person:ana`, `worker:w1`.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Actor {
    /// The engine, on its own.
    Engine,
    /// The program around the engine, on its own.
    Host,
    /// A person or an integrated workflow.
    Person(ActorId),
    /// A process that delivers actions.
    Worker(WorkerId),
}

impl From<ActorId> for Actor {
    fn from(id: ActorId) -> Self {
        Self::Person(id)
    }
}

impl From<WorkerId> for Actor {
    fn from(id: WorkerId) -> Self {
        Self::Worker(id)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => f.pad("engine"),
            Self::Host => f.pad("host"),
            Self::Person(id) => f.pad(&format!("person:{id}")),
            Self::Worker(id) => f.pad(&format!("worker:{id}")),
        }
    }
}

/// A text that names no actor.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ActorError {
    /// It does not say which kind of actor.
    #[error("`{text}` is no actor; accepted: `engine`, `host`, `person:` and an id, `worker:` and an id")]
    Kind {
        /// What was given, cut to 80 characters.
        text: String,
    },
    /// The id after the kind is none.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl FromStr for Actor {
    type Err = ActorError;
    fn from_str(text: &str) -> Result<Self, ActorError> {
        Ok(match text.split_once(':') {
            None if text == "engine" => Self::Engine,
            None if text == "host" => Self::Host,
            Some(("person", id)) => Self::Person(id.parse()?),
            Some(("worker", id)) => Self::Worker(id.parse()?),
            _ => return Err(ActorError::Kind { text: text.chars().take(80).collect() }),
        })
    }
}

crate::words::serde_as_text!(Actor);

/// A value of a record's metadata. In JSON it names its type: `{"number": 3}`, `{"text": "vpn"}`.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// An instant.
    At(Time),
    /// Several texts, in their order.
    List(Vec<String>),
}

impl Detail {
    /// How many bytes of text it holds.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(texts) => texts.iter().map(String::len).sum(),
            Self::Number(_) | Self::Flag(_) | Self::At(_) => 0,
        }
    }

    /// The detail with no more bytes of text than that; of several texts the first ones.
    pub(super) fn cut(self, most: usize) -> Self {
        match self {
            Self::Text(text) => Self::Text(cut(text, most)),
            Self::List(ref texts) if self.bytes() > most => {
                let mut bytes = CUT.len();
                let first = texts.iter().take_while(|text| {
                    bytes += text.len();
                    bytes <= most
                });
                Self::List(first.cloned().chain([CUT.to_owned()]).collect())
            }
            short => short,
        }
    }
}

/// What stands in the place of what was cut off.
const CUT: &str = "…";

/// The text with no more bytes than that.
pub(super) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let fits = (0..=most - CUT.len()).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(fits.unwrap_or(0));
        text.push_str(CUT);
    }
    text
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Number(number) => fmt::Display::fmt(number, f),
            Self::Flag(flag) => fmt::Display::fmt(flag, f),
            Self::At(time) => f.pad(&time.to_string()),
            Self::List(texts) => f.pad(&texts.join(", ")),
        }
    }
}

/// Declares what a detail is made from.
macro_rules! detail_from {
    ($($type:ty => |$value:ident| $detail:expr;)+) => {$(
        impl From<$type> for Detail {
            fn from($value: $type) -> Self {
                $detail
            }
        }
    )+};
}

detail_from! {
    String => |text| Self::Text(text);
    &str => |text| Self::Text(text.to_owned());
    bool => |flag| Self::Flag(flag);
    Time => |time| Self::At(time);
    Vec<String> => |texts| Self::List(texts);
    Vec<&str> => |texts| Self::List(texts.into_iter().map(str::to_owned).collect());
    i32 => |number| Self::Number(number.into());
    i64 => |number| Self::Number(number);
    u16 => |number| Self::Number(number.into());
    u32 => |number| Self::Number(number.into());
    // A count that no i64 holds stands as the largest one.
    u64 => |number| Self::Number(i64::try_from(number).unwrap_or(i64::MAX));
    usize => |number| Self::Number(i64::try_from(number).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::{Detail, cut};

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        for (text, most, left) in
            [("abc", 3, "abc"), ("abcd", 3, "…"), ("abcde", 4, "a…"), ("aéé", 4, "a…"), ("ééé", 5, "é…")]
        {
            assert_eq!(cut(text.to_owned(), most), left);
            assert_eq!(Detail::from(text).cut(most), Detail::from(left));
        }
        let list = |texts: &[&str]| Detail::from(texts.to_vec());
        assert_eq!(list(&["ab", "cd"]).cut(4), list(&["ab", "cd"]));
        assert_eq!(list(&["ab", "cd", "e"]).cut(4), list(&["…"]));
        assert_eq!(list(&["a", "b", "cd", "e"]).cut(4), list(&["a", "…"]));
        assert_eq!(Detail::from(12_345).cut(3), Detail::from(12_345));
    }
}
