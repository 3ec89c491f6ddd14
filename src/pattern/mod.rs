//! The event-pattern language: parse, check, judge, explain.
//!
//! A pattern is read once into fields and branches (`read`, `operator`), each branch into a tree
//! of paths (`tree`), and judged by one walk beside the event's tree (`judge`). This plain
//! interpreter is what the language means; anything faster is compared to it.

mod address;
mod alternative;
mod choice;
mod error;
mod explain;
mod judge;
mod number;
mod operator;
mod payload;
mod read;
mod text;
mod tree;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::json::{self, Node};

pub use choice::Choice;
pub use error::{PatternError, PatternErrors, PatternFault};
pub use explain::{Explanation, FieldVerdict, MAX_SEEN_BYTES, MAX_SEEN_VALUES, Seen};
pub use payload::{MAX_PAYLOAD_BYTES, Payload, PayloadError, PayloadFault};

pub(crate) use address::Network;
pub(crate) use alternative::Test;
pub(crate) use explain::values_at;
pub(crate) use number::{End, Number, Range};
pub(crate) use read::Field;
pub(crate) use text::{TextTest, fold};

use judge::Judge;
use read::Reader;
use tree::Tree;

/// The longest pattern, in bytes: 64 KiB. Of a pattern inside a document, its compact text counts.
pub const MAX_PATTERN_BYTES: usize = 1 << 16;

/// The most steps of a field's path; a dotted name is several.
pub const MAX_PATTERN_DEPTH: usize = 512;

/// The most fields, a field outside `$or` being counted once for each branch.
pub const MAX_PATTERN_FIELDS: usize = 4_096;

/// The most branches: the ways to take one object of each `$or`.
pub const MAX_PATTERN_BRANCHES: usize = 1_024;

/// The most alternatives of one field, and the most values of one `anything-but`.
pub const MAX_ALTERNATIVES: usize = 2_048;

/// The most `*` in one wildcard text.
pub const MAX_WILDCARDS: usize = 64;

/// A checked event pattern: a JSON object whose leaves are lists of alternatives.
///
/// ```
/// use tipstaff::{Pattern, Payload};
///
/// let pattern: Pattern = r#"{"detail": {"state": ["stopped", {"prefix": "term"}]}}"#.parse()?;
/// let payload = Payload::new(r#"{"detail": {"state": "terminated"}}"#)?;
/// assert!(pattern.matches(&payload));
/// println!("{}", pattern.explain(&payload));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Every field must be satisfied, by any one of its alternatives:
///
/// | alternative | is satisfied by |
/// |---|---|
/// | `"a"`, `5`, `true`, `null`, `{"exactly": "a"}` | that value; `5`, `5.0` and `5e0` are one number |
/// | `{"prefix": "a"}`, `{"suffix": "a"}` | a text that begins or ends so |
/// | `{"equals-ignore-case": "a"}`, also as value of `prefix` and `suffix` | the same in any case |
/// | `{"wildcard": "a*b"}` | a text; `*` is any characters or none, `\\*` a star, `\\\\` a backslash |
/// | `{"anything-but": "a"}`, also with a number or a list of either | any value but these |
/// | `{"anything-but": {"prefix": "a"}}`, also `suffix`, `wildcard`, `equals-ignore-case`, each with a text or a list | any value but such texts |
/// | `{"numeric": [">=", 0, "<", 5]}` | a number in the range; one end suffices, `"="` names one number |
/// | `{"cidr": "10.0.0.0/8"}` | a text that writes an address of the network, IPv4 or IPv6 |
/// | `{"exists": true}` | any value |
/// | `{"exists": false}` | no value at the path |
///
/// `{"$or": [{…}, {…}]}` beside fields is satisfied by any one of its objects.
///
/// A value is a text, number, boolean or null; objects and arrays hold values. An array offers
/// its values and those in its elements, but the fields below an array must be satisfied by *one*
/// of its objects, and `exists: false` beside them speaks of that object. A missing field
/// satisfies `exists: false` only. A dotted name and a nested path are the same field, in patterns
/// and in events; copies of a key that an event repeats count as elements of one array.
///
/// The language is event-ruler's, so that its patterns can be used unchanged, but for this:
/// numbers are exact at any size; a repeated key or field, an empty list, text after the closing
/// brace and unescaped control characters are refused; text literals that write addresses compare
/// as texts; `/32`, `/128` and ranges of one number are accepted; a field both outside and inside
/// `$or` must satisfy both lists; `exists: false` speaks of the picked object whatever the order
/// of the fields' names.
///
/// The work of a match grows with the event's values times the pattern's fields and their
/// alternatives, whatever either contains; both have stated limits.
#[derive(Clone)]
pub struct Pattern {
    inner: Arc<Inner>,
}

