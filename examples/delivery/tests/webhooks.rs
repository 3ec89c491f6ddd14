//! What a webhook does at a real receiver, over a real connection.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use support::{job, key, secret};
use tipstaff::conformance::{self, Target, Trouble};
use tipstaff::{
    ActionType, BuiltinAction, Delivered, Delivery, EnforcementId, Engine, Event, Filter, MemoryStore,
    Outcome, Params, Reason, RuleSet, Span, Subject, Time, ready,
};
use tipstaff_delivery::{Endpoint, Receiver, ReceiverOptions, Reply, Webhooks};

fn deliver(webhooks: &Webhooks, job: &tipstaff::Job) -> Delivered {
    ready(webhooks.deliver(job)).unwrap()
}

fn receiver(script: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Receiver {
    let options = ReceiverOptions { script: Box::new(script), ..ReceiverOptions::new(vec![secret(1)]) };
    Receiver::start("127.0.0.1:0", options).unwrap()
}

fn webhooks(receiver: &Receiver) -> Webhooks {
    Webhooks::new(Duration::from_secs(2))
        .endpoint("siem", Endpoint::inside(&receiver.url(), secret(1)).unwrap())
}

/// The output of a future that waits for a thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Wakes(std::thread::Thread);
    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Wakes(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// What each answer of a target becomes.
#[test]
fn answers_become_outcomes() {
    let retry = |after| Outcome::Retry { after };
    for (reply, outcome) in [
        (Reply::Take, Outcome::Done),
        (Reply::Status(200), Outcome::Done),
        (Reply::Status(202), Outcome::Done),
        (Reply::With(302, "location", "http://127.0.0.1:9/".into()), retry(None)),
        (Reply::Status(308), retry(None)),
        (Reply::Status(400), retry(None)),
        (Reply::Status(404), retry(None)),
        (Reply::With(429, "retry-after", "7".into()), retry(Some(Span::secs(7)))),
        (Reply::With(503, "retry-after", "soon".into()), retry(None)),
        (Reply::Status(500), retry(None)),
        (Reply::Status(410), Outcome::Permanent),
        (Reply::Drop, Outcome::Unknown),
        (Reply::TakeAndLose, Outcome::Unknown),
        (Reply::After(Duration::from_secs(5), Box::new(Reply::Take)), Outcome::Unknown),
    ] {
        let said = reply.clone();
        let receiver = receiver(move |_, _| said.clone());
        let delivered = deliver(&webhooks(&receiver), &job(1, "siem"));
        assert_eq!(delivered.outcome, outcome, "{reply:?}: {delivered:?}");
        assert_eq!(delivered.report.recipient.as_deref(), Some("siem"));
    }
}

#[test]
fn what_never_went_out_is_known_not_to_have_happened() {
    let dead = {
        let gone = receiver(|_, _| Reply::Take);
        webhooks(&gone)
    };
    assert_eq!(deliver(&dead, &job(1, "siem")).outcome, Outcome::Retry { after: None });
    // No name; no way there, as nobody connects to all.
    for url in ["http://no-such-host.invalid/", "http://255.255.255.255/"] {
        assert_not_reached(url);
    }
}

#[test]
fn a_connection_without_trust_is_known_not_to_have_carried_anything() {
    type Says = fn(&mut TcpStream);
    let says: [(&str, Says); 3] = [
        ("something else than TLS", |it| _ = it.write_all(b"HTTP/1.1 400 .\r\n\r\n")),
        ("an alert", |it| _ = it.write_all(&[21, 3, 3, 0, 2, 2, 40])),
        ("nothing for too long", |_| std::thread::sleep(Duration::from_secs(3))),
    ];
    for (what, say) in says {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let _ = connection.read(&mut [0; 4096]);
            say(&mut connection);
        });
        println!("{what}");
        assert_not_reached(&url);
    }
}

#[track_caller]
fn assert_not_reached(url: &str) {
    let endpoint = Endpoint::inside(url, secret(1)).unwrap();
    let webhooks = Webhooks::new(Duration::from_secs(2)).endpoint("siem", endpoint);
    let delivered = deliver(&webhooks, &job(1, "siem"));
    assert_eq!(delivered.outcome, Outcome::Retry { after: None }, "{url}: {delivered:?}");
    assert!(delivered.report.message.unwrap().starts_with("not reached"), "{url}");
}

