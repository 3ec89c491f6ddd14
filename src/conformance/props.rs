//! What laws write into a store: records of every kind, odd texts, audit drafts.

use super::broken::{Broken, Checked, same};
use crate::action::{ActionType, Category, RetrySafety, Success};
use crate::audit::{Actor, AuditCode, AuditDraft, AuditRecord, Head, Salt, verify};
use crate::enforcement::{Enforcement, Input, Origin, Outcome, Purpose, State};
use crate::id::{ApprovalId, EnforcementId, Subject, TenantId, TriggerId, UserId};
use crate::signal::TriggerKind;
use crate::state::{Control, Stop};
use crate::store::{Body as _, Claim, Facet, Key, Kind, Query, Queue, Record, Stored, decode, encode};
use crate::time::{Span, Time};

/// When records come into being: 2026-01-01T00:00:00Z.
pub(super) const START: Time = Time::from_micros(1_767_225_600_000_000);
/// The decision time of claims, beyond every store's clock: 2100-01-01T00:00:00Z. A record that
/// runs waits in its queue since the store's time of its claim.
pub(super) const LATE: Time = Time::from_micros(4_102_444_800_000_000);
/// The lease of claims that are to lapse; a harness without a clock of its own sleeps through it.
pub(super) const SHORT: Span = Span::secs(1);

/// Texts that a careless store mixes up: quoting, wildcards, letters that look or fold alike,
/// white space, words of query languages. All of them are ids.
pub(super) const ODD: &[&str] = &[
    "plain",
    "Plain",
    "it's",
    "''",
    "say \"yes\"",
    "back\\slash",
    "100%",
    "100_",
    "1000",
    "a; drop table records; --",
    "na\u{ef}ve",
    "nai\u{308}ve",
    "Straße",
    "STRASSE",
    "日本語",
    "🙂",
    "a b",
    "a  b",
    "a\u{200b}b",
    "null",
    "0",
    "00",
    "{}",
    "$1",
    "?",
    ":a",
    "a/b",
    "é",
    "e\u{301}",
];

/// An id from a literal of this suite.
pub(super) fn id<T: for<'a> TryFrom<&'a str>>(text: &str) -> T {
    T::try_from(text).unwrap_or_else(|_| T::try_from("x").ok().expect("one letter is an id"))
}

pub(super) fn acme() -> TenantId {
    id("acme")
}

pub(super) fn other() -> TenantId {
    id("other")
}

pub(super) fn channel(name: &str) -> ActionType {
    name.parse().unwrap_or_else(|_| ActionType::approval_notice())
}

/// That many seconds after the beginning.
pub(super) fn at(seconds: u64) -> Time {
    START.after(Span::secs(seconds))
}

/// A record that nothing waits for.
pub(super) fn plain(tenant: &TenantId, kind: Kind, id: &str) -> Record {
    Record {
        key: Key::new(tenant, kind, id),
        version: 0,
        at: START,
        due_at: None,
        queue: None,
        lease: None,
        token: 0,
        facets: Vec::new(),
        body: "{}".to_owned(),
    }
}

/// A body that a reader tells from others.
pub(super) fn body(text: &str) -> String {
    serde_json::json!({ "text": text }).to_string()
}

/// The record as the store must have it after a put.
pub(super) fn stored(record: &Record) -> Record {
    Record { version: record.version + 1, ..record.clone() }
}

/// An action that waits to be carried out since the beginning.
pub(super) fn action(tenant: &TenantId, name: &str) -> Enforcement {
    let kind = channel("send_webhook");
    Enforcement {
        id: EnforcementId::derive(|hasher| hasher.text("conformance").text(tenant.as_str()).text(name)),
        tenant: tenant.clone(),
        purpose: Purpose::Action,
        origin: Origin {
            trigger: TriggerId::derive(|hasher| hasher.text(name)),
            kind: TriggerKind::Event,
            source: "suite".to_owned(),
            signal: name.to_owned(),
            at: START,
            operator: None,
            reason: None,
            cause: None,
            depth: 0,
        },
        subject: Subject::user(id("ana")),
        action: kind.clone(),
        category: Category::Integration,
        channel: kind,
        params: std::collections::BTreeMap::new(),
        holders: Vec::new(),
        approval: None,
        votes: Vec::new(),
        recorded_at: START,
        settled_at: None,
        state: State::Queued { since: START, start_by: None },
        attempts: 0,
        history: Vec::new(),
        repeats: 0,
        last_repeat: None,
        windows: Vec::new(),
        retry: RetrySafety::Idempotent.retry(),
        success: Success::Accepted,
        start_at: None,
        start_within: None,
        inverse: None,
        administrator: false,
        reserved: Vec::new(),
        judged: None,
        retry_of: None,
    }
}

