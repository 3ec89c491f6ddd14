//! Caps: how many actions are made in one window of time, and what becomes of those beyond.
//!
//! ```
//! use tipstaff::{OnExceed, RuleSet};
//! let rules = RuleSet::from_json(r#"{ "approvers": { "default": "security" },
//!   "caps": [{ "percent": 0.5, "in": "1d", "per": "type", "categories": ["access_control"] }],
//!   "rules": [{ "id": "takeover",
//!     "trigger": { "event": { "pattern": { "kind": ["takeover"] } } },
//!     "actions": [{ "key": "out", "type": "revoke_sessions" }],
//!     "guards": { "cap": { "count": 20, "in": "1h", "on_exceed": "pause_rule" } } }] }"#)?;
//! let cap = &rules.rules().next().unwrap().rule.guards.caps[0];
//! assert_eq!(cap.on_exceed, Some(OnExceed::PauseRule));
//! # Ok::<(), tipstaff::DocumentError>(())
//! ```

use super::document::{Faults, RuleFault, below};
use super::item::Item;
use super::read::{number, span, word};
use super::write::{object, text};
use super::{ActionScope, ApprovalPolicy, MAX_COOLDOWN, MIN_DEADLINE, Rule, Settings, approval, check};
use crate::action::{ActionCatalog, ActionSpec};
use crate::broken::{self, Defect};
use crate::json::Value;
use crate::time::Span;
use crate::words::words;

/// The most caps of a rule, and of a tenant's settings. Our decision.
pub const MAX_CAPS: usize = 16;
/// The highest count of a cap. Our decision: what is more is no limit.
pub const MAX_CAP_COUNT: u32 = 1_000_000;
/// How far what is caused by actions is followed where the settings say nothing (behaviour, loop guard).
pub const DEFAULT_LOOP_DEPTH: u32 = 5;
/// The deepest that it may be followed. Our decision.
pub const MAX_LOOP_DEPTH: u32 = 20;

words! {
    /// What a cap counts together.
    CapScope, "scope of a cap" {
        Rule: "rule", "all that the rule asks for";
        Subject: "subject", "what is done to one user, their sessions included; by the rule, or by the tenant";
        Type: "type", "all of one type of action, each type by itself";
        Tenant: "tenant", "everything of the tenant";
    }

    /// What becomes of an action beyond a cap.
    OnExceed, "answer to a cap that is exceeded" {
        Ask: "ask", "people must agree to it: those of its own policy, or one of the tenant's default group";
        Suppress: "suppress", "it is not made";
        PauseRule: "pause_rule", "it is not made, and its rule rests until somebody resumes it";
    }
}

/// How many actions are made in one window of time.
///
/// Windows are fixed: they lie one after the other since the Unix epoch, each as long as the cap's
/// span (those of `1d` are days of UTC), and count by *decision* time, so that no back-dated event
/// falls into one that is past. Enforcements that are made count, those that people are asked for
/// included; what is suppressed, repeated or joined does not. Where an enforcement comes to nothing,
/// or is taken back before its time, its place in the window is free again. One that may have been
/// carried out keeps its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cap {
    /// What is counted together.
    pub per: CapScope,
    /// How many.
    pub limit: CapLimit,
    /// How long a window is.
    pub span: Span,
    /// What becomes of an action beyond it. Where nothing is said, people are asked for one that
    /// restricts, and anything else is suppressed.
    pub on_exceed: Option<OnExceed>,
    /// Which actions it is about.
    pub of: ActionScope,
}

/// How many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CapLimit {
    /// That many, from 1 to [`MAX_CAP_COUNT`].
    Count(u32),
    /// That share of the users whom the host knows ([`People::population`](crate::People::population)),
    /// in hundredths of a per cent, 1 to 10000; rounded down. Where the host does not say how many
    /// there are, nothing passes.
    Share(u32),
}

impl Cap {
    /// What becomes of such an action beyond it.
    #[must_use]
    pub fn answer(&self, spec: &ActionSpec) -> OnExceed {
        self.on_exceed.unwrap_or(if spec.restricts { OnExceed::Ask } else { OnExceed::Suppress })
    }

