//! What a new score means by the bands alone: the move from the band that was to the band that is.
//! With hysteresis and hold, see [`level`](super::level).

use serde::{Deserialize, Serialize};

use crate::id::SignalId;
use crate::score::{Band, BandName, OutOfRange, Scale, Score};
use crate::time::Time;

/// A score with the band that it falls in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Reading {
    /// The score.
    pub score: Score,
    /// The signal's own time.
    pub at: Time,
    /// The band that it fell in, as the scale was then.
    pub band: BandName,
    /// The signal that brought it.
    pub signal: SignalId,
}

/// Which way a subject moved.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Into a worse band.
    Worse,
    /// Into a better band.
    Better,
}

/// What a score means after the one before it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transition {
    /// The first score ever seen: an entry from "unknown".
    First {
        /// The band that it falls in.
        to: BandName,
    },
    /// The band is the same as before.
    Stayed {
        /// That band.
        band: BandName,
    },
    /// Another band was entered.
    Moved {
        /// The band that was left.
        from: BandName,
        /// The band that was entered.
        to: BandName,
        /// Which way.
        change: Change,
        /// The bands jumped over, in the order of the move; empty for neighbours.
        skipped: Vec<BandName>,
    },
    /// The signal is older than the last one seen: it is recorded, and moves nothing.
    Late,
}

/// A score that gives no transition.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransitionError {
    /// The scale ends before the score.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The subject's last reading is from another revision of the scale, whose bands differ: the
    /// subject must be read again on this one first.
    #[error(
        "scale `{scale}` has no band `{band}`, in which the subject was; read the subject again on this scale"
    )]
    UnknownBand {
        /// The scale.
        scale: crate::id::ScaleId,
        /// The band of the last reading.
        band: BandName,
    },
}

impl Scale {
    /// The reading of a score.
    ///
    /// # Errors
    /// [`OutOfRange`] if the scale ends before the score.
    pub fn reading(&self, score: Score, at: Time, signal: SignalId) -> Result<Reading, OutOfRange> {
        let band = self.band(&score)?.name.clone();
        Ok(Reading { score, at, band, signal })
    }

    /// What `score` at `at` means for a subject whose last reading is `previous`, by the bands
    /// alone: [`Scale::observe`] asks for hysteresis and hold as well.
    ///
    /// A score of the same instant as the last one is not late: of two signals of one instant the
    /// later to arrive is the newer. (A signal that arrives twice is recognised by its id, before
    /// this is asked.)
    ///
    /// # Errors
    /// [`TransitionError`], first of all for a score out of range, late or not.
    pub fn transition(
        &self,
        previous: Option<&Reading>,
        score: &Score,
        at: Time,
    ) -> Result<Transition, TransitionError> {
        let to = self.place(score)?;
        let Some(previous) = previous else {
            return Ok(Transition::First { to: self.bands()[to].name.clone() });
        };
        if at < previous.at {
            return Ok(Transition::Late);
        }
        let from = self.rank(&previous.band).ok_or_else(|| TransitionError::UnknownBand {
            scale: self.id().clone(),
            band: previous.band.clone(),
        })?;
        Ok(self.between(from, to))
    }

    /// The move from one rank to another.
    pub(super) fn between(&self, from: usize, to: usize) -> Transition {
        let name = |rank: usize| self.bands()[rank].name.clone();
        let names = |bands: &[Band]| bands.iter().map(|band| band.name.clone()).collect::<Vec<_>>();
        let (change, skipped) = match from.cmp(&to) {
            std::cmp::Ordering::Equal => return Transition::Stayed { band: name(to) },
            std::cmp::Ordering::Less => (Change::Worse, names(&self.bands()[from + 1..to])),
            std::cmp::Ordering::Greater => {
                let mut skipped = names(&self.bands()[to + 1..from]);
                skipped.reverse();
                (Change::Better, skipped)
            }
        };
        Transition::Moved { from: name(from), to: name(to), change, skipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(secs: i64) -> Time {
        Time::from_micros(secs * 1_000_000)
    }

    fn b(text: &str) -> BandName {
        text.parse().unwrap()
    }

    fn moved(from: &str, to: &str, change: Change, skipped: &[&str]) -> Transition {
        Transition::Moved {
            from: b(from),
            to: b(to),
            change,
            skipped: skipped.iter().map(|s| b(s)).collect(),
        }
    }

    #[test]
    fn moves_are_told_by_bands() {
        let scale = Scale::standard();
        let before = |score: &str| {
            scale.reading(score.parse().unwrap(), t(100), "s1".parse().unwrap()).expect("in range")
        };
        use Change::{Better, Worse};
        for (last, score, at, expected) in [
            (None, "70", 0, Transition::First { to: b("yellow") }),
            (Some("70"), "60", 101, Transition::Stayed { band: b("yellow") }),
            (Some("70"), "59.9", 101, moved("yellow", "orange", Worse, &[])),
            (Some("100"), "0", 101, moved("green", "critical", Worse, &["yellow", "orange", "red"])),
            (Some("0"), "80", 101, moved("critical", "green", Better, &["red", "orange", "yellow"])),
            (Some("20"), "40", 101, moved("red", "orange", Better, &[])),
            // The same instant is not late; one before it is.
            (Some("70"), "10", 100, moved("yellow", "critical", Worse, &["orange", "red"])),
            (Some("70"), "10", 99, Transition::Late),
        ] {
            let last = last.map(before);
            let got = scale.transition(last.as_ref(), &score.parse().unwrap(), t(at));
            assert_eq!(got, Ok(expected), "{last:?} {score}");
        }
    }

    #[test]
    fn what_gives_no_transition_is_an_error() {
        let scale = Scale::standard();
        let mut last = scale.reading(50.into_score(), t(100), "s1".parse().unwrap()).unwrap();
        for at in [99, 100, 101] {
            let refused = scale.transition(Some(&last), &101.into_score(), t(at));
            assert!(matches!(refused, Err(TransitionError::OutOfRange(_))), "{refused:?}");
        }
        last.band = b("amber");
        let refused = scale.transition(Some(&last), &50.into_score(), t(101));
        let band = b("amber");
        assert_eq!(refused, Err(TransitionError::UnknownBand { scale: scale.id().clone(), band }));
    }

    #[test]
    fn readings_are_persisted_as_text() {
        let scale = Scale::standard();
        let reading = scale.reading("62.5".parse().unwrap(), t(0), "s1".parse().unwrap()).unwrap();
        let text = serde_json::to_string(&reading).unwrap();
        assert_eq!(text, r#"{"score":"62.5","at":"1970-01-01T00:00:00Z","band":"yellow","signal":"s1"}"#);
        assert_eq!(serde_json::from_str::<Reading>(&text).unwrap(), reading);
    }

    trait IntoScore {
        fn into_score(self) -> Score;
    }

    impl IntoScore for i32 {
        fn into_score(self) -> Score {
            crate::Decimal::from(self).into()
        }
    }
}
