//! The loop with tokio, run for real.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{Host, Target, event, host, log, nothing_is_held, shaky_host, succeeded, told};
use tipstaff::{Ahead, Span, Store as _, Time};
use tipstaff_loop::tasks::serve;
use tipstaff_loop::{Unfinished, now};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::sleep;

const GRACE: Duration = Duration::from_secs(60);

/// A target that answers when it is let, and counts how many wait there at once.
#[derive(Clone)]
struct Gate {
    target: Target,
    open: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
}

impl Gate {
    fn new(open: usize) -> Self {
        let (open, inside) = (Arc::new(Semaphore::new(open)), Arc::<AtomicUsize>::default());
        let (gate, count) = (Arc::clone(&open), Arc::clone(&inside));
        let target = Target::new(move |_| {
            let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
            Box::pin(async move {
                count.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                count.fetch_sub(1, Ordering::SeqCst);
            })
        });
        Self { target, open, inside }
    }

    fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    fn host(&self, dir: &tempfile::TempDir) -> Host {
        host(&file(dir), &self.target)
    }
}

fn file(dir: &tempfile::TempDir) -> std::path::PathBuf {
    Path::new(dir.path()).join("a.db")
}

/// A loop that runs, and what ends it.
struct Running {
    news: Arc<Notify>,
    end: oneshot::Sender<()>,
    done: tokio::task::JoinHandle<Result<(), Unfinished>>,
}

fn start(host: &Arc<Host>, grace: Duration) -> Running {
    let (news, (end, ended)) = (Arc::new(Notify::new()), oneshot::channel());
    let stop = async { drop(ended.await) };
    let done = tokio::spawn(serve(Arc::clone(host), Arc::clone(&news), stop, grace));
    Running { news, end, done }
}

impl Running {
    async fn end(self) -> Result<(), Unfinished> {
        self.end.send(()).unwrap();
        self.done.await.unwrap()
    }
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        sleep(Duration::from_millis(2)).await;
    }
}

async fn submit(host: &Host, id: &str, user: &str, what: &str) {
    host.submit(event(id, user, what, now()), now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_under_way_at_once_and_the_end_is_in_good_order() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(0));
    let host = Arc::new(gate.host(&dir).claim_up_to(8).poll(Span::days(1)));
    for n in 0..8 {
        submit(&host, &format!("s{n}"), &format!("u{n}"), "tell").await;
    }
    let running = start(&host, GRACE);
    until(|| gate.inside() == 8).await;
    gate.open.add_permits(8);
    until(|| succeeded(&host) == 8).await;
    // It sleeps for a day, but for news.
    submit(&host, "s9", "ana", "tell").await;
    running.news.notify_one();
    until(|| gate.inside() == 1).await;
    gate.open.add_permits(1);
    assert_eq!(running.end().await, Ok(()));
    gate.target.each_once(9);
    assert_eq!(succeeded(&host), 9);
    nothing_is_held(&host);
    assert_eq!(Arc::strong_count(&host), 1, "no task has it any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_begun_is_finished_and_what_has_not_is_handed_back() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(0));
    let one = Arc::new(gate.host(&dir).claim_up_to(8));
    // Two locks of one person take turns: the second is claimed, and waits for the first.
    submit(&one, "s1", "ana", "lock").await;
    submit(&one, "s2", "ana", "lock").await;
    submit(&one, "s3", "ben", "tell").await;
    let running = start(&one, GRACE);
    until(|| gate.inside() == 2).await;
    let ended = tokio::spawn(running.end());
    until(|| one.is_stopped()).await;
    gate.open.add_permits(2);
    assert_eq!(ended.await.unwrap(), Ok(()));
    assert_eq!((succeeded(&one), told(&one, "ENFORCEMENT_HANDED_BACK")), (2, 1));
    nothing_is_held(&one);
    let locks = log(&one).into_iter().filter(|row| row.action.as_str() == "lock_account");
    assert_eq!(locks.filter(|row| row.attempts == 0).count(), 1, "no attempt is counted");
    drop(one);

    gate.open.add_permits(1);
    let another = Arc::new(gate.host(&dir));
    let running = start(&another, GRACE);
    until(|| succeeded(&another) == 3).await;
    assert_eq!(running.end().await, Ok(()));
    gate.target.each_once(3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_may_take_longer_than_its_lease() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(0));
    let mine = Arc::new(gate.host(&dir).lease(Span::secs(2)));
    submit(&mine, "s1", "ana", "tell").await;
    let running = start(&mine, GRACE);
    until(|| gate.inside() == 1).await;
    let first = runs_out(&mine).await;
    // Another process looks all the time, and finds nothing to take.
    let other = Arc::new(gate.host(&dir).poll(Span::millis(10)));
    let beside = start(&other, GRACE);
    while runs_out(&mine).await <= first.after(Span::secs(2)) {
        sleep(Duration::from_millis(20)).await;
    }
    gate.open.add_permits(1);
    until(|| succeeded(&mine) == 1).await;
    assert_eq!((running.end().await, beside.end().await), (Ok(()), Ok(())));
    gate.target.each_once(1);
    assert_eq!(told(&mine, "ENFORCEMENT_RECLAIMED"), 0);
}

/// When the one lease that there is runs out.
async fn runs_out(host: &Host) -> Time {
    let ask = Ahead { after: now(), channels: None };
    let left = host.store().upcoming(&ask).await.unwrap().lease;
    host.store().now().await.unwrap().after(left.expect("it is renewed in time"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_comes_back_finds_everything_as_it_was() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(100));
    let (host, down) = shaky_host(&file(&dir), &gate.target);
    let host = Arc::new(host);
    let running = start(&host, GRACE);
    for n in 0..3 {
        submit(&host, &format!("s{n}"), "ana", "tell").await;
        down.store(2, Ordering::SeqCst);
        running.news.notify_one();
        until(|| succeeded(&host) == n + 1).await;
    }
    assert_eq!(running.end().await, Ok(()));
    gate.target.each_once(3);
    nothing_is_held(&host);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_takes_too_long_says_so_and_leaves_no_task() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(0));
    let host = Arc::new(gate.host(&dir));
    submit(&host, "s1", "ana", "tell").await;
    let running = start(&host, Duration::from_millis(50));
    until(|| gate.inside() == 1).await;
    assert_eq!(running.end().await, Err(Unfinished));
    until(|| Arc::strong_count(&host) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_is_dropped_leaves_no_task() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(0));
    let host = Arc::new(gate.host(&dir));
    let looped = serve(Arc::clone(&host), Arc::new(Notify::new()), pending(), GRACE);
    assert!(tokio::time::timeout(Duration::from_millis(50), looped).await.is_err());
    until(|| Arc::strong_count(&host) == 1).await;
}
