//! Whom a tenant's rules may not touch: people by name or by attribute, and the last administrators.
//!
//! ```
//! use tipstaff::RuleSet;
//! let rules = RuleSet::from_json(r#"{
//!   "approvers": { "groups": { "admins": ["ada", "bo", "cy"] } },
//!   "protected": [
//!     { "users": ["ceo"], "why": "the board decides" },
//!     { "attributes": { "account": ["break_glass"] }, "types": ["lock_account"] } ],
//!   "administrators": { "group": "admins", "keep": 2 },
//!   "rules": [] }"#)?;
//! assert_eq!(rules.settings().protected.len(), 2);
//! # Ok::<(), tipstaff::DocumentError>(())
//! ```

use std::collections::BTreeSet;

use super::document::{Faults, RuleFault, below};
use super::item::{Item, Object};
use super::times::ActionScope;
use super::write::{array, object, text};
use super::{MAX_MEMBERS, MAX_TITLE_BYTES, Settings, check, read};
use crate::action::{ActionCatalog, ActionSpec, BuiltinAction};
use crate::id::{GroupId, UserId};
use crate::pattern::Pattern;

/// The most entries of protected subjects. Our decision.
pub const MAX_PROTECTED: usize = 100;
/// The most administrators that a tenant may want to keep. Our decision.
pub const MAX_KEPT: u32 = 1_000;

/// People who are protected from actions: those named, and those whose attributes match. A session is
/// protected as its user is. Whoever's attributes are not known is held to be protected by a pattern,
/// from what restricts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Protected {
    /// These users; at most [`MAX_MEMBERS`](super::MAX_MEMBERS).
    pub users: BTreeSet<UserId>,
    /// Those whose attributes match.
    pub attributes: Option<Pattern>,
    /// From which actions; where it names none, from all that restrict.
    pub from: ActionScope,
    /// Why.
    pub why: Option<String>,
}

impl Protected {
    /// Whether it protects from actions of that type.
    #[must_use]
    pub fn covers(&self, spec: &ActionSpec) -> bool {
        if self.from.is_empty() { spec.restricts } else { self.from.names(spec) }
    }
}

/// How many usable administrators must remain, whatever rules and people order. Who they are is the
/// host's word ([`People::administrators`](crate::People::administrators)), or else a group's members.
/// Where nobody says so, whatever could take one away is held back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeepAdministrators {
    /// The group of the administrators, where the host does not name them itself.
    pub group: Option<GroupId>,
    /// How many must remain: 0, which switches the guard off, to [`MAX_KEPT`].
    pub keep: u32,
    /// Which actions take an administrator away. Where it names none: those that restrict, without
    /// the ones that only end sessions or ask for another factor.
    pub by: ActionScope,
}

impl Default for KeepAdministrators {
    /// One remains, of those whom the host names.
    fn default() -> Self {
        Self { group: None, keep: 1, by: ActionScope::default() }
    }
}

impl KeepAdministrators {
    /// Whether an action of that type takes an administrator away.
    #[must_use]
    pub fn covers(&self, spec: &ActionSpec) -> bool {
        if !self.by.is_empty() {
            return self.by.names(spec);
        }
        let harmless = [BuiltinAction::RevokeSessions, BuiltinAction::RequireStepUpMfa];
        spec.restricts && !harmless.iter().any(|builtin| builtin.as_str() == spec.name.as_str())
    }
}

impl Settings {
    /// How many administrators must remain, and whom the guard asks.
    #[must_use]
    pub fn administrators(&self) -> KeepAdministrators {
        self.administrators.clone().unwrap_or_default()
    }

    /// Whether the attributes of a subject decide whether an action of that type may be taken.
    pub(crate) fn asks_attributes(&self, spec: &ActionSpec) -> bool {
        self.protected.iter().any(|entry| entry.attributes.is_some() && entry.covers(spec))
    }
}

