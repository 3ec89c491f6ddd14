//! The same bytes without the engine: plain rows in one table of the same database, on a connection
//! with the settings of the store.

use rusqlite::{Connection, TransactionBehavior};
use tipstaff::SharedStore;
use tipstaff_postgres::{Form, OpenError, PostgresStore};
use tipstaff_sqlite::SqliteStore;
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::super::Failure;
use crate::store::{Database, block_on};

/// A table of rows, in a file beside the store's or in the same server.
pub(super) enum Raw {
    File(Connection),
    Server(Client, Statement),
}

impl Raw {
    pub(super) fn open(database: &Database) -> Result<Self, Failure> {
        Ok(match database {
            Database::File(path) => {
                let mut beside = path.clone().into_os_string();
                beside.push("-raw");
                let connection = Connection::open(beside)?;
                connection.execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
                     CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, row BLOB NOT NULL) STRICT;",
                )?;
                Self::File(connection)
            }
            Database::Server(address) => block_on(async {
                let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
                // It ends with the client.
                tokio::spawn(connection);
                client
                    .batch_execute(
                        "CREATE TABLE IF NOT EXISTS tipstaff_raw \
                         (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, row BYTEA NOT NULL)",
                    )
                    .await?;
                let insert = client
                    .prepare("INSERT INTO tipstaff_raw (row) SELECT * FROM unnest($1::BYTEA[])")
                    .await?;
                Ok::<_, tokio_postgres::Error>(Self::Server(client, insert))
            })?,
        })
    }

    /// Writes rows in one durable transaction.
    pub(super) fn write(&mut self, rows: &[Vec<u8>]) -> Result<(), Failure> {
        match self {
            Self::File(connection) => {
                let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                {
                    let mut insert = tx.prepare_cached("INSERT INTO raw (row) VALUES (?1)")?;
                    for row in rows {
                        insert.execute([row])?;
                    }
                }
                tx.commit()?;
            }
            Self::Server(client, insert) => {
                block_on(client.execute(insert, &[&rows]))?;
            }
        }
        Ok(())
    }
}

/// A store of the same kind that is empty: what commits cost without the engine.
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

impl Drop for Raw {
    fn drop(&mut self) {
        if let Self::Server(client, _) = self {
            // What is left behind by a run that was broken off is used by the next.
            let _ = block_on(client.batch_execute("DROP TABLE tipstaff_raw"));
        }
    }
}
