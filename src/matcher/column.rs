//! One path of a group: from a value to the set of slots that accept it.

use super::bits::{Changed, Left, WORD, flip, has, set};
use super::check;
use super::compile::{Wanted, own_place};
use super::line;
use super::paths::{Literal, Path, UNNAMED};
use super::ruler::{OPEN, Ruler};
use super::table::KeyMap;
use super::values::{Kind, Only, Seen, Values};
use crate::pattern::{Field, Test, TextTest};

/// The sets that every column has, by their place.
const NONE: usize = 0;
const ABSENT: usize = 1;
const NULLS: usize = 2;
const FALSES: usize = 3;
const TRUES: usize = 4;
const TEXTS: usize = 5;
const NUMBERS: usize = 6;
/// How many of them hold slots that ask for nothing here.
const KINDS: usize = 7;
/// Always empty: stands for no set.
const EMPTY: usize = 7;
const FIXED: usize = 8;

/// A literal with this bit has no set of its own; the rest is the place of its changes.
const CHANGES: u32 = 1 << 31;

/// Bytes of sets for each slot that asks for something, where sets of literals lie in their order.
const SPACE: usize = 64;

/// Stands for no set.
const NO_SET: u32 = u32::MAX;

/// What most events need comes first and is small; the rest is behind a pointer.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) path: u32,
    words: u32,
    part: u64,
    /// First those that every column has, then those of literals.
    sets: Box<[u64]>,
    /// How many literals of the path have sets that lie in the literals' order.
    in_order: u32,
    /// Where the sets of the ruler's stretches begin: for each, who accepts it, and who is unsure.
    numbers: u32,
    networks: u32,
    seldom: Box<Seldom>,
}

#[derive(Debug, Default)]
struct Seldom {
    /// From any other literal to its set, or to how it differs from that of values that no rule
    /// names.
    named: KeyMap,
    /// Where the changes of a literal begin; they end where the next begin.
    starts: Vec<u32>,
    flips: Vec<u32>,
    /// For each slot, the marks from which and up to which it accepts values.
    numbers: Box<[(u64, u64)]>,
    networks: Box<[(u64, u64)]>,
}

/// What one slot asks for at the column's path.
pub(super) struct Asks<'r> {
    pub(super) slot: usize,
    pub(super) wanted: Wanted<'r>,
}

/// What a column says of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    /// The event has several values at the path.
    Many,
    One(One),
}

/// Where the slots stand that accept one value. It is small: a group keeps one for each column.
#[derive(Clone, Copy, Debug)]
pub(super) struct One {
    set: u32,
    /// The changes of that set, as a range of all changes.
    flips: (u32, u32),
    /// Who accepts the value by a range, and who of them is unsure.
    ranges: u32,
    unsure: u32,
    is_text: bool,
    mark: u64,
}

impl One {
    const fn of(set: usize) -> Self {
        let (ranges, unsure) = (EMPTY as u32, EMPTY as u32);
        Self { set: set as u32, flips: (0, 0), ranges, unsure, is_text: false, mark: 0 }
    }
}

impl View {
    pub(super) const NONE: Self = Self::One(One::of(NONE));

    /// Whether the slots are those of sets as they stand.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::One(One { flips: (0, 0), .. }))
    }
}

