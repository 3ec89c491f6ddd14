//! What can be asked of a store.

use std::fmt;
use std::str::FromStr;

use super::record::{Key, Kind};
use crate::action::{ActionType, Category};
use crate::approval::ApprovalState;
use crate::effect::EffectStatus;
use crate::enforcement::{Reason, Status};
use crate::guard::Suppression;
use crate::id::{ActorId, RuleId, SessionId, TenantId, UserId};
use crate::rule::Mode;
use crate::signal::TriggerKind;
use crate::time::Time;
use crate::words::words;

/// How many rows a page has where nothing is said (behaviour 8.5).
pub const DEFAULT_PAGE: usize = 50;
/// The most rows of one page (behaviour 8.5).
pub const MAX_PAGE: usize = 200;

words! {
    /// What records can be filtered by.
    Facet, "facet" {
        User: "user", "the user, with all of their sessions";
        Session: "session", "one session";
        Action: "action", "the action's type";
        Category: "category", "the action's category";
        Trigger: "trigger", "how the run was initiated";
        Status: "status", "pending, succeeded or failed; of a request: where it stands";
        Reason: "reason", "why it stands there; of a signal: why an action was held back";
        Rule: "rule", "a rule that asked for it";
        Approver: "approver", "somebody who answered the request for it";
        Mode: "mode", "live, or shadow";
        Source: "source", "where the signal came from";
        Band: "band", "the subject's band, as `scale/band`";
        Signal: "signal", "the signal's id";
    }

    /// In which order rows come.
    Order, "order" {
        Newest: "newest", "the newest first";
        Oldest: "oldest", "the oldest first";
    }
}

/// A query of one kind of record of one tenant. Every facet named must hold; of its values, any.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// Whose.
    pub tenant: TenantId,
    /// Of what kind.
    pub kind: Kind,
    /// Not before this time.
    pub from: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
    /// Facets with the values that are accepted.
    pub facets: Vec<(Facet, Vec<String>)>,
    /// In which order.
    pub order: Order,
    /// After this place.
    pub after: Option<Cursor>,
    /// At most that many rows: 1 to [`MAX_PAGE`]; what lies outside is taken as the nearest end.
    pub limit: usize,
}

impl Query {
    /// Whether a record is among those that the query names, its cursor and limit aside. A store
    /// that filters in its own language is compared to this.
    #[must_use]
    pub fn names(&self, record: &super::Record) -> bool {
        let facet = |(facet, accepted): &(Facet, Vec<String>)| {
            record.facets.iter().any(|(of, value)| of == facet && accepted.contains(value))
        };
        record.key.tenant == self.tenant
            && record.key.kind == self.kind
            && self.from.is_none_or(|from| record.at >= from)
            && self.until.is_none_or(|until| record.at < until)
            && self.facets.iter().all(facet)
    }

    /// The limit within its bounds.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE)
    }
}

/// A page of rows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where to go on; none when there are no more rows.
    pub next: Option<Cursor>,
}

impl<T> IntoIterator for Page<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<T> Page<T> {
    pub(crate) fn try_map<U, E>(self, f: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let rows = self.rows.into_iter().map(f).collect::<Result<_, E>>()?;
        Ok(Page { rows, next: self.next })
    }
}

/// A place in the order (`at`, id) of a query, written as `<microseconds>.<id>`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cursor {
    /// The time of the last row.
    pub at: Time,
    /// Its id.
    pub id: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.micros(), self.id)
    }
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no cursor; accepted: the `next` of the page before, unchanged")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (micros, id) = text.split_once('.').ok_or(CursorError)?;
        let micros: i64 = micros.parse().map_err(|_| CursorError)?;
        let at = Time::from_micros(micros);
        if at.micros() != micros || id.is_empty() || id.contains(char::is_control) {
            return Err(CursorError);
        }
        Ok(Self { at, id: id.to_owned() })
    }
}

/// Which due records are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DuePage {
    /// Those due at this decision time or before.
    pub until: Time,
    /// After this place.
    pub after: Option<(TenantId, Time, Kind, String)>,
    /// At most that many, from 1.
    pub limit: usize,
}

/// Which audit records are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trail {
    /// Whose.
    pub tenant: TenantId,
    /// Of which lane.
    pub lane: u16,
    /// After this sequence number; 0 for the beginning.
    pub after: u64,
    /// At most that many, from 1.
    pub limit: usize,
}

