//! The folder honours keys, answers truthfully, and fails as it is told to.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tipstaff::{
    ActionType, ActorId, ApprovalId, Delivered, Delivery, EnforcementId, Job, Origin, Outcome, ParamValue,
    Params, Probe, Purpose, Span, Subject, TriggerId, TriggerKind, ready,
};
use tipstaff_console::outbox::{Outbox, OutboxConfig, Step};

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("outbox-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self) -> Outbox {
        Outbox::open(&self.0).unwrap()
    }

    /// Every file, wherever it lies.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
            }
        }
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn key(n: u32) -> EnforcementId {
    format!("enf_{n:08x}{:024x}", 0).parse().unwrap()
}

fn job(n: u32, action: &str, params: &[(&str, &str)]) -> Job {
    let action: ActionType = action.parse().unwrap();
    Job {
        key: key(n),
        tenant: "acme".parse().unwrap(),
        purpose: Purpose::Action,
        channel: action.clone(),
        action,
        subject: Subject::user("u-1042".parse().unwrap()),
        params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(),
        attempt: 1,
        origin: Origin {
            trigger: format!("trg_{n:032x}").parse::<TriggerId>().unwrap(),
            kind: TriggerKind::Event,
            source: "okta".into(),
            signal: "evt-1".into(),
            at: "2026-03-02T09:00:00Z".parse().unwrap(),
            operator: None,
            reason: None,
            cause: None,
            depth: 0,
        },
        holders: Vec::new(),
    }
}

fn deliver(outbox: &Outbox, job: &Job) -> Delivered {
    ready(outbox.deliver(job)).unwrap()
}

fn probe(outbox: &Outbox, job: &Job) -> Probe {
    ready(outbox.probe(job)).unwrap()
}

#[test]
fn an_action_is_one_file_that_says_everything() {
    let folder = Folder::new("one");
    let outbox = folder.open();
    let mut job =
        job(0xabcd_ef01, "create_ticket", &[("queue", "secops"), ("title", "a {brace} and \"quotes\"")]);
    job.params.insert("weight".into(), ParamValue::Number("0.30000000000000000001".parse().unwrap()));
    job.params.insert("urgent".into(), ParamValue::Flag(true));
    assert_eq!(probe(&outbox, &job), Probe::NotDone);
    let done = deliver(&outbox, &job);
    assert_eq!(done.outcome, Outcome::Done);
    assert_eq!(done.report.reference.as_deref(), Some("TICKET-ABCDEF01"));
    assert_eq!(done.report.recipient.as_deref(), Some("secops"));
    assert_eq!(probe(&outbox, &job), Probe::Done);
    let text = std::fs::read_to_string(outbox.path(&job)).unwrap();
    assert!(text.contains("\"weight\": 0.30000000000000000001"), "{text}");
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["params"]["title"], "a {brace} and \"quotes\"");
    assert_eq!((&read["key"], &read["attempt"]), (&job.key.to_string().into(), &1.into()));
    assert_eq!((&read["origin"]["signal"], &read["subject"]["user"]), (&"evt-1".into(), &"u-1042".into()));
    assert_eq!(folder.files(), [outbox.path(&job)], "no draft stays behind");
    assert_eq!(outbox.count().unwrap(), [("tickets".to_owned(), 1)].into());
}

