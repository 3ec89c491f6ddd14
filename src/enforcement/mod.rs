//! One action on one subject, and all that becomes of it.

mod holder;
mod machine;
mod record;

pub use holder::{Holder, Holding, Means, Rung};
pub use machine::{Input, MAX_RETRY_AFTER, MoveError, Outcome, Reason, State, Status, Terms};
pub use record::{Attempt, Enforcement, MAX_KEPT_ATTEMPTS, MAX_REPORT_BYTES, Origin, Purpose, Report};
