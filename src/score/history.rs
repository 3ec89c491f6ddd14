//! What is kept of a subject's way on a scale, for people who must judge it: bounded.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::level::LevelCause;
use crate::hash::Hasher;
use crate::score::{BandName, Score};
use crate::time::Time;

/// The most scores that are kept of a subject on a scale: the newest. Enough to see whether a score
/// fell at once or by and by; the trail has them all.
pub const MAX_KEPT_READINGS: usize = 12;
/// The most entries of bands that are kept of a subject on a scale: the newest. They reach further
/// back than the scores where a subject stays in a band.
pub const MAX_KEPT_ENTRIES: usize = 12;

/// The newest scores and entries of bands of a subject on a scale, the oldest first. Late scores
/// moved nothing, and are not among them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct History {
    /// The newest scores; at most [`MAX_KEPT_READINGS`].
    #[serde(default)]
    pub readings: Vec<Scored>,
    /// The newest entries of bands; at most [`MAX_KEPT_ENTRIES`].
    #[serde(default)]
    pub entries: Vec<Entered>,
}

/// One score that was read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Scored {
    /// The score.
    pub score: Score,
    /// The signal's own time.
    pub at: Time,
    /// The band that the subject was in then.
    pub band: BandName,
}

/// One entry of a band.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entered {
    /// The band.
    pub band: BandName,
    /// The band that was left; none at the first score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<BandName>,
    /// When.
    pub at: Time,
    /// The score then.
    pub score: Score,
    /// Why.
    pub cause: LevelCause,
}

impl History {
    /// Whether nothing is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.readings.is_empty() && self.entries.is_empty()
    }

    pub(super) fn read(&mut self, score: &Score, at: Time, band: &BandName) {
        self.readings.push(Scored { score: score.clone(), at, band: band.clone() });
        keep(&mut self.readings, MAX_KEPT_READINGS);
    }

    pub(super) fn entered(&mut self, mut entry: Entered) {
        // An entry that time brought may be later than a score that is on its way.
        entry.at = self.entries.last().map_or(entry.at, |last| last.at.max(entry.at));
        self.entries.push(entry);
        keep(&mut self.entries, MAX_KEPT_ENTRIES);
    }

    /// Feeds it to a hash.
    pub(crate) fn feed(&self, hasher: Hasher) -> Hasher {
        let hasher = hasher.number(self.readings.len() as u64);
        let hasher = self.readings.iter().fold(hasher, |h, read| {
            let h = h.text(&read.score.to_string()).number(read.at.micros().cast_unsigned());
            h.text(read.band.as_str())
        });
        let hasher = hasher.number(self.entries.len() as u64);
        self.entries.iter().fold(hasher, |h, entry| {
            let h = h.text(entry.band.as_str()).text(entry.from.as_ref().map_or("", BandName::as_str));
            let h = h.number(entry.at.micros().cast_unsigned()).text(&entry.score.to_string());
            h.text(entry.cause.as_str())
        })
    }
}

fn keep<T>(list: &mut Vec<T>, most: usize) {
    list.drain(..list.len().saturating_sub(most));
}

impl fmt::Display for Scored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) at {}", self.score, self.band, self.at)
    }
}

impl fmt::Display for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entered", self.band)?;
        if let Some(from) = &self.from {
            write!(f, " from {from}")?;
        }
        write!(f, " at {} with {}", self.at, self.score)?;
        match self.cause {
            LevelCause::Score => Ok(()),
            LevelCause::Elapsed => f.write_str(", as time passed"),
            LevelCause::Dismissed => f.write_str(", dismissed by an operator"),
            LevelCause::Reread => f.write_str(", by changed bands"),
        }
    }
}
