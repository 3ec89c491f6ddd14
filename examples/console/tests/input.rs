//! Lines in, signals or typed faults out.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use proptest::prelude::*;
use tipstaff::{DefaultedField, Event, ScoreReading, Signal};
use tipstaff_console::input::{
    BadLine, Layout, LineFault, MAX_KEPT_BYTES, MAX_LINE_BYTES, Map, People, Reader, RejectFile,
};

fn read_as(text: impl AsRef<[u8]>, layout: Layout) -> Vec<Result<Signal, BadLine>> {
    Reader::new(text.as_ref(), "acme".parse().unwrap(), layout).collect()
}

fn native(text: impl AsRef<[u8]>) -> Result<Signal, BadLine> {
    let mut read = read_as(text, Layout::Native);
    assert_eq!(read.len(), 1);
    read.remove(0)
}

fn mapped(map: &str, line: &str) -> Result<Signal, BadLine> {
    let map: Map = map.parse().unwrap();
    let mut read = read_as(line, Layout::Mapped(Arc::new(map)));
    assert_eq!(read.len(), 1, "{line}");
    read.remove(0)
}

fn event(signal: Signal) -> Event {
    match signal {
        Signal::Event(event) => event,
        other => panic!("an event, not {other:?}"),
    }
}

fn score(signal: Signal) -> ScoreReading {
    match signal {
        Signal::Score(reading) => reading,
        other => panic!("a score, not {other:?}"),
    }
}

const SCORE: &str = r#"{"id":"s","time":"2026-03-02T09:00:00Z","subject":"u-1","score":#}"#;

