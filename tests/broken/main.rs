//! Guards and approvals that are broken on purpose, one at a time, and the check that catches each.
//!
//! `RUSTFLAGS="--cfg tipstaff_broken" cargo test --test broken --target-dir target/broken` switches
//! them on; every other build leaves them out, and only shows that the checks hold.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

mod approvals;
mod caps;
mod guards;
#[path = "../support/mod.rs"]
mod support;

/// The name of a defect, and what must hold without it.
type Check = (&'static str, fn());

const CHECKS: &[Check] = &[
    ("delegate_of_anybody", approvals::nobody_answers_for_the_subject),
    ("one_counts_twice", approvals::a_person_counts_once),
    ("rejection_ignored", approvals::a_rejection_ends_a_request),
    ("expired_approval_accepted", approvals::nobody_answers_too_late),
    ("other_digest_accepted", approvals::an_answer_is_for_what_was_shown),
    ("digest_without_evidence", approvals::a_digest_says_what_evidence_was_shown),
    ("approval_not_carried", approvals::what_is_delivered_is_what_was_approved),
    ("edited_params_delivered", approvals::an_edit_changes_nothing_that_was_approved),
    ("expired_exemption", guards::an_exemption_ends),
    ("stopped_is_claimed", guards::nothing_is_claimed_that_was_stopped),
    ("recheck_skipped", guards::whoever_recovered_is_left_alone),
    ("undone_while_held", guards::an_effect_stands_while_somebody_holds_it),
    ("quiet_hours_in_utc", guards::quiet_hours_follow_their_zone),
    ("hours_at_decision_only", guards::what_was_approved_waits_for_the_end_of_quiet_hours),
    ("rollout_not_monotonic", guards::whoever_is_in_stays_in),
    ("orders_pass_protection", guards::orders_stop_at_the_protected),
    ("unknown_unprotected", guards::whoever_might_be_protected_is),
    ("places_outside_commit", guards::two_administrators_cannot_take_each_other_away),
    ("places_at_decision_only", guards::the_last_administrator_is_kept_at_the_delivery),
    ("places_kept", guards::what_came_to_nothing_holds_no_place),
    ("cap_without_cas", caps::two_hosts_take_a_place_each),
    ("cap_freed_twice", caps::a_place_is_given_back_once),
    ("cap_on_signal_time", caps::a_back_dated_event_finds_no_older_window),
    ("cap_that_asks_passes", caps::beyond_a_cap_that_asks_people_decide),
    ("shadow_takes_places", caps::shadow_leaves_room_for_what_is_live),
    ("unknown_population_passes", caps::a_share_of_nobody_knows_how_many_holds),
    ("unknown_cause_passes", caps::a_cause_that_is_not_known_is_asked_about),
    ("global_stop_forgotten", caps::everywhere_stops_every_tenant),
    ("flight_listed_before", caps::what_is_claimed_until_the_switch_is_engaged_is_listed),
];

#[test]
fn every_check_holds_without_a_defect() {
    let fails = |(name, check): &Check| std::panic::catch_unwind(check).err().map(|_| *name);
    let failed: Vec<_> = CHECKS.iter().filter_map(fails).collect();
    assert!(failed.is_empty(), "without any defect: {failed:?}");
}

#[cfg(tipstaff_broken)]
#[test]
fn each_defect_is_caught_by_its_name() {
    use tipstaff::broken::{Defect, with};

    let mut missed = Vec::new();
    for (name, check) in CHECKS {
        let defect = Defect::ALL.iter().copied().find(|defect| defect.name() == *name);
        let defect = defect.unwrap_or_else(|| panic!("no defect `{name}`"));
        let outcome = with(Some(defect), || std::panic::catch_unwind(check));
        match outcome {
            Ok(()) => missed.push(format!("{name}: {}", defect.about())),
            Err(_) => println!("caught {name}: {}", defect.about()),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}

/// A build without the cfg has nothing to switch on: what is left out is said here, name by name.
#[cfg(not(tipstaff_broken))]
#[test]
fn the_defects_are_left_out_without_cfg_tipstaff_broken() {
    let names: std::collections::BTreeSet<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), CHECKS.len(), "each name stands once");
    for name in names {
        println!("left out: {name}; build with RUSTFLAGS=\"--cfg tipstaff_broken\"");
    }
}
