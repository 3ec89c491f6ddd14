//! Targets that fail, and how: the same for the same key and attempt, always.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::Deserialize;
use tipstaff::{Job, ParamValue, Span};

/// Which targets an outbox knows, and which of them fail.
///
/// ```json
/// {
///   "known": {"endpoint": ["siem", "legacy-siem"]},
///   "fail": {"endpoint:legacy-siem": "permanent", "queue:flaky": {"retry": 2, "after": "30s"},
///            "template:receipt": {"lost": 1}}
/// }
/// ```
/// A target is a parameter and its value (`queue:flaky`), the action's type (`type:lock_account`),
/// the user (`user:u-1042`), or whoever a notice is for (`recipient:u-1001`). `known` lists the only
/// values that a parameter may have; any other is refused for good, and so is a target that fails
/// as `"permanent"`. `"retry"` fails every attempt before anything happens, `{"retry": 2}` the first
/// two; with `after` the target names a wait. `"lost"` and `{"lost": 1}` carry the action out and
/// do not answer. Where several targets of one action fail, the first in the order type, user,
/// recipient, parameters by name counts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxConfig {
    #[serde(default)]
    known: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    fail: BTreeMap<String, Failure>,
}

/// How a target fails.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(from = "Written")]
#[non_exhaustive]
pub enum Failure {
    /// It refuses, for good.
    Permanent,
    /// Nothing happens, and it may be tried again.
    Retry {
        /// On how many attempts.
        times: u32,
        /// The wait that the target asks for.
        after: Option<Span>,
    },
    /// The action happens, and the answer is lost.
    Lost {
        /// On how many attempts.
        times: u32,
    },
}

/// A failure as the document has it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "no failure; accepted: `permanent`, `retry`, `lost`, {\"retry\": 2}, {\"retry\": 2, \"after\": \"30s\"} or {\"lost\": 1}"
)]
enum Written {
    Word(Word),
    Retry(Retry),
    Lost(Lost),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Permanent,
    Retry,
    Lost,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    retry: u32,
    after: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lost {
    lost: u32,
}

impl From<Written> for Failure {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::Permanent) => Self::Permanent,
            Written::Word(Word::Retry) => Self::Retry { times: u32::MAX, after: None },
            Written::Word(Word::Lost) => Self::Lost { times: u32::MAX },
            Written::Retry(Retry { retry, after }) => Self::Retry { times: retry, after },
            Written::Lost(Lost { lost }) => Self::Lost { times: lost },
        }
    }
}

impl Failure {
    const fn concerns(self, attempt: u32) -> bool {
        match self {
            Self::Permanent => true,
            Self::Retry { times, .. } | Self::Lost { times } => attempt <= times,
        }
    }
}

/// A document that is no configuration of an outbox.
#[derive(Debug, thiserror::Error)]
#[error("outbox: {0}")]
pub struct ConfigError(#[from] serde_json::Error);

impl FromStr for OutboxConfig {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Ok(serde_json::from_str(text)?)
    }
}

impl OutboxConfig {
    /// How this attempt fails, and because of which target.
    pub(super) fn failure(&self, job: &Job) -> Option<(String, Failure)> {
        targets(job).into_iter().find_map(|(kind, name)| {
            let target = format!("{kind}:{name}");
            if self.known.get(kind).is_some_and(|known| !known.contains(&name)) {
                return Some((target, Failure::Permanent));
            }
            let failure = self.fail.get(&target).copied().filter(|failure| failure.concerns(job.attempt))?;
            Some((target, failure))
        })
    }
}

fn targets(job: &Job) -> Vec<(&str, String)> {
    let mut targets = vec![("type", job.action.to_string()), ("user", job.subject.user.to_string())];
    if let Some(recipient) = job.purpose.recipient() {
        targets.push(("recipient", recipient.to_string()));
    }
    targets.extend(job.params.iter().filter_map(|(name, value)| match value {
        ParamValue::Text(text) => Some((name.as_str(), text.clone())),
        _ => None,
    }));
    targets
}
