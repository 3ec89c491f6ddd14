//! Levels against a second, plain implementation: on any series, and on the recorded ones. The laws
//! that hysteresis and hold keep, and one that they do not.
#![allow(clippy::disallowed_methods, reason = "where the shared data lies is a setting of the test run")]

#[path = "../../support/plain_levels.rs"]
mod plain_levels;
mod recorded;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{World, go, id};
use plain_levels::{PlainMove, PlainRule, PlainScale};
use proptest::prelude::*;
use tipstaff::{
    ActionCatalog, Band, BandName, BuiltinAction, Decimal, Direction, Filter, Hysteresis, Level,
    MAX_KEPT_ENTRIES, MAX_KEPT_READINGS, MAX_PAGE, MemoryStore, Observation, Order, Polarity, Rule,
    RuleAction, RuleSet, Scale, ScaleFault, ScoreReading, ScoreTrigger, Settings, Skipped, Span, Time,
    Transition, Trigger, UserId,
};

const DAY: i64 = 86_400;

fn name(n: usize) -> BandName {
    format!("b{n}").parse().unwrap()
}

fn number(name: &BandName) -> usize {
    name.as_str()[1..].parse().unwrap()
}

fn time(secs: i64) -> Time {
    Time::from_micros(secs * 1_000_000)
}

/// So many units, each the given power of ten.
fn units(n: i128, power: i32) -> Decimal {
    format!("{n}e{power}").parse().unwrap()
}

fn build(plain: &PlainScale, power: i32) -> Result<Scale, Vec<ScaleFault>> {
    let bands = plain.from.iter().enumerate();
    let bands = bands.map(|(n, from)| Band { name: name(n), from: units(*from, power) }).collect();
    let polarity = if plain.safe { Polarity::HighIsSafe } else { Polarity::HighIsRisky };
    let id = "s".parse().unwrap();
    let mut scale = Scale::new(id, units(plain.low, power), units(plain.high, power), polarity, bands)?;
    if plain.margin != 0 || plain.dwell != 0 {
        let toward = match (plain.toward_better, plain.toward_worse) {
            (true, true) => Direction::Either,
            (true, false) => Direction::Better,
            _ => Direction::Worse,
        };
        let dwell = Span::secs(plain.dwell as u64);
        scale = scale.with_hysteresis(Hysteresis { margin: units(plain.margin, power), dwell, toward })?;
    }
    match plain.hold {
        0 => Ok(scale),
        hold => scale.with_hold(Span::secs(hold as u64)).map_err(|fault| vec![fault]),
    }
}

/// One subject on the library's side: its level, and all that happened to it.
struct Told<'a> {
    scale: &'a Scale,
    level: Option<Level>,
    moves: Vec<PlainMove>,
    transitions: Vec<(i64, Transition)>,
    restart: bool,
}

impl<'a> Told<'a> {
    fn new(scale: &'a Scale, restart: bool) -> Self {
        Self { scale, level: None, moves: Vec::new(), transitions: Vec::new(), restart }
    }

    fn note(&mut self, at: i64, level: Level, transition: Transition) {
        let found = match &transition {
            Transition::First { to } => Some((None, number(to))),
            Transition::Moved { from, to, .. } => {
                assert_ne!(from, to, "nobody enters where they are");
                Some((Some(number(from)), number(to)))
            }
            Transition::Stayed { .. } | Transition::Late => None,
        };
        self.moves.extend(found.map(|(from, to)| PlainMove { at, from, to }));
        assert!(level.history.readings.len() <= MAX_KEPT_READINGS);
        assert!(level.history.entries.len() <= MAX_KEPT_ENTRIES);
        assert_eq!(level.history.entries.last().unwrap().band, level.band, "the last entry is where it is");
        assert_eq!(level.history.readings.last().unwrap().score, level.score);
        self.transitions.push((at, transition));
        // Another process goes on with what was stored.
        self.level = Some(match self.restart {
            true => serde_json::from_str(&serde_json::to_string(&level).unwrap()).unwrap(),
            false => level,
        });
    }

