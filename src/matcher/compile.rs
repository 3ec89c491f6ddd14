//! Rules as the matcher keeps them, and where each is filed.

use super::line;
use super::paths::{FALSE, NULL, PART, Paths, SOURCE, TRUE, UNNAMED};
use crate::pattern::{Field, Pattern, Test, TextTest};

/// The key of the group that every event meets.
pub(super) const ALWAYS: u64 = u64::MAX;

/// The guessed share of events that have a value at a path.
pub(super) const PRESENT: f64 = 0.9;

/// A check on the event's source instead of a field.
const OF_SOURCE: u32 = u32::MAX;

/// How many checks can be told apart; the last bit stands for all further ones.
const BITS: usize = 32;

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    /// The sources that it is bound to, as literals.
    pub(super) sources: Box<[u32]>,
    pub(super) conjuncts: Box<[Conjunct]>,
    /// Where it is filed.
    pub(super) keys: Box<[u64]>,
}

/// One branch of a rule: all of its checks must hold.
#[derive(Debug)]
pub(super) struct Conjunct {
    pub(super) branch: usize,
    pub(super) checks: Box<[Check]>,
    /// The parts of an event where the checks do not stand by themselves once it is tangled:
    /// several fields, or one that may be absent.
    pub(super) joined: u64,
}

/// What must hold at one path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub(super) path: u32,
    field: u32,
}

/// A conjunct in a group, with the checks that the group's key leaves open.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Member {
    pub(super) rule: u32,
    pub(super) conjunct: u32,
    pub(super) open: u32,
}

/// The list that a check asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'r> {
    Sources(&'r [u32]),
    Field(&'r Field),
}

impl Member {
    /// With all of `checks` checks open.
    pub(super) fn new(rule: u32, conjunct: usize, checks: usize) -> Self {
        let open = if checks < BITS { (1 << checks) - 1 } else { u32::MAX };
        Self { rule, conjunct: conjunct as u32, open }
    }

    pub(super) fn is_open(self, check: usize) -> bool {
        self.open >> check.min(BITS - 1) & 1 == 1
    }

    /// Without a check that holds already.
    pub(super) fn without(self, check: usize) -> Self {
        if check < BITS - 1 { Self { open: self.open & !(1 << check), ..self } } else { self }
    }
}

/// The key of the values at a path that are this literal.
pub(super) fn key(path: u32, literal: u32) -> u64 {
    u64::from(path) << 32 | u64::from(literal)
}

/// The key of any value at a path.
pub(super) fn any_key(path: u32) -> u64 {
    key(path, UNNAMED)
}

impl Rule {
    /// Notes the paths and literals that a rule names.
    pub(super) fn new(sources: &[&str], pattern: Pattern, paths: &mut Paths) -> Self {
        let of_fields: Vec<u32> = pattern.fields().iter().map(|field| intern(field, paths)).collect();
        let bound: Box<[u32]> = if sources.is_empty() {
            Box::default()
        } else {
            let path = paths.path_mut(SOURCE);
            sources.iter().map(|source| path.add_text(source)).collect()
        };
        let conjuncts = (0..pattern.branches()).map(|branch| {
            let fields = pattern.branch_fields(branch);
            let (mut once, mut joined) = (0, 0);
            for field in &fields {
                let part = paths.path(of_fields[*field]).part;
                joined |= if pattern.fields()[*field].absent { part } else { once & part };
                once |= part;
            }
            let source = (!bound.is_empty()).then_some(Check { path: SOURCE, field: OF_SOURCE });
            let fields = fields.iter().map(|i| Check { path: of_fields[*i], field: *i as u32 });
            Conjunct { branch, checks: source.into_iter().chain(fields).collect(), joined }
        });
        Self { conjuncts: conjuncts.collect(), sources: bound, keys: Box::default(), pattern }
    }

    pub(super) fn wanted(&self, check: Check) -> Wanted<'_> {
        match self.pattern.fields().get(check.field as usize) {
            Some(field) => Wanted::Field(field),
            None => Wanted::Sources(&self.sources),
        }
    }

    pub(super) fn conjunct(&self, member: Member) -> &Conjunct {
        &self.conjuncts[member.conjunct as usize]
    }

    /// Whether sets leave a check's verdict to the check.
    pub(super) fn is_weak(&self, check: Check) -> bool {
        let weak = |test: &Test| match test {
            Test::Text(test) => !matches!(test, TextTest::Equals(_)),
            Test::ButTexts(tests) => tests.iter().any(|test| !matches!(test, TextTest::Equals(_))),
            _ => false,
        };
        match self.wanted(check) {
            Wanted::Sources(_) => false,
            Wanted::Field(field) => field.alternatives.iter().any(weak),
        }
    }

    /// The checks that a member's groups have not dealt with yet.
    pub(super) fn open(&self, member: Member) -> impl Iterator<Item = (usize, Check)> {
        let checks = self.conjunct(member).checks.iter().copied().enumerate();
        checks.filter(move |(i, _)| member.is_open(*i))
    }

    /// The keys under which events of the member's kind are found soonest, and the member as the
    /// groups of these keys have it. None if nothing need be there.
    pub(super) fn keys(&self, member: Member, paths: &Paths) -> Option<(Vec<u64>, Member)> {
        let mut best: Option<(f64, usize, Check)> = None;
        for (i, check) in self.open(member) {
            let cost = self.cost(check, paths);
            if cost.is_some_and(|cost| best.is_none_or(|(least, ..)| cost < least)) {
                best = cost.map(|cost| (cost, i, check));
            }
        }
        let (_, i, check) = best?;
        match self.needed(check, paths) {
            Some(needed) => {
                let keys = needed.iter().map(|needed| key(check.path, *needed)).collect();
                // A part of a text is not all that a test asks for.
                let decided = needed.iter().all(|needed| needed & PART == 0);
                Some((keys, if decided { member.without(i) } else { member }))
            }
            None => Some((vec![any_key(check.path)], member)),
        }
    }

    /// A guess at the share of events that a key of this check lets through, and what the keys
    /// cost in space.
    pub(super) fn cost(&self, check: Check, paths: &Paths) -> Option<f64> {
        const SPACE: f64 = 1.0 / 8.0;
        let path = paths.path(check.path);
        let count = match self.wanted(check) {
            Wanted::Sources(sources) => Some(sources.len()),
            Wanted::Field(field) if field.absent => return None,
            Wanted::Field(field) => {
                let needs = |test: &Test| names_literal(test) || path.affixes.of(test).is_some();
                field.alternatives.iter().all(needs).then_some(field.alternatives.len())
            }
        };
        let Some(count) = count else { return Some(PRESENT) };
        // Of the literals that every path has, two are values that one would name.
        let known = path.literals() - 1 + path.affixes.len();
        let count = count as f64;
        Some((count / known as f64).min(1.0) * (1.0 + count * SPACE))
    }

    /// The literals and parts of texts of which an accepted value has one, each once; none where
    /// other values are accepted too.
    fn needed(&self, check: Check, paths: &Paths) -> Option<Vec<u32>> {
        let mut needed = match self.wanted(check) {
            Wanted::Sources(sources) => sources.to_vec(),
            Wanted::Field(field) => {
                let path = paths.path(check.path);
                let literal = |test: &Test| match test {
                    Test::Null => Some(NULL),
                    Test::Bool(b) => Some(if *b { TRUE } else { FALSE }),
                    Test::Text(TextTest::Equals(text)) => path.text(text.as_bytes()),
                    Test::Number(number) => {
                        number.exact().and_then(own_place).and_then(|place| path.number(place))
                    }
                    test => path.affixes.of(test).map(|part| PART | part),
                };
                field.alternatives.iter().map(literal).collect::<Option<Vec<_>>>()?
            }
        };
        needed.sort_unstable();
        needed.dedup();
        Some(needed)
    }
}

