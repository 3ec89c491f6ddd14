#![doc = include_str!("../README.md")]

mod claim;
mod fault;
mod lock;
mod open;
mod pipeline;
mod read;
mod row;
mod rows;
mod write;

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{Client, Pool};
use tipstaff::{
    Ahead, AuditRecord, Claim, Commit, Committed, DuePage, Head, Key, Page, Query, Record, Renewal, Salt,
    Store, StoreError, TenantId, Time, Trail, Upcoming, UserId,
};
use tokio_postgres::{Config, IsolationLevel};

use claim::Found;
use fault::Fault;
pub use lock::Form;
pub use open::OpenError;

/// How many connections a store opens at most where nothing is said.
pub const DEFAULT_CONNECTIONS: usize = 8;
/// How often a transaction is tried again that another was in the way of.
const TURNS: u32 = 30;
/// How often a claim looks again when others have taken all that it found.
const CLAIM_TURNS: u32 = 16;

/// A store in PostgreSQL. See [`Store`] for what each call promises.
///
/// Cheap to clone: clones share their connections. Its futures need a Tokio runtime.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Pool,
    form: Form,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("form", &self.form)
            .field("connections", &self.pool.status())
            .finish_non_exhaustive()
    }
}

/// Does something again where another transaction was in the way.
macro_rules! in_turn {
    ($attempt:expr) => {{
        let mut turn = 0;
        loop {
            match $attempt.await {
                Err(Fault::Again(_) | Fault::Twice(_)) if turn < TURNS => {
                    turn += 1;
                    pause(turn).await;
                }
                done => break done.map_err(StoreError::from),
            }
        }
    }};
}

/// Runs some work in a transaction, again where another one was in the way.
macro_rules! transaction {
    ($store:expr, |$tx:ident| $work:expr) => {
        in_turn!(async {
            let mut client = $store.client().await?;
            let isolation = $store.form.isolation();
            let $tx = client.build_transaction().isolation_level(isolation).start().await?;
            let done = $work?;
            // Dropped before its commit, it is rolled back.
            $tx.commit().await.map_err(|error| Fault::at_commit(&error))?;
            Ok::<_, Fault>(done)
        })
    };
}

impl PostgresStore {
    /// Opens the store at an address such as `postgres://user@host/database`, without TLS; makes
    /// its tables if there are none.
    ///
    /// # Errors
    /// [`OpenError`] for a database that cannot be reached or used; it is left as it is.
    pub async fn connect(address: &str) -> Result<Self, OpenError> {
        let config: Config =
            address.parse().map_err(|error: tokio_postgres::Error| OpenError::Address(error.to_string()))?;
        Self::with_pool(open::pool(config, DEFAULT_CONNECTIONS)?, Form::default()).await
    }

    /// Opens the store on connections that the host has set up: with TLS, another number of them,
    /// settings of the server. Its tables are made in the first schema of their `search_path`.
    ///
    /// # Errors
    /// As [`PostgresStore::connect`].
    pub async fn with_pool(pool: Pool, form: Form) -> Result<Self, OpenError> {
        open::migrate(&pool, form).await?;
        Ok(Self { pool, form })
    }

    /// Connections to a database that a [`Config`] describes, for [`PostgresStore::with_pool`].
    ///
    /// # Errors
    /// [`OpenError::Unavailable`] where no pool can be made.
    pub fn pool(config: Config, connections: usize) -> Result<Pool, OpenError> {
        open::pool(config, connections)
    }

    async fn client(&self) -> Result<Client, Fault> {
        Ok(self.pool.get().await?)
    }
}

/// Longer with each turn, and not the same for any two: those that were in each other's way are not
/// so again.
async fn pause(turn: u32) {
    let chance = write::random().map_or(0, |salt| u64::from(salt.bytes()[0]));
    tokio::time::sleep(Duration::from_micros((1 << turn.min(7)) * (100 + 4 * chance))).await;
}

impl Store for PostgresStore {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        Ok(read::load(&self.client().await?, keys).await?)
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        write::refuse_other_tenants(commit)?;
        in_turn!(async { write::commit(self.client().await?, self.form, commit).await })
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        // Whoever finds every record gone each time comes again later, as after an empty queue.
        for turn in 0..CLAIM_TURNS {
            if turn > 0 {
                pause(turn).await;
            }
            let found = claim::look(&self.client().await?, claim).await?;
            let ready = match found {
                Found::Held(held) => return Ok(held),
                Found::Ready(ready) if ready.is_empty() => return Ok(Vec::new()),
                Found::Ready(ready) => ready,
            };
            // No transaction crosses tenants. A claim that ends between two is repeated with what
            // it has taken.
            let mut taken: Vec<Record> = Vec::new();
            for (tenant, keys) in &ready {
                let more = transaction!(self, |tx| {
                    claim::take(&tx, self.form, claim, tenant, keys, &taken).await
                })?;
                match more {
                    Some(more) => taken.extend(more),
                    None => return Ok(claim::held(&self.client().await?, claim).await?),
                }
            }
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
        Ok(Vec::new())
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        transaction!(self, |tx| write::renew(&tx, renewal).await)
    }

    async fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, StoreError> {
        Ok(claim::upcoming(&self.client().await?, ask).await?)
    }

    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        let mut client = self.client().await?;
        let snapshot =
            client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let snapshot = snapshot.start().await.map_err(Fault::from)?;
        Ok(read::due(&snapshot, page).await?)
    }

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        Ok(read::query(&self.client().await?, query).await?)
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        Ok(read::trail(&self.client().await?, trail).await?)
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        Ok(read::head(&self.client().await?, tenant, lane).await?)
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        transaction!(self, |tx| write::erase(&tx, self.form, tenant, user).await)
    }

    async fn now(&self) -> Result<Time, StoreError> {
        Ok(read::now(&self.client().await?).await?)
    }

    async fn unique(&self) -> Result<Salt, StoreError> {
        write::random()
    }
}
