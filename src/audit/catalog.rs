//! The codes that may be written: the built-in ones and those that a host registers.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::code::{Retention, Severity};
use super::table::AuditCode;

/// How many codes a host may register; our decision.
pub const MAX_HOST_CODES: usize = 1_000;

/// The namespaces of our own codes, closed to hosts so that later versions can add to them.
const RESERVED: [&str; 4] = ["POLICY_", "APPROVAL_", "ENFORCEMENT_", "SCHEDULE_"];

/// A code that a host adds to the catalogue.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HostCode {
    /// The code: 3 to 64 characters of `A`–`Z`, `0`–`9` and `_`, a letter first, at least one `_`.
    pub code: String,
    /// How much its records matter.
    pub severity: Severity,
    /// The title of its domain: a built-in one or the host's own, 1 to 64 bytes on one line.
    pub domain: String,
    /// How long its records are kept at least, and why.
    pub retention: Retention,
    /// One line about what happened when such a record is written, 1 to 256 bytes.
    pub description: String,
}

/// Why a code cannot be registered or written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// No such code is built in or registered.
    #[error("`{code}` is no audit code; accepted: a built-in code, or one that the host has registered")]
    Unknown {
        /// What was given, cut to 80 characters.
        code: String,
    },
    /// The code is only read in old logs.
    #[error("audit code `{code}` is superseded; write `{successor}` instead")]
    Superseded {
        /// What was given.
        code: AuditCode,
        /// What to write.
        successor: AuditCode,
    },
    /// It does not have the form of a code.
    #[error(
        "`{code}` cannot be an audit code; accepted: 3 to 64 of `A`-`Z`, `0`-`9` and `_`, a letter first, with at least one `_`"
    )]
    Form {
        /// What was given, cut to 80 characters.
        code: String,
    },
    /// Its domain title or its description has not the right form.
    #[error("audit code `{code}`: the {field} is not 1 to {most} bytes on one line")]
    Text {
        /// The code.
        code: String,
        /// `domain` or `description`.
        field: &'static str,
        /// How many bytes it may have.
        most: usize,
    },
    /// The library has a code of that name.
    #[error("audit code `{code}` is built in; accepted: a name of the host's own")]
    BuiltIn {
        /// The code.
        code: AuditCode,
    },
    /// It begins like the library's own codes.
    #[error("audit code `{code}` begins with `{namespace}`, which is kept for the library")]
    Reserved {
        /// The code.
        code: String,
        /// The namespace.
        namespace: &'static str,
    },
    /// The host registered that code before.
    #[error("audit code `{code}` is registered already")]
    Duplicate {
        /// The code.
        code: String,
    },
    /// The host has registered as many as it may.
    #[error("audit code `{code}` is one too many; accepted: {MAX_HOST_CODES} host codes")]
    TooMany {
        /// The code.
        code: String,
    },
}

impl CodeError {
    pub(super) fn unknown(text: &str) -> Self {
        Self::Unknown { code: cut(text) }
    }
}

/// What a record may be written with: a built-in code, or one found in the [`AuditCatalog`].
///
/// There is no other way to make one, so that an unknown code cannot be written. It is cheap to
/// clone; two of them are equal if their texts are.
#[derive(Clone)]
pub struct Code(Inner);

#[derive(Clone)]
enum Inner {
    BuiltIn(AuditCode),
    Host(Arc<HostCode>),
}

impl Code {
    /// The code as logs hold it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Inner::BuiltIn(code) => code.as_str(),
            Inner::Host(host) => &host.code,
        }
    }

    /// How much its records matter.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match &self.0 {
            Inner::BuiltIn(code) => code.severity(),
            Inner::Host(host) => host.severity,
        }
    }

    /// The title of its domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        match &self.0 {
            Inner::BuiltIn(code) => code.domain().as_str(),
            Inner::Host(host) => &host.domain,
        }
    }

    /// How long its records are kept at least, and why.
    #[must_use]
    pub fn retention(&self) -> Retention {
        match &self.0 {
            Inner::BuiltIn(code) => code.retention(),
            Inner::Host(host) => host.retention,
        }
    }

    /// One line about what happened when such a record is written.
    #[must_use]
    pub fn description(&self) -> &str {
        match &self.0 {
            Inner::BuiltIn(code) => code.description(),
            Inner::Host(host) => &host.description,
        }
    }

    /// The built-in code, unless it is a host's.
    #[must_use]
    pub fn built_in(&self) -> Option<AuditCode> {
        match self.0 {
            Inner::BuiltIn(code) => Some(code),
            Inner::Host(_) => None,
        }
    }
}

