//! What comes in from outside: signals, and what people order, ask and answer. Each is sent again until
//! it is acknowledged or refused.

use std::sync::Arc;

use tipstaff::*;

use crate::net::{Net, Wire};
use crate::random::Random;
use crate::rules::{Rules, records, start, switches};
use crate::support::{id, tenant};
use crate::target::Port;

pub(crate) type Host = Engine<Wire, Port>;

/// Something to be done, before it is known to whom.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Signal(Box<Signal>),
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
    /// What must be refused, and leaves nothing behind.
    Wrong(u8),
}

/// The same, with what it is about.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    Signal(Box<Signal>),
    Vote { request: ApprovalId, shown: Hash, person: &'static str, verdict: Verdict },
    Cancel(EnforcementId),
    Lift(EffectId),
    Confirm(EnforcementId),
    Switch { scope: KillScope, engage: bool },
    Active { rule: &'static str, active: bool },
    Edit,
    Exempt { user: &'static str, until: Time },
    Wrong(u8),
}

/// What a host answered.
pub(crate) type Outcome = Result<Option<Box<Decision>>, EngineError>;

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

const USERS: [&str; 3] = ["ana", "ben", "cat"];

/// A list of work, each piece drawn by chance.
pub(crate) fn draw(random: &mut Random, rules: &Rules, pieces: usize) -> Vec<Work> {
    let mut all: Vec<Work> = Vec::new();
    for n in 0..pieces {
        // Another event under an id that came before: one of the two is refused.
        let twist = random.chance(40);
        let known = all.iter().rev().find_map(|work| match work {
            Work::Signal(signal) => match &**signal {
                Signal::Event(event) => Some(event.clone()),
                _ => None,
            },
            _ => None,
        });
        all.push(match known {
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
            _ => piece(random, rules, n),
        });
        if rules.approvals && matches!(all.last(), Some(Work::Signal(_))) && random.chance(450) {
            for person in ["bo", "cy"] {
                all.push(Work::Vote { person, verdict: Verdict::Approve });
            }
        }
    }
    all
}

fn piece(random: &mut Random, rules: &Rules, n: usize) -> Work {
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
        21..=22 => Work::Exempt {
            user: random.pick(&USERS),
            until: start().after(Span::mins(random.below(120) as u64 + 1)),
        },
        23..=26 => Work::Wrong(random.below(5) as u8),
        27..=29 if rules.approvals => order(random, n),
        30..=45 if rules.scores => score(random, n),
        _ => event(random, rules, n),
    }
}

fn moment(random: &mut Random) -> Time {
    start().after(Span::secs(random.below(3_000) as u64))
}

fn event(random: &mut Random, rules: &Rules, n: usize) -> Work {
    let payload = format!(r#"{{ "do": "{}" }}"#, random.pick(rules.words));
    let user: UserId = id(random.pick(&USERS));
    let event = Event::new(tenant(), &format!("s{n}"), "okta", user, moment(random), &payload);
    Work::Signal(Box::new(event.expect("an event").into()))
}

fn score(random: &mut Random, n: usize) -> Work {
    let value = random.pick(&["90", "70", "45", "30", "25", "10"]);
    let user: UserId = id(random.pick(&USERS));
    let reading =
        ScoreReading::new(tenant(), id(&format!("s{n}")), id("default"), user, moment(random), id(value));
    Work::Signal(Box::new(reading.into()))
}

fn order(random: &mut Random, n: usize) -> Work {
    let order = ManualOrder::Action { action: BuiltinAction::LockAccount.into(), params: Params::new() };
    Work::Signal(Box::new(manual(&format!("s{n}"), random.pick(&USERS), order).into()))
}

fn manual(signal: &str, user: &str, order: ManualOrder) -> ManualStart {
    ManualStart {
        tenant: tenant(),
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
    pub(crate) fn bind(&self, net: &Net, random: &mut Random) -> Option<Bound> {
        Some(match self.clone() {
            Self::Signal(signal) => Bound::Signal(signal),
            Self::Switch { scope, engage } => Bound::Switch { scope, engage },
            Self::Active { rule, active } => Bound::Active { rule, active },
            Self::Edit => Bound::Edit,
            Self::Exempt { user, until } => Bound::Exempt { user, until },
            Self::Wrong(n) => Bound::Wrong(n),
            Self::Vote { person, verdict } => {
                let open = |record: &Record| record.facets.contains(&(Facet::Status, "open".to_owned()));
                let asked: Approval = body(&any(net, Kind::Approval, open, random)?);
                Bound::Vote { request: asked.id, shown: asked.digest, person, verdict }
            }
            Self::Cancel => {
                let made: Enforcement = body(&any(net, Kind::Enforcement, |_| true, random)?);
                Bound::Cancel(made.id)
            }
            Self::Lift => {
                let effect: HeldEffect = body(&any(net, Kind::Effect, |_| true, random)?);
                Bound::Lift(effect.id)
            }
            Self::Confirm => {
                let word = (Facet::Reason, "awaiting_confirmation".to_owned());
                let waits = |record: &Record| record.facets.contains(&word);
                let made: Enforcement = body(&any(net, Kind::Enforcement, waits, random)?);
                Bound::Confirm(made.id)
            }
        })
    }
}

fn any(net: &Net, kind: Kind, wanted: impl Fn(&Record) -> bool, random: &mut Random) -> Option<Record> {
    let mut found = records(&net.store, &[kind]);
    found.retain(wanted);
    if found.is_empty() { None } else { Some(found.swap_remove(random.below(found.len()))) }
}

pub(crate) fn body<T: serde::de::DeserializeOwned>(record: &Record) -> T {
    serde_json::from_str(&record.body).unwrap_or_else(|error| panic!("{}: {error}", record.key))
}

/// Has a host do it.
pub(crate) async fn perform(host: Arc<Host>, work: Bound, rules: Arc<Rules>, now: Time) -> Outcome {
    let (tenant, olga) = (tenant(), id::<ActorId>("olga"));
    match work {
        Bound::Signal(signal) => {
            return host.submit(*signal, now).await.map(|decision| Some(Box::new(decision)));
        }
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
        Bound::Wrong(n) => wrong(&host, n, now).await,
    }?;
    Ok(None)
}

async fn wrong(host: &Host, n: u8, now: Time) -> Result<(), EngineError> {
    let (tenant, olga) = (tenant(), id::<ActorId>("olga"));
    let none: EnforcementId = id(&format!("enf_{}", "0".repeat(32)));
    match n {
        0 => {
            let user: UserId = id("ana");
            let reading = ScoreReading::new(tenant, id("wrong"), id("no-such"), user, now, id("50"));
            host.submit(reading, now).await.map(drop)
        }
        1 => host.submit(manual("wrong", "ana", ManualOrder::Rule(id("no-such"))), now).await.map(drop),
        2 => host.cancel(&tenant, none, &olga, "", now).await.map(drop),
        3 => host.cancel(&tenant, none, &olga, "there is none", now).await.map(drop),
        _ => host.deactivate(&tenant, &id("no-such"), &olga, now).await,
    }
}
