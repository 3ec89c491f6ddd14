//! What rules and settings mean beside each other: are there such actions, bands and groups, and
//! can the people be found who must agree?

use std::collections::BTreeSet;

use super::document::{Faults, RuleFault, below, cut};
use super::read::Placed;
use super::{
    ApprovalPolicy, ApprovalSetting, Audience, CooldownScope, EventFilter, MAX_ACTIONS, MAX_MEMBERS,
    MAX_SCALES, MAX_SOURCES, MAX_TITLE_BYTES, Policy, RuleAction, Settings, Trigger, approval, cap, protect,
    times, timing, window,
};
use crate::action::{
    ActionCatalog, ActionSpec, BuiltinAction, ParamFault, ParamProblem, ParamValue, Stage, Template,
    check_params,
};
use crate::id::ScaleId;
use crate::score::BandName;

/// The settings' own faults.
pub(super) fn settings(settings: &Settings, catalog: &mut ActionCatalog, faults: &mut Faults) {
    count("/scales", "scales", settings.scales.len(), 0, MAX_SCALES, faults);
    let mut ids = BTreeSet::new();
    for (i, scale) in settings.scales.iter().enumerate() {
        if !ids.insert(scale.id()) {
            faults.add(faults.nth("/scales", i), RuleFault::Repeated(scale.id().to_string()));
        }
    }
    for (i, spec) in settings.types.iter().enumerate() {
        let place = faults.nth("/types", i);
        count(&below(&place, "title"), "bytes of title", spec.title.len(), 1, MAX_TITLE_BYTES, faults);
        if let Err(fault) = catalog.register(spec.clone()) {
            faults.add(place, fault);
        }
    }
    // Inverses may be declared after what they take back; the host's own have no place in the text.
    // Where a type could not be read, it may be the one that is named, or be named for nothing.
    let unread = faults.touch("/types");
    for spec in catalog.iter().filter(|_| !unread) {
        if let Some(fault) = catalog.inverse_fault(spec) {
            let place = settings.types.iter().position(|own| own.name == spec.name);
            let place = place.map_or_else(String::new, |i| below(&faults.nth("/types", i), "inverse"));
            faults.add(place, fault);
        }
    }
    if let Some(group) = &settings.default_group
        && !settings.groups.is_empty()
        && !settings.groups.contains_key(group)
        && !faults.touch("/approvers/groups")
    {
        faults.add("/approvers/default", RuleFault::UnknownGroup(group.clone()));
    }
    times::check("", &settings.times, catalog, faults);
    protect::check(settings, catalog, faults);
    cap::check_settings(settings, catalog, faults);
    count("/approvers/operators", "operators", settings.operators.len(), 0, MAX_MEMBERS, faults);
    repeated("/approvers/operators", settings.operators.iter(), faults);
}

