//! What an approval policy means beside the settings: can the people be found who must agree?

use std::collections::BTreeSet;

use super::super::check::{count, repeated};
use super::super::document::{Faults, RuleFault, below};
use super::super::{MAX_APPROVAL_WITHIN, MAX_GROUPS, Rule, Settings};
use super::{ApprovalPolicy, ApprovalStage, Quorum, seats};
use crate::id::{ActorId, GroupId};

/// How many people a fault names.
const NAMED: usize = 8;

/// The faults of one action's approval policy.
pub(in crate::rule) fn policy(
    pointer: &str,
    policy: &ApprovalPolicy,
    rule: &Rule,
    settings: &Settings,
    faults: &mut Faults,
) {
    count(&below(pointer, "stages"), "stages", policy.then.len() + 1, 1, super::MAX_STAGES, faults);
    for (i, stage) in policy.stages().enumerate() {
        let pointer = place(pointer, policy, i, faults);
        quorums(&pointer, &stage.groups, 0, faults);
        if let Some(fallback) = &stage.fallback {
            quorums(&below(&pointer, "fallback"), &fallback.groups, 1, faults);
        }
    }
    // One deadline alone has told its own fault.
    let total = policy.longest();
    let several = !policy.then.is_empty() || policy.fallback.is_some();
    if several && total > MAX_APPROVAL_WITHIN {
        faults.add(pointer, RuleFault::StagesTooLong { total, most: MAX_APPROVAL_WITHIN });
    }
    // People that could not be read are there all the same.
    if faults.touch("/approvers") {
        return;
    }
    let Some(policy) = settings.resolve(policy) else {
        faults.add(pointer, RuleFault::NoApprovers);
        return;
    };
    // Without declared groups the host answers for people, and is asked when it matters.
    if settings.groups.is_empty() {
        return;
    }
    let unknown: BTreeSet<GroupId> = policy
        .every_quorum()
        .map(|quorum| quorum.name)
        .filter(|name| !settings.groups.contains_key(name))
        .collect();
    for name in &unknown {
        faults.add(pointer, RuleFault::UnknownGroup(name.clone()));
    }
    if unknown.is_empty() {
        every_way(pointer, &policy, rule.author.as_ref(), settings, faults);
    }
}

/// Where a stage stands: a policy of one may be written without `stages`.
fn place(pointer: &str, policy: &ApprovalPolicy, stage: usize, faults: &Faults) -> String {
    let stages = below(pointer, "stages");
    let listed = !policy.then.is_empty() || faults.knows_places(&stages);
    if listed { faults.nth(&stages, stage) } else { pointer.to_owned() }
}

fn quorums(pointer: &str, quorums: &[Quorum], least: usize, faults: &mut Faults) {
    let pointer = below(pointer, "groups");
    count(&pointer, "groups", quorums.len(), least, MAX_GROUPS, faults);
    repeated(&pointer, quorums.iter().map(|quorum| &quorum.name), faults);
}

/// A person answers a request once, so the seats of all stages are filled by distinct people; and
/// each fallback must do in the place of its stage.
fn every_way(
    pointer: &str,
    policy: &ApprovalPolicy,
    author: Option<&ActorId>,
    settings: &Settings,
    faults: &mut Faults,
) {
    let stages: Vec<ApprovalStage> = policy.stages().collect();
    let with = |instead: Option<usize>| -> Vec<Quorum> {
        let groups = |(i, stage): (usize, &ApprovalStage)| match &stage.fallback {
            Some(fallback) if instead == Some(i) => fallback.groups.clone(),
            _ => stage.groups.clone(),
        };
        stages.iter().enumerate().flat_map(groups).collect()
    };
    if let Some(fault) = unreachable(&with(None), author, settings) {
        faults.add(pointer, fault);
    }
    for (i, stage) in stages.iter().enumerate() {
        if stage.fallback.is_some()
            && let Some(fault) = unreachable(&with(Some(i)), author, settings)
        {
            faults.add(below(&place(pointer, policy, i, faults), "fallback"), fault);
        }
    }
}

