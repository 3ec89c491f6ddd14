//! A directory of people whom a test hires, dismisses and gives rights.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready as at_once;
use std::sync::{Arc, Mutex};

use tipstaff::*;

use super::id;

#[derive(Default)]
struct Known {
    groups: BTreeMap<String, BTreeSet<String>>,
    /// Who may do what, as a right reads.
    rights: BTreeSet<(String, String)>,
    /// The usable administrators, and how often they changed; nobody says who they are before the first.
    administrators: Option<Administrators>,
    /// Whether it answers nothing about them at the moment.
    silent: bool,
}

/// Groups and rights that can change between two calls.
#[derive(Clone, Default)]
pub struct Directory {
    known: Arc<Mutex<Known>>,
}

impl Directory {
    pub fn hire(&self, group: &str, people: &[&str]) -> Self {
        let mut known = self.known.lock().unwrap();
        let members = known.groups.entry(group.to_owned()).or_default();
        members.extend(people.iter().map(|person| (*person).to_owned()));
        drop(known);
        self.clone()
    }

    pub fn dismiss(&self, group: &str, person: &str) {
        if let Some(members) = self.known.lock().unwrap().groups.get_mut(group) {
            members.remove(person);
        }
    }

    pub fn is_in(&self, group: &str, person: &str) -> bool {
        self.known.lock().unwrap().groups.get(group).is_some_and(|members| members.contains(person))
    }

    /// The usable administrators from now on.
    pub fn administrators(&self, people: &[&str]) -> Self {
        let mut known = self.known.lock().unwrap();
        let version = known.administrators.as_ref().map_or(0, |before| before.version) + 1;
        let members = people.iter().map(|person| id(person)).collect();
        known.administrators = Some(Administrators { members, version });
        drop(known);
        self.clone()
    }

    /// Whether it answers nothing about administrators from now on.
    pub fn silent(&self, silent: bool) {
        self.known.lock().unwrap().silent = silent;
    }

    pub fn let_do(&self, person: &str, right: &Right) -> Self {
        self.known.lock().unwrap().rights.insert((person.to_owned(), right.to_string()));
        self.clone()
    }
}

impl People for Directory {
    fn members<'a>(
        &'a self,
        _: &'a TenantId,
        group: &'a GroupId,
    ) -> Answer<'a, Result<Vec<ActorId>, PeopleError>> {
        let known = self.known.lock().unwrap();
        let members = known.groups.get(group.as_str()).into_iter().flatten().map(|person| id(person));
        Box::pin(at_once(Ok(members.collect())))
    }

    fn groups<'a>(
        &'a self,
        _: &'a TenantId,
        actor: &'a ActorId,
    ) -> Answer<'a, Result<BTreeSet<GroupId>, PeopleError>> {
        let known = self.known.lock().unwrap();
        let of = known.groups.iter().filter(|(_, members)| members.contains(actor.as_str()));
        Box::pin(at_once(Ok(of.map(|(name, _)| id(name)).collect())))
    }

    fn administrators<'a>(
        &'a self,
        _: &'a TenantId,
    ) -> Answer<'a, Result<Option<Administrators>, PeopleError>> {
        let known = self.known.lock().unwrap();
        Box::pin(at_once(match known.silent {
            true => Err(PeopleError("it is being moved".to_owned())),
            false => Ok(known.administrators.clone()),
        }))
    }

    fn allows<'a>(
        &'a self,
        _: &'a TenantId,
        actor: &'a ActorId,
        right: &'a Right,
    ) -> Answer<'a, Result<bool, PeopleError>> {
        let known = self.known.lock().unwrap();
        Box::pin(at_once(Ok(known.rights.contains(&(actor.to_string(), right.to_string())))))
    }
}
