//! Which of very many patterns match an event: the pattern language without the loop.
//!
//! The event's bytes are walked once (`walk`, `scan`) and the values at the paths that patterns
//! name are kept (`paths`, `values`). Each rule is filed under the key that lets the fewest events
//! through, mostly an equality (`compile`); the groups that an event's values lead to (`group`)
//! intersect sets of rules, one for each path (`column`, `bits`, `line`). What a set cannot decide
//! is checked rule by rule (`check`), and where an event's arrays or copies of keys tie fields
//! together, the interpreter itself judges the few that are left.

mod affix;
mod bits;
mod check;
mod column;
mod compile;
mod early;
mod ends;
mod group;
mod line;
mod names;
mod paths;
mod ruler;
mod run;
mod scan;
mod shared;
mod table;
mod update;
mod values;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::json::{self, SyntaxError};
use crate::pattern::Pattern;

pub use shared::{MatcherReader, SharedMatcher};

use bits::Left;
use compile::{ALWAYS, Member, Rule, any_key, key};
use early::{Early, Whole};
use ends::Ends;
use group::{Builder, Group};
use names::Names;
use paths::{Paths, UNNAMED};
use run::Run;
use scan::{Stop, Text};
use table::KeyMap;
use values::Values;
use walk::{Marks, Walk};

/// The number of a rule in a [`Matcher`]: its position among the rules from which it was made.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleIx(u32);

impl RuleIx {
    /// The number of the rule at a position; none beyond 2^32.
    #[must_use]
    pub fn new(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(Self)
    }

    /// The position, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Many patterns, compiled together: an immutable snapshot, cheap to clone.
///
/// It finds the patterns that match an event without trying each: the answer is always that of
/// [`Pattern::matches`], the work mostly that of reading the event once.
///
/// ```
/// use tipstaff::{Matcher, Scratch};
///
/// let stopped = r#"{"state": ["stopped"]}"#.parse()?;
/// let busy = r#"{"load": [{"numeric": [">", 90]}]}"#.parse()?;
/// let matcher = Matcher::new([(&[][..], stopped), (&["metrics"][..], busy)]);
/// let (mut scratch, mut found) = (Scratch::default(), Vec::new());
/// matcher.matches(Some("metrics"), br#"{"load": 97.5}"#, &mut scratch, &mut found)?;
/// assert_eq!(found.iter().map(|rule| rule.index()).collect::<Vec<_>>(), [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Cost
/// An event costs its bytes once, and a look-up for each value at a path that a pattern names. In
/// a group of rules that share a key, each of at most 8 paths costs one step for 64 rules. What
/// remains costs a check for each rule; if an array of objects, an array in an array or a repeated
/// key stands where a rule names more than one field, the event's tree is built once and judged by
/// the rules that are left. So no event costs more than [`Pattern::matches`] of every rule would.
/// Only such an event allocates, once the scratch has seen the likes of it; an event that is no
/// JSON does too.
///
#[doc = include_str!("matching.md")]
#[derive(Clone, Default)]
pub struct Matcher {
    inner: Arc<Inner>,
}

#[derive(Clone, Default)]
struct Inner {
    paths: Arc<Paths>,
    rules: Vec<Option<Arc<Rule>>>,
    /// From keys to places in `groups`.
    root: Arc<KeyMap>,
    groups: Vec<Group>,
    keyed: Keyed,
}

/// Where the root finds groups.
#[derive(Clone, Default)]
struct Keyed {
    /// For each path, by what.
    ways: Vec<u8>,
    /// The bits of these paths.
    bits: u64,
    /// The group that every event meets.
    always: Option<u32>,
}

const BY_LITERAL: u8 = 1;
const BY_PRESENCE: u8 = 2;

/// The buffers of a thread that matches events. Any matcher can use any scratch.
#[derive(Debug, Default)]
pub struct Scratch {
    values: Values,
    marks: Marks,
    names: Names,
    ends: Ends,
    /// The event in which each group was met last.
    met: Vec<u64>,
    left: Left,
}

impl Matcher {
    /// Compiles rules: the sources to which each is bound (none: it sees every event), and its
    /// pattern.
    ///
    /// # Panics
    /// With 2^32 rules or more.
    #[must_use]
    pub fn new<'s, S: AsRef<[&'s str]>>(rules: impl IntoIterator<Item = (S, Pattern)>) -> Self {
        let mut paths = Paths::default();
        let rules = rules.into_iter();
        let mut rules: Vec<Rule> =
            rules.map(|(sources, pattern)| Rule::new(sources.as_ref(), pattern, &mut paths)).collect();
        paths.make_rulers();
        let mut filed: BTreeMap<u64, Vec<Member>> = BTreeMap::new();
        for (number, rule) in (0_u32..).zip(&mut rules) {
            let mut keys = Vec::new();
            group::file(rule, number, &paths, |key, member| {
                filed.entry(key).or_default().push(member);
                keys.push(key);
            });
            rule.keys = keys.into();
        }
        let rules: Vec<_> = rules.into_iter().map(|rule| Some(Arc::new(rule))).collect();
        let mut root = KeyMap::default();
        let mut groups = Vec::with_capacity(filed.len());
        let builder = Builder { rules: |number: u32| rules[number as usize].as_deref(), paths: &paths };
        let mut keyed = Keyed { ways: vec![0; paths.len()], ..Keyed::default() };
        for (key, members) in filed {
            keyed.note(key, groups.len() as u32);
            root.insert(key, groups.len() as u32);
            groups.push(builder.group(members, 0));
        }
        Self { inner: Arc::new(Inner { paths: Arc::new(paths), rules, root: Arc::new(root), groups, keyed }) }
    }