/// One rule's faults.
pub(super) fn rule(placed: &Placed, settings: &Settings, catalog: &ActionCatalog, faults: &mut Faults) {
    let Placed { pointer, rule, unread } = placed;
    count(&below(pointer, "title"), "bytes of title", rule.title.len(), 1, MAX_TITLE_BYTES, faults);
    count(&below(pointer, "actions"), "actions", rule.actions.len(), 1, MAX_ACTIONS, faults);
    let trigger = below(pointer, "trigger");
    match &rule.trigger {
        Trigger::Event { sources, window: counted, .. } => {
            let pointer = format!("{trigger}/event/sources");
            count(&pointer, "sources", sources.len(), 0, MAX_SOURCES, faults);
            repeated(&pointer, sources.iter(), faults);
            if let Some(counted) = counted {
                window::faults(&format!("{trigger}/event"), counted, faults);
            }
        }
        Trigger::Score(score) => {
            let pointer = format!("{trigger}/score");
            bands(&pointer, "enters", &score.scale, &score.enters, settings, faults);
        }
        Trigger::Schedule { audience: Audience::Bands { scale, bands: named }, .. } => {
            bands(&format!("{trigger}/schedule/audience"), "band", scale, named, settings, faults);
        }
        Trigger::Schedule { .. } | Trigger::Deadline(_) | Trigger::Manual => {}
    }
    if let Some(absent) = rule.trigger.absent() {
        sources(&format!("{trigger}/schedule/absent"), &absent.awaited, faults);
    }
    if let Trigger::Deadline(deadline) = &rule.trigger {
        sources(&format!("{trigger}/deadline/opens"), &deadline.opens, faults);
        sources(&format!("{trigger}/deadline/closes"), &deadline.closes, faults);
    }
    let guards = below(pointer, "guards");
    times::check(&guards, &rule.guards.times, catalog, faults);
    if rule.guards.rollout.is_some_and(|share| share > 100) {
        faults.add(below(&guards, "rollout"), RuleFault::Number("a whole number from 0 to 100"));
    }
    cap::check_rule(pointer, rule, settings, catalog, faults);
    let per_field = matches!(&rule.guards.cooldown, Some(cooldown) if cooldown.per != CooldownScope::Subject);
    if per_field && rule.trigger.listens().is_empty() && !unread.trigger {
        faults.add(format!("{pointer}/guards/cooldown/field"), RuleFault::FieldWithoutEvent);
    }
    let mut keys = BTreeSet::new();
    let actions = below(pointer, "actions");
    for (i, action) in rule.actions.iter().enumerate() {
        let place = faults.nth(&actions, i);
        if !keys.insert(&action.key) {
            faults.add(below(&place, "key"), RuleFault::RepeatedKey(cut(action.key.as_str())));
        }
        let Some(spec) = catalog.get(&action.action) else {
            if faults.touch("/types") {
                continue;
            }
            let found = cut(action.action.as_str());
            let accepted: Vec<_> = catalog.iter().map(|spec| format!("`{}`", spec.name)).collect();
            let fault = RuleFault::UnknownAction { found, accepted: accepted.join(", ") };
            faults.add(below(&place, "type"), fault);
            continue;
        };
        // A type of the tenant's may lack what could not be read of it.
        let known = BuiltinAction::named(&spec.name).is_some() || !faults.touch("/types");
        if known {
            let trigger = (!unread.trigger).then_some(&rule.trigger);
            params(&below(&place, "params"), trigger, action, spec, faults);
            timing::check(&place, action, spec, catalog, faults);
        }
        if known
            && settings.policy == Policy::Strict
            && let Some(approvers) = open_ended(action, spec, settings, catalog)
        {
            faults.add(&place, RuleFault::OpenEnded { approvers });
        }
        if let Some(policy) = required(action, spec) {
            approval::check::policy(&below(&place, "approval"), &policy, rule, settings, faults);
        }
    }
}

fn sources(pointer: &str, filter: &EventFilter, faults: &mut Faults) {
    let pointer = below(pointer, "sources");
    count(&pointer, "sources", filter.sources.len(), 0, MAX_SOURCES, faults);
    repeated(&pointer, filter.sources.iter(), faults);
}

/// The approval that an action needs, before the default group is filled in.
pub(super) fn required(action: &RuleAction, spec: &ActionSpec) -> Option<ApprovalPolicy> {
    match &action.approval {
        ApprovalSetting::Required(policy) => Some(policy.clone()),
        ApprovalSetting::TypeDefault => spec.approval.then(ApprovalPolicy::default),
        ApprovalSetting::None => None,
    }
}

/// How many people must agree to an effect that nothing ends, where these are fewer than two.
pub(super) fn open_ended(
    action: &RuleAction,
    spec: &ActionSpec,
    settings: &Settings,
    catalog: &ActionCatalog,
) -> Option<u32> {
    if action.timing.hold.is_some() || !timing::stands(spec, catalog) {
        return None;
    }
    let policy = required(action, spec).and_then(|policy| settings.resolve(&policy));
    let approvers = policy.map_or(0, |policy| policy.groups.iter().map(|quorum| quorum.need).sum());
    (approvers < 2).then_some(approvers)
}

