//! What comes in from outside: signals, and what people order, ask and answer. Each is sent again until
//! it is acknowledged or refused.

use std::sync::Arc;

use tipstaff::*;

use crate::net::Net;
use crate::random::Random;
use crate::rules::{Rules, records, start, switches};
use crate::support::id;

pub(crate) type Host = Engine;

/// How often a host that is to end tries to write down what it owes.
const ENDINGS: usize = 10;

/// Something to be done, before it is known to whom.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Signal(Box<Signal>),
    /// Signals that are handed over together.
    Many(Vec<Signal>),
    /// Somebody answers a request that is open then.
    Vote {
        person: &'static str,
        verdict: Verdict,
    },
    /// Somebody calls off an enforcement, whatever it is then.
    Cancel,
    /// Somebody lets go of an effect.
    Lift,
    /// A target reports that it is done.
    Confirm,
    Switch {
        scope: KillScope,
        engage: bool,
    },
    Active {
        rule: &'static str,
        active: bool,
    },
    Edit,
    Exempt {
        user: &'static str,
        until: Time,
    },
    /// Everybody of whom nothing is known is exempt from the rule that may be edited.
    Waive {
        until: Time,
    },
    /// The rule that may be edited rests, or acts again.
    Pause {
        rests: bool,
    },
    /// What is personal of somebody is erased from the trail.
    Erase {
        user: &'static str,
    },
    /// Somebody looks whether the trail is whole.
    Verify,
    /// What must be refused, and leaves nothing behind.
    Wrong(u8),
}

