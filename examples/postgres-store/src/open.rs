//! Opening a database: the connections, the schema.

use std::time::Duration;

use deadpool_postgres::{Hook, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use tipstaff::StoreError;
use tokio_postgres::{Config, NoTls};

use crate::fault::Fault;
use crate::lock::Form;

/// The schemas, each as the step from the one before. Never change one that was released: append.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql"), include_str!("schema-2.sql")];

/// The schema that this version writes.
const SCHEMA: i32 = MIGRATIONS.len() as i32;

/// How often the schema is looked at again when another host makes it at the same time.
const TURNS: usize = 10;

/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

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
    let manager =
        Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    // The shapes of the statements do not depend on their values: they are planned once. A server that
    // knows no such setting goes on as it does.
    let plan_once = Hook::async_fn(|client, _| {
        Box::pin(async move {
            let _ = client.batch_execute("SET plan_cache_mode = force_generic_plan").await;
            Ok(())
        })
    });
    let patience = Some(PATIENCE);
    Pool::builder(manager)
        .max_size(connections.max(1))
        .post_create(plan_once)
        .timeouts(Timeouts { wait: patience, create: patience, recycle: patience })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| OpenError::Unavailable(error.to_string()))
}

/// Brings the schema up to date, in one transaction under a lock.
pub(crate) async fn migrate(pool: &Pool, form: Form) -> Result<(), OpenError> {
    let mut turn = 0;
    loop {
        match step(pool, form).await {
            // Two hosts that make the first table at once may trip over each other.
            Err(OpenError::Unavailable(_)) if turn < TURNS => {
                turn += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            done => return done,
        }
    }
}

async fn step(pool: &Pool, form: Form) -> Result<(), OpenError> {
    let mut client = pool.get().await.map_err(Fault::from)?;
    let tx = client.transaction().await?;
    tx.batch_execute(
        "CREATE TABLE IF NOT EXISTS tipstaff_schema (one BOOLEAN PRIMARY KEY, version INTEGER NOT NULL, form TEXT NOT NULL)",
    )
    .await?;
    let begin =
        "INSERT INTO tipstaff_schema (one, version, form) VALUES (TRUE, 0, $1) ON CONFLICT DO NOTHING";
    tx.execute(begin, &[&form.as_str()]).await?;
    let row = tx.query_one("SELECT version, form FROM tipstaff_schema FOR UPDATE", &[]).await?;
    let (found, known): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    let steps = usize::try_from(found).unwrap_or(0);
    if found > SCHEMA {
        return Err(OpenError::Newer { found, newest: SCHEMA });
    }
    if known != form.as_str() {
        return Err(OpenError::OtherForm { found: known, wanted: form.as_str() });
    }
    if steps < MIGRATIONS.len() {
        tx.batch_execute(&MIGRATIONS[steps..].concat()).await?;
        tx.execute("UPDATE tipstaff_schema SET version = $1", &[&SCHEMA]).await?;
    }
    Ok(tx.commit().await?)
}
