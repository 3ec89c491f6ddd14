//! The same calls to a store and to the reference give the same answers. The other stores are held
//! against the reference by this, too.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tipstaff::{
    Claim, Commit, Cursor, DuePage, Facet, Key, Kind, MemoryStore, Order, Query, Record, Renewal, Span,
    Store, StoreError, Time, Trail,
};

use crate::support::{at, claim, commit, done, draft, plain, query, queued, stopped, tenant, verified};

const TENANTS: [&str; 3] = ["acme", "zeta", "Ångström"];
const CHANNELS: [&str; 3] = ["lock_account", "send_email", "custom_one"];
const FACETS: [Facet; 4] = [Facet::User, Facet::Status, Facet::Rule, Facet::Mode];
const VALUES: [&str; 4] = ["a", "b", "é\"", ""];
const KINDS: [Kind; 4] = [Kind::Run, Kind::Approval, Kind::Trigger, Kind::Subject];

/// A call, in terms of what there is: versions and tokens are right, or off by a little.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Commit {
        of: usize,
        id: u64,
        puts: Vec<Put>,
        expect: Option<(u8, u64)>,
        fence: Option<(u8, u64)>,
        audit: u16,
    },
    Claim {
        worker: u8,
        nonce: u64,
        channels: Option<Vec<usize>>,
        until: i64,
        lease: u64,
    },
    Renew {
        of: usize,
        n: u8,
        off: u64,
    },
    Query(Query),
    Due {
        until: i64,
        limit: usize,
    },
    Pass(i64),
}

#[derive(Clone, Debug)]
pub(crate) enum Put {
    Plain { kind: Kind, n: u8, at: i64, due: Option<i64>, facets: Vec<(usize, usize)>, off: u64 },
    Queued { n: u8, channel: usize, since: i64 },
    Stop(bool),
}

fn put() -> impl Strategy<Value = Put> {
    let facets = prop::collection::vec((0..FACETS.len(), 0..VALUES.len()), 0..5);
    let due = prop::option::of(0..6i64);
    // Off by one now and then.
    let off = prop_oneof![9 => Just(0u64), 1 => Just(1u64)];
    prop_oneof![
        5 => (prop::sample::select(&KINDS[..]), 0..4u8, 0..5i64, due, facets, off)
            .prop_map(|(kind, n, at, due, facets, off)| Put::Plain { kind, n, at, due, facets, off }),
        4 => (0..6u8, 0..CHANNELS.len(), 0..20i64).prop_map(|(n, channel, since)| Put::Queued { n, channel, since }),
        1 => any::<bool>().prop_map(Put::Stop),
    ]
}

fn a_query() -> impl Strategy<Value = Query> {
    let values = prop::collection::vec(0..VALUES.len(), 0..4);
    let facets = prop::collection::vec((0..FACETS.len(), values), 0..4);
    let time = || prop::option::of(-1..6i64);
    let after = prop::option::of((-1..6i64, 0..4u8));
    let page = (any::<bool>(), after, 0..4usize);
    (0..TENANTS.len(), prop::sample::select(&KINDS[..]), time(), time(), facets, page).prop_map(
        |(of, kind, from, until, facets, (newest, after, limit))| Query {
            kind,
            from: from.map(at),
            until: until.map(at),
            facets: facets
                .into_iter()
                .map(|(facet, values)| {
                    (FACETS[facet], values.into_iter().map(|n| VALUES[n].to_owned()).collect())
                })
                .collect(),
            order: if newest { Order::Newest } else { Order::Oldest },
            // A page may begin anywhere, also outside of its range.
            after: after.map(|(micros, n)| Cursor { at: at(micros), id: n.to_string() }),
            limit,
            ..query(&tenant(TENANTS[of]), &[])
        },
    )
}

