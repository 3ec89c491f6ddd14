//! What a tenant writes: rules as JSON documents or built in Rust, and the set compiled from them.

mod absence;
mod approval;
mod cap;
mod check;
mod cooldown;
mod describe;
mod document;
mod item;
mod listen;
mod protect;
mod read;
mod read_scale;
mod schedule;
mod set;
mod times;
mod timing;
mod window;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::action::{ActionSpec, ActionType, ParamValue, Params};
use crate::id::{ActionKey, ActorId, GroupId, RuleId, ScaleId, Source};
use crate::pattern::Pattern;
use crate::schedule::Timetable;
use crate::score::{Scale, ScoreTrigger};
use crate::time::Span;
use crate::words::words;

pub use absence::{Absent, Deadline, EventFilter, MAX_ABSENT_WITHIN, Reopened};
pub(crate) use approval::seats_filled;
pub use approval::{ApprovalPolicy, ApprovalStage, CommentRule, Fallback, MAX_STAGES, Quorum};
pub use cap::{
    Cap, CapLimit, CapScope, DEFAULT_LOOP_DEPTH, MAX_CAP_COUNT, MAX_CAPS, MAX_LOOP_DEPTH, OnExceed,
};
pub use cooldown::{Cooldown, CooldownScope};
pub use document::{DocumentError, DocumentFault, RuleFault};
pub use listen::{Listened, Role};
pub use protect::{KeepAdministrators, MAX_KEPT, MAX_PROTECTED, Protected};
pub use schedule::{Audience, CATCH_UP_GRACE, CatchUp, MAX_CATCH_UP};
pub use set::{CompiledAction, CompiledRule, RuleSet, RuleWarning};
pub use times::{ActionScope, MAX_TIMES, Maintenance, QuietHours, Times};
pub use timing::{Hold, Ladder, MAX_DELAY, MAX_EFFECT_HOLD, MAX_RUNGS, MIN_RUNGS, Timing};
pub use window::{MAX_FIELD_BYTES, MAX_WINDOW, MAX_WINDOW_COUNT, MAX_WINDOW_VALUES, Window, WindowKind};

/// The longest document of rules, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;
/// The most rules of one set.
pub const MAX_RULES: usize = 100_000;
/// The most actions of one rule.
pub const MAX_ACTIONS: usize = 16;
/// The longest title, in bytes.
pub const MAX_TITLE_BYTES: usize = 256;
/// The most sources that one rule binds to.
pub const MAX_SOURCES: usize = 64;
/// The most groups that one approval asks.
pub const MAX_GROUPS: usize = 8;
/// The most members of one group.
pub const MAX_MEMBERS: usize = 1_000;
/// The most approvals asked of one group, and the most rejections that end a request.
pub const MAX_NEED: u32 = 20;
/// The most scales of one document.
pub const MAX_SCALES: usize = 64;
/// How long a request for approval stands where a rule says nothing (behaviour 7.4).
pub const DEFAULT_APPROVAL_WITHIN: Span = Span::hours(24);
/// The longest that a request may stand, with all of its stages and fallbacks (behaviour 7.4).
pub const MAX_APPROVAL_WITHIN: Span = Span::days(30);
/// How long after its approval an action may still start, where a rule says nothing
/// (behaviour 7.4).
pub const DEFAULT_START_WITHIN: Span = Span::hours(1);
/// The shortest deadline and cooldown that is accepted.
pub const MIN_DEADLINE: Span = Span::secs(1);
/// The longest cooldown.
pub const MAX_COOLDOWN: Span = Span::days(366);
/// The longest wait for a target's confirmation.
pub const MAX_CONFIRM_WITHIN: Span = Span::days(90);

