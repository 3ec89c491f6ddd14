//! What rules that wait for something hear, and deadlines that pass.

use std::sync::Arc;

use super::describe::user_key;
use super::installed::timer_key;
use super::intake::{replace, trigger_key};
use super::run::step_id;
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::hash::Hasher;
use crate::id::{OccurrenceId, RuleId, Subject, TenantId, UserId};
use crate::rule::CompiledRule;
use crate::signal::{Absence, Signal, Turn};
use crate::state::{SubjectState, Timer};
use crate::store::{Key, Kind};
use crate::time::Time;
use crate::watch::{Open, Watch};

impl Engine {
    /// Notes what the watching rules among the concerned ones hear in an event.
    pub(super) async fn hear(
        &self,
        tx: &mut Tx<'_>,
        concerned: &[Arc<CompiledRule>],
        signal: &Signal,
        now: Time,
    ) -> Result<(), EngineError> {
        let Signal::Event(event) = signal else { return Ok(()) };
        let tenant = &event.tenant;
        let user = &event.subject.user;
        let watching: Vec<_> = concerned.iter().filter(|rule| rule.rule.trigger.watches()).collect();
        let keys = watching.iter().map(|rule| watch_key(tenant, &rule.rule.id, user));
        tx.load(keys.chain(watching.iter().map(|rule| timer_key(tenant, &rule.rule.id)))).await?;
        // A clock that is ahead tells nothing about the future.
        let at = event.at.min(now);
        for rule in watching {
            let id = &rule.rule.id;
            let key = watch_key(tenant, id, user);
            let known = tx.get::<Watch>(&key)?.map(|stored| stored.body);
            let mut watch = known.clone().unwrap_or_else(|| Watch::new(id.clone(), user.clone()));
            let before = watch.open.clone();
            match rule.deadline() {
                None => watch.see(at),
                Some(deadline) => {
                    let listening = listening(tx, tenant, id)?.unwrap_or(now);
                    let heard = watch.hear(&rule.roles(event), at, signal.trigger_id(), deadline, listening);
                    let mut tell = |code, open: &Option<Open>| {
                        if let Some(open) = open {
                            tx.log([told(tenant, code, &watch, open, now).trigger(signal.trigger_id())]);
                        }
                    };
                    if heard.closed {
                        tell(AuditCode::ScheduleDeadlineClosed, &before);
                    }
                    if heard.opened {
                        tell(AuditCode::ScheduleDeadlineOpened, &watch.open);
                    }
                }
            }
            if known.as_ref() != Some(&watch) {
                replace(tx, key, watch)?;
            }
        }
        Ok(())
    }

    /// A deadline has passed: the rule fires, unless it cannot tell any more what happened.
    pub(super) async fn step_watch(&self, mut tx: Tx<'_>, key: &Key, now: Time) -> Result<(), EngineError> {
        let tenant = &key.tenant;
        let Some(stored) = tx.get::<Watch>(key)? else { return Ok(()) };
        let id = step_id(&tx, key);
        let mut watch = stored.body.clone();
        let Some(open) = watch.open.clone().filter(|open| open.due <= now) else { return Ok(()) };
        let installed = self.rules_in(&mut tx, tenant, now).await?;
        let timer = timer_key(tenant, &watch.rule);
        tx.load([timer, user_key(tenant, &watch.user)]).await?;
        let acting =
            installed.rules.rule(&watch.rule).filter(|rule| rule.acts() && rule.deadline().is_some());
        // Switched off meanwhile, it may have missed what closes the deadline.
        let heard = listening(&tx, tenant, &watch.rule)?.is_some_and(|since| since <= open.at);
        let given_up = match acting {
            None => Some("stopped"),
            Some(_) if !heard => Some("unheard"),
            Some(_) => {
                let signal = turn(&tx, tenant, &watch, &open);
                let concerned = installed.rules.concerned(&signal);
                let trigger = trigger_key(tenant, signal.trigger_id());
                tx.load([trigger.clone()]).await?;
                // An earlier one ended at that very moment, before an edit gave this one less time.
                if tx.has(&trigger) {
                    Some("acted")
                } else if concerned.is_empty() {
                    Some("subject")
                } else {
                    self.plan_into(&mut tx, &installed.rules, &concerned, &signal, now).await?;
                    None
                }
            }
        };
        if let Some(why) = given_up {
            let code = AuditCode::ScheduleDeadlineDropped;
            tx.log([told(tenant, code, &watch, &open, now).trigger(open.by).detail("reason", why)]);
        }
        watch.pass();
        tx.put(key.clone(), &stored.with(watch));
        tx.commit(id).await?;
        Ok(())
    }
}

/// Since when a rule has listened without a gap, if it does.
pub(super) fn listening(tx: &Tx<'_>, tenant: &TenantId, rule: &RuleId) -> Result<Option<Time>, EngineError> {
    Ok(tx.get::<Timer>(&timer_key(tenant, rule))?.and_then(|stored| stored.body.listening))
}

fn turn(tx: &Tx<'_>, tenant: &TenantId, watch: &Watch, open: &Open) -> Signal {
    let known = tx.get::<SubjectState>(&user_key(tenant, &watch.user)).ok().flatten();
    let occurrence = OccurrenceId::derive(|h| {
        let h = h.text("deadline").text(tenant.as_str()).text(watch.rule.as_str()).text(watch.user.as_str());
        h.number(open.due.micros().cast_unsigned())
    });
    Signal::Schedule(Turn {
        tenant: tenant.clone(),
        rule: watch.rule.clone(),
        occurrence,
        subject: Subject::user(watch.user.clone()),
        at: open.due,
        attributes: known.and_then(|stored| stored.body.known_attributes()),
        absence: Some(Absence { since: open.at, last: watch.seen }),
    })
}

fn told(tenant: &TenantId, code: AuditCode, watch: &Watch, open: &Open, now: Time) -> AuditDraft {
    AuditDraft::new(tenant.clone(), code, Actor::Engine, now)
        .subject(Subject::user(watch.user.clone()))
        .target(watch.rule.as_str())
        .detail("opened", open.at)
        .detail("due", open.due)
}

/// One record a rule and user; a hash, as the two together are longer than keys may be.
pub(super) fn watch_key(tenant: &TenantId, rule: &RuleId, user: &UserId) -> Key {
    let hasher = Hasher::new("tipstaff/watch/1").text(rule.as_str()).text(user.as_str());
    Key::new(tenant, Kind::Watch, hasher.finish().to_string())
}