fn call() -> impl Strategy<Value = Call> {
    let check = || prop::option::weighted(0.3, (0..6u8, prop_oneof![4 => Just(0u64), 1 => Just(1u64)]));
    let channels = prop::option::of(prop::collection::vec(0..CHANNELS.len(), 0..3));
    let tenants = 0..TENANTS.len();
    prop_oneof![
        6 => (tenants.clone(), 0..40u64, prop::collection::vec(put(), 0..5), check(), check(), 0..3u16)
            .prop_map(|(of, id, puts, expect, fence, audit)| Call::Commit { of, id, puts, expect, fence, audit }),
        3 => (0..2u8, 0..6u64, channels, 0..25i64, 0..30u64).prop_map(|(worker, nonce, channels, until, lease)| {
            Call::Claim { worker, nonce, channels, until, lease }
        }),
        1 => (tenants, 0..6u8, 0..2u64).prop_map(|(of, n, off)| Call::Renew { of, n, off }),
        3 => a_query().prop_map(Call::Query),
        1 => (-1..6i64, 0..5usize).prop_map(|(until, limit)| Call::Due { until, limit }),
        1 => (0..20_000i64).prop_map(Call::Pass),
    ]
}

/// What of a call and its answer is a store's own.
pub(crate) trait Own {
    /// How long the lease of a claim or a renewal is.
    fn lease(&self, millis: u64) -> Span;

    /// The decision time of a claim.
    fn until(&self, micros: i64) -> Time;

    /// The store's clock moves to that time.
    fn pass(&self, now: i64);

    /// An answer without what the store's clock has put into it.
    fn plain(&self, answer: String) -> String;
}

/// A store, the reference beside it, and how they are compared.
pub(crate) struct Pair<S, O> {
    pub(crate) store: S,
    pub(crate) model: MemoryStore,
    pub(crate) own: O,
    now: i64,
}

/// Asks both, which must agree; gives the answer of the store. Of a corrupt record the place is left
/// out: which of several a claim meets first is not promised.
macro_rules! both {
    ($pair:expr, $method:ident($($argument:expr),*)) => {{
        let (ours, model) =
            (done($pair.store.$method($($argument),*)), done($pair.model.$method($($argument),*)));
        match (&ours, &model) {
            (Err(StoreError::Corrupt { .. }), Err(StoreError::Corrupt { .. })) => {}
            _ => prop_assert_eq!($pair.own.plain(format!("{ours:#?}")), $pair.own.plain(format!("{model:#?}"))),
        }
        ours
    }};
}

impl<S: Store, O: Own> Pair<S, O> {
    pub(crate) const fn new(store: S, model: MemoryStore, own: O) -> Self {
        Self { store, model, own, now: 0 }
    }

    fn record(&self, key: &Key) -> Option<Record> {
        done(self.model.load(std::slice::from_ref(key))).unwrap().remove(0)
    }

    fn version(&self, key: &Key) -> u64 {
        self.record(key).map_or(0, |record| record.version)
    }

    fn put(&self, of: usize, put: Put) -> Record {
        let tenant = tenant(TENANTS[of]);
        let (record, off) = match put {
            Put::Plain { kind, n, at: micros, due, facets, off } => {
                let facets: Vec<_> =
                    facets.into_iter().map(|(facet, value)| (FACETS[facet], VALUES[value])).collect();
                let record = plain(&tenant, "", micros, &facets);
                let key = Key::new(&tenant, kind, n.to_string());
                (Record { key, due_at: due.map(at), ..record }, off)
            }
            Put::Queued { n, channel, since } => (queued(&tenant, n.into(), CHANNELS[channel], since), 0),
            Put::Stop(true) => (stopped(&tenant), 0),
            Put::Stop(false) => {
                let nothing = r#"{"v":1,"epoch":2}"#.to_owned();
                (Record { body: nothing, ..stopped(&tenant) }, 0)
            }
        };
        let token = self.record(&record.key).map_or(0, |record| record.token);
        Record { version: self.version(&record.key) + off, token, ..record }
    }

