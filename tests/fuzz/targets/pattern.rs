//! Pattern text: one pattern a line. What is accepted reads back as it is written, and the
//! patterns find in events what the interpreter finds.
#![no_main]

#[path = "compare.rs"]
mod compare;

use libfuzzer_sys::fuzz_target;
use tipstaff::Pattern;

/// Events with a little of everything at short paths.
const EVENTS: &[&str] = &[
    "{}",
    r#"{"a":"x","b":1,"c":{"a":"xyz","b":[1,2.0,"y"]}}"#,
    r#"{"a":["x","xy",null,true],"b":[{"a":1},{"a":2,"b":"x"}],"c":{"a":[],"b":{}}}"#,
    r#"{"a":"10.0.0.1","b":-0.5e1,"c":[[{"a":"STRASSE"}],{"b":"straße"}]}"#,
    r#"{"a":"2001:db8::1","b":9007199254740993,"c.a":"ab","c":{"b":12345678901234567890.5}}"#,
    r#"{"a":{"x":1},"a":{"y":2},"b":"a*b","b":"\\","c":null}"#,
];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut patterns = Vec::new();
    for line in text.split('\n') {
        let Ok(pattern) = Pattern::parse(line) else { continue };
        let again = Pattern::parse(pattern.text()).expect("what it writes it reads");
        assert_eq!(again.text(), pattern.text());
        patterns.push(pattern);
    }
    if patterns.is_empty() {
        return;
    }
    let mut set = compare::Set::new(patterns);
    EVENTS.iter().for_each(|event| set.compare(event.as_bytes()));
    // The lines are events too: what is named in one pattern is there in another.
    text.split('\n').for_each(|line| set.compare(line.as_bytes()));
});