fn names_literal(test: &Test) -> bool {
    match test {
        Test::Null | Test::Bool(_) | Test::Text(TextTest::Equals(_)) => true,
        Test::Number(number) => number.exact().and_then(own_place).is_some(),
        _ => false,
    }
}

/// The place of a number that shares it with no other.
pub(super) fn own_place(text: &str) -> Option<u128> {
    line::number(text.as_bytes()).filter(|place| !line::is_shared(*place))
}

/// The path of a field, its literals noted there.
fn intern(field: &Field, paths: &mut Paths) -> u32 {
    let id = paths.intern(&field.path);
    let (mut numbers, mut addresses) = (false, false);
    for alternative in &field.alternatives {
        match alternative {
            Test::Number(number) => {
                numbers = true;
                add_number(number.exact(), id, paths);
            }
            Test::ButNumbers(list) => {
                numbers = true;
                list.iter().for_each(|number| add_number(number.exact(), id, paths));
            }
            Test::Numeric(range) => {
                numbers = true;
                if let (false, Some((ends, true))) = (paths.have_rulers(), line::places(range)) {
                    paths.path_mut(id).add_numbers(ends);
                }
            }
            Test::Network(network) => {
                addresses = true;
                if let (false, [Some(ends), None]) = (paths.have_rulers(), line::network(*network)) {
                    paths.path_mut(id).add_addresses(ends);
                }
            }
            Test::Text(TextTest::Equals(text)) => add_text(text, id, paths),
            test @ Test::Text(_) => paths.add_part(id, test),
            Test::ButTexts(list) => {
                for test in list {
                    if let TextTest::Equals(text) = test {
                        add_text(text, id, paths);
                    }
                }
            }
            Test::Null | Test::Bool(_) | Test::Exists | Test::Absent => {}
        }
    }
    let known = paths.path(id);
    if numbers && !known.numbers || addresses && !known.addresses {
        let path = paths.path_mut(id);
        path.numbers |= numbers;
        path.addresses |= addresses;
    }
    id
}

fn add_number(text: Option<&str>, path: u32, paths: &mut Paths) {
    if let Some(place) = text.and_then(own_place)
        && paths.path(path).number(place).is_none()
    {
        paths.path_mut(path).add_number(place);
    }
}

fn add_text(text: &str, path: u32, paths: &mut Paths) {
    if paths.path(path).text(text.as_bytes()).is_none() {
        paths.path_mut(path).add_text(text);
    }
}
