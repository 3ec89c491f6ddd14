//! A receiver of webhooks for tests and drills: it checks signatures, honours ids, counts effects,
//! and makes trouble when it is told to.

mod http;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::secret::Secret;
use crate::signature::verify;

/// How the receiver treats one message that it believes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// It takes it: 204.
    Take,
    /// It takes it, and the connection breaks before the answer.
    TakeAndLose,
    /// The connection breaks before it takes it.
    Drop,
    /// It refuses it with this status.
    Status(u16),
    /// It refuses it with this status and this header.
    With(u16, &'static str, String),
    /// It waits, then does that.
    After(Duration, Box<Self>),
}

/// What was received under each id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Effects {
    /// How often each id had its effect; never more than once where ids are honoured.
    pub effects: BTreeMap<String, usize>,
    /// How often each id came, with a valid signature.
    pub attempts: BTreeMap<String, usize>,
    /// How many messages were not believed.
    pub refused: usize,
}

type Script = Box<dyn Fn(&str, usize) -> Reply + Send + Sync>;

/// How a receiver behaves.
pub struct ReceiverOptions {
    /// The secrets that it believes.
    pub secrets: Vec<Secret>,
    /// Whether an id has its effect once only.
    pub honours_ids: bool,
    /// A file that keeps the ids over restarts.
    pub log: Option<PathBuf>,
    /// What it does with a message, by its id and the number of the attempt, from 1.
    pub script: Script,
    /// Its clock, in seconds since 1970.
    pub clock: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl ReceiverOptions {
    /// Takes everything that these secrets sign, once for each id.
    #[must_use]
    pub fn new(secrets: Vec<Secret>) -> Self {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            secrets,
            honours_ids: true,
            log: None,
            script: Box::new(|_, _| Reply::Take),
            clock: Box::new(clock),
        }
    }
}

impl fmt::Debug for ReceiverOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverOptions")
            .field("secrets", &self.secrets)
            .field("honours_ids", &self.honours_ids)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

struct Shared {
    options: ReceiverOptions,
    known: Mutex<Known>,
    stop: AtomicBool,
}

#[derive(Default)]
struct Known {
    effects: Effects,
    log: Option<File>,
}

/// A running receiver. It stops when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Listens at an address, such as `127.0.0.1:0` for any free port.
    ///
    /// # Errors
    /// Those of the network and of the log's file.
    pub fn start(address: &str, options: ReceiverOptions) -> io::Result<Self> {
        let mut known = Known::default();
        if let Some(path) = &options.log {
            if path.try_exists()? {
                for line in BufReader::new(File::open(path)?).lines() {
                    *known.effects.effects.entry(line?).or_default() += 1;
                }
            }
            known.log = Some(OpenOptions::new().create(true).append(true).open(path)?);
        }
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { options, known: Mutex::new(known), stop: AtomicBool::new(false) });
        let of_server = Arc::clone(&shared);
        let server = thread::spawn(move || {
            for connection in listener.incoming() {
                if of_server.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                let shared = Arc::clone(&of_server);
                // A connection that breaks is the sender's to notice.
                thread::spawn(move || drop(shared.serve(connection)));
            }
        });
        Ok(Self { address, shared, server: Some(server) })
    }

    /// Its address, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What it has received up to now.
    #[must_use]
    pub fn effects(&self) -> Effects {
        self.shared.known().effects.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // The server waits for a connection; it gets one.
        let _ = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut connection: TcpStream) -> io::Result<()> {
        connection.set_read_timeout(Some(Duration::from_secs(30)))?;
        let request = match http::read(&mut connection)? {
            Ok(request) => request,
            Err(status) => return http::answer(&mut connection, status, None),
        };
        let now = (self.options.clock)();
        if verify(&self.options.secrets, &request.headers, &request.body, now).is_err() {
            self.known().effects.refused += 1;
            return http::answer(&mut connection, 401, None);
        }
        let id = request.headers.id;
        let attempt = {
            let mut known = self.known();
            let attempts = known.effects.attempts.entry(id.clone()).or_default();
            *attempts += 1;
            *attempts
        };
        let mut reply = (self.options.script)(&id, attempt);
        while let Reply::After(wait, then) = reply {
            thread::sleep(wait);
            reply = *then;
        }
        match reply {
            Reply::Take => {
                self.take(&id)?;
                http::answer(&mut connection, 204, None)
            }
            Reply::TakeAndLose => self.take(&id),
            Reply::Drop | Reply::After(..) => Ok(()),
            Reply::Status(status) => http::answer(&mut connection, status, None),
            Reply::With(status, name, value) => http::answer(&mut connection, status, Some((name, &value))),
        }
    }

    /// The effect: one for each id, if ids are honoured. It is on the disk before the answer.
    fn take(&self, id: &str) -> io::Result<()> {
        let mut known = self.known();
        if self.options.honours_ids && known.effects.effects.contains_key(id) {
            return Ok(());
        }
        if let Some(log) = &mut known.log {
            writeln!(log, "{id}")?;
            log.sync_data()?;
        }
        *known.effects.effects.entry(id.to_owned()).or_default() += 1;
        Ok(())
    }
}
