//! The process of the tokio page, asked to end as process managers do.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::{Target, host, log, nothing_is_held, succeeded};
use tipstaff::Status;

fn start(how: &str, file: &Path) -> (Child, ChildStdin, impl Iterator<Item = String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tipstaff-loop"))
        .args([how.as_ref(), file.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, stdin, BufReader::new(stdout).lines().map_while(Result::ok))
}

#[test]
fn a_signal_ends_it_in_good_order() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.db");
    let (mut child, mut input, mut said) = start("tokio", &file);
    for user in ["ana", "ben", "cat"] {
        writeln!(input, "{user}").unwrap();
    }
    said.by_ref().find(|line| line.starts_with("begins")).expect("it delivers");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let said: Vec<String> = said.collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("ended in good order"), "{said:?}");
    drop(input);
    let host = host(&file, &Target::blocking(|_| ()));
    nothing_is_held(&host);
    let done = said.iter().filter(|line| line.starts_with("done")).count();
    assert_eq!(succeeded(&host), done, "all that was delivered is written down: {said:?}");
    assert!(log(&host).iter().all(|row| row.status() != Status::Failed));
}

#[test]
fn the_end_of_the_input_ends_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.db");
    let (mut child, mut input, mut said) = start("threads", &file);
    writeln!(input, "ana").unwrap();
    for _ in 0..2 {
        said.by_ref().find(|line| line.starts_with("done")).expect("it delivers");
    }
    drop(input);
    let said: Vec<String> = said.collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    let host = host(&file, &Target::blocking(|_| ()));
    assert_eq!(succeeded(&host), 2);
    nothing_is_held(&host);
}
