//! The matcher against the interpreter, on random rule sets and events. `TIPSTAFF_MATCHER_ROUNDS`
//! makes the run longer (one round is 20 events of one rule set).

use std::fmt::Write as _;

use tipstaff::{Matcher, Pattern, Payload, PayloadFault, RuleIx, Scratch};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const NAMES: &[&str] = &["a", "b", "c", "ab", "", "é", "longer-name", "longer-nam3"];

/// Texts as JSON writes them: shared beginnings and ends, near misses, other cases, addresses.
const TEXTS: &[&str] = &[
    "x",
    "xy",
    "xyz",
    "xyzw",
    "yz",
    "X",
    "Xy",
    "straße",
    "STRASSE",
    "Σ",
    "ς",
    "",
    "*",
    "a*b",
    "5",
    "null",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.1.1",
    "10.1.0.0",
    "192.168.0.1",
    "::1",
    "::ffff:10.0.0.1",
    "2001:db8::5",
    "01.2.3.4",
    "abcdefgh",
    "abcdefghi",
    "abcdefghij-and-a-good-deal-more",
    "\\u0061",
    "\\ud83d\\ude00",
    "😀",
    "\\n",
    "\\\"",
    "\\\\",
    "\\/x",
    "\\ud800",
    "x.y",
    "aXbXc",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "0.0",
    "1",
    "1.0",
    "1e0",
    "10e-1",
    "2",
    "5",
    "5.5",
    "-5",
    "-5.5",
    "99",
    "100",
    "1e2",
    "9007199254740992",
    "9007199254740993",
    "9007199254740993.0",
    "-122.42916360922355",
    "1e400",
    "-1e400",
    "12345678901234567890",
    "12345678901234567891",
    "12345678901234567890.5",
    "1234567890123456789",
    "-12345678901234567890",
    "-12345678901234567891",
    "0.1",
    "0.10000000000000001",
    "0.100000000000000000001",
    "1e-400",
    "9999999999999999999",
    "99999999999999999999",
    "1e999999999999999",
];

const NETWORKS: &[&str] = &[
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.0.1/32",
    "10.0.1.0/24",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/32",
    "::ffff:0:0/96",
    "::1/128",
    "::/90",
    "192.168.0.0/16",
];

const WILDCARDS: &[&str] =
    &["*", "x*", "*z", "x*z", "*y*", "abc*", "*good*more", "*X*X*", "x", "a\\\\*b", "*-and-*-deal-*"];

impl Random {
    fn name(&mut self) -> String {
        if self.one_in(6) { self.of(NAMES).to_owned() } else { self.of(&NAMES[..4]).to_owned() }
    }

    fn text(&mut self) -> String {
        format!("\"{}\"", self.of(TEXTS))
    }

    fn list(&mut self, one: fn(&mut Self) -> String) -> String {
        let items: Vec<_> = (0..=self.below(3)).map(|_| one(self)).collect();
        format!("[{}]", items.join(","))
    }

    fn number(&mut self) -> String {
        if self.one_in(2) { self.of(NUMBERS).to_owned() } else { self.below(20).to_string() }
    }

    fn wildcard(&mut self) -> String {
        format!("\"{}\"", self.of(WILDCARDS))
    }

    fn affix(&mut self) -> String {
        loop {
            let text = self.text();
            if text.len() > 2 {
                return text;
            }
        }
    }

