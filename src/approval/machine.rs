//! The life of a request.
//!
//! ```text
//!  open ── Vote (approve, the last one needed in the last stage) ─▶ granted
//!   │  ├── Vote (approve, the last one needed in another stage) ─▶ open, in the next stage
//!   │  ├── Vote (approve or reject, more needed) ─▶ open
//!   │  ├── Vote (reject, the last one allowed) ─▶ rejected
//!   │  ├── Delegate ─▶ open
//!   │  ├── Reassign ─▶ open, or what the answers that still count decide
//!   │  ├── Elapsed (half of the stage's time, nine tenths of it) ─▶ open, reminded
//!   │  ├── Elapsed (the stage ran out, with a fallback that was not asked) ─▶ open, to the fallback
//!   │  └── Elapsed (the stage ran out) ─▶ expired
//!   └───── Withdraw ─▶ withdrawn
//! ```
//! Nothing leaves granted, rejected, expired and withdrawn; every refusal is an
//! [`ApprovalError`] and changes nothing.
//!
//! A person answers a request once, in one stage, in person or through a delegate; a delegate
//! answers for one person. A reassignment, and a fallback, ask others in the place of the stage's
//! groups: an answer that was given before counts on where its voice is still among those asked.

use std::collections::{BTreeMap, BTreeSet};

use super::error::ApprovalError;
use super::progress::{Panel, REMINDERS, is_one, named_group};
use super::record::{Approval, Ballot, Verdict, Vote};
use crate::broken::{self, Defect};
use crate::id::{ActorId, GroupId};
use crate::rule::{CommentRule, MAX_GROUPS, MAX_MEMBERS, Quorum, seats_filled};
use crate::time::Time;
use crate::words::words;

/// The longest comment, in bytes.
pub const MAX_COMMENT_BYTES: usize = 4_096;

words! {
    /// Where a request stands.
    ApprovalState, "state of an approval" {
        Open: "open", "people may answer";
        Granted: "granted", "enough people agreed";
        Rejected: "rejected", "enough people refused";
        Expired: "expired", "nobody decided in time";
        Withdrawn: "withdrawn", "what was asked for was called off";
    }
}

/// What happens to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ApprovalInput {
    /// Somebody answers.
    Vote(Ballot),
    /// Somebody who is asked names another who may answer for them.
    Delegate(Delegation),
    /// An operator names others to be asked in the stage that is open.
    Reassign(Reassignment),
    /// What was asked for was called off.
    Withdraw,
    /// Its timer ran out.
    Elapsed,
}

/// Somebody hands their answer to a request on to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delegation {
    /// Who is asked.
    pub from: ActorId,
    /// Who may answer for them.
    pub to: ActorId,
    /// The groups that the first belongs to now, as the host says.
    pub groups: BTreeSet<GroupId>,
    /// Whether the second may answer such requests, as the host says.
    pub authorised: bool,
}

/// Others are asked in the stage that is open. Its clock runs on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reassignment {
    /// Who decided it.
    pub by: ActorId,
    /// The groups that must all agree.
    pub groups: Vec<Quorum>,
    /// People who are asked beside them, by name.
    pub people: BTreeSet<ActorId>,
    /// How many of these people must agree.
    pub need: u32,
    /// The members of the groups now, as the host says.
    pub members: BTreeMap<GroupId, Vec<ActorId>>,
}

