//! stub
#![allow(missing_docs, reason = "replaced when the room lands")]
use crate::time::Time;
#[derive(Clone, Debug, PartialEq)]
pub struct Timetable {
    line: String,
    zone: Zone,
}
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zone(pub chrono_tz::Tz);
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("x")]
pub struct CronError;
impl Timetable {
    pub fn new(line: &str, zone: Zone) -> Result<Self, CronError> {
        Ok(Self { line: line.into(), zone })
    }
    pub fn line(&self) -> &str {
        &self.line
    }
    pub fn zone(&self) -> Zone {
        self.zone
    }
    pub fn after(&self, at: Time) -> Option<Time> {
        Some(at.after(crate::time::Span::days(1)))
    }
}
impl Zone {
    pub fn utc() -> Self {
        Self(chrono_tz::UTC)
    }
}
impl std::str::FromStr for Zone {
    type Err = CronError;
    fn from_str(s: &str) -> Result<Self, CronError> {
        s.parse().map(Self).map_err(|_| CronError)
    }
}
impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}
