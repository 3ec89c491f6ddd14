//! Lines of bounded length from a stream.

use std::io::{BufRead, ErrorKind, Read};

use super::fault::{Fault, LineFault, MAX_KEPT_BYTES};

/// The longest line, in bytes without its end: 4 MiB, four times the longest payload.
pub const MAX_LINE_BYTES: usize = 4 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What came of reading a line.
#[derive(Debug)]
pub(super) enum Line {
    /// It stands ready.
    Read,
    /// It cannot be used.
    Refused(LineFault),
    /// There is none.
    End,
}

/// Reads one line after the other into the same memory.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    number: u64,
    offset: u64,
    /// Where the next line begins.
    next: u64,
    length: u64,
    over: bool,
}

/// What was skipped of a line that is too long: its bytes, and its end (0 or 1 byte).
struct Skipped {
    bytes: u64,
    end: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), number: 0, offset: 0, next: 0, length: 0, over: false }
    }

    /// Goes to the next line that is not empty.
    pub(super) fn advance(&mut self) -> Line {
        loop {
            if self.over {
                return Line::End;
            }
            match self.read() {
                Line::Read if self.buffer.trim_ascii().is_empty() => {}
                other => return other,
            }
        }
    }

    fn read(&mut self) -> Line {
        self.buffer.clear();
        self.offset = self.next;
        // Room for the line's end, so that a line of just the longest length is known to be over.
        let room = MAX_LINE_BYTES as u64 + 1;
        let read = self.input.by_ref().take(room).read_until(b'\n', &mut self.buffer);
        let skipped = match read {
            Ok(0) => {
                self.over = true;
                return Line::End;
            }
            Ok(n) if n as u64 == room && self.buffer.last() != Some(&b'\n') => self.skip(),
            Ok(_) => Ok(Skipped { bytes: 0, end: 0 }),
            Err(error) => Err(error),
        };
        self.number += 1;
        match skipped {
            Err(error) => {
                self.over = true;
                self.length = self.buffer.len() as u64;
                self.buffer.truncate(MAX_KEPT_BYTES);
                Line::Refused(LineFault::Io(error))
            }
            Ok(skipped) => {
                self.next = self.offset + self.buffer.len() as u64 + skipped.bytes + skipped.end;
                self.finish(skipped.bytes)
            }
        }
    }

    /// Takes the line's end off, and judges its length.
    fn finish(&mut self, skipped: u64) -> Line {
        if self.offset == 0 && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
            self.offset = BYTE_ORDER_MARK.len() as u64;
        }
        for end in [b'\n', b'\r'] {
            if skipped == 0 && self.buffer.last() == Some(&end) {
                self.buffer.pop();
            }
        }
        self.length = self.buffer.len() as u64 + skipped;
        if self.length <= MAX_LINE_BYTES as u64 {
            return Line::Read;
        }
        self.buffer.truncate(MAX_KEPT_BYTES);
        self.buffer.shrink_to_fit();
        Line::Refused(LineFault::TooLong(self.length))
    }

    /// Skips to the line's end.
    fn skip(&mut self) -> std::io::Result<Skipped> {
        let mut skipped = Skipped { bytes: 0, end: 0 };
        loop {
            let waiting = match self.input.fill_buf() {
                Ok(waiting) => waiting,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = waiting.iter().position(|byte| *byte == b'\n');
            let bytes = end.unwrap_or(waiting.len());
            let over = end.is_some() || waiting.is_empty();
            skipped.bytes += bytes as u64;
            skipped.end = u64::from(end.is_some());
            self.input.consume(bytes + usize::from(end.is_some()));
            if over {
                return Ok(skipped);
            }
        }
    }
}

impl<R> Lines<R> {
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// The line as bytes; of a refused one, its beginning.
    pub(super) fn kept(&self) -> &[u8] {
        &self.buffer
    }

    /// The line as text.
    pub(super) fn text(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.buffer).map_err(|error| LineFault::NotUtf8.at(error.valid_up_to()))
    }
}