impl Column {
    /// Builds the column of a group of `slots`, and the slots whose verdict it leaves to a check.
    pub(super) fn new(id: u32, path: &Path, slots: usize, asks: &[Asks<'_>]) -> (Self, Vec<usize>) {
        let words = slots.div_ceil(WORD);
        let mut free = vec![u64::MAX; words];
        asks.iter().for_each(|asks| flip(&mut free, &[asks.slot as u32]));
        let mut sets = free.repeat(KINDS);
        sets.resize(FIXED * words, 0);
        let mut draft = Draft {
            path,
            words,
            asks: asks.len(),
            sets,
            flips: Vec::new(),
            numbers: Ranges::new(path.number_ruler.as_ref(), slots),
            networks: Ranges::new(path.address_ruler.as_ref(), slots),
        };
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
    #[inline]
    pub(super) fn view(&self, values: &Values) -> View {
        match values.only(self.path) {
            Only::None => View::NONE,
            Only::One(seen) if values.tangled & self.part == 0 => View::One(self.one(seen)),
            Only::One(_) | Only::Many => View::Many,
        }
    }

    /// Leaves the slots that accept the one value; whether anything is left.
    #[inline]
    pub(super) fn meet_one(&self, one: &One, left: &mut Left) -> bool {
        let (ranges, unsure) = self.ranges(one);
        left.meet(self.changed(one), ranges, unsure)
    }

    /// Leaves the slots that accept one of several values; whether anything is left.
    pub(super) fn meet_many(&self, values: &Values, left: &mut Left) -> bool {
        left.begin_sum();
        for seen in values.at(self.path) {
            let one = self.one(seen);
            left.add(self.changed(&one), self.ranges(&one).0);
        }
        // Of an element that is picked, it may yet be true that it has none of these values.
        if values.tangled & self.part != 0 {
            left.add(self.changed(&One::of(ABSENT)), &[]);
        }
        left.meet_sum()
    }

    /// Whether a slot that was unsure accepts the event's one value.
    pub(super) fn is_within(&self, view: &View, slot: usize) -> bool {
        let View::One(one) = view else { return true };
        if one.ranges == EMPTY as u32 {
            return true;
        }
        let bounds = if one.is_text { &self.seldom.networks } else { &self.seldom.numbers };
        bounds.get(slot).is_none_or(|(from, to)| (*from..*to).contains(&one.mark))
    }

    /// Whether slots may be unsure.
    pub(super) fn has_ranges(&self) -> bool {
        self.numbers != NO_SET || self.networks != NO_SET
    }

    #[inline]
    fn one(&self, seen: &Seen) -> One {
        let (kind, ranges) = match seen.kind {
            Kind::Null => (NULLS, NO_SET),
            Kind::False => (FALSES, NO_SET),
            Kind::True => (TRUES, NO_SET),
            Kind::Text => (TEXTS, self.networks),
            Kind::Number => (NUMBERS, self.numbers),
        };
        let mut one = match seen.literal {
            literal if literal < self.in_order => One::of(FIXED + literal as usize),
            literal if self.in_order == 0 && literal != UNNAMED => self.named(kind, literal),
            _ => One::of(kind),
        };
        if let (Some(stretch), true) = (seen.stretch(), ranges != NO_SET) {
            one.ranges = ranges + 2 * u32::from(stretch);
            one.unsure = one.ranges + 1;
            one.is_text = kind == TEXTS;
            one.mark = seen.mark;
        }
        one
    }

    /// The set of a literal, where they do not lie in order.
    fn named(&self, kind: usize, literal: u32) -> One {
        match self.seldom.named.get(u64::from(literal)) {
            None => One::of(kind),
            Some(set) if set & CHANGES == 0 => One::of(set as usize),
            Some(changes) => {
                let place = (changes & !CHANGES) as usize;
                One { flips: (self.seldom.starts[place], self.seldom.starts[place + 1]), ..One::of(kind) }
            }
        }
    }

    #[inline]
    fn changed(&self, one: &One) -> Changed<'_> {
        let flips = match one.flips {
            (0, 0) => &[],
            (from, to) => &self.seldom.flips[from as usize..to as usize],
        };
        Changed { set: self.set(one.set), flips }
    }

    #[inline]
    fn ranges(&self, one: &One) -> (&[u64], &[u64]) {
        match one.ranges {
            at if at == EMPTY as u32 => (&[], &[]),
            at => (self.set(at), self.set(one.unsure)),
        }
    }

    /// Leaves the slots that accept the value of a plain view, and adds those that are unsure.
    #[inline]
    pub(super) fn meet_few(&self, one: &One, left: &mut [u64], unsure: &mut [u64]) {
        let set = self.set(one.set);
        // What is empty is not gone to: it would be a wait for memory.
        if one.ranges == EMPTY as u32 {
            left.iter_mut().zip(set).for_each(|(left, set)| *left &= set);
            return;
        }
        let ranges = self.set(one.ranges).iter().zip(self.set(one.unsure));
        for ((left, unsure), (set, (range, doubt))) in left.iter_mut().zip(unsure).zip(set.iter().zip(ranges))
        {
            *left &= set | range;
            *unsure |= doubt;
        }
    }

    #[inline]
    fn set(&self, which: u32) -> &[u64] {
        let (which, words) = (which as usize, self.words as usize);
        &self.sets[which * words..(which + 1) * words]
    }
}

/// What is gathered of a column while it is built.
struct Draft<'p> {
    path: &'p Path,
    words: usize,
    /// How many slots ask for something here.
    asks: usize,
    sets: Vec<u64>,
    /// (literal, slot) of slots that answer to the literal in a way of their own.
    flips: Vec<(u32, u32)>,
    numbers: Ranges<'p>,
    networks: Ranges<'p>,
}

