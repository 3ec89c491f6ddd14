//! What is asked between a claim and its delivery: does what led to it still hold (behaviour 7.5), and
//! is another delivery for the same effect under way?

use super::effects::effect_key;
use super::exemptions::exemption_keys;
use super::hours::Held;
use super::installed::{book_key, rule_at};
use super::intake::subject_key;
use super::looks::Look;
use super::tx::Tx;
use super::waivers::waiver_key;
use super::work::lost_before;
use super::{Engine, EngineError, until_settled};
use crate::action::{Category, RetrySafety};
use crate::broken::{self, Defect};
use crate::delivery::Delivered;
use crate::effect::{EffectState, EffectStatus, HeldEffect, Turn};
use crate::enforcement::{Enforcement, Holder, Outcome, Purpose, State};
use crate::guard::{Suppressed, protected};
use crate::id::CommitId;
use crate::rule::{Mode, RuleSet, Trigger};
use crate::score::{Direction, ScoreTrigger};
use crate::signal::TriggerKind;
use crate::state::SubjectState;
use crate::store::{Key, Kind, Record, Store, StoreError, Stored, decode};
use crate::time::{Span, Time};

/// How long a delivery waits at least for the end of another one for the same effect.
const TURN_WAIT: Span = Span::secs(5);

/// What is known before a delivery.
pub(super) enum Before {
    /// It may begin; whether the directory of people was asked, who may have taken their time.
    Deliver {
        /// Whether it was.
        asked: bool,
    },
    /// It must not, and this is what came of it.
    Known(Delivered),
    /// What led to it no longer holds, and why.
    Outdated(String),
    /// Not before then, and why: something else is under way.
    Later(Time, String),
    /// Not before then, by the times of those who ask for it, and why.
    Held(Time, String),
}

/// A subject that may be touched.
struct Touch {
    /// Whether that takes an administrator away.
    takes: bool,
    /// Whether the directory of people was asked.
    asked: bool,
}

impl Engine {
    /// Takes the turn of an effect, on the condition that what the decision rests on has not changed
    /// since the look.
    pub(super) async fn take_turn(
        &self,
        claimed: &Record,
        enforcement: &Enforcement,
        look: Look,
        now: Time,
    ) -> Result<Before, EngineError> {
        let mut look = look.into_records();
        let begun = until_settled!({
            let mut tx = self.tx(&claimed.key.tenant);
            tx.offer(std::mem::take(&mut look));
            let (mut taking, mut asked) = (false, false);
            if enforcement.purpose == Purpose::Action {
                if let Some(before) = self.outdated(&mut tx, enforcement, now).await? {
                    return Ok(before);
                }
                match self.may_touch(&mut tx, enforcement, now).await? {
                    Err(why) => return Ok(Before::Outdated(why)),
                    Ok(touch) => {
                        taking = touch.takes && !enforcement.administrator;
                        asked = touch.asked;
                    }
                }
            }
            if taking {
                self.take_place(&mut tx, &claimed.key, enforcement, now).await?;
            }
            let commit = CommitId::derive(|h| h.text("turn").text(&claimed.key.id).number(claimed.token));
            let Some(id) = enforcement.effect() else {
                if taking {
                    tx.fence(claimed.key.clone(), claimed.token);
                    tx.commit(commit).await?;
                }
                return Ok(Before::Deliver { asked });
            };
            let key = effect_key(&enforcement.tenant, id);
            tx.load([key.clone()]).await?;
            let known = tx.get::<HeldEffect>(&key)?;
            let fresh = || HeldEffect::of(enforcement, now);
            let Some(effect) = known.as_ref().map(|stored| stored.body.clone()).or_else(fresh) else {
                return Ok(Before::Outdated("its effect is not known".to_owned()));
            };
            if let Some(before) = not_wanted(enforcement, &effect) {
                return Ok(before);
            }
            if self.is_taken(&effect, enforcement).await? {
                let why = "another delivery for the same effect is under way";
                return Ok(Before::Later(now.after(TURN_WAIT), why.to_owned()));
            }
            let turn = Turn {
                enforcement: enforcement.id,
                token: claimed.token,
                until: claimed.lease.as_ref().map_or(Time::MIN, |lease| lease.until),
            };
            let effect = HeldEffect { turn: Some(turn), ..effect };
            match known {
                Some(stored) => tx.put(key, &stored.with(effect)),
                None => tx.put(key, &Stored::new(effect)),
            }
            tx.fence(claimed.key.clone(), claimed.token);
            tx.commit(commit).await?;
            Ok(Before::Deliver { asked })
        });
        match begun {
            // Its settling will find that the claim is somebody else's, and tell.
            Err(EngineError::Store(StoreError::Fenced(_))) => Ok(Before::Known(lost_before())),
            other => other,
        }
    }

