//! The laws of a delivery.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::bench::{BlockOn, drive};
use super::super::broken::{Broken, Checked, holds, same};
use super::super::props::{ODD, acme, action, id};
use super::super::target::Trouble;
use crate::action::{ActionType, MAX_PARAM_BYTES, ParamValue, Params};
use crate::delivery::{Delivered, Delivery, Job, Probe};
use crate::enforcement::Outcome;
use crate::id::{EnforcementId, MAX_ID_BYTES, Subject};

/// What a law of a delivery works with.
pub(in super::super) struct Stand<'a> {
    pub(in super::super) delivery: &'a dyn Delivery,
    pub(in super::super) block_on: BlockOn<'a>,
    pub(in super::super) channel: ActionType,
    pub(in super::super) params: Params,
    pub(in super::super) honours_keys: bool,
    pub(in super::super) effects: &'a dyn Fn(EnforcementId) -> usize,
    pub(in super::super) trouble: &'a dyn Fn(Trouble) -> bool,
}

impl Stand<'_> {
    fn job(&self, name: &str) -> Job {
        let channel = self.channel.clone();
        Job {
            action: channel.clone(),
            channel,
            params: self.params.clone(),
            attempt: 1,
            ..Job::from(&action(&acme(), name))
        }
    }

    fn deliver(&self, job: &Job) -> Result<Delivered, Broken> {
        drive(self.block_on, self.delivery.deliver(job)).ok_or_else(waited)
    }

    fn probe(&self, job: &Job) -> Result<Probe, Broken> {
        drive(self.block_on, self.delivery.probe(job)).ok_or_else(waited)
    }

    fn effects(&self, job: &Job) -> usize {
        (self.effects)(job.key)
    }

    /// A job without trouble must be carried out, or nothing can be said of the delivery.
    fn carried_out(&self, name: &str) -> Result<Job, Broken> {
        let job = self.job(name);
        let delivered = self.deliver(&job)?;
        holds("a job without trouble", is_there(delivered.outcome), "Done or NoOp", &delivered)?;
        same("its effects", &1, &self.effects(&job))?;
        Ok(job)
    }

    /// A job for each trouble that the target can make, with what was answered.
    fn in_trouble(&self) -> Result<Vec<(Trouble, Job, Outcome)>, Broken> {
        let troubles = Trouble::ALL.iter().filter(|trouble| (self.trouble)(**trouble));
        troubles
            .map(|trouble| {
                let job = self.job(trouble.as_str());
                Ok((*trouble, job.clone(), self.deliver(&job)?.outcome))
            })
            .collect()
    }
}

fn waited() -> Broken {
    Broken::new("a call", "an answer", "a future that had to wait; give the laws an executor")
}

const fn is_there(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Done | Outcome::NoOp)
}

/// 1. *Keyed*
pub(in super::super) fn a_repeated_delivery_has_one_effect(stand: &Stand<'_>) -> Checked {
    let first = stand.carried_out("one")?;
    let again = Job { attempt: 2, ..first };
    let delivered = stand.deliver(&again)?;
    if stand.honours_keys {
        same("effects of a job delivered twice", &1, &stand.effects(&again))?;
        holds("the second answer", is_there(delivered.outcome), "Done or NoOp", &delivered)?;
    }
    Ok(())
}

/// 1. *Keyed*
pub(in super::super) fn a_lost_answer_makes_no_second_effect(stand: &Stand<'_>) -> Checked {
    let job = stand.job("one");
    if stand.honours_keys && (stand.trouble)(Trouble::AnswerLost) {
        stand.deliver(&job)?;
        stand.deliver(&Job { attempt: 2, ..job.clone() })?;
        same("effects of a job repeated after its answer was lost", &1, &stand.effects(&job))?;
    }
    Ok(())
}

/// 1. *Keyed*
pub(in super::super) fn each_key_has_its_own_effect(stand: &Stand<'_>) -> Checked {
    // The keys differ, and nothing else.
    let jobs = ["one", "two", "three"].map(|name| Job { key: stand.job(name).key, ..stand.job("same") });
    for job in &jobs {
        stand.deliver(job)?;
    }
    let effects = jobs.each_ref().map(|job| stand.effects(job));
    same("effects of three keys with the same content", &[1, 1, 1], &effects)
}

/// 2. *Honest*
pub(in super::super) fn done_is_said_only_of_what_is_there(stand: &Stand<'_>) -> Checked {
    stand.carried_out("one")?;
    for (trouble, job, outcome) in stand.in_trouble()? {
        let fine = !is_there(outcome) || stand.effects(&job) > 0;
        holds(&format!("a delivery in trouble ({trouble})"), fine, "an effect, or another answer", &outcome)?;
    }
    Ok(())
}

/// 2. *Honest*
pub(in super::super) fn failure_is_said_only_of_what_is_not(stand: &Stand<'_>) -> Checked {
    for (trouble, job, outcome) in stand.in_trouble()? {
        let failed = matches!(outcome, Outcome::Retry { .. } | Outcome::Permanent);
        let fine = !failed || stand.effects(&job) == 0 || trouble == Trouble::AnswerLost;
        holds(&format!("a delivery in trouble ({trouble})"), fine, "no effect, or another answer", &outcome)?;
    }
    Ok(())
}

