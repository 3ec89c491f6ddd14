//! Peace: faults stop, hosts sleep until they said they would wake, and in the end nothing is left.

use tipstaff::*;

use crate::net::Faults;
use crate::rules::{records, switches};
use crate::witness::{Checked, ensure, violated};
use crate::work::Work;
use crate::world::{DRAINS, Item, SLEPT, World};

impl World {
    /// Faults stop: everybody wakes, what was sent is answered, what is stopped goes on, and time
    /// passes from one waking to the next until nothing is due any more.
    pub(crate) fn drain(&mut self) -> Checked {
        self.note("world", "peace");
        self.net.state().faults = Faults::Peace;
        for host in &mut self.hosts {
            (host.asleep_until, host.skew) = (None, 0);
        }
        self.settle()?;
        while let Some(item) = self.items.iter().position(|item| !item.done) {
            ensure(DRAINS, self.items[item].tries < 60, || format!("{:?}", self.items[item].work))?;
            let host = self.random.below(self.hosts.len());
            self.send(item, host);
            self.settle()?;
        }
        for tenant in 0..self.rules.len() {
            if !self.promises[tenant].stopped {
                continue;
            }
            for scope in switches() {
                self.items.push(Item::new(tenant, Work::Switch { scope, engage: false }));
                let item = self.items.len() - 1;
                self.send(item, 0);
                self.settle()?;
                ensure(DRAINS, self.items[item].done, || "a switch is not released".to_owned())?;
            }
        }
        for _ in 0..400 {
            // The first carries everything; now and then another one is faster.
            let mut order = vec![0];
            if self.random.chance(300) {
                order.insert(0, self.random.below(self.hosts.len()));
                order.dedup();
            }
            for host in order {
                self.begin_run(host);
                self.settle()?;
            }
            let now = self.net.now();
            let Some(first) = self.net.state().witness.next_moment(now) else { return Ok(()) };
            // Nobody tells it what the time is: it wakes when it said it would.
            let wakes_at = self.wakes_at(0).unwrap_or(Time::MAX);
            ensure(SLEPT, wakes_at <= first.after(self.spread(0)), || {
                format!("the first host sleeps from {now} to {wakes_at}, and something is due at {first}")
            })?;
            self.net.advance_to(wakes_at.max(now.after(Span::millis(1))));
        }
        let kinds = [Kind::Enforcement, Kind::Notice, Kind::Approval];
        let left = self.rules.iter().flat_map(|rules| records(&self.net.store, &rules.tenant, &kinds));
        let open = left.filter(|record| record.due_at.is_some() || record.queue.is_some());
        violated(DRAINS, format!("{:?}", open.map(|record| record.key).collect::<Vec<_>>()))
    }

    /// Polls until nobody has anything under way.
    fn settle(&mut self) -> Checked {
        for _ in 0..20_000 {
            let busy: Vec<usize> =
                (0..self.hosts.len()).filter(|n| !self.hosts[*n].tasks.is_empty()).collect();
            if busy.is_empty() {
                return Ok(());
            }
            let host = self.random.pick(&busy);
            let task = self.random.below(self.hosts[host].tasks.len());
            self.poll(host, task)?;
        }
        violated(DRAINS, "a call does not end")
    }
}