fn bands(
    pointer: &str,
    field: &str,
    id: &ScaleId,
    named: &[BandName],
    settings: &Settings,
    faults: &mut Faults,
) {
    // The one in its place is not the one that was meant.
    if faults.touch(&below(pointer, "scale")) {
        return;
    }
    let Some(scale) = settings.scale(id) else {
        if faults.touch("/scales") {
            return;
        }
        faults.add(below(pointer, "scale"), RuleFault::UnknownScale(cut(id.as_str())));
        return;
    };
    let pointer = below(pointer, field);
    count(&pointer, "bands", named.len(), 1, scale.bands().len(), faults);
    repeated(&pointer, named.iter(), faults);
    for (i, name) in named.iter().enumerate() {
        if scale.rank(name).is_none() {
            let accepted: Vec<_> = scale.bands().iter().map(|band| format!("`{}`", band.name)).collect();
            let fault = RuleFault::UnknownBand { found: name.to_string(), accepted: accepted.join(", ") };
            faults.add(faults.nth(&pointer, i), fault);
        }
    }
}

/// The variables of texts are judged where it is known what the rule hears.
fn params(
    pointer: &str,
    trigger: Option<&Trigger>,
    action: &RuleAction,
    spec: &ActionSpec,
    faults: &mut Faults,
) {
    let at = |problem: &ParamProblem| match problem.fault {
        ParamFault::Missing { .. } => pointer.to_owned(),
        _ => below(pointer, &problem.name),
    };
    for problem in check_params(spec, &action.params, Stage::Written).err().unwrap_or_default() {
        let missing = matches!(problem.fault, ParamFault::Missing { .. });
        if !(missing && faults.touch(&below(pointer, &problem.name))) {
            faults.add(at(&problem), problem);
        }
    }
    let Some(trigger) = trigger else { return };
    for (name, value) in &action.params {
        let ParamValue::Text(text) = value else { continue };
        let Ok(template) = text.parse::<Template>() else { continue };
        for variable in template.variables().filter(|variable| !known(variable, trigger)) {
            let fault = RuleFault::UnknownVariable { found: cut(variable), accepted: accepted(trigger) };
            faults.add(below(pointer, name), fault);
        }
    }
}

/// The variables of every trigger; a trigger's own come after.
const COMMON: &[&str] =
    &["subject", "user", "session", "signal.id", "signal.source", "signal.time", "rule", "rule.title"];

fn known(variable: &str, trigger: &Trigger) -> bool {
    let own = match trigger {
        Trigger::Event { .. } => variable.starts_with("event.") && variable.len() > "event.".len(),
        Trigger::Score(_) => ["score", "band", "band.from"].contains(&variable),
        Trigger::Schedule { absent: None, .. } => variable == "occurrence.time",
        Trigger::Schedule { .. } | Trigger::Deadline(_) => {
            ["occurrence.time", "absent.since"].contains(&variable)
        }
        Trigger::Manual => ["operator", "reason"].contains(&variable),
    };
    own || COMMON.contains(&variable)
}

const fn accepted(trigger: &Trigger) -> &'static str {
    match trigger {
        Trigger::Event { .. } => {
            "subject, user, session, signal.id, signal.source, signal.time, rule, rule.title, event.<path>"
        }
        Trigger::Score(_) => {
            "subject, user, session, signal.id, signal.source, signal.time, rule, rule.title, score, band, band.from"
        }
        Trigger::Schedule { absent: Some(_), .. } | Trigger::Deadline(_) => {
            "subject, user, session, signal.id, signal.source, signal.time, rule, rule.title, occurrence.time, absent.since"
        }
        Trigger::Schedule { .. } => {
            "subject, user, session, signal.id, signal.source, signal.time, rule, rule.title, occurrence.time"
        }
        Trigger::Manual => {
            "subject, user, session, signal.id, signal.source, signal.time, rule, rule.title, operator, reason"
        }
    }
}

pub(super) fn repeated<'a, T: Ord + ToString + 'a>(
    pointer: &str,
    items: impl Iterator<Item = &'a T>,
    faults: &mut Faults,
) {
    let mut seen: BTreeSet<&T> = BTreeSet::new();
    for item in items {
        if !seen.insert(item) {
            faults.add(pointer, RuleFault::Repeated(item.to_string()));
        }
    }
}

pub(super) fn count(
    pointer: &str,
    what: &'static str,
    found: usize,
    least: usize,
    most: usize,
    faults: &mut Faults,
) {
    // What could not be read has told its own fault, and is not counted as missing.
    let too_few = found < least && !faults.touch(pointer);
    if too_few || found > most {
        faults.add(pointer, RuleFault::Count { what, found, least, most });
    }
}