impl From<AuditCode> for Code {
    fn from(code: AuditCode) -> Self {
        Self(Inner::BuiltIn(code))
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Code {}

impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Code {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// The codes that may be written; by default the built-in ones alone.
///
/// ```
/// use tipstaff::{AuditCatalog, HostCode, RetentionCategory, Severity};
///
/// let mut catalog = AuditCatalog::default();
/// catalog.register(HostCode {
///     code: "BADGE_DOOR_LOCKED".into(),
///     severity: Severity::Warning,
///     domain: "Buildings".into(),
///     retention: RetentionCategory::Security.into(),
///     description: "A door stopped opening for a badge".into(),
/// })?;
/// assert_eq!(catalog.get("BADGE_DOOR_LOCKED")?.severity(), Severity::Warning);
/// assert!(catalog.get("BADGE_DOOR_OPENED").is_err());
/// assert!(catalog.writable("ACCOUNT_MFA_ENROLLED").is_err(), "superseded");
/// # Ok::<(), tipstaff::CodeError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditCatalog {
    host: BTreeMap<String, Arc<HostCode>>,
}

impl AuditCatalog {
    /// Adds a host's code. Its domain may be a built-in one, or the host's own.
    ///
    /// # Errors
    /// A [`CodeError`] if the code, its domain or its description has not the form that
    /// [`HostCode`] names, if it is built in, lies in one of our namespaces or is registered
    /// already, or if there are [`MAX_HOST_CODES`] of them. Nothing is added then.
    pub fn register(&mut self, host: HostCode) -> Result<(), CodeError> {
        let code = host.code.as_str();
        if !has_code_form(code) {
            return Err(CodeError::Form { code: cut(code) });
        }
        if let Ok(code) = code.parse::<AuditCode>() {
            return Err(CodeError::BuiltIn { code });
        }
        if let Some(namespace) = RESERVED.into_iter().find(|namespace| code.starts_with(namespace)) {
            return Err(CodeError::Reserved { code: code.into(), namespace });
        }
        for (field, text, most) in [("domain", &host.domain, 64), ("description", &host.description, 256)] {
            if text.trim().is_empty() || text.len() > most || text.chars().any(char::is_control) {
                return Err(CodeError::Text { code: code.into(), field, most });
            }
        }
        if self.host.contains_key(code) {
            return Err(CodeError::Duplicate { code: code.into() });
        }
        if self.host.len() >= MAX_HOST_CODES {
            return Err(CodeError::TooMany { code: code.into() });
        }
        self.host.insert(host.code.clone(), Arc::new(host));
        Ok(())
    }

    /// Finds a code, superseded ones too.
    ///
    /// # Errors
    /// [`CodeError::Unknown`].
    pub fn get(&self, code: &str) -> Result<Code, CodeError> {
        match self.host.get(code) {
            Some(host) => Ok(Code(Inner::Host(Arc::clone(host)))),
            None => code.parse::<AuditCode>().map(Code::from),
        }
    }

    /// Finds a code that new records may use.
    ///
    /// # Errors
    /// [`CodeError::Unknown`], or [`CodeError::Superseded`], which names the successor.
    pub fn writable(&self, code: &str) -> Result<Code, CodeError> {
        let found = self.get(code)?;
        match found.built_in().and_then(|code| Some((code, code.superseded_by()?))) {
            Some((code, successor)) => Err(CodeError::Superseded { code, successor }),
            None => Ok(found),
        }
    }

    /// Every code: the built-in ones in the order of their table, then the host's by name.
    pub fn codes(&self) -> impl Iterator<Item = Code> + '_ {
        let host = self.host.values().map(|host| Code(Inner::Host(Arc::clone(host))));
        AuditCode::ALL.iter().copied().map(Code::from).chain(host)
    }
}

fn has_code_form(code: &str) -> bool {
    (3..=64).contains(&code.len())
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && code.bytes().all(|c| matches!(c, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
        && code.contains('_')
}

/// The user's text as an error shows it.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
