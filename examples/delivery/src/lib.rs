//! Signed webhooks for tipstaff.
//!
//! [`Webhooks`] is a [`Delivery`](tipstaff::Delivery) of the channel `send_webhook`, as the
//! [Standard Webhooks specification](https://github.com/standard-webhooks/standard-webhooks) has
//! them: one id over all attempts, a fresh timestamp for each, signatures by every secret that is
//! in use, and a refusal to call addresses that are not public unless the host allows it.
//!
//! [`sign`] and [`verify`] are the two sides of the signature, for anyone who receives such
//! webhooks; [`Receiver`] is a small server that honours the ids, counts effects and makes trouble
//! on request, for tests and drills.

mod address;
mod body;
mod call;
mod endpoint;
mod receiver;
mod retry_after;
mod secret;
mod signature;
mod threads;
mod webhook;

/// The README is tested as it stands.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use address::is_public;
pub use endpoint::{Endpoint, EndpointError};
pub use receiver::{Effects, Receiver, ReceiverOptions, Reply};
pub use retry_after::retry_after;
pub use secret::{MAX_SECRET_BYTES, MIN_SECRET_BYTES, Secret, SecretError};
pub use signature::{
    HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Headers, SignError, TOLERANCE_SECS, VerifyError, sign,
    verify,
};
pub use webhook::{DEFAULT_TIMEOUT, Webhooks};
