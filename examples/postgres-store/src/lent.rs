//! A connection that is lent to one call.

use deadpool_postgres::{Client, Object, Pool};

use crate::fault::Fault;

/// Dropped before it is given back, it closes the connection: whoever gave up the call has left a
/// statement behind it, or a transaction, for which the next call would have to wait. The server
/// rolls back.
pub(crate) struct Lent(Option<Client>);

impl Lent {
    pub(crate) async fn of(pool: &Pool) -> Result<Self, Fault> {
        Ok(Self(Some(pool.get().await?)))
    }

    pub(crate) fn client(&self) -> &Client {
        self.0.as_ref().expect("it is there until it is given back")
    }

    pub(crate) fn client_mut(&mut self) -> &mut Client {
        self.0.as_mut().expect("it is there until it is given back")
    }

    /// Commits what was only read.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        self.client().batch_execute("COMMIT").await.map_err(|error| Fault::at_commit(&error))?;
        self.give_back();
        Ok(())
    }

    /// Rolls back. Where that fails there is no connection any more.
    pub(crate) async fn roll_back(self) {
        if self.client().batch_execute("ROLLBACK").await.is_ok() {
            self.give_back();
        }
    }

    /// All statements have answered: the connection may be used again.
    pub(crate) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}
