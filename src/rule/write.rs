//! Rules and settings back as the documents that [`read`](super::read) reads.
//!
//! Written by hand rather than by `serde_json`, because patterns keep numbers that no double holds.

use std::fmt::Display;

use super::{
    CooldownScope, Policy, Rule, RuleAction, Settings, Trigger, Window, approval, cap, protect, times,
};
use crate::action::{ActionSpec, Param, ParamKind, ParamValue, Success};
use crate::decimal::Decimal;
use crate::score::{Direction, Hysteresis, Polarity, Scale, ScoreTrigger, Skipped};
use crate::time::Span;

impl Rule {
    /// The rule as a JSON document, with its revision if it has one.
    #[must_use]
    pub fn to_json(&self) -> String {
        let revision = self.revision.map(|n| n.to_string());
        object([
            ("id", Some(text(&self.id))),
            ("title", Some(text(&self.title))),
            ("revision", revision),
            ("mode", Some(text(self.mode))),
            ("author", self.author.as_ref().map(text)),
            ("trigger", Some(trigger(&self.trigger))),
            ("subject", self.subject.as_ref().map(|p| p.text().to_owned())),
            ("actions", Some(array(self.actions.iter().map(action)))),
            ("guards", guards(self)),
        ])
    }
}

impl Settings {
    /// The settings as a JSON document without rules.
    #[must_use]
    pub fn to_json(&self) -> String {
        let groups =
            self.groups.iter().map(|(name, members)| (name.as_str(), Some(array(members.iter().map(text)))));
        let approvers = object([
            ("default", self.default_group.as_ref().map(text)),
            ("groups", (!self.groups.is_empty()).then(|| object(groups))),
            ("operators", (!self.operators.is_empty()).then(|| array(self.operators.iter().map(text)))),
        ]);
        let own = [
            ("approvers", (approvers != "{}").then_some(approvers)),
            ("policy", (self.policy != Policy::default()).then(|| text(self.policy))),
            ("scales", (!self.scales.is_empty()).then(|| array(self.scales.iter().map(scale)))),
            ("caps", cap::write_settings(&self.caps)),
            ("loop_depth", self.loop_depth.map(|depth| depth.to_string())),
            ("types", (!self.types.is_empty()).then(|| array(self.types.iter().map(spec)))),
        ];
        let guards = times::write_windows(&self.times).into_iter().chain(protect::write(self));
        object(own.into_iter().chain(guards))
    }
}

fn trigger(trigger: &Trigger) -> String {
    let (kind, body) = match trigger {
        Trigger::Event { sources, pattern, window } => {
            let sources = (!sources.is_empty()).then(|| array(sources.iter().map(text)));
            let window = window.as_ref().map(Window::to_json);
            let pattern = Some(pattern.text().to_owned());
            ("event", object([("sources", sources), ("pattern", pattern), ("window", window)]))
        }
        Trigger::Score(score) => ("score", score_trigger(score)),
        Trigger::Schedule { timetable, audience, catch_up, absent } => {
            ("schedule", super::schedule::write(timetable, audience, *catch_up, absent.as_ref()))
        }
        Trigger::Deadline(deadline) => ("deadline", super::absence::write_deadline(deadline)),
        Trigger::Manual => ("manual", object([])),
    };
    object([(kind, Some(body))])
}

fn score_trigger(score: &ScoreTrigger) -> String {
    let skipped = match score.skipped {
        Skipped::Ignore => "ignore",
        Skipped::Fire => "fire",
    };
    object([
        ("scale", Some(text(&score.scale))),
        ("enters", Some(array(score.enters.iter().map(text)))),
        ("direction", Some(text(direction(score.direction)))),
        ("skipped", Some(text(skipped))),
        ("first", Some(score.first.to_string())),
        ("cooldown", Some(text(score.cooldown))),
        ("min_confidence", score.min_confidence.as_ref().map(|c| c.value().to_string())),
    ])
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Worse => "worse",
        Direction::Better => "better",
        Direction::Either => "either",
    }
}

