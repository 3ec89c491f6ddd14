//! How far a request has come: the stage that is open, who is asked there, and the reminders.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::machine::ApprovalState;
use super::record::{Approval, Verdict, Vote};
use crate::id::{ActorId, GroupId};
use crate::rule::{ApprovalStage, Fallback, MAX_APPROVAL_WITHIN, Quorum, seats_filled};
use crate::time::{Span, Time};

/// When approvers who have not answered are reminded, in percent of a stage's time (behaviour 7.4).
pub(super) const REMINDERS: [u32; 2] = [50, 90];

/// The name under which people whom an operator named sit beside the groups.
const NAMED: &str = "(named)";

/// How far a request has come.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    /// The stage that is open, or was the last to be, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stage: u32,
    /// Since when that stage is open; from the request's making where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Time>,
    /// How many of the stage's reminders are past, sent or left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reminders: u32,
    /// Who was asked in the place of a stage's own groups, in the order in which that happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub panels: Vec<Panel>,
    /// Who answers this request for whom.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delegates: BTreeMap<ActorId, ActorId>,
}

/// Who is asked in a stage.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Panel {
    /// The stage, from 0.
    pub stage: u32,
    /// The groups that must all agree; people who are named sit under a name of their own.
    pub groups: Vec<Quorum>,
    /// The people who are named beside groups.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<ActorId>,
    /// Whether it is the stage's fallback, rather than an operator's choice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The group under which named people sit.
pub(crate) fn named_group() -> GroupId {
    NAMED.parse().expect("the literal is an id, as a test asserts")
}

