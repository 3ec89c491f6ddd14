//! One walk over an event's bytes: keeps the values at the paths that patterns name, goes past the
//! rest, and validates all that it reads: all of it, unless it may stop early.
//!
//! As long as no named part of the event has an array of objects, arrays in arrays or copies of a
//! key, a pattern holds where each of its fields holds by itself. Where a part has one, it is
//! marked as tangled.

use super::early::Watch;
use super::line;
use super::paths::{FALSE, NULL, Paths, ROOT, SOURCE, TRUE};
use super::scan::{self, Span, Stop, peek, space, unescape};
use super::values::{At, Kind, Values};
use crate::json::MAX_JSON_DEPTH;

/// How a step of a path was met in this event.
const AS_OBJECT: u64 = 1;
const AS_OTHER: u64 = 2;
const BEFORE_DOT: u64 = 4;
const WAYS: u32 = 3;

/// The marks of steps, each with the event's number above.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<u64>);

/// A walk over bytes that are UTF-8. What reads a value returns where it ends.
pub(super) struct Walk<'w, 'e, W> {
    bytes: &'e [u8],
    paths: &'w Paths,
    values: &'w mut Values,
    marks: &'w mut Marks,
    watch: W,
    /// The paths to whose values nothing will be added, as far as is known.
    complete: u64,
    /// How far it came, where it stopped early.
    read: usize,
    /// In how many arrays of a named path the walk is: what stands in them may be repeated.
    arrays: usize,
}

impl<'w, 'e, W: Watch> Walk<'w, 'e, W> {
    pub(super) fn new(
        bytes: &'e [u8],
        paths: &'w Paths,
        values: &'w mut Values,
        marks: &'w mut Marks,
        watch: W,
    ) -> Self {
        if marks.0.len() < paths.nodes() {
            marks.0.resize(paths.nodes(), 0);
        }
        Self { bytes, paths, values, marks, watch, complete: 0, read: 0, arrays: 0 }
    }

    /// How much of the event was read, where it stopped early.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    /// Walks an event from a source; whether it is an object.
    pub(super) fn event(&mut self, source: Option<&str>) -> Result<bool, Stop> {
        self.values.begin(self.paths);
        if let Some(source) = source {
            let literal = self.paths.path(SOURCE).text(source.as_bytes());
            self.values.push(SOURCE, Kind::Text, At::Buffer(0, 0), literal, None);
        }
        let at = space(self.bytes, 0);
        let object = peek(self.bytes, at) == b'{';
        let end = if object { self.object(ROOT, at, 0)? } else { scan::skip(self.bytes, at, 0)? };
        if space(self.bytes, end) == self.bytes.len() { Ok(object) } else { Err(Stop::Fault) }
    }

    fn object(&mut self, node: u32, at: usize, depth: usize) -> Result<usize, Stop> {
        if depth >= MAX_JSON_DEPTH {
            return Err(Stop::Fault);
        }
        let bytes = self.bytes;
        let paths = self.paths;
        let here = paths.node(node);
        let mut at = space(bytes, at + 1);
        if peek(bytes, at) == b'}' {
            return Ok(at + 1);
        }
        loop {
            if peek(bytes, at) != b'"' {
                return Err(Stop::Fault);
            }
            let (child, to) = match scan::short_name(bytes, at + 1) {
                Some((name, to)) if !here.goes_on() || !name.is_dotted() => (here.child(name), to),
                _ => {
                    let name = scan::string(bytes, at + 1)?;
                    (self.long_child(node, name), name.to)
                }
            };
            at = scan::colon(bytes, to + 1)?;
            at = match child {
                Some(child) => {
                    let to = self.member(child, at, depth + 1)?;
                    if W::STOPS && self.arrays == 0 && self.is_done(node, child, to)? {
                        return scan::skip_members(bytes, to, depth);
                    }
                    to
                }
                None => scan::skip(bytes, at, depth + 1)?,
            };
            at = space(bytes, at);
            match peek(bytes, at) {
                b',' => at = space(bytes, at + 1),
                b'}' => return Ok(at + 1),
                _ => return Err(Stop::Fault),
            }
        }
    }

    /// Whether nothing else matters in the object at a step, now that the member that leads to
    /// `child` has been read up to a place.
    fn is_done(&mut self, node: u32, child: u32, to: usize) -> Result<bool, Stop> {
        self.complete |= self.paths.below(child);
        if self.watch.is_enough(self.complete, self.values) {
            self.read = to;
            return Err(Stop::Enough);
        }
        let tangled = self.values.tangled != 0;
        Ok(!tangled && node != ROOT && self.watch.is_complete(self.paths.below(node), self.complete))
    }

    #[cold]
    fn long_child(&mut self, node: u32, name: Span) -> Option<u32> {
        let text = &self.bytes[name.from..name.to];
        // A dot may be written as an escape.
        if name.escaped || text.contains(&b'.') {
            return self.dotted(node, name);
        }
        self.paths.child(node, text)
    }

