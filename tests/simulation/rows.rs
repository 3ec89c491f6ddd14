//! What the audit trail tells of each kind of record, and what it leaves out on purpose: each commit is
//! held against it.

use std::collections::BTreeMap;

use tipstaff::AuditCode as Code;
use tipstaff::*;

use crate::witness::{Checked, ROWS, TOGETHER, ensure, facet, violated};
use crate::work::body;

/// How many rows tell of a change.
enum Law {
    /// One.
    One,
    /// Those that this asks for.
    By(fn(&Change<'_>, &[&Row<'_>]) -> Checked),
    /// None, on purpose.
    Untold,
    /// Nothing here leads to such a record.
    Absent,
}
use Law::{Absent, By, One, Untold};

/// Declares what is known of each kind: how many rows tell of a change, which ones, and what they leave out
/// and why. One table.
macro_rules! told {
    ($($kind:ident: $law:expr, [$($code:ident)*], $left_out:literal;)+) => {
        const TOLD: &[(Kind, Law, &[Code])] = &[$((Kind::$kind, $law, &[$(Code::$code),*])),+];
    };
}

told! {
    Approval: By(request), [ApprovalRequested ApprovalVoteCast ApprovalReminded ApprovalExpired ApprovalWithdrawn
        ApprovalGranted ApprovalRejected], "nothing; here all have one stage";
    Away: Absent, [], "no administrators are named";
    Book: One, [PolicyRulesInstalled PolicyRuleActivated PolicyRuleDeactivated], "nothing";
    Cap: Absent, [], "there are no caps";
    Change: Absent, [], "bands stay as they are";
    Control: One, [PolicyKillSwitchEngaged PolicyKillSwitchReleased PolicyRulePaused PolicyRuleResumed], "nothing";
    Effect: By(holders), [EnforcementEffectHeld EnforcementEffectReleased EnforcementEffectLifted],
        "whose turn it is, and whether it is certain: rows of the claim and of its end tell";
    Enforcement: By(life), [EnforcementCreated EnforcementQueued EnforcementClaimed EnforcementReclaimed
        EnforcementRetryScheduled EnforcementAccepted EnforcementSucceeded EnforcementFailed EnforcementCancelled
        EnforcementCancelAsked EnforcementHandedBack EnforcementPostponed EnforcementOutcomeUnknown
        EnforcementUndoFailed], "the repeats of a storm: the record counts them, and each signal has its row";
    Entry: One, [PolicyRuleAdded PolicyRuleActivated PolicyRuleDeactivated], "nothing";
    Exemption: One, [PolicyExemptionGranted PolicyExemptionRevoked], "nothing";
    Notice: By(life), [EnforcementQueued EnforcementClaimed EnforcementReclaimed EnforcementRetryScheduled
        EnforcementHandedBack EnforcementPostponed ApprovalNoticeSent ApprovalNoticeFailed],
        "that it is made: the row of its request says how many are told";
    Rule: One, [PolicyRuleAdded], "nothing";
    Run: By(run), [ScheduleOccurrenceStarted ScheduleOccurrenceCompleted ScheduleOccurrenceStopped],
        "how far it has come: everybody who is visited has a signal's row";
    Stats: Untold, [], "all of it: counts, on which no decision rests";
    Subject: By(bands), [PolicyBandEntered],
        "since when they are known, the scores within a band, what rests: the signal's row tells";
    Sweep: Untold, [], "how far it has come: the order has a row, and all that is let go of has";
    Tally: Untold, [], "all of it: counts, and the signal's row says where they stand";
    Timer: By(left_out), [ScheduleOccurrenceSkipped], "its mark: what begins has the row of its run";
    Trigger: One, [PolicySignalDecided PolicyScoreRecorded PolicyLevelElapsed PolicyManualStart], "nothing";
    Waiver: One, [PolicyExemptionGranted PolicyExemptionRevoked], "nothing";
    Watch: Absent, [], "no rule waits for what does not happen";
}

