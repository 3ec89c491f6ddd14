//! The host processes: they are started, fed with signals at least once, stopped, killed, and started
//! again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::host::Said;
use crate::world::Order;

/// How many signals a host has in hand at most.
const IN_HAND: usize = 4;
/// How many signals come in a second.
const RATE: u64 = 60;
/// How long a host may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many texts of errors are kept.
const TEXTS: usize = 200;

/// One place for a host process.
struct Slot {
    child: Child,
    input: ChildStdin,
    reader: Option<JoinHandle<()>>,
    /// Tells the processes that have had this place apart.
    life: u64,
    ready: Arc<AtomicBool>,
    /// Somebody is about to do something to it.
    taken: bool,
    in_hand: BTreeSet<u64>,
}

impl Slot {
    /// Whether it works, and nobody is about to do anything to it.
    fn works(&self) -> bool {
        self.ready.load(Ordering::SeqCst) && !self.taken
    }
}

/// What is known of signals and hosts.
#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    lives: u64,
    /// The next new signal, and where they end.
    next: u64,
    limit: u64,
    /// Those that come again: their host has died, or the source sends twice.
    again: VecDeque<u64>,
    taken: BTreeSet<u64>,
    troubles: BTreeMap<String, u64>,
    texts: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

/// The hosts of one drill. They end when it is dropped.
pub(crate) struct Fleet {
    order: Order,
    log: PathBuf,
    /// The user whose processes they are, where it is not ours.
    user: Option<u32>,
    state: Arc<Mutex<State>>,
}

