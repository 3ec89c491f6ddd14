//! What a database is that another version made, or that the server knows nothing of yet.

use std::collections::BTreeSet;
use std::ops::Range;

use tipstaff::{Commit, Facet, Key, Kind, Order, Query, Renewal, Span, Store, StoreError};
use tipstaff_postgres::{OpenError, PostgresStore};
use tokio::task::JoinHandle;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use crate::support::{claim, done, id, plain, queued, tenant};
use crate::{Form, Fresh, Schema, administer, asked, runtime};

/// The schemas as they were released.
const RELEASED: &[&str] = &[include_str!("../../src/schema.sql"), include_str!("../../src/schema-2.sql")];

/// What there is in a schema, as the server describes it.
const SHAPE: &str = "SELECT tablename, indexname, replace(indexdef, current_schema(), '') FROM pg_indexes \
     WHERE schemaname = current_schema() ORDER BY 1, 2";

/// Its tables and indexes, each with the transaction that made it.
const RELATIONS: &str = "SELECT oid, xmin FROM pg_class WHERE relnamespace = current_schema()::regnamespace \
     AND relkind IN ('r', 'i')";

/// Its sessions that wait for a lock.
const WAITING: &str = "SELECT pid FROM pg_stat_activity \
     WHERE application_name = current_schema() AND wait_event_type = 'Lock'";

/// Those that have, or wait for, a lock under which the records' table is changed.
const CHANGING: &str = "SELECT DISTINCT pid FROM pg_locks JOIN pg_stat_activity USING (pid) \
     WHERE application_name = current_schema() AND relation = 'tipstaff_records'::regclass \
         AND mode = 'AccessExclusiveLock'";

fn by_user(user: &str) -> Query {
    Query {
        tenant: tenant("acme"),
        kind: Kind::Trigger,
        from: None,
        until: None,
        facets: vec![(Facet::User, vec![user.to_owned()])],
        order: Order::Oldest,
        after: None,
        limit: 10,
    }
}

type Shape = Vec<Vec<String>>;

