//! An embeddable policy engine for security products: signals in; approved, audited, durable
//! enforcement out.
//!
//! A host feeds an [`Engine`] with signals ([`Event`], [`ScoreReading`], [`ManualStart`], and the
//! passing of time through [`Engine::run_due`]). By the tenant's [`RuleSet`] it decides which
//! actions follow, holds those that hurt people until approvers agree ([`Engine::approve`]), keeps
//! one [`Enforcement`] for each, hands it to the host's [`Delivery`], and writes an audit trail of
//! typed codes ([`AuditCode`]) whose records are chained. Storage is the host's as well: a
//! [`Store`]; [`MemoryStore`] is the one to begin with.
//!
//! The core reads no clock, no environment and no randomness: time is an argument everywhere
//! ([`Time`]), and the same inputs give the same [`Decision`].
//!
//! # Where to look
//! - Rules: [`RuleSet::from_json`], or [`Rule`] and [`RuleAction`] in Rust; patterns: [`Pattern`];
//!   crontab lines: [`Timetable`]; scores: [`Scale`], and what keeps a subject in a band:
//!   [`Hysteresis`].
//! - The life of an enforcement: [`State`], of a request for approval: [`ApprovalState`].
//! - Restrictions that stand, and how they end: [`HeldEffect`], [`Timing`], [`Engine::lift`],
//!   [`Engine::exempt`].
//! - To implement storage: the contract of [`Store`] and, with the feature `conformance`, the suite
//!   that proves it.
//! - To verify an audit trail: [`Verifier`].
#![warn(missing_docs)]

mod action;
mod approval;
mod audit;
#[cfg(not(tipstaff_broken))]
mod broken;
#[cfg(tipstaff_broken)]
#[doc(hidden)]
pub mod broken;
#[cfg(feature = "conformance")]
pub mod conformance;
mod decimal;
mod delivery;
mod effect;
mod enforcement;
mod engine;
mod exemption;
mod guard;
mod hash;
mod id;
mod json;
mod matcher;
mod memory;
mod pattern;
mod people;
mod plan;
mod ready;
mod rule;
mod schedule;
mod score;
mod signal;
mod state;
mod store;
mod time;
mod watch;
mod words;

