//! Scales: a range, what its ends mean, and the bands that cover it.

use std::collections::BTreeSet;

use crate::decimal::Decimal;
use crate::hash::{Hash, Hasher};
use crate::id::ScaleId;
use crate::score::hysteresis::Exits;
use crate::score::{BandName, Hysteresis, Score};
use crate::time::Span;

/// The most bands on one scale.
pub const MAX_BANDS: usize = 32;

/// What a high score means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Polarity {
    /// A high score is good news: the worst band is the lowest.
    HighIsSafe,
    /// A high score is bad news: the worst band is the highest.
    HighIsRisky,
}

/// A band: a name and its inclusive lower bound. It reaches up to the next band's lower bound,
/// which it does not include, or to the top of the range, which it does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Band {
    /// Its name, unique on its scale.
    pub name: BandName,
    /// The lowest score in it.
    pub from: Decimal,
}

/// A range of scores, wholly covered by bands that do not overlap.
///
/// ```
/// use tipstaff::{Scale, Score};
/// let scale = Scale::standard();
/// let score: Score = "62.5".parse()?;
/// assert_eq!(scale.band(&score)?.name.as_str(), "yellow");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scale {
    id: ScaleId,
    low: Decimal,
    high: Decimal,
    polarity: Polarity,
    /// From the best to the worst, so that a band's place is its rank.
    bands: Vec<Band>,
    pub(super) hysteresis: Option<Hysteresis>,
    /// Where each band is left, by rank; empty without hysteresis.
    pub(super) exits: Vec<Exits>,
    pub(super) hold: Option<Span>,
    revision: u32,
}

/// What is wrong with a scale.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScaleFault {
    /// The range holds nothing. The bands' bounds are not judged then.
    #[error("the range from `{low}` to `{high}` is empty; accepted: a lower end below the upper end")]
    EmptyRange {
        /// The lower end, as given.
        low: Decimal,
        /// The upper end, as given.
        high: Decimal,
    },
    /// There is no band at all.
    #[error("no band; accepted: 1 to 32 bands")]
    NoBand,
    /// There are more than [`MAX_BANDS`].
    #[error("{0} bands; accepted: 1 to 32 bands")]
    TooManyBands(usize),
    /// Another band of the scale has that name already.
    #[error("band `{0}` is named twice; accepted: names that differ")]
    DuplicateName(BandName),
    /// Two bands begin at the same score.
    #[error("bands `{first}` and `{second}` overlap: both begin at `{from}`; accepted: bounds that differ")]
    Overlap {
        /// One of the two, the earlier as they were given.
        first: BandName,
        /// The other.
        second: BandName,
        /// The bound that they share.
        from: Decimal,
    },
    /// The scores between the lower end of the range and the lowest band are in no band.
    #[error("a gap from `{low}` up to `{lowest}`; accepted: a lowest band that begins at `{low}`")]
    Gap {
        /// The lower end of the range.
        low: Decimal,
        /// The lowest bound that lies in the range.
        lowest: Decimal,
    },
    /// A band begins outside the range.
    #[error("band `{band}` begins at `{from}`, outside the range; accepted: `{low}` to `{high}`")]
    Outside {
        /// The band.
        band: BandName,
        /// Its lower bound.
        from: Decimal,
        /// The lower end of the range.
        low: Decimal,
        /// The upper end of the range.
        high: Decimal,
    },
    /// A hysteresis that asks for nothing, or for a negative margin.
    #[error("no hysteresis; accepted: a `margin` above 0, a `dwell`, or both")]
    Hysteresis,
    /// No score could leave the band by that margin, so that nobody would ever get better; or the
    /// bound with the margin has more digits than a number may.
    #[error("no score leaves band `{band}` by a margin of `{margin}`; accepted: a smaller margin")]
    Margin {
        /// The margin.
        margin: Decimal,
        /// The band.
        band: BandName,
    },
    /// The dwell is shorter than [`MIN_DWELL`](crate::MIN_DWELL) or longer than
    /// [`MAX_DWELL`](crate::MAX_DWELL).
    #[error("a dwell of `{found}`; accepted: 1s to 30d")]
    Dwell {
        /// What was given.
        found: Span,
    },
    /// The hold is shorter than [`MIN_HOLD`](crate::MIN_HOLD) or longer than
    /// [`MAX_HOLD`](crate::MAX_HOLD).
    #[error("a hold of `{found}`; accepted: 5d to 30d")]
    Hold {
        /// What was given.
        found: Span,
    },
}

