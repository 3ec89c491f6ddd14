//! Rules and events of `matching.md`, from a fixed seed.
//!
//! A rule asks for its type, for two or three of: department in a set, risk in a range, source
//! address in a network, country none of a few. How much each lets through is chosen so that an
//! event matches about five rules, however many there are.

use std::fmt::Write as _;

const EVENT_BYTES: usize = 469;
const DEPARTMENTS: usize = 40;
const COUNTRIES: usize = 60;
const WANTED: f64 = 5.0;

/// Patterns and events; the decision table holds the same rules, where it can.
pub struct Workload {
    pub patterns: Vec<String>,
    pub events: Vec<String>,
    pub table: Option<String>,
}

/// How many different events there are.
const EVENTS: usize = 4_096;

/// The workload of `matching.md`, without the table where nobody asks for it: it is large.
pub fn scale(count: usize, types: usize, with_table: bool) -> Workload {
    let rules = rules(count, types);
    Workload {
        patterns: rules.iter().map(Rule::pattern).collect(),
        events: events(EVENTS, types),
        table: with_table.then(|| crate::table::table(&rules)),
    }
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// One rule.
pub struct Rule {
    pub kind: usize,
    pub departments: Vec<usize>,
    /// In thousandths.
    pub risk: Option<(usize, usize)>,
    /// Base and bits, inside 10.0.0.0/8.
    pub network: Option<(u32, u32)>,
    pub not_from: Vec<usize>,
}

fn rules(count: usize, types: usize) -> Vec<Rule> {
    let mut random = Random(7);
    let share = (WANTED * types as f64 / count as f64).min(1.0);
    (0..count)
        .map(|i| {
            // Two predicates and the countries, or all three without.
            let without = random.below(4);
            let each = if without < 3 { share.sqrt() } else { share.cbrt() };
            let mut departments = Vec::new();
            if without != 0 {
                let from = random.below(DEPARTMENTS);
                let size = ((DEPARTMENTS as f64 * each).round() as usize).max(1);
                departments = (0..size).map(|i| (from + i) % DEPARTMENTS).collect();
            }
            let width = (1_000.0 * each).round() as usize;
            let low = random.below(1_000 - width + 1);
            let bits = 8 + (-each.log2()).round() as u32;
            let base = random.next() as u32 & 0x00ff_ffff & !(u32::MAX.checked_shr(bits).unwrap_or(0));
            let not_from = (0..1 + random.below(3)).map(|_| random.below(COUNTRIES)).collect();
            Rule {
                kind: i % types,
                departments,
                risk: (without != 1).then_some((low, low + width)),
                network: (without != 2).then_some((0x0a00_0000 | base, bits)),
                not_from: if without < 3 { not_from } else { Vec::new() },
            }
        })
        .collect()
}

pub fn kind(i: usize) -> String {
    format!("com.example.audit.kind-{i}")
}

pub fn department(i: usize) -> String {
    format!("department-{i}")
}

pub fn country(i: usize) -> String {
    let letter = |n: usize| char::from(b'A' + (n % 26) as u8);
    format!("{}{}", letter(i / 26), letter(i))
}

pub fn address(v4: u32) -> String {
    std::net::Ipv4Addr::from(v4).to_string()
}

pub fn thousandths(n: usize) -> String {
    format!("{}.{}", n / 10, n % 10)
}

impl Rule {
    fn pattern(&self) -> String {
        let mut text = format!("{{\"type\":[\"{}\"]", kind(self.kind));
        if !self.departments.is_empty() {
            let list: Vec<_> = self.departments.iter().map(|i| format!("\"{}\"", department(*i))).collect();
            let _ = write!(text, ",\"actor\":{{\"department\":[{}]}}", list.join(","));
        }
        if let Some((low, high)) = self.risk {
            let (low, high) = (thousandths(low), thousandths(high));
            let _ = write!(text, ",\"risk\":[{{\"numeric\":[\">=\",{low},\"<\",{high}]}}]");
        }
        if let Some((base, bits)) = self.network {
            let _ = write!(text, ",\"source\":{{\"ip\":[{{\"cidr\":\"{}/{bits}\"}}]}}", address(base));
        }
        if !self.not_from.is_empty() {
            let list: Vec<_> = self.not_from.iter().map(|i| format!("\"{}\"", country(*i))).collect();
            let _ = write!(text, ",\"geo\":{{\"country\":[{{\"anything-but\":[{}]}}]}}", list.join(","));
        }
        text + "}"
    }
}

/// Events of exactly [`EVENT_BYTES`].
fn events(count: usize, types: usize) -> Vec<String> {
    let mut random = Random(11);
    (0..count)
        .map(|i| {
            let head = format!(
                "{{\"id\":\"evt-{i:08}\",\"time\":\"2026-11-21T09:{:02}:{:02}Z\",\"type\":\"{}\",\"version\":3,\
                 \"actor\":{{\"id\":\"user-{}\",\"name\":\"A. Person\",\"department\":\"{}\",\"privileged\":false}},\
                 \"source\":{{\"ip\":\"{}\",\"port\":{},\"agent\":\"Mozilla/5.0 (X11; Linux x86_64)\"}},\
                 \"risk\":{},\"geo\":{{\"country\":\"{}\",\"city\":\"Somewhere\"}},\"tags\":[\"login\",\"web\"],\"note\":\"",
                random.below(60),
                random.below(60),
                kind(random.below(types)),
                random.below(100_000),
                department(random.below(DEPARTMENTS)),
                address(0x0a00_0000 | random.below(1 << 24) as u32),
                1024 + random.below(60_000),
                thousandths(random.below(1_000)),
                country(random.below(COUNTRIES)),
            );
            let rest = EVENT_BYTES - head.len() - 2;
            format!("{head}{}\"}}", "lorem ipsum ".chars().cycle().take(rest).collect::<String>())
        })
        .collect()
}
