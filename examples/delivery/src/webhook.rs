//! The delivery: one HTTP request for each attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tipstaff::{ActionType, Answer, BuiltinAction, Delivered, Delivery, Job, Outcome, ParamValue, Probe};
use ureq::http::{HeaderMap, Response, StatusCode, Uri, header};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, SendBody, config::Config};

use crate::address::is_public;
use crate::body::body;
use crate::endpoint::Endpoint;
use crate::retry_after::retry_after;
use crate::signature::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, sign};

/// How long an attempt may take in all: within the 15 to 30 seconds that the specification
/// suggests, and shorter than the engine's lease.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// How much of an answer is kept for whoever looks into a failure.
const KEPT_ANSWER: u64 = 512;

type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

/// A delivery by signed webhooks.
///
/// - 2xx is success. Everything else is failure and is tried again, redirects too (none is
///   followed); a `Retry-After` is honoured. 410 says that nobody listens there any more: the
///   enforcement fails for good, and nothing is sent to that endpoint until the host
///   [restores](Webhooks::restore) it.
/// - What failed before anything of the message was sent is a failure: no name, no connection, no
///   trust in the certificate. What failed later is an answer that was lost. It is tried again, as
///   receivers honour `webhook-id`; but for types that must not be repeated
///   ([`NotIdempotent`](tipstaff::RetrySafety::NotIdempotent), such as `escalate_to_hr`): those end
///   as `outcome_unknown`, for a person to look at.
/// - A public endpoint is reached at public addresses only. They are checked where the name is
///   resolved, so a name that changes its address between check and call gains nothing; proxies of
///   the environment are not used.
///
/// It blocks its thread while it sends. A host with an asynchronous runtime runs the engine's loop
/// on a thread of its own, or wraps it.
pub struct Webhooks {
    endpoints: BTreeMap<String, Endpoint>,
    routes: BTreeMap<ActionType, String>,
    public: Agent,
    inside: Agent,
    clock: Clock,
    gone: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("endpoints", &self.endpoints)
            .field("routes", &self.routes)
            .field("gone", &self.closed())
            .finish_non_exhaustive()
    }
}

impl Default for Webhooks {
    fn default() -> Self {
        Self::new(DEFAULT_TIMEOUT)
    }
}

impl Webhooks {
    /// A delivery without endpoints, whose attempts take no longer than this. The engine's lease
    /// must be longer.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        let agent = |guard| {
            let config = Config::builder()
                .timeout_global(Some(timeout))
                // Whoever is hard to reach leaves time for the answer.
                .timeout_resolve(Some(timeout / 2))
                .timeout_connect(Some(timeout / 2))
                .max_redirects(0)
                .max_redirects_will_error(false)
                .http_status_as_error(false)
                .proxy(None)
                .user_agent(concat!("tipstaff/", env!("CARGO_PKG_VERSION")))
                .build();
            Agent::with_parts(
                config,
                DefaultConnector::default(),
                Guarded { guard, names: DefaultResolver::default() },
            )
        };
        Self {
            endpoints: BTreeMap::new(),
            routes: BTreeMap::new(),
            public: agent(true),
            inside: agent(false),
            clock: Box::new(SystemTime::now),
            gone: Mutex::default(),
        }
    }

    /// With an endpoint, under the name that rules use (`"params": {"endpoint": "siem"}`).
    #[must_use]
    pub fn endpoint(mut self, name: impl Into<String>, endpoint: Endpoint) -> Self {
        self.endpoints.insert(name.into(), endpoint);
        self
    }

    /// With one more channel, all of whose actions go to that endpoint: escalations, notices to
    /// approvers, a type of the tenant's own.
    #[must_use]
    pub fn route(mut self, channel: impl Into<ActionType>, endpoint: impl Into<String>) -> Self {
        self.routes.insert(channel.into(), endpoint.into());
        self
    }

    /// With another clock, for tests: the timestamp of an attempt is signed.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// The endpoints that answered 410 and are left alone since, for the host to write down and to
    /// show their owners.
    #[must_use]
    pub fn gone(&self) -> BTreeSet<String> {
        self.closed().clone()
    }

    /// Leaves an endpoint alone, as if it had answered 410: what the host wrote down before a
    /// restart, or an owner's wish.
    pub fn close(&self, name: impl Into<String>) {
        self.closed().insert(name.into());
    }

    /// Sends to an endpoint again.
    pub fn restore(&self, name: &str) {
        self.closed().remove(name);
    }

    fn closed(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, job: &Job) -> Delivered {
        let name = match self.target(job) {
            Ok(name) => name,
            Err(why) => return Delivered::permanent(why),
        };
        let Some(endpoint) = self.endpoints.get(name) else {
            let known: Vec<_> = self.endpoints.keys().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Delivered::permanent(format!("no endpoint has that name; known: {known}"))
                .recipient(name);
        };
        if self.closed().contains(name) {
            return Delivered::permanent("the endpoint has answered 410 Gone and is left alone")
                .recipient(name);
        }
        self.call(job, endpoint, name).recipient(name)
    }

    fn target<'a>(&'a self, job: &'a Job) -> Result<&'a str, String> {
        if let Some(name) = self.routes.get(&job.channel) {
            return Ok(name);
        }
        if job.channel != BuiltinAction::SendWebhook.into() {
            return Err(format!("channel `{}` is not carried by webhooks", job.channel));
        }
        match job.params.get("endpoint") {
            Some(ParamValue::Text(name)) => Ok(name),
            _ => Err("parameter `endpoint` is missing".to_owned()),
        }
    }

    fn call(&self, job: &Job, endpoint: &Endpoint, name: &str) -> Delivered {
        let now = (self.clock)();
        let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let body = match body(job) {
            Ok(body) => body,
            Err(error) => return Delivered::permanent(format!("the job cannot be written: {error}")),
        };
        let headers = match sign(&endpoint.secrets, &job.key.to_string(), at, &body) {
            Ok(headers) => headers,
            Err(error) => return Delivered::permanent(error.to_string()),
        };
        let agent = if endpoint.private { &self.inside } else { &self.public };
        let mut message = Message { left: &body, begun: false };
        let sent = agent
            .post(endpoint.uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len())
            .header(HEADER_ID, &headers.id)
            .header(HEADER_TIMESTAMP, &headers.timestamp)
            .header(HEADER_SIGNATURE, &headers.signature)
            .send(SendBody::from_reader(&mut message));
        match sent {
            Err(error) => failed(&error, message.begun),
            Ok(response) => {
                if response.status() == StatusCode::GONE {
                    self.close(name);
                }
                answered(response, now)
            }
        }
    }
}

impl Delivery for Webhooks {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        let own = ActionType::from(BuiltinAction::SendWebhook);
        Some(self.routes.keys().cloned().chain([own]).collect())
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(async move { self.send(job) })
    }

    /// A receiver of webhooks cannot be asked. Most types need no answer: their ids are honoured, so
    /// they are sent again. What must not be repeated ends as `outcome_unknown`.
    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
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
struct Guarded {
    guard: bool,
    names: DefaultResolver,
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
