//! Opening a database: the connections, the schema.

use std::time::Duration;

use deadpool_postgres::{
    Client, GenericClient, Hook, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts,
    Transaction,
};
use tipstaff::StoreError;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls, Row, Statement};

use crate::fault::Fault;
use crate::lock::Form;

/// The schemas, each as the step from the one before. Never change one that was released: append.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql"), include_str!("schema-2.sql")];

/// The schema that this version writes.
const SCHEMA: i32 = MIGRATIONS.len() as i32;

/// The place of a fault that is none of a record's: a newer version has come meanwhile.
pub(crate) const PLACE: &str = "the schema";

/// What is looked at in each transaction that writes: of [`Form::Rows`], a migration waits for those who have
/// looked, and keeps the others waiting.
pub(crate) const FOUND: &str = "SELECT version FROM tipstaff_schema";

/// How often the schema is looked at again when another host makes it at the same time.
const TURNS: usize = 10;

/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a connection is set to, where neither the address nor the server says otherwise. The shapes of
/// the statements do not depend on their values: they are planned once. A host that goes silent within a
/// transaction keeps its locks for ten seconds, and who waits for one of them tries again after five.
const SETTINGS: &str = "SELECT set_config(s.name, s.value, false) FROM (VALUES \
    ('plan_cache_mode', 'auto', 'force_generic_plan'), ('lock_timeout', '0', '5s'), \
    ('idle_in_transaction_session_timeout', '0', '10s')) AS s (name, usual, value) \
    WHERE current_setting(s.name, true) = s.usual";

/// Why a database cannot be used as a store. Nothing was written to it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address makes no sense.
    #[error("no address of a database ({0}); accepted: `postgres://user@host/database`")]
    Address(String),
    /// It cannot be reached, or its schema cannot be made.
    #[error("the database cannot be used: {0}")]
    Unavailable(String),
    /// A newer version has written it.
    #[error(
        "the database has schema {found}; accepted: up to {newest}. A newer version of tipstaff-postgres reads it"
    )]
    Newer {
        /// Its schema.
        found: i32,
        /// The newest schema that this version knows.
        newest: i32,
    },
    /// Other hosts keep transactions apart in another way: the two ways do not see each other.
    #[error("the database is used in the form `{found}`; accepted: the same, not `{wanted}`")]
    OtherForm {
        /// The form of the database.
        found: String,
        /// The form that was asked for.
        wanted: &'static str,
    },
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(StoreError::from(fault).to_string())
    }
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        Fault::from(error).into()
    }
}

/// Connections without TLS, as on one machine or within a trusted network.
pub(crate) fn pool(config: Config, connections: usize) -> Result<Pool, OpenError> {
    // A connection that a call was given up on does not come back: no look is needed before the next.
    let recycling_method = RecyclingMethod::Fast;
    let manager = Manager::from_config(watched(config), NoTls, ManagerConfig { recycling_method });
    // A server that knows no such settings goes on as it does.
    let settings = Hook::async_fn(|client, _| {
        Box::pin(async move {
            let _ = client.batch_execute(SETTINGS).await;
            Ok(())
        })
    });
    let patience = Some(PATIENCE);
    Pool::builder(manager)
        .max_size(connections.max(1))
        .post_create(settings)
        .timeouts(Timeouts { wait: patience, create: patience, recycle: patience })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| OpenError::Unavailable(error.to_string()))
}

/// Notices within a minute that a server has gone silent, where the address says nothing else.
fn watched(mut config: Config) -> Config {
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(Duration::from_secs(20));
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(Duration::from_secs(10));
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(3);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(30));
    }
    config
}

/// Brings the schema up to date, in one transaction of one host.
pub(crate) async fn migrate(pool: &Pool, form: Form) -> Result<(), OpenError> {
    let mut turn = 0;
    loop {
        match step(pool, form).await {
            // Of hosts that do so at once, those that come too late look again.
            Err(OpenError::Unavailable(_)) if turn < TURNS => {
                turn += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            done => return done,
        }
    }
}

/// Refuses to write where a newer version has brought the schema further since this host opened it.
pub(crate) async fn check(db: &impl GenericClient, found: &Statement) -> Result<(), Fault> {
    match db.query_one(found, &[]).await?.try_get(0)? {
        SCHEMA => Ok(()),
        found => Err(Fault::corrupt(PLACE, format!("it is {found} now, and this version writes {SCHEMA}"))),
    }
}

async fn step(pool: &Pool, form: Form) -> Result<(), OpenError> {
    let mut client = pool.get().await.map_err(Fault::from)?;
    // What is up to date is read, and no more: whoever only opens it need not be allowed to change it.
    if is_current(&mut client, form).await? {
        return Ok(());
    }
    let tx = patient(&mut client, form).await?;
    tx.batch_execute(
        "CREATE TABLE IF NOT EXISTS tipstaff_schema (one BOOLEAN PRIMARY KEY, version INTEGER NOT NULL, form TEXT NOT NULL)",
    )
    .await?;
    if form == Form::Rows {
        // One host at a time, and nobody writes in the old way what the new one is made of. None holds
        // anything else yet that another could wait for.
        tx.batch_execute("LOCK TABLE tipstaff_schema IN ACCESS EXCLUSIVE MODE").await?;
    }
    let begin =
        "INSERT INTO tipstaff_schema (one, version, form) VALUES (TRUE, 0, $1) ON CONFLICT DO NOTHING";
    tx.execute(begin, &[&form.as_str()]).await?;
    let found = judge(&tx.query_one(KNOWN, &[]).await?, form)?;
    let steps = usize::try_from(found).unwrap_or(0);
    if steps < MIGRATIONS.len() {
        // Whoever writes the version first has its row until the schema is there. The others wait for that
        // here, and find another version.
        let first = "UPDATE tipstaff_schema SET version = $1 WHERE version = $2";
        if tx.execute(first, &[&SCHEMA, &found]).await? == 0 {
            return Err(OpenError::Unavailable("another host has changed the schema".to_owned()));
        }
        tx.batch_execute(&MIGRATIONS[steps..].concat()).await?;
    }
    Ok(tx.commit().await?)
}

const KNOWN: &str = "SELECT version, form FROM tipstaff_schema";

/// A transaction that waits for whoever brings a large database up to date.
async fn patient(client: &mut Client, form: Form) -> Result<Transaction<'_>, OpenError> {
    let tx = client.build_transaction().isolation_level(form.isolation()).start().await?;
    tx.batch_execute(
        "SELECT set_config('lock_timeout', '0', true) WHERE current_setting('lock_timeout', true) IS NOT NULL",
    )
    .await?;
    Ok(tx)
}

/// Whether there is nothing to bring up to date.
async fn is_current(client: &mut Client, form: Form) -> Result<bool, OpenError> {
    match patient(client, form).await?.query_opt(KNOWN, &[]).await {
        Ok(Some(row)) => Ok(judge(&row, form)? == SCHEMA),
        Ok(None) => Ok(false),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The schema of a database that this version may use in that form.
fn judge(row: &Row, form: Form) -> Result<i32, OpenError> {
    let (found, known): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    if found > SCHEMA {
        return Err(OpenError::Newer { found, newest: SCHEMA });
    }
    if known != form.as_str() {
        return Err(OpenError::OtherForm { found: known, wanted: form.as_str() });
    }
    Ok(found)
}
