//! Events of a GitHub organisation's audit log (GitHub: "Audit log events for your organization").

use crate::cast::{Exported, Moment, user};
use crate::json::{Chance, Json, object};

/// An event of a person's, or of nobody's, on a repository or on the organisation.
pub(crate) fn event(
    at: Moment,
    who: Option<usize>,
    action: &'static str,
    repo: Option<&str>,
    more: Vec<(&'static str, Json)>,
    chance: &mut Chance,
) -> Exported {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    let operation = match action.rsplit('.').next().unwrap_or_default() {
        "clone" | "download_zip" => "access",
        "create" | "add_member" => "create",
        "destroy" => "remove",
        _ => "modify",
    };
    let event = object! {
        "@timestamp": at.0,
        "_document_id": chance.text(22, LETTERS),
        "action": action,
        "actor": who.map(user),
        "actor_id": who.map(|n| 9_000_000 + n as i64),
        "created_at": at.0,
        "operation_type": operation,
        "org": "example-org",
        "org_id": 900_001_i64,
    };
    let repo = repo.map(|repo| ("repo", format!("example-org/{repo}").into()));
    let event = event.with(repo.into_iter().chain(more));
    // The export of this log lags behind the others by up to five minutes.
    Exported::new(at.later(chance.below(300) as i64), &event)
}
