//! Effects that stand: who holds them, and when they are taken back (behaviour 8.4).
//!
//! An action that restricts and has an inverse leaves an *effect*: one record for each subject, type
//! and parameters, however many rules and people want it. Each of these is a *holder*; the effect
//! stands as long as one is left.
//!
//! ```text
//!              Hold                          Hold (joins, or holds longer)
//!  clear ───────────────▶ standing ◀──────────────┐
//!    ▲                     │  │ └─────────────────┘
//!    │                     │  └── Release (others remain) ─▶ standing
//!    │ Lifted              ▼ Release (the last one)
//!    └────────────────  lifting ── Hold ─▶ standing
//!                        │  ▲
//!                 Failed ▼  │ Lift
//!                        stuck ── Hold ─▶ standing
//! ```
//! Every other pair of state and input is an [`EffectError`] and changes nothing. `lifting` names the
//! undo that carries the inverse out; only that one's report counts.
//!
//! A rule that holds for a time (`"for": "24h"`) has its undo from the moment when the effect is there,
//! scheduled for the end of that time. When it is due and others still hold, only the holder goes, and
//! the undo is superseded: the last holder's runs. A holder that qualifies again holds longer, never
//! shorter, under a new generation with an undo of its own. The id of an undo is derived from (effect,
//! holder, generation).
//!
//! Two deliveries for one effect never run at the same time: before each, the worker takes the effect's
//! *turn* under compare-and-set, for as long as its lease lasts. So a lock that races the undo of an
//! earlier one comes after it, or the undo finds a holder and is superseded. A worker that outlived its
//! lease may still report; its delivery may have crossed another, and then what the holders ask for is
//! delivered once more.

mod machine;
mod record;

pub use machine::{EffectError, EffectInput, EffectState, EffectStatus};
pub use record::{Held, HeldEffect, Turn};
