//! The shortest useful program: one rule, one event, one enforcement, one that waits for people.

use std::error::Error;

use tipstaff::{Delivered, Engine, Event, Filter, Job, MemoryStore, RuleSet, TenantId, Time, UserId, ready};

const POLICY: &str = r#"{
  "approvers": { "default": "security", "groups": { "security": ["bo", "cy"] } },
  "rules": [
    { "id": "mfa-off", "title": "Somebody lost their second factor",
      "trigger": { "event": { "sources": ["okta"],
                              "pattern": { "eventType": ["user.mfa.factor.deactivate"] } } },
      "actions": [
        { "key": "lock", "type": "lock_account" },
        { "key": "tell", "type": "send_email",
          "params": { "to": "manager", "template": "mfa-off", "when": "{event.published}" } } ] } ] }"#;

fn main() -> Result<(), Box<dyn Error>> {
    let rules = RuleSet::from_json(POLICY)?; // every fault at once, each with its place
    let outbox = |job: &Job| {
        println!("delivering {job}");
        Delivered::done()
    };
    let engine = Engine::new(MemoryStore::default(), outbox, rules);

    let tenant: TenantId = "acme".parse()?;
    let ana: UserId = "ana".parse()?;
    let now: Time = "2026-03-02T09:00:00Z".parse()?; // a host gives its clock's time
    let payload = r#"{"eventType":"user.mfa.factor.deactivate","published":"2026-03-02T08:59:58Z"}"#;
    let event = Event::new(tenant.clone(), "evt-1", "okta", ana, now, payload)?;

    let decision = ready(engine.submit(event, now))??; // what follows, and why
    println!("{decision}");
    ready(engine.run_due(now))??; // claim, deliver, settle, step timers

    for asked in ready(engine.approvals(Filter::new(&tenant)))?? {
        let view = ready(engine.approval_view(&tenant, asked.id, now))??;
        println!("{view}");
        let bo = "bo".parse()?;
        ready(engine.approve(&tenant, asked.id, &bo, asked.digest, Some("seen on the phone"), now))??;
    }
    ready(engine.run_due(now))??;

    for row in ready(engine.enforcements(Filter::new(&tenant)))?? {
        println!("{row}");
    }
    println!("audit trail: {}", ready(engine.verify_audit(&tenant, None))???);
    Ok(())
}
