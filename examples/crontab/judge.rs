//! Holds crontab lines with known answers against the library: every difference is either computed
//! to be a difference by design, or it is a failure.

use std::collections::BTreeMap;

use serde_json::Value;
use tipstaff::{CronFault, CronReading, Time, Timetable, Zone};

/// What became of one case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// The library gives the answer that is expected.
    Passed,
    /// It does not, and the named choice accounts for that.
    ByDesign(String),
    /// It does not; why.
    Failed(String),
}

/// The verdicts of one run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// The cases that differ by design, per choice.
    pub(crate) by_design: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts a verdict.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::ByDesign(choice) => *self.by_design.entry(choice.clone()).or_default() += 1,
        }
    }
}

/// Judges one line of a data file: `{"expr","tz","start","inclusive","next"}`, or `{"expr","reason"}`
/// for an expression that is to be refused.
///
/// # Errors
/// What makes the line no case at all.
pub(crate) fn judge(line: &str) -> Result<Verdict, String> {
    let case: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let text = |name: &str| case[name].as_str().ok_or(format!("no text `{name}`"));
    let expr = text("expr")?;
    let Some(next) = case["next"].as_array() else {
        text("reason")?;
        return Ok(to_be_refused(expr));
    };
    let zone: Zone = text("tz")?.parse().map_err(|e| format!("{e}"))?;
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Time>().ok());
    let start = time(&case["start"]).ok_or("no time `start`")?;
    let inclusive = case["inclusive"].as_bool().unwrap_or(false);
    let next = next.iter().map(time).collect::<Option<Vec<_>>>().ok_or("no list of times `next`")?;
    Ok(to_come(&Case { expr, zone, start, inclusive, next }))
}

struct Case<'a> {
    expr: &'a str,
    zone: Zone,
    start: Time,
    /// A start that matches counts.
    inclusive: bool,
    next: Vec<Time>,
}

impl Case<'_> {
    /// As many occurrences as the case tells, and one where it says that there is none.
    fn ask(&self, table: &Timetable) -> Vec<Time> {
        let instant_before = Time::from_micros(self.start.micros() - 1);
        let after = if self.inclusive { instant_before } else { self.start };
        table.next(after, self.next.len().max(1)).iter().map(|run| run.at).collect()
    }
}

fn to_be_refused(expr: &str) -> Verdict {
    let Ok(ours) = Timetable::new(expr, Zone::UTC) else {
        return Verdict::Passed;
    };
    let refuses = |reading: &CronReading| Timetable::read_as(expr, Zone::UTC, *reading).is_err();
    match CronReading::OTHERS.into_iter().find(refuses) {
        Some(reading) => Verdict::ByDesign(reading.to_string()),
        None => Verdict::Failed(format!("accepted: {}", ours.describe())),
    }
}

fn to_come(case: &Case<'_>) -> Verdict {
    let ours = match Timetable::new(case.expr, case.zone) {
        Ok(table) => case.ask(&table),
        // A date that does not exist never comes.
        Err(error) if error.fault == CronFault::Impossible && case.next.is_empty() => return Verdict::Passed,
        Err(error) => {
            return match refused_by_name(&error.fault) {
                Some(name) => Verdict::ByDesign(format!("refused: {name}")),
                None => other_reading(case).unwrap_or_else(|| Verdict::Failed(format!("refused: {error}"))),
            };
        }
    };
    if ours == case.next {
        return Verdict::Passed;
    }
    if !case.inclusive && case.next.first() == Some(&case.start) {
        return Verdict::ByDesign("the case begins at its own exclusive start".to_owned());
    }
    other_reading(case).unwrap_or_else(|| {
        let ours: Vec<_> = ours.iter().map(ToString::to_string).collect();
        Verdict::Failed(format!("ours is {}", ours.join(", ")))
    })
}

/// The one other reading that gives exactly the expected answer.
fn other_reading(case: &Case<'_>) -> Option<Verdict> {
    let reproduces = |reading: &CronReading| match Timetable::read_as(case.expr, case.zone, *reading) {
        Ok(table) => case.ask(&table) == case.next,
        Err(error) => error.fault == CronFault::Impossible && case.next.is_empty(),
    };
    let reading = CronReading::OTHERS.into_iter().find(reproduces)?;
    Some(Verdict::ByDesign(reading.to_string()))
}

/// The syntax of other dialects that is refused by name.
fn refused_by_name(fault: &CronFault) -> Option<String> {
    Some(match fault {
        CronFault::SecondsOrYear(_) => "a seconds or year field".to_owned(),
        CronFault::Extension(sign) => format!("{sign}"),
        CronFault::SingleStep(_) => "n/step".to_owned(),
        CronFault::FullName(_) => "a full name".to_owned(),
        CronFault::Sign('+') => "+".to_owned(),
        CronFault::WrappedRange(_) => "a wrapped range other than weekdays".to_owned(),
        CronFault::UnknownMacro => "a macro that we lack".to_owned(),
        _ => return None,
    })
}
