//! Refusals of the engine, of its store and of its machines; none of them changes the store.

use std::collections::BTreeSet;
use std::future::ready as at_once;

use tipstaff::*;

use super::{Row, row};
use crate::support::{World, at, commit_id, content, go, id, refused, stored, tamper, tenant};

const RULES: &str = r#"{
  "approvers": { "default": "g", "groups": { "g": ["bo", "cy"], "h": ["dee"] } },
  "rules": [
    { "id": "lock", "author": "arne", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
      "actions": [{ "key": "a", "type": "lock_account",
        "approval": { "groups": [{ "name": "g" }, { "name": "h" }], "within": "1h" } }] },
    { "id": "tell", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
      "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
    { "id": "fall", "trigger": { "score": { "enters": ["red"] } },
      "actions": [{ "key": "a", "type": "escalate_to_hr" }] } ] }"#;

fn world() -> World {
    let world = World::new(RULES);
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "lock" }"#), at(0));
    world.submit(world.event("s2", "ana", at(0), r#"{ "do": "tell" }"#), at(0));
    world
}

/// A call is refused and leaves the store as it was, but for at most one audit record.
#[track_caller]
fn unchanged<E>(world: &World, audited: Option<&str>, call: impl FnOnce() -> E) -> E {
    let before = content(&world.store, &world.tenant);
    let error = call();
    let after = content(&world.store, &world.tenant);
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    match audited {
        None => assert_eq!(after, before),
        Some(code) => {
            assert!(before.iter().all(|line| after.contains(line)), "nothing was changed");
            assert!(new.len() == 1 && new[0].contains(code), "{new:#?}");
        }
    }
    error
}

pub(crate) fn rows() -> Vec<Row> {
    [signals(), rules(), bands(), votes(), moves(), effects(), stores(), hosts()]
        .into_iter()
        .flatten()
        .collect()
}

fn signals() -> Vec<Row> {
    let world = world();
    let order = |text: &str, params: Params| ManualOrder::Action { action: id(text), params };
    let start = |order: ManualOrder| world.order("m1", "olga", "ana", order);
    let silent = ManualStart { reason: " ".to_owned(), ..start(order("escalate_to_hr", Params::new())) };
    let wordy = ManualStart { reason: "x".repeat(MAX_REASON_BYTES + 1), ..silent.clone() };
    let other = world.event("s2", "ana", at(0), r#"{ "do": "tell", "more": 1 }"#);
    let elsewhere = ScoreReading { scale: id("elsewhere"), ..world.score("x2", "ana", at(0), "1") };
    let mut rows = Vec::new();
    for (signal, audited, accepted) in [
        (Signal::from(world.score("x1", "ana", at(0), "101")), None, "`0` to `100`"),
        (elsewhere.into(), None, "unknown scale `elsewhere`; accepted: `default`"),
        (start(order("lock", Params::new())).into(), None, "unknown action type `lock`"),
        (
            start(order("assign_training", Params::new())).into(),
            None,
            "`course` is missing; accepted: a text",
        ),
        (start(ManualOrder::Rule(id("tell"))).into(), None, "no active rule `tell` with a manual trigger"),
        (silent.into(), None, "accepted: 1 to 4096"),
        (wordy.into(), None, "4097 bytes; accepted: 1 to 4096"),
        (other.into(), Some("POLICY_SIGNAL_REFUSED"), "a new signal needs a new id"),
    ] {
        let error = unchanged(&world, audited, || refused(world.engine.submit(signal.clone(), at(1))));
        if let EngineError::Plan(error) = &error {
            rows.push(row(error, accepted));
        }
        rows.push(row(&error, accepted));
        // Again: nothing more is written, whatever was audited the first time.
        assert_eq!(unchanged(&world, None, || refused(world.engine.submit(signal, at(2)))), error);
    }
    let long = Payload::new(format!(r#"{{ "x": "{}" }}"#, "x".repeat(MAX_ATTRIBUTE_BYTES))).unwrap();
    let error = unchanged(&world, None, || {
        refused(world.engine.describe(&world.tenant, &id("ana"), Some(&long), at(1)))
    });
    rows.push(row(&error, "accepted: at most 16384"));
    let nobody = World::new("[]");
    let lock = nobody.order("m1", "olga", "ana", order("lock_account", Params::new()));
    go(nobody.engine.rules(&nobody.tenant, at(0)));
    let error = unchanged(&nobody, None, || refused(nobody.engine.submit(lock, at(1))));
    let EngineError::Plan(plan) = &error else { panic!("{error}") };
    rows.push(row(plan, "set `approvers.default`"));
    rows
}

fn rules() -> Vec<Row> {
    let world = world();
    let set = |text: &str| RuleSet::from_json(text).unwrap();
    let add = |text: &str| {
        unchanged(&world, None, || {
            refused(world.engine.add_rules(&world.tenant, &set(text), &Actor::Host, at(1)))
        })
    };
    let taken = add(
        r#"[{ "id": "tell", "revision": 1, "trigger": { "manual": {} }, "actions": [{ "key": "b", "type": "escalate_to_hr" }] }]"#,
    );
    // Rules that stay need a group that the new settings do not have.
    let unfit = add(r#"{ "approvers": { "default": "g", "groups": { "g": ["bo"] } } }"#);
    let olga: ActorId = id("olga");
    let ghost = unchanged(&world, None, || {
        refused(world.engine.deactivate(&world.tenant, &id("ghost"), &olga, at(1)))
    });
    let engage = |reason: &str| {
        world
            .engine
            .engage_kill_switch(&tenant(), &KillScope::Tenant, &id("olga"), reason, at(1))
            .into_error()
    };
    let mute = unchanged(&world, None, || engage(""));
    vec![
        row(&taken, "give the new one a higher number, or none"),
        row(&unfit, "unknown group `h`"),
        row(&ghost, "no rule `ghost`"),
        row(&mute, "accepted: 1 to 4096"),
    ]
}

/// A change of bands, and the dismissal of a level.
fn bands() -> Vec<Row> {
    let world = world();
    for user in ["ana", "bea"] {
        world.submit(world.score("x1", user, at(0), "90"), at(0));
    }
    let set = |green: u32| {
        let text = format!(
            r#"{{ "scales": [{{ "id": "default", "low": 0, "high": 100, "high_is": "safe", "bands": [
                {{ "name": "green", "from": {green} }}, {{ "name": "red", "from": 0 }}] }}] }}"#
        );
        RuleSet::from_json(&text).unwrap()
    };
    let found = go(world.engine.preview_bands(&world.tenant, &set(95), at(1)));
    let apply = |set: &RuleSet, digest: Hash, most: u64, reason: &str| {
        world.engine.apply_bands(&tenant(), set, digest, most, &id("olga"), reason, at(1)).into_error()
    };
    let silent = unchanged(&world, None, || {
        let whole = RULES.replace(r#""rules""#, r#""scales": [{ "id": "default", "low": 0, "high": 9, "high_is": "safe", "bands": [{ "name": "red", "from": 0 }] }], "rules""#);
        let set = RuleSet::from_json(&whole).unwrap();
        refused(world.engine.add_rules(&world.tenant, &set, &Actor::Host, at(1)))
    });
    let stale = unchanged(&world, None, || apply(&set(95), Hash::ZERO, 9, "r"));
    let many = unchanged(&world, None, || apply(&set(95), found.digest, 1, "r"));
    unchanged(&world, None, || apply(&set(95), found.digest, 9, " "));
    let olga = id("olga");
    go(world.engine.apply_bands(&world.tenant, &set(95), found.digest, 2, &olga, "r", at(1)));
    let next = go(world.engine.preview_bands(&world.tenant, &set(20), at(1)));
    let moving = unchanged(&world, None, || apply(&set(20), next.digest, 9, "r"));
    let order = Dismissal {
        tenant: tenant(),
        id: id("d1"),
        operator: id("ana"),
        subject: Subject::user(id("ana")),
        scale: id("default"),
        at: at(2),
        reason: "r".to_owned(),
    };
    world.run(at(2));
    let own = unchanged(&world, None, || refused(world.engine.dismiss_level(&order, at(2))));
    let EngineError::Plan(inner) = &own else { panic!("{own}") };
    vec![
        row(&silent, "preview the change and apply it"),
        row(&stale, "look at the preview"),
        row(&many, "2 move(s), but 1 were agreed to"),
        row(&moving, "run what is due first"),
        row(&own, "somebody else must dismiss the level"),
        row(inner, "somebody else must dismiss the level"),
    ]
}

