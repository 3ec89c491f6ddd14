//! How fast a database carries the engine: for comparing databases, settings and versions. `benches/stores.rs`
//! takes its work and what it is compared to from here.

mod again;
mod alone;
mod claims;
mod commits;
pub mod counted;
mod due;
pub mod raw;

use std::collections::BTreeSet;
use std::time::SystemTime;

use tipstaff::{
    ActionType, Answer, Delivered, Delivery, Event, Job, Probe, RuleSet, Subject, TenantId, Time,
};

use super::args::{Cli, Load};
use super::{Failure, Output};

/// Action types of our own: on their channels nobody else's work waits, and no other host takes ours.
const RULES: &str = r#"{ "types": [
    { "name": "load_now", "category": "notification", "approval": false, "restricts": false, "retry": "keyed",
      "open": true },
    { "name": "load_later", "category": "notification", "approval": false, "restricts": false, "retry": "keyed",
      "open": true } ],
  "rules": [
    { "id": "tell", "trigger": { "event": { "pattern": { "kind": ["login"] } } },
      "actions": [{ "key": "a", "type": "load_now",
                    "params": { "channel": "soc", "message": "login {event.n}" } }] },
    { "id": "later", "trigger": { "event": { "pattern": { "kind": ["later"] } } },
      "actions": [{ "key": "a", "type": "load_later", "delay": "5m",
                    "params": { "queue": "soc", "title": "login {event.n}" } }] } ] }"#;

/// Measures one thing.
pub(super) fn run(cli: &Cli, load: &Load) -> Result<Output, Failure> {
    alone::check(&cli.db)?;
    match load {
        Load::Commits(load) => commits::run(cli, load),
        Load::Due(load) => due::run(cli, load),
        Load::Claims(load) => claims::run(cli, load),
    }
}

/// The rules that all is measured with.
pub fn rules() -> RuleSet {
    RuleSet::from_json(RULES).expect("rules of our own are sound")
}

/// A channel of our own rules, alone.
fn channel(name: &str) -> BTreeSet<ActionType> {
    BTreeSet::from([name.parse().expect("names of our own are names")])
}

/// A tenant that has no records yet, and the time.
pub fn fresh(what: &str) -> (TenantId, Time) {
    let now = Time::from(SystemTime::now());
    let tenant = format!("load-{what}-{}", now.micros()).parse().expect("letters and figures");
    (tenant, now)
}

/// A signal that leads to one enforcement.
pub fn signal(tenant: &TenantId, n: usize, at: Time) -> Event {
    of_kind("login", tenant, n, at)
}

fn of_kind(kind: &str, tenant: &TenantId, n: usize, at: Time) -> Event {
    let user = format!("u-{}", n % 5_000).parse().expect("letters and figures");
    let payload = format!(
        r#"{{"kind":"{kind}","n":{n},"ip":"198.51.100.{}","agent":"Mozilla/5.0 (X11; Linux x86_64)"}}"#,
        n % 250
    );
    Event::new(tenant.clone(), &format!("s-{n}"), "load", Subject::user(user), at, payload)
        .expect("a payload of our own is sound")
}

/// Carries nothing out.
pub struct Nothing;

impl Delivery for Nothing {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        Some(BTreeSet::new())
    }
    fn deliver<'a>(&'a self, _: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(std::future::ready(Delivered::done()))
    }
    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

/// Tells what comes on one channel, and takes nothing else.
struct Told<F>(BTreeSet<ActionType>, F);

impl<F: Fn(&Job) + Send + Sync> Delivery for Told<F> {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        Some(self.0.clone())
    }
    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        (self.1)(job);
        Box::pin(std::future::ready(Delivered::done()))
    }
    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}
