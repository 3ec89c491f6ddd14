//! What people stop: rules that rest, and the kill switch.

use std::fs;

use serde_json::json;

use crate::rows;
use crate::support::{at, fails, inputs, json, run};

#[test]
fn a_rule_rests_and_is_resumed_with_reasons() {
    let dir = inputs();
    let dir = dir.path();
    run(at(dir, &["rules", "add"]).arg(dir.join("rules.json")));
    let change = |what: &str| at(dir, &["rules", what, "leave", "--by", "olga", "--reason", "a drill"]);
    let start =
        |n: &str| at(dir, &["start", "rule:leave", "u-7", "--reason", "left", "--by", "op", "--id", n]);
    assert_eq!(run(&mut change("pause")), "rule `leave` rests\n");
    let listed = run(&mut at(dir, &["rules", "list"]));
    // A cell breaks its lines, so only words of it are looked for.
    assert!(listed.contains("paused by") && listed.contains("drill"), "{listed}");
    let of_leave = |list: serde_json::Value| {
        let rows = list.as_array().expect("rules").clone();
        rows.into_iter().find(|row| row["id"] == "leave").expect("the rule")
    };
    let pause = of_leave(json(&mut at(dir, &["rules", "list"])))["paused"].clone();
    assert_eq!((&pause["by"], &pause["reason"]), (&"person:olga".into(), &"a drill".into()));
    run(&mut start("o1"));
    assert_eq!(rows(&json(&mut at(dir, &["log"]))).len(), 0);
    assert_eq!(rows(&json(&mut at(dir, &["signals", "--suppressed", "paused"]))).len(), 1);
    assert!(run(&mut at(dir, &["kill-switch", "show"])).contains("rule leave: rests since"));

    assert_eq!(run(&mut change("resume")), "rule `leave` acts again\n");
    run(&mut start("o2"));
    assert_eq!(rows(&json(&mut at(dir, &["log"]))).len(), 1);
    for what in ["pause", "resume"] {
        assert!(fails(&mut at(dir, &["rules", what, "leave"]), 2).contains("--reason"));
        let nobody = fails(&mut at(dir, &["rules", what, "nope", "--reason", "r"]), 1);
        assert!(nobody.contains("no rule `nope`"), "{nobody}");
        let blank = fails(&mut at(dir, &["rules", what, "leave", "--reason", " "]), 1);
        assert!(blank.contains("the reason has 1 bytes"), "{blank}");
    }
}

#[test]
fn the_kill_switch_stops_a_part_or_all_and_shows_it() {
    let dir = inputs();
    let dir = dir.path();
    for tenant in ["default", "other"] {
        run(at(dir, &["--tenant", tenant, "rules", "add"]).arg(dir.join("rules.json")));
    }
    let start = |n: &str| at(dir, &["start", "escalate_to_hr", "u-7", "--reason", "left", "--id", n]);
    run(&mut start("o1"));
    let scopes: [(&[&str], &str); 4] = [
        (&[], "tenant"),
        (&["--rule", "leave"], "rule leave"),
        (&["--action", "escalate_to_hr"], "type escalate_to_hr"),
        (&["--all", "default", "other"], "global"),
    ];
    for (args, told) in scopes {
        let call = |what: &str| {
            let mut call = at(dir, &["kill-switch", what, "--by", "olga", "--reason", "a breach"]);
            call.args(args);
            call
        };
        assert_eq!(run(&mut call("engage")), format!("engaged: {told}\nnothing is in flight\n"));
        let shown = run(&mut at(dir, &["kill-switch", "show"]));
        assert!(
            shown.contains(&format!("{told}: stopped by olga at 2026-03-02T10:00:00Z: a breach")),
            "{shown}"
        );
        if told != "rule leave" {
            run(&mut at(dir, &["run"]));
            let waiting = json(&mut at(dir, &["log", "--status", "pending"]));
            assert_eq!(rows(&waiting).len(), 1, "{told}: nothing is carried out");
        }
        assert_eq!(run(&mut call("release")), format!("released: {told}\n"));
    }
    assert_eq!(run(&mut at(dir, &["kill-switch", "show"])), "nothing is stopped\nnothing is in flight\n");
    run(&mut at(dir, &["run"]));
    assert_eq!(rows(&json(&mut at(dir, &["log", "--status", "succeeded"]))).len(), 1);
    let engaged = json(&mut at(dir, &["audit", "list", "--code", "POLICY_KILL_SWITCH_ENGAGED"]));
    assert_eq!(rows(&engaged).len(), 4);
    // A name that is mistyped stops nothing, and that is said.
    for (args, told) in [
        (["--rule", "leaf"], "no rule `leaf`"),
        (["--action", "escalate"], "unknown action type `escalate`; accepted: "),
    ] {
        let mut call = at(dir, &["kill-switch", "engage", "--reason", "a breach"]);
        let error = fails(call.args(args), 1);
        assert!(error.contains(told), "{error}");
    }
    assert_eq!(run(&mut at(dir, &["kill-switch", "show"])), "nothing is stopped\nnothing is in flight\n");
    let missing =
        fails(&mut at(dir, &["kill-switch", "engage", "--rule", "r", "--all", "a", "--reason", "r"]), 2);
    assert!(missing.contains("cannot be used with"), "{missing}");
}

