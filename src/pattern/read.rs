//! Reads a pattern's fields and `$or`, and multiplies `$or` out into branches.

use std::collections::BTreeSet;

use super::alternative::Test;
use super::choice::Choice;
use super::error::{PatternError, PatternFault};
use super::tree::Tree;
use super::{MAX_ALTERNATIVES, MAX_PATTERN_BRANCHES, MAX_PATTERN_DEPTH, MAX_PATTERN_FIELDS};
use crate::json::{Member, Node, Value};

/// Names that cannot be fields inside `$or`, as in event-ruler: its operators, comparisons and
/// the words that it keeps for later. `{"$or": [{"numeric": …}]}` is a slip, not a field.
const RESERVED: &[&str] = &[
    "exactly",
    "prefix",
    "suffix",
    "equals-ignore-case",
    "wildcard",
    "anything-but",
    "numeric",
    "cidr",
    "exists",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// A field that a pattern names, once for each list.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The steps of its path; a dotted name is several.
    pub(crate) path: Box<[Box<str>]>,
    /// Where its list stands, as JSON pointer.
    pub(super) pointer: Box<str>,
    /// The list as its author wrote it, compact.
    pub(super) wanted: Box<str>,
    pub(crate) alternatives: Box<[Test]>,
    /// Whether one alternative is that there is no value.
    pub(crate) absent: bool,
}

impl Field {
    pub(super) fn dotted(&self) -> String {
        self.path.join(".")
    }
}

/// What must hold together: the fields of an object and of the objects in it, and its `$or`s.
#[derive(Debug, Default)]
struct Scope {
    items: Vec<Item>,
}

#[derive(Debug)]
enum Item {
    Field(usize),
    Or(Vec<Scope>),
}

/// Reads one pattern and notes every fault.
pub(super) struct Reader {
    peer: Option<Choice>,
    pointer: String,
    errors: Vec<PatternError>,
    fields: Vec<Field>,
    /// The steps to the object that is read.
    path: Vec<String>,
}

/// A pattern's fields and, for each branch, what must hold.
pub(super) type Parts = (Vec<Field>, Vec<Tree>);

impl Reader {
    pub(super) fn new(pointer: &str, peer: Option<Choice>) -> Self {
        let pointer = pointer.to_owned();
        Self { peer, pointer, errors: Vec::new(), fields: Vec::new(), path: Vec::new() }
    }

