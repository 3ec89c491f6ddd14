//! The delivery: its endpoints, and which job goes to which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tipstaff::{ActionType, Answer, BuiltinAction, Delivered, Delivery, Job, ParamValue, Probe};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, config::Config};

use crate::body::body;
use crate::call::{Call, Clock, Gone, Guarded};
use crate::endpoint::Endpoint;
use crate::threads;

/// How long an attempt may take in all: within the 15 to 30 seconds that the specification
/// suggests, and shorter than the engine's lease.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

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
/// It blocks its caller while it sends, unless it does so [on threads](Webhooks::on_threads): right for a host
/// with an asynchronous runtime, and for one that claims batches.
pub struct Webhooks {
    endpoints: BTreeMap<String, Endpoint>,
    routes: BTreeMap<ActionType, String>,
    public: Agent,
    inside: Agent,
    clock: Clock,
    gone: Gone,
    on_threads: bool,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("endpoints", &self.endpoints)
            .field("routes", &self.routes)
            .field("gone", &*self.gone.names())
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
            clock: Arc::new(SystemTime::now),
            gone: Gone::default(),
            on_threads: false,
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

    /// With a thread for each message that is under way: the futures of deliveries wait then, and a batch is
    /// sent all at once. There are as many as the engine [claims](tipstaff::Engine::claim_up_to), at most. A
    /// message whose future is dropped is sent to its end, and its answer is lost.
    #[must_use]
    pub fn on_threads(self) -> Self {
        Self { on_threads: true, ..self }
    }

    /// With another clock, for tests: the timestamp of an attempt is signed.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// The endpoints that answered 410 and are left alone since, for the host to write down and to
    /// show their owners.
    #[must_use]
    pub fn gone(&self) -> BTreeSet<String> {
        self.gone.names().clone()
    }

    /// Leaves an endpoint alone, as if it had answered 410: what the host wrote down before a
    /// restart, or an owner's wish.
    pub fn close(&self, name: impl Into<String>) {
        self.gone.names().insert(name.into());
    }

    /// Sends to an endpoint again.
    pub fn restore(&self, name: &str) {
        self.gone.names().remove(name);
    }

    /// All that is needed for the call, or why there is none.
    fn call(&self, job: &Job) -> Result<Call, Delivered> {
        let name = self.target(job).map_err(Delivered::permanent)?;
        let refused = |why: String| Delivered::permanent(why).recipient(name);
        let Some(endpoint) = self.endpoints.get(name) else {
            let known: Vec<_> = self.endpoints.keys().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(refused(format!("no endpoint has that name; known: {known}")));
        };
        let body = body(job).map_err(|error| refused(format!("the job cannot be written: {error}")))?;
        let agent = if endpoint.private { &self.inside } else { &self.public };
        Ok(Call {
            agent: agent.clone(),
            endpoint: endpoint.clone(),
            name: name.to_owned(),
            id: job.key.to_string(),
            body,
            clock: Arc::clone(&self.clock),
            gone: self.gone.clone(),
        })
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
}

impl Delivery for Webhooks {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        let own = ActionType::from(BuiltinAction::SendWebhook);
        Some(self.routes.keys().cloned().chain([own]).collect())
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(async move {
            let call = match self.call(job) {
                Ok(call) => call,
                Err(refused) => return refused,
            };
            let name = call.name.clone();
            let delivered = match self.on_threads {
                true => threads::carry_out(move || call.make()).await,
                false => call.make(),
            };
            delivered.recipient(name)
        })
    }

    /// A receiver of webhooks cannot be asked. Most types need no answer: their ids are honoured, so
    /// they are sent again. What must not be repeated ends as `outcome_unknown`.
    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}
