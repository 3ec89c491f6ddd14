//! The timetables of a tenant, as a list shows them.

use std::sync::Arc;

use super::installed::timer_key;
use super::{Engine, EngineError, until_settled};
use crate::id::TenantId;
use crate::ready::Answer;
use crate::rule::{CompiledRule, Trigger};
use crate::state::{Run, Timer};
use crate::store::{Key, Kind, Store, decode};
use crate::time::Time;

/// A rule with a timetable, and where it stands.
#[derive(Clone, Debug)]
pub struct TimetableRow {
    /// The rule with its revision and activity.
    pub rule: Arc<CompiledRule>,
    /// Its timer: when it runs next, what waits to be made up for, what ran last.
    pub timer: Timer,
    /// The occurrence that works through its audience, with how far it has come.
    pub running: Option<Run>,
}

impl Engine {
    /// Every rule of a tenant that runs on a timetable, by id, active or not.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn timetables<'a>(
        &'a self,
        tenant: &'a TenantId,
        now: Time,
    ) -> Answer<'a, Result<Vec<TimetableRow>, EngineError>> {
        Box::pin(async move {
            let installed = until_settled!({ self.rules_in(&mut self.tx(tenant), tenant, now).await })?;
            let timed = |rule: &&Arc<CompiledRule>| matches!(rule.rule.trigger, Trigger::Schedule { .. });
            let rules: Vec<_> = installed.rules.rules().filter(timed).collect();
            let keys: Vec<Key> = rules.iter().map(|rule| timer_key(tenant, &rule.rule.id)).collect();
            let timers = self.store.load(&keys).await?;
            let mut rows = Vec::new();
            for (rule, timer) in rules.into_iter().zip(timers) {
                let timer = timer.as_ref().map(decode::<Timer>).transpose()?;
                let timer = timer.map_or_else(|| Timer::new(rule.rule.id.clone()), |stored| stored.body);
                let running = match &timer.running {
                    None => None,
                    Some(id) => {
                        let key = Key::new(tenant, Kind::Run, id.to_string());
                        let record = self.store.load(&[key]).await?.pop().flatten();
                        record.as_ref().map(decode::<Run>).transpose()?.map(|stored| stored.body)
                    }
                };
                rows.push(TimetableRow { rule: Arc::clone(rule), timer, running });
            }
            Ok(rows)
        })
    }
}