    /// How many actions it lets pass in one window, of so many users.
    #[must_use]
    pub fn allows(&self, population: Option<u64>) -> u64 {
        match self.limit {
            CapLimit::Count(count) => count.into(),
            CapLimit::Share(_) if population.is_none() && broken::is(Defect::UnknownPopulationPasses) => {
                u64::MAX
            }
            CapLimit::Share(share) => {
                let part = u128::from(population.unwrap_or(0)) * u128::from(share) / 10_000;
                u64::try_from(part).unwrap_or(u64::MAX)
            }
        }
    }

    /// How many in which span, in words: `20 in 1h`, `0.5 % of users in 1d per type`.
    #[must_use]
    pub fn describe(&self) -> String {
        let limit = match self.limit {
            CapLimit::Count(count) => count.to_string(),
            CapLimit::Share(share) => format!("{} % of users", percent(share)),
        };
        let per = match self.per {
            CapScope::Rule | CapScope::Tenant => String::new(),
            per => format!(" per {per}"),
        };
        format!("{limit} in {}{per}{}", self.span, self.of.describe())
    }
}

/// Hundredths of a per cent as per cent.
fn percent(share: u32) -> String {
    match (share / 100, share % 100) {
        (whole, 0) => whole.to_string(),
        (whole, part) if part % 10 == 0 => format!("{whole}.{}", part / 10),
        (whole, part) => format!("{whole}.{part:02}"),
    }
}

/// The scopes of a rule's caps, the usual one first.
const OF_RULE: &[(&str, CapScope)] = &[("rule", CapScope::Rule), ("subject", CapScope::Subject)];
/// Those of the tenant's.
const OF_TENANT: &[(&str, CapScope)] =
    &[("tenant", CapScope::Tenant), ("type", CapScope::Type), ("subject", CapScope::Subject)];
const PERCENT: &str = "a number above 0 and up to 100, with at most two decimals";

/// Reads the `cap` of a rule's guards: one, or an array of them.
pub(super) fn of_rule(item: &Item<'_>, faults: &mut Faults) -> Vec<Cap> {
    match &item.node.value {
        Value::Array(_) => {
            let caps = all(item, OF_RULE, faults);
            // The rule does not tell that its only cap was written in a list.
            if !faults.knows_places(&item.pointer) {
                faults.note_places(&item.pointer, (0..caps.len()).collect());
            }
            caps
        }
        _ => one(item, OF_RULE, faults).into_iter().collect(),
    }
}

/// Reads the `caps` of the settings.
pub(super) fn of_settings(item: &Item<'_>, faults: &mut Faults) -> Vec<Cap> {
    all(item, OF_TENANT, faults)
}

fn all(item: &Item<'_>, scopes: &[(&'static str, CapScope)], faults: &mut Faults) -> Vec<Cap> {
    item.each("an array of caps", faults, |item, faults| one(item, scopes, faults))
}

fn one(item: &Item<'_>, scopes: &[(&'static str, CapScope)], faults: &mut Faults) -> Option<Cap> {
    const FIELDS: &[&str] = &["count", "percent", "in", "per", "on_exceed", "categories", "types"];
    const COUNT: &str = "a whole number from 1 to 1000000";
    let object = item.object(FIELDS, "a cap with `count` or `percent`, and `in`", faults)?;
    let per = match object.get("per") {
        Some(per) => word(Some(per), scopes, faults),
        None => scopes.first().map(|(_, usual)| *usual),
    };
    let limit = match (object.get("count"), object.get("percent")) {
        (Some(count), None) => count.count(MAX_CAP_COUNT, COUNT, faults).map(CapLimit::Count),
        (None, Some(share)) => {
            let read = number(&share, PERCENT, faults).map(|percent| hundredths(&percent.to_string()));
            if read == Some(None) {
                faults.add_at(&share.pointer, share.node.at, RuleFault::Number(PERCENT));
            }
            read.flatten().map(CapLimit::Share)
        }
        (None, None) => object.need("count", faults).and(None),
        (Some(_), Some(share)) => {
            share.kind_fault("either `count` or `percent`; two caps for both", faults);
            None
        }
    };
    let span = object.need("in", faults).and_then(|item| span(&item, MIN_DEADLINE, MAX_COOLDOWN, faults));
    let on_exceed = object.get("on_exceed").map(|item| item.parsed(faults));
    let of = ActionScope::read(&object, faults);
    let on_exceed = match on_exceed {
        None => None,
        Some(read) => Some(read?),
    };
    Some(Cap { per: per?, limit: limit?, span: span?, on_exceed, of })
}

