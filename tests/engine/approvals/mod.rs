//! Approvals as stories, and against a model of them that shares nothing with the library.

mod batch;
mod context;
mod glass;
mod judged;
mod kills;
mod model;
mod others;
mod stages;
mod voids;

use crate::support::{World, at, go};
use tipstaff::*;

/// An event that the rules of these stories lock for.
pub(crate) fn ask(world: &World, signal: &str, user: &str, now: Time) -> Approval {
    world.submit(world.event(signal, user, now, r#"{ "do": "lock" }"#), now);
    let mut requests = world.requests();
    requests.retain(|asked| asked.context.signal.as_ref().is_some_and(|s| s.id == signal));
    requests.remove(0)
}

/// A request as it is stored now.
pub(crate) fn again(world: &World, asked: &Approval) -> Approval {
    go(world.engine.approval_view(&world.tenant, asked.id, at(0))).approval
}

/// The notices that were delivered: kind, stage and recipient, in the order of their ids.
pub(crate) fn told(world: &World) -> Vec<String> {
    let text = |job: &Job, name: &str| job.params.get(name).map(ToString::to_string).unwrap_or_default();
    let mut told: Vec<String> = world
        .target
        .jobs("approval_notice")
        .iter()
        .map(|job| format!("{} {} {}", text(job, "kind"), &text(job, "stage")[..1], text(job, "recipient")))
        .collect();
    told.sort();
    told
}

/// What was delivered since these were.
#[track_caller]
pub(crate) fn told_since(world: &World, before: &[String], now: Time) -> Vec<String> {
    world.run(now);
    let mut all = told(world);
    for known in before {
        let place = all.iter().position(|line| line == known).unwrap();
        all.remove(place);
    }
    all
}
