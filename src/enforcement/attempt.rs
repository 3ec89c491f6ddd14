//! One attempt to carry an enforcement out, and what the target said of it.

use serde::{Deserialize, Serialize};

use super::input::Outcome;
use crate::id::WorkerId;
use crate::time::Time;

/// The longest text of a target's report that is kept, in bytes; what is longer is cut.
pub const MAX_REPORT_BYTES: usize = 1_024;

/// One attempt to carry an enforcement out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// The fencing token of its claim.
    pub token: u64,
    /// Who made it.
    pub worker: WorkerId,
    /// When it was claimed, by the store's clock.
    pub started_at: Time,
    /// When it was settled; none while it runs, or if its lease ran out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Time>,
    /// How it came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What the target said.
    #[serde(default, skip_serializing_if = "Report::is_empty")]
    pub report: Report,
}

/// What a target says of a delivery, for whoever looks into a failure.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Whom or what it reached: an address, an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The target's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The target's own reference: a ticket's number, a message's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Attempt {
    /// Whether nobody knows what it did.
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.outcome, None | Some(Outcome::Unknown))
    }
}

impl Report {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The report with its texts cut to [`MAX_REPORT_BYTES`].
    pub(super) fn cut(self) -> Self {
        let cut = |text: Option<String>| {
            text.map(|mut text| {
                let mut end = MAX_REPORT_BYTES.min(text.len());
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text.truncate(end);
                text
            })
        };
        Self { recipient: cut(self.recipient), message: cut(self.message), reference: cut(self.reference) }
    }
}
