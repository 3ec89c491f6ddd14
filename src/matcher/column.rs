//! One path of a group: from a value to the set of slots that accept it.

use super::bits::{Changed, Cuts, Either, Spare, flip, has, set};
use super::check;
use super::compile::{Wanted, is_plain, own_place};
use super::line;
use super::paths::{NULL, Path, TRUE, UNNAMED};
use super::table::KeyMap;
use super::values::{Kind, Seen, Values};
use crate::pattern::{Field, Test, TextTest};

/// The sets that every column has, by their place.
const NONE: usize = 0;
const ABSENT: usize = 1;
const NULLS: usize = 2;
const FALSES: usize = 3;
const TRUES: usize = 4;
const TEXTS: usize = 5;
const NUMBERS: usize = 6;
const FIXED: usize = 7;

#[derive(Debug)]
pub(super) struct Column {
    pub(super) path: u32,
    part: u64,
    words: usize,
    sets: Vec<u64>,
    /// From a literal to its set, or to how it differs from that of values that no rule names.
    named: KeyMap,
    /// Where the changes of a literal begin; they end where the next begin.
    starts: Vec<u32>,
    flips: Vec<u32>,
    numbers: Option<Cuts>,
    networks: Option<Cuts>,
}

/// A literal with this bit has no set of its own; the rest is the place of its changes.
const CHANGES: u32 = 1 << 31;

/// What one slot asks for at the column's path.
pub(super) struct Asks<'r> {
    pub(super) slot: usize,
    pub(super) wanted: Wanted<'r>,
}

/// What a column says of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'c> {
    One(Either<'c>),
    /// The event has several values at the path.
    Many,
}

impl Default for View<'_> {
    fn default() -> Self {
        Self::Many
    }
}

/// What is gathered of a column while it is built.
struct Draft<'p> {
    path: &'p Path,
    words: usize,
    sets: Vec<u64>,
    /// (literal, slot) of slots that answer to the literal in a way of their own.
    flips: Vec<(u32, u32)>,
    numbers: Vec<(u32, u128, u128)>,
    networks: Vec<(u32, u128, u128)>,
}

impl Column {
    /// Builds the column of a group of `slots`, and the slots whose verdict it leaves to a check.
    pub(super) fn new(id: u32, path: &Path, slots: usize, asks: &[Asks<'_>]) -> (Self, Vec<usize>) {
        let words = slots.div_ceil(super::bits::WORD);
        let mut free = vec![u64::MAX; words];
        asks.iter().for_each(|asks| free[asks.slot / 64] &= !(1 << (asks.slot % 64)));
        let sets = free.repeat(FIXED);
        let mut draft =
            Draft { path, words, sets, flips: Vec::new(), numbers: Vec::new(), networks: Vec::new() };
        let mut unsure = Vec::new();
        for asks in asks {
            match asks.wanted {
                Wanted::Sources(sources) => {
                    draft.flips.extend(sources.iter().map(|literal| (*literal, asks.slot as u32)));
                }
                Wanted::Field(field) => {
                    if !draft.field(asks.slot, field) {
                        unsure.push(asks.slot);
                    }
                }
            }
        }
        (draft.finish(id), unsure)
    }

    /// The slots that accept what the event has at the column's path.
    pub(super) fn view(&self, values: &Values) -> View<'_> {
        match values.first(self.path) {
            None => View::One(Either { one: self.fixed(NONE), other: Changed::default() }),
            Some(_) if values.tangled & self.part != 0 => View::Many,
            Some(first) if values.next(first).is_some() => View::Many,
            Some(first) => View::One(self.one(first)),
        }
    }

    /// Leaves in a set the slots that accept one of several values; whether anything is left.
    pub(super) fn meet(&self, values: &Values, left: &mut [u64], spare: &mut Spare) -> bool {
        spare.meet_sum(left, |sum, spare| {
            for seen in values.at(self.path) {
                self.one(seen).join(sum, spare);
            }
            // Of an element that is picked, it may yet be true that it has none of these values.
            if values.tangled & self.part != 0 {
                Either { one: self.fixed(ABSENT), other: Changed::default() }.join(sum, spare);
            }
        })
    }

    fn one(&self, seen: &Seen) -> Either<'_> {
        let (unnamed, cuts) = match seen.kind {
            Kind::Null => (NULLS, &None),
            Kind::Bool(false) => (FALSES, &None),
            Kind::Bool(true) => (TRUES, &None),
            Kind::Text => (TEXTS, &self.networks),
            Kind::Number => (NUMBERS, &self.numbers),
        };
        let named = if seen.literal == UNNAMED { None } else { self.named.get(u64::from(seen.literal)) };
        let one = match named {
            None => self.fixed(unnamed),
            Some(set) if set & CHANGES == 0 => self.fixed(set as usize),
            Some(changes) => {
                let place = (changes & !CHANGES) as usize;
                let (from, to) = (self.starts[place] as usize, self.starts[place + 1] as usize);
                Changed { flips: &self.flips[from..to], ..self.fixed(unnamed) }
            }
        };
        let other = match (cuts, seen.place) {
            (Some(cuts), Some(place)) => cuts.at(place),
            _ => Changed::default(),
        };
        Either { one, other }
    }

    fn fixed(&self, which: usize) -> Changed<'_> {
        Changed { set: &self.sets[which * self.words..(which + 1) * self.words], flips: &[] }
    }
}

