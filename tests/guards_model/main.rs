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
use proptest::test_runner::TestRunner;
#[cfg(tipstaff_broken)]
use proptest::test_runner::{RngAlgorithm, TestRng};
use tipstaff::*;

use account::{Account, Content, DEPTS, KEEP, RULES, USERS};
use support::people::Directory;
use support::{at, go, id, stored, tamper, tenant};

/// What `ask` takes away, and what it is called, as it is edited.
const EDITS: [(&str, &str); 4] =
    [("vpn", "Ask"), ("mail", "Ask"), ("vpn", "Ask first"), ("mail", "Ask first")];
/// Where what happens comes from.
const ZONES: [&str; 2] = ["eu", "us"];

/// Quiet hours of Kathmandu's clock, which is never put forward or back; a maintenance window; who is
/// protected; the rules of the account, as they were edited last.
fn document(edit: usize) -> String {
    let (scope, title) = EDITS[edit];
    format!(
        r#"{{ "approvers": {{ "default": "sec" }},
            "quiet_hours": [{{ "days": ["mon", "wed"], "from": "21:30", "to": "04:15", "zone": "Asia/Kathmandu", "categories": ["escalation"] }}],
            "maintenance": [{{ "from": "{}", "to": "{}", "categories": ["access_control"] }}],
            "protected": [{{ "users": ["pia"] }}, {{ "attributes": {{ "dept": ["board"] }} }}],
            "administrators": {{ "keep": {KEEP} }},
            "rules": [
              {{ "id": "lock", "trigger": {{ "event": {{ "pattern": {{ "do": ["lock"] }} }} }},
                 "actions": [{{ "key": "a", "type": "lock_account", "approval": "none", "for": "2h" }}] }},
              {{ "id": "ask", "title": "{title}",
                 "trigger": {{ "event": {{ "pattern": {{ "do": ["ask"], "risk": [{{ "exists": true }}] }} }} }},
                 "actions": [{{ "key": "a", "type": "restrict_access", "for": "90m",
                    "params": {{ "scope": "{scope} of {{event.zone}}" }},
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
        zone: usize,
        risk: u8,
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
    /// The rule that asks is edited while its requests wait.
    Edit(usize),
    /// Whoever can write to the store changes what waits for people, or for its delivery.
    Forge(Forged),
}

#[derive(Clone, Copy, Debug)]
enum Forged {
    /// The parameters of what is to be done.
    Params,
    /// What is said to have led to it.
    Trigger,
    /// What people are shown, and nothing else.
    Shown,
    /// The evidence, wherever it is stored.
    Evidence,
}

fn op() -> impl Strategy<Value = Op> {
    let user = || 0..USERS.len();
    let dept = || 0..DEPTS.len();
    let rule = || prop::option::of(0..RULES.len());
    prop_oneof![
        8 => (0..RULES.len(), user(), 0..ZONES.len(), 0_u8..3)
            .prop_map(|(rule, user, zone, risk)| Op::Signal { rule, user, zone, risk }),
        2 => (user(), any::<bool>()).prop_map(|(user, glass)| Op::Order { user, glass }),
        4 => (0..account::VOTERS.len(), prop::bool::weighted(0.8)).prop_map(|(by, yes)| Op::Vote { by, yes }),
        6 => prop_oneof![Just(0), 1_i64..60, 100_i64..400, 1_000_i64..2_000].prop_map(Op::Run),
        2 => (user(), prop::option::of(dept())).prop_map(|(user, dept)| Op::Describe { user, dept }),
        1 => prop::collection::btree_set(0_usize..4, 0..4).prop_map(Op::Administrators),
        1 => (user(), rule(), 1_i64..300).prop_map(|(user, rule, minutes)| Op::Exempt { user, rule, minutes }),
        1 => (dept(), 1_i64..300).prop_map(|(dept, minutes)| Op::Waive { dept, minutes }),
        1 => dept().prop_map(|dept| Op::Unwaive { dept }),
        1 => (rule(), any::<bool>()).prop_map(|(rule, on)| Op::Kill { rule, on }),
        1 => (0..EDITS.len()).prop_map(Op::Edit),
        1 => prop::sample::select(vec![Forged::Params, Forged::Trigger, Forged::Shown, Forged::Evidence])
            .prop_map(Op::Forge),
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
        let (user, trigger) = (job.subject.user.as_str(), job.origin.trigger.to_string());
        self.0.lock().unwrap().delivered(&key, action, &told(&job.params), user, &trigger);
        Box::pin(std::future::ready(Delivered::done()))
    }

    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

fn told(params: &Params) -> String {
    params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

struct Run {
    engine: Engine,
    store: MemoryStore,
    /// How the rule that asks was edited last.
    edit: usize,
    /// What somebody changed in the store.
    forged: BTreeSet<String>,
    people: Directory,
    account: Arc<Mutex<Account>>,
    minute: i64,
    signals: usize,
}

impl Run {
    fn new() -> Self {
        let account = Arc::new(Mutex::new(Account::of(["ada", "bo"])));
        let people = Directory::default().hire("sec", &account::VOTERS[..4]).administrators(&["ada", "bo"]);
        people.let_do("olga", &Right::BreakGlass(id("lock_account")));
        let rules = RuleSet::from_json(&document(0)).unwrap_or_else(|error| panic!("{error}"));
        let store = MemoryStore::default();
        let engine = Engine::new(store.clone(), Target(Arc::clone(&account)), rules);
        let engine = engine.people(people.clone());
        Self { engine, store, edit: 0, forged: BTreeSet::new(), people, account, minute: 0, signals: 0 }
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
                let lock = format!("{} {}", effect.apply.action, told(&effect.params));
                locks.insert((effect.subject.user.to_string(), lock));
            }
        }
        self.account.lock().unwrap().look(&waits, &locks);
    }

    /// What waits for people, or for its delivery, the oldest first.
    fn open(&self) -> Option<Enforcement> {
        let filter = Filter::new(&tenant()).status(Status::Pending).order(Order::Oldest).limit(MAX_PAGE);
        let mut rows = go(self.engine.enforcements(filter)).rows.into_iter();
        rows.find(|row| row.approval.is_some() && row.purpose == Purpose::Action)
    }

    /// Changes a stored record past the engine.
    fn write(&self, kind: Kind, key: impl ToString + Copy, edit: impl FnOnce(&mut serde_json::Value)) {
        let Some(record) = stored(&self.store, kind, key) else { return };
        tamper(&self.store, record, &format!("{:x}{}", self.signals, kind as u8), edit);
    }

    fn forge(&self, forged: Forged) {
        let Some(row) = self.open() else { return };
        let approval = row.approval.unwrap();
        let evidence = serde_json::json!({ "do": "\"ask\"", "risk": "99" });
        match forged {
            Forged::Params => {
                self.write(Kind::Enforcement, row.id, |body| {
                    body["params"] = serde_json::json!({ "scope": { "text": "all" } })
                });
            }
            Forged::Trigger => {
                let others = go(self.engine.signals(Filter::new(&tenant()).limit(MAX_PAGE))).rows;
                let Some(other) = others.iter().find(|other| other.id != row.origin.trigger) else { return };
                let id = other.id.to_string();
                self.write(Kind::Enforcement, row.id, |body| body["origin"]["trigger"] = id.into());
            }
            Forged::Shown => {
                self.write(Kind::Approval, approval, |body| body["context"]["evidence"] = evidence);
            }
            Forged::Evidence => {
                self.account.lock().unwrap().forged(&row.id.to_string(), &evidence.to_string());
                self.write(Kind::Trigger, row.origin.trigger, |body| body["evidence"] = evidence.clone());
                self.write(Kind::Approval, approval, |body| body["context"]["evidence"] = evidence);
            }
        }
    }

    /// A decision must be what the account expects: held back for that reason until that minute, or
    /// made, with these parameters and this evidence.
    fn decided(
        &self,
        decision: &Decision,
        rule: Option<usize>,
        action: &str,
        (params, evidence): (String, String),
    ) -> Result<(), TestCaseError> {
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
                let content = Content {
                    action: action.to_owned(),
                    params,
                    user: user.to_owned(),
                    trigger: decision.id.to_string(),
                    evidence,
                };
                account.made(enforcement.to_string(), content, decision.signal.kind, asks);
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
            Op::Signal { rule, user, zone, risk } => {
                self.look();
                let (name, action) = RULES[*rule];
                let zone = ZONES[*zone];
                let payload = format!(r#"{{ "do": "{name}", "zone": "{zone}", "risk": {risk} }}"#);
                // What the patterns name is evidence, as the JSON text that was seen.
                let says = match name {
                    "ask" => (
                        format!("scope={} of {zone}", EDITS[self.edit].0),
                        format!(r#"{{"do":"\"ask\"","risk":"{risk}"}}"#),
                    ),
                    _ => (String::new(), format!(r#"{{"do":"\"{name}\""}}"#)),
                };
                let signal = format!("s{}", self.signals);
                let user: UserId = id(USERS[*user]);
                let event = Event::new(tenant, &signal, "okta", user, now, payload).unwrap();
                let decision = go(self.engine.submit(event, now));
                self.decided(&decision, Some(*rule), action, says)?;
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
                self.decided(&decision, None, "lock_account", (String::new(), "{}".to_owned()))?;
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
                let shown = Content {
                    action: asked.action.to_string(),
                    params: told(&asked.params),
                    user: asked.subject.user.to_string(),
                    trigger: asked.context.trigger.unwrap().to_string(),
                    evidence: serde_json::to_string(&asked.context.evidence).unwrap(),
                };
                let mut account = self.account.lock().unwrap();
                let honest = account.shows(&key, &shown) || self.forged.contains(&key);
                prop_assert!(honest, "{} shows {:?}\n{:?}", asked, shown, account);
                let expected = account.voted(&key, voter.as_str(), *yes, shown);
                drop(account);
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
            Op::Edit(edit) => {
                self.edit = *edit;
                let edited = RuleSet::from_json(&document(*edit)).unwrap();
                go(self.engine.add_rules(&tenant, &edited, &Actor::Host, now));
            }
            Op::Forge(forged) => {
                self.forged.extend(self.open().map(|row| row.id.to_string()));
                self.forge(*forged);
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

fn walk(ops: &[Op]) -> Result<(), TestCaseError> {
    let mut run = Run::new();
    go(run.engine.rules(&tenant(), at(0)));
    for op in ops {
        run.step(op)?;
    }
    prop_assert!(go(run.engine.verify_audit(&tenant(), None)).is_ok());
    Ok(())
}

/// The long run takes more: `PROPTEST_CASES=20000 cargo test --release --test guards_model -- --nocapture`
/// makes some 150,000 steps, and says how many.
#[test]
fn every_suppression_is_explained_and_nothing_is_delivered_that_must_not_be() {
    let cases = ProptestConfig::default().cases / 4;
    let config = ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() };
    let steps = std::cell::Cell::new(0_usize);
    let outcome = TestRunner::new(config).run(&prop::collection::vec(op(), 1..60), |ops| {
        steps.set(steps.get() + ops.len());
        walk(&ops)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    println!("{} steps in {cases} runs", steps.get());
}

/// Engines that are broken on purpose: the account catches each.
#[cfg(tipstaff_broken)]
#[test]
fn broken_engines_are_caught_by_the_account() {
    use tipstaff::broken::{Defect, with};

    const CAUGHT: [Defect; 2] = [Defect::RejectionIgnored, Defect::OneCountsTwice];
    for defect in CAUGHT {
        let config = ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() };
        let config = ProptestConfig { max_shrink_iters: 0, ..config };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let outcome =
            runner.run(&prop::collection::vec(op(), 1..60), |ops| with(Some(defect), || walk(&ops)));
        assert!(outcome.is_err(), "not caught: {}", defect.about());
        println!("caught {}: {}", defect.name(), defect.about());
    }
}