/// A score that lies outside the scale's range.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("score `{score}` is outside scale `{scale}`; accepted: `{low}` to `{high}`, both included")]
pub struct OutOfRange {
    /// The scale.
    pub scale: ScaleId,
    /// The score.
    pub score: Score,
    /// The lower end of the range.
    pub low: Decimal,
    /// The upper end of the range.
    pub high: Decimal,
}

impl Scale {
    /// A scale from `low` to `high`, both included, with its bands in any order.
    ///
    /// # Errors
    /// Every [`ScaleFault`] at once, in the order in which that enum lists them.
    pub fn new(
        id: ScaleId,
        low: Decimal,
        high: Decimal,
        polarity: Polarity,
        mut bands: Vec<Band>,
    ) -> Result<Self, Vec<ScaleFault>> {
        let faults = faults(&low, &high, &bands);
        if !faults.is_empty() {
            return Err(faults);
        }
        bands.sort_by(|a, b| match polarity {
            Polarity::HighIsSafe => b.from.cmp(&a.from),
            Polarity::HighIsRisky => a.from.cmp(&b.from),
        });
        let (hysteresis, exits, hold) = (None, Vec::new(), None);
        Ok(Self { id, low, high, polarity, bands, hysteresis, exits, hold, revision: 1 })
    }

    /// The scale of a tenant who names none: `default`, 0 to 100, high is safe, with the bands
    /// `green` from 80, `yellow` from 60, `orange` from 40, `red` from 20 and `critical` from 0.
    #[must_use]
    pub fn standard() -> Self {
        const BANDS: [(&str, i32); 5] =
            [("green", 80), ("yellow", 60), ("orange", 40), ("red", 20), ("critical", 0)];
        const INVARIANT: &str = "the standard scale is made of literals covered by a test";
        let band =
            |(name, from): (&str, i32)| Band { name: name.parse().expect(INVARIANT), from: from.into() };
        let id = "default".parse().expect(INVARIANT);
        Self::new(id, 0.into(), 100.into(), Polarity::HighIsSafe, BANDS.map(band).into()).expect(INVARIANT)
    }

    /// Its id, by which rules and signals name it.
    #[must_use]
    pub const fn id(&self) -> &ScaleId {
        &self.id
    }

    /// Which band set of its tenant this is, from 1: the engine counts on when a changed one is
    /// applied. It is no part of the scale's document.
    #[must_use]
    pub const fn revision(&self) -> u32 {
        self.revision
    }

    /// The scale as that revision of it.
    pub(crate) fn numbered(self, revision: u32) -> Self {
        Self { revision, ..self }
    }

