//! Subjects whom nothing, or not everything, may be done to: protected ones, and the last
//! administrators.

use super::{Suppressed, Suppression};
use crate::action::ActionSpec;
use crate::approval::is_one;
use crate::id::{Subject, UserId};
use crate::pattern::Payload;
use crate::rule::{Protected, Settings};
use crate::state::{Administrators, Away};

/// Why the subject is protected from such an action. `known` is what is known of the user, none where
/// nothing is.
pub(crate) fn protected(
    settings: &Settings,
    spec: &ActionSpec,
    subject: &Subject,
    known: Option<&Payload>,
) -> Option<Suppressed> {
    let named = |entry: &&Protected| {
        let is_named = entry.users.iter().any(|user| is_one(user.as_str(), subject.user.as_str()));
        let matches = |attributes| entry.attributes.as_ref().is_some_and(|p| p.matches(attributes));
        is_named || known.is_some_and(matches)
    };
    if let Some(entry) = settings.protected.iter().filter(|entry| entry.covers(spec)).find(named) {
        return Some(Suppressed { detail: entry.why.clone(), ..Suppressed::new(Suppression::Protected) });
    }
    // Whoever might be protected is, from what would hurt them.
    let unknown = known.is_none() && spec.restricts && settings.asks_attributes(spec);
    unknown.then(|| Suppressed::new(Suppression::AttributesUnknown))
}

/// What is known of a tenant's administrators.
#[derive(Clone, Copy)]
pub(crate) struct Keeping<'a> {
    pub(crate) settings: &'a Settings,
    /// Those of the host, or of the group that the settings name; none where nobody says.
    pub(crate) known: Option<&'a Administrators>,
    /// Those who are being taken away.
    pub(crate) away: &'a Away,
}

impl Keeping<'_> {
    /// Whether such an action takes the user away from the administrators, as far as is known.
    pub(crate) fn takes(&self, spec: &ActionSpec, user: &UserId) -> bool {
        let guard = self.settings.administrators.clone().unwrap_or_default();
        guard.keep > 0 && guard.covers(spec) && self.known.is_some_and(|known| known.have(user))
    }

    /// Why such an action must not be taken: too few administrators would remain, or nobody knows.
    pub(crate) fn held(&self, spec: &ActionSpec, user: &UserId) -> Option<Suppressed> {
        let asked = self.settings.administrators.as_ref();
        let guard = asked.cloned().unwrap_or_default();
        if guard.keep == 0 || !guard.covers(spec) {
            return None;
        }
        let unknown = |why: &str| Some(Suppressed::new(Suppression::AdministratorsUnknown).detail(why));
        let Some(known) = self.known else {
            return asked.and_then(|_| unknown("nobody says who the administrators are"));
        };
        if known.version < self.away.version {
            return unknown("the directory that was asked is behind what was seen before");
        }
        if !known.have(user) {
            return None;
        }
        let (remain, keep) = (known.remain(user, self.away), guard.keep);
        let detail = format!("{remain} usable administrator(s) would remain; {keep} must");
        let enough = u32::try_from(remain).unwrap_or(u32::MAX) >= keep;
        (!enough).then(|| Suppressed::new(Suppression::LastAdministrators).detail(detail))
    }
}