fn rows(schema: &Schema, sql: &str) -> Vec<Vec<String>> {
    let messages = asked(&schema.config, sql);
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|n| row.get(n).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// A database as it was released, with a record in it; without any table before the first.
fn released(server: &Config, version: usize, form: Form) -> Schema {
    let old = Schema::new(server);
    let form_name = if form == Form::Rows { "rows" } else { "serializable" };
    if version > 0 {
        administer(&old.config, &RELEASED[..version].concat());
        administer(
            &old.config,
            &format!(
                "CREATE TABLE tipstaff_schema (one BOOLEAN PRIMARY KEY, version INTEGER NOT NULL, form TEXT NOT NULL);
                 INSERT INTO tipstaff_schema VALUES (TRUE, {version}, '{form_name}');
                 INSERT INTO tipstaff_records (tenant, kind, id, version, at, channel, ready_at, token, facets, body)
                     VALUES ('acme', 'trigger', '1', 1, 0, 'send_email', 0, 0, '[[\"user\",\"ana\"]]', '{{}}');
                 INSERT INTO tipstaff_facets VALUES ('acme', 'trigger', 'user', 'ana', 0, '1');"
            ),
        );
    }
    old
}

/// That a database is of the newest schema, and holds so many records.
fn brought_up(schema: &Schema, store: &PostgresStore, shape: &Shape, records: usize) -> Result<(), String> {
    if rows(schema, SHAPE) != *shape {
        return Err("it has become another one than the newest".to_owned());
    }
    let found = done(store.query(&by_user("ana"))).map_err(|error| error.to_string())?;
    match found.rows.len() == records && found.rows.iter().all(|record| record.body == "{}") {
        true => Ok(()),
        false => Err(format!("{records} records were written: {found:?}")),
    }
}

/// A database of each earlier schema is brought up to date, and keeps what it holds.
pub(crate) fn upgrade(server: &Config, form: Form) -> Result<(), String> {
    let newest = Fresh::new(server, form);
    let shape = rows(&newest.schema, SHAPE);
    for version in 1..RELEASED.len() {
        let old = released(server, version, form);
        if rows(&old, SHAPE) == shape {
            return Err(format!("schema {version} is the newest already"));
        }
        let store = old.open(form);
        brought_up(&old, &store, &shape, 1).map_err(|error| format!("schema {version}: {error}"))?;
        let stored = done(store.query(&by_user("ana"))).unwrap().rows.remove(0);
        let again = Commit { id: id(1), ..commit(vec![stored]) };
        done(store.commit(&again)).map_err(|error| format!("schema {version}: {error}"))?;
    }
    Ok(())
}

/// How many hosts open a database at once.
const HOSTS: usize = 8;

/// Hosts that begin to open a database, each on a connection that it has already.
fn opening(schema: &Schema, form: Form) -> Vec<JoinHandle<Result<PostgresStore, OpenError>>> {
    let pool = |_| PostgresStore::pool(schema.config.clone(), 1).unwrap();
    let pools: Vec<_> = (0..HOSTS).map(pool).collect();
    pools.iter().for_each(|pool| drop(done(pool.get()).unwrap()));
    pools.into_iter().map(|pool| runtime().spawn(PostgresStore::with_pool(pool, form))).collect()
}

/// The stores that they open: all of them, and each can be written to.
fn opened(hosts: Vec<JoinHandle<Result<PostgresStore, OpenError>>>) -> Result<Vec<PostgresStore>, String> {
    let mut stores = Vec::new();
    for (host, n) in hosts.into_iter().zip(0..) {
        let store = done(host).unwrap().map_err(|error| format!("host {n}: {error}"))?;
        let record = plain(&tenant("acme"), &format!("of host {n}"), 0, &[(Facet::User, "ana")]);
        done(store.commit(&Commit { id: id(n), ..commit(vec![record]) }))
            .map_err(|error| error.to_string())?;
        stores.push(store);
    }
    Ok(stores)
}

/// Hosts that open a database at once, an empty one or one of any earlier schema, all do so. One of them
/// brings it up to date, in one transaction; nothing is lost.
pub(crate) fn at_once(server: &Config, form: Form) -> Result<(), String> {
    let shape = rows(&Fresh::new(server, form).schema, SHAPE);
    for version in 0..RELEASED.len() {
        let schema = released(server, version, form);
        let kept = rows(&schema, RELATIONS);
        let stores = opened(opening(&schema, form)).map_err(|error| format!("schema {version}: {error}"))?;
        brought_up(&schema, &stores[0], &shape, kept.len().min(1) + HOSTS)
            .map_err(|error| format!("schema {version}: {error}"))?;
        let made = rows(&schema, RELATIONS).into_iter().filter(|relation| !kept.contains(relation));
        let by: BTreeSet<_> = made.map(|relation| relation[1].clone()).collect();
        if by.len() != 1 {
            return Err(format!("schema {version} was brought up to date by transactions {by:?}"));
        }
    }
    Ok(())
}

/// While a host brings a database up to date, the others wait, and find it done.
pub(crate) fn waited_for(server: &Config, form: Form) -> Result<(), String> {
    let shape = rows(&Fresh::new(server, form).schema, SHAPE);
    for version in 1..RELEASED.len() {
        let schema = released(server, version, form);
        let (reader, connection) = done(schema.config.connect(NoTls)).unwrap();
        runtime().spawn(connection);
        // Whoever changes the table has to wait for this one.
        done(reader.batch_execute("BEGIN; SELECT FROM tipstaff_records")).unwrap();
        let hosts = opening(&schema, form);
        while rows(&schema, WAITING).len() < HOSTS {
            if hosts.iter().any(JoinHandle::is_finished) {
                return Err(format!("schema {version}: a host did not wait"));
            }
        }
        let at_work = rows(&schema, CHANGING);
        if at_work.len() != 1 {
            return Err(format!("schema {version} is brought up to date by {} hosts", at_work.len()));
        }
        done(reader.batch_execute("COMMIT")).unwrap();
        let stores = opened(hosts).map_err(|error| format!("schema {version}: {error}"))?;
        brought_up(&schema, &stores[0], &shape, 1 + HOSTS)
            .map_err(|error| format!("schema {version}: {error}"))?;
    }
    Ok(())
}

/// A database that a newer version wrote, or that is used in the other form, is refused as it is.
pub(crate) fn refused(server: &Config, form: Form) -> Result<(), String> {
    let fresh = Fresh::new(server, form);
    let other = if form == Form::Rows { Form::Serializable } else { Form::Rows };
    match fresh.schema.try_open(other) {
        Err(OpenError::OtherForm { .. }) => {}
        other => return Err(format!("the other form: {other:?}")),
    }
    let ready = vec![queued(&tenant("acme"), 1, "send_email", 1)];
    done(fresh.store.commit(&commit(ready.clone()))).map_err(|error| error.to_string())?;
    administer(&fresh.schema.config, "UPDATE tipstaff_schema SET version = version + 1");
    match fresh.schema.try_open(form) {
        Err(OpenError::Newer { found, newest }) if found == newest + 1 => {}
        other => return Err(format!("a newer schema: {other:?}")),
    }
    // Whoever has opened it before reads on, and writes no more.
    let store = &fresh.store;
    let key = ready[0].key.clone();
    let acme = tenant("acme");
    let answers = [
        done(store.commit(&commit(vec![plain(&acme, "2", 0, &[])]))).err(),
        done(store.claim(&claim(1, 1, 10))).err(),
        done(store.renew(&Renewal { key: key.clone(), token: 0, lease: Span::secs(1) })).err(),
        done(store.erase(&acme, &"ana".parse().unwrap())).err(),
    ];
    for answer in &answers {
        match answer {
            Some(StoreError::Corrupt { place, .. }) if place == "the schema" => {}
            _ => return Err(format!("a newer schema that came meanwhile: {answers:?}")),
        }
    }
    match done(store.load(&[key])).map_err(|error| error.to_string())?[..] {
        [Some(_)] => Ok(()),
        _ => Err("what was written is gone".to_owned()),
    }
}

/// Whoever writes as an older version does, and has looked at the schema, is waited for by the host that brings
/// it up to date; whoever looks meanwhile waits for that host, and finds another version.
pub(crate) fn writers(server: &Config, form: Form) -> Result<(), String> {
    const LOOK: &str = "SELECT version FROM tipstaff_schema";
    for version in 1..RELEASED.len() {
        let schema = released(server, version, form);
        let session = || {
            let (session, connection) = done(schema.config.connect(NoTls)).unwrap();
            runtime().spawn(connection);
            session
        };
        let (early, late) = (session(), session());
        done(early.batch_execute("BEGIN")).unwrap();
        done(early.query_one(LOOK, &[])).unwrap();
        let pool = PostgresStore::pool(schema.config.clone(), 1).unwrap();
        let host = runtime().spawn(PostgresStore::with_pool(pool, form));
        let waiting = |sessions: usize| {
            while rows(&schema, WAITING).len() < sessions {
                if host.is_finished() {
                    return Err(format!("schema {version}: it was not waited for"));
                }
            }
            Ok(())
        };
        waiting(1)?;
        let found = runtime().spawn(async move {
            late.batch_execute("BEGIN").await.unwrap();
            late.query_one(LOOK, &[]).await.unwrap().get::<_, i32>(0)
        });
        waiting(2)?;
        let write = "INSERT INTO tipstaff_commits (tenant, id, at) VALUES ('acme', 'early', 0)";
        done(early.batch_execute(&format!("{write}; COMMIT"))).unwrap();
        let store = done(host).unwrap().map_err(|error| error.to_string())?;
        if done(found).unwrap() != i32::try_from(RELEASED.len()).unwrap() {
            return Err(format!("schema {version}: a look in the middle found it still"));
        }
        opened(vec![runtime().spawn(async move { Ok(store) })])?;
    }
    Ok(())
}

/// What may stand in the way of databases that spread a table over machines by its tenants, or number nothing.
pub(crate) fn spread(server: &Config, form: Form) -> Result<(), String> {
    let fresh = Fresh::new(server, form);
    // Besides the one row that says what schema it is.
    const KEYS: &str = "SELECT c.relname, a.attname FROM pg_index AS i \
         JOIN pg_class AS c ON c.oid = i.indexrelid \
         JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
         WHERE c.relnamespace = current_schema()::regnamespace AND i.indisunique \
             AND c.relname <> 'tipstaff_schema_pkey' ORDER BY 1";
    let keys = rows(&fresh.schema, KEYS);
    if keys.len() != 5 || keys.iter().any(|key| key[1] != "tenant") {
        return Err(format!("the tenant comes first in every key: {keys:?}"));
    }
    const ELSE: &str = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace \
             AND relkind NOT IN ('r', 'i') \
         UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace \
         UNION ALL SELECT tgname FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid \
             WHERE c.relnamespace = current_schema()::regnamespace \
         UNION ALL SELECT conname FROM pg_constraint \
             WHERE connamespace = current_schema()::regnamespace AND contype NOT IN ('p', 'c', 'n')";
    match &rows(&fresh.schema, ELSE)[..] {
        [] => Ok(()),
        found => Err(format!("there are tables, indexes and checks alone: {found:?}")),
    }
}

/// A claim costs the same however much is held, lies in the future or has ended: it reads what it takes, and
/// some rows for each tenant.
pub(crate) fn flat_claims(server: &Config, form: Form) -> Result<(), String> {
    const TAKEN: u64 = 4;
    const CLAIMS: u64 = 20;
    let fresh = Fresh::new(server, form);
    for table in ["records", "facets", "audit", "commits"] {
        let sql = format!("ALTER TABLE tipstaff_{table} SET (autovacuum_enabled = false)");
        administer(&fresh.schema.config, &sql);
    }
    let cost = |round: u64| -> Result<u64, String> {
        let acme = tenant("acme");
        let ready = (0..CLAIMS * TAKEN).map(|n| queued(&acme, round * 1_000 + n, "send_email", 1)).collect();
        done(fresh.store.commit(&Commit { id: id(round), ..commit(ready) }))
            .map_err(|error| error.to_string())?;
        let before = settled(&fresh.schema);
        let store = fresh.schema.open(fresh.form);
        for n in 0..CLAIMS {
            let taken = done(store.claim(&claim(round * 1_000 + n, TAKEN as usize, 10)));
            match taken.map_err(|error| error.to_string())?.len() as u64 {
                TAKEN => {}
                n => return Err(format!("{n} were taken")),
            }
        }
        drop(store);
        Ok((settled(&fresh.schema) - before) / CLAIMS)
    };
    let few = cost(1)?;
    // Of each: ended, in the future, held; and none of it is what is claimed next.
    administer(
        &fresh.schema.config,
        "INSERT INTO tipstaff_records (tenant, kind, id, version, at, channel, ready_at, lease_worker, lease_nonce, \
                lease_until, token, facets, body) \
             SELECT 'acme', 'enforcement', state || n, 1, 0, \
                    CASE WHEN state <> 'ended' THEN 'send_email' END, CASE WHEN state <> 'ended' THEN 1000000 END, \
                    CASE WHEN state = 'held' THEN 'w' END, CASE WHEN state = 'held' THEN n::TEXT END, \
                    CASE WHEN state = 'held' THEN 9000000000000000 END, 0, '[]', '{}' \
             FROM generate_series(1, 5000) AS n, unnest(ARRAY['ended', 'future', 'held']) AS state",
    );
    let many = cost(2)?;
    administer(&fresh.schema.config, "ANALYZE tipstaff_records");
    let known = cost(3)?;
    match few.max(1) * 2 >= many.max(known) {
        true => Ok(()),
        false => Err(format!("rows read by a claim: {few}; among 15,000 others: {many}, and {known}")),
    }
}

/// How many rows of records and facets were read of a schema, once all of its connections have told.
fn settled(schema: &Schema) -> u64 {
    const READ: &str = "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_user_tables \
         WHERE schemaname = current_schema() AND relname IN ('tipstaff_records', 'tipstaff_facets')";
    let read = || rows(schema, READ)[0][0].parse::<u64>().unwrap();
    // A connection tells what it has read when it ends.
    let mut last = (0, read());
    while last.0 < 5 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let now = read();
        last = if now == last.1 { (last.0 + 1, now) } else { (0, now) };
    }
    last.1
}