struct Inner {
    text: Box<str>,
    fields: Box<[Field]>,
    branches: Box<[Tree]>,
}

impl Pattern {
    /// Reads and checks a pattern.
    ///
    /// # Errors
    /// [`PatternErrors`]: every fault at once, each with its place and what would be accepted.
    pub fn parse(text: &str) -> Result<Self, PatternErrors> {
        Self::parse_with(text, None)
    }

    /// [`parse`](Self::parse), with one choice of ours switched to the peers' answer.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    #[doc(hidden)]
    pub fn parse_as_peer(text: &str, choice: Choice) -> Result<Self, PatternErrors> {
        Self::parse_with(&choice.read(text), Some(choice))
    }

    fn parse_with(text: &str, peer: Option<Choice>) -> Result<Self, PatternErrors> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternErrors::new(vec![too_long(text, "", 0)]));
        }
        let node = json::parse(text.as_bytes())?;
        Self::read(&node, "", peer).map_err(PatternErrors::new)
    }

    /// Reads a pattern that is part of a document: `pointer` is its place there, and offsets are
    /// the document's.
    pub(crate) fn from_node(node: &Node<'_>, pointer: &str) -> Result<Self, Vec<PatternError>> {
        Self::read(node, pointer, None)
    }

    fn read(node: &Node<'_>, pointer: &str, peer: Option<Choice>) -> Result<Self, Vec<PatternError>> {
        let text = node.to_string();
        if text.len() > MAX_PATTERN_BYTES {
            return Err(vec![too_long(&text, pointer, node.at)]);
        }
        let (fields, branches) = Reader::new(pointer, peer).pattern(node)?;
        Ok(Self {
            inner: Arc::new(Inner { text: text.into(), fields: fields.into(), branches: branches.into() }),
        })
    }

    /// The pattern as compact JSON, its members in their author's order.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// Whether the pattern matches an event.
    #[must_use]
    pub fn matches(&self, payload: &Payload) -> bool {
        self.matches_node(&payload.tree())
    }

    /// The positions of the patterns that match an event, each tried in turn on an event that is
    /// read once. For comparisons; [`Matcher`](crate::Matcher) gives the same answer sooner.
    #[doc(hidden)]
    #[must_use]
    pub fn matching(patterns: &[Self], payload: &Payload) -> Vec<usize> {
        let tree = payload.tree();
        let all = patterns.iter().enumerate();
        all.filter(|(_, pattern)| pattern.matches_node(&tree)).map(|(i, _)| i).collect()
    }

    /// Whether the pattern matches what is known of somebody.
    pub(crate) fn matches_known(&self, known: Option<&Payload>) -> bool {
        match known {
            Some(attributes) => self.matches(attributes),
            // Of somebody of whom nothing is known, only `exists: false` is true.
            None => json::parse(b"{}").is_ok_and(|empty| self.matches_node(&empty)),
        }
    }

    /// Whether the pattern matches an event that has been read already.
    pub(crate) fn matches_node(&self, event: &Node<'_>) -> bool {
        let mut judge = Judge::new(&self.inner.fields);
        self.inner.branches.iter().any(|branch| judge.accepts(branch, event))
    }
}

/// What a compiled set of patterns needs to see of one.
impl Pattern {
    /// Every list of the pattern, in its author's order.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.inner.fields
    }

    /// How many branches `$or` makes, one of which suffices.
    pub(crate) fn branches(&self) -> usize {
        self.inner.branches.len()
    }

    /// The fields that must hold together in a branch.
    pub(crate) fn branch_fields(&self, branch: usize) -> Vec<usize> {
        self.inner.branches.get(branch).map_or_else(Vec::new, |tree| tree.all().into_iter().collect())
    }

    /// Whether one branch accepts an event.
    pub(crate) fn branch_accepts(&self, branch: usize, event: &Node<'_>) -> bool {
        let mut judge = Judge::new(&self.inner.fields);
        self.inner.branches.get(branch).is_some_and(|tree| judge.accepts(tree, event))
    }
}

fn too_long(text: &str, pointer: &str, offset: usize) -> PatternError {
    PatternError { pointer: pointer.to_owned(), offset, fault: PatternFault::TooLong(text.len()) }
}

/// Patterns are equal when their compact texts are.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.inner.text == other.inner.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.inner.text).finish()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.text)
    }
}

impl FromStr for Pattern {
    type Err = PatternErrors;
    fn from_str(text: &str) -> Result<Self, PatternErrors> {
        Self::parse(text)
    }
}