    /// Whether somebody else's delivery for that effect may still be under way.
    async fn is_taken(&self, effect: &HeldEffect, enforcement: &Enforcement) -> Result<bool, EngineError> {
        let Some(turn) = effect.turn.as_ref().filter(|turn| turn.enforcement != enforcement.id) else {
            return Ok(false);
        };
        let key = Key::new(&effect.tenant, Kind::Enforcement, turn.enforcement.to_string());
        let record = self.store.load(std::slice::from_ref(&key)).await?.pop().flatten();
        // The lease of the turn's claim, as it is by now: it may have been renewed since.
        let Some((other, lease)) = record.as_ref().and_then(|other| Some((other, other.lease.as_ref()?)))
        else {
            return Ok(false);
        };
        if other.token != turn.token || self.store.now().await? >= lease.until {
            return Ok(false);
        }
        let Ok(other) = decode::<Enforcement>(other) else { return Ok(false) };
        Ok(matches!(other.body.state, State::Running { token, .. } if token == turn.token))
    }

    /// Why an action is not to be carried out any more, or not yet; none where any of those who ask for
    /// it still does, and may have it now.
    async fn outdated(
        &self,
        tx: &mut Tx<'_>,
        enforcement: &Enforcement,
        now: Time,
    ) -> Result<Option<Before>, EngineError> {
        let exemptions = self.exemptions_of(tx, &enforcement.tenant, &enforcement.subject, None).await?;
        let exempt =
            |rule| exemptions.iter().any(|known| known.covering(rule, &enforcement.action, now).is_some());
        if enforcement.holders.is_empty() {
            return Ok(match exempt(None) {
                true => Some(Before::Outdated("the subject is exempt from it".to_owned())),
                false => self.held(tx, enforcement, None, now, now).await?.map(Before::from),
            });
        }
        let (mut why, mut later) = (None, None);
        for holder in &enforcement.holders {
            let fault = match exempt(Some(&holder.rule)) {
                true => Some("the subject is exempt from it".to_owned()),
                false if holder.recheck && !broken::is(Defect::RecheckSkipped) => {
                    self.recovered(tx, enforcement, holder, now).await?
                }
                false => None,
            };
            let held = match fault {
                Some(fault) => Some(Held::ForGood(fault)),
                None => self.held(tx, enforcement, Some(&holder.rule), now, now).await?,
            };
            match held {
                None => return Ok(None),
                Some(Held::ForGood(fault)) => why = Some(fault),
                Some(Held::Until(until, told)) => {
                    later = later.into_iter().chain([(until, told)]).min();
                }
            }
        }
        let later = later.map(|(until, told)| Before::Held(until, told));
        Ok(later.or(why.map(Before::Outdated)))
    }

    /// Whether the subject may be touched at all at this moment, whoever agreed to it before: or why
    /// not.
    async fn may_touch(
        &self,
        tx: &mut Tx<'_>,
        enforcement: &Enforcement,
        now: Time,
    ) -> Result<Result<Touch, String>, EngineError> {
        let untold = Touch { takes: false, asked: false };
        let (tenant, user) = (&enforcement.tenant, &enforcement.subject.user);
        let known = self.rules_of(tenant, now).await?;
        // What restricts nobody, and is protected from by nobody, needs no look at the rules in force.
        let restricts = enforcement.category == Category::AccessControl
            || known.rules.catalog().get(&enforcement.action).is_none_or(|spec| spec.restricts);
        if !restricts && known.rules.settings().protected.is_empty() {
            return Ok(Ok(untold));
        }
        let installed = self.rules_in(tx, tenant, now).await?;
        let settings = installed.rules.settings();
        let Some(spec) = installed.rules.catalog().get(&enforcement.action) else { return Ok(Ok(untold)) };
        let attributes = match settings.asks_attributes(spec) {
            true => self.attributes_of(tx, tenant, user).await?,
            false => None,
        };
        let held = protected(settings, spec, &enforcement.subject, attributes.as_ref());
        if let Some(held) = held {
            return Ok(Err(told(&held)));
        }
        if !settings.administrators().covers(spec) {
            return Ok(Ok(untold));
        }
        let staff = self.staff(tx, tenant, &installed.rules).await?;
        let keeping = staff.keeping(&installed.rules);
        Ok(match keeping.held(spec, user).filter(|_| !broken::is(Defect::PlacesAtDecisionOnly)) {
            Some(held) => Err(told(&held)),
            None => Ok(Touch { takes: keeping.takes(spec, user), asked: self.people.is_some() }),
        })
    }

