//! What rules are made of, without anything that is stored: patterns, timetables, scales, documents.
#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod calendar;
mod crontab_data;
mod crontab_oracle;
mod documents;
mod floors;
mod pattern;
mod pattern_data;
mod pattern_laws;
mod refusals;
mod retries;
mod schedule;
mod score;

#[path = "../support/mod.rs"]
mod support;
