//! What people are asked, and how they answer.

use clap::{Args, Subcommand};
use tipstaff::{
    ActionType, ActorId, ApprovalId, ApprovalState, EnforcementId, Finding, Hash, Quorum, RuleId, Verdict,
};

/// The requests for people's agreement.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Approvals {
    /// List them, the open ones unless said otherwise, with what an approver should know.
    List {
        /// open, granted, rejected, expired or withdrawn.
        #[arg(long, value_name = "STATE", default_value = "open")]
        state: ApprovalState,
        /// All of them.
        #[arg(long)]
        all: bool,
    },
    /// Tell all that an approver should know about one.
    Show {
        /// The request.
        id: ApprovalId,
    },
    /// Agree.
    Approve(Answer),
    /// Refuse.
    Reject(Answer),
    /// Let somebody else answer one request for an approver.
    Delegate {
        /// The request.
        id: ApprovalId,
        /// Who is asked.
        #[arg(long, value_name = "ACTOR")]
        by: ActorId,
        /// Who may answer for them.
        #[arg(long, value_name = "ACTOR")]
        to: ActorId,
    },
    /// Have others asked in the stage that is open; its clock runs on.
    Reassign {
        /// The request.
        id: ApprovalId,
        /// Who says so: one of the document's `approvers.operators`.
        #[arg(long, value_name = "ACTOR")]
        by: ActorId,
        /// A group that must agree, with how many of it (1 without); may be repeated.
        #[arg(long = "group", value_name = "NAME[=N]", value_parser = quorum)]
        groups: Vec<Quorum>,
        /// A person who is asked by name; may be repeated.
        #[arg(long = "person", value_name = "ACTOR")]
        people: Vec<ActorId>,
        /// How many of these people must agree.
        #[arg(long, value_name = "N", default_value_t = 1)]
        need: u32,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Show open requests as one batch with one digest, or answer the batch of that digest.
    Batch(BatchArgs),
}

fn quorum(text: &str) -> Result<Quorum, String> {
    let accepted = || "accepted: NAME or NAME=N, N from 1".to_owned();
    let (name, need) = text.rsplit_once('=').unwrap_or((text, "1"));
    let need = need.parse().ok().filter(|need| *need > 0).ok_or_else(accepted)?;
    Ok(Quorum { name: name.parse().map_err(|_| accepted())?, need })
}

/// A batch of requests.
#[derive(Args, Debug)]
pub(in crate::cli) struct BatchArgs {
    /// Of the signal with this id: an occurrence's, say.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) signal: Option<String>,
    /// Asked for by this rule.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) rule: Option<RuleId>,
    /// Of this action type.
    #[arg(long, value_name = "TYPE")]
    pub(in crate::cli) action: Option<ActionType>,
    /// Answer all of them: approve or reject. It needs `--by` and `--digest`.
    #[arg(long, value_name = "VERDICT", requires = "by", requires = "digest")]
    pub(in crate::cli) answer: Option<Verdict>,
    /// Who answers.
    #[arg(long, value_name = "ACTOR")]
    pub(in crate::cli) by: Option<ActorId>,
    /// The digest that the batch was shown with.
    #[arg(long, value_name = "HEX")]
    pub(in crate::cli) digest: Option<Hash>,
    /// What they say to it.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) comment: Option<String>,
}

/// A finding after the fact.
#[derive(Args, Debug)]
pub(in crate::cli) struct Judge {
    /// The enforcement.
    pub(in crate::cli) id: EnforcementId,
    /// true_positive, or false_positive: what was done is then taken back where it can be.
    pub(in crate::cli) finding: Finding,
    /// Who says so: one of the document's `approvers.operators`.
    #[arg(long, value_name = "ACTOR")]
    pub(in crate::cli) by: ActorId,
    /// What they say to it.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) comment: Option<String>,
}

/// An answer.
#[derive(Args, Debug)]
pub(in crate::cli) struct Answer {
    /// The request.
    pub(in crate::cli) id: ApprovalId,
    /// Who answers.
    #[arg(long, value_name = "ACTOR")]
    pub(in crate::cli) by: ActorId,
    /// For whom, as their delegate.
    #[arg(long = "for", value_name = "ACTOR")]
    pub(in crate::cli) on_behalf_of: Option<ActorId>,
    /// What they say to it.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) comment: Option<String>,
    /// The digest of what they were shown; without it, what is asked now.
    #[arg(long, value_name = "HEX")]
    pub(in crate::cli) digest: Option<Hash>,
}
