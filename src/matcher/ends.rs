//! Where strings may end: found for 64 bytes at once, wherever in them strings begin.

/// How many bytes are looked at together: one for each bit of a word.
const BLOCK: usize = u64::BITS as usize;

/// The bytes of one event that do not stand for themselves in a string: quotes, backslashes and
/// control characters. What is behind the event's end counts as one.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// A bit for each byte, of as many blocks as have been looked at.
    found: Vec<u64>,
    /// Whether these blocks are ASCII.
    ascii: bool,
}

impl Ends {
    /// Begins an event, of which nothing is looked at yet.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.found.clear();
        self.ascii = true;
    }

    /// Looks at the whole event; whether it is ASCII.
    pub(super) fn all(&mut self, event: &[u8]) -> bool {
        self.begin();
        self.reach(event, event.len() / BLOCK + 2);
        self.ascii
    }

    /// The first byte from a place on that does not stand for itself in a string.
    #[inline]
    pub(super) fn next(&mut self, event: &[u8], at: usize) -> usize {
        // Two blocks, so that it matters little where in one a string begins.
        if let Some([here, beyond]) = self.found.get(at / BLOCK..).and_then(<[u64]>::first_chunk) {
            let shift = at % BLOCK;
            let found = here >> shift | beyond << 1 << (BLOCK - 1 - shift);
            if found != 0 {
                return at + found.trailing_zeros() as usize;
            }
        }
        self.far(event, at)
    }

    /// As [`next`](Self::next), of longer strings, and of blocks that are not looked at yet.
    #[inline(never)]
    fn far(&mut self, event: &[u8], at: usize) -> usize {
        if at >= event.len() {
            return event.len();
        }
        let (mut block, mut mask) = (at / BLOCK, u64::MAX << (at % BLOCK));
        loop {
            self.reach(event, block + 2);
            let found = self.found.get(block).map_or(u64::MAX, |found| found & mask);
            if found != 0 {
                return block * BLOCK + found.trailing_zeros() as usize;
            }
            (block, mask) = (block + 1, u64::MAX);
        }
    }

    /// Looks at blocks until there are so many.
    fn reach(&mut self, event: &[u8], blocks: usize) {
        let (whole, rest) = event.get(self.found.len() * BLOCK..).unwrap_or_default().as_chunks();
        let wanted = blocks.saturating_sub(self.found.len());
        let mut ascii = self.ascii;
        self.found.extend(whole.iter().take(wanted).map(|bytes| {
            let (found, is_ascii) = block(bytes);
            ascii &= is_ascii;
            found
        }));
        if self.found.len() < blocks {
            let mut last = [0; BLOCK];
            last[..rest.len()].copy_from_slice(rest);
            let (found, is_ascii) = block(&last);
            self.found.push(found);
            self.found.resize(blocks.max(self.found.len()), u64::MAX);
            ascii &= is_ascii;
        }
        self.ascii = ascii;
    }
}

/// Which bytes of a block do not stand for themselves in a string, and whether all are ASCII.
#[cfg(target_arch = "x86_64")]
#[inline]
fn block(bytes: &[u8; BLOCK]) -> (u64, bool) {
    // Every x86-64 has these instructions; the standard library's names for them are unsafe to call.
    use safe_arch::{
        bitor_m128i as or, cmp_eq_mask_i8_m128i as equal, load_unaligned_m128i as load, min_u8_m128i as min,
        move_mask_i8_m128i as high_bits, set_splat_i8_m128i as all_of, zeroed_m128i,
    };
    let (quote, backslash) = (all_of(b'"'.cast_signed()), all_of(b'\\'.cast_signed()));
    let last_control = all_of(0x1f);
    let (mut found, mut all) = (0, zeroed_m128i());
    let (chunks, _) = bytes.as_chunks();
    for (i, chunk) in chunks.iter().enumerate() {
        let chunk = load(chunk);
        let control = equal(min(chunk, last_control), chunk);
        let special = or(control, or(equal(chunk, quote), equal(chunk, backslash)));
        found |= u64::from(high_bits(special).cast_unsigned()) << (16 * i);
        all = or(all, chunk);
    }
    (found, high_bits(all) == 0)
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn block(bytes: &[u8; BLOCK]) -> (u64, bool) {
    portable(bytes)
}

/// As [`block`], eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable(bytes: &[u8; BLOCK]) -> (u64, bool) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    /// The high bit of each byte that is not zero, and perhaps other bits.
    fn other(differing: u64) -> u64 {
        ((differing & !HIGH) + (HIGH - ONES)) | differing
    }
    let (words, _) = bytes.as_chunks();
    let (mut found, mut all) = (0, 0);
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let plain = other(word ^ (ONES * u64::from(b'"'))) & other(word ^ (ONES * u64::from(b'\\')));
        // Of control characters the upper three bits are clear.
        let plain = plain & other(word & (ONES * 0xe0)) & HIGH;
        // Its high bits, side by side.
        let special = ((plain ^ HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        found |= special << (8 * i);
        all |= word;
    }
    (found, all & HIGH == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_special(byte: u8) -> bool {
        byte < b' ' || byte == b'"' || byte == b'\\'
    }

    proptest! {
        #[test]
        fn a_block_is_told_byte_by_byte(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0x1e..0x24_u8, 0x5b..0x5e_u8], BLOCK),
        ) {
            let bytes: [u8; BLOCK] = bytes.try_into().unwrap();
            let found = bytes.iter().rev().fold(0, |found, byte| found << 1 | u64::from(is_special(*byte)));
            prop_assert_eq!(block(&bytes), (found, bytes.is_ascii()));
            prop_assert_eq!(portable(&bytes), (found, bytes.is_ascii()));
        }

        #[test]
        fn the_next_is_found_from_every_place_in_any_order(
            text in "[a-zé]{0,70}(\"|\\\\|\n|[a-z]{0,150}){0,4}",
            asked in proptest::collection::vec(0..500_usize, 0..10),
        ) {
            let event = text.as_bytes();
            let mut ends = [Ends::default(), Ends::default()];
            prop_assert_eq!(ends[0].all(event), text.is_ascii());
            ends[1].begin();
            for at in asked.into_iter().filter(|at| *at <= event.len()) {
                let next = event[at..].iter().position(|byte| is_special(*byte)).map_or(event.len(), |n| at + n);
                for ends in &mut ends {
                    prop_assert_eq!(ends.next(event, at), next);
                }
            }
        }
    }
}
