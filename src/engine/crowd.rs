//! Deliveries of one batch, under way at the same time.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::looks::Looks;

/// Deliveries that are under way at the same time, and those that have ended.
///
/// None of them is left alone while anything else waits for the store: one that has a connection in
/// hand, or stands in line for one, gives it back only when it is polled.
pub(super) struct Crowd<'l, F: Future> {
    looks: &'l Looks<'l>,
    under_way: Vec<Pin<Box<F>>>,
    ended: Vec<F::Output>,
}

impl<'l, F: Future> Crowd<'l, F> {
    /// Nothing yet.
    pub(super) const fn new(looks: &'l Looks<'l>) -> Self {
        Self { looks, under_way: Vec::new(), ended: Vec::new() }
    }

    /// One more is under way; it begins when the others are waited for.
    pub(super) fn join(&mut self, one: F) {
        self.under_way.push(Box::pin(one));
    }

    /// What has ended, in its order; waits until anything has. Nothing when none is under way.
    pub(super) async fn next(&mut self) -> Vec<F::Output> {
        poll_fn(|context| {
            if self.ended.is_empty() && !self.under_way.is_empty() {
                self.poll(context);
            }
            match self.ended.is_empty() && !self.under_way.is_empty() {
                true => Poll::Pending,
                false => Poll::Ready(std::mem::take(&mut self.ended)),
            }
        })
        .await
    }

    /// Waits for something else while they go on.
    pub(super) async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        poll_fn(|context| {
            let done = other.as_mut().poll(context);
            if done.is_pending() {
                self.poll(context);
            }
            done
        })
        .await
    }

    /// What one of them has read, others may wait for: they are polled until nobody reads any more.
    fn poll(&mut self, context: &mut Context<'_>) {
        let Self { looks, under_way, ended } = self;
        loop {
            let answered = looks.answered();
            under_way.retain_mut(|future| match future.as_mut().poll(context) {
                Poll::Ready(output) => {
                    ended.push(output);
                    false
                }
                Poll::Pending => true,
            });
            if looks.answered() == answered {
                break;
            }
        }
    }
}
