//! Changed bands: what they would do, and doing it.

use std::path::Path;

use comfy_table::Cell;
use serde_json::json;
use tipstaff::{BandPreview, BandRun, RuleSet, Subject};

use super::args::{Apply, Bands};
use super::host::{Host, read, wait};
use super::{Failure, Output, show};

/// Previews a change, or applies it.
pub(super) fn run(host: &Host, command: &Bands) -> Result<Output, Failure> {
    match command {
        Bands::Preview { file } => preview(host, file),
        Bands::Apply(apply) => change(host, apply),
    }
}

fn preview(host: &Host, file: &Path) -> Result<Output, Failure> {
    let set = RuleSet::from_json(&read(file)?)?;
    let found = wait(host.engine.preview_bands(&host.tenant, &set, host.now))?;
    if host.json {
        return Ok(Output::json(&value(&found)));
    }
    if found.scales.is_empty() {
        return Ok(Output::ok("the bands of no scale change; `rules add` adds the document\n"));
    }
    let scales: Vec<_> = found.scales.iter().map(|id| format!("`{id}`")).collect();
    let mut text = format!("the bands of {} change\n", scales.join(", "));
    let mut moves = show::table(&["scale", "from", "to", "subjects", "such as"]);
    for (the, count) in &found.moves {
        let names: Vec<_> = count.sample.iter().map(Subject::to_string).collect();
        let more = if (names.len() as u64) < count.subjects { ", …" } else { "" };
        moves.add_row(vec![
            Cell::new(&the.scale),
            Cell::new(&the.from),
            Cell::new(&the.to),
            Cell::new(count.subjects),
            Cell::new(names.join(", ") + more),
        ]);
    }
    text.push_str(&format!("{moves}\n"));
    let mut actions =
        show::table(&["rule", "action", "made", "of them ask for approval", "in shadow", "held back"]);
    for ((rule, action), count) in &found.actions {
        actions.add_row(vec![
            Cell::new(rule),
            Cell::new(action),
            Cell::new(count.created),
            Cell::new(count.ask),
            Cell::new(count.shadow),
            Cell::new(count.suppressed),
        ]);
    }
    if !found.actions.is_empty() {
        text.push_str(&format!("{actions}\n"));
    }
    text.push_str(&format!(
        "{} of {} subjects move; {} requests for approval\n",
        found.moved, found.subjects, found.approvals
    ));
    if found.unreadable > 0 {
        text.push_str(&format!(
            "{} have a last score outside the new range: nothing is known of them on the scale until the next\n",
            found.unreadable
        ));
    }
    if found.damaged > 0 {
        text.push_str(&format!("{} records are damaged and stay as they are\n", found.damaged));
    }
    text.push_str(&format!(
        "nothing was changed; to do it: bands apply {} --digest {} --by WHO --reason WHY\n",
        file.display(),
        found.digest
    ));
    Ok(Output::ok(text))
}

fn value(found: &BandPreview) -> serde_json::Value {
    let moves = found.moves.iter().map(|(the, count)| {
        json!({ "scale": the.scale, "from": the.from, "to": the.to, "subjects": count.subjects, "sample": count.sample })
    });
    let actions = found.actions.iter().map(|((rule, action), count)| {
        json!({ "rule": rule, "action": action, "created": count.created, "ask": count.ask,
            "shadow": count.shadow, "suppressed": count.suppressed })
    });
    json!({
        "digest": found.digest, "scales": found.scales, "subjects": found.subjects, "moved": found.moved,
        "unreadable": found.unreadable, "damaged": found.damaged, "approvals": found.approvals,
        "moves": moves.collect::<Vec<_>>(), "actions": actions.collect::<Vec<_>>(),
    })
}

fn change(host: &Host, order: &Apply) -> Result<Output, Failure> {
    let set = RuleSet::from_json(&read(&order.file)?)?;
    let most = order.max_moves.unwrap_or(u64::MAX);
    let call =
        host.engine.apply_bands(&host.tenant, &set, order.digest, most, &order.by, &order.reason, host.now);
    let run: BandRun = wait(call)?;
    if host.json {
        return Ok(Output::json(&json!({ "change": run })));
    }
    let text = match run.done {
        true => format!("done: {} of {} subjects were moved\n", run.moved, run.visited),
        false => format!(
            "the bands are in force; `run` moves the subjects ({} visited so far, {} moved)\n",
            run.visited, run.moved
        ),
    };
    Ok(Output::ok(text))
}
