//! The same commits without the engine, in another store of the same kind: what they cost the store.

use tipstaff::SharedStore;
use tipstaff_postgres::{Form, OpenError, PostgresStore};
use tipstaff_sqlite::SqliteStore;
use tokio_postgres::{Config, NoTls};

use super::super::Failure;
use crate::store::{Database, block_on};

/// A store in a file beside the first, or in a schema of its own on the same server.
pub(super) struct Again {
    pub(super) store: SharedStore,
    server: Option<Config>,
}

impl Again {
    pub(super) fn open(database: &Database) -> Result<Self, Failure> {
        Ok(match database {
            Database::File(path) => {
                let mut beside = path.clone().into_os_string();
                beside.push("-again");
                Self { store: SharedStore::new(SqliteStore::open(beside)?), server: None }
            }
            Database::Server(address) => block_on(async {
                let server: Config = address.parse().map_err(|_| OpenError::Address(database.to_string()))?;
                administer(&server, "CREATE SCHEMA IF NOT EXISTS tipstaff_again").await?;
                let mut config = server.clone();
                config.options("-c search_path=tipstaff_again");
                let store =
                    PostgresStore::with_pool(PostgresStore::pool(config, 8)?, Form::default()).await?;
                Ok::<_, Failure>(Self { store: SharedStore::new(store), server: Some(server) })
            })?,
        })
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            // What is left behind by a run that was broken off is used by the next.
            let _ = block_on(administer(server, "DROP SCHEMA tipstaff_again CASCADE"));
        }
    }
}

async fn administer(server: &Config, sql: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = server.connect(NoTls).await?;
    tokio::spawn(connection);
    // Nobody need hear what is there already, or gone with the rest.
    client.batch_execute("SET client_min_messages = error").await?;
    client.batch_execute(sql).await
}