/// The error of a call whose arguments live only here.
trait IntoError<E> {
    fn into_error(self) -> E;
}

impl<F: Future<Output = Result<T, E>>, T: std::fmt::Debug, E> IntoError<E> for F {
    fn into_error(self) -> E {
        refused(self)
    }
}

fn votes() -> Vec<Row> {
    let world = world();
    let request = world.requests().remove(0);
    let digest = request.digest;
    let long = "x".repeat(MAX_COMMENT_BYTES + 1);
    let mut rows = Vec::new();
    let mut refuse = |actor: &str, shown: Hash, comment: Option<&str>, minute: i64, accepted: &str| {
        let call = || {
            refused(world.engine.approve(&world.tenant, request.id, &id(actor), shown, comment, at(minute)))
        };
        let error = unchanged(&world, Some("APPROVAL_VOTE_REFUSED"), call);
        let EngineError::Approval(inner) = &error else { panic!("{error}") };
        rows.extend([row(inner, accepted), row(&error, accepted)]);
        assert_eq!(unchanged(&world, None, call), error, "the same refusal is audited once");
    };
    refuse("ana", digest, None, 1, "somebody else must answer");
    refuse("arne", digest, None, 1, "author of the rule");
    refuse("zoe", digest, None, 1, "accepted: members of `g`, `h`");
    refuse("bo", Hash::ZERO, None, 1, "look again and answer again");
    refuse("bo", digest, Some(&long), 1, "accepted: at most 4096");
    refuse("bo", digest, None, 60, "the request ran out at 2026-03-02T13:00:00Z");
    world.approve(&request, "bo", at(2));
    refuse("bo", digest, None, 3, "has answered already");
    let order = ManualOrder::Action { action: id("lock_account"), params: Params::new() };
    world.submit(world.order("m1", "cy", "bea", order), at(3));
    let ordered = world.requests().into_iter().find(|asked| asked.orderer.is_some()).unwrap();
    let error = unchanged(&world, Some("APPROVAL_VOTE_REFUSED"), || world.denied(&ordered, "cy", at(4)));
    rows.push(row(&error, "ordered the action"));
    world.run(at(60));
    let error = unchanged(&world, Some("APPROVAL_VOTE_REFUSED"), || world.denied(&request, "dee", at(61)));
    rows.push(row(&error, "the request is expired; nothing more is accepted"));
    // The engine steps a request only when it is due; the machine itself says so.
    let early = ordered.step(&ApprovalInput::Elapsed, at(4)).unwrap_err();
    rows.push(row(&early, "the request stands until"));
    let none: ApprovalId = id("apr_00000000000000000000000000000000");
    let error = unchanged(&world, None, || refused(world.engine.approval_view(&world.tenant, none, at(1))));
    rows.push(row(&error, "no approval `apr_"));
    rows
}