/// The same, with what it is about.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    Signal(Box<Signal>),
    Many(Vec<Signal>),
    Vote { request: ApprovalId, shown: Hash, person: &'static str, verdict: Verdict },
    Cancel(EnforcementId),
    Lift(EffectId),
    Confirm(EnforcementId),
    Switch { scope: KillScope, engage: bool },
    Active { rule: &'static str, active: bool },
    Edit,
    Exempt { user: &'static str, until: Time },
    Waive { until: Time },
    Pause { rests: bool },
    Erase { user: &'static str },
    Verify,
    Wrong(u8),
}

/// What came of a call.
pub(crate) enum Done {
    Well,
    Decided(Box<Decision>),
    /// An answer to each signal.
    Answered(Vec<Result<Decision, EngineError>>),
    /// Whether the trail is whole.
    Verified(Result<Head, ChainError>),
    /// What was due at that moment is done; the next time is then.
    Ran {
        at: Time,
        wakes_at: Time,
        /// Whether it left anything.
        more: bool,
    },
}

/// What a host answered.
pub(crate) type Outcome = Result<Done, EngineError>;

/// Whether the sender must send it again.
pub(crate) fn is_passing(error: &EngineError) -> bool {
    use StoreError::{Conflict, Fenced, Unavailable, Unknown};
    matches!(
        error,
        EngineError::Busy | EngineError::Store(Conflict(_) | Fenced(_) | Unavailable(_) | Unknown(_))
    )
}

/// Whether an error promises that nothing was written.
pub(crate) fn leaves_nothing(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Plan(_)
            | EngineError::NotFound { .. }
            | EngineError::Reason(_)
            | EngineError::Move(_)
            | EngineError::UndoStands(_)
            | EngineError::RevisionTaken { .. }
            | EngineError::ExemptionOver(_)
            | EngineError::Rules(_)
    )
}

/// The id of signals that must be refused.
pub(crate) const WRONG: &str = "wrong";

/// Every tenant's own, under the same names.
const USERS: [&str; 3] = ["ana", "ben", "cat"];

/// A list of work, each piece of a tenant and drawn by chance.
pub(crate) fn draw(random: &mut Random, rules: &[Arc<Rules>], pieces: usize) -> Vec<(usize, Work)> {
    let mut all: Vec<(usize, Work)> = Vec::new();
    // Names are a tenant's own: both have the same.
    let mut named = [0; 2];
    while all.len() < pieces {
        let tenant = if rules.len() > 1 { random.below(rules.len()) } else { 0 };
        let rules = &rules[tenant];
        let name = |named: &mut [usize; 2]| {
            named[tenant] += 1;
            format!("s{}", named[tenant] - 1)
        };
        if random.chance(70) {
            let many = (0..random.below(4) + 2).map(|n| match random.below(12) {
                0 if n > 0 => unknown_scale(rules, start()).into(),
                1..=4 if rules.scores => score(random, rules, &name(&mut named)),
                _ => event(random, rules, &name(&mut named)),
            });
            let many = many.collect();
            all.push((tenant, Work::Many(many)));
            continue;
        }
        // Another event under an id that came before: one of the two is refused.
        let twist = random.chance(40);
        let known = all.iter().rev().find_map(|(of, work)| match work {
            Work::Signal(signal) if *of == tenant => match &**signal {
                Signal::Event(event) => Some(event.clone()),
                _ => None,
            },
            _ => None,
        });
        let next = match known {
            Some(event) if twist => {
                let other = r#"{ "do": "mail", "hook": 1 }"#;
                let event = Event::new(
                    event.tenant,
                    event.id.as_str(),
                    event.source.as_str(),
                    event.subject,
                    event.at,
                    other,
                );
                Work::Signal(Box::new(event.expect("an event").into()))
            }
            _ => piece(random, rules, &name(&mut named)),
        };
        all.push((tenant, next));
        let signal = matches!(all.last(), Some((_, Work::Signal(_))));
        if rules.approvals && signal && random.chance(450) {
            for person in ["bo", "cy"] {
                all.push((tenant, Work::Vote { person, verdict: Verdict::Approve }));
            }
        }
    }
    all
}

fn piece(random: &mut Random, rules: &Rules, name: &str) -> Work {
    let alone = |signal| Work::Signal(Box::new(signal));
    match random.below(100) {
        0..=3 => Work::Cancel,
        4..=6 if rules.approvals => Work::Lift,
        4..=6 => Work::Cancel,
        7..=12 if rules.approvals => {
            let verdict = if random.chance(250) { Verdict::Reject } else { Verdict::Approve };
            Work::Vote { person: random.pick(&["bo", "cy", "di"]), verdict }
        }
        7..=12 => Work::Confirm,
        13..=15 => Work::Switch { scope: switches()[random.below(3)].clone(), engage: random.chance(600) },
        16..=18 if rules.editable() => Work::Active { rule: rules.edited, active: random.chance(500) },
        19..=20 if rules.editable() => Work::Edit,
        46 if rules.editable() => Work::Waive { until: ahead(random) },
        47 if rules.editable() => Work::Pause { rests: random.chance(600) },
        48 => Work::Erase { user: random.pick(&USERS) },
        49 => Work::Verify,
        21..=22 => Work::Exempt { user: random.pick(&USERS), until: ahead(random) },
        23..=26 => Work::Wrong(random.below(5) as u8),
        27..=29 if rules.approvals => alone(order(random, rules, name)),
        30..=45 if rules.scores => alone(score(random, rules, name)),
        _ => alone(event(random, rules, name)),
    }
}

/// When an exemption ends.
fn ahead(random: &mut Random) -> Time {
    start().after(Span::mins(random.below(120) as u64 + 1))
}

fn moment(random: &mut Random) -> Time {
    start().after(Span::secs(random.below(3_000) as u64))
}

fn event(random: &mut Random, rules: &Rules, name: &str) -> Signal {
    let payload = format!(r#"{{ "do": "{}" }}"#, random.pick(rules.words));
    let user: UserId = id(random.pick(&USERS));
    let event = Event::new(rules.tenant.clone(), name, "okta", user, moment(random), &payload);
    event.expect("an event").into()
}

fn score(random: &mut Random, rules: &Rules, name: &str) -> Signal {
    let value = random.pick(&["90", "70", "45", "30", "25", "10"]);
    let user: UserId = id(random.pick(&USERS));
    let (tenant, at) = (rules.tenant.clone(), moment(random));
    ScoreReading::new(tenant, id(name), id("default"), user, at, id(value)).into()
}

/// A signal that must be refused.
fn unknown_scale(rules: &Rules, at: Time) -> ScoreReading {
    let user: UserId = id("ana");
    ScoreReading::new(rules.tenant.clone(), id(WRONG), id("no-such"), user, at, id("50"))
}

fn order(random: &mut Random, rules: &Rules, name: &str) -> Signal {
    let order = ManualOrder::Action { action: BuiltinAction::LockAccount.into(), params: Params::new() };
    manual(rules, name, random.pick(&USERS), order).into()
}

fn manual(rules: &Rules, signal: &str, user: &str, order: ManualOrder) -> ManualStart {
    ManualStart {
        tenant: rules.tenant.clone(),
        id: id(signal),
        operator: id("olga"),
        subject: Subject::user(id(user)),
        at: start(),
        reason: "a call from the help desk".to_owned(),
        order,
        break_glass: false,
    }
}

impl Work {
    /// What it is about, as the store has it now; none where there is nothing of the kind.
    pub(crate) fn bind(&self, net: &Net, tenant: &TenantId, random: &mut Random) -> Option<Bound> {
        Some(match self.clone() {
            Self::Signal(signal) => Bound::Signal(signal),
            Self::Many(signals) => Bound::Many(signals),
            Self::Switch { scope, engage } => Bound::Switch { scope, engage },
            Self::Active { rule, active } => Bound::Active { rule, active },
            Self::Edit => Bound::Edit,
            Self::Exempt { user, until } => Bound::Exempt { user, until },
            Self::Waive { until } => Bound::Waive { until },
            Self::Pause { rests } => Bound::Pause { rests },
            Self::Erase { user } => Bound::Erase { user },
            Self::Verify => Bound::Verify,
            Self::Wrong(n) => Bound::Wrong(n),
            Self::Vote { person, verdict } => {
                let open = |record: &Record| record.facets.contains(&(Facet::Status, "open".to_owned()));
                let asked: Approval = body(&any(net, tenant, Kind::Approval, open, random)?);
                Bound::Vote { request: asked.id, shown: asked.digest, person, verdict }
            }
            Self::Cancel => {
                let made: Enforcement = body(&any(net, tenant, Kind::Enforcement, |_| true, random)?);
                Bound::Cancel(made.id)
            }
            Self::Lift => {
                let effect: HeldEffect = body(&any(net, tenant, Kind::Effect, |_| true, random)?);
                Bound::Lift(effect.id)
            }
            Self::Confirm => {
                let word = (Facet::Reason, "awaiting_confirmation".to_owned());
                let waits = |record: &Record| record.facets.contains(&word);
                let made: Enforcement = body(&any(net, tenant, Kind::Enforcement, waits, random)?);
                Bound::Confirm(made.id)
            }
        })
    }
}

fn any(
    net: &Net,
    tenant: &TenantId,
    kind: Kind,
    wanted: impl Fn(&Record) -> bool,
    random: &mut Random,
) -> Option<Record> {
    let mut found = records(&net.store, tenant, &[kind]);
    found.retain(wanted);
    if found.is_empty() { None } else { Some(found.swap_remove(random.below(found.len()))) }
}

pub(crate) fn body<T: serde::de::DeserializeOwned>(record: &Record) -> T {
    serde_json::from_str(&record.body).unwrap_or_else(|error| panic!("{}: {error}", record.key))
}

/// Has a host do it.
pub(crate) async fn perform(host: Arc<Host>, work: Bound, rules: Arc<Rules>, now: Time) -> Outcome {
    let (tenant, olga) = (rules.tenant.clone(), id::<ActorId>("olga"));
    match work {
        Bound::Signal(signal) => {
            return host.submit(*signal, now).await.map(|decision| Done::Decided(Box::new(decision)));
        }
        Bound::Many(signals) => return Ok(Done::Answered(host.submit_all(signals, now).await)),
        Bound::Vote { request, shown, person, verdict } => {
            let (by, comment) = (id(person), None);
            let reply = Reply { by, on_behalf_of: None, verdict, shown, comment };
            host.reply(&tenant, request, &reply, now).await.map(drop)
        }
        Bound::Cancel(made) => host.cancel(&tenant, made, &olga, "not needed", now).await.map(drop),
        Bound::Lift(effect) => host.lift(&tenant, effect, None, &olga, "it is over", now).await.map(drop),
        Bound::Confirm(made) => host.confirm(&tenant, made, true, now).await.map(drop),
        Bound::Switch { scope, engage: true } => {
            host.engage_kill_switch(&tenant, &scope, &olga, "stop", now).await.map(drop)
        }
        Bound::Switch { scope, engage: false } => {
            host.release_kill_switch(&tenant, &scope, &olga, "go on", now).await
        }
        Bound::Active { rule, active: true } => host.activate(&tenant, &id(rule), &olga, now).await,
        Bound::Active { rule, active: false } => host.deactivate(&tenant, &id(rule), &olga, now).await,
        Bound::Edit => host.add_rules(&tenant, &rules.edit, &Actor::Person(olga), now).await.map(drop),
        Bound::Exempt { user, until } => {
            let (subject, scope) = (Subject::user(id(user)), ExemptionScope::All);
            host.exempt(&tenant, &subject, &scope, Some(until), &olga, "a mistake", now).await.map(drop)
        }
        Bound::Waive { until } => {
            let nobody_known = Pattern::parse(r#"{ "grade": [{ "exists": false }] }"#).expect("a pattern");
            let scope = ExemptionScope::Rule(id(rules.edited));
            let until = Some(until);
            host.exempt_where(&tenant, &nobody_known, &scope, until, &olga, "a holiday", now).await.map(drop)
        }
        Bound::Pause { rests: true } => host.pause_rule(&tenant, &id(rules.edited), &olga, "rest", now).await,
        Bound::Pause { rests: false } => host.resume_rule(&tenant, &id(rules.edited), &olga, "go", now).await,
        Bound::Erase { user } => host.erase(&tenant, &id(user), &olga, now).await.map(drop),
        Bound::Verify => return host.verify_audit(&tenant, None).await.map(Done::Verified),
        Bound::Wrong(n) => wrong(&host, &rules, n, now).await,
    }?;
    Ok(Done::Well)
}

async fn wrong(host: &Host, rules: &Rules, n: u8, now: Time) -> Result<(), EngineError> {
    let (tenant, olga) = (&rules.tenant, id::<ActorId>("olga"));
    let none: EnforcementId = id(&format!("enf_{}", "0".repeat(32)));
    match n {
        0 => host.submit(unknown_scale(rules, now), now).await.map(drop),
        1 => host.submit(manual(rules, WRONG, "ana", ManualOrder::Rule(id("no-such"))), now).await.map(drop),
        2 => host.cancel(tenant, none, &olga, "", now).await.map(drop),
        3 => host.cancel(tenant, none, &olga, "there is none", now).await.map(drop),
        _ => host.deactivate(tenant, &id("no-such"), &olga, now).await,
    }
}

/// Runs what is due, and asks when to look again.
pub(crate) async fn run(host: Arc<Host>, at: Time) -> Outcome {
    let report = host.run_due(at).await?;
    let more = report.more;
    match report.faults.into_iter().find(|fault| !is_passing(&fault.error)) {
        Some(fault) => Err(fault.error),
        None => Ok(Done::Ran { at, wakes_at: host.next_wakeup(at).await?, more }),
    }
}

/// Writes down what a host still owes when it is to end; tried so often.
pub(crate) async fn end(host: Arc<Host>, at: Time) -> Outcome {
    for _ in 0..ENDINGS {
        match host.run_due(at).await {
            Err(error) if is_passing(&error) => {}
            Ok(report) if report.faults.iter().any(|fault| is_passing(&fault.error)) => {}
            other => return other.map(|_| Done::Well),
        }
    }
    Err(EngineError::Busy)
}