    /// What is due by then is done.
    fn run(&mut self, until: i64) {
        while let Some(level) = &self.level {
            let due = level.due().map_or(0, |due| due.micros() / 1_000_000);
            let Some(step) = self.scale.elapse(level, time(until)) else { return };
            assert!(due <= until);
            self.note(due, step.level, step.transition);
        }
    }

    fn see(&mut self, n: usize, at: i64, score: Decimal) {
        let seen = Observation::new(score.into(), time(at), format!("s{n}").parse().unwrap());
        let step = self.scale.observe(self.level.as_ref(), seen).unwrap();
        self.note(at, step.level, step.transition);
    }

    /// A series with everything that is due in between, up to an instant.
    fn series(scale: &'a Scale, series: &[(i64, i128)], power: i32, until: i64, restart: bool) -> Self {
        let mut told = Self::new(scale, restart);
        for (n, (at, score)) in series.iter().enumerate() {
            told.run(*at);
            told.see(n, *at, units(*score, power));
        }
        told.run(until);
        told
    }

    fn firings(&self, rule: &ScoreTrigger) -> Vec<(i64, Option<usize>, usize)> {
        let mut last: BTreeMap<(Option<BandName>, BandName), Time> = BTreeMap::new();
        let mut fired = Vec::new();
        for (at, transition) in &self.transitions {
            let memory =
                |from: Option<&BandName>, to: &BandName| last.get(&(from.cloned(), to.clone())).copied();
            let fires = rule.fires(transition, self.scale, memory, time(*at));
            for fire in fires.into_iter().filter(|fire| fire.cooling_until.is_none()) {
                fired.push((*at, fire.from.as_ref().map(number), number(&fire.to)));
                last.insert((fire.from, fire.to), time(*at));
            }
        }
        fired
    }
}

fn trigger(rule: &PlainRule) -> ScoreTrigger {
    let mut trigger = ScoreTrigger::new("s".parse().unwrap(), rule.enters.iter().map(|n| name(*n)).collect());
    trigger.direction = match (rule.worse, rule.better) {
        (true, true) => Direction::Either,
        (false, _) => Direction::Better,
        _ => Direction::Worse,
    };
    trigger.skipped = if rule.on_the_way { Skipped::Fire } else { Skipped::Ignore };
    trigger.first = rule.first;
    trigger.cooldown = Span::secs(rule.cooldown as u64);
    trigger
}

/// A scale of 0 to 100 units and a bit, with anything that may hold a subject in a band.
fn scale() -> impl Strategy<Value = PlainScale> {
    let bands = prop::collection::btree_set(-39_i128..60, 1..5);
    let gates = (0_i128..12, prop_oneof![Just(0_i64), 1..30_i64], 0_u8..3);
    (bands, any::<bool>(), gates, prop_oneof![Just(0_i64), 5 * DAY..8 * DAY]).prop_map(
        |(bounds, safe, (margin, dwell, toward), hold)| {
            let mut from: Vec<i128> = bounds.into_iter().chain([-40]).collect();
            from.sort_unstable();
            if safe {
                from.reverse();
            }
            let (better, worse) = (toward != 1, toward != 0);
            PlainScale {
                low: -40,
                high: 60,
                safe,
                from,
                margin,
                dwell: dwell * 60,
                toward_better: better,
                toward_worse: worse,
                hold,
            }
        },
    )
}

/// Scores that go to and fro about the bounds, some of them late, at steps of minutes or of days.
fn series(plain: &PlainScale) -> impl Strategy<Value = Vec<(i64, i128)>> + use<> {
    let (low, high) = (plain.low, plain.high);
    let near = (prop::sample::select(plain.from.clone()), -13_i128..13);
    let near = near.prop_map(move |(bound, by)| (bound + by).clamp(low, high));
    let step = prop_oneof![4 => -3_i64..20, 1 => Just(0), 1 => 1_000_i64..12_000];
    let scores = prop_oneof![1 => low..=high, 3 => near];
    prop::collection::vec((step, scores), 1..50).prop_map(|steps| {
        let mut at = 0;
        let walk = steps.into_iter().map(|(by, score)| {
            at += by * 60;
            (at, score)
        });
        walk.collect()
    })
}

