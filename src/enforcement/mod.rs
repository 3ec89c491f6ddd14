//! One action on one subject, and all that becomes of it.

mod attempt;
mod holder;
mod input;
mod machine;
mod record;
mod state;

pub use attempt::{Attempt, MAX_REPORT_BYTES, Report};
pub use holder::{Holder, Holding, Means, Rung};
pub use input::{Input, Outcome};
pub use machine::{MAX_RETRY_AFTER, MoveError, Terms};
pub use record::{Enforcement, MAX_KEPT_ATTEMPTS, Origin, Purpose};
pub use state::{Reason, State, Status};
