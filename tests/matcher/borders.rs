//! The matcher reads several bytes at a time and guesses names by what came before: whatever stands
//! at the borders of such steps, and whatever was read before, its answer is the interpreter's.

use tipstaff::{Matcher, Pattern, Payload, PayloadFault, RuleIx, Scratch};

const PATTERNS: [&str; 6] = [
    r#"{"type":["a.b"],"actor":{"name":["Ann","Zo\u00eb","",{"suffix":"\""}]}}"#,
    r#"{"actor":{"name":[{"exists":true}]},"risk":[{"numeric":[">=",10,"<",20.5]}]}"#,
    r#"{"source":{"ip":[{"cidr":"10.0.0.0/8"}]}}"#,
    r#"{"tags":["x",{"prefix":"long"}]}"#,
    r#"{"risk":[12.5,null],"note":[{"anything-but":["-"]}]}"#,
    r#"{"a_name_as_long_as_20b":[{"exists":false}],"note":[{"exists":true}]}"#,
];

const EVENT: &str = r#"{"id":"7","type":"a.b","actor":{"age":3,"name":"Ann","at":"2026-11-21T09:00Z"},"risk":12.5,"source":{"port":1,"ip":"10.1.2.3"},"tags":["x",{}],"ok":true,"note":"longer than thirty-two bytes, and than two times sixteen"}"#;

struct Asked {
    patterns: Vec<Pattern>,
    matcher: Matcher,
    scratch: Scratch,
}

impl Asked {
    fn new() -> Self {
        let patterns: Vec<Pattern> =
            PATTERNS.iter().map(|text| text.parse().expect("a pattern of the list")).collect();
        let matcher = Matcher::new(patterns.iter().map(|pattern| ([""; 0], pattern.clone())));
        Self { patterns, matcher, scratch: Scratch::default() }
    }

    /// Compares the answers on one event; whether it was JSON.
    fn compare(&mut self, event: &[u8]) -> bool {
        let mut found = Vec::new();
        let answer = self.matcher.matches(None, event, &mut self.scratch, &mut found);
        let found: Vec<_> = found.into_iter().map(RuleIx::index).collect();
        let shown = || String::from_utf8_lossy(event).into_owned();
        let Ok(text) = std::str::from_utf8(event) else {
            assert!(answer.is_err() && found.is_empty(), "{}", shown());
            return false;
        };
        match Payload::new(text) {
            Ok(payload) => {
                assert_eq!((answer, found), (Ok(()), Pattern::matching(&self.patterns, &payload)), "{text}");
                true
            }
            Err(error) => {
                let expected = match error.fault() {
                    PayloadFault::Syntax(fault) => Err(fault.clone()),
                    _ => Ok(()),
                };
                assert_eq!(answer, expected, "{text}");
                expected.is_ok()
            }
        }
    }
}

#[test]
fn one_byte_more_less_or_other_after_an_event_of_the_same_shape() {
    let bytes = b"\"\\,:{}[] \n\x00\x1f\x7f\x80\xc3a0.-e";
    let mut asked = Asked::new();
    let mut read = [0, 0];
    for at in 0..=EVENT.len() {
        for kind in 0..3 {
            for byte in bytes {
                let mut event = EVENT.as_bytes().to_vec();
                match kind {
                    0 => event.insert(at, *byte),
                    _ if at == EVENT.len() => continue,
                    1 => event[at] = *byte,
                    _ => drop(event.remove(at)),
                }
                read[usize::from(asked.compare(&event))] += 1;
                if kind == 2 {
                    break;
                }
            }
        }
        // The names are expected as they stand there again.
        assert!(asked.compare(EVENT.as_bytes()));
    }
    assert!(read[0] > 4_000 && read[1] > 4_000, "{read:?}");
}

#[test]
fn what_ends_or_interrupts_a_string_at_every_place() {
    let parts: [&[u8]; 9] = [
        b"",
        b"\\\"",
        b"\\u00eb",
        b"\\",
        b"\x1f",
        "\u{e9}".as_bytes(),
        b"\xc3",
        b"\xed\xa0\x80",
        b"\\ud83d\\ude00",
    ];
    let mut asked = Asked::new();
    let mut read = [0, 0];
    for length in 0..150 {
        for part in parts {
            for path in ["actor\":{\"name", "tags", "unnamed", "source\":{\"ip"] {
                for behind in [&b""[..], &b"b"[..]] {
                    let (text, closed) = (vec![b'l'; length], path.contains('{'));
                    let mut event = [b"{\"", path.as_bytes(), b"\":\"", &text, part, behind, b"\""].concat();
                    event.extend_from_slice(if closed { b"}}" } else { b"}" });
                    read[usize::from(asked.compare(&event))] += 1;
                }
            }
        }
    }
    assert!(read[0] > 2_000 && read[1] > 2_000, "{read:?}");
}

#[test]
fn names_of_every_length_in_changing_order_and_space() {
    let mut asked = Asked::new();
    let names: Vec<String> =
        (1..30).map(|length| "a_name_as_long_as_20bytes_or_more"[..length].to_owned()).collect();
    let spaces = ["", " ", "\n\t", "                         "];
    for turn in 0..400_usize {
        let space = spaces[turn / 7 % spaces.len()];
        let mut members: Vec<String> = (0..9)
            .map(|i| {
                format!("{space}\"{}\"{space}:{space}{i}", names[(i * (turn % 5 + 1) + turn) % names.len()])
            })
            .collect();
        members.push(format!("{space}\"note\":\"{turn}\""));
        assert!(asked.compare(format!("{{{}{space}}}", members.join(",")).as_bytes()));
        // What was learnt behind a comma is no beginning, and the other way round.
        assert!(!asked.compare(format!("{{,{}}}", members.join(",")).as_bytes()));
        assert!(!asked.compare(format!("{{{}}}", members.join(" ")).as_bytes()));
        assert!(!asked.compare(format!("{{{},}}", members.join(",")).as_bytes()));
    }
}

/// Fifty members of their own, then some that patterns name.
fn crowd(from: usize) -> String {
    let members: Vec<String> = (from * 50..(from + 1) * 50).map(|i| format!("\"n{i}\":1")).collect();
    format!("{{{},\"type\":\"a.b\",\"note\":\"\"}}", members.join(","))
}

#[test]
fn more_names_than_are_kept() {
    let mut asked = Asked::new();
    for from in 0..40 {
        assert!(asked.compare(crowd(from).as_bytes()));
        assert!(asked.compare(EVENT.as_bytes()));
    }
}

#[test]
fn one_scratch_for_matchers_that_come_and_go() {
    let mut asked = Asked::new();
    for from in 0..40 {
        // The name that this one asks for is none of the other's, and of the one before it.
        let pattern = format!(r#"{{"n{}":[1],"type":["a.b"]}}"#, from * 50 + 1);
        let other = Matcher::new([([""; 0], pattern.parse().expect("a pattern"))]);
        for event in [from, from + 1, from] {
            let mut found = Vec::new();
            other.matches(None, crowd(event).as_bytes(), &mut asked.scratch, &mut found).expect("JSON");
            assert_eq!(found.len(), usize::from(event == from));
        }
        assert!(asked.compare(crowd(from).as_bytes()));
        assert!(asked.compare(EVENT.as_bytes()));
    }
}