    /// Why what led a rule to its action no longer holds: the rule acts no more, or the subject's band
    /// is none that it asks about. A rule of which this cannot be told does not act.
    async fn recovered(
        &self,
        tx: &mut Tx<'_>,
        enforcement: &Enforcement,
        holder: &Holder,
        now: Time,
    ) -> Result<Option<String>, EngineError> {
        let tenant = &enforcement.tenant;
        let installed = self.rules_in(tx, tenant, now).await?;
        let by_hand = enforcement.origin.kind == TriggerKind::Manual;
        let acting = installed.rules.rule(&holder.rule).filter(|rule| rule.acts());
        if !acting.is_some_and(|rule| by_hand || rule.rule.mode == Mode::Live) {
            return Ok(Some(format!("rule `{}` acts no more", holder.rule)));
        }
        // What it asked about is what it said then (architecture, decision 9).
        let then = match rule_at(self, tenant, &installed, &holder.rule, holder.revision).await {
            Ok(rules) => rules,
            Err(EngineError::Rules(_)) => {
                return Ok(Some(format!("rule `{}` cannot be judged any more", holder.rule)));
            }
            Err(error) => return Err(error),
        };
        let Some(Trigger::Score(trigger)) = then.rule(&holder.rule).map(|rule| &rule.rule.trigger) else {
            return Ok(None);
        };
        let key = subject_key(tenant, &enforcement.subject);
        tx.load([key.clone()]).await?;
        let subject = tx.get::<SubjectState>(&key)?.map(|stored| stored.body);
        Ok(match still_there(trigger, subject.as_ref(), &then) {
            true => None,
            false => Some(format!("the subject's band is none that rule `{}` asks about", holder.rule)),
        })
    }
}

impl From<Held> for Before {
    fn from(held: Held) -> Self {
        match held {
            Held::Until(until, why) => Self::Held(until, why),
            Held::ForGood(why) => Self::Outdated(why),
        }
    }
}

/// What the last look before a delivery asks about, as far as can be told before it.
pub(super) fn rests_on(enforcement: &Enforcement) -> Vec<Key> {
    let tenant = &enforcement.tenant;
    let mut keys: Vec<Key> = enforcement.effect().map(|id| effect_key(tenant, id)).into_iter().collect();
    if enforcement.purpose == Purpose::Action {
        keys.extend(exemption_keys(tenant, &enforcement.subject));
        keys.push(waiver_key(tenant));
        let restricts = enforcement.category == Category::AccessControl;
        if restricts || enforcement.holders.iter().any(|holder| holder.recheck) {
            keys.extend([book_key(tenant), subject_key(tenant, &enforcement.subject)]);
        }
    }
    keys
}

/// A suppression as a report tells it.
fn told(held: &Suppressed) -> String {
    match &held.detail {
        Some(detail) => format!("{}: {detail}", held.reason),
        None => held.reason.to_string(),
    }
}

/// What the effect itself says to the delivery.
fn not_wanted(enforcement: &Enforcement, effect: &HeldEffect) -> Option<Before> {
    let outdated = |why: &str| Some(Before::Outdated(why.to_owned()));
    match (&enforcement.purpose, &effect.state) {
        (Purpose::Undo { .. }, EffectState::Lifting { undo }) if *undo == enforcement.id => None,
        (Purpose::Undo { .. }, _) => outdated("somebody holds the effect, or it is gone"),
        (Purpose::Restore { .. }, EffectState::Standing { .. }) => None,
        (Purpose::Restore { .. }, _) => outdated("nobody holds the effect any more"),
        // Setting a state again does no harm and mends what was changed elsewhere; anything else
        // would have its effect twice, where that is certain to be there.
        _ if effect.status() == EffectStatus::Standing
            && (!effect.uncertain || broken::is(Defect::UncertainIsThere))
            && enforcement.retry.safety != RetrySafety::Idempotent =>
        {
            let there = Delivered::from(Outcome::NoOp).message("the effect is there already");
            Some(Before::Known(there))
        }
        _ => None,
    }
}

/// Whether the subject's present band is among those that the trigger asks about, or lies beyond them
/// in its direction.
fn still_there(trigger: &ScoreTrigger, subject: Option<&SubjectState>, rules: &RuleSet) -> bool {
    let Some(scale) = rules.settings().scale(&trigger.scale) else { return false };
    let Some(level) = subject.and_then(|known| known.scores.get(&trigger.scale)) else { return false };
    // The settled band, whatever holds it there. Where the scale has no such band any more, the score is
    // read as its bands are now.
    let read = || scale.band(&level.score).ok().and_then(|band| scale.rank(&band.name));
    let Some(now) = scale.rank(&level.band).or_else(read) else { return false };
    let mut asked = trigger.enters.iter().filter_map(|band| scale.rank(band));
    match trigger.direction {
        Direction::Worse => asked.min().is_some_and(|least| now >= least),
        Direction::Better => asked.max().is_some_and(|most| now <= most),
        Direction::Either => asked.any(|rank| rank == now),
    }
}
