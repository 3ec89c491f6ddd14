//! From a JSON document to rules and settings. What a value means by itself is judged here; what
//! it means beside the others (is there such a group?) in [`check`](super::check).

use super::cooldown::cooldown;
use super::document::{Faults, RuleFault, cut};
use super::item::{Item, Object};
use super::read_scale::scale;
use super::window::window;
use super::{
    ApprovalSetting, Guards, MAX_COOLDOWN, MAX_MEMBERS, MAX_RULES, MIN_DEADLINE, Mode, Rule, RuleAction,
    Settings, Trigger, approval, cap, protect, times,
};
use crate::action::{ActionSpec, Category, Param, ParamKind, ParamValue, Params, Success};
use crate::decimal::Decimal;
use crate::id::Source;
use crate::json::Value;
use crate::pattern::Pattern;
use crate::score::{Confidence, Direction, Scale, ScoreTrigger, Skipped};
use crate::time::Span;
use crate::words::WordError;

/// A document as it was read, not yet checked.
pub(super) struct Draft {
    pub(super) settings: Settings,
    pub(super) rules: Vec<Placed>,
}

/// A rule at its place in a document.
pub(super) struct Placed {
    pub(super) pointer: String,
    pub(super) rule: Rule,
    pub(super) unread: Unread,
}

/// What of a rule could not be read. Something else stands there, so that the rest is judged all the
/// same; the fault that was told keeps the rule from being used.
#[derive(Clone, Copy, Default)]
pub(super) struct Unread {
    pub(super) id: bool,
    pub(super) trigger: bool,
}

/// Reads `[rule, …]`, one rule, or `{"approvers", "policy", "quiet_hours", "maintenance", "protected",
/// "administrators", "caps", "loop_depth", "scales", "types", "rules"}`.
pub(super) fn document(root: &Item<'_>, faults: &mut Faults) -> Draft {
    let mut draft = Draft { settings: Settings::default(), rules: Vec::new() };
    let is_rule =
        matches!(&root.node.value, Value::Object(members) if members.iter().any(|m| m.name == "trigger"));
    let rules = if is_rule {
        Some(vec![root.clone()])
    } else if matches!(root.node.value, Value::Array(_)) {
        root.items("rules", faults)
    } else {
        const FIELDS: &[&str] = &[
            "approvers",
            "policy",
            "quiet_hours",
            "maintenance",
            "protected",
            "administrators",
            "caps",
            "loop_depth",
            "scales",
            "types",
            "rules",
        ];
        const ACCEPTED: &str = "a rule, an array of rules, or an object with `rules`";
        let object = root.object(FIELDS, ACCEPTED, faults);
        object.and_then(|object| {
            draft.settings = settings(&object, faults);
            object.get("rules").and_then(|rules| rules.items("an array of rules", faults))
        })
    };
    let rules = rules.unwrap_or_default();
    if rules.len() > MAX_RULES {
        let count = RuleFault::Count { what: "rules", found: rules.len(), least: 0, most: MAX_RULES };
        faults.add_at(&root.pointer, root.node.at, count);
        return draft;
    }
    for item in rules {
        draft.rules.extend(rule(item, faults));
    }
    draft
}

fn settings(object: &Object<'_>, faults: &mut Faults) -> Settings {
    let mut settings = Settings::default();
    if let Some(approvers) = object.get("approvers")
        && let Some(approvers) = approvers.object(&["default", "groups", "operators"], "an object", faults)
    {
        settings.default_group = approvers.get("default").and_then(|name| name.parsed(faults));
        let groups = approvers.get("groups").and_then(|g| g.entries("an object of groups", faults));
        for (name, members) in groups.unwrap_or_default() {
            let id =
                name.parse().map_err(|e| faults.add_at(&members.pointer, members.node.at, RuleFault::Id(e)));
            let Some(people) = members.items("an array of people", faults) else { continue };
            if people.is_empty() || people.len() > MAX_MEMBERS {
                let fault =
                    RuleFault::Count { what: "members", found: people.len(), least: 1, most: MAX_MEMBERS };
                faults.add_at(&members.pointer, members.node.at, fault);
                continue;
            }
            let people = people.iter().filter_map(|person| person.parsed(faults)).collect();
            if let Ok(id) = id {
                settings.groups.insert(id, people);
            }
        }
        settings.operators = approvers.each("operators", "an array of people", faults, Item::parsed);
    }
    settings.policy = object.get("policy").and_then(|policy| policy.parsed(faults)).unwrap_or_default();
    settings.times = times::read_windows(object, faults);
    protect::read_all(object, &mut settings, faults);
    settings.caps = object.get("caps").map(|item| cap::of_settings(&item, faults)).unwrap_or_default();
    settings.loop_depth = object
        .get("loop_depth")
        .and_then(|item| item.whole(super::MAX_LOOP_DEPTH, "a whole number from 0 to 20", faults));
    settings.scales = object.each("scales", "an array of scales", faults, scale);
    settings.types = object.each("types", "an array of action types", faults, spec);
    settings
}

