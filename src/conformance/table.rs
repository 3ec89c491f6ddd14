//! The tables of laws: from them come the catalogues, the documentation, the dispatch and the tests
//! of an integrator.

/// One law: what a sentence of a contract, or a half of it, comes to when it is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Law {
    /// The number of the sentence in the contract.
    pub number: u8,
    /// The name of the sentence.
    pub name: &'static str,
    /// The name of the law, and of its test.
    pub test: &'static str,
    /// What is checked.
    pub about: &'static str,
}

/// The laws of a store: `number, "name", room::law, "what is checked"`.
#[doc(hidden)]
#[macro_export]
macro_rules! __tipstaff_store_laws {
    ($then:ident $args:tt) => { $crate::$then! { $args
        1, "Atomic", commit::a_refused_commit_writes_nothing, "whichever part of it is refused, no record, audit record or head has changed";
        1, "Atomic", commit::an_accepted_commit_writes_everything, "records of every kind and audit records of several lanes are there, also where there are only some or none";
        1, "Atomic", edges::a_large_commit_is_whole_or_nothing, "600 records and 150 audit records, refused for the last one, then accepted";
        2, "Versions", commit::a_put_names_the_version_that_it_replaces, "every other version is a conflict, 0 on a record that is there as well";
        2, "Versions", commit::each_put_raises_the_version_by_one, "five puts of one record give the versions 1 to 5";
        2, "Versions", commit::of_racing_puts_one_wins, "threads that put the same version at once: as many versions as accepted puts";
        3, "Expectations", commit::what_was_read_must_still_be_so, "a version that is not there is a conflict, 0 stands for no record, and the right ones change nothing";
        3, "Expectations", edges::a_commit_of_expectations_alone_counts, "it is refused, accepted and known again like any other";
        3, "Expectations", together::of_two_that_expect_each_others_record_one_is_written, "at once, of records that are there and of such that are not";
        4, "Fences", commit::a_fence_needs_the_records_token, "a lower token, a higher one and none at all are fenced off";
        4, "Fences", edges::every_fence_must_hold, "three of them, each in turn the wrong one";
        4, "Fences", together::a_settling_and_a_rescue_exclude_each_other, "threads that settle and take a lapsed record at once";
        5, "Repeats", commit::a_repeated_commit_is_not_written_again, "it answers `AlreadyApplied` when versions and tokens have moved on, and through another handle";
        5, "Repeats", commit::of_one_commit_made_twice_at_once_one_is_written, "threads that make the same commit at once write it once";
        5, "Repeats", edges::a_commit_id_is_known_for_good, "after eighty other commits";
        6, "Refused is not applied", commit::the_id_of_a_refused_commit_is_free, "after a conflict and after a fence the id is used again";
        7, "Kept whole", record::a_record_comes_back_as_it_was_put, "every column of every kind, put, emptied and put again";
        7, "Kept whole", record::texts_are_kept_byte_for_byte, "quotes, wildcards, look-alikes and all of Unicode in ids, facets and bodies";
        7, "Kept whole", record::long_texts_are_kept, "ids of 600 bytes, a body of a megabyte, 500 facets";
        7, "Kept whole", record::the_ends_of_time_are_kept, "the years 0 and 9999, and microseconds";
        7, "Kept whole", record::load_answers_key_by_key, "in the order of the keys, none where there is none, some asked for twice";
        7, "Kept whole", edges::a_body_is_text, "white space, order, repeated names, numbers and escapes of its JSON";
        7, "Kept whole", edges::the_highest_tokens_are_kept, "up to 63 bits, in records and fences";
        8, "Tenants", record::tenants_do_not_meet, "records, queries and lanes of tenants with look-alike names";
        8, "Tenants", record::kinds_do_not_meet, "records of one id and several kinds";
        8, "Tenants", record::a_commit_id_is_its_tenants_own, "an id that another tenant has used is new";
        8, "Tenants", edges::a_commit_is_of_one_tenant, "another tenant's key in any part of it is refused as `Corrupt`";
        9, "Chained", audit::each_record_is_sealed_after_the_head, "each lane is what sealing its drafts in order gives";
        9, "Chained", audit::racing_commits_keep_the_chain_whole, "threads that write to one lane at once leave no gap and no fork";
        10, "Salted", audit::each_personal_field_has_its_own_salt, "no salt is used for two fields, records, lanes or tenants";
        11, "Read back", audit::a_lane_is_read_in_pages, "pages of any size give the lane, and the head is its last record's";
        12, "Erasure", audit::what_is_personal_of_a_user_is_erased, "in every lane, with sessions, and counted";
        12, "Erasure", audit::an_erasure_leaves_others_alone, "other users, other tenants, and records about nobody";
        12, "Erasure", audit::an_erased_lane_still_verifies, "hashes and head stay, and the lane goes on";
        12, "Erasure", together::an_erasure_loses_no_record, "threads that erase and write to one lane at once";
        13, "Ready only", claim::a_claim_takes_what_is_ready_on_its_channels, "channels, none and all, to the microsecond";
        14, "One holder", claim::a_held_record_is_not_taken, "by nobody, the holder included";
        14, "One holder", claim::racing_claims_share_nothing, "threads that claim at once share no record and leave none";
        15, "Rescue", claim::a_lapsed_record_is_taken_again, "by another worker, as a further attempt; the first is fenced off";
        15, "Rescue", claim::only_the_stores_clock_ends_a_lease, "decision time ends none";
        15, "Rescue", lease::a_lease_may_be_of_any_length, "none at all, ten years, and to the millisecond";
        16, "Tokens rise", claim::each_claim_raises_the_token, "by one, after a settled claim and after a lapsed one";
        17, "Through `take`", take::a_claim_writes_what_take_made, "record and audit records, those of the function and no others";
        17, "Through `take`", take::what_people_stopped_stays_as_it_is, "the three kill switches, each until it is lifted";
        17, "Through `take`", take::what_is_declined_takes_no_place, "two of forty-two that wait are free, and a claim of two takes them";
        17, "Through `take`", take::what_should_have_started_takes_no_place, "forty that are too late come first, and a claim of two takes the two that are not";
        17, "Through `take`", take::what_makes_no_sense_holds_up_nothing, "a record that makes no sense is taken as it is, beside the others";
        17, "Through `take`", take::a_damaged_lane_holds_up_no_other, "a claim of one beside a tenant to whose lane nothing can be appended, and what is told in the end";
        17, "Through `take`", lease::a_claim_audits_in_each_tenants_lane, "one claim over three tenants";
        18, "Repeats", claim::a_repeated_claim_takes_nothing_new, "the same records, unchanged, less those that were settled";
        18, "Repeats", lease::a_nonce_is_its_workers_own, "another worker under the same nonce makes another claim";
        18, "Repeats", together::of_one_claim_made_twice_at_once_one_is_made, "threads that make the same claim at once";
        18, "Repeats", together::a_repeat_is_told_all_that_its_claim_holds, "the same over four tenants: each is told what the claim holds in the end";
        19, "Bounded", claim::a_claim_takes_at_most_its_max, "and something, while something waits";
        19, "Bounded", lease::a_max_is_taken_within_its_bounds, "from 1 to `MAX_CLAIM`";
        20, "Renewal", claim::a_renewal_prolongs_the_lease, "it outlasts the first lease, and changes nothing else";
        20, "Renewal", claim::nobody_else_renews, "not before a claim, under another token, or after the settling";
        20, "Renewal", lease::a_renewal_counts_from_now, "longer, shorter, and none at all: what is handed back is free";
        20, "Renewal", lease::what_has_lapsed_is_renewed_until_it_is_taken, "a lease that is over is still its holder's while nobody has taken it";
        20, "Renewal", lease::a_put_that_keeps_the_lease_undoes_no_renewal, "neither a longer lease nor one that was handed back; another lease and none are written as they are";
        20, "Renewal", together::a_renewal_and_a_rescue_exclude_each_other, "threads that renew and take a lapsed record at once";
        21, "Due", read::exactly_what_is_due_comes_in_order, "to the microsecond, over tenants and kinds";
        21, "Due", read::due_pages_go_on_after_the_last, "also when the records of the page before were stepped";
        21, "Due", answers::a_due_page_has_its_bounds, "at least one row, and as many as are asked for";
        21, "Due", answers::due_pages_hold_while_timers_move, "forty at one instant, put off and joined by others between pages";
        22, "Query", read::a_query_gives_exactly_what_it_names, "facets, several values, times and both orders, against `Query::names`";
        22, "Query", answers::filters_combine, "all 32 combinations of five facets, one of them twice, with and without times";
        22, "Query", answers::facets_follow_their_record, "those that a put leaves out find it no more";
        23, "Pages", read::pages_visit_each_record_once, "pages of any size, at equal times and at the ends of time";
        23, "Pages", read::pages_hold_while_records_come, "records that come before, at and after the cursor";
        23, "Pages", read::a_page_has_its_bounds, "from 1 to `MAX_PAGE` rows, and a cursor where there are more";
        23, "Pages", together::pages_hold_while_others_write, "a walk of many pages while another host inserts and updates";
        24, "Own writes", read::what_was_written_is_seen, "by every reading call, also through another handle";
        24, "Own writes", answers::what_was_renewed_or_erased_is_seen, "also through another handle";
        25, "Unique", read::unique_bytes_never_recur, "256 draws of several threads and two handles";
        25, "Unique", answers::unique_bytes_are_no_salts, "nor are salts such bytes, through two handles";
        26, "Fair", together::nobody_waits_for_ever, "a quiet tenant behind a busy one that is never done";
        27, "Seen whole", together::a_commit_is_seen_whole, "records, lanes, heads and rows, read in every order while they are written";
        27, "Seen whole", together::a_lane_is_seen_without_gaps, "read while two hosts write to it";
        28, "In turn", turns::tenants_take_turns, "from the one after the last that was served, one of each before a second of any, the longest ready first";
        28, "In turn", turns::what_is_declined_is_nobodys_turn, "what a stopped rule asked for, before and between what may be taken";
        28, "In turn", turns::what_has_lapsed_takes_its_turn, "as what is ready since its claim, neither before all others nor after them";
        29, "Ahead", turns::what_comes_next_is_told, "timers, what is ready and leases, each the earliest after the time and on the channels";
        29, "Ahead", turns::what_is_held_is_ahead_when_it_lapses, "held, lapsed and renewed: what is ready, which leases count, and timers all the same";
    } };
}

