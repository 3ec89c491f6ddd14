//! Actions whose own events lead to actions: followed to a depth, and then people decide.

use super::{TELL, document, rule, told};
use crate::support::{World, at, go, id, stored};
use tipstaff::*;

fn echo(world: &World, n: i64, cause: Option<EnforcementId>) -> Decision {
    let heard = world.event(&format!("s{n}"), "ana", at(n), r#"{ "do": "r" }"#);
    let heard = match cause {
        Some(cause) => heard.caused_by(cause),
        None => heard,
    };
    world.submit(heard, at(n))
}

fn made(decision: &Decision) -> EnforcementId {
    decision.enforcements().next().expect("something was made")
}

#[test]
fn a_chain_is_followed_to_its_depth_and_then_asked_about() {
    for (settings, followed) in [("", 5), (r#""loop_depth": 2,"#, 2), (r#""loop_depth": 0,"#, 0)] {
        let world = World::new(&document(settings, &[rule("r", TELL, "")]));
        let mut last = made(&echo(&world, 0, None));
        for depth in 1..=followed {
            let next = echo(&world, depth, Some(last));
            assert_eq!((told(&next), next.depth), (vec!["made"], depth as u32));
            last = made(&next);
        }
        let next = echo(&world, followed + 1, Some(last));
        assert_eq!(told(&next), ["asked"], "{settings}");
        let request = world.requests().remove(0);
        assert!(request.because[0].starts_with("loop_depth: caused by actions"), "{:?}", request.because);
        // Somebody agrees, and its own event is asked about again: each is one deeper than its cause.
        world.approve(&request, "bo", at(20));
        let deeper = echo(&world, 21, Some(made(&next)));
        assert_eq!((told(&deeper), deeper.depth), (vec!["asked"], followed as u32 + 2));
        // An event that no action caused is followed as ever.
        assert_eq!(told(&echo(&world, 22, None)), ["made"]);
        world.verified();
    }
}

#[test]
fn a_cause_that_is_not_known_is_taken_for_too_deep() {
    let world = World::new(&document("", &[rule("r", TELL, "")]));
    let stranger = id("enf_000102030405060708090a0b0c0d0e0f");
    let heard = echo(&world, 0, Some(stranger));
    assert_eq!((told(&heard), heard.cause), (vec!["asked"], Some(stranger)));
    assert!(world.requests()[0].because[0].contains("is not known"));
    // So is what it causes, and an action of another tenant.
    assert_eq!(told(&echo(&world, 1, Some(made(&heard)))), ["asked"]);
    let own = made(&echo(&world, 2, None));
    let elsewhere =
        Event::new(id("other"), "s", "okta", id::<UserId>("ana"), at(3), r#"{ "do": "r" }"#).unwrap();
    assert_eq!(told(&world.submit(elsewhere.caused_by(own), at(3))), ["asked"]);
    // And a record that cannot be read.
    let record = stored(&world.store, Kind::Enforcement, own).unwrap();
    crate::support::tamper(&world.store, record, "a0", |body| body["v"] = 9.into());
    assert_eq!(told(&echo(&world, 4, Some(own))), ["asked"]);
}

#[test]
fn where_nobody_can_be_asked_nothing_follows() {
    let world = World::new(&format!(r#"[{}]"#, rule("r", TELL, "")));
    let heard = echo(&world, 0, Some(id("enf_000102030405060708090a0b0c0d0e0f")));
    assert_eq!(told(&heard), ["loop_depth"]);
    world.verified();
}

#[test]
fn an_undo_is_as_deep_as_what_it_takes_back() {
    let lock = r#"{ "key": "lock", "type": "lock_account", "approval": "none", "for": "10m" }"#;
    let world = World::new(&document("", &[rule("r", lock, "")]));
    let first = echo(&world, 0, None);
    world.run(at(1));
    let second = echo(&world, 2, Some(made(&first)));
    assert_eq!(second.depth, 1);
    world.run(at(3));
    world.run(at(15));
    let undo = world.log().into_iter().rfind(|row| row.action.as_str() == "unlock_account").unwrap();
    assert_eq!(undo.origin.depth, 1, "the unlock's own event is one deeper");
    let next = echo(&world, 16, Some(undo.id));
    assert_eq!(next.depth, 2);
    assert_eq!(go(world.engine.enforcement(&world.tenant, made(&next))).origin.depth, 2);
}