/// What is missing for these quorums, if anything is. The rule's author never counts.
fn unreachable(quorums: &[Quorum], author: Option<&ActorId>, settings: &Settings) -> Option<RuleFault> {
    let is_author = |person: &ActorId| {
        author.is_some_and(|author| author.as_str().to_lowercase() == person.as_str().to_lowercase())
    };
    let need: usize = quorums.iter().map(|quorum| quorum.need as usize).sum();
    // A group with as many people as are needed in all finds its own, whoever else is taken; only
    // the smaller ones must be matched.
    let mut small: Vec<(&Quorum, BTreeSet<&ActorId>)> = Vec::new();
    let mut barred = false;
    for quorum in quorums {
        let mut people = BTreeSet::new();
        let members = settings.groups.get(&quorum.name).into_iter().flatten();
        let counting = members.filter(|person| {
            barred |= is_author(person);
            !is_author(person)
        });
        let enough = counting.into_iter().any(|person| people.insert(person) && people.len() >= need);
        if !enough {
            small.push((quorum, people));
        }
    }
    let people: BTreeSet<&ActorId> = small.iter().flat_map(|(_, people)| people).copied().collect();
    let memberships: Vec<Vec<GroupId>> = people
        .iter()
        .map(|person| {
            let of = small.iter().filter(|(_, people)| people.contains(person));
            of.map(|(quorum, _)| quorum.name.clone()).collect()
        })
        .collect();
    let groups: Vec<Quorum> = small.iter().map(|(quorum, _)| (*quorum).clone()).collect();
    let seats: usize = groups.iter().map(|quorum| quorum.need as usize).sum();
    let matched = seats::matched(&groups, &memberships);
    let filled = matched.iter().filter(|(_, taken)| *taken).count();
    let have = need - seats + filled;
    if have >= need {
        return None;
    }
    let lacks = |quorum: &Quorum| {
        let taken = matched.iter().filter(|(group, taken)| **group == quorum.name && *taken).count();
        // The same group in several stages has its seats in one place.
        let wanted: usize =
            groups.iter().filter(|other| other.name == quorum.name).map(|other| other.need as usize).sum();
        wanted.saturating_sub(taken)
    };
    let short: BTreeSet<String> = groups
        .iter()
        .filter(|quorum| lacks(quorum) > 0)
        .map(|quorum| format!("{} of `{}`", lacks(quorum), quorum.name))
        .collect();
    let distinct: BTreeSet<String> = quorums.iter().map(|quorum| format!("`{}`", quorum.name)).collect();
    let mut names: Vec<String> = people.iter().take(NAMED).map(|person| format!("`{person}`")).collect();
    if people.len() > NAMED {
        names.push(format!("{} more", people.len() - NAMED));
    }
    Some(RuleFault::UnreachableQuorum {
        groups: distinct.into_iter().collect::<Vec<_>>().join(" and "),
        need,
        have,
        missing: need - have,
        found: if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) },
        barred: match author.filter(|_| barred) {
            Some(author) => format!(" (`{author}` does not count: nobody approves what their own rule asks)"),
            None => String::new(),
        },
        short: short.into_iter().collect::<Vec<_>>().join(" and "),
    })
}

impl Settings {
    /// The policy with the default group filled in; none where there is nobody to ask.
    pub(crate) fn resolve(&self, policy: &ApprovalPolicy) -> Option<ApprovalPolicy> {
        let mut policy = policy.clone();
        let named = |groups: &mut Vec<Quorum>| {
            if groups.is_empty() {
                groups.push(Quorum { name: self.default_group.clone()?, need: 1 });
            }
            Some(())
        };
        named(&mut policy.groups)?;
        policy.then.iter_mut().try_for_each(|stage| named(&mut stage.groups))?;
        Some(policy)
    }
}
