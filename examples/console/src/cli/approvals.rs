//! The requests for people's agreement.

use serde_json::json;
use tipstaff::{Approval, ApprovalState, ApprovalView, Filter, Order};

use super::args::{Answer, Approvals};
use super::host::{Host, wait};
use super::{Failure, Output};

/// Lists requests, or answers one.
pub(super) fn run(host: &Host, command: &Approvals) -> Result<Output, Failure> {
    match command {
        Approvals::List { state, all } => {
            let filter = Filter::new(&host.tenant).order(Order::Oldest).limit(tipstaff::MAX_PAGE);
            let views = views(host, &if *all { filter } else { filter.approval(*state) })?;
            if host.json {
                let rows: Vec<_> = views
                    .iter()
                    .map(|view| json!({ "approval": view.approval, "missing": view.approval.missing(), "now": view.now,
                        "earlier": view.earlier.iter().map(super::log::row).collect::<Vec<_>>() }))
                    .collect();
                return Ok(Output::json(&json!({ "rows": rows })));
            }
            let mut text: String = views.iter().map(|view| format!("{view}\n\n")).collect();
            text.push_str(&format!("{} requests\n", views.len()));
            Ok(Output::ok(text))
        }
        Approvals::Approve(answer) => vote(host, answer, true),
        Approvals::Reject(answer) => vote(host, answer, false),
    }
}

/// Every request that the filter names, as an approver is shown it.
pub(super) fn views(host: &Host, filter: &Filter) -> Result<Vec<ApprovalView>, Failure> {
    let mut views = Vec::new();
    let mut next = None;
    loop {
        let filter = match next {
            None => filter.clone(),
            Some(cursor) => filter.clone().after(cursor),
        };
        let page = wait(host.engine.approvals(filter))?;
        for asked in &page.rows {
            views.push(wait(host.engine.approval_view(&host.tenant, asked.id, host.now))?);
        }
        next = page.next;
        if next.is_none() {
            return Ok(views);
        }
    }
}

fn vote(host: &Host, answer: &Answer, agree: bool) -> Result<Output, Failure> {
    let (tenant, comment) = (&host.tenant, answer.comment.as_deref());
    let shown = match answer.digest {
        Some(digest) => digest,
        None => wait(host.engine.approval_view(tenant, answer.id, host.now))?.approval.digest,
    };
    let decided: Approval = match agree {
        true => wait(host.engine.approve(tenant, answer.id, &answer.by, shown, comment, host.now))?,
        false => wait(host.engine.reject(tenant, answer.id, &answer.by, shown, comment, host.now))?,
    };
    if host.json {
        return Ok(Output::json(&json!({ "approval": decided, "missing": decided.missing() })));
    }
    let missing = match decided.state {
        ApprovalState::Open => format!("; {} more must agree", decided.missing()),
        _ => String::new(),
    };
    Ok(Output::ok(format!("{decided}{missing}\n")))
}
