//! From and until when, maintenance, quiet hours.

use proptest::prelude::*;
use tipstaff::*;

use super::{held, reason};
use crate::support::{World, at, id};

/// A world of one rule with these guards, under these settings.
fn world(settings: &str, guards: &str) -> World {
    World::new(&format!(
        r#"{{ {settings} "rules": [{{ "id": "r", "trigger": {{ "event": {{ "pattern": {{ "do": ["it"] }} }} }},
            "actions": [{{ "key": "a", "type": "escalate_to_manager" }}], "guards": {{ {guards} }} }}] }}"#
    ))
}

fn decide(world: &World, now: &str) -> Decision {
    let now: Time = id(now);
    world.submit(world.event(&format!("at-{now}"), "ana", now, r#"{ "do": "it" }"#), now)
}

#[test]
fn a_rule_acts_from_its_beginning_to_its_end() {
    let world = world("", r#""not_before": "2026-03-02T12:00:00Z", "not_after": "2026-03-02T13:00:00Z""#);
    let begin = Some(id("2026-03-02T12:00:00Z"));
    assert_eq!(held(&decide(&world, "2026-03-02T11:59:59.999999Z")), Some(("not_before", begin)));
    assert_eq!(held(&decide(&world, "2026-03-02T12:00:00Z")), None);
    assert_eq!(held(&decide(&world, "2026-03-02T12:59:59Z")), None);
    assert_eq!(held(&decide(&world, "2026-03-02T13:00:00Z")), Some(("not_after", None)));
    assert_eq!(world.log().len(), 2);
    assert_eq!(world.count("POLICY_ACTION_SUPPRESSED"), 2, "held back on the record, never failed");
    assert_eq!(world.stats("r", at(0)).suppressed["not_before"], 1);
    world.verified();
}

#[test]
fn maintenance_holds_what_it_names_and_tells_when_all_of_it_is_over() {
    let settings = r#""maintenance": [
        { "from": "2026-03-02T12:00:00Z", "to": "2026-03-02T14:00:00Z", "why": "the mail server moves" },
        { "from": "2026-03-02T12:00:00Z", "to": "2026-03-02T20:00:00Z", "types": ["lock_account"] } ],"#;
    // The rule's own window follows the tenant's without a gap, and quiet hours follow that.
    let guards = r#""maintenance": [{ "from": "2026-03-02T13:30:00Z", "to": "2026-03-02T15:00:00Z" }],
        "quiet_hours": [{ "from": "15:00", "to": "15:30" }]"#;
    let world = world(settings, guards);
    let end = Some(id("2026-03-02T15:30:00Z"));
    let decision = decide(&world, "2026-03-02T12:10:00Z");
    assert_eq!(held(&decision), Some(("maintenance", end)));
    assert!(decision.to_string().contains("the mail server moves"), "{decision}");
    assert_eq!(held(&decide(&world, "2026-03-02T15:10:00Z")), Some(("quiet_hours", end)));
    assert_eq!(held(&decide(&world, "2026-03-02T15:30:00Z")), None);
    assert_eq!(held(&decide(&world, "2026-03-02T11:59:00Z")), None);
}

#[test]
fn quiet_hours_follow_the_clock_of_their_zone() {
    let quiet = r#""quiet_hours": [{ "days": ["fri", "sat"], "from": "22:00", "to": "06:30", "zone": "Europe/Berlin" }]"#;
    let world = world(&format!("{quiet},"), "");
    // 2026-03-28 is a Saturday; the clock goes from 02:00 to 03:00 in that night.
    for (now, until) in [
        ("2026-03-27T20:59:59Z", None),
        ("2026-03-27T21:00:00Z", Some("2026-03-28T05:30:00Z")),
        ("2026-03-28T05:29:59Z", Some("2026-03-28T05:30:00Z")),
        ("2026-03-28T05:30:00Z", None),
        ("2026-03-28T21:00:00Z", Some("2026-03-29T04:30:00Z")),
        ("2026-03-29T04:29:00Z", Some("2026-03-29T04:30:00Z")),
        ("2026-03-29T04:30:00Z", None),
        // Sunday evening belongs to a Sunday.
        ("2026-03-29T21:00:00Z", None),
        // In October the night is an hour longer: 2026-10-24 is a Saturday.
        ("2026-10-24T20:00:00Z", Some("2026-10-25T05:30:00Z")),
    ] {
        let expected = until.map(|until| ("quiet_hours", Some(id(until))));
        assert_eq!(held(&decide(&world, now)), expected, "{now}");
    }
}

#[test]
fn an_order_by_hand_waits_for_the_same_windows() {
    let world =
        world(r#""quiet_hours": [{ "from": "11:00", "to": "13:00", "categories": ["escalation"] }],"#, "");
    let order =
        |name, action| world.order(name, "bo", "ana", ManualOrder::Action { action, params: Params::new() });
    let held_back = world.submit(order("o1", id("escalate_to_hr")), at(0));
    assert_eq!(held(&held_back), Some(("quiet_hours", Some(at(60)))));
    assert_eq!(reason(&world.submit(order("o2", id("require_step_up_mfa")), at(0))), None);
    assert_eq!(reason(&world.submit(order("o3", id("escalate_to_hr")), at(60))), None);
}

/// Whether a wall clock shows a time of the hours, minute by minute and by the calendar alone.
fn shows(days: &[i64], from: i64, to: i64, wall: i64) -> bool {
    let day = wall.div_euclid(1_440);
    // 1970-01-01 was a Thursday, day 3 from Monday.
    let on = |day: i64| days.is_empty() || days.contains(&(day + 3).rem_euclid(7));
    let begun = |day: i64| {
        let (begin, end) = (day * 1_440 + from, day * 1_440 + to + if to <= from { 1_440 } else { 0 });
        on(day) && (begin..end).contains(&wall)
    };
    begun(day) || begun(day - 1)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Walked minute by minute with the zone's offsets as chrono-tz has them.
    #[test]
    fn hours_are_in_force_while_the_clock_shows_them(
        days in prop::collection::btree_set(0_i64..7, 0..7),
        (from, to) in (0_i64..1_440, 0_i64..1_441).prop_filter("they differ", |(from, to)| from != to),
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
        // Around the changes of spring and autumn.
        start in prop::sample::select(vec![1_774_656_000_i64, 1_772_841_600, 1_792_886_400, 1_793_491_200, 1_775_260_800]),
        shift in 0_i64..172_800,
    ) {
        use chrono::{Offset, TimeZone};
        let days: Vec<i64> = days.into_iter().collect();
        let text = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let mut hours = Hours::daily(id(&text(from)), id(&text(to)), id(zone));
        hours.days = days.iter().map(|day| Weekday::ALL[*day as usize]).collect();
        prop_assume!(!hours.are_always());
        let tz: chrono_tz::Tz = zone.parse().unwrap();
        let in_force = |at: i64| {
            let utc = chrono::DateTime::from_timestamp(at, 0).unwrap().naive_utc();
            let offset = i64::from(tz.offset_from_utc_datetime(&utc).fix().local_minus_utc());
            shows(&days, from, to, (at + offset).div_euclid(60))
        };
        let begin = start - 86_400 + shift;
        let time = |secs: i64| Time::from_micros(secs * 1_000_000);
        prop_assert_eq!(hours.hold(time(begin)), in_force(begin));
        let mut end = begin;
        // Every change of these zones falls on a whole minute.
        if in_force(begin) {
            end = (begin / 60 + 1) * 60;
            while in_force(end) {
                end += 60;
                if end > begin + 12 * 86_400 { break }
            }
        }
        let expected = (end <= begin + 10 * 86_400).then(|| time(end));
        prop_assert_eq!(hours.lift(time(begin)), expected, "{} at {}", hours, time(begin));
    }
}
