//! Many people at once: a wave of scores, and a changed set of bands.

use super::told;
use crate::support::{World, at, go, id};
use tipstaff::*;

/// Everybody who enters critical is restricted at once, up to so many an hour; beyond, people are asked.
fn document(critical: &str) -> String {
    format!(
        r#"{{ "approvers": {{ "default": "security", "groups": {{ "security": ["bo"] }} }},
      "scales": [{{ "id": "default", "low": 0, "high": 100, "high_is": "safe",
        "bands": [{{ "name": "green", "from": {critical} }}, {{ "name": "critical", "from": 0 }}] }}],
      "rules": [
        {{ "id": "stop", "trigger": {{ "score": {{ "enters": ["critical"] }} }},
          "actions": [{{ "key": "stop", "type": "restrict_access", "params": {{ "scope": "all" }}, "approval": "none", "for": "8h" }}],
          "guards": {{ "cap": {{ "count": 20, "in": "1h" }} }} }},
        {{ "id": "tell", "trigger": {{ "score": {{ "enters": ["critical"] }} }},
          "actions": [{{ "key": "tell", "type": "escalate_to_manager" }}],
          "guards": {{ "cap": {{ "count": 50, "in": "1h" }} }} }} ] }}"#
    )
}

#[test]
fn a_thousand_people_fall_into_critical_at_once() {
    let world = World::new(&document("20"));
    let people: Vec<String> = (0..1_000).map(|n| format!("u{n:04}")).collect();
    for user in &people {
        world.submit(world.score("calm", user, at(0), "90"), at(0));
    }
    let (mut stopped, mut asked, mut told_to, mut silent) = (0, 0, 0, 0);
    for user in &people {
        let fall = world.submit(world.score("fall", user, at(10), "5"), at(10));
        let words = told(&fall);
        stopped += usize::from(words[0] == "made");
        asked += usize::from(words[0] == "asked");
        told_to += usize::from(words[1] == "made");
        silent += usize::from(words[1] == "cap");
    }
    // Twenty are restricted at once; for the others a person decides, and fifty managers are told.
    assert_eq!([stopped, asked, told_to, silent], [20, 980, 50, 950]);
    // The log says it once a cap, not two thousand times.
    assert_eq!(world.count("POLICY_CAP_EXCEEDED"), 2);
    world.run(at(11));
    assert_eq!(world.target.jobs("restrict_access").len(), 20);
    assert_eq!(world.target.jobs("escalate_to_manager").len(), 50);
    // Nobody answers: what was asked for expires, and none of the others was touched.
    world.run(at(10 + 24 * 60));
    assert_eq!(world.target.jobs("restrict_access").len(), 20);
    world.verified();
}

#[test]
fn changed_bands_move_people_under_the_caps() {
    let world = World::new(&document("20"));
    for n in 0..100 {
        world.submit(world.score("s", &format!("u{n:03}"), at(0), "30"), at(0));
    }
    let changed = RuleSet::from_json(&document("40")).unwrap();
    let found = go(world.engine.preview_bands(&world.tenant, &changed, at(1)));
    // The preview says which cap would hold how many.
    let held: Vec<_> = found.caps.iter().map(|(cap, held)| (cap.as_str(), *held)).collect();
    assert_eq!(held, [("cap of rule `stop`: 20 in 1h", 80), ("cap of rule `tell`: 50 in 1h", 50)]);
    assert_eq!((found.moved, found.approvals), (100, 80));
    let stop = found.actions[&(id("stop"), id("restrict_access"))];
    let tell = found.actions[&(id("tell"), id("escalate_to_manager"))];
    assert_eq!((stop.created, stop.ask, stop.suppressed), (100, 80, 0));
    assert_eq!((tell.created, tell.ask, tell.suppressed), (50, 0, 50));
    // It stays valid while the caps' windows come and go.
    assert_eq!(go(world.engine.preview_bands(&world.tenant, &changed, at(70))), found);
    let olga = id("olga");
    go(world.engine.apply_bands(&world.tenant, &changed, found.digest, 100, &olga, "stricter", at(70)));
    world.run(at(71));
    assert!(go(world.engine.band_run(&world.tenant, found.digest)).done);
    assert_eq!(world.target.jobs("restrict_access").len(), 20);
    assert_eq!(world.target.jobs("escalate_to_manager").len(), 50);
    assert_eq!(world.requests().len(), 80);
    world.verified();
}
