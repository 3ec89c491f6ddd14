//! What holds an action back, in the order of behaviour 6: mode, kill switch, pause, what was agreed
//! to, times, rollout, protection, exemption, the last administrators, guessed subject, confidence,
//! cooldown, loop depth, caps. The first that applies is the reason; what comes after it is not asked.

mod caps;
mod cooldown;
mod loops;
mod protected;
mod rollout;
mod subject;
mod times;

use serde::{Deserialize, Serialize};

use crate::action::ActionSpec;
use crate::broken::{self, Defect};
use crate::exemption::Exemptions;
use crate::pattern::Payload;
use crate::rule::{CompiledRule, Settings};
use crate::score::Fire;
use crate::signal::{LevelWhy, Signal};
use crate::state::{Control, Cooling};
use crate::time::Time;
use crate::words::words;

pub(crate) use caps::{Capped, caps_of, counted, strictest};
pub(crate) use cooldown::{RestKey, digest_at, rest_key, resting};
pub use loops::Cause;
pub(crate) use protected::{Keeping, protected};
pub(crate) use subject::exempted;
pub(crate) use times::held as held_by_times;

words! {
    /// Why an action was not taken.
    Suppression, "reason of a suppression" {
        KillSwitch: "kill_switch", "a person stopped the tenant, the rule or the action type";
        Paused: "paused", "the rule rests until somebody resumes it";
        NotBefore: "not_before", "the time from which the rule acts has not come";
        NotAfter: "not_after", "the time until which the rule acts is over";
        Maintenance: "maintenance", "a maintenance window holds it";
        QuietHours: "quiet_hours", "it is held in quiet hours";
        Rollout: "rollout", "the rule does not act on this user yet";
        Protected: "protected", "the subject is protected from it";
        AttributesUnknown: "attributes_unknown", "it restricts, and nobody knows whether the subject is protected";
        LastAdministrators: "last_administrators", "too few usable administrators would remain";
        AdministratorsUnknown: "administrators_unknown", "it could take an administrator away, and nobody knows who they are";
        Exempt: "exempt", "the subject is exempt from it";
        OverAgreed: "over_agreed", "more subjects moved by changed bands than was agreed to";
        DefaultedSubject: "defaulted_subject", "it restricts, and the subject was guessed by the host";
        LowConfidence: "low_confidence", "the score is less sure than the rule asks";
        LateScore: "late_score", "a newer score of the subject is known";
        Cooldown: "cooldown", "the rule rests for this subject";
        LoopDepth: "loop_depth", "actions caused each other too often, and nobody can be asked";
        Cap: "cap", "as many as a cap allows were made in the window";
        MissingVariable: "missing_variable", "a parameter needs a value that the signal lacks";
        BadParameter: "bad_parameter", "a parameter, filled in, is not what its type asks";
    }
}

/// An action that was held back.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Suppressed {
    /// Why.
    pub reason: Suppression,
    /// What exactly: the variable, the switch's own reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it would lift, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl Suppressed {
    pub(crate) const fn new(reason: Suppression) -> Self {
        Self { reason, detail: None, until: None }
    }

    /// What holds it back, and when that lifts, in words.
    #[must_use]
    pub fn told(&self) -> String {
        let detail = self.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
        let until = self.until.map_or_else(String::new, |until| format!(", until {until}"));
        format!("{}{detail}{until}", self.reason)
    }

    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

/// What the guards of one rule ask about.
pub(crate) struct Question<'a> {
    pub(crate) rule: &'a CompiledRule,
    pub(crate) action: &'a crate::rule::CompiledAction,
    pub(crate) signal: &'a Signal,
    pub(crate) fire: Option<&'a Fire>,
    pub(crate) control: &'a Control,
    pub(crate) exemptions: &'a [Exemptions],
    pub(crate) settings: &'a Settings,
    /// What is known of the user's attributes.
    pub(crate) known: Option<&'a Payload>,
    pub(crate) keeping: Keeping<'a>,
    pub(crate) now: Time,
    /// The rest of the rule that the signal falls into.
    pub(crate) rest: Option<&'a Cooling>,
}

/// The first guard that holds the action back, if one does. Whether it runs in shadow is not
/// asked here: a shadow decision passes the same guards.
pub(crate) fn held_back(q: &Question<'_>) -> Option<Suppressed> {
    ORDER.iter().find_map(|guard| guard(q))
}

/// Every guard that holds the action back, in their order: for whoever asks why.
pub(crate) fn every_hold(q: &Question<'_>) -> Vec<Suppressed> {
    ORDER.iter().filter_map(|guard| guard(q)).collect()
}

/// The guards in the order of behaviour 6.
const ORDER: &[fn(&Question<'_>) -> Option<Suppressed>] = &[
    kill_switch,
    paused,
    over_agreed,
    times,
    rollout,
    |q| protected(q.settings, &q.action.spec, q.signal.subject(), q.known),
    subject::exempt,
    |q| q.keeping.held(&q.action.spec, &q.signal.subject().user),
    subject::guessed,
    subject::confidence,
    cooldown::cooldown,
];

fn kill_switch(q: &Question<'_>) -> Option<Suppressed> {
    let stop = q.control.stops(std::iter::once(&q.rule.rule.id), &q.action.spec.name)?;
    Some(Suppressed::new(Suppression::KillSwitch).detail(stop.reason.clone()))
}

fn times(q: &Question<'_>) -> Option<Suppressed> {
    times::held(Some(&q.rule.rule.guards.times), &q.settings.times, &q.action.spec, q.now)
}

fn rollout(q: &Question<'_>) -> Option<Suppressed> {
    let subject = q.signal.subject();
    let by_hand = matches!(q.signal, Signal::Manual(_));
    let share = q.rule.rule.guards.rollout.filter(|_| !by_hand);
    rollout::held(share, q.signal.tenant(), &q.rule.rule.id, &subject.user)
}

/// What holds back what a person orders beside all rules: every guard but those of a rule.
pub(crate) fn order_held_back(
    spec: &ActionSpec,
    signal: &Signal,
    control: &Control,
    exemptions: &[Exemptions],
    keeping: &Keeping<'_>,
    known: Option<&Payload>,
    now: Time,
) -> Option<Suppressed> {
    let stop = control.stops(std::iter::empty(), &spec.name);
    let stopped = stop.map(|stop| Suppressed::new(Suppression::KillSwitch).detail(stop.reason.clone()));
    let settings = keeping.settings;
    stopped
        .or_else(|| times::held(None, &settings.times, spec, now))
        .or_else(|| {
            let passes = broken::is(Defect::OrdersPassProtection);
            protected(settings, spec, signal.subject(), known).filter(|_| !passes)
        })
        .or_else(|| exempted(exemptions, None, &spec.name, now))
        .or_else(|| keeping.held(spec, &signal.subject().user))
}

fn paused(q: &Question<'_>) -> Option<Suppressed> {
    let pause = q.control.paused.get(&q.rule.rule.id)?;
    Some(Suppressed::new(Suppression::Paused).detail(pause.reason.clone()))
}

fn over_agreed(q: &Question<'_>) -> Option<Suppressed> {
    let Signal::Level(turn) = q.signal else { return None };
    let over = matches!(turn.why, LevelWhy::Reread { over: true, .. });
    over.then(|| Suppressed::new(Suppression::OverAgreed))
}
