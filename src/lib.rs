//! tipstaff: an embeddable policy engine for security products.
#![warn(missing_docs)]

mod audit;
mod decimal;
mod hash;
mod id;
mod json;
mod pattern;
mod ready;
mod score;
mod time;
mod words;

pub use audit::{
    AUDIT_FORMAT, Actor, ActorError, AuditCatalog, AuditCode, AuditDomain, AuditDraft, AuditError,
    AuditFault, AuditRecord, ChainError, ChainFault, Code, CodeError, Detail, Head, HeadError, HostCode,
    MAX_DETAIL_BYTES, MAX_DETAILS, MAX_HOST_CODES, Personal, Retention, RetentionCategory, Salt, SaltError,
    Severity, Verifier, verify,
};
pub use decimal::{Decimal, DecimalError, MAX_DECIMAL_BYTES};
pub use hash::{Hash, HashError};
pub use id::{
    ActionKey, ActorId, ApprovalId, CommitId, EnforcementId, GroupId, IdError, IdFault, MAX_ID_BYTES,
    OccurrenceId, RuleId, ScaleId, SessionId, SignalId, Source, Subject, TenantId, TriggerId, UserId,
    WorkerId,
};
pub use json::{MAX_JSON_DEPTH, SyntaxError, SyntaxFault};
#[doc(hidden)]
pub use pattern::Choice;
pub use pattern::{
    Explanation, FieldVerdict, MAX_ALTERNATIVES, MAX_PATTERN_BRANCHES, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH,
    MAX_PATTERN_FIELDS, MAX_PAYLOAD_BYTES, MAX_SEEN_BYTES, MAX_SEEN_VALUES, MAX_WILDCARDS, Pattern,
    PatternError, PatternErrors, PatternFault, Payload, PayloadError, PayloadFault, Seen,
};
pub use ready::{WouldBlock, ready};
pub use score::{
    Band, BandName, BandNameError, BandNameFault, Change, Confidence, ConfidenceError, Direction, Fire,
    MAX_BAND_NAME_BYTES, MAX_BANDS, OutOfRange, Polarity, Reading, Scale, ScaleFault, Score, ScoreTrigger,
    Skipped, Transition, TransitionError, TriggerFault,
};
pub use time::{Span, SpanError, Time, TimeError};
pub use words::WordError;
