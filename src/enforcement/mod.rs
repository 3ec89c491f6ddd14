//! One action on one subject, and all that becomes of it.

mod machine;
mod record;

pub use machine::{Input, MAX_RETRY_AFTER, MoveError, Outcome, Reason, State, Status, Terms};
pub use record::{
    Attempt, Enforcement, Holder, Holding, MAX_KEPT_ATTEMPTS, MAX_REPORT_BYTES, Means, Origin, Purpose,
    Report, Rung,
};
