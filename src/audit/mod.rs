//! The audit log: what may be written (one table of codes), what a record holds, and the chain
//! that shows a change to it.

mod catalog;
mod chain;
mod code;
mod draft;
mod field;
mod record;
mod table;
mod verify;

pub use catalog::{AuditCatalog, Code, CodeError, HostCode, MAX_HOST_CODES};
pub use chain::{Head, HeadError};
pub use code::{AuditDomain, Retention, RetentionCategory, Severity};
pub use draft::{AuditDraft, AuditError, AuditFault, MAX_DETAIL_BYTES, MAX_DETAILS};
pub use field::{Actor, ActorError, Detail};
pub use record::{AUDIT_FORMAT, AuditRecord, Personal, Salt, SaltError};
pub use table::AuditCode;
pub use verify::{ChainError, ChainFault, Verifier, verify};
