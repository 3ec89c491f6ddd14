//! Reading a map's document: every fault at once, each with its place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use tipstaff::{Source, Time};

use super::super::fault::cut;
use super::super::pointer::Pointer;
use super::super::raw::{Kind, Value};
use super::{
    Fields, IdField, Map, MapError, MapFault, MapProblem, ScaleField, SourceField, SubjectField, TimeField,
    TimeFormat,
};

const OF_A_TYPE: &[&str] =
    &["id", "time", "subject", "payload", "attributes", "score", "scale", "confidence"];
const OF_A_MAP: &[&str] =
    &["type", "id", "time", "subject", "payload", "attributes", "score", "scale", "confidence", "by_type"];

pub(super) fn read(text: &str) -> Result<Map, MapError> {
    let mut faults = Faults(Vec::new());
    let map = match Value::read(text) {
        Ok(value) => map(&Item { value, pointer: String::new() }, &mut faults),
        Err(fault) => {
            faults.syntax("", &fault);
            None
        }
    };
    match map {
        Some(map) if faults.0.is_empty() => Ok(map),
        _ => Err(MapError { problems: faults.0 }),
    }
}

/// A value of the map and its pointer.
#[derive(Clone)]
struct Item<'a> {
    value: Value<'a>,
    pointer: String,
}

type Object<'a> = BTreeMap<Cow<'a, str>, Item<'a>>;

struct Faults(Vec<MapProblem>);

impl Faults {
    fn add(&mut self, pointer: impl Into<String>, fault: impl Into<MapFault>) {
        self.0.push(MapProblem { pointer: pointer.into(), fault: fault.into() });
    }

    fn syntax(&mut self, pointer: &str, fault: &super::super::fault::Fault) {
        let at = fault.at.unwrap_or_default();
        self.add(pointer, MapFault::Syntax { at, why: fault.fault.to_string() });
    }
}

fn map(root: &Item<'_>, faults: &mut Faults) -> Option<Map> {
    let object = root.object(faults)?;
    known(root, &object, OF_A_MAP, faults);
    for name in ["type", "id", "time", "subject"] {
        if !object.contains_key(name) {
            faults.add("", MapFault::MissingField(name));
        }
    }
    let source = object.get("type").map(|item| source(item, faults)).unwrap_or_default();
    let base = fields(&object, &Fields::default(), faults);
    let mut by_type = BTreeMap::new();
    let types = object.get("by_type").and_then(|item| item.object(faults));
    for (name, item) in types.unwrap_or_default() {
        let id = name.parse::<Source>().map_err(|error| faults.add(&item.pointer, error));
        let Some(object) = item.object(faults) else { continue };
        known(&item, &object, OF_A_TYPE, faults);
        let fields = fields(&object, &base, faults);
        if let Ok(id) = id {
            by_type.insert(id, fields);
        }
    }
    Some(Map { source, fields: base, by_type })
}

/// The fields as they are named here; the others as they are in general.
fn fields(object: &Object<'_>, base: &Fields, faults: &mut Faults) -> Fields {
    let mut fields = base.clone();
    if let Some(item) = object.get("id") {
        fields.id = id(item, faults);
    }
    if let Some(item) = object.get("time") {
        fields.time = time(item, faults);
    }
    if let Some(item) = object.get("subject") {
        fields.subject = subject(item, faults);
    }
    if let Some(item) = object.get("payload") {
        fields.payload = Some(plain(item, faults));
    }
    if let Some(item) = object.get("scale") {
        fields.scale = scale(item, faults);
    }
    for (name, field) in [
        ("attributes", &mut fields.attributes),
        ("score", &mut fields.score),
        ("confidence", &mut fields.confidence),
    ] {
        if let Some(item) = object.get(name) {
            *field = plain(item, faults);
        }
    }
    fields
}

