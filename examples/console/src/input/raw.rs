//! Values as they stand in the text of a line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fault::{Fault, LineFault};

/// A value of a line, as it was written; white space around it is no part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    text: &'a str,
    /// Where it begins in the line, in bytes.
    at: usize,
}

/// An object's members in the order of the text; names may repeat.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// What a value is, told by its first byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Null,
    Flag,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Flag => "a boolean",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

impl<'a> Value<'a> {
    /// Reads a line, which must be one value.
    pub(super) fn read(line: &'a str) -> Result<Self, Fault> {
        let raw: &RawValue = serde_json::from_str(line).map_err(|error| syntax(&error, line, 0))?;
        Ok(Self::within(raw, line, 0))
    }

    /// `raw` was borrowed from `whole`, which begins at `base`.
    fn within(raw: &'a RawValue, whole: &str, base: usize) -> Self {
        let at = (raw.get().as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        Self { text: raw.get(), at: base + at }
    }

    pub(super) const fn text(self) -> &'a str {
        self.text
    }

    pub(super) const fn at(self) -> usize {
        self.at
    }

    pub(super) fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Flag,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The members of an object.
    pub(super) fn members(self) -> Result<Members<'a>, Fault> {
        let read: RawMembers<'a> =
            serde_json::from_str(self.text).map_err(|error| syntax(&error, self.text, self.at))?;
        let place = |raw| Self::within(raw, self.text, self.at);
        Ok(read.0.into_iter().map(|(name, raw)| (name.0, place(raw))).collect())
    }

    /// The elements of an array.
    pub(super) fn elements(self) -> Result<Vec<Self>, Fault> {
        let read: Vec<&'a RawValue> =
            serde_json::from_str(self.text).map_err(|error| syntax(&error, self.text, self.at))?;
        Ok(read.into_iter().map(|raw| Self::within(raw, self.text, self.at)).collect())
    }

    /// What a text says; any other value as it is written.
    pub(super) fn shown(self) -> Result<Cow<'a, str>, Fault> {
        if self.kind() != Kind::Text {
            return Ok(Cow::Borrowed(self.text));
        }
        // Its form is known to be right; what is left is half of a surrogate pair, which is no text.
        let read: Name<'a> = serde_json::from_str(self.text)
            .map_err(|error| Fault { at: Some(self.at), ..syntax(&error, "", 0) })?;
        Ok(read.0)
    }
}

/// What serde_json says, without its place, and the place in the line.
fn syntax(error: &serde_json::Error, text: &str, base: usize) -> Fault {
    let said = error.to_string();
    let said = said.split_once(" at line ").map_or(said.as_str(), |(said, _)| said).to_owned();
    // A line has no line break inside but in white space of a lone `\r`, so the column counts its bytes.
    let within = if error.is_eof() { text.len() } else { error.column().saturating_sub(1).min(text.len()) };
    LineFault::Syntax(said).at(base + within)
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct RawMembers<'a>(Vec<(Name<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = RawMembers<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawMembers(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
