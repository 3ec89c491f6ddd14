//! What people do in the demo, and when: they start actions and answer requests.

use serde::Deserialize;
use tipstaff::{
    ActionType, ActorId, ApprovalState, Engine, Filter, ManualOrder, ManualStart, ParamValue, TenantId, Time,
    UserId,
};

use super::Failure;
use super::host::wait;
use crate::store::block_on;

/// One deed of a person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deed {
    /// When.
    pub(super) at: Time,
    /// Who.
    by: ActorId,
    /// For whom.
    subject: UserId,
    /// About what action.
    action: ActionType,
    /// What they do.
    does: Does,
    /// Why, or what they say to it.
    says: String,
    /// The parameters of what they start.
    #[serde(default)]
    params: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Does {
    Start,
    Approve,
    Reject,
}

/// Reads the deeds, in their order.
pub(super) fn read(text: &str) -> Result<Vec<Deed>, Failure> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", i + 1).into())
        })
        .collect()
}

impl Deed {
    /// Does it. An answer that is refused is no fault: the audit trail tells of it.
    pub(super) fn perform(&self, engine: &Engine, tenant: &TenantId, now: Time) -> Result<(), Failure> {
        let agree = match self.does {
            Does::Start => return self.start(engine, tenant, now),
            Does::Approve => true,
            Does::Reject => false,
        };
        let filter = Filter::new(tenant)
            .user(self.subject.clone())
            .action(self.action.clone())
            .approval(ApprovalState::Open);
        for asked in wait(engine.approvals(filter))? {
            let says = Some(self.says.as_str());
            let answer = match agree {
                true => block_on(engine.approve(tenant, asked.id, &self.by, asked.digest, says, now)),
                false => block_on(engine.reject(tenant, asked.id, &self.by, asked.digest, says, now)),
            };
            match answer {
                Ok(_) | Err(tipstaff::EngineError::Approval(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn start(&self, engine: &Engine, tenant: &TenantId, now: Time) -> Result<(), Failure> {
        let params = self.params.iter().map(|(name, text)| (name.clone(), ParamValue::Text(text.clone())));
        let order = ManualStart {
            tenant: tenant.clone(),
            id: format!("{}-{}", self.by, self.at).parse()?,
            operator: self.by.clone(),
            subject: self.subject.clone().into(),
            at: self.at,
            reason: self.says.clone(),
            order: ManualOrder::Action { action: self.action.clone(), params: params.collect() },
            break_glass: false,
        };
        wait(engine.start(order, now))?;
        Ok(())
    }
}
