//! Events of the Okta System Log (Okta: "System Log API", LogEvent object).

use crate::cast::{Exported, Moment, user};
use crate::json::{Chance, Json, object};

/// An event, and what is particular to it.
pub(crate) struct Entry {
    pub(crate) kind: &'static str,
    pub(crate) message: &'static str,
    pub(crate) severity: &'static str,
    /// The reason of a failure; none for a success.
    pub(crate) failure: Option<&'static str>,
    pub(crate) target: Option<(&'static str, String)>,
    pub(crate) address: String,
}

impl Entry {
    pub(crate) fn new(kind: &'static str, message: &'static str, address: impl Into<String>) -> Self {
        Self { kind, message, severity: "INFO", failure: None, target: None, address: address.into() }
    }

    pub(crate) fn target(self, kind: &'static str, name: impl Into<String>) -> Self {
        Self { target: Some((kind, name.into())), ..self }
    }
}

fn login(user: &str) -> String {
    format!("{user}@example.com")
}

/// An event of a person's, or of nobody's.
pub(crate) fn event(at: Moment, who: Option<usize>, entry: Entry, chance: &mut Chance) -> Exported {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let actor = match who {
        Some(n) => object! {
            "id": format!("00uexample{n:010}"),
            "type": "User",
            "alternateId": login(&user(n)),
            "displayName": user(n),
        },
        None => {
            object! {"id": "unknown", "type": "User", "alternateId": Json::Null, "displayName": Json::Null}
        }
    };
    let target = entry.target.map(|(kind, name)| {
        let id = if kind == "User" { login(&name) } else { name.to_lowercase() };
        object! {"id": format!("0oa{}", chance.text(17, LETTERS)), "type": kind, "alternateId": id, "displayName": name}
    });
    let event = object! {
        "actor": actor,
        "client": object! {
            "userAgent": object! {"rawUserAgent": "Mozilla/5.0 (X11; Linux x86_64)", "os": "Linux", "browser": "FIREFOX"},
            "zone": if entry.address.starts_with("203.0.113.") { "office" } else { "null" },
            "device": "Computer",
            "ipAddress": entry.address,
        },
        "authenticationContext": object! {
            "authenticationStep": 0_i64,
            "externalSessionId": format!("102{}", chance.text(22, LETTERS)),
        },
        "displayMessage": entry.message,
        "eventType": entry.kind,
        "outcome": object! {
            "result": if entry.failure.is_some() { "FAILURE" } else { "SUCCESS" },
            "reason": entry.failure,
        },
        "published": at.millis(),
        "severity": entry.severity,
        "debugContext": object! {"debugData": object! {"requestUri": "/api/v1/authn"}},
        "transaction": object! {"type": "WEB", "id": chance.text(27, LETTERS)},
        "uuid": chance.uuid(),
        "version": "0",
        "target": target.map(|target| Json::Array(vec![target])),
    };
    Exported::new(at.later(2), &event)
}
