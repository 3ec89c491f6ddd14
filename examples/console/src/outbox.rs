//! A folder of files that stand for the systems that actions reach: mail, chat, tickets, webhooks,
//! access control.
//!
//! Each action that is carried out is one file, `<folder>/<key>.json`: who was told what, on which
//! signal, for which rules. The file comes into being as a whole and once, whatever is repeated and
//! whoever works on it at the same time: it is written under another name, flushed to the disk, and
//! then linked to its own name, which fails if that exists. So the folder honours keys as a good
//! target does, and what the engine promises can be counted with `ls`.
//!
//! An [`OutboxConfig`] makes chosen targets refuse, fail for a while or lose their answers, always
//! in the same way.

mod config;
mod letter;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tipstaff::{ActionType, Answer, Delivered, Delivery, EnforcementId, Job, Outcome, Probe, Report};

pub use config::{ConfigError, Failure, OutboxConfig};
use letter::{place, recipient};

/// A moment of a delivery, for tests that end the process there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// The content is on the disk, under another name: the action has not happened.
    BeforeRename,
    /// The file has its name: the action has happened, and nobody was told.
    AfterRename,
}

type OnStep = Box<dyn Fn(Step) + Send + Sync>;

/// A delivery into a folder (see the [module](self)).
///
/// It carries every channel. Its file system must have hard links. Several processes may share one
/// folder.
pub struct Outbox {
    root: PathBuf,
    config: OutboxConfig,
    on_step: Option<OnStep>,
    drafts: AtomicU64,
    under_way: Mutex<BTreeSet<EnforcementId>>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("root", &self.root)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Where drafts lie until they are complete.
const DRAFTS: &str = ".drafts";

impl Outbox {
    /// Opens a folder, which is made if it is not there.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(root.join(DRAFTS))?;
        let (config, under_way) = (OutboxConfig::default(), Mutex::default());
        Ok(Self { root, config, on_step: None, drafts: AtomicU64::new(0), under_way })
    }

    /// The outbox in which these targets fail.
    #[must_use]
    pub fn config(self, config: OutboxConfig) -> Self {
        Self { config, ..self }
    }

    /// The outbox with something that is called at the steps of every delivery; it may end the
    /// process.
    #[must_use]
    pub fn on_step(self, on_step: OnStep) -> Self {
        Self { on_step: Some(on_step), ..self }
    }

    /// The file of a job, whether it is there or not.
    #[must_use]
    pub fn path(&self, job: &Job) -> PathBuf {
        self.root.join(place(job).folder).join(format!("{}.json", job.key))
    }

