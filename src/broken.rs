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
    ApprovalWithoutCas: "approval_without_cas", "an answer to a request is written over whatever was answered meanwhile";
    AuditInSecondCommit: "audit_in_second_commit", "what is logged of a change is committed after the change";
    BlindRescue: "blind_rescue", "what must not be repeated is delivered again without asking the target";
    EffectBeforeClaim: "effect_before_claim", "something is delivered that nobody has claimed yet";
    ErrorAsFinal: "error_as_final", "what a target wants to be tried again has failed for good";
    HostClockJudgesLeases: "host_clock_judges_leases", "a lease is over when the claiming host's clock says so";
    KeyPerAttempt: "key_per_attempt", "each attempt is delivered under a key of its own";
    MarkMovedFirst: "mark_moved_first", "the mark of a timetable is moved before the occurrence begins";
    NewIdAfterUnknown: "new_id_after_unknown", "a commit whose answer was lost is sent again under another id";
    NoAttemptCap: "no_attempt_cap", "attempts are counted and never end";
    RefusalWrites: "refusal_writes", "an order that is refused leaves a row in the audit trail";
    SettledWithoutToken: "settled_without_token", "an answer settles whatever attempt runs by then";
    StoppedIsClaimed: "stopped_is_claimed", "a kill switch holds back no claim";
    TerminalReopened: "terminal_reopened", "what is over can be called off";
    TokenKept: "token_kept", "a claim does not raise the token";
    UndoForgotten: "undo_forgotten", "nothing is scheduled for the end of a holder's time";
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
