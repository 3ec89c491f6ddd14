//! The native layout.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use tipstaff::{Event, IdError, Scale, ScoreReading, Signal, Subject, TenantId};

use super::fault::{Fault, LineFault, cut};
use super::map::TimeFormat;
use super::raw::{Kind, Value};
use super::read;

const FIELDS: [&str; 10] =
    ["id", "time", "type", "subject", "payload", "caused_by", "score", "scale", "confidence", "attributes"];
const ACCEPTED: &str = "`id`, `time`, `subject`, `attributes` with `type`, `payload` and `caused_by`, or with `score`, `scale` and `confidence`";

type Object<'a> = BTreeMap<Cow<'a, str>, Value<'a>>;

pub(super) fn signal(line: &str, tenant: &TenantId) -> Result<Signal, Fault> {
    let value = Value::read(line)?;
    let object = object(value, "the line", &FIELDS, ACCEPTED)?;
    let id = need(&object, "id", "a text")?;
    let at = read::time(text(need(&object, "time", "a time in RFC 3339")?, "time")?, TimeFormat::Rfc3339)?;
    let subject = subject(need(&object, "subject", "a user's id, or an object with `user`")?)?;
    let attributes = object.get("attributes").map(|value| read::payload("attributes", *value)).transpose()?;
    let Some(score) = object.get("score") else {
        if let Some(name) = ["scale", "confidence"].into_iter().find(|name| object.contains_key(*name)) {
            let accepted = format!("a number, as there is `{name}`");
            return Err(LineFault::Missing { field: "score", accepted }.at(value.at()));
        }
        let source = need(&object, "type", "a text")?;
        let payload = read::payload("payload", need(&object, "payload", "an object")?)?;
        let (id, source) = (parsed("id", id)?, parsed("type", source)?);
        let event = Event {
            tenant: tenant.clone(),
            id,
            source,
            subject,
            at,
            payload,
            attributes,
            defaulted: [].into(),
            caused_by: object.get("caused_by").map(|value| parsed("caused_by", *value)).transpose()?,
        };
        return Ok(event.into());
    };
    for name in ["type", "payload", "caused_by"] {
        if let Some(value) = object.get(name) {
            return Err(LineFault::Mixed(name).at(value.at()));
        }
    }
    let scale = match object.get("scale") {
        Some(value) => parsed("scale", *value)?,
        None => Scale::standard().id().clone(),
    };
    let id = parsed("id", id)?;
    let mut reading = ScoreReading::new(tenant.clone(), id, scale, subject, at, read::score(*score)?);
    reading.confidence = object.get("confidence").map(|value| read::confidence(*value)).transpose()?;
    reading.attributes = attributes;
    Ok(reading.into())
}

/// An object without unknown or repeated fields; those that are null are left out.
fn object<'a>(
    value: Value<'a>,
    what: &str,
    names: &[&str],
    accepted: &'static str,
) -> Result<Object<'a>, Fault> {
    if value.kind() != Kind::Object {
        let found = value.kind().name();
        return Err(LineFault::Kind { field: what.to_owned(), found, accepted: "an object" }.at(value.at()));
    }
    let mut object = Object::new();
    for (name, member) in value.members()? {
        if !names.contains(&name.as_ref()) {
            return Err(LineFault::UnknownField { field: cut(&name), accepted }.at(member.at()));
        }
        if object.contains_key(&name) {
            return Err(LineFault::RepeatedField(name.into_owned()).at(member.at()));
        }
        object.insert(name, member);
    }
    object.retain(|_, member| member.kind() != Kind::Null);
    Ok(object)
}

fn need<'a>(object: &Object<'a>, field: &'static str, accepted: &str) -> Result<Value<'a>, Fault> {
    let missing = || LineFault::Missing { field, accepted: accepted.to_owned() }.whole();
    object.get(field).copied().ok_or_else(missing)
}

fn text<'a>(value: Value<'a>, field: &'static str) -> Result<Value<'a>, Fault> {
    if value.kind() == Kind::Text { Ok(value) } else { read::kind(field, value, "a text") }
}

fn parsed<T: FromStr<Err = IdError>>(field: &'static str, value: Value<'_>) -> Result<T, Fault> {
    let shown = text(value, field)?.shown()?;
    shown.parse().map_err(|error| LineFault::Id { field, error }.at(value.at()))
}

fn subject(value: Value<'_>) -> Result<Subject, Fault> {
    if value.kind() != Kind::Object {
        return Ok(Subject::user(parsed("subject", value)?));
    }
    let object = object(value, "`subject`", &["user", "session"], "`user`, `session`")?;
    let user = parsed("user", need(&object, "user", "a user's id")?)?;
    let session = object.get("session").map(|value| parsed("session", *value)).transpose()?;
    Ok(Subject { user, session })
}
