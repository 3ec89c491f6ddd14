//! The secret that a sender shares with a receiver.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The fewest bytes that a secret has after decoding. The specification asks for 24 to 64; older
/// secrets in use are a little shorter, and 16 bytes are still the strength that RFC 2104,
/// section 3, asks of a key for 128 bits.
pub const MIN_SECRET_BYTES: usize = 16;
/// The most bytes that a secret has after decoding: the block size of SHA-256, beyond which HMAC
/// hashes a key first (RFC 2104, section 3).
pub const MAX_SECRET_BYTES: usize = 64;

/// What secrets begin with when they are written down.
const PREFIX: &str = "whsec_";

/// Written with or without padding: both are in use.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A shared secret: base64, with or without the prefix `whsec_`. It is never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

/// A text that is no secret. It says nothing of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It is no base64.
    #[error("the secret is no base64 after an optional `whsec_`")]
    Base64,
    /// It has too few bytes, or too many.
    #[error("the secret has {0} bytes; accepted: 16 to 64, written as base64 after `whsec_`")]
    Length(usize),
}

impl Secret {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Secret {
    type Error = SecretError;
    fn try_from(bytes: &[u8]) -> Result<Self, SecretError> {
        match bytes.len() {
            MIN_SECRET_BYTES..=MAX_SECRET_BYTES => Ok(Self(bytes.to_vec())),
            other => Err(SecretError::Length(other)),
        }
    }
}

impl FromStr for Secret {
    type Err = SecretError;
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = BASE64.decode(text).map_err(|_| SecretError::Base64)?;
        bytes.as_slice().try_into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_checked_and_never_shown() {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let secret: Secret = text.parse().unwrap();
        assert_eq!(text.trim_start_matches(PREFIX).parse(), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for (text, error) in [
            ("", SecretError::Length(0)),
            ("whsec_", SecretError::Length(0)),
            ("whsec_AAAA", SecretError::Length(3)),
            ("whsec_not base64!", SecretError::Base64),
            ("whsec_whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::Base64),
        ] {
            assert_eq!(text.parse::<Secret>(), Err(error), "{text}");
        }
        assert_eq!(Secret::try_from(&[0; 65][..]), Err(SecretError::Length(65)));
        assert!(Secret::try_from(&[0; 64][..]).is_ok());
    }
}