/// Rows that tell of no change of a record: something was refused or not made, it is the trail itself that
/// they are about, or they stand beside the row that tells.
const BESIDE: [Code; 8] = [
    Code::AccountSessionsRevokedAll,
    Code::ApprovalVoteRefused,
    Code::EnforcementSettleRefused,
    Code::PolicyActionSuppressed,
    Code::PolicyApprovalLoosened,
    Code::PolicyErasureOrdered,
    Code::PolicyPersonalDataErased,
    Code::PolicySignalRefused,
];

/// A record as it was, if it was there, and as it is put in its place.
pub(crate) struct Change<'c> {
    pub(crate) before: Option<&'c Record>,
    pub(crate) record: &'c Record,
}

/// A row of the trail, as far as it says of what it tells.
pub(crate) struct Row<'r> {
    code: Code,
    subject: Option<&'r Subject>,
    target: Option<&'r str>,
    details: &'r BTreeMap<String, Detail>,
    trigger: Option<TriggerId>,
    enforcement: Option<EnforcementId>,
    approval: Option<ApprovalId>,
}

/// Takes from a row what it tells of; the engine writes codes of its own alone.
macro_rules! row_from {
    ($($type:ident: $text:expr;)+) => {$(
        impl<'r> From<&'r $type> for Row<'r> {
            fn from(row: &'r $type) -> Self {
                let text: fn(&$type) -> &str = $text;
                let (subject, target) = (row.subject.as_ref(), row.target.as_deref());
                let $type { details, trigger, enforcement, approval, .. } = row;
                let code = text(row).parse().expect("a built-in code");
                Self {
                    code, subject, target, details,
                    trigger: *trigger, enforcement: *enforcement, approval: *approval,
                }
            }
        }
    )+};
}

row_from! {
    AuditDraft: |row| row.code.as_str();
    AuditRecord: |row| &row.code;
}

fn told(kind: Kind) -> &'static (Kind, Law, &'static [Code]) {
    TOLD.iter().find(|(known, ..)| *known == kind).expect("the table has every kind")
}

impl Row<'_> {
    /// Whether it tells of a change of that record.
    pub(crate) fn tells_of(&self, record: &Record) -> bool {
        told(record.key.kind).2.contains(&self.code) && self.names(record)
    }

    fn names(&self, record: &Record) -> bool {
        let id = &record.key.id;
        let is = |name: Option<String>| name.as_ref() == Some(id);
        match record.key.kind {
            Kind::Enforcement | Kind::Notice => is(self.enforcement.map(|of| of.to_string())),
            Kind::Approval => is(self.approval.map(|of| of.to_string())),
            Kind::Trigger => is(self.trigger.map(|of| of.to_string())),
            Kind::Effect => is(self.detail("effect")),
            Kind::Subject => is(self.subject.map(user)),
            Kind::Exemption => is(self.subject.map(user)),
            Kind::Entry | Kind::Timer => self.target == Some(id),
            Kind::Rule => is(self.target.zip(self.detail("revision")).map(|(rule, n)| format!("{rule}@{n}"))),
            Kind::Run => {
                self.target == facet(record, Facet::Rule)
                    && self.detail("occurrence") == Some(record.at.to_string())
            }
            Kind::Waiver => self.subject.is_none(),
            // A tenant has one.
            Kind::Book | Kind::Control => true,
            _ => false,
        }
    }

    fn detail(&self, name: &str) -> Option<String> {
        self.details.get(name).map(ToString::to_string)
    }

    /// Whether it says what an answer brought about, beside the row of that answer.
    const fn is_verdict(&self) -> bool {
        matches!(self.code, Code::ApprovalGranted | Code::ApprovalRejected)
    }
}

fn user(subject: &Subject) -> String {
    format!("user:{}", subject.user)
}