fn rule(item: Item<'_>, faults: &mut Faults) -> Option<Placed> {
    const FIELDS: &[&str] =
        &["id", "title", "revision", "mode", "author", "trigger", "subject", "actions", "guards"];
    let object = item.object(FIELDS, "a rule", faults)?;
    let id = object.need("id", faults).and_then(|id| id.parsed(faults));
    let title = object.get("title").and_then(|title| title.text(faults));
    let revision =
        object.get("revision").and_then(|n| n.count(u32::MAX, "a whole number from 1 to 4294967295", faults));
    let mode = object.get("mode").and_then(|mode| mode.parsed(faults)).unwrap_or(Mode::Live);
    let author = object.get("author").and_then(|author| author.parsed(faults));
    let trigger = object.need("trigger", faults).and_then(|item| trigger(&item, faults));
    let subject = object.get("subject").and_then(|item| pattern(&item, faults));
    let actions = object.need("actions", faults);
    let actions = actions.map(|item| item.each("an array of actions", faults, action)).unwrap_or_default();
    let guards = object.get("guards").map_or_else(Guards::default, |item| guards(&item, faults));
    let unread = Unread { id: id.is_none(), trigger: trigger.is_none() };
    let stand_in = || "unread".parse().expect("letters make an id");
    let rule = Rule::new(id.unwrap_or_else(stand_in), trigger.unwrap_or(Trigger::Manual));
    let title = title.map_or_else(|| rule.title.clone(), str::to_owned);
    let rule = Rule { title, revision, mode, author, subject, actions, guards, ..rule };
    Some(Placed { pointer: item.pointer, rule, unread })
}

pub(super) fn pattern(item: &Item<'_>, faults: &mut Faults) -> Option<Pattern> {
    match Pattern::from_node(item.node, &item.pointer) {
        Ok(pattern) => Some(pattern),
        Err(errors) => {
            for error in errors {
                faults.add_at(error.pointer, error.offset, error.fault);
            }
            None
        }
    }
}

fn trigger(item: &Item<'_>, faults: &mut Faults) -> Option<Trigger> {
    const KINDS: &[&str] = &["event", "score", "schedule", "deadline", "manual"];
    const ACCEPTED: &str = "an object with one of `event`, `score`, `schedule`, `deadline`, `manual`";
    let object = item.object(KINDS, ACCEPTED, faults)?;
    let given: Vec<_> = KINDS.iter().filter_map(|kind| Some((*kind, object.get(kind)?))).collect();
    let [(kind, body)] = given.as_slice() else {
        let count = RuleFault::Count { what: "kinds of trigger", found: given.len(), least: 1, most: 1 };
        faults.add_at(&item.pointer, item.node.at, count);
        return None;
    };
    match *kind {
        "event" => event_trigger(body, faults),
        "score" => score_trigger(body, faults),
        "schedule" => super::schedule::read(body, faults),
        "deadline" => super::absence::read_deadline(body, faults),
        _ => body.object(&[], "an empty object", faults).map(|_| Trigger::Manual),
    }
}

fn event_trigger(item: &Item<'_>, faults: &mut Faults) -> Option<Trigger> {
    let object = item.object(&["sources", "pattern", "window"], "an object", faults)?;
    let heard = listened(&object, faults);
    let window = object.get("window").map(|item| window(&item, faults));
    let (sources, pattern) = heard?;
    let window = match window {
        None => None,
        Some(window) => Some(window?),
    };
    Some(Trigger::Event { sources, pattern, window })
}

/// The sources and the pattern of events that a rule listens to.
pub(super) fn listened(object: &Object<'_>, faults: &mut Faults) -> Option<(Vec<Source>, Pattern)> {
    let sources = object.each("sources", "an array of sources", faults, Item::parsed);
    let pattern = pattern(&object.need("pattern", faults)?, faults)?;
    Some((sources, pattern))
}

