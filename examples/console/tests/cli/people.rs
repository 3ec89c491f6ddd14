//! What people order and answer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{all_rows, at, fails, json, run};
use crate::{ids, rows, world};

#[test]
fn people_start_actions_and_answer_for_them() {
    let dir = world();
    let dir = dir.path();
    let refused = |args: &[&str], status, part: &str| {
        let error = fails(at(dir, &["start"]).args(args), status);
        assert!(error.contains(part), "{part} in {error}");
    };
    refused(&["lock_acount", "u-7", "--reason", "x"], 1, "unknown action type `lock_acount`");
    refused(&["create_ticket", "u-7", "--reason", "x", "--param", "queue=q"], 1, "`title` is missing");
    refused(&["create_ticket", "u-7", "--reason", "x", "--param", "colour=red"], 1, "`colour` is not one of");
    refused(&["create_ticket", "u-7", "--reason", "x", "--param", "queue"], 2, "accepted: NAME=VALUE");
    refused(&["lock_account", "u-7"], 2, "--reason");
    refused(&["lock_account", "u-7", "--reason", ""], 1, "the reason has 0 bytes");
    refused(&["rule:note", "u-7", "--reason", "x"], 1, "no active rule `note` with a manual trigger");

    let order = [
        "start",
        "lock_account",
        "u-7",
        "--session",
        "s-1",
        "--reason",
        "a stolen laptop",
        "--by",
        "s3",
        "--id",
        "order-1",
    ];
    let decision = json(&mut at(dir, &order));
    assert_eq!(json(&mut at(dir, &order))["id"], decision["id"], "the same id is one order");
    let row = all_rows(dir, &["log", "--session", "s-1"]);
    assert_eq!(
        (row.len(), &row[0]["origin"]["operator"], &row[0]["origin"]["reason"]),
        (1, &json!("s3"), &json!("a stolen laptop"))
    );
    run(&mut at(dir, &["start", "rule:leave", "u-8", "--reason", "last day", "--by", "s3"]));
    assert_eq!(json(&mut at(dir, &["run"]))["succeeded"], 3, "a rule's action, and notices to s1 and s2");
    let leave = all_rows(dir, &["log", "--rule", "leave", "--trigger", "manual"]);
    assert_eq!((leave.len(), &leave[0]["status"]), (1, &json!("succeeded")));
    assert!(dir.join("outbox/hr").join(format!("{}.json", ids(&leave)[0])).exists());
}

#[test]
fn two_of_three_agree_and_nobody_to_what_concerns_themselves() {
    let dir = world();
    let dir = dir.path();
    let open = json(&mut at(dir, &["approvals", "list"]));
    let asked: BTreeMap<&str, &Value> = rows(&open)
        .iter()
        .map(|row| (row["approval"]["subject"]["user"].as_str().expect("a user"), &row["approval"]))
        .collect();
    assert_eq!(asked.keys().copied().collect::<Vec<_>>(), ["s1", "u-2"]);
    let id = |user: &str| asked[user]["id"].as_str().expect("an id");
    let digest = |user: &str| asked[user]["digest"].as_str().expect("a digest");
    let answer = |word: &str, user: &str, by: &str, more: &[&str]| {
        let mut command = at(dir, &["approvals", word, id(user), "--by", by]);
        command.args(more);
        command
    };
    let mut refusals = BTreeSet::new();
    for (user, by, more, why) in [
        ("s1", "s1", &[][..], "`s1` is the subject of the action"),
        ("u-2", "u-3", &[], "`u-3` belongs to none of the groups"),
        ("u-2", "s1", &["--digest", digest("s1")], "the answer is for other content"),
    ] {
        let error = fails(&mut answer("approve", user, by, more), 1);
        assert!(error.contains(why), "{why} in {error}");
        refusals.insert(error.trim_start_matches("error: ").trim().to_owned());
    }
    let audited = json(&mut at(dir, &["audit", "list", "--code", "APPROVAL_VOTE_REFUSED"]));
    let reasons =
        rows(&audited).iter().map(|row| row["details"]["reason"]["text"].as_str().expect("why").to_owned());
    assert_eq!(reasons.collect::<BTreeSet<_>>(), refusals);

    assert!(
        run(&mut answer("approve", "u-2", "s1", &["--digest", digest("u-2")]))
            .ends_with("; 1 more must agree\n")
    );
    assert_eq!(json(&mut at(dir, &["run"]))["attempts"], 0, "one of two is not enough");
    assert!(fails(&mut answer("approve", "u-2", "s1", &[]), 1).contains("`s1` has answered already"));
    let granted = json(&mut answer("approve", "u-2", "s2", &["--comment", "seen"]));
    assert_eq!((&granted["approval"]["state"], &granted["missing"]), (&json!("granted"), &json!(0)));
    assert_eq!(json(&mut at(dir, &["run"]))["succeeded"], 1);
    assert!(fails(&mut answer("reject", "u-2", "s3", &[]), 1).contains("the request is granted"));

    let rejected = run(&mut answer("reject", "s1", "s2", &["--comment", "a drill"]));
    assert!(rejected.contains(" rejected: ") && !rejected.contains("must agree"), "{rejected}");
    assert_eq!(json(&mut at(dir, &["approvals", "list"]))["rows"], json!([]));
    assert_eq!(rows(&json(&mut at(dir, &["approvals", "list", "--state", "rejected"]))).len(), 1);
    let failed = run(&mut at(dir, &["log", "--status", "failed"]));
    assert!(failed.contains("reject by s2"), "{failed}");
    let approved = all_rows(dir, &["log", "--approver", "s2", "--status", "succeeded"]);
    let shown = run(&mut at(dir, &["log", "show", ids(&approved)[0]]));
    for part in [
        "succeeded (done)",
        "Signal\n",
        "event e2",
        "Approval\n",
        "approve by s2",
        ": seen",
        "Audit\n",
        "ENFORCEMENT_SUCCEEDED",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let unknown = format!("enf_{:032}", 0);
    assert!(
        fails(&mut at(dir, &["log", "show", &unknown]), 1).contains(&format!("no enforcement `{unknown}`"))
    );
}
