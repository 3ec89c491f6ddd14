//! The engine against a plain account of its guards, written from behaviour 6 and the documentation of
//! the settings. It shares no code with the library: people and reasons are texts here, times minutes.
//!
//! The account says of every decision why nothing may be done, and until when; the target asks it at
//! every delivery whether that may happen at all.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

mod account;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tipstaff::*;

use account::{Account, DEPTS, KEEP, RULES, USERS};
use support::people::Directory;
use support::{at, go, id, tenant};

/// Quiet hours of Kathmandu's clock, which is never put forward or back; a maintenance window; who is
/// protected; the rules of the account.
fn document() -> String {
    format!(
        r#"{{ "approvers": {{ "default": "sec" }},
            "quiet_hours": [{{ "days": ["mon", "wed"], "from": "21:30", "to": "04:15", "zone": "Asia/Kathmandu", "categories": ["escalation"] }}],
            "maintenance": [{{ "from": "{}", "to": "{}", "categories": ["access_control"] }}],
            "protected": [{{ "users": ["pia"] }}, {{ "attributes": {{ "dept": ["board"] }} }}],
            "administrators": {{ "keep": {KEEP} }},
            "rules": [
              {{ "id": "lock", "trigger": {{ "event": {{ "pattern": {{ "do": ["lock"] }} }} }},
                 "actions": [{{ "key": "a", "type": "lock_account", "approval": "none", "for": "2h" }}] }},
              {{ "id": "ask", "trigger": {{ "event": {{ "pattern": {{ "do": ["ask"] }} }} }},
                 "actions": [{{ "key": "a", "type": "restrict_access", "params": {{ "scope": "vpn" }}, "for": "90m",
                    "approval": {{ "groups": [{{ "name": "sec", "need": 2 }}], "within": "5h" }} }}] }},
              {{ "id": "tell", "trigger": {{ "event": {{ "pattern": {{ "do": ["tell"] }} }} }},
                 "actions": [{{ "key": "a", "type": "escalate_to_hr" }}],
                 "guards": {{ "not_before": "{}", "not_after": "{}", "rollout": 50 }} }} ] }}"#,
        at(account::MAINTENANCE.0),
        at(account::MAINTENANCE.1),
        at(account::TELLS.0),
        at(account::TELLS.1),
    )
}

#[derive(Clone, Debug)]
enum Op {
    Signal {
        rule: usize,
        user: usize,
    },
    /// A person orders a lock, and breaks glass for it or not.
    Order {
        user: usize,
        glass: bool,
    },
    Vote {
        by: usize,
        yes: bool,
    },
    Run(i64),
    Describe {
        user: usize,
        dept: Option<usize>,
    },
    Administrators(BTreeSet<usize>),
    Exempt {
        user: usize,
        rule: Option<usize>,
        minutes: i64,
    },
    Waive {
        dept: usize,
        minutes: i64,
    },
    Unwaive {
        dept: usize,
    },
    Kill {
        rule: Option<usize>,
        on: bool,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let user = || 0..USERS.len();
    let dept = || 0..DEPTS.len();
    let rule = || prop::option::of(0..RULES.len());
    prop_oneof![
        8 => (0..RULES.len(), user()).prop_map(|(rule, user)| Op::Signal { rule, user }),
        2 => (user(), any::<bool>()).prop_map(|(user, glass)| Op::Order { user, glass }),
        4 => (0..account::VOTERS.len(), prop::bool::weighted(0.8)).prop_map(|(by, yes)| Op::Vote { by, yes }),
        6 => prop_oneof![Just(0), 1_i64..60, 100_i64..400, 1_000_i64..2_000].prop_map(Op::Run),
        2 => (user(), prop::option::of(dept())).prop_map(|(user, dept)| Op::Describe { user, dept }),
        1 => prop::collection::btree_set(0_usize..4, 0..4).prop_map(Op::Administrators),
        1 => (user(), rule(), 1_i64..300).prop_map(|(user, rule, minutes)| Op::Exempt { user, rule, minutes }),
        1 => (dept(), 1_i64..300).prop_map(|(dept, minutes)| Op::Waive { dept, minutes }),
        1 => dept().prop_map(|dept| Op::Unwaive { dept }),
        1 => (rule(), any::<bool>()).prop_map(|(rule, on)| Op::Kill { rule, on }),
    ]
}

/// A target that asks the account whether it may be given what it is given.
#[derive(Clone)]
struct Target(Arc<Mutex<Account>>);

impl Delivery for Target {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        None
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        let (key, action) = (job.key.to_string(), job.action.as_str());
        self.0.lock().unwrap().delivered(&key, action, job.subject.user.as_str());
        Box::pin(std::future::ready(Delivered::done()))
    }

    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

struct Run {
    engine: Engine<MemoryStore, Target>,
    people: Directory,
    account: Arc<Mutex<Account>>,
    minute: i64,
    signals: usize,
}

impl Run {
    fn new() -> Self {
        let administrators = BTreeSet::from(["ada", "bo"]);
        let mut account = Account::default();
        account.administrators = administrators;
        let account = Arc::new(Mutex::new(account));
        let people = Directory::default().hire("sec", &account::VOTERS[..4]).administrators(&["ada", "bo"]);
        people.let_do("olga", &Right::BreakGlass(id("lock_account")));
        let rules = RuleSet::from_json(&document()).unwrap_or_else(|error| panic!("{error}"));
        let engine = Engine::new(MemoryStore::default(), Target(Arc::clone(&account)), rules);
        Self { engine: engine.people(people.clone()), people, account, minute: 0, signals: 0 }
    }