fn score_trigger(item: &Item<'_>, faults: &mut Faults) -> Option<Trigger> {
    const FIELDS: &[&str] =
        &["scale", "enters", "direction", "skipped", "first", "cooldown", "min_confidence"];
    let object = item.object(FIELDS, "an object", faults)?;
    let scale = object.get("scale").and_then(|scale| scale.parsed(faults));
    let enters = object.need("enters", faults);
    let enters = enters.map(|bands| bands.each("an array of bands", faults, band_name)).unwrap_or_default();
    let direction = word(object.get("direction"), DIRECTIONS, faults);
    let skipped =
        word(object.get("skipped"), &[("ignore", Skipped::Ignore), ("fire", Skipped::Fire)], faults);
    let mut trigger = ScoreTrigger::new(scale.unwrap_or_else(|| Scale::standard().id().clone()), enters);
    trigger.direction = direction.unwrap_or(trigger.direction);
    trigger.skipped = skipped.unwrap_or(trigger.skipped);
    trigger.first = object.get("first").and_then(|first| first.flag(faults)).unwrap_or(trigger.first);
    if let Some(cooldown) = object.get("cooldown") {
        trigger.cooldown = span(&cooldown, Span::ZERO, MAX_COOLDOWN, faults).unwrap_or(trigger.cooldown);
    }
    if let Some(confidence) = object.get("min_confidence") {
        const ACCEPTED: &str = "a number from 0 to 1";
        let number = number(&confidence, ACCEPTED, faults);
        let refused = |_| faults.add_at(&confidence.pointer, confidence.node.at, RuleFault::Number(ACCEPTED));
        trigger.min_confidence = number.and_then(|n| Confidence::try_from(n).map_err(refused).ok());
    }
    Some(Trigger::Score(trigger))
}

pub(super) const DIRECTIONS: &[(&str, Direction)] =
    &[("worse", Direction::Worse), ("better", Direction::Better), ("either", Direction::Either)];

pub(super) fn band_name(item: &Item<'_>, faults: &mut Faults) -> Option<crate::score::BandName> {
    item.parsed(faults)
}

fn action(item: &Item<'_>, faults: &mut Faults) -> Option<RuleAction> {
    const FIELDS: &[&str] =
        &["key", "type", "params", "approval", "confirm_within", "for", "delay", "recheck", "not_after"];
    let object = item.object(FIELDS, "an action", faults)?;
    let key = object.need("key", faults).and_then(|key| key.parsed(faults));
    let action =
        object.need("type", faults).and_then(|name| name.parsed::<crate::action::ActionType>(faults));
    let mut params = Params::new();
    let given = object.get("params").and_then(|params| params.entries("an object of parameters", faults));
    for (name, value) in given.unwrap_or_default() {
        match &value.node.value {
            Value::Text(text) => drop(params.insert(name.to_owned(), ParamValue::Text(text.to_string()))),
            Value::Bool(flag) => drop(params.insert(name.to_owned(), ParamValue::Flag(*flag))),
            Value::Number(text) => match text.parse() {
                Ok(number) => drop(params.insert(name.to_owned(), ParamValue::Number(number))),
                Err(_) => faults.add_at(
                    &value.pointer,
                    value.node.at,
                    RuleFault::Number("a number of at most 1100 bytes"),
                ),
            },
            _ => value.kind_fault("a text, a number, true or false", faults),
        }
    }
    let approval = object
        .get("approval")
        .map_or(Some(ApprovalSetting::TypeDefault), |item| approval::read::setting(&item, faults));
    let confirm = object.get("confirm_within");
    let confirm_within =
        confirm.and_then(|item| span(&item, MIN_DEADLINE, super::MAX_CONFIRM_WITHIN, faults));
    let timing = super::timing::read(&object, faults);
    Some(RuleAction { params, approval: approval?, confirm_within, timing, ..RuleAction::new(key?, action?) })
}

fn guards(item: &Item<'_>, faults: &mut Faults) -> Guards {
    const FIELDS: &[&str] =
        &["cooldown", "not_before", "not_after", "maintenance", "quiet_hours", "rollout", "cap"];
    const SHARE: &str = "a whole number from 0 to 100";
    let Some(object) = item.object(FIELDS, "an object of guards", faults) else {
        return Guards::default();
    };
    let rollout = object.get("rollout").and_then(|share| share.whole(100, SHARE, faults));
    Guards {
        cooldown: object.get("cooldown").and_then(|item| cooldown(&item, faults)),
        times: times::read(&object, faults),
        rollout: rollout.and_then(|share| u8::try_from(share).ok()),
        caps: object.get("cap").map(|item| cap::of_rule(&item, faults)).unwrap_or_default(),
    }
}

