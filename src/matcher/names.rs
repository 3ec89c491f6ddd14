//! Which member mostly comes after which: events of one source write the same names in the same
//! order, so that a name is mostly known by comparing its bytes with those of a guess.
//!
//! What is kept of a name holds in every event: in an object at this step, these bytes lead there.
//! A guess that is wrong costs the comparison, never the answer.

use std::sync::{Arc, Weak};

use super::paths::Paths;
use super::table::{Table, hash};

/// How many bytes of a member are compared: a comma, the name in its quotes, a colon.
const WIDTH: usize = 24;

/// How many names are kept; then it begins anew.
const MOST: usize = 512;

/// Before the first member of an event.
const START: u32 = 0;

/// Where no object is.
const NOWHERE: u32 = u32::MAX;

/// The names that a thread has met, for the paths of one matcher.
#[derive(Debug, Default)]
pub(super) struct Names {
    of: Weak<Paths>,
    known: Vec<Known>,
    /// By the hash of what is compared.
    table: Table,
    /// The member that was met last, and the one that came after it when it was.
    last: u32,
    next: u32,
}

/// A member's bytes from behind the one before it up to its value, where they lead, and what came
/// after it when it was met last.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    words: [u64; WIDTH / 8],
    masks: [u64; WIDTH / 8],
    place: u32,
    child: u32,
    length: u32,
    next: u32,
}

#[inline]
fn words(bytes: &[u8], at: usize) -> Option<[u64; WIDTH / 8]> {
    let chunk: &[u8; WIDTH] = bytes.get(at..)?.first_chunk()?;
    let (words, _) = chunk.as_chunks();
    let [a, b, c] = words else { return None };
    Some([u64::from_le_bytes(*a), u64::from_le_bytes(*b), u64::from_le_bytes(*c)])
}

/// An object at a step, before its first member or behind one: what may be written there differs.
#[inline]
pub(super) fn place(node: u32, first: bool) -> u32 {
    node << 1 | u32::from(first)
}

impl Names {
    /// Begins an event.
    pub(super) fn begin(&mut self, paths: &Arc<Paths>) {
        // The allocation of these paths cannot become that of others as long as it is pointed at.
        if self.of.as_ptr() != Arc::as_ptr(paths) {
            self.forget();
            self.of = Arc::downgrade(paths);
        }
        self.reach(START);
    }

    /// Notes that a member has been met.
    fn reach(&mut self, id: u32) {
        self.last = id;
        self.next = self.known.get(id as usize).map_or(START, |known| known.next);
    }

    #[cold]
    fn forget(&mut self) {
        self.known.clear();
        // The start is no member.
        self.known.push(Known { place: NOWHERE, ..Known::default() });
        self.table.clear();
    }

    /// Where the member leads that is written here, and where its value stands, if it is the one
    /// that came here before.
    #[inline]
    pub(super) fn guess(&mut self, bytes: &[u8], at: usize, place: u32) -> Option<(u32, usize)> {
        let known = self.known.get(self.next as usize)?;
        let words = words(bytes, at)?;
        let differing = (words[0] & known.masks[0] ^ known.words[0])
            | (words[1] & known.masks[1] ^ known.words[1])
            | (words[2] & known.masks[2] ^ known.words[2]);
        if differing != 0 || known.place != place {
            return None;
        }
        (self.last, self.next) = (self.next, known.next);
        Some((known.child, at + known.length as usize))
    }

    /// Notes where the member leads that stands between two places.
    pub(super) fn learn(&mut self, bytes: &[u8], (from, to): (usize, usize), place: u32, child: u32) {
        let length = to - from;
        let Some(words) = words(bytes, from).filter(|_| length <= WIDTH) else { return };
        let hash = hash(&bytes[from..to]) ^ place.wrapping_mul(0x9e37_79b9);
        let mut known = Known { place, child, length: length as u32, ..Known::default() };
        for (i, word) in words.into_iter().enumerate() {
            let kept = length.saturating_sub(8 * i).min(8) as u32;
            known.masks[i] = u64::MAX.checked_shr(64 - 8 * kept).unwrap_or(0);
            known.words[i] = word & known.masks[i];
        }
        let is = |id: u32| {
            let other = &self.known[id as usize];
            (other.words, other.length, other.place) == (known.words, known.length, known.place)
        };
        let id = self.table.find(hash, is).unwrap_or_else(|| {
            if self.known.len() > MOST {
                self.forget();
                self.last = START;
            }
            let id = self.known.len() as u32;
            self.known.push(known);
            self.table.insert(hash, id);
            id
        });
        self.known[self.last as usize].next = id;
        self.reach(id);
    }
}