fn action(action: &RuleAction) -> String {
    let params = action.params.iter().map(|(name, value)| {
        let value = match value {
            ParamValue::Text(value) => text(value),
            ParamValue::Number(number) => number.to_string(),
            ParamValue::Flag(flag) => flag.to_string(),
        };
        (name.as_str(), Some(value))
    });
    let members = [
        ("key", Some(text(&action.key))),
        ("type", Some(text(&action.action))),
        ("params", (!action.params.is_empty()).then(|| object(params))),
        ("approval", approval::write::setting(&action.approval)),
        ("confirm_within", action.confirm_within.map(text)),
    ];
    object(members.into_iter().chain(super::timing::write(&action.timing)))
}

fn guards(rule: &Rule) -> Option<String> {
    let cooldown = rule.guards.cooldown.as_ref().map(|cooldown| {
        let (per, field) = match &cooldown.per {
            CooldownScope::Subject => ("subject", None),
            CooldownScope::Field(field) => ("field", Some(text(field))),
        };
        object([("per", Some(text(per))), ("field", field), ("for", Some(text(cooldown.span)))])
    });
    let rollout = rule.guards.rollout.map(|share| share.to_string());
    let caps = cap::write_rule(&rule.guards.caps);
    let own = [("cooldown", cooldown), ("rollout", rollout), ("cap", caps)];
    let guards = object(own.into_iter().chain(times::write(&rule.guards.times)));
    (guards != "{}").then_some(guards)
}

fn scale(scale: &Scale) -> String {
    let polarity = match scale.polarity() {
        Polarity::HighIsSafe => "safe",
        Polarity::HighIsRisky => "risky",
    };
    let bands = scale
        .bands()
        .iter()
        .map(|band| object([("name", Some(text(&band.name))), ("from", Some(band.from.to_string()))]));
    object([
        ("id", Some(text(scale.id()))),
        ("low", Some(scale.low().to_string())),
        ("high", Some(scale.high().to_string())),
        ("high_is", Some(text(polarity))),
        ("bands", Some(array(bands))),
        ("hysteresis", scale.hysteresis().map(hysteresis)),
        ("hold", scale.hold().map(text)),
    ])
}

fn hysteresis(hysteresis: &Hysteresis) -> String {
    let margin = (hysteresis.margin != Decimal::zero()).then(|| hysteresis.margin.to_string());
    let dwell = (hysteresis.dwell != Span::ZERO).then(|| text(hysteresis.dwell));
    let toward = Some(text(direction(hysteresis.toward)));
    object([("margin", margin), ("dwell", dwell), ("toward", toward)])
}

fn spec(spec: &ActionSpec) -> String {
    let confirm = match spec.success {
        Success::Accepted => None,
        Success::Confirmed(within) => Some(text(within)),
    };
    object([
        ("name", Some(text(&spec.name))),
        ("title", Some(text(&spec.title))),
        ("category", Some(text(spec.category))),
        ("approval", Some(spec.approval.to_string())),
        ("restricts", Some(spec.restricts.to_string())),
        ("inverse", spec.inverse.as_ref().map(text)),
        ("retry", Some(text(spec.retry))),
        ("confirm_within", confirm),
        ("channel", Some(text(&spec.channel))),
        ("open", Some(spec.open.to_string())),
        ("params", Some(array(spec.params.iter().map(param)))),
    ])
}

fn param(param: &Param) -> String {
    let kind = match &param.kind {
        ParamKind::Text => "text",
        ParamKind::Integer { .. } => "integer",
        ParamKind::Number => "number",
        ParamKind::Flag => "flag",
        ParamKind::Duration => "duration",
        ParamKind::Choice(_) => "choice",
    };
    let (min, max) = match param.kind {
        ParamKind::Integer { min, max } => (Some(min.to_string()), Some(max.to_string())),
        _ => (None, None),
    };
    let choices = match &param.kind {
        ParamKind::Choice(texts) => Some(array(texts.iter().map(text))),
        _ => None,
    };
    object([
        ("name", Some(text(&param.name))),
        ("about", Some(text(&param.about))),
        ("kind", Some(text(kind))),
        ("required", Some(param.required.to_string())),
        ("min", min),
        ("max", max),
        ("choices", choices),
    ])
}

pub(super) fn text(value: impl Display) -> String {
    serde_json::Value::String(value.to_string()).to_string()
}

pub(super) fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// An object of those members that have a value.
pub(super) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let members = members.into_iter().filter_map(|(name, value)| Some(format!("{}:{}", text(name), value?)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}