fn rule(bands: usize) -> impl Strategy<Value = PlainRule> {
    let ways = prop::sample::select(vec![(true, false), (false, true), (true, true)]);
    let cooldown = prop_oneof![Just(0_i64), 1..3 * DAY];
    (prop::collection::btree_set(0..bands, 1..=bands), ways, any::<bool>(), any::<bool>(), cooldown).prop_map(
        |(enters, (worse, better), on_the_way, first, cooldown)| PlainRule {
            enters: enters.into_iter().collect(),
            worse,
            better,
            on_the_way,
            first,
            cooldown,
        },
    )
}

fn case() -> impl Strategy<Value = (PlainScale, PlainRule, Vec<(i64, i128)>)> {
    scale().prop_filter("nobody is locked in", |plain| build(plain, -1).is_ok()).prop_flat_map(|plain| {
        let (rule, series) = (rule(plain.from.len()), series(&plain));
        (Just(plain), rule, series)
    })
}

/// Long after the last score everything has come to rest.
fn end(series: &[(i64, i128)]) -> i64 {
    series.iter().map(|(at, _)| *at).max().unwrap() + 60 * DAY
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_move_and_firing_is_that_of_the_plain_model((plain, rule, series) in case(), restart in any::<bool>()) {
        let scale = build(&plain, -1).unwrap();
        let told = Told::series(&scale, &series, -1, end(&series), restart);
        let moves = plain.moves(&series, end(&series));
        prop_assert_eq!(&told.moves, &moves);
        prop_assert_eq!(told.firings(&trigger(&rule)), plain.firings(&rule, &moves));
        prop_assert!(told.level.unwrap().due().is_none(), "nothing waits for ever");
    }

    #[test]
    fn it_matters_not_when_timers_are_looked_at((plain, _, series) in case(), looks in prop::collection::vec(any::<bool>(), 50)) {
        let scale = build(&plain, -1).unwrap();
        let eager = Told::series(&scale, &series, -1, end(&series), false);
        let mut lazy = Told::new(&scale, true);
        let mut newest = i64::MIN;
        for (n, (at, score)) in series.iter().enumerate() {
            newest = newest.max(*at);
            if looks[n % looks.len()] {
                lazy.run(*at);
            }
            // What is overdue is made up for by the score itself.
            lazy.see(n, *at, units(*score, -1));
            prop_assert!(lazy.level.as_ref().unwrap().due().is_none_or(|due| due > time(newest)));
        }
        lazy.run(end(&series));
        let (lazy, eager) = (lazy.level.unwrap(), eager.level.unwrap());
        prop_assert_eq!((lazy.band, lazy.score, lazy.leaving), (eager.band, eager.score, eager.leaving));
    }

    #[test]
    fn late_scores_change_nothing((plain, _, series) in case(), at in any::<prop::sample::Index>(), by in 1_i64..1_000, score in -40_i128..=60) {
        let scale = build(&plain, -1).unwrap();
        let plainly = Told::series(&scale, &series, -1, end(&series), false);
        let place = at.index(series.len());
        let newest = series[..=place].iter().map(|(at, _)| *at).max().unwrap();
        let mut more = series.clone();
        more.insert(place + 1, (newest - by, score));
        let told = Told::series(&scale, &more, -1, end(&series), false);
        prop_assert_eq!(&told.moves, &plainly.moves);
    }

    #[test]
    fn nobody_waits_for_the_worst_band_nor_rests_in_a_better_one_than_theirs((plain, _, series) in case()) {
        let scale = build(&plain, -1).unwrap();
        let mut told = Told::new(&scale, false);
        let mut newest = i64::MIN;
        for (n, (at, score)) in series.iter().enumerate() {
            told.run(*at);
            told.see(n, *at, units(*score, -1));
            if *at < newest {
                continue;
            }
            newest = *at;
            let band = number(&told.level.as_ref().unwrap().band);
            let lies = plain.band(*score);
            prop_assert!(lies + 1 < plain.from.len() || band == lies, "{} entered at once", lies);
            prop_assert!(plain.toward_worse || band >= lies, "worse counts at once");
        }
    }

    /// Toward better bands, hysteresis and hold take firings away and add none: each entry into a
    /// worse band is one by the bands alone, at the same score.
    #[test]
    fn without_a_cooldown_no_firing_on_worse_bands_is_added((plain, rule, series) in case()) {
        let rule = PlainRule { worse: true, better: false, first: false, cooldown: 0, ..rule };
        let plain = PlainScale { toward_better: true, toward_worse: false, ..plain };
        let bare = PlainScale { margin: 0, dwell: 0, hold: 0, ..plain.clone() };
        let (Ok(scale), Ok(without)) = (build(&plain, -1), build(&bare, -1)) else { return Ok(()) };
        let told = Told::series(&scale, &series, -1, end(&series), false).firings(&trigger(&rule));
        let bare = Told::series(&without, &series, -1, end(&series), false).firings(&trigger(&rule));
        // Several scores of one instant are told apart by how often a band is entered then.
        let mut left: Vec<_> = bare.iter().map(|(at, _, to)| (*at, *to)).collect();
        for (at, _, to) in &told {
            let place = left.iter().position(|known| known == &(*at, *to));
            prop_assert!(place.is_some(), "{} is entered at {} with hysteresis only", to, at);
            left.swap_remove(place.unwrap());
        }
    }
}

