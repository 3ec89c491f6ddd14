//! Many signals in few transactions.

use std::collections::{BTreeMap, BTreeSet};

use super::intake::{Decided, subject_key, trigger_key};
use super::settle::is_down;
use super::{Engine, EngineError, until_settled};
use crate::id::{CommitId, TenantId, UserId};
use crate::plan::Decision;
use crate::ready::Answer;
use crate::signal::Signal;
use crate::store::{Committed, StoreError};
use crate::time::Time;

/// The most signals of one transaction. More would gain little, hold the tenant's records for longer,
/// and be decided anew more often where others write as well.
pub const SUBMIT_GROUP: usize = 100;
/// The most bytes of payloads of one transaction, but for a single signal.
const GROUP_BYTES: usize = 4 << 20;

type Told = Result<Decision, EngineError>;

impl Engine {
    /// Decides on many signals, in as few transactions as may be: up to [`SUBMIT_GROUP`] of one tenant in
    /// one, each on what those before it leave behind. The answers come in the order of the signals, each
    /// as [`Engine::submit`] would have given it, and as there, every signal may be submitted again.
    ///
    /// One that is refused holds up no other: it is decided on alone, after those of its group, and so
    /// are later signals of its user. Where the store does not answer, what is left is not tried, and has
    /// the same error.
    pub fn submit_all(
        &self,
        signals: impl IntoIterator<Item = Signal>,
        now: Time,
    ) -> Answer<'_, Vec<Result<Decision, EngineError>>> {
        self.submit_many(signals.into_iter().collect(), now)
    }

    fn submit_many(&self, signals: Vec<Signal>, now: Time) -> Answer<'_, Vec<Told>> {
        Box::pin(async move {
            let mut answers: Vec<Option<Told>> = signals.iter().map(|_| None).collect();
            let mut down = None;
            for group in groups(&signals) {
                if down.is_none() {
                    down = self.submit_group(&signals, &group, &mut answers, now).await.err();
                }
            }
            let rest = Err(down.unwrap_or(EngineError::Busy));
            answers.into_iter().map(|answer| answer.unwrap_or_else(|| rest.clone())).collect()
        })
    }

    /// Answers the signals of a group; an error where the store does not answer.
    async fn submit_group(
        &self,
        signals: &[Signal],
        group: &[usize],
        answers: &mut [Option<Told>],
        now: Time,
    ) -> Result<(), EngineError> {
        if group.len() > 1 {
            match until_settled!({ self.decide_all(signals, group, now).await }) {
                Ok(decided) => {
                    for (place, decision) in group.iter().zip(decided) {
                        answers[*place] = decision.map(Ok);
                    }
                }
                Err(error) if is_down(&error) => return Err(error),
                // What stands in the way of the others shows when each is alone.
                Err(_) => {}
            }
        }
        for place in group {
            if answers[*place].is_none() {
                let answer = until_settled!({ self.decide(&signals[*place], now).await });
                let down = answer.as_ref().err().filter(|error| is_down(error)).cloned();
                answers[*place] = Some(answer);
                down.map_or(Ok(()), Err)?;
            }
        }
        Ok(())
    }

    /// Decides on a group in one transaction; none for what must be decided on alone, as is all that comes
    /// first of a tenant.
    async fn decide_all(
        &self,
        signals: &[Signal],
        group: &[usize],
        now: Time,
    ) -> Result<Vec<Option<Decision>>, EngineError> {
        let Some(tenant) = group.first().map(|place| signals[*place].tenant()) else {
            return Ok(Vec::new());
        };
        if self.own_rules(tenant).await?.is_some() {
            return Ok(vec![None; group.len()]);
        }
        let installed = self.rules_of(tenant, now).await?;
        let members: Vec<_> = group
            .iter()
            .map(|place| (&signals[*place], installed.rules.concerned(&signals[*place])))
            .collect();
        if members.iter().any(|(_, concerned)| !concerned.is_empty()) {
            // It names where this host counts.
            self.worker_id().await?;
        }
        let mut tx = self.tx(tenant);
        let keys: Vec<_> = members
            .iter()
            .flat_map(|(signal, concerned)| self.read_for(&tx, &installed, concerned, signal))
            .collect();
        tx.load(keys).await?;
        let mut alone: BTreeSet<&UserId> = BTreeSet::new();
        let mut written = Vec::new();
        let mut decided = Vec::new();
        for (signal, concerned) in &members {
            let user = &signal.subject().user;
            let subject = subject_key(tenant, signal.subject());
            // What moves a level that this group has moved may have another move to make up before it.
            let moved = matches!(signal, Signal::Score(_)) && tx.is_written(&subject);
            if alone.contains(user) || moved || !is_plain(signal) {
                alone.insert(user);
                decided.push(None);
                continue;
            }
            let mark = tx.mark();
            let answer = match self.decide_in(&mut tx, &installed, concerned, signal, now).await {
                Ok(Decided::Now(planned)) => {
                    written.push(planned.decision.id);
                    Some(planned.decision)
                }
                Ok(Decided::Unconcerned) => Some(Decision::new(signal, now)),
                Ok(Decided::Before(known)) if known.digest == signal.digest() => {
                    Some(Decision { repeat: true, ..*known })
                }
                Err(error @ EngineError::Store(StoreError::Conflict(_))) => return Err(error),
                Err(error) if is_down(&error) => return Err(error),
                Ok(Decided::Before(_)) | Err(_) => {
                    tx.back_to(&mark);
                    alone.insert(user);
                    None
                }
            };
            decided.push(answer);
        }
        let Some(first) = written.first().copied() else { return Ok(decided) };
        let commit =
            CommitId::derive(|h| written.iter().fold(h.text("decide all"), |h, id| h.bytes(id.bytes())));
        match tx.commit(commit).await? {
            Committed::Applied => Ok(decided),
            // They were decided on before: those decisions stand.
            Committed::AlreadyApplied => Err(StoreError::Conflict(trigger_key(tenant, first)).into()),
        }
    }
}

/// Whether a signal can be decided on beside others. Break-glass asks for a right, and logs who had
/// none; what caused a signal may be another one of the group; what the engine itself makes has
/// transactions of its own.
fn is_plain(signal: &Signal) -> bool {
    match signal {
        _ if signal.cause().is_some() => false,
        Signal::Event(_) | Signal::Score(_) => true,
        Signal::Manual(start) => !start.break_glass,
        Signal::Schedule(_) | Signal::Level(_) => false,
    }
}

/// The places of signals that go together: of one tenant, in their order.
fn groups(signals: &[Signal]) -> Vec<Vec<usize>> {
    let mut done = Vec::new();
    let mut open: BTreeMap<&TenantId, (usize, Vec<usize>)> = BTreeMap::new();
    for (place, signal) in signals.iter().enumerate() {
        let bytes = match signal {
            Signal::Event(event) => event.payload.text().len(),
            _ => 0,
        };
        let (held, group) = open.entry(signal.tenant()).or_default();
        if !group.is_empty() && (group.len() == SUBMIT_GROUP || *held + bytes > GROUP_BYTES) {
            done.push(std::mem::take(group));
            *held = 0;
        }
        group.push(place);
        *held += bytes;
    }
    done.extend(open.into_values().map(|(_, group)| group));
    done
}