/// The ranges of one kind.
struct Ranges<'p> {
    ruler: Option<&'p Ruler>,
    /// Who accepts each stretch, and who is unsure.
    sets: Vec<u64>,
    bounds: Vec<(u64, u64)>,
    words: usize,
    used: bool,
}

impl<'p> Ranges<'p> {
    fn new(ruler: Option<&'p Ruler>, slots: usize) -> Self {
        let words = slots.div_ceil(WORD);
        let sets = vec![0; ruler.map_or(0, Ruler::stretches) * 2 * words];
        let bounds = if ruler.is_some() { vec![(0, OPEN); slots] } else { Vec::new() };
        Self { ruler, sets, bounds, words, used: false }
    }

    /// Adds the one range of places of a slot, both ends included; whether the ruler has them.
    fn add(&mut self, slot: usize, low: u128, high: u128) -> bool {
        let Some(ruler) = self.ruler else { return false };
        let from = if low == 0 { Some(0) } else { ruler.exact(low) };
        let to = high.checked_add(1).map_or(Some(OPEN), |beyond| ruler.exact(beyond));
        let (Some(from), Some(to)) = (from, to) else { return false };
        self.used = true;
        self.bounds[slot] = (from, to);
        let (first, last) = (ruler.stretch(from), ruler.stretch(to - 1));
        for stretch in first..=last {
            self.set(2 * stretch, slot);
        }
        if from > 0 && !ruler.is_edge(from) {
            self.set(2 * first + 1, slot);
        }
        if !ruler.is_edge(to) {
            self.set(2 * last + 1, slot);
        }
        true
    }

    fn set(&mut self, which: usize, slot: usize) {
        set(&mut self.sets[which * self.words..(which + 1) * self.words], slot);
    }
}

