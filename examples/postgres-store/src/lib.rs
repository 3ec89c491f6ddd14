#![doc = include_str!("../README.md")]

mod ahead;
mod claim;
mod fault;
mod lent;
mod lock;
mod open;
mod read;
mod row;
mod rows;
mod write;

use std::fmt;
use std::time::Duration;

use deadpool_postgres::Pool;
use futures_util::future::join;
use tipstaff::{
    Ahead, AuditRecord, Claim, Commit, Committed, DuePage, Head, Key, MAX_CLAIM, Page, Query, Record,
    Renewal, Salt, Store, StoreError, TenantId, Time, Trail, Upcoming, UserId,
};
use tokio_postgres::{Config, IsolationLevel};

use claim::{Damaged, Found, Ready};
use fault::Fault;
use lent::Lent;
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
    ($store:expr, $attempt:expr) => {{
        let (mut turn, mut twice) = (0, 0);
        loop {
            match $attempt.await {
                Err(Fault::Again(_)) if turn < TURNS => turn += 1,
                Err(Fault::Twice(_)) if turn < TURNS && twice < $store.form.doubts() => {
                    turn += 1;
                    twice += 1;
                }
                done => break done.map_err(StoreError::from),
            }
            pause(turn).await;
        }
    }};
}

/// Asks something on a connection.
macro_rules! ask {
    ($store:expr, |$db:ident| $work:expr) => {{
        let lent = Lent::of(&$store.pool).await?;
        let $db = lent.client();
        let answer = $work;
        lent.give_back();
        Ok(answer?)
    }};
}

/// Runs some work in a transaction, again where another one was in the way.
macro_rules! transaction {
    ($store:expr, |$tx:ident| $work:expr) => {
        in_turn!($store, async {
            let mut lent = Lent::of(&$store.pool).await?;
            let isolation = $store.form.isolation();
            let done = async {
                let $tx = lent.client_mut().build_transaction().isolation_level(isolation).start().await?;
                let found = $tx.prepare_cached(open::FOUND).await?;
                let (known, done) = join(open::check(&$tx, &found), async { $work }).await;
                known?;
                let done = done?;
                // Dropped before its commit, it is rolled back.
                $tx.commit().await.map_err(|error| Fault::at_commit(&error))?;
                Ok::<_, Fault>(done)
            }
            .await;
            lent.give_back();
            done
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

    /// Takes what was found, tenant by tenant: no transaction crosses tenants.
    async fn take(
        &self,
        claim: &Claim,
        ready: &Ready,
        damaged: &mut Damaged,
    ) -> Result<Vec<Record>, StoreError> {
        let mut taken = Vec::new();
        for (tenant, keys) in ready {
            let more: Result<_, StoreError> =
                transaction!(self, |tx| claim::take(&tx, self.form, claim, tenant, keys, &taken).await);
            match more {
                Ok(Some(more)) => taken.extend(more),
                // It was written by whoever made the same claim at once.
                Ok(None) => return self.close(claim).await,
                Err(error @ StoreError::Unknown(_)) => return Err(error),
                // No tenant's fault.
                Err(error) if is_newer(&error) && taken.is_empty() => return Err(error),
                Err(error) if is_newer(&error) => break,
                // It holds up no other tenant.
                Err(StoreError::Corrupt { place, fault }) => {
                    let place = if place == fault::DATABASE { tenant.to_string() } else { place };
                    damaged.tenants.insert(tenant.clone());
                    damaged.fault = Some(StoreError::Corrupt { place, fault });
                }
                // What is taken is: it would wait for its lease if the claim were said to have failed.
                Err(_) if !taken.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    async fn held(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        ask!(self, |db| claim::held(db, claim).await)
    }

    /// The answer of a claim that was made before. It takes tenant by tenant: one that holds less than it
    /// may is still at it, perhaps, and holds in the end what its repeat was told.
    async fn again(&self, claim: &Claim, held: Vec<Record>) -> Result<Vec<Record>, StoreError> {
        match held.len() >= claim.max.clamp(1, MAX_CLAIM) {
            true => Ok(held),
            false => self.close(claim).await,
        }
    }

    /// What a claim holds for good. That it was made is known: any failure is that of its answer.
    async fn close(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let held: Result<_, StoreError> = transaction!(self, |tx| claim::close(&tx, self.form, claim).await);
        held.map_err(|error| match is_newer(&error) {
            true => error,
            false => StoreError::Unknown(error.to_string()),
        })
    }
}

/// Whether a newer version has brought the schema further than this one knows.
fn is_newer(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { place, .. } if place == open::PLACE)
}

/// Longer with each turn, and not the same for any two: those that were in each other's way are not
/// so again.
async fn pause(turn: u32) {
    let chance = write::random().map_or(0, |salt| u64::from(salt.bytes()[0]));
    tokio::time::sleep(Duration::from_micros((1 << turn.min(7)) * (100 + 4 * chance))).await;
}

impl Store for PostgresStore {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        ask!(self, |db| read::load(db, keys).await)
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        write::refuse_other_tenants(commit)?;
        in_turn!(self, async { write::commit(Lent::of(&self.pool).await?, self.form, commit).await })
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let (mut damaged, mut turn) = (Damaged::default(), 0);
        // Whoever finds every record gone each time comes again later, as after an empty queue.
        while turn < CLAIM_TURNS {
            if turn > 0 {
                pause(turn).await;
            }
            let found: Result<_, StoreError> = ask!(self, |db| claim::look(db, claim, &damaged).await);
            let ready = match found? {
                Found::Held(held) => return self.again(claim, held).await,
                Found::Ready(ready) => ready,
            };
            if ready.is_empty() {
                // What is gone may be this claim's own, written since its look began.
                match self.held(claim).await? {
                    held if held.is_empty() => break,
                    held => return self.again(claim, held).await,
                }
            }
            let known = damaged.tenants.len();
            let taken = self.take(claim, &ready, &mut damaged).await?;
            if !taken.is_empty() {
                return Ok(taken);
            }
            turn += u32::from(damaged.tenants.len() == known);
        }
        damaged.fault.map_or(Ok(Vec::new()), Err)
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        transaction!(self, |tx| write::renew(&tx, renewal).await)
    }

    async fn upcoming(&self, ahead: &Ahead) -> Result<Upcoming, StoreError> {
        ask!(self, |db| ahead::upcoming(db, ahead).await)
    }

    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        let mut lent = Lent::of(&self.pool).await?;
        let snapshot = lent.client_mut().build_transaction();
        let snapshot = snapshot.isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let due = async { read::due(&snapshot.start().await?, page).await }.await;
        lent.give_back();
        Ok(due?)
    }

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        ask!(self, |db| read::query(db, query).await)
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        ask!(self, |db| read::trail(db, trail).await)
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        ask!(self, |db| read::head(db, tenant, lane).await)
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        transaction!(self, |tx| write::erase(&tx, self.form, tenant, user).await)
    }

    async fn now(&self) -> Result<Time, StoreError> {
        ask!(self, |db| read::now(db).await)
    }

    async fn unique(&self) -> Result<Salt, StoreError> {
        write::random()
    }
}