/// 2. *Honest*
pub(in super::super) fn a_lost_answer_is_unknown(stand: &Stand<'_>) -> Checked {
    for (trouble, _, outcome) in stand.in_trouble()? {
        if trouble == Trouble::AnswerLost {
            same("a delivery whose answer was lost", &Outcome::Unknown, &outcome)?;
        }
    }
    Ok(())
}

/// 3. *Own channels*
pub(in super::super) fn a_foreign_channel_is_refused(stand: &Stand<'_>) -> Checked {
    let Some(channels) = stand.delivery.channels() else { return Ok(()) };
    holds("its channels", channels.contains(&stand.channel), "the target's channel among them", &channels)?;
    for name in ["approval_notice", "lock_account", "send_webhook", "send_email", "no_such_channel"] {
        let channel = super::super::props::channel(name);
        if channels.contains(&channel) {
            continue;
        }
        // Whatever the action is called: the channel is what counts.
        for action in [channel.clone(), stand.channel.clone()] {
            let job = Job { action, channel: channel.clone(), ..stand.job(name) };
            let place = format!("a job of the channel `{name}`");
            same(&place, &Outcome::Permanent, &stand.deliver(&job)?.outcome)?;
            same(&format!("{place}: its effects"), &0, &stand.effects(&job))?;
        }
    }
    Ok(())
}

/// 4. *Truthful probe*
pub(in super::super) fn a_probe_finds_only_what_is_there(stand: &Stand<'_>) -> Checked {
    let absent = stand.job("absent");
    let not_done = |place: &str, job: &Job| {
        let probe = stand.probe(job)?;
        holds(place, probe != Probe::Done || stand.effects(job) > 0, "NotDone or Unknown", &probe)
    };
    not_done("the probe of a key that was never delivered", &absent)?;
    stand.carried_out("one")?;
    not_done("the probe of one key after another's effect", &absent)?;
    for (trouble, job, _) in stand.in_trouble()? {
        not_done(&format!("the probe after trouble ({trouble})"), &job)?;
    }
    Ok(())
}

/// 4. *Truthful probe*
pub(in super::super) fn a_probe_denies_only_what_is_not_there(stand: &Stand<'_>) -> Checked {
    let done = stand.carried_out("one")?;
    let jobs = stand.in_trouble()?.into_iter().map(|(_, job, _)| job);
    for job in std::iter::once(done).chain(jobs) {
        let probe = stand.probe(&job)?;
        let fine = probe != Probe::NotDone || stand.effects(&job) == 0;
        holds(&format!("the probe of {}", job.key), fine, "Done or Unknown", &probe)?;
    }
    Ok(())
}

/// Jobs whose texts are all odd in the same way.
fn odd_jobs(stand: &Stand<'_>) -> impl Iterator<Item = Job> {
    let long = "é".repeat(MAX_PARAM_BYTES / 2);
    let controls = "line\r\nBcc: all@example.org\r\n\r\n\u{0}\u{1b}[2J<script>${x}{{y}}</script>".to_owned();
    let texts = ODD.iter().map(|text| (*text).to_owned()).chain([long, controls]);
    texts.enumerate().map(|(n, text)| {
        let job = stand.job(&format!("odd {n}"));
        let known = MAX_ID_BYTES.min(text.len());
        let end = (0..=known).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let subject = Subject { user: id(&text[..end]), session: Some(id(&text[..end])) };
        let odd = |value: &ParamValue| match value {
            ParamValue::Text(_) => ParamValue::Text(text.clone()),
            other => other.clone(),
        };
        let mut params: Params = job.params.iter().map(|(name, value)| (name.clone(), odd(value))).collect();
        params.insert("more".to_owned(), ParamValue::Text(text.clone()));
        let mut origin = job.origin.clone();
        origin.source.clone_from(&text);
        origin.signal.clone_from(&text);
        origin.reason = Some(text.clone());
        Job { tenant: id(&text[..end]), subject, params, origin, ..job }
    })
}

/// 5. *Any content*
pub(in super::super) fn no_content_makes_it_panic(stand: &Stand<'_>) -> Checked {
    for job in odd_jobs(stand) {
        let call = AssertUnwindSafe(|| stand.deliver(&job).and_then(|_| stand.probe(&job)));
        catch_unwind(call).unwrap_or_else(|_| {
            Err(Broken::new(format!("a job for {}", job.subject), "an answer", "a panic"))
        })?;
    }
    Ok(())
}

/// 5. *Any content*
pub(in super::super) fn no_content_reaches_another_key(stand: &Stand<'_>) -> Checked {
    let mut jobs = vec![stand.carried_out("one")?];
    for job in odd_jobs(stand) {
        // What panics is the other law's.
        let delivered = catch_unwind(AssertUnwindSafe(|| stand.deliver(&job)));
        let place = format!("a job for {}", job.subject);
        if let Ok(Ok(delivered)) = delivered {
            let expected = usize::from(is_there(delivered.outcome));
            same(&format!("{place}: its effects"), &expected, &stand.effects(&job))?;
            jobs.extend((expected == 1).then_some(job));
        }
        for earlier in &jobs {
            same(&format!("{place}: the effects of an earlier key"), &1, &stand.effects(earlier))?;
        }
    }
    Ok(())
}
