//! The crontab vectors of other libraries' tests, judged as the example `crontab` judges them.
//!
//! They lie beside the repository in `../shared/data/open` (or where `TIPSTAFF_SHARED` says). Where
//! they are missing, only the sample in `tests/data` is judged.

#[path = "../../examples/crontab/judge.rs"]
mod judge;

use std::fs;
use std::path::PathBuf;

use judge::{Tally, Verdict, judge};

fn shared() -> PathBuf {
    #[allow(clippy::disallowed_methods, reason = "a test may be told where its data lie")]
    let told = std::env::var_os("TIPSTAFF_SHARED").map(PathBuf::from);
    told.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")))
}

/// Every case of a file with its verdict; nothing if the file is not there.
fn judged(file: &str) -> Vec<(String, Verdict)> {
    let path = shared().join("data/open").join(file);
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("left out: {file}, which is not beside the repository");
        return Vec::new();
    };
    text.lines().map(|line| (line.to_owned(), judge(line).unwrap())).collect()
}

fn tally(cases: &[(String, Verdict)]) -> Tally {
    let mut tally = Tally::default();
    for (case, verdict) in cases {
        tally.add(verdict);
        if let Verdict::Failed(why) = verdict {
            eprintln!("{why}\n    {case}");
        }
    }
    tally
}

#[test]
fn every_disagreement_with_the_vectors_is_by_design() {
    for file in ["cron_vectors.ndjson", "cron_invalid.ndjson"] {
        let cases = judged(file);
        let tally = tally(&cases);
        println!("{file}: {tally:?}");
        assert_eq!(tally.failed, 0, "{file}");
        // A tool that excused everything would fail here.
        let least = if file == "cron_vectors.ndjson" { 370 } else { 220 };
        assert!(cases.is_empty() || tally.passed >= least, "{file}: {tally:?}");
    }
}

#[test]
fn plain_lines_on_which_others_agree_pass_outright() {
    let cases = judged("cron_vectors.ndjson");
    let confirmed: Vec<_> = cases
        .iter()
        .filter(|(case, _)| case.contains(r#""plain5""#) && case.contains(r#""status": "confirmed""#))
        .collect();
    let passed = confirmed.iter().filter(|(_, verdict)| *verdict == Verdict::Passed).count();
    println!("{passed} of {} confirmed plain lines pass", confirmed.len());
    assert!(passed + 4 >= confirmed.len());
    let clock: Vec<_> = confirmed.iter().filter(|(case, _)| case.contains(r#""dst""#)).collect();
    println!("{} of them cross a clock change", clock.len());
    for (case, verdict) in clock {
        assert_eq!(*verdict, Verdict::Passed, "{case}");
    }
}

#[test]
fn the_judge_tells_the_verdicts_apart() {
    let sample = include_str!("../data/crontab_sample.ndjson");
    let verdicts: Vec<_> = sample.lines().map(|line| judge(line).unwrap()).collect();
    let by_design = |choice: &str| Verdict::ByDesign(choice.to_owned());
    let expected = [
        Verdict::Passed,
        Verdict::Passed,
        Verdict::Passed,
        Verdict::Passed,
        by_design("day fields are ANDed"),
        by_design("refused: L"),
        Verdict::Passed,
        by_design("a repeated value is refused"),
    ];
    assert_eq!(verdicts, expected);
    for wrong in [
        r#"{"expr": "0 9 * * *", "tz": "UTC", "start": "2026-03-01T00:00:00Z", "next": ["2026-03-01T09:01:00Z"]}"#,
        r#"{"expr": "0 9 * * *", "tz": "UTC", "start": "2026-03-01T00:00:00Z", "next": []}"#,
        r#"{"expr": "0 9 * *", "tz": "UTC", "start": "2026-03-01T00:00:00Z", "next": ["2026-03-01T09:00:00Z"]}"#,
        r#"{"expr": "0 9 * * *", "reason": "somebody's taste"}"#,
    ] {
        assert!(matches!(judge(wrong), Ok(Verdict::Failed(_))), "{wrong}");
    }
    assert!(judge("{}").is_err());
}