    pub(super) fn pattern(mut self, node: &Node<'_>) -> Result<Parts, Vec<PatternError>> {
        let mut scope = Scope::default();
        match &node.value {
            Value::Object(members) => self.object(node.at, members, &mut scope, false),
            _ => self.fault(node.at, PatternFault::NotAnObject { found: node.kind() }),
        }
        let (branches, fields) = scope.size();
        if branches > MAX_PATTERN_BRANCHES as u64 {
            self.fault(node.at, PatternFault::TooManyBranches(branches));
        } else if fields > MAX_PATTERN_FIELDS as u64 {
            self.fault(node.at, PatternFault::TooManyFields(fields));
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let replace = self.peer_has(Choice::FieldInAndOutOfOr);
        let branches = scope.branches(&self.fields, replace);
        let trees = branches.iter().map(|branch| Tree::new(&self.fields, branch)).collect();
        Ok((self.fields, trees))
    }

    /// Whether this choice is switched to the peers' answer.
    pub(super) fn peer_has(&self, choice: Choice) -> bool {
        self.peer == Some(choice)
    }

    pub(super) fn fault(&mut self, offset: usize, fault: PatternFault) {
        self.errors.push(PatternError { pointer: self.pointer.clone(), offset, fault });
    }

    /// Goes one step down; `leave` takes what this returns.
    pub(super) fn enter(&mut self, step: &str) -> usize {
        let back = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        back
    }

    pub(super) fn leave(&mut self, back: usize) {
        self.pointer.truncate(back);
    }

    fn object(&mut self, at: usize, members: &[Member<'_>], scope: &mut Scope, in_or: bool) {
        if members.is_empty() {
            self.fault(at, PatternFault::NoFields);
        }
        let mut names = BTreeSet::new();
        for member in members {
            let back = self.enter(&member.name);
            if names.insert(&member.name) || self.peer_has(Choice::RepeatedKeys) {
                self.member(member, scope, in_or);
            } else {
                self.fault(member.at, PatternFault::RepeatedKey(member.name.to_string()));
                // Read all the same, so that its other faults show too.
                self.member(member, &mut Scope::default(), in_or);
            }
            self.leave(back);
        }
    }

    fn member(&mut self, member: &Member<'_>, scope: &mut Scope, in_or: bool) {
        if member.name == "$or" {
            return self.or(&member.node, scope);
        }
        if in_or && RESERVED.contains(&&*member.name) {
            return self.fault(member.at, PatternFault::Reserved(member.name.to_string()));
        }
        let outer = self.path.len();
        self.path.extend(member.name.split('.').map(str::to_owned));
        let node = &member.node;
        match &node.value {
            _ if self.path.len() > MAX_PATTERN_DEPTH => {
                self.fault(member.at, PatternFault::TooDeep(self.path.len()));
            }
            Value::Object(members) => self.object(node.at, members, scope, in_or),
            Value::Array(items) => self.field(member, items, scope),
            _ => self.fault(node.at, PatternFault::NotAList { found: node.kind() }),
        }
        self.path.truncate(outer);
    }

    fn field(&mut self, member: &Member<'_>, items: &[Node<'_>], scope: &mut Scope) {
        if items.is_empty() && !self.peer_has(Choice::EmptyLists) {
            return self.fault(member.node.at, PatternFault::EmptyList);
        }
        if items.len() > MAX_ALTERNATIVES {
            return self.fault(member.node.at, PatternFault::TooManyAlternatives(items.len()));
        }
        let mut alternatives = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let back = self.enter(&i.to_string());
            alternatives.extend(self.alternative(item));
            self.leave(back);
        }
        let absent = alternatives.iter().any(|test| matches!(test, Test::Absent));
        let path = self.path.iter().map(|step| step.as_str().into()).collect();
        let (pointer, wanted) = (self.pointer.as_str().into(), member.node.to_string().into());
        let field = Field { path, pointer, wanted, alternatives: alternatives.into(), absent };
        let same = |item: &Item| matches!(item, Item::Field(i) if self.fields[*i].path == field.path);
        if let Some(earlier) = scope.items.iter().position(same) {
            if !self.peer_has(Choice::RepeatedKeys) {
                return self.fault(member.at, PatternFault::RepeatedField(field.dotted()));
            }
            scope.items.remove(earlier);
        }
        scope.items.push(Item::Field(self.fields.len()));
        self.fields.push(field);
    }

    fn or(&mut self, node: &Node<'_>, scope: &mut Scope) {
        let items = match &node.value {
            Value::Array(items) if items.len() >= 2 => items,
            Value::Array(items) => {
                let found = format!("a list of {}", items.len());
                return self.fault(node.at, PatternFault::Or { found });
            }
            _ => return self.fault(node.at, PatternFault::Or { found: node.kind().to_owned() }),
        };
        let mut branches = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let back = self.enter(&i.to_string());
            let mut branch = Scope::default();
            match &item.value {
                Value::Object(members) => self.object(item.at, members, &mut branch, true),
                _ => self.fault(item.at, PatternFault::Or { found: format!("{} in it", item.kind()) }),
            }
            branches.push(branch);
            self.leave(back);
        }
        scope.items.push(Item::Or(branches));
    }
}

impl Scope {
    /// How many branches it multiplies out to, and how many fields they have in sum.
    fn size(&self) -> (u64, u64) {
        self.items.iter().fold((1, 0), |(branches, fields), item| match item {
            Item::Field(_) => (branches, fields.saturating_add(branches)),
            Item::Or(scopes) => {
                let (inner_branches, inner_fields) =
                    scopes.iter().map(Self::size).fold((0_u64, 0_u64), |(b, f), (branches, fields)| {
                        (b.saturating_add(branches), f.saturating_add(fields))
                    });
                let fields = fields
                    .saturating_mul(inner_branches)
                    .saturating_add(branches.saturating_mul(inner_fields));
                (branches.saturating_mul(inner_branches), fields)
            }
        })
    }

