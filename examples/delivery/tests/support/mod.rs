//! A job, and what a test asks of it.

use tipstaff::{ActionType, EnforcementId, Job, Origin, Params, Purpose, Subject, TriggerId, TriggerKind};
use tipstaff_delivery::Secret;

pub(crate) fn secret(n: u8) -> Secret {
    Secret::try_from(&[n; 32][..]).unwrap()
}

pub(crate) fn key(n: u32) -> EnforcementId {
    format!("enf_{n:08x}{:024x}", 0).parse().unwrap()
}

/// A webhook for that endpoint.
pub(crate) fn job(n: u32, endpoint: &str) -> Job {
    let action: ActionType = "send_webhook".parse().unwrap();
    Job {
        key: key(n),
        tenant: "acme".parse().unwrap(),
        purpose: Purpose::Action,
        channel: action.clone(),
        action,
        subject: Subject::user("u1".parse().unwrap()),
        params: Params::from([("endpoint".to_owned(), endpoint.into())]),
        attempt: 1,
        origin: Origin {
            trigger: format!("trg_{n:032x}").parse::<TriggerId>().unwrap(),
            kind: TriggerKind::Event,
            source: "okta".into(),
            signal: "evt-1".into(),
            at: "2026-03-01T09:00:00Z".parse().unwrap(),
            operator: Some("chief".parse().unwrap()),
            reason: Some("for nobody else to read".into()),
            cause: None,
            depth: 0,
        },
        holders: Vec::new(),
    }
}
