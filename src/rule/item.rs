//! The values of a document as they are being read: each knows its place, and tells the document's faults
//! what it lacks.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::document::{Faults, RuleFault, below, cut};
use crate::json::{Member, Node, Value};

/// A value of the document being read.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub(super) node: &'a Node<'a>,
    pub(super) pointer: String,
}

impl<'a> Item<'a> {
    pub(super) const fn root(node: &'a Node<'a>) -> Self {
        Self { node, pointer: String::new() }
    }

    pub(super) fn kind_fault(&self, accepted: &'static str, faults: &mut Faults) {
        let found = self.node.kind();
        faults.add_at(&self.pointer, self.node.at, RuleFault::Kind { found, accepted });
    }

    pub(super) fn text(&self, faults: &mut Faults) -> Option<&'a str> {
        if let Value::Text(text) = &self.node.value {
            return Some(text);
        }
        self.kind_fault("a text", faults);
        None
    }

    /// A text that must parse.
    pub(super) fn parsed<T: FromStr>(&self, faults: &mut Faults) -> Option<T>
    where
        RuleFault: From<T::Err>,
    {
        match self.text(faults)?.parse() {
            Ok(value) => Some(value),
            Err(fault) => {
                faults.add_at(&self.pointer, self.node.at, RuleFault::from(fault));
                None
            }
        }
    }

    pub(super) fn flag(&self, faults: &mut Faults) -> Option<bool> {
        if let Value::Bool(flag) = self.node.value {
            return Some(flag);
        }
        self.kind_fault("true or false", faults);
        None
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&self, most: u32, accepted: &'static str, faults: &mut Faults) -> Option<u32> {
        self.between(1, most, accepted, faults)
    }

    /// A whole number from 0 to `most`.
    pub(super) fn whole(&self, most: u32, accepted: &'static str, faults: &mut Faults) -> Option<u32> {
        self.between(0, most, accepted, faults)
    }

    fn between(&self, least: u32, most: u32, accepted: &'static str, faults: &mut Faults) -> Option<u32> {
        if let Value::Number(text) = self.node.value
            && let Ok(n) = text.parse::<u32>()
            && (least..=most).contains(&n)
        {
            return Some(n);
        }
        match self.node.value {
            Value::Number(_) => faults.add_at(&self.pointer, self.node.at, RuleFault::Number(accepted)),
            _ => self.kind_fault(accepted, faults),
        }
        None
    }

    pub(super) fn items(&self, accepted: &'static str, faults: &mut Faults) -> Option<Vec<Self>> {
        let Value::Array(nodes) = &self.node.value else {
            self.kind_fault(accepted, faults);
            return None;
        };
        let item = |(i, node)| Self { node, pointer: below(&self.pointer, i) };
        Some(nodes.iter().enumerate().map(item).collect())
    }

    /// Those items of an array that can be read; what the others lack has been told.
    pub(super) fn each<T, C: Default + FromIterator<T>>(
        &self,
        accepted: &'static str,
        faults: &mut Faults,
        mut read: impl FnMut(&Self, &mut Faults) -> Option<T>,
    ) -> C {
        let Some(items) = self.items(accepted, faults) else { return C::default() };
        let mut places = Vec::new();
        let read = items.iter().enumerate().filter_map(|(i, item)| {
            let read = read(item, faults)?;
            places.push(i);
            Some(read)
        });
        let read = read.collect();
        if places.len() < items.len() {
            faults.note_places(&self.pointer, places);
        }
        read
    }

    /// The members of an object whose names are free, each once.
    pub(super) fn entries(
        &self,
        accepted: &'static str,
        faults: &mut Faults,
    ) -> Option<Vec<(&'a str, Self)>> {
        let Value::Object(members) = &self.node.value else {
            self.kind_fault(accepted, faults);
            return None;
        };
        let mut entries: Vec<(&str, Self)> = Vec::new();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for member in members {
            if !names.insert(&member.name) {
                let name = cut(&member.name);
                faults.add_at(below(&self.pointer, &name), member.at, RuleFault::RepeatedField(name));
                continue;
            }
            let pointer = below(&self.pointer, &member.name);
            entries.push((&member.name, Self { node: &member.node, pointer }));
        }
        Some(entries)
    }

    /// The members of an object whose names are fixed. A field that is unknown, or stands twice,
    /// is a fault.
    pub(super) fn object(
        &self,
        fields: &'static [&'static str],
        accepted: &'static str,
        faults: &mut Faults,
    ) -> Option<Object<'a>> {
        let Value::Object(members) = &self.node.value else {
            self.kind_fault(accepted, faults);
            return None;
        };
        let mut known: Vec<&'a Member<'a>> = Vec::new();
        for member in members {
            let pointer = below(&self.pointer, cut(&member.name));
            if !fields.contains(&&*member.name) {
                let accepted: Vec<_> = fields.iter().map(|name| format!("`{name}`")).collect();
                let accepted = if accepted.is_empty() { "none".into() } else { accepted.join(", ") };
                let field = cut(&member.name);
                faults.add_at(pointer, member.at, RuleFault::UnknownField { field, accepted });
            } else if known.iter().any(|m| m.name == member.name) {
                faults.add_at(pointer, member.at, RuleFault::RepeatedField(cut(&member.name)));
            } else {
                known.push(member);
            }
        }
        Some(Object { at: self.node.at, pointer: self.pointer.clone(), known })
    }
}

/// The known members of an object.
pub(super) struct Object<'a> {
    at: usize,
    pub(super) pointer: String,
    known: Vec<&'a Member<'a>>,
}

impl<'a> Object<'a> {
    pub(super) fn get(&self, name: &str) -> Option<Item<'a>> {
        let member = self.known.iter().find(|m| m.name == name)?;
        Some(Item { node: &member.node, pointer: below(&self.pointer, name) })
    }

    pub(super) fn need(&self, name: &'static str, faults: &mut Faults) -> Option<Item<'a>> {
        let item = self.get(name);
        if item.is_none() {
            faults.add_at(&self.pointer, self.at, RuleFault::MissingField(name));
        }
        item
    }

    /// Those items of an array that can be read; none where there is no such member.
    pub(super) fn each<T, C: Default + FromIterator<T>>(
        &self,
        name: &str,
        accepted: &'static str,
        faults: &mut Faults,
        read: impl FnMut(&Item<'a>, &mut Faults) -> Option<T>,
    ) -> C {
        self.get(name).map(|item| item.each(accepted, faults, read)).unwrap_or_default()
    }
}
