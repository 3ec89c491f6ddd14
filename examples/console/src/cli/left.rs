//! What waits to be carried out, and why it does not begin.

use serde_json::{Value, json};
use tipstaff::{
    Control, Cursor, Enforcement, Engine, Filter, Key, Kind, MAX_PAGE, Page, Reason, Record, Status,
    Store as _, TenantId, Time,
};

use super::Failure;
use super::host::wait;

/// How much waits, and for what.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Left {
    /// Stopped by a kill switch.
    pub(super) stopped: u64,
    /// Ready only at a later time.
    pub(super) later: u64,
    /// Nothing keeps it from being taken.
    pub(super) ready: u64,
    /// Under a worker's lease that has not run out.
    pub(super) held: u64,
    /// When the first attempt that failed may be made again, of what waits for that.
    pub(super) retry: Option<Time>,
}

impl Left {
    fn total(&self) -> u64 {
        self.stopped + self.later + self.ready + self.held
    }

    /// For a report.
    pub(super) fn json(&self) -> Value {
        json!({ "stopped": self.stopped, "later": self.later, "ready": self.ready })
    }

    /// For a report; nothing where nothing is left.
    pub(super) fn text(&self) -> String {
        if self.total() == 0 {
            return String::new();
        }
        format!(
            "{} not carried out yet: {} stopped by a kill switch, {} not ready before a later time, {} ready\n",
            self.total(),
            self.stopped,
            self.later,
            self.ready
        )
    }

    fn add(&mut self, row: &Enforcement, control: &Control, now: Time) {
        let rules = row.holders.iter().map(|holder| &holder.rule);
        let ready_at = row.state.ready_at().unwrap_or(Time::MAX);
        if row.purpose.is_stoppable() && control.stops(rules, &row.action).is_some() {
            self.stopped += 1;
        } else if ready_at <= now {
            self.ready += 1;
        } else {
            self.later += 1;
            if row.reason() == Reason::RetryWait {
                self.retry = Some(self.retry.map_or(ready_at, |first| first.min(ready_at)));
            }
        }
    }
}

/// What a tenant has left to be carried out at that time.
pub(super) fn look(engine: &Engine, tenant: &TenantId, now: Time) -> Result<Left, Failure> {
    let control = wait(engine.control(tenant))?;
    let mut left = Left::default();
    for kind in [Kind::Enforcement, Kind::Notice] {
        let mut after = None;
        loop {
            let page = page(engine, tenant, kind, after)?;
            let held = held(engine, tenant, kind, &page.rows)?;
            left.held += held.iter().filter(|held| **held).count() as u64;
            let free = page.rows.iter().zip(&held).filter(|(_, held)| !**held);
            free.for_each(|(row, _)| left.add(row, &control, now));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(left)
}

fn page(
    engine: &Engine,
    tenant: &TenantId,
    kind: Kind,
    after: Option<Cursor>,
) -> Result<Page<Enforcement>, Failure> {
    let filter = Filter::new(tenant).status(Status::Pending).limit(MAX_PAGE);
    let filter = [Reason::Queued, Reason::RetryWait, Reason::Running]
        .into_iter()
        .fold(filter, |filter, reason| filter.reason(reason));
    let filter = match after {
        Some(cursor) => filter.after(cursor),
        None => filter,
    };
    match kind {
        Kind::Notice => wait(engine.notices(filter)),
        _ => wait(engine.enforcements(filter)),
    }
}

/// Which of these rows a worker holds, by the store's clock.
fn held(engine: &Engine, tenant: &TenantId, kind: Kind, rows: &[Enforcement]) -> Result<Vec<bool>, Failure> {
    if !rows.iter().any(|row| row.reason() == Reason::Running) {
        return Ok(vec![false; rows.len()]);
    }
    let keys: Vec<Key> = rows.iter().map(|row| Key::new(tenant, kind, row.id.to_string())).collect();
    let store = engine.store();
    let records = wait(async { Ok(store.load(&keys).await?) })?;
    let now = wait(async { Ok(store.now().await?) })?;
    let held = |record: &Record| record.lease.as_ref().is_some_and(|lease| lease.until > now);
    Ok(records.iter().map(|record| record.as_ref().is_some_and(held)).collect())
}