/// With a cooldown it may: the cooldown is per move, and a subject who is kept in a band leaves it
/// by another move than one who is not.
#[test]
fn a_cooldown_may_let_through_what_hysteresis_makes_another_move() {
    let bare = PlainScale {
        low: 0,
        high: 100,
        safe: true,
        from: vec![80, 60, 40, 20, 0],
        margin: 0,
        dwell: 0,
        toward_better: true,
        toward_worse: false,
        hold: 0,
    };
    let dwelling = PlainScale { dwell: 600, ..bare.clone() };
    let rule = PlainRule {
        enters: vec![3],
        worse: true,
        better: false,
        on_the_way: false,
        first: false,
        cooldown: DAY,
    };
    // From green to red; up to orange for longer than the dwell; a moment of green; red again.
    let series = [(0, 90), (60, 30), (120, 50), (1_000, 90), (1_060, 30)];
    let fired = |plain: &PlainScale| {
        let scale = build(plain, 0).unwrap();
        Told::series(&scale, &series, 0, 2_000, false).firings(&trigger(&rule))
    };
    assert_eq!(fired(&bare), [(60, Some(0), 3)], "the second is the same move, and cools down");
    assert_eq!(fired(&dwelling), [(60, Some(0), 3), (1_060, Some(2), 3)], "the second is from orange");
}

