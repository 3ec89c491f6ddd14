//! Scores of everybody: most keep their band, some move.

use crate::cast::{Moment, USERS, user};
use crate::json::Chance;

/// The scores of those who move: the person, and day, hour, score, confidence.
type Path = (usize, &'static [(i64, i64, &'static str, &'static str)]);

const PATHS: &[Path] = &[
    // Slowly down through every band, each time by a hair.
    (
        7,
        &[
            (2, 6, "80", "0.9"),
            (4, 6, "79.999999999999999999", "0.9"),
            (6, 6, "59.9999999999999999999", "0.95"),
            (9, 6, "39.99", "0.9"),
            (12, 6, "19.9999999999999999", "0.99"),
        ],
    ),
    // Down with what happens, and the worst band at last.
    (
        19,
        &[
            (2, 6, "78.25", ""),
            (9, 6, "71.5", ""),
            (10, 2, "38.125", "0.97"),
            (10, 8, "12.0625", "0.97"),
            (13, 6, "24.5", "0.8"),
        ],
    ),
    (
        22,
        &[(2, 6, "66", ""), (5, 6, "59.5", ""), (8, 6, "41.75", ""), (11, 6, "40", ""), (14, 6, "39.5", "")],
    ),
    // Up again.
    (
        31,
        &[
            (2, 6, "35.2", ""),
            (5, 6, "52.4", ""),
            (8, 6, "64.5", ""),
            (11, 6, "80.0", ""),
            (14, 6, "91.25", ""),
        ],
    ),
    // From the best band to the worst in one step; the scorer is not sure.
    (
        12,
        &[
            (2, 6, "93.5", "0.9"),
            (5, 2, "15.5", "0.4"),
            (5, 14, "47.75", "0.9"),
            (9, 6, "61.25", "0.9"),
            (13, 6, "83.125", "0.9"),
        ],
    ),
    (
        16,
        &[
            (2, 6, "62.5", ""),
            (6, 6, "58.75", ""),
            (10, 6, "44.5", ""),
            (13, 20, "21.375", "0.9"),
            (14, 6, "19.5", "0.9"),
        ],
    ),
    (
        27,
        &[
            (2, 6, "55.5", ""),
            (5, 6, "51.25", ""),
            (8, 6, "45.875", ""),
            (11, 6, "57", ""),
            (14, 6, "58.0625", ""),
        ],
    ),
    (
        36,
        &[
            (2, 6, "58.125", ""),
            (5, 6, "49.5", ""),
            (8, 6, "42", ""),
            (11, 6, "36.0", "0.85"),
            (14, 6, "55.5", ""),
        ],
    ),
];

pub(crate) fn lines(chance: &mut Chance) -> String {
    let mut scores = Vec::new();
    for n in 1..=USERS {
        match PATHS.iter().find(|(of, _)| *of == n) {
            Some((_, path)) => {
                for (i, (day, hour, score, confidence)) in path.iter().enumerate() {
                    scores.push((
                        Moment::on(*day, *hour, 5, n as i64),
                        n,
                        i,
                        (*score).to_owned(),
                        (*confidence).to_owned(),
                    ));
                }
            }
            None => {
                let base = 64 + chance.below(28);
                for (i, day) in [2, 5, 8, 11, 14].into_iter().enumerate() {
                    let score = format!("{}.{:02}", base - 3 + chance.below(7), chance.below(100));
                    let sure =
                        if chance.percent(30) { format!("0.{}", 6 + chance.below(4)) } else { String::new() };
                    scores.push((Moment::on(day, 6, 5, n as i64), n, i, score, sure));
                }
            }
        }
    }
    scores.sort();
    let mut text = String::new();
    for (at, n, i, score, sure) in scores {
        let sure = if sure.is_empty() { sure } else { format!(",\"confidence\":{sure}") };
        let id = format!("score-{}-{}", user(n), i + 1);
        text += &format!(
            "{{\"id\":\"{id}\",\"time\":\"{}\",\"subject\":\"{}\",\"score\":{score}{sure}}}\n",
            at.seconds(),
            user(n)
        );
    }
    // One that comes late, one beyond the scale, one that is no number.
    text += "{\"id\":\"score-u-1019-late\",\"time\":\"2026-03-10T02:30:00Z\",\"subject\":\"u-1019\",\"score\":70}\n";
    text += "{\"id\":\"score-u-1033-beyond\",\"time\":\"2026-03-14T07:00:00Z\",\"subject\":\"u-1033\",\"score\":104.2}\n";
    text += "{\"id\":\"score-u-1034-word\",\"time\":\"2026-03-14T07:00:00Z\",\"subject\":\"u-1034\",\"score\":\"low\"}\n";
    text
}
