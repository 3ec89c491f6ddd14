//! Many hosts on one store take its administrators away at once, in every way that there is, and give
//! some back meanwhile: so many as must remain do, at each instant that the targets see.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;

use tipstaff::{
    Answer, ApprovalState, Decision, Delivered, Delivery, Effect, Engine, EngineError, Event, Filter, Job,
    MAX_PAGE, ManualOrder, ManualStart, Params, Probe, Right, RuleSet, Store, StoreError, Subject,
    Suppression, TenantId, Time, ready,
};

use super::id;
use super::people::Directory;

const KEEP: usize = 2;
const ADMINISTRATORS: [&str; 6] = ["ada", "bo", "cy", "di", "ed", "fay"];

const RULES: &str = r#"{ "approvers": { "default": "sec" }, "administrators": { "keep": 2 }, "rules": [
    { "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
      "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "1h" }] },
    { "id": "ask", "trigger": { "event": { "pattern": { "do": ["ask"] } } },
      "actions": [{ "key": "a", "type": "lock_account", "for": "2h" }] } ] }"#;

/// What the targets did, and whether too few were left at any instant.
#[derive(Default)]
struct Accounts {
    /// Who is locked or restricted, and by which.
    away: BTreeSet<(String, &'static str)>,
    /// How many remained, at the least.
    least: Option<usize>,
}

impl Accounts {
    fn remain(&self) -> usize {
        let away: BTreeSet<&str> = self.away.iter().map(|(user, _)| user.as_str()).collect();
        ADMINISTRATORS.len() - away.len()
    }
}

/// The targets of all hosts.
#[derive(Clone, Default)]
struct Target(Arc<Mutex<Accounts>>);

impl Delivery for Target {
    fn channels(&self) -> Option<BTreeSet<tipstaff::ActionType>> {
        None
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        let mut accounts = self.0.lock().unwrap();
        let user = job.subject.user.to_string();
        match job.action.as_str() {
            "lock_account" => drop(accounts.away.insert((user, "lock"))),
            "unlock_account" => drop(accounts.away.remove(&(user, "lock"))),
            "restrict_access" => drop(accounts.away.insert((user, "restriction"))),
            "lift_restriction" => drop(accounts.away.remove(&(user, "restriction"))),
            "approval_notice" => {}
            other => panic!("nobody asks for {other}"),
        }
        let remain = accounts.remain();
        accounts.least = Some(accounts.least.map_or(remain, |least| least.min(remain)));
        drop(accounts);
        // Others go on between a delivery and what is written of it.
        thread::yield_now();
        Box::pin(std::future::ready(Delivered::done()))
    }

    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

/// The answer of a call that is repeated while others are too busy.
fn until_done<T>(mut call: impl FnMut() -> Result<T, EngineError>) -> Result<T, EngineError> {
    loop {
        match call() {
            Err(EngineError::Busy | EngineError::Store(StoreError::Unavailable(_))) => thread::yield_now(),
            answer => return answer,
        }
    }
}

fn tenant() -> TenantId {
    id("acme")
}

struct Host {
    engine: Engine,
    now: Time,
}

impl Host {
    fn event(&self, name: &str, what: &str, user: &str) -> Decision {
        let payload = format!(r#"{{ "do": "{what}" }}"#);
        let event = Event::new(tenant(), name, "okta", Subject::user(id(user)), self.now, payload).unwrap();
        until_done(|| ready(self.engine.submit(event.clone(), self.now)).unwrap()).unwrap()
    }

    fn order(&self, name: &str, action: &str, user: &str, break_glass: bool) -> Decision {
        let params = match action {
            "restrict_access" => Params::from([("scope".to_owned(), "vpn".into())]),
            _ => Params::new(),
        };
        let order = ManualStart {
            tenant: tenant(),
            id: id(name),
            operator: id("olga"),
            subject: Subject::user(id(user)),
            at: self.now,
            reason: "a call".to_owned(),
            order: ManualOrder::Action { action: id(action), params },
            break_glass,
        };
        until_done(|| ready(self.engine.submit(order.clone(), self.now)).unwrap()).unwrap()
    }

    /// Agrees to whatever waits; another host may be faster.
    fn approve_all(&self) {
        let open = Filter::new(&tenant()).approval(ApprovalState::Open).limit(MAX_PAGE);
        let open = until_done(|| ready(self.engine.approvals(open.clone())).unwrap()).unwrap();
        for asked in open.rows {
            let sam = id("sam");
            let approve =
                || ready(self.engine.approve(&tenant(), asked.id, &sam, asked.digest, None, self.now));
            match until_done(|| approve().unwrap()) {
                Ok(_) | Err(EngineError::Approval(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn run(&self) {
        let report = until_done(|| ready(self.engine.run_due(self.now)).unwrap()).unwrap();
        // A record that others change all the time is taken up by the next run.
        assert!(report.faults.iter().all(|fault| fault.error == EngineError::Busy), "{:?}", report.faults);
    }

    /// Lifts what a user is under; of everybody, without one.
    fn lift(&self, user: Option<&str>) {
        let filter = Filter::new(&tenant()).limit(MAX_PAGE);
        let filter = user.map_or(filter.clone(), |user| filter.user(id(user)));
        let effects = until_done(|| ready(self.engine.effects(filter.clone())).unwrap()).unwrap();
        for effect in effects.rows {
            let lift = || ready(self.engine.lift(&tenant(), effect.id, None, &id("olga"), "over", self.now));
            until_done(|| lift().unwrap()).unwrap();
        }
    }
}

fn held_back(decision: &Decision) -> bool {
    let last = |effect: &Effect| matches!(effect, Effect::Suppressed(held) if held.reason == Suppression::LastAdministrators);
    decision.outcomes.iter().any(|outcome| last(&outcome.effect))
}

/// What each of the hosts does: by a rule, by a rule that asks, by an order, by an order that breaks
/// glass; and every fifth time somebody comes back.
fn work(host: &Host, n: usize, rounds: usize) -> usize {
    let mut held = 0;
    for round in 0..rounds {
        let user = ADMINISTRATORS[(n + round) % ADMINISTRATORS.len()];
        let name = format!("h{n}-{round}");
        let decision = match (n + round / 2) % 4 {
            0 => host.event(&name, "lock", user),
            1 => host.event(&name, "ask", user),
            2 => host.order(&name, "lock_account", user, false),
            _ => host.order(&name, "restrict_access", user, true),
        };
        held += usize::from(held_back(&decision));
        host.approve_all();
        host.run();
        if round % 5 == 4 {
            host.lift(Some(ADMINISTRATORS[(n + round / 5) % ADMINISTRATORS.len()]));
        }
    }
    held
}

/// Lets so many hosts lock the administrators of one store against each other.
pub fn some_remain<S: Store + 'static>(open: impl Fn() -> S + Sync, hosts: usize, rounds: usize, now: Time) {
    let people = Directory::default().hire("sec", &["sam", "sue"]).administrators(&ADMINISTRATORS);
    people.let_do("olga", &Right::BreakGlass(id("restrict_access")));
    let target = Target::default();
    let host = || {
        let rules = RuleSet::from_json(RULES).unwrap_or_else(|error| panic!("{error}"));
        Host { engine: Engine::new(open(), target.clone(), rules).people(people.clone()), now }
    };
    let first = host();
    until_done(|| ready(first.engine.rules(&tenant(), now)).unwrap()).unwrap();
    let held: usize = thread::scope(|scope| {
        let host = &host;
        let work = |n| scope.spawn(move || work(&host(), n, rounds));
        let hosts: Vec<_> = (0..hosts).map(work).collect();
        hosts.into_iter().map(|host| host.join().unwrap()).sum()
    });
    first.approve_all();
    first.run();
    let least = target.0.lock().unwrap().least.unwrap();
    assert!(least >= KEEP, "{least} remained; {KEEP} must");
    assert_eq!(least, KEEP, "and they are not kept by locking nobody");
    assert!(held > 0, "the last ones were asked for");
    // In the end every place is free again, and as many as may be taken are, and no more.
    first.lift(None);
    first.run();
    assert_eq!(target.0.lock().unwrap().remain(), ADMINISTRATORS.len());
    for user in ADMINISTRATORS {
        first.event(&format!("end-{user}"), "lock", user);
        first.run();
    }
    assert_eq!(target.0.lock().unwrap().remain(), KEEP);
    until_done(|| ready(first.engine.verify_audit(&tenant(), None)).unwrap())
        .unwrap()
        .expect("the chain is whole");
}
