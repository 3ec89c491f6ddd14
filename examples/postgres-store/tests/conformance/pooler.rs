//! A pooler between a host and the server, which loses the server just as a transaction commits, and counts
//! how often the host has something to say.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join;
use tipstaff::{
    Ahead, Claim, Commit, Committed, DuePage, Facet, Renewal, Span, Store, StoreError, Time, Trail,
};
use tipstaff_postgres::PostgresStore;
use tokio::io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio_postgres::config::Host;
use tokio_postgres::{Config, NoTls};

use crate::support::{claim, commit, done, draft, plain, query, queued, tenant};
use crate::{Form, Fresh, Schema, administer, runtime};

/// What a pooler sends in the server's place, as PgBouncer does.
const CRASHED: &[u8] = b"E\0\0\0\x30SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0";
/// As a host sends it, and as the server says that it was done.
const COMMIT: &[u8] = b"COMMIT\0";

/// It forwards all there is, until it is told to lose the server with the next commit.
struct Pooler {
    config: Config,
    lossy: Arc<Lossy>,
    asked: Arc<AtomicU64>,
    said: Arc<Mutex<Vec<u8>>>,
}

#[derive(Default)]
struct Lossy {
    /// With the next commit the server is lost.
    next: AtomicBool,
    /// Before the commit has reached it.
    early: AtomicBool,
    /// It is lost: whatever it answers now, the host does not hear.
    lost: AtomicBool,
    told: Notify,
}

impl Pooler {
    async fn of(schema: &Schema) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::new();
        config.host("127.0.0.1").port(listener.local_addr().unwrap().port());
        config.user(schema.config.get_user().unwrap_or("postgres"));
        config.options(schema.config.get_options().unwrap_or_default());
        schema.config.get_dbname().map(|name| config.dbname(name));
        schema.config.get_password().map(|password| config.password(password));
        let (lossy, server) = (Arc::<Lossy>::default(), schema.config.clone());
        let shared = Arc::clone(&lossy);
        let asked = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&asked);
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok((host, _)) = listener.accept().await {
                let server = reach(&server).await;
                let ((host, to_host), (server, to_server)) = (io::split(host), io::split(server));
                tokio::spawn(asks(
                    host,
                    to_server,
                    Arc::clone(&shared),
                    Arc::clone(&counted),
                    Arc::clone(&heard),
                ));
                tokio::spawn(answers(server, to_host, Arc::clone(&shared)));
            }
        });
        Self { config, lossy, asked, said }
    }

    fn lose(&self, early: bool) {
        self.lossy.early.store(early, Ordering::SeqCst);
        self.lossy.next.store(true, Ordering::SeqCst);
    }
}

trait Link: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

