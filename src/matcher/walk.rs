//! One walk over an event's bytes: keeps the values at the paths that patterns name, goes past the
//! rest, and validates all that it reads: all of it, unless it may stop early.
//!
//! As long as no named part of the event has an array of objects, arrays in arrays or copies of a
//! key, a pattern holds where each of its fields holds by itself. Where a part has one, it is
//! marked as tangled.

use std::sync::Arc;

use super::early::Watch;
use super::line;
use super::names::{Names, place};
use super::paths::{FALSE, NULL, Node, Path, Paths, ROOT, SOURCE, TRUE, UNNAMED};
use super::scan::{self, Span, Stop, Text, peek, space, unescape};
use super::table::Short;
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

/// What stands in an object.
enum Name {
    /// A member: the step that its name leads to, if any, and where its value stands.
    Member(u32, usize),
    /// Behind the end.
    End(usize),
}

/// A walk over bytes that are UTF-8. What reads a value returns where it ends.
pub(super) struct Walk<'w, 'e, W> {
    text: Text<'e, 'w>,
    paths: &'w Paths,
    values: &'w mut Values,
    marks: &'w mut Marks,
    names: &'w mut Names,
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
        text: Text<'e, 'w>,
        paths: &'w Arc<Paths>,
        values: &'w mut Values,
        marks: &'w mut Marks,
        names: &'w mut Names,
        watch: W,
    ) -> Self {
        if marks.0.len() < paths.nodes() {
            marks.0.resize(paths.nodes(), 0);
        }
        names.begin(paths);
        Self { text, paths, values, marks, names, watch, complete: 0, read: 0, arrays: 0 }
    }

    /// How much of the event was read, where it stopped early.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    /// Walks an event from a source; whether it is an object.
    pub(super) fn event(&mut self, source: Option<&str>) -> Result<bool, Stop> {
        self.values.begin(self.paths);
        if let Some(source) = source {
            let literal = self.paths.path(SOURCE).text(source.as_bytes()).unwrap_or(UNNAMED);
            self.values.push(SOURCE, Kind::Text, At { from: 0, to: 0, buffered: true }, literal);
        }
        let at = space(self.text.bytes, 0);
        let object = peek(self.text.bytes, at) == b'{';
        let end = if object { self.object(ROOT, at, 0)? } else { scan::skip(&mut self.text, at, 0)? };
        if space(self.text.bytes, end) == self.text.bytes.len() { Ok(object) } else { Err(Stop::Fault) }
    }

    fn object(&mut self, node: u32, at: usize, depth: usize) -> Result<usize, Stop> {
        if depth >= MAX_JSON_DEPTH {
            return Err(Stop::Fault);
        }
        let bytes = self.text.bytes;
        let (mut at, mut first) = (at + 1, true);
        loop {
            let child;
            (child, at) = match self.names.guess(bytes, at, place(node, first)) {
                Some(guessed) => guessed,
                None => match self.name(node, at, first)? {
                    Name::Member(child, at) => (child, at),
                    Name::End(at) => return Ok(at),
                },
            };
            first = false;
            if child == UNNAMED {
                at = scan::skip(&mut self.text, at, depth + 1)?;
            } else {
                at = self.member(child, at, depth + 1)?;
                if W::STOPS && self.arrays == 0 && self.is_done(node, child, at)? {
                    return scan::skip_members(&mut self.text, at, depth);
                }
            }
        }
    }

    /// Reads the object's end or a name that was not guessed.
    fn name(&mut self, node: u32, from: usize, first: bool) -> Result<Name, Stop> {
        let bytes = self.text.bytes;
        let mut at = space(bytes, from);
        match peek(bytes, at) {
            b'}' => return Ok(Name::End(at + 1)),
            b',' if !first => at = space(bytes, at + 1),
            b'"' if first => {}
            _ => return Err(Stop::Fault),
        }
        if peek(bytes, at) != b'"' {
            return Err(Stop::Fault);
        }
        let here = self.paths.node(node);
        let name = scan::string(&mut self.text, at + 1)?;
        let value = scan::colon(bytes, name.to + 1)?;
        let short = if name.escaped { None } else { Short::between(bytes, name.from, name.to) };
        let child = match short {
            Some(short) if !here.goes_on() || !short.is_dotted() => {
                let child = here.child(short).unwrap_or(UNNAMED);
                self.names.learn(bytes, (from, value), place(node, first), child);
                child
            }
            _ => self.long_child(node, name).unwrap_or(UNNAMED),
        };
        Ok(Name::Member(child, value))
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
        let text = &self.text.bytes[name.from..name.to];
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
                    tangled |= self.paths.node(child).part();
                }
            }
        }
        self.values.buffer.truncate(length);
        self.values.tangled |= tangled;
        found
    }

    fn text_of(&self, span: Span) -> &'e str {
        std::str::from_utf8(&self.text.bytes[span.from..span.to]).unwrap_or_default()
    }

    /// The value of a member that a path leads to or through, which space may precede.
    #[inline(always)]
    fn member(&mut self, child: u32, at: usize, depth: usize) -> Result<usize, Stop> {
        let node = self.paths.node(child);
        let at = space(self.text.bytes, at);
        let way = if peek(self.text.bytes, at) == b'{' { AS_OBJECT } else { AS_OTHER };
        let met = mark(self.marks, self.values.event, child, way);
        if met != 0 && (met & (AS_OBJECT | AS_OTHER) != 0 || way == AS_OTHER && met & BEFORE_DOT != 0) {
            self.values.tangled |= node.part();
        }
        self.value(child, node, at, depth)
    }

    #[inline(always)]
    fn value(&mut self, id: u32, node: &Node, at: usize, depth: usize) -> Result<usize, Stop> {
        match (peek(self.text.bytes, at), node.path()) {
            (b'"', Some(path)) => self.text(path, at),
            (b'{', _) if node.has_children() => self.object(id, at, depth),
            (b'[', _) => self.array(id, at, depth),
            (b'"' | b'{', _) | (_, None) => scan::skip(&mut self.text, at, depth),
            (_, Some(path)) => self.scalar(path, at),
        }
    }

    #[inline(never)]
    fn array(&mut self, node: u32, at: usize, depth: usize) -> Result<usize, Stop> {
        if depth >= MAX_JSON_DEPTH {
            return Err(Stop::Fault);
        }
        let bytes = self.text.bytes;
        let here = self.paths.node(node);
        let mut at = space(bytes, at + 1);
        if peek(bytes, at) == b']' {
            return Ok(at + 1);
        }
        self.arrays += 1;
        loop {
            let bracket = peek(bytes, at);
            if bracket == b'[' || bracket == b'{' && here.has_children() {
                self.values.tangled |= here.part();
            }
            at = space(bytes, self.value(node, here, at, depth + 1)?);
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
        let bytes = self.text.bytes;
        let (kind, literal, to) = match peek(bytes, from) {
            b't' => (Kind::True, TRUE, scan::literal(bytes, from, b"true")?),
            b'f' => (Kind::False, FALSE, scan::literal(bytes, from, b"false")?),
            b'n' => (Kind::Null, NULL, scan::literal(bytes, from, b"null")?),
            b'-' | b'0'..=b'9' => return self.number(path, from),
            _ => return Err(Stop::Fault),
        };
        self.values.push(path, kind, At { from, to, buffered: false }, literal);
        Ok(to)
    }

    fn number(&mut self, path: u32, from: usize) -> Result<usize, Stop> {
        let to = scan::number(self.text.bytes, from)?;
        let (here, at) = (self.paths.path(path), At { from, to, buffered: false });
        let place = if here.numbers { line::number(&self.text.bytes[from..to]) } else { None };
        let literal = place.and_then(|place| here.number(place)).unwrap_or(UNNAMED);
        self.values.push(path, Kind::Number, at, literal);
        if let Some(place) = place {
            self.values.locate(place, here.number_ruler.as_ref());
        }
        Ok(to)
    }

    #[inline]
    fn text(&mut self, path: u32, from: usize) -> Result<usize, Stop> {
        let Span { from, to, escaped } = scan::string(&mut self.text, from + 1)?;
        let here = self.paths.path(path);
        if escaped {
            self.escaped_text(path, here, from, to);
        } else {
            let literal = here.text_between(self.text.bytes, from, to).unwrap_or(UNNAMED);
            self.values.push(path, Kind::Text, At { from, to, buffered: false }, literal);
            if here.wants_texts() {
                self.values.note(path, here, &self.text.bytes[from..to]);
            }
        }
        Ok(to + 1)
    }

    #[cold]
    fn escaped_text(&mut self, path: u32, here: &Path, from: usize, to: usize) {
        let raw = self.text_of(Span { from, to, escaped: true });
        let from = self.values.buffer.len();
        unescape(raw, &mut self.values.buffer);
        let to = self.values.buffer.len();
        let literal = here.text_between(self.values.buffer.as_bytes(), from, to).unwrap_or(UNNAMED);
        self.values.push(path, Kind::Text, At { from, to, buffered: true }, literal);
        if here.wants_texts() {
            let buffer = std::mem::take(&mut self.values.buffer);
            self.values.note(path, here, &buffer.as_bytes()[from..to]);
            self.values.buffer = buffer;
        }
    }
}

/// Marks how a step was met; what was there before.
fn mark(marks: &mut Marks, event: u64, node: u32, way: u64) -> u64 {
    let mark = &mut marks.0[node as usize];
    let met = if *mark >> WAYS == event { *mark & ((1 << WAYS) - 1) } else { 0 };
    *mark = event << WAYS | met | way;
    met
}
