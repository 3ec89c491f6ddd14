//! What happens rarely, and what the rules are there for.

use crate::cast::{Exported, Moment, user};
use crate::cloudtrail::{Call, Who, login, record};
use crate::github;
use crate::json::{Chance, Json, object};
use crate::okta::{self, Entry};

pub(crate) fn lines(chance: &mut Chance) -> Vec<Exported> {
    let mut lines = Vec::new();
    second_factors(chance, &mut lines);
    sign_ins(chance, &mut lines);
    keys_and_trails(chance, &mut lines);
    buckets_and_networks(chance, &mut lines);
    repositories(chance, &mut lines);
    lines
}

fn second_factors(chance: &mut Chance, lines: &mut Vec<Exported>) {
    let off = |from: &str| {
        let message = "Reset factor for user";
        Entry {
            severity: "WARN",
            ..Entry::new("user.mfa.factor.deactivate", message, from).target("User", user(3))
        }
    };
    // A privileged person, three times in a quarter of an hour: the rule acts once and rests.
    for minute in [4, 9, 17] {
        lines.push(okta::event(Moment::on(4, 22, minute, 41), Some(3), off("198.51.100.23"), chance));
    }
    lines.push(okta::event(Moment::on(11, 10, 2, 5), Some(6), off("203.0.113.16"), chance));
    // Nobody privileged: the rule does not ask for them.
    for (day, n) in [(3, 27), (5, 33), (10, 38)] {
        lines.push(okta::event(Moment::on(day, 9, 12, 30), Some(n), off("203.0.113.12"), chance));
    }
    for (day, n, by) in [(3, 9, 2), (6, 14, 1), (12, 30, 2)] {
        let entry = Entry::new("user.account.privilege.grant", "Grant user privilege", "203.0.113.11");
        lines.push(okta::event(Moment::on(day, 14, 20, 0), Some(by), entry.target("User", user(n)), chance));
    }
}

fn sign_ins(chance: &mut Chance, lines: &mut Vec<Exported>) {
    for (day, hour) in [(3, 3), (9, 21)] {
        lines.push(record(
            Moment::on(day, hour, 11, 8),
            &Who::Root,
            login("198.51.100.77", false, true),
            chance,
        ));
    }
    lines.push(record(Moment::on(3, 3, 10, 50), &Who::Root, login("198.51.100.77", false, false), chance));
    // One person never uses a second factor: told once a week, not every day.
    for day in [2, 3, 4, 5, 6, 9, 10, 11, 12, 13] {
        lines.push(record(
            Moment::on(day, 8, 3, 27),
            &Who::User(22),
            login("192.0.2.122", false, true),
            chance,
        ));
    }
    // Somebody guesses passwords, and at last has one.
    for i in 0..24 {
        let failure = Some("INVALID_CREDENTIALS");
        let entry = Entry::new("user.session.start", "User login to Okta", "198.51.100.140");
        let entry = Entry { failure, severity: "WARN", ..entry };
        lines.push(okta::event(Moment::on(10, 1, 30, 0).later(i * 21), Some(19), entry, chance));
    }
    let entry = Entry::new("user.session.start", "User login to Okta", "198.51.100.140");
    lines.push(okta::event(Moment::on(10, 1, 39, 2), Some(19), entry, chance));
    let entry = Entry::new("user.session.start", "User login to Okta", "198.51.100.201");
    lines.push(okta::event(Moment::on(13, 23, 58, 59), Some(31), entry, chance));
    for (day, n) in [(10, 19), (7, 25), (14, 40)] {
        let kind = "user.account.report_suspicious_activity_by_enduser";
        let entry = Entry {
            severity: "WARN",
            ..Entry::new(kind, "User reported suspicious activity", "203.0.113.13")
        };
        lines.push(okta::event(Moment::on(day, 7, 44, 16), Some(n), entry, chance));
    }
    for (day, n) in [(5, 12), (10, 19), (11, 36)] {
        let entry = Entry::new("security.threat.detected", "Request from suspicious actor", "198.51.100.140");
        lines.push(okta::event(
            Moment::on(day, 1, 41, 0),
            Some(n),
            Entry { severity: "WARN", ..entry },
            chance,
        ));
    }
    let entry = Entry::new("security.threat.detected", "Request from suspicious actor", "198.51.100.9");
    lines.push(okta::event(Moment::on(8, 4, 0, 0), None, Entry { severity: "WARN", ..entry }, chance));
}

