//! Claims: what may be taken is looked for without a lock, and taken tenant by tenant, each in one
//! short transaction that judges every record again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use deadpool_postgres::{GenericClient, Transaction};
use futures_util::future::{join, join3, join5};
use tipstaff::{ActionType, Claim, Key, MAX_CLAIM, Record, StoreError, TenantId, Time};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use crate::fault::Fault;
use crate::lock::{self, Form, Old, Places};
use crate::{ahead, read, row, write};

/// What a look at the queues found.
pub(crate) enum Found {
    /// The claim was made before: what it still holds.
    Held(Vec<Record>),
    /// What may be taken, of each tenant in turn; at most the claim's number.
    Ready(Ready),
}

/// Keys of each tenant.
pub(crate) type Ready = BTreeMap<TenantId, BTreeSet<Key>>;

/// Tenants of which a claim found that nothing can be taken: their lanes make no sense.
#[derive(Default)]
pub(crate) struct Damaged {
    pub(crate) tenants: BTreeSet<TenantId>,
    /// What is wrong with the last of them.
    pub(crate) fault: Option<StoreError>,
}

/// Looks for what a claim may take. What a kill switch holds back, and what is damaged, is passed over, so
/// that it takes no one else's place.
pub(crate) async fn look(db: &impl GenericClient, claim: &Claim, damaged: &Damaged) -> Result<Found, Fault> {
    let (of_nonce, run_out) = (db.prepare_cached(HELD).await?, db.prepare_cached(RUN_OUT).await?);
    let named = claim.channels.as_ref();
    let (held, rescues) = join(read_held(db, &of_nonce, claim), rescues(db, &run_out, named)).await;
    let (held, (now, mut rescues)) = (held?, rescues?);
    if !held.is_empty() {
        return Ok(Found::Held(held));
    }
    let max = claim.max.clamp(1, MAX_CLAIM);
    let channels = ahead::channels(db, claim.channels.as_ref()).await?;
    let mut ready = Ready::new();
    let mut add = |key: Key| ready.entry(key.tenant.clone()).or_default().insert(key);
    let mut found = 0;
    let mut lines = VecDeque::new();
    // The first of each tenant, from the one after the last that was served, and round to it again.
    let last = claim.after.as_ref().map(TenantId::as_str);
    let (mut tenant, mut round) = (last.unwrap_or_default().to_owned(), last.is_none());
    while found < max {
        match ahead::next_tenant(db, &channels, &rescues, &tenant, claim.until).await? {
            Some((next, free)) if !round || last.is_none_or(|last| *next <= *last) => {
                let rescued = rescues.remove(&next).unwrap_or_default();
                tenant = next;
                let Ok(known) = tenant.parse() else { continue };
                if damaged.tenants.contains(&known) {
                    continue;
                }
                let mut line = Line::of(known, free, rescued, claim, max);
                if let Some(key) = line.next(db, claim, &channels, now).await? {
                    add(key);
                    found += 1;
                    lines.push_back(line);
                }
            }
            _ if round => break,
            _ => (tenant, round) = (String::new(), true),
        }
    }
    while found < max
        && let Some(mut line) = lines.pop_front()
    {
        if let Some(key) = line.next(db, claim, &channels, now).await? {
            add(key);
            found += 1;
            lines.push_back(line);
        }
    }
    Ok(Found::Ready(ready))
}

/// What one tenant has to take, the longest ready first: what nobody has claimed, read page by page,
/// and what was left behind.
struct Line {
    tenant: TenantId,
    /// What is stopped, read with the first that may be taken.
    control: Option<Option<Record>>,
    size: usize,
    /// Where the next page begins; none when there is no more.
    after: Option<Place>,
    /// What was read and may be taken, and what was left behind and may be.
    page: VecDeque<(Place, Key)>,
    rescued: VecDeque<(Place, Key)>,
    /// What was left behind and was not looked at yet.
    left: VecDeque<Waiting>,
}

/// What waits to be claimed: without its body, and nothing but its place where it cannot be read.
pub(crate) struct Waiting {
    place: Place,
    outline: Option<Record>,
}

impl Line {
    /// Pages of a claim's size, within reason: most are left after the first key or two. None is read where
    /// nothing is free.
    fn of(tenant: TenantId, free: bool, rescued: Rescued, claim: &Claim, max: usize) -> Self {
        let until = claim.until.micros();
        let begin = || Place { ready_at: i64::MIN, key: Default::default() };
        Self {
            tenant,
            control: None,
            size: max.clamp(16, 64),
            after: free.then(begin),
            page: VecDeque::new(),
            rescued: VecDeque::new(),
            left: rescued.into_values().filter(|waiting| waiting.place.ready_at <= until).collect(),
        }
    }

