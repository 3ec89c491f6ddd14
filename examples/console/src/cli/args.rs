//! The command line: what can be said, and how.

mod approvals;
mod control;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tipstaff::{
    ActionType, ActorId, Category, Cursor, EnforcementId, Head, MAX_PAGE, Mode, Reason, RuleId, SessionId,
    Severity, Span, Status, Suppression, TenantId, Time, TriggerKind, UserId,
};

pub(super) use approvals::{Answer, Approvals, BatchArgs, Judge};
pub(super) use control::{
    Apply, Bands, Effects, Exempt, KillSwitch, Rest, Rules, Schedule, Switch, Whom, WhyNot,
};

use crate::store::Database;

/// The tenant where none is named.
pub(super) const DEFAULT_TENANT: &str = "default";

/// Signals in, decisions out: a complete host of the tipstaff policy engine.
///
/// Exit status: 0 when it did what was asked; 1 when it could not, or when a check found a fault;
/// 2 when the command line itself is wrong.
#[derive(Debug, Parser)]
#[command(name = "tipstaff-console", version, max_term_width = 100)]
pub(super) struct Cli {
    /// The database: a SQLite file, or `postgres://user@host/name` for a PostgreSQL server.
    #[arg(long, global = true, value_name = "FILE|URL", default_value = "tipstaff.db")]
    pub(super) db: Database,
    /// Whose rules and records.
    #[arg(long, global = true, value_name = "ID", default_value = DEFAULT_TENANT)]
    pub(super) tenant: TenantId,
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// The time to act at; without it, the present. A database of past events wants a past time.
    #[arg(long, global = true, value_name = "RFC3339")]
    pub(super) now: Option<Time>,
    /// The folder that stands for mail, chat, tickets and webhooks; without it, `outbox` beside
    /// the database, or with a server where we stand.
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) outbox: Option<PathBuf>,
    /// How the outbox answers: which targets fail, and how.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) outbox_config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a fortnight of events, scores and timetables through the engine, and show what follows.
    Demo {
        /// Where to put the database, unless `--db` names a server, the outbox and the rejected
        /// lines. It is emptied first.
        #[arg(long, value_name = "DIR", default_value = "tipstaff-demo")]
        dir: PathBuf,
    },
    /// Feed files of events and scores, one JSON object a line, at their own times.
    Replay(Replay),
    /// Carry out what is due now.
    Run,
    /// The rules of the tenant.
    #[command(subcommand)]
    Rules(Rules),
    /// The bands of scores: what a change of them would do, and doing it.
    #[command(subcommand)]
    Bands(Bands),
    /// Timetables: where they stand, when they run, what a crontab line means.
    #[command(subcommand)]
    Schedule(Schedule),
    /// Start an action by hand, or a rule with a manual trigger (`rule:ID`).
    Start(Start),
    /// The enforcements; `log show ID` tells all about one.
    Log(Log),
    /// The signals that concerned a rule, and what was decided.
    Signals(Signals),
    /// Tell why rules act on an event or a score, or why not, part by part. Nothing is written.
    Explain(Explain),
    /// Tell why an enforcement was made: its signal, the rules that asked for it, who agreed, what
    /// stands of it.
    Why {
        /// The enforcement.
        id: EnforcementId,
    },
    /// Tell why a rule does not act on a subject: every guard that holds it back, and when it lifts.
    WhyNot(WhyNot),
    /// Exempt somebody, or everybody with certain attributes, from rules or actions.
    #[command(subcommand)]
    Exempt(Exempt),
    /// Restrictions that stand, and letting go of them.
    #[command(subcommand)]
    Effects(Effects),
    /// The requests for people's agreement.
    #[command(subcommand)]
    Approvals(Approvals),
    /// Say afterwards whether an enforcement was right.
    Verdict(Judge),
    /// Stop enforcement, everywhere or for a part, and let it go again.
    #[command(subcommand)]
    KillSwitch(KillSwitch),
    /// The audit trail.
    #[command(subcommand)]
    Audit(Audit),
    /// Every action type and every audit code.
    Catalog,
    /// How fast this database carries the engine, under tenants of its own that stay behind: give it a
    /// database for the purpose. One in which anybody else has records is refused.
    #[command(subcommand)]
    Load(Load),
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(super) enum Load {
    /// Signals to committed enforcements, beside the same bytes as plain rows.
    Commits(LoadCommits),
    /// What falls due at one instant, until it is delivered.
    Due(LoadDue),
    /// What a claim costs with many open records.
    Claims(LoadClaims),
}

