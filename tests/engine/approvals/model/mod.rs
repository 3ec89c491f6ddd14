//! The engine against a plain model of a request, written from behaviour 7 and the documentation of
//! the policy. It shares no code with the library: people, groups and words are texts here, times
//! minutes, and a refusal is the name of its variant.

mod walks;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tipstaff::{BuiltinAction, Engine, EngineError, Quorum, Reassign, Reply, Right, RuleSet, ready};

use crate::support::people::Directory;
use crate::support::{World, at, go, id};

const PEOPLE: [&str; 8] = ["ana", "arne", "bo", "cy", "di", "ed", "fay", "gus"];
const GROUPS: [&str; 3] = ["g", "h", "k"];

/// One stage as the model knows it.
#[derive(Clone, Debug)]
struct Stage {
    needs: Vec<(&'static str, usize)>,
    rejections: usize,
    within: i64,
    fallback: Option<(Vec<(&'static str, usize)>, i64)>,
}

#[derive(Clone, Debug)]
enum Op {
    Vote {
        by: usize,
        voice: Option<usize>,
        yes: bool,
        comment: bool,
    },
    Delegate {
        from: usize,
        to: usize,
    },
    Reassign {
        by: usize,
        groups: Vec<(&'static str, usize)>,
        people: BTreeSet<usize>,
        need: usize,
    },
    /// Time passes, and timers may be stepped or not.
    Time {
        minutes: i64,
        run: bool,
    },
    Cancel,
    Move {
        person: usize,
        group: &'static str,
    },
}

/// Who is asked in a stage.
#[derive(Clone, Debug, Default)]
struct Asked {
    needs: Vec<(&'static str, usize)>,
    named: BTreeSet<&'static str>,
}

#[derive(Clone, Debug)]
struct Answer {
    actor: &'static str,
    voice: &'static str,
    stage: usize,
    yes: bool,
    /// The groups of the voice: when it answered, or when others were asked last.
    of: BTreeSet<&'static str>,
}

struct Model {
    stages: Vec<Stage>,
    comment: &'static str,
    state: &'static str,
    stage: usize,
    until: i64,
    asked: Vec<Asked>,
    used: Vec<bool>,
    answers: Vec<Answer>,
    delegates: BTreeMap<&'static str, &'static str>,
    members: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

const NAMED: &str = "(named)";

/// Rights that stay: who may answer as named, who is whose standing delegate, who may reassign.
fn may_answer(person: &str) -> bool {
    ["ed", "fay", "gus", "arne"].contains(&person)
}
fn standing(actor: &str, voice: &str) -> bool {
    [("gus", "bo"), ("gus", "ana"), ("fay", "cy"), ("ana", "di"), ("arne", "bo")].contains(&(actor, voice))
}
fn may_reassign(person: &str) -> bool {
    ["gus", "ana"].contains(&person)
}

impl Model {
    fn groups_now(&self, person: &str) -> BTreeSet<&'static str> {
        GROUPS.into_iter().filter(|group| self.members[group].contains(person)).collect()
    }

    /// Whom the host lets sit where, of the open stage's seats.
    fn seats_now(&self, person: &str) -> BTreeSet<&'static str> {
        let asked = &self.asked[self.stage];
        let mut of = self.groups_now(person);
        if asked.named.contains(person) && may_answer(person) {
            of.insert(NAMED);
        }
        of
    }

    fn sits(asked: &Asked, voice: &str, of: &BTreeSet<&'static str>) -> bool {
        asked
            .needs
            .iter()
            .any(|(group, _)| of.contains(group) && (*group != NAMED || asked.named.contains(voice)))
    }

    fn barred(person: &str) -> Option<&'static str> {
        match person {
            "ana" => Some("IsSubject"),
            "arne" => Some("IsAuthor"),
            _ => None,
        }
    }

    fn has_answered(&self, person: &str) -> bool {
        self.answers.iter().any(|answer| answer.actor == person || answer.voice == person)
    }

    /// The most seats that people fill: tried out.
    fn fill(needs: &[(&'static str, usize)], people: &[BTreeSet<&'static str>]) -> usize {
        let Some((first, others)) = people.split_first() else { return 0 };
        let mut best = Self::fill(needs, others);
        for (i, (group, need)) in needs.iter().enumerate() {
            if *need > 0 && first.contains(group) {
                let mut left = needs.to_vec();
                left[i].1 -= 1;
                best = best.max(1 + Self::fill(&left, others));
            }
        }
        best
    }

    fn missing(&self) -> usize {
        let asked = &self.asked[self.stage];
        let counting = |answer: &&Answer| {
            answer.stage == self.stage && answer.yes && Self::sits(asked, answer.voice, &answer.of)
        };
        let people: Vec<_> = self.answers.iter().filter(counting).map(|answer| answer.of.clone()).collect();
        asked.needs.iter().map(|(_, need)| need).sum::<usize>() - Self::fill(&asked.needs, &people)
    }

    fn count(&mut self, now: i64) {
        let asked = &self.asked[self.stage];
        let no = |answer: &&Answer| {
            answer.stage == self.stage && !answer.yes && Self::sits(asked, answer.voice, &answer.of)
        };
        if self.answers.iter().filter(no).count() >= self.stages[self.stage].rejections {
            self.state = "rejected";
        } else if self.missing() == 0 {
            if self.stage + 1 == self.stages.len() {
                self.state = "granted";
            } else {
                self.stage += 1;
                self.until = now + self.stages[self.stage].within;
            }
        }
    }

    fn vote(
        &mut self,
        actor: usize,
        voice: Option<usize>,
        yes: bool,
        comment: bool,
        now: i64,
    ) -> Result<(), &'static str> {
        let actor = PEOPLE[actor];
        let voice = voice.map(|voice| PEOPLE[voice]);
        let of = self.seats_now(voice.unwrap_or(actor));
        let authorised = voice.is_none_or(|voice| {
            self.delegates.get(voice) == Some(&actor) && may_answer(actor) || standing(actor, voice)
        });
        self.open(now)?;
        Self::barred(actor).map_or(Ok(()), Err)?;
        Self::barred(voice.unwrap_or(actor)).map_or(Ok(()), Err)?;
        if voice == Some(actor) {
            return Err("OwnDelegate");
        }
        if !authorised {
            return Err("NotDelegate");
        }
        let voice = voice.unwrap_or(actor);
        if !Self::sits(&self.asked[self.stage], voice, &of) {
            return Err("NotAuthorised");
        }
        if self.has_answered(actor) || self.has_answered(voice) {
            return Err("AnsweredAlready");
        }
        let needed = self.comment == "required"
            || self.comment == "on_reject" && !yes
            || self.comment == "on_approve" && yes;
        if needed && !comment {
            return Err("CommentMissing");
        }
        self.answers.push(Answer { actor, voice, stage: self.stage, yes, of });
        self.count(now);
        Ok(())
    }

    fn open(&self, now: i64) -> Result<(), &'static str> {
        if self.state != "open" {
            Err("Over")
        } else if now >= self.until {
            Err("TooLate")
        } else {
            Ok(())
        }
    }

    fn delegate(&mut self, from: usize, to: usize, now: i64) -> Result<(), &'static str> {
        let (from, to) = (PEOPLE[from], PEOPLE[to]);
        self.open(now)?;
        Self::barred(from).map_or(Ok(()), Err)?;
        Self::barred(to).map_or(Ok(()), Err)?;
        if from == to {
            return Err("OwnDelegate");
        }
        if !Self::sits(&self.asked[self.stage], from, &self.seats_now(from)) {
            return Err("NotAuthorised");
        }
        if self.has_answered(from) || self.has_answered(to) {
            return Err("AnsweredAlready");
        }
        if self.delegates.contains_key(to) {
            return Err("DelegationChain");
        }
        if !may_answer(to) {
            return Err("NotDelegate");
        }
        self.delegates.insert(from, to);
        Ok(())
    }

    fn reassign(
        &mut self,
        by: usize,
        groups: &[(&'static str, usize)],
        people: &BTreeSet<usize>,
        need: usize,
        now: i64,
    ) -> Result<(), &'static str> {
        let by = PEOPLE[by];
        if !may_reassign(by) {
            return Err("NotPermitted");
        }
        self.open(now)?;
        Self::barred(by).map_or(Ok(()), Err)?;
        let named: BTreeSet<&'static str> =
            people.iter().map(|person| PEOPLE[*person]).filter(|person| may_answer(person)).collect();
        let mut needs = groups.to_vec();
        if !named.is_empty() {
            needs.push((NAMED, need.max(1)));
        }
        let total: usize = needs.iter().map(|(_, need)| need).sum();
        if total < self.stages[self.stage].needs.iter().map(|(_, need)| need).sum() {
            return Err("FewerApprovers");
        }
        let asked = Asked { needs, named };
        let of = |person: &str| -> BTreeSet<&'static str> {
            let mut of = self.groups_now(person);
            of.retain(|group| asked.needs.iter().any(|(name, _)| name == group));
            if asked.named.contains(person) {
                of.insert(NAMED);
            }
            of
        };
        let elsewhere = |person: &str| {
            let stage = self.stage;
            self.answers.iter().any(|a| a.stage != stage && (a.actor == person || a.voice == person))
        };
        let able: Vec<_> = PEOPLE
            .into_iter()
            .filter(|person| Self::barred(person).is_none() && !elsewhere(person))
            .map(of)
            .collect();
        if Self::fill(&asked.needs, &able) < total {
            return Err("TooFewPeople");
        }
        let fresh: Vec<_> = self.answers.iter().map(|answer| of(answer.voice)).collect();
        for (answer, fresh) in self.answers.iter_mut().zip(fresh).filter(|(a, _)| a.stage == self.stage) {
            answer.of.retain(|group| !asked.needs.iter().any(|(name, _)| name == group));
            answer.of.extend(fresh);
        }
        self.asked[self.stage] = asked;
        self.count(now);
        Ok(())
    }

    fn run(&mut self, now: i64) {
        while self.state == "open" && now >= self.until {
            match self.stages[self.stage].fallback.clone() {
                Some((needs, within)) if !self.used[self.stage] => {
                    self.used[self.stage] = true;
                    self.asked[self.stage] = Asked { needs, named: BTreeSet::new() };
                    self.until = now + within;
                    self.count(now);
                }
                _ => self.state = "expired",
            }
        }
    }
}
