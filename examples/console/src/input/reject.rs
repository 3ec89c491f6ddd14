//! Where bad lines go.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::fault::BadLine;

/// A file of bad lines: one JSON object a line,
/// `{"line", "offset", "at", "fault", "text"}`.
///
/// `line` counts from 1; `offset` is where the line begins in its file, `at` where the fault is in
/// the line (only where it has a place), both in bytes. Of a line that is too long `text` is the
/// beginning, and `bytes` its whole length; of one that is not UTF-8 `hex` has the bytes as they
/// were, and U+FFFD stands in `text` for what is no text.
#[derive(Debug)]
pub struct RejectFile<W: Write> {
    out: W,
    count: u64,
}

#[derive(Serialize)]
struct Entry<'a> {
    line: u64,
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<usize>,
    fault: String,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl RejectFile<BufWriter<File>> {
    /// A new, empty file at that path; an older one is replaced.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        File::create(path).map(|file| Self::new(BufWriter::new(file)))
    }
}

impl<W: Write> RejectFile<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out, count: 0 }
    }

    /// Adds a line.
    ///
    /// # Errors
    /// Those of what it writes to.
    pub fn write(&mut self, bad: &BadLine) -> io::Result<()> {
        let text = String::from_utf8_lossy(&bad.text);
        let kept = bad.text.len() as u64;
        let hex = || {
            bad.text.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("a text takes any text");
                hex
            })
        };
        let entry = Entry {
            line: bad.line,
            offset: bad.offset,
            at: bad.at,
            fault: bad.fault.to_string(),
            text: &text,
            bytes: (bad.bytes != kept).then_some(bad.bytes),
            hex: std::str::from_utf8(&bad.text).is_err().then(hex),
        };
        serde_json::to_writer(&mut self.out, &entry)?;
        self.out.write_all(b"\n")?;
        self.count += 1;
        Ok(())
    }

    /// How many lines it has taken.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Writes out what is still in memory, and gives back what it writes to.
    ///
    /// # Errors
    /// Those of what it writes to.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
