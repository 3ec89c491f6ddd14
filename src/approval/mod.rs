//! A request for people's agreement.
//!
//! It goes through the stages of its policy ([`crate::ApprovalPolicy`]), which is frozen when the
//! request is made; see `machine` for the drawing. The document of a policy whose second stage needs a
//! comment of whoever refuses:
//!
//! ```json
//! { "stages": [{ "groups": [{ "name": "helpdesk" }], "within": "2h" },
//!              { "groups": [{ "name": "security", "need": 2 }], "within": "8h" }],
//!   "comment": "on_reject" }
//! ```
//! Beside the request itself: what voids it before a delivery (`void`), many requests under one digest
//! (`batch`), and what people find afterwards (`judgement`).

mod batch;
mod error;
mod judgement;
mod machine;
mod progress;
mod record;
mod void;

pub use batch::{Batch, BatchMember, MAX_BATCH};
pub use error::{ApprovalError, BatchError};
pub use judgement::{Finding, Judgement};
pub use machine::{ApprovalInput, ApprovalState, Delegation, MAX_COMMENT_BYTES, Reassignment};
pub use progress::{Panel, Progress};
pub(crate) use progress::{is_one, named_group};
pub use record::{Approval, Ballot, Context, Standing, Verdict, Vote};
pub use void::{ApprovedPart, Carried, VoidReason};
