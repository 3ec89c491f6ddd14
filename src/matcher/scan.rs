//! Reads JSON's tokens where they stand, eight bytes at a time where it can.
//!
//! It accepts exactly what the crate's tree reader accepts. What is wrong it does not say: the
//! caller asks the tree reader, so that an event has one error whoever reads it.

use super::table::Short;
use crate::json::MAX_JSON_DEPTH;

/// Why a walk ends before the text does. It is as wide as a place, so that either is returned in a
/// register.
#[repr(usize)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// The text is no JSON.
    Fault,
    /// What stands behind does not matter.
    Enough,
}

/// A string between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) escaped: bool,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that ends a plain run in a string: a quote, a backslash, a control
/// character. Bits above the first may be wrong.
#[inline]
fn special(word: u64) -> u64 {
    // A quote takes the place of the space behind the control characters.
    let quote_or_control = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    (quote_or_control | backslash) & !word & HIGH
}

/// The byte at a place; zero, which no JSON has outside its strings, behind the end.
#[inline]
pub(super) fn peek(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

#[inline]
pub(super) fn space(bytes: &[u8], at: usize) -> usize {
    if peek(bytes, at) > b' ' { at } else { spaces(bytes, at) }
}

#[cold]
fn spaces(bytes: &[u8], mut at: usize) -> usize {
    while matches!(peek(bytes, at), b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

/// The name whose opening quote stands before `from`, and where it ends, if it is short and plain:
/// most are.
#[inline]
pub(super) fn short_name(bytes: &[u8], from: usize) -> Option<(Short, usize)> {
    let chunk: &[u8; Short::LONGEST] = bytes.get(from..)?.first_chunk()?;
    let (low, high) = chunk.split_first_chunk::<8>()?;
    let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(*high.first_chunk()?));
    let end = special(low);
    if end != 0 {
        let place = end.trailing_zeros() & !7;
        let (short, length) = (low & below(end), place as usize / 8);
        return ((low >> place) as u8 == b'"').then(|| (Short::of_low(short, length), from + length));
    }
    let end = special(high);
    let place = end.trailing_zeros() & !7;
    if end == 0 || (high >> place) as u8 != b'"' {
        return None;
    }
    let length = 8 + place as usize / 8;
    Some((Short::of_both(low, high & below(end), length), from + length))
}

/// The bytes before the first one whose high bit is set here.
#[inline]
fn below(highs: u64) -> u64 {
    ((highs & highs.wrapping_neg()) >> 7).wrapping_sub(1)
}

/// How many bytes are looked at together in a long string.
const WIDE: usize = 32;

/// Behind the bytes of a string that stand for themselves.
#[inline]
fn plain(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..).and_then(first_special) {
        Some(place) => at + place,
        None if bytes.len() >= at + 16 => long(bytes, at + 16),
        None => long(bytes, at),
    }
}

/// The first of 16 bytes that does not stand for itself. Both halves are always looked at: in which
/// of them a string ends differs from event to event, and a guess about it would often be wrong.
#[inline]
fn first_special(bytes: &[u8]) -> Option<usize> {
    let both = u128::from_le_bytes(*bytes.first_chunk()?);
    let (low, high) = (special(both as u64), special((both >> 64) as u64));
    let (in_low, in_high) = (low.trailing_zeros(), 64 + high.trailing_zeros());
    (low | high != 0).then_some(if low != 0 { in_low } else { in_high } as usize / 8)
}

/// As [`plain`], of strings that are longer or stand at the event's end.
#[inline(never)]
fn long(bytes: &[u8], mut at: usize) -> usize {
    // Each byte is compared with all three, so that many are compared at once.
    let is_special = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < b' ');
    while let Some(rest) = bytes.get(at..) {
        if let Some(place) = first_special(rest) {
            return at + place;
        }
        if rest.len() < 16 {
            return at + rest.iter().take_while(|byte| !is_special(**byte)).count();
        }
        at += 16;
        let (chunks, _) = bytes.get(at..).unwrap_or_default().as_chunks::<WIDE>();
        let is_plain = |chunk: &&[u8; WIDE]| !chunk.iter().fold(false, |any, byte| any | is_special(*byte));
        at += WIDE * chunks.iter().take_while(is_plain).count();
    }
    at
}

/// The string whose opening quote stands before `from`. It ends before its closing quote.
#[inline]
pub(super) fn string(bytes: &[u8], from: usize) -> Result<Span, Stop> {
    let to = plain(bytes, from);
    if peek(bytes, to) == b'"' {
        return Ok(Span { from, to, escaped: false });
    }
    Ok(Span { from, to: escaped(bytes, to)?, escaped: true })
}

/// Before the closing quote of a string that is no longer plain.
#[cold]
fn escaped(bytes: &[u8], mut at: usize) -> Result<usize, Stop> {
    loop {
        match peek(bytes, at) {
            b'"' => return Ok(at),
            b'\\' => at = plain(bytes, escape(bytes, at)?),
            _ => return Err(Stop::Fault),
        }
    }
}

/// Behind the closing quote of the string whose opening quote stands before `at`.
#[inline]
fn skip_string(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    let to = plain(bytes, at);
    if peek(bytes, to) == b'"' { Ok(to + 1) } else { escaped(bytes, to).map(|to| to + 1) }
}

fn escape(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') if hex(bytes, at + 2).is_some() => Ok(at + 6),
        _ => Err(Stop::Fault),
    }
}

