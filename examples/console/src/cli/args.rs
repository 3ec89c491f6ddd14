//! The command line: what can be said, and how.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tipstaff::{
    ActionType, ActorId, ApprovalId, ApprovalState, Category, Cursor, EffectId, EffectStatus, EnforcementId,
    ExemptionScope, Finding, Hash, Head, MAX_PAGE, Mode, Pattern, Quorum, Reason, RuleId, SessionId,
    Severity, Span, Status, Suppression, TenantId, Time, TriggerKind, UserId, Verdict, Zone,
};

use crate::store::Database;

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
    #[arg(long, global = true, value_name = "ID", default_value = "default")]
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
    /// database for the purpose.
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
    /// Which of its lines, from 1.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = line_number)]
    pub(super) line: usize,
    /// How to read lines of another form.
    #[arg(long, value_name = "FILE")]
    pub(super) map: Option<PathBuf>,
    /// What is known of people: attributes by user, for rules that ask for them.
    #[arg(long, value_name = "FILE")]
    pub(super) people: Option<PathBuf>,
}

fn line_number(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "accepted: 1 or more".to_owned())
}

/// The rules of the tenant.
#[derive(Debug, Subcommand)]
pub(super) enum Rules {
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
pub(super) struct WhyNot {
    /// On whom.
    #[arg(long, value_name = "ID")]
    pub(super) subject: UserId,
    /// Only on this session of theirs.
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<SessionId>,
    /// Which rule.
    #[arg(long, value_name = "ID")]
    pub(super) rule: RuleId,
}

/// Exemptions.
#[derive(Debug, Subcommand)]
pub(super) enum Exempt {
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
pub(super) struct Whom {
    /// This user, with all of their sessions.
    #[arg(long, value_name = "ID", conflicts_with = "attributes")]
    pub(super) subject: Option<UserId>,
    /// Only this session of theirs.
    #[arg(long, value_name = "ID", requires = "subject")]
    pub(super) session: Option<SessionId>,
    /// Everybody whose attributes match this pattern, such as `{"dept":["legal"]}`.
    #[arg(long = "where", value_name = "JSON")]
    pub(super) attributes: Option<Pattern>,
}

/// Restrictions that stand.
#[derive(Debug, Subcommand)]
pub(super) enum Effects {
    /// List them, those that stand unless said otherwise, with who holds them until when.
    List {
        /// Of this user.
        #[arg(long, value_name = "ID")]
        subject: Option<UserId>,
        /// clear, standing, lifting or stuck; may be repeated.
        #[arg(long, value_name = "STATUS")]
        status: Vec<EffectStatus>,
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
pub(super) struct Rest {
    /// The rule.
    pub(super) rule: RuleId,
    /// Who says so.
    #[arg(long, value_name = "ACTOR", default_value = "operator")]
    pub(super) by: ActorId,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

/// The kill switch.
#[derive(Debug, Subcommand)]
pub(super) enum KillSwitch {
    /// Stop the tenant, a rule, an action type, or everything of several tenants; lists what is under
    /// way and may still reach its target. Undo and notices go on.
    Engage(Switch),
    /// Let go what was stopped.
    Release(Switch),
    /// Show what is stopped, by whom and why, and what is under way.
    Show,
}

/// What is stopped or let go.
#[derive(Args, Debug)]
pub(super) struct Switch {
    /// Only this rule.
    #[arg(long, value_name = "ID", conflicts_with_all = ["action", "all"])]
    pub(super) rule: Option<RuleId>,
    /// Only this action type.
    #[arg(long, value_name = "TYPE", conflicts_with = "all")]
    pub(super) action: Option<ActionType>,
    /// Everything of these tenants; may be repeated, and the whole call as well.
    #[arg(long, value_name = "TENANT", num_args = 1..)]
    pub(super) all: Vec<TenantId>,
    /// Who says so.
    #[arg(long, value_name = "ACTOR", default_value = "operator")]
    pub(super) by: ActorId,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

/// The bands of scores.
#[derive(Debug, Subcommand)]
pub(super) enum Bands {
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
pub(super) struct Apply {
    /// The document that was previewed.
    pub(super) file: PathBuf,
    /// The digest that `bands preview` printed.
    #[arg(long, value_name = "HEX")]
    pub(super) digest: Hash,
    /// Refuse more moves than that; without it, the digest says how many.
    #[arg(long, value_name = "N")]
    pub(super) max_moves: Option<u64>,
    /// Who says so.
    #[arg(long, value_name = "ACTOR")]
    pub(super) by: ActorId,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

/// Timetables.
#[derive(Debug, Subcommand)]
pub(super) enum Schedule {
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
    /// A parameter of the action; may be repeated.
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

/// The requests for people's agreement.
#[derive(Debug, Subcommand)]
pub(super) enum Approvals {
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
pub(super) struct BatchArgs {
    /// Of the signal with this id: an occurrence's, say.
    #[arg(long, value_name = "ID")]
    pub(super) signal: Option<String>,
    /// Asked for by this rule.
    #[arg(long, value_name = "ID")]
    pub(super) rule: Option<RuleId>,
    /// Of this action type.
    #[arg(long, value_name = "TYPE")]
    pub(super) action: Option<ActionType>,
    /// Answer all of them: approve or reject. It needs `--by` and `--digest`.
    #[arg(long, value_name = "VERDICT", requires = "by", requires = "digest")]
    pub(super) answer: Option<Verdict>,
    /// Who answers.
    #[arg(long, value_name = "ACTOR")]
    pub(super) by: Option<ActorId>,
    /// The digest that the batch was shown with.
    #[arg(long, value_name = "HEX")]
    pub(super) digest: Option<Hash>,
    /// What they say to it.
    #[arg(long, value_name = "TEXT")]
    pub(super) comment: Option<String>,
}

/// A finding after the fact.
#[derive(Args, Debug)]
pub(super) struct Judge {
    /// The enforcement.
    pub(super) id: EnforcementId,
    /// true_positive, or false_positive: what was done is then taken back where it can be.
    pub(super) finding: Finding,
    /// Who says so: one of the document's `approvers.operators`.
    #[arg(long, value_name = "ACTOR")]
    pub(super) by: ActorId,
    /// What they say to it.
    #[arg(long, value_name = "TEXT")]
    pub(super) comment: Option<String>,
}

/// An answer.
#[derive(Args, Debug)]
pub(super) struct Answer {
    /// The request.
    pub(super) id: ApprovalId,
    /// Who answers.
    #[arg(long, value_name = "ACTOR")]
    pub(super) by: ActorId,
    /// For whom, as their delegate.
    #[arg(long = "for", value_name = "ACTOR")]
    pub(super) on_behalf_of: Option<ActorId>,
    /// What they say to it.
    #[arg(long, value_name = "TEXT")]
    pub(super) comment: Option<String>,
    /// The digest of what they were shown; without it, what is asked now.
    #[arg(long, value_name = "HEX")]
    pub(super) digest: Option<Hash>,
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
