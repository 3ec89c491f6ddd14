//! The suite by which an integrator proves a [`Store`](crate::Store) or a
//! [`Delivery`](crate::Delivery): each sentence of their contracts as named laws.
mod bench;
mod broken;
mod laws;
mod lost;
mod props;
mod run;
mod table;
mod target;

pub use broken::Broken;
pub use lost::AnswersLost;
pub use run::{
    DELIVERY_LAWS, Proof, Report, STORE_LAWS, Variant, at_once, prove_delivery, prove_store, run_delivery,
    run_delivery_with, run_store, run_store_with,
};
pub use table::Law;
pub use target::{Harness, Target, Trouble};

#[doc(inline)]
pub use crate::__tipstaff_delivery_suite as delivery_laws;
#[doc(inline)]
pub use crate::__tipstaff_store_suite as store_laws;
