//! Small defects on purpose, each of which the proofs must catch.
//!
//! They exist only in builds with `--cfg tipstaff_broken`, which no Cargo feature can bring about;
//! there, [`with`] switches on one at a time for the calling thread. In every other build
//! [`is`] is `false` at compile time.

/// The defects: a variant, its name, and what it does wrong. One table, and all else is made of it.
macro_rules! defects {
    ($($defect:ident: $name:literal, $about:literal;)*) => {
        /// A defect.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[allow(dead_code, unreachable_pub, reason = "in an ordinary build nobody outside switches one on")]
        pub enum Defect { $(#[doc = $about] $defect,)* }

        #[cfg(tipstaff_broken)]
        impl Defect {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$defect,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$defect => $name,)* }
            }

            /// What it does wrong.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$defect => $about,)* }
            }
        }
    };
}

defects! {
    AcknowledgedBeforeStored: "acknowledged_before_stored", "a signal is acknowledged although the store did not take it";
    DelegateOfAnybody: "delegate_of_anybody", "a delegate may answer for the subject";
    OneCountsTwice: "one_counts_twice", "a person's second answer counts as another's";
    RejectionIgnored: "rejection_ignored", "a rejection ends nothing";
    ExpiredApprovalAccepted: "expired_approval_accepted", "a request takes answers after its time";
    OtherDigestAccepted: "other_digest_accepted", "an answer counts for content that was not shown";
    DigestWithoutEvidence: "digest_without_evidence", "the digest of a request leaves the evidence out";
    ApprovalNotCarried: "approval_not_carried", "what is delivered is not compared with what was approved";
    EditedParamsDelivered: "edited_params_delivered", "what is delivered has the parameters of the rule as it reads by then";
    ExpiredExemption: "expired_exemption", "an exemption that is over counts";
    RecheckSkipped: "recheck_skipped", "whoever has recovered is enforced upon";
    UndoneWhileHeld: "undone_while_held", "the first holder who lets go has the effect taken back";
    QuietHoursInUtc: "quiet_hours_in_utc", "quiet hours follow the clock of UTC";
    HoursAtDecisionOnly: "hours_at_decision_only", "quiet hours and maintenance are not asked about before the delivery";
    RolloutNotMonotonic: "rollout_not_monotonic", "each share of a rollout takes in other people";
    OrdersPassProtection: "orders_pass_protection", "what a person orders passes protection";
    UnknownUnprotected: "unknown_unprotected", "whoever's attributes are not known counts as not protected";
    PlacesOutsideCommit: "places_outside_commit", "who is away is read beside the commit that takes a place";
    PlacesAtDecisionOnly: "places_at_decision_only", "the last administrators are not asked about before the delivery";
    PlacesKept: "places_kept", "what comes to nothing keeps its place";
    ApprovalWithoutCas: "approval_without_cas", "an answer to a request is written over whatever was answered meanwhile";
    AuditInSecondCommit: "audit_in_second_commit", "what is logged of a change is committed after the change";
    BlindRescue: "blind_rescue", "what must not be repeated is delivered again without asking the target";
    CapFreedTwice: "cap_freed_twice", "an enforcement that ends gives each of its places under caps back twice";
    CapOnSignalTime: "cap_on_signal_time", "the windows of caps are those of the signal's own time";
    CapThatAsksPasses: "cap_that_asks_passes", "beyond a cap that asks, nobody is asked";
    CapWithoutCas: "cap_without_cas", "what is counted under a cap is written over what was counted meanwhile";
    EffectBeforeClaim: "effect_before_claim", "something is delivered that nobody has claimed yet";
    ErrorAsFinal: "error_as_final", "what a target wants to be tried again has failed for good";
    FlightListedBefore: "flight_listed_before", "what is under way is listed before the kill switch is engaged";
    GlobalStopForgotten: "global_stop_forgotten", "a kill switch of all tenants stops none of them";
    HostClockJudgesLeases: "host_clock_judges_leases", "a lease is over when the claiming host's clock says so";
    KeyPerAttempt: "key_per_attempt", "each attempt is delivered under a key of its own";
    LeasesSleptThrough: "leases_slept_through", "a host sleeps on when a lease runs out";
    MarkMovedFirst: "mark_moved_first", "the mark of a timetable is moved before the occurrence begins";
    NewIdAfterUnknown: "new_id_after_unknown", "a commit whose answer was lost is sent again under another id";
    NoAttemptCap: "no_attempt_cap", "attempts are counted and never end";
    OwedForgotten: "owed_forgotten", "an engine that was stopped writes down nothing more";
    RefusalWrites: "refusal_writes", "an order that is refused leaves a row in the audit trail";
    ShadowTakesPlaces: "shadow_takes_places", "what only would be done counts under the caps of what is";
    SettledWithoutToken: "settled_without_token", "an answer settles whatever attempt runs by then";
    StoppedIsClaimed: "stopped_is_claimed", "a kill switch holds back no claim";
    SwitchUntold: "switch_untold", "what people stop, or let go again, is not in the trail";
    TerminalReopened: "terminal_reopened", "what is over can be called off";
    TimersSleptThrough: "timers_slept_through", "a host sleeps on when a timer runs out";
    TokenKept: "token_kept", "a claim does not raise the token";
    ToldTwice: "told_twice", "the end of an attempt has two rows of the trail";
    TurnsForgotten: "turns_forgotten", "whose turn it is begins with the first name at each claim";
    UncertainIsThere: "uncertain_is_there", "an effect of which nobody knows whether it is there is no reason to bring it about";
    UndoForgotten: "undo_forgotten", "nothing is scheduled for the end of a holder's time";
    UnknownCausePasses: "unknown_cause_passes", "an action that names a cause that is not known counts as caused by none";
    UnknownPopulationPasses: "unknown_population_passes", "a share of users holds nobody where nobody says how many there are";
    UnknownTypesFailed: "unknown_types_failed", "a host claims what it does not carry";
}

#[cfg(tipstaff_broken)]
thread_local! {
    static ON: std::cell::Cell<Option<Defect>> = const { std::cell::Cell::new(None) };
}

/// Whether the defect is switched on for this thread.
#[cfg(tipstaff_broken)]
pub(crate) fn is(defect: Defect) -> bool {
    ON.with(|on| on.get() == Some(defect))
}

/// No defect is ever switched on in such a build.
#[cfg(not(tipstaff_broken))]
#[allow(dead_code, reason = "the compiler removes what stands behind it")]
pub(crate) const fn is(_: Defect) -> bool {
    false
}

/// Runs something with one defect switched on for this thread, or with none.
#[cfg(tipstaff_broken)]
pub fn with<T>(defect: Option<Defect>, run: impl FnOnce() -> T) -> T {
    struct Restore(Option<Defect>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ON.with(|on| on.set(self.0));
        }
    }
    let _restore = Restore(ON.with(|on| on.replace(defect)));
    run()
}