/// Whether it was carried out is for a person to find out.
#[test]
fn what_must_not_be_repeated_is_tried_again_only_if_it_was_not_reached() {
    let gone = Receiver::start("127.0.0.1:0", ReceiverOptions::new(vec![secret(1)])).unwrap().url();
    let loses = receiver(|_, _| Reply::TakeAndLose);
    for (url, reason) in [(gone, Reason::RetryWait), (loses.url(), Reason::OutcomeUnknown)] {
        let webhooks = Webhooks::new(Duration::from_secs(2))
            .endpoint("hr", Endpoint::inside(&url, secret(1)).unwrap())
            .route(BuiltinAction::EscalateToHr, "hr");
        assert_eq!(reason_after_one_run(webhooks, r#""type": "escalate_to_hr""#), reason);
    }
}

fn reason_after_one_run(webhooks: Webhooks, action: &str) -> Reason {
    let rules = format!(
        r#"[{{"id": "tell", "trigger": {{"event": {{"pattern": {{"type": ["x"]}}}}}},
             "actions": [{{"key": "a", {action}}}]}}]"#
    );
    let engine = Engine::new(MemoryStore::default(), webhooks, RuleSet::from_json(&rules).unwrap());
    let at: Time = "2026-03-01T09:00:00Z".parse().unwrap();
    let subject = Subject::user("u1".parse().unwrap());
    let event =
        Event::new("acme".parse().unwrap(), "evt-1", "okta", subject, at, r#"{"type": "x"}"#).unwrap();
    let filter = Filter::new(&event.tenant);
    ready(engine.submit(event, at)).unwrap().unwrap();
    ready(engine.run_due(at)).unwrap().unwrap();
    ready(engine.enforcements(filter)).unwrap().unwrap().rows[0].reason()
}

#[test]
fn the_id_stays_and_the_timestamp_does_not() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ids = Arc::clone(&seen);
    let time = Arc::new(AtomicU64::new(1_700_000_000));
    let (of_receiver, of_sender) = (Arc::clone(&time), Arc::clone(&time));
    let options = ReceiverOptions {
        script: Box::new(move |id, attempt| {
            ids.lock().unwrap().push(id.to_owned());
            if attempt < 3 { Reply::Status(503) } else { Reply::Take }
        }),
        clock: Box::new(move || of_receiver.load(Ordering::SeqCst)),
        ..ReceiverOptions::new(vec![secret(1)])
    };
    let receiver = Receiver::start("127.0.0.1:0", options).unwrap();
    let clock = move || UNIX_EPOCH + Duration::from_secs(of_sender.load(Ordering::SeqCst));
    let webhooks = webhooks(&receiver).clock(clock);
    for attempt in 1..=4 {
        // Were the first timestamp sent again, the receiver would not believe it an hour later.
        time.fetch_add(3_600, Ordering::SeqCst);
        deliver(&webhooks, &tipstaff::Job { attempt, ..job(7, "siem") });
    }
    assert_eq!(*seen.lock().unwrap(), vec![key(7).to_string(); 4]);
    let effects = receiver.effects();
    assert_eq!((effects.effects[&key(7).to_string()], effects.refused), (1, 0));
}

#[test]
fn secrets_are_replaced_without_a_gap() {
    let old = receiver(|_, _| Reply::Take);
    let both = Endpoint::inside(&old.url(), secret(2)).unwrap().secret(secret(1));
    let other = Endpoint::inside(&old.url(), secret(2)).unwrap();
    let webhooks = Webhooks::default().endpoint("both", both).endpoint("other", other);
    assert_eq!(deliver(&webhooks, &job(1, "both")).outcome, Outcome::Done);
    assert_eq!(deliver(&webhooks, &job(2, "other")).outcome, Outcome::Retry { after: None });
    assert_eq!(old.effects().refused, 1);
}

#[test]
fn an_endpoint_that_is_gone_is_left_alone() {
    let receiver = receiver(|_, attempt| if attempt == 1 { Reply::Status(410) } else { Reply::Take });
    let webhooks = webhooks(&receiver);
    for _ in 0..3 {
        assert_eq!(deliver(&webhooks, &job(1, "siem")).outcome, Outcome::Permanent);
    }
    assert_eq!(receiver.effects().attempts[&key(1).to_string()], 1);
    assert_eq!(webhooks.gone().into_iter().collect::<Vec<_>>(), ["siem"]);
    webhooks.restore("siem");
    assert_eq!(deliver(&webhooks, &job(1, "siem")).outcome, Outcome::Done);
}

