//! Reads JSON's tokens where they stand, eight bytes at a time where it can.
//!
//! It accepts exactly what the crate's tree reader accepts. What is wrong it does not say: the
//! caller asks the tree reader, so that an event has one error whoever reads it.

use crate::json::MAX_JSON_DEPTH;

/// The text is no JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stop;

/// A string between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) escaped: bool,
    /// Whether there may be a dot in it.
    pub(super) dotted: bool,
}

/// A place in a text.
pub(super) struct Scan<'e> {
    pub(super) bytes: &'e [u8],
    pub(super) at: usize,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that equals one; above the first such byte there may be others.
fn equal(word: u64, byte: u8) -> u64 {
    let differing = word ^ (ONES * u64::from(byte));
    differing.wrapping_sub(ONES) & !differing & HIGH
}

/// The high bit of each byte that ends a plain run in a string; bits above the first may be wrong.
fn special(word: u64) -> u64 {
    equal(word, b'"') | equal(word, b'\\') | (word.wrapping_sub(ONES * 0x20) & !word & HIGH)
}

impl Scan<'_> {
    #[inline]
    pub(super) fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.peek() != byte {
            return Err(Stop);
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn word(&self) -> Option<u64> {
        let eight = self.bytes.get(self.at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*eight))
    }

    /// A string, whose opening quote stands here.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Span, Stop> {
        self.expect(b'"')?;
        let from = self.at;
        let (mut escaped, mut dots) = (false, 0);
        loop {
            if let Some(word) = self.word() {
                let special = special(word);
                let plain = special.wrapping_sub(1) & !special;
                dots |= equal(word, b'.') & plain;
                if special == 0 {
                    self.at += 8;
                    continue;
                }
                self.at += special.trailing_zeros() as usize / 8;
            }
            match self.peek() {
                b'"' => {
                    let to = self.at;
                    self.at += 1;
                    return Ok(Span { from, to, escaped, dotted: dots != 0 });
                }
                b'\\' => {
                    self.escape()?;
                    // A dot may be written as an escape.
                    (escaped, dots) = (true, 1);
                }
                0..=0x1f => return Err(Stop),
                byte => {
                    dots |= u64::from(byte == b'.');
                    self.at += 1;
                }
            }
        }
    }

    /// Goes past a string, whose opening quote stands here.
    #[inline]
    fn skip_string(&mut self) -> Result<(), Stop> {
        self.at += 1;
        loop {
            if let Some(word) = self.word() {
                let special = special(word);
                if special == 0 {
                    self.at += 8;
                    continue;
                }
                self.at += special.trailing_zeros() as usize / 8;
            }
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                0..=0x1f => return Err(Stop),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                hex(self.bytes, self.at + 2).ok_or(Stop)?;
                self.at += 6;
            }
            _ => return Err(Stop),
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<usize, Stop> {
        let from = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at > from { Ok(self.at - from) } else { Err(Stop) }
    }

    pub(super) fn number(&mut self) -> Result<(), Stop> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        let zero = self.peek() == b'0';
        if self.digits()? > 1 && zero {
            return Err(Stop);
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    pub(super) fn literal(&mut self, word: &[u8]) -> Result<(), Stop> {
        let to = self.at + word.len();
        if self.bytes.get(self.at..to) != Some(word) {
            return Err(Stop);
        }
        self.at = to;
        Ok(())
    }

    /// Goes past one value that stands in `depth` others.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), Stop> {
        // One bit for each open array or object: whether it is an object.
        let mut objects = [0_u64; MAX_JSON_DEPTH / 64];
        let mut open = depth;
        loop {
            match self.peek() {
                b'"' => self.skip_string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                bracket @ (b'{' | b'[') => {
                    let bits = objects.get_mut(open / 64).ok_or(Stop)?;
                    let bit = 1 << (open % 64);
                    *bits = if bracket == b'{' { *bits | bit } else { *bits & !bit };
                    self.at += 1;
                    self.space();
                    if self.peek() == bracket + 2 {
                        self.at += 1;
                    } else {
                        open += 1;
                        if bracket == b'{' {
                            self.skip_name()?;
                        }
                        continue;
                    }
                }
                _ => return Err(Stop),
            }
            loop {
                if open == depth {
                    return Ok(());
                }
                self.space();
                let inner = open - 1;
                let object = objects[inner / 64] >> (inner % 64) & 1 == 1;
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        self.space();
                        if object {
                            self.skip_name()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return Err(Stop),
                }
                self.at += 1;
                open = inner;
            }
        }
    }

    fn skip_name(&mut self) -> Result<(), Stop> {
        if self.peek() != b'"' {
            return Err(Stop);
        }
        self.skip_string()?;
        self.colon()
    }

    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), Stop> {
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(())
    }
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
