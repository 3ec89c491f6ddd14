//! What happens every day and concerns nobody.

use crate::cast::{DAYS, Exported, Moment, USERS, address, uses_cloud, writes_code};
use crate::cloudtrail::{self, Call, Who, login, record};
use crate::github;
use crate::json::{Chance, Json, object};
use crate::okta::{self, Entry};

const REPOS: &[&str] = &["billing", "console", "handbook", "ledger", "mobile", "pipeline", "website"];
const APPS: &[&str] = &["Mail", "Calendar", "Chat", "Payroll", "Wiki", "Ticketing", "Cloud Console"];

pub(crate) fn lines(chance: &mut Chance) -> Vec<Exported> {
    let mut lines = Vec::new();
    for day in 2..2 + DAYS {
        // 2026-03-02 is a Monday.
        let weekend = (day - 2) % 7 >= 5;
        for n in 1..=USERS {
            if chance.percent(if weekend { 92 } else { 8 }) {
                continue;
            }
            morning(day, n, chance, &mut lines);
            if writes_code(n) {
                code(day, n, chance, &mut lines);
            }
            if uses_cloud(n) {
                cloud(day, n, chance, &mut lines);
            }
        }
        machines(day, chance, &mut lines);
    }
    lines
}

fn sometime(day: i64, chance: &mut Chance) -> Moment {
    let second = chance.below(9 * 3_600) as i64;
    Moment(Moment::on(day, 8, 0, 0).later(second).0 + chance.below(1_000) as i64)
}

fn morning(day: i64, n: usize, chance: &mut Chance, lines: &mut Vec<Exported>) {
    let from = address(n, chance);
    let at =
        Moment(Moment::on(day, 6, 30, 0).later(chance.below(7_200) as i64).0 + chance.below(1_000) as i64);
    if chance.percent(6) {
        let failure = Some("INVALID_CREDENTIALS");
        let entry = Entry {
            failure,
            severity: "WARN",
            ..Entry::new("user.session.start", "User login to Okta", &*from)
        };
        lines.push(okta::event(at.later(-20), Some(n), entry, chance));
    }
    lines.push(okta::event(
        at,
        Some(n),
        Entry::new("user.session.start", "User login to Okta", &*from),
        chance,
    ));
    if chance.percent(50) {
        let entry = Entry::new("user.authentication.auth_via_mfa", "Authentication of user via MFA", &*from);
        lines.push(okta::event(at.later(9), Some(n), entry, chance));
    }
    for _ in 0..1 + chance.below(4) {
        let app = *chance.pick(APPS);
        let entry = Entry::new("user.authentication.sso", "User single sign on to app", &*from)
            .target("AppInstance", app);
        lines.push(okta::event(sometime(day, chance), Some(n), entry, chance));
    }
    if chance.percent(2) {
        let entry = Entry::new(
            "user.mfa.factor.activate",
            "Activate factor or authenticator enrollment method",
            &*from,
        );
        lines.push(okta::event(sometime(day, chance), Some(n), entry, chance));
    }
}

fn code(day: i64, n: usize, chance: &mut Chance, lines: &mut Vec<Exported>) {
    for _ in 0..1 + chance.below(3) {
        let (at, repo) = (sometime(day, chance), *chance.pick(REPOS));
        let action =
            *chance.pick(&["git.clone", "git.push", "git.push", "pull_request.merge", "pull_request.create"]);
        let more = vec![("transport_protocol_name", "ssh".into()), ("visibility", "private".into())];
        lines.push(github::event(at, Some(n), action, Some(repo), more, chance));
    }
    if chance.percent(3) {
        let more = vec![("visibility", "private".into())];
        lines.push(github::event(
            sometime(day, chance),
            Some(n),
            "repo.create",
            Some("scratch"),
            more,
            chance,
        ));
    }
}

fn cloud(day: i64, n: usize, chance: &mut Chance, lines: &mut Vec<Exported>) {
    let from = address(n, chance);
    if n != 22 && chance.percent(40) {
        lines.push(record(sometime(day, chance), &Who::User(n), login(&*from, true, true), chance));
    }
    for _ in 0..1 + chance.below(4) {
        let (service, name) = *chance.pick(&[
            ("ec2", "DescribeInstances"),
            ("s3", "ListBuckets"),
            ("iam", "ListAccessKeys"),
            ("cloudwatch", "GetMetricData"),
            ("lambda", "UpdateFunctionCode20150331v2"),
        ]);
        let mut call = Call::new(service, name, &*from);
        call.error = chance.percent(4).then_some("AccessDenied");
        lines.push(record(sometime(day, chance), &Who::User(n), call, chance));
    }
}

fn machines(day: i64, chance: &mut Chance, lines: &mut Vec<Exported>) {
    for hour in [1, 7, 13, 19] {
        let at = Moment::on(day, hour, chance.below(60) as i64, chance.below(60) as i64);
        let request =
            object! {"roleArn": "arn:aws:iam::111122223333:role/deploy", "roleSessionName": "deploy-session"};
        let call = Call::new("sts", "AssumeRole", "lambda.amazonaws.com").request(request);
        lines.push(record(at, &Who::Service("lambda.amazonaws.com"), call, chance));
        let image = object! {"cluster": "production", "service": "website", "desiredCount": 3_i64};
        let call = Call::new("ecs", "UpdateService", "192.0.2.10").request(image);
        lines.push(record(at.later(40), &Who::Role("deploy"), call, chance));
    }
    let open = object! {"bucketName": "example-reports", "acl": Json::Null};
    let call = cloudtrail::Call::new("s3", "PutBucketAcl", "192.0.2.10").request(open);
    lines.push(record(Moment::on(day, 2, 15, 0), &Who::Role("deploy"), call, chance));
}