    /// How many files each folder has.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn count(&self) -> io::Result<BTreeMap<String, usize>> {
        let mut count = BTreeMap::new();
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?;
            let name = folder.file_name().to_string_lossy().into_owned();
            if name != DRAFTS && folder.file_type()?.is_dir() {
                count.insert(name, fs::read_dir(folder.path())?.count());
            }
        }
        Ok(count)
    }

    fn carry_out(&self, job: &Job) -> Delivered {
        let path = self.path(job);
        match path.try_exists() {
            Ok(true) => return again(job),
            Ok(false) => {}
            Err(error) => return Delivered::retry(format!("the outbox cannot be read: {error}")),
        }
        let lost = match self.config.failure(job) {
            Some((target, Failure::Permanent)) => {
                return Delivered::permanent(format!("no such target: `{target}`"));
            }
            Some((target, Failure::Retry { after, .. })) => {
                let outcome = Outcome::Retry { after };
                return Delivered::from(outcome).message(format!("`{target}` is not to be reached now"));
            }
            Some((target, Failure::Lost { .. })) => Some(target),
            None => None,
        };
        let Some(_under_way) = UnderWay::begin(&self.under_way, job.key) else {
            return Delivered::retry("the same key is being delivered");
        };
        match self.put(job, &path) {
            Ok(Put::New) => match lost {
                None => answer(job, Outcome::Done, &format!("written to {}", place(job).folder)),
                Some(target) => {
                    Delivered::from(Outcome::Unknown).message(format!("`{target}` did not answer"))
                }
            },
            Ok(Put::There) => again(job),
            Err(error) => self.failed(&path, &error),
        }
    }

    /// Writes the file, if it is not there.
    fn put(&self, job: &Job, path: &Path) -> io::Result<Put> {
        let folder = self.root.join(place(job).folder);
        fs::create_dir_all(&folder)?;
        let draft = self.draft(job)?;
        self.step(Step::BeforeRename);
        let linked = fs::hard_link(&draft, path);
        // A draft that stays behind is seen by nobody.
        let _ = fs::remove_file(&draft);
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Put::There),
            linked => linked?,
        }
        File::open(&folder)?.sync_all()?;
        self.step(Step::AfterRename);
        Ok(Put::New)
    }

    /// The content under a name of its own, flushed to the disk.
    fn draft(&self, job: &Job) -> io::Result<PathBuf> {
        let text = letter::text(job)?;
        loop {
            let number = self.drafts.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{}-{number}", job.key, std::process::id());
            let draft = self.root.join(DRAFTS).join(name);
            match OpenOptions::new().write(true).create_new(true).open(&draft) {
                Ok(mut file) => {
                    file.write_all(text.as_bytes())?;
                    file.sync_all()?;
                    return Ok(draft);
                }
                // Left by a process of the same number that ended here.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// An error may come before the file has its name, or after: what is there decides.
    fn failed(&self, path: &Path, error: &io::Error) -> Delivered {
        match path.try_exists() {
            Ok(false) => Delivered::retry(format!("the outbox cannot be written: {error}")),
            _ => Delivered::from(Outcome::Unknown).message(format!("the outbox may have it: {error}")),
        }
    }

    fn step(&self, step: Step) {
        if let Some(on_step) = &self.on_step {
            on_step(step);
        }
    }

    fn look(&self, job: &Job) -> Probe {
        match self.path(job).try_exists() {
            Ok(true) => Probe::Done,
            Ok(false) if UnderWay::has(&self.under_way, job.key) => Probe::Unknown,
            Ok(false) => Probe::NotDone,
            Err(_) => Probe::Unknown,
        }
    }
}

impl Delivery for Outbox {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        None
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(async move { self.carry_out(job) })
    }

    fn probe<'a>(&'a self, job: &'a Job) -> Answer<'a, Probe> {
        Box::pin(async move { self.look(job) })
    }
}

enum Put {
    New,
    There,
}

/// A target that honours the key answers a repeat as it answered the first time: it is done.
fn again(job: &Job) -> Delivered {
    answer(job, Outcome::Done, "an earlier attempt wrote it")
}

fn answer(job: &Job, outcome: Outcome, message: &str) -> Delivered {
    let report = Report {
        recipient: Some(recipient(job)),
        message: Some(message.to_owned()),
        reference: Some(letter::reference(job)),
    };
    Delivered { outcome, report }
}

/// A key that this process works on: a probe must not call it undone, and a second delivery of it
/// waits for another attempt.
struct UnderWay<'a> {
    keys: &'a Mutex<BTreeSet<EnforcementId>>,
    key: EnforcementId,
}

impl<'a> UnderWay<'a> {
    fn begin(keys: &'a Mutex<BTreeSet<EnforcementId>>, key: EnforcementId) -> Option<Self> {
        let new = lock(keys).insert(key);
        // Not `then_some`: a value that is made and dropped would take the other one's key out.
        new.then(|| Self { keys, key })
    }

    fn has(keys: &Mutex<BTreeSet<EnforcementId>>, key: EnforcementId) -> bool {
        lock(keys).contains(&key)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(self.keys).remove(&self.key);
    }
}

/// A set of keys is whole after every call, so a thread that panicked left it whole.
fn lock(keys: &Mutex<BTreeSet<EnforcementId>>) -> MutexGuard<'_, BTreeSet<EnforcementId>> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}