/// Signals to committed enforcements.
#[derive(Args, Debug)]
pub(super) struct LoadCommits {
    /// How many signals for each size of batches.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(super) signals: usize,
    /// How many signals are submitted at once; may be repeated.
    #[arg(long, value_name = "N", default_values_t = [1, 100, 1_000])]
    pub(super) batch: Vec<usize>,
}

/// What falls due at one instant.
#[derive(Args, Debug)]
pub(super) struct LoadDue {
    /// How many enforcements.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(super) due: usize,
    /// How many hosts work at once, each with connections of its own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) hosts: usize,
    /// How many one claim takes.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) batch: usize,
}

/// What a claim costs.
#[derive(Args, Debug)]
pub(super) struct LoadClaims {
    /// At how many open records, rising; may be repeated.
    #[arg(long, value_name = "N", default_values_t = [10_000, 100_000, 1_000_000])]
    pub(super) open: Vec<usize>,
}

/// What to replay.
#[derive(Args, Debug)]
pub(super) struct Replay {
    /// The rules: a JSON document.
    #[arg(long, value_name = "FILE")]
    pub(super) rules: PathBuf,
    /// The events and scores; several files are fed one after the other.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(super) events: Vec<PathBuf>,
    /// How to read lines of another form.
    #[arg(long, value_name = "FILE")]
    pub(super) map: Option<PathBuf>,
    /// What is known of people: attributes by user, for rules that ask for them.
    #[arg(long, value_name = "FILE")]
    pub(super) people: Option<PathBuf>,
    /// Where to write lines that cannot be read; without it, `rejects.ndjson` beside the database.
    #[arg(long, value_name = "FILE")]
    pub(super) rejects: Option<PathBuf>,
    /// How long a worker holds what it claimed. A replay that was killed goes on after that.
    #[arg(long, value_name = "SPAN", default_value = "60s")]
    pub(super) lease: Span,
    /// Announce each commit and delivery on standard output, and wait there for a line on standard
    /// input: for drills.
    #[arg(long, hide = true)]
    pub(super) drill: bool,
}

/// What to explain.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// By this rule; may be repeated. Without it, by every rule of the tenant.
    #[arg(long, value_name = "ID")]
    pub(super) rule: Vec<RuleId>,
    /// A file of events and scores, as `replay` takes it.
    #[arg(long, value_name = "FILE")]
    pub(super) event: PathBuf,
    /// Which of its lines, from 1, empty ones counted: the `line` of a reject file.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = line_number)]
    pub(super) line: u64,
    /// How to read lines of another form.
    #[arg(long, value_name = "FILE")]
    pub(super) map: Option<PathBuf>,
    /// What is known of people: attributes by user, for rules that ask for them.
    #[arg(long, value_name = "FILE")]
    pub(super) people: Option<PathBuf>,
}

fn line_number(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "accepted: 1 or more".to_owned())
}

/// What to start.
#[derive(Args, Debug)]
pub(super) struct Start {
    /// The action's type, or `rule:` and the id of a rule with a manual trigger.
    pub(super) action: String,
    /// For whom: a user's id.
    pub(super) subject: UserId,
    /// Only for this session of theirs.
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<SessionId>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// A parameter of the action; may be repeated. A rule has its own.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) params: Vec<(String, String)>,
    /// Who orders it. They cannot approve it.
    #[arg(long, value_name = "ACTOR", default_value = "operator")]
    pub(super) by: ActorId,
    /// Start at once although it needs approval: people are asked to ratify it, and it is taken back
    /// where they do not. The one who orders must be among the document's `approvers.operators`.
    #[arg(long)]
    pub(super) break_glass: bool,
    /// The order's id: the same id twice is one order. Without it, one is made of the order and
    /// its time.
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("accepted: NAME=VALUE".to_owned()),
    }
}

