//! The files, whole.

use crate::cast::{self, Exported};
use crate::json::Chance;
use crate::{incidents, routine, scores};

/// Lines that no reader can take, each with the place where it stands.
const BAD: &[(usize, &[u8])] = &[
    (211, b"# export resumed after 00:00:41"),
    (640, br#"{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","userName":"u-1008"},"eventTime":"2026-03-04T12:1"#),
    (1_003, b"[]"),
    (1_004, br#"{"actor":{"alternateId":"u-1030@example.com"},"debugContext":{},"eventType":"user.session.start","published":"2026-03-06T25:61:00.000Z","uuid":"00000000-0000-4000-a000-000000000001"}"#),
    (1_555, b"{\"@timestamp\":1773158400000,\"_document_id\":\"latin1-line-0000000001\",\"action\":\"repo.rename\",\"actor\":\"u-1011\",\"repo\":\"example-org/caf\xe9\"}"),
    (2_090, br#"{"eventVersion":"1.11","eventName":"ListBuckets","userIdentity":{"userName":"u-1002"}}"#),
];

/// Each file's name and content.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("events.ndjson", events()),
        ("scores.ndjson", scores::lines(&mut Chance::new(20_260_316)).into_bytes()),
        ("people.json", cast::people().into_bytes()),
    ]
}

fn events() -> Vec<u8> {
    let mut chance = Chance::new(20_260_302);
    let mut lines = routine::lines(&mut chance);
    lines.extend(incidents::lines(&mut chance));
    // As they were exported; stable, so that the order is always the same.
    lines.sort_by_key(|exported| exported.at);
    again(&mut lines);
    for (at, line) in BAD {
        let at = (*at).min(lines.len());
        let when = lines[at - 1].at;
        lines.insert(at, Exported { at: when, line: line.to_vec() });
    }
    let mut content = Vec::new();
    for exported in lines {
        content.extend(exported.line);
        content.push(b'\n');
    }
    content
}

/// Some lines come a second time, as after a restart of an export; one comes with other content.
fn again(lines: &mut Vec<Exported>) {
    let found: Vec<usize> = (0..lines.len())
        .filter(|i| has(&lines[*i], "CreateAccessKey") || has(&lines[*i], "repo.access"))
        .collect();
    for i in found.iter().rev() {
        let Exported { at, line } = &lines[*i];
        let copy = Exported { at: *at, line: line.clone() };
        lines.insert(i + 1, copy);
    }
    if let Some(i) = lines.iter().rposition(|exported| has(exported, "CreateAccessKey")) {
        let text = String::from_utf8_lossy(&lines[i].line).replace("203.0.113.14", "198.51.100.14");
        lines[i].line = text.into_bytes();
    }
}

fn has(exported: &Exported, text: &str) -> bool {
    String::from_utf8_lossy(&exported.line).contains(text)
}