/// The same as a notice to an approver.
pub(super) fn notice(tenant: &TenantId, name: &str) -> Enforcement {
    let approval = ApprovalId::derive(|hasher| hasher.text(name));
    Enforcement { purpose: Purpose::Notice { approval, recipient: id("ben") }, ..action(tenant, name) }
}

/// The record of an enforcement, to be put.
pub(super) fn record(enforcement: &Enforcement) -> Record {
    let key = Key::new(&enforcement.tenant, enforcement.kind(), enforcement.id.to_string());
    encode(key, 0, &Stored::new(enforcement.clone()))
}

/// Records of that many waiting actions.
pub(super) fn waiting(tenant: &TenantId, names: std::ops::Range<usize>) -> Vec<Record> {
    names.map(|name| record(&action(tenant, &name.to_string()))).collect()
}

/// The put that settles a claimed record with a failure that is tried again at once.
pub(super) fn settled(claimed: &Record) -> Result<Record, Broken> {
    let stored = decode::<Enforcement>(claimed)?;
    let input = Input::Settle { token: claimed.token, outcome: Outcome::Retry { after: None } };
    let (next, _) = stored
        .body
        .step(&input, Actor::Engine, START)
        .map_err(|error| Broken::new("settling a claimed record", "a running one", error.to_string()))?;
    let next = encode(claimed.key.clone(), claimed.version, &stored.with(next));
    Ok(Record { token: claimed.token, ..next })
}

/// How often a record was claimed, as its body says.
pub(super) fn attempts(record: &Record) -> Result<u32, Broken> {
    Ok(decode::<Enforcement>(record)?.body.attempts)
}

/// A record that stops something.
pub(super) fn control(tenant: &TenantId, stops: impl FnOnce(&mut Control, Stop)) -> Record {
    let mut control = Control::default();
    stops(&mut control, Stop { by: id("ben"), at: START, reason: "a drill".to_owned() });
    encode(Claim::control_key(tenant), 0, &Stored::new(control))
}

/// A draft with two personal fields about a user.
pub(super) fn draft(tenant: &TenantId, lane: u16, user: &str, text: &str) -> AuditDraft {
    AuditDraft::new(tenant.clone(), AuditCode::EnforcementQueued, Actor::Engine, START)
        .lane(lane)
        .subject(id::<UserId>(user))
        .target("a \"target\" of 100%")
        .detail("note", text)
        .detail("count", 3)
        .detail("when", Time::MAX)
        .personal("address", format!("{user}@example.org"))
        .personal("comment", text)
}

/// Records of a lane must be what sealing these drafts after that head makes of them.
pub(super) fn as_sealed(place: &str, from: Head, drafts: &[AuditDraft], records: &[AuditRecord]) -> Checked {
    same(&format!("{place}: number of audit records"), &drafts.len(), &records.len())?;
    let mut head = from;
    for (draft, record) in drafts.iter().zip(records) {
        // The salts are the store's own; everything else follows from the draft and the head.
        let mut salts = record.personal.values().filter_map(|field| field.salt);
        let (sealed, next) = head.seal(draft.clone(), &mut || salts.next().unwrap_or(Salt::from([0; 16])));
        same(place, &sealed, record)?;
        head = next;
    }
    Ok(())
}

/// A lane must verify from its beginning; gives its head.
pub(super) fn verified(place: &str, records: &[AuditRecord]) -> Result<Head, Broken> {
    verify(records, Head::default())
        .map_err(|error| Broken::new(place, "a chain that verifies", error.to_string()))
}

/// Every record of one kind, the oldest first.
pub(super) fn all(tenant: &TenantId, kind: Kind) -> Query {
    Query {
        tenant: tenant.clone(),
        kind,
        from: None,
        until: None,
        facets: Vec::new(),
        order: crate::store::Order::Oldest,
        after: None,
        limit: crate::store::MAX_PAGE,
    }
}

/// A record with everything that a record can have.
pub(super) fn full(tenant: &TenantId, kind: Kind, name: &str) -> Record {
    let facets =
        Facet::ALL.iter().flat_map(|facet| [(*facet, format!("{name} 1")), (*facet, name.to_owned())]);
    let mut facets: Vec<_> = facets.collect();
    facets.sort();
    Record {
        at: at(7),
        due_at: Some(at(8)),
        queue: Some(Queue { channel: channel("send_webhook"), ready_at: at(9) }),
        lease: Some(crate::store::Lease {
            worker: id("w1"),
            nonce: crate::id::CommitId::derive(|hasher| hasher.text(name)),
            until: at(10),
        }),
        token: u64::from(u32::MAX) + 7,
        facets,
        body: body(name),
        ..plain(tenant, kind, name)
    }
}
