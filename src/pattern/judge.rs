//! Judges an event by a pattern: one walk down the event's tree beside the branch's tree.
//!
//! Every value of the event meets at most the fields of its own path, so a branch costs event
//! nodes × fields, whatever the event repeats and however its arrays are nested. What an array
//! offers is decided where it stands: one element that satisfies all, or none at all. Choices of
//! different arrays never meet, since no field lies below two of them unless one holds the other.

use std::collections::BTreeMap;

use super::read::Field;
use super::tree::Tree;
use crate::json::{Member, Node, Value};

/// What a part of the event says to a part of the pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// It does not satisfy it.
    No,
    /// It satisfies it, since nothing of what must be absent is there; it picks no value either.
    /// An array's element that says so is not *picked*.
    Empty,
    /// It satisfies it with at least one value: an array's element that says so is picked, and
    /// what must be absent need only be absent from it.
    Yes,
}

impl Verdict {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Empty, Self::Empty) => Self::Empty,
        }
    }

    fn absence(accepted: bool) -> Self {
        if accepted { Self::Empty } else { Self::No }
    }
}

/// What the values met so far say to one list of alternatives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Met {
    Nothing,
    Unwanted,
    Wanted,
}

/// One of the values that an event has at a path.
enum Element<'e, 'a> {
    Node(&'e Node<'a>),
    /// The members of one object, some of them spelled with dots further up.
    Members(Vec<Named<'e, 'a>>),
}

/// A member of an object: what is left of its name, and its value.
type Named<'e, 'a> = (&'e str, &'e Node<'a>);

/// Judges events and counts what it looks at.
pub(super) struct Judge<'p> {
    fields: &'p [Field],
    /// Members walked and alternatives tried: the measure of the work.
    pub(super) steps: u64,
}

impl<'p> Judge<'p> {
    pub(super) fn new(fields: &'p [Field]) -> Self {
        Self { fields, steps: 0 }
    }

    /// Whether the event satisfies the branch.
    pub(super) fn accepts(&mut self, branch: &Tree, event: &Node<'_>) -> bool {
        match &event.value {
            Value::Object(members) => self.object(branch, named(members)) != Verdict::No,
            _ => false,
        }
    }

    fn object<'e, 'a>(&mut self, tree: &Tree, members: Vec<Named<'e, 'a>>) -> Verdict {
        let mut found: BTreeMap<&str, Found<'e, 'a>> = BTreeMap::new();
        for (name, node) in members {
            self.steps += 1;
            let (step, rest) = match name.split_once('.') {
                Some((step, rest)) => (step, Some(rest)),
                None => (name, None),
            };
            if tree.names(step) {
                let found = found.entry(step).or_default();
                match rest {
                    None => found.whole.push(node),
                    Some(rest) => found.dotted.push((rest, node)),
                }
            }
        }
        let mut all = Verdict::Empty;
        for (step, tree) in tree.below() {
            let verdict = match found.remove(step) {
                None => Verdict::absence(tree.absent),
                Some(found) => self.values(tree, &found.elements(), &vec![Met::Nothing; tree.fields.len()]),
            };
            all = all.and(verdict);
            if all == Verdict::No {
                break;
            }
        }
        all
    }

    /// Judges the elements of an array, or what counts as one. Its texts, numbers, booleans and
    /// nulls can all be had at once; of its objects and arrays, one.
    fn values(&mut self, tree: &Tree, elements: &[Element<'_, '_>], met: &[Met]) -> Verdict {
        let mut met = met.to_vec();
        let mut picked = false;
        for element in elements {
            if let Element::Node(Node { value, .. }) = element {
                picked |= self.value(tree, value, &mut met);
            }
        }
        let satisfied = |met: &[Met]| {
            met.iter().zip(&tree.fields).all(|(met, field)| match met {
                Met::Nothing => self.fields[*field].absent,
                Met::Unwanted => false,
                Met::Wanted => true,
            })
        };
        let here = satisfied(&met);
        let mut refused = !here || !tree.below_absent;
        for element in elements {
            let verdict = match element {
                Element::Node(Node { value: Value::Array(items), .. }) => {
                    let items: Vec<_> = items.iter().map(Element::Node).collect();
                    self.values(tree, &items, &met)
                }
                Element::Node(Node { value: Value::Object(members), .. }) if here => {
                    self.object(tree, named(members))
                }
                Element::Members(members) if here => self.object(tree, members.clone()),
                Element::Node(Node { value: Value::Object(_), .. }) | Element::Members(_) => Verdict::No,
                Element::Node(_) => Verdict::Empty,
            };
            match verdict {
                Verdict::Yes => return Verdict::Yes,
                Verdict::No => refused = true,
                Verdict::Empty => {}
            }
        }
        match (refused, picked) {
            (true, _) => Verdict::No,
            (false, true) => Verdict::Yes,
            (false, false) => Verdict::Empty,
        }
    }

