//! Sets of a group's slots, and sets that change from place to place of a line.

/// How many slots a word holds.
pub(super) const WORD: usize = 64;

pub(super) fn set(words: &mut [u64], slot: usize) {
    words[slot / WORD] |= 1 << (slot % WORD);
}

pub(super) fn has(words: &[u64], slot: usize) -> bool {
    words[slot / WORD] >> (slot % WORD) & 1 == 1
}

pub(super) fn flip(words: &mut [u64], slots: &[u32]) {
    for slot in slots {
        words[*slot as usize / WORD] ^= 1 << (*slot as usize % WORD);
    }
}

/// A set as it lies in memory: either of two sets, each with single slots changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Either<'c> {
    pub(super) one: Changed<'c>,
    /// Empty where there is but one.
    pub(super) other: Changed<'c>,
}

/// A set with single slots changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changed<'c> {
    pub(super) set: &'c [u64],
    pub(super) flips: &'c [u32],
}

/// Empty sets, used again for each event. They are empty whenever nobody works with them.
#[derive(Debug, Default)]
pub(super) struct Spare {
    one: Vec<u64>,
    two: Vec<u64>,
    sum: Vec<u64>,
}

impl Spare {
    pub(super) fn reserve(&mut self, words: usize) {
        for set in [&mut self.one, &mut self.two, &mut self.sum] {
            if set.len() < words {
                set.resize(words, 0);
            }
        }
    }

    /// Leaves in a set what a sum of sets has too; whether anything is left.
    pub(super) fn meet_sum(&mut self, left: &mut [u64], add: impl FnOnce(&mut [u64], &mut Self)) -> bool {
        let mut sum = std::mem::take(&mut self.sum);
        let words = &mut sum[..left.len()];
        add(words, self);
        let any = left.iter_mut().zip(&*words).fold(0, |any, (a, b)| {
            *a &= b;
            any | *a
        });
        words.fill(0);
        self.sum = sum;
        any != 0
    }
}

impl Either<'_> {
    /// Leaves in a set what this set has too; whether anything is left.
    pub(super) fn meet(&self, left: &mut [u64], spare: &mut Spare) -> bool {
        let (one, other) = (self.one.set, self.other.set);
        let mut any = 0;
        if self.one.flips.is_empty() && self.other.flips.is_empty() {
            if other.is_empty() {
                for (a, b) in left.iter_mut().zip(one) {
                    *a &= b;
                    any |= *a;
                }
            } else {
                for ((a, b), c) in left.iter_mut().zip(one).zip(other) {
                    *a &= b | c;
                    any |= *a;
                }
            }
            return any != 0;
        }
        self.with_flips(left.len(), spare, |i, word| {
            left[i] &= word;
            any |= left[i];
        });
        any != 0
    }

    /// Adds this set to another.
    pub(super) fn join(&self, into: &mut [u64], spare: &mut Spare) {
        self.with_flips(into.len(), spare, |i, word| into[i] |= word);
    }

    /// Each word, the changes made.
    fn with_flips(&self, words: usize, spare: &mut Spare, mut each: impl FnMut(usize, u64)) {
        let Spare { one, two, .. } = spare;
        flip(one, self.one.flips);
        flip(two, self.other.flips);
        for i in 0..words {
            let other = self.other.set.get(i).map_or(0, |word| word ^ two[i]);
            each(i, self.one.set.get(i).map_or(0, |word| word ^ one[i]) | other);
        }
        flip(one, self.one.flips);
        flip(two, self.other.flips);
    }
}

/// Which slots accept each place of a line.
///
/// A whole set is kept at every `every`-th cut; between them single slots change. So the space is
/// bounded by [`SPACE`] bytes a slot, and a lookup by `every` changes, which is about the number
/// of slots through 512.
#[derive(Debug)]
pub(super) struct Cuts {
    points: Box<[u128]>,
    /// Which points to look at: for each stretch of `1 << shift` places from the first point on,
    /// how many points lie before it.
    stretches: Box<[u32]>,
    shift: u32,
    every: usize,
    words: usize,
    sets: Box<[u64]>,
    /// Where the changes of each cut begin; empty if every cut has a set.
    starts: Box<[u32]>,
    changes: Box<[u32]>,
}

