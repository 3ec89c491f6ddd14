//! Signals from foreign lines, as a map says.

use std::borrow::Cow;
use std::fmt::Write;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use tipstaff::{
    DefaultedField, Event, IdError, Payload, Scale, ScoreReading, Signal, Source, Subject, TenantId, Time,
};

use super::fault::{Fault, LineFault};
use super::map::{Fields, Map};
use super::pointer::{Document, Pointer};
use super::raw::{Kind, Value};
use super::read;

pub(super) fn signal(text: &str, map: &Map, tenant: &TenantId) -> Result<Signal, Fault> {
    let line = Document::read(text)?;
    if line.value.kind() != Kind::Object {
        let found = line.value.kind().name();
        let field = "the line".to_owned();
        return Err(LineFault::Kind { field, found, accepted: "an object" }.at(line.value.at()));
    }
    let mut defaulted = Vec::new();
    let mut fill = |field| defaulted.push(field);
    let (source, guessed) = source(&line, map)?;
    let fields = map.fields(&source);
    let tenant = tenant.clone();
    let id = match first_text(&line, &fields.id.from)? {
        Some((shown, at)) => parse("id", &shown, at)?,
        None if fields.id.digest => {
            fill(DefaultedField::Id);
            parse("id", &digest(text), 0)?
        }
        None => return Err(missing("id", &fields.id.from)),
    };
    let (at, guessed_time) = time(&line, fields)?;
    let (subject, guessed_subject) = subject(&line, fields)?;
    for (field, guessed) in [
        (DefaultedField::Time, guessed_time),
        (DefaultedField::Source, guessed),
        (DefaultedField::Subject, guessed_subject),
    ] {
        if guessed {
            fill(field);
        }
    }
    let defaulted = defaulted.into_iter().collect();
    let attributes =
        first(&line, &fields.attributes)?.map(|value| read::payload("attributes", value)).transpose()?;
    let Some(score) = first(&line, &fields.score)? else {
        let payload = payload(&line, fields)?;
        return Ok(Event {
            tenant,
            id,
            source,
            subject,
            at,
            payload,
            attributes,
            defaulted,
            caused_by: None,
        }
        .into());
    };
    let scale = match (first_text(&line, &fields.scale.from)?, &fields.scale.default) {
        (Some((shown, at)), _) => parse("scale", &shown, at)?,
        (None, Some(scale)) => scale.clone(),
        (None, None) if fields.scale.from.is_empty() => Scale::standard().id().clone(),
        (None, None) => return Err(missing("scale", &fields.scale.from)),
    };
    let mut reading = ScoreReading::new(tenant, id, scale, subject, at, read::score(score)?);
    reading.confidence = first(&line, &fields.confidence)?.map(read::confidence).transpose()?;
    reading.attributes = attributes;
    reading.defaulted = defaulted;
    Ok(reading.into())
}

/// The type, and whether it is the default.
fn source(line: &Document<'_>, map: &Map) -> Result<(Source, bool), Fault> {
    let field = &map.source;
    if let Some(source) = &field.is {
        return Ok((source.clone(), false));
    }
    if let Some((shown, at)) = first_text(line, &field.from)? {
        return Ok((parse("type", &shown, at)?, false));
    }
    for (mark, source) in &field.by_field {
        if mark.find(line)?.is_some() {
            return Ok((source.clone(), false));
        }
    }
    match &field.default {
        Some(source) => Ok((source.clone(), true)),
        None => {
            let marks = field.by_field.iter().map(|(mark, _)| mark);
            Err(missing("type", field.from.iter().chain(marks)))
        }
    }
}

fn time(line: &Document<'_>, fields: &Fields) -> Result<(Time, bool), Fault> {
    let field = &fields.time;
    match (first_shown(line, &field.from)?, field.default) {
        (Some((_, value)), _) => read::time(value, field.format).map(|at| (at, false)),
        (None, Some(at)) => Ok((at, true)),
        (None, None) => Err(missing("time", &field.from)),
    }
}

fn subject(line: &Document<'_>, fields: &Fields) -> Result<(Subject, bool), Fault> {
    let field = &fields.subject;
    let (user, guessed) = match (first_text(line, &field.from)?, &field.default) {
        (Some((shown, at)), _) => {
            let ending = field.strip.iter().find_map(|ending| shown.strip_suffix(ending.as_str()));
            (parse("subject", ending.unwrap_or(&shown), at)?, false)
        }
        (None, Some(user)) => (user.clone(), true),
        (None, None) => return Err(missing("subject", &field.from)),
    };
    let session = match first_text(line, &field.session)? {
        // A session without its user would be somebody else's.
        Some((shown, at)) if !guessed => Some(parse("session", &shown, at)?),
        _ => None,
    };
    Ok((Subject { user, session }, guessed))
}

fn payload(line: &Document<'_>, fields: &Fields) -> Result<Payload, Fault> {
    let value = match &fields.payload {
        None => line.value,
        Some(from) => first(line, from)?.ok_or_else(|| missing("payload", from))?,
    };
    read::payload("payload", value)
}

fn first<'a>(line: &Document<'a>, from: &[Pointer]) -> Result<Option<Value<'a>>, Fault> {
    for pointer in from {
        if let Some(value) = pointer.find(line)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The first value that is no empty text.
fn first_shown<'a>(
    line: &Document<'a>,
    from: &[Pointer],
) -> Result<Option<(Cow<'a, str>, Value<'a>)>, Fault> {
    for pointer in from {
        if let Some(value) = pointer.find(line)? {
            let shown = value.shown()?;
            if !shown.is_empty() {
                return Ok(Some((shown, value)));
            }
        }
    }
    Ok(None)
}

fn first_text<'a>(line: &Document<'a>, from: &[Pointer]) -> Result<Option<(Cow<'a, str>, usize)>, Fault> {
    Ok(first_shown(line, from)?.map(|(shown, value)| (shown, value.at())))
}

fn parse<T: FromStr<Err = IdError>>(field: &'static str, text: &str, at: usize) -> Result<T, Fault> {
    text.parse().map_err(|error| LineFault::Id { field, error }.at(at))
}

fn missing<'a>(field: &'static str, from: impl IntoIterator<Item = &'a Pointer>) -> Fault {
    let places: Vec<_> = from.into_iter().map(|pointer| format!("`{pointer}`")).collect();
    LineFault::Missing { field, accepted: format!("a value at {}", places.join(" or ")) }.whole()
}

/// The first 128 bits of the line's SHA-256 value, as 32 hexadecimal digits.
fn digest(line: &str) -> String {
    Sha256::digest(line.as_bytes()).iter().take(16).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text takes any text");
        hex
    })
}
