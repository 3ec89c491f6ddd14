//! Sets of a group's slots.

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

/// A set with single slots changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changed<'c> {
    pub(super) set: &'c [u64],
    pub(super) flips: &'c [u32],
}

/// The slots of a group that are left, and those of them that a range's end makes unsure.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) left: Vec<u64>,
    pub(super) unsure: Vec<u64>,
    /// Empty unless somebody works with it.
    flips: Vec<u64>,
    sum: Vec<u64>,
}

impl Left {
    /// Every slot is left, and sure.
    pub(super) fn begin(&mut self, words: usize) {
        self.left.clear();
        self.left.resize(words, u64::MAX);
        self.unsure.clear();
        self.unsure.resize(words, 0);
        if self.flips.len() < words {
            self.flips.resize(words, 0);
        }
    }

    /// Leaves what either set has; whether anything is left. `ranges` may be empty.
    pub(super) fn meet(&mut self, named: Changed<'_>, ranges: &[u64], unsure: &[u64]) -> bool {
        let mut any = 0;
        if !named.flips.is_empty() {
            flip(&mut self.flips, named.flips);
            for (i, left) in self.left.iter_mut().enumerate() {
                *left &= named.set[i] ^ self.flips[i] | ranges.get(i).copied().unwrap_or(0);
                any |= *left;
            }
            flip(&mut self.flips, named.flips);
        } else if ranges.is_empty() {
            for (left, set) in self.left.iter_mut().zip(named.set) {
                *left &= set;
                any |= *left;
            }
        } else {
            for ((left, set), range) in self.left.iter_mut().zip(named.set).zip(ranges) {
                *left &= set | range;
                any |= *left;
            }
        }
        self.unsure.iter_mut().zip(unsure).for_each(|(all, word)| *all |= word);
        any != 0
    }

    /// Begins a sum of sets.
    pub(super) fn begin_sum(&mut self) {
        self.sum.clear();
        self.sum.resize(self.left.len(), 0);
    }

    pub(super) fn add(&mut self, named: Changed<'_>, ranges: &[u64]) {
        flip(&mut self.flips, named.flips);
        for (i, sum) in self.sum.iter_mut().enumerate() {
            *sum |= named.set[i] ^ self.flips[i] | ranges.get(i).copied().unwrap_or(0);
        }
        flip(&mut self.flips, named.flips);
    }

    /// Leaves what the sum has; whether anything is left.
    pub(super) fn meet_sum(&mut self) -> bool {
        let mut any = 0;
        for (left, set) in self.left.iter_mut().zip(&self.sum) {
            *left &= set;
            any |= *left;
        }
        any != 0
    }
}