    /// Finds the rules that an event concerns and adds them to `found`, in their order, each once.
    ///
    /// The whole event is validated. A value that is no object matches nothing.
    ///
    /// # Errors
    /// [`SyntaxError`] where the event is no JSON; nothing is added then.
    pub fn matches(
        &self,
        source: Option<&str>,
        event: &[u8],
        scratch: &mut Scratch,
        found: &mut Vec<RuleIx>,
    ) -> Result<(), SyntaxError> {
        let Scratch { values, marks, names, ends, .. } = scratch;
        let walked = if ends.all(event) || std::str::from_utf8(event).is_ok() {
            let text = Text { bytes: event, ends };
            Walk::new(text, &self.inner.paths, values, marks, names, Whole).event(source)
        } else {
            Err(Stop::Fault)
        };
        match walked {
            Ok(true) => self.find(event, scratch, found),
            Ok(false) => {}
            // The tree reader says what is wrong, and where.
            Err(_) => return json::parse(event).map(drop),
        }
        Ok(())
    }

    /// As [`matches`](Self::matches), but reads only until no rule can change its answer any more:
    /// what stands behind is not looked at, and not validated.
    ///
    /// For events that their writer is known to write well: the answer is that of `matches` if the
    /// event is JSON, no name repeats in an object, and no dotted name stands beside what it could
    /// be nested in (`{"a": {"b": 1}, "a.c": 2}`). Of other events a copy behind the stop is not
    /// seen. An array of objects at a named path is read to its end, and so is then the event.
    ///
    /// # Errors
    /// [`SyntaxError`] where the part that was read is no JSON; nothing is added then.
    pub fn matches_early(
        &self,
        source: Option<&str>,
        event: &[u8],
        scratch: &mut Scratch,
        found: &mut Vec<RuleIx>,
    ) -> Result<(), SyntaxError> {
        let Scratch { values, marks, names, ends, .. } = scratch;
        ends.begin();
        let text = Text { bytes: event, ends };
        let mut walk = Walk::new(text, &self.inner.paths, values, marks, names, Early::new(&self.inner));
        let (read, object) = match walk.event(source) {
            Ok(object) => (event.len(), object),
            Err(Stop::Enough) => (walk.read(), true),
            Err(Stop::Fault) => return json::parse(event).map(drop),
        };
        if event.get(..read).is_none_or(|read| std::str::from_utf8(read).is_err()) {
            return json::parse(event).map(drop);
        }
        if object {
            self.find(event, scratch, found);
        }
        Ok(())
    }

    /// Finds the rules that what a walk has met concerns.
    fn find(&self, event: &[u8], scratch: &mut Scratch, found: &mut Vec<RuleIx>) {
        let groups = &self.inner.groups;
        let Scratch { values, met, left, .. } = scratch;
        if met.len() < groups.len() {
            met.resize(groups.len(), 0);
        }
        let before = found.len();
        let mut run = Run::new(&self.inner, event, values);
        self.inner.each_place(values, |place| {
            let last = &mut met[place as usize];
            if std::mem::replace(last, values.event) != values.event {
                run.group(&groups[place as usize], left, found);
            }
        });
        in_order(found, before);
    }

    /// How many rules it was made from, those that were taken out included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.rules.len()
    }

    /// Whether it was made from no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.rules.is_empty()
    }
}

impl Inner {
    /// The places of the groups that an event's values lead to; some may come several times.
    #[inline]
    fn each_place(&self, values: &Values, mut visit: impl FnMut(u32)) {
        let Self { root, keyed, .. } = self;
        if let Some(place) = keyed.always {
            visit(place);
        }
        for (i, seen) in values.list.iter().enumerate() {
            let way = keyed.ways[seen.path as usize];
            if way & BY_LITERAL != 0
                && seen.literal != UNNAMED
                && let Some(place) = root.get(key(seen.path, seen.literal))
            {
                visit(place);
            }
            if way & BY_PRESENCE != 0
                && values.is_first(i)
                && let Some(place) = root.get(any_key(seen.path))
            {
                visit(place);
            }
        }
        for part in &values.parts.keys {
            if let Some(place) = root.get(*part) {
                visit(place);
            }
        }
    }
}

impl Keyed {
    /// Notes by what a key finds its group.
    fn note(&mut self, key: u64, place: u32) {
        if key == ALWAYS {
            self.always = Some(place);
        } else {
            let (path, literal) = ((key >> 32) as u32, key as u32);
            self.ways[path as usize] |= if literal == UNNAMED { BY_PRESENCE } else { BY_LITERAL };
            self.bits |= early::bit(path);
        }
    }
}

/// Sorts what was added and leaves each once: branches of one rule and several of its keys may
/// have found it.
fn in_order(found: &mut Vec<RuleIx>, before: usize) {
    let added = &mut found[before..];
    if added.is_sorted_by(|a, b| a < b) {
        return;
    }
    added.sort_unstable();
    let mut kept = 1;
    for i in 1..added.len() {
        if added[i] != added[kept - 1] {
            added[kept] = added[i];
            kept += 1;
        }
    }
    found.truncate(before + kept);
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher")
            .field("rules", &self.inner.rules.len())
            .field("groups", &self.inner.groups.len())
            .finish_non_exhaustive()
    }
}
