//! What an administrator sets and stops: rules, exemptions, effects, switches, bands, timetables.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tipstaff::{
    ActionType, ActorId, Cursor, EffectId, EffectStatus, ExemptionScope, Hash, MAX_PAGE, Pattern, RuleId,
    SessionId, TenantId, Time, UserId, Zone,
};

use super::page_size;

/// The rules of the tenant.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Rules {
    /// Add the rules of a document, as new ones or as new revisions.
    Add {
        /// The document.
        file: PathBuf,
    },
    /// List the rules with their conditions and what they have done.
    List,
    /// Let a rule act again.
    Activate {
        /// The rule.
        rule: RuleId,
        /// Who says so.
        #[arg(long, value_name = "ACTOR", default_value = "operator")]
        by: ActorId,
    },
    /// Stop a rule. What it asked for before goes on.
    Deactivate {
        /// The rule.
        rule: RuleId,
        /// Who says so.
        #[arg(long, value_name = "ACTOR", default_value = "operator")]
        by: ActorId,
    },
    /// Let a rule rest until somebody resumes it: it decides nothing, and what it asked for goes on.
    Pause(Rest),
    /// Let a rule act again that rests, because somebody or a cap paused it.
    Resume(Rest),
    /// Check a document without a database: every fault with its place, every warning.
    Check {
        /// The document.
        file: PathBuf,
    },
}

/// A rule that does not act.
#[derive(Args, Debug)]
pub(in crate::cli) struct WhyNot {
    /// On whom.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) subject: UserId,
    /// Only on this session of theirs.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) session: Option<SessionId>,
    /// Which rule.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) rule: RuleId,
}

/// Exemptions.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Exempt {
    /// Exempt: from now on nothing that it covers is begun, and the next `run` takes back what is in
    /// force.
    Grant {
        /// Who.
        #[command(flatten)]
        whom: Whom,
        /// From what: `all`, `rule NAME` or `type NAME`.
        #[arg(long, value_name = "SCOPE", default_value = "all")]
        from: ExemptionScope,
        /// Until when; without it, until it is revoked.
        #[arg(long, value_name = "RFC3339")]
        until: Option<Time>,
        /// Who says so.
        #[arg(long, value_name = "ACTOR", default_value = "operator")]
        by: ActorId,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List who is exempt from what, by whom, why and until when.
    List,
    /// Take an exemption back before its end.
    Revoke {
        /// Whose.
        #[command(flatten)]
        whom: Whom,
        /// From what.
        #[arg(long, value_name = "SCOPE", default_value = "all")]
        from: ExemptionScope,
        /// Who says so.
        #[arg(long, value_name = "ACTOR", default_value = "operator")]
        by: ActorId,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Whom an exemption is about.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(in crate::cli) struct Whom {
    /// This user, with all of their sessions.
    #[arg(long, value_name = "ID", conflicts_with = "attributes")]
    pub(in crate::cli) subject: Option<UserId>,
    /// Only this session of theirs.
    #[arg(long, value_name = "ID", requires = "subject")]
    pub(in crate::cli) session: Option<SessionId>,
    /// Everybody whose attributes match this pattern, such as `{"dept":["legal"]}`.
    #[arg(long = "where", value_name = "JSON")]
    pub(in crate::cli) attributes: Option<Pattern>,
}

/// Restrictions that stand.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Effects {
    /// List them, those that stand unless said otherwise, with who holds them until when.
    List {
        /// Of this user.
        #[arg(long, value_name = "ID")]
        subject: Option<UserId>,
        /// clear, standing, lifting or stuck; may be repeated.
        #[arg(long, value_name = "STATUS")]
        status: Vec<EffectStatus>,
        /// Rows of a page, 1 to 200.
        #[arg(long, value_name = "N", default_value_t = MAX_PAGE, value_parser = page_size)]
        limit: usize,
        /// Go on after a page.
        #[arg(long, value_name = "CURSOR")]
        after: Option<Cursor>,
    },
    /// Let go of one: for one holder, or for all. The next `run` takes back what nobody holds.
    Lift {
        /// The effect.
        id: EffectId,
        /// Only what this rule holds.
        #[arg(long, value_name = "ID", conflicts_with = "person")]
        rule: Option<RuleId>,
        /// Only what this person holds.
        #[arg(long, value_name = "ACTOR")]
        person: Option<ActorId>,
        /// Who says so.
        #[arg(long, value_name = "ACTOR", default_value = "operator")]
        by: ActorId,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Which rule rests, or acts again.
#[derive(Args, Debug)]
pub(in crate::cli) struct Rest {
    /// The rule.
    pub(in crate::cli) rule: RuleId,
    /// Who says so.
    #[arg(long, value_name = "ACTOR", default_value = "operator")]
    pub(in crate::cli) by: ActorId,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: String,
}

/// The kill switch.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KillSwitch {
    /// Stop the tenant, a rule, an action type, or everything of several tenants; lists what is under
    /// way and may still reach its target. Undo and notices go on.
    Engage(Switch),
    /// Let go what was stopped, and tell what stops the tenant all the same.
    Release(Switch),
    /// Show what is stopped, by whom and why, and what is under way.
    Show,
}

/// What is stopped or let go.
#[derive(Args, Debug)]
pub(in crate::cli) struct Switch {
    /// Only this rule.
    #[arg(long, value_name = "ID", conflicts_with_all = ["action", "all"])]
    pub(in crate::cli) rule: Option<RuleId>,
    /// Only this action type.
    #[arg(long, value_name = "TYPE", conflicts_with = "all")]
    pub(in crate::cli) action: Option<ActionType>,
    /// Everything of these tenants; may be repeated, and the whole call as well.
    #[arg(long, value_name = "TENANT", num_args = 1..)]
    pub(in crate::cli) all: Vec<TenantId>,
    /// Who says so.
    #[arg(long, value_name = "ACTOR", default_value = "operator")]
    pub(in crate::cli) by: ActorId,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: String,
}

/// The bands of scores.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Bands {
    /// Count who would move from where to where, and what would follow. Nothing is changed.
    Preview {
        /// A document with the new scales: the tenant's whole, or one of scales alone.
        file: PathBuf,
    },
    /// Put the new bands in force as they were previewed. `run` moves the subjects then.
    Apply(Apply),
}

/// A change of bands that somebody agreed to.
#[derive(Args, Debug)]
pub(in crate::cli) struct Apply {
    /// The document that was previewed.
    pub(in crate::cli) file: PathBuf,
    /// The digest that `bands preview` printed.
    #[arg(long, value_name = "HEX")]
    pub(in crate::cli) digest: Hash,
    /// Refuse more moves than that; without it, the digest says how many.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max_moves: Option<u64>,
    /// Who says so.
    #[arg(long, value_name = "ACTOR")]
    pub(in crate::cli) by: ActorId,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: String,
}

/// Timetables.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Schedule {
    /// List the rules with a timetable: what ran last, what runs now, what runs next.
    List,
    /// The coming occurrences, of all rules or of one, with zone and offset.
    Next {
        /// Only of this rule.
        rule: Option<RuleId>,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = page_size)]
        count: usize,
    },
    /// Say in plain English what a crontab line means and when it runs, or what is wrong with it.
    /// It needs no database.
    Check {
        /// The line, such as "0 9 * * MON".
        #[arg(allow_hyphen_values = true)]
        line: String,
        /// The zone whose clock it follows, by its IANA name.
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        zone: Zone,
        /// How many occurrences to show.
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = page_size)]
        count: usize,
    },
}
