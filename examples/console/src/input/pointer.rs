//! JSON pointers (RFC 6901) into lines.

use std::fmt;
use std::str::FromStr;

use super::fault::Fault;
use super::raw::{Kind, Members, Value};

/// The longest pointer, in steps; the library reads no deeper JSON.
const MAX_STEPS: usize = tipstaff::MAX_JSON_DEPTH;

/// A JSON pointer (RFC 6901): the empty text for the whole line, or `/` before each step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointer {
    steps: Vec<String>,
}

/// A text that is no JSON pointer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "no JSON pointer at offset {at}; accepted: the empty text, or `/` before each of at most 128 steps, `~0` for `~`, `~1` for `/`"
)]
pub struct PointerError {
    /// Bytes before the fault.
    pub at: usize,
}

impl FromStr for Pointer {
    type Err = PointerError;
    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self { steps: Vec::new() });
        }
        let rest = text.strip_prefix('/').ok_or(PointerError { at: 0 })?;
        let lone = |(at, _): &(usize, &str)| !matches!(text.as_bytes().get(at + 1), Some(b'0' | b'1'));
        if let Some((at, _)) = text.match_indices('~').find(lone) {
            return Err(PointerError { at });
        }
        // `~1` first: `~01` is a tilde and a one.
        let steps: Vec<_> = rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        if steps.len() > MAX_STEPS { Err(PointerError { at: text.len() }) } else { Ok(Self { steps }) }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

impl Pointer {
    /// The value there, if it is there and not null. Of a name that repeats, the first copy that
    /// leads to a value.
    pub(super) fn find<'a>(&self, line: &Document<'a>) -> Result<Option<Value<'a>>, Fault> {
        let Some((first, rest)) = self.steps.split_first() else { return Ok(Some(line.value)) };
        match &line.members {
            Some(members) => among(members, first, rest),
            None => step(line.value, &self.steps),
        }
    }
}

/// A line, its own members read once for all pointers.
pub(super) struct Document<'a> {
    pub(super) value: Value<'a>,
    members: Option<Members<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn read(line: &'a str) -> Result<Self, Fault> {
        let value = Value::read(line)?;
        let members = (value.kind() == Kind::Object).then(|| value.members()).transpose()?;
        Ok(Self { value, members })
    }
}

fn step<'a>(value: Value<'a>, steps: &[String]) -> Result<Option<Value<'a>>, Fault> {
    let Some((first, rest)) = steps.split_first() else {
        return Ok((value.kind() != Kind::Null).then_some(value));
    };
    match value.kind() {
        Kind::Object => among(&value.members()?, first, rest),
        Kind::Array => {
            let plain = first == "0" || !first.starts_with('0');
            let index = first.bytes().all(|b| b.is_ascii_digit()).then(|| first.parse::<usize>());
            match index {
                Some(Ok(index)) if plain => {
                    value.elements()?.get(index).map_or(Ok(None), |element| step(*element, rest))
                }
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

fn among<'a>(members: &Members<'a>, name: &str, rest: &[String]) -> Result<Option<Value<'a>>, Fault> {
    for (_, value) in members.iter().filter(|(found, _)| found == name) {
        if let Some(found) = step(*value, rest)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document and the pointers of RFC 6901, section 5.
    #[test]
    fn the_examples_of_the_rfc_hold() {
        let text =
            r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        let line = Document::read(text).unwrap();
        for (pointer, found) in [
            ("", text),
            ("/foo", r#"["bar","baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            let read: Pointer = pointer.parse().unwrap();
            assert_eq!(read.find(&line).unwrap().map(Value::text), Some(found), "{pointer}");
            assert_eq!(read.to_string(), pointer);
        }
        for absent in ["/foo/2", "/foo/-", "/foo/00", "/foo/+1", "/foo/0/x", "/nobody"] {
            assert!(absent.parse::<Pointer>().unwrap().find(&line).unwrap().is_none(), "{absent}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_its_place() {
        for (text, at) in [("foo", 0), ("/a~", 2), ("/a~2", 2), ("/~0~", 3)] {
            assert_eq!(text.parse::<Pointer>(), Err(PointerError { at }), "{text}");
        }
        assert!("/x".repeat(MAX_STEPS).parse::<Pointer>().is_ok());
        assert!("/x".repeat(MAX_STEPS + 1).parse::<Pointer>().is_err());
    }

    #[test]
    fn null_counts_as_absent_and_a_repeated_name_does_not_hide_a_value() {
        let line = Document::read(r#"{"a":null,"b":{"c":null},"b":{"c":1},"b":{"c":2}}"#).unwrap();
        let found = |pointer: &str| pointer.parse::<Pointer>().unwrap().find(&line).unwrap().map(Value::text);
        assert_eq!(found("/a"), None);
        assert_eq!(found("/b/c"), Some("1"));
    }
}