fn source(item: &Item<'_>, faults: &mut Faults) -> SourceField {
    let Some(object) = item.field(faults) else { return SourceField::default() };
    known(item, &object, &["is", "from", "by_field", "default"], faults);
    let mut marks = Vec::new();
    let items = object.get("by_field").and_then(|item| item.items("a list of marks", faults));
    for mark in items.unwrap_or_default() {
        let Some(object) = mark.object(faults) else { continue };
        known(&mark, &object, &["has", "is"], faults);
        let has = need(&mark, &object, "has", faults).and_then(|item| item.parsed::<Pointer>(faults));
        let is = need(&mark, &object, "is", faults).and_then(|item| item.parsed::<Source>(faults));
        marks.extend(has.zip(is));
    }
    let field = SourceField {
        is: object.get("is").and_then(|item| item.parsed(faults)),
        from: pointers(object.get("from"), faults),
        by_field: marks,
        default: object.get("default").and_then(|item| item.parsed(faults)),
    };
    if object.contains_key("is") && object.len() > 1 {
        faults.add(&item.pointer, MapFault::IsAlone);
    }
    if object.is_empty() {
        faults.add(&item.pointer, MapFault::NoPlace("name `from`, `by_field`, `default` or `is`"));
    }
    field
}

fn id(item: &Item<'_>, faults: &mut Faults) -> IdField {
    let Some(object) = item.field(faults) else { return IdField::default() };
    known(item, &object, &["from", "default"], faults);
    place(item, &object, faults);
    let mut digest = false;
    if let Some(default) = object.get("default")
        && let Some(word) = default.text(faults)
    {
        digest = word == "digest";
        if !digest {
            // One constant for all lines would make them one event.
            faults.add(&default.pointer, MapFault::Word { found: cut(&word), accepted: "`digest`" });
        }
    }
    IdField { from: pointers(object.get("from"), faults), digest }
}

fn time(item: &Item<'_>, faults: &mut Faults) -> TimeField {
    let Some(object) = item.field(faults) else { return TimeField::default() };
    known(item, &object, &["from", "format", "default"], faults);
    place(item, &object, faults);
    let mut format = TimeFormat::default();
    if let Some(item) = object.get("format")
        && let Some(word) = item.text(faults)
    {
        match word.as_ref() {
            "rfc3339" => format = TimeFormat::Rfc3339,
            "utc" => format = TimeFormat::Utc,
            "epoch_seconds" => format = TimeFormat::EpochSeconds,
            "epoch_millis" => format = TimeFormat::EpochMillis,
            _ => {
                let accepted = "`rfc3339`, `utc`, `epoch_seconds`, `epoch_millis`";
                faults.add(&item.pointer, MapFault::Word { found: cut(&word), accepted });
            }
        }
    }
    let default = object.get("default").and_then(|item| match item.text(faults)?.as_ref() {
        "epoch" => Some(Time::EPOCH),
        _ => item.parsed(faults),
    });
    TimeField { from: pointers(object.get("from"), faults), format, default }
}

fn subject(item: &Item<'_>, faults: &mut Faults) -> SubjectField {
    let Some(object) = item.field(faults) else { return SubjectField::default() };
    known(item, &object, &["from", "session", "strip", "default"], faults);
    place(item, &object, faults);
    let strip = object.get("strip").and_then(|item| item.items("a list of endings", faults));
    SubjectField {
        from: pointers(object.get("from"), faults),
        session: pointers(object.get("session"), faults),
        strip: strip
            .unwrap_or_default()
            .iter()
            .filter_map(|item| item.text(faults))
            .map(Cow::into_owned)
            .collect(),
        default: object.get("default").and_then(|item| item.parsed(faults)),
    }
}

fn scale(item: &Item<'_>, faults: &mut Faults) -> ScaleField {
    let Some(object) = item.field(faults) else { return ScaleField::default() };
    known(item, &object, &["from", "default"], faults);
    place(item, &object, faults);
    ScaleField {
        from: pointers(object.get("from"), faults),
        default: object.get("default").and_then(|item| item.parsed(faults)),
    }
}

