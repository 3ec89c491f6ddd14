//! Five rules of one kind of operator on larger events, and sets that are hard on a matcher.

use std::fmt::Write as _;

use crate::workload::{Random, Workload, address};

/// The length of an event: a parcel of land with its outline, as such registers publish them.
const EVENT_BYTES: usize = 797;
const EVENTS: usize = 1_024;
const STREETS: usize = 300;

fn street(i: usize) -> String {
    const HEADS: [&str; 10] =
        ["ALDER", "BIRCH", "CEDAR", "DOGWOOD", "ELM", "FIR", "GUM", "HAZEL", "IRONWOOD", "JUNIPER"];
    format!("{} {}", HEADS[i % 10], i / 10)
}

fn coordinate(i: usize) -> String {
    format!("-122.42916{:08}", i * 37)
}

/// A parcel: its members stand in the order in which such registers write them.
fn parcel(i: usize, random: &mut Random) -> String {
    let (block, lot) = (random.below(7_000), random.below(200));
    let mut text = format!(
        "{{\"type\":\"Feature\",\"properties\":{{\"MAPBLKLOT\":\"{block:04}{lot:03}\",\"BLKLOT\":\"{block:04}{lot:03}\",\
         \"BLOCK_NUM\":\"{block:04}\",\"LOT_NUM\":\"{lot:03}\",\"FROM_ST\":\"{}\",\"TO_ST\":\"{}\",\"STREET\":\"{}\",\
         \"ST_TYPE\":\"{}\",\"ODD_EVEN\":\"{}\",\"AREA\":{}.{}}},\"geometry\":{{\"type\":\"Polygon\",\"coordinates\":[",
        random.below(3_000),
        random.below(3_000),
        street(random.below(STREETS)),
        ["ST", "AVE", "BLVD"][random.below(3)],
        ["E", "O"][i % 2],
        100 + random.below(900),
        random.below(100),
    );
    while text.len() < EVENT_BYTES - 120 {
        let _ = write!(
            text,
            "{{\"x\":{},\"y\":37.80{:012},\"z\":0}},",
            coordinate(random.below(500)),
            random.next() % 1_000_000_000_000
        );
    }
    text.pop();
    text += "]},\"note\":\"";
    let rest = EVENT_BYTES - text.len() - 2;
    text.extend("lorem ipsum ".chars().cycle().take(rest));
    text + "\"}"
}

fn property(name: &str, alternative: &str) -> String {
    format!("{{\"properties\":{{\"{name}\":[{alternative}]}}}}")
}

/// Each family with its five rules.
pub fn families() -> Vec<(&'static str, Workload)> {
    let five = |rule: fn(usize) -> String| (0..5).map(rule).collect::<Vec<_>>();
    let all = [
        ("exact", five(|i| property("MAPBLKLOT", &format!("\"{:04}{:03}\"", i * 31, i)))),
        ("wildcard", five(|i| property("MAPBLKLOT", &format!("{{\"wildcard\":\"{}*{}\"}}", i + 1, i * 2)))),
        ("prefix", five(|i| property("STREET", &format!("{{\"prefix\":\"{}\"}}", &street(i)[..2])))),
        (
            "numeric",
            five(|i| {
                property(
                    "AREA",
                    &format!("{{\"numeric\":[\">\",{}.5,\"<=\",{}]}}", 100 + i * 90, 150 + i * 90),
                )
            }),
        ),
        (
            "anything-but",
            five(|i| {
                property(
                    "STREET",
                    &format!("{{\"anything-but\":[\"{}\",\"{}\"]}}", street(i), street(i + 40)),
                )
            }),
        ),
        (
            "array",
            five(|i| {
                format!(
                    "{{\"geometry\":{{\"type\":[\"Polygon\"],\"coordinates\":{{\"x\":[{{\"numeric\":[\"=\",{}]}}],\"z\":[0]}}}}}}",
                    coordinate(i * 50)
                )
            }),
        ),
    ];
    let events = || {
        let mut random = Random(5);
        (0..EVENTS).map(|i| parcel(i, &mut random)).collect::<Vec<_>>()
    };
    all.into_iter()
        .map(|(name, patterns)| (name, Workload { patterns, events: events(), table: None }))
        .collect()
}

/// Sets of a thousand rules on one field that share no value to be filed under.
pub fn stress() -> Vec<(&'static str, Workload)> {
    const RULES: usize = 1_000;
    let mut random = Random(3);
    let letters = |random: &mut Random, count: usize| -> String {
        (0..count).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
    };
    let mut sets = Vec::new();
    let mut add = |name, field: &str, alternatives: Vec<String>, value: &mut dyn FnMut() -> String| {
        let patterns = alternatives.iter().map(|one| format!("{{\"{field}\":[{one}]}}")).collect();
        let events = (0..EVENTS)
            .map(|i| format!("{{\"id\":\"evt-{i:08}\",\"{field}\":{},\"note\":\"lorem ipsum\"}}", value()))
            .collect();
        sets.push((name, Workload { patterns, events, table: None }));
    };
    let wildcards = (0..RULES)
        .map(|_| format!("{{\"wildcard\":\"*{}*{}*\"}}", letters(&mut random, 2), letters(&mut random, 2)))
        .collect();
    let mut other = Random(4);
    add("wildcards `*x*y*`", "text", wildcards, &mut || format!("\"{}\"", letters(&mut other, 40)));
    let lists = (0..RULES)
        .map(|_| {
            let list: Vec<_> = (0..50).map(|_| format!("\"v{}\"", random.below(2_000))).collect();
            format!("{{\"anything-but\":[{}]}}", list.join(","))
        })
        .collect();
    add("anything-but, 50 values each", "text", lists, &mut || format!("\"v{}\"", other.below(2_000)));
    let networks = (0..RULES)
        .map(|_| {
            let bits = 9 + random.below(20) as u32;
            let base = 0x0a00_0000 | random.below(1 << 24) as u32 & !(u32::MAX >> bits);
            format!("{{\"cidr\":\"{}/{bits}\"}}", address(base))
        })
        .collect();
    add("overlapping networks", "ip", networks, &mut || {
        format!("\"{}\"", address(0x0a00_0000 | other.below(1 << 24) as u32))
    });
    let ranges = (0..RULES)
        .map(|_| {
            let low = random.below(100_000);
            format!("{{\"numeric\":[\">=\",{low},\"<\",{}]}}", low + 1 + random.below(20_000))
        })
        .collect();
    add("overlapping ranges", "size", ranges, &mut || other.below(120_000).to_string());
    sets
}
