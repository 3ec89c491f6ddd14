//! A plain account of who holds which lock until when, kept beside the engine: no effect is left after
//! its last holder, none is lifted while a holder remains, whatever fails in between.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::support::{at, go, id, tenant};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tipstaff::*;

/// The rules, and for how many minutes each holds. Locks of the last one are confirmed by the target.
const RULES: [(&str, Option<i64>); 5] =
    [("short", Some(60)), ("long", Some(600)), ("open", None), ("twin", Some(60)), (CONFIRMED, None)];
const CONFIRMED: &str = "confirmed";
const USERS: [&str; 2] = ["ana", "ben"];

fn document() -> String {
    let rule = |(name, minutes): &(&str, Option<i64>)| {
        let mut held = minutes.map_or(String::new(), |minutes| format!(r#", "for": "{minutes}m""#));
        if *name == CONFIRMED {
            held.push_str(r#", "confirm_within": "90d""#);
        }
        format!(
            r#"{{ "id": "{name}", "trigger": {{ "event": {{ "pattern": {{ "do": ["{name}", "all"] }} }} }},
                "actions": [{{ "key": "a", "type": "lock_account", "approval": "none" {held} }}] }}"#
        )
    };
    format!("[{}]", RULES.iter().map(rule).collect::<Vec<_>>().join(","))
}

#[derive(Clone, Debug)]
enum Op {
    /// An event for a user: of one rule, or of all of them.
    Signal(usize, Option<usize>),
    /// Time passes, and what is due is done.
    Run(i64),
    /// The same by a process that dies after so many commits.
    Crash(i64, usize),
    /// The target's next answers.
    Answers(Vec<Outcome>),
    /// Somebody lets go for one rule, or for all.
    Lift(usize, Option<usize>),
    /// What waits for a user is called off.
    Cancel(usize),
    /// What is due is done, and the target confirms what it took for a user.
    Confirm(usize),
    Active(usize, bool),
    /// A user is exempt from one rule or from everything, for so many minutes.
    Exempt(usize, Option<usize>, i64),
    Revoke(usize, Option<usize>),
}

fn op() -> impl Strategy<Value = Op> {
    let user = || 0..USERS.len();
    let rule = || prop::option::of(0..RULES.len());
    let answer =
        prop_oneof![Just(Outcome::Unknown), Just(Outcome::Retry { after: None }), Just(Outcome::NoOp)];
    let minutes = || prop_oneof![Just(0), 1_i64..90, 200_i64..700];
    prop_oneof![
        4 => (user(), rule()).prop_map(|(user, rule)| Op::Signal(user, rule)),
        5 => minutes().prop_map(Op::Run),
        2 => (minutes(), 0_usize..12).prop_map(|(minutes, commits)| Op::Crash(minutes, commits)),
        1 => prop::collection::vec(answer, 1..3).prop_map(Op::Answers),
        1 => (user(), rule()).prop_map(|(user, rule)| Op::Lift(user, rule)),
        1 => user().prop_map(Op::Cancel),
        2 => user().prop_map(Op::Confirm),
        2 => (0..RULES.len(), any::<bool>()).prop_map(|(rule, on)| Op::Active(rule, on)),
        1 => (user(), rule(), 1_i64..300).prop_map(|(user, rule, minutes)| Op::Exempt(user, rule, minutes)),
        1 => (user(), rule()).prop_map(|(user, rule)| Op::Revoke(user, rule)),
    ]
}

/// A store whose every first answer to a commit and a claim is lost, after it was applied, and which
/// falls after so many commits.
struct Rough {
    inner: MemoryStore,
    left: AtomicUsize,
    answered: Mutex<BTreeSet<CommitId>>,
}

impl Rough {
    fn new(inner: MemoryStore, commits: usize) -> Self {
        Self { inner, left: commits.into(), answered: Mutex::default() }
    }

    fn lost(&self, id: CommitId) -> bool {
        self.answered.lock().unwrap().insert(id)
    }
}

impl Store for Rough {
    crate::pass_on! { inner: load, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let left = self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| StoreError::Unavailable("it fell".to_owned()))?;
        let answer = self.inner.commit(commit).await?;
        if self.lost(commit.id) { Err(StoreError::Unknown("cut".to_owned())) } else { Ok(answer) }
    }
    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let answer = self.inner.claim(claim).await?;
        if self.lost(claim.nonce) { Err(StoreError::Unknown("cut".to_owned())) } else { Ok(answer) }
    }
}