/// A field that has places and nothing else.
fn plain(item: &Item<'_>, faults: &mut Faults) -> Vec<Pointer> {
    let Some(object) = item.field(faults) else { return Vec::new() };
    known(item, &object, &["from"], faults);
    if !object.contains_key("from") {
        faults.add(&item.pointer, MapFault::MissingField("from"));
    }
    pointers(object.get("from"), faults)
}

/// A field needs a place or a default.
fn place(item: &Item<'_>, object: &Object<'_>, faults: &mut Faults) {
    if !object.contains_key("from") && !object.contains_key("default") {
        faults.add(&item.pointer, MapFault::NoPlace("name `from`, `default` or both"));
    }
}

fn pointers(item: Option<&Item<'_>>, faults: &mut Faults) -> Vec<Pointer> {
    let Some(item) = item else { return Vec::new() };
    let Some(items) = item.items("a list of JSON pointers", faults) else { return Vec::new() };
    if items.is_empty() {
        faults.add(&item.pointer, MapFault::NoPlace("name at least one JSON pointer"));
    }
    items.iter().filter_map(|item| item.parsed(faults)).collect()
}

fn need<'a>(
    item: &Item<'_>,
    object: &Object<'a>,
    name: &'static str,
    faults: &mut Faults,
) -> Option<Item<'a>> {
    let found = object.get(name).cloned();
    if found.is_none() {
        faults.add(&item.pointer, MapFault::MissingField(name));
    }
    found
}

fn known(item: &Item<'_>, object: &Object<'_>, names: &[&str], faults: &mut Faults) {
    for name in object.keys().filter(|name| !names.contains(&name.as_ref())) {
        let accepted = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        faults.add(&item.pointer, MapFault::UnknownField { field: cut(name), accepted });
    }
}

impl<'a> Item<'a> {
    fn wrong<T>(&self, accepted: &'static str, faults: &mut Faults) -> Option<T> {
        faults.add(&self.pointer, MapFault::Kind { found: self.value.kind().name(), accepted });
        None
    }

    fn below(&self, step: &str, value: Value<'a>) -> Self {
        let step = step.replace('~', "~0").replace('/', "~1");
        Self { value, pointer: format!("{}/{step}", self.pointer) }
    }

    fn object(&self, faults: &mut Faults) -> Option<Object<'a>> {
        if self.value.kind() != Kind::Object {
            return self.wrong("an object", faults);
        }
        let members = self.value.members().map_err(|fault| faults.syntax(&self.pointer, &fault)).ok()?;
        let mut object = Object::new();
        for (name, value) in members {
            let item = self.below(&name, value);
            if object.contains_key(&name) {
                faults.add(&item.pointer, MapFault::RepeatedField(cut(&name)));
            }
            object.insert(name, item);
        }
        Some(object)
    }

    /// The object of a field; a bare list of pointers is short for `{"from": …}`.
    fn field(&self, faults: &mut Faults) -> Option<Object<'a>> {
        match self.value.kind() {
            Kind::Array => Some(Object::from([(Cow::Borrowed("from"), self.clone())])),
            Kind::Object => self.object(faults),
            _ => self.wrong("a list of JSON pointers, or an object with `from`", faults),
        }
    }

    fn items(&self, accepted: &'static str, faults: &mut Faults) -> Option<Vec<Self>> {
        if self.value.kind() != Kind::Array {
            return self.wrong(accepted, faults);
        }
        let items = self.value.elements().map_err(|fault| faults.syntax(&self.pointer, &fault)).ok()?;
        Some(items.into_iter().enumerate().map(|(i, value)| self.below(&i.to_string(), value)).collect())
    }

    fn text(&self, faults: &mut Faults) -> Option<Cow<'a, str>> {
        if self.value.kind() != Kind::Text {
            return self.wrong("a text", faults);
        }
        self.value.shown().map_err(|fault| faults.syntax(&self.pointer, &fault)).ok()
    }

    fn parsed<T: FromStr<Err: Into<MapFault>>>(&self, faults: &mut Faults) -> Option<T> {
        let text = self.text(faults)?;
        text.parse().map_err(|error| faults.add(&self.pointer, error)).ok()
    }
}
