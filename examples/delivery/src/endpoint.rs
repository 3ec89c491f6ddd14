//! Where webhooks go.

use std::fmt;

use ureq::http::Uri;

use crate::secret::Secret;

/// A target of webhooks: its address, the secrets that sign for it, and what the host allows for it.
#[derive(Clone)]
pub struct Endpoint {
    pub(crate) uri: Uri,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) private: bool,
}

/// An address that webhooks cannot go to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is no address.
    #[error("`{0}` is no address; accepted: `https://host/path`")]
    NoUrl(String),
    /// It is not HTTPS.
    #[error("`{0}` is not https; plain http is for endpoints inside: `Endpoint::inside`")]
    NotHttps(String),
    /// It holds a name or a password, which would stand in logs.
    #[error("the address holds a name or a password; accepted: neither, as the signature proves the sender")]
    UserInfo,
}

impl Endpoint {
    /// A public endpoint: HTTPS, at an address of the public internet, signed by this secret.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn new(url: &str, secret: Secret) -> Result<Self, EndpointError> {
        let endpoint = Self::inside(url, secret)?;
        if endpoint.uri.scheme_str() != Some("https") {
            return Err(EndpointError::NotHttps(shown(url)));
        }
        Ok(Self { private: false, ..endpoint })
    }

    /// An endpoint of the host's own network: plain HTTP and private addresses are allowed. Never
    /// for an address that a tenant or an author of rules may choose.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn inside(url: &str, secret: Secret) -> Result<Self, EndpointError> {
        let uri: Uri = url.parse().map_err(|_| EndpointError::NoUrl(shown(url)))?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let Some(authority) = uri.authority().filter(|authority| known && !authority.host().is_empty())
        else {
            return Err(EndpointError::NoUrl(shown(url)));
        };
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        Ok(Self { uri, secrets: vec![secret], private: true })
    }

    /// The endpoint with one more secret that signs: the new one, while the old one is replaced, or
    /// the old one until the receiver knows the new one. Every attempt is signed by all of them.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secrets.push(secret);
        self
    }
}

/// An address may have a token in its query.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.uri.host())
            .field("secrets", &self.secrets.len())
            .field("private", &self.private)
            .finish_non_exhaustive()
    }
}

/// The address as an error shows it: without what may be a token.
fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_at_the_door() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let new = |url| Endpoint::new(url, secret.clone()).map(|_| ());
        let inside = |url| Endpoint::inside(url, secret.clone()).map(|_| ());
        for url in ["https://example.com", "https://example.com:8443/a?b=c", "https://[2606:4700::1]/"] {
            assert_eq!(new(url), Ok(()), "{url}");
        }
        for url in ["", "example.com", "/path", "ftp://example.com/", "https://", "https:///x", "mailto:a@b"]
        {
            assert_eq!(inside(url), Err(EndpointError::NoUrl(url.into())), "{url}");
        }
        let plain = "http://example.com/?token=1";
        assert_eq!(new(plain), Err(EndpointError::NotHttps("http://example.com/".into())));
        assert_eq!(inside(plain), Ok(()));
        assert_eq!(new("https://user:pass@example.com/"), Err(EndpointError::UserInfo));
        let shown =
            format!("{:?}", Endpoint::new("https://example.com/hook?token=1", secret.clone()).unwrap());
        assert!(!shown.contains("token"), "{shown}");
    }
}
