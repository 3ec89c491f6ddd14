//! A claim that is repeated while its last commit is still under way.

use std::collections::BTreeSet;
use std::time::Duration;

use tipstaff::{Key, Store};
use tipstaff_postgres::PostgresStore;
use tokio_postgres::{Client, Config, NoTls};

use crate::support::{claim, commit, done, queued, tenant};
use crate::{Form, Fresh, administer, runtime};

/// The decision time at which all that waits is ready.
const LATE: i64 = 4_102_444_800_000_000;

/// A commit that writes that tenant's records waits for a lock.
fn waits_at_its_commit(tenant: &str) -> String {
    format!(
        "CREATE FUNCTION wait() RETURNS TRIGGER LANGUAGE plpgsql SET lock_timeout = 0 AS \
           'BEGIN PERFORM pg_advisory_xact_lock_shared(hashtext(current_schema())); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON tipstaff_records DEFERRABLE INITIALLY DEFERRED \
           FOR EACH ROW WHEN (new.tenant = '{tenant}') EXECUTE FUNCTION wait()"
    )
}

/// The store on connections of that name.
async fn named(fresh: &Fresh, name: &str) -> PostgresStore {
    let mut config = fresh.schema.config.clone();
    config.application_name(name);
    PostgresStore::with_pool(PostgresStore::pool(config, 2).unwrap(), fresh.form).await.unwrap()
}

/// How many connections of that name there are, or wait for a lock.
async fn count(db: &Client, name: &str, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND {condition}");
    db.query_one(&sql, &[&name]).await.unwrap().get(0)
}

/// What a repeat is told is what the claim holds in the end, however late the first one's commit is done.
pub(crate) fn while_it_commits(server: &Config, form: Form) -> Result<(), String> {
    for (late, max) in [("a", 1), ("a", 2), ("b", 2), ("b", 5)] {
        let fresh = Fresh::new(server, form);
        let tenants = ["a", "b"].map(tenant);
        let keys: Vec<Key> = tenants.iter().map(|of| queued(of, 1, "send_email", 0).key).collect();
        for of in &tenants {
            done(fresh.store.commit(&commit(of, 1, vec![queued(of, 1, "send_email", 0)]))).unwrap();
        }
        administer(&fresh.schema.config, &waits_at_its_commit(late));
        let (first, again) = (format!("{} 1", fresh.schema.name), format!("{} 2", fresh.schema.name));
        let (told, held) = runtime().block_on(async {
            let (holder, connection) = fresh.schema.config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            holder.batch_execute("SELECT pg_advisory_lock(hashtext(current_schema()))").await.unwrap();
            let store = named(&fresh, &first).await;
            let made = tokio::spawn(async move { store.claim(&claim(1, max, LATE)).await });
            while count(&holder, &first, "wait_event_type = 'Lock'").await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Nobody hears its answer; the server goes on.
            made.abort();
            let store = named(&fresh, &again).await;
            let repeat = tokio::spawn(async move { store.claim(&claim(1, max, LATE)).await });
            while !repeat.is_finished() && count(&holder, &again, "wait_event_type = 'Lock'").await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            holder.batch_execute("SELECT pg_advisory_unlock(hashtext(current_schema()))").await.unwrap();
            while count(&holder, &first, "TRUE").await > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            (repeat.await.unwrap(), fresh.store.load(&keys).await.unwrap())
        });
        let held: BTreeSet<Key> = held
            .into_iter()
            .flatten()
            .filter(|record| record.lease.is_some())
            .map(|record| record.key)
            .collect();
        let told: BTreeSet<Key> =
            told.map_err(|error| error.to_string())?.into_iter().map(|record| record.key).collect();
        if told != held || held.is_empty() {
            return Err(format!(
                "of {max}, while the commit of {late} was under way: {told:?}, but it holds {held:?}"
            ));
        }
    }
    Ok(())
}
