//! The requests for people's agreement.

use serde_json::json;
use tipstaff::{Approval, ApprovalState, ApprovalView, Filter, Order, Reassign, Reply, Verdict};

use super::args::{Answer, Approvals, BatchArgs, Judge};
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
        Approvals::Show { id } => {
            let view = wait(host.engine.approval_view(&host.tenant, *id, host.now))?;
            Ok(if host.json { Output::json(&json!(view)) } else { Output::ok(format!("{view}\n")) })
        }
        Approvals::Approve(answer) => vote(host, answer, Verdict::Approve),
        Approvals::Reject(answer) => vote(host, answer, Verdict::Reject),
        Approvals::Delegate { id, by, to } => {
            told(host, &wait(host.engine.delegate(&host.tenant, *id, by, to, host.now))?)
        }
        Approvals::Reassign { id, by, groups, people, need, reason } => {
            let to =
                Reassign { groups: groups.clone(), people: people.iter().cloned().collect(), need: *need };
            told(host, &wait(host.engine.reassign(&host.tenant, *id, by, &to, reason, host.now))?)
        }
        Approvals::Batch(args) => batch(host, args),
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

fn vote(host: &Host, answer: &Answer, verdict: Verdict) -> Result<Output, Failure> {
    let tenant = &host.tenant;
    let shown = match answer.digest {
        Some(digest) => digest,
        None => wait(host.engine.approval_view(tenant, answer.id, host.now))?.approval.digest,
    };
    let reply = Reply {
        by: answer.by.clone(),
        on_behalf_of: answer.on_behalf_of.clone(),
        verdict,
        shown,
        comment: answer.comment.clone(),
    };
    told(host, &wait(host.engine.reply(tenant, answer.id, &reply, host.now))?)
}

/// A request after what was done to it.
fn told(host: &Host, asked: &Approval) -> Result<Output, Failure> {
    if host.json {
        return Ok(Output::json(&json!({ "approval": asked, "missing": asked.missing() })));
    }
    let missing = match asked.state {
        ApprovalState::Open => format!("; {} more must agree", asked.missing()),
        _ => String::new(),
    };
    Ok(Output::ok(format!("{asked}{missing}\n")))
}

/// Shows a batch, or answers it.
fn batch(host: &Host, args: &BatchArgs) -> Result<Output, Failure> {
    let filter = Filter::new(&host.tenant);
    let filter = args.signal.iter().fold(filter, |filter, id| filter.signal(id.as_str()));
    let filter = args.rule.iter().fold(filter, |filter, rule| filter.rule(rule.clone()));
    let filter = args.action.iter().fold(filter, |filter, action| filter.action(action.clone()));
    let batch = wait(host.engine.batch(filter))?;
    let (Some(verdict), Some(by), Some(digest)) = (args.answer, &args.by, args.digest) else {
        if host.json {
            return Ok(Output::json(&json!(batch)));
        }
        let mut text = String::new();
        for member in &batch.members {
            let view = wait(host.engine.approval_view(&host.tenant, member.approval, host.now))?;
            text.push_str(&format!("{}\n", view.approval));
        }
        return Ok(Output::ok(format!("{text}{batch}\n")));
    };
    if batch.digest != digest {
        return Err(format!("the batch is now {}; look again and answer again", batch.digest).into());
    }
    let said = args.comment.as_deref();
    let outcome = wait(host.engine.reply_batch(&host.tenant, &batch, by, verdict, said, host.now))?;
    let ok = outcome.refused.is_empty();
    if host.json {
        let refused: Vec<_> = outcome
            .refused
            .iter()
            .map(|(id, why)| json!({ "approval": id, "fault": why.to_string() }))
            .collect();
        let answers = json!({ "answered": outcome.answered, "refused": refused });
        return Ok(Output { ok, ..Output::json(&answers) });
    }
    let mut text: String = outcome.answered.iter().map(|asked| format!("{asked}\n")).collect();
    outcome.refused.iter().for_each(|(id, why)| text.push_str(&format!("{id} refused: {why}\n")));
    text.push_str(&format!("{} answered, {} refused\n", outcome.answered.len(), outcome.refused.len()));
    Ok(Output { text, ok })
}

/// Says afterwards whether an enforcement was right.
pub(super) fn judge(host: &Host, judge: &Judge) -> Result<Output, Failure> {
    let said = judge.comment.as_deref();
    let row = wait(host.engine.judge(&host.tenant, judge.id, judge.finding, &judge.by, said, host.now))?;
    if host.json {
        return Ok(Output::json(&super::log::row(&row)));
    }
    Ok(Output::ok(format!("{row}: {}\n", judge.finding)))
}
