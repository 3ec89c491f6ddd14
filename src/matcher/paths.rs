//! The paths that patterns name, as a tree over their steps, and the literals named at each.

use std::sync::Arc;

use super::affix::Affixes;
use super::early::bit;
use super::line;
use super::ruler::Ruler;
use super::table::{Short, ShortMap, Table, hash, hash_number};
use crate::pattern::Test;

/// The whole event.
pub(super) const ROOT: u32 = 0;

/// The path that stands for the event's source; no member of an event leads to it.
pub(super) const SOURCE: u32 = 0;

/// A value that no pattern names at its path.
pub(super) const UNNAMED: u32 = u32::MAX;

/// In a key, marks the number of a part of a text in the place of a literal.
pub(super) const PART: u32 = 1 << 31;

/// The literals that every path has.
pub(super) const NULL: u32 = 0;
pub(super) const FALSE: u32 = 1;
pub(super) const TRUE: u32 = 2;

/// Steps and paths. Those of rules that were replaced stay until the next whole compilation.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
    paths: Vec<Arc<Path>>,
    have_rulers: bool,
    /// How many parts of texts are numbered.
    parts: u32,
}

/// One step's place.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    short: ShortMap,
    /// The bits of the names in `short`: most other names have none of them.
    filter: u64,
    /// The places of longer names in `names`.
    long: Table,
    /// Each with the step that it leads to.
    names: Vec<(Box<str>, u32)>,
    /// The path that ends here.
    path: Option<u32>,
    part: u64,
    /// The bits of the paths that end here or below.
    below: u64,
    /// Whether there are steps behind the next one.
    goes_on: bool,
}

/// What is known of one path.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    /// A bit for the path's first step. Steps beyond 64 share bits.
    pub(super) part: u64,
    /// Whether a pattern asks for numbers here.
    pub(super) numbers: bool,
    /// Whether a pattern asks for addresses here.
    pub(super) addresses: bool,
    pub(super) affixes: Affixes,
    pub(super) number_ruler: Option<Ruler>,
    pub(super) address_ruler: Option<Ruler>,
    /// Where ranges begin and behind which they end, until rulers are made of them.
    number_ends: Vec<u128>,
    address_ends: Vec<u128>,
    short_texts: ShortMap,
    long_texts: Table,
    places: Table,
    literals: Vec<Literal>,
}

/// A value that a pattern names.
#[derive(Clone, Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Text(Box<str>),
    Number(u128),
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            paths: vec![Arc::new(Path::new(0))],
            have_rulers: false,
            parts: 0,
        }
    }
}

impl Paths {
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }

    pub(super) fn path(&self, path: u32) -> &Path {
        &self.paths[path as usize]
    }

    /// The path's entry for a change; one that a snapshot shares is copied.
    pub(super) fn path_mut(&mut self, path: u32) -> &mut Path {
        Arc::make_mut(&mut self.paths[path as usize])
    }

    pub(super) fn parts(&self) -> usize {
        self.parts as usize
    }

    /// Notes the part of a text that a test needs.
    pub(super) fn add_part(&mut self, path: u32, test: &Test) {
        let mut next = self.parts;
        self.path_mut(path).affixes.add(test, &mut next);
        self.parts = next;
    }

    pub(super) fn have_rulers(&self) -> bool {
        self.have_rulers
    }

    /// Makes the rulers, once every rule has noted its ranges.
    pub(super) fn make_rulers(&mut self) {
        self.have_rulers = true;
        for path in &mut self.paths {
            if !path.number_ends.is_empty() || !path.address_ends.is_empty() {
                let path = Arc::make_mut(path);
                path.number_ruler = Ruler::new(std::mem::take(&mut path.number_ends));
                path.address_ruler = Ruler::new(std::mem::take(&mut path.address_ends));
            }
        }
    }

    /// The bits of the paths that end at a step or below it.
    pub(super) fn below(&self, node: u32) -> u64 {
        self.nodes[node as usize].below
    }

    pub(super) fn child(&self, node: u32, name: &[u8]) -> Option<u32> {
        match Short::new(name) {
            Some(name) => self.node(node).child(name),
            None => {
                let Node { long, names, .. } = &self.nodes[node as usize];
                let found = long.find(hash(name), |id| names[id as usize].0.as_bytes() == name)?;
                Some(names[found as usize].1)
            }
        }
    }

    pub(super) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    /// The path of these steps, made where it is new.
    pub(super) fn intern(&mut self, steps: &[Box<str>]) -> u32 {
        let node = steps.iter().fold(ROOT, |node, step| self.step(node, step));
        if let Some(path) = self.node(node).path {
            return path;
        }
        let path = self.paths.len() as u32;
        self.paths.push(Arc::new(Path::new(self.node(node).part)));
        self.nodes[node as usize].path = Some(path);
        let mut node = ROOT;
        self.nodes[node as usize].below |= bit(path);
        for (i, step) in steps.iter().enumerate() {
            self.nodes[node as usize].goes_on |= i + 1 < steps.len();
            node = self.step(node, step);
            self.nodes[node as usize].below |= bit(path);
        }
        path
    }

    fn step(&mut self, from: u32, name: &str) -> u32 {
        if let Some(child) = self.child(from, name.as_bytes()) {
            return child;
        }
        let child = self.nodes.len() as u32;
        let node = &mut self.nodes[from as usize];
        let id = node.names.len() as u32;
        let part = if from == ROOT { 1 << (id % 64) } else { node.part };
        match Short::new(name.as_bytes()) {
            Some(name) => {
                node.filter |= name.bit();
                node.short.insert(name, child);
            }
            None => node.long.insert(hash(name.as_bytes()), id),
        }
        node.names.push((name.into(), child));
        self.nodes.push(Node { part, ..Node::default() });
        child
    }
}