/// Reads what the settings say of protected people.
pub(super) fn read_all(object: &Object<'_>, settings: &mut Settings, faults: &mut Faults) {
    settings.protected = object.each("protected", "an array", faults, read_entry);
    settings.administrators = object.get("administrators").and_then(|item| read_keep(&item, faults));
}

fn read_entry(item: &Item<'_>, faults: &mut Faults) -> Option<Protected> {
    const FIELDS: &[&str] = &["users", "attributes", "categories", "types", "why"];
    let object = item.object(FIELDS, "an object with `users`, `attributes` or both", faults)?;
    let users = object.each("users", "an array of users", faults, Item::parsed);
    let attributes = object.get("attributes").map(|item| read::pattern(&item, faults));
    let why = object.get("why").and_then(|why| why.text(faults)).map(str::to_owned);
    let from = ActionScope::read(&object, faults);
    // A pattern that could not be read is not taken for none.
    let attributes = match attributes {
        None => None,
        Some(pattern) => Some(pattern?),
    };
    Some(Protected { users, attributes, from, why })
}

fn read_keep(item: &Item<'_>, faults: &mut Faults) -> Option<KeepAdministrators> {
    const KEEP: &str = "a whole number from 0 to 1000";
    let object = item.object(&["group", "keep", "categories", "types"], "an object with `keep`", faults)?;
    let group = object.get("group").and_then(|group| group.parsed(faults));
    let keep = object.need("keep", faults).and_then(|keep| keep.whole(MAX_KEPT, KEEP, faults));
    let by = ActionScope::read(&object, faults);
    Some(KeepAdministrators { group, keep: keep?, by })
}

/// The members as [`read_all`] reads them.
pub(super) fn write(settings: &Settings) -> [(&'static str, Option<String>); 2] {
    let protected = settings.protected.iter().map(|entry| {
        let own = [
            ("users", (!entry.users.is_empty()).then(|| array(entry.users.iter().map(text)))),
            ("attributes", entry.attributes.as_ref().map(|pattern| pattern.text().to_owned())),
            ("why", entry.why.as_ref().map(text)),
        ];
        object(own.into_iter().chain(entry.from.write()))
    });
    let keep = settings.administrators.as_ref().map(|keep| {
        let own = [("group", keep.group.as_ref().map(text)), ("keep", Some(keep.keep.to_string()))];
        object(own.into_iter().chain(keep.by.write()))
    });
    [("protected", (!settings.protected.is_empty()).then(|| array(protected))), ("administrators", keep)]
}

/// What the settings' entries mean.
pub(super) fn check(settings: &Settings, catalog: &ActionCatalog, faults: &mut Faults) {
    let pointer = "/protected";
    check::count(pointer, "protected entries", settings.protected.len(), 0, MAX_PROTECTED, faults);
    for (i, entry) in settings.protected.iter().enumerate() {
        let place = faults.nth(pointer, i);
        let users = below(&place, "users");
        if entry.attributes.is_none() && entry.users.is_empty() && !faults.touch(&users) {
            faults.add(&place, RuleFault::MissingField("users"));
        }
        check::count(&users, "users", entry.users.len(), 0, MAX_MEMBERS, faults);
        if let Some(why) = &entry.why {
            check::count(&below(&place, "why"), "bytes of a reason", why.len(), 1, MAX_TITLE_BYTES, faults);
        }
        entry.from.check(&place, catalog, faults);
    }
    let Some(keep) = &settings.administrators else { return };
    if keep.keep > MAX_KEPT {
        faults.add("/administrators/keep", RuleFault::Number("a whole number from 0 to 1000"));
    }
    keep.by.check("/administrators", catalog, faults);
    let known = settings.groups.is_empty() || faults.touch("/approvers/groups");
    let unknown = |group: &&GroupId| !known && !settings.groups.contains_key(*group);
    if let Some(group) = keep.group.as_ref().filter(unknown) {
        faults.add("/administrators/group", RuleFault::UnknownGroup(group.clone()));
    }
}
