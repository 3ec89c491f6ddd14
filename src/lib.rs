//! tipstaff: an embeddable policy engine for security products.
#![warn(missing_docs)]

mod decimal;
mod hash;
mod id;
mod json;
mod pattern;
mod ready;
mod time;

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
pub use time::{Span, SpanError, Time, TimeError};