    /// Every way to take one object of each `$or`, as lists of fields. Only called when
    /// [`size`](Self::size) is within bounds.
    fn branches(&self, fields: &[Field], replace: bool) -> Vec<Vec<usize>> {
        let mut branches = vec![Vec::new()];
        for item in &self.items {
            match item {
                Item::Field(field) => {
                    for branch in &mut branches {
                        add(branch, *field, fields, replace);
                    }
                }
                Item::Or(scopes) => {
                    let inner: Vec<_> =
                        scopes.iter().flat_map(|scope| scope.branches(fields, replace)).collect();
                    branches = branches
                        .iter()
                        .flat_map(|outer| inner.iter().map(move |inner| (outer, inner)))
                        .map(|(outer, inner)| {
                            let mut branch = outer.clone();
                            inner.iter().for_each(|field| add(&mut branch, *field, fields, replace));
                            branch
                        })
                        .collect();
                }
            }
        }
        branches
    }
}

/// Adds a field to a branch; with `replace`, in the place of one of the same path.
fn add(branch: &mut Vec<usize>, field: usize, fields: &[Field], replace: bool) {
    if replace {
        branch.retain(|other| fields[*other].path != fields[field].path);
    }
    branch.push(field);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    /// The fields of each branch, sorted, as `path pointer`.
    fn branches(text: &str, peer: Option<Choice>) -> Vec<Vec<String>> {
        let node = json::parse(text.as_bytes()).unwrap();
        let (fields, trees) = Reader::new("/rule", peer).pattern(&node).unwrap();
        let name = |i: usize| format!("{} {}", fields[i].dotted(), fields[i].pointer);
        trees.iter().map(|tree| tree.all().into_iter().map(name).collect()).collect()
    }

    #[test]
    fn or_multiplies_out() {
        let text = r#"{"a":[1],"$or":[{"b":[1]},{"c":[1],"d.e":[2]}],"f":{"$or":[{"g":[1]},{"h":[1]}]}}"#;
        let names: Vec<String> = branches(text, None).iter().map(|branch| branch.join(" & ")).collect();
        let [b, g, h] = ["b /rule/$or/0/b", "f.g /rule/f/$or/0/g", "f.h /rule/f/$or/1/h"];
        let c = "c /rule/$or/1/c & d.e /rule/$or/1/d.e";
        let expected = [(b, g), (b, h), (c, g), (c, h)].map(|(x, y)| format!("a /rule/a & {x} & {y}"));
        assert_eq!(names, expected);
    }

    #[test]
    fn the_peers_let_the_later_list_replace_the_earlier() {
        let text = r#"{"a":[1],"$or":[{"a":[2]},{"b":[3]}]}"#;
        let count = |peer| branches(text, peer).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(count(None), [2, 2]);
        assert_eq!(count(Some(Choice::FieldInAndOutOfOr)), [1, 2]);
        let replaced = branches(r#"{"a":[1],"a":[2]}"#, Some(Choice::RepeatedKeys));
        assert_eq!(replaced, [["a /rule/a"]]);
    }

    #[test]
    fn offsets_and_pointers_are_those_of_the_document() {
        let text = r#"{"rule":{"pattern":{"a":[]}}}"#;
        let document = json::parse(text.as_bytes()).unwrap();
        let Value::Object(members) = &document.value else { panic!() };
        let Value::Object(members) = &members[0].node.value else { panic!() };
        let errors = super::super::Pattern::from_node(&members[0].node, "/rule/pattern").unwrap_err();
        assert_eq!((errors[0].pointer.as_str(), errors[0].offset), ("/rule/pattern/a", 24));
    }
}
