//! Threads to carry out on what blocks: as many as are needed, up to a number; each ends when nothing waits.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;

use tipstaff::{Delivered, Outcome};

type Work = Box<dyn FnOnce() -> Delivered + Send>;

/// Up to so many threads, and what waits for one of them.
pub(crate) struct Threads {
    most: usize,
    line: Arc<Mutex<Line>>,
}

#[derive(Default)]
struct Line {
    /// In turn. What nobody waits for any more is not carried out.
    waiting: VecDeque<Weak<Slot>>,
    threads: usize,
}

/// Where somebody waits for an answer.
#[derive(Default)]
struct Slot(Mutex<Stage>);

#[derive(Default)]
struct Stage {
    /// None from its begin.
    work: Option<Work>,
    answer: Option<Delivered>,
    waker: Option<Waker>,
}

impl Threads {
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), line: Arc::default() }
    }

    /// Carries something out on one of the threads, in turn; not at all if it is dropped before.
    pub(crate) fn carry_out(&self, work: impl FnOnce() -> Delivered + Send + 'static) -> Awaited {
        let slot = Arc::new(Slot::default());
        lock(&slot.0).work = Some(Box::new(work));
        let mut line = lock(&self.line);
        line.waiting.push_back(Arc::downgrade(&slot));
        if line.threads < self.most {
            let of_thread = Arc::clone(&self.line);
            match thread::Builder::new().name("webhook".into()).spawn(move || serve(&of_thread)) {
                Ok(_) => line.threads += 1,
                // The others come to it.
                Err(_) if line.threads > 0 => {}
                Err(error) => {
                    line.waiting.pop_back();
                    slot.answer(Delivered::retry(format!("there is no thread to send on: {error}")));
                }
            }
        }
        Awaited(slot)
    }
}

/// Carries out what waits, until nothing does.
fn serve(line: &Mutex<Line>) {
    loop {
        let slot = {
            let mut line = lock(line);
            let Some(next) = line.waiting.pop_front() else {
                line.threads -= 1;
                return;
            };
            next.upgrade()
        };
        let Some(slot) = slot else { continue };
        let work = lock(&slot.0).work.take();
        if let Some(work) = work {
            // A thread that panics would leave its place in the count, and somebody who waits.
            let answer = catch_unwind(AssertUnwindSafe(work));
            slot.answer(
                answer.unwrap_or_else(|_| Delivered::from(Outcome::Unknown).message("it ended with a panic")),
            );
        }
    }
}

impl Slot {
    fn answer(&self, answer: Delivered) {
        let waker = {
            let mut stage = lock(&self.0);
            stage.answer = Some(answer);
            stage.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// An answer to come.
pub(crate) struct Awaited(Arc<Slot>);

impl Future for Awaited {
    type Output = Delivered;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Delivered> {
        let mut stage = lock(&self.0.0);
        match stage.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                stage.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