/// One rule: when what happens to whom, what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its id, the same through all revisions.
    pub id: RuleId,
    /// Its name on a screen.
    pub title: String,
    /// Which revision this is, from 1. A document may leave it out: a changed rule then becomes
    /// the next revision of its id. It is no part of the rule's digest.
    pub revision: Option<u32>,
    /// Whether it acts.
    pub mode: Mode,
    /// Its author, who cannot approve what it asks for.
    pub author: Option<ActorId>,
    /// When it runs.
    pub trigger: Trigger,
    /// What must be true of the subject's attributes.
    pub subject: Option<Pattern>,
    /// What follows.
    pub actions: Vec<RuleAction>,
    /// What holds it back.
    pub guards: Guards,
}

#[expect(clippy::derivable_impls, reason = "the table of words derives no default")]
impl Default for Policy {
    fn default() -> Self {
        Self::Lenient
    }
}

words! {
    /// Whether a rule acts.
    Mode, "mode" {
        Off: "off", "it does nothing: no timer, no counter, no record";
        Shadow: "shadow", "it decides and records, marked as shadow, and nothing is carried out";
        Live: "live", "it acts";
    }

    /// What becomes of rules that load, but that a careful author would not write: a restriction that
    /// nothing ends, agreed to by fewer than two people.
    Policy, "policy" {
        Lenient: "lenient", "their authors are warned";
        Strict: "strict", "they are refused";
    }
}

/// When a rule runs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Trigger {
    /// On an event that matches.
    Event {
        /// The sources whose events it sees; none means all.
        sources: Vec<Source>,
        /// What the event must look like.
        pattern: Pattern,
        /// How many such events it waits for; without one it runs on each.
        window: Option<Window>,
    },
    /// On a score that enters a band.
    Score(ScoreTrigger),
    /// On a timetable, once for each subject of an audience.
    Schedule {
        /// When.
        timetable: Timetable,
        /// For whom.
        audience: Audience,
        /// What becomes of missed occurrences; [`CompiledRule::catch_up`] where nothing is said.
        catch_up: Option<CatchUp>,
        /// What must not have happened, if it asks.
        absent: Option<Absent>,
    },
    /// At the end of a span that one event opened and no other closed.
    Deadline(Deadline),
    /// Only when a person starts it.
    Manual,
}

/// One action of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleAction {
    /// Its key in the rule: records are derived from it, so it stays when actions are reordered.
    pub key: ActionKey,
    /// Its type.
    pub action: ActionType,
    /// Its parameters; texts may have variables.
    pub params: Params,
    /// Who must agree.
    pub approval: ApprovalSetting,
    /// The span within which the target must confirm; without one, what its type says.
    pub confirm_within: Option<Span>,
    /// When it runs, and how long its effect stands.
    pub timing: Timing,
}

/// Who must agree to an action.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ApprovalSetting {
    /// What the action's type says.
    #[default]
    TypeDefault,
    /// Nobody. Where the type asks for approval this loosens it: allowed, warned about, audited.
    None,
    /// These people.
    Required(ApprovalPolicy),
}

/// What holds a rule back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Guards {
    /// After it acted on a subject, it rests for them.
    pub cooldown: Option<Cooldown>,
    /// When it may act.
    pub times: Times,
    /// For how many of a hundred users it acts, 0 to 100; for all where nothing is said. Who is in is
    /// the same at every signal, and whoever is in at a share is in at every larger one.
    pub rollout: Option<u8>,
    /// How many of its actions are made in one window of time, for all or for each user. At most
    /// [`MAX_CAPS`].
    pub caps: Vec<Cap>,
}

/// A scale that the tenant does not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown scale `{scale}`; accepted: {known}")]
pub struct UnknownScale {
    /// The scale.
    pub scale: ScaleId,
    /// Those that the tenant has, separated by commas.
    pub known: String,
}

