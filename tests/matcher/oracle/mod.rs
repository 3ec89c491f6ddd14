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

/// How many rule sets are made from the same words. The interpreter reads an event once for all.
const SETS: usize = 5;

/// How many events they answer; more of them in a long run, where there are many sets.
const EVENTS: [usize; 2] = [20, 200];

const SOURCES: [&str; 3] = ["s1", "s2", "s3"];

/// A rule as the test knows it; none where it was taken out.
type Rule = (Vec<&'static str>, Option<Pattern>);

#[allow(clippy::disallowed_methods, reason = "a test may be told how long to run")]
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.replace('_', "").parse().ok()).unwrap_or(usual)
}

struct Set {
    rules: Vec<Rule>,
    matcher: Matcher,
}

/// Rule sets, and all their patterns together for the interpreter.
struct Sets {
    sets: Vec<Set>,
    patterns: Vec<Pattern>,
    /// The set and the number of each pattern.
    owners: Vec<(usize, usize)>,
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
        let mut set = Self { rules, matcher };
        if random.one_in(3) {
            set.change(generator, random);
        }
        set
    }

    /// Other rules take the places of some, twice the place of one; some are added.
    fn change(&mut self, generator: &Generator<'_>, random: &mut Random) {
        for _ in 0..random.below(6) {
            let at = random.below(self.rules.len() + 1);
            let number = RuleIx::new(at).expect("few rules");
            let (sources, pattern) = rule(generator, random);
            if at == self.rules.len() {
                self.rules.push((Vec::new(), None));
            } else if random.one_in(4) {
                self.matcher = self.matcher.without(number);
                self.rules[at].1 = None;
                continue;
            }
            self.matcher = self.matcher.with(number, &sources, pattern.clone());
            self.rules[at] = (sources, Some(pattern));
        }
    }

    /// Compares the set's answers with what is expected, if the event is a payload. `early` says
    /// whether the event has what stopping early asks for.
    fn compare(
        &self,
        event: &str,
        source: Option<&str>,
        early: bool,
        expected: Result<&[usize], &PayloadFault>,
        ask: &mut Ask,
    ) {
        let Ask { scratch, found, found_early } = ask;
        found.clear();
        found_early.clear();
        let answer = self.matcher.matches(source, event.as_bytes(), scratch, found);
        let early_answer = self.matcher.matches_early(source, event.as_bytes(), scratch, found_early);
        let expected = match expected {
            Ok(expected) => expected,
            Err(PayloadFault::Syntax(fault)) => {
                assert_eq!(answer.as_ref(), Err(fault), "{event}");
                assert!(early_answer.is_ok() || early_answer.as_ref() == Err(fault), "{event}");
                return;
            }
            Err(_) => {
                assert_eq!((answer, early_answer), (Ok(()), Ok(())), "{event}");
                return;
            }
        };
        assert_eq!((answer, early_answer), (Ok(()), Ok(())), "{event}");
        let is = |found: &[RuleIx]| found.iter().map(|rule| rule.index()).eq(expected.iter().copied());
        if !is(found) || early && !is(found_early) {
            let rules: Vec<_> = self.rules.iter().enumerate().collect();
            panic!(
                "found {found:?}, early {found_early:?}, expected {expected:?}\n{event}\n{source:?}\n{rules:?}"
            );
        }
    }
}

impl Sets {
    fn new(sets: Vec<Set>) -> Self {
        let (mut patterns, mut owners) = (Vec::new(), Vec::new());
        for (i, set) in sets.iter().enumerate() {
            for (number, (_, pattern)) in set.rules.iter().enumerate() {
                patterns.extend(pattern.clone());
                owners.extend(pattern.is_some().then_some((i, number)));
            }
        }
        Self { sets, patterns, owners }
    }

    /// Compares the answers of all sets; how many rules match, none where the event is no payload.
    fn compare(&self, event: &str, source: Option<&str>, early: bool, ask: &mut Ask) -> Option<usize> {
        let payload = Payload::new(event);
        let fault = payload.as_ref().err().map(|error| error.fault());
        let matching = payload.as_ref().map_or_else(|_| vec![], |p| Pattern::matching(&self.patterns, p));
        let mut expected = Vec::new();
        for (i, set) in self.sets.iter().enumerate() {
            expected.clear();
            for (owner, number) in matching.iter().map(|pattern| self.owners[*pattern]) {
                let sources = &set.rules.get(number).map_or(&[][..], |(sources, _)| sources);
                let bound = sources.is_empty() || source.is_some_and(|source| sources.contains(&source));
                expected.extend((owner == i && bound).then_some(number));
            }
            set.compare(event, source, early, fault.map_or(Ok(&expected), Err), ask);
        }
        payload.is_ok().then_some(matching.len())
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
    let (mut pairs, mut matches, mut rounds, mut refused) = (0, 0, 0_u64, 0_u64);
    let mut event = String::new();
    while pairs < wanted {
        let mut random = Random(seed << 40 | rounds);
        rounds += 1;
        let words = Words::new(&mut random);
        let shape = random.of(&[Shape::Wild, Shape::Wild, Shape::Single, Shape::Plain]);
        let generator = Generator { words: &words, shape };
        let sets = (0..SETS).map(|_| {
            let count = match random.below(400) {
                0 => 300,
                1..=4 => 90,
                5..=60 => 1 + random.below(20),
                _ => 1 + random.below(5),
            };
            Set::new(&generator, count, &mut random)
        });
        let sets = Sets::new(sets.collect());
        for _ in 0..EVENTS[usize::from(wanted > 1_000_000)] {
            event.clear();
            generator.event(&mut random, &mut event);
            let source = random.of(&[None, Some("s1"), Some("s2"), Some("other")]);
            let matching = sets.compare(&event, source, shape != Shape::Wild, &mut ask);
            matches += matching.unwrap_or_default() as u64;
            pairs += SETS as u64;
            if random.one_in(20) {
                let broken = broken(&event, &mut random);
                refused += u64::from(sets.compare(&broken, source, false, &mut ask).is_none());
            }
        }
        if rounds.is_multiple_of(10_000) {
            println!("{pairs} pairs");
        }
    }
    println!(
        "{pairs} pairs from {} rule sets, {matches} matches; {refused} broken events refused",
        rounds * SETS as u64
    );
    assert!(matches > pairs / 4);
}

#[test]
fn a_group_that_is_split_finds_the_same() {
    let mut random = Random(9);
    let words = Words::new(&mut random);
    let mut ask = Ask::default();
    let generator = Generator { words: &words, shape: Shape::Plain };
    let set = Sets::new(vec![Set::new(&generator, 9_000, &mut random)]);
    let mut matches = 0;
    for _ in 0..30 {
        let mut event = String::new();
        generator.event(&mut random, &mut event);
        matches += set.compare(&event, None, true, &mut ask).unwrap_or_default();
    }
    assert!(matches > 9_000);
}