#[test]
fn a_public_endpoint_reaches_no_private_address() {
    let receiver = receiver(|_, _| Reply::Take);
    let port = receiver.url().rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    for host in
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "10.0.0.1"]
    {
        let endpoint = Endpoint::new(&format!("https://{host}:{port}/"), secret(1)).unwrap();
        let webhooks = Webhooks::new(Duration::from_secs(2)).endpoint("out", endpoint);
        let delivered = deliver(&webhooks, &job(1, "out"));
        assert_eq!(delivered.outcome, Outcome::Permanent, "{host}: {delivered:?}");
        let said = delivered.report.message.unwrap();
        assert!(said.contains("no public address"), "{host}: {said}");
    }
    assert_eq!(receiver.effects().attempts.len(), 0);
}

#[test]
fn rules_name_endpoints_that_exist() {
    let receiver = receiver(|_, _| Reply::Take);
    let webhooks = webhooks(&receiver).route(BuiltinAction::EscalateToHr, "siem");
    for (endpoint, said) in [("sien", "known: `siem`"), ("", "known: `siem`")] {
        let delivered = deliver(&webhooks, &job(1, endpoint));
        assert_eq!(delivered.outcome, Outcome::Permanent);
        assert!(delivered.report.message.unwrap().contains(said), "{endpoint}");
    }
    let to = |channel: BuiltinAction| tipstaff::Job { channel: channel.into(), ..job(2, "nowhere") };
    assert_eq!(deliver(&webhooks, &to(BuiltinAction::EscalateToHr)).outcome, Outcome::Done);
    assert_eq!(deliver(&webhooks, &to(BuiltinAction::SendEmail)).outcome, Outcome::Permanent);
}

/// What an operator wrote stays inside.
#[test]
fn the_body_is_the_same_for_every_attempt_and_says_no_more_than_it_should() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?from=tipstaff", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let take = |_| {
            let (mut connection, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"}}") {
                let mut part = [0; 4096];
                let n = connection.read(&mut part).unwrap();
                assert_ne!(n, 0, "the body ends before its end");
                bytes.extend_from_slice(&part[..n]);
            }
            connection.write_all(b"HTTP/1.1 204 .\r\nconnection: close\r\n\r\n").unwrap();
            String::from_utf8(bytes).unwrap()
        };
        [(), ()].map(take)
    });
    let webhooks = Webhooks::default().endpoint("siem", Endpoint::inside(&url, secret(1)).unwrap());
    for attempt in 1..=2 {
        let delivered = deliver(&webhooks, &tipstaff::Job { attempt, ..job(9, "siem") });
        assert_eq!(delivered.outcome, Outcome::Done, "{delivered:?}");
    }
    let bodies = server.join().unwrap().map(|request| request.split_once("\r\n\r\n").unwrap().1.to_owned());
    assert_eq!(bodies[0], bodies[1]);
    let body: serde_json::Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!(body["type"], "enforcement.send_webhook");
    assert_eq!(body["timestamp"], "2026-03-01T09:00:00Z");
    assert_eq!(body["data"]["key"], key(9).to_string());
    assert_eq!(body["data"]["trigger"]["signal"], "evt-1");
    assert!(!bodies[0].contains("nobody else"), "{}", bodies[0]);
}

/// The whole way: two processes' worth of attempts, one effect.
#[test]
fn an_enforcement_arrives_once_though_its_answer_is_lost() {
    let receiver = receiver(|_, attempt| if attempt == 1 { Reply::TakeAndLose } else { Reply::Take });
    let rules = RuleSet::from_json(
        r#"[{"id": "tell", "trigger": {"event": {"pattern": {"type": ["x"]}}},
             "actions": [{"key": "hook", "type": "send_webhook", "params": {"endpoint": "siem"}}]}]"#,
    )
    .unwrap();
    let engine = Engine::new(MemoryStore::default(), webhooks(&receiver), rules);
    let tenant = "acme".parse().unwrap();
    let at: Time = "2026-03-01T09:00:00Z".parse().unwrap();
    let subject = Subject::user("u1".parse().unwrap());
    let event = Event::new(tenant, "evt-1", "okta", subject, at, r#"{"type": "x"}"#).unwrap();
    let tenant = event.tenant.clone();
    ready(engine.submit(event, at)).unwrap().unwrap();
    ready(engine.run_due(at)).unwrap().unwrap();
    let rows = |reason| {
        let page = ready(engine.enforcements(Filter::new(&tenant))).unwrap().unwrap();
        page.rows.iter().filter(|row| row.reason() == reason).count()
    };
    assert_eq!(rows(Reason::RetryWait), 1);
    ready(engine.run_due(at.after(Span::hours(1)))).unwrap().unwrap();
    assert_eq!(rows(Reason::Done), 1);
    let effects = receiver.effects();
    assert_eq!(effects.effects.values().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(effects.attempts.values().copied().collect::<Vec<_>>(), [2]);
}

/// The receiver answers when all four are there: one after the other, none would have its answer in time.
#[test]
fn on_threads_a_batch_is_sent_all_at_once() {
    let all = Barrier::new(4);
    let receiver = receiver(move |_, _| {
        all.wait();
        Reply::Take
    });
    let rules = RuleSet::from_json(
        r#"[{"id": "tell", "trigger": {"event": {"pattern": {"type": ["x"]}}},
             "actions": [{"key": "hook", "type": "send_webhook", "params": {"endpoint": "siem"}}]}]"#,
    )
    .unwrap();
    let engine = Engine::new(MemoryStore::default(), webhooks(&receiver).on_threads(), rules).claim_up_to(4);
    let at: Time = "2026-03-01T09:00:00Z".parse().unwrap();
    for n in 0..4 {
        let subject = Subject::user(format!("u{n}").parse().unwrap());
        let event =
            Event::new("acme".parse().unwrap(), &format!("evt-{n}"), "okta", subject, at, r#"{"type": "x"}"#)
                .unwrap();
        wait(engine.submit(event, at)).unwrap();
    }
    assert_eq!(wait(engine.run_due(at)).unwrap().attempts, 4);
    let page = wait(engine.enforcements(Filter::new(&"acme".parse().unwrap()))).unwrap();
    assert_eq!(page.rows.iter().map(|row| row.reason()).collect::<Vec<_>>(), [Reason::Done; 4]);
    assert_eq!(receiver.effects().attempts.into_values().collect::<Vec<_>>(), [1; 4]);
}

