//! Between hosts and the server: connections that break while a transaction commits.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

/// How many commits go by for each that is cut.
const EVERY: u64 = 5;

/// Where a commit is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cut {
    /// The server never sees it: the transaction is rolled back.
    Before,
    /// It goes out, and the connection breaks with it.
    With,
    /// The server has committed, and its answer is lost.
    Answer,
    /// The same, and the host is told so, as by a pooler that has lost the server.
    Named,
}

/// What PgBouncer sends in the server's place.
const CRASHED: &[u8] = b"E\0\0\0\x30SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0";

/// A proxy in front of a server. It cuts while it is told to.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    commits: AtomicU64,
    wanted: AtomicU64,
    cuts: [AtomicU64; 4],
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            commits: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            cuts: Default::default(),
        });
        let of_listener = Arc::clone(&shared);
        thread::spawn(move || {
            for host in listener.incoming().flatten() {
                let shared = Arc::clone(&of_listener);
                thread::spawn(move || drop(shared.serve(host)));
            }
        });
        Ok(Self { address, shared })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts that many commits, one in every few.
    pub(crate) fn cut(&self, commits: u64) {
        self.shared.wanted.store(commits, Ordering::SeqCst);
    }

    /// How many were cut: before the server saw them, with them, after the server had committed, and then
    /// with a pooler's word.
    pub(crate) fn cuts(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|n| self.shared.cuts[n].load(Ordering::SeqCst))
    }

    /// Whether all that were wanted are cut.
    pub(crate) fn is_done(&self) -> bool {
        self.cuts().iter().sum::<u64>() >= self.shared.wanted.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Whether the next commit is cut, and where.
    fn next(&self) -> Option<Cut> {
        let n = self.commits.fetch_add(1, Ordering::SeqCst);
        let done: u64 = self.cuts.iter().map(|cuts| cuts.load(Ordering::SeqCst)).sum();
        if !n.is_multiple_of(EVERY) || done >= self.wanted.load(Ordering::SeqCst) {
            return None;
        }
        let cut = [Cut::Before, Cut::With, Cut::Answer, Cut::Named][(n / EVERY % 4) as usize];
        self.cuts[cut as usize].fetch_add(1, Ordering::SeqCst);
        Some(cut)
    }

    fn serve(&self, mut host: TcpStream) -> io::Result<()> {
        // Where the server is gone, the host's connection ends as well.
        let mut server = TcpStream::connect(self.server)?;
        host.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let silent = Arc::new(AtomicBool::new(false));
        let back = {
            let (mut from, mut to, silent) = (server.try_clone()?, host.try_clone()?, Arc::clone(&silent));
            thread::spawn(move || {
                let mut bytes = [0; 16 * 1024];
                while let Ok(n @ 1..) = from.read(&mut bytes) {
                    if !silent.load(Ordering::SeqCst) && to.write_all(&bytes[..n]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Both);
            })
        };
        let outcome = self.forward(&mut host, &mut server, &silent);
        let _ = server.shutdown(Shutdown::Both);
        let _ = host.shutdown(Shutdown::Both);
        let _ = back.join();
        outcome
    }

    /// Message by message, as the protocol has them: a byte that says what it is, but for the first,
    /// and its length with that of the length.
    fn forward(&self, host: &mut TcpStream, server: &mut TcpStream, silent: &AtomicBool) -> io::Result<()> {
        let mut waiting = Vec::new();
        let mut bytes = [0; 16 * 1024];
        let mut first = true;
        loop {
            let n = host.read(&mut bytes)?;
            if n == 0 {
                return Ok(());
            }
            waiting.extend_from_slice(&bytes[..n]);
            let mut ready = 0;
            while let Some(size) = size(&waiting[ready..], first) {
                let message = &waiting[ready..ready + size];
                if !first
                    && is_commit(message)
                    && let Some(cut) = self.next()
                {
                    let whole = ready + if cut == Cut::Before { 0 } else { size };
                    silent.store(true, Ordering::SeqCst);
                    server.write_all(&waiting[..whole])?;
                    if matches!(cut, Cut::Answer | Cut::Named) {
                        sleep(Duration::from_millis(40));
                    }
                    if cut == Cut::Named {
                        host.write_all(CRASHED)?;
                    }
                    return Ok(());
                }
                first = false;
                ready += size;
            }
            server.write_all(&waiting[..ready])?;
            waiting.drain(..ready);
        }
    }
}

/// The size of the message that begins here, if all of it has come.
fn size(bytes: &[u8], first: bool) -> Option<usize> {
    let head = usize::from(!first);
    let length = bytes.get(head..head + 4)?;
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
    let size = head + length;
    (bytes.len() >= size).then_some(size)
}

/// A simple query `COMMIT`.
fn is_commit(message: &[u8]) -> bool {
    message.first() == Some(&b'Q') && message.get(5..) == Some(b"COMMIT\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn a_commit_is_known_by_its_whole_message() {
        let commit = message(b'Q', b"COMMIT\0");
        assert!(is_commit(&commit));
        assert!(!is_commit(&message(b'Q', b"COMMIT;SELECT 1\0")));
        assert!(!is_commit(&message(b'P', b"COMMIT\0")));
        assert_eq!(size(&commit, false), Some(commit.len()));
        assert_eq!(size(&commit[..commit.len() - 1], false), None);
        assert_eq!(size(&commit[1..], true), Some(commit.len() - 1));
    }

    #[test]
    fn it_cuts_as_many_as_it_was_told_at_each_place() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).unwrap();
        thread::spawn(move || {
            for mut host in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut bytes = [0; 64];
                    while let Ok(1..) = host.read(&mut bytes) {
                        let _ = host.write_all(b"answer");
                    }
                });
            }
        });
        proxy.cut(8);
        let (mut lost, mut named) = (0, 0);
        for _ in 0..60 {
            let mut host = TcpStream::connect(proxy.address()).unwrap();
            let begin = [&8_u32.to_be_bytes()[..], b"user"].concat();
            host.write_all(&begin).unwrap();
            let mut answer = [0; 6];
            host.read_exact(&mut answer).unwrap();
            host.write_all(&message(b'Q', b"COMMIT\0")).unwrap();
            match host.read_exact(&mut answer) {
                Err(_) => lost += 1,
                Ok(()) => named += u64::from(answer.first() == Some(&b'E')),
            }
        }
        assert_eq!((lost, named, proxy.cuts(), proxy.is_done()), (6, 2, [2, 2, 2, 2], true));
    }
}
