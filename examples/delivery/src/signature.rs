//! Both sides of the signature: HMAC-SHA256 over `id.timestamp.body`, version `v1` of the
//! specification.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// The header of the message's id: the same for every attempt.
pub const HEADER_ID: &str = "webhook-id";
/// The header of the attempt's time, in seconds since 1970.
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// The header of the signatures, separated by spaces.
pub const HEADER_SIGNATURE: &str = "webhook-signature";
/// How far an attempt's time may lie from the receiver's, in seconds, to either side: the five
/// minutes of the specification's libraries.
pub const TOLERANCE_SECS: u64 = 300;

/// The symmetric signature's version. Others (`v1a` is Ed25519) are passed over.
const VERSION: &str = "v1";

/// The three headers of one attempt, as their texts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Headers {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
}

/// What cannot be signed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// There is no secret.
    #[error("there is no secret to sign with")]
    NoSecret,
    /// The id is empty, or could move the border between id and timestamp.
    #[error("message id `{0}` cannot be signed; accepted: visible ASCII characters without a full stop")]
    Id(String),
}

/// Why a message is not believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A header is missing or empty.
    #[error("header `{0}` is missing")]
    Missing(&'static str),
    /// The timestamp is no number of seconds.
    #[error("`webhook-timestamp` is no number of seconds since 1970")]
    Timestamp,
    /// It was signed too long ago: it may be a message that somebody recorded.
    #[error("signed {0} seconds ago; accepted: at most 300")]
    TooOld(u64),
    /// It was signed in the future.
    #[error("signed {0} seconds in the future; accepted: at most 300")]
    TooNew(u64),
    /// No signature is by a secret that the receiver knows.
    #[error("no signature matches")]
    NoMatch,
}

/// Signs one attempt with every secret that is in use: while one replaces another, the receiver may
/// know either.
///
/// # Errors
/// [`SignError`].
pub fn sign(secrets: &[Secret], id: &str, timestamp: u64, body: &[u8]) -> Result<Headers, SignError> {
    if secrets.is_empty() {
        return Err(SignError::NoSecret);
    }
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_graphic() && b != b'.') {
        return Err(SignError::Id(id.chars().take(80).collect()));
    }
    let timestamp = timestamp.to_string();
    let signed = secrets.iter().map(|secret| {
        let code = mac(secret, id, &timestamp, body).finalize().into_bytes();
        format!("{VERSION},{}", BASE64_STANDARD.encode(code))
    });
    let signature = signed.collect::<Vec<_>>().join(" ");
    Ok(Headers { id: id.to_owned(), timestamp, signature })
}

/// Whether a message is from somebody who knows one of the secrets, and new; `now` is in seconds
/// since 1970. Signatures are compared in constant time.
///
/// # Errors
/// [`VerifyError`].
pub fn verify(secrets: &[Secret], headers: &Headers, body: &[u8], now: u64) -> Result<(), VerifyError> {
    for (name, text) in [
        (HEADER_ID, &headers.id),
        (HEADER_TIMESTAMP, &headers.timestamp),
        (HEADER_SIGNATURE, &headers.signature),
    ] {
        if text.is_empty() {
            return Err(VerifyError::Missing(name));
        }
    }
    let at = seconds(&headers.timestamp).ok_or(VerifyError::Timestamp)?;
    if now.saturating_sub(at) > TOLERANCE_SECS {
        return Err(VerifyError::TooOld(now - at));
    }
    if at.saturating_sub(now) > TOLERANCE_SECS {
        return Err(VerifyError::TooNew(at - now));
    }
    let given = headers.signature.split(' ').filter_map(|part| part.split_once(','));
    let codes: Vec<Vec<u8>> = given
        .filter(|(version, _)| *version == VERSION)
        .filter_map(|(_, code)| BASE64_STANDARD.decode(code).ok())
        .collect();
    let matches = secrets.iter().any(|secret| {
        let mac = mac(secret, &headers.id, &headers.timestamp, body);
        // `verify_slice` takes the same time wherever the first difference lies.
        codes.iter().any(|code| mac.clone().verify_slice(code).is_ok())
    });
    if matches { Ok(()) } else { Err(VerifyError::NoMatch) }
}

/// Digits only: `+5`, `5.0` and ` 5` are other texts than the one that was signed.
fn seconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn mac(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes keys of any length");
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac
}
