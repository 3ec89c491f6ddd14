//! What the file of an action says, and where it lies.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde_json::value::RawValue;
use tipstaff::{Holder, Job, Origin, ParamValue, Purpose, Subject, TenantId};

/// Where the files of a channel lie, and what its reference numbers begin with.
pub(super) struct Place {
    channel: &'static str,
    pub(super) folder: &'static str,
    prefix: &'static str,
}

const fn at(channel: &'static str, folder: &'static str, prefix: &'static str) -> Place {
    Place { channel, folder, prefix }
}

const PLACES: &[Place] = &[
    at("approval_notice", "notices", "NOTICE"),
    at("assign_training", "training", "COURSE"),
    at("create_ticket", "tickets", "TICKET"),
    at("escalate_to_hr", "hr", "HR"),
    at("escalate_to_manager", "managers", "MANAGER"),
    at("lift_restriction", "access", "ACCESS"),
    at("lock_account", "access", "ACCESS"),
    at("require_step_up_mfa", "access", "ACCESS"),
    at("restrict_access", "access", "ACCESS"),
    at("revoke_sessions", "access", "ACCESS"),
    at("schedule_coaching", "coaching", "TALK"),
    at("self_policing", "self-correction", "ASK"),
    at("send_chat_message", "chat", "CHAT"),
    at("send_email", "mail", "MAIL"),
    at("send_webhook", "webhooks", "HOOK"),
    at("unlock_account", "access", "ACCESS"),
];

const OTHER: Place = at("", "other", "REF");

pub(super) fn place(job: &Job) -> &'static Place {
    let channel = job.channel.as_str();
    PLACES.iter().find(|place| place.channel == channel).unwrap_or(&OTHER)
}

/// The number under which the target knows it: `TICKET-` and the first eight digits of the key.
pub(super) fn reference(job: &Job) -> String {
    let key = job.key.to_string();
    let short: String = key.chars().skip(tipstaff::EnforcementId::PREFIX.len()).take(8).collect();
    format!("{}-{}", place(job).prefix, short.to_uppercase())
}

/// Whom or what it reaches.
pub(super) fn recipient(job: &Job) -> String {
    if let Some(recipient) = job.purpose.recipient() {
        return recipient.to_string();
    }
    let user = &job.subject.user;
    let named = ["to", "channel", "queue", "endpoint", "with"].iter().find_map(|name| job.params.get(*name));
    let manager = || format!("the manager of {user}");
    match (named, job.action.as_str()) {
        (Some(ParamValue::Text(text)), _) if text == "subject" => user.to_string(),
        (Some(ParamValue::Text(text)), _) if text == "manager" => manager(),
        (Some(other), _) => other.to_string(),
        (None, "escalate_to_manager" | "schedule_coaching") => manager(),
        (None, "escalate_to_hr") => "human resources".to_owned(),
        (None, _) => job.subject.to_string(),
    }
}

#[derive(Serialize)]
struct Letter<'a> {
    key: String,
    reference: String,
    recipient: String,
    tenant: &'a TenantId,
    purpose: &'a Purpose,
    action: &'a str,
    channel: &'a str,
    subject: &'a Subject,
    params: BTreeMap<&'a str, Value<'a>>,
    rules: &'a [Holder],
    origin: &'a Origin,
    attempt: u32,
}

/// A parameter as JSON has it.
#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Text(&'a str),
    Flag(bool),
    Number(Box<RawValue>),
    Shown(String),
}

impl<'a> From<&'a ParamValue> for Value<'a> {
    fn from(value: &'a ParamValue) -> Self {
        match value {
            ParamValue::Text(text) => Self::Text(text),
            ParamValue::Flag(flag) => Self::Flag(*flag),
            // As it is written, so that it stays exact.
            other => RawValue::from_string(other.to_string())
                .map_or_else(|_| Self::Shown(other.to_string()), Self::Number),
        }
    }
}

/// The file's content.
pub(super) fn text(job: &Job) -> io::Result<String> {
    let letter = Letter {
        key: job.key.to_string(),
        reference: reference(job),
        recipient: recipient(job),
        tenant: &job.tenant,
        purpose: &job.purpose,
        action: job.action.as_str(),
        channel: job.channel.as_str(),
        subject: &job.subject,
        params: job.params.iter().map(|(name, value)| (name.as_str(), value.into())).collect(),
        rules: &job.holders,
        origin: &job.origin,
        attempt: job.attempt,
    };
    Ok(serde_json::to_string_pretty(&letter)? + "\n")
}
