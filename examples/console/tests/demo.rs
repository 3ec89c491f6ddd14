//! The demo's files: made by the generator, read by the map, and worth their rules.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tipstaff::{
    ActionCatalog, BuiltinAction, DefaultedField, Mode, RuleSet, RuleWarning, Signal, Time, Trigger,
};
use tipstaff_console::input::{BadLine, Layout, LineFault, People, Reader};
use tipstaff_console::outbox::OutboxConfig;

#[path = "../examples/generate/cast.rs"]
mod cast;
#[path = "../examples/generate/cloudtrail.rs"]
mod cloudtrail;
#[path = "../examples/generate/files.rs"]
mod files;
#[path = "../examples/generate/github.rs"]
mod github;
#[path = "../examples/generate/incidents.rs"]
mod incidents;
#[path = "../examples/generate/json.rs"]
mod json;
#[path = "../examples/generate/okta.rs"]
mod okta;
#[path = "../examples/generate/routine.rs"]
mod routine;
#[path = "../examples/generate/scores.rs"]
mod scores;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("demo").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

fn rules() -> RuleSet {
    RuleSet::from_json(&text("rules.json")).unwrap_or_else(|error| panic!("{error}"))
}

fn read(name: &str, layout: Layout) -> (Vec<Signal>, Vec<BadLine>) {
    let people: People = text("people.json").parse().unwrap();
    let content = fs::read(path(name)).unwrap();
    let reader = Reader::new(content.as_slice(), "acme".parse().unwrap(), layout).people(Arc::new(people));
    let (mut signals, mut bad) = (Vec::new(), Vec::new());
    for item in reader {
        match item {
            Ok(signal) => signals.push(signal),
            Err(line) => bad.push(line),
        }
    }
    (signals, bad)
}

fn events() -> (Vec<Signal>, Vec<BadLine>) {
    read("events.ndjson", Layout::Mapped(Arc::new(text("map.json").parse().unwrap())))
}

#[test]
fn the_generator_makes_the_committed_files_again() {
    for (name, content) in files::all() {
        assert!(fs::read(path(name)).unwrap() == content, "{name} differs: run the example `generate`");
    }
}

#[test]
fn the_events_are_what_the_readme_says() {
    let (events, bad) = events();
    assert!(events.len() >= 2_400, "{} events", events.len());
    let subjects: BTreeSet<_> = events.iter().map(|signal| signal.subject().to_string()).collect();
    assert!((40..=50).contains(&subjects.len()), "{subjects:?}");
    let [first, last] =
        ["2026-03-02T00:00:00Z", "2026-03-16T00:00:00Z"].map(|text| text.parse::<Time>().unwrap());
    assert!(events.iter().all(|signal| first <= signal.at() && signal.at() < last));
    let mut sources = BTreeMap::<_, usize>::new();
    let mut guessed = BTreeMap::<_, usize>::new();
    for event in &events {
        let info = event.info();
        *sources.entry(info.source).or_default() += 1;
        for field in info.defaulted {
            *guessed.entry(field).or_default() += 1;
        }
    }
    println!("{sources:?}, filled in: {guessed:?}");
    assert!(["cloudtrail", "github", "okta"].iter().all(|source| sources[*source] > 300), "{sources:?}");
    assert_eq!(sources.len(), 3);
    assert_eq!(guessed.keys().copied().collect::<Vec<_>>(), [DefaultedField::Subject]);

    let mut faults: Vec<_> = bad
        .iter()
        .map(|line| match &line.fault {
            LineFault::Syntax(_) => "syntax",
            LineFault::NotUtf8 => "utf-8",
            LineFault::Kind { .. } => "kind",
            LineFault::Time(_) => "time",
            LineFault::Missing { .. } => "missing",
            other => panic!("{other}"),
        })
        .collect();
    faults.sort_unstable();
    assert_eq!(faults, ["kind", "missing", "syntax", "syntax", "time", "utf-8"]);
}

#[test]
fn every_event_rule_fires_and_most_events_concern_none() {
    let rules = rules();
    let (events, _) = events();
    let mut fired = BTreeMap::<String, usize>::new();
    let mut quiet = 0;
    for event in &events {
        let concerned = rules.concerned(event);
        quiet += usize::from(concerned.is_empty());
        for rule in concerned {
            *fired.entry(rule.rule.id.to_string()).or_default() += 1;
        }
    }
    println!("{} events, {quiet} of them concern no rule", events.len());
    for rule in rules.rules().filter(|rule| matches!(rule.rule.trigger, Trigger::Event { .. })) {
        let count = fired.get(rule.rule.id.as_str()).copied().unwrap_or_default();
        println!("{count:>5}  {} ({})", rule.rule.id, rule.rule.mode);
        assert_eq!(count > 0, rule.rule.mode != Mode::Off, "{}", rule.rule.id);
    }
    assert!(quiet * 100 >= events.len() * 95, "{quiet} of {}", events.len());
    // The three who are not privileged match the pattern, and not the subject that the rule asks for.
    assert_eq!(fired["privileged-mfa-off"], 4);
    assert_eq!(fired["leaver-takes-copies"], 4);
}

