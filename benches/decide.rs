//! One signal through match and plan, at 10, 100 and 1,000 rules of one source: an event that
//! concerns no rule, and one that concerns one. Beside it, what reading the event alone costs.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tipstaff::{
    Away, Cause, Control, Event, Facts, Payload, Roster, RuleSet, Signal, SubjectState, Time, UserId, plan,
};

fn rules(count: usize) -> RuleSet {
    let rules = (0..count).map(|i| {
        format!(
            r#"{{"id":"r{i}","trigger":{{"event":{{"sources":["okta"],"pattern":{{
                "eventType":["type.{i}"],"client":{{"geo":{{"country":[{{"anything-but":["DE","FR"]}}]}}}},
                "risk":[{{"numeric":[">=",50,"<=",100]}}],"address":[{{"cidr":"192.0.2.0/24"}}]}}}}}},
                "actions":[{{"key":"a","type":"create_ticket","params":{{"queue":"soc","title":"{{event.eventType}}"}}}},
                {{"key":"b","type":"lock_account"}}]}}"#
        )
    });
    let rules: Vec<_> = rules.collect();
    let text = format!(r#"{{"approvers":{{"default":"security"}},"rules":[{}]}}"#, rules.join(","));
    RuleSet::from_json(&text).expect("the rules are right")
}

fn event(kind: &str) -> Signal {
    let at: Time = "2026-03-02T09:00:00Z".parse().expect("a time");
    let user: UserId = "ana".parse().expect("an id");
    let payload = format!(
        r#"{{"eventType":"{kind}","risk":77.5,"address":"192.0.2.14","client":{{"geo":{{"country":"US","city":"Dayton"}},
        "userAgent":"Mozilla/5.0 (X11; Linux x86_64)","zone":"OFF_NETWORK"}},"outcome":{{"result":"SUCCESS"}},
        "target":[{{"id":"00u1","type":"User"}},{{"id":"app2","type":"AppInstance"}}],"published":"2026-03-02T08:59:58Z"}}"#
    );
    let tenant = "acme".parse().expect("an id");
    Event::new(tenant, "evt-1", "okta", user, at, payload).expect("an event").into()
}

fn decide(rules: &RuleSet, signal: &Signal) -> usize {
    let concerned = rules.concerned(signal);
    if concerned.is_empty() {
        return 0;
    }
    let facts = Facts {
        rules,
        subject: SubjectState::new(signal.subject().clone()),
        tallies: BTreeMap::new(),
        control: Control::default(),
        stats: BTreeMap::new(),
        roster: Roster::default(),
        exemptions: Vec::new(),
        attributes: None,
        administrators: None,
        away: Away::default(),
        caps: BTreeMap::new(),
        population: None,
        cause: Cause::None,
    };
    plan(signal, &concerned, &facts, signal.at()).expect("it can be decided").enforcements.len()
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    let (quiet, loud) = (event("type.none"), event("type.7"));
    for count in [10, 100, 1_000] {
        let rules = rules(count);
        group.bench_with_input(BenchmarkId::new("no rule", count), &rules, |b, rules| {
            b.iter(|| decide(rules, black_box(&quiet)));
        });
        group.bench_with_input(BenchmarkId::new("one rule, two actions", count), &rules, |b, rules| {
            b.iter(|| decide(rules, black_box(&loud)));
        });
    }
    let Signal::Event(event) = &loud else { return };
    let text = event.payload.text().to_owned();
    group.bench_function("reading the event with serde_json", |b| {
        b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&text)).is_ok());
    });
    group.bench_function("checking the event", |b| b.iter(|| Payload::new(black_box(text.as_str())).is_ok()));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