fn keys_and_trails(chance: &mut Chance, lines: &mut Vec<Exported>) {
    for (day, n, of) in [(3, 8, Some(8)), (5, 2, Some(29)), (6, 11, Some(11)), (12, 7, None)] {
        // A key of one's own is asked for without a name: then a rule's variable has no value.
        let request = of.map_or(Json::Null, |of| object! {"userName": user(of)});
        let response =
            object! {"accessKey": object! {"accessKeyId": "AKIAEXAMPLENEWKEY", "status": "Active"}};
        let call = Call { response, ..Call::new("iam", "CreateAccessKey", "203.0.113.14").request(request) };
        lines.push(record(Moment::on(day, 15, 6, 33), &Who::User(n), call, chance));
    }
    let trail = |name| {
        let request = object! {"name": "arn:aws:cloudtrail:eu-central-1:111122223333:trail/main"};
        Call::new("cloudtrail", name, "198.51.100.77").request(request)
    };
    lines.push(record(Moment::on(3, 3, 16, 2), &Who::Root, trail("StopLogging"), chance));
    lines.push(record(Moment::on(11, 16, 30, 0), &Who::User(10), trail("DeleteTrail"), chance));
    // Nobody is named: the host guesses, and no restriction follows from a guess.
    lines.push(record(Moment::on(7, 5, 20, 20), &Who::Account("444455556666"), trail("StopLogging"), chance));
    lines.push(record(
        Moment::on(14, 5, 20, 20),
        &Who::Service("config.amazonaws.com"),
        trail("UpdateTrail"),
        chance,
    ));
}

fn buckets_and_networks(chance: &mut Chance, lines: &mut Vec<Exported>) {
    for (day, n) in [(4, 9), (9, 5), (12, 11)] {
        let request = object! {"bucketName": "example-reports"};
        let call = Call::new("s3", "DeleteBucketPublicAccessBlock", "203.0.113.15").request(request);
        lines.push(record(Moment::on(day, 11, 48, 7), &Who::User(n), call, chance));
    }
    for (day, n, from) in [(2, 6, "203.0.113.0/24"), (5, 10, "0.0.0.0/0"), (13, 7, "0.0.0.0/0")] {
        let range = Json::Array(vec![object! {"cidrIp": from}]);
        let ports = object! {"fromPort": 22_i64, "toPort": 22_i64, "ipProtocol": "tcp", "ipRanges": object! {"items": range}};
        let request = object! {
            "groupId": "sg-0example0001",
            "ipPermissions": object! {"items": Json::Array(vec![ports])},
        };
        let call = Call::new("ec2", "AuthorizeSecurityGroupIngress", "203.0.113.15").request(request);
        lines.push(record(Moment::on(day, 13, 31, 55), &Who::User(n), call, chance));
    }
}

fn repositories(chance: &mut Chance, lines: &mut Vec<Exported>) {
    let access = |from: &str, to: &str| {
        vec![
            ("previous_visibility", Json::from(from)),
            ("visibility", to.into()),
            ("public_repo", (to == "public").into()),
        ]
    };
    for (day, n, repo) in [(4, 13, "handbook"), (6, 18, "ledger"), (11, 13, "mobile")] {
        let more = access("private", "public");
        lines.push(github::event(
            Moment::on(day, 16, 1, 12),
            Some(n),
            "repo.access",
            Some(repo),
            more,
            chance,
        ));
    }
    let more = access("public", "private");
    lines.push(github::event(
        Moment::on(6, 16, 9, 40),
        Some(18),
        "repo.access",
        Some("ledger"),
        more,
        chance,
    ));
    for (day, n) in [(3, 15), (10, 20)] {
        let more = vec![("name", "main".into())];
        lines.push(github::event(
            Moment::on(day, 12, 40, 0),
            Some(n),
            "protected_branch.destroy",
            Some("billing"),
            more,
            chance,
        ));
    }
    let action = "org.disable_two_factor_requirement";
    lines.push(github::event(Moment::on(12, 18, 22, 10), Some(4), action, None, Vec::new(), chance));
    // Somebody is leaving, and takes copies along; others download as well.
    for (i, repo) in (0..).zip(["billing", "ledger", "mobile", "pipeline"]) {
        let more = vec![("visibility", "private".into())];
        let at = Moment::on(13, 19, 5, 0).later(i * 94);
        lines.push(github::event(at, Some(16), "repo.download_zip", Some(repo), more, chance));
    }
    let more = vec![("visibility", "private".into())];
    lines.push(github::event(
        Moment::on(5, 10, 0, 3),
        Some(12),
        "repo.download_zip",
        Some("website"),
        more,
        chance,
    ));
    for (day, n) in [(2, 17), (9, 20), (12, 14)] {
        let more = vec![("number", Json::from(7_i64)), ("push_protection_bypassed", true.into())];
        lines.push(github::event(
            Moment::on(day, 17, 15, 0),
            Some(n),
            "secret_scanning_alert.create",
            Some("pipeline"),
            more,
            chance,
        ));
    }
    let more = access("private", "public");
    lines.push(github::event(Moment::on(14, 9, 9, 9), None, "repo.access", Some("website"), more, chance));
}
