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
        2, "Versions", commit::a_put_names_the_version_that_it_replaces, "every other version is a conflict, 0 on a record that is there as well";
        2, "Versions", commit::each_put_raises_the_version_by_one, "five puts of one record give the versions 1 to 5";
        2, "Versions", commit::of_racing_puts_one_wins, "threads that put the same version at once: as many versions as accepted puts";
        3, "Expectations", commit::what_was_read_must_still_be_so, "a version that is not there is a conflict, 0 stands for no record, and the right ones change nothing";
        4, "Fences", commit::a_fence_needs_the_records_token, "a lower token, a higher one and none at all are fenced off";
        5, "Repeats", commit::a_repeated_commit_is_not_written_again, "it answers `AlreadyApplied` when versions and tokens have moved on, and through another handle";
        5, "Repeats", commit::of_one_commit_made_twice_at_once_one_is_written, "threads that make the same commit at once write it once";
        6, "Refused is not applied", commit::the_id_of_a_refused_commit_is_free, "after a conflict and after a fence the id is used again";
        7, "Kept whole", record::a_record_comes_back_as_it_was_put, "every column of every kind, put, emptied and put again";
        7, "Kept whole", record::texts_are_kept_byte_for_byte, "quotes, wildcards, look-alikes and all of Unicode in ids, facets and bodies";
        7, "Kept whole", record::long_texts_are_kept, "ids of 600 bytes, a body of a megabyte, 500 facets";
        7, "Kept whole", record::the_ends_of_time_are_kept, "the years 0 and 9999, and microseconds";
        7, "Kept whole", record::load_answers_key_by_key, "in the order of the keys, none where there is none, some asked for twice";
        8, "Tenants", record::tenants_do_not_meet, "records, queries and lanes of tenants with look-alike names";
        8, "Tenants", record::kinds_do_not_meet, "records of one id and several kinds";
        8, "Tenants", record::a_commit_id_is_its_tenants_own, "an id that another tenant has used is new";
        9, "Chained", audit::each_record_is_sealed_after_the_head, "each lane is what sealing its drafts in order gives";
        9, "Chained", audit::racing_commits_keep_the_chain_whole, "threads that write to one lane at once leave no gap and no fork";
        10, "Salted", audit::each_personal_field_has_its_own_salt, "no salt is used for two fields, records, lanes or tenants";
        11, "Read back", audit::a_lane_is_read_in_pages, "pages of any size give the lane, and the head is its last record's";
        12, "Erasure", audit::what_is_personal_of_a_user_is_erased, "in every lane, with sessions, and counted";
        12, "Erasure", audit::an_erasure_leaves_others_alone, "other users, other tenants, and records about nobody";
        12, "Erasure", audit::an_erased_lane_still_verifies, "hashes and head stay, and the lane goes on";
        13, "Ready only", claim::a_claim_takes_what_is_ready_on_its_channels, "channels, none and all, to the microsecond";
        14, "One holder", claim::a_held_record_is_not_taken, "by nobody, the holder included";
        14, "One holder", claim::racing_claims_share_nothing, "threads that claim at once share no record and leave none";
        15, "Rescue", claim::a_lapsed_record_is_taken_again, "by another worker, as a further attempt; the first is fenced off";
        15, "Rescue", claim::only_the_stores_clock_ends_a_lease, "decision time ends none";
        16, "Tokens rise", claim::each_claim_raises_the_token, "by one, after a settled claim and after a lapsed one";
        17, "Through `take`", take::a_claim_writes_what_take_made, "record and audit records, those of the function and no others";
        17, "Through `take`", take::what_people_stopped_stays_as_it_is, "the three kill switches, each until it is lifted";
        17, "Through `take`", take::what_is_declined_takes_no_place, "two of forty-two that wait are free, and a claim of two takes them";
        17, "Through `take`", take::what_makes_no_sense_holds_up_nothing, "a record that makes no sense is taken as it is, beside the others";
        18, "Repeats", claim::a_repeated_claim_takes_nothing_new, "the same records, unchanged, less those that were settled";
        19, "Bounded", claim::a_claim_takes_at_most_its_max, "and something, while something waits";
        20, "Renewal", claim::a_renewal_prolongs_the_lease, "it outlasts the first lease, and changes nothing else";
        20, "Renewal", claim::nobody_else_renews, "not before a claim, under another token, or after the settling";
        21, "Due", read::exactly_what_is_due_comes_in_order, "to the microsecond, over tenants and kinds";
        21, "Due", read::due_pages_go_on_after_the_last, "also when the records of the page before were stepped";
        22, "Query", read::a_query_gives_exactly_what_it_names, "facets, several values, times and both orders, against `Query::names`";
        23, "Pages", read::pages_visit_each_record_once, "pages of any size, at equal times and at the ends of time";
        23, "Pages", read::pages_hold_while_records_come, "records that come before, at and after the cursor";
        23, "Pages", read::a_page_has_its_bounds, "from 1 to `MAX_PAGE` rows, and a cursor where there are more";
        24, "Own writes", read::what_was_written_is_seen, "by every reading call, also through another handle";
        25, "Unique", read::unique_bytes_never_recur, "256 draws of several threads and two handles";
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
        /// Every answer arrives.
        #[cfg(test)]
        mod plain {
            #[allow(unused_imports, reason = "what the harness names may stand around it")]
            use super::*;
            $(#[doc = $about] #[test] fn $law() {
                let variant = $crate::conformance::Variant::Plain;
                if let Err(broken) = $crate::conformance::prove_store(stringify!($law), variant, $make, $block_on) {
                    panic!("{broken}");
                }
            })+
        }

        /// The first answer of each writing call is lost.
        #[cfg(test)]
        mod lost {
            #[allow(unused_imports, reason = "what the harness names may stand around it")]
            use super::*;
            $(#[doc = $about] #[test] fn $law() {
                let variant = $crate::conformance::Variant::Lost;
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

/// Makes one `#[test]` for each law of a store, in two modules: `plain`, and `lost`, where the
/// first answer of each writing call is lost and the call repeated. See the
/// [module](crate::conformance) for an example.
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