/// The laws of a delivery, in the same form.
#[doc(hidden)]
#[macro_export]
macro_rules! __tipstaff_delivery_laws {
    ($then:ident $args:tt) => { $crate::$then! { $args
        1, "Keyed", delivery::a_repeated_delivery_has_one_effect, "a second attempt under the same key, where keys are honoured";
        1, "Keyed", delivery::a_lost_answer_makes_no_second_effect, "a second attempt after the answer to the first was lost";
        1, "Keyed", delivery::each_key_has_its_own_effect, "three keys with the same content have three effects";
        2, "Honest", delivery::done_is_said_only_of_what_is_there, "in every trouble";
        2, "Honest", delivery::failure_is_said_only_of_what_is_not, "`Retry` and `Permanent` mean that it did not happen";
        2, "Honest", delivery::a_lost_answer_is_unknown, "whether the target carried it out or not";
        3, "Own channels", delivery::a_foreign_channel_is_refused, "for good, without an effect";
        4, "Truthful probe", delivery::a_probe_finds_only_what_is_there, "before any delivery, after another key's, and in trouble";
        4, "Truthful probe", delivery::a_probe_denies_only_what_is_not_there, "after a delivery, and after a lost answer";
        5, "Any content", delivery::no_content_makes_it_panic, "odd texts in ids, parameters and origin";
        5, "Any content", delivery::no_content_reaches_another_key, "effects stay with their keys";
    } };
}

