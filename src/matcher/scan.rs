//! Reads JSON's tokens where they stand.
//!
//! It accepts exactly what the crate's tree reader accepts. What is wrong it does not say: the
//! caller asks the tree reader, so that an event has one error whoever reads it.

use super::ends::Ends;
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

/// An event's bytes, and where its strings may end.
#[derive(Debug)]
pub(super) struct Text<'e, 's> {
    pub(super) bytes: &'e [u8],
    pub(super) ends: &'s mut Ends,
}

impl Text<'_, '_> {
    /// Behind the bytes of a string that stand for themselves.
    #[inline]
    fn plain(&mut self, at: usize) -> usize {
        self.ends.next(self.bytes, at)
    }
}

/// The string whose opening quote stands before `from`. It ends before its closing quote.
#[inline]
pub(super) fn string(text: &mut Text<'_, '_>, from: usize) -> Result<Span, Stop> {
    let to = text.plain(from);
    if peek(text.bytes, to) == b'"' {
        return Ok(Span { from, to, escaped: false });
    }
    Ok(Span { from, to: escaped(text, to)?, escaped: true })
}

/// Before the closing quote of a string that is no longer plain.
#[cold]
fn escaped(text: &mut Text<'_, '_>, mut at: usize) -> Result<usize, Stop> {
    loop {
        match peek(text.bytes, at) {
            b'"' => return Ok(at),
            b'\\' => at = text.plain(escape(text.bytes, at)?),
            _ => return Err(Stop::Fault),
        }
    }
}

/// Behind the closing quote of the string whose opening quote stands before `at`.
#[inline]
fn skip_string(text: &mut Text<'_, '_>, at: usize) -> Result<usize, Stop> {
    let to = text.plain(at);
    if peek(text.bytes, to) == b'"' { Ok(to + 1) } else { escaped(text, to).map(|to| to + 1) }
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
pub(super) fn skip(text: &mut Text<'_, '_>, at: usize, depth: usize) -> Result<usize, Stop> {
    match peek(text.bytes, at) {
        // What most values are.
        b'"' => skip_string(text, at + 1),
        b'-' | b'0'..=b'9' => number(text.bytes, at),
        _ => skip_other(text, at, depth),
    }
}

/// Behind the value, in `depth` others, that stands here or behind space.
fn skip_other(text: &mut Text<'_, '_>, at: usize, depth: usize) -> Result<usize, Stop> {
    let bytes = text.bytes;
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
            b'"' => at = skip_string(text, at + 1)?,
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
                        at = skip_name(text, at)?;
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
                        at = skip_name(text, at)?;
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
pub(super) fn skip_members(text: &mut Text<'_, '_>, mut at: usize, depth: usize) -> Result<usize, Stop> {
    let bytes = text.bytes;
    loop {
        at = space(bytes, at);
        match peek(bytes, at) {
            b',' => {
                let value = skip_name(text, space(bytes, at + 1))?;
                at = skip(text, value, depth + 1)?;
            }
            b'}' => return Ok(at + 1),
            _ => return Err(Stop::Fault),
        }
    }
}

fn skip_name(text: &mut Text<'_, '_>, at: usize) -> Result<usize, Stop> {
    if peek(text.bytes, at) != b'"' {
        return Err(Stop::Fault);
    }
    let to = skip_string(text, at + 1)?;
    colon(text.bytes, to)
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