    fn now(&self) -> Time {
        at(self.minute)
    }

    /// What the log shows to whoever looks: who is on the way to be locked, or is.
    fn look(&self) {
        let (mut waits, mut locks) = (BTreeSet::new(), BTreeSet::new());
        let takes = |action: &ActionType| ["lock_account", "restrict_access"].contains(&action.as_str());
        let filter = || Filter::new(&tenant()).limit(MAX_PAGE);
        for row in go(self.engine.enforcements(filter().status(Status::Pending))).rows {
            if takes(&row.action) {
                waits.insert((row.id.to_string(), row.subject.user.to_string()));
            }
        }
        for effect in go(self.engine.effects(filter())).rows {
            if effect.status() != EffectStatus::Clear {
                locks.insert((effect.subject.user.to_string(), effect.apply.action.to_string()));
            }
        }
        self.account.lock().unwrap().look(&waits, &locks);
    }

    /// A decision must be what the account expects: held back for that reason until that minute, or
    /// made.
    fn decided(&self, decision: &Decision, rule: Option<usize>, action: &str) -> Result<(), TestCaseError> {
        let [outcome] = decision.outcomes.as_slice() else {
            return Err(TestCaseError::fail(decision.to_string()));
        };
        let user = decision.signal.subject.user.as_str();
        let mut account = self.account.lock().unwrap();
        let seen = match &outcome.effect {
            Effect::Suppressed(held) => {
                let minute = |until: Time| (until.micros() - at(0).micros()) / 60_000_000;
                Some((held.reason.as_str(), held.until.map(minute)))
            }
            Effect::Created { enforcement, approval, .. } => {
                let asks = approval.is_some();
                account.made(enforcement.to_string(), user, decision.signal.kind, asks, self.minute);
                None
            }
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let expected = account.expected(rule, action, user, self.minute, seen.map(|(reason, _)| reason));
        prop_assert_eq!(seen, expected, "{} at minute {}\n{:?}", decision, self.minute, account);
        Ok(())
    }

    fn step(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let (tenant, olga, now) = (tenant(), id::<ActorId>("olga"), self.now());
        let scope = |rule: Option<usize>| match rule {
            Some(rule) => ExemptionScope::Rule(id(RULES[rule].0)),
            None => ExemptionScope::All,
        };
        let where_dept = |dept: usize| Pattern::parse(&format!(r#"{{"dept":["{}"]}}"#, DEPTS[dept])).unwrap();
        self.signals += 1;
        self.account.lock().unwrap().minute = self.minute;
        match op {
            Op::Signal { rule, user } => {
                self.look();
                let (name, action) = RULES[*rule];
                let payload = format!(r#"{{ "do": "{name}" }}"#);
                let signal = format!("s{}", self.signals);
                let user: UserId = id(USERS[*user]);
                let event = Event::new(tenant, &signal, "okta", user, now, payload).unwrap();
                let decision = go(self.engine.submit(event, now));
                self.decided(&decision, Some(*rule), action)?;
            }
            Op::Order { user, glass } => {
                self.look();
                let order = ManualStart {
                    tenant,
                    id: id(&format!("o{}", self.signals)),
                    operator: olga,
                    subject: Subject::user(id(USERS[*user])),
                    at: now,
                    reason: "a call".to_owned(),
                    order: ManualOrder::Action { action: id("lock_account"), params: Params::new() },
                    break_glass: *glass,
                };
                let decision = go(self.engine.submit(order, now));
                self.decided(&decision, None, "lock_account")?;
                if *glass {
                    self.account
                        .lock()
                        .unwrap()
                        .ratified_later(decision.enforcements().map(|id| id.to_string()));
                }
            }
            Op::Vote { by, yes } => {
                let open = Filter::new(&tenant).approval(ApprovalState::Open).order(Order::Oldest);
                let Some(asked) = go(self.engine.approvals(open)).rows.into_iter().next() else {
                    return Ok(());
                };
                let voter: ActorId = id(account::VOTERS[*by]);
                let answer = match yes {
                    true => ready(self.engine.approve(&tenant, asked.id, &voter, asked.digest, None, now)),
                    false => ready(self.engine.reject(&tenant, asked.id, &voter, asked.digest, None, now)),
                };
                let taken = answer.unwrap().is_ok();
                let key = asked.enforcement.to_string();
                let expected = self.account.lock().unwrap().voted(&key, voter.as_str(), *yes);
                prop_assert_eq!(taken, expected, "{} of {} at minute {}", voter, asked, self.minute);
            }
            Op::Run(minutes) => {
                self.minute += minutes;
                self.account.lock().unwrap().minute = self.minute;
                let report = go(self.engine.run_due(self.now()));
                prop_assert!(report.faults.is_empty(), "{:?}", report.faults);
            }
            Op::Describe { user, dept } => {
                let text = dept.map(|dept| format!(r#"{{"dept":"{}"}}"#, DEPTS[dept]));
                let told = text.map(|text| Payload::new(text).unwrap());
                // Two tellings of one minute would be one to the engine.
                go(self.engine.describe(&tenant, &id(USERS[*user]), told.as_ref(), now));
                self.account.lock().unwrap().depts.insert(USERS[*user], dept.map(|dept| DEPTS[dept]));
            }
            Op::Administrators(users) => {
                let users: Vec<&str> = users.iter().map(|user| USERS[*user]).collect();
                let users = self.account.lock().unwrap().usable(&users);
                self.people.administrators(&users);
                self.account.lock().unwrap().administrators = users.into_iter().collect();
            }
            Op::Exempt { user, rule, minutes } => {
                let until = self.minute + minutes;
                let who = Subject::user(id(USERS[*user]));
                go(self.engine.exempt(&tenant, &who, &scope(*rule), Some(at(until)), &olga, "x", now));
                self.account.lock().unwrap().exempt.insert((USERS[*user], *rule), until);
            }
            Op::Waive { dept, minutes } => {
                let until = self.minute + minutes;
                let all = ExemptionScope::All;
                go(self.engine.exempt_where(
                    &tenant,
                    &where_dept(*dept),
                    &all,
                    Some(at(until)),
                    &olga,
                    "x",
                    now,
                ));
                self.account.lock().unwrap().waived.insert(DEPTS[*dept], until);
            }
            Op::Unwaive { dept } => {
                let all = ExemptionScope::All;
                go(self.engine.revoke_exemption_where(&tenant, &where_dept(*dept), &all, &olga, "x", now));
                self.account.lock().unwrap().waived.remove(DEPTS[*dept]);
            }
            Op::Kill { rule, on } => {
                let what = rule.map_or(KillScope::Tenant, |rule| KillScope::Rule(id(RULES[rule].0)));
                let mut account = self.account.lock().unwrap();
                if *on {
                    go(self.engine.engage_kill_switch(&tenant, &what, &olga, "x", now));
                    account.killed.insert(*rule);
                } else {
                    go(self.engine.release_kill_switch(&tenant, &what, &olga, "x", now));
                    account.killed.remove(rule);
                }
            }
        }
        let account = self.account.lock().unwrap();
        prop_assert!(account.faults.is_empty(), "{:#?}\n{:?}", account.faults, account);
        Ok(())
    }
}

proptest! {
    // The long run takes more: `PROPTEST_CASES=20000 cargo test --release --test guards_model` makes
    // some 150,000 steps.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: ProptestConfig::default().cases / 4,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_suppression_is_explained_and_nothing_is_delivered_that_must_not_be(
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut run = Run::new();
        go(run.engine.rules(&tenant(), at(0)));
        for op in &ops {
            run.step(op)?;
        }
        prop_assert!(go(run.engine.verify_audit(&tenant(), None)).is_ok());
    }
}
