//! What one event has at the paths that patterns name, and the buffers that are used again for
//! the next one.

use super::affix::Affixes;
use super::compile::key;
use super::line;
use super::paths::{PART, Path, Paths};
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

/// No stretch of a ruler.
const NO_STRETCH: u16 = u16::MAX;

/// Where a value's text stands: in the event, or in the buffer of texts that had escapes.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) buffered: bool,
}

/// One value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    at: At,
    /// Its mark on the path's ruler, and the stretch where that lies.
    pub(super) mark: u64,
    stretch: u16,
    pub(super) kind: Kind,
    pub(super) path: u32,
    /// Its number among the literals that patterns name there.
    pub(super) literal: u32,
    /// Where its place is kept, as number or as address, where patterns ask for that.
    place: u32,
    next: u32,
}

impl Seen {
    #[inline]
    pub(super) fn stretch(&self) -> Option<u16> {
        (self.stretch != NO_STRETCH).then_some(self.stretch)
    }
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
    places: Vec<u128>,
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
    fn note(&mut self, event: u64, path: u32, affixes: &Affixes, text: &[u8]) {
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
        self.places.clear();
        self.buffer.clear();
        self.parts.begin(paths);
        self.tangled = 0;
        if self.ends.len() < paths.len() {
            self.ends.resize(paths.len(), (0, END, END));
        }
    }

    /// Adds a value, whose literal may be none of those that patterns name.
    #[inline]
    pub(super) fn push(&mut self, path: u32, kind: Kind, at: At, literal: u32) {
        let id = self.list.len() as u32;
        let (mark, stretch, place, next) = (0, NO_STRETCH, END, END);
        self.list.push(Seen { at, mark, stretch, kind, path, literal, place, next });
        let ends = &mut self.ends[path as usize];
        if ends.0 == self.event {
            self.list[ends.2 as usize].next = id;
            ends.2 = id;
        } else {
            *ends = (self.event, id, id);
        }
    }

    /// Notes the place of the value that was added last.
    #[inline]
    pub(super) fn locate(&mut self, place: u128, ruler: Option<&Ruler>) {
        let Some(seen) = self.list.last_mut() else { return };
        seen.place = self.places.len() as u32;
        self.places.push(place);
        if let Some(ruler) = ruler {
            seen.mark = ruler.mark(place);
            seen.stretch = ruler.stretch(seen.mark) as u16;
        }
    }

    /// Notes what a text that was added last has of what patterns ask for.
    pub(super) fn note(&mut self, path: u32, here: &Path, text: &[u8]) {
        if here.affixes.len() > 0 {
            self.parts.note(self.event, path, &here.affixes, text);
        }
        if let Some(place) = here.addresses.then(|| line::address(text)).flatten() {
            self.locate(place, here.address_ruler.as_ref());
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
        let At { from, to, buffered } = seen.at;
        let text = match buffered {
            false => event.get(from..to).and_then(|text| std::str::from_utf8(text).ok()),
            true => self.buffer.get(from..to),
        };
        let text = text.unwrap_or_default();
        let place = self.places.get(seen.place as usize).copied();
        match seen.kind {
            Kind::Null => Value::Null,
            Kind::Bool(b) => Value::Bool(b),
            Kind::Number => Value::Number(text, place),
            Kind::Text => Value::Text(text, place),
        }
    }
}