pub use action::{
    ActionCatalog, ActionSpec, ActionType, BuiltinAction, Category, MAX_ACTION_TYPES, MAX_PARAM_BYTES,
    MAX_PARAMS, Param, ParamFault, ParamKind, ParamProblem, ParamValue, Params, Retry, RetrySafety,
    SpecFault, Stage, Success, Template, TemplateError, check_params,
};
pub use approval::{
    Approval, ApprovalError, ApprovalInput, ApprovalState, ApprovedPart, Ballot, Batch, BatchError,
    BatchMember, Carried, Context, Delegation, Finding, Judgement, MAX_BATCH, MAX_COMMENT_BYTES, Panel,
    Progress, Reassignment, Standing, Verdict, VoidReason, Vote,
};
pub use audit::{
    AUDIT_FORMAT, Actor, ActorError, AuditCatalog, AuditCode, AuditDomain, AuditDraft, AuditError,
    AuditFault, AuditRecord, ChainError, ChainFault, Code, CodeError, Detail, Head, HeadError, HostCode,
    MAX_DETAIL_BYTES, MAX_DETAILS, MAX_HOST_CODES, Personal, Retention, RetentionCategory, Salt, SaltError,
    Severity, Verifier, verify,
};
pub use decimal::{Decimal, DecimalError, MAX_DECIMAL_BYTES, MAX_DECIMAL_DIGITS};
pub use delivery::{Delivered, Delivery, Job, Probe};
pub use effect::{EffectError, EffectInput, EffectState, EffectStatus, Held, HeldEffect, Turn as EffectTurn};
pub use enforcement::{
    Attempt, Enforcement, Holder, Holding, Input, MAX_KEPT_ATTEMPTS, MAX_REPORT_BYTES, MAX_RETRY_AFTER,
    Means, MoveError, Origin, Outcome, Purpose, Reason, Report, Rung, State, Status, Terms,
};
pub use engine::{
    ActionCount, ApprovalView, BandMove, BandPreview, BatchOutcome, Engine, EngineError, Fault, IfUnanswered,
    InFlight, MAX_MOVE_SAMPLE, MoveCount, Reassign, Renewals, Reply, RuleChange, RuleRow, RunReport,
    SUBMIT_GROUP, ScaleList, StageView, TimetableRow,
};
pub use exemption::{
    Exempt, ExemptionScope, ExemptionScopeError, Exemptions, MAX_EXEMPTIONS, Waiver, Waivers,
};
pub use guard::{Cause, Suppressed, Suppression};
pub use hash::{Hash, HashError};
pub use id::{
    ActionKey, ActorId, ApprovalId, CommitId, EffectId, EnforcementId, GroupId, IdError, IdFault,
    MAX_ID_BYTES, OccurrenceId, RuleId, ScaleId, SessionId, SignalId, Source, Subject, TenantId, TriggerId,
    UserId, WorkerId,
};
pub use json::{MAX_JSON_DEPTH, SyntaxError, SyntaxFault};
pub use matcher::{Matcher, MatcherReader, RuleIx, Scratch, SharedMatcher};
pub use memory::MemoryStore;
#[doc(hidden)]
pub use pattern::Choice;
pub use pattern::{
    Explanation, FieldVerdict, MAX_ALTERNATIVES, MAX_PATTERN_BRANCHES, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH,
    MAX_PATTERN_FIELDS, MAX_PAYLOAD_BYTES, MAX_SEEN_BYTES, MAX_SEEN_VALUES, MAX_WILDCARDS, Pattern,
    PatternError, PatternErrors, PatternFault, Payload, PayloadError, PayloadFault, Seen,
};
pub use people::{People, PeopleError, Right};
pub use plan::{
    ActionOutcome, Decision, Effect, Facts, MAX_EVIDENCE_FIELDS, Moved, NoticeKind, Part, PartVerdict, Plan,
    PlanError, RuleAnswer, RuleRef, Why, WhyNot, explain, plan, why_not,
};
pub use ready::{Answer, WouldBlock, ready};
pub use rule::{
    Absent, ActionScope, ApprovalPolicy, ApprovalSetting, ApprovalStage, Audience, CATCH_UP_GRACE, Cap,
    CapLimit, CapScope, CatchUp, CommentRule, CompiledAction, CompiledRule, Cooldown, CooldownScope,
    DEFAULT_APPROVAL_WITHIN, DEFAULT_LOOP_DEPTH, DEFAULT_START_WITHIN, Deadline, DocumentError,
    DocumentFault, EventFilter, Fallback, Guards, Hold, KeepAdministrators, Ladder, Listened,
    MAX_ABSENT_WITHIN, MAX_ACTIONS, MAX_APPROVAL_WITHIN, MAX_CAP_COUNT, MAX_CAPS, MAX_CATCH_UP,
    MAX_CONFIRM_WITHIN, MAX_COOLDOWN, MAX_DELAY, MAX_DOCUMENT_BYTES, MAX_EFFECT_HOLD, MAX_FIELD_BYTES,
    MAX_GROUPS, MAX_KEPT, MAX_LOOP_DEPTH, MAX_MEMBERS, MAX_NEED, MAX_PROTECTED, MAX_RULES, MAX_RUNGS,
    MAX_SCALES, MAX_SOURCES, MAX_STAGES, MAX_TIMES, MAX_TITLE_BYTES, MAX_WINDOW, MAX_WINDOW_COUNT,
    MAX_WINDOW_VALUES, MIN_DEADLINE, MIN_RUNGS, Maintenance, Mode, OnExceed, Policy, Protected, QuietHours,
    Quorum, Reopened, Role, Rule, RuleAction, RuleFault, RuleSet, RuleWarning, Settings, Times, Timing,
    Trigger, UnknownScale, Window, WindowKind,
};
pub use schedule::{
    Calendar, CalendarIx, Clock, ClockError, CronError, CronFault, CronField, Hours, MAX_CRON_BYTES,
    Occurrence, Timetable, Weekday, Zone, ZoneError,
};
#[doc(hidden)]
pub use schedule::{CronReading, Fold, Gap};
pub use score::{
    Band, BandName, BandNameError, BandNameFault, Change, Confidence, ConfidenceError, Direction, Entered,
    Fire, History, Hysteresis, Leaving, Level, LevelCause, LevelStep, MAX_BAND_NAME_BYTES, MAX_BANDS,
    MAX_DWELL, MAX_HOLD, MAX_KEPT_ATTRIBUTES, MAX_KEPT_ENTRIES, MAX_KEPT_READINGS, MIN_DWELL, MIN_HOLD,
    Observation, OutOfRange, Polarity, Reading, Scale, ScaleFault, Score, ScoreTrigger, Scored, Skipped,
    Transition, TransitionError, TriggerFault,
};
pub use signal::{
    Absence, DefaultedField, Dismissal, Event, EventError, EventFault, LevelTurn, LevelWhy, MAX_REASON_BYTES,
    ManualOrder, ManualStart, ScoreReading, Signal, SignalInfo, TriggerKind, Turn,
};
pub use state::{
    Administrators, Attributes, Away, BandRun, BandSet, Book, CapCounter, CapWindow, Control, Cooling,
    Counted, Entry, Fired, KillScope, MAX_ATTRIBUTE_BYTES, MAX_CAP_WINDOWS, MAX_RESTING_VALUES, MAX_RESTS,
    MAX_WINDOW_SIGNALS, Offences, Pause, Place, Precision, Reserved, Rests, Roster, RuleStats, Run, Stop,
    SubjectState, Sweep, SweepCause, TakenBy, Tally, Timer, WindowOutcome, WindowStand,
};
pub use store::{
    Ahead, Claim, Commit, Committed, Cursor, CursorError, DEFAULT_PAGE, DuePage, Facet, Filter, Key, Kind,
    Lease, MAX_CLAIM, MAX_PAGE, Order, Page, Query, Queue, Record, Renewal, SharedStore, Store, StoreError,
    Taken, Trail, Upcoming,
};
pub use time::{Span, SpanError, Time, TimeError};
pub use watch::{Open, Watch};
pub use words::WordError;

/// The README's code is tested as it stands.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
