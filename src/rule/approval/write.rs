//! An approval policy back as the document that says it.

use super::super::ApprovalSetting;
use super::super::write::{array, object, text};
use super::{ApprovalPolicy, ApprovalStage, CommentRule, Fallback, Quorum};

pub(in crate::rule) fn setting(setting: &ApprovalSetting) -> Option<String> {
    match setting {
        ApprovalSetting::TypeDefault => None,
        ApprovalSetting::None => Some(text("none")),
        ApprovalSetting::Required(policy) => Some(policy_text(policy)),
    }
}

fn policy_text(policy: &ApprovalPolicy) -> String {
    let mut members = match policy.then.as_slice() {
        [] => policy.stages().next().map_or_else(Vec::new, |stage| stage_members(&stage).to_vec()),
        _ => vec![("stages", Some(array(policy.stages().map(|stage| object(stage_members(&stage))))))],
    };
    let comment = (policy.comment != CommentRule::Optional).then(|| text(policy.comment));
    members.extend([("comment", comment), ("start_within", Some(text(policy.start_within)))]);
    object(members)
}

fn stage_members(stage: &ApprovalStage) -> [(&'static str, Option<String>); 4] {
    [
        ("groups", (!stage.groups.is_empty()).then(|| quorums(&stage.groups))),
        ("rejections", Some(stage.rejections.to_string())),
        ("within", Some(text(stage.within))),
        ("fallback", stage.fallback.as_ref().map(fallback)),
    ]
}

fn fallback(fallback: &Fallback) -> String {
    object([("groups", Some(quorums(&fallback.groups))), ("within", Some(text(fallback.within)))])
}

fn quorums(quorums: &[Quorum]) -> String {
    array(
        quorums.iter().map(|quorum| {
            object([("name", Some(text(&quorum.name))), ("need", Some(quorum.need.to_string()))])
        }),
    )
}
