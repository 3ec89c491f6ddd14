//! Calls that are given up, that fail midway, or that stand in each other's way.

use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join_all};
use tipstaff::{
    Commit, Cursor, DuePage, Facet, Key, Kind, Order, Query, Record, Renewal, Span, Store, StoreError, Time,
    Trail,
};
use tipstaff_postgres::PostgresStore;
use tokio::time::timeout;
use tokio_postgres::{Config, NoTls};

use crate::support::{claim, commit, done, draft, is_passed_over, plain, query, queued, tenant};
use crate::{Form, Fresh, Schema, administer, runtime};

/// The decision time at which all that waits is ready.
const LATE: i64 = 4_102_444_800_000_000;

/// A call that is given up while the server works on it leaves its connection to nobody.
pub(crate) fn given_up(server: &Config, form: Form) -> Result<(), String> {
    let schema = Schema::new(server);
    let pool = PostgresStore::pool(schema.config.clone(), 1).map_err(|error| error.to_string())?;
    let store = &done(PostgresStore::with_pool(pool, form)).map_err(|error| error.to_string())?;
    let acme = &tenant("acme");
    let key = Key::new(acme, Kind::Book, "book");
    let (claim, keys) = (claim(1, 1, LATE), [key.clone()]);
    let renewal = Renewal { key, token: 1, lease: Span::hours(1) };
    let page = DuePage { until: Time::MAX, after: None, limit: 10 };
    let trail = Trail { tenant: acme.clone(), lane: 0, after: 0, limit: 10 };
    let ahead = tipstaff::Ahead { after: Time::EPOCH, channels: None };
    let (call, filter, ana) = (commit(acme, 1, vec![]), query(acme, &[]), "ana".parse().unwrap());
    let calls: [(&str, BoxFuture<'_, ()>); 9] = [
        ("load", Box::pin(async { drop(store.load(&keys).await) })),
        ("commit", Box::pin(async { drop(store.commit(&call).await) })),
        ("claim", Box::pin(async { drop(store.claim(&claim).await) })),
        ("renew", Box::pin(async { drop(store.renew(&renewal).await) })),
        ("due", Box::pin(async { drop(store.due(&page).await) })),
        ("upcoming", Box::pin(async { drop(store.upcoming(&ahead).await) })),
        ("query", Box::pin(async { drop(store.query(&filter).await) })),
        ("trail", Box::pin(async { drop(store.trail(&trail).await) })),
        ("erase", Box::pin(async { drop(store.erase(acme, &ana).await) })),
    ];
    runtime().block_on(async {
        let (holder, connection) = schema.config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let tables = "tipstaff_records, tipstaff_commits, tipstaff_audit, tipstaff_heads";
        holder.batch_execute(&format!("BEGIN; LOCK TABLE {tables}")).await.unwrap();
        for (name, call) in calls {
            if timeout(Duration::from_millis(100), call).await.is_ok() {
                return Err(format!("{name} did not wait for the tables"));
            }
            // It needs no table.
            if !matches!(timeout(Duration::from_secs(3), store.now()).await, Ok(Ok(_))) {
                return Err(format!("after {name} was given up, its connection is waited for"));
            }
        }
        Ok(())
    })
}

/// A claim takes what is of others than a damaged tenant, before it or after; and says so where nothing is.
pub(crate) fn half_a_claim(server: &Config, form: Form) -> Result<(), String> {
    // No hash, and a place that is taken.
    for (damage, most) in [("hash = '\\x00'", 10), ("seq = seq - 1", 10), ("seq = seq - 1", 1)] {
        let fresh = Fresh::new(server, form);
        for tenant in &["a", "b", "c"].map(tenant) {
            let audit = vec![draft(tenant, 0)];
            let put = vec![queued(tenant, 1, "send_email", 0)];
            done(fresh.store.commit(&Commit { audit, ..commit(tenant, 1, put) })).unwrap();
        }
        administer(&fresh.schema.config, &format!("UPDATE tipstaff_heads SET {damage} WHERE tenant = 'b'"));
        let claim = |nonce| done(fresh.store.claim(&claim(nonce, most, LATE)));
        let mut taken = Vec::new();
        for nonce in 0..if most == 1 { 2 } else { 1 } {
            let of_it = claim(nonce).map_err(|error| error.to_string())?;
            taken.extend(of_it.into_iter().map(|record| record.key.tenant.to_string()));
        }
        if taken != ["a", "c"] {
            return Err(format!("a claim over a damaged tenant ({damage}): {taken:?}"));
        }
        let alone = claim(9);
        if !matches!(&alone, Err(StoreError::Corrupt { place, .. }) if place.starts_with('b')) {
            return Err(format!("a claim of what is damaged alone ({damage}): {alone:?}"));
        }
    }
    Ok(())
}

/// What another transaction has in hand is left to it: a claim takes the others, and waits for nobody.
pub(crate) fn in_hand(server: &Config, form: Form) -> Result<(), String> {
    let mut schema = Schema::new(server);
    // Who waits fails.
    let options = format!("{} -c lock_timeout=100ms", schema.config.get_options().unwrap());
    schema.config.options(options);
    let (store, acme) = (schema.open(form), tenant("acme"));
    let put = (1..4).map(|n| queued(&acme, n, "send_email", n.cast_signed())).collect::<Vec<_>>();
    let keys: Vec<_> = put.iter().map(|record| record.key.clone()).collect();
    done(store.commit(&commit(&acme, 1, put))).unwrap();
    let (holder, connection) = done(schema.config.connect(NoTls)).unwrap();
    runtime().spawn(connection);
    let lock = format!("BEGIN; SELECT FROM tipstaff_records WHERE id = '{}' FOR UPDATE", keys[0].id);
    done(holder.batch_execute(&lock)).unwrap();
    for (n, left) in [(1, &keys[1..]), (2, &keys[..1])] {
        let taken = done(store.claim(&claim(n, 10, LATE))).map_err(|error| error.to_string())?;
        let mut taken: Vec<_> = taken.into_iter().map(|record| record.key).collect();
        taken.sort();
        if taken != left {
            return Err(format!("claim {n} took {taken:?}"));
        }
        done(holder.batch_execute("COMMIT")).unwrap();
    }
    Ok(())
}

/// However many keys a commit names, the server has locks for them.
pub(crate) fn many_keys(server: &Config, form: Form) -> Result<(), String> {
    let fresh = Fresh::new(server, form);
    let acme = tenant("acme");
    let absent = |n: u64| (Key::new(&acme, Kind::Trigger, format!("absent {n}")), 0);
    let call = Commit { expect: (0..20_000).map(absent).collect(), ..commit(&acme, 1, vec![]) };
    done(fresh.store.commit(&call)).map(drop).map_err(|error| error.to_string())
}

/// A filter of a text that the server has none the like of finds what its other values name, and nothing else.
pub(crate) fn with_a_nul(server: &Config, form: Form) -> Result<(), String> {
    let fresh = Fresh::new(server, form);
    let acme = tenant("acme");
    let record = plain(&acme, "1", 1, &[(Facet::User, "ana"), (Facet::Status, "open")]);
    done(fresh.store.commit(&commit(&acme, 1, vec![record]))).map_err(|error| error.to_string())?;
    let after = |id: &str| Some(Cursor { at: Time::EPOCH, id: id.to_owned() });
    for (facets, after, found) in [
        (&[(Facet::User, &["an\0a"][..])][..], None, 0),
        (&[(Facet::User, &["an\0a", "ana"])], None, 1),
        (&[(Facet::User, &["ana"]), (Facet::Status, &["\0"])], None, 0),
        (&[(Facet::User, &["ana"])], after("a\0b"), 1),
    ] {
        let asked = Query { order: Order::Oldest, after, ..query(&acme, facets) };
        let page = done(fresh.store.query(&asked)).map_err(|error| format!("{asked:?}: {error}"))?;
        if page.rows.len() != found {
            return Err(format!("{found} were to be found: {asked:?}: {page:?}"));
        }
    }
    Ok(())
}

/// Whoever writes what every decision reads comes to it, however many decisions there are.
pub(crate) fn hot_records(server: &Config, form: Form) -> Result<(), String> {
    let fresh = Fresh::new(server, form);
    let (store, acme) = (&fresh.store, &tenant("acme"));
    let control = |version| Record {
        key: Key::new(acme, Kind::Control, "control"),
        version,
        ..plain(acme, "", 0, &[])
    };
    done(store.commit(&commit(acme, 0, vec![control(0)]))).unwrap();
    let over = Instant::now() + Duration::from_secs(2);
    let decide = |host: u64| async move {
        let mut n = host * 1_000_000;
        while Instant::now() < over {
            n += 1;
            let expect = vec![(control(0).key, 1)];
            let put = vec![plain(acme, &n.to_string(), 0, &[])];
            let _ = store.commit(&Commit { expect, ..commit(acme, n, put) }).await;
        }
    };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let begun = Instant::now();
        store.commit(&commit(acme, 1, vec![control(1)])).await.map(|_| begun.elapsed())
    };
    let deciding = join_all((1..4).map(decide));
    match runtime().block_on(futures_util::future::join(stop, deciding)).0 {
        Ok(waited) if waited < Duration::from_secs(1) => Ok(()),
        other => Err(format!("a kill switch was pulled only after {other:?}")),
    }
}

/// A host that goes silent holds nothing for long.
pub(crate) fn settings(server: &Config, _: Form) -> Result<(), String> {
    let shown = |config: &Config| {
        let pool = PostgresStore::pool(config.clone(), 1).unwrap();
        done(async {
            let client = pool.get().await.unwrap();
            let mut values = Vec::new();
            for name in ["plan_cache_mode", "lock_timeout", "idle_in_transaction_session_timeout"] {
                let row = client.query_one(&format!("SHOW {name}"), &[]).await.unwrap();
                values.push(row.get::<_, String>(0));
            }
            values
        })
    };
    let mut told = server.clone();
    told.options("-c lock_timeout=7s");
    for (config, expected) in
        [(server, ["force_generic_plan", "5s", "10s"]), (&told, ["force_generic_plan", "7s", "10s"])]
    {
        let shown = shown(config);
        if shown != expected {
            return Err(format!("a connection is set to {shown:?}"));
        }
    }
    Ok(())
}

/// What cannot be read holds up no other.
pub(crate) fn unreadable(server: &Config, form: Form) -> Result<(), String> {
    let fresh = Fresh::new(server, form);
    is_passed_over(&fresh.store, "tipstaff_records", |sql| administer(&fresh.schema.config, sql));
    Ok(())
}