/// A number of per cent in hundredths, if it is one of at most two decimals above 0 and up to 100.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: u32 = match part.len() {
        0 => 0,
        1 => part.parse::<u32>().ok()? * 10,
        2 => part.parse().ok()?,
        _ => return None,
    };
    let share = whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(part)?;
    (1..=10_000).contains(&share).then_some(share)
}

/// A rule's caps as [`of_rule`] reads them.
pub(super) fn write_rule(caps: &[Cap]) -> Option<String> {
    match caps {
        [] => None,
        [cap] => Some(write(cap)),
        caps => Some(super::write::array(caps.iter().map(write))),
    }
}

/// The settings' caps as [`of_settings`] reads them.
pub(super) fn write_settings(caps: &[Cap]) -> Option<String> {
    (!caps.is_empty()).then(|| super::write::array(caps.iter().map(write)))
}

fn write(cap: &Cap) -> String {
    let (count, share) = match cap.limit {
        CapLimit::Count(count) => (Some(count.to_string()), None),
        CapLimit::Share(share) => (None, Some(percent(share))),
    };
    let own = [
        ("count", count),
        ("percent", share),
        ("in", Some(text(cap.span))),
        ("per", Some(text(cap.per))),
        ("on_exceed", cap.on_exceed.map(text)),
    ];
    object(own.into_iter().chain(cap.of.write()))
}

/// What the tenant's caps mean beside the other settings.
pub(super) fn check_settings(settings: &Settings, catalog: &ActionCatalog, faults: &mut Faults) {
    check::count("/caps", "caps", settings.caps.len(), 0, MAX_CAPS, faults);
    for (i, cap) in settings.caps.iter().enumerate() {
        let place = faults.nth("/caps", i);
        alone(&place, cap, catalog, faults);
        let asks = |spec: &ActionSpec| cap.of.covers(spec) && cap.answer(spec) == OnExceed::Ask;
        let nobody = settings.default_group.is_none() && !faults.touch("/approvers");
        if nobody && catalog.iter().any(asks) {
            faults.add(place, RuleFault::CapAsksNobody);
        }
    }
    if settings.loop_depth.is_some_and(|depth| depth > MAX_LOOP_DEPTH) {
        faults.add("/loop_depth", RuleFault::Number("a whole number from 0 to 20"));
    }
}

/// What a rule's caps mean beside its actions and the settings: whoever is asked must be there.
pub(super) fn check_rule(
    pointer: &str,
    rule: &Rule,
    settings: &Settings,
    catalog: &ActionCatalog,
    faults: &mut Faults,
) {
    let caps = below(&below(pointer, "guards"), "cap");
    check::count(&caps, "caps", rule.guards.caps.len(), 0, MAX_CAPS, faults);
    // An action of its own policy asks those; the others ask one of the default group.
    let unasked: Vec<&ActionSpec> = rule
        .actions
        .iter()
        .filter_map(|action| catalog.get(&action.action).map(|spec| (action, spec)))
        .filter(|(action, spec)| check::required(action, spec).is_none())
        .map(|(_, spec)| spec)
        .collect();
    let asks =
        |cap: &Cap| unasked.iter().any(|spec| cap.of.covers(spec) && cap.answer(spec) == OnExceed::Ask);
    let single = rule.guards.caps.len() == 1 && !faults.knows_places(&caps);
    for (i, cap) in rule.guards.caps.iter().enumerate() {
        let place = if single { caps.clone() } else { faults.nth(&caps, i) };
        alone(&place, cap, catalog, faults);
        if !asks(cap) {
            continue;
        }
        match settings.default_group {
            None if faults.touch("/approvers") => {}
            None => faults.add(place, RuleFault::CapAsksNobody),
            Some(_) => {
                approval::check::policy(&place, &ApprovalPolicy::default(), rule, settings, faults);
            }
        }
    }
    if settings.default_group.is_some()
        && settings.caps.iter().any(asks)
        && !rule.guards.caps.iter().any(asks)
    {
        let place = below(pointer, "actions");
        approval::check::policy(&place, &ApprovalPolicy::default(), rule, settings, faults);
    }
}

fn alone(pointer: &str, cap: &Cap, catalog: &ActionCatalog, faults: &mut Faults) {
    cap.of.check(pointer, catalog, faults);
    if matches!(cap.limit, CapLimit::Share(_)) && cap.per == CapScope::Subject {
        faults.add(below(pointer, "percent"), RuleFault::ShareOfOne);
    }
}
