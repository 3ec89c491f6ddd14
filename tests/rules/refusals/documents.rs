//! Documents of rules: every fault with its pointer, line and column, all at once.

use tipstaff::*;

use super::{Row, row};
use crate::support::id;

const ACT: &str = r#"{ "key": "a", "type": "escalate_to_hr" }"#;
const GROUPS: &str = r#""approvers": { "default": "g", "groups": { "g": ["bo", "cy"] } }"#;

/// A rule with that trigger, those actions and further members. `§` marks the place of a fault.
fn rule(trigger: &str, actions: &str, more: &str) -> String {
    format!("[\n  {{ \"id\": \"r\", {more} \"trigger\": {trigger},\n    \"actions\": {actions} }} ]")
}

fn action(action: &str) -> String {
    rule(r#"{ "event": { "pattern": { "é": [1] } } }"#, &format!("[\n{action}]"), "")
}

fn triggered(trigger: &str) -> String {
    rule(trigger, &format!("[{ACT}]"), "")
}

fn beside(member: &str) -> String {
    rule(r#"{ "manual": {} }"#, &format!("[{ACT}]"), member)
}

fn settings(members: &str) -> String {
    format!("{{ {members},\n \"rules\": [] }}")
}

/// The text without its mark, and the line and column where it was.
fn marked(text: &str) -> (String, usize, usize) {
    let at = text.find('§').unwrap_or_else(|| panic!("no mark in {text}"));
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (text.replace('§', ""), line, column)
}

fn table() -> Vec<(String, &'static str, &'static str)> {
    let locked = |approval: &str| {
        let lock = format!(r#"{{ "key": "a", "type": "lock_account", "approval": {approval} }}"#);
        format!(r#"{{ {GROUPS}, "rules": {} }}"#, action(&lock))
    };
    let scale = |more: &str| {
        format!(r#""scales": [§{{ "id": "s", "low": 0, "high": 9, "high_is": "safe", "bands": [{more}] }}]"#)
    };
    vec![
        ("[\n{ \"id\": §}]".into(), "", "expected a JSON value"),
        ("§true".into(), "", "accepted: a rule, an array of rules, or an object with `rules`"),
        ("[§7]".into(), "/0", "accepted: a rule"),
        (triggered("§[]"), "/0/trigger", "one of `event`, `score`, `schedule`, `deadline`, `manual`"),
        (triggered(r#"{ "manual": §7 }"#), "/0/trigger/manual", "accepted: an empty object"),
        (
            triggered(r#"{ "event": { "pattern": { "a": [1] }, "sources": §"okta" } }"#),
            "/0/trigger/event/sources",
            "accepted: an array of sources",
        ),
        (beside("§\"titel\": \"x\","), "/0/titel", "accepted: `id`, `title`, `revision`, `mode`"),
        (triggered("{ \"manual\": { §\"by\": 1 } }"), "/0/trigger/manual/by", "accepted: none"),
        (beside("§\"id\": \"q\","), "/0/id", "keep one"),
        (
            format!("[ §{{ \"trigger\": {{ \"manual\": {{}} }}, \"actions\": [{ACT}] }} ]"),
            "/0",
            "the field `id` is missing",
        ),
        (
            action(r#"{ "key": "a", "type": "escalate_to_hr", "for": §"1h" }"#),
            "/0/actions/0/for",
            "accepted: types that restrict and name an `inverse`",
        ),
        (
            action(
                r#"{ "key": "a", "type": "lock_account", "approval": "none",
                "for": { "ladder": ["2h", §"1h"], "decay": "1d" } }"#,
            ),
            "/0/actions/0/for/ladder/1",
            "accepted: rungs that rise",
        ),
        (
            action(r#"{ "key": "a", "type": "lock_account", "approval": "none", "for": §7 }"#),
            "/0/actions/0/for",
            "accepted: a text",
        ),
        (
            format!(
                r#"{{ {GROUPS}, "policy": "strict", "rules": {} }}"#,
                action(r#"§{ "key": "a", "type": "lock_account" }"#)
            ),
            "/rules/0/actions/0",
            "1 approver(s) must agree; the policy is strict: set `for`, or ask two approvers",
        ),
        (settings("\"policy\": §\"loose\""), "/policy", "accepted: lenient, strict"),
        (
            settings(
                "\"types\": [{ \"name\": \"own\", \"category\": \"training\", \"inverse\": §\"gone\" }]",
            ),
            "/types/0/inverse",
            "declare it as well, or name none",
        ),
        (
            settings(
                "\"types\": [{ \"name\": \"own\", \"category\": \"training\", \"inverse\": §\"lock_account\" }]",
            ),
            "/types/0/inverse",
            "accepted: a type that takes nothing away",
        ),
        (
            settings("\"types\": [§{ \"name\": \"unlock_account\", \"category\": \"training\" }]"),
            "/types/0",
            "choose another name",
        ),
        (rule(r#"{ "manual": {} }"#, "§[]", ""), "/0/actions", "0 actions; accepted: 1 to 16"),
        (triggered("§{}"), "/0/trigger", "accepted: 1 to 1"),
        (
            beside("\"author\": §\" bo\","),
            "/0/author",
            "actor id begins or ends with white space; accepted: 1 to 256 bytes",
        ),
        (beside("\"mode\": §\"on\","), "/0/mode", "accepted: off, shadow, live"),
        (
            settings(r#""quiet_hours": [{ "from": §"8:00", "to": "20:00" }]"#),
            "/quiet_hours/0/from",
            "accepted: `00:00` to `24:00`",
        ),
        (
            settings(r#""quiet_hours": [§{ "from": "08:00", "to": "08:00" }]"#),
            "/quiet_hours/0",
            "accepted: `from` and `to` that differ",
        ),
        (
            settings(r#""maintenance": [{ "from": §"today", "to": "2026-03-02T12:00:00Z" }]"#),
            "/maintenance/0/from",
            "RFC 3339",
        ),
        (
            settings(r#""maintenance": [{ "from": "2026-03-02T12:00:00Z", "to": §"2026-03-02T12:00:00Z" }]"#),
            "/maintenance/0/to",
            "accepted: an end that comes later",
        ),
        (
            settings(r#""caps": [§{ "count": 1, "in": "1h" }]"#),
            "/caps/0",
            "set `approvers.default`, or say `on_exceed`",
        ),
        (
            settings(r#""caps": [{ "percent": §1, "in": "1h", "per": "subject", "on_exceed": "suppress" }]"#),
            "/caps/0/percent",
            "accepted for each subject: `count`",
        ),
        (
            beside("\"guards\": { \"cooldown\": { \"for\": §\"1 hour\" } },"),
            "/0/guards/cooldown/for",
            "such as `24h`",
        ),
        (
            beside("\"guards\": { \"cooldown\": { \"for\": §\"367d\" } },"),
            "/0/guards/cooldown/for",
            "accepted: 1s to 366d",
        ),
        (
            triggered(r#"{ "event": { "pattern": { "a": [1] }, "window": { "count": §0, "in": "1h" } } }"#),
            "/0/trigger/event/window/count",
            "a whole number from 1 to 1000",
        ),
        (
            triggered(r#"{ "event": { "pattern": { "a": [1] }, "window": §{ "count": 3 } } }"#),
            "/0/trigger/event/window",
            "the field `in` is missing",
        ),
        (
            triggered(r#"{ "event": { "pattern": { "a": [1] }, "window": { "count": 3, "in": §"32d" } } }"#),
            "/0/trigger/event/window/in",
            "accepted: 1s to 31d",
        ),
        (
            triggered(
                r#"{ "event": { "pattern": { "a": [1] }, "window": { "distinct": §"a..b", "count": 3, "in": "1h" } } }"#,
            ),
            "/0/trigger/event/window/distinct",
            "accepted: names joined by dots",
        ),
        (
            triggered(
                r#"{ "event": { "pattern": { "a": [1] }, "window": { "distinct": "a", "count": §101, "in": "1h" } } }"#,
            ),
            "/0/trigger/event/window/count",
            "a whole number from 1 to 100",
        ),
        (
            triggered(
                r#"{ "event": { "pattern": { "a": [1] }, "window": { "then": { "pattern": { "b": §[] } }, "in": "1h" } } }"#,
            ),
            "/0/trigger/event/window/then/pattern/b",
            "name at least one alternative",
        ),
        (
            triggered(
                r#"{ "event": { "pattern": { "a": [1] }, "window": { "then": { "pattern": { "b": [1] } }, "in": "1h", "count": §2 } } }"#,
            ),
            "/0/trigger/event/window/count",
            "nothing beside `then`",
        ),
        (
            triggered(
                r#"{ "event": { "pattern": { "a": [1] }, "window": { "then": { "pattern": { "b": [1] }, "sources": §["x", "x"] }, "in": "1h" } } }"#,
            ),
            "/0/trigger/event/window/then/sources",
            "`x` stands twice",
        ),
        (
            beside("\"guards\": { \"cooldown\": { \"per\": §\"source\", \"for\": \"1h\" } },"),
            "/0/guards/cooldown/per",
            "accepted: subject, field",
        ),
        (
            beside("\"guards\": { \"cooldown\": §{ \"per\": \"field\", \"for\": \"1h\" } },"),
            "/0/guards/cooldown",
            "the field `field` is missing",
        ),
        (
            beside(
                "\"guards\": { \"cooldown\": { \"per\": \"subject\", \"field\": §\"a\", \"for\": \"1h\" } },",
            ),
            "/0/guards/cooldown/field",
            "no `field` where the rule rests per `subject`",
        ),
        (
            beside("\"guards\": { \"cooldown\": { \"field\": §\"a\", \"for\": \"1h\" } },"),
            "/0/guards/cooldown/field",
            "accepted here: `per` `subject`",
        ),
        (beside("\"revision\": §0,"), "/0/revision", "a whole number from 1 to 4294967295"),
        (
            triggered(r#"{ "event": { "pattern": { "a": §[] } } }"#),
            "/0/trigger/event/pattern/a",
            "name at least one alternative",
        ),
        (
            triggered(r#"{ "schedule": { "cron": §"0 9 * *", "audience": "all" } }"#),
            "/0/trigger/schedule/cron",
            "accepted: minute, hour",
        ),
        (
            triggered(r#"{ "schedule": { "cron": "@daily", "zone": §"Berlin", "audience": "all" } }"#),
            "/0/trigger/schedule/zone",
            "`Europe/Berlin`",
        ),
        (
            triggered(r#"{ "schedule": { "cron": "@daily", "audience": §7 } }"#),
            "/0/trigger/schedule/audience",
            "`\"all\"`, an object with `band`, or an object with `attributes`",
        ),
        (settings(&scale("")), "/scales/0", "accepted: 1 to 32 bands"),
        (
            settings("\"types\": [{ \"name\": §\"Lock\", \"category\": \"training\" }]"),
            "/types/0/name",
            "1 to 64 lower-case letters",
        ),
        (
            settings("\"types\": [§{ \"name\": \"lock_account\", \"category\": \"training\" }]"),
            "/types/0",
            "choose another name",
        ),
        (
            action(r#"{ "key": "a", "type": "assign_training", "params": §{} }"#),
            "/0/actions/0/params",
            "`course` is missing; accepted: a text",
        ),
        (
            action(r#"{ "key": "a", "type": "assign_training", "params": { "course": §true } }"#),
            "/0/actions/0/params/course",
            "accepted: a text that is not empty",
        ),
        (
            action(r#"{ "key": "a", "type": "escalate_to_hr", "params": { "note": §["c"] } }"#),
            "/0/actions/0/params/note",
            "accepted: a text, a number, true or false",
        ),
        (
            triggered(r#"{ "score": { "enters": [§"Red"] } }"#),
            "/0/trigger/score/enters/0",
            "accepted: 1 to 64 characters of a-z",
        ),
        (action(r#"{ "key": "a", "type": §"lock" }"#), "/0/actions/0/type", "`lock_account`"),
        (
            action(r#"{ "key": "a", "type": "escalate_to_hr", "params": { "note": §"{score}" } }"#),
            "/0/actions/0/params/note",
            "event.<path>",
        ),
        (
            triggered(r#"{ "score": { "scale": §"risk", "enters": ["red"] } }"#),
            "/0/trigger/score/scale",
            "`default`, or one that the document declares",
        ),
        (
            triggered(r#"{ "score": { "enters": [§"pink"] } }"#),
            "/0/trigger/score/enters/0",
            "accepted: `green`, `yellow`",
        ),
        (
            triggered(r#"{ "schedule": { "cron": "@daily", "audience": { "band": ["red", §"pink"] } } }"#),
            "/0/trigger/schedule/audience/band/1",
            "accepted: `green`, `yellow`",
        ),
        (
            action(r#"§{ "key": "a", "type": "lock_account" }"#),
            "/0/actions/0/approval",
            "set `approvers.default`",
        ),
        (
            locked(r#"§{ "groups": [{ "name": "h" }] }"#),
            "/rules/0/actions/0/approval",
            "declare its members under `approvers.groups`",
        ),
        (
            locked(r#"§{ "groups": [{ "name": "g", "need": 3 }] }"#),
            "/rules/0/actions/0/approval",
            "3 distinct approver(s) of `g` are needed, but only 2 can be found (`bo`, `cy`); 1 more must be added: 1 of `g`",
        ),
        (
            locked(r#"{ "groups": [{ "name": "g", "need": §0 }] }"#),
            "/rules/0/actions/0/approval/groups/0/need",
            "a whole number from 1 to 20",
        ),
        (locked(r#"{ "within": §"31d" }"#), "/rules/0/actions/0/approval/within", "accepted: 1s to 30d"),
        (
            locked("§\"always\""),
            "/rules/0/actions/0/approval",
            "`\"none\"`, `\"required\"`, or an object with `groups` or `stages`",
        ),
        (
            locked(r#"{ "groups": §[{ "name": "g" }, { "name": "g" }] }"#),
            "/rules/0/actions/0/approval/groups",
            "keep one",
        ),
        (
            locked(
                r#"§{ "groups": [{ "name": "g" }], "within": "20d", "fallback": { "groups": [{ "name": "g" }], "within": "11d" } }"#,
            ),
            "/rules/0/actions/0/approval",
            "last 31d; accepted: at most 30d",
        ),
        (locked(r#"{ "stages": §[] }"#), "/rules/0/actions/0/approval/stages", "0 stages; accepted: 1 to 5"),
        (
            locked(r#"{ "stages": [{ "groups": [{ "name": "g" }] }], §"within": "1h" }"#),
            "/rules/0/actions/0/approval/within",
            "unknown field `within`; accepted: `stages`, `comment`, `start_within`",
        ),
        (
            locked(r#"{ "stages": [{ "groups": [{ "name": "g" }] }, { "within": §"31d" }] }"#),
            "/rules/0/actions/0/approval/stages/1/within",
            "accepted: 1s to 30d",
        ),
        (
            locked(r#"{ "fallback": §{ "within": "1h" } }"#),
            "/rules/0/actions/0/approval/fallback",
            "the field `groups` is missing",
        ),
        (
            locked(r#"{ "groups": [{ "name": "g" }], "fallback": { "groups": §[] } }"#),
            "/rules/0/actions/0/approval/fallback/groups",
            "0 groups; accepted: 1 to 8",
        ),
        (
            locked(r#"{ "comment": §"always" }"#),
            "/rules/0/actions/0/approval/comment",
            "accepted: optional, on_reject, on_approve, required",
        ),
        (
            settings("\"approvers\": { \"operators\": §[\"bo\", \"bo\"] }"),
            "/approvers/operators",
            "`bo` stands twice; keep one",
        ),
        (
            settings(r#""quiet_hours": [{ "from": §"8:00", "to": "09:00" }]"#),
            "/quiet_hours/0/from",
            "accepted: `00:00` to `24:00`, two digits each",
        ),
        (
            settings(r#""quiet_hours": [§{ "from": "08:00", "to": "08:00" }]"#),
            "/quiet_hours/0",
            "and less than the whole week",
        ),
        (
            settings(r#""maintenance": [{ "from": "2026-03-02T12:00:00Z", "to": §"2026-03-02T11:00:00Z" }]"#),
            "/maintenance/0/to",
            "accepted: an end that comes later",
        ),
        (
            beside(r#""guards": { "not_before": §"noon" },"#),
            "/0/guards/not_before",
            "accepted: RFC 3339 with a zone",
        ),
        (beside(r#""guards": { "rollout": §101 },"#), "/0/guards/rollout", "a whole number from 0 to 100"),
        (
            settings("\"approvers\": { \"default\": §\"h\", \"groups\": { \"g\": [\"bo\"] } }"),
            "/approvers/default",
            "declare its members",
        ),
        (
            settings("\"approvers\": { \"groups\": { \"g\": §[] } }"),
            "/approvers/groups/g",
            "0 members; accepted: 1 to 1000",
        ),
        (
            format!(
                "[{{ \"id\": \"r\", \"trigger\": {{ \"manual\": {{}} }}, \"actions\": [{ACT}] }},\n {{ \"id\": §\"r\", \"trigger\": {{ \"manual\": {{}} }}, \"actions\": [{ACT}] }}]"
            ),
            "/1/id",
            "every rule has an id of its own",
        ),
        (
            action(&format!("{ACT},\n{{ \"key\": §\"a\", \"type\": \"escalate_to_hr\" }}")),
            "/0/actions/1/key",
            "records are told apart by it",
        ),
        (beside("\"title\": §\"\","), "/0/title", "0 bytes of title; accepted: 1 to 256"),
    ]
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (text, pointer, accepted) in table() {
        let (text, line, column) = marked(&text);
        let error = RuleSet::from_json(&text).expect_err(&text);
        let [fault] = error.faults.as_slice() else { panic!("one fault: {error}\n{text}") };
        assert_eq!(fault.pointer, pointer, "{error}\n{text}");
        assert_eq!((fault.line, fault.column), (line, column), "{error}\n{text}");
        let place = format!("line {line}, column {column}");
        rows.extend([row(&error, accepted), row(fault, &place), row(&fault.fault, accepted)]);
    }
    let large = " ".repeat(MAX_DOCUMENT_BYTES + 1);
    let error = RuleSet::from_json(&large).unwrap_err();
    rows.push(row(&error.faults[0].fault, "at most 67108864"));
    rows
}

#[test]
fn all_faults_of_a_document_are_told_at_once_in_the_order_of_its_text() {
    // Every row of the table is one rule of a large document, so that faults of all kinds and
    // stages stand beside each other.
    let mut text = String::from("[");
    let mut pointers = Vec::new();
    let mut places = Vec::new();
    let bodies = table().into_iter().filter_map(|(text, pointer, _)| {
        let one = text.strip_prefix("[\n  ")?.strip_suffix(" ]")?.to_owned();
        Some((one, pointer))
    });
    for (n, (body, pointer)) in bodies.enumerate() {
        text.push_str(if n == 0 { "\n" } else { ",\n" });
        // Each has an id of its own, but for the row whose fault is an id.
        text.push_str(&body.replacen(r#""id": "r""#, &format!(r#""id": "r{n}""#), 1));
        pointers.push(pointer.replacen("/0", &format!("/{n}"), 1));
    }
    text.push(']');
    assert!(pointers.len() > 20);
    for (at, _) in text.match_indices('§') {
        let before = text[..at].replace('§', "");
        let line = before.matches('\n').count() + 1;
        places.push((line, before.rsplit('\n').next().unwrap().chars().count() + 1));
    }
    let error = RuleSet::from_json(&text.replace('§', "")).unwrap_err();
    let told: Vec<_> = error.faults.iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(told, places, "{error}");
    let told: Vec<_> = error.faults.iter().map(|fault| fault.pointer.clone()).collect();
    assert_eq!(told, pointers);
    assert!(error.to_string().starts_with(&format!("the document has {} fault(s)\n", pointers.len())));
}

#[test]
fn what_is_built_in_rust_is_held_to_the_same_limits() {
    let action = |approval| RuleAction::new(id("a"), BuiltinAction::LockAccount).approval(approval);
    let policy = |edit: fn(&mut ApprovalPolicy)| {
        let mut policy =
            ApprovalPolicy { groups: vec![Quorum { name: id("g"), need: 1 }], ..ApprovalPolicy::default() };
        edit(&mut policy);
        Rule::new(id("r"), Trigger::Manual).action(action(ApprovalSetting::Required(policy)))
    };
    let plain =
        || Rule::new(id("r"), Trigger::Manual).action(RuleAction::new(id("a"), BuiltinAction::EscalateToHr));
    let confirm = RuleAction {
        confirm_within: Some(Span::ZERO),
        ..RuleAction::new(id("a"), BuiltinAction::EscalateToHr)
    };
    let mut score = ScoreTrigger::new(id("default"), vec![id("red")]);
    score.cooldown = Span::days(400);
    let score = Rule { trigger: Trigger::Score(score), ..plain() };
    for (rule, pointer, accepted) in [
        (policy(|p| p.groups[0].need = 0), "/rules/0/actions/0/approval/groups/0/need", "1 to 20"),
        (policy(|p| p.rejections = 0), "/rules/0/actions/0/approval/rejections", "1 to 20"),
        (policy(|p| p.within = Span::ZERO), "/rules/0/actions/0/approval/within", "1s to 30d"),
        (
            policy(|p| p.start_within = Span::days(31)),
            "/rules/0/actions/0/approval/start_within",
            "1s to 30d",
        ),
        (plain().cooldown(Span::ZERO), "/rules/0/guards/cooldown/for", "1s to 366d"),
        (Rule { revision: Some(0), ..plain() }, "/rules/0/revision", "from 1"),
        (
            Rule::new(id("r"), Trigger::Manual).action(confirm),
            "/rules/0/actions/0/confirm_within",
            "1s to 90d",
        ),
        (score, "/rules/0/trigger/score/cooldown", "0s to 366d"),
    ] {
        let error =
            RuleSet::new(Settings::default(), vec![rule], &ActionCatalog::default()).expect_err(pointer);
        let [fault] = error.faults.as_slice() else { panic!("{error}") };
        assert_eq!((fault.pointer.as_str(), fault.line, fault.column), (pointer, 0, 0));
        assert!(fault.to_string().contains(accepted), "{fault}");
    }
    let nobody = Settings { groups: [(id("g"), Vec::new())].into(), ..Settings::default() };
    let error = RuleSet::new(nobody, Vec::new(), &ActionCatalog::default()).unwrap_err();
    assert_eq!(error.faults[0].pointer, "/approvers/groups/g");
    let mut spec = ActionSpec::new(id("own"), "Own", Category::Training);
    spec.success = Success::Confirmed(Span::days(91));
    let typed = Settings { types: vec![spec], ..Settings::default() };
    let error = RuleSet::new(typed, Vec::new(), &ActionCatalog::default()).unwrap_err();
    assert_eq!(error.faults[0].pointer, "/types/0/confirm_within");
    assert!(RuleSet::new(Settings::default(), vec![plain()], &ActionCatalog::default()).is_ok());
}

#[test]
fn a_rules_document_is_one_rule() {
    let one = r#"{ "id": "r", "trigger": { "manual": {} }, "actions": [] }"#;
    assert!(Rule::from_json(one).is_ok());
    for (text, found) in
        [(format!("[{one}, {one}]"), "2 rules; accepted: 1 to 1"), ("[]".into(), "0 rules; accepted: 1 to 1")]
    {
        assert!(Rule::from_json(&text).unwrap_err().to_string().contains(found), "{text}");
    }
}
