//! What one event has at the paths that patterns name, and the buffers that are used again for
//! the next one.

use super::affix::Affixes;
use super::compile::key;
use super::paths::{PART, Paths, UNNAMED};
use super::ruler::Ruler;

/// The end of a list.
const END: u32 = u32::MAX;

/// A value's kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number,
    Text,
}

/// Where a value's text stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    Event(usize, usize),
    /// In the buffer of texts that had escapes.
    Buffer(usize, usize),
}

/// One value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) path: u32,
    /// Its number among the literals that patterns name there.
    pub(super) literal: u32,
    pub(super) kind: Kind,
    pub(super) at: At,
    /// Its place as number or as address, where patterns ask for that.
    pub(super) place: Option<u128>,
    /// Its mark on the path's ruler, and the stretch where that lies.
    pub(super) mark: u64,
    pub(super) stretch: Option<u16>,
    next: u32,
}

/// A value as tests see it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str, Option<u128>),
    Text(&'a str, Option<u128>),
}

/// How many values a path has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Only<'v> {
    None,
    One(&'v Seen),
    Many,
}

/// The values of one event. Marks of earlier events are told by their number, so that nothing has
/// to be cleared.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) event: u64,
    pub(super) list: Vec<Seen>,
    /// The first and last value of each path, and the event that they belong to.
    ends: Vec<(u64, u32, u32)>,
    pub(super) buffer: String,
    pub(super) parts: Parts,
    /// The parts of the event in which elements of arrays or copies of keys must be told apart.
    pub(super) tangled: u64,
}

/// The parts of texts that rules ask for.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Those that the event has, each once.
    pub(super) keys: Vec<u64>,
    /// The event in which each part was met last.
    met: Vec<u64>,
    folded: String,
}

impl Parts {
    fn begin(&mut self, paths: &Paths) {
        self.keys.clear();
        if self.met.len() < paths.parts() {
            self.met.resize(paths.parts(), 0);
        }
    }

    /// Notes the parts that a text of an event has.
    pub(super) fn note(&mut self, event: u64, path: u32, affixes: &Affixes, text: &[u8]) {
        let Self { keys, met, folded } = self;
        let text = std::str::from_utf8(text).unwrap_or_default();
        affixes.each(text, folded, |part| {
            if std::mem::replace(&mut met[part as usize], event) != event {
                keys.push(key(path, PART | part));
            }
        });
    }
}

impl Values {
    pub(super) fn begin(&mut self, paths: &Paths) {
        self.event += 1;
        self.list.clear();
        self.buffer.clear();
        self.parts.begin(paths);
        self.tangled = 0;
        if self.ends.len() < paths.len() {
            self.ends.resize(paths.len(), (0, END, END));
        }
    }

    #[inline]
    pub(super) fn push(
        &mut self,
        path: u32,
        kind: Kind,
        at: At,
        literal: Option<u32>,
        place: Option<(u128, Option<&Ruler>)>,
    ) {
        let id = self.list.len() as u32;
        let (mut mark, mut stretch) = (0, None);
        if let Some((place, Some(ruler))) = place {
            mark = ruler.mark(place);
            stretch = Some(ruler.stretch(mark) as u16);
        }
        let place = place.map(|(place, _)| place);
        self.list.push(Seen {
            path,
            literal: literal.unwrap_or(UNNAMED),
            kind,
            at,
            place,
            mark,
            stretch,
            next: END,
        });
        let ends = &mut self.ends[path as usize];
        if ends.0 == self.event {
            self.list[ends.2 as usize].next = id;
            ends.2 = id;
        } else {
            *ends = (self.event, id, id);
        }
    }

    /// Whether this value is the first one of its path.
    pub(super) fn is_first(&self, id: usize) -> bool {
        self.list.get(id).is_some_and(|seen| self.ends[seen.path as usize].1 as usize == id)
    }

    pub(super) fn first(&self, path: u32) -> Option<&Seen> {
        match self.ends.get(path as usize) {
            Some((event, first, _)) if *event == self.event => self.list.get(*first as usize),
            _ => None,
        }
    }

    /// How many values a path has.
    #[inline]
    pub(super) fn only(&self, path: u32) -> Only<'_> {
        match self.ends.get(path as usize) {
            Some((event, first, last)) if *event == self.event => match self.list.get(*first as usize) {
                Some(seen) if first == last => Only::One(seen),
                _ => Only::Many,
            },
            _ => Only::None,
        }
    }

    pub(super) fn next(&self, seen: &Seen) -> Option<&Seen> {
        self.list.get(seen.next as usize)
    }

    /// The values at a path.
    pub(super) fn at(&self, path: u32) -> impl Iterator<Item = &Seen> {
        std::iter::successors(self.first(path), |seen| self.next(seen))
    }

    pub(super) fn value<'a>(&'a self, seen: &Seen, event: &'a [u8]) -> Value<'a> {
        let text = match seen.at {
            At::Event(from, to) => event.get(from..to).and_then(|text| std::str::from_utf8(text).ok()),
            At::Buffer(from, to) => self.buffer.get(from..to),
        };
        let text = text.unwrap_or_default();
        match seen.kind {
            Kind::Null => Value::Null,
            Kind::Bool(b) => Value::Bool(b),
            Kind::Number => Value::Number(text, seen.place),
            Kind::Text => Value::Text(text, seen.place),
        }
    }
}
