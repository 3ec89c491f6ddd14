//! Reading signals from lines of JSON.
//!
//! A file of lines (NDJSON) is read as a stream: one line in memory at a time, at most
//! [`MAX_LINE_BYTES`]. A line that cannot be taken is an item of its own, a [`BadLine`] with its
//! place and its text, and the lines after it are read on. Empty lines are skipped.
//!
//! # The native layout
//! An event is `{"id", "time", "type", "subject", "payload"}`:
//! ```json
//! {"id": "evt-1", "time": "2026-03-02T09:00:00Z", "type": "okta", "subject": "u-1042",
//!  "payload": {"eventType": "user.session.start"}}
//! ```
//! `type` becomes the event's source, to which rules bind. `subject` is a user's id, or
//! `{"user": …, "session": …}`. `payload` is an object and stays the text that it was.
//!
//! A score is `{"id", "time", "subject", "score"}`, with `scale` (`default` if there is none) and
//! `confidence` where the scorer gives them:
//! ```json
//! {"id": "score-1", "time": "2026-03-02T09:00:00Z", "subject": "u-1042", "score": 62.5}
//! ```
//! `score` and `confidence` are numbers, or numbers written as texts; either is read exactly, never
//! through a double. Times are RFC 3339 with a zone.
//!
//! Both may have `attributes`: an object of what is known of the subject, for rules that ask for it.
//! Unknown fields are refused, and so is a field that stands twice: in a layout of our own either is
//! a slip.
//!
//! # Foreign layouts
//! A [`Map`] names where another system's lines have these things; see there.

mod extract;
mod fault;
mod lines;
mod map;
mod native;
mod people;
mod pointer;
mod raw;
mod read;
mod reject;

use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

use tipstaff::{Signal, TenantId};

pub use fault::{BadLine, LineFault, MAX_KEPT_BYTES};
pub use lines::MAX_LINE_BYTES;
pub use map::{Map, MapError, MapFault, MapProblem};
pub use people::{People, PeopleError};
pub use pointer::{Pointer, PointerError};
pub use reject::RejectFile;

use fault::Fault;
use lines::{Line, Lines};

/// How lines are laid out.
#[derive(Clone, Debug, Default)]
pub enum Layout {
    /// Our own (see the [module](self)).
    #[default]
    Native,
    /// Another system's, as a map says.
    Mapped(Arc<Map>),
}

/// An iterator over the signals of a stream of lines.
///
/// After a bad line it goes on with the next one; after an error of the stream itself
/// ([`LineFault::Io`]) it ends.
///
/// ```
/// use tipstaff_console::input::{Layout, Reader};
/// let text = "{\"id\": \"s-1\", \"time\": \"2026-03-02T09:00:00Z\", \"subject\": \"u-1\", \"score\": 62.5}\noops\n";
/// let mut reader = Reader::new(text.as_bytes(), "acme".parse()?, Layout::Native);
/// let signal = reader.next().unwrap()?;
/// assert_eq!(signal.subject().user.as_str(), "u-1");
/// let bad = reader.next().unwrap().unwrap_err();
/// assert_eq!((bad.line, bad.offset, bad.at, &*bad.text), (2, 79, Some(0), b"oops".as_slice()));
/// assert!(reader.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    lines: Lines<R>,
    tenant: TenantId,
    layout: Layout,
    people: Arc<People>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the lines of a stream as signals of one tenant.
    pub fn new(input: R, tenant: TenantId, layout: Layout) -> Self {
        Self { lines: Lines::new(input), tenant, layout, people: Arc::default() }
    }

    /// The reader that fills in what is known of a subject where the line itself has no attributes.
    #[must_use]
    pub fn people(self, people: Arc<People>) -> Self {
        Self { people, ..self }
    }

    /// The number of the last line that was read, from 1; 0 before the first.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.lines.number()
    }

    /// Where that line begins, in bytes from the stream's beginning.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.lines.offset()
    }

    /// The last line, refused by somebody else than the reader: an engine, say, to which its score
    /// lies outside the scale. So every refusal can go to the same [`RejectFile`].
    pub fn refuse(&self, why: &dyn fmt::Display) -> BadLine {
        self.bad(LineFault::Refused(why.to_string()).whole())
    }

    fn signal(&self) -> Result<Signal, Fault> {
        let mut signal = match &self.layout {
            Layout::Native => native::signal(self.lines.text()?, &self.tenant),
            Layout::Mapped(map) => extract::signal(self.lines.text()?, map, &self.tenant),
        }?;
        if signal.attributes().is_none() {
            let known = self.people.attributes(&signal.subject().user).cloned();
            match &mut signal {
                Signal::Event(event) => event.attributes = known,
                Signal::Score(reading) => reading.attributes = known,
                _ => {}
            }
        }
        Ok(signal)
    }

    fn bad(&self, fault: Fault) -> BadLine {
        BadLine {
            line: self.lines.number(),
            offset: self.lines.offset(),
            at: fault.at,
            fault: fault.fault,
            text: self.lines.kept().into(),
            bytes: self.lines.length(),
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Signal, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        let fault = match self.lines.advance() {
            Line::End => return None,
            Line::Read => match self.signal() {
                Ok(signal) => return Some(Ok(signal)),
                Err(fault) => fault,
            },
            Line::Refused(fault) => fault.whole(),
        };
        Some(Err(self.bad(fault)))
    }
}