#[test]
fn margins_and_spans_are_told_where_they_do_not_fit() {
    let standard = Scale::standard;
    let margin =
        |margin: &str, toward| Hysteresis { margin: margin.parse().unwrap(), dwell: Span::ZERO, toward };
    let refused = |hysteresis| standard().with_hysteresis(hysteresis).unwrap_err();
    use Direction::{Better, Either, Worse};
    // Green begins at 80: a score of 100 leaves yellow by 20 points, and none by more.
    assert!(standard().with_hysteresis(margin("20", Better)).is_ok());
    let shut = |by: &str| vec![ScaleFault::Margin { margin: by.parse().unwrap(), band: name_of("yellow") }];
    assert_eq!(refused(margin("20.01", Better)), shut("20.01"));
    assert_eq!(refused(margin("1e3", Either)), shut("1e3"));
    // Toward worse bands there is always a way, into the worst.
    assert!(standard().with_hysteresis(margin("1e3", Worse)).is_ok());
    assert_eq!(refused(margin("-1", Worse)), [ScaleFault::Hysteresis]);
    assert_eq!(refused(margin("0", Either)), [ScaleFault::Hysteresis]);
    // A sum that no number holds.
    assert_eq!(refused(margin("1e-1200", Worse)).len(), 1);
    // High is risky: the best band reaches up to where the next begins, which it does not include.
    let bands = [("low", 0), ("high", 5)].map(|(name, from)| Band { name: name_of(name), from: from.into() });
    let risky =
        Scale::new("r".parse().unwrap(), 0.into(), 9.into(), Polarity::HighIsRisky, bands.into()).unwrap();
    assert!(risky.clone().with_hysteresis(margin("4.99", Better)).is_ok());
    let fault = ScaleFault::Margin { margin: 5.into(), band: name_of("high") };
    assert_eq!(risky.clone().with_hysteresis(margin("5", Better)), Err(vec![fault]));
    let dwell = |dwell| Hysteresis { dwell, ..Hysteresis::default() };
    assert_eq!(refused(dwell(Span::millis(999))), [ScaleFault::Dwell { found: Span::millis(999) }]);
    assert_eq!(risky.with_hold(Span::days(4)), Err(ScaleFault::Hold { found: Span::days(4) }));
}

fn name_of(text: &str) -> BandName {
    text.parse().unwrap()
}

/// The levels of a story as `band@hour` after each step.
fn story(scale: &Scale, series: &[(i64, &str)], until: i64) -> Vec<String> {
    let mut level: Option<Level> = None;
    let mut out = Vec::new();
    let mut tell = |level: &Level, transition: &Transition, at: i64| {
        if matches!(transition, Transition::First { .. } | Transition::Moved { .. }) {
            out.push(format!("{}@{at}", level.band));
        }
    };
    let hours = |time: Time| time.micros() / 3_600_000_000;
    for (n, (at, score)) in series.iter().chain(&[(until, "")]).enumerate() {
        while let Some(step) = level.as_ref().and_then(|level| scale.elapse(level, time(at * 3_600))) {
            let due = level.as_ref().and_then(Level::due).unwrap();
            tell(&step.level, &step.transition, hours(due));
            level = Some(step.level);
        }
        if score.is_empty() {
            continue;
        }
        let signal = format!("s{n}").parse().unwrap();
        let step =
            scale.observe(level.as_ref(), Observation::new(score.parse().unwrap(), time(at * 3_600), signal));
        let step = step.unwrap();
        tell(&step.level, &step.transition, *at);
        level = Some(step.level);
    }
    out
}