    async fn next(
        &mut self,
        db: &impl GenericClient,
        claim: &Claim,
        channels: &[String],
        now: Time,
    ) -> Result<Option<Key>, Fault> {
        while self.page.is_empty()
            && let Some(after) = self.after.take()
        {
            let page = page(db, claim, channels, &self.tenant, &after, self.size).await?;
            let whole = page.len() == self.size;
            self.after = page.last().filter(|_| whole).map(|last| last.place.clone());
            self.page = self.let_go(db, claim, page, now).await?;
        }
        while self.rescued.is_empty() && !self.left.is_empty() {
            let some = self.left.drain(..self.size.min(self.left.len())).collect();
            self.rescued = self.let_go(db, claim, some, now).await?;
        }
        let rescue = match (self.page.front(), self.rescued.front()) {
            (Some((free, _)), Some((left, _))) => left < free,
            (free, _) => free.is_none(),
        };
        let from = if rescue { &mut self.rescued } else { &mut self.page };
        Ok(from.pop_front().map(|(_, key)| key))
    }

    /// Those that a claim takes. What it may decline is read for this, in one look; as a rule nothing is.
    async fn let_go(
        &mut self,
        db: &impl GenericClient,
        claim: &Claim,
        waiting: Vec<Waiting>,
        now: Time,
    ) -> Result<VecDeque<(Place, Key)>, Fault> {
        let read = waiting.into_iter().filter_map(|waiting| Some((waiting.place, waiting.outline?)));
        let mut read: Vec<(Place, Record)> = read.collect();
        if self.control.is_none() && !read.is_empty() {
            self.control = Some(stopped(db, &self.tenant).await?);
        }
        let control = self.control.as_ref().and_then(Option::as_ref);
        let doubtful = read.iter().filter(|(_, outline)| claim.may_decline(control, outline.due_at));
        let doubtful: Vec<Key> = doubtful.map(|(_, outline)| outline.key.clone()).collect();
        if !doubtful.is_empty() {
            let found = read::load(db, &doubtful).await?;
            let taken = |record: &Option<Record>| {
                record.as_ref().is_some_and(|record| claim.take(record, control, now).is_some())
            };
            let declined = doubtful.iter().zip(&found).filter(|(_, record)| !taken(record));
            let declined: BTreeSet<&Key> = declined.map(|(key, _)| key).collect();
            read.retain(|(_, outline)| !declined.contains(&outline.key));
        }
        Ok(read.into_iter().map(|(place, outline)| (place, outline.key)).collect())
    }
}

/// What people have stopped of a tenant's.
async fn stopped(db: &impl GenericClient, tenant: &TenantId) -> Result<Option<Record>, Fault> {
    let key = Claim::control_key(tenant);
    let statement = db.prepare_cached(READ).await?;
    let found = select(db, &statement, tenant, &BTreeSet::from([&key])).await?;
    found.first().map(|row| row::control(row, key)).transpose()
}

/// Takes those records of one tenant that may still be taken. What another transaction has in hand
/// is passed over. None where the same claim, made at once, has taken what is not among `ours`, or has
/// been answered.
pub(crate) async fn take(
    tx: &Transaction<'_>,
    form: Form,
    claim: &Claim,
    tenant: &TenantId,
    ready: &BTreeSet<Key>,
    ours: &[Record],
) -> Result<Option<Vec<Record>>, Fault> {
    let control_key = Claim::control_key(tenant);
    // Whoever stops something waits until this is over, or this sees that it is stopped.
    let (lock, share, skip) = match form {
        Form::Rows => (Some(tx.prepare_cached(lock::PLACES).await?), SHARE, SKIP),
        Form::Serializable => (None, READ, READ),
    };
    let (share, skip) = (tx.prepare_cached(share).await?, tx.prepare_cached(skip).await?);
    let (of_nonce, clock) = (tx.prepare_cached(HELD).await?, tx.prepare_cached(read::NOW).await?);
    let (alone, closed) = (Alone::prepare(tx, form, claim).await?, tx.prepare_cached(CLOSED).await?);
    let hot = Places::together(&control_key);
    // All at once, and in this order.
    let (alone, closed, (locked, control, before, now, found)) = join3(
        alone.lock(tx),
        is_closed(tx, &closed, claim, ours),
        join5(
            hot.lock(tx, lock.as_ref(), tenant),
            select(tx, &share, tenant, &BTreeSet::from([&control_key])),
            read_held(tx, &of_nonce, claim),
            read::time(tx, &clock),
            select(tx, &skip, tenant, &ready.iter().collect()),
        ),
    )
    .await;
    alone?;
    locked?;
    if closed? {
        return Ok(None);
    }
    let stopped = control?.first().map(|row| row::control(row, control_key.clone())).transpose()?;
    let theirs = |held: &Record| ours.iter().all(|record| record.key != held.key);
    if before?.iter().any(theirs) {
        return Ok(None);
    }
    let now = now?;
    let (mut known, mut taken, mut audit) = (BTreeMap::new(), Vec::new(), Vec::new());
    for record in row::records(&found?)? {
        if !claim.may_take(&record, now) {
            continue;
        }
        let Some(made) = claim.take(&record, stopped.as_ref(), now) else { continue };
        let old = Old {
            version: record.version,
            token: record.token,
            at: record.at.micros(),
            facets: record.facets.clone(),
        };
        known.insert(record.key, old);
        taken.push(Record { version: made.record.version.saturating_add(1), ..made.record });
        audit.extend(made.audit);
    }
    write::put(tx, form, tenant, &known, &taken, &audit).await?;
    Ok(Some(taken))
}