#[test]
fn what_nobody_waits_for_any_more_is_sent_to_its_end() {
    let (arrived, arrives) = mpsc::channel();
    let (go, goes) = mpsc::channel();
    let goes = Mutex::new(goes);
    let receiver = receiver(move |_, _| {
        arrived.send(()).unwrap();
        goes.lock().unwrap().recv().unwrap();
        Reply::Take
    });
    let webhooks = webhooks(&receiver).on_threads();
    let jobs = [1, 2].map(|n| job(n, "siem"));
    let [mut first, mut second] = jobs.each_ref().map(|job| webhooks.deliver(job));
    for delivery in [&mut first, &mut second] {
        assert!(delivery.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        arrives.recv().unwrap();
    }
    drop(second);
    for _ in 0..2 {
        go.send(()).unwrap();
    }
    let delivered = wait(first);
    assert_eq!((delivered.outcome, delivered.report.recipient.as_deref()), (Outcome::Done, Some("siem")));
    while receiver.effects().effects.len() < 2 {
        std::thread::yield_now();
    }
}

#[test]
fn a_receiver_remembers_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for attempts in 1..=2 {
        let options =
            ReceiverOptions { log: Some(folder.path().join("ids")), ..ReceiverOptions::new(vec![secret(1)]) };
        let receiver = Receiver::start("127.0.0.1:0", options).unwrap();
        assert_eq!(receiver.effects().effects.len(), attempts - 1);
        assert_eq!(deliver(&webhooks(&receiver), &job(1, "siem")).outcome, Outcome::Done);
        assert_eq!(receiver.effects().effects[&key(1).to_string()], 1);
    }
}

/// A receiver that makes one trouble for the next message.
struct Siem {
    receiver: Receiver,
    webhooks: Webhooks,
    next: Arc<Mutex<Option<Trouble>>>,
}

fn siem() -> Siem {
    let next = Arc::new(Mutex::new(None));
    let of_script = Arc::clone(&next);
    let receiver = receiver(move |_, _| match of_script.lock().unwrap().take() {
        Some(Trouble::AnswerLost) => Reply::TakeAndLose,
        Some(Trouble::Refused) => Reply::Status(503),
        _ => Reply::Take,
    });
    let webhooks = webhooks(&receiver);
    Siem { receiver, webhooks, next }
}

impl Target for Siem {
    type Delivery = Webhooks;

    fn delivery(&self) -> &Webhooks {
        &self.webhooks
    }

    fn channel(&self) -> ActionType {
        BuiltinAction::SendWebhook.into()
    }

    fn params(&self) -> Params {
        Params::from([("endpoint".to_owned(), "siem".into())])
    }

    fn honours_keys(&self) -> bool {
        true
    }

    fn effects(&self, key: EnforcementId) -> usize {
        self.receiver.effects().effects.get(&key.to_string()).copied().unwrap_or(0)
    }

    fn trouble(&self, trouble: Trouble) -> bool {
        let can = matches!(trouble, Trouble::AnswerLost | Trouble::Refused);
        if can {
            *self.next.lock().unwrap() = Some(trouble);
        }
        can
    }
}

conformance::delivery_laws!(siem);
