//! The laws themselves, one function each; `table.rs` names them and says what they are.

pub(super) mod answers;
pub(super) mod audit;
pub(super) mod claim;
pub(super) mod commit;
pub(super) mod delivery;
pub(super) mod edges;
pub(super) mod lease;
pub(super) mod read;
pub(super) mod record;
pub(super) mod take;
pub(super) mod together;
pub(super) mod turns;