    /// The digest of all that decides on a subject's band, whatever the revision's number.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let hasher = Hasher::new("tipstaff/scale/1").text(self.id.as_str());
        let hasher = hasher.text(&self.low.to_string()).text(&self.high.to_string());
        let hasher = hasher.number((self.polarity == Polarity::HighIsSafe).into());
        let hasher = hasher.number(self.bands.len() as u64);
        let bands = self.bands.iter();
        let hasher = bands.fold(hasher, |h, band| h.text(band.name.as_str()).text(&band.from.to_string()));
        let hasher = match &self.hysteresis {
            None => hasher.number(0),
            Some(h) => {
                let hasher = hasher.number(1 + h.toward as u64);
                hasher.text(&h.margin.to_string()).number(h.dwell.as_millis())
            }
        };
        hasher.number(self.hold.map_or(0, Span::as_millis)).finish()
    }

    /// The lowest score.
    #[must_use]
    pub const fn low(&self) -> &Decimal {
        &self.low
    }

    /// The highest score.
    #[must_use]
    pub const fn high(&self) -> &Decimal {
        &self.high
    }

    /// What a high score means.
    #[must_use]
    pub const fn polarity(&self) -> Polarity {
        self.polarity
    }

    /// The bands from the best to the worst; a band's place is its rank.
    #[must_use]
    pub fn bands(&self) -> &[Band] {
        &self.bands
    }

    /// The one band that holds the score.
    ///
    /// # Errors
    /// [`OutOfRange`] if the scale ends before the score.
    pub fn band(&self, score: &Score) -> Result<&Band, OutOfRange> {
        self.place(score).map(|rank| &self.bands[rank])
    }

    /// The best band, rank 0.
    #[must_use]
    pub fn best(&self) -> &Band {
        self.bands.first().expect("a scale has a band")
    }

    /// The worst band.
    #[must_use]
    pub fn worst(&self) -> &Band {
        self.bands.last().expect("a scale has a band")
    }

    /// How bad the band of that name is: 0 for the best, one more for each worse one; `None` if the
    /// scale has no such band.
    #[must_use]
    pub fn rank(&self, name: &BandName) -> Option<usize> {
        self.bands.iter().position(|band| band.name == *name)
    }

    /// The rank of the band that holds the score.
    pub(super) fn place(&self, score: &Score) -> Result<usize, OutOfRange> {
        let begins_below = |band: &Band| band.from <= *score.value();
        let place = match self.polarity {
            Polarity::HighIsSafe => self.bands.iter().position(begins_below),
            Polarity::HighIsRisky => self.bands.iter().rposition(begins_below),
        };
        place.filter(|_| *score.value() <= self.high).ok_or_else(|| OutOfRange {
            scale: self.id.clone(),
            score: score.clone(),
            low: self.low.clone(),
            high: self.high.clone(),
        })
    }
}

