//! Futures: the one type that all calls answer with, and the one-poll bridge, by which a host without an
//! async runtime drives a future that never waits.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// The future that a call of the engine, of a delivery or of a directory answers with: boxed, so that a host's
/// own can be kept in one router, and so that the engine is compiled once, with the library, and not once
/// more by each program that awaits it.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The future had to wait, so it cannot be driven by [`ready`]: the store or the delivery behind
/// it needs a runtime. Await the future there instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store or the delivery had to wait: await this call in an async runtime")]
pub struct WouldBlock;

/// Polls a future once and returns its output.
///
/// A store that never waits ([`MemoryStore`](crate::MemoryStore), a store on SQLite) makes every
/// engine call finish at its first poll, so that a synchronous program needs no runtime.
///
/// # Errors
/// [`WouldBlock`] when the future is not finished after one poll. The future is dropped then;
/// every call of the engine may be repeated safely.
///
/// ```
/// assert_eq!(tipstaff::ready(async { 7 }), Ok(7));
/// assert_eq!(tipstaff::ready(std::future::pending::<()>()), Err(tipstaff::WouldBlock));
/// ```
pub fn ready<F: Future>(future: F) -> Result<F::Output, WouldBlock> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(WouldBlock),
    }
}