    fn run(&mut self, call: Call) -> Result<(), TestCaseError> {
        match call {
            Call::Commit { of, id, puts, expect, fence, audit } => {
                let tenant = tenant(TENANTS[of]);
                let of_queue = |n: u8| queued(&tenant, n.into(), "send_email", 0).key;
                let puts: BTreeMap<Key, Record> = puts
                    .into_iter()
                    .map(|put| self.put(of, put))
                    .map(|record| (record.key.clone(), record))
                    .collect();
                let expect = expect.map(|(n, off)| (of_queue(n), self.version(&of_queue(n)) + off));
                let fence = fence.map(|(n, off)| {
                    let token = self.record(&of_queue(n)).map_or(0, |record| record.token);
                    (of_queue(n), token + off)
                });
                let call = Commit {
                    expect: expect.into_iter().collect(),
                    fence: fence.into_iter().collect(),
                    // No personal fields: their salts differ, and all else is then equal, hashes too.
                    audit: (0..audit).map(|n| draft(&tenant, self.now).lane(n % 2)).collect(),
                    ..commit(&tenant, id, puts.into_values().collect())
                };
                let _ = both!(self, commit(&call));
            }
            Call::Claim { worker, nonce, channels, until, lease } => {
                let channels =
                    channels.map(|names| names.into_iter().map(|n| CHANNELS[n].parse().unwrap()).collect());
                let call = Claim {
                    worker: format!("w{worker}").parse().unwrap(),
                    channels,
                    lease: self.own.lease(lease),
                    until: self.own.until(until),
                    // More than there are: which ones a smaller claim takes is each store's choice.
                    ..claim(nonce, 1_000, 0)
                };
                let _ = both!(self, claim(&call));
            }
            Call::Renew { of, n, off } => {
                let key = queued(&tenant(TENANTS[of]), n.into(), "send_email", 0).key;
                let token = self.record(&key).map_or(0, |record| record.token) + off;
                let call = Renewal { key, token, lease: self.own.lease(10) };
                let _ = both!(self, renew(&call));
            }
            Call::Query(mut query) => loop {
                let page = both!(self, query(&query)).unwrap();
                let Some(next) = page.next else { break };
                query.after = Some(next.to_string().parse().unwrap());
            },
            Call::Due { until, limit } => {
                let mut page = DuePage { until: at(until), after: None, limit };
                loop {
                    let rows = both!(self, due(&page)).unwrap();
                    let Some(last) = rows.last() else { break };
                    page.after = DuePage::place(last);
                }
            }
            Call::Pass(micros) => {
                self.now += micros;
                self.own.pass(self.now);
            }
        }
        Ok(())
    }

    /// All that the two hold.
    fn compare(&self) -> Result<(), TestCaseError> {
        for name in TENANTS {
            let tenant = tenant(name);
            let plain = KINDS.into_iter().flat_map(|kind| (0..4).map(move |n: u8| (kind, n.to_string())));
            let keys = plain.map(|(kind, id)| Key::new(&tenant, kind, id));
            let queued = (0..6).map(|n| queued(&tenant, n, "send_email", 0).key);
            let keys: Vec<Key> = keys.chain(queued).chain([Claim::control_key(&tenant)]).collect();
            let _ = both!(self, load(&keys));
            for lane in 0..3 {
                let _ = both!(self, head(&tenant, lane));
                let trail = Trail { tenant: tenant.clone(), lane, after: 0, limit: 10_000 };
                let records = both!(self, trail(&trail)).unwrap();
                prop_assert_eq!(verified(&self.store, &tenant, lane), records.len() as u64);
            }
        }
        Ok(())
    }
}

/// Calls in a row.
pub(crate) fn calls() -> impl Strategy<Value = Vec<Call>> {
    prop::collection::vec(call(), 1..60)
}

/// Makes the calls on both, and compares all that they hold in the end.
pub(crate) fn agree<S: Store, O: Own>(mut pair: Pair<S, O>, calls: Vec<Call>) -> Result<(), TestCaseError> {
    for call in calls {
        pair.run(call)?;
    }
    pair.compare()
}

/// How many sequences are tried: `TIPSTAFF_MODEL_CASES`, or that many.
pub(crate) fn cases(few: u32) -> ProptestConfig {
    let told = std::env::var("TIPSTAFF_MODEL_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: told.unwrap_or(few), failure_persistence: None, ..ProptestConfig::default() }
}
