//! Scales, transitions and score triggers against a plain second implementation that works on
//! whole numbers: scores and bounds are tenths, from -100 to 1000.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tipstaff::{
    Band, BandName, Change, Decimal, Direction, MAX_BANDS, Polarity, Reading, Scale, ScaleFault,
    ScoreTrigger, Skipped, Span, Time, Transition, TransitionError,
};

/// A number of tenths, sometimes written with an exponent or a trailing zero.
fn tenths(n: i64) -> Decimal {
    let text = if n % 2 == 0 { format!("{n}e-1") } else { format!("{n}0e-2") };
    text.parse().unwrap()
}

fn name(n: usize) -> BandName {
    format!("b{n}").parse().unwrap()
}

fn time(n: i64) -> Time {
    Time::from_micros(n * 1_000_000)
}

/// A scale as the second implementation knows it: bounds in tenths, by the number in the band's
/// name.
#[derive(Clone, Debug)]
struct Plain {
    low: i64,
    high: i64,
    safe: bool,
    bounds: Vec<i64>,
}

impl Plain {
    fn build(&self) -> Result<Scale, Vec<ScaleFault>> {
        let bands = self.bounds.iter().enumerate();
        let bands = bands.map(|(n, from)| Band { name: name(n), from: tenths(*from) }).collect();
        let polarity = if self.safe { Polarity::HighIsSafe } else { Polarity::HighIsRisky };
        Scale::new("s".parse().unwrap(), tenths(self.low), tenths(self.high), polarity, bands)
    }

    fn is_good(&self) -> bool {
        let mut seen = self.bounds.clone();
        seen.sort_unstable();
        let distinct = seen.windows(2).all(|w| w[0] < w[1]);
        let inside = seen.iter().all(|b| self.low <= *b && *b <= self.high);
        let whole = seen.first() == Some(&self.low);
        self.low < self.high && distinct && inside && whole && self.bounds.len() <= MAX_BANDS
    }

    /// The band of a score: of all that begin at or below it, the one that begins last.
    fn band(&self, score: i64) -> Option<usize> {
        if score < self.low || score > self.high {
            return None;
        }
        (0..self.bounds.len()).filter(|n| self.bounds[*n] <= score).max_by_key(|n| self.bounds[*n])
    }

    /// How many bands are better than this one.
    fn rank(&self, band: usize) -> usize {
        let own = self.bounds[band];
        self.bounds.iter().filter(|b| if self.safe { **b > own } else { **b < own }).count()
    }

    /// What happens to one subject over a series of (time, score), as texts.
    fn history(&self, rule: &ScoreTrigger, series: &[(i64, i64)]) -> Vec<String> {
        let mut last: Option<(i64, usize)> = None;
        let mut fired: BTreeMap<(Option<usize>, usize), i64> = BTreeMap::new();
        let mut out = Vec::new();
        let worst = (0..self.bounds.len()).max_by_key(|n| self.rank(*n)).unwrap();
        for &(at, score) in series {
            let Some(to) = self.band(score) else {
                out.push("out of range".into());
                continue;
            };
            let from = match last {
                Some((then, _)) if at < then => {
                    out.push("late".into());
                    continue;
                }
                last => last.map(|(_, band)| band),
            };
            last = Some((at, to));
            if from == Some(to) {
                out.push("stayed".into());
                continue;
            }
            out.push(format!("{from:?} to {to}"));
            // The ranks that are entered, in the order of the move.
            let mut entered = vec![self.rank(to)];
            match from.map(|from| self.rank(from)) {
                None if !rule.first => continue,
                None => {}
                Some(rank) => {
                    let worse = rank < self.rank(to);
                    let looked_at = match rule.direction {
                        Direction::Worse => worse,
                        Direction::Better => !worse,
                        Direction::Either => true,
                    };
                    if !looked_at {
                        continue;
                    }
                    if rule.skipped == Skipped::Fire {
                        let mut step = rank;
                        entered.clear();
                        while step != self.rank(to) {
                            step = if worse { step + 1 } else { step - 1 };
                            entered.push(step);
                        }
                    }
                }
            }
            for rank in entered {
                let band = (0..self.bounds.len()).find(|n| self.rank(*n) == rank).unwrap();
                if !rule.enters.contains(&name(band)) {
                    continue;
                }
                let quiet_until = fired.get(&(from, band)).map(|t| t + COOLDOWN);
                match quiet_until {
                    Some(until) if until > at && band != worst => {
                        out.push(format!("{from:?}>{band} quiet until {until}"));
                    }
                    _ => {
                        fired.insert((from, band), at);
                        out.push(format!("{from:?}>{band} fires"));
                    }
                }
            }
        }
        out
    }
}

const COOLDOWN: i64 = 10;