impl Draft<'_> {
    fn add(&mut self, which: usize, slot: usize) {
        set(&mut self.sets[which * self.words..(which + 1) * self.words], slot);
    }

    /// Notes what a slot's list accepts; whether that is all.
    fn field(&mut self, slot: usize, field: &Field) -> bool {
        let (mut literals, mut unsure_texts, mut unsure_numbers) = (Vec::new(), false, false);
        // A range decides where it is the only test on values of its kind.
        let only =
            |of_kind: fn(&Test) -> bool| field.alternatives.iter().filter(|test| of_kind(test)).count() == 1;
        let (only_text, only_number) = (only(is_of_texts), only(is_of_numbers));
        for alternative in &field.alternatives {
            match alternative {
                Test::Null => self.add(NULLS, slot),
                Test::Bool(wanted) => self.add(if *wanted { TRUES } else { FALSES }, slot),
                Test::Exists => (NULLS..KINDS).for_each(|which| self.add(which, slot)),
                Test::Absent => [NONE, ABSENT].iter().for_each(|which| self.add(*which, slot)),
                Test::Text(TextTest::Equals(text)) => literals.extend(self.path.text(text.as_bytes())),
                Test::Text(_) => unsure_texts = true,
                Test::ButTexts(unwanted) => {
                    (NULLS..KINDS).for_each(|which| self.add(which, slot));
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
                    (NULLS..KINDS).for_each(|which| self.add(which, slot));
                    for number in unwanted {
                        match number.exact().and_then(own_place) {
                            Some(place) => literals.extend(self.path.number(place)),
                            None => unsure_numbers = true,
                        }
                    }
                }
                Test::Numeric(range) => {
                    let added = match line::places(range) {
                        Some(((low, high), true)) if only_number => {
                            low > high || self.numbers.add(slot, low, high)
                        }
                        _ => false,
                    };
                    unsure_numbers |= !added;
                }
                Test::Network(network) => {
                    let added = match line::network(*network) {
                        [Some((low, high)), None] if only_text => self.networks.add(slot, low, high),
                        _ => false,
                    };
                    unsure_texts |= !added;
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

    /// The set of values of a literal's kind that no rule names.
    fn usual(&self, literal: u32) -> usize {
        match self.path.literal(literal) {
            Literal::Null => NULLS,
            Literal::Bool(false) => FALSES,
            Literal::Bool(true) => TRUES,
            Literal::Number(_) => NUMBERS,
            Literal::Text(_) => TEXTS,
        }
    }

    fn finish(mut self, id: u32) -> Column {
        let mut seldom = Seldom { starts: vec![0], ..Seldom::default() };
        self.flips.sort_unstable();
        self.flips.dedup();
        let known = self.path.literals();
        let in_order = if known * self.words * 8 <= SPACE * self.asks { known } else { 0 };
        for literal in 0..in_order {
            let usual = self.usual(literal as u32);
            self.sets.extend_from_within(usual * self.words..(usual + 1) * self.words);
        }
        for chunk in self.flips.chunk_by(|a, b| a.0 == b.0) {
            let literal = chunk[0].0;
            let slots = chunk.iter().map(|(_, slot)| *slot);
            let usual = self.usual(literal);
            if (literal as usize) < in_order {
                let at = (FIXED + literal as usize) * self.words;
                slots.for_each(|slot| flip(&mut self.sets[at..], &[slot]));
            } else if 2 * chunk.len() >= self.words {
                // A whole set costs less than 16 bytes for each change.
                let at = self.sets.len();
                seldom.named.insert(u64::from(literal), (at / self.words) as u32);
                self.sets.extend_from_within(usual * self.words..(usual + 1) * self.words);
                slots.for_each(|slot| flip(&mut self.sets[at..], &[slot]));
            } else {
                seldom.named.insert(u64::from(literal), CHANGES | (seldom.starts.len() as u32 - 1));
                seldom.flips.extend(slots);
                seldom.starts.push(seldom.flips.len() as u32);
            }
        }
        let mut place = |ranges: Ranges<'_>, bounds: &mut Box<[(u64, u64)]>| {
            if !ranges.used {
                return NO_SET;
            }
            let at = (self.sets.len() / self.words) as u32;
            self.sets.extend(ranges.sets);
            *bounds = ranges.bounds.into();
            at
        };
        let numbers = place(self.numbers, &mut seldom.numbers);
        let networks = place(self.networks, &mut seldom.networks);
        Column {
            path: id,
            words: self.words as u32,
            part: self.path.part,
            sets: self.sets.into(),
            in_order: in_order as u32,
            numbers,
            networks,
            seldom: Box::new(seldom),
        }
    }
}

/// Whether a test may accept a text.
fn is_of_texts(test: &Test) -> bool {
    !matches!(test, Test::Null | Test::Bool(_) | Test::Number(_) | Test::Numeric(_) | Test::Absent)
}

/// Whether a test may accept a number.
fn is_of_numbers(test: &Test) -> bool {
    !matches!(test, Test::Null | Test::Bool(_) | Test::Text(_) | Test::Network(_) | Test::Absent)
}
