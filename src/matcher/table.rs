//! Hash tables with a fixed hash: the same rules give the same tables, and a lookup allocates
//! nothing.
//!
//! Whoever writes rules could make their literals collide; this slows the events of their own
//! tenant to the length of that chain, no more.

const NONE: u32 = u32::MAX;

/// Each has a byte that no UTF-8 text has, so that no text can make a factor zero.
const SALT: [u64; 2] = [0x9e37_79b9_7fff_c15d, 0xbf58_476d_1cfe_e5b9];

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product ^ (product >> 64)) as u64
}

fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// The two words that make up a text of at most 16 bytes, given its length.
fn ends(text: &[u8]) -> (u64, u64) {
    let n = text.len();
    match n {
        8.. => (word(&text[..8]), word(&text[n - 8..])),
        4..=7 => {
            let half = |at: usize| text[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
            (u64::from(half(0)), u64::from(half(n - 4)))
        }
        1..=3 => (u64::from(text[0]) | u64::from(text[n / 2]) << 8, u64::from(text[n - 1])),
        0 => (0, 0),
    }
}

/// A text as it is looked for: short ones are compared without going to their bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Name {
    pub(super) hash: u32,
    length: u32,
    ends: (u64, u64),
}

impl Name {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut state = text.len() as u64;
        let mut rest = text;
        while let Some((head, tail)) = rest.split_at_checked(16).filter(|(_, tail)| !tail.is_empty()) {
            state = fold(word(&head[..8]) ^ SALT[0] ^ state, word(&head[8..]) ^ SALT[1]);
            rest = tail;
        }
        let ends = ends(rest);
        let hash = (fold(ends.0 ^ SALT[0] ^ state, ends.1 ^ SALT[1]) >> 32) as u32;
        Self { hash, length: u32::try_from(text.len()).unwrap_or(u32::MAX), ends }
    }

    /// Whether equal names are equal texts.
    pub(super) fn is_whole(self) -> bool {
        self.length <= 16
    }
}

/// The hash of a text.
pub(super) fn hash(bytes: &[u8]) -> u32 {
    Name::new(bytes).hash
}

/// The hash of a number.
pub(super) fn hash_number(number: u128) -> u32 {
    let (low, high) = (number as u64, (number >> 64) as u64);
    (fold(low ^ SALT[0], high.rotate_left(32) ^ SALT[1]) >> 32) as u32
}

/// Finds ids by the hash of what they stand for; what that is, the caller keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    slots: Vec<(u32, u32)>,
    used: usize,
}

impl Table {
    pub(super) fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let (tag, id) = *self.slots.get(at)?;
            if id == NONE {
                return None;
            }
            if tag == hash && is(id) {
                return Some(id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an id that is not in it.
    pub(super) fn insert(&mut self, hash: u32, id: u32) {
        if (self.used + 1) * 2 > self.slots.len() {
            let grown = vec![(0, NONE); (self.slots.len() * 2).max(4)];
            for (tag, id) in std::mem::replace(&mut self.slots, grown) {
                if id != NONE {
                    self.place(tag, id);
                }
            }
        }
        self.place(hash, id);
        self.used += 1;
    }

    fn place(&mut self, tag: u32, id: u32) {
        let mask = self.slots.len() - 1;
        let mut at = tag as usize & mask;
        while self.slots[at].1 != NONE {
            at = (at + 1) & mask;
        }
        self.slots[at] = (tag, id);
    }
}

/// Numbers by 64-bit keys.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyMap {
    slots: Vec<(u64, u32)>,
    used: usize,
}

impl KeyMap {
    fn start(key: u64, mask: usize) -> usize {
        (key.wrapping_mul(SALT[0]) >> 32) as usize & mask
    }

    pub(super) fn get(&self, key: u64) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = Self::start(key, mask);
        loop {
            let (found, value) = *self.slots.get(at)?;
            if value == NONE {
                return None;
            }
            if found == key {
                return Some(value);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a key that is not in it.
    pub(super) fn insert(&mut self, key: u64, value: u32) {
        if (self.used + 1) * 2 > self.slots.len() {
            let grown = vec![(0, NONE); (self.slots.len() * 2).max(4)];
            for (key, value) in std::mem::replace(&mut self.slots, grown) {
                if value != NONE {
                    self.place(key, value);
                }
            }
        }
        self.place(key, value);
        self.used += 1;
    }

    fn place(&mut self, key: u64, value: u32) {
        let mask = self.slots.len() - 1;
        let mut at = Self::start(key, mask);
        while self.slots[at].1 != NONE {
            at = (at + 1) & mask;
        }
        self.slots[at] = (key, value);
    }
}