/// Makes a catalogue of a table, with its documentation, and the functions beside it.
#[doc(hidden)]
#[macro_export]
macro_rules! __tipstaff_catalogue {
    ([$list:ident, $checks:ident, $check:ty, $about_list:literal]
        $($number:literal, $name:literal, $room:ident::$law:ident, $about:literal;)+) => {
        #[doc = $about_list]
        ///
        /// | sentence | law | what is checked |
        /// |---|---|---|
        $(#[doc = concat!("| ", $number, " *", $name, "* | `", stringify!($law), "` | ", $about, " |")])+
        pub const $list: &[Law] =
            &[$(Law { number: $number, name: $name, test: stringify!($law), about: $about }),+];

        const $checks: &[$check] = &[$(super::laws::$room::$law),+];
    };
}

/// Makes the tests of an integrator's store.
#[doc(hidden)]
#[macro_export]
macro_rules! __tipstaff_store_tests {
    ([$make:expr, $block_on:expr] $($number:literal, $name:literal, $room:ident::$law:ident, $about:literal;)+) => {
        $crate::__tipstaff_store_variant! { plain Plain [$make, $block_on] $($law $about;)+ }
        $crate::__tipstaff_store_variant! { lost Lost [$make, $block_on] $($law $about;)+ }
        $crate::__tipstaff_store_variant! { dropped Dropped [$make, $block_on] $($law $about;)+ }
        $crate::__tipstaff_store_variant! { unavailable Unavailable [$make, $block_on] $($law $about;)+ }
        $crate::__tipstaff_store_variant! { conflict Conflict [$make, $block_on] $($law $about;)+ }
        $crate::__tipstaff_store_variant! { fenced Fenced [$make, $block_on] $($law $about;)+ }
        $crate::__tipstaff_store_variant! { corrupt Corrupt [$make, $block_on] $($law $about;)+ }
        $crate::__tipstaff_store_variant! { crowd Crowd [$make, $block_on] $($law $about;)+ }
    };
}

/// Makes the tests of one variant.
#[doc(hidden)]
#[macro_export]
macro_rules! __tipstaff_store_variant {
    ($module:ident $variant:ident [$make:expr, $block_on:expr] $($law:ident $about:literal;)+) => {
        /// The laws in one variant.
        #[cfg(test)]
        mod $module {
            #[allow(unused_imports, reason = "what the harness names may stand around it")]
            use super::*;
            $(#[doc = $about] #[test] fn $law() {
                let variant = $crate::conformance::Variant::$variant;
                if let Err(broken) = $crate::conformance::prove_store(stringify!($law), variant, $make, $block_on) {
                    panic!("{broken}");
                }
            })+
        }
    };
}

