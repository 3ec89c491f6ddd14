//! Time zones of the IANA database, and the changes of their clocks.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::schedule::fault::excerpt;
use crate::schedule::wall::WallSecs;

/// Seconds since the Unix epoch.
pub(super) type UtcSecs = i64;

/// No zone has been further from UTC than this, in seconds: the largest offsets are those of local
/// mean time beside the date line, 15:56:08 behind (Manila) and 15:13:42 ahead (Metlakatla).
pub(super) const MAX_OFFSET: i64 = 16 * 3_600;

/// Two changes of one zone's clock are further apart than this, in seconds; in the database of 2025
/// the closest two are 167 hours apart.
const STEP: i64 = 86_400;

/// A time zone of the IANA database, such as `Europe/Berlin`; UTC by default.
///
/// The changes of its clock are known until the end of 2099 and stay as they are then.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Zone(Tz);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// Its name in the IANA database.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Seconds that the clock is ahead of UTC.
    pub(super) fn offset(self, at: UtcSecs) -> i64 {
        let at = DateTime::from_timestamp(at, 0).expect("the instants asked about are within chrono's");
        i64::from(self.0.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())
    }

    /// What the clock shows.
    pub(super) fn wall(self, at: UtcSecs) -> WallSecs {
        at + self.offset(at)
    }

    /// The first instant after `from`, and not after `until`, at which the clock is put forward or
    /// back.
    pub(super) fn next_change(self, from: UtcSecs, until: UtcSecs) -> Option<UtcSecs> {
        let offset = self.offset(from);
        let (mut before, mut after) = (from, from);
        while self.offset(after) == offset {
            if after >= until {
                return None;
            }
            before = after;
            after = (after + STEP).min(until);
        }
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            *(if self.offset(middle) == offset { &mut before } else { &mut after }) = middle;
        }
        Some(after)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

/// A text that names no time zone.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no time zone; accepted: a name of the IANA database, such as {}",
    .meant.map_or("`Europe/Berlin` or `UTC`".to_owned(), |name| format!("`{name}`")))]
pub struct ZoneError {
    /// What was given.
    pub text: String,
    /// The zone that may have been meant.
    pub meant: Option<&'static str>,
}

impl FromStr for Zone {
    type Err = ZoneError;
    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let refused = |_| {
            let plain = text.trim().replace(' ', "_");
            let alike = |name: &&str| {
                let city = name.rsplit('/').next().unwrap_or(name);
                name.eq_ignore_ascii_case(&plain) || city.eq_ignore_ascii_case(&plain)
            };
            ZoneError { text: excerpt(text), meant: TZ_VARIANTS.iter().map(|zone| zone.name()).find(alike) }
        };
        text.parse().map(Self).map_err(refused)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

crate::words::serde_as_text!(Zone);