fn moves() -> Vec<Row> {
    let world = world();
    let e = world.log().into_iter().find(|e| e.action == id("escalate_to_hr")).unwrap();
    let olga: ActorId = id("olga");
    let early = unchanged(&world, None, || refused(world.engine.confirm(&world.tenant, e.id, true, at(1))));
    let mute =
        unchanged(&world, None, || refused(world.engine.cancel(&world.tenant, e.id, &olga, "", at(1))));
    world.run(at(1));
    let done = world.log().into_iter().find(|other| other.id == e.id).unwrap();
    let over =
        unchanged(&world, None, || refused(world.engine.cancel(&world.tenant, e.id, &olga, "no", at(2))));
    let EngineError::Move(inner) = &over else { panic!("{over}") };
    let running = State::Running {
        token: 2,
        worker: id("w"),
        since: at(0),
        retry_by: None,
        start_by: None,
        called_off: false,
    };
    let settle = Input::Settle { token: 1, outcome: Outcome::Done };
    let stale = running.step(&settle, &done.terms(), at(1)).unwrap_err();
    let waiting = State::AwaitingConfirmation { until: at(9), called_off: false };
    let not_due = waiting.step(&Input::Elapsed, &done.terms(), at(1)).unwrap_err();
    vec![
        row(&early, "that is `queued` cannot take `confirm`"),
        row(&mute, "accepted: 1 to 4096"),
        row(&over, "that is `done` cannot take `cancel`"),
        row(inner, "that is `done` cannot take `cancel`"),
        row(&stale, "token 1 is stale; the running attempt has token 2"),
        row(&not_due, "not due before"),
    ]
}