#[inline]
fn digits(bytes: &[u8], from: usize) -> Result<usize, Stop> {
    let mut at = from;
    while peek(bytes, at).is_ascii_digit() {
        at += 1;
    }
    if at > from { Ok(at) } else { Err(Stop::Fault) }
}

/// Behind the number that stands here.
#[inline]
pub(super) fn number(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    let from = at + usize::from(peek(bytes, at) == b'-');
    let mut at = digits(bytes, from)?;
    if at > from + 1 && peek(bytes, from) == b'0' {
        return Err(Stop::Fault);
    }
    if peek(bytes, at) == b'.' {
        at = digits(bytes, at + 1)?;
    }
    if matches!(peek(bytes, at), b'e' | b'E') {
        at += 1;
        at = digits(bytes, at + usize::from(matches!(peek(bytes, at), b'+' | b'-')))?;
    }
    Ok(at)
}

/// Behind the word that should stand here.
pub(super) fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Stop> {
    let to = at + word.len();
    if bytes.get(at..to) == Some(word) { Ok(to) } else { Err(Stop::Fault) }
}

/// Behind the colon, and the space around it.
#[inline]
pub(super) fn colon(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    if peek(bytes, at) == b':' {
        return Ok(space(bytes, at + 1));
    }
    let at = space(bytes, at);
    if peek(bytes, at) == b':' { Ok(space(bytes, at + 1)) } else { Err(Stop::Fault) }
}

/// Behind the value that stands here, in `depth` others; space may precede it.
#[inline(always)]
pub(super) fn skip(bytes: &[u8], at: usize, depth: usize) -> Result<usize, Stop> {
    match peek(bytes, at) {
        // What most values are.
        b'"' => skip_string(bytes, at + 1),
        b'-' | b'0'..=b'9' => number(bytes, at),
        _ => skip_other(bytes, at, depth),
    }
}

/// Behind the value, in `depth` others, that stands here or behind space.
fn skip_other(bytes: &[u8], at: usize, depth: usize) -> Result<usize, Stop> {
    let mut at = space(bytes, at);
    match peek(bytes, at) {
        b't' => return literal(bytes, at, b"true"),
        b'f' => return literal(bytes, at, b"false"),
        b'n' => return literal(bytes, at, b"null"),
        _ => {}
    }
    // One bit for each open array or object: whether it is an object.
    let mut objects = [0_u64; MAX_JSON_DEPTH / 64];
    let mut open = depth;
    loop {
        match peek(bytes, at) {
            b'"' => at = skip_string(bytes, at + 1)?,
            b'-' | b'0'..=b'9' => at = number(bytes, at)?,
            b't' => at = literal(bytes, at, b"true")?,
            b'f' => at = literal(bytes, at, b"false")?,
            b'n' => at = literal(bytes, at, b"null")?,
            bracket @ (b'{' | b'[') => {
                let bits = objects.get_mut(open / 64).ok_or(Stop::Fault)?;
                let bit = 1 << (open % 64);
                *bits = if bracket == b'{' { *bits | bit } else { *bits & !bit };
                at = space(bytes, at + 1);
                if peek(bytes, at) == bracket + 2 {
                    at += 1;
                } else {
                    open += 1;
                    if bracket == b'{' {
                        at = skip_name(bytes, at)?;
                    }
                    continue;
                }
            }
            _ => return Err(Stop::Fault),
        }
        loop {
            if open == depth {
                return Ok(at);
            }
            at = space(bytes, at);
            let inner = open - 1;
            let object = objects[inner / 64] >> (inner % 64) & 1 == 1;
            match peek(bytes, at) {
                b',' => {
                    at = space(bytes, at + 1);
                    if object {
                        at = skip_name(bytes, at)?;
                    }
                    break;
                }
                b'}' if object => {}
                b']' if !object => {}
                _ => return Err(Stop::Fault),
            }
            at += 1;
            open = inner;
        }
    }
}

/// Behind the object in `depth` others whose members are read up to a place.
pub(super) fn skip_members(bytes: &[u8], mut at: usize, depth: usize) -> Result<usize, Stop> {
    loop {
        at = space(bytes, at);
        match peek(bytes, at) {
            b',' => at = skip(bytes, skip_name(bytes, space(bytes, at + 1))?, depth + 1)?,
            b'}' => return Ok(at + 1),
            _ => return Err(Stop::Fault),
        }
    }
}

fn skip_name(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    if peek(bytes, at) != b'"' {
        return Err(Stop::Fault);
    }
    colon(bytes, skip_string(bytes, at + 1)?)
}

fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |n, d| char::from(*d).to_digit(16).map(|d| n * 16 + d))
}

/// Appends the text of a string whose escapes have been checked. Half of a surrogate pair alone
/// becomes U+FFFD.
pub(super) fn unescape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let bytes = rest.as_bytes();
        let (c, length) = match bytes.get(at + 1) {
            Some(b'u') => unicode(bytes, at),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            other => (other.copied().map_or('\\', char::from), 2),
        };
        out.push(c);
        rest = rest.get(at + length..).unwrap_or_default();
    }
    out.push_str(rest);
}

fn unicode(bytes: &[u8], at: usize) -> (char, usize) {
    let first = hex(bytes, at + 2).unwrap_or(0xfffd);
    if (0xd800..0xdc00).contains(&first) && bytes.get(at + 6..at + 8) == Some(b"\\u") {
        let second = hex(bytes, at + 8).unwrap_or_default();
        if (0xdc00..0xe000).contains(&second) {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
        }
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}