const READ: &str = row::of_keys!(row::columns!(), "");
const SHARE: &str = row::of_keys!(row::columns!(), " FOR SHARE");
const SKIP: &str = row::of_keys!(row::columns!(), " FOR UPDATE SKIP LOCKED");

async fn select(
    db: &impl GenericClient,
    statement: &Statement,
    tenant: &TenantId,
    keys: &BTreeSet<&Key>,
) -> Result<Vec<Row>, Fault> {
    let (kinds, ids) = lock::columns(keys);
    Ok(db.query(statement, &[&tenant.as_str(), &kinds, &ids]).await?)
}

const HELD: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM tipstaff_records AS r WHERE r.lease_nonce = $1 AND r.lease_worker = $2 ORDER BY r.tenant, r.kind, r.id"
);

/// What a claim holds that was made before.
pub(crate) async fn held(db: &impl GenericClient, claim: &Claim) -> Result<Vec<Record>, Fault> {
    read_held(db, &db.prepare_cached(HELD).await?, claim).await
}

async fn read_held(
    db: &impl GenericClient,
    statement: &Statement,
    claim: &Claim,
) -> Result<Vec<Record>, Fault> {
    let rows = db.query(statement, &[&claim.nonce.to_string(), &claim.worker.as_str()]).await?;
    row::records(&rows)
}

/// A claim that was answered before all of its tenants' turn had come takes no more. Its mark is of no tenant.
const CLOSE: &str = concat!(
    "INSERT INTO tipstaff_commits (tenant, id, at) VALUES ('', $1, ",
    row::now!(),
    ") ON CONFLICT DO NOTHING"
);
const CLOSED: &str = "SELECT id FROM tipstaff_commits WHERE tenant = '' AND id = $1";

/// The claim's own name, as its lock and its mark have it.
fn name(claim: &Claim) -> String {
    format!("{} {}", claim.nonce, claim.worker)
}

/// The same claim, made elsewhere, is not at it meanwhile. Of [`Form::Serializable`] one of both is refused.
struct Alone(Option<Statement>, String);

impl Alone {
    async fn prepare(db: &impl GenericClient, form: Form, claim: &Claim) -> Result<Self, Error> {
        let lock = match form {
            Form::Rows => Some(db.prepare_cached(lock::CLAIM).await?),
            Form::Serializable => None,
        };
        Ok(Self(lock, name(claim)))
    }

    async fn lock(&self, db: &impl GenericClient) -> Result<(), Error> {
        let Some(lock) = &self.0 else { return Ok(()) };
        db.execute(lock, &[&self.1]).await.map(drop)
    }
}

/// Whoever has taken nothing so far sees by what is held that the claim was made.
async fn is_closed(
    db: &impl GenericClient,
    statement: &Statement,
    claim: &Claim,
    ours: &[Record],
) -> Result<bool, Error> {
    Ok(!ours.is_empty() && db.query_opt(statement, &[&name(claim)]).await?.is_some())
}

/// What a claim holds that was made before, once nobody adds to it any more: whoever was still at it, or
/// whose last commit was still under way.
pub(crate) async fn close(tx: &Transaction<'_>, form: Form, claim: &Claim) -> Result<Vec<Record>, Fault> {
    let (alone, close) = (Alone::prepare(tx, form, claim).await?, tx.prepare_cached(CLOSE).await?);
    let of_nonce = tx.prepare_cached(HELD).await?;
    let name = name(claim);
    let values: [&(dyn ToSql + Sync); 1] = [&name];
    let (alone, closed, held) =
        join3(alone.lock(tx), tx.execute(&close, &values), read_held(tx, &of_nonce, claim)).await;
    alone?;
    closed?;
    held
}