/// What failed is tried again when its place under a cap is another's.
fn full() -> EngineError {
    let world = World::new(
        r#"[{ "id": "r", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
            "actions": [{ "key": "a", "type": "escalate_to_hr" }],
            "guards": { "cap": { "count": 1, "in": "1h" } } }]"#,
    );
    world.target.answers("escalate_to_hr", [Delivered::permanent("no such desk")]);
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "tell" }"#), at(0));
    world.run(at(0));
    let failed = world.the("escalate_to_hr").id;
    world.submit(world.event("s2", "bea", at(1), r#"{ "do": "tell" }"#), at(1));
    let olga: ActorId = id("olga");
    unchanged(&world, None, || refused(world.engine.retry(&world.tenant, failed, &olga, "it exists", at(2))))
}

fn effects() -> Vec<Row> {
    let world = World::new(
        r#"[{ "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
            "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "1h" }] }]"#,
    );
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "lock" }"#), at(0));
    world.run(at(0));
    let olga: ActorId = id("olga");
    let undo = world.the("unlock_account").id;
    let stands =
        unchanged(&world, None, || refused(world.engine.cancel(&world.tenant, undo, &olga, "no", at(1))));
    let ana = Subject::user(id("ana"));
    let exempt = |scope: ExemptionScope, until: Option<Time>| {
        let (subject, olga) = (&ana, &olga);
        ready(world.engine.exempt(&world.tenant, subject, &scope, until, olga, "x", at(1))).unwrap()
    };
    let over = unchanged(&world, None, || exempt(ExemptionScope::All, Some(at(1))).unwrap_err());
    for n in 0..MAX_EXEMPTIONS {
        exempt(ExemptionScope::Rule(id(&format!("r{n}"))), None).unwrap();
    }
    let many = unchanged(&world, None, || exempt(ExemptionScope::All, None).unwrap_err());
    let effect = go(world.engine.effects(Filter::new(&world.tenant))).rows.remove(0);
    let step = |input: EffectInput| effect.step(&input, at(1)).unwrap_err();
    let lifting =
        effect.step(&EffectInput::Release { holder: Holding::Rule(id("lock")), undo: None }, at(1)).unwrap();
    vec![
        row(&full(), "accepted: in the next window, or when the cap is raised"),
        row(&stands, "order the restriction again instead"),
        row(&over, "accepted: a time to come, or none"),
        row(&many, "101 exemptions of one subject, or by attribute; accepted: at most 100"),
        row(&step(EffectInput::Lifted { undo }), "that is `standing` cannot take `lifted`"),
        row(
            &step(EffectInput::Release { holder: Holding::Person(olga.clone()), undo: None }),
            "accepted: one of its holders",
        ),
        row(&lifting.step(&EffectInput::Lifted { undo }, at(1)).unwrap_err(), "is not being taken back by"),
    ]
}