/// Holds the rows of a commit against the records that it puts: each row tells of one of these.
pub(crate) fn of_changes(rows: &[Row<'_>], put: &[Record]) -> Checked {
    let tells = |row: &&Row<'_>| put.iter().any(|record| row.tells_of(record));
    let idle = rows.iter().find(|row| !BESIDE.contains(&row.code) && !tells(row));
    ensure(TOGETHER, idle.is_none(), || {
        let (code, about) = (idle.map(|row| row.code), idle.and_then(|row| row.enforcement));
        format!("{code:?} says what nothing did ({about:?})")
    })
}

/// Holds one change of a commit against the rows that tell of it.
pub(crate) fn of_change(change: &Change<'_>, rows: &[&Row<'_>]) -> Checked {
    let key = &change.record.key;
    match &told(key.kind).1 {
        One => one(key, rows),
        By(law) => law(change, rows),
        Untold => Ok(()),
        Absent => violated(TOGETHER, format!("{key}: nobody has said what tells of it")),
    }
}

fn one(key: &Key, rows: &[&Row<'_>]) -> Checked {
    ensure(TOGETHER, !rows.is_empty(), || format!("{key} is written without a row"))?;
    ensure(ROWS, rows.len() == 1, || format!("{key} is written once: {:?}", codes(rows)))
}

fn codes(rows: &[&Row<'_>]) -> Vec<Code> {
    rows.iter().map(|row| row.code).collect()
}

/// So many of these rows, no more and no fewer.
fn so_many(key: &Key, rows: &[&Row<'_>], of: &[Code], wanted: bool) -> Checked {
    let found = rows.iter().filter(|row| of.contains(&row.code)).count();
    ensure(TOGETHER, found > 0 || !wanted, || format!("{key} has come to it without {of:?}"))?;
    ensure(ROWS, found <= usize::from(wanted), || format!("{key}: {found} times {of:?}"))
}

/// Each move has one row.
fn life(change: &Change<'_>, rows: &[&Row<'_>]) -> Checked {
    let Change { before, record } = change;
    match rows {
        [] if record.key.kind == Kind::Notice && before.is_none() => Ok(()),
        [] => {
            let made: Enforcement = body(record);
            let was: Option<Enforcement> = before.map(body);
            let repeated = was.is_some_and(|was| {
                let Enforcement { repeats, last_repeat, .. } = was;
                made.repeats > repeats && Enforcement { repeats, last_repeat, ..made } == was
            });
            ensure(TOGETHER, repeated, || format!("{} is written without a row", record.key))
        }
        // An undo that is made, or given back, and called off at once has two rows and one version.
        [first, last] if last.detail("reason").as_deref() == Some("superseded") => {
            let undo = matches!(body::<Enforcement>(record).purpose, Purpose::Undo { .. });
            let path = undo && last.detail("was") == first.detail("reason");
            ensure(ROWS, path, || format!("{} is written once: {:?}", record.key, codes(rows)))
        }
        rows => one(&record.key, rows),
    }
}

/// Whatever happens to a request has one row, and the verdict that an answer brings about another.
fn request(change: &Change<'_>, rows: &[&Row<'_>]) -> Checked {
    let Change { before, record } = change;
    let became = |word: &str| {
        facet(record, Facet::Status) == Some(word)
            && before.and_then(|before| facet(before, Facet::Status)) != Some(word)
    };
    for (code, word) in [
        (Code::ApprovalGranted, "granted"),
        (Code::ApprovalRejected, "rejected"),
        (Code::ApprovalExpired, "expired"),
        (Code::ApprovalWithdrawn, "withdrawn"),
    ] {
        so_many(&record.key, rows, &[code], became(word))?;
    }
    let moves: Vec<_> = rows.iter().copied().filter(|row| !row.is_verdict()).collect();
    one(&record.key, &moves)
}

/// Whoever comes to hold an effect, and whoever lets go, has a row, and so has its end: whoever reads the
/// rows knows who holds it.
fn holders(change: &Change<'_>, rows: &[&Row<'_>]) -> Checked {
    let Change { before, record } = change;
    let (was, is): (Option<HeldEffect>, HeldEffect) = (before.map(body), body(record));
    let all = |effect: &HeldEffect| -> BTreeMap<String, [String; 2]> {
        let one = |held: &Held| {
            (held.holder.to_string(), [held.generation.to_string(), held.enforcement.to_string()])
        };
        effect.holders().iter().map(one).collect()
    };
    let mut told = was.as_ref().map(all).unwrap_or_default();
    let mut status = was.as_ref().map_or(EffectStatus::Clear, HeldEffect::status);
    for row in rows {
        let holder = row.detail("holder").unwrap_or_default();
        let by = [row.detail("generation"), row.enforcement.map(|by| by.to_string())]
            .map(Option::unwrap_or_default);
        let right = match row.code {
            Code::EnforcementEffectHeld => {
                status = EffectStatus::Standing;
                told.insert(holder, by.clone()) != Some(by)
            }
            Code::EnforcementEffectReleased => {
                let held = told.remove(&holder) == Some(by);
                status = if told.is_empty() { EffectStatus::Lifting } else { status };
                held
            }
            _ => std::mem::replace(&mut status, EffectStatus::Clear) == EffectStatus::Lifting,
        };
        ensure(ROWS, right, || format!("{}: {:?} of what is so already: {is}", record.key, row.code))?;
    }
    // The row of an undo that failed, or was ordered once more, tells of that.
    let undo = status == EffectStatus::Lifting && is.status() == EffectStatus::Stuck
        || status == EffectStatus::Stuck && is.status() == EffectStatus::Lifting;
    ensure(TOGETHER, told == all(&is) && (status == is.status() || undo), || {
        format!("{}: {:?} tell that it is {status}, held by {told:?}: {is}", record.key, codes(rows))
    })
}

