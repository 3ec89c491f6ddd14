//! A PostgreSQL server of the drill's own, so that it may be crashed.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A server in a folder. It ends when it is dropped.
pub(crate) struct Server {
    programs: PathBuf,
    dir: PathBuf,
    port: u16,
}

/// Whether this process may do all: then the server, which refuses that, runs as another user.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The id of a user of the system.
pub(crate) fn user(name: &str) -> Option<u32> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

impl Server {
    /// Where the server's programs are, of the newest version; why not, where there are none.
    pub(crate) fn programs() -> Result<PathBuf, String> {
        let versions =
            fs::read_dir("/usr/lib/postgresql").map_err(|_| "no PostgreSQL server is installed")?;
        let mut found: Vec<(u32, PathBuf)> = versions
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .filter(|(_, programs)| programs.join("initdb").exists())
            .collect();
        found.sort();
        let (_, programs) = found.pop().ok_or("no PostgreSQL server is installed")?;
        if is_root() && user("postgres").is_none() {
            return Err("there is no user `postgres`".to_owned());
        }
        Ok(programs)
    }

    /// Makes a server in a new folder and starts it.
    pub(crate) fn make(programs: PathBuf, dir: &Path) -> Result<Self, String> {
        let named = |error: std::io::Error| format!("{}: {error}", dir.display());
        fs::create_dir_all(dir).map_err(named)?;
        give(dir)?;
        // Free a moment ago; nobody else is looking for it.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(named)?.port();
        let server = Self { programs, dir: dir.to_owned(), port };
        server.call("initdb", &["-A", "trust", "-U", "postgres", "-D", &server.data()])?;
        server.start()?;
        Ok(server)
    }

    fn data(&self) -> String {
        self.dir.join("data").display().to_string()
    }

    fn call(&self, program: &str, args: &[&str]) -> Result<Output, String> {
        let path = self.programs.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(path);
                command
            }
            false => Command::new(path),
        };
        let output = command
            .args(args)
            .current_dir(&self.dir)
            .output()
            .map_err(|error| format!("{program}: {error}"))?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program} {args:?}: {}\n{said}", output.status))
    }

    pub(crate) fn start(&self) -> Result<(), String> {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=200",
            self.port,
            self.dir.display()
        );
        let log = self.dir.join("log").display().to_string();
        let started = self.call("pg_ctl", &["-D", &self.data(), "-w", "-l", &log, "-o", &options, "start"]);
        started.map(drop).map_err(|error| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            format!("{error}{last:?}")
        })
    }

    /// Ends the server as a crash does: no process of it finishes anything.
    pub(crate) fn crash(&self) -> Result<(), String> {
        self.call("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]).map(drop)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Runs statements, each by itself.
    pub(crate) fn run(&self, statements: &[&str]) -> Result<(), String> {
        let at = url(self.address());
        for statement in statements {
            self.call("psql", &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &at, "-c", statement])?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.crash();
    }
}

/// The address of the database at a server or a proxy.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("postgres://postgres@{address}/postgres")
}

/// Makes a folder the server's user's.
pub(crate) fn give(dir: &Path) -> Result<(), String> {
    let Some(user) = user("postgres").filter(|_| is_root()) else { return Ok(()) };
    let named = |error: std::io::Error| format!("{}: {error}", dir.display());
    chown(dir, Some(user), None).map_err(named)
}