/// However little the server knows of a database, or however little of one tenant, a record is looked for
/// by its key and a page by its facets: a look reads about as many rows as it is asked for, not those of the
/// whole tenant.
pub(crate) fn narrow_looks(server: &Config, form: Form) -> Result<(), String> {
    const RECORDS: u64 = 3_000;
    let fresh = Fresh::new(server, form);
    // Nobody is to tell the planner.
    for table in ["records", "facets", "audit", "commits"] {
        let sql = format!("ALTER TABLE tipstaff_{table} SET (autovacuum_enabled = false)");
        administer(&fresh.schema.config, &sql);
    }
    // A user has ten records, and all are open.
    let record = |n: u64| {
        let facets = [(Facet::User, &*format!("user {}", n % 300)), (Facet::Status, "open")];
        plain(&tenant("acme"), &format!("{n:05}"), n.cast_signed(), &facets)
    };
    for from in (0..RECORDS).step_by(500) {
        let put = (from..from + 500).map(record).collect();
        done(fresh.store.commit(&Commit { id: id(from), ..commit(put) }))
            .map_err(|error| error.to_string())?;
    }
    narrow(&fresh, 0..40, "which the server knows nothing of")?;
    // As many tenants of one record each: of them the planner thinks when it is asked for any.
    administer(
        &fresh.schema.config,
        "INSERT INTO tipstaff_records (tenant, kind, id, version, at, token, facets, body)
             SELECT 'small ' || n, 'trigger', '1', 1, 0, 0, '[]', '{}' FROM generate_series(1, 3000) AS n;
         INSERT INTO tipstaff_facets (tenant, kind, facet, value, at, id)
             SELECT 'small ' || n, 'trigger', f, 'open', 0, '1' FROM generate_series(1, 3000) AS n,
                 unnest(ARRAY['user', 'status']) AS f;
         ANALYZE tipstaff_records; ANALYZE tipstaff_facets",
    );
    narrow(&fresh, 40..80, "whose other tenants are small")
}

