//! The level of a subject on a scale: the band that they are in, which hysteresis and hold may keep
//! apart from the band of the last score. A small state machine; time comes in.
//!
//! ```text
//!            observe: within the bound        observe: beyond it, all satisfied
//!               ┌──────┐               ┌──────────────────────────────┐
//!               ▼      │               │                              ▼
//! (unknown) ─▶ settled ┴──────────▶ settled ──observe: beyond──▶ leaving ──elapse──▶ settled
//!    observe: first                    ▲       dwell or hold        │                (another band)
//!                                      └──observe: back within──────┘
//!
//! dismiss, reread: from anywhere to the band where the last score lies
//! ```

use serde::{Deserialize, Serialize};

use super::history::{Entered, History};
use crate::id::SignalId;
use crate::score::{BandName, Change, Confidence, OutOfRange, Scale, Score, Transition};
use crate::time::Time;
use crate::words::words;

/// The most bytes of attributes that are kept with a level, so that a rule that asks for them can
/// judge a move that time alone brings. Of larger ones nothing is kept: such a rule then sees
/// somebody of whom nothing is known.
pub const MAX_KEPT_ATTRIBUTES: usize = 16 * 1024;

words! {
    /// Why a subject entered a band.
    LevelCause, "cause of a level" {
        Score: "score", "a score came in";
        Elapsed: "elapsed", "a dwell or a hold ended";
        Dismissed: "dismissed", "an operator reset the level";
        Reread: "reread", "the bands of the scale were changed";
    }
}

/// What is known of a subject on a scale. Part of the subject's state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Level {
    /// The last score that counted.
    pub score: Score,
    /// The time of that score's signal.
    pub at: Time,
    /// The band that the subject is in: that of the score, unless hysteresis or hold keeps another.
    pub band: BandName,
    /// The signal that brought the score.
    pub signal: SignalId,
    /// How sure the scorer was of it, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// The subject's attributes that came with it, as JSON; at most [`MAX_KEPT_ATTRIBUTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
    /// The scale's revision by which the band was read.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub revision: u32,
    /// The move that waits for time to pass, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
    /// Until when the band is held against better scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Time>,
    /// How it came to this.
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub history: History,
}

/// A score beyond its subject's band, where the band is not left yet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Leaving {
    /// Which way.
    pub change: Change,
    /// Since when every score lay beyond, that way.
    pub since: Time,
    /// When the band is left if no score comes before.
    pub due: Time,
}

/// A score that comes in, with what is kept of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observation {
    /// The score.
    pub score: Score,
    /// The signal's own time.
    pub at: Time,
    /// The signal.
    pub signal: SignalId,
    /// How sure the scorer is.
    pub confidence: Option<Confidence>,
    /// The subject's attributes, as JSON.
    pub attributes: Option<String>,
}

/// What became of a level.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LevelStep {
    /// The level from now on.
    pub level: Level,
    /// The move between bands, if one was made.
    pub transition: Transition,
}

const fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_first(revision: &u32) -> bool {
    *revision == 1
}

impl Observation {
    /// A score without confidence and attributes.
    #[must_use]
    pub const fn new(score: Score, at: Time, signal: SignalId) -> Self {
        Self { score, at, signal, confidence: None, attributes: None }
    }
}

impl Scale {
    /// What a score means for a subject. A late one, older than the last that counted, changes
    /// nothing.
    ///
    /// A dwell or hold that was over before the score, and a level that was read by another revision
    /// of the scale, are made up for first: the transition is then that from the band so reached.
    /// The engine makes such moves decisions of their own, by [`Scale::elapse`] and
    /// [`Scale::reread`], before it comes to this.
    ///
    /// # Errors
    /// [`OutOfRange`] if the scale ends before the score, late or not.
    pub fn observe(&self, level: Option<&Level>, seen: Observation) -> Result<LevelStep, OutOfRange> {
        let lies_in = self.place(&seen.score)?;
        let known = match level {
            Some(level) if seen.at < level.at => {
                return Ok(LevelStep { level: level.clone(), transition: Transition::Late });
            }
            level => level.and_then(|level| self.up_to_date(level, seen.at)),
        };
        let Some((known, from)) = known else {
            return Ok(self.begin(level, seen, lies_in));
        };
        let held_until = match lies_in >= from {
            true => self.held(lies_in, seen.at),
            false => known.held_until,
        };
        let leaving = self.left(from, &seen.score, lies_in).map(|change| {
            let begun = known.leaving.as_ref().filter(|leaving| leaving.change == change);
            let since = begun.map_or(seen.at, |leaving| leaving.since);
            let dwell = since.after(self.dwell(change, lies_in));
            let held = held_until.filter(|_| change == Change::Better);
            Leaving { change, since, due: held.map_or(dwell, |held| held.max(dwell)) }
        });
        let keeps = seen.attributes.filter(|text| text.len() <= MAX_KEPT_ATTRIBUTES);
        let mut level = Level {
            score: seen.score,
            at: seen.at,
            signal: seen.signal,
            confidence: seen.confidence,
            attributes: keeps,
            leaving,
            held_until,
            ..known
        };
        let gone = level.leaving.as_ref().is_some_and(|leaving| leaving.due <= seen.at);
        if gone {
            let transition = self.enter(&mut level, from, lies_in, seen.at, LevelCause::Score);
            level.read();
            return Ok(LevelStep { level, transition });
        }
        level.read();
        let transition = Transition::Stayed { band: level.band.clone() };
        Ok(LevelStep { level, transition })
    }