fn faults(low: &Decimal, high: &Decimal, bands: &[Band]) -> Vec<ScaleFault> {
    let mut faults = Vec::new();
    let range = low..=high;
    let empty = low >= high;
    if empty {
        faults.push(ScaleFault::EmptyRange { low: low.clone(), high: high.clone() });
    }
    if bands.is_empty() {
        faults.push(ScaleFault::NoBand);
    }
    if bands.len() > MAX_BANDS {
        faults.push(ScaleFault::TooManyBands(bands.len()));
    }
    let mut names = BTreeSet::new();
    let twice = bands.iter().filter(|band| !names.insert(&band.name));
    faults.extend(twice.map(|band| ScaleFault::DuplicateName(band.name.clone())));

    // A stable sort: of two equal bounds the earlier one given is named first.
    let mut sorted: Vec<&Band> = bands.iter().collect();
    sorted.sort_by(|a, b| a.from.cmp(&b.from));
    let same = sorted.windows(2).filter(|pair| pair[0].from == pair[1].from);
    faults.extend(same.map(|pair| ScaleFault::Overlap {
        first: pair[0].name.clone(),
        second: pair[1].name.clone(),
        from: pair[0].from.clone(),
    }));
    if empty {
        return faults;
    }
    let lowest = sorted.iter().find(|band| range.contains(&&band.from));
    if let Some(lowest) = lowest.filter(|band| band.from != *low) {
        faults.push(ScaleFault::Gap { low: low.clone(), lowest: lowest.from.clone() });
    }
    faults.extend(bands.iter().filter(|band| !range.contains(&&band.from)).map(|band| ScaleFault::Outside {
        band: band.name.clone(),
        from: band.from.clone(),
        low: low.clone(),
        high: high.clone(),
    }));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn band(name: &str, from: &str) -> Band {
        Band { name: name.parse().unwrap(), from: d(from) }
    }

    fn scale(low: &str, high: &str, bands: &[(&str, &str)]) -> Result<Scale, Vec<ScaleFault>> {
        let bands = bands.iter().map(|(name, from)| band(name, from)).collect();
        Scale::new("s".parse().unwrap(), d(low), d(high), Polarity::HighIsRisky, bands)
    }

    #[test]
    fn every_fault_is_told() {
        let name = |text: &str| text.parse::<BandName>().unwrap();
        let outside = |text: &str, from: &str| ScaleFault::Outside {
            band: name(text),
            from: d(from),
            low: d("0"),
            high: d("10"),
        };
        let overlap = |first: &str, second: &str, from: &str| ScaleFault::Overlap {
            first: name(first),
            second: name(second),
            from: d(from),
        };
        let empty = |low: &str, high: &str| ScaleFault::EmptyRange { low: d(low), high: d(high) };
        type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Vec<ScaleFault>);
        let cases: [Case<'_>; 11] = [
            ("0", "10", &[], vec![ScaleFault::NoBand]),
            ("10", "0", &[("a", "0")], vec![empty("10", "0")]),
            ("1", "1.0", &[("a", "1")], vec![empty("1", "1")]),
            ("0", "10", &[("a", "0"), ("a", "5")], vec![ScaleFault::DuplicateName(name("a"))]),
            ("0", "10", &[("b", "0"), ("a", "0.0")], vec![overlap("b", "a", "0")]),
            ("0", "10", &[("a", "3"), ("b", "2")], vec![ScaleFault::Gap { low: d("0"), lowest: d("2") }]),
            ("0", "10", &[("a", "0"), ("b", "10.5")], vec![outside("b", "10.5")]),
            ("0", "10", &[("a", "0"), ("b", "-1")], vec![outside("b", "-1")]),
            ("0", "10", &[("a", "-1")], vec![outside("a", "-1")]),
            ("5", "5", &[], vec![empty("5", "5"), ScaleFault::NoBand]),
            (
                "0",
                "10",
                &[("a", "4"), ("b", "11"), ("b", "4")],
                vec![
                    ScaleFault::DuplicateName(name("b")),
                    overlap("a", "b", "4"),
                    ScaleFault::Gap { low: d("0"), lowest: d("4") },
                    outside("b", "11"),
                ],
            ),
        ];
        for (low, high, bands, expected) in cases {
            assert_eq!(scale(low, high, bands), Err(expected), "{low} {high} {bands:?}");
        }
    }

    #[test]
    fn the_number_of_bands_is_limited() {
        let bands = |n: usize| (0..n).map(|i| band(&format!("b{i}"), &i.to_string())).collect();
        let make = |n| Scale::new("s".parse().unwrap(), 0.into(), 99.into(), Polarity::HighIsSafe, bands(n));
        assert!(make(MAX_BANDS).is_ok());
        assert_eq!(make(MAX_BANDS + 1), Err(vec![ScaleFault::TooManyBands(MAX_BANDS + 1)]));
    }

    #[test]
    fn the_standard_scale_is_the_one_of_the_field() {
        let scale = Scale::standard();
        for (score, name, rank) in [
            ("100", "green", 0),
            ("80", "green", 0),
            ("79.99999999999999999999", "yellow", 1),
            ("62.5", "yellow", 1),
            ("59", "orange", 2),
            ("2e1", "red", 3),
            ("19.9", "critical", 4),
            ("0", "critical", 4),
            ("-0", "critical", 4),
        ] {
            let band = scale.band(&score.parse().unwrap()).unwrap();
            assert_eq!(band.name.as_str(), name, "{score}");
            assert_eq!(scale.rank(&band.name), Some(rank), "{score}");
        }
        for score in ["100.0000001", "-1", "1e9", "-1e-9"] {
            let refused = scale.band(&score.parse().unwrap()).unwrap_err();
            assert_eq!((refused.score.to_string(), refused.low), (d(score).to_string(), d("0")));
        }
        assert_eq!(scale.best().name.as_str(), "green");
        assert_eq!(scale.worst().name.as_str(), "critical");
        assert_eq!(scale.rank(&"pink".parse().unwrap()), None);
    }

    #[test]
    fn a_band_may_hold_the_top_alone() {
        let scale = scale("-2.5", "10", &[("top", "10"), ("rest", "-2.5")]).unwrap();
        assert_eq!(scale.band(&d("10").into()).unwrap().name.as_str(), "top");
        assert_eq!(scale.band(&d("9.999").into()).unwrap().name.as_str(), "rest");
        assert_eq!(scale.worst().name.as_str(), "top");
    }
}
