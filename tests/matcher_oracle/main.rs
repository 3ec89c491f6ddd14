//! The matcher against the interpreter, on random rule sets and events.
//!
//! A pair is one event that a rule set has answered, the answer compared over all rules of the set.
//! `TIPSTAFF_MATCHER_PAIRS` makes the run longer, `TIPSTAFF_MATCHER_SEED` another one.

mod generate;
mod random;
mod words;

use generate::{Generator, Shape};
use random::Random;
use tipstaff::{Matcher, Pattern, Payload, PayloadFault, RuleIx, Scratch};
use words::Words;

/// How many events each rule set answers; more of them in a long run, where there are many sets.
const EVENTS: [usize; 2] = [40, 200];

const SOURCES: [&str; 3] = ["s1", "s2", "s3"];

/// A rule as the test knows it; none where it was taken out.
type Rule = (Vec<&'static str>, Option<Pattern>);

#[allow(clippy::disallowed_methods, reason = "a test may be told how long to run")]
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.replace('_', "").parse().ok()).unwrap_or(usual)
}

struct Set {
    rules: Vec<Rule>,
    /// The patterns of the rules that there are, and their numbers.
    patterns: Vec<Pattern>,
    numbers: Vec<usize>,
    matcher: Matcher,
}

impl Set {
    fn new(generator: &Generator<'_>, count: usize, random: &mut Random) -> Self {
        let rules: Vec<Rule> = (0..count)
            .map(|_| {
                let (sources, pattern) = rule(generator, random);
                (sources, Some(pattern))
            })
            .collect();
        let given = rules.iter().map(|(sources, pattern)| (sources, pattern.clone().expect("all are there")));
        let matcher = Matcher::new(given);
        let mut set = Self { rules, patterns: Vec::new(), numbers: Vec::new(), matcher };
        if random.one_in(3) {
            set.change(generator, random);
        }
        for (number, (_, pattern)) in set.rules.iter().enumerate() {
            if let Some(pattern) = pattern {
                set.patterns.push(pattern.clone());
                set.numbers.push(number);
            }
        }
        set
    }

    /// Other rules take the places of some, twice the place of one.
    fn change(&mut self, generator: &Generator<'_>, random: &mut Random) {
        for _ in 0..random.below(6) {
            let at = random.below(self.rules.len());
            let number = RuleIx::new(at).expect("few rules");
            let (sources, pattern) = rule(generator, random);
            if random.one_in(4) {
                self.matcher = self.matcher.without(number);
                self.rules[at].1 = None;
            } else {
                self.matcher = self.matcher.with(number, &sources, pattern.clone());
                self.rules[at] = (sources, Some(pattern));
            }
        }
    }

    /// Compares the answers; how many rules match, none where the event is no payload. `early` says
    /// whether the event has what stopping early asks for.
    fn compare(&self, event: &str, source: Option<&str>, early: bool, ask: &mut Ask) -> Option<usize> {
        let matching = self.compare_whole(event, source, ask);
        let Ask { scratch, found, found_early } = ask;
        found_early.clear();
        let answer = self.matcher.matches_early(source, event.as_bytes(), scratch, found_early);
        if matching.is_some() {
            assert_eq!(answer, Ok(()), "{event}");
            assert!(
                !early || found_early == found,
                "early {found_early:?}, {found:?}\n{event}\n{:?}",
                self.rules
            );
        } else if let Err(error) = answer {
            assert_eq!(Payload::new(event).unwrap_err().fault(), &PayloadFault::Syntax(error), "{event}");
        }
        matching
    }