#[test]
fn the_kill_switch_refuses_what_it_would_not_reach() {
    let dir = inputs();
    let dir = dir.path();
    run(at(dir, &["--tenant", "acme", "rules", "add"]).arg(dir.join("rules.json")));
    let call = |what: &str, args: &[&str]| {
        let mut call = at(dir, &["kill-switch", what, "--by", "olga", "--reason", "a breach"]);
        call.args(args);
        call
    };
    // The tenant was left out, or one of several is mistyped: nothing is stopped, and that is said.
    for what in ["engage", "release"] {
        for (args, tenant) in [(&[][..], "default"), (&["--all", "acme", "amce"], "amce")] {
            let error = fails(&mut call(what, args), 1);
            assert!(error.contains(&format!("tenant `{tenant}` has no records here")), "{error}");
        }
    }
    let of = |args: &[&'static str]| [&["--tenant", "acme"], args].concat();
    let shown = || run(&mut at(dir, &["--tenant", "acme", "kill-switch", "show"]));
    assert_eq!(shown(), "nothing is stopped\nnothing is in flight\n");

    run(&mut call("engage", &of(&["--rule", "leave"])));
    run(&mut call("engage", &["--all", "acme"]));
    for args in [of(&[]), of(&["--rule", "leaf"]), of(&["--action", "escalate_to_hr"])] {
        let error = fails(&mut call("release", &args), 1);
        assert!(error.contains("not stopped: "), "{error}");
    }
    let still = "tenant `acme`, still rule leave: stopped by olga at 2026-03-02T10:00:00Z: a breach";
    assert_eq!(run(&mut call("release", &["--all", "acme"])), format!("released: global\n{still}\n"));
    let data = json(&mut call("release", &of(&["--rule", "leave"])));
    assert_eq!(data, json!({ "released": "rule leave", "still_stopped": [] }));
    assert!(fails(&mut call("release", &["--all", "acme"]), 1).contains("not stopped: global"));
}

#[test]
fn a_line_names_the_action_that_caused_it() {
    let dir = inputs();
    let dir = dir.path();
    let line = |cause: &str| {
        format!(
            r#"{{"id":"x","time":"2026-03-02T09:00:00Z","type":"vpn","subject":"u-1","payload":{{"kind":"login"}},"caused_by":"{cause}"}}"#
        )
    };
    let replay = |name: &str, text: String| {
        fs::write(dir.join(name), text).expect("written");
        let mut call = at(dir, &["replay", "--rules"]);
        call.arg(dir.join("rules.json")).arg("--events").arg(dir.join(name));
        run(&mut call)
    };
    replay("caused.ndjson", line("enf_000102030405060708090a0b0c0d0e0f"));
    let asked = json(&mut at(dir, &["approvals", "list", "--all"]));
    let text = asked.to_string();
    assert!(text.contains("the action that is named as the cause is not known"), "{text}");
    replay("wrong.ndjson", line("nobody"));
    let rejects = fs::read_to_string(dir.join("rejects.ndjson")).expect("a line was rejected");
    assert!(rejects.contains("caused_by"), "{rejects}");
}