/// Looks at two records, changes one and asks for a page, as often, and counts the rows that were read.
fn narrow(fresh: &Fresh, looks: Range<u64>, what: &str) -> Result<(), String> {
    let each = |before: u64| (settled(&fresh.schema) - before) / (looks.end - looks.start);
    let before = settled(&fresh.schema);
    let store = fresh.schema.open(fresh.form);
    for n in looks.clone() {
        let keys = [n, n + 1_000].map(|n| Key::new(&tenant("acme"), Kind::Trigger, format!("{n:05}")));
        let found = done(store.load(&keys)).map_err(|error| error.to_string())?;
        let [Some(first), Some(second)] = &found[..] else { return Err(format!("not there: {found:?}")) };
        let mut changed = first.clone();
        changed.facets = vec![(Facet::User, "bob".to_owned()), (Facet::Status, "open".to_owned())];
        let expect = vec![(second.key.clone(), second.version)];
        let commit = Commit { id: id(10_000 + n), expect, ..commit(vec![changed]) };
        done(store.commit(&commit)).map_err(|error| error.to_string())?;
    }
    drop(store);
    let rows = each(before);
    if rows == 0 || rows > 40 {
        return Err(format!(
            "in a database {what}: a look at two records, and a change of one, read {rows} rows"
        ));
    }
    let before = settled(&fresh.schema);
    let store = fresh.schema.open(fresh.form);
    for n in looks.clone() {
        let open = (Facet::Status, vec!["open".to_owned(), "closed".to_owned()]);
        let query = Query {
            facets: vec![by_user(&format!("user {}", n + 100)).facets.remove(0), open],
            ..by_user("")
        };
        let page = done(store.query(&query)).map_err(|error| error.to_string())?;
        if page.rows.len() != 10 {
            return Err(format!("a page of ten: {page:?}"));
        }
    }
    drop(store);
    match each(before) {
        rows if (1..=80).contains(&rows) => Ok(()),
        rows => Err(format!("in a database {what}: a page of ten by two facets read {rows} rows")),
    }
}

fn commit(put: Vec<tipstaff::Record>) -> Commit {
    Commit {
        id: id(0),
        tenant: tenant("acme"),
        expect: Vec::new(),
        fence: Vec::new(),
        put,
        audit: Vec::new(),
    }
}
