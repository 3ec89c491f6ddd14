//! What people order and answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

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
    refused(
        &["rule:leave", "u-7", "--reason", "x", "--param", "a=b"],
        1,
        "have their parameters from the rule",
    );
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

#[test]
fn a_request_is_shown_handed_on_and_reassigned() {
    let dir = world();
    let dir = dir.path();
    let open = json(&mut at(dir, &["approvals", "list"]));
    let row = rows(&open).iter().find(|row| row["approval"]["subject"]["user"] == "u-2").expect("a request");
    let id = row["approval"]["id"].as_str().expect("an id");
    let shown = run(&mut at(dir, &["approvals", "show", id]));
    assert!(
        shown.contains("if nobody answers: it expires") && shown.contains("more must agree within"),
        "{shown}"
    );
    let data = json(&mut at(dir, &["approvals", "show", id]));
    assert_eq!((&data["stage"]["missing"], &data["if_unanswered"]), (&json!(2), &json!("expires")));

    run(&mut at(dir, &["approvals", "delegate", id, "--by", "s1", "--to", "s2"]));
    let answered =
        json(&mut at(dir, &["approvals", "approve", id, "--by", "s2", "--for", "s1", "--comment", "for s1"]));
    assert_eq!(
        (&answered["missing"], &answered["approval"]["votes"][0]["on_behalf_of"]),
        (&json!(1), &json!("s1"))
    );
    assert!(
        fails(&mut at(dir, &["approvals", "approve", id, "--by", "s2"]), 1).contains("has answered already")
    );

    let reassign = |by: &str, group: &str, status| {
        let args = ["approvals", "reassign", id, "--by", by, "--group", group, "--reason", "on leave"];
        fails(&mut at(dir, &args), status)
    };
    assert!(reassign("s3", "security=2", 1).contains("`s3` may not name other approvers"));
    assert!(reassign("op", "security=1", 1).contains("accepted: as many or more"));
    assert!(reassign("op", "security=none", 2).contains("accepted: NAME or NAME=N"));
    let args = [
        "approvals",
        "reassign",
        id,
        "--by",
        "op",
        "--person",
        "s2",
        "--person",
        "s3",
        "--need",
        "2",
        "--reason",
        "x",
    ];
    assert_eq!(json(&mut at(dir, &args))["missing"], 2, "s1, for whom s2 answered, is not asked any more");
}

#[test]
fn many_requests_are_answered_under_one_digest() {
    let dir = world();
    let dir = dir.path();
    let batch = json(&mut at(dir, &["approvals", "batch"]));
    assert_eq!(batch["members"].as_array().map(Vec::len), Some(2));
    let digest = batch["digest"].as_str().expect("a digest");
    assert!(run(&mut at(dir, &["approvals", "batch"])).ends_with(&format!("2 requests, digest {digest}\n")));
    fails(&mut at(dir, &["approvals", "batch", "--answer", "reject", "--by", "s1"]), 2);
    let answer = |digest: &str| {
        let args = ["approvals", "batch", "--answer", "reject", "--by", "s1", "--digest", digest];
        fails(&mut at(dir, &args), 1)
    };
    assert!(answer(&"0".repeat(64)).contains("look again and answer again"));
    // s1 is the subject of one of them: the other is answered, and the call says so by its status.
    let call = |dir: &Path, form: &[&str]| {
        let mut command =
            at(dir, &["approvals", "batch", "--answer", "reject", "--by", "s1", "--digest", digest]);
        let output = command.args(form).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{form:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = call(dir, &[]);
    assert!(text.contains("1 answered, 1 refused") && text.contains("`s1` is the subject"), "{text}");
    let same = world();
    let data: Value = serde_json::from_str(&call(same.path(), &["--json"])).expect("JSON");
    assert_eq!(
        (data["answered"].as_array().map(Vec::len), data["refused"].as_array().map(Vec::len)),
        (Some(1), Some(1))
    );
}

#[test]
fn glass_is_broken_and_a_finding_counts_for_the_rule() {
    let dir = world();
    let dir = dir.path();
    let start =
        |by: &str| at(dir, &["start", "lock_account", "u-9", "--reason", "now", "--by", by, "--break-glass"]);
    assert!(fails(&mut start("s1"), 1).contains("`s1` may not start `lock_account` before it is approved"));
    run(&mut start("op"));
    run(&mut at(dir, &["run"]));
    let row = all_rows(dir, &["log", "--subject", "u-9"]);
    assert_eq!((row.len(), &row[0]["status"]), (1, &json!("succeeded")));
    let critical = json(&mut at(dir, &["audit", "list", "--code", "ENFORCEMENT_BROKE_GLASS"]));
    assert_eq!(rows(&critical)[0]["severity"], "Critical");

    let lock = ids(&row)[0];
    assert!(
        fails(&mut at(dir, &["verdict", lock, "false_positive", "--by", "s1"]), 1).contains("may not judge")
    );
    run(&mut at(dir, &["verdict", lock, "false_positive", "--by", "op", "--comment", "the wrong one"]));
    run(&mut at(dir, &["run"]));
    let undone = all_rows(dir, &["log", "--subject", "u-9", "--action", "unlock_account"]);
    assert_eq!((undone.len(), &undone[0]["status"]), (1, &json!("succeeded")));
    let leave = ["start", "rule:leave", "u-8", "--reason", "last day", "--by", "s3"];
    run(&mut at(dir, &leave));
    run(&mut at(dir, &["run"]));
    let done = all_rows(dir, &["log", "--rule", "leave"]);
    run(&mut at(dir, &["verdict", ids(&done)[0], "true_positive", "--by", "op"]));
    let rules = run(&mut at(dir, &["rules", "list"]));
    // A cell may be broken over lines.
    let words: Vec<&str> =
        rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '%').filter(|w| !w.is_empty()).collect();
    assert!(words.join(" ").contains("judged"), "{rules}");
}
