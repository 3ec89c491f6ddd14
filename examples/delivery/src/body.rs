//! What a webhook says: `type`, `timestamp` and `data`, as the specification recommends.

use serde::Serialize;
use tipstaff::{EnforcementId, Job, Params, RuleId, Subject, TenantId, Time, TriggerKind};

/// The same bytes for every attempt: what differs between attempts stands in the headers.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Time,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    key: EnforcementId,
    tenant: &'a TenantId,
    subject: &'a Subject,
    action: &'a str,
    params: &'a Params,
    trigger: Trigger<'a>,
    rules: Vec<&'a RuleId>,
}

#[derive(Serialize)]
struct Trigger<'a> {
    kind: TriggerKind,
    source: &'a str,
    signal: &'a str,
    at: Time,
}

/// The body of a job. What people wrote (an operator's reason, votes) stays here.
pub(crate) fn body(job: &Job) -> Result<Vec<u8>, serde_json::Error> {
    let Job { key, tenant, action, subject, params, origin, holders, .. } = job;
    serde_json::to_vec(&Body {
        kind: format!("enforcement.{action}"),
        timestamp: origin.at,
        data: Data {
            key: *key,
            tenant,
            subject,
            action: action.as_str(),
            params,
            trigger: Trigger {
                kind: origin.kind,
                source: &origin.source,
                signal: &origin.signal,
                at: origin.at,
            },
            rules: holders.iter().map(|holder| &holder.rule).collect(),
        },
    })
}