    /// The move that time alone has brought by `now`: a dwell or a hold is over. It is made at the
    /// instant when that ended ([`Leaving::due`]). None if nothing is due, or if the level was read
    /// by another revision of the scale and must be [read again](Scale::reread) first.
    #[must_use]
    pub fn elapse(&self, level: &Level, now: Time) -> Option<LevelStep> {
        let due = level.leaving.as_ref().filter(|leaving| leaving.due <= now)?.due;
        if level.revision != self.revision() {
            return None;
        }
        let (from, lies_in) = (self.rank(&level.band)?, self.place(&level.score).ok()?);
        let mut level = level.clone();
        let transition = self.enter(&mut level, from, lies_in, due, LevelCause::Elapsed);
        Some(LevelStep { level, transition })
    }

    /// The level reset to the band where the last score lies: no margin, no dwell and no hold is
    /// asked any more, and that band is not held until a score falls in it again.
    ///
    /// # Errors
    /// [`OutOfRange`] if the scale ends before the last score.
    pub fn dismiss(&self, level: &Level, at: Time) -> Result<LevelStep, OutOfRange> {
        let lies_in = self.place(&level.score)?;
        let mut level = level.clone();
        let transition = match self.rank(&level.band) {
            Some(from) => self.enter(&mut level, from, lies_in, at, LevelCause::Dismissed),
            None => self.enter_unknown(&mut level, lies_in, at, LevelCause::Dismissed),
        };
        (level.held_until, level.revision) = (None, self.revision());
        Ok(LevelStep { level, transition })
    }

    /// The level by this revision of the scale, where it was read by another: the band where the
    /// last score lies now. Margin and dwell are not asked, and a dwell under way ends; a hold that
    /// is in force stays, if the held band is still there.
    ///
    /// A subject whose band has no name on this scale enters from "unknown": nobody can say whether
    /// the new band is a worse one.
    ///
    /// # Errors
    /// [`OutOfRange`] if the scale ends before the last score: nothing is known of the subject on it
    /// then.
    pub fn reread(&self, level: &Level, at: Time) -> Result<LevelStep, OutOfRange> {
        let lies_in = self.place(&level.score)?;
        let mut level = Level { revision: self.revision(), ..level.clone() };
        let held_until = level.held_until.filter(|until| self.hold().is_some() && *until > at);
        let transition = match self.rank(&level.band) {
            None => self.enter_unknown(&mut level, lies_in, at, LevelCause::Reread),
            Some(from) => match held_until {
                Some(due) if lies_in < from => {
                    let since = level.leaving.as_ref().map_or(level.at, |leaving| leaving.since);
                    level.leaving = Some(Leaving { change: Change::Better, since, due });
                    level.held_until = held_until;
                    Transition::Stayed { band: level.band.clone() }
                }
                _ => self.enter(&mut level, from, lies_in, at, LevelCause::Reread),
            },
        };
        Ok(LevelStep { level, transition })
    }

    /// The level brought up to `at` by what is overdue, and the rank of its band; none where
    /// nothing can be said of it on this scale.
    fn up_to_date(&self, level: &Level, at: Time) -> Option<(Level, usize)> {
        let mut level = level.clone();
        if level.revision != self.revision() || self.rank(&level.band).is_none() {
            level = self.reread(&level, at).ok()?.level;
        }
        if let Some(step) = self.elapse(&level, at) {
            level = step.level;
        }
        let rank = self.rank(&level.band)?;
        Some((level, rank))
    }

    /// The first score ever seen, or the first that can be read on this scale.
    fn begin(&self, before: Option<&Level>, seen: Observation, lies_in: usize) -> LevelStep {
        let mut level = Level {
            score: seen.score,
            at: seen.at,
            band: self.bands()[lies_in].name.clone(),
            signal: seen.signal,
            confidence: seen.confidence,
            attributes: seen.attributes.filter(|text| text.len() <= MAX_KEPT_ATTRIBUTES),
            revision: self.revision(),
            leaving: None,
            held_until: None,
            history: before.map(|level| level.history.clone()).unwrap_or_default(),
        };
        let transition = self.enter_unknown(&mut level, lies_in, seen.at, LevelCause::Score);
        level.read();
        LevelStep { level, transition }
    }

    /// The move into a band at an instant; none where the level is in that band already.
    fn enter(&self, level: &mut Level, from: usize, to: usize, at: Time, cause: LevelCause) -> Transition {
        let transition = self.between(from, to);
        let left = (from != to).then(|| self.bands()[from].name.clone());
        self.settle(level, to, at);
        if left.is_some() {
            level.entered(left, at, cause);
        }
        transition
    }

    /// The entry of a band from "unknown".
    fn enter_unknown(&self, level: &mut Level, to: usize, at: Time, cause: LevelCause) -> Transition {
        self.settle(level, to, at);
        level.entered(None, at, cause);
        Transition::First { to: level.band.clone() }
    }

    fn settle(&self, level: &mut Level, to: usize, at: Time) {
        level.band = self.bands()[to].name.clone();
        level.leaving = None;
        level.held_until = self.held(to, level.at).filter(|until| *until > at);
    }

    /// Until when a band is held after a score of that time; nothing is better than the best.
    fn held(&self, rank: usize, at: Time) -> Option<Time> {
        self.hold().filter(|_| rank > 0).map(|hold| at.after(hold))
    }
}

impl LevelStep {
    /// Whether nothing but the revision's number is new.
    pub(crate) fn only_numbers(&self, before: &Level) -> bool {
        Level { revision: before.revision, ..self.level.clone() } == *before
    }
}

impl Level {
    /// When the next move is made if no score comes before.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.leaving.as_ref().map(|leaving| leaving.due)
    }

    fn read(&mut self) {
        self.history.read(&self.score, self.at, &self.band);
    }

    fn entered(&mut self, from: Option<BandName>, at: Time, cause: LevelCause) {
        let (score, band) = (self.score.clone(), self.band.clone());
        self.history.entered(Entered { band, from, at, score, cause });
    }
}
