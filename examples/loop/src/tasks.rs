//! The loop with tokio: deliveries that wait are under way at the same time, leases are renewed from a
//! task of their own, and whoever asks for the end gets it in good order.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tipstaff::{Engine, EngineError, Time};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::{BackOff, Unfinished, left_until, now};

/// Runs what is due, whenever it is, until `stop` comes; then ends in good order, within `grace`: less
/// than whoever ends this process gives it before it is killed. `news` says that there is something to do
/// at once: notify it after each signal or order that this process has taken.
///
/// # Errors
/// [`Unfinished`] where `grace` was too short for a delivery, or for a store that did not answer.
///
/// # Panics
/// Where a delivery does.
pub async fn serve(
    engine: Arc<Engine>,
    news: Arc<Notify>,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> Result<(), Unfinished> {
    // Sets end their tasks when they are dropped, as this future may be.
    let (mut works, mut renewals) = (JoinSet::new(), JoinSet::new());
    let end = Arc::new(Notify::new());
    works.spawn(work(Arc::clone(&engine), news, Arc::clone(&end)));
    renewals.spawn(renew(Arc::clone(&engine)));
    tokio::select! {
        () = stop => {}
        ended = works.join_next() => passed_on(ended),
    }
    // What has begun is finished and written down, what has not is handed back.
    engine.stop();
    end.notify_one();
    let good_order = async {
        passed_on(works.join_next().await);
        // What the store did not take while it was away.
        let mut pauses = BackOff::default();
        while engine.run_due(now()).await.is_err() {
            sleep(pauses.pause()).await;
        }
    };
    let ended = timeout(grace, good_order).await.map_err(|_| Unfinished);
    renewals.shutdown().await;
    ended
}

/// A delivery that panicked is its host's panic.
fn passed_on(ended: Option<Result<(), JoinError>>) {
    if let Some(Err(error)) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        resume_unwind(panic);
    }
}

async fn work(engine: Arc<Engine>, news: Arc<Notify>, end: Arc<Notify>) {
    let mut pauses = BackOff::default();
    while !engine.is_stopped() {
        match turn(&engine).await {
            Ok(next) => {
                pauses.reset();
                tokio::select! {
                    () = sleep(left_until(next)) => {}
                    () = news.notified() => {}
                    () = end.notified() => {}
                }
            }
            // News are no reason to come back sooner to a store that does not answer.
            Err(error) => {
                eprintln!("the store: {error}");
                tokio::select! {
                    () = sleep(pauses.pause()) => {}
                    () = end.notified() => {}
                }
            }
        }
    }
}

/// What is due now; and when something is due again, which is not the same instant for all hosts.
async fn turn(engine: &Engine) -> Result<Time, EngineError> {
    let now = now();
    let report = engine.run_due(now).await?;
    for fault in &report.faults {
        eprintln!("{}: {}", fault.key, fault.error); // one record; the others went on
    }
    engine.next_wakeup(now).await
}

/// Deliveries may take longer than a lease: it is renewed while they last.
async fn renew(engine: Arc<Engine>) {
    loop {
        sleep(Duration::from_millis(engine.renew_every().as_millis())).await;
        if let Err(error) = engine.renew_held().await {
            eprintln!("leases run on as they are: {error}");
        }
    }
}