/// Whether two ids name one person: directories differ in case, and nobody shall count twice, or
/// approve what is done to themselves, by another spelling.
pub(crate) fn is_one(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

impl Panel {
    /// How many approvals it needs.
    #[must_use]
    pub fn need(&self) -> usize {
        self.groups.iter().map(|quorum| quorum.need as usize).sum()
    }

    /// Those of these groups that it asks. A person who is named sits there by their name alone.
    pub(super) fn seats_of(&self, person: &ActorId, groups: &BTreeSet<GroupId>) -> Vec<GroupId> {
        let named = self.people.iter().any(|named| is_one(named.as_str(), person.as_str()));
        let asked = |name: &&GroupId| {
            if name.as_str() == NAMED { named && groups.contains(*name) } else { groups.contains(*name) }
        };
        self.groups.iter().map(|quorum| &quorum.name).filter(asked).cloned().collect()
    }
}

impl Vote {
    /// Whose voice it is: the person for whom a delegate answered, or the one who answered.
    #[must_use]
    pub fn voice(&self) -> &ActorId {
        self.on_behalf_of.as_ref().unwrap_or(&self.actor)
    }
}

impl Approval {
    /// The rules of the stage that is open, as they were when the request was made.
    #[must_use]
    pub fn stage(&self) -> ApprovalStage {
        self.policy.stage(self.progress.stage).unwrap_or_default()
    }

    /// How many stages it has.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.policy.then.len() + 1
    }

    /// Who is asked in a stage: its own groups, its fallback, or whom an operator named.
    #[must_use]
    pub fn panel(&self, stage: u32) -> Panel {
        let instead = self.progress.panels.iter().rev().find(|panel| panel.stage == stage);
        instead.cloned().unwrap_or_else(|| Panel {
            stage,
            groups: self.policy.stage(stage).map(|stage| stage.groups).unwrap_or_default(),
            people: BTreeSet::new(),
            fallback: false,
        })
    }

    /// Since when the stage is open.
    #[must_use]
    pub fn opened_at(&self) -> Time {
        self.progress.opened_at.unwrap_or(self.requested_at)
    }

    /// When the request is to be stepped next: for a reminder, or because its stage runs out.
    #[must_use]
    pub fn due_at(&self) -> Option<Time> {
        (self.state == ApprovalState::Open).then(|| self.next_reminder().unwrap_or(self.expires_at))
    }

    fn next_reminder(&self) -> Option<Time> {
        let percent = *REMINDERS.get(self.progress.reminders as usize)?;
        Some(self.part_of_stage(percent))
    }

    pub(super) fn part_of_stage(&self, percent: u32) -> Time {
        let opened = self.opened_at().micros();
        let whole = i128::from(self.expires_at.micros()) - i128::from(opened);
        let part = whole.max(0) * i128::from(percent) / 100;
        Time::from_micros(opened.saturating_add(i64::try_from(part).unwrap_or(i64::MAX)))
    }

    /// When a stage that opens now runs out: no request stands longer than it may, however late
    /// its timers were stepped.
    pub(super) fn until(&self, now: Time, within: Span) -> Time {
        now.after(within).min(self.requested_at.after(MAX_APPROVAL_WITHIN))
    }

    /// The answers that count in a stage: given there, for what is asked, by people who are asked.
    pub(super) fn counting(&self, stage: u32) -> impl Iterator<Item = (&Vote, Vec<GroupId>)> {
        let panel = self.panel(stage);
        self.votes
            .iter()
            .filter(move |vote| vote.stage == stage && vote.digest.is_none_or(|shown| shown == self.digest))
            .filter_map(move |vote| {
                let seats = panel.seats_of(vote.voice(), &vote.groups.iter().cloned().collect());
                (!seats.is_empty()).then_some((vote, seats))
            })
    }

    /// How many approvals a stage still misses.
    pub(super) fn missing_in(&self, stage: u32) -> usize {
        let panel = self.panel(stage);
        let approving: Vec<_> = self
            .counting(stage)
            .filter(|(vote, _)| vote.verdict == Verdict::Approve)
            .map(|(_, seats)| seats)
            .collect();
        // Nobody's agreement is never enough, whatever a stored record says.
        let need = panel.need().max(1);
        need - seats_filled(&panel.groups, &approving).min(need)
    }

    /// The fallback that is asked when the open stage runs out, if it has one that was not asked.
    #[must_use]
    pub fn next_fallback(&self) -> Option<Fallback> {
        let stage = self.progress.stage;
        let asked = self.progress.panels.iter().any(|panel| panel.stage == stage && panel.fallback);
        self.stage().fallback.filter(|_| !asked)
    }

    /// How many refusals count in the open stage.
    #[must_use]
    pub fn rejections(&self) -> usize {
        let refused = |(vote, _): &(&Vote, Vec<GroupId>)| vote.verdict == Verdict::Reject;
        self.counting(self.progress.stage).filter(refused).count()
    }

    /// Whether the action concerns this person, so that their answer is never accepted: its subject,
    /// whoever ordered it, the author of a rule that asks for it.
    pub(crate) fn bars(&self, person: &ActorId) -> bool {
        self.barred(person).is_some()
    }

    /// Whether this person, or somebody for them, has answered; in any stage, as a person counts
    /// once.
    #[must_use]
    pub fn has_answered(&self, person: &ActorId) -> bool {
        let is = |id: &ActorId| is_one(id.as_str(), person.as_str());
        self.votes.iter().any(|vote| is(&vote.actor) || vote.on_behalf_of.as_ref().is_some_and(is))
    }

    /// Who is to be told or reminded: those who are asked, or their delegates, who may answer and
    /// have not. The subject is never among them.
    pub(crate) fn awaited(&self) -> BTreeSet<ActorId> {
        let delegate = |person: &ActorId| {
            let mut named = self.progress.delegates.iter();
            named.find(|(from, _)| is_one(from.as_str(), person.as_str())).map(|(_, to)| to.clone())
        };
        let asked = self.designated.values().flatten();
        asked
            .filter(|person| !self.bars(person) && !self.has_answered(person))
            .map(|person| delegate(person).unwrap_or_else(|| person.clone()))
            .filter(|person| !self.bars(person) && !self.has_answered(person))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn named_people_have_a_group() {
        assert_eq!(super::named_group().as_str(), super::NAMED);
    }
}