impl Approval {
    /// The request after an input, or why it takes none. One arm is one arrow of the drawing in
    /// this module.
    ///
    /// # Errors
    /// [`ApprovalError`]; the request is then what it was.
    pub fn step(&self, input: &ApprovalInput, now: Time) -> Result<Self, ApprovalError> {
        let mut next = self.clone();
        match (self.state, input) {
            (ApprovalState::Open, ApprovalInput::Elapsed) if now >= self.expires_at => next.run_out(now),
            (ApprovalState::Open, ApprovalInput::Elapsed) => {
                let past = REMINDERS.iter().filter(|percent| now >= self.part_of_stage(**percent)).count();
                let past = u32::try_from(past).unwrap_or(u32::MAX);
                if past <= self.progress.reminders {
                    return Err(ApprovalError::NotDue(self.due_at().unwrap_or(self.expires_at)));
                }
                // One that was missed is not made up for: who is told twice at once learns nothing.
                next.progress.reminders = past;
            }
            (ApprovalState::Open, ApprovalInput::Withdraw) => next.state = ApprovalState::Withdrawn,
            (ApprovalState::Open, ApprovalInput::Vote(ballot)) => {
                next.votes.push(self.accept(ballot, now)?);
                next.count(now);
            }
            (ApprovalState::Open, ApprovalInput::Delegate(delegation)) => {
                self.check_delegation(delegation, now)?;
                let Delegation { from, to, .. } = delegation;
                next.progress.delegates.retain(|known, _| !is_one(known.as_str(), from.as_str()));
                next.progress.delegates.insert(from.clone(), to.clone());
            }
            (ApprovalState::Open, ApprovalInput::Reassign(order)) => {
                next.reassign(order, now)?;
                next.count(now);
            }
            (over, _) => return Err(ApprovalError::Over(over)),
        }
        next.decided_at = (next.state != ApprovalState::Open).then_some(now);
        Ok(next)
    }

    /// The vote that a ballot becomes.
    fn accept(&self, ballot: &Ballot, now: Time) -> Result<Vote, ApprovalError> {
        let Ballot { actor, on_behalf_of, authorised, groups, verdict, digest, comment } = ballot;
        let voice = on_behalf_of.as_ref().unwrap_or(actor);
        self.in_time(now)?;
        self.not_barred(actor)?;
        if !broken::is(Defect::DelegateOfAnybody) {
            self.not_barred(voice)?;
        }
        let length = comment.as_ref().map_or(0, String::len);
        let again = |person: &&ActorId| self.has_answered(person) && !broken::is(Defect::OneCountsTwice);
        let answered = [actor, voice].into_iter().find(again);
        if on_behalf_of.as_ref().is_some_and(|voice| is_one(voice.as_str(), actor.as_str())) {
            Err(ApprovalError::OwnDelegate(actor.clone()))
        } else if on_behalf_of.is_some() && !authorised {
            Err(ApprovalError::NotDelegate { actor: actor.clone(), principal: voice.clone() })
        } else if self.panel(self.progress.stage).seats_of(voice, groups).is_empty() {
            Err(self.not_asked(voice))
        } else if let Some(person) = answered {
            Err(ApprovalError::AnsweredAlready(person.clone()))
        } else if *digest != self.digest && !broken::is(Defect::OtherDigestAccepted) {
            Err(ApprovalError::OtherContent { shown: *digest, asked: self.digest })
        } else if length > MAX_COMMENT_BYTES {
            Err(ApprovalError::CommentTooLong(length))
        } else if length == 0 && self.needs_comment(*verdict) {
            Err(ApprovalError::CommentMissing(*verdict))
        } else {
            Ok(Vote {
                actor: actor.clone(),
                on_behalf_of: on_behalf_of.clone(),
                stage: self.progress.stage,
                groups: self.groups_that_matter(voice, groups),
                verdict: *verdict,
                comment: comment.clone(),
                digest: Some(*digest),
                at: now,
            })
        }
    }

    /// The groups of a voter that the policy names anywhere, or that are asked now: an answer counts
    /// on when the stage's fallback is asked, where its voice belongs there as well.
    fn groups_that_matter(&self, voice: &ActorId, groups: &BTreeSet<GroupId>) -> Vec<GroupId> {
        let mut of: BTreeSet<GroupId> =
            self.panel(self.progress.stage).seats_of(voice, groups).into_iter().collect();
        of.extend(self.policy.every_quorum().map(|quorum| quorum.name).filter(|name| groups.contains(name)));
        of.into_iter().collect()
    }

