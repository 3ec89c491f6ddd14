//! Reading what a person wrote: every fault at once, each with its place and what is accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::action::{ParamProblem, SpecFault};
use crate::id::{GroupId, IdError, RuleId};
use crate::json::{Node, SyntaxFault, Value};
use crate::pattern::PatternFault;
use crate::schedule::{ClockError, CronError, ZoneError};
use crate::score::{BandNameError, ScaleFault};
use crate::time::{SpanError, TimeError};
use crate::words::WordError;

/// A document of rules that was refused, with all of its faults in the order of the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocumentError {
    /// At least one.
    pub faults: Vec<DocumentFault>,
}

impl std::error::Error for DocumentError {}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the document has {} fault(s)", self.faults.len())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

/// One fault of a document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}{fault}", Place(pointer, *line, *column))]
pub struct DocumentFault {
    /// The JSON pointer (RFC 6901) of the value; empty for the whole document.
    pub pointer: String,
    /// Its line, from 1; 0 where rules were built in Rust and have no text.
    pub line: usize,
    /// Its column in characters, from 1; 0 where there is no text.
    pub column: usize,
    /// What is wrong.
    pub fault: RuleFault,
}

struct Place<'a>(&'a str, usize, usize);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(pointer, line, column) = self;
        let shown = if pointer.is_empty() { "the document" } else { pointer };
        match line {
            0 => write!(f, "{shown}: "),
            _ => write!(f, "{shown} (line {line}, column {column}): "),
        }
    }
}

