//! The ways in which a store can be wrong, each with the laws that it breaks.

/// `Defect: [laws broken], "what is wrong"`.
macro_rules! defects {
    ($($defect:ident: [$($law:ident)*], $about:literal;)+) => {
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Defect {
            $(#[doc = $about] $defect,)+
        }

        impl Defect {
            pub(crate) const ALL: &[(Self, &[&str])] = &[$((Self::$defect, &[$(stringify!($law)),*])),+];
        }
    };
}

/// What repeats hide: the second call answers as if the first had been right.
pub(crate) const HIDDEN: &[(Defect, &str)] = &[
    (Defect::ErasureRewritesLanes, "an_erasure_loses_no_record"),
    (Defect::ErasesLikeNames, "what_is_personal_of_a_user_is_erased"),
    (Defect::RenewalsCheckedEarly, "a_renewal_and_a_rescue_exclude_each_other"),
];

/// Laws of races that a defect breaks beside those that are named for it, as chance will have it.
pub(crate) const RACES: &[(Defect, &str)] = &[
    (Defect::FullPagesGoOn, "pages_hold_while_others_write"),
    (Defect::RemembersQueries, "a_commit_is_seen_whole"),
    (Defect::VersionsCheckedEarly, "of_two_that_expect_each_others_record_one_is_written"),
    (Defect::VersionsCheckedEarly, "a_settling_and_a_rescue_exclude_each_other"),
    (Defect::HeadsReadEarly, "a_lane_is_seen_without_gaps"),
    (Defect::ClaimsCheckedEarly, "a_settling_and_a_rescue_exclude_each_other"),
    (Defect::ClaimsCheckedEarly, "a_renewal_and_a_rescue_exclude_each_other"),
    (Defect::ClaimsCheckedEarly, "of_one_claim_made_twice_at_once_one_is_made"),
    (Defect::ClaimsCheckedEarly, "a_repeat_is_told_all_that_its_claim_holds"),
    (Defect::QueriesOfAllTenants, "pages_hold_while_others_write"),
    (Defect::CursorsAreOffsets, "pages_hold_while_others_write"),
    (Defect::LeasesEndByDecisionTime, "a_settling_and_a_rescue_exclude_each_other"),
    (Defect::HolderTakesAgain, "a_settling_and_a_rescue_exclude_each_other"),
    (Defect::TrailsBeginAtAfter, "a_lane_is_seen_without_gaps"),
    (Defect::ErasesCommitments, "an_erasure_loses_no_record"),
    (Defect::RemembersLanes, "an_erasure_loses_no_record"),
    (Defect::RenewsLowerTokens, "a_renewal_and_a_rescue_exclude_each_other"),
];

defects! {
    None: [], "nothing";

    WritesWhatItCan: [a_large_commit_is_whole_or_nothing a_refused_commit_writes_nothing], "puts before the refused one are written";
    AuditsRefused: [a_large_commit_is_whole_or_nothing a_refused_commit_writes_nothing], "audit records are written before anything is checked";
    RefusesNothing: [an_accepted_commit_writes_everything], "a commit of nothing is refused";
    AcceptsLaterVersions: [a_large_commit_is_whole_or_nothing a_put_names_the_version_that_it_replaces], "only a lower version is a conflict";
    VersionsJump: [a_put_that_keeps_the_lease_undoes_no_renewal facets_follow_their_record a_commit_is_seen_whole each_put_raises_the_version_by_one of_racing_puts_one_wins], "by two, from 3 on";
    VersionsCheckedEarly: [of_racing_puts_one_wins], "outside of the transaction that writes";
    IgnoresExpectedNone: [a_commit_of_expectations_alone_counts of_two_that_expect_each_others_record_one_is_written what_was_read_must_still_be_so], "an expected 0 is not checked";
    FencesOnlyLower: [every_fence_must_hold a_fence_needs_the_records_token], "a higher token passes";
    IgnoresFences: [every_fence_must_hold the_highest_tokens_are_kept a_refused_commit_writes_nothing a_fence_needs_the_records_token
        the_id_of_a_refused_commit_is_free a_lapsed_record_is_taken_again], "fences are not read";
    LooksForRepeatsLast: [a_commit_of_expectations_alone_counts a_commit_id_is_known_for_good a_repeated_commit_is_not_written_again
        of_one_commit_made_twice_at_once_one_is_written], "after versions and tokens are checked";
    CommitIdsInMemory: [a_repeated_commit_is_not_written_again], "another process does not know them";
    RepeatsCheckedEarly: [of_one_commit_made_twice_at_once_one_is_written], "outside of the transaction";
    KeepsRefusedIds: [the_id_of_a_refused_commit_is_free], "a refused commit counts as applied";
    CutsTokens: [the_highest_tokens_are_kept a_record_comes_back_as_it_was_put], "to 32 bits";
    KeepsDueTimes: [a_record_comes_back_as_it_was_put],
        "a put without one leaves the old one";
    CollapsesBlanks: [texts_are_kept_byte_for_byte], "two blanks of an id are one";
    FoldsIds: [texts_are_kept_byte_for_byte exactly_what_is_due_comes_in_order
        due_pages_go_on_after_the_last], "upper case and lower case are one key";
    CutsIds: [long_texts_are_kept], "to 255 characters";
    CutsBodies: [long_texts_are_kept], "those beyond 64 KB";
    LeasesToTheMillisecond: [the_ends_of_time_are_kept], "microseconds of a lease are cut off";
    TimesFrom1970: [the_ends_of_time_are_kept a_query_gives_exactly_what_it_names],
        "earlier times are stored as 1970";
    LoadsEachOnce: [load_answers_key_by_key], "a key that is asked for twice is answered once";
    QueriesOfAllTenants: [tenants_do_not_meet a_query_gives_exactly_what_it_names
        pages_hold_while_records_come], "the tenant is no condition";
    FoldsTenantsOfLanes: [tenants_do_not_meet], "`Plain` writes to the lane of `plain`";
    OneTableForNotices: [kinds_do_not_meet], "a notice and an enforcement of one id are one record";
    CommitIdsOfAll: [a_commit_id_is_its_tenants_own], "one set of ids for all tenants";
    ReversesAudit: [each_record_is_sealed_after_the_head], "the last draft of a commit comes first";
    HeadsReadEarly: [racing_commits_keep_the_chain_whole], "outside of the transaction that appends";
    OneSaltARecord: [unique_bytes_are_no_salts each_personal_field_has_its_own_salt], "the fields of a record share one";
    TrailsBeginAtAfter: [a_lane_is_read_in_pages], "a page begins with the last record of the one before";
    KeepsSessions: [what_is_personal_of_a_user_is_erased], "records about sessions are not erased";
    ErasesOneLane: [what_is_personal_of_a_user_is_erased], "only lane 0";
    ErasesLikeNames: [what_is_personal_of_a_user_is_erased an_erasure_leaves_others_alone],
        "users whose names begin alike";
    ErasesEverywhere: [an_erasure_leaves_others_alone], "the user of that name of every tenant";
    ErasesCommitments: [an_erased_lane_still_verifies], "with the values, so that the hash is wrong";
    ReadyIsLater: [a_claim_takes_what_is_ready_on_its_channels], "what is ready at `until` is not taken";
    IgnoresChannels: [a_claim_takes_what_is_ready_on_its_channels], "a claim takes any channel";
    NoticesStay: [a_claim_takes_what_is_ready_on_its_channels a_claim_writes_what_take_made
        what_people_stopped_stays_as_it_is], "only enforcements are claimed";
    HolderTakesAgain: [a_damaged_lane_holds_up_no_other a_repeat_is_told_all_that_its_claim_holds of_one_claim_made_twice_at_once_one_is_made a_max_is_taken_within_its_bounds a_renewal_and_a_rescue_exclude_each_other tenants_take_turns what_comes_next_is_told a_claim_takes_what_is_ready_on_its_channels a_held_record_is_not_taken
        a_claim_writes_what_take_made racing_claims_share_nothing what_people_stopped_stays_as_it_is what_is_declined_is_nobodys_turn what_has_lapsed_takes_its_turn],
        "a worker takes what it holds a second time";
    ClaimsCheckedEarly: [racing_claims_share_nothing], "outside of the transaction that writes";
    NoRescue: [a_lease_may_be_of_any_length a_renewal_counts_from_now what_has_lapsed_is_renewed_until_it_is_taken a_lapsed_record_is_taken_again each_claim_raises_the_token nobody_else_renews what_has_lapsed_takes_its_turn],
        "a lease never runs out";
    RescueKeepsHolder: [a_lapsed_record_is_taken_again], "the lease keeps the first worker's name";
    LeasesEndByDecisionTime: [a_damaged_lane_holds_up_no_other a_repeat_is_told_all_that_its_claim_holds what_should_have_started_takes_no_place a_lease_may_be_of_any_length a_nonce_is_its_workers_own of_one_claim_made_twice_at_once_one_is_made a_max_is_taken_within_its_bounds what_has_lapsed_is_renewed_until_it_is_taken a_renewal_and_a_rescue_exclude_each_other tenants_take_turns a_claim_takes_what_is_ready_on_its_channels a_held_record_is_not_taken
        a_claim_writes_what_take_made
        racing_claims_share_nothing only_the_stores_clock_ends_a_lease what_people_stopped_stays_as_it_is
        a_renewal_prolongs_the_lease what_was_written_is_seen what_is_declined_is_nobodys_turn what_has_lapsed_takes_its_turn], "the claim's time judges them";
    TokensBeginAgain: [each_claim_raises_the_token], "at 1, after a settled claim";
    ClaimsWithoutAudit: [a_claim_audits_in_each_tenants_lane a_claim_writes_what_take_made what_people_stopped_stays_as_it_is
        what_makes_no_sense_holds_up_nothing what_was_written_is_seen], "the audit records of a claim are left out";
    IgnoresControl: [what_people_stopped_stays_as_it_is what_is_declined_takes_no_place what_is_declined_is_nobodys_turn],
        "kill switches are not read";
    RemembersControl: [what_people_stopped_stays_as_it_is], "kill switches are read once";
    LateTakePlaces: [what_should_have_started_takes_no_place], "what is stopped is left out of the batch, what is too late is not";
    DeclinedTakePlaces: [what_should_have_started_takes_no_place what_is_declined_takes_no_place what_is_declined_is_nobodys_turn], "the batch is cut before `take`";
    SenselessBlocks: [a_max_is_taken_within_its_bounds what_makes_no_sense_holds_up_nothing], "a record that makes no sense fails the claim";
    DamageBlocks: [a_damaged_lane_holds_up_no_other], "a lane that is damaged fails the claim";
    DamageTakesPlaces: [a_damaged_lane_holds_up_no_other], "what is damaged is left out, but had its turn";
    DamageIsSilent: [a_damaged_lane_holds_up_no_other], "what is damaged is left out, and nobody told";
    NoncesForgotten: [a_nonce_is_its_workers_own a_repeat_is_told_all_that_its_claim_holds of_one_claim_made_twice_at_once_one_is_made a_repeated_claim_takes_nothing_new], "a repeat takes more";
    RepeatsSeeAPart: [a_repeat_is_told_all_that_its_claim_holds], "a claim is written record by record, and a repeat told what there is so far";
    RepeatsFillUp: [a_repeated_claim_takes_nothing_new], "a repeat takes as many as there is room for";
    MaxOfEachTenant: [a_damaged_lane_holds_up_no_other a_claim_takes_at_most_its_max tenants_take_turns what_comes_next_is_told what_is_declined_is_nobodys_turn what_has_lapsed_takes_its_turn what_is_held_is_ahead_when_it_lapses], "`max` records of each tenant";
    RenewalsAreWrites: [a_put_that_keeps_the_lease_undoes_no_renewal a_renewal_prolongs_the_lease], "a renewal raises the version";
    RenewsLowerTokens: [what_has_lapsed_is_renewed_until_it_is_taken nobody_else_renews], "an earlier holder renews";
    RenewsTheSettled: [nobody_else_renews], "a record without a holder is renewed";
    DueIsLater: [exactly_what_is_due_comes_in_order due_pages_go_on_after_the_last],
        "what is due at `until` is left out";
    KindsBackwards: [due_pages_hold_while_timers_move exactly_what_is_due_comes_in_order due_pages_go_on_after_the_last],
        "kinds are ordered backwards";
    DueLooksUpTheLast: [due_pages_hold_while_timers_move due_pages_go_on_after_the_last], "a page begins anew where the last one is gone";
    UntilIncluded: [filters_combine a_query_gives_exactly_what_it_names], "a query takes in what comes at `until`";
    AnyFacetWillDo: [filters_combine a_query_gives_exactly_what_it_names], "one facet of several is enough";
    FacetsAreWildcards: [filters_combine a_query_gives_exactly_what_it_names], "a per cent sign stands for anything";
    RowsForEachValue: [filters_combine a_query_gives_exactly_what_it_names pages_visit_each_record_once],
        "a record comes once for each value that is accepted";
    CursorsAreTimes: [pages_hold_while_others_write pages_visit_each_record_once pages_hold_while_records_come],
        "a page goes on after the time of the last row";
    FullPagesGoOn: [pages_visit_each_record_once], "a full last page has a cursor";
    CursorsAreOffsets: [pages_hold_while_records_come a_page_has_its_bounds], "a page skips so many rows";
    PagesWithoutBound: [a_page_has_its_bounds], "a page is as long as one likes";
    PagesOfHundred: [a_page_has_its_bounds], "a page is shorter than one may ask";
    RemembersQueries: [what_was_written_is_seen], "another process's writes are not seen";
    CountsInMemory: [unique_bytes_are_no_salts unique_bytes_never_recur], "each process counts from 1";

    CutsLargeCommits: [a_max_is_taken_within_its_bounds a_large_commit_is_whole_or_nothing], "after 500 puts";
    ForgetsEmptyCommits: [a_commit_of_expectations_alone_counts], "what wrote nothing is not known again";
    ExpectationsCheckedEarly: [of_two_that_expect_each_others_record_one_is_written],
        "outside of the transaction that writes";
    ChecksTheFirstFence: [a_fence_needs_the_records_token every_fence_must_hold], "and no other";
    FencesCheckedEarly: [a_settling_and_a_rescue_exclude_each_other], "outside of the transaction that writes";
    KeepsFewCommits: [a_commit_id_is_known_for_good], "the last 64";
    BodiesAsJson: [a_damaged_lane_holds_up_no_other what_should_have_started_takes_no_place a_body_is_text a_claim_takes_what_is_ready_on_its_channels a_claim_writes_what_take_made
        what_people_stopped_stays_as_it_is what_was_written_is_seen], "a body is read and written anew";
    TokensAreDoubles: [the_highest_tokens_are_kept], "beyond 53 bits they are rounded";
    WritesForOthers: [a_commit_is_of_one_tenant], "a commit may name any tenant's records";
    ErasureRewritesLanes: [an_erasure_loses_no_record], "as they were read before";
    LeasesLastAMoment: [a_lapsed_record_is_taken_again each_claim_raises_the_token nobody_else_renews a_renewal_counts_from_now what_has_lapsed_is_renewed_until_it_is_taken a_lease_may_be_of_any_length what_has_lapsed_takes_its_turn], "at its end a lease is not over";
    LeasesInSeconds: [a_lease_may_be_of_any_length], "the lease of a claim is cut to seconds";
    ClaimsAuditOneTenant: [a_claim_audits_in_each_tenants_lane], "that of the first record";
    NoncesOfAll: [a_nonce_is_its_workers_own], "whose claim it is does not matter";
    ClaimRepeatsCheckedEarly: [a_repeat_is_told_all_that_its_claim_holds of_one_claim_made_twice_at_once_one_is_made], "outside of the transaction";
    ClaimsWithoutBound: [a_max_is_taken_within_its_bounds], "none takes none, and any number that many";
    RenewalsAddUp: [a_renewal_counts_from_now what_is_held_is_ahead_when_it_lapses], "a renewal counts from the end of the lease";
    LapsedIsLost: [what_has_lapsed_is_renewed_until_it_is_taken], "also before anybody else has taken it";
    PutsUndoRenewals: [a_put_that_keeps_the_lease_undoes_no_renewal], "a put writes the lease as it was read";
    PutsUndoReturns: [a_put_that_keeps_the_lease_undoes_no_renewal], "of a lease that is kept the later end counts";
    PutsKeepAnyLease: [a_put_that_keeps_the_lease_undoes_no_renewal], "the end of another lease stands as well";
    RenewalsCheckedEarly: [a_renewal_and_a_rescue_exclude_each_other], "outside of the transaction that writes";
    DuePagesMayBeEmpty: [a_due_page_has_its_bounds], "a page of none is none";
    DueCursorsAreTimes: [due_pages_go_on_after_the_last due_pages_hold_while_timers_move],
        "a page goes on after the time of the last record";
    OneEntryEachFacet: [filters_combine], "of a facet that is named twice the last one counts";
    OldFacetsFind: [what_was_written_is_seen facets_follow_their_record], "a record is found by what it was";
    RemembersLanes: [what_was_renewed_or_erased_is_seen], "until their length changes";
    UniquesApart: [unique_bytes_are_no_salts], "unique bytes and salts are counted apart";
    ClaimsByName: [nobody_waits_for_ever tenants_take_turns what_is_declined_is_nobodys_turn what_has_lapsed_takes_its_turn], "the first tenant's first";
    AuditsLater: [a_commit_is_seen_whole], "the records of a commit can be seen before its audit records";
    LanesFillLater: [a_lane_is_seen_without_gaps], "an audit record can be seen before the one before it";
    LongestReadyFirst: [tenants_take_turns what_is_declined_is_nobodys_turn what_has_lapsed_takes_its_turn], "whoever's it is";
    TurnsBeginWithTheFirst: [tenants_take_turns what_is_declined_is_nobodys_turn what_has_lapsed_takes_its_turn], "the tenant that was served last is not looked at";
    TurnsBeginWithTheLast: [tenants_take_turns what_is_declined_is_nobodys_turn what_has_lapsed_takes_its_turn], "the tenant that was served last comes first";
    NewestFirst: [tenants_take_turns what_is_declined_is_nobodys_turn what_has_lapsed_takes_its_turn], "of one tenant, what has been ready shortest";
    DeclinedTakeTurns: [what_is_declined_is_nobodys_turn], "a record that is declined was its tenant's turn";
    LapsedLast: [what_has_lapsed_takes_its_turn], "what has lapsed is taken when nothing else is left";
    LapsedFirst: [what_has_lapsed_takes_its_turn], "what has lapsed is taken before anything else";
    HeldIsAhead: [what_is_held_is_ahead_when_it_lapses], "what is held is told as ready";
    LapsedIsNotAhead: [what_is_held_is_ahead_when_it_lapses], "what has lapsed is not told as ready";
    LapsedLeasesAhead: [what_is_held_is_ahead_when_it_lapses], "a lease that has run out is told";
    HeldHasNoTimer: [what_is_held_is_ahead_when_it_lapses], "timers of what is held are not told";
    NothingAhead: [what_comes_next_is_told what_is_held_is_ahead_when_it_lapses],
        "nothing is told";
    WhatIsNowIsAhead: [what_comes_next_is_told], "the time that is named is taken in";
    TimersOfOneTenant: [what_comes_next_is_told], "that of the first name";
    AheadOnAllChannels: [what_comes_next_is_told], "channels are not read";
    NoChannelMeansAll: [what_comes_next_is_told], "an empty set of channels is taken for none named";
    LastLeaseAhead: [what_comes_next_is_told what_is_held_is_ahead_when_it_lapses], "the last lease to end is told";
}