/// The order in which a tenant's records are taken: what has been ready longest, then by key.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    ready_at: i64,
    key: (String, String),
}

impl Place {
    pub(crate) fn ready_at(&self) -> Time {
        Time::from_micros(self.ready_at)
    }
}

/// The next of a tenant that nobody has claimed, after a place. Each channel has an order of its own;
/// the page is merged from their firsts.
async fn page(
    db: &impl GenericClient,
    claim: &Claim,
    channels: &[String],
    tenant: &TenantId,
    after: &Place,
    limit: usize,
) -> Result<Vec<Waiting>, Fault> {
    const READY: &str = concat!(
        "SELECT ",
        row::outline!(),
        " FROM unnest($1::TEXT[]) AS c CROSS JOIN LATERAL \
        (SELECT * FROM tipstaff_records AS t \
         WHERE t.channel = c AND t.tenant = $2 AND t.ready_at <= $3 AND t.lease_until IS NULL \
           AND (t.ready_at, t.kind, t.id) > ($4, $5, $6) \
         ORDER BY t.ready_at, t.kind, t.id LIMIT $7) AS r \
        ORDER BY r.ready_at, r.kind, r.id LIMIT $7"
    );
    let statement = db.prepare_cached(READY).await?;
    let (kind, id) = &after.key;
    let (tenant, until, limit) = (tenant.as_str(), claim.until.micros(), row::limit(limit));
    let values: [&(dyn ToSql + Sync); 7] = [&channels, &tenant, &until, &after.ready_at, kind, id, &limit];
    db.query(&statement, &values).await?.iter().map(waiting).collect()
}

fn waiting(row: &Row) -> Result<Waiting, Fault> {
    let place = Place { ready_at: row.try_get(7)?, key: (row.try_get(1)?, row.try_get(2)?) };
    Ok(Waiting { place, outline: row::readable(row::without_body(row))? })
}

/// The server's time, and with it a page of what is under a lease that has run out then. The time stands
/// in a query of its own, read once: one that is read for each row leads down no index.
const RUN_OUT: &str = concat!(
    "WITH n AS MATERIALIZED (SELECT ",
    row::now!(),
    " AS now) SELECT ",
    row::outline!(),
    ", n.now FROM n LEFT JOIN LATERAL \
     (SELECT * FROM tipstaff_records \
      WHERE lease_until <= (SELECT now FROM n) AND (lease_until, tenant, kind, id) > ($2, $3, $4, $5) \
        AND channel IS NOT NULL AND ($1::TEXT[] IS NULL OR channel = ANY($1)) \
      ORDER BY lease_until, tenant, kind, id LIMIT $6) AS r ON TRUE"
);

/// How many of them one page has. That there is an end keeps the planner to the index.
const RUN_OUT_PAGE: usize = 1_000;

/// What was left behind, by tenant, in the order in which it is taken.
pub(crate) type Rescues = BTreeMap<String, Rescued>;
pub(crate) type Rescued = BTreeMap<Place, Waiting>;

pub(crate) async fn left_behind(
    db: &impl GenericClient,
    named: Option<&BTreeSet<ActionType>>,
) -> Result<(Time, Rescues), Fault> {
    rescues(db, &db.prepare_cached(RUN_OUT).await?, named).await
}

/// The server's time, and what is under a lease that has run out: as a rule nothing, and at most what
/// the workers that ended had claimed. What is held is not looked at.
async fn rescues(
    db: &impl GenericClient,
    statement: &Statement,
    named: Option<&BTreeSet<ActionType>>,
) -> Result<(Time, Rescues), Fault> {
    let named: Option<Vec<&str>> = named.map(|named| named.iter().map(ActionType::as_str).collect());
    let limit = row::limit(RUN_OUT_PAGE);
    let mut rescues = Rescues::new();
    let mut after = (i64::MIN, String::new(), String::new(), String::new());
    loop {
        let values: [&(dyn ToSql + Sync); 6] = [&named, &after.0, &after.1, &after.2, &after.3, &limit];
        let rows = db.query(statement, &values).await?;
        for row in &rows {
            if let Some(until) = row.try_get::<_, Option<i64>>(10)? {
                after = (until, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                let waiting = waiting(row)?;
                rescues.entry(after.1.clone()).or_default().insert(waiting.place.clone(), waiting);
            }
        }
        if rows.len() < RUN_OUT_PAGE {
            let Some(row) = rows.first() else { return Err(Fault::corrupt("the clock", "it tells nothing")) };
            return Ok((Time::from_micros(row.try_get(13)?), rescues));
        }
    }
}
