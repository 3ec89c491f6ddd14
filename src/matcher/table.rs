//! Hash tables with a fixed hash: the same rules give the same tables, and a lookup allocates
//! nothing.
//!
//! Whoever writes rules could make their literals collide; this slows the events of their own
//! tenant to the length of that chain, no more.

const NONE: u32 = u32::MAX;

/// Each has a byte that no UTF-8 text has, so that no text can make a factor zero.
const SALT: [u64; 2] = [0x9e37_79b9_7fff_c15d, 0xbf58_476d_1cfe_e5b9];

/// The first bytes of a word, by their number.
const KEPT: [u64; 9] = {
    let mut kept = [u64::MAX; 9];
    let mut bytes = 0;
    while bytes < 8 {
        kept[bytes] = (1 << (8 * bytes)) - 1;
        bytes += 1;
    }
    kept
};

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product ^ (product >> 64)) as u64
}

/// A text of at most 16 bytes as it is looked for and compared: without going to its bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Short {
    low: u64,
    high: u64,
    length: u64,
}

impl Short {
    /// The longest, in bytes.
    pub(super) const LONGEST: usize = 16;

    /// None of a longer text.
    pub(super) fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let words = u128::from_le_bytes(bytes);
        Some(Self { low: words as u64, high: (words >> 64) as u64, length: text.len() as u64 })
    }

    /// What stands between two places of a longer text; none of more than 16 bytes.
    #[inline]
    pub(super) fn between(bytes: &[u8], from: usize, to: usize) -> Option<Self> {
        let length = to - from;
        if length > Self::LONGEST {
            return None;
        }
        let Some(first) = bytes.get(from..).and_then(<[u8]>::first_chunk::<{ Self::LONGEST }>) else {
            return Self::new(bytes.get(from..to)?);
        };
        let words = u128::from_le_bytes(*first);
        let (low, high) = (words as u64, (words >> 64) as u64);
        let (low, high) = (low & KEPT[length.min(8)], high & KEPT[length.max(8) - 8]);
        Some(Self { low, high, length: length as u64 })
    }

    /// Whether there is a dot in it.
    #[inline]
    pub(super) fn is_dotted(self) -> bool {
        /// The high bit of each dot, and perhaps of bytes above one.
        fn dots(word: u64) -> u64 {
            let differing = word ^ 0x2e2e_2e2e_2e2e_2e2e;
            differing.wrapping_sub(0x0101_0101_0101_0101) & !differing & 0x8080_8080_8080_8080
        }
        dots(self.low) | dots(self.high) != 0
    }

    /// One bit of 64, the same for equal texts.
    #[inline]
    pub(super) fn bit(self) -> u64 {
        1 << ((self.low ^ self.high).wrapping_mul(SALT[0]) >> 58)
    }

    #[inline]
    fn hash(self) -> u32 {
        (fold(self.low ^ SALT[0], self.high ^ SALT[1] ^ self.length) >> 32) as u32
    }
}

/// The hash of a text.
pub(super) fn hash(text: &[u8]) -> u32 {
    let mut state = text.len() as u64;
    let (chunks, rest) = text.as_chunks::<{ Short::LONGEST }>();
    for chunk in chunks {
        let words = u128::from_le_bytes(*chunk);
        state = fold(words as u64 ^ SALT[0] ^ state, (words >> 64) as u64 ^ SALT[1]);
    }
    // Of a long text the last bytes once more, so that none are copied.
    let rest = match text.last_chunk() {
        Some(last) if !rest.is_empty() => u128::from_le_bytes(*last),
        _ => Short::new(rest).map_or(0, |rest| u128::from(rest.high) << 64 | u128::from(rest.low)),
    };
    (fold(rest as u64 ^ SALT[0] ^ state, (rest >> 64) as u64 ^ SALT[1]) >> 32) as u32
}

/// The hash of a number.
pub(super) fn hash_number(number: u128) -> u32 {
    let (low, high) = (number as u64, (number >> 64) as u64);
    (fold(low ^ SALT[0], high.rotate_left(32) ^ SALT[1]) >> 32) as u32
}

/// Whether another entry would make chains too long: small tables are kept nearly free of them.
fn is_full(used: usize, slots: usize) -> bool {
    const SMALL: usize = 1 << 12;
    (used + 1) * if slots <= SMALL { 4 } else { 2 } > slots
}

/// Finds ids by the hash of what they stand for; what that is, the caller keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    slots: Vec<(u32, u32)>,
    used: usize,
}

impl Table {
    /// Leaves nothing in it, but its room.
    pub(super) fn clear(&mut self) {
        self.slots.fill((0, NONE));
        self.used = 0;
    }

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
        if is_full(self.used, self.slots.len()) {
            let grown = vec![(0, NONE); (self.slots.len() * 2).max(8)];
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

/// Finds ids by short texts.
#[derive(Clone, Debug, Default)]
pub(super) struct ShortMap {
    slots: Vec<(Short, u32)>,
    used: usize,
}

impl ShortMap {
    #[inline]
    pub(super) fn get(&self, text: Short) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = text.hash() as usize & mask;
        loop {
            let (found, id) = self.slots.get(at)?;
            if *id == NONE {
                return None;
            }
            if *found == text {
                return Some(*id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a text that is not in it.
    pub(super) fn insert(&mut self, text: Short, id: u32) {
        if is_full(self.used, self.slots.len()) {
            let grown = vec![(Short::default(), NONE); (self.slots.len() * 2).max(8)];
            for (text, id) in std::mem::replace(&mut self.slots, grown) {
                if id != NONE {
                    self.place(text, id);
                }
            }
        }
        self.place(text, id);
        self.used += 1;
    }

    fn place(&mut self, text: Short, id: u32) {
        let mask = self.slots.len() - 1;
        let mut at = text.hash() as usize & mask;
        while self.slots[at].1 != NONE {
            at = (at + 1) & mask;
        }
        self.slots[at] = (text, id);
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
        if is_full(self.used, self.slots.len()) {
            let grown = vec![(0, NONE); (self.slots.len() * 2).max(8)];
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