/// The same history, told by the library.
fn history(scale: &Scale, rule: &ScoreTrigger, series: &[(i64, i64)]) -> Vec<String> {
    let number = |band: &BandName| band.as_str()[1..].parse::<usize>().unwrap();
    let mut last: Option<Reading> = None;
    let mut fired: BTreeMap<(Option<BandName>, BandName), Time> = BTreeMap::new();
    let mut out = Vec::new();
    for (n, &(at, score)) in series.iter().enumerate() {
        let score = tenths(score).into();
        let transition = match scale.transition(last.as_ref(), &score, time(at)) {
            Ok(transition) => transition,
            Err(TransitionError::OutOfRange(_)) => {
                out.push("out of range".into());
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        match &transition {
            Transition::Late => out.push("late".into()),
            Transition::Stayed { band } => {
                assert_eq!(Some(band), last.as_ref().map(|last| &last.band));
                out.push("stayed".into());
            }
            Transition::First { to } => out.push(format!("None to {}", number(to))),
            Transition::Moved { from, to, change, .. } => {
                assert_eq!(*change == Change::Worse, scale.rank(from) < scale.rank(to));
                out.push(format!("Some({}) to {}", number(from), number(to)));
            }
        }
        if transition != Transition::Late {
            last = Some(scale.reading(score, time(at), format!("s{n}").parse().unwrap()).unwrap());
        }
        let memory =
            |from: Option<&BandName>, to: &BandName| fired.get(&(from.cloned(), to.clone())).copied();
        for fire in rule.fires(&transition, scale, memory, time(at)) {
            let (from, to) = (fire.from.as_ref().map(number), number(&fire.to));
            match fire.cooling_until {
                Some(until) => {
                    out.push(format!("{from:?}>{to} quiet until {}", until.micros() / 1_000_000));
                }
                None => {
                    fired.insert((fire.from, fire.to), time(at));
                    out.push(format!("{from:?}>{to} fires"));
                }
            }
        }
    }
    out
}

/// Any scale, mostly a bad one.
fn any_scale() -> impl Strategy<Value = Plain> {
    (-3_i64..3, -3_i64..6, any::<bool>(), prop::collection::vec(-4_i64..7, 0..5))
        .prop_map(|(low, high, safe, bounds)| Plain { low, high, safe, bounds })
}

fn good_scale() -> impl Strategy<Value = Plain> {
    (-100_i64..100, 1_i64..900, any::<bool>()).prop_flat_map(|(low, width, safe)| {
        let others =
            prop::collection::btree_set(low + 1..=low + width, 0..(width as usize).min(MAX_BANDS - 1));
        others
            .prop_map(move |others| others.into_iter().chain([low]).collect::<Vec<_>>())
            .prop_shuffle()
            .prop_map(move |bounds| Plain { low, high: low + width, safe, bounds })
    })
}

fn rule(bands: usize) -> impl Strategy<Value = ScoreTrigger> {
    let directions = prop::sample::select(vec![Direction::Worse, Direction::Better, Direction::Either]);
    let skipped = prop::sample::select(vec![Skipped::Ignore, Skipped::Fire]);
    (prop::collection::btree_set(0..bands, 1..=bands), directions, skipped, any::<bool>()).prop_map(
        |(enters, direction, skipped, first)| {
            let mut rule = ScoreTrigger::new("s".parse().unwrap(), enters.into_iter().map(name).collect());
            rule.direction = direction;
            rule.skipped = skipped;
            rule.first = first;
            rule.cooldown = Span::secs(COOLDOWN as u64);
            rule
        },
    )
}

fn case() -> impl Strategy<Value = (Plain, ScoreTrigger, Vec<(i64, i64)>)> {
    good_scale().prop_flat_map(|plain| {
        let score = (plain.low - 2)..=(plain.high + 2);
        let bounds = prop::sample::select(plain.bounds.clone());
        let scores = prop_oneof![3 => score, 1 => bounds.clone(), 1 => bounds.prop_map(|b| b - 1)];
        let series = prop::collection::vec((-2_i64..6, scores), 1..40).prop_map(|steps| {
            let mut at = 0;
            let walk = steps.into_iter().map(|(by, score)| {
                at += by;
                (at, score)
            });
            walk.collect()
        });
        let rule = rule(plain.bounds.len());
        (Just(plain), rule, series)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_scale_is_accepted_exactly_when_its_bands_cover_its_range(plain in any_scale()) {
        prop_assert_eq!(plain.build().is_ok(), plain.is_good(), "{:?}", plain.build());
    }

    #[test]
    fn every_score_has_one_band(plain in good_scale(), score in -110_i64..1_010) {
        let scale = plain.build().unwrap();
        let band = scale.band(&tenths(score).into()).ok().map(|band| band.name.clone());
        prop_assert_eq!(&band, &plain.band(score).map(name));
        if let (Some(band), Some(number)) = (band, plain.band(score)) {
            prop_assert_eq!(scale.rank(&band), Some(plain.rank(number)));
        }
    }

    #[test]
    fn histories_agree((plain, rule, series) in case()) {
        let scale = plain.build().unwrap();
        prop_assert_eq!(history(&scale, &rule, &series), plain.history(&rule, &series));
    }
}