    /// The step that a member's name leads to; a dotted name is several.
    fn dotted(&mut self, node: u32, name: Span) -> Option<u32> {
        let (text, length) = (self.text_of(name), self.values.buffer.len());
        if name.escaped {
            unescape(text, &mut self.values.buffer);
        }
        let name = if name.escaped { &self.values.buffer[length..] } else { text };
        let mut steps = name.split('.').peekable();
        let (mut found, mut tangled) = (Some(node), 0);
        while let (Some(node), Some(step)) = (found, steps.next()) {
            found = self.paths.child(node, step.as_bytes());
            if let (Some(child), Some(_)) = (found, steps.peek()) {
                let met = mark(self.marks, self.values.event, child, BEFORE_DOT);
                if met & AS_OTHER != 0 {
                    tangled |= self.paths.part(child);
                }
            }
        }
        self.values.buffer.truncate(length);
        self.values.tangled |= tangled;
        found
    }

    fn text_of(&self, span: Span) -> &'e str {
        std::str::from_utf8(&self.bytes[span.from..span.to]).unwrap_or_default()
    }

    /// The value of a member that a path leads to or through.
    fn member(&mut self, node: u32, at: usize, depth: usize) -> Result<usize, Stop> {
        let object = peek(self.bytes, at) == b'{';
        let met = mark(self.marks, self.values.event, node, if object { AS_OBJECT } else { AS_OTHER });
        if met & (AS_OBJECT | AS_OTHER) != 0 || !object && met & BEFORE_DOT != 0 {
            self.values.tangled |= self.paths.part(node);
        }
        self.value(node, at, depth)
    }

    fn value(&mut self, node: u32, at: usize, depth: usize) -> Result<usize, Stop> {
        match peek(self.bytes, at) {
            b'{' if self.paths.has_children(node) => self.object(node, at, depth),
            b'{' => scan::skip(self.bytes, at, depth),
            b'[' => self.array(node, at, depth),
            _ => match self.paths.ending(node) {
                Some(path) => self.scalar(path, at),
                None => scan::skip(self.bytes, at, depth),
            },
        }
    }

    fn array(&mut self, node: u32, at: usize, depth: usize) -> Result<usize, Stop> {
        if depth >= MAX_JSON_DEPTH {
            return Err(Stop::Fault);
        }
        let bytes = self.bytes;
        let mut at = space(bytes, at + 1);
        if peek(bytes, at) == b']' {
            return Ok(at + 1);
        }
        self.arrays += 1;
        loop {
            let bracket = peek(bytes, at);
            if bracket == b'[' || bracket == b'{' && self.paths.has_children(node) {
                self.values.tangled |= self.paths.part(node);
            }
            at = space(bytes, self.value(node, at, depth + 1)?);
            match peek(bytes, at) {
                b',' => at = space(bytes, at + 1),
                b']' => {
                    self.arrays -= 1;
                    return Ok(at + 1);
                }
                _ => return Err(Stop::Fault),
            }
        }
    }

    fn scalar(&mut self, path: u32, from: usize) -> Result<usize, Stop> {
        let bytes = self.bytes;
        let (kind, literal, to) = match peek(bytes, from) {
            b'"' => return self.text(path, from),
            b't' => (Kind::Bool(true), TRUE, scan::literal(bytes, from, b"true")?),
            b'f' => (Kind::Bool(false), FALSE, scan::literal(bytes, from, b"false")?),
            b'n' => (Kind::Null, NULL, scan::literal(bytes, from, b"null")?),
            b'-' | b'0'..=b'9' => {
                let to = scan::number(bytes, from)?;
                let here = self.paths.path(path);
                let place = if here.numbers { line::number(&bytes[from..to]) } else { None };
                let literal = place.and_then(|place| here.number(place));
                let place = place.map(|place| (place, here.number_ruler.as_ref()));
                self.values.push(path, Kind::Number, At::Event(from, to), literal, place);
                return Ok(to);
            }
            _ => return Err(Stop::Fault),
        };
        self.values.push(path, kind, At::Event(from, from), Some(literal), None);
        Ok(to)
    }

    fn text(&mut self, path: u32, from: usize) -> Result<usize, Stop> {
        let span = scan::string(self.bytes, from + 1)?;
        let here = self.paths.path(path);
        let (at, bytes, from, to) = if span.escaped {
            let (raw, from) = (self.text_of(span), self.values.buffer.len());
            unescape(raw, &mut self.values.buffer);
            let to = self.values.buffer.len();
            (At::Buffer(from, to), self.values.buffer.as_bytes(), from, to)
        } else {
            (At::Event(span.from, span.to), self.bytes, span.from, span.to)
        };
        let (literal, text) = (here.text_between(bytes, from, to), &bytes[from..to]);
        if here.affixes.len() > 0 {
            self.values.parts.note(self.values.event, path, &here.affixes, text);
        }
        let place = if here.addresses { line::address(text) } else { None };
        let place = place.map(|place| (place, here.address_ruler.as_ref()));
        self.values.push(path, Kind::Text, at, literal, place);
        Ok(span.to + 1)
    }
}

/// Marks how a step was met; what was there before.
fn mark(marks: &mut Marks, event: u64, node: u32, way: u64) -> u64 {
    let mark = &mut marks.0[node as usize];
    let met = if *mark >> WAYS == event { *mark & ((1 << WAYS) - 1) } else { 0 };
    *mark = event << WAYS | met | way;
    met
}
