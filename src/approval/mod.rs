//! A request for people's agreement.

mod machine;
mod record;

pub use machine::{ApprovalError, ApprovalInput, ApprovalState, MAX_COMMENT_BYTES};
pub use record::{Approval, Ballot, Context, Standing, Verdict, Vote};
