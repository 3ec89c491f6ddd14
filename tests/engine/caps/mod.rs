//! Caps, loops and the kill switch: how much happens at most, and how it is stopped.

mod answers;
mod bands;
mod counter;
mod documents;
mod hosts;
mod kills;
mod long;
mod loops;
mod places;
mod windows;

use crate::support::World;
use tipstaff::*;

/// A document of these rules, beside an approver and what else the settings say.
fn document(settings: &str, rules: &[String]) -> String {
    let rules = rules.join(",");
    format!(
        r#"{{ "approvers": {{ "default": "security", "groups": {{ "security": ["bo", "cy"] }}, "operators": ["olga"] }},
          {settings} "rules": [{rules}] }}"#
    )
}

/// A rule on events `{"do": "<its id>"}` with these actions and guards.
fn rule(id: &str, actions: &str, guards: &str) -> String {
    format!(
        r#"{{ "id": "{id}", "author": "ann", "trigger": {{ "event": {{ "pattern": {{ "do": ["{id}"] }} }} }},
          "actions": [{actions}], "guards": {{ {guards} }} }}"#
    )
}

const TELL: &str = r#"{ "key": "tell", "type": "escalate_to_hr" }"#;
/// A lock that nobody is asked about.
const LOCK: &str = r#"{ "key": "lock", "type": "lock_account", "approval": "none", "for": "30m" }"#;

fn go_on(world: &World, signal: &str, user: &str, minute: i64) -> Decision {
    event(world, signal, user, "r", minute)
}

fn event(world: &World, signal: &str, user: &str, what: &str, minute: i64) -> Decision {
    let now = crate::support::at(minute);
    world.submit(world.event(signal, user, now, &format!(r#"{{ "do": "{what}" }}"#)), now)
}

/// What follows, a word an action: `made`, `asked`, `shadow`, `shadow asked`, or why nothing does.
fn told(decision: &Decision) -> Vec<&'static str> {
    let word = |outcome: &ActionOutcome| match &outcome.effect {
        Effect::Created { approval: None, .. } => "made",
        Effect::Created { approval: Some(_), .. } => "asked",
        Effect::Shadow { approval: false } => "shadow",
        Effect::Shadow { approval: true } => "shadow asked",
        Effect::Suppressed(held) => held.reason.as_str(),
        other => panic!("{other:?}"),
    };
    decision.outcomes.iter().map(word).collect()
}

/// The first thing that holds an action back, or why people are asked.
fn held(decision: &Decision) -> Suppressed {
    match &decision.outcomes[0].effect {
        Effect::Suppressed(held) => held.clone(),
        Effect::Created { because, .. } => because[0].clone(),
        other => panic!("{other:?}"),
    }
}