impl Node {
    /// Where a short name leads.
    #[inline]
    pub(super) fn child(&self, name: Short) -> Option<u32> {
        if self.filter & name.bit() == 0 { None } else { self.short.get(name) }
    }

    /// The path that ends here.
    #[inline]
    pub(super) fn path(&self) -> Option<u32> {
        self.path
    }

    #[inline]
    pub(super) fn part(&self) -> u64 {
        self.part
    }

    #[inline]
    pub(super) fn has_children(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether a dotted name can lead anywhere.
    #[inline]
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }
}

impl Path {
    fn new(part: u64) -> Self {
        let literals = vec![Literal::Null, Literal::Bool(false), Literal::Bool(true)];
        Self { part, literals, ..Self::default() }
    }

    /// Notes the ends of a range of numbers, both included.
    pub(super) fn add_numbers(&mut self, (low, high): (u128, u128)) {
        self.number_ends.extend((low > 0).then_some(low).into_iter().chain(high.checked_add(1)));
    }

    /// Notes the ends of a range of addresses, both included.
    pub(super) fn add_addresses(&mut self, (low, high): (u128, u128)) {
        self.address_ends.extend((low > 0).then_some(low).into_iter().chain(high.checked_add(1)));
    }

    /// Whether more is asked of a text than which literal it is.
    #[inline]
    pub(super) fn wants_texts(&self) -> bool {
        self.addresses || self.affixes.len() > 0
    }

    /// How many values patterns name here.
    pub(super) fn literals(&self) -> usize {
        self.literals.len()
    }

    pub(super) fn literal(&self, id: u32) -> &Literal {
        &self.literals[id as usize]
    }

    pub(super) fn text(&self, text: &[u8]) -> Option<u32> {
        self.text_between(text, 0, text.len())
    }

    /// The literal that stands between two places of a text.
    #[inline]
    pub(super) fn text_between(&self, bytes: &[u8], from: usize, to: usize) -> Option<u32> {
        match Short::between(bytes, from, to) {
            Some(short) => self.short_texts.get(short),
            None => {
                let text = &bytes[from..to];
                let is = |id| matches!(&self.literals[id as usize], Literal::Text(t) if t.as_bytes() == text);
                self.long_texts.find(hash(text), is)
            }
        }
    }

    pub(super) fn number(&self, place: u128) -> Option<u32> {
        let is = |id| matches!(&self.literals[id as usize], Literal::Number(p) if *p == place);
        self.places.find(hash_number(place), is)
    }

    pub(super) fn add_text(&mut self, text: &str) -> u32 {
        self.text(text.as_bytes()).unwrap_or_else(|| {
            let id = self.literals.len() as u32;
            self.literals.push(Literal::Text(text.into()));
            match Short::new(text.as_bytes()) {
                Some(short) => self.short_texts.insert(short, id),
                None => self.long_texts.insert(hash(text.as_bytes()), id),
            }
            id
        })
    }

    /// Adds a number whose place is its own.
    pub(super) fn add_number(&mut self, place: u128) -> u32 {
        debug_assert!(!line::is_shared(place));
        self.number(place).unwrap_or_else(|| {
            let id = self.literals.len() as u32;
            self.literals.push(Literal::Number(place));
            self.places.insert(hash_number(place), id);
            id
        })
    }
}