#[test]
fn a_native_event_is_taken_as_it_stands() {
    let line = r#" {"id":"e-1","time":"2026-03-02T10:00:00+01:00","type":"okta","subject":{"user":"u-1","session":"s-9"},"payload":{ "n":9007199254740993, "n":1.0 },"attributes":{"privileged":true}} "#;
    let event = event(native(line).unwrap());
    assert_eq!((event.id.as_str(), event.source.as_str()), ("e-1", "okta"));
    assert_eq!(event.at.to_string(), "2026-03-02T09:00:00Z");
    assert_eq!(event.subject.session.unwrap().as_str(), "s-9");
    assert_eq!(event.payload.text(), r#"{ "n":9007199254740993, "n":1.0 }"#);
    assert_eq!(event.attributes.unwrap().text(), r#"{"privileged":true}"#);
    assert!(event.defaulted.is_empty());
}

#[test]
fn a_score_never_passes_through_a_double() {
    for (written, exact) in [
        ("62.5", "62.5"),
        ("\"62.50\"", "62.5"),
        ("59.99999999999999999999999999", "59.99999999999999999999999999"),
        ("9007199254740993", "9007199254740993"),
        ("1e2", "100"),
    ] {
        let reading = score(native(SCORE.replace('#', written)).unwrap());
        assert_eq!(reading.score.to_string(), exact);
        assert_eq!(reading.scale.as_str(), "default");
    }
    let line = SCORE.replace('#', r#"20,"scale":"risk","confidence":0.30000000000000000001"#);
    let reading = score(native(line).unwrap());
    assert_eq!(reading.scale.as_str(), "risk");
    assert_eq!(reading.confidence.unwrap().to_string(), "0.30000000000000000001");
}

#[test]
fn every_fault_has_its_kind_and_its_place() {
    let event = |change: (&str, &str)| {
        r#"{"id":"e","time":"2026-03-02T09:00:00Z","type":"okta","subject":"u-1","payload":{}}"#
            .replacen(change.0, change.1, 1)
    };
    // The line, the text at which the fault is (the line's end if there is none), what is said.
    let deep = format!("{}1{}}}", "{\"a\":".repeat(513), "}".repeat(513));
    let cases: Vec<(String, Option<&str>, &str)> = vec![
        ("oops".into(), Some("oops"), "no JSON: expected value"),
        (r#"{"id":"e" "#.into(), Some(""), "no JSON: EOF while parsing an object"),
        (r#"{"id":"e"} x"#.into(), Some("x"), "no JSON: trailing characters"),
        (event(("\"e\"", r#""\ud800""#)), Some(r#""\ud800"#), "no JSON: unexpected end of hex escape"),
        ("[1]".into(), Some("["), "the line is an array; accepted: an object"),
        (event(("\"payload\"", "\"pay\"")), Some("{}}"), "unknown field `pay`"),
        (event(("\"type\"", "\"id\"")), Some("\"okta"), "the field `id` stands twice"),
        (event(("\"id\":\"e\",", "")), None, "`id` is missing"),
        (event(("\"u-1\"", "null")), None, "`subject` is missing"),
        (event(("\"e\"", "\" e\"")), Some("\" e"), "`id`: signal id begins or ends with white space"),
        (event(("\"e\"", "17")), Some("17"), "`id` is a number; accepted: a text"),
        (event(("02T", "02 at ")), Some("\"2026"), "`time`: `2026-03-02 at 09:00:00Z` is no time"),
        (event(("\"u-1\"", r#"{"user":"u-1","sessoin":"s"}"#)), Some("\"s\"}"), "unknown field `sessoin`"),
        (event(("{}}", "[]}")), Some("[]"), "`payload` is an array; accepted: an object"),
        (event(("{}}", &format!("{{\"n\":{}}}}}", "9".repeat(1_200)))), Some("99"), "`payload`: the number"),
        (event(("{}}", &deep)), Some("{\"a\":1"), "nested deeper"),
        (SCORE.replace('#', "\"high\""), Some("\"high"), "`score`: no number"),
        (SCORE.replace('#', "true"), Some("true"), "`score` is a boolean"),
        (SCORE.replace('#', "1,\"confidence\":1.1"), Some("1.1"), "`confidence`: no confidence"),
        (SCORE.replace('#', "1,\"type\":\"okta\""), Some("\"okta"), "`type` beside `score`"),
        (
            SCORE.replace("score", "scale").replace('#', "\"x\""),
            Some("{"),
            "accepted: a number, as there is `scale`",
        ),
    ];
    for (line, place, said) in cases {
        let bad = native(&line).unwrap_err();
        assert!(bad.fault.to_string().contains(said), "{line}: {bad}");
        assert_eq!(&*bad.text, line.as_bytes());
        assert_eq!(bad.at.is_some(), place.is_some(), "{line}: {bad}");
        if let (Some(at), Some(place)) = (bad.at, place) {
            assert!(
                if place.is_empty() { at == line.len() } else { line[at..].starts_with(place) },
                "{line}: {bad}"
            );
        }
    }
    let bad = native(b"{\"id\":\"\xff\"}").unwrap_err();
    assert!(matches!((bad.fault, bad.at), (LineFault::NotUtf8, Some(7))));
}

#[test]
fn the_reader_goes_on_after_bad_lines_and_tells_their_places() {
    let good = SCORE.replace('#', "50");
    let text = format!("\u{feff}{good}\r\n\n  \r\noops\n{good}");
    let mut reader = Reader::new(text.as_bytes(), "acme".parse().unwrap(), Layout::Native);
    assert!(reader.next().unwrap().is_ok());
    assert_eq!((reader.line(), reader.offset()), (1, 3));
    let bad = reader.next().unwrap().unwrap_err();
    let place = 3 + good.len() as u64 + 2 + 1 + 4;
    assert_eq!((bad.line, bad.offset, bad.at), (4, place, Some(0)));
    assert_eq!(bad.to_string(), format!("line 4 (byte {place}), offset 0: no JSON: expected value"));
    assert!(reader.next().unwrap().is_ok());
    let refused = reader.refuse(&"the score lies outside the scale");
    assert_eq!((refused.line, refused.text), (5, good.into_bytes().into()));
    assert!(reader.next().is_none() && reader.next().is_none());
}

/// Bytes that are never all in memory: a line of one letter.
fn long_line(length: usize) -> impl BufRead {
    let line = io::repeat(b'x').take(length as u64);
    BufReader::with_capacity(4_096, line.chain(&b"\nnext\n"[..]))
}

#[test]
fn a_line_that_is_too_long_is_skipped_to_its_end() {
    for (length, too_long) in
        [(MAX_LINE_BYTES, false), (MAX_LINE_BYTES + 1, true), (3 * MAX_LINE_BYTES, true)]
    {
        let tenant = "acme".parse().unwrap();
        let mut reader = Reader::new(long_line(length), tenant, Layout::Native);
        let bad = reader.next().unwrap().unwrap_err();
        match bad.fault {
            LineFault::TooLong(bytes) => {
                assert!(too_long);
                assert_eq!((bytes, bad.text.len()), (length as u64, MAX_KEPT_BYTES));
            }
            LineFault::Syntax(_) => assert!(!too_long && bad.text.len() == length),
            other => panic!("{other}"),
        }
        let next = reader.next().unwrap().unwrap_err();
        assert_eq!((next.line, next.offset, &*next.text), (2, length as u64 + 1, &b"next"[..]));
        assert!(reader.next().is_none());
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn an_error_of_the_stream_is_told_once_and_ends_it() {
    let text = format!("{}\nhalf a li", SCORE.replace('#', "1"));
    let stream = BufReader::new(text.as_bytes().chain(Broken));
    let mut reader = Reader::new(stream, "acme".parse().unwrap(), Layout::Native);
    assert!(reader.next().unwrap().is_ok());
    let bad = reader.next().unwrap().unwrap_err();
    assert!(matches!(bad.fault, LineFault::Io(_)));
    assert_eq!((bad.line, &*bad.text), (2, &b"half a li"[..]));
    assert!(reader.next().is_none());
}

#[test]
fn rejected_lines_lose_nothing() {
    let mut file = RejectFile::new(Vec::new());
    for bad in read_as(b"{\"a\"}\n\"\xff\"\n", Layout::Native).into_iter().map(Result::unwrap_err) {
        file.write(&bad).unwrap();
    }
    let tenant = "acme".parse().unwrap();
    let long =
        Reader::new(long_line(MAX_LINE_BYTES + 7), tenant, Layout::Native).next().unwrap().unwrap_err();
    file.write(&long).unwrap();
    assert_eq!(file.count(), 3);
    let out = String::from_utf8(file.finish().unwrap()).unwrap();
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[0],
        serde_json::json!({"line": 1, "offset": 0, "at": 4, "fault": "no JSON: expected `:`", "text": "{\"a\"}"})
    );
    assert_eq!((&lines[1]["hex"], &lines[1]["text"]), (&"22ff22".into(), &"\"\u{fffd}\"".into()));
    assert_eq!(lines[2]["bytes"], MAX_LINE_BYTES + 7);
    assert_eq!(lines[2]["text"].as_str().unwrap().len(), MAX_KEPT_BYTES);
}

const MAP: &str = r#"{
    "type": {"from": ["/source"], "by_field": [{"has": "/eventVersion", "is": "cloudtrail"}, {"has": "/@timestamp", "is": "github"}], "default": "unknown"},
    "id": {"from": ["/id", "/n"], "default": "digest"},
    "time": {"from": ["/time"], "default": "epoch"},
    "subject": {"from": ["/who/name", "/who"], "session": ["/session"], "strip": ["@example.com"], "default": "unknown"},
    "score": {"from": ["/risk"]},
    "confidence": {"from": ["/sure"]},
    "by_type": {
        "github": {"time": {"from": ["/@timestamp"], "format": "epoch_millis"}, "payload": {"from": ["/event"]}},
        "scorer": {"scale": {"from": ["/scale"]}, "payload": {"from": [""]}}
    }
}"#;

#[test]
fn a_map_finds_fields_by_type_and_marks_what_it_filled_in() {
    let line = r#"{"source":"okta","id":"","n":17.0,"time":"2026-03-02T09:00:00Z","who":"u-1@example.com","session":8}"#;
    let read = event(mapped(MAP, line).unwrap());
    assert_eq!((read.source.as_str(), read.id.as_str()), ("okta", "17.0"));
    assert_eq!(read.subject.to_string(), "u-1 (session 8)");
    assert_eq!(read.payload.text(), line);
    assert!(read.defaulted.is_empty());

    let read =
        event(mapped(MAP, r#"{"@timestamp":1772442000123,"who":{"team":3},"event":{"a":1}}"#).unwrap());
    assert_eq!((read.source.as_str(), read.at.to_string().as_str()), ("github", "2026-03-02T09:00:00.123Z"));
    assert_eq!(read.subject.user.as_str(), r#"{"team":3}"#);
    assert_eq!(read.payload.text(), r#"{"a":1}"#);
    assert_eq!(read.defaulted, [DefaultedField::Id].into());

    let read = event(mapped(MAP, r#"{"session":"s"}"#).unwrap());
    assert_eq!(
        read.defaulted,
        [DefaultedField::Id, DefaultedField::Time, DefaultedField::Source, DefaultedField::Subject].into()
    );
    assert_eq!((read.at, read.subject.to_string().as_str()), (tipstaff::Time::EPOCH, "unknown"));
    // The first 32 digits of `sha256sum` of the line.
    assert_eq!(read.id.as_str(), "f5341d54142715565b78ed5270e44d2f");
    assert_eq!(read.id, event(mapped(MAP, "{\"session\":\"s\"}\r\n").unwrap()).id);
}

#[test]
fn a_mapped_line_with_a_score_is_a_score() {
    let line = r#"{"source":"scorer","scale":"insider","who":"u-1","risk":19.999,"sure":"0.8"}"#;
    let reading = score(mapped(MAP, line).unwrap());
    assert_eq!((reading.scale.as_str(), reading.score.to_string().as_str()), ("insider", "19.999"));
    assert_eq!(reading.confidence.unwrap().to_string(), "0.8");
    let reading = score(mapped(MAP, r#"{"source":"other","risk":"5"}"#).unwrap());
    assert_eq!(reading.scale.as_str(), "default");
    let bad = mapped(MAP, r#"{"source":"scorer","risk":5}"#).unwrap_err();
    assert!(bad.to_string().contains("`scale` is missing; accepted: a value at `/scale`"), "{bad}");
}

#[test]
fn a_value_that_cannot_be_used_is_no_reason_to_guess() {
    for (line, said) in [
        (r#"{"time":"yesterday"}"#, "`yesterday` is no time"),
        (r#"{"time":1772442000}"#, "`1772442000` is no time"),
        (r#"{"source":"github","@timestamp":"soon"}"#, "`soon` is no count of milliseconds since 1970"),
        (r#"{"source":"github","@timestamp":1e300}"#, "`1e300` is no count"),
        (r#"{"who":"@example.com"}"#, "`subject`: user id is empty"),
        (r#"{"source":"github"}"#, "`time` is missing; accepted: a value at `/@timestamp`"),
        (r#"{"source":"github","@timestamp":0}"#, "`payload` is missing; accepted: a value at `/event`"),
        (r#"{"source":"github","@timestamp":0,"event":"{}"}"#, "`payload` is a text; accepted: an object"),
        (r#"{"risk":[1]}"#, "`score` is an array"),
        ("17", "the line is a number"),
    ] {
        let bad = mapped(MAP, line).unwrap_err();
        assert!(bad.fault.to_string().contains(said), "{line}: {bad}");
    }
}

#[test]
fn every_fault_of_a_map_is_told_at_once() {
    let map = r#"{
        "type": {"is": "okta", "default": "x"},
        "id": {"from": ["/a~"], "default": "same"},
        "time": {"from": [], "format": "unix", "default": "now"},
        "subject": {"strip": "x"},
        "payload": {"form": [""]},
        "payload": {"from": ["/p"]},
        "score": {"from": "/score"},
        "colour": 1,
        "by_type": {" okta": {"type": {"is": "x"}, "id": 7, "time": {"default": " "}}, "b": {"subject": {"from": ["x"], "default": ""}}}
    }"#;
    let error = map.parse::<Map>().unwrap_err();
    let mut places: Vec<_> = error.problems.iter().map(|problem| problem.pointer.as_str()).collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            "",
            "/by_type/ okta",
            "/by_type/ okta",
            "/by_type/ okta/id",
            "/by_type/ okta/time/default",
            "/by_type/b/subject/default",
            "/by_type/b/subject/from/0",
            "/id/default",
            "/id/from/0",
            "/payload",
            "/score/from",
            "/subject",
            "/subject/strip",
            "/time/default",
            "/time/format",
            "/time/from",
            "/type",
        ],
        "{error}"
    );
    let missing = "{}".parse::<Map>().unwrap_err();
    assert_eq!(missing.problems.len(), 4, "{missing}");
    assert!("{".parse::<Map>().unwrap_err().to_string().contains("no JSON at offset 1"));
    assert!("[]".parse::<Map>().unwrap_err().to_string().contains("the map: an array; accepted: an object"));
}

#[test]
fn what_is_known_of_people_is_filled_in_but_never_over_the_line() {
    let people: People = r#"{"u-1": {"privileged": true}}"#.parse().unwrap();
    let lines = [
        SCORE.replace('#', "1"),
        SCORE.replace('#', r#"1,"attributes":{}"#),
        SCORE.replace("u-1", "u-2").replace('#', "1"),
    ];
    let text = lines.join("\n");
    let reader =
        Reader::new(text.as_bytes(), "acme".parse().unwrap(), Layout::Native).people(Arc::new(people));
    let known: Vec<_> =
        reader.map(|signal| signal.unwrap().attributes().map(|known| known.text().to_owned())).collect();
    assert_eq!(known, [Some(r#"{"privileged": true}"#.into()), Some("{}".into()), None]);
    for (bad, at) in [("[]", 0), (r#"{"u": 1}"#, 6), (r#"{"": {}}"#, 5), (r#"{"u":{},"u":{}}"#, 12)] {
        assert_eq!(bad.parse::<People>().unwrap_err().at, at, "{bad}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_every_line_is_answered(text in "[\\[\\]{}:,\"a-f0-9eE.+\\\\nu\n -]{0,80}") {
        let map: Map = MAP.parse().unwrap();
        let lines = text.lines().filter(|line| !line.trim_ascii().is_empty()).count();
        for layout in [Layout::Native, Layout::Mapped(Arc::new(map))] {
            prop_assert_eq!(read_as(&text, layout).len(), lines);
        }
    }

    #[test]
    fn a_map_reads_any_value_without_panic(value in "[\\[\\]{}:,\"a0-9eE.-]{0,12}") {
        for name in ["source", "id", "time", "who", "@timestamp", "risk", "sure", "session"] {
            let _ = mapped(MAP, &format!("{{\"{name}\":{value}}}"));
        }
    }

    #[test]
    fn random_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        for bad in read_as(&bytes, Layout::Native).into_iter().filter_map(Result::err) {
            let from = bad.offset as usize;
            prop_assert_eq!(&bytes[from..from + bad.text.len()], &*bad.text);
            prop_assert!(bad.at.is_none_or(|at| at <= bad.text.len()));
        }
    }
}