/// Whoever enters a band has a row.
fn bands(change: &Change<'_>, rows: &[&Row<'_>]) -> Checked {
    let Change { before, record } = change;
    let all = |record: &Record| -> Vec<String> {
        let bands = record.facets.iter().filter(|(facet, _)| *facet == Facet::Band);
        bands.map(|(_, band)| band.clone()).collect()
    };
    let known = before.map(all).unwrap_or_default();
    let entered: Vec<_> = all(record).into_iter().filter(|band| !known.contains(band)).collect();
    let told: Vec<_> = rows
        .iter()
        .map(|row| format!("{}/{}", row.detail("scale").unwrap_or_default(), row.target.unwrap_or_default()))
        .collect();
    let law = if told.len() > entered.len() { ROWS } else { TOGETHER };
    ensure(law, told == entered, || format!("{} entered {entered:?}, told is {told:?}", record.key))
}

/// Its beginning and its end have a row each.
fn run(change: &Change<'_>, rows: &[&Row<'_>]) -> Checked {
    let Change { before, record } = change;
    let key = &record.key;
    so_many(key, rows, &[Code::ScheduleOccurrenceStarted], before.is_none())?;
    let over = record.due_at.is_none() && before.is_none_or(|before| before.due_at.is_some());
    let ends = [Code::ScheduleOccurrenceCompleted, Code::ScheduleOccurrenceStopped];
    so_many(key, rows, &ends, over)
}

/// What is left out has a row each: that none is missing shows at the end.
fn left_out(_: &Change<'_>, _: &[&Row<'_>]) -> Checked {
    Ok(())
}

/// How many versions of a record the rows of the trail tell of; none where they leave some out.
pub(crate) fn versions(record: &Record, rows: &[Row<'_>]) -> Option<u64> {
    let own = rows.iter().filter(|row| row.tells_of(record));
    match record.key.kind {
        Kind::Approval => Some(own.filter(|row| !row.is_verdict()).count() as u64),
        kind => matches!(told(kind).1, One).then(|| own.count() as u64),
    }
}

#[test]
fn each_kind_stands_in_the_table_once() {
    let kinds: Vec<Kind> = TOLD.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, Kind::ALL);
}