/// What holds for all rules of a tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The group that approves where a rule names none: usually the security team.
    pub default_group: Option<GroupId>,
    /// The members of groups, where the host does not answer for them itself.
    pub groups: BTreeMap<GroupId, Vec<ActorId>>,
    /// Who may name other approvers, break glass and judge what was done, where the host does not
    /// answer for rights itself; nobody else may.
    pub operators: Vec<ActorId>,
    /// The scales of scores beside the standard one.
    pub scales: Vec<Scale>,
    /// The action types of the tenant's own.
    pub types: Vec<ActionSpec>,
    /// Whether risky rules are refused or only warned about.
    pub policy: Policy,
    /// Maintenance windows and quiet hours of all rules, and of what people order.
    pub times: Times,
    /// Who is protected from what, whoever asks for it.
    pub protected: Vec<Protected>,
    /// How many administrators must remain. Where nothing is said, one of those whom the host names.
    pub administrators: Option<KeepAdministrators>,
    /// How many actions are made in one window of time, whoever asks for them. At most [`MAX_CAPS`].
    pub caps: Vec<Cap>,
    /// How far events that actions caused lead to further actions, 0 to [`MAX_LOOP_DEPTH`]; beyond,
    /// people must agree. [`DEFAULT_LOOP_DEPTH`] where nothing is said.
    pub loop_depth: Option<u32>,
}

impl Settings {
    /// How far events that actions caused lead to further actions by themselves.
    #[must_use]
    pub fn followed_to(&self) -> u32 {
        self.loop_depth.unwrap_or(DEFAULT_LOOP_DEPTH)
    }

    /// The scale of that id: a declared one, or the standard scale for `default`.
    #[must_use]
    pub fn scale(&self, id: &ScaleId) -> Option<Scale> {
        let declared = self.scales.iter().find(|scale| scale.id() == id);
        let standard = Scale::standard();
        declared.cloned().or_else(|| (standard.id() == id).then_some(standard))
    }

    /// The scale of that id.
    ///
    /// # Errors
    /// [`UnknownScale`] with the scales that there are.
    pub fn known_scale(&self, id: &ScaleId) -> Result<Scale, UnknownScale> {
        self.scale(id).ok_or_else(|| {
            let standard = Scale::standard().id().clone();
            let declared = self.scales.iter().map(Scale::id);
            let known: BTreeSet<&ScaleId> = declared.chain([&standard]).collect();
            let known: Vec<_> = known.into_iter().map(|id| format!("`{id}`")).collect();
            UnknownScale { scale: id.clone(), known: known.join(", ") }
        })
    }
}

impl Rule {
    /// A live rule without actions, guards and conditions on the subject; its title is its id.
    #[must_use]
    pub fn new(id: RuleId, trigger: Trigger) -> Self {
        Self {
            title: id.to_string(),
            id,
            revision: None,
            mode: Mode::Live,
            author: None,
            trigger,
            subject: None,
            actions: Vec::new(),
            guards: Guards::default(),
        }
    }

    /// The rule with this title.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// The rule in this mode.
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// The rule of this author.
    #[must_use]
    pub fn author(self, author: ActorId) -> Self {
        Self { author: Some(author), ..self }
    }

    /// The rule for subjects whose attributes match.
    #[must_use]
    pub fn subject(self, pattern: Pattern) -> Self {
        Self { subject: Some(pattern), ..self }
    }

    /// The rule with one action more.
    #[must_use]
    pub fn action(mut self, action: RuleAction) -> Self {
        self.actions.push(action);
        self
    }

    /// The rule with a cooldown for each subject.
    #[must_use]
    pub fn cooldown(mut self, span: Span) -> Self {
        self.guards.cooldown = Some(Cooldown { per: CooldownScope::Subject, span });
        self
    }
}

impl RuleAction {
    /// An action without parameters, under its type's default approval.
    #[must_use]
    pub fn new(key: ActionKey, action: impl Into<ActionType>) -> Self {
        Self {
            key,
            action: action.into(),
            params: Params::new(),
            approval: ApprovalSetting::TypeDefault,
            confirm_within: None,
            timing: Timing::default(),
        }
    }

    /// The action with this parameter.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<ParamValue>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// The action under this approval.
    #[must_use]
    pub fn approval(self, approval: ApprovalSetting) -> Self {
        Self { approval, ..self }
    }
}