    /// Tries one value with the lists of a path; whether one of them wants it.
    fn value(&mut self, tree: &Tree, value: &Value<'_>, met: &mut [Met]) -> bool {
        if matches!(value, Value::Array(_) | Value::Object(_)) {
            return false;
        }
        let mut wanted = false;
        for (met, field) in met.iter_mut().zip(&tree.fields) {
            let passes = self.fields[*field].alternatives.iter().any(|alternative| {
                self.steps += 1;
                alternative.passes(value)
            });
            wanted |= passes;
            if passes {
                *met = Met::Wanted;
            } else if *met == Met::Nothing {
                *met = Met::Unwanted;
            }
        }
        wanted
    }
}

fn named<'e, 'a>(members: &'e [Member<'a>]) -> Vec<Named<'e, 'a>> {
    members.iter().map(|member| (&*member.name, &member.node)).collect()
}

/// The members of an object whose names begin with one step.
#[derive(Default)]
struct Found<'e, 'a> {
    /// Named by that step alone.
    whole: Vec<&'e Node<'a>>,
    /// The rest of their names stands after a dot.
    dotted: Vec<Named<'e, 'a>>,
}

impl<'e, 'a> Found<'e, 'a> {
    /// The values at that step. Copies of a name count as elements of one array. Dotted names are
    /// members of the object beside them if there is one, `{"a": {"x": 1}, "a.y": 2}`; otherwise
    /// they make an object of their own.
    fn elements(self) -> Vec<Element<'e, 'a>> {
        let Self { whole, mut dotted } = self;
        match whole.as_slice() {
            [Node { value: Value::Object(members), .. }] => {
                dotted.splice(0..0, named(members));
                vec![Element::Members(dotted)]
            }
            nodes => {
                let nodes = nodes.iter().map(|node| Element::Node(node));
                nodes.chain((!dotted.is_empty()).then_some(Element::Members(dotted))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pattern, Payload};

    use super::*;

    /// What a match looks at, every branch tried.
    fn steps(pattern: &str, event: &str) -> u64 {
        let pattern = Pattern::parse(pattern).unwrap();
        let event = Payload::new(event).unwrap();
        let mut judge = Judge::new(&pattern.inner.fields);
        let tree = event.tree();
        assert!(!pattern.inner.branches.iter().any(|branch| judge.accepts(branch, &tree)));
        judge.steps
    }

    /// `n` fields of one key each, all of which must be found in one of the copies.
    fn fields(n: usize, last: &str) -> String {
        let fields: Vec<String> = (0..n).map(|i| format!("\"f{i}\":[1]")).collect();
        format!("{{\"a\":{{{},{last}}}}}", fields.join(","))
    }

    #[test]
    fn copies_of_keys_and_nested_arrays_cost_no_combinations() {
        // Each of the n keys has two copies: 2^n ways to choose, were they free of one another.
        for n in [8, 16, 32, 64] {
            let copies: Vec<String> =
                (0..n).map(|i| format!("\"f{i}\":{{\"x\":1}},\"f{i}\":{{\"y\":1}}")).collect();
            let wanted: Vec<String> = (0..n).map(|i| format!("\"f{i}\":{{\"x\":[1],\"y\":[1]}}")).collect();
            let (pattern, event) = (format!("{{{}}}", wanted.join(",")), format!("{{{}}}", copies.join(",")));
            assert!(steps(&pattern, &event) <= 4 * n, "{n}");
        }
        // Arrays in arrays: each level is walked once, and each field tried once a value.
        for depth in [8, 16, 32, 64] {
            let values = vec!["{\"f0\":1,\"f1\":2}"; 20].join(",");
            let event = format!("{{\"a\":{}{values}{}}}", "[".repeat(depth), "]".repeat(depth));
            assert!(steps(&fields(2, "\"no\":[1]"), &event) <= 1 + 20 * 4, "{depth}");
        }
    }

    #[test]
    fn dotted_keys_are_walked_step_by_step() {
        let name = vec!["s"; 60].join(".");
        let members = vec![format!("\"{name}\":2"); 50].join(",");
        let found = steps(&format!("{{\"{name}\":[1]}}"), &format!("{{{members}}}"));
        assert!(found <= 50 * 61, "{found}");
    }

    #[test]
    fn what_is_no_object_satisfies_nothing() {
        let pattern = Pattern::parse("{\"a\":[{\"exists\":false}]}").unwrap();
        let accepts = |text: &str| pattern.matches_node(&crate::json::parse(text.as_bytes()).unwrap());
        assert!(accepts("{}") && !accepts("[]") && !accepts("null"));
    }

    #[test]
    fn branches_add_up_to_their_fields() {
        let or: Vec<String> = (0..100).map(|i| format!("{{\"b\":[{i}],\"a\":[{i}]}}")).collect();
        let event = "{\"a\":[1000,1001,1002],\"b\":[1000,1001]}";
        assert!(steps(&format!("{{\"$or\":[{}]}}", or.join(",")), event) <= 100 * 7);
    }
}