/// A target that carries out what it answers for, and what it does not answer, but nothing that it
/// asks for again.
#[derive(Clone, Default)]
struct Target {
    answers: Arc<Mutex<VecDeque<Outcome>>>,
    locked: Arc<Mutex<[bool; 2]>>,
}

impl Delivery for Target {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        None
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Outcome::Done);
        let user = USERS.iter().position(|user| *user == job.subject.user.as_str()).unwrap();
        if !matches!(answer, Outcome::Retry { .. }) {
            self.locked.lock().unwrap()[user] = job.action.as_str() == "lock_account";
        }
        Box::pin(std::future::ready(answer.into()))
    }

    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

/// Until when, in minutes; none until somebody lets go.
type Until = Option<i64>;

/// The account: it knows rules, users and minutes, and nothing of how the engine keeps them.
#[derive(Debug, Default)]
struct Account {
    holds: BTreeMap<(usize, usize), Until>,
    inactive: BTreeSet<usize>,
    exempt: BTreeMap<(usize, Option<usize>), i64>,
    counted: BTreeSet<String>,
    /// What the target took, and nobody wanted any more before it confirmed.
    off: BTreeSet<EnforcementId>,
}

impl Account {
    fn is_exempt(&self, user: usize, rule: usize, minute: i64) -> bool {
        let over = |scope| self.exempt.get(&(user, scope)).is_some_and(|until| minute < *until);
        over(None) || over(Some(rule))
    }

    fn pass(&mut self, minute: i64) {
        self.holds.retain(|_, until| until.is_none_or(|until| minute < until));
    }

    /// A lock that is there since that minute, for these rules.
    fn locked(&mut self, user: usize, rules: &BTreeSet<usize>, minute: i64) {
        self.pass(minute);
        for rule in rules {
            if self.inactive.contains(rule) || self.is_exempt(user, *rule, minute) {
                continue;
            }
            let until = RULES[*rule].1.map(|minutes| minute + minutes);
            let known = self.holds.get(&(user, *rule)).copied();
            let longer = match (known, until) {
                (None, until) => until,
                (Some(None), _) | (_, None) => None,
                (Some(Some(known)), Some(until)) => Some(known.max(until)),
            };
            self.holds.insert((user, *rule), longer);
        }
    }
}

fn minute_of(time: Time) -> i64 {
    (time.micros() - at(0).micros()) / 60_000_000
}

fn rule_of(name: &str) -> usize {
    RULES.iter().position(|(rule, _)| *rule == name).unwrap()
}

struct Run {
    store: MemoryStore,
    target: Target,
    account: Account,
    minute: i64,
    signals: usize,
}

impl Run {
    /// A new process for every step: nothing is kept between them.
    fn engine(&self, commits: usize) -> Engine {
        let rules = RuleSet::from_json(&document()).unwrap();
        Engine::new(Rough::new(self.store.clone(), commits), self.target.clone(), rules)
    }

    fn now(&self) -> Time {
        at(self.minute)
    }

