//! Every stated limit: what lies at it is accepted whole, and one more is refused or cut.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tipstaff::*;

use crate::support::{World, at, commit_id, go, id, tenant};

/// Whether something of that size is taken as it is.
type Taken = fn(usize) -> bool;

const ACT: &str = r#"{ "key": "a", "type": "escalate_to_hr" }"#;

fn loads(text: &str) -> bool {
    RuleSet::from_json(text).is_ok()
}

fn rule(members: &str) -> String {
    format!(r#"[{{ "id": "r", {members}, "trigger": {{ "manual": {{}} }}, "actions": [{ACT}] }}]"#)
}

/// A rule every hour.
fn timed(more: &str) -> String {
    rule(r#""title": "t""#).replace(
        r#""manual": {}"#,
        &format!(r#""schedule": {{ "cron": "0 * * * *", "audience": "all"{more} }}"#),
    )
}

fn heard(more: &str, guards: &str) -> String {
    let event = format!(r#""event": {{ "pattern": {{ "a": [{{ "exists": true }}] }}{more} }}"#);
    rule(&format!(r#""guards": {{ {guards} }}"#)).replace(r#""manual": {}"#, &event)
}

fn counted(window: &str) -> String {
    heard(&format!(r#", "window": {window}"#), "")
}

fn resting(per: &str) -> String {
    heard("", &format!(r#""cooldown": {{ {per}"for": "1h" }}"#))
}

/// A rule's guards with so many caps, each of so many and of another span.
fn capped(caps: usize, count: usize) -> String {
    listed("cap", caps, |i| format!(r#"{{ "count": {count}, "in": "{}m", "on_exceed": "suppress" }}"#, i + 1))
}

fn listed(name: &str, n: usize, one: impl Fn(usize) -> String) -> String {
    format!(r#""{name}": [{}]"#, (0..n).map(one).collect::<Vec<_>>().join(","))
}

fn settings(members: &str) -> String {
    format!(r#"{{ {members}, "rules": [] }}"#)
}

/// One event for such a rule.
fn turn(world: &World, n: usize, minute: i64, value: usize) -> Decision {
    let text = format!(r#"{{ "a": {value} }}"#);
    world.submit(world.event(&format!("s{n}"), "ana", at(minute), &text), at(10_000))
}

fn asks(approval: &str) -> String {
    let people: Vec<String> = (0..40).map(|n| format!(r#""p{n}""#)).collect();
    let group = people.join(",");
    let groups: Vec<String> = (0..9).map(|n| format!(r#""g{n}": [{group}]"#)).collect();
    format!(
        r#"{{ "approvers": {{ "groups": {{ {} }} }}, "rules": [{{ "id": "r", "trigger": {{ "manual": {{}} }},
            "actions": [{{ "key": "a", "type": "escalate_to_hr", "approval": {approval} }}] }}] }}"#,
        groups.join(",")
    )
}

fn list(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<_>>().join(",")
}

fn pattern(text: &str) -> bool {
    Pattern::parse(text).is_ok()
}

fn spanned(n: usize, text: impl Fn(Span) -> String) -> bool {
    loads(&text(Span::millis(n as u64)))
}

/// A rule with an action of that timing.
fn acting(timing: &str) -> String {
    let act = format!(r#"{{ "key": "a", "type": "lock_account", "approval": "none", {timing} }}"#);
    rule(r#""title": "t""#).replace(ACT, &act)
}

fn held(hold: &str) -> String {
    acting(&format!(r#""for": {hold}"#))
}

fn rungs(n: usize) -> String {
    format!(r#"{{ "ladder": [{}], "decay": "1d" }}"#, list(n, |i| format!(r#""{}h""#, i + 1)))
}

/// A target that is told something of that length, and what is kept of it.
fn told(bytes: usize) -> usize {
    let world = World::new(&rule(r#""title": "t""#));
    world.target.answers("escalate_to_hr", [Delivered::done().message("x".repeat(bytes))]);
    world.submit(world.order("m1", "olga", "ana", ManualOrder::Rule(id("r"))), at(0));
    world.run(at(0));
    world.the("escalate_to_hr").history[0].report.message.as_ref().unwrap().len()
}

/// A crowd of that many notices in the log: how many a page shows, how many a claim takes.
fn crowd(n: usize) -> World {
    let world = World::new(&rule(r#""title": "t""#));
    for i in 0..n {
        let order = world.order(&format!("m{i}"), "olga", "ana", ManualOrder::Rule(id("r")));
        world.submit(order, at(0));
    }
    world
}

fn seen(n: usize) -> Seen {
    let payload = Payload::new(format!(r#"{{ "a": [{}] }}"#, list(n, |i| i.to_string()))).unwrap();
    id::<Pattern>(r#"{ "a": [{ "exists": true }] }"#).evidence(&payload).remove(0)
}

fn evidence(n: usize) -> usize {
    let fields = |value: &str| list(n, |i| format!(r#""f{i}": {value}"#));
    let world = World::new(&format!(
        r#"[{{ "id": "r", "trigger": {{ "event": {{ "pattern": {{ {} }} }} }}, "actions": [{ACT}] }}]"#,
        fields("[1]")
    ));
    world.submit(world.event("s1", "ana", at(0), &format!("{{ {} }}", fields("1"))), at(0)).evidence.len()
}

/// A subject after that many scores, each of which enters another band.
fn scored(n: usize, attributes: usize) -> Level {
    let scale = Scale::standard();
    let mut level = None;
    for i in 0..n {
        let score = if i % 2 == 0 { "90" } else { "10" };
        let mut seen = Observation::new(id(score), at(i as i64), id(&format!("s{i}")));
        seen.attributes = Some(format!(r#"{{"a":"{}"}}"#, "x".repeat(attributes.saturating_sub(8))));
        level = Some(scale.observe(level.as_ref(), seen).unwrap().level);
    }
    level.unwrap()
}

fn scale(setting: &str) -> bool {
    loads(&format!(
        r#"{{ "scales": [{{ "id": "s", "low": 0, "high": 9, "high_is": "safe", {setting},
            "bands": [{{ "name": "b", "from": 0 }}, {{ "name": "c", "from": 5 }}] }}] }}"#
    ))
}

/// How many subjects a preview names of so many who make the same move.
fn sampled(n: usize) -> usize {
    let rules = |from: u32| {
        format!(
            r#"{{ "scales": [{{ "id": "default", "low": 0, "high": 9, "high_is": "safe",
                "bands": [{{ "name": "b", "from": 0 }}, {{ "name": "c", "from": {from} }}] }}],
              "rules": [{{ "id": "r", "trigger": {{ "score": {{ "enters": ["b"] }} }}, "actions": [{ACT}] }}] }}"#
        )
    };
    let world = World::new(&rules(5));
    for i in 0..n {
        world.submit(world.score("s1", &format!("u{i}"), at(0), "6"), at(0));
    }
    let set = RuleSet::from_json(&rules(7)).unwrap();
    let preview = go(world.engine.preview_bands(&world.tenant, &set, at(1)));
    preview.moves.values().map(|count| count.sample.len()).sum()
}

fn history(n: usize) -> usize {
    let world = crowd(1);
    for i in 0..n {
        let claim = Claim {
            worker: id("w"),
            nonce: commit_id(&format!("{i:x}")),
            channels: None,
            max: 1,
            until: at(2 * i as i64),
            lease: Span::secs(1),
            after: None,
        };
        assert_eq!(go(world.store.claim(&claim)).len(), 1);
    }
    world.the("escalate_to_hr").history.len()
}

/// The name, the value, and a judge of sizes; a minimum is refused one *below* it.
fn table() -> Vec<(&'static str, usize, Taken)> {
    let ms = |span: Span| span.as_millis() as usize;
    vec![
        ("MAX_ID_BYTES", MAX_ID_BYTES, |n| "x".repeat(n).parse::<UserId>().is_ok()),
        ("MAX_DECIMAL_BYTES", MAX_DECIMAL_BYTES, |n| {
            format!("1{}", "0".repeat(n - 1)).parse::<Decimal>().is_ok()
        }),
        ("MAX_DECIMAL_DIGITS", MAX_DECIMAL_DIGITS, |n| "9".repeat(n).parse::<Decimal>().is_ok()),
        ("MAX_JSON_DEPTH", MAX_JSON_DEPTH, |n| {
            Payload::new(format!(r#"{{"a":{}{}}}"#, "[".repeat(n - 1), "]".repeat(n - 1))).is_ok()
        }),
        ("MAX_PAYLOAD_BYTES", MAX_PAYLOAD_BYTES, |n| {
            Payload::new(format!(r#"{{"a":"{}"}}"#, "x".repeat(n - 8))).is_ok()
        }),
        ("MAX_PATTERN_BYTES", MAX_PATTERN_BYTES, |n| {
            pattern(&format!(r#"{{"a":["{}"]}}"#, "x".repeat(n - 10)))
        }),
        ("MAX_PATTERN_DEPTH", MAX_PATTERN_DEPTH, |n| {
            pattern(&format!(r#"{{"{}":[1]}}"#, vec!["a"; n].join(".")))
        }),
        ("MAX_PATTERN_FIELDS", MAX_PATTERN_FIELDS, |n| {
            pattern(&format!("{{{}}}", list(n, |i| format!(r#""f{i}":[1]"#))))
        }),
        ("MAX_PATTERN_BRANCHES", MAX_PATTERN_BRANCHES, |n| {
            pattern(&format!(r#"{{"$or":[{}]}}"#, list(n, |i| format!(r#"{{"f{i}":[1]}}"#))))
        }),
        ("MAX_ALTERNATIVES", MAX_ALTERNATIVES, |n| {
            pattern(&format!(r#"{{"a":[{}]}}"#, list(n, |i| i.to_string())))
        }),
        ("MAX_WILDCARDS", MAX_WILDCARDS, |n| {
            pattern(&format!(r#"{{"a":[{{"wildcard":"{}"}}]}}"#, "a*".repeat(n)))
        }),
        ("MAX_SEEN_VALUES", MAX_SEEN_VALUES, |n| seen(n).values.len() == n),
        ("MAX_SEEN_BYTES", MAX_SEEN_BYTES, |n| {
            let payload = Payload::new(format!(r#"{{"a":"{}"}}"#, "x".repeat(n - 2))).unwrap();
            let values = id::<Pattern>(r#"{"a":[{"exists":true}]}"#).evidence(&payload).remove(0).values;
            values[0] == format!("\"{}\"", "x".repeat(n - 2))
        }),
        ("MAX_EVIDENCE_FIELDS", MAX_EVIDENCE_FIELDS, |n| evidence(n) == n),
        ("MAX_CRON_BYTES", MAX_CRON_BYTES, |n| {
            Timetable::new(&format!("0{}9 * * *", " ".repeat(n - 8)), Zone::UTC).is_ok()
        }),
        ("MAX_BANDS", MAX_BANDS, |n| {
            let bands =
                (0..n).map(|i| Band { name: id(&format!("b{i}")), from: (i as i32).into() }).collect();
            Scale::new(id("s"), 0.into(), 99.into(), Polarity::HighIsSafe, bands).is_ok()
        }),
        ("MAX_BAND_NAME_BYTES", MAX_BAND_NAME_BYTES, |n| "x".repeat(n).parse::<BandName>().is_ok()),
        ("MIN_DWELL", ms(MIN_DWELL), |n| {
            scale(&format!(r#""hysteresis": {{ "dwell": "{}" }}"#, Span::millis(n as u64)))
        }),
        ("MAX_DWELL", ms(MAX_DWELL), |n| {
            scale(&format!(r#""hysteresis": {{ "dwell": "{}" }}"#, Span::millis(n as u64)))
        }),
        ("MIN_HOLD", ms(MIN_HOLD), |n| scale(&format!(r#""hold": "{}""#, Span::millis(n as u64)))),
        ("MAX_HOLD", ms(MAX_HOLD), |n| scale(&format!(r#""hold": "{}""#, Span::millis(n as u64)))),
        ("MAX_KEPT_ATTRIBUTES", MAX_KEPT_ATTRIBUTES, |n| scored(1, n).attributes.is_some()),
        ("MAX_KEPT_READINGS", MAX_KEPT_READINGS, |n| scored(n, 9).history.readings.len() == n),
        ("MAX_KEPT_ENTRIES", MAX_KEPT_ENTRIES, |n| scored(n, 9).history.entries.len() == n),
        ("MAX_MOVE_SAMPLE", MAX_MOVE_SAMPLE, |n| sampled(n) == n),
        ("MAX_ACTION_TYPES", MAX_ACTION_TYPES, |n| {
            loads(&format!(
                r#"{{ "types": [{}] }}"#,
                list(n, |i| format!(r#"{{ "name": "t{i}", "category": "training" }}"#))
            ))
        }),
        ("MAX_PARAMS", MAX_PARAMS, |n| {
            let params = (0..n).map(|i| (format!("p{i:03}"), "x".into())).collect();
            let open = ActionSpec { open: true, ..ActionSpec::new(id("t"), "T", Category::Training) };
            check_params(&open, &params, Stage::Filled).is_ok()
        }),
        ("MAX_PARAM_BYTES", MAX_PARAM_BYTES, |n| {
            let act = format!(
                r#"{{ "key": "a", "type": "escalate_to_hr", "params": {{ "note": "{}" }} }}"#,
                "x".repeat(n)
            );
            loads(&rule(r#""title": "t""#).replace(ACT, &act))
        }),
        ("MAX_DOCUMENT_BYTES", MAX_DOCUMENT_BYTES, |n| loads(&format!("{}[]", " ".repeat(n - 2)))),
        ("MAX_RULES", MAX_RULES, |n| {
            loads(&format!(
                "[{}]",
                list(n, |i| format!(r#"{{"id":"r{i}","trigger":{{"manual":{{}}}},"actions":[{ACT}]}}"#))
            ))
        }),
        ("MAX_ACTIONS", MAX_ACTIONS, |n| {
            let acts = list(n, |i| format!(r#"{{ "key": "a{i}", "type": "escalate_to_hr" }}"#));
            loads(&rule(r#""title": "t""#).replace(ACT, &acts))
        }),
        ("MAX_TITLE_BYTES", MAX_TITLE_BYTES, |n| loads(&rule(&format!(r#""title": "{}""#, "x".repeat(n))))),
        ("MAX_SOURCES", MAX_SOURCES, |n| {
            let sources = list(n, |i| format!(r#""s{i}""#));
            let event = format!(r#""event": {{ "sources": [{sources}], "pattern": {{ "a": [1] }} }}"#);
            loads(&rule(r#""title": "t""#).replace(r#""manual": {}"#, &event))
        }),
        ("MAX_STAGES", MAX_STAGES, |n| {
            loads(&asks(&format!(
                r#"{{ "stages": [{}] }}"#,
                list(n, |i| format!(r#"{{ "groups": [{{ "name": "g{i}" }}] }}"#))
            )))
        }),
        ("MAX_BATCH", MAX_BATCH, |n| {
            let world = World::new(&asks(r#"{ "groups": [{ "name": "g0" }] }"#));
            world.submit(world.order("m1", "olga", "ana", ManualOrder::Rule(id("r"))), at(0));
            let asked = world.requests().remove(0);
            let other = |i| Approval { id: id(&format!("apr_{i:032x}")), ..asked.clone() };
            Batch::of(&(0..n).map(other).collect::<Vec<_>>()).is_ok()
        }),
        ("MAX_GROUPS", MAX_GROUPS, |n| {
            loads(&asks(&format!(r#"{{ "groups": [{}] }}"#, list(n, |i| format!(r#"{{ "name": "g{i}" }}"#)))))
        }),
        ("MAX_MEMBERS", MAX_MEMBERS, |n| {
            loads(&format!(
                r#"{{ "approvers": {{ "groups": {{ "g": [{}] }} }} }}"#,
                list(n, |i| format!(r#""p{i}""#))
            ))
        }),
        ("MAX_NEED", MAX_NEED as usize, |n| {
            loads(&asks(&format!(r#"{{ "groups": [{{ "name": "g0", "need": {n} }}], "rejections": {n} }}"#)))
        }),
        ("MAX_SCALES", MAX_SCALES, |n| {
            let scale = |i| {
                format!(
                    r#"{{ "id": "s{i}", "low": 0, "high": 9, "high_is": "safe", "bands": [{{ "name": "b", "from": 0 }}] }}"#
                )
            };
            loads(&format!(r#"{{ "scales": [{}] }}"#, list(n, scale)))
        }),
        ("MAX_APPROVAL_WITHIN", ms(MAX_APPROVAL_WITHIN), |n| {
            spanned(n, |span| asks(&format!(r#"{{ "groups": [{{ "name": "g0" }}], "within": "{span}" }}"#)))
        }),
        ("MIN_DEADLINE", ms(MIN_DEADLINE), |n| {
            spanned(n, |span| asks(&format!(r#"{{ "groups": [{{ "name": "g0" }}], "within": "{span}" }}"#)))
        }),
        ("MAX_COOLDOWN", ms(MAX_COOLDOWN), |n| {
            spanned(n, |span| rule(&format!(r#""guards": {{ "cooldown": {{ "for": "{span}" }} }}"#)))
        }),
        ("MAX_WINDOW", ms(MAX_WINDOW), |n| {
            spanned(n, |span| counted(&format!(r#"{{ "count": 2, "in": "{span}" }}"#)))
        }),
        ("MAX_WINDOW_COUNT", MAX_WINDOW_COUNT as usize, |n| {
            loads(&counted(&format!(r#"{{ "count": {n}, "in": "1h" }}"#)))
        }),
        ("MAX_WINDOW_VALUES", MAX_WINDOW_VALUES as usize, |n| {
            loads(&counted(&format!(r#"{{ "distinct": "a", "count": {n}, "in": "1h" }}"#)))
        }),
        ("MAX_FIELD_BYTES", MAX_FIELD_BYTES, |n| {
            loads(&counted(&format!(r#"{{ "distinct": "{}", "count": 2, "in": "1h" }}"#, "x".repeat(n))))
        }),
        ("MAX_WINDOW_SIGNALS", MAX_WINDOW_SIGNALS, |n| {
            let world = World::new(&counted(&format!(r#"{{ "count": {n}, "in": "1h" }}"#)));
            (0..n).for_each(|i| drop(turn(&world, i, 0, 1)));
            world.the("escalate_to_hr").windows[0].signals.len() == n
        }),
        ("MAX_RESTING_VALUES", MAX_RESTING_VALUES, |n| {
            let world = World::new(&resting(r#""field": "a", "#));
            (0..n).for_each(|i| drop(turn(&world, i, 0, i)));
            world.log().len() == n
        }),
        ("MAX_RESTS", MAX_RESTS, |n| {
            // Each is later than the one before by the rest's span; then the first but one again.
            let world = World::new(&resting(""));
            (0..n).for_each(|i| drop(turn(&world, i, 60 * i as i64, 1)));
            turn(&world, n, 0, 1);
            world.log().iter().any(|row| row.origin.signal == "s0" && row.repeats == 1)
        }),
        ("MAX_CONFIRM_WITHIN", ms(MAX_CONFIRM_WITHIN), |n| {
            spanned(n, |span| {
                rule(r#""title": "t""#).replace(
                    ACT,
                    &format!(r#"{{ "key": "a", "type": "escalate_to_hr", "confirm_within": "{span}" }}"#),
                )
            })
        }),
        ("MAX_CATCH_UP", MAX_CATCH_UP, |n| {
            let world = World::new(&timed(r#", "catch_up": "all""#));
            go(world.engine.describe(&world.tenant, &id("ana"), None, at(0)));
            world.run(at(60 * n as i64));
            world.count("SCHEDULE_OCCURRENCE_STARTED") == n
        }),
        ("MAX_ATTRIBUTE_BYTES", MAX_ATTRIBUTE_BYTES, |n| {
            let world = World::new("[]");
            let told = Payload::new(format!(r#"{{"x":"{}"}}"#, "x".repeat(n - 8))).unwrap();
            ready(world.engine.describe(&world.tenant, &id("ana"), Some(&told), at(0))).unwrap().is_ok()
        }),
        ("MAX_ABSENT_WITHIN", ms(MAX_ABSENT_WITHIN), |n| {
            spanned(n, |span| {
                timed(&format!(r#", "absent": {{ "pattern": {{ "a": [1] }}, "within": "{span}" }}"#))
            })
        }),
        ("MAX_REASON_BYTES", MAX_REASON_BYTES, |n| {
            let world = crowd(1);
            let (olga, reason) = (id("olga"), "x".repeat(n));
            let call =
                world.engine.engage_kill_switch(&world.tenant, &KillScope::Tenant, &olga, &reason, at(0));
            ready(call).unwrap().is_ok()
        }),
        ("MAX_COMMENT_BYTES", MAX_COMMENT_BYTES, |n| {
            let lock =
                r#"{ "key": "a", "type": "escalate_to_hr", "approval": { "groups": [{ "name": "g0" }] } }"#;
            let world = World::new(&asks(r#"{ "groups": [{ "name": "g0" }] }"#).replace(ACT, lock));
            world.submit(world.order("m1", "olga", "ana", ManualOrder::Rule(id("r"))), at(0));
            let (request, p1, comment) = (world.requests().remove(0), id("p1"), "x".repeat(n));
            let call =
                world.engine.approve(&world.tenant, request.id, &p1, request.digest, Some(&comment), at(1));
            ready(call).unwrap().is_ok()
        }),
        ("MAX_EFFECT_HOLD", ms(MAX_EFFECT_HOLD), |n| spanned(n, |span| held(&format!(r#""{span}""#)))),
        ("MAX_DELAY", ms(MAX_DELAY), |n| spanned(n, |span| acting(&format!(r#""delay": "{span}""#)))),
        ("MAX_RUNGS", MAX_RUNGS, |n| loads(&held(&rungs(n)))),
        ("MIN_RUNGS", MIN_RUNGS, |n| loads(&held(&rungs(n)))),
        ("MAX_TIMES", MAX_TIMES, |n| {
            loads(&rule(&format!(
                r#""guards": {{ "quiet_hours": [{}] }}"#,
                list(n, |_| r#"{ "from": "22:00", "to": "06:00" }"#.to_owned())
            )))
        }),
        ("MAX_PROTECTED", MAX_PROTECTED, |n| {
            let entries = list(n, |i| format!(r#"{{ "users": ["u{i}"] }}"#));
            loads(&format!(r#"{{ "protected": [{entries}], "rules": [] }}"#))
        }),
        ("MAX_KEPT", MAX_KEPT as usize, |n| {
            loads(&format!(r#"{{ "administrators": {{ "keep": {n} }}, "rules": [] }}"#))
        }),
        ("MAX_EXEMPTIONS", MAX_EXEMPTIONS, |n| {
            let world = World::new("[]");
            let (ana, olga) = (Subject::user(id("ana")), id("olga"));
            (0..n).all(|i| {
                let scope = ExemptionScope::Rule(id(&format!("r{i}")));
                let call = world.engine.exempt(&world.tenant, &ana, &scope, None, &olga, "x", at(0));
                ready(call).unwrap().is_ok()
            })
        }),
        ("MAX_CAPS", MAX_CAPS, |n| loads(&heard("", &capped(n, 1)))),
        ("MAX_CAP_COUNT", MAX_CAP_COUNT as usize, |n| loads(&heard("", &capped(1, n)))),
        ("MAX_CAP_WINDOWS", MAX_CAP_WINDOWS, |n| {
            let mut counter = CapCounter::new("r", Span::mins(1));
            for minute in 0..n {
                counter.take(at(minute as i64));
            }
            counter.windows.len() == n
        }),
        ("MAX_LOOP_DEPTH", MAX_LOOP_DEPTH as usize, |n| loads(&settings(&format!(r#""loop_depth": {n}"#)))),
        ("MAX_KEPT_ATTEMPTS", MAX_KEPT_ATTEMPTS, |n| history(n) == n),
        ("MAX_REPORT_BYTES", MAX_REPORT_BYTES, |n| told(n) == n),
        ("MAX_RETRY_AFTER", ms(MAX_RETRY_AFTER), |n| {
            let world = crowd(1);
            let after = Span::millis(n as u64);
            world.target.answers("escalate_to_hr", [Outcome::Retry { after: Some(after) }.into()]);
            world.run(at(0));
            let State::RetryWait { until, .. } = world.the("escalate_to_hr").state else { panic!() };
            until == at(0).after(after)
        }),
        ("MAX_PAGE", MAX_PAGE, |n| {
            let world = crowd(n);
            go(world.engine.enforcements(Filter::new(&world.tenant).limit(n))).rows.len() == n
        }),
        ("MAX_CLAIM", MAX_CLAIM, |n| {
            let world = crowd(n);
            let claim = Claim {
                worker: id("w"),
                nonce: commit_id("1"),
                channels: None,
                max: n,
                until: at(0),
                lease: Span::mins(1),
                after: None,
            };
            go(world.store.claim(&claim)).len() == n
        }),
        ("MAX_DETAILS", MAX_DETAILS, |n| {
            let draft = AuditDraft::new(tenant(), AuditCode::PolicyRulesInstalled, Actor::Host, at(0));
            (0..n).fold(draft, |draft, i| draft.detail(format!("k{i}"), true)).check().is_ok()
        }),
        ("MAX_DETAIL_BYTES", MAX_DETAIL_BYTES, |n| {
            let draft = AuditDraft::new(tenant(), AuditCode::PolicyRulesInstalled, Actor::Host, at(0));
            draft.detail("k", "x".repeat(n)).check().is_ok()
        }),
        ("MAX_HOST_CODES", MAX_HOST_CODES, |n| {
            let mut catalog = AuditCatalog::default();
            let code = |i| HostCode {
                code: format!("DOOR_{i}"),
                severity: Severity::Info,
                domain: "Doors".into(),
                retention: RetentionCategory::Activity.into(),
                description: "A door opened".into(),
            };
            (0..n).all(|i| catalog.register(code(i)).is_ok())
        }),
    ]
}

#[test]
fn every_limit_holds_and_no_more() {
    for (name, limit, taken) in table() {
        let beyond = if name.starts_with("MIN_") { limit - 1 } else { limit + 1 };
        assert!(taken(limit), "{name}: {limit} is accepted");
        assert!(!taken(beyond), "{name}: {beyond} is not");
    }
}

#[test]
fn every_limit_of_the_sources_is_in_the_table() {
    let mut declared = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for line in fs::read_to_string(&path).unwrap_or_default().lines() {
                let Some(rest) = line.strip_prefix("pub const ") else { continue };
                let name = rest.split(':').next().unwrap();
                if name.starts_with("MAX_") || name.starts_with("MIN_") {
                    declared.insert(name.to_owned(), path.clone());
                }
            }
        }
    }
    assert!(declared.len() > 35, "{declared:?}");
    let known: Vec<_> = table().into_iter().map(|(name, ..)| name).collect();
    let missing: Vec<_> = declared.iter().filter(|(name, _)| !known.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "without a row: {missing:#?}");
    assert_eq!(known.len(), declared.len(), "a row for each, and none besides");
}