/// Bytes of whole sets for each slot that has a range.
const SPACE: usize = 128;

impl Cuts {
    /// From ranges of places, both ends included, each of a slot; those of one slot may overlap.
    pub(super) fn new(mut ranges: Vec<(u32, u128, u128)>, words: usize) -> Option<Self> {
        ranges.sort_unstable();
        ranges.dedup();
        let mut cuts: Vec<(u128, u32)> = Vec::with_capacity(ranges.len() * 2);
        let (mut ranged, mut rest) = (0, ranges.into_iter().peekable());
        let mut last = None;
        while let Some((slot, low, mut high)) = rest.next() {
            ranged += usize::from(last.replace(slot) != Some(slot));
            // Ranges of one slot that touch become one.
            while let Some((_, _, other)) =
                rest.next_if(|(other, from, _)| *other == slot && (high == u128::MAX || *from <= high + 1))
            {
                high = high.max(other);
            }
            cuts.push((low, slot));
            if high < u128::MAX {
                cuts.push((high + 1, slot));
            }
        }
        if cuts.is_empty() {
            return None;
        }
        cuts.sort_unstable();
        let mut points: Vec<u128> = cuts.iter().map(|(at, _)| *at).collect();
        points.dedup();
        let every = ((points.len() + 1) * words * 8).div_ceil(SPACE * ranged + SPACE);
        let (mut set, mut sets) = (vec![0; words], vec![0; words]);
        let (mut starts, mut changes) = (vec![0], Vec::new());
        let mut rest = cuts.into_iter().peekable();
        for (i, point) in points.iter().enumerate() {
            while let Some((_, slot)) = rest.next_if(|(at, _)| at == point) {
                flip(&mut set, &[slot]);
                changes.push(slot);
            }
            starts.push(changes.len() as u32);
            if (i + 1) % every == 0 {
                sets.extend_from_slice(&set);
            }
        }
        if every == 1 {
            (starts, changes) = (Vec::new(), Vec::new());
        }
        let (stretches, shift) = stretches(&points);
        Some(Self {
            points: points.into(),
            stretches,
            shift,
            every,
            words,
            sets: sets.into(),
            starts: starts.into(),
            changes: changes.into(),
        })
    }

    /// How many points lie at a place or before it.
    fn cut(&self, place: u128) -> usize {
        let Some(beyond) = self.points.first().and_then(|first| place.checked_sub(*first)) else { return 0 };
        let stretch = usize::try_from(beyond >> self.shift).unwrap_or(usize::MAX);
        let last = self.stretches.len() - 1;
        if stretch >= last {
            return self.points.len();
        }
        let (from, to) = (self.stretches[stretch] as usize, self.stretches[stretch + 1] as usize);
        from + self.points[from..to].partition_point(|point| *point <= place)
    }

    /// The slots that accept a place.
    pub(super) fn at(&self, place: u128) -> Changed<'_> {
        let cut = self.cut(place);
        if self.every == 1 {
            return Changed { set: &self.sets[cut * self.words..(cut + 1) * self.words], flips: &[] };
        }
        let nearest = cut / self.every;
        let (from, to) = (self.starts[nearest * self.every] as usize, self.starts[cut] as usize);
        let set = &self.sets[nearest * self.words..(nearest + 1) * self.words];
        Changed { set, flips: &self.changes[from..to] }
    }
}

/// About as many stretches as points.
fn stretches(points: &[u128]) -> (Box<[u32]>, u32) {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return (Box::default(), 0) };
    let width = last - first;
    let shift = (u128::BITS - width.leading_zeros()).saturating_sub(points.len().ilog2() + 1);
    let count = usize::try_from(width >> shift).unwrap_or_default() + 1;
    let mut stretches = Vec::with_capacity(count + 1);
    let mut before = 0;
    for stretch in 0..=count {
        while points.get(before).is_some_and(|point| ((point - first) >> shift) < stretch as u128) {
            before += 1;
        }
        stretches.push(before as u32);
    }
    (stretches.into(), shift)
}