    fn log(&self) -> Vec<Enforcement> {
        let engine = self.engine(usize::MAX);
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let filter = Filter::new(&tenant()).order(Order::Oldest).limit(MAX_PAGE);
            let filter = match after {
                Some(cursor) => filter.after(cursor),
                None => filter,
            };
            let page = go(engine.enforcements(filter));
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                return rows;
            }
        }
    }

    fn step(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let engine = self.engine(usize::MAX);
        let (tenant, olga) = (tenant(), id::<ActorId>("olga"));
        let subject = |user: usize| Subject::user(id(USERS[user]));
        let scope = |rule: Option<usize>| match rule {
            Some(rule) => ExemptionScope::Rule(id(RULES[rule].0)),
            None => ExemptionScope::All,
        };
        match op {
            Op::Signal(user, rule) => {
                self.signals += 1;
                let what = rule.map_or("all", |rule| RULES[rule].0);
                let (signal, payload) = (format!("s{}", self.signals), format!(r#"{{ "do": "{what}" }}"#));
                let event = Event::new(tenant, &signal, "okta", subject(*user), self.now(), payload).unwrap();
                go(engine.submit(event, self.now()));
            }
            Op::Run(minutes) => {
                self.minute += minutes;
                let report = go(engine.run_due(self.now()));
                prop_assert!(report.faults.is_empty(), "{:?}", report.faults);
                self.after_run()?;
            }
            Op::Crash(minutes, commits) => {
                self.minute += minutes;
                let _ = ready(self.engine(*commits).run_due(self.now())).unwrap();
                self.look();
            }
            Op::Answers(answers) => {
                self.target.answers.lock().unwrap().extend(answers);
            }
            Op::Lift(user, rule) => {
                self.call_off(*user, *rule, |row| row.reason() == Reason::AwaitingConfirmation);
                let filter = Filter::new(&tenant).user(id(USERS[*user]));
                let holder = rule.map(|rule| Holding::Rule(id(RULES[rule].0)));
                for effect in go(engine.effects(filter)).rows {
                    go(engine.lift(&tenant, effect.id, holder.as_ref(), &olga, "over", self.now()));
                }
                self.account
                    .holds
                    .retain(|(of, held), _| of != user || rule.is_some_and(|rule| rule != *held));
            }
            Op::Cancel(user) => {
                for row in self.log() {
                    let waits = row.status() == Status::Pending && row.purpose == Purpose::Action;
                    if waits && row.subject == subject(*user) {
                        // What runs may be carried out all the same.
                        let _ = ready(engine.cancel(&tenant, row.id, &olga, "no", self.now())).unwrap();
                    }
                }
                self.call_off(*user, None, |row| row.reason() == Reason::AwaitingConfirmation);
            }
            Op::Confirm(user) => {
                self.step(&Op::Run(0))?;
                for row in self.log() {
                    if row.reason() == Reason::AwaitingConfirmation && row.subject == subject(*user) {
                        go(engine.confirm(&tenant, row.id, true, self.now()));
                    }
                }
                self.step(&Op::Run(0))?;
            }
            Op::Active(rule, true) => {
                go(engine.activate(&tenant, &id(RULES[*rule].0), &olga, self.now()));
                self.account.inactive.remove(rule);
            }
            Op::Active(rule, false) => {
                go(engine.deactivate(&tenant, &id(RULES[*rule].0), &olga, self.now()));
                if self.account.inactive.insert(*rule) {
                    self.account.holds.retain(|(_, held), _| held != rule);
                }
            }
            Op::Exempt(user, rule, minutes) => {
                // What waits may be delivered before the run comes to it; what runs is not called off.
                let waits =
                    |row: &Enforcement| row.status() == Status::Pending && row.reason() != Reason::Running;
                self.call_off(*user, *rule, waits);
                let until = self.minute + minutes;
                let (who, what) = (subject(*user), scope(*rule));
                go(engine.exempt(&tenant, &who, &what, Some(at(until)), &olga, "x", self.now()));
                self.account.exempt.insert((*user, *rule), until);
                self.account
                    .holds
                    .retain(|(of, held), _| of != user || rule.is_some_and(|rule| rule != *held));
            }
            Op::Revoke(user, rule) => {
                go(engine.revoke_exemption(&tenant, &subject(*user), &scope(*rule), &olga, "x", self.now()));
                // What it was granted for has been let go of, or will be: revoking lifts nothing back.
                self.account.exempt.remove(&(*user, *rule));
            }
        }
        Ok(())
    }

    /// Such locks of a user are not wanted any more, of one rule or of all: where the target confirms them
    /// later, nobody holds them.
    fn call_off(&mut self, user: usize, rule: Option<usize>, such: fn(&Enforcement) -> bool) {
        if rule.is_none_or(|rule| RULES[rule].0 == CONFIRMED) {
            let mut rows = self.log();
            rows.retain(|row| row.purpose == Purpose::Action && row.subject.user.as_str() == USERS[user]);
            self.account.off.extend(rows.iter().filter(|row| such(row)).map(|row| row.id));
        }
    }

    /// Takes the log's new successes into the account.
    fn look(&mut self) {
        let mut settled: Vec<_> = self
            .log()
            .into_iter()
            .filter(|row| row.purpose == Purpose::Action && row.status() == Status::Succeeded)
            .filter(|row| {
                row.success == Success::Accepted
                    || row.reason() != Reason::Done
                    || !self.account.off.contains(&row.id)
            })
            .filter(|row| self.account.counted.insert(row.id.to_string()))
            .collect();
        settled.sort_by_key(|row| row.settled_at);
        for row in settled {
            let user = USERS.iter().position(|user| *user == row.subject.user.as_str()).unwrap();
            let rules = row.holders.iter().map(|holder| rule_of(holder.rule.as_str())).collect();
            self.account.locked(user, &rules, minute_of(row.settled_at.unwrap()));
        }
        self.account.pass(self.minute);
    }

    fn after_run(&mut self) -> Result<(), TestCaseError> {
        self.look();
        let engine = self.engine(usize::MAX);
        let effects = go(engine.effects(Filter::new(&tenant()))).rows;
        let mut held = BTreeMap::new();
        // What could not begin when it was its time waits in the state of what is yet to come.
        let lifting = |row: &Enforcement| {
            effects.iter().any(|effect| effect.state == EffectState::Lifting { undo: row.id })
        };
        for effect in &effects {
            let user = USERS.iter().position(|user| *user == effect.subject.user.as_str()).unwrap();
            for one in effect.holders() {
                let Holding::Rule(rule) = &one.holder else { panic!("{one:?}") };
                held.insert((user, rule_of(rule.as_str())), one.until.map(minute_of));
            }
        }
        prop_assert_eq!(&held, &self.account.holds, "minute {}", self.minute);
        // Where nothing is under way, the target is as the holders want it.
        let log = self.log();
        for (user, name) in USERS.iter().enumerate() {
            let of = |row: &&Enforcement| row.subject.user.as_str() == *name;
            let under_way = log.iter().filter(of).any(|row| {
                row.status() == Status::Pending && (row.reason() != Reason::Scheduled || lifting(row))
            });
            let wanted = self.account.holds.keys().any(|(of, _)| *of == user);
            if !under_way {
                prop_assert_eq!(
                    self.target.locked.lock().unwrap()[user],
                    wanted,
                    "{} at minute {}",
                    name,
                    self.minute
                );
            }
            // An undo is scheduled for each holder with a time, and for nobody else.
            let undos = log.iter().filter(of).filter(|row| {
                let waits = matches!(row.purpose, Purpose::Undo { .. }) && row.reason() == Reason::Scheduled;
                waits && !lifting(row)
            });
            let timed = self.account.holds.iter().filter(|((of, _), until)| *of == user && until.is_some());
            prop_assert_eq!(undos.count(), timed.count(), "{} at minute {}", name, self.minute);
        }
        Ok(())
    }

    /// In the end everybody lets go, and nothing is left.
    fn end(&mut self) -> Result<(), TestCaseError> {
        self.target.answers.lock().unwrap().clear();
        for user in 0..USERS.len() {
            self.step(&Op::Run(120))?;
            self.step(&Op::Confirm(user))?;
            self.step(&Op::Lift(user, None))?;
        }
        for _ in 0..3 {
            self.step(&Op::Run(1_000))?;
        }
        let engine = self.engine(usize::MAX);
        for effect in go(engine.effects(Filter::new(&tenant()))).rows {
            if effect.holders().is_empty() {
                prop_assert_eq!(effect.status(), EffectStatus::Clear, "{}", effect);
            }
        }
        prop_assert!(go(engine.verify_audit(&tenant(), None)).is_ok());
        Ok(())
    }
}

/// The long run takes more: `PROPTEST_CASES=20000 cargo test --release --test engine effects_model -- --nocapture`
/// makes some 100,000 steps, and says how many.
#[test]
fn what_stands_is_what_somebody_holds() {
    let cases = ProptestConfig::default().cases / 4;
    let config = ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() };
    let steps = std::cell::Cell::new(0_usize);
    let outcome = TestRunner::new(config).run(&prop::collection::vec(op(), 1..40), |ops| {
        steps.set(steps.get() + ops.len());
        let mut run = Run {
            store: MemoryStore::default(),
            target: Target::default(),
            account: Account::default(),
            minute: 0,
            signals: 0,
        };
        go(run.engine(usize::MAX).rules(&tenant(), at(0)));
        for op in &ops {
            run.step(op)?;
        }
        run.end()
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    println!("{} steps in {cases} runs", steps.get());
}