    fn alternative(&mut self) -> String {
        match self.below(22) {
            0..=3 => self.text(),
            4..=5 => self.number(),
            6 => self.of(&["null", "true", "false"]).to_owned(),
            7 => format!("{{\"prefix\":{}}}", self.text()),
            8 => format!("{{\"suffix\":{}}}", self.text()),
            9 => {
                let operator = self.of(&["prefix", "suffix"]);
                format!("{{\"{operator}\":{{\"equals-ignore-case\":{}}}}}", self.text())
            }
            10 => format!("{{\"equals-ignore-case\":{}}}", self.text()),
            11 => format!("{{\"wildcard\":{}}}", self.wildcard()),
            12 => format!("{{\"anything-but\":{}}}", self.list(Self::text)),
            13 => format!("{{\"anything-but\":{}}}", self.list(Self::number)),
            14 => {
                let operator = self.of(&["prefix", "suffix", "equals-ignore-case"]);
                format!("{{\"anything-but\":{{\"{operator}\":{}}}}}", self.list(Self::affix))
            }
            15 => format!("{{\"anything-but\":{{\"wildcard\":{}}}}}", self.list(Self::wildcard)),
            16 => {
                let (a, b) = (self.of(&[">", ">="]), self.of(&["<", "<="]));
                format!("{{\"numeric\":[\"{a}\",{},\"{b}\",{}]}}", self.number(), self.number())
            }
            17 => {
                let operator = self.of(&["=", "<", "<=", ">", ">="]);
                format!("{{\"numeric\":[\"{operator}\",{}]}}", self.number())
            }
            18 => format!("{{\"cidr\":\"{}\"}}", self.of(NETWORKS)),
            19 => "{\"exists\":true}".to_owned(),
            _ => "{\"exists\":false}".to_owned(),
        }
    }

    fn field(&mut self) -> String {
        let path: Vec<_> = (0..=self.below(3)).map(|_| self.name()).collect();
        let alternatives: Vec<_> = (0..=self.below(3)).map(|_| self.alternative()).collect();
        format!("\"{}\":[{}]", path.join("."), alternatives.join(","))
    }

    fn fields(&mut self, most: usize, depth: usize) -> String {
        let mut members: Vec<_> = (0..=self.below(most)).map(|_| self.field()).collect();
        if depth > 0 && self.one_in(5) {
            let objects: Vec<_> = (0..2 + self.below(2)).map(|_| self.fields(2, depth - 1)).collect();
            members.push(format!("\"$or\":[{}]", objects.join(",")));
        }
        format!("{{{}}}", members.join(","))
    }

    fn pattern(&mut self) -> Pattern {
        loop {
            // Some texts make no pattern: a field twice, an empty range.
            if let Ok(pattern) = Pattern::parse(&self.fields(3, 2)) {
                return pattern;
            }
        }
    }

    /// Rules as products have them: one key, several predicates on the same paths.
    fn alike(&mut self) -> Pattern {
        loop {
            let mut text = format!("{{\"a\":[\"{}\"]", self.of(&TEXTS[..3]));
            for name in ["b", "c.a", "c.b", "ab"] {
                if !self.one_in(3) {
                    let alternatives: Vec<_> = (0..=self.below(2)).map(|_| self.alternative()).collect();
                    let _ = write!(text, ",\"{name}\":[{}]", alternatives.join(","));
                }
            }
            if let Ok(pattern) = Pattern::parse(&(text + "}")) {
                return pattern;
            }
        }
    }

    fn rule(&mut self, alike: bool) -> (Vec<&'static str>, Pattern) {
        if alike {
            return (vec![], self.alike());
        }
        let count = self.below(3);
        ((0..count).map(|_| ["s1", "s2", "s3"][self.below(3)]).collect(), self.pattern())
    }

    fn value(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 6 } else { 11 }) {
            0..=2 => self.text(),
            3..=4 => self.number(),
            5 => self.of(&["null", "true", "false"]).to_owned(),
            6..=7 => {
                let items: Vec<_> = (0..self.below(4)).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", items.join(","))
            }
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: usize) -> String {
        let mut members = Vec::new();
        for _ in 0..self.below(5) {
            let mut name = self.name();
            while self.one_in(8) {
                name = format!("{name}.{}", self.name());
            }
            if self.one_in(20) {
                name = name.replace('a', "\\u0061").replace('.', "\\u002e");
            }
            let space = self.of(&["", "", "", " ", "\n\t"]);
            members.push(format!("\"{name}\"{space}:{space}{}{space}", self.value(depth)));
        }
        format!("{{{}}}", members.join(","))
    }

    /// An event of the same kind as [`alike`](Self::alike).
    fn alike_event(&mut self) -> String {
        let mut members = vec![format!("\"a\":\"{}\"", self.of(&TEXTS[..3]))];
        for name in ["b", "ab"] {
            if !self.one_in(6) {
                members.push(format!("\"{name}\":{}", self.value(1)));
            }
        }
        members.push(format!("\"c\":{{\"a\":{},\"b\":{}}}", self.value(0), self.value(1)));
        format!("{{{}}}", members.join(","))
    }
}

