//! This store beside the reference. The server has a clock of its own, so the times that it puts in
//! are left out of the comparison, and leases are over at once or for hours.

use proptest::test_runner::TestRunner;
use tipstaff::{MemoryStore, Span, Time};
use tokio_postgres::Config;

use crate::model::{Own, Pair, agree, calls, cases};
use crate::support::at;
use crate::{Form, Fresh, administer};

/// The reference's clock stands on a day after this was written, before which the server's is not.
const TODAY: i64 = 1_795_305_600_000_000;
/// The decision time at which all that waits is ready.
const LATE: i64 = 4_102_444_800_000_000;

struct ServersClock;

impl Own for ServersClock {
    fn lease(&self, millis: u64) -> Span {
        if millis.is_multiple_of(2) { Span::ZERO } else { Span::hours(24) }
    }

    fn until(&self, micros: i64) -> Time {
        at(if micros < 20 { micros } else { LATE })
    }

    fn pass(&self, _: i64) {}

    fn plain(&self, answer: String) -> String {
        let mut plain = String::with_capacity(answer.len());
        for line in answer.lines() {
            // A hash covers the times; the chain is verified by itself.
            if !line.trim_start().starts_with("hash:") && !line.trim_start().starts_with("previous:") {
                plain.push_str(&without_clock(line));
                plain.push('\n');
            }
        }
        plain
    }
}

/// A line without the times that are of this century: the calls' own are of 1970 or of 2100.
fn without_clock(line: &str) -> String {
    let mut plain = line.to_owned();
    if let Ok(micros) = line.trim().trim_end_matches(',').parse::<i64>()
        && (1_000_000_000_000_000..LATE).contains(&micros)
    {
        return "now".to_owned();
    }
    while let Some(start) = plain.find("\"20").filter(|_| plain.contains("T")) {
        let text: String = plain[start + 1..].chars().take_while(|c| !matches!(c, '"' | '\\')).collect();
        let put = if text.parse::<Time>().is_ok() && !text.starts_with("2100") { "now" } else { "kept" };
        plain.replace_range(start + 1..start + 1 + text.len(), put);
    }
    plain
}

/// Tries sequences of calls, each on an empty store.
pub(crate) fn agrees(server: &Config, form: Form) -> Result<(), String> {
    let fresh = Fresh::new(server, form);
    let tables = ["records", "facets", "commits", "audit", "heads"]
        .map(|table| format!("{}.tipstaff_{table}", fresh.schema.name));
    let empty = format!("TRUNCATE {}", tables.join(", "));
    let run = TestRunner::new(cases(24)).run(&calls(), |calls| {
        administer(server, &empty);
        let model = MemoryStore::with_clock(|| at(TODAY));
        agree(Pair::new(fresh.store.clone(), model, ServersClock), calls)
    });
    run.map_err(|error| error.to_string())
}
