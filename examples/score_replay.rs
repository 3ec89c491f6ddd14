//! Replays recorded scores through band sets, and counts what cooldown, hysteresis and hold save.
//!
//! `cargo run --release --example score_replay -- ../shared/data/open/score_series.ndjson`
//!
//! A line of the file is `{"series", "t", "scores": {"detector": number, …}}`; each series and
//! detector is one subject. The rule fires on entering every band but the best, from a better one.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use serde_json::Value;
use tipstaff::{BandName, Level, Observation, RuleSet, Scale, Score, ScoreTrigger, Span, Time, Transition};

/// The band sets: which detectors they are for, in words, and as a document.
const SETS: [(&[&str], &str, &str); 3] = [
    (
        &["numenta", "contextOSE", "knncad", "windowedGaussian"],
        "detectors, 0 to 1, high is risky; margin 0.05, dwell 30m",
        r#"{ "id": "s", "low": 0, "high": 1, "high_is": "risky", "bands": [{ "name": "low", "from": 0 },
            { "name": "raised", "from": 0.5 }, { "name": "high", "from": 0.8 }, { "name": "extreme", "from": 0.95 }],
            "hysteresis": { "margin": 0.05, "dwell": "30m" }, "hold": "7d" }"#,
    ),
    (
        &["numenta", "contextOSE", "knncad", "windowedGaussian"],
        "the same as a well-being score, high is safe; margin 0.1, dwell 2h",
        r#"{ "id": "s", "low": 0, "high": 1, "high_is": "safe", "bands": [{ "name": "good", "from": 0.5 },
            { "name": "fair", "from": 0.2 }, { "name": "poor", "from": 0.05 }, { "name": "bad", "from": 0 }],
            "hysteresis": { "margin": 0.1, "dwell": "2h" }, "hold": "7d" }"#,
    ),
    (
        &["msticpy_score"],
        "msticpy, -8 to 6, high is safe; margin 0.25, dwell 3h",
        r#"{ "id": "s", "low": -8, "high": 6, "high_is": "safe", "bands": [{ "name": "usual", "from": 0 },
            { "name": "odd", "from": -0.4 }, { "name": "strange", "from": -1 }, { "name": "alarming", "from": -3 }, { "name": "broken", "from": -8 }],
            "hysteresis": { "margin": 0.25, "dwell": "3h" }, "hold": "7d" }"#,
    ),
];

type Series = BTreeMap<(String, String), Vec<(Time, Score)>>;

fn main() -> ExitCode {
    #[allow(clippy::disallowed_methods, reason = "a program reads its arguments; the library never does")]
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: score_replay FILE.ndjson");
        return ExitCode::from(2);
    };
    match replay(&file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay(file: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (series, readings) = read(&fs::read_to_string(file)?)?;
    println!("{readings} readings, {} series by detector\n", series.len());
    println!("| bands | scores | moves | firings | + cooldown 24h | + hysteresis | + hold 7d |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (detectors, about, document) in SETS {
        let read = |text: &str| -> Result<Scale, Box<dyn std::error::Error>> {
            let rules = RuleSet::from_json(&format!(r#"{{ "scales": [{text}] }}"#))?;
            Ok(rules.settings().known_scale(&"s".parse()?)?)
        };
        let all = read(document)?;
        let gated = read(&document.replace(r#", "hold": "7d""#, ""))?;
        let cut = document.find(r#""hysteresis""#).unwrap_or(document.len());
        let bare = read(&format!("{} }}", document[..cut].trim_end().trim_end_matches(',')))?;
        let own: Vec<_> = series.iter().filter(|((_, d), _)| detectors.contains(&d.as_str())).collect();
        let sum = |scale: &Scale, cooldown: Span| -> Result<(usize, usize), Box<dyn std::error::Error>> {
            let mut total = (0, 0);
            for (_, points) in &own {
                let (moves, firings) = run(scale, points, cooldown)?;
                total = (total.0 + moves, total.1 + firings);
            }
            Ok(total)
        };
        let scores: usize = own.iter().map(|(_, points)| points.len()).sum();
        let (moves, firings) = sum(&bare, Span::ZERO)?;
        let cooled = sum(&bare, ScoreTrigger::COOLDOWN)?.1;
        let (_, steadied) = sum(&gated, ScoreTrigger::COOLDOWN)?;
        let (_, held) = sum(&all, ScoreTrigger::COOLDOWN)?;
        println!("| {about} | {scores} | {moves} | {firings} | {cooled} | {steadied} | {held} |");
    }
    Ok(())
}

/// How often a subject moves between bands, and how often the rule fires.
fn run(
    scale: &Scale,
    points: &[(Time, Score)],
    cooldown: Span,
) -> Result<(usize, usize), Box<dyn std::error::Error>> {
    let enters = scale.bands()[1..].iter().map(|band| band.name.clone()).collect();
    let mut rule = ScoreTrigger::new(scale.id().clone(), enters);
    rule.cooldown = cooldown;
    let mut fired: BTreeMap<(Option<BandName>, BandName), Time> = BTreeMap::new();
    let (mut level, mut moves, mut firings): (Option<Level>, usize, usize) = (None, 0, 0);
    let mut note = |transition: &Transition, at: Time| {
        moves += usize::from(matches!(transition, Transition::Moved { .. }));
        let last = |from: Option<&BandName>, to: &BandName| fired.get(&(from.cloned(), to.clone())).copied();
        for fire in rule.fires(transition, scale, last, at) {
            if fire.cooling_until.is_none() {
                firings += 1;
                fired.insert((fire.from, fire.to), at);
            }
        }
    };
    for (n, (at, score)) in points.iter().enumerate() {
        while let Some(known) = &level {
            let due = known.due().unwrap_or(*at);
            let Some(step) = scale.elapse(known, *at) else { break };
            note(&step.transition, due);
            level = Some(step.level);
        }
        let seen = Observation::new(score.clone(), *at, format!("s{n}").parse()?);
        let step = scale.observe(level.as_ref(), seen)?;
        note(&step.transition, *at);
        level = Some(step.level);
    }
    Ok((moves, firings))
}

fn read(text: &str) -> Result<(Series, usize), Box<dyn std::error::Error>> {
    let mut series = Series::new();
    let mut readings = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let row: Value = serde_json::from_str(line)?;
        let name = row["series"].as_str().unwrap_or_default();
        let at: Time = format!("{}Z", row["t"].as_str().unwrap_or_default().trim_end_matches('Z')).parse()?;
        for (detector, score) in row["scores"].as_object().into_iter().flatten() {
            let key = (name.to_owned(), detector.clone());
            series.entry(key).or_default().push((at, score.to_string().parse()?));
        }
        readings += 1;
    }
    Ok((series, readings))
}
