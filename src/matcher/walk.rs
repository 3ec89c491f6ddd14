//! One walk over an event's bytes: keeps the values at the paths that patterns name, goes past the
//! rest, and validates all of it.
//!
//! As long as no named part of the event has an array of objects, arrays in arrays or copies of a
//! key, a pattern holds where each of its fields holds by itself. Where a part has one, it is
//! marked as tangled.

use super::line;
use super::paths::{FALSE, NULL, Paths, ROOT, SOURCE, TRUE};
use super::scan::{Scan, Span, Stop, unescape};
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

pub(super) struct Walk<'w, 'e> {
    scan: Scan<'e>,
    text: &'e str,
    paths: &'w Paths,
    values: &'w mut Values,
    marks: &'w mut Marks,
}

impl<'w, 'e> Walk<'w, 'e> {
    pub(super) fn new(text: &'e str, paths: &'w Paths, values: &'w mut Values, marks: &'w mut Marks) -> Self {
        if marks.0.len() < paths.nodes() {
            marks.0.resize(paths.nodes(), 0);
        }
        Self { scan: Scan { bytes: text.as_bytes(), at: 0 }, text, paths, values, marks }
    }

    /// Walks an event from a source; whether it is an object.
    pub(super) fn event(&mut self, source: Option<&str>) -> Result<bool, Stop> {
        self.values.begin(self.paths);
        if let Some(source) = source {
            let literal = self.paths.path(SOURCE).text(source.as_bytes());
            self.values.push(SOURCE, Kind::Text, At::Buffer(0, 0), literal, None);
        }
        self.scan.space();
        let object = self.scan.peek() == b'{';
        if object {
            self.object(ROOT, 0)?;
        } else {
            self.scan.skip(0)?;
        }
        self.scan.space();
        if self.scan.at == self.text.len() { Ok(object) } else { Err(Stop) }
    }

    fn object(&mut self, node: u32, depth: usize) -> Result<(), Stop> {
        if depth >= MAX_JSON_DEPTH {
            return Err(Stop);
        }
        self.scan.at += 1;
        self.scan.space();
        if self.scan.peek() == b'}' {
            self.scan.at += 1;
            return Ok(());
        }
        loop {
            let name = self.scan.string()?;
            self.scan.colon()?;
            match self.named(node, name) {
                Some(child) => self.member(child, depth + 1)?,
                None => self.scan.skip(depth + 1)?,
            }
            self.scan.space();
            match self.scan.peek() {
                b',' => self.scan.at += 1,
                b'}' => break,
                _ => return Err(Stop),
            }
            self.scan.space();
        }
        self.scan.at += 1;
        Ok(())
    }

    /// The step that a member's name leads to; a dotted name is several.
    #[inline]
    fn named(&mut self, node: u32, name: Span) -> Option<u32> {
        if !name.dotted {
            return self.paths.child(node, &self.scan.bytes[name.from..name.to]);
        }
        self.dotted(node, name)
    }

    fn dotted(&mut self, node: u32, name: Span) -> Option<u32> {
        let (text, length) = (&self.text[name.from..name.to], self.values.buffer.len());
        if name.escaped {
            unescape(text, &mut self.values.buffer);
        }
        let name = if name.escaped { &self.values.buffer[length..] } else { text };
        let mut steps = name.split('.').peekable();
        let mut found = Some(node);
        let mut tangled = 0;
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

    /// The value of a member that a path leads to or through.
    fn member(&mut self, node: u32, depth: usize) -> Result<(), Stop> {
        let object = self.scan.peek() == b'{';
        let met = mark(self.marks, self.values.event, node, if object { AS_OBJECT } else { AS_OTHER });
        if met & (AS_OBJECT | AS_OTHER) != 0 || !object && met & BEFORE_DOT != 0 {
            self.values.tangled |= self.paths.part(node);
        }
        self.value(node, depth)
    }

    fn value(&mut self, node: u32, depth: usize) -> Result<(), Stop> {
        match self.scan.peek() {
            b'{' if self.paths.has_children(node) => self.object(node, depth),
            b'{' => self.scan.skip(depth),
            b'[' => self.array(node, depth),
            _ => match self.paths.ending(node) {
                Some(path) => self.scalar(path),
                None => self.scan.skip(depth),
            },
        }
    }

    fn array(&mut self, node: u32, depth: usize) -> Result<(), Stop> {
        if depth >= MAX_JSON_DEPTH {
            return Err(Stop);
        }
        self.scan.at += 1;
        self.scan.space();
        if self.scan.peek() == b']' {
            self.scan.at += 1;
            return Ok(());
        }
        loop {
            let nested = self.scan.peek() == b'[';
            if nested || self.scan.peek() == b'{' && self.paths.has_children(node) {
                self.values.tangled |= self.paths.part(node);
            }
            self.value(node, depth + 1)?;
            self.scan.space();
            match self.scan.peek() {
                b',' => self.scan.at += 1,
                b']' => break,
                _ => return Err(Stop),
            }
            self.scan.space();
        }
        self.scan.at += 1;
        Ok(())
    }

    fn scalar(&mut self, path: u32) -> Result<(), Stop> {
        let from = self.scan.at;
        let here = self.paths.path(path);
        let (kind, literal) = match self.scan.peek() {
            b'"' => return self.text(path),
            b't' => {
                self.scan.literal(b"true")?;
                (Kind::Bool(true), Some(TRUE))
            }
            b'f' => {
                self.scan.literal(b"false")?;
                (Kind::Bool(false), Some(FALSE))
            }
            b'n' => {
                self.scan.literal(b"null")?;
                (Kind::Null, Some(NULL))
            }
            b'-' | b'0'..=b'9' => {
                self.scan.number()?;
                let at = At::Event(from, self.scan.at);
                let place =
                    if here.numbers { line::number(&self.scan.bytes[from..self.scan.at]) } else { None };
                let literal = place.and_then(|place| here.number(place));
                self.values.push(path, Kind::Number, at, literal, place);
                return Ok(());
            }
            _ => return Err(Stop),
        };
        self.values.push(path, kind, At::Event(from, from), literal, None);
        Ok(())
    }

    fn text(&mut self, path: u32) -> Result<(), Stop> {
        let span = self.scan.string()?;
        let here = self.paths.path(path);
        let raw = &self.text[span.from..span.to];
        let (at, text) = if span.escaped {
            let from = self.values.buffer.len();
            unescape(raw, &mut self.values.buffer);
            (At::Buffer(from, self.values.buffer.len()), &self.values.buffer[from..])
        } else {
            (At::Event(span.from, span.to), raw)
        };
        let literal = here.text(text.as_bytes());
        let place = if here.addresses { line::address(text) } else { None };
        self.values.push(path, Kind::Text, at, literal, place);
        Ok(())
    }
}

/// Marks how a step was met; what was there before.
fn mark(marks: &mut Marks, event: u64, node: u32, way: u64) -> u64 {
    let mark = &mut marks.0[node as usize];
    let met = if *mark >> WAYS == event { *mark & ((1 << WAYS) - 1) } else { 0 };
    *mark = event << WAYS | met | way;
    met
}