fn page_size(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_PAGE).contains(number));
    number.ok_or_else(|| format!("accepted: 1 to {MAX_PAGE}"))
}

/// The enforcements.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Log {
    /// Tell all about one.
    #[command(subcommand)]
    pub(super) show: Option<LogShow>,
    /// Of this category; may be repeated.
    #[arg(long, value_name = "CATEGORY")]
    pub(super) category: Vec<Category>,
    /// pending, succeeded or failed; may be repeated.
    #[arg(long, value_name = "STATUS")]
    pub(super) status: Vec<Status>,
    /// Why it stands there, such as `awaiting_approval`; may be repeated.
    #[arg(long, value_name = "REASON")]
    pub(super) reason: Vec<Reason>,
    /// Answered by this approver.
    #[arg(long, value_name = "ACTOR")]
    pub(super) approver: Option<ActorId>,
    /// Which.
    #[command(flatten)]
    pub(super) filters: Filters,
}

/// Tell all about one.
#[derive(Debug, Subcommand)]
pub(super) enum LogShow {
    /// Tell all about one enforcement: its signal, its approval, its attempts, its audit records.
    Show {
        /// Its id.
        id: EnforcementId,
    },
}

/// The signals.
#[derive(Args, Debug)]
pub(super) struct Signals {
    /// With an action that was held back for this reason, such as `cooldown`; may be repeated.
    #[arg(long, value_name = "REASON")]
    pub(super) suppressed: Vec<Suppression>,
    /// Which.
    #[command(flatten)]
    pub(super) filters: Filters,
}

/// Which rows of the log or of the signals, in any combination.
#[derive(Args, Debug, Default)]
pub(super) struct Filters {
    /// About this user, with all of their sessions.
    #[arg(long, value_name = "ID")]
    pub(super) subject: Option<UserId>,
    /// About this session.
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<SessionId>,
    /// Of this action type; may be repeated.
    #[arg(long, value_name = "TYPE")]
    pub(super) action: Vec<ActionType>,
    /// Initiated by: event, score, schedule, manual; may be repeated.
    #[arg(long, value_name = "KIND")]
    pub(super) trigger: Vec<TriggerKind>,
    /// Asked for by this rule; may be repeated.
    #[arg(long, value_name = "ID")]
    pub(super) rule: Vec<RuleId>,
    /// live or shadow.
    #[arg(long, value_name = "MODE")]
    pub(super) mode: Option<Mode>,
    /// Of signals from this source.
    #[arg(long, value_name = "SOURCE")]
    pub(super) source: Option<String>,
    /// Not before this time.
    #[arg(long, value_name = "RFC3339")]
    pub(super) from: Option<Time>,
    /// Before this time.
    #[arg(long, value_name = "RFC3339")]
    pub(super) until: Option<Time>,
    /// The oldest first.
    #[arg(long)]
    pub(super) oldest: bool,
    /// Rows of a page, 1 to 200.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = page_size)]
    pub(super) limit: usize,
    /// Go on after a page.
    #[arg(long, value_name = "CURSOR")]
    pub(super) after: Option<Cursor>,
}

/// The audit trail.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// List records, the gravest first.
    List {
        /// Of this severity at least: Info, Notice, Warning or Critical.
        #[arg(long, value_name = "SEVERITY", default_value = "Info")]
        severity: Severity,
        /// Of this code; may be repeated.
        #[arg(long, value_name = "CODE")]
        code: Vec<String>,
        /// About this user.
        #[arg(long, value_name = "ID")]
        subject: Option<UserId>,
        /// In the order of the trail instead of by severity.
        #[arg(long)]
        trail: bool,
        /// At most that many.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Verify the chain; against a head that was kept, also that nothing was cut off.
    Verify {
        /// A head that `audit head` printed earlier.
        #[arg(long, value_name = "SEQ:HASH")]
        head: Option<Head>,
    },
    /// Print where the trail ends, to be kept elsewhere.
    Head,
}
