//! What all processes of a drill agree on: rules, signals, the clock, the receiver.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tipstaff::{ActionCatalog, ActionType, Event, RuleSet, Settings, Span, Subject, TenantId, Time};
use tipstaff_delivery::{Endpoint, Receiver, ReceiverOptions, Reply, Secret, Webhooks};
use tokio::runtime::{Builder, Runtime};

/// Decision time runs that much faster than the clock on the wall, so that retries, which begin at
/// five seconds, come within a drill. Leases run by the store's clock, which nobody hurries.
const SPEED: i64 = 20;
/// How long a process holds what it claimed.
pub(crate) const LEASE: Span = Span::secs(1);
/// How long an attempt may take: less than the lease.
const TIMEOUT: Duration = Duration::from_millis(800);

/// What is agreed to may start for days, which are minutes here: a storm leaves a backlog.
const RULES: &str = r#"{
  "approvers": { "default": "security", "groups": { "security": ["s1", "s2"] } },
  "rules": [
    { "id": "tell", "trigger": { "event": { "pattern": { "kind": ["login"] } } },
      "actions": [{ "key": "a", "type": "send_webhook", "params": { "endpoint": "siem", "n": "{event.n}" } }] },
    { "id": "ticket", "trigger": { "event": { "pattern": { "kind": ["odd", "login"], "n": [{ "numeric": [">=", 0] }] } } },
      "actions": [{ "key": "a", "type": "create_ticket", "params": { "queue": "soc", "title": "{event.n}" } }] },
    { "id": "lock", "trigger": { "event": { "pattern": { "kind": ["breach"] } } },
      "actions": [{ "key": "a", "type": "lock_account", "for": "2m", "approval": { "start_within": "7d" } }] } ] }"#;

/// What a host process is told.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Order {
    /// Its database.
    pub(crate) database: String,
    /// Where its webhooks go.
    pub(crate) receiver: String,
    /// When the drill began, in microseconds since 1970.
    pub(crate) begun: i64,
}

impl Order {
    /// The decision time.
    pub(crate) fn now(&self) -> Time {
        let elapsed = Time::from(SystemTime::now()).micros() - self.begun;
        Time::from_micros(self.begun + elapsed * SPEED)
    }

    /// The signal of that number: the same, byte by byte, in whatever process it is made.
    pub(crate) fn signal(&self, n: u64) -> Event {
        let kind = match n % 10 {
            0..=3 => "login",
            4 | 5 => "odd",
            6..=8 => "breach",
            _ => "page",
        };
        let user = format!("u-{}", n % 89).parse().expect("a name is an id");
        let at = Time::from_micros(self.begun + i64::try_from(n).unwrap_or(i64::MAX));
        let payload = format!(r#"{{"kind":"{kind}","n":{n}}}"#);
        Event::new(tenant(), &signal_id(n), "drill", Subject::user(user), at, payload)
            .expect("a payload of our own is sound")
    }

    /// The delivery by signed webhooks.
    pub(crate) fn webhooks(&self) -> Webhooks {
        let endpoint = Endpoint::inside(&self.receiver, secret()).expect("the receiver has an address");
        let channels = ["create_ticket", "lock_account", "unlock_account"];
        let channels = channels.map(|name| name.parse::<ActionType>().expect("a built-in type"));
        channels
            .into_iter()
            .chain([ActionType::approval_notice()])
            .fold(Webhooks::new(TIMEOUT).endpoint("siem", endpoint), |webhooks, channel| {
                webhooks.route(channel, "siem")
            })
    }
}

/// Whether the signal of that number concerns a rule.
pub(crate) const fn concerns(n: u64) -> bool {
    n % 10 != 9
}

pub(crate) fn signal_id(n: u64) -> String {
    format!("sig-{n}")
}

pub(crate) fn tenant() -> TenantId {
    "acme".parse().expect("a name is an id")
}

pub(crate) fn rules() -> RuleSet {
    RuleSet::from_json(RULES).expect("the drill's rules are sound")
}

/// The rules of a host: none, as the store has them.
pub(crate) fn no_rules() -> RuleSet {
    RuleSet::new(Settings::default(), Vec::new(), &ActionCatalog::default()).expect("no rules are sound")
}

fn secret() -> Secret {
    Secret::try_from(&[7; 32][..]).expect("long enough")
}

/// A receiver that honours keys and makes trouble, by the key: some first attempts are taken without
/// an answer, some break off before, some are refused; all take a while.
pub(crate) fn receiver() -> std::io::Result<Receiver> {
    let script = |id: &str, attempt: usize| {
        let chance = id.bytes().fold(17_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let wait = |reply| Reply::After(Duration::from_millis(chance / 8 % 20), Box::new(reply));
        match (attempt, chance % 16) {
            (1 | 2, 0) | (1, 1) => wait(Reply::TakeAndLose),
            (1, 2) => wait(Reply::Drop),
            (1, 3) => wait(Reply::Status(503)),
            _ => wait(Reply::Take),
        }
    };
    let options = ReceiverOptions { script: Box::new(script), ..ReceiverOptions::new(vec![secret()]) };
    Receiver::start("127.0.0.1:0", options)
}

/// Drives a call to its end.
pub(crate) fn wait<T>(call: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let make = || Builder::new_multi_thread().worker_threads(1).enable_all().build();
    RUNTIME.get_or_init(|| make().expect("the system has threads")).block_on(call)
}

/// Numbers that are the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}
