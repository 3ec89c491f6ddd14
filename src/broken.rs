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
    ApprovalWithoutCas: "approval_without_cas", "an answer to a request is written over whatever was answered meanwhile";
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