/// Makes the tests of an integrator's delivery.
#[doc(hidden)]
#[macro_export]
macro_rules! __tipstaff_delivery_tests {
    ([$make:expr, $block_on:expr] $($number:literal, $name:literal, $room:ident::$law:ident, $about:literal;)+) => {
        $(#[doc = $about] #[test] fn $law() {
            if let Err(broken) = $crate::conformance::prove_delivery(stringify!($law), $make, $block_on) {
                panic!("{broken}");
            }
        })+
    };
}

/// Makes one `#[test]` for each law of a store in each [`Variant`](crate::conformance::Variant), a
/// module each: `plain`, `lost`, `dropped`, `unavailable`, `conflict`, `fenced`, `corrupt`, `crowd`. See
/// the [module](crate::conformance) for an example.
///
/// `store_laws!(make)`, where `make` is a function that gives a fresh [`Harness`](crate::conformance::Harness).
/// `store_laws!(make, block_on)` for a store whose futures wait: `block_on` takes a boxed future
/// and drives it to its end; laws that race call it from several threads at once.
#[doc(hidden)]
#[macro_export]
macro_rules! __tipstaff_store_suite {
    ($make:expr $(,)?) => {
        $crate::__tipstaff_store_suite! { $make, $crate::conformance::at_once }
    };
    ($make:expr, $block_on:expr $(,)?) => {
        $crate::__tipstaff_store_laws! { __tipstaff_store_tests [$make, $block_on] }
    };
}

/// Makes one `#[test]` for each law of a delivery, in the module where it stands.
///
/// `delivery_laws!(make)`, where `make` is a function that gives a fresh
/// [`Target`](crate::conformance::Target); `delivery_laws!(make, block_on)` for a delivery whose
/// futures wait.
#[doc(hidden)]
#[macro_export]
macro_rules! __tipstaff_delivery_suite {
    ($make:expr $(,)?) => {
        $crate::__tipstaff_delivery_suite! { $make, $crate::conformance::at_once }
    };
    ($make:expr, $block_on:expr $(,)?) => {
        $crate::__tipstaff_delivery_laws! { __tipstaff_delivery_tests [$make, $block_on] }
    };
}