fn stores() -> Vec<Row> {
    let world = world();
    let record = stored(&world.store, Kind::Subject, "user:ana").unwrap();
    let commit = |expect, fence| Commit {
        id: commit_id("1"),
        tenant: tenant(),
        expect,
        fence,
        put: Vec::new(),
        audit: Vec::new(),
    };
    let key = record.key.clone();
    let conflict =
        unchanged(&world, None, || refused(world.store.commit(&commit(vec![(key.clone(), 99)], vec![]))));
    let fenced = unchanged(&world, None, || refused(world.store.commit(&commit(vec![], vec![(key, 99)]))));
    tamper(&world.store, record, "2", |body| body["subject"] = 7.into());
    let reading = world.score("x1", "ana", at(0), "30");
    let corrupt = unchanged(&world, None, || refused(world.engine.submit(reading.clone(), at(1))));
    let EngineError::Store(inner) = &corrupt else { panic!("{corrupt}") };
    let mut rows = vec![
        row(&conflict, "reload and decide again"),
        row(&fenced, "no longer held"),
        row(&corrupt, "acme/subject/user:ana"),
        row(inner, "what is stored at acme/subject/user:ana cannot be used"),
    ];
    for (error, accepted) in [
        (StoreError::Unavailable("full".into()), "try again later"),
        (StoreError::Unknown("cut".into()), "repeat the call"),
    ] {
        let broken = Broken { inner: world.store.clone(), error: error.clone() };
        let engine = Engine::new(broken, |_: &Job| Delivered::done(), RuleSet::from_json("[]").unwrap());
        let event = world.event("s9", "bea", at(0), r#"{ "do": "tell" }"#);
        let told = unchanged(&world, None, || refused(engine.submit(event, at(1))));
        assert_eq!(told, EngineError::Store(error.clone()));
        rows.push(row(&error, accepted));
    }
    // Somebody else is always faster.
    let key = Key::new(&world.tenant, Kind::Book, "book");
    let broken = Broken { inner: world.store.clone(), error: StoreError::Conflict(key) };
    let engine = Engine::new(broken, |_: &Job| Delivered::done(), RuleSet::from_json("[]").unwrap());
    let event = world.event("s9", "bea", at(0), r#"{ "do": "tell" }"#);
    rows.push(row(&unchanged(&world, None, || refused(engine.submit(event, at(1)))), "try again"));
    rows
}

/// A store whose commits fail.
struct Broken {
    inner: MemoryStore,
    error: StoreError,
}

impl Store for Broken {
    crate::pass_on! { inner: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, _: &Commit) -> Result<Committed, StoreError> {
        Err(self.error.clone())
    }
}

/// A directory that does not answer.
struct Silent;

impl People for Silent {
    fn members<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a GroupId,
    ) -> Answer<'a, Result<Vec<ActorId>, PeopleError>> {
        Box::pin(at_once(Err(PeopleError("down".to_owned()))))
    }

    fn groups<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a ActorId,
    ) -> Answer<'a, Result<BTreeSet<GroupId>, PeopleError>> {
        Box::pin(at_once(Err(PeopleError("down".to_owned()))))
    }
}

fn hosts() -> Vec<Row> {
    let world = world();
    let engine =
        Engine::new(world.store.clone(), |_: &Job| Delivered::done(), RuleSet::from_json("[]").unwrap())
            .people(Silent);
    let request = world.requests().remove(0);
    let bo: ActorId = id("bo");
    let call = || refused(engine.approve(&world.tenant, request.id, &bo, request.digest, None, at(1)));
    let silent = unchanged(&world, None, call);
    let EngineError::People(inner) = &silent else { panic!("{silent}") };
    let event = world.event("s9", "bea", at(0), r#"{ "do": "lock" }"#);
    let unasked = unchanged(&world, None, || refused(engine.submit(event, at(1))));
    assert_eq!(unasked, silent, "who is to be told cannot be found out");
    let draft =
        AuditDraft::new(tenant(), AuditCode::PolicyRulesInstalled, Actor::Host, at(0)).detail("No Key", 1);
    let audit = unchanged(&world, None, || refused(world.engine.record(draft, commit_id("3"))));
    let draft = AuditDraft::new(tenant(), AuditCode::PolicyRulesInstalled, Actor::Host, at(0));
    let draft = draft.detail("why", "x".repeat(MAX_DETAIL_BYTES + 1));
    let wordy = unchanged(&world, None, || refused(world.engine.record(draft, commit_id("4"))));
    vec![
        row(&silent, "does not answer: down"),
        row(inner, "does not answer"),
        row(&audit, "is no key; accepted: 1 to 64"),
        row(&wordy, "has 4097 bytes of text; accepted: 4096"),
    ]
}