    fn needs_comment(&self, verdict: Verdict) -> bool {
        match self.policy.comment {
            CommentRule::Optional => false,
            CommentRule::OnReject => verdict == Verdict::Reject,
            CommentRule::OnApprove => verdict == Verdict::Approve,
            CommentRule::Required => true,
        }
    }

    fn check_delegation(&self, delegation: &Delegation, now: Time) -> Result<(), ApprovalError> {
        let Delegation { from, to, groups, authorised } = delegation;
        self.in_time(now)?;
        self.not_barred(from)?;
        self.not_barred(to)?;
        let handed_on = self.progress.delegates.keys().any(|known| is_one(known.as_str(), to.as_str()));
        if is_one(from.as_str(), to.as_str()) {
            Err(ApprovalError::OwnDelegate(from.clone()))
        } else if self.panel(self.progress.stage).seats_of(from, groups).is_empty() {
            Err(self.not_asked(from))
        } else if let Some(person) = [from, to].into_iter().find(|person| self.has_answered(person)) {
            Err(ApprovalError::AnsweredAlready(person.clone()))
        } else if handed_on {
            Err(ApprovalError::DelegationChain(to.clone()))
        } else if !authorised {
            Err(ApprovalError::NotDelegate { actor: to.clone(), principal: from.clone() })
        } else {
            Ok(())
        }
    }

    /// Asks others in the open stage. Answers given there count on where their voices are still
    /// among those asked.
    fn reassign(&mut self, order: &Reassignment, now: Time) -> Result<(), ApprovalError> {
        self.in_time(now)?;
        self.not_barred(&order.by)?;
        let stage = self.progress.stage;
        let named: BTreeSet<&GroupId> = order.groups.iter().map(|quorum| &quorum.name).collect();
        let twice = named.len() < order.groups.len() || named.contains(&named_group());
        if twice || order.groups.len() > MAX_GROUPS {
            let (found, most) = (order.groups.len(), MAX_GROUPS);
            return Err(ApprovalError::TooMany { what: "groups", found, most });
        }
        if order.people.len() > MAX_MEMBERS {
            let (found, most) = (order.people.len(), MAX_MEMBERS);
            return Err(ApprovalError::TooMany { what: "people", found, most });
        }
        let mut groups = order.groups.clone();
        if !order.people.is_empty() {
            groups.push(Quorum { name: named_group(), need: order.need });
        }
        let panel = Panel { stage, groups, people: order.people.clone(), fallback: false };
        let need: usize = self.stage().groups.iter().map(|quorum| quorum.need as usize).sum();
        if panel.need() < need.max(1) || panel.groups.iter().any(|quorum| quorum.need == 0) {
            return Err(ApprovalError::FewerApprovers { need: need.max(1), given: panel.need() });
        }
        let mut designated = order.members.clone();
        designated.retain(|name, _| named.contains(name));
        if !order.people.is_empty() {
            designated.insert(named_group(), order.people.iter().cloned().collect());
        }
        let groups_of = |person: &ActorId| -> BTreeSet<GroupId> {
            let is_member =
                |people: &Vec<ActorId>| people.iter().any(|other| is_one(other.as_str(), person.as_str()));
            designated.iter().filter(|(_, people)| is_member(people)).map(|(name, _)| name.clone()).collect()
        };
        // Who answered in another stage has answered; everybody else who is asked, and may, counts.
        let elsewhere = |person: &ActorId| {
            let of = |vote: &&Vote| vote.stage != stage;
            let is = |vote: &Vote| {
                [&vote.actor, vote.voice()].iter().any(|id| is_one(id.as_str(), person.as_str()))
            };
            self.votes.iter().filter(of).any(is)
        };
        let mut seen = BTreeSet::new();
        let able: Vec<Vec<GroupId>> = designated
            .values()
            .flatten()
            .filter(|person| seen.insert(person.as_str().to_lowercase()))
            .filter(|person| !self.bars(person) && !elsewhere(person))
            .map(|person| panel.seats_of(person, &groups_of(person)))
            .collect();
        let have = seats_filled(&panel.groups, &able);
        if have < panel.need() {
            return Err(ApprovalError::TooFewPeople { need: panel.need(), have });
        }
        for vote in self.votes.iter_mut().filter(|vote| vote.stage == stage) {
            // Of groups that are asked now, what holds now; of others, what held then.
            let mut of = groups_of(vote.voice());
            of.extend(vote.groups.iter().filter(|name| !designated.contains_key(*name)).cloned());
            vote.groups = of.into_iter().collect();
        }
        self.designated = designated;
        // The same order again, as after a lost answer, is one.
        if self.progress.panels.last() != Some(&panel) {
            self.progress.panels.push(panel);
        }
        Ok(())
    }

