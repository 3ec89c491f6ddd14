//! The audit log: what may be written (one table of codes), what a record holds, and the chain
//! that shows a change to it.

mod catalog;
mod chain;
mod code;
mod record;
mod table;

pub use catalog::{AuditCatalog, Code, CodeError, HostCode, MAX_HOST_CODES};
pub use chain::{ChainError, ChainFault, Head, HeadError, Verifier, verify};
pub use code::{AuditDomain, Retention, RetentionCategory, Severity};
pub use record::{
    AUDIT_FORMAT, Actor, ActorError, AuditDraft, AuditError, AuditFault, AuditRecord, Detail,
    MAX_DETAIL_BYTES, MAX_DETAILS, Personal, Salt, SaltError,
};
pub use table::AuditCode;
