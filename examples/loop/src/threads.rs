//! The loop with threads: one runs what is due, one renews leases, and the caller's own goes on with its
//! work.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tipstaff::{Engine, EngineError, Time};

use crate::{BackOff, Unfinished, left_until, now};

/// A bell between threads.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<Rung>,
    heard: Condvar,
}

#[derive(Debug, Default)]
struct Rung {
    news: bool,
    over: bool,
}

impl Bell {
    /// There is something to do at once: ring it after each signal or order that this process has taken.
    pub fn news(&self) {
        self.rung().news = true;
        self.heard.notify_all();
    }

    /// Whether nothing is delivered any more. While `meanwhile` works, that is so where a delivery has
    /// panicked: look now and then, and return.
    pub fn is_over(&self) -> bool {
        self.rung().over
    }

    fn over(&self) {
        self.rung().over = true;
        self.heard.notify_all();
    }

    /// Waits for so long, or for news, or until it is over; true when it is.
    fn wait(&self, most: Duration) -> bool {
        let quiet = |rung: &mut Rung| !rung.over && !rung.news;
        let waited = self.heard.wait_timeout_while(self.rung(), most, quiet);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        rung.news = false;
        rung.over
    }

    /// The same, whatever is new.
    fn pause(&self, most: Duration) -> bool {
        let waited = self.heard.wait_timeout_while(self.rung(), most, |rung| !rung.over);
        waited.unwrap_or_else(PoisonError::into_inner).0.over
    }

    fn rung(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what is due, whenever it is, while `meanwhile` does the work of the process; when that returns,
/// ends in good order. A delivery that has begun is waited for; a store that does not answer, for `grace`.
///
/// # Errors
/// [`Unfinished`] where `grace` was too short.
///
/// # Panics
/// Where a delivery does, as soon as `meanwhile` has returned: [`Bell::is_over`] tells it to.
pub fn serve<T>(
    engine: &Engine,
    meanwhile: impl FnOnce(&Bell) -> T,
    grace: Duration,
) -> Result<T, Unfinished> {
    let (bell, renewals) = (Bell::default(), Bell::default());
    thread::scope(|scope| {
        // However this ends, also by a panic, no thread goes on for ever.
        let _renewals = End(|| renewals.over());
        scope.spawn(|| renew(engine, &renewals));
        let (worker, done) = {
            // What has begun is finished and written down, what has not is handed back.
            let _work = End(|| {
                engine.stop();
                bell.over();
            });
            let worker = scope.spawn(|| {
                // A panic ends this thread alone; the host must not go on as if it delivered.
                let _over = End(|| bell.over());
                work(engine, &bell);
            });
            (worker, meanwhile(&bell))
        };
        if let Err(panic) = worker.join() {
            resume_unwind(panic);
        }
        // What the store did not take while it was away.
        let (mut pauses, begun) = (BackOff::default(), Instant::now());
        while block_on(engine.run_due(now())).is_err() {
            let left = grace.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(Unfinished);
            }
            thread::sleep(pauses.pause().min(left));
        }
        Ok(done)
    })
}

fn work(engine: &Engine, bell: &Bell) {
    let mut pauses = BackOff::default();
    loop {
        let over = match turn(engine) {
            Ok(next) => {
                pauses.reset();
                bell.wait(left_until(next))
            }
            // News are no reason to come back sooner to a store that does not answer.
            Err(error) => {
                eprintln!("the store: {error}");
                bell.pause(pauses.pause())
            }
        };
        if over {
            return;
        }
    }
}

/// What is due now; and when something is due again, which is not the same instant for all hosts.
fn turn(engine: &Engine) -> Result<Time, EngineError> {
    let now = now();
    let report = block_on(engine.run_due(now))?;
    for fault in &report.faults {
        eprintln!("{}: {}", fault.key, fault.error); // one record; the others went on
    }
    block_on(engine.next_wakeup(now))
}

/// Deliveries may take longer than a lease: it is renewed while they last.
fn renew(engine: &Engine, bell: &Bell) {
    let every = Duration::from_millis(engine.renew_every().as_millis());
    while !bell.pause(every) {
        if let Err(error) = block_on(engine.renew_held()) {
            eprintln!("leases run on as they are: {error}");
        }
    }
}

/// Drives a call to its end; the thread sleeps while a store or a delivery waits.
pub fn block_on<T>(call: impl Future<Output = T>) -> T {
    /// The word that counts is `again`: what a call blocks on may have used up the thread's token.
    struct Woken {
        thread: Thread,
        again: AtomicBool,
    }
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.again.store(true, Ordering::SeqCst);
            self.thread.unpark();
        }
    }
    let woken = Arc::new(Woken { thread: thread::current(), again: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&woken));
    let mut call = pin!(call);
    loop {
        if let Poll::Ready(done) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        while !woken.again.swap(false, Ordering::SeqCst) {
            thread::park();
        }
    }
}

struct End<F: Fn()>(F);

impl<F: Fn()> Drop for End<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