#[test]
fn an_event_of_nobody_meets_a_rule_that_restricts() {
    let rules = rules();
    let guessed = |signal: &&Signal| signal.info().defaulted.contains(&DefaultedField::Subject);
    let (events, _) = events();
    let restricted: BTreeSet<_> = events
        .iter()
        .filter(guessed)
        .flat_map(|signal| rules.concerned(signal))
        .filter(|rule| rule.actions.iter().any(|action| action.spec.restricts))
        .map(|rule| rule.rule.id.to_string())
        .collect();
    assert_eq!(restricted, ["audit-trail-stopped".to_owned(), "threat-detected".to_owned()].into());
}

#[test]
fn events_come_again_and_one_of_them_changed() {
    let (events, _) = events();
    let mut seen = BTreeMap::new();
    let (mut same, mut other) = (0, 0);
    for event in &events {
        match seen.insert(event.trigger_id(), event.digest()) {
            Some(digest) if digest == event.digest() => same += 1,
            Some(_) => other += 1,
            None => {}
        }
    }
    assert_eq!((same, other), (8, 1));
}

#[test]
fn the_scores_are_exact_and_cross_bands() {
    let rules = rules();
    let (scores, bad) = read("scores.ndjson", Layout::Native);
    assert_eq!((scores.len(), bad.len()), (202, 1));
    assert!(matches!(bad[0].fault, LineFault::Score(_)));
    let scale = rules.settings().scale(&"default".parse().unwrap()).unwrap();
    let mut bands = BTreeMap::<_, usize>::new();
    let mut last = BTreeMap::new();
    let (mut moves, mut beyond) = (0, 0);
    for signal in &scores {
        let Signal::Score(reading) = signal else { panic!("a score") };
        let Ok(band) = scale.band(&reading.score) else {
            beyond += 1;
            continue;
        };
        *bands.entry(band.name.clone()).or_default() += 1;
        let before = last.insert(reading.subject.clone(), band.name.clone());
        moves += usize::from(before.is_some_and(|before| before != band.name));
    }
    println!("{bands:?}, {moves} moves");
    assert_eq!((bands.len(), beyond), (5, 1));
    assert!(moves >= 20, "{moves}");
    let red = scores.iter().find(|signal| signal.info().id == "score-u-1007-5").unwrap();
    assert_eq!(red.info().says.as_deref(), Some("score 19.9999999999999999"));
    assert_eq!(rules.concerned(red).len(), 3);
}

#[test]
fn the_policy_shows_every_action_and_every_warning() {
    let rules = rules();
    let used: BTreeSet<_> =
        rules.rules().flat_map(|rule| &rule.actions).map(|a| a.spec.name.clone()).collect();
    let all: BTreeSet<_> = ActionCatalog::default().iter().map(|spec| spec.name.clone()).collect();
    assert_eq!((used, all.len()), (all, BuiltinAction::ALL.len()));
    let (mut loosened, mut open_ended) = (Vec::new(), Vec::new());
    for warning in rules.warnings() {
        match warning {
            RuleWarning::ApprovalLoosened { rule, key, .. } => loosened.push(format!("{rule}/{key}")),
            RuleWarning::OpenEnded { rule, key, .. } => open_ended.push(format!("{rule}/{key}")),
            other => panic!("{other}"),
        }
    }
    assert_eq!(loosened, ["login-from-a-watched-network/sessions"]);
    // What one person agrees to and nothing ends.
    open_ended.sort();
    let restricts =
        ["bucket-opened", "leaver-takes-copies", "threat-detected"].map(|r| format!("{r}/restrict"));
    assert_eq!(open_ended, [&restricts[..2], &["offboard/lock".to_owned()], &restricts[2..]].concat());
    let triggers = |is: fn(&Trigger) -> bool| rules.rules().filter(|rule| is(&rule.rule.trigger)).count();
    assert!(triggers(|t| matches!(t, Trigger::Score(_))) >= 2);
    assert!(triggers(|t| matches!(t, Trigger::Schedule { .. })) >= 2);
    assert!(triggers(|t| matches!(t, Trigger::Manual)) >= 1);
    // What the outbox is told to fail is something that a rule asks for.
    assert!(text("outbox.json").parse::<OutboxConfig>().is_ok());
    for name in ["legacy-siem", "network", "report-received"] {
        assert!(text("rules.json").contains(&format!("\"{name}\"")) && text("outbox.json").contains(name));
    }
}

#[test]
fn nobody_in_the_demo_can_be_anybody() {
    let everything =
        ["events.ndjson", "scores.ndjson", "people.json", "rules.json", "map.json", "outbox.json"]
            .map(|name| String::from_utf8_lossy(&fs::read(path(name)).unwrap()).into_owned())
            .join("\n");
    for (at, _) in everything.match_indices('@') {
        let after = &everything[at + 1..];
        let known = ["example.com", "timestamp\""].iter().any(|known| after.starts_with(known));
        assert!(known, "{}", &after[..20]);
    }
    // Addresses are of the documentation ranges (RFC 5737), or of no host at all.
    for part in everything.split(|c: char| !c.is_ascii_digit() && c != '.') {
        let octets: Vec<_> = part.split('.').map(str::parse::<u8>).collect();
        if octets.len() == 4 && octets.iter().all(Result::is_ok) {
            let known =
                ["192.0.2.", "198.51.100.", "203.0.113.", "0.0.0.0"].iter().any(|net| part.starts_with(net));
            assert!(known, "{part}");
        }
    }
}