impl Fleet {
    /// Starts some hosts, and feeds them.
    pub(crate) fn start(order: Order, hosts: usize, dir: &Path, user: Option<u32>) -> Arc<Self> {
        let state = State { limit: u64::MAX, ..State::default() };
        let fleet =
            Arc::new(Self { order, log: dir.join("hosts.log"), user, state: Arc::new(Mutex::new(state)) });
        for place in 0..hosts {
            let slot = fleet.spawn(place);
            fleet.lock().slots.push(slot);
        }
        let fed = Arc::downgrade(&fleet);
        let begun = Instant::now();
        thread::spawn(move || {
            while let Some(fleet) = fed.upgrade() {
                fleet.lock().feed(begun.elapsed().as_millis() as u64 * RATE / 1_000);
                drop(fleet);
                sleep(Duration::from_millis(5));
            }
        });
        fleet
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, place: usize) -> Slot {
        let order = serde_json::to_string(&self.order).expect("an order is text");
        let errors = File::options().create(true).append(true).open(&self.log).expect("the drill's folder");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--host", &order]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().expect("this program starts");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut state = self.lock();
        state.lives += 1;
        let life = state.lives;
        drop(state);
        let (shared, ready) = (Arc::clone(&self.state), Arc::new(AtomicBool::new(false)));
        let is_ready = Arc::clone(&ready);
        let reader = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                match Said::read(&line) {
                    Said::Ready => is_ready.store(true, Ordering::SeqCst),
                    said => shared.lock().unwrap_or_else(PoisonError::into_inner).hear(place, life, said),
                }
            }
        });
        Slot { child, input, reader: Some(reader), life, ready, taken: false, in_hand: BTreeSet::new() }
    }

    /// Takes a host that works, so that nobody else does anything to it.
    fn take(&self, wish: u64) -> usize {
        let begun = Instant::now();
        loop {
            let mut state = self.lock();
            let free = (0..state.slots.len()).filter(|n| state.slots[*n].works());
            let free: Vec<usize> = free.collect();
            if !free.is_empty() {
                let place = free[wish as usize % free.len()];
                state.slots[place].taken = true;
                return place;
            }
            drop(state);
            assert!(begun.elapsed() < PATIENCE, "no host works: {}", self.told());
            sleep(Duration::from_millis(5));
        }
    }

    /// Ends a host without warning, and starts another in its place. Says whether it had signals in
    /// hand.
    pub(crate) fn kill(&self, wish: u64, after: Duration) -> bool {
        let place = self.take(wish);
        sleep(after);
        let busy = !self.lock().slots[place].in_hand.is_empty();
        self.replace(place);
        busy
    }

    fn replace(&self, place: usize) {
        let mut state = self.lock();
        let slot = &mut state.slots[place];
        // A process that ended by itself has fallen over something.
        let ended = slot.child.try_wait().expect("it is our child");
        let _ = slot.child.kill();
        let _ = slot.child.wait();
        let reader = slot.reader.take();
        if let Some(status) = ended {
            state.wrong.push(format!("a host ended by itself: {status}"));
        }
        drop(state);
        // What it has still said counts: it was durable before it said so.
        let _ = reader.map(JoinHandle::join);
        let slot = self.spawn(place);
        let mut state = self.lock();
        let old = std::mem::replace(&mut state.slots[place], slot);
        state.again.extend(old.in_hand);
    }

    /// Starts every host anew.
    pub(crate) fn restart(&self) {
        let places = self.lock().slots.len();
        (0..places).for_each(|place| self.replace(place));
    }

    /// Stops a host where it stands for so long, then lets it go on.
    pub(crate) fn pause(&self, wish: u64, long: Duration) {
        let place = self.take(wish);
        let pid = Pid::from_child(&self.lock().slots[place].child);
        kill_process(pid, Signal::STOP).expect("it is our child");
        sleep(long);
        kill_process(pid, Signal::CONT).expect("it is our child");
        self.lock().slots[place].taken = false;
    }

    /// No new signals come from now on.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.limit = state.next;
    }

    /// Whether every signal was taken.
    pub(crate) fn is_done(&self) -> bool {
        let state = self.lock();
        state.next >= state.limit
            && state.again.is_empty()
            && state.slots.iter().all(|slot| slot.in_hand.is_empty())
    }

    /// The signals that hosts have taken.
    pub(crate) fn taken(&self) -> BTreeSet<u64> {
        self.lock().taken.clone()
    }

    /// How often hosts met each kind of passing error.
    pub(crate) fn troubles(&self) -> BTreeMap<String, u64> {
        self.lock().troubles.clone()
    }

    /// How often a passing error said this.
    pub(crate) fn met(&self, what: &str) -> u64 {
        self.lock().texts.iter().filter(|(text, _)| text.contains(what)).map(|(_, n)| n).sum()
    }

    /// What must not have been.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = self.lock().wrong.clone();
        let errors = std::fs::read_to_string(&self.log).unwrap_or_default();
        wrong.extend(errors.lines().map(|line| format!("a host said on standard error: {line}")));
        wrong
    }

    pub(crate) fn told(&self) -> String {
        format!("{:?}; {:?}", self.lock().texts, self.wrong())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for slot in &mut self.lock().slots {
            let _ = slot.child.kill();
            let _ = slot.child.wait();
        }
    }
}

impl State {
    fn hear(&mut self, place: usize, life: u64, said: Said) {
        match said {
            Said::Ready => {}
            Said::Taken(n) => {
                if let Some(slot) = self.slots.get_mut(place).filter(|slot| slot.life == life) {
                    slot.in_hand.remove(&n);
                }
                // A source that delivers at least once sends some of them twice.
                if self.taken.insert(n) && n.is_multiple_of(11) {
                    self.again.push_back(n);
                }
            }
            Said::Trouble(text) => {
                let name = text.split(':').next().unwrap_or_default().to_owned();
                *self.troubles.entry(name).or_default() += 1;
                if self.texts.len() < TEXTS || self.texts.contains_key(&text) {
                    *self.texts.entry(text).or_default() += 1;
                }
            }
            Said::Wrong(text) => self.wrong.push(text),
        }
    }

    /// Gives signals to hosts that have room.
    fn feed(&mut self, due: u64) {
        let Self { slots, next, limit, again, .. } = self;
        for slot in slots.iter_mut().filter(|slot| slot.works()) {
            while slot.in_hand.len() < IN_HAND {
                let n = match again.pop_front() {
                    Some(n) => n,
                    None if *next < due && *next < *limit => {
                        *next += 1;
                        *next - 1
                    }
                    None => break,
                };
                slot.in_hand.insert(n);
                // Whoever is gone gives back what it had when it is replaced.
                let _ = writeln!(slot.input, "{n}");
            }
        }
    }
}
