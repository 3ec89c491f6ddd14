//! Why a pattern matches an event or not, field by field.

use std::fmt;

use serde::Serialize;

use super::alternative::Test;
use super::judge::Judge;
use super::read::Field;
use super::tree::Tree;
use super::{Inner, Pattern, Payload};
use crate::json::{self, Node, Value};

/// The longest text of one seen value or one wanted list, in bytes.
pub const MAX_SEEN_BYTES: usize = 256;

/// The most values of one field that are shown.
pub const MAX_SEEN_VALUES: usize = 16;

/// What an event has at one path that a pattern names.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Seen {
    /// The path, its steps joined by dots.
    pub path: String,
    /// The first [`MAX_SEEN_VALUES`] values (texts, numbers, booleans, nulls) as compact JSON in
    /// the order of the event, each cut to [`MAX_SEEN_BYTES`].
    pub values: Vec<String>,
    /// How many values are not shown.
    pub more: usize,
}

/// What a pattern says of an event, and why.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// Whether the pattern matches.
    pub matched: bool,
    /// Whether it fails only because elements of one array stay together: every list is
    /// satisfied by itself (with `$or`, every list of one branch), but not by one element.
    pub apart: bool,
    /// How many branches `$or` makes; 1 without it. One branch suffices.
    pub branches: usize,
    /// One verdict for each list of the pattern, in the pattern's order.
    pub fields: Vec<FieldVerdict>,
}

/// One list of alternatives, and what the event has for it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FieldVerdict {
    /// Where the list stands, as JSON pointer (RFC 6901) in the text that was read.
    pub pointer: String,
    /// The values at the list's path.
    pub seen: Seen,
    /// The list as its author wrote it, as compact JSON, cut to [`MAX_SEEN_BYTES`].
    pub wanted: String,
    /// Whether the list is satisfied: as part of the match, or taken alone.
    pub satisfied: bool,
    /// The first alternative that holds, if the list is satisfied; compact and cut as above.
    pub by: Option<String>,
}

impl Pattern {
    /// What an event has at each path that the pattern names: the evidence of a match. One entry
    /// a path, in the pattern's order.
    #[must_use]
    pub fn evidence(&self, payload: &Payload) -> Vec<Seen> {
        self.evidence_node(&payload.tree())
    }

    /// [`evidence`](Self::evidence) from an event that has been read already.
    pub(crate) fn evidence_node(&self, event: &Node<'_>) -> Vec<Seen> {
        let fields = &self.inner.fields;
        let first = |i: usize| !fields[..i].iter().any(|earlier| earlier.path == fields[i].path);
        let paths = fields.iter().enumerate().filter(|(i, _)| first(*i));
        paths.map(|(_, field)| seen(field, &all_at(event, &field.path))).collect()
    }

    /// Whether the pattern matches an event, and for each of its lists what was wanted, what is
    /// there, and whether that suffices.
    #[must_use]
    pub fn explain(&self, payload: &Payload) -> Explanation {
        let tree = payload.tree();
        let Inner { fields, branches, .. } = &*self.inner;
        let matching = branches.iter().find(|branch| Judge::new(fields).accepts(branch, &tree));
        let matched = matching.map(Tree::all).unwrap_or_default();
        let alone = |i: usize| Judge::new(fields).accepts(&Tree::new(fields, &[i]), &tree);
        let satisfied: Vec<bool> = (0..fields.len()).map(|i| matched.contains(&i) || alone(i)).collect();
        let whole = |branch: &Tree| branch.all().into_iter().all(|i| satisfied[i]);
        Explanation {
            matched: matching.is_some(),
            apart: matching.is_none() && branches.iter().any(whole),
            branches: branches.len(),
            fields: fields.iter().zip(&satisfied).map(|(field, yes)| verdict(field, *yes, &tree)).collect(),
        }
    }
}

fn verdict(field: &Field, satisfied: bool, event: &Node<'_>) -> FieldVerdict {
    let values = all_at(event, &field.path);
    let holds = |test: &Test| values.iter().any(|node| test.passes(&node.value));
    // Where no value does, the list is satisfied by absence: from the event, or from the array
    // elements that the rest of the pattern picked.
    let by = field.alternatives.iter().position(holds);
    let by = by.or_else(|| field.alternatives.iter().position(|test| matches!(test, Test::Absent)));
    FieldVerdict {
        pointer: field.pointer.to_string(),
        seen: seen(field, &values),
        wanted: cut(field.wanted.to_string()),
        satisfied,
        by: by.filter(|_| satisfied).and_then(|i| item(&field.wanted, i)).map(cut),
    }
}

/// One of a list's alternatives, compact.
fn item(list: &str, i: usize) -> Option<String> {
    match json::parse(list.as_bytes()).ok()?.value {
        Value::Array(items) => items.get(i).map(Node::to_string),
        _ => None,
    }
}

fn seen(field: &Field, values: &[&Node<'_>]) -> Seen {
    Seen {
        path: field.dotted(),
        values: values.iter().take(MAX_SEEN_VALUES).map(|node| cut(node.to_string())).collect(),
        more: values.len().saturating_sub(MAX_SEEN_VALUES),
    }
}

/// Every text, number and boolean at a dotted path, in the order of the event.
pub(crate) fn values_at<'e, 'a>(event: &'e Node<'a>, path: &str) -> Vec<&'e Node<'a>> {
    let path: Vec<Box<str>> = path.split('.').map(Box::from).collect();
    let mut values = all_at(event, &path);
    values.retain(|node| !matches!(node.value, Value::Null));
    values
}

/// Every text, number, boolean and null at a path, in the order of the event.
fn all_at<'e, 'a>(event: &'e Node<'a>, path: &[Box<str>]) -> Vec<&'e Node<'a>> {
    let mut values = Vec::new();
    collect(event, path, &mut values);
    values
}

fn collect<'e, 'a>(node: &'e Node<'a>, path: &[Box<str>], values: &mut Vec<&'e Node<'a>>) {
    match &node.value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, values)),
        Value::Object(members) => {
            for member in members {
                let steps = member.name.split('.').count();
                if steps <= path.len() && member.name.split('.').eq(path[..steps].iter().map(|step| &**step))
                {
                    collect(&member.node, &path[steps..], values);
                }
            }
        }
        _ if path.is_empty() => values.push(node),
        _ => {}
    }
}

/// Cuts a text to [`MAX_SEEN_BYTES`], the last character being `…` where something is missing.
fn cut(mut text: String) -> String {
    const MARK: char = '…';
    if text.len() > MAX_SEEN_BYTES {
        let room = MAX_SEEN_BYTES - MARK.len_utf8();
        let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push(MARK);
    }
    text
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.path)?;
        match self.values.as_slice() {
            [] => f.write_str("has no value"),
            values => write!(f, "is {}", values.join(", ")),
        }?;
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for FieldVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Some(by) => write!(f, "{}: satisfies {by}", self.seen),
            None => write!(f, "{}: wanted one of {}", self.seen, self.wanted),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.matched { "matches" } else { "does not match" })?;
        if self.branches > 1 {
            write!(f, " (one of {} branches of `$or` suffices)", self.branches)?;
        }
        for field in &self.fields {
            write!(f, "\n  {} {field}", if field.satisfied { "+" } else { "-" })?;
        }
        if self.apart {
            f.write_str("\n  each list is satisfied by itself, but not by one and the same array element")?;
        }
        Ok(())
    }
}