/// What is wrong with a document of rules.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleFault {
    /// It is no JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxFault),
    /// It is longer than [`MAX_DOCUMENT_BYTES`](super::MAX_DOCUMENT_BYTES).
    #[error("{0} bytes; accepted: at most 67108864")]
    TooLarge(usize),
    /// A value of another kind.
    #[error("{found}; accepted: {accepted}")]
    Kind {
        /// What stands there.
        found: &'static str,
        /// What may stand there.
        accepted: &'static str,
    },
    /// A field that is not known here.
    #[error("unknown field `{field}`; accepted: {accepted}")]
    UnknownField {
        /// Its name, cut to 80 characters.
        field: String,
        /// The known ones.
        accepted: String,
    },
    /// A field that stands twice.
    #[error("the field `{0}` stands twice; keep one")]
    RepeatedField(String),
    /// A field that must be there.
    #[error("the field `{0}` is missing")]
    MissingField(&'static str),
    /// More of something than is accepted, or less.
    #[error("{found} {what}; accepted: {least} to {most}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// No identifier.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A word that is not on the list.
    #[error(transparent)]
    Word(#[from] WordError),
    /// No span of time.
    #[error(transparent)]
    Span(#[from] SpanError),
    /// A span outside its bounds.
    #[error("`{found}`; accepted: {least} to {most}")]
    SpanRange {
        /// What was given.
        found: crate::time::Span,
        /// The shortest.
        least: crate::time::Span,
        /// The longest.
        most: crate::time::Span,
    },
    /// No number, or one outside its bounds.
    #[error("no number that fits; accepted: {0}")]
    Number(&'static str),
    /// A fault in an event pattern.
    #[error(transparent)]
    Pattern(#[from] PatternFault),
    /// A fault in a crontab line.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// No time of the day.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// No instant.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// What ends before it begins.
    #[error("it ends at {to}, and begins at {from}; accepted: an end that comes later")]
    EndsBefore {
        /// Its beginning.
        from: String,
        /// Its end.
        to: String,
    },
    /// Quiet hours that never end.
    #[error(
        "hours that are always in force; accepted: `from` and `to` that differ, and less than the whole week"
    )]
    HoursForEver,
    /// A cap beyond which people are asked, where there is nobody to ask.
    #[error(
        "beyond the cap people are asked, and the document has no default group; set `approvers.default`, or say `on_exceed`: `suppress` or `pause_rule`"
    )]
    CapAsksNobody,
    /// A share of the population as the cap of one subject.
    #[error("a share of all users says nothing of one; accepted for each subject: `count`")]
    ShareOfOne,
    /// No zone of the IANA database.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// A fault in a scale.
    #[error(transparent)]
    Scale(#[from] ScaleFault),
    /// A fault in an action type.
    #[error(transparent)]
    Spec(#[from] SpecFault),
    /// A fault in an action's parameters.
    #[error(transparent)]
    Param(#[from] ParamProblem),
    /// No name of a band.
    #[error(transparent)]
    Band(#[from] BandNameError),
    /// No path of a field, or one longer than [`MAX_FIELD_BYTES`](super::MAX_FIELD_BYTES).
    #[error(
        "`{0}` is no path of a field; accepted: names joined by dots, at most 512 bytes, such as `client.ip`"
    )]
    FieldPath(String),
    /// A cooldown for a field, of a rule that no event starts.
    #[error("only an event has fields; accepted here: `per` `subject`")]
    FieldWithoutEvent,
    /// No such action type.
    #[error("unknown action type `{found}`; accepted: {accepted}")]
    UnknownAction {
        /// What was given, cut to 80 characters.
        found: String,
        /// The known ones.
        accepted: String,
    },
    /// A variable that this trigger does not have.
    #[error("unknown variable `{found}`; accepted here: {accepted}")]
    UnknownVariable {
        /// What was given, cut to 80 characters.
        found: String,
        /// The known ones.
        accepted: &'static str,
    },
    /// No such scale.
    #[error("unknown scale `{0}`; accepted: `default`, or one that the document declares under `scales`")]
    UnknownScale(String),
    /// No such band on the scale.
    #[error("unknown band `{found}`; accepted: {accepted}")]
    UnknownBand {
        /// What was given.
        found: String,
        /// The scale's bands.
        accepted: String,
    },
    /// The action needs approval, and nobody is named who could give it.
    #[error(
        "needs approval, but names no group and the document has no default group; name `groups`, or set `approvers.default`"
    )]
    NoApprovers,
    /// A group that the document does not declare, though it declares groups.
    #[error("unknown group `{0}`; declare its members under `approvers.groups`")]
    UnknownGroup(GroupId),
    /// More approvals are asked for than there are distinct people to give them.
    #[error(
        "{need} distinct approver(s) of {groups} are needed, but only {have} can be found{found}{barred}; {missing} more must be added: {short}"
    )]
    UnreachableQuorum {
        /// The groups, by name.
        groups: String,
        /// How many distinct people are needed.
        need: usize,
        /// How many can be found.
        have: usize,
        /// How many are missing.
        missing: usize,
        /// Who can be found, the first of them, in brackets; empty where there is nobody.
        found: String,
        /// Who is no approver of this rule although a group names them; empty where there is nobody.
        barred: String,
        /// Where people are missing: how many of which group.
        short: String,
    },
    /// All stages of an approval together last longer than a request may stand.
    #[error("all stages with their fallbacks last {total}; accepted: at most {most}")]
    StagesTooLong {
        /// How long they last.
        total: crate::time::Span,
        /// The longest.
        most: crate::time::Span,
    },
    /// A span after which an effect is taken back, of a type that has none to take back.
    #[error("an effect of `{0}` cannot be taken back; accepted: types that restrict and name an `inverse`")]
    NotReversible(crate::action::ActionType),
    /// A rung of a ladder that is not longer than the one before.
    #[error("`{found}` after `{before}`; accepted: rungs that rise, each longer than the one before")]
    Rungs {
        /// The rung.
        found: crate::time::Span,
        /// The one before.
        before: crate::time::Span,
    },
    /// A restriction that nothing ends, under a strict policy.
    #[error(
        "stands until somebody lets go, and {approvers} approver(s) must agree; the policy is strict: set `for`, or ask two approvers"
    )]
    OpenEnded {
        /// How many people must agree.
        approvers: u32,
    },
    /// A rule id that stands twice.
    #[error("the rule `{0}` stands twice; every rule has an id of its own")]
    RepeatedRule(RuleId),
    /// An action key that stands twice in a rule.
    #[error("the action key `{0}` stands twice in the rule; records are told apart by it")]
    RepeatedKey(String),
    /// A group, band, source or scale that stands twice.
    #[error("`{0}` stands twice; keep one")]
    Repeated(String),
}