/// A filter over the log, in any combination (behaviour 8.5). Several values of one thing mean any
/// of them.
///
/// ```
/// use tipstaff::{Filter, Status};
/// let tenant = "acme".parse()?;
/// let open = Filter::new(&tenant).user("ana".parse()?).status(Status::Pending);
/// # Ok::<(), tipstaff::IdError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    query: Query,
}

impl Filter {
    /// All rows of the tenant, the newest first, 50 a page.
    #[must_use]
    pub fn new(tenant: &TenantId) -> Self {
        Self {
            query: Query {
                tenant: tenant.clone(),
                // Whoever runs the filter sets the kind.
                kind: Kind::Enforcement,
                from: None,
                until: None,
                facets: Vec::new(),
                order: Order::Newest,
                after: None,
                limit: DEFAULT_PAGE,
            },
        }
    }

    pub(crate) fn query(self, kind: Kind) -> Query {
        Query { kind, ..self.query }
    }

    fn facet(mut self, facet: Facet, value: impl Into<String>) -> Self {
        match self.query.facets.iter_mut().find(|(of, _)| *of == facet) {
            Some((_, accepted)) => accepted.push(value.into()),
            None => self.query.facets.push((facet, vec![value.into()])),
        }
        self
    }

    /// Not before this time.
    #[must_use]
    pub fn from(mut self, from: Time) -> Self {
        self.query.from = Some(from);
        self
    }

    /// Before this time.
    #[must_use]
    pub fn until(mut self, until: Time) -> Self {
        self.query.until = Some(until);
        self
    }

    /// About this user or one of their sessions.
    #[must_use]
    pub fn user(self, user: UserId) -> Self {
        self.facet(Facet::User, user)
    }

    /// About this session.
    #[must_use]
    pub fn session(self, session: SessionId) -> Self {
        self.facet(Facet::Session, session)
    }

    /// Of this action type.
    #[must_use]
    pub fn action(self, action: impl Into<ActionType>) -> Self {
        self.facet(Facet::Action, action.into().as_str())
    }

    /// Of this category.
    #[must_use]
    pub fn category(self, category: Category) -> Self {
        self.facet(Facet::Category, category.as_str())
    }

    /// Initiated in this way.
    #[must_use]
    pub fn trigger(self, kind: TriggerKind) -> Self {
        self.facet(Facet::Trigger, kind.as_str())
    }

    /// In this status.
    #[must_use]
    pub fn status(self, status: Status) -> Self {
        self.facet(Facet::Status, status.as_str())
    }

    /// For this reason.
    #[must_use]
    pub fn reason(self, reason: Reason) -> Self {
        self.facet(Facet::Reason, reason.as_str())
    }

    /// Of signals: with an action that was held back for this reason.
    #[must_use]
    pub fn suppressed(self, reason: Suppression) -> Self {
        self.facet(Facet::Reason, reason.as_str())
    }

    /// Of requests: in this state.
    #[must_use]
    pub fn approval(self, state: ApprovalState) -> Self {
        self.facet(Facet::Status, state.as_str())
    }

    /// Of effects: in this state.
    #[must_use]
    pub fn effect(self, status: EffectStatus) -> Self {
        self.facet(Facet::Status, status.as_str())
    }

    /// Asked for by this rule.
    #[must_use]
    pub fn rule(self, rule: RuleId) -> Self {
        self.facet(Facet::Rule, rule)
    }

    /// Answered by this approver.
    #[must_use]
    pub fn approver(self, approver: ActorId) -> Self {
        self.facet(Facet::Approver, approver)
    }

    /// Of rules in this mode. A decision may be of both.
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        self.facet(Facet::Mode, mode.as_str())
    }

    /// Of signals from this source.
    #[must_use]
    pub fn source(self, source: impl Into<String>) -> Self {
        self.facet(Facet::Source, source)
    }

    /// Of the signal with this id.
    #[must_use]
    pub fn signal(self, id: impl Into<String>) -> Self {
        self.facet(Facet::Signal, id)
    }

    /// In this order.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.query.order = order;
        self
    }

    /// Going on after a page.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.query.after = Some(cursor);
        self
    }

    /// At most that many rows a page: 1 to [`MAX_PAGE`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.query.limit = limit;
        self
    }
}

impl DuePage {
    /// The place of a record in the order of due records.
    #[must_use]
    pub fn place(record: &super::Record) -> Option<(TenantId, Time, Kind, String)> {
        let Key { tenant, kind, id } = &record.key;
        record.due_at.map(|due| (tenant.clone(), due, *kind, id.clone()))
    }
}
