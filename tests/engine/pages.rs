//! Pages of what is remembered: complete, whatever is filtered and inserted meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{World, at, commit_id, go, id};
use proptest::prelude::*;
use tipstaff::*;

/// A log of sixty enforcements of different people, actions, ways and fates.
fn log() -> World {
    let rules = r#"[
      { "id": "tell", "trigger": { "event": { "pattern": { "do": ["tell", "both"] } } }, "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
      { "id": "mail", "trigger": { "event": { "pattern": { "do": ["mail", "both"] } } },
        "actions": [{ "key": "a", "type": "send_email", "params": { "to": "subject", "template": "t" } }] },
      { "id": "hand", "trigger": { "manual": {} }, "actions": [{ "key": "a", "type": "escalate_to_manager" }] } ]"#;
    let world = World::new(rules);
    let answers =
        [Delivered::done(), Delivered::permanent("no"), Delivered::retry("later"), Outcome::NoOp.into()];
    world.target.answers("escalate_to_hr", answers.into_iter().cycle().take(40));
    for n in 0..40 {
        more(&world, n);
        if n % 5 == 4 {
            world.run(at(n));
        }
    }
    world
}

fn more(world: &World, n: i64) {
    let word = ["tell", "mail", "both"][n as usize % 3];
    let user: UserId = id(["ana", "bea", "cleo"][n as usize / 2 % 3]);
    let subject = if n % 4 == 0 { Subject::session(user, id("s")) } else { Subject::user(user) };
    // Several come at one instant.
    let when = at(n / 4);
    let payload = format!(r#"{{ "do": "{word}" }}"#);
    let event = Event::new(world.tenant.clone(), &format!("e{n}"), "okta", subject, when, payload).unwrap();
    world.submit(event, when);
    if n % 7 == 0 {
        world.submit(world.order(&format!("m{n}"), "olga", "bea", ManualOrder::Rule(id("hand"))), when);
    }
}

#[derive(Clone, Debug)]
struct Wanted {
    users: BTreeSet<&'static str>,
    actions: BTreeSet<&'static str>,
    statuses: BTreeSet<&'static str>,
    kind: Option<&'static str>,
    rule: Option<&'static str>,
    session: bool,
    from: Option<i64>,
    until: Option<i64>,
    newest: bool,
    limit: usize,
}

impl Wanted {
    fn filter(&self, tenant: &TenantId) -> Filter {
        let mut filter = Filter::new(tenant).limit(self.limit);
        for user in &self.users {
            filter = filter.user(id(user));
        }
        for action in &self.actions {
            filter = filter.action(id::<ActionType>(action));
        }
        for status in &self.statuses {
            filter = filter.status(id(status));
        }
        filter = self.kind.iter().fold(filter, |filter, kind| filter.trigger(id(kind)));
        filter = self.rule.iter().fold(filter, |filter, rule| filter.rule(id(rule)));
        filter = if self.session { filter.session(id("s")) } else { filter };
        filter = self.from.iter().fold(filter, |filter, from| filter.from(at(*from)));
        filter = self.until.iter().fold(filter, |filter, until| filter.until(at(*until)));
        filter.order(if self.newest { Order::Newest } else { Order::Oldest })
    }

    fn names(&self, row: &Enforcement) -> bool {
        let among = |set: &BTreeSet<&str>, value: &str| set.is_empty() || set.contains(value);
        among(&self.users, row.subject.user.as_str())
            && among(&self.actions, row.action.as_str())
            && among(&self.statuses, row.status().as_str())
            && self.kind.is_none_or(|kind| row.origin.kind.as_str() == kind)
            && self.rule.is_none_or(|rule| row.holders.iter().any(|holder| holder.rule.as_str() == rule))
            && (!self.session || row.subject.session.is_some())
            && self.from.is_none_or(|from| row.recorded_at >= at(from))
            && self.until.is_none_or(|until| row.recorded_at < at(until))
    }
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let some = |of: &[&'static str], most| {
        prop::sample::subsequence(of.to_vec(), 0..=most)
            .prop_map(|found| found.into_iter().collect::<BTreeSet<_>>())
    };
    let which = (
        some(&["ana", "bea", "cleo", "zoe"], 2),
        some(&["escalate_to_hr", "send_email", "escalate_to_manager"], 2),
        some(&["pending", "succeeded", "failed"], 2),
    );
    let one = |of: &[&'static str]| prop::option::of(prop::sample::select(of.to_vec()));
    let how = (one(&["event", "manual", "score"]), one(&["tell", "mail", "hand"]), prop::bool::weighted(0.2));
    let when = (prop::option::of(0_i64..10), prop::option::of(2_i64..12), any::<bool>(), 1_usize..20);
    (which, how, when).prop_map(
        |((users, actions, statuses), (kind, rule, session), (from, until, newest, limit))| Wanted {
            users,
            actions,
            statuses,
            kind,
            rule,
            session,
            from,
            until,
            newest,
            limit,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn pages_are_complete_whatever_is_filtered_and_inserted(wanted in wanted(), inserts in any::<bool>()) {
        let world = log();
        let all = world.log();
        prop_assert!(all.len() > 50);
        let expected: BTreeMap<_, _> = all.iter().filter(|row| wanted.names(row)).map(|row| (row.id, row)).collect();
        let mut rows = Vec::new();
        let mut after = None;
        let mut n = 100;
        loop {
            let filter = wanted.filter(&world.tenant);
            let filter = after.take().into_iter().fold(filter, |filter, cursor: Cursor| filter.after(id(&cursor.to_string())));
            let page = go(world.engine.enforcements(filter));
            prop_assert!(page.rows.len() <= wanted.limit);
            rows.extend(page.rows);
            if inserts {
                n += 1;
                more(&world, n);
            }
            after = page.next;
            if after.is_none() || n > 200 {
                break;
            }
        }
        let mut places: Vec<_> = rows.iter().map(|row| (row.recorded_at, row.id.to_string())).collect();
        if wanted.newest {
            places.reverse();
        }
        prop_assert!(places.windows(2).all(|two| two[0] < two[1]), "in order, and each once");
        prop_assert!(rows.iter().all(|row| wanted.names(row)));
        let known: BTreeSet<_> = all.iter().map(|row| row.id).collect();
        let found: BTreeSet<_> = rows.iter().map(|row| row.id).filter(|id| known.contains(id)).collect();
        prop_assert_eq!(found, expected.keys().copied().collect::<BTreeSet<_>>());
    }
}

/// A store whose trail grows by a row before its end is read, and before each of its first two pages is.
struct Growing {
    inner: MemoryStore,
    rows: AtomicUsize,
    pages: AtomicUsize,
}

impl Growing {
    async fn grow(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let n = self.rows.fetch_add(1, Ordering::SeqCst);
        let row = AuditDraft::new(tenant.clone(), AuditCode::PolicySubjectDescribed, Actor::Host, at(0));
        let (id, audit) = (commit_id(&format!("{n:x}")), vec![row]);
        let (expect, fence, put) = (Vec::new(), Vec::new(), Vec::new());
        self.inner.commit(&Commit { id, tenant: tenant.clone(), expect, fence, put, audit }).await.map(drop)
    }
}

impl Store for Growing {
    crate::pass_on! { inner: load, commit, claim, renew, due, upcoming, query, erase, now, unique }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        if self.pages.fetch_add(1, Ordering::SeqCst) < 2 {
            self.grow(&trail.tenant).await?;
        }
        self.inner.trail(trail).await
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        self.grow(tenant).await?;
        self.inner.head(tenant, lane).await
    }
}

#[test]
fn a_trail_that_grows_while_it_is_verified_is_whole() {
    let world = log();
    let before = world.trail().len();
    let store = Growing { inner: world.store.clone(), rows: 0.into(), pages: 0.into() };
    let engine = Engine::new(store, world.target.clone(), RuleSet::from_json("[]").unwrap());
    let head = go(engine.verify_audit(&world.tenant, None)).expect("nothing is missing");
    assert_eq!(head.seq as usize, before + 3);
}

#[test]
fn a_cursor_is_the_text_that_a_page_gave_and_no_other() {
    let next = go(log().engine.enforcements(Filter::new(&id("acme")).limit(1))).next.unwrap();
    assert_eq!(next.to_string().parse(), Ok(next.clone()));
    let beyond = format!("{}.a", i64::MAX);
    for text in ["", ".", "1", "1.", ".a", "x.a", " 1.a", "1.a\0", "1.a\nb", &beyond] {
        assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
    }
}
