//! A database of its own: what `load` measures slows down everybody else's work there, and what it writes
//! stays behind.

use rusqlite::{Connection, OpenFlags};
use tokio_postgres::NoTls;

use super::super::Failure;
use crate::store::{Database, block_on};

/// Refuses a database in which anybody else has records. The store's calls name no tenants, so its table
/// is asked: one look for each tenant, however many records they have.
pub(super) fn check(database: &Database) -> Result<(), Failure> {
    // It makes its tables where there are none, and refuses what is no store.
    drop(block_on(database.open())?);
    let other = match database {
        Database::File(path) => {
            let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let next = "SELECT min(tenant) FROM records WHERE tenant > ?1";
            other(|last| Ok(connection.query_row(next, [last], |row| row.get(0))?))?
        }
        Database::Server(address) => {
            let client = block_on(async {
                let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
                // It ends with the client.
                tokio::spawn(connection);
                Ok::<_, tokio_postgres::Error>(client)
            })?;
            let next = "SELECT min(tenant) FROM tipstaff_records WHERE tenant > $1";
            other(|last| Ok(block_on(client.query_one(next, &[&last]))?.try_get(0)?))?
        }
    };
    match other {
        None => Ok(()),
        Some(tenant) => Err(format!(
            "`{database}` has records of tenant `{tenant}`; give `load` a database for the purpose: a new \
             one, or one that only `load` has used"
        )
        .into()),
    }
}

/// The first tenant that is not of our own making, going by name.
fn other(mut next: impl FnMut(&str) -> Result<Option<String>, Failure>) -> Result<Option<String>, Failure> {
    let mut last = String::new();
    while let Some(tenant) = next(&last)? {
        if !is_ours(&tenant) {
            return Ok(Some(tenant));
        }
        last = tenant;
    }
    Ok(None)
}

/// Whether [`super::fresh`] made the name.
fn is_ours(tenant: &str) -> bool {
    let Some((what, made)) = tenant.strip_prefix("load-").and_then(|rest| rest.rsplit_once('-')) else {
        return false;
    };
    let what = what.split_once('-').map_or(what, |(what, _)| what);
    ["claims", "commits", "due"].contains(&what) && made.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_making_are_ours() {
        for what in ["claims", "commits-100", "due"] {
            let (tenant, _) = super::super::fresh(what);
            assert!(is_ours(tenant.as_str()), "{tenant}");
        }
        for tenant in ["default", "load", "load-balancer", "load-balancer-7", "load-due-x", "due-7"] {
            assert!(!is_ours(tenant), "{tenant}");
        }
    }
}
