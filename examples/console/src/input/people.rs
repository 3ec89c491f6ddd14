//! What is known of people beside the logs.

use std::collections::BTreeMap;
use std::str::FromStr;

use tipstaff::{Payload, UserId};

use super::fault::Fault;
use super::raw::{Kind, Value};

/// What is known of people, for rules that ask for it: a JSON object of users, each with an object
/// of attributes.
/// ```json
/// {"u-1001": {"privileged": true, "department": "platform"}}
/// ```
#[derive(Clone, Debug, Default)]
pub struct People {
    by_user: BTreeMap<UserId, Payload>,
}

/// A document of people that was refused: its first fault.
#[derive(Debug, thiserror::Error)]
#[error("people: offset {at}: {why}; accepted: an object of users, each with an object of attributes")]
pub struct PeopleError {
    /// Bytes before the fault.
    pub at: usize,
    /// What is wrong there.
    pub why: String,
}

impl People {
    /// What is known of a user.
    #[must_use]
    pub fn attributes(&self, user: &UserId) -> Option<&Payload> {
        self.by_user.get(user)
    }

    /// Everybody of whom something is known, by id.
    pub fn users(&self) -> impl Iterator<Item = &UserId> {
        self.by_user.keys()
    }
}

impl FromStr for People {
    type Err = PeopleError;
    fn from_str(text: &str) -> Result<Self, PeopleError> {
        let refused =
            |fault: Fault| PeopleError { at: fault.at.unwrap_or_default(), why: fault.fault.to_string() };
        let root = Value::read(text).map_err(refused)?;
        if root.kind() != Kind::Object {
            return Err(PeopleError { at: root.at(), why: format!("found {}", root.kind().name()) });
        }
        let mut by_user = BTreeMap::new();
        for (name, value) in root.members().map_err(refused)? {
            let wrong = |why: String| PeopleError { at: value.at(), why };
            let user: UserId = name.parse().map_err(|error: tipstaff::IdError| wrong(error.to_string()))?;
            let known = Payload::new(value.text()).map_err(|error| wrong(error.to_string()))?;
            if by_user.insert(user, known).is_some() {
                return Err(wrong(format!("`{name}` stands twice")));
            }
        }
        Ok(Self { by_user })
    }
}