fn spec(item: &Item<'_>, faults: &mut Faults) -> Option<ActionSpec> {
    const FIELDS: &[&str] = &[
        "name",
        "title",
        "category",
        "approval",
        "restricts",
        "inverse",
        "retry",
        "confirm_within",
        "channel",
        "open",
        "params",
    ];
    let object = item.object(FIELDS, "an action type", faults)?;
    let name = object.need("name", faults).and_then(|name| name.parsed(faults));
    let title = object.get("title").and_then(|title| title.text(faults));
    let category: Option<Category> = object.need("category", faults).and_then(|c| c.parsed(faults));
    let params = object.each("params", "an array of parameters", faults, param);
    let mut flag = |name| object.get(name).and_then(|item| item.flag(faults));
    let (approval, restricts, open) = (flag("approval"), flag("restricts"), flag("open"));
    let inverse = object.get("inverse").and_then(|item| item.parsed(faults));
    let retry = object.get("retry").and_then(|item| item.parsed(faults));
    let channel = object.get("channel").and_then(|item| item.parsed(faults));
    let confirm = object.get("confirm_within");
    let confirm = confirm.and_then(|item| span(&item, MIN_DEADLINE, super::MAX_CONFIRM_WITHIN, faults));
    let name: crate::action::ActionType = name?;
    let mut spec = ActionSpec::new(name.clone(), title.unwrap_or(name.as_str()), category?);
    spec.params = params;
    spec.approval = approval.unwrap_or(spec.approval);
    spec.restricts = restricts.unwrap_or(spec.restricts);
    spec.open = open.unwrap_or(spec.open);
    spec.inverse = inverse;
    spec.retry = retry.unwrap_or(spec.retry);
    spec.channel = channel.unwrap_or(spec.channel);
    spec.success = confirm.map_or(spec.success, Success::Confirmed);
    Some(spec)
}

fn param(item: &Item<'_>, faults: &mut Faults) -> Option<Param> {
    const FIELDS: &[&str] = &["name", "about", "kind", "required", "min", "max", "choices"];
    const KINDS: &[(&str, ParamKind)] = &[
        ("text", ParamKind::Text),
        ("integer", ParamKind::Integer { min: i64::MIN, max: i64::MAX }),
        ("number", ParamKind::Number),
        ("flag", ParamKind::Flag),
        ("duration", ParamKind::Duration),
        ("choice", ParamKind::Choice(Vec::new())),
    ];
    let object = item.object(FIELDS, "a parameter", faults)?;
    let name = object.need("name", faults).and_then(|name| name.text(faults));
    let about = object.get("about").and_then(|about| about.text(faults)).unwrap_or_default();
    let required = object.get("required").and_then(|item| item.flag(faults)).unwrap_or(true);
    let mut kind = word(Some(object.need("kind", faults)?), KINDS, faults)?;
    match &mut kind {
        ParamKind::Integer { min, max } => {
            let mut bound = |name| object.get(name).and_then(|item| integer(&item, faults));
            *min = bound("min").unwrap_or(*min);
            *max = bound("max").unwrap_or(*max);
        }
        ParamKind::Choice(texts) => {
            let text = |item: &Item<'_>, faults: &mut Faults| item.text(faults).map(str::to_owned);
            *texts = object.need("choices", faults)?.each("an array of texts", faults, text);
        }
        _ => {}
    }
    Some(Param { required, ..Param::new(name?, about, kind) })
}

fn integer(item: &Item<'_>, faults: &mut Faults) -> Option<i64> {
    if let Value::Number(text) = item.node.value
        && let Ok(n) = text.parse()
    {
        return Some(n);
    }
    faults.add_at(&item.pointer, item.node.at, RuleFault::Number("a whole number of 64 bits"));
    None
}

pub(super) fn number(item: &Item<'_>, accepted: &'static str, faults: &mut Faults) -> Option<Decimal> {
    if let Value::Number(text) = item.node.value
        && let Ok(number) = text.parse()
    {
        return Some(number);
    }
    faults.add_at(&item.pointer, item.node.at, RuleFault::Number(accepted));
    None
}

pub(super) fn span(item: &Item<'_>, least: Span, most: Span, faults: &mut Faults) -> Option<Span> {
    let found: Span = item.parsed(faults)?;
    if (least..=most).contains(&found) {
        return Some(found);
    }
    faults.add_at(&item.pointer, item.node.at, RuleFault::SpanRange { found, least, most });
    None
}

/// One of a few words, each with its meaning.
pub(super) fn word<T: Clone>(
    item: Option<Item<'_>>,
    words: &[(&'static str, T)],
    faults: &mut Faults,
) -> Option<T> {
    let item = item?;
    let text = item.text(faults)?;
    let known = words.iter().find(|(word, _)| *word == text);
    if known.is_none() {
        let accepted: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let unknown = WordError { what: "word known here", text: cut(text), accepted: accepted.join(", ") };
        faults.add_at(&item.pointer, item.node.at, unknown);
    }
    known.map(|(_, value)| value.clone())
}
