//! Maps: where foreign lines have what a signal needs.

mod document;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use tipstaff::{IdError, ScaleId, Source, Time, TimeError, UserId};

use super::pointer::{Pointer, PointerError};

/// Where another system's lines have the fields of a signal, so that its logs are fed as they are.
///
/// A map is a JSON document. Each field names its places as a list of JSON pointers (RFC 6901); the
/// first one at which a line has a value wins. Null is no value, and neither is an empty text where
/// a text is asked. A number, a boolean, an object or an array that stands where a text is asked is
/// taken as it is written: `621305118553` is the id `621305118553`.
/// ```json
/// {
///   "type":    {"from": ["/source"],
///               "by_field": [{"has": "/eventVersion", "is": "cloudtrail"}],
///               "default": "unknown"},
///   "id":      {"from": ["/eventID", "/uuid", "/_document_id"], "default": "digest"},
///   "time":    {"from": ["/eventTime", "/published"], "format": "rfc3339", "default": "epoch"},
///   "subject": {"from": ["/userIdentity/userName", "/actor/alternateId"], "session": ["/sessionId"],
///               "strip": ["@example.com"], "default": "unknown"},
///   "payload": {"from": [""]},
///   "by_type": {"github": {"time": {"from": ["/@timestamp"], "format": "epoch_millis"}}}
/// }
/// ```
/// A field that has places only may be the bare list: `"id": ["/eventID", "/uuid"]`.
///
/// What applies is decided in this order:
/// 1. **`type`**, which becomes the event's source. `from` first; then `by_field`, a list of marks:
///    the first one whose field `has` a value says which type it `is`; then `default`. A file of one
///    type may say `{"is": "okta"}` instead.
/// 2. **`by_type`**: a field that is named for this type replaces the general one, as a whole.
/// 3. The other fields:
///    - `id`: the only `default` is `"digest"`, the first 32 hexadecimal digits of the SHA-256 value of
///      the line's bytes. Equal lines are one event then.
///    - `time`: its `format` is `rfc3339` (the default), `utc` (the same without a zone, with `T` or a
///      space between, taken as UTC), `epoch_seconds` or `epoch_millis` (numbers, or texts of them;
///      fractions are exact to the microsecond). Its `default` is a constant in RFC 3339, or `"epoch"`
///      for 1970; never the clock, so that a replay is always the same.
///    - `subject`: `from` gives the user; `session`, also a list of pointers, the session, if there is
///      one. The first ending of `strip` that the user's id has is taken off, so that `u-1@example.com`
///      of one system is `u-1` of another.
///    - `payload`: an object; the whole line (`{"from": [""]}`) if the map does not say.
///    - `attributes`: an object of what is known of the subject; optional.
///    - `score`: optional. A line that has a value there is a score and no event; its scale is told by
///      `scale` (with a `default`; `default` if the map does not say) and its confidence by
///      `confidence`.
///
/// `type`, `id`, `time` and `subject` must be named in general. A line without one of these, where the
/// map has no default, is a bad line; a field that a `default` filled in is marked on the signal
/// ([`Event::defaulted`](tipstaff::Event::defaulted)), so that no restricting action follows from a
/// guessed subject. A value that is there but cannot be used is never replaced by the default.
#[derive(Clone, Debug)]
pub struct Map {
    pub(super) source: SourceField,
    pub(super) fields: Fields,
    pub(super) by_type: BTreeMap<Source, Fields>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SourceField {
    pub(super) is: Option<Source>,
    pub(super) from: Vec<Pointer>,
    pub(super) by_field: Vec<(Pointer, Source)>,
    pub(super) default: Option<Source>,
}

/// The fields other than the type.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) id: IdField,
    pub(super) time: TimeField,
    pub(super) subject: SubjectField,
    pub(super) payload: Option<Vec<Pointer>>,
    pub(super) attributes: Vec<Pointer>,
    pub(super) score: Vec<Pointer>,
    pub(super) scale: ScaleField,
    pub(super) confidence: Vec<Pointer>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct IdField {
    pub(super) from: Vec<Pointer>,
    pub(super) digest: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TimeField {
    pub(super) from: Vec<Pointer>,
    pub(super) format: TimeFormat,
    pub(super) default: Option<Time>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum TimeFormat {
    #[default]
    Rfc3339,
    Utc,
    EpochSeconds,
    EpochMillis,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SubjectField {
    pub(super) from: Vec<Pointer>,
    pub(super) session: Vec<Pointer>,
    pub(super) strip: Vec<String>,
    pub(super) default: Option<UserId>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ScaleField {
    pub(super) from: Vec<Pointer>,
    pub(super) default: Option<ScaleId>,
}

impl Map {
    /// The fields that apply to lines of this type.
    pub(super) fn fields(&self, source: &Source) -> &Fields {
        self.by_type.get(source).unwrap_or(&self.fields)
    }
}

impl FromStr for Map {
    type Err = MapError;
    /// Reads a map.
    ///
    /// # Errors
    /// [`MapError`] with every fault at once.
    fn from_str(text: &str) -> Result<Self, MapError> {
        document::read(text)
    }
}

/// A map that was refused, with all of its faults.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapError {
    /// At least one.
    pub problems: Vec<MapProblem>,
}

impl std::error::Error for MapError {}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the map has {} fault(s)", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

/// One fault of a map.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}: {fault}", if pointer.is_empty() { "the map" } else { pointer })]
pub struct MapProblem {
    /// The JSON pointer of the value; empty for the whole map.
    pub pointer: String,
    /// What is wrong.
    pub fault: MapFault,
}

/// What is wrong with a map.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MapFault {
    /// It is no JSON.
    #[error("no JSON at offset {at}: {why}")]
    Syntax {
        /// Bytes before the fault.
        at: usize,
        /// What is wrong there.
        why: String,
    },
    /// A value of another kind.
    #[error("{found}; accepted: {accepted}")]
    Kind {
        /// What stands there.
        found: &'static str,
        /// What may stand there.
        accepted: &'static str,
    },
    /// A field that is not known here.
    #[error("unknown field `{field}`; accepted: {accepted}")]
    UnknownField {
        /// Its name, cut to 80 characters.
        field: String,
        /// The known ones.
        accepted: String,
    },
    /// A field that stands twice.
    #[error("the field `{0}` stands twice; keep one")]
    RepeatedField(String),
    /// A field that must be there.
    #[error("the field `{0}` is missing")]
    MissingField(&'static str),
    /// It can never have a value.
    #[error("it has no value: {0}")]
    NoPlace(&'static str),
    /// `is` beside something that it makes useless.
    #[error("`is` stands alone; take out `from`, `by_field` and `default`")]
    IsAlone,
    /// No JSON pointer.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// No identifier.
    #[error(transparent)]
    Id(#[from] IdError),
    /// No time.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A word that is not on the list.
    #[error("`{found}`; accepted: {accepted}")]
    Word {
        /// What was given, cut to 80 characters.
        found: String,
        /// The list.
        accepted: &'static str,
    },
}
