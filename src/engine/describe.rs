//! What the host tells of people: attributes that rules and audiences ask for.

use super::intake::{replace, subject_key};
use super::tx::Tx;
use super::{Engine, EngineError, until_settled};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::id::{CommitId, Subject, TenantId, UserId};
use crate::pattern::Payload;
use crate::plan::Plan;
use crate::ready::Answer;
use crate::signal::Signal;
use crate::state::{MAX_ATTRIBUTE_BYTES, SubjectState};
use crate::time::Time;

/// How many people one commit describes.
const PEOPLE: usize = 200;

impl Engine {
    /// Tells what the host's directory knows of a user at `now`, in the place of all that was told
    /// before; none takes it back. The attributes hold for their sessions as well. Whoever is
    /// described is known from then on: an [audience](crate::Audience) may hold them.
    ///
    /// Signals tell attributes as well ([`Event::attributes`](crate::Event::attributes)): those that
    /// concern a rule are kept, the newest by the signal's time.
    ///
    /// A change is audited without what it says. Gives whether it was one.
    ///
    /// # Errors
    /// [`EngineError::Attributes`] where they are too long; nothing is changed then.
    pub fn describe<'a>(
        &'a self,
        tenant: &'a TenantId,
        user: &'a UserId,
        attributes: Option<&'a Payload>,
        now: Time,
    ) -> Answer<'a, Result<bool, EngineError>> {
        Box::pin(async move {
            Ok(self.describe_page(tenant, &[(user.clone(), attributes.cloned())], now).await? > 0)
        })
    }

    /// Tells of many users, as [`Engine::describe`] does of one: for a directory that is read as a
    /// whole. Gives how many it changed.
    ///
    /// # Errors
    /// As [`Engine::describe`]; those before the one that fails are described, perhaps some more.
    pub async fn describe_all(
        &self,
        tenant: &TenantId,
        people: impl Iterator<Item = (UserId, Payload)> + Send,
        now: Time,
    ) -> Result<u64, EngineError> {
        let mut people = people.map(|(user, attributes)| (user, Some(attributes)));
        let mut changed = 0;
        loop {
            let page: Vec<_> = people.by_ref().take(PEOPLE).collect();
            if page.is_empty() {
                return Ok(changed);
            }
            changed += self.describe_page(tenant, &page, now).await?;
        }
    }

    fn describe_page<'a>(
        &'a self,
        tenant: &'a TenantId,
        people: &'a [(UserId, Option<Payload>)],
        now: Time,
    ) -> Answer<'a, Result<u64, EngineError>> {
        Box::pin(async move {
            for (_, attributes) in people {
                let bytes = attributes.as_ref().map_or(0, |payload| payload.text().len());
                if bytes > MAX_ATTRIBUTE_BYTES {
                    return Err(EngineError::Attributes(bytes));
                }
            }
            // A tenant of whom only people are known has rules as well: those on a timetable begin.
            self.rules_of(tenant, now).await?;
            until_settled!({
                let mut tx = self.tx(tenant);
                tx.load(people.iter().map(|(user, _)| user_key(tenant, user))).await?;
                let mut changes = 0;
                for (user, attributes) in people {
                    let key = user_key(tenant, user);
                    let known = tx.get::<SubjectState>(&key)?.map(|stored| stored.body);
                    let new = known.is_none();
                    let mut state = known.unwrap_or_else(|| newly_known(user, now));
                    if !state.learn(attributes.as_ref(), now) && !new {
                        continue;
                    }
                    changes += 1;
                    tx.log([AuditDraft::new(
                        tenant.clone(),
                        AuditCode::PolicySubjectDescribed,
                        Actor::Host,
                        now,
                    )
                    .subject(Subject::user(user.clone()))
                    .detail("new", new)
                    .detail("taken_back", attributes.is_none())]);
                    replace(&mut tx, key, state)?;
                }
                if changes == 0 {
                    return Ok(0);
                }
                let versions: Vec<_> =
                    people.iter().map(|(user, _)| (user, tx.version(&user_key(tenant, user)))).collect();
                let id = CommitId::derive(|h| {
                    let h = h.text("describe").number(now.micros().cast_unsigned());
                    let h =
                        versions.iter().fold(h, |h, (user, version)| h.text(user.as_str()).number(*version));
                    people.iter().fold(h, |h, (_, told)| h.text(told.as_ref().map_or("", Payload::text)))
                });
                tx.commit(id).await?;
                Ok(changes)
            })
        })
    }

    /// What is known of a user, as the transaction sees it.
    pub(super) async fn attributes_of(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<Option<Payload>, EngineError> {
        let key = user_key(tenant, user);
        tx.load([key.clone()]).await?;
        Ok(tx.get::<SubjectState>(&key)?.and_then(|stored| stored.body.known_attributes()))
    }

    /// Takes in what a signal tells of its user, and makes the user of a session known.
    pub(super) async fn learn(
        &self,
        tx: &mut Tx<'_>,
        signal: &Signal,
        planned: &mut Plan,
        now: Time,
    ) -> Result<(), EngineError> {
        // A turn tells what was known already.
        let told = signal.attributes().filter(|_| !matches!(signal, Signal::Schedule(_)));
        let mut changed = false;
        if signal.subject().session.is_none() {
            changed = told.is_some_and(|told| planned.subject.learn(Some(told), signal.at()));
        } else {
            let key = user_key(signal.tenant(), &signal.subject().user);
            tx.load([key.clone()]).await?;
            let known = tx.get::<SubjectState>(&key)?.map(|stored| stored.body);
            let mut user = known.clone().unwrap_or_else(|| newly_known(&signal.subject().user, now));
            if let Some(told) = told {
                changed = user.learn(Some(told), signal.at());
            }
            if known.as_ref() != Some(&user) {
                replace(tx, key, user)?;
            }
        }
        if changed && let Some(heading) = planned.audit.first_mut() {
            heading.details.insert("attributes_changed".to_owned(), true.into());
        }
        Ok(())
    }
}

fn newly_known(user: &UserId, now: Time) -> SubjectState {
    SubjectState { known_since: Some(now), ..SubjectState::new(Subject::user(user.clone())) }
}

pub(super) fn user_key(tenant: &TenantId, user: &UserId) -> crate::store::Key {
    subject_key(tenant, &Subject::user(user.clone()))
}