async fn reach(server: &Config) -> Box<dyn Link> {
    let port = server.get_ports().first().copied().unwrap_or(5432);
    match &server.get_hosts()[0] {
        Host::Tcp(name) => Box::new(TcpStream::connect((name.as_str(), port)).await.unwrap()),
        Host::Unix(folder) => {
            Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.unwrap())
        }
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn asks(
    mut host: impl AsyncRead + Unpin,
    mut server: impl AsyncWrite + Unpin,
    lossy: Arc<Lossy>,
    asked: Arc<AtomicU64>,
    said: Arc<Mutex<Vec<u8>>>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = host.read(&mut bytes).await {
        asked.fetch_add(1, Ordering::SeqCst);
        said.lock().unwrap().extend(&bytes[..n]);
        if has(&bytes[..n], COMMIT) && lossy.next.swap(false, Ordering::SeqCst) {
            lossy.lost.store(true, Ordering::SeqCst);
            if !lossy.early.load(Ordering::SeqCst) {
                server.write_all(&bytes[..n]).await.unwrap();
            }
            lossy.told.notify_one();
            break;
        }
        if server.write_all(&bytes[..n]).await.is_err() {
            break;
        }
    }
    // It rolls back what it has not committed.
    let _ = server.shutdown().await;
}

async fn answers(mut server: impl AsyncRead + Unpin, mut host: impl AsyncWrite + Unpin, lossy: Arc<Lossy>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = server.read(&mut bytes).await {
        if lossy.lost.load(Ordering::SeqCst) {
            if has(&bytes[..n], COMMIT) {
                break;
            }
        } else if host.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
    if lossy.lost.swap(false, Ordering::SeqCst) {
        let _ = host.write_all(CRASHED).await;
    }
    let _ = host.shutdown().await;
}

/// It says so with an error's code, as a server says what it has refused: whether it was written is unknown
/// all the same.
pub(crate) fn names_the_loss(server: &Config, form: Form) -> Result<(), String> {
    for (early, then) in [(false, Committed::AlreadyApplied), (true, Committed::Applied)] {
        let fresh = Fresh::new(server, form);
        let pooler = runtime().block_on(Pooler::of(&fresh.schema));
        let pool = PostgresStore::pool(pooler.config.clone(), 1).unwrap();
        let store = done(PostgresStore::with_pool(pool, form)).map_err(|error| error.to_string())?;
        let acme = tenant("acme");
        let call = |n: u64| Commit {
            audit: vec![draft(&acme, 0)],
            ..commit(&acme, n, vec![plain(&acme, &n.to_string(), 0, &[])])
        };
        done(store.commit(&call(1))).map_err(|error| error.to_string())?;
        pooler.lose(early);
        let answer = runtime().block_on(async {
            let (holder, connection) = fresh.schema.config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            // Until the commit has come to the pooler, a row before it is not answered.
            holder.batch_execute("BEGIN; LOCK TABLE tipstaff_audit IN SHARE MODE").await.unwrap();
            let second = call(2);
            let lost = async {
                pooler.lossy.told.notified().await;
                holder.batch_execute("COMMIT").await.unwrap();
            };
            join(store.commit(&second), lost).await.0
        });
        if !matches!(answer, Err(StoreError::Unknown(_))) {
            return Err(format!("the server was lost with the commit (early: {early}): {answer:?}"));
        }
        let repeat = done(fresh.store.commit(&call(2)));
        if repeat != Ok(then) {
            return Err(format!("the same again (early: {early}): {repeat:?}"));
        }
    }
    Ok(())
}

/// A host of many tenants, of whom nothing is due, wakes up: the answers are right, and come of a handful of
/// round trips, not of some for each tenant.
pub(crate) fn few_round_trips(server: &Config, form: Form) -> Result<(), String> {
    const MANY: &str = "INSERT INTO tipstaff_records (tenant, kind, id, version, at, due_at, token, facets, body) \
             SELECT 'tenant ' || n, 'timer', '1', 1, 0, 1000000 + n, 0, '[]', '{}' FROM generate_series(1, 500) AS n; \
         INSERT INTO tipstaff_records (tenant, kind, id, version, at, channel, ready_at, token, facets, body) \
             SELECT 'tenant ' || n, 'enforcement', '1', 1, 0, 'c' || n % 3, 2000000 + n, 0, '[]', '{}' \
             FROM generate_series(1, 500) AS n";
    let fresh = Fresh::new(server, form);
    administer(&fresh.schema.config, MANY);
    let pooler = runtime().block_on(Pooler::of(&fresh.schema));
    let pool = PostgresStore::pool(pooler.config.clone(), 1).unwrap();
    let store = done(PostgresStore::with_pool(pool, form)).map_err(|error| error.to_string())?;
    let wake = |at: i64| -> Result<_, String> {
        let now = Time::from_micros(at);
        let page = DuePage { until: now, after: None, limit: 100 };
        let due = done(store.due(&page)).map_err(|error| error.to_string())?;
        let claimed = done(store.claim(&Claim { until: now, ..claim(at.cast_unsigned(), 10, 0) }))
            .map_err(|error| error.to_string())?;
        let ahead = Ahead { after: now, channels: None };
        let upcoming = done(store.upcoming(&ahead)).map_err(|error| error.to_string())?;
        Ok((due.len(), claimed.len(), upcoming.timer.map(Time::micros), upcoming.ready.map(Time::micros)))
    };
    // The first time, statements are prepared.
    wake(1)?;
    let before = pooler.asked.load(Ordering::SeqCst);
    let found = wake(2)?;
    let asked = pooler.asked.load(Ordering::SeqCst) - before;
    if found != (0, 0, Some(1_000_001), Some(2_000_001)) {
        return Err(format!("nothing is due, and the first of each comes next: {found:?}"));
    }
    if asked > 40 {
        return Err(format!("{asked} round trips for 500 tenants"));
    }
    // Of the timers, those of ten tenants in the middle of the others.
    administer(
        &fresh.schema.config,
        "UPDATE tipstaff_records SET due_at = 5 WHERE due_at BETWEEN 1000100 AND 1000109",
    );
    let found = wake(1_000_000)?;
    if found != (10, 0, Some(1_000_001), Some(2_000_001)) {
        return Err(format!("ten are due: {found:?}"));
    }
    Ok(())
}

/// What the form may say and what it must: the second has neither locks nor anything that only PostgreSQL
/// itself has one of. No statement takes a lock that outlasts its transaction.
pub(crate) fn says(server: &Config, form: Form) -> Result<(), String> {
    let fresh = Fresh::new(server, form);
    let pooler = runtime().block_on(Pooler::of(&fresh.schema));
    let pool = PostgresStore::pool(pooler.config.clone(), 1).unwrap();
    let store = done(PostgresStore::with_pool(pool, form)).map_err(|error| error.to_string())?;
    every_call(&store).map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&pooler.said.lock().unwrap()).to_lowercase();
    const OF_ROWS: [&str; 5] =
        ["skip locked", "for share", "for update", "for no key update", "pg_advisory_xact_lock"];
    let locks = OF_ROWS.map(|words| said.contains(words));
    if locks != [form == Form::Rows; 5] {
        return Err(format!("of {OF_ROWS:?}: {locks:?}"));
    }
    for never in
        ["pg_advisory_lock", "pg_try_advisory", "nextval", "lock table", "listen ", "create temp", "declare "]
    {
        if said.contains(never) {
            return Err(format!("it says `{never}`"));
        }
    }
    match said.contains("isolation level serializable") == (form == Form::Serializable) {
        true => Ok(()),
        false => Err("its transactions are of the other form".to_owned()),
    }
}

fn every_call(store: &PostgresStore) -> Result<(), StoreError> {
    let acme = tenant("acme");
    let ready = queued(&acme, 1, "send_email", 1);
    let written = Commit { audit: vec![draft(&acme, 0)], ..commit(&acme, 1, vec![ready.clone()]) };
    done(store.commit(&written))?;
    let expect = vec![(ready.key.clone(), 1), (plain(&acme, "absent", 0, &[]).key, 0)];
    done(store.commit(&Commit { expect, ..commit(&acme, 2, vec![plain(&acme, "2", 0, &[])]) }))?;
    let first = claim(1, 4, 10);
    let taken = done(store.claim(&first))?;
    assert_eq!(done(store.claim(&first))?, taken, "a repeat");
    done(store.renew(&Renewal { key: ready.key.clone(), token: 1, lease: Span::secs(60) }))?;
    done(store.load(&[ready.key]))?;
    done(store.due(&DuePage { until: Time::EPOCH, after: None, limit: 5 }))?;
    done(store.upcoming(&Ahead { after: Time::EPOCH, channels: None }))?;
    done(store.query(&query(&acme, &[(Facet::User, &["ana"])])))?;
    done(store.trail(&Trail { tenant: acme.clone(), lane: 0, after: 0, limit: 5 }))?;
    done(store.head(&acme, 0))?;
    done(store.erase(&acme, &"ana".parse().unwrap()))?;
    done(store.now())?;
    Ok(())
}
