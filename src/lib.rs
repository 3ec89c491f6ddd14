//! tipstaff: an embeddable policy engine for security products.
#![warn(missing_docs)]

mod decimal;
mod hash;
mod id;
mod json;
mod ready;
mod schedule;
mod score;
mod time;

pub use decimal::{Decimal, DecimalError, MAX_DECIMAL_BYTES};
pub use hash::{Hash, HashError};
pub use id::{
    ActionKey, ActorId, ApprovalId, CommitId, EnforcementId, GroupId, IdError, IdFault, MAX_ID_BYTES,
    OccurrenceId, RuleId, ScaleId, SessionId, SignalId, Source, Subject, TenantId, TriggerId, UserId,
    WorkerId,
};
pub use json::{MAX_JSON_DEPTH, SyntaxError, SyntaxFault};
pub use ready::{WouldBlock, ready};
pub use schedule::{CronError, CronFault, CronField, MAX_CRON_BYTES, Occurrence, Timetable, Zone, ZoneError};
#[doc(hidden)]
pub use schedule::{CronReading, Fold, Gap};
pub use score::{
    Band, BandName, BandNameError, BandNameFault, Change, Confidence, ConfidenceError, Direction, Fire,
    MAX_BAND_NAME_BYTES, MAX_BANDS, OutOfRange, Polarity, Reading, Scale, ScaleFault, Score, ScoreTrigger,
    Skipped, Transition, TransitionError, TriggerFault,
};
pub use time::{Span, SpanError, Time, TimeError};
