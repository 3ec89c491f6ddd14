//! A connection within a transaction whose statements go out without waiting for each other.

use deadpool_postgres::{Client, Object};

use crate::fault::Fault;

/// Dropped before its transaction is over, it closes the connection, and the server rolls back: a
/// connection that is given back is in no transaction.
pub(crate) struct Pipeline(Option<Client>);

impl Pipeline {
    pub(crate) fn new(client: Client) -> Self {
        Self(Some(client))
    }

    pub(crate) fn client(&self) -> &Client {
        self.0.as_ref().expect("it is there until the transaction is over")
    }

    /// Commits what was only read.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        self.client().batch_execute("COMMIT").await.map_err(|error| Fault::at_commit(&error))?;
        self.over();
        Ok(())
    }

    /// Rolls back. Where that fails there is no connection any more.
    pub(crate) async fn roll_back(self) {
        if self.client().batch_execute("ROLLBACK").await.is_ok() {
            self.over();
        }
    }

    /// The transaction is over: the connection may be used again.
    pub(crate) fn over(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}
