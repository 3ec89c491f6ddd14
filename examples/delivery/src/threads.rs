//! A thread for work that blocks, and its answer as a future.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use tipstaff::{Delivered, Outcome};

/// An answer to come.
#[derive(Default)]
pub(crate) struct Awaited(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    answer: Option<Delivered>,
    waker: Option<Waker>,
}

/// Carries something out on a thread of its own, to its end, whether or not anybody waits for the answer.
pub(crate) fn carry_out(work: impl FnOnce() -> Delivered + Send + 'static) -> Awaited {
    let awaited = Awaited::default();
    let slot = Arc::clone(&awaited.0);
    let begun = thread::Builder::new().name("webhook".into()).spawn(move || {
        // Whoever waits would do so for ever.
        let answer = catch_unwind(AssertUnwindSafe(work));
        let answer =
            answer.unwrap_or_else(|_| Delivered::from(Outcome::Unknown).message("it ended with a panic"));
        let mut slot = lock(&slot);
        slot.answer = Some(answer);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    if let Err(error) = begun {
        lock(&awaited.0).answer = Some(Delivered::retry(format!("there is no thread to send on: {error}")));
    }
    awaited
}

impl Future for Awaited {
    type Output = Delivered;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Delivered> {
        let mut slot = lock(&self.0);
        match slot.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
