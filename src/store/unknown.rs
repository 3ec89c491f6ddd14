//! What a record holds that this version does not know: members of a later version, which must
//! survive that this one writes the record.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

/// What one version wrote and another does not know, by its place.
///
/// A member is unknown if this version, having read the record, would not write it. It goes back
/// where it stood, into an object at the same path, unless this version has written a member of that
/// name meanwhile. An object that is no longer there takes its unknown members with it. In a list
/// places are no names: an element keeps what is unknown of it as long as the rest of it stays as it
/// was read, wherever it stands then.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unknown {
    /// A member, with all that is in it.
    Member(Value),
    /// Of an object: what is unknown in its members.
    Object(BTreeMap<String, Self>),
    /// Of a list: elements as this version writes them, and what is unknown in each.
    List(Vec<(Value, Self)>),
}

impl Unknown {
    /// What of a value that was read is not in the value that would be written.
    pub(super) fn of(read: &Value, written: &Value) -> Option<Self> {
        match (read, written) {
            (Value::Object(read), Value::Object(written)) => {
                let of_member = |(name, read): (&String, &Value)| {
                    let unknown = match written.get(name) {
                        None => Some(Self::Member(read.clone())),
                        Some(written) => Self::of(read, written),
                    };
                    unknown.map(|unknown| (name.clone(), unknown))
                };
                let members: BTreeMap<String, Self> = read.iter().filter_map(of_member).collect();
                (!members.is_empty()).then_some(Self::Object(members))
            }
            (Value::Array(read), Value::Array(written)) => {
                let pairs = read.iter().zip(written);
                let elements: Vec<(Value, Self)> = pairs
                    .filter_map(|(read, written)| Some((written.clone(), Self::of(read, written)?)))
                    .collect();
                (!elements.is_empty()).then_some(Self::List(elements))
            }
            _ => None,
        }
    }

    /// Puts it back into what is written now.
    pub(super) fn put_back(&self, into: &mut Value) {
        match (self, into) {
            (Self::Object(members), Value::Object(into)) => {
                for (name, unknown) in members {
                    match (into.get_mut(name), unknown) {
                        (None, Self::Member(value)) => drop(into.insert(name.clone(), value.clone())),
                        (Some(into), unknown) => unknown.put_back(into),
                        (None, _) => {}
                    }
                }
            }
            (Self::List(elements), Value::Array(into)) => {
                let mut free: Vec<&mut Value> = into.iter_mut().collect();
                for (element, unknown) in elements {
                    if let Some(place) = free.iter().position(|now| *now == element) {
                        unknown.put_back(free.swap_remove(place));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether a value is written as exactly this text: nothing in it is unknown then.
pub(super) fn is_written_as(value: &impl Serialize, text: &str) -> bool {
    let mut rest = Rest(text.as_bytes());
    serde_json::to_writer(&mut rest, value).is_ok() && rest.0.is_empty()
}

/// What of a text is still to be written.
struct Rest<'a>(&'a [u8]);

impl Write for Rest<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(written).ok_or(io::ErrorKind::InvalidData)?;
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_go_back_where_they_stood() {
        let read = json!({ "a": { "b": 1, "new": [1] }, "top": null, "gone": { "x": 1, "new": 2 } });
        let written = json!({ "a": { "b": 1 }, "gone": { "x": 1 } });
        let unknown = Unknown::of(&read, &written).unwrap();
        for (now, then) in [
            (written.clone(), read.clone()),
            (json!({ "a": { "b": 2, "c": 3 } }), json!({ "a": { "b": 2, "c": 3, "new": [1] }, "top": null })),
            // What this version writes wins, and what is no object any more takes nothing back.
            (json!({ "a": 7, "top": 8 }), json!({ "a": 7, "top": 8 })),
            (json!({ "a": { "new": 9 } }), json!({ "a": { "new": 9 }, "top": null })),
        ] {
            let mut into = now;
            unknown.put_back(&mut into);
            assert_eq!(into, then);
        }
        assert_eq!(Unknown::of(&written, &written), None);
    }

    #[test]
    fn elements_of_a_list_keep_theirs_while_they_stay_as_they_are() {
        let element = |n: u64| json!({ "n": n });
        let more = |n: u64, new: u64| json!({ "n": n, "new": new });
        let read = json!([more(1, 10), element(2), more(3, 30), more(1, 11)]);
        let written = json!([element(1), element(2), element(3), element(1)]);
        let unknown = Unknown::of(&read, &written).unwrap();
        let mut into = json!([element(0), element(1), element(4), element(1), element(2)]);
        unknown.put_back(&mut into);
        assert_eq!(into, json!([element(0), more(1, 10), element(4), more(1, 11), element(2)]));
    }

    #[test]
    fn a_text_is_compared_to_its_end() {
        let value = json!({ "a": [1, "b"] });
        assert!(is_written_as(&value, r#"{"a":[1,"b"]}"#));
        for other in [r#"{"a":[1,"b"]} "#, r#"{"a":[1,"b"]"#, r#"{"a":[1,"c"]}"#, ""] {
            assert!(!is_written_as(&value, other), "{other}");
        }
    }
}
