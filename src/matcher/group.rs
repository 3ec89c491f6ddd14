//! The rules that share a key, and how those of them that accept an event are found.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bits::WORD;
use super::column::{Asks, Column};
use super::compile::{ALWAYS, Check, Member, PRESENT, Rule};
use super::early::bit;
use super::paths::Paths;
use super::table::KeyMap;

/// Below this number of rules each is checked by itself.
const FEW: usize = 3;

/// The most columns of a group. Checks on further paths are made on what the columns let through.
pub(super) const COLUMNS: usize = 8;

/// Above this number of rules a group is split by the next best key, if one is good enough.
const MANY: usize = 8_192;

/// How deep groups are split.
const LEVELS: usize = 4;

/// A split must let through less than this share.
const GOOD: f64 = 0.25;

/// Cheap to clone. What an event needs first is not behind a further pointer.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Each with the checks that the columns leave open.
    pub(super) slots: Arc<[Member]>,
    pub(super) columns: Arc<[Column]>,
    pub(super) below: Option<Arc<Below>>,
    /// The bits of the paths that its rules, and those below, ask for.
    pub(super) asks: u64,
}

/// Groups inside a group, by key.
#[derive(Debug, Default)]
pub(super) struct Below {
    keys: KeyMap,
    groups: Vec<Group>,
}

impl Below {
    pub(super) fn get(&self, key: u64) -> Option<&Group> {
        self.keys.get(key).map(|place| &self.groups[place as usize])
    }
}

/// What groups are built from.
pub(super) struct Builder<'b, R> {
    pub(super) rules: R,
    pub(super) paths: &'b Paths,
}

impl<'r, R: Fn(u32) -> Option<&'r Rule>> Builder<'_, R> {
    pub(super) fn group(&self, members: Vec<Member>, level: usize) -> Group {
        let mut members = members;
        members.sort_unstable();
        members.dedup();
        let asks = members.iter().fold(0, |bits, member| bits | self.asks(*member));
        if members.len() < FEW {
            return Group { slots: members.into(), asks, ..Group::default() };
        }
        let mut filed: BTreeMap<u64, Vec<Member>> = BTreeMap::new();
        if members.len() > MANY && level < LEVELS {
            members.retain(|member| !self.file(*member, GOOD, &mut filed));
        }
        let paths = self.columns(&members);
        if level < LEVELS {
            // Members that no column decides anything about.
            let mut refiled = BTreeMap::new();
            let loose = |member: &Member| {
                let mut of_columns =
                    self.open(*member).filter(|(_, check)| paths.contains(&check.path)).peekable();
                let most = if of_columns.peek().is_some() { PRESENT } else { f64::MAX };
                let rule = (self.rules)(member.rule);
                of_columns.all(|(_, check)| rule.is_none_or(|rule| rule.is_weak(check))).then_some(most)
            };
            let moved =
                |member: &Member| loose(member).is_some_and(|most| self.file(*member, most, &mut refiled));
            let moved: Vec<bool> = members.iter().map(moved).collect();
            if refiled.len() > 1 {
                let mut moved = moved.into_iter();
                members.retain(|_| !moved.next().unwrap_or_default());
                refiled.into_iter().for_each(|(key, more)| filed.entry(key).or_default().extend(more));
            }
        }
        let columns = paths.iter().map(|path| self.column(*path, &mut members)).collect();
        let mut below = Below::default();
        for (key, members) in filed {
            below.keys.insert(key, below.groups.len() as u32);
            below.groups.push(self.group(members, level + 1));
        }
        let below = (!below.groups.is_empty()).then(|| Arc::new(below));
        Group { slots: members.into(), columns, below, asks }
    }

    /// The bits of all paths that a member asks for.
    fn asks(&self, member: Member) -> u64 {
        let Some(rule) = (self.rules)(member.rule) else { return 0 };
        rule.conjunct(member).checks.iter().fold(0, |bits, check| bits | bit(check.path))
    }

    fn open(&self, member: Member) -> impl Iterator<Item = (usize, Check)> {
        (self.rules)(member.rule).into_iter().flat_map(move |rule| rule.open(member))
    }

    /// Files a member under its best keys, if they cost less than `most`; whether it did.
    fn file(&self, member: Member, most: f64, filed: &mut BTreeMap<u64, Vec<Member>>) -> bool {
        let Some(rule) = (self.rules)(member.rule) else { return true };
        let costs = self.open(member).filter_map(|(_, check)| rule.cost(check, self.paths));
        if costs.fold(f64::INFINITY, f64::min) >= most {
            return false;
        }
        match rule.keys(member, self.paths) {
            Some((keys, member)) => {
                keys.iter().for_each(|key| filed.entry(*key).or_default().push(member));
                true
            }
            None => false,
        }
    }

    /// The paths that most members check.
    fn columns(&self, members: &[Member]) -> Vec<u32> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for member in members {
            self.open(*member).for_each(|(_, check)| *counts.entry(check.path).or_default() += 1);
        }
        let mut counts: Vec<_> = counts.into_iter().filter(|(_, count)| *count >= FEW).collect();
        counts.sort_by_key(|(path, count)| (std::cmp::Reverse(*count), *path));
        counts.truncate(COLUMNS);
        counts.into_iter().map(|(path, _)| path).collect()
    }

    /// The column of a path; what it decides is no longer open.
    fn column(&self, path: u32, members: &mut [Member]) -> Column {
        let mut asks = Vec::new();
        let mut checks = Vec::new();
        for (slot, member) in members.iter().enumerate() {
            let Some(rule) = (self.rules)(member.rule) else { continue };
            if let Some((i, check)) = rule.open(*member).find(|(_, check)| check.path == path) {
                asks.push(Asks { slot, wanted: rule.wanted(check) });
                checks.push((slot, i));
            }
        }
        let (column, unsure) = Column::new(path, self.paths.path(path), members.len(), &asks);
        for (slot, check) in checks {
            if unsure.binary_search(&slot).is_err() {
                members[slot] = members[slot].without(check);
            }
        }
        column
    }
}

impl Group {
    pub(super) fn words(&self) -> usize {
        self.slots.len().div_ceil(WORD)
    }

    /// Every conjunct in it, as (rule, conjunct).
    pub(super) fn conjuncts(&self, into: &mut Vec<(u32, u32)>) {
        into.extend(self.slots.iter().map(|member| (member.rule, member.conjunct)));
        let groups = self.below.iter().flat_map(|below| &below.groups);
        groups.for_each(|group| group.conjuncts(into));
    }
}

/// Files every member under its best keys.
pub(super) fn file(rule: &Rule, number: u32, paths: &Paths, mut into: impl FnMut(u64, Member)) {
    for (i, conjunct) in rule.conjuncts.iter().enumerate() {
        let member = Member::new(number, i, conjunct.checks.len());
        match rule.keys(member, paths) {
            Some((keys, member)) => keys.iter().for_each(|key| into(*key, member)),
            None => into(ALWAYS, member),
        }
    }
}