/// Collects the faults of one document.
#[derive(Default)]
pub(super) struct Faults {
    found: Vec<(String, Option<usize>, RuleFault)>,
    places: BTreeSet<String>,
    /// Of the lists of which not every item could be read: where those stand that were.
    gaps: BTreeMap<String, Vec<usize>>,
}

impl Faults {
    pub(super) fn add(&mut self, pointer: impl Into<String>, fault: impl Into<RuleFault>) {
        self.push(pointer.into(), None, fault.into());
    }

    pub(super) fn add_at(&mut self, pointer: impl Into<String>, offset: usize, fault: impl Into<RuleFault>) {
        self.push(pointer.into(), Some(offset), fault.into());
    }

    fn push(&mut self, pointer: String, offset: Option<usize>, fault: RuleFault) {
        self.places.insert(pointer.clone());
        self.found.push((pointer, offset, fault));
    }

    /// Whether a value at that pointer or below it could not be read: then it is there all the
    /// same, and must not be called missing.
    pub(super) fn touch(&self, pointer: &str) -> bool {
        let below = format!("{pointer}/");
        let first = self.places.range(below.clone()..).next();
        self.places.contains(pointer) || first.is_some_and(|place| place.starts_with(&below))
    }

    /// Where those items of a list stand that were read, if that is not plain: not every one could be, or
    /// the list may be left out.
    pub(super) fn note_places(&mut self, list: &str, places: Vec<usize>) {
        self.gaps.insert(list.to_owned(), places);
    }

    /// The pointer of the `i`-th of those items of a list that could be read: where one could not, the
    /// others keep their places.
    pub(super) fn nth(&self, list: &str, i: usize) -> String {
        below(list, self.gaps.get(list).and_then(|places| places.get(i)).copied().unwrap_or(i))
    }

    /// Whether [`Self::note_places`] was told of a list.
    pub(super) fn knows_places(&self, list: &str) -> bool {
        self.gaps.contains_key(list)
    }

    pub(super) const fn count(&self) -> usize {
        self.found.len()
    }

    /// All faults with their lines, in the order of the text.
    pub(super) fn into_error(self, text: &str, root: Option<&Node<'_>>) -> DocumentError {
        let mut placed: Vec<_> = self
            .found
            .into_iter()
            .map(|(pointer, offset, fault)| {
                let offset = offset.or_else(|| root.map(|node| locate(node, &pointer)));
                (offset, pointer, fault)
            })
            .collect();
        placed.sort_by_key(|(offset, ..)| *offset);
        // One walk through the text, however many faults it has.
        let (mut line, mut column, mut read) = (1, 1, 0);
        let faults = placed.into_iter().map(|(offset, pointer, fault)| {
            let Some(offset) = offset else { return DocumentFault { pointer, line: 0, column: 0, fault } };
            for c in text.get(read..offset).unwrap_or_default().chars() {
                (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            read = offset;
            DocumentFault { pointer, line, column, fault }
        });
        DocumentError { faults: faults.collect() }
    }
}

/// The offset of the value at a pointer, or of the nearest value above it.
fn locate(root: &Node<'_>, pointer: &str) -> usize {
    let mut node = root;
    for step in pointer.split('/').skip(1) {
        let name = step.replace("~1", "/").replace("~0", "~");
        let next = match &node.value {
            Value::Object(members) => members.iter().find(|m| m.name == name).map(|m| &m.node),
            Value::Array(items) => name.parse::<usize>().ok().and_then(|i| items.get(i)),
            _ => None,
        };
        let Some(next) = next else { break };
        node = next;
    }
    node.at
}

/// One step further down, escaped as RFC 6901 says.
pub(super) fn below(pointer: &str, name: impl fmt::Display) -> String {
    format!("{pointer}/{}", name.to_string().replace('~', "~0").replace('/', "~1"))
}

/// A name as an error shows it.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