#[test]
fn a_key_is_delivered_once_across_attempts_and_processes() {
    let folder = Folder::new("twice");
    let first = job(1, "send_email", &[("to", "manager"), ("template", "mfa-off")]);
    assert_eq!(deliver(&folder.open(), &first).outcome, Outcome::Done);
    let text = std::fs::read(folder.open().path(&first)).unwrap();
    let again = Job { attempt: 2, ..first.clone() };
    let answer = deliver(&folder.open(), &again);
    assert_eq!(answer.outcome, Outcome::Done);
    assert_eq!(answer.report.message.as_deref(), Some("an earlier attempt wrote it"));
    assert_eq!(answer.report.recipient.as_deref(), Some("the manager of u-1042"));
    assert_eq!(std::fs::read(folder.open().path(&first)).unwrap(), text);
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn threads_that_deliver_one_key_leave_one_file_and_one_says_done() {
    const THREADS: usize = 8;
    const KEYS: u32 = 25;
    let folder = Folder::new("threads");
    // Half of them share an outbox, the others have one of their own, as other processes would.
    let shared = folder.open();
    let renamed = Arc::new(AtomicUsize::new(0));
    let own: Vec<_> = (0..THREADS / 2)
        .map(|_| {
            let renamed = Arc::clone(&renamed);
            let count = move |step| {
                renamed.fetch_add(usize::from(step == Step::AfterRename), Ordering::SeqCst);
            };
            folder.open().on_step(Box::new(count))
        })
        .collect();
    let start = Barrier::new(THREADS);
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for i in 0..THREADS {
            let outbox = own.get(i).unwrap_or(&shared);
            let (start, answers) = (&start, &answers);
            scope.spawn(move || {
                for n in 0..KEYS {
                    let job = job(n, "lock_account", &[]);
                    start.wait();
                    let answer = deliver(outbox, &job);
                    // Whoever is told that it is done finds it so.
                    if answer.outcome == Outcome::Done {
                        assert_eq!(probe(outbox, &job), Probe::Done);
                    }
                    let wrote = answer.report.message.is_some_and(|told| told.starts_with("written"));
                    answers.lock().unwrap().push((n, answer.outcome, wrote));
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    for n in 0..KEYS {
        let of = |outcome, wrote| answers.iter().filter(|answer| **answer == (n, outcome, wrote)).count();
        assert_eq!(of(Outcome::Done, true), 1, "key {n}");
        let others = of(Outcome::Done, false) + of(Outcome::Retry { after: None }, false);
        assert_eq!(others, THREADS - 1, "key {n}");
    }
    assert_eq!(folder.files().len(), KEYS as usize);
    assert!(renamed.load(Ordering::SeqCst) <= KEYS as usize);
}

#[test]
fn a_process_that_ends_in_the_middle_leaves_all_or_nothing() {
    for (dies_at, outcome_after, probed) in
        [(Step::BeforeRename, Outcome::Done, Probe::NotDone), (Step::AfterRename, Outcome::Done, Probe::Done)]
    {
        let folder = Folder::new(&format!("dies-{dies_at:?}"));
        let job = job(7, "send_webhook", &[("endpoint", "siem")]);
        let dies = move |step| assert_ne!(step, dies_at, "the process ends here");
        let outbox = folder.open().on_step(Box::new(dies));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| deliver(&outbox, &job)));
        assert!(ended.is_err());
        for outbox in [outbox, folder.open()] {
            assert_eq!(probe(&outbox, &job), probed);
        }
        assert_eq!(deliver(&folder.open(), &job).outcome, outcome_after);
        assert_eq!(folder.open().count().unwrap(), [("webhooks".to_owned(), 1)].into());
        let text = std::fs::read_to_string(folder.open().path(&job)).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}

#[test]
fn a_probe_in_the_middle_of_a_delivery_cannot_tell() {
    let folder = Folder::new("middle");
    let (reached, proceed) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let hook = {
        let (reached, proceed) = (Arc::clone(&reached), Arc::clone(&proceed));
        move |step| {
            if step == Step::BeforeRename {
                reached.wait();
                proceed.wait();
            }
        }
    };
    let outbox = folder.open().on_step(Box::new(hook));
    let job = job(3, "lock_account", &[]);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| deliver(&outbox, &job).outcome);
        reached.wait();
        let (seen, second) = (probe(&outbox, &job), deliver(&outbox, &job).outcome);
        proceed.wait();
        assert_eq!((seen, second), (Probe::Unknown, Outcome::Retry { after: None }));
        assert_eq!(worker.join().unwrap(), Outcome::Done);
    });
    assert_eq!(probe(&outbox, &job), Probe::Done);
}

#[test]
fn targets_fail_as_the_configuration_says() {
    let folder = Folder::new("fails");
    let config: OutboxConfig = r#"{
        "known": {"template": ["mfa-off"]},
        "fail": {"endpoint:legacy-siem": "permanent", "queue:flaky": {"retry": 2, "after": "30s"},
                 "type:restrict_access": {"lost": 1}, "user:u-9": "retry", "recipient:u-8": {"retry": 1}}
    }"#
    .parse()
    .unwrap();
    let outbox = folder.open().config(config);
    let at = |job: &Job, attempt| deliver(&outbox, &Job { attempt, ..job.clone() }).outcome;

    let refused = job(1, "send_webhook", &[("endpoint", "legacy-siem")]);
    let answer = deliver(&outbox, &refused);
    assert_eq!(answer.outcome, Outcome::Permanent);
    assert_eq!(answer.report.message.as_deref(), Some("no such target: `endpoint:legacy-siem`"));
    assert_eq!(at(&job(2, "send_email", &[("to", "subject"), ("template", "other")]), 5), Outcome::Permanent);
    assert_eq!(at(&job(3, "send_email", &[("to", "subject"), ("template", "mfa-off")]), 1), Outcome::Done);

    let flaky = job(4, "create_ticket", &[("queue", "flaky"), ("title", "t")]);
    let waits = Outcome::Retry { after: Some(Span::secs(30)) };
    assert_eq!([1, 2, 3, 4].map(|n| at(&flaky, n)), [waits, waits, Outcome::Done, Outcome::Done]);

    let lost = job(5, "restrict_access", &[("scope", "vpn")]);
    assert_eq!(
        (at(&lost, 1), probe(&outbox, &lost), at(&lost, 2)),
        (Outcome::Unknown, Probe::Done, Outcome::Done)
    );

    let mut of_user = job(6, "lock_account", &[]);
    of_user.subject = Subject::user("u-9".parse().unwrap());
    assert_eq!([1, 99].map(|n| at(&of_user, n)), [Outcome::Retry { after: None }; 2]);
    assert_eq!(probe(&outbox, &of_user), Probe::NotDone);

    let mut notice = job(7, "approval_notice", &[]);
    let recipient: ActorId = "u-8".parse().unwrap();
    notice.purpose =
        Purpose::Notice { approval: format!("apr_{:032x}", 1).parse::<ApprovalId>().unwrap(), recipient };
    assert_eq!([1, 2].map(|n| at(&notice, n)), [Outcome::Retry { after: None }, Outcome::Done]);
    let count = outbox.count().unwrap();
    assert_eq!(count["notices"], 1);

    for bad in
        [r#"{"fails": {}}"#, r#"{"fail": {"a:b": "sometimes"}}"#, r#"{"fail": {"a:b": {"retry": -1}}}"#, "["]
    {
        assert!(bad.parse::<OutboxConfig>().is_err(), "{bad}");
    }
    let error = r#"{"fail": {"a:b": {"retry": 2, "afer": "1s"}}}"#.parse::<OutboxConfig>().unwrap_err();
    assert!(error.to_string().contains("accepted: `permanent`"), "{error}");
}

#[test]
fn any_content_is_delivered_and_reaches_no_other_file() {
    let folder = Folder::new("content");
    let outbox = folder.open();
    let odd = ["../../x", "a\u{0}b", "\u{202e}", "\n\r\t", "{", "💥", &"x".repeat(4_096)];
    for (n, text) in (0..).zip(odd) {
        let params = Params::from([("queue".to_owned(), text.into()), (text.to_owned(), text.into())]);
        let job = Job { params, ..job(n, "host_made_this_up", &[]) };
        assert_eq!(deliver(&outbox, &job).outcome, Outcome::Done);
        let written = std::fs::read_to_string(outbox.path(&job)).unwrap();
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read["params"]["queue"], text);
    }
    assert_eq!(outbox.count().unwrap(), [("other".to_owned(), odd.len())].into());
    assert_eq!(folder.files().len(), odd.len());
}