#[test]
fn a_hold_and_a_dwell_run_side_by_side() {
    let dwell = |hours, toward| Hysteresis { dwell: Span::hours(hours), toward, ..Hysteresis::default() };
    let dwelling = Scale::standard().with_hysteresis(dwell(2, Direction::Better)).unwrap();
    let both_ways = Scale::standard().with_hysteresis(dwell(2, Direction::Either)).unwrap();
    let held = Scale::standard().with_hold(Span::days(5)).unwrap();
    let both = held.clone().with_hysteresis(dwell(2, Direction::Better)).unwrap();
    let margin = Hysteresis { margin: 5.into(), ..Hysteresis::default() };
    let wide = held.clone().with_hysteresis(margin).unwrap();
    for (what, scale, series, expected) in [
        ("a dwell ends by time", &dwelling, &[(0, "50"), (1, "90")][..], &["orange@0", "green@3"][..]),
        (
            "within the bound it begins anew",
            &dwelling,
            &[(0, "50"), (1, "90"), (2, "50"), (3, "90")],
            &["orange@0", "green@5"],
        ),
        (
            "it ends where the last score lies",
            &dwelling,
            &[(0, "50"), (1, "90"), (2, "65")],
            &["orange@0", "yellow@3"],
        ),
        (
            "a late score ends no dwell",
            &dwelling,
            &[(0, "50"), (2, "90"), (1, "45")],
            &["orange@0", "green@4"],
        ),
        ("worse counts at once", &dwelling, &[(0, "50"), (1, "90"), (2, "30")], &["orange@0", "red@2"]),
        ("both ways worse waits too", &both_ways, &[(0, "50"), (1, "30")], &["orange@0", "red@3"]),
        (
            "but never for the worst",
            &both_ways,
            &[(0, "50"), (1, "30"), (2, "10")],
            &["orange@0", "critical@2"],
        ),
        (
            "the other way begins anew",
            &both_ways,
            &[(0, "50"), (1, "30"), (2, "90")],
            &["orange@0", "green@4"],
        ),
        ("a hold ends by time", &held, &[(0, "50"), (1, "90")], &["orange@0", "green@120"]),
        (
            "qualifying again extends it",
            &held,
            &[(0, "50"), (1, "90"), (24, "45"), (25, "90")],
            &["orange@0", "green@144"],
        ),
        (
            "worse is entered, and held",
            &held,
            &[(0, "50"), (24, "30"), (25, "50"), (26, "90")],
            &["orange@0", "red@24", "green@144"],
        ),
        ("a hold ends where the last score lies", &held, &[(0, "30"), (24, "65")], &["red@0", "yellow@120"]),
        (
            "that band is held from its own score",
            &held,
            &[(0, "30"), (24, "65"), (121, "90")],
            &["red@0", "yellow@120", "green@144"],
        ),
        ("the dwell ends within the hold", &both, &[(0, "50"), (1, "90")], &["orange@0", "green@120"]),
        (
            "the dwell outlasts the hold",
            &both,
            &[(0, "50"), (1, "90"), (119, "50"), (119, "90")],
            &["orange@0", "green@239"],
        ),
        ("and begins late", &both, &[(0, "50"), (121, "90")], &["orange@0", "green@123"]),
        (
            "within the margin the band is kept",
            &wide,
            &[(0, "50"), (130, "64"), (200, "65")],
            &["orange@0", "yellow@200"],
        ),
    ] {
        assert_eq!(story(scale, series, 1_000), expected, "{what}");
    }
}

#[test]
fn a_dismissal_resets_to_what_the_score_says() {
    let scale = Scale::standard().with_hold(Scale::HOLD).unwrap();
    let see = |level: Option<&Level>, n: i64, score: &str| {
        let seen =
            Observation::new(score.parse().unwrap(), time(n * 3_600), format!("s{n}").parse().unwrap());
        scale.observe(level, seen).unwrap().level
    };
    let red = see(None, 0, "30");
    let better = see(Some(&red), 1, "65");
    assert_eq!((better.band.as_str(), better.due()), ("red", Some(time(7 * DAY))));
    let step = scale.dismiss(&better, time(7_200)).unwrap();
    assert_eq!((step.level.band.as_str(), step.level.due()), ("yellow", None));
    assert!(matches!(step.transition, Transition::Moved { .. }));
    // The new band is not held before a score falls in it again.
    assert_eq!(see(Some(&step.level), 3, "90").band.as_str(), "green");
    let again = see(Some(&step.level), 3, "61");
    assert_eq!(see(Some(&again), 4, "90").band.as_str(), "yellow");
    // Where the score still lies in the band the subject stays, and the hold is over.
    let step = scale.dismiss(&red, time(7_200)).unwrap();
    assert_eq!((step.level.band.as_str(), step.level.held_until), ("red", None));
    assert_eq!(step.transition, Transition::Stayed { band: name_of("red") });
    assert_eq!(see(Some(&step.level), 3, "90").band.as_str(), "green");
}
