//! The path of a signal, told as a story.

use tipstaff::*;

const RULES: &str = r#"{
  "approvers": { "default": "security", "groups": { "security": ["bo", "cy"] } },
  "rules": [
    { "id": "mfa-off", "title": "Second factor removed",
      "trigger": { "event": { "sources": ["okta"], "pattern": { "eventType": ["user.mfa.factor.deactivate"] } } },
      "actions": [
        { "key": "lock", "type": "lock_account" },
        { "key": "tell", "type": "send_email", "params": { "to": "manager", "template": "mfa-off", "when": "{event.published}" } } ] } ] }"#;

#[test]
fn a_signal_goes_all_the_way() {
    let rules = RuleSet::from_json(RULES).unwrap();
    let engine = Engine::new(MemoryStore::default(), |_: &Job| Delivered::done(), rules);
    let tenant: TenantId = "acme".parse().unwrap();
    let ana: UserId = "ana".parse().unwrap();
    let now: Time = "2026-03-02T09:00:00Z".parse().unwrap();
    let payload = r#"{"eventType":"user.mfa.factor.deactivate","published":"2026-03-02T08:59:59Z"}"#;
    let event = Event::new(tenant.clone(), "evt-1", "okta", ana, now, payload).unwrap();
    let decision = ready(engine.submit(event.clone(), now)).unwrap().unwrap();
    println!("{decision}");
    assert_eq!(decision.outcomes.len(), 2);
    let again = ready(engine.submit(event, now)).unwrap().unwrap();
    assert!(again.repeat);
    let report = ready(engine.run_due(now)).unwrap().unwrap();
    println!("{report:?}");
    assert_eq!((report.succeeded, report.faults.len()), (3, 0));
    let asked = ready(engine.approvals(Filter::new(&tenant))).unwrap().unwrap();
    let view = ready(engine.approval_view(&tenant, asked.rows[0].id)).unwrap().unwrap();
    println!("{view}");
    let bo = "bo".parse().unwrap();
    ready(engine.approve(&tenant, view.approval.id, &bo, view.approval.digest, Some("agreed"), now))
        .unwrap()
        .unwrap();
    let report = ready(engine.run_due(now)).unwrap().unwrap();
    assert_eq!(report.succeeded, 1);
    for row in ready(engine.enforcements(Filter::new(&tenant))).unwrap().unwrap() {
        println!("{row}");
        assert_eq!(row.status(), Status::Succeeded);
    }
    for record in ready(engine.audit(&tenant, 0, 100)).unwrap().unwrap() {
        println!("{record}");
    }
    ready(engine.verify_audit(&tenant, None)).unwrap().unwrap().unwrap();
}
