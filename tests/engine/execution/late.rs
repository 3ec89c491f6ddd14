//! The time to start in: it begins when an action is ready, whoever looks, and no doubt renews it.

use tipstaff::*;

use crate::support::people::Directory;
use crate::support::{World, at, go};

/// One rule that does this; `sam` may agree to it.
fn document(action: &str) -> String {
    format!(
        r#"{{ "approvers": {{ "default": "sec", "groups": {{ "sec": ["sam"] }} }},
            "rules": [{{ "id": "r", "trigger": {{ "event": {{ "pattern": {{ "do": ["it"] }} }} }},
              "actions": [{{ "key": "a", {action} }}] }}] }}"#
    )
}

fn asked(world: &World) -> Enforcement {
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "it" }"#), at(0));
    world.log().remove(0)
}

#[test]
fn what_was_delayed_has_its_time_to_start_in_from_the_end_of_the_delay() {
    let delayed = r#""type": "revoke_sessions", "approval": "none", "delay": "15m", "not_after": "10m""#;
    for (looks, reason, delivered) in [(24, "done", 1), (25, "exhausted", 0), (180, "exhausted", 0)] {
        let world = World::new(&document(delayed));
        asked(&world);
        world.run(at(looks));
        assert_eq!(world.reason("revoke_sessions"), reason, "looked at in minute {looks}");
        assert_eq!(world.target.all().len(), delivered, "looked at in minute {looks}");
        world.verified();
    }
}

#[test]
fn what_was_approved_and_delayed_has_the_time_that_its_approval_gives() {
    let delayed =
        r#""type": "lock_account", "delay": "15m", "for": "1h", "approval": { "start_within": "30m" }"#;
    for (looks, reason, delivered) in
        [(44, "done", 1), (45, "approval_expired", 0), (180, "approval_expired", 0)]
    {
        let world = World::new(&document(delayed));
        asked(&world);
        world.approve(&world.requests()[0], "sam", at(1));
        world.run(at(looks));
        assert_eq!(world.reason("lock_account"), reason, "looked at in minute {looks}");
        assert_eq!(world.target.jobs("lock_account").len(), delivered, "looked at in minute {looks}");
        world.verified();
    }
}

/// It was ready in the evening, and its time ran out before the night in which somebody looks.
#[test]
fn a_start_that_was_missed_is_not_put_off_by_the_night() {
    let delayed =
        r#""type": "lock_account", "delay": "7h", "for": "1h", "approval": { "start_within": "30m" }"#;
    // Ready at 19:00; quiet from then on, or from eight on.
    for (quiet, reason, delivered) in [("19:10", "done", 1), ("20:00", "approval_expired", 0)] {
        let hours = format!(r#"{{ "quiet_hours": [{{ "from": "{quiet}", "to": "06:00" }}], "approvers""#);
        let world = World::new(&document(delayed).replacen(r#"{ "approvers""#, &hours, 1));
        asked(&world);
        world.approve(&world.requests()[0], "sam", at(1));
        // At eleven in the evening, and in the morning.
        for minute in [11 * 60, 18 * 60] {
            world.run(at(minute));
        }
        assert_eq!(world.reason("lock_account"), reason, "quiet from {quiet} on");
        assert_eq!(world.target.jobs("lock_account").len(), delivered, "quiet from {quiet} on");
        world.verified();
    }
}

/// The directory says nothing of administrators, so that nothing is locked; what people agreed to for
/// the next hour is not carried out three days later.
#[test]
fn a_directory_that_is_silent_gives_an_approval_no_more_time() {
    let people = Directory::default().hire("sec", &["sam"]).administrators(&["ada", "bo", "cy"]);
    let lock = r#""type": "lock_account", "for": "1h", "approval": { "start_within": "1h" }"#;
    let keeping = document(lock).replacen(r#""groups": { "sec": ["sam"] }"#, r#""groups": {}"#, 1).replacen(
        '{',
        r#"{ "administrators": { "keep": 1 }, "#,
        1,
    );
    for (speaks, reason, delivered) in [(59, "done", 1), (61, "approval_expired", 0)] {
        let world = World::of_people(&keeping, &people);
        people.silent(false);
        asked(&world);
        world.approve(&world.requests()[0], "sam", at(0));
        people.silent(true);
        for minute in 0..speaks {
            go(world.engine.run_due(at(minute)));
        }
        assert!(world.target.jobs("lock_account").is_empty());
        people.silent(false);
        world.run(at(speaks));
        assert_eq!(world.reason("lock_account"), reason, "it speaks in minute {speaks}");
        assert_eq!(world.target.jobs("lock_account").len(), delivered, "it speaks in minute {speaks}");
        world.verified();
    }
}