#[allow(clippy::disallowed_methods, reason = "a test may be told how long to run")]
fn rounds() -> u64 {
    std::env::var("TIPSTAFF_MATCHER_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5_000)
}

fn compare(
    matcher: &Matcher,
    rules: &[(Vec<&str>, Option<Pattern>)],
    event: &str,
    source: Option<&str>,
    scratch: &mut Scratch,
) -> usize {
    let mut found = vec![];
    let answer = matcher.matches(source, event.as_bytes(), scratch, &mut found);
    match Payload::new(event) {
        Ok(payload) => {
            assert_eq!(answer, Ok(()), "{event}");
            let expected: Vec<usize> = (0..rules.len())
                .filter(|i| {
                    let (sources, pattern) = &rules[*i];
                    let bound = sources.is_empty() || source.is_some_and(|source| sources.contains(&source));
                    bound && pattern.as_ref().is_some_and(|pattern| pattern.matches(&payload))
                })
                .collect();
            let found: Vec<usize> = found.into_iter().map(RuleIx::index).collect();
            if found != expected {
                let wrong: Vec<_> = (0..rules.len())
                    .filter(|i| found.contains(i) != expected.contains(i))
                    .map(|i| format!("{i} {:?}", rules[i]))
                    .collect();
                panic!("found {found:?}, expected {expected:?}\n{event}\n{source:?}\n{}", wrong.join("\n"));
            }
            expected.len()
        }
        Err(error) => {
            match error.fault() {
                PayloadFault::Syntax(fault) => assert_eq!(answer, Err(fault.clone()), "{event}"),
                _ => assert_eq!(answer, Ok(()), "{event}"),
            }
            0
        }
    }
}

#[test]
fn it_finds_what_the_interpreter_finds() {
    let mut scratch = Scratch::default();
    let (mut pairs, mut matches) = (0, 0);
    for round in 0..rounds() {
        let mut random = Random(round);
        let alike = random.one_in(4);
        let count = match random.below(40) {
            0 => 300,
            1..=3 => 90,
            _ => 1 + random.below(20),
        };
        let mut rules: Vec<(Vec<&str>, Option<Pattern>)> = (0..count)
            .map(|_| random.rule(alike))
            .map(|(sources, pattern)| (sources, Some(pattern)))
            .collect();
        let given = rules.iter().map(|(sources, pattern)| (sources, pattern.clone().expect("all are there")));
        let mut matcher = Matcher::new(given);
        if round % 3 == 0 {
            // Other rules take the places of some, twice the place of one.
            for _ in 0..random.below(6) {
                let at = random.below(count);
                let number = RuleIx::new(at).expect("few rules");
                let (sources, pattern) = random.rule(alike);
                if random.one_in(4) {
                    matcher = matcher.without(number);
                    rules[at].1 = None;
                } else {
                    matcher = matcher.with(number, &sources, pattern.clone());
                    rules[at] = (sources, Some(pattern));
                }
            }
        }
        for _ in 0..20 {
            let event = if alike { random.alike_event() } else { random.object(3) };
            let source = [None, Some("s1"), Some("s2"), Some("other")][random.below(4)];
            matches += compare(&matcher, &rules, &event, source, &mut scratch);
            pairs += 1;
            if random.one_in(10) {
                // The same event with one character changed, mostly no JSON any more.
                let mut broken: Vec<char> = event.chars().collect();
                let at = random.below(broken.len());
                broken[at] = ['"', '\\', '{', ']', '0', ',', '\u{1}', '-', 'e', 'u'][random.below(10)];
                compare(&matcher, &rules, &broken.into_iter().collect::<String>(), source, &mut scratch);
            }
        }
    }
    println!("{pairs} pairs of a rule set and an event, {matches} matches");
    assert!(matches > pairs / 2);
}
