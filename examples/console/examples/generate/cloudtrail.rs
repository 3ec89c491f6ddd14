//! CloudTrail records (AWS: "CloudTrail record contents", "CloudTrail userIdentity element").

use crate::cast::{ACCOUNT, Exported, Moment, user};
use crate::json::{Chance, Json, object};

/// Who calls.
pub(crate) enum Who {
    /// A person with credentials of their own.
    User(usize),
    /// A pipeline or a person in a role.
    Role(&'static str),
    /// The account itself.
    Root,
    /// A service on the account's behalf: nobody in particular.
    Service(&'static str),
    /// Another account: nobody in particular either.
    Account(&'static str),
}

/// A call, and what is particular to it.
pub(crate) struct Call {
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    pub(crate) read_only: bool,
    pub(crate) request: Json,
    pub(crate) response: Json,
    pub(crate) more: Option<Json>,
    pub(crate) error: Option<&'static str>,
    pub(crate) address: String,
}

impl Call {
    pub(crate) fn new(service: &'static str, name: &'static str, address: impl Into<String>) -> Self {
        let (request, response) = (Json::Null, Json::Null);
        let read_only = ["Describe", "List", "Get", "Decrypt"].iter().any(|verb| name.starts_with(verb));
        Self { service, name, read_only, request, response, more: None, error: None, address: address.into() }
    }

    pub(crate) fn request(self, request: Json) -> Self {
        Self { request, ..self }
    }
}

/// A sign-in to the console.
pub(crate) fn login(address: impl Into<String>, mfa: bool, success: bool) -> Call {
    let more = object! {
        "LoginTo": "https://console.aws.amazon.com/console/home",
        "MobileVersion": "No",
        "MFAUsed": if mfa { "Yes" } else { "No" },
    };
    let response = object! {"ConsoleLogin": if success { "Success" } else { "Failure" }};
    Call { more: Some(more), response, ..Call::new("signin", "ConsoleLogin", address) }
}

pub(crate) fn record(at: Moment, who: &Who, call: Call, chance: &mut Chance) -> Exported {
    let key =
        |chance: &mut Chance| format!("AKIAEXAMPLE{}", chance.text(5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"));
    let identity = match who {
        Who::User(n) => object! {
            "type": "IAMUser",
            "principalId": format!("AIDAEXAMPLE{n:05}"),
            "arn": format!("arn:aws:iam::{ACCOUNT}:user/{}", user(*n)),
            "accountId": ACCOUNT,
            "accessKeyId": key(chance),
            "userName": user(*n),
        },
        Who::Role(role) => object! {
            "type": "AssumedRole",
            "principalId": format!("AROAEXAMPLE00001:{role}-session"),
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{role}-session"),
            "accountId": ACCOUNT,
            "sessionContext": object! {
                "sessionIssuer": object! {
                    "type": "Role",
                    "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
                    "accountId": ACCOUNT,
                    "userName": *role,
                },
                "attributes": object! {"creationDate": at.later(-600).seconds(), "mfaAuthenticated": "false"},
            },
        },
        Who::Root => object! {
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": format!("arn:aws:iam::{ACCOUNT}:root"),
            "accountId": ACCOUNT,
        },
        Who::Service(name) => object! {"type": "AWSService", "invokedBy": *name},
        Who::Account(id) => object! {"type": "AWSAccount", "principalId": "", "accountId": *id},
    };
    let agent = match who {
        Who::Service(name) => (*name).to_owned(),
        _ if call.name == "ConsoleLogin" => "Mozilla/5.0 (X11; Linux x86_64)".to_owned(),
        _ => format!("aws-cli/2.15.{}", chance.below(40)),
    };
    let kind = if call.name == "ConsoleLogin" { "AwsConsoleSignIn" } else { "AwsApiCall" };
    let head = object! {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": at.seconds(),
        "eventSource": format!("{}.amazonaws.com", call.service),
        "eventName": call.name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": call.address,
        "userAgent": agent,
    };
    let event = head
        .with(call.error.map(|code| ("errorCode", code.into())))
        .with([("requestParameters", call.request), ("responseElements", call.response)])
        .with(call.more.map(|more| ("additionalEventData", more)))
        .with([
            ("eventID", chance.uuid().into()),
            ("readOnly", call.read_only.into()),
            ("eventType", kind.into()),
            ("managementEvent", true.into()),
            ("recipientAccountId", ACCOUNT.into()),
            ("eventCategory", "Management".into()),
        ]);
    Exported::new(at.later(5), &event)
}
