//! What people ask: the log, the signals, the requests, the audit trail.

use super::intake::{enforcement_key, trigger_key};
use super::{Engine, EngineError, not_found};
use crate::approval::Approval;
use crate::audit::{AuditRecord, ChainError, Head, Verifier};
use crate::enforcement::Enforcement;
use crate::id::{EnforcementId, TenantId, TriggerId};
use crate::plan::Decision;
use crate::ready::Answer;
use crate::store::{Filter, Key, Kind, MAX_PAGE, Page, Store, StoreError, Trail, decode};

impl Engine {
    /// A page of the enforcement log.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn enforcements(&self, filter: Filter) -> Answer<'_, Result<Page<Enforcement>, EngineError>> {
        Box::pin(async move {
            let page = self.store.query(&filter.query(Kind::Enforcement)).await?;
            page.try_map(|record| Ok(decode::<Enforcement>(&record)?.body))
        })
    }

    /// A page of the notices to approvers.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn notices(&self, filter: Filter) -> Answer<'_, Result<Page<Enforcement>, EngineError>> {
        Box::pin(async move {
            let page = self.store.query(&filter.query(Kind::Notice)).await?;
            page.try_map(|record| Ok(decode::<Enforcement>(&record)?.body))
        })
    }

    /// A page of the signals that concerned a rule, with the decisions on them.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn signals(&self, filter: Filter) -> Answer<'_, Result<Page<Decision>, EngineError>> {
        Box::pin(async move {
            let page = self.store.query(&filter.query(Kind::Trigger)).await?;
            page.try_map(|record| Ok(decode::<Decision>(&record)?.body))
        })
    }

    /// A page of the requests for approval.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn approvals(&self, filter: Filter) -> Answer<'_, Result<Page<Approval>, EngineError>> {
        Box::pin(async move {
            let page = self.store.query(&filter.query(Kind::Approval)).await?;
            page.try_map(|record| Ok(decode::<Approval>(&record)?.body))
        })
    }

    /// One enforcement.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn enforcement<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: EnforcementId,
    ) -> Answer<'a, Result<Enforcement, EngineError>> {
        Box::pin(async move { self.one(enforcement_key(tenant, id), "enforcement").await })
    }

    /// The decision on one signal.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn signal<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: TriggerId,
    ) -> Answer<'a, Result<Decision, EngineError>> {
        Box::pin(async move { self.one(trigger_key(tenant, id), "signal").await })
    }

    /// A page of the audit trail, after a sequence number; at most 200 records.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn audit<'a>(
        &'a self,
        tenant: &'a TenantId,
        after: u64,
        limit: usize,
    ) -> Answer<'a, Result<Vec<AuditRecord>, EngineError>> {
        Box::pin(async move {
            let limit = limit.clamp(1, MAX_PAGE);
            Ok(self.store.trail(&Trail { tenant: tenant.clone(), lane: 0, after, limit }).await?)
        })
    }

    /// Where the audit trail ends. Keep it elsewhere, and a later verification against it shows
    /// when the trail's end was cut off.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn audit_head<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Result<Head, EngineError>> {
        Box::pin(async move { Ok(self.store.head(tenant, 0).await?) })
    }

    /// Verifies the whole audit trail, and that it goes on from a head that was kept.
    ///
    /// # Errors
    /// [`EngineError::Store`]; what is wrong with the trail is the inner error.
    pub fn verify_audit<'a>(
        &'a self,
        tenant: &'a TenantId,
        kept: Option<Head>,
    ) -> Answer<'a, Result<Result<Head, ChainError>, EngineError>> {
        Box::pin(async move {
            let mut verifier = Verifier::new(Head::default()).of(tenant.clone(), 0);
            if let Some(head) = kept {
                verifier = verifier.kept(head);
            }
            // The store's own head must be that of one of its records. It is read before them: others go on
            // writing, and what has come since is not missing.
            verifier = verifier.kept(self.audit_head(tenant).await?);
            loop {
                let after = verifier.head().seq;
                let page = match self.audit(tenant, after, MAX_PAGE).await {
                    // One that cannot be read must not hide an altered one before it.
                    Err(EngineError::Store(StoreError::Corrupt { .. })) => {
                        self.audit(tenant, after, 1).await?
                    }
                    page => page?,
                };
                if page.is_empty() {
                    break;
                }
                for record in &page {
                    if let Err(broken) = verifier.push(record) {
                        return Ok(Err(broken));
                    }
                }
            }
            Ok(verifier.finish())
        })
    }

    async fn one<T: crate::store::Body>(&self, key: Key, what: &'static str) -> Result<T, EngineError> {
        let record = self.store.load(std::slice::from_ref(&key)).await?.pop().flatten();
        let record = record.ok_or_else(|| not_found(what, &key.id))?;
        Ok(decode::<T>(&record)?.body)
    }
}
