//! Staged rollout: a share of the users, always the same ones.

use std::collections::BTreeSet;

use tipstaff::*;

use super::reason;
use crate::support::{World, at, id};

const USERS: usize = 400;

fn world(share: u8, rule: &str) -> World {
    World::new(&format!(
        r#"[{{ "id": "{rule}", "trigger": {{ "event": {{ "pattern": {{ "do": ["it"] }} }} }},
            "actions": [{{ "key": "a", "type": "escalate_to_manager" }}], "guards": {{ "rollout": {share} }} }}]"#
    ))
}

/// The users whom the rule acts on.
fn users_in(share: u8, rule: &str) -> BTreeSet<String> {
    let world = world(share, rule);
    let acted = |user: &String| {
        let event = world.event(&format!("s-{user}"), user, at(0), r#"{ "do": "it" }"#);
        match reason(&world.submit(event, at(0))) {
            None => true,
            Some("rollout") => false,
            Some(other) => panic!("{other}"),
        }
    };
    (0..USERS).map(|n| format!("u-{n}")).filter(acted).collect()
}

#[test]
fn whoever_is_in_at_a_share_is_in_at_every_larger_one() {
    let shares = [0, 1, 10, 20, 50, 99, 100];
    let all: Vec<BTreeSet<String>> = shares.iter().map(|share| users_in(*share, "r")).collect();
    assert!(all.is_sorted_by(|less, more| less.is_subset(more)));
    assert_eq!((all[0].len(), all[6].len()), (0, USERS));
    // 20 % of 400 are 80, with a deviation of 8; four of these are no accident.
    assert!((48..=112).contains(&all[3].len()), "{}", all[3].len());
    assert_ne!(all[3], users_in(20, "another"), "rules do not all begin with the same people");
    assert_eq!(all[3], users_in(20, "r"), "asked again, it is the same people");
}

#[test]
fn a_session_is_its_users_and_an_order_by_hand_is_for_anybody() {
    let world = world(20, "r");
    let in_force = users_in(20, "r");
    for n in 0..40 {
        let user = format!("u-{n}");
        let mut event = world.event(&format!("s-{user}"), &user, at(0), r#"{ "do": "it" }"#);
        event.subject = Subject { session: Some(id("s")), ..event.subject };
        assert_eq!(reason(&world.submit(event, at(0))).is_none(), in_force.contains(&user), "{user}");
    }
    let by_hand = World::new(
        r#"[{ "id": "r", "trigger": { "manual": {} }, "guards": { "rollout": 0 },
            "actions": [{ "key": "a", "type": "escalate_to_manager" }] }]"#,
    );
    let order = by_hand.order("o", "bo", "ana", ManualOrder::Rule(id("r")));
    assert_eq!(reason(&by_hand.submit(order, at(0))), None);
}

#[test]
fn a_rollout_of_nobody_is_warned_about() {
    let rules = |share: u8| {
        let text = format!(
            r#"{{ "id": "r", "trigger": {{ "manual": {{}} }}, "guards": {{ "rollout": {share} }},
                "actions": [{{ "key": "a", "type": "escalate_to_manager" }}] }}"#
        );
        RuleSet::from_json(&text)
    };
    assert_eq!(rules(0).unwrap().warnings(), [RuleWarning::NobodyIn { rule: id("r") }]);
    assert_eq!(rules(1).unwrap().warnings(), []);
    let fault = rules(101).unwrap_err().faults.remove(0);
    assert_eq!(fault.pointer, "/guards/rollout");
    assert_eq!(fault.fault.to_string(), "no number that fits; accepted: a whole number from 0 to 100");
}
