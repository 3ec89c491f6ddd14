//! From a document to an approval policy.

use super::super::document::Faults;
use super::super::item::{Item, Object};
use super::super::read::span;
use super::super::{ApprovalSetting, MAX_APPROVAL_WITHIN, MAX_NEED, MIN_DEADLINE};
use super::{ApprovalPolicy, ApprovalStage, Fallback, Quorum};
use crate::json::Value;
use crate::rule::RuleFault;

/// The fields of one stage.
const STAGE: &[&str] = &["groups", "rejections", "within", "fallback"];

pub(in crate::rule) fn setting(item: &Item<'_>, faults: &mut Faults) -> Option<ApprovalSetting> {
    match &item.node.value {
        Value::Text(text) if text == "none" => return Some(ApprovalSetting::None),
        Value::Text(text) if text == "required" => {
            return Some(ApprovalSetting::Required(ApprovalPolicy::default()));
        }
        _ => {}
    }
    const ACCEPTED: &str = "`\"none\"`, `\"required\"`, or an object with `groups` or `stages`";
    const FIELDS: &[&str] =
        &["groups", "rejections", "within", "fallback", "stages", "comment", "start_within"];
    const STAGED: &[&str] = &["stages", "comment", "start_within"];
    let staged =
        matches!(&item.node.value, Value::Object(members) if members.iter().any(|m| m.name == "stages"));
    let object = item.object(if staged { STAGED } else { FIELDS }, ACCEPTED, faults)?;
    let stages = match object.get("stages") {
        None => vec![stage(&object, faults)],
        Some(stages) => {
            let items = stages.items("an array of stages", faults).unwrap_or_default();
            // A policy does not tell that its only stage was written in a list.
            faults.note_places(&stages.pointer, (0..items.len()).collect());
            if items.is_empty() || items.len() > super::MAX_STAGES {
                let found = items.len();
                let count = RuleFault::Count { what: "stages", found, least: 1, most: super::MAX_STAGES };
                faults.add_at(&stages.pointer, stages.node.at, count);
            }
            let read = |item: &Item<'_>| {
                let object = item.object(STAGE, "a stage", faults);
                object.map_or_else(ApprovalStage::default, |object| stage(&object, faults))
            };
            items.iter().map(read).collect()
        }
    };
    let mut policy = ApprovalPolicy::of(stages);
    if let Some(item) = object.get("comment") {
        policy.comment = item.parsed(faults).unwrap_or(policy.comment);
    }
    if let Some(item) = object.get("start_within") {
        policy.start_within =
            span(&item, MIN_DEADLINE, MAX_APPROVAL_WITHIN, faults).unwrap_or(policy.start_within);
    }
    Some(ApprovalSetting::Required(policy))
}

fn stage(object: &Object<'_>, faults: &mut Faults) -> ApprovalStage {
    let mut stage = ApprovalStage { groups: quorums(object, faults), ..ApprovalStage::default() };
    if let Some(item) = object.get("rejections") {
        stage.rejections = need(&item, faults).unwrap_or(stage.rejections);
    }
    if let Some(item) = object.get("within") {
        stage.within = span(&item, MIN_DEADLINE, MAX_APPROVAL_WITHIN, faults).unwrap_or(stage.within);
    }
    stage.fallback = object.get("fallback").and_then(|item| fallback(&item, faults));
    stage
}

fn fallback(item: &Item<'_>, faults: &mut Faults) -> Option<Fallback> {
    let object = item.object(&["groups", "within"], "an object with `groups`", faults)?;
    object.need("groups", faults)?;
    let groups = quorums(&object, faults);
    let within = match object.get("within") {
        None => super::DEFAULT_APPROVAL_WITHIN,
        Some(item) => span(&item, MIN_DEADLINE, MAX_APPROVAL_WITHIN, faults)?,
    };
    Some(Fallback { groups, within })
}

fn quorums(object: &Object<'_>, faults: &mut Faults) -> Vec<Quorum> {
    let mut quorums = Vec::new();
    for group in object.get("groups").and_then(|g| g.items("an array of groups", faults)).unwrap_or_default()
    {
        let Some(quorum) = group.object(&["name", "need"], "a group", faults) else { continue };
        let name = quorum.need("name", faults).and_then(|name| name.parsed(faults));
        let need = quorum.get("need").map_or(Some(1), |n| need(&n, faults));
        if let (Some(name), Some(need)) = (name, need) {
            quorums.push(Quorum { name, need });
        }
    }
    quorums
}

fn need(item: &Item<'_>, faults: &mut Faults) -> Option<u32> {
    item.count(MAX_NEED, "a whole number from 1 to 20", faults)
}
