//! One attempt: an HTTP request, and what its answer means.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tipstaff::{Delivered, Outcome};
use ureq::http::{HeaderMap, Response, StatusCode, Uri, header};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Agent, Body, SendBody, config::Config};

use crate::address::is_public;
use crate::endpoint::Endpoint;
use crate::retry_after::retry_after;
use crate::signature::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, sign};

/// How much of an answer is kept for whoever looks into a failure.
const KEPT_ANSWER: u64 = 512;

pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The names of the endpoints that are left alone.
#[derive(Clone, Default)]
pub(crate) struct Gone(Arc<Mutex<BTreeSet<String>>>);

impl Gone {
    pub(crate) fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message and where it goes. It is signed when it is sent.
pub(crate) struct Call {
    pub(crate) agent: Agent,
    pub(crate) endpoint: Endpoint,
    /// The endpoint's.
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    pub(crate) clock: Clock,
    pub(crate) gone: Gone,
}

impl Call {
    /// Makes it, unless the endpoint is left alone, and waits for the answer.
    pub(crate) fn make(&self) -> Delivered {
        let left_alone = self.gone.names().contains(&self.name);
        match left_alone {
            true => Delivered::permanent("the endpoint has answered 410 Gone and is left alone"),
            false => self.send(),
        }
    }

    fn send(&self) -> Delivered {
        let now = (self.clock)();
        let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let headers = match sign(&self.endpoint.secrets, &self.id, at, &self.body) {
            Ok(headers) => headers,
            Err(error) => return Delivered::permanent(error.to_string()),
        };
        let mut message = Message { left: &self.body, begun: false };
        let request = self.agent.post(self.endpoint.uri.clone());
        let sent = request
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, self.body.len())
            .header(HEADER_ID, &headers.id)
            .header(HEADER_TIMESTAMP, &headers.timestamp)
            .header(HEADER_SIGNATURE, &headers.signature)
            .send(SendBody::from_reader(&mut message));
        match sent {
            Err(error) => failed(&error, message.begun),
            Ok(response) => {
                if response.status() == StatusCode::GONE {
                    self.gone.names().insert(self.name.clone());
                }
                answered(response, now)
            }
        }
    }
}

/// What an answer means.
fn answered(response: Response<Body>, now: SystemTime) -> Delivered {
    let status = response.status();
    let after = wait(response.headers(), now);
    let message = message(status, response);
    let outcome = match status {
        _ if status.is_success() => Outcome::Done,
        StatusCode::GONE => Outcome::Permanent,
        _ => Outcome::Retry { after },
    };
    Delivered::from(outcome).message(message)
}

fn wait(headers: &HeaderMap, now: SystemTime) -> Option<tipstaff::Span> {
    retry_after(headers.get(header::RETRY_AFTER)?.to_str().ok()?, now)
}

/// The status and the beginning of what it says. The status is known; an answer that breaks off
/// after it changes nothing.
fn message(status: StatusCode, response: Response<Body>) -> String {
    let mut text = Vec::new();
    let _ = response.into_body().into_reader().take(KEPT_ANSWER).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{status} {}", text.trim()).trim_end().to_owned()
}

/// What a call that got no answer means. A message of which nothing was sent was not carried out,
/// whatever the error calls itself: one and the same kind may come from before and after.
fn failed(error: &ureq::Error, begun: bool) -> Delivered {
    match error {
        ureq::Error::Other(inner) if inner.is::<NotPublic>() => Delivered::permanent(inner.to_string()),
        _ if !begun => Delivered::retry(format!("not reached: {error}")),
        _ => Delivered::from(Outcome::Unknown).message(format!("no answer: {error}")),
    }
}

/// A body that knows whether any of it was sent: it is read when the connection stands, its
/// certificate is trusted, and the head has gone out.
struct Message<'a> {
    left: &'a [u8],
    begun: bool,
}

impl Read for Message<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.begun = true;
        self.left.read(into)
    }
}

/// A name stands for an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` is at {address}, which is no public address")]
struct NotPublic {
    host: String,
    address: IpAddr,
}

/// Names, with a look at what they stand for.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// Whether private addresses are refused.
    pub(crate) guard: bool,
    pub(crate) names: DefaultResolver,
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        // One private address among public ones is no accident.
        let bad = found.iter().map(|address| address.ip()).find(|ip| self.guard && !is_public(*ip));
        match bad {
            None => Ok(found),
            Some(address) => {
                let host = uri.host().unwrap_or_default().chars().take(80).collect();
                Err(ureq::Error::Other(Box::new(NotPublic { host, address })))
            }
        }
    }
}
