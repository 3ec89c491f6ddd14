//! The same bytes without the engine: plain rows in one table of the same database, on a connection
//! with the settings of the store.

use rusqlite::{Connection, TransactionBehavior};
use tokio_postgres::{Client, NoTls, Statement};

use crate::cli::Failure;
use crate::store::{Database, block_on};

/// A table of rows, in a file beside the store's or in the same server.
pub enum Raw {
    /// A file.
    File(Connection),
    /// A server, and the statement that inserts.
    Server(Client, Statement),
}

impl Raw {
    /// Opens it anew, or with what a run left behind that was broken off.
    ///
    /// # Errors
    /// Where the database cannot be reached.
    pub fn open(database: &Database) -> Result<Self, Failure> {
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
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn write(&mut self, rows: &[Vec<u8>]) -> Result<(), Failure> {
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

impl Drop for Raw {
    fn drop(&mut self) {
        if let Self::Server(client, _) = self {
            // What is left behind by a run that was broken off is used by the next.
            let _ = block_on(client.batch_execute("DROP TABLE tipstaff_raw"));
        }
    }
}
