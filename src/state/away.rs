//! Who of the administrators is being taken away, so that two decisions cannot take the last ones
//! between them.

use serde::{Deserialize, Serialize};

use crate::approval::is_one;
use crate::id::{EffectId, EnforcementId, UserId};

/// The administrators of a tenant who can use their accounts, as the host names them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Administrators {
    /// Who they are, by the ids that signals use. Nobody at all is no answer: it is taken as not known.
    pub members: Vec<UserId>,
    /// Which state of the directory this is: it rises with every change. What is older than what
    /// another process has seen is not believed; 0 where the host does not count. Then nothing tells
    /// when it has taken notice of an action that is not taken back: whoever such an action took away
    /// counts as away until the host counts.
    pub version: u64,
}

impl Administrators {
    /// Whether a user is one of them. Directories differ in case.
    #[must_use]
    pub fn have(&self, user: &UserId) -> bool {
        self.members.iter().any(|member| is_one(member.as_str(), user.as_str()))
    }

    /// How many remain without a user and without those who are being taken away.
    #[must_use]
    pub fn remain(&self, without: &UserId, away: &Away) -> usize {
        let mut seen: Vec<&UserId> = Vec::new();
        for member in &self.members {
            let gone = is_one(member.as_str(), without.as_str()) || away.has(member, self.version);
            let twice = seen.iter().any(|known| is_one(known.as_str(), member.as_str()));
            if !gone && !twice {
                seen.push(member);
            }
        }
        seen.len()
    }
}

/// The administrators who are being taken away, or are away: read by every decision that would take
/// one, and written with it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Away {
    /// The newest state of the host's directory that a decision was made by.
    pub version: u64,
    /// Who, and by what.
    pub taken: Vec<Place>,
}

/// One who is being taken away.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Place {
    /// Who.
    pub user: UserId,
    /// By what.
    pub by: TakenBy,
}

/// What takes an administrator away.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TakenBy {
    /// An enforcement that is not over.
    Enforcement(EnforcementId),
    /// An effect that may be there.
    Effect(EffectId),
    /// An enforcement that is over, of a type that is not taken back: it counts until the host's
    /// directory has changed since that version of it.
    Done {
        /// Which.
        enforcement: EnforcementId,
        /// The newest version that was known then.
        version: u64,
    },
}

impl Away {
    /// Whether a user is away, for a directory of that version.
    #[must_use]
    pub fn has(&self, user: &UserId, version: u64) -> bool {
        let counts = |taken: &Place| match taken.by {
            TakenBy::Done { version: then, .. } => version <= then,
            TakenBy::Enforcement(_) | TakenBy::Effect(_) => true,
        };
        self.taken.iter().any(|taken| counts(taken) && is_one(taken.user.as_str(), user.as_str()))
    }

    /// A user is being taken away from now on, as the directory of that version names them.
    pub(crate) fn reserve(&mut self, user: &UserId, by: TakenBy, version: u64) {
        self.version = self.version.max(version);
        let newest = self.version;
        // Of what cannot be taken back the host's newer word tells.
        self.taken.retain(|taken| !matches!(taken.by, TakenBy::Done { version, .. } if version < newest));
        let taken = Place { user: user.clone(), by };
        if !self.taken.contains(&taken) {
            self.taken.push(taken);
        }
    }

    /// What took somebody away does so no more.
    pub(crate) fn release(&mut self, by: &TakenBy) {
        self.taken.retain(|taken| taken.by != *by);
    }
}