    /// The stage ran out: its fallback is asked, once, or the request is over.
    fn run_out(&mut self, now: Time) {
        let stage = self.progress.stage;
        match self.next_fallback() {
            Some(fallback) if self.until(now, fallback.within) > now => {
                let panel = Panel { stage, groups: fallback.groups, people: BTreeSet::new(), fallback: true };
                self.progress.panels.push(panel);
                self.open(stage, self.until(now, fallback.within), now);
                // Some of them may have answered already, and enough.
                self.count(now);
            }
            _ => self.state = ApprovalState::Expired,
        }
    }

    /// Opens a stage. Who is asked there is for the host to say.
    fn open(&mut self, stage: u32, until: Time, now: Time) {
        self.progress.stage = stage;
        self.progress.opened_at = Some(now);
        self.progress.reminders = 0;
        self.expires_at = until;
        self.designated.clear();
    }

    /// Where the request stands with the answers that it has.
    fn count(&mut self, now: Time) {
        let enough = self.rejections() >= self.stage().rejections.max(1) as usize;
        if enough && !broken::is(Defect::RejectionIgnored) {
            self.state = ApprovalState::Rejected;
        } else if self.missing() > 0 {
            self.state = ApprovalState::Open;
        } else {
            let next = self.progress.stage.saturating_add(1);
            match self.policy.stage(next) {
                None => self.state = ApprovalState::Granted,
                Some(stage) => self.open(next, self.until(now, stage.within), now),
            }
        }
    }

    fn in_time(&self, now: Time) -> Result<(), ApprovalError> {
        if now >= self.expires_at && !broken::is(Defect::ExpiredApprovalAccepted) {
            return Err(ApprovalError::TooLate(self.expires_at));
        }
        Ok(())
    }

    fn not_barred(&self, person: &ActorId) -> Result<(), ApprovalError> {
        self.barred(person).map_or(Ok(()), Err)
    }

    /// Why this person never answers, if so. Hosts name a person the same as a subject and as an
    /// approver.
    pub(super) fn barred(&self, person: &ActorId) -> Option<ApprovalError> {
        let is = |id: &str| is_one(id, person.as_str());
        if is(self.subject.user.as_str()) {
            Some(ApprovalError::IsSubject(person.clone()))
        } else if self.orderer.as_ref().is_some_and(|orderer| is(orderer.as_str())) {
            Some(ApprovalError::IsOrderer(person.clone()))
        } else if self.authors.iter().any(|author| is(author.as_str())) {
            Some(ApprovalError::IsAuthor(person.clone()))
        } else {
            None
        }
    }

    fn not_asked(&self, person: &ActorId) -> ApprovalError {
        let panel = self.panel(self.progress.stage);
        let names: Vec<_> = panel.groups.iter().map(|quorum| format!("`{}`", quorum.name)).collect();
        ApprovalError::NotAuthorised { actor: person.clone(), groups: names.join(", ") }
    }
}
