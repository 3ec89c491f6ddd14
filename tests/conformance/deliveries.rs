//! Deliveries: a right one passes, and wrong ones break the laws that are named for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tipstaff::conformance::{DELIVERY_LAWS, Target, Trouble, Variant, delivery_laws, run_delivery};
use tipstaff::{
    ActionType, Answer, BuiltinAction, Delivered, Delivery, EnforcementId, Job, Outcome, ParamValue, Params,
    Probe,
};

/// `Flaw: [laws broken], "what is wrong"`.
macro_rules! flaws {
    ($($flaw:ident: [$($law:ident)*], $about:literal;)+) => {
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        enum Flaw {
            $(#[doc = $about] $flaw,)+
        }

        impl Flaw {
            const ALL: &[(Self, &[&str])] = &[$((Self::$flaw, &[$(stringify!($law)),*])),+];
        }
    };
}

flaws! {
    None: [], "nothing";
    NoKeys: [], "its target does not honour keys, and it says so";
    IgnoresKeys: [a_repeated_delivery_has_one_effect a_lost_answer_makes_no_second_effect],
        "every delivery has its effect";
    KeepsKeysOfAnswers: [a_lost_answer_makes_no_second_effect], "a key is kept when its answer arrives";
    TakesContentForKey: [each_key_has_its_own_effect done_is_said_only_of_what_is_there],
        "the same content is taken for a repeat";
    SaysDoneUnreached: [done_is_said_only_of_what_is_there], "a target that was not reached has done it";
    TakesRefusalForDone: [done_is_said_only_of_what_is_there], "a refusal is not read";
    FailsWhatItDid: [failure_is_said_only_of_what_is_not], "a second way was taken, and the first reported";
    RetriesLost: [a_lost_answer_is_unknown], "a lost answer counts as a failure";
    DoneWhenLost: [a_lost_answer_is_unknown], "a lost answer counts as success";
    TakesAnyChannel: [a_foreign_channel_is_refused], "channels are not read";
    RetriesForeignChannels: [a_foreign_channel_is_refused], "a foreign channel may be tried again";
    ReadsTheAction: [a_foreign_channel_is_refused], "the action is taken for the channel";
    ProbesTheTarget: [a_probe_finds_only_what_is_there], "a probe asks whether the target has done anything";
    ProbeForgets: [a_probe_denies_only_what_is_not_there], "a probe knows nothing of the past";
    PanicsAtQuotes: [no_content_makes_it_panic], "a quotation mark is an invariant";
    SplitsLines: [no_content_reaches_another_key], "a line break begins another mail of the last key";
}

/// A mailbox and what fills it, wrong in one way.
struct Mail {
    flaw: Flaw,
    world: Mutex<World>,
}

#[derive(Default)]
struct World {
    effects: BTreeMap<EnforcementId, usize>,
    answered: BTreeSet<EnforcementId>,
    contents: Vec<Params>,
    first: Option<EnforcementId>,
    trouble: Option<Trouble>,
}

impl Mail {
    fn new(flaw: Flaw) -> Self {
        Self { flaw, world: Mutex::default() }
    }

    fn texts(job: &Job) -> impl Iterator<Item = &str> {
        job.params.values().filter_map(|value| match value {
            ParamValue::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    fn send(&self, job: &Job) -> Delivered {
        let carried: BTreeSet<ActionType> = self.channels().unwrap();
        let read = if self.flaw == Flaw::ReadsTheAction { &job.action } else { &job.channel };
        if !carried.contains(read) && self.flaw != Flaw::TakesAnyChannel {
            return match self.flaw {
                Flaw::RetriesForeignChannels => Delivered::retry("not a mail"),
                _ => Delivered::permanent("not a mail"),
            };
        }
        if self.flaw == Flaw::PanicsAtQuotes {
            assert!(!Self::texts(job).any(|text| text.contains('"')), "a quotation mark");
        }
        let mut world = self.world.lock().unwrap();
        let trouble = world.trouble.take();
        let there = match self.flaw {
            Flaw::IgnoresKeys | Flaw::NoKeys => false,
            Flaw::KeepsKeysOfAnswers => world.answered.contains(&job.key),
            Flaw::TakesContentForKey => world.contents.contains(&job.params),
            _ => world.effects.contains_key(&job.key),
        };
        let reached = !matches!(trouble, Some(Trouble::NotReached | Trouble::Refused));
        if !there && (reached || self.flaw == Flaw::FailsWhatItDid && trouble == Some(Trouble::NotReached)) {
            *world.effects.entry(job.key).or_default() += 1;
            world.contents.push(job.params.clone());
            let first = *world.first.get_or_insert(job.key);
            if self.flaw == Flaw::SplitsLines && Self::texts(job).any(|text| text.contains('\n')) {
                *world.effects.entry(first).or_default() += 1;
            }
        }
        match (trouble, self.flaw) {
            (_, Flaw::TakesContentForKey) if there => Outcome::NoOp.into(),
            (Some(Trouble::AnswerLost), Flaw::RetriesLost) => Delivered::retry("no answer"),
            (Some(Trouble::AnswerLost), Flaw::DoneWhenLost) => Delivered::done(),
            (Some(Trouble::AnswerLost), _) => Outcome::Unknown.into(),
            (Some(Trouble::NotReached), Flaw::SaysDoneUnreached) => Delivered::done(),
            (Some(Trouble::NotReached), _) => Delivered::retry("connection refused"),
            (Some(_), Flaw::TakesRefusalForDone) => Delivered::done(),
            (Some(_), _) => Delivered::permanent("no such mailbox"),
            (None, _) => {
                world.answered.insert(job.key);
                Delivered::done()
            }
        }
    }
}

impl Delivery for Mail {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        Some([BuiltinAction::SendEmail, BuiltinAction::SendChatMessage].map(ActionType::from).into())
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(async move { self.send(job) })
    }

    fn probe<'a>(&'a self, job: &'a Job) -> Answer<'a, Probe> {
        let world = self.world.lock().unwrap();
        let there = match self.flaw {
            Flaw::ProbesTheTarget => !world.effects.is_empty(),
            Flaw::ProbeForgets => false,
            _ => world.effects.contains_key(&job.key),
        };
        Box::pin(async move { if there { Probe::Done } else { Probe::NotDone } })
    }
}

impl Target for Mail {
    type Delivery = Self;

    fn delivery(&self) -> &Self {
        self
    }

    fn channel(&self) -> ActionType {
        BuiltinAction::SendEmail.into()
    }

    fn params(&self) -> Params {
        Params::from([("to".to_owned(), "manager".into())])
    }

    fn honours_keys(&self) -> bool {
        self.flaw != Flaw::NoKeys
    }

    fn effects(&self, key: EnforcementId) -> usize {
        self.world.lock().unwrap().effects.get(&key).copied().unwrap_or(0)
    }

    fn trouble(&self, trouble: Trouble) -> bool {
        self.world.lock().unwrap().trouble = Some(trouble);
        true
    }
}

/// A right delivery, by the macro that integrators use.
mod right {
    use super::{Flaw, Mail, delivery_laws};

    delivery_laws!(|| Mail::new(Flaw::None));
}

#[test]
fn a_wrong_delivery_breaks_the_laws_named_for_it() {
    for (flaw, named) in Flaw::ALL {
        let report = run_delivery(|| Mail::new(*flaw));
        let named: BTreeSet<&str> = named.iter().copied().collect();
        assert_eq!(report.broken(Variant::Plain), named, "{flaw:?}\n{report}");
    }
}

#[test]
fn every_law_is_broken_by_some_delivery() {
    let broken: BTreeSet<&str> = Flaw::ALL.iter().flat_map(|(_, laws)| laws.iter().copied()).collect();
    let laws: BTreeSet<&str> = DELIVERY_LAWS.iter().map(|law| law.test).collect();
    assert_eq!(broken, laws);
}