    fn compare_whole(&self, event: &str, source: Option<&str>, ask: &mut Ask) -> Option<usize> {
        let found = &mut ask.found;
        found.clear();
        let answer = self.matcher.matches(source, event.as_bytes(), &mut ask.scratch, found);
        let payload = match Payload::new(event) {
            Ok(payload) => payload,
            Err(error) => {
                match error.fault() {
                    PayloadFault::Syntax(fault) => assert_eq!(answer, Err(fault.clone()), "{event}"),
                    _ => assert_eq!(answer, Ok(()), "{event}"),
                }
                return None;
            }
        };
        assert_eq!(answer, Ok(()), "{event}");
        let bound = |number: usize| {
            let sources = &self.rules[number].0;
            sources.is_empty() || source.is_some_and(|source| sources.contains(&source))
        };
        let matching = Pattern::matching(&self.patterns, &payload).into_iter().map(|i| self.numbers[i]);
        let expected: Vec<usize> = matching.filter(|number| bound(*number)).collect();
        let found: Vec<usize> = found.iter().map(|rule| rule.index()).collect();
        if found != expected {
            let wrong: Vec<_> = (0..self.rules.len())
                .filter(|i| found.contains(i) != expected.contains(i))
                .map(|i| format!("{i} {:?}", self.rules[i]))
                .collect();
            panic!("found {found:?}, expected {expected:?}\n{event}\n{source:?}\n{}", wrong.join("\n"));
        }
        Some(expected.len())
    }
}

/// What is used again for every event.
#[derive(Default)]
struct Ask {
    scratch: Scratch,
    found: Vec<RuleIx>,
    found_early: Vec<RuleIx>,
}

fn rule(generator: &Generator<'_>, random: &mut Random) -> (Vec<&'static str>, Pattern) {
    let count = if random.one_in(3) { 1 + random.below(2) } else { 0 };
    ((0..count).map(|_| random.of(&SOURCES)).collect(), generator.pattern(random))
}

/// The event with one character changed, mostly no JSON any more.
fn broken(event: &str, random: &mut Random) -> String {
    let mut broken: Vec<char> = event.chars().collect();
    let at = random.below(broken.len());
    broken[at] = random.of(&['"', '\\', '{', ']', '0', ',', '\u{1}', '-', 'e', 'u']);
    broken.into_iter().collect()
}

#[test]
fn it_finds_what_the_interpreter_finds() {
    let (wanted, seed) = (setting("TIPSTAFF_MATCHER_PAIRS", 100_000), setting("TIPSTAFF_MATCHER_SEED", 0));
    let mut ask = Ask::default();
    let (mut pairs, mut matches, mut sets, mut refused) = (0, 0, 0_u64, 0_u64);
    let mut event = String::new();
    while pairs < wanted {
        let mut random = Random(seed << 40 | sets);
        sets += 1;
        let words = Words::new(&mut random);
        let shape = random.of(&[Shape::Wild, Shape::Wild, Shape::Single, Shape::Plain]);
        let generator = Generator { words: &words, shape };
        let count = match random.below(200) {
            0 => 300,
            1..=6 => 90,
            7..=40 => 1 + random.below(20),
            _ => 1 + random.below(5),
        };
        let set = Set::new(&generator, count, &mut random);
        for _ in 0..EVENTS[usize::from(wanted > 1_000_000)] {
            event.clear();
            generator.event(&mut random, &mut event);
            let source = random.of(&[None, Some("s1"), Some("s2"), Some("other")]);
            matches += set.compare(&event, source, shape != Shape::Wild, &mut ask).unwrap_or_default() as u64;
            pairs += 1;
            if random.one_in(20) {
                let broken = broken(&event, &mut random);
                refused += u64::from(set.compare(&broken, source, false, &mut ask).is_none());
            }
        }
    }
    println!("{pairs} pairs from {sets} rule sets, {matches} matches; {refused} broken events refused");
    assert!(matches > pairs / 4);
}

#[test]
fn a_group_that_is_split_finds_the_same() {
    let mut random = Random(9);
    let words = Words::new(&mut random);
    let mut ask = Ask::default();
    let generator = Generator { words: &words, shape: Shape::Plain };
    let set = Set::new(&generator, 9_000, &mut random);
    let mut matches = 0;
    for _ in 0..30 {
        let mut event = String::new();
        generator.event(&mut random, &mut event);
        matches += set.compare(&event, None, true, &mut ask).unwrap_or_default();
    }
    assert!(matches > 9_000);
}