impl Draft<'_> {
    fn add(&mut self, which: usize, slot: usize) {
        set(&mut self.sets[which * self.words..(which + 1) * self.words], slot);
    }

    /// Notes what a slot's list accepts; whether that is all.
    fn field(&mut self, slot: usize, field: &Field) -> bool {
        let (mut literals, mut unsure_texts, mut unsure_numbers) = (Vec::new(), false, false);
        for alternative in &field.alternatives {
            match &alternative.test {
                Test::Null => self.add(NULLS, slot),
                Test::Bool(wanted) => self.add(if *wanted { TRUES } else { FALSES }, slot),
                Test::Exists => (NULLS..FIXED).for_each(|which| self.add(which, slot)),
                Test::Absent => [NONE, ABSENT].iter().for_each(|which| self.add(*which, slot)),
                Test::Text(TextTest::Equals(text)) => literals.extend(self.path.text(text.as_bytes())),
                Test::Text(_) => unsure_texts = true,
                Test::ButTexts(unwanted) => {
                    (NULLS..FIXED).for_each(|which| self.add(which, slot));
                    for test in unwanted {
                        match test {
                            TextTest::Equals(text) => literals.extend(self.path.text(text.as_bytes())),
                            _ => unsure_texts = true,
                        }
                    }
                }
                Test::Number(number) => match number.exact().and_then(own_place) {
                    Some(place) => literals.extend(self.path.number(place)),
                    None => unsure_numbers = true,
                },
                Test::ButNumbers(unwanted) => {
                    (NULLS..FIXED).for_each(|which| self.add(which, slot));
                    for number in unwanted {
                        match number.exact().and_then(own_place) {
                            Some(place) => literals.extend(self.path.number(place)),
                            None => unsure_numbers = true,
                        }
                    }
                }
                Test::Numeric(range) if is_plain(&range.low) && is_plain(&range.high) => {
                    if let Some(((low, high), _)) = line::places(range).filter(|((low, high), _)| low <= high)
                    {
                        self.numbers.push((slot as u32, low, high));
                    }
                }
                Test::Numeric(_) => unsure_numbers = true,
                Test::Network(network) => {
                    for (low, high) in line::network(*network).into_iter().flatten() {
                        self.networks.push((slot as u32, low, high));
                    }
                }
            }
        }
        if unsure_texts {
            self.add(TEXTS, slot);
        }
        if unsure_numbers {
            self.add(NUMBERS, slot);
        }
        self.literals(slot, field, literals, [unsure_texts, unsure_numbers]);
        !unsure_texts && !unsure_numbers
    }

    /// Notes the literals to which the slot answers otherwise than to unnamed values. Where a
    /// check decides anyway, it is left to it.
    fn literals(&mut self, slot: usize, field: &Field, mut literals: Vec<u32>, unsure: [bool; 2]) {
        use super::paths::Literal;
        literals.sort_unstable();
        literals.dedup();
        for id in literals {
            let literal = self.path.literal(id);
            let (usual, unsure) = match literal {
                Literal::Number(_) => (NUMBERS, unsure[1]),
                _ => (TEXTS, unsure[0]),
            };
            let unnamed = has(&self.sets[usual * self.words..(usual + 1) * self.words], slot);
            if !unsure && check::literal_passes(field, literal) != unnamed {
                self.flips.push((id, slot as u32));
            }
        }
    }

    fn finish(mut self, id: u32) -> Column {
        let (mut named, mut starts, mut flips) = (KeyMap::default(), vec![0], Vec::new());
        self.flips.sort_unstable();
        self.flips.dedup();
        for chunk in self.flips.chunk_by(|a, b| a.0 == b.0) {
            let literal = chunk[0].0;
            let slots = chunk.iter().map(|(_, slot)| *slot);
            // A whole set where that is no larger.
            if chunk.len() >= 2 * self.words {
                let at = self.sets.len();
                named.insert(u64::from(literal), (at / self.words) as u32);
                let usual = match self.path.literal(literal) {
                    super::paths::Literal::Number(_) => NUMBERS,
                    _ => TEXTS,
                };
                self.sets.extend_from_within(usual * self.words..(usual + 1) * self.words);
                slots.for_each(|slot| flip(&mut self.sets[at..], &[slot]));
            } else {
                named.insert(u64::from(literal), CHANGES | (starts.len() as u32 - 1));
                flips.extend(slots);
                starts.push(flips.len() as u32);
            }
        }
        debug_assert!(self.flips.iter().all(|(literal, _)| *literal > TRUE && *literal > NULL));
        Column {
            path: id,
            part: self.path.part,
            words: self.words,
            sets: self.sets,
            named,
            starts,
            flips,
            numbers: Cuts::new(self.numbers, self.words),
            networks: Cuts::new(self.networks, self.words),
        }
    }
}
