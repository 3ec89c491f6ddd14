//! What becomes of the file.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tipstaff::{Committed, Record, Store, StoreError, Subject, Trail};
use tipstaff_sqlite::{OpenError, Phase, SqliteStore};

use crate::support::{at, claim, commit, done, draft, is_passed_over, plain, queued, tenant, verified};

fn edit(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_file_that_is_opened_again_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let acme = tenant("acme");
    let record = queued(&acme, 1, "send_email", 1);
    let written = tipstaff::Commit { audit: vec![draft(&acme, 1)], ..commit(&acme, 1, vec![record.clone()]) };
    done(SqliteStore::open(&path).unwrap().commit(&written)).unwrap();

    let store = SqliteStore::open(&path).unwrap();
    let repeat = done(store.commit(&written)).unwrap();
    assert_eq!(repeat, Committed::AlreadyApplied);
    let taken = done(store.claim(&claim(1, 5, 10))).unwrap();
    assert_eq!(taken.iter().map(|taken| &taken.key).collect::<Vec<_>>(), [&record.key]);
    drop(store);

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(done(store.claim(&claim(1, 5, 10))).unwrap(), taken);
    assert_eq!(verified(&store, &acme, 0), 2);
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let refused = |what: &str| {
        let before = fs::read(&path).unwrap();
        let error = SqliteStore::open(&path).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), before, "{what}");
        assert!(error.to_string().contains("; accepted: "), "{error}");
        error
    };
    fs::write(&path, "no database at all, but long enough for a header: ".repeat(20)).unwrap();
    assert!(matches!(refused("text"), OpenError::NotADatabase { .. }));

    fs::remove_file(&path).unwrap();
    edit(&path, "CREATE TABLE theirs (a)");
    assert_eq!(refused("a table"), OpenError::Foreign { path: path.clone() });
    edit(&path, "DROP TABLE theirs; PRAGMA application_id = 7");
    assert_eq!(refused("an application"), OpenError::Foreign { path: path.clone() });

    let missing = folder.path().join("no/folder/file");
    assert!(matches!(SqliteStore::open(missing), Err(OpenError::Unavailable { .. })));
    assert!(matches!(SqliteStore::open(":memory:"), Err(OpenError::NoWriteAheadLog { .. })));
}

#[test]
fn an_empty_file_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    assert_eq!(verified(&SqliteStore::open(&path).unwrap(), &tenant("acme"), 0), 0);
}

#[test]
fn a_newer_schema_is_refused_also_when_it_comes_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    edit(&path, "PRAGMA user_version = 3");
    let error = done(store.commit(&commit(&tenant("acme"), 1, vec![]))).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { place, .. } if place == "the schema"), "{error}");
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error, OpenError::Newer { path, found: 3, newest: 2 });
}

#[test]
fn stored_nonsense_is_named_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let acme = tenant("acme");
    let record = queued(&acme, 1, "send_email", 1);
    let key = record.key.clone();
    let written = tipstaff::Commit { audit: vec![draft(&acme, 1)], ..commit(&acme, 1, vec![record]) };
    done(store.commit(&written)).unwrap();
    let trail = Trail { tenant: acme.clone(), lane: 0, after: 0, limit: 1 };
    for (sql, part) in [
        ("UPDATE records SET facets = '[['", "facets: "),
        ("UPDATE records SET facets = '[]', channel = 'no channel!'", "action type"),
        ("UPDATE audit SET record = '{'", "EOF"),
    ] {
        edit(&path, sql);
        let answers = [
            done(store.load(std::slice::from_ref(&key))).err(),
            done(store.claim(&claim(1, 1, 10))).err(),
            done(store.trail(&trail)).err(),
        ];
        let found = answers.iter().flatten().find_map(|error| match error {
            StoreError::Corrupt { place, fault } if fault.contains(part) => Some(place.clone()),
            _ => None,
        });
        let place = found.unwrap_or_else(|| panic!("{sql}: {answers:?}"));
        assert!(place.starts_with("acme/"), "{place}");
    }
    edit(&path, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 99 WHERE name = 'records'");
    let damaged = SqliteStore::open(&path).map(|store| {
        let error = done(store.load(std::slice::from_ref(&key))).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    });
    assert!(matches!(damaged, Ok(()) | Err(OpenError::NotADatabase { .. })), "{damaged:?}");
}

#[test]
fn what_is_erased_is_gone_from_the_disk() {
    // Long, so that it leaves whole pages behind.
    const SECRET: &str = "a comment that somebody regrets; ";
    let regretted = SECRET.repeat(100);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let acme = tenant("acme");
    let about = |user: &str, text: &str| {
        draft(&acme, 1).subject(Subject::user(user.parse().unwrap())).personal("comment", text)
    };
    let audit = vec![
        about("ana", &regretted),
        about("ben", "kept"),
        draft(&acme, 2),
        about("ana", &regretted).lane(3),
    ];
    done(store.commit(&tipstaff::Commit { audit, ..commit(&acme, 1, vec![]) })).unwrap();
    let holds = || {
        let files = fs::read_dir(folder.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        files.filter(|bytes| bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes())).count()
    };
    assert_ne!(holds(), 0);
    let ana = "ana".parse().unwrap();
    assert_eq!(done(store.erase(&acme, &ana)), Ok(2));
    assert_eq!(holds(), 0);
    assert_eq!(done(store.erase(&acme, &ana)), Ok(0));
    let db = rusqlite::Connection::open(&path).unwrap();
    let left: Vec<String> =
        (db.prepare("SELECT personal_of FROM audit WHERE personal_of IS NOT NULL").unwrap())
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
    assert_eq!(left, ["ben"], "who is left to erase");
    assert_eq!((verified(&store, &acme, 0), verified(&store, &acme, 3)), (3, 1));
    let trail = done(store.trail(&Trail { tenant: acme.clone(), lane: 0, after: 1, limit: 1 })).unwrap();
    assert_eq!(trail[0].personal["comment"].value.as_deref(), Some("kept"));
}

#[test]
fn what_is_erased_while_somebody_reads_is_gone_after_a_later_write() {
    const SECRET: &[u8] = b"a comment that somebody regrets";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let acme = tenant("acme");
    let regretted = str::from_utf8(SECRET).unwrap().repeat(100);
    let about =
        draft(&acme, 1).subject(Subject::user("ana".parse().unwrap())).personal("comment", &regretted);
    done(store.commit(&tipstaff::Commit { audit: vec![about], ..commit(&acme, 1, vec![]) })).unwrap();
    let in_log = || {
        let log = fs::read(folder.path().join("store.db-wal")).unwrap();
        log.windows(SECRET.len()).any(|bytes| bytes == SECRET)
    };
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM audit").unwrap();
    assert_eq!(done(store.erase(&acme, &"ana".parse().unwrap())), Ok(1));
    done(store.commit(&commit(&acme, 2, vec![]))).unwrap();
    assert!(in_log(), "the reader may still ask for it");
    drop(reader);
    done(store.commit(&commit(&acme, 3, vec![]))).unwrap();
    assert!(!in_log());
}

#[test]
fn the_hook_stands_on_both_sides_of_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let acme = tenant("acme");
    let record = plain(&acme, "1", 1, &[]);
    let keys = [record.key.clone()];
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, watched) = (Arc::clone(&seen), path.clone());
    let store = SqliteStore::open(&path).unwrap().on_commit(Box::new(move |phase| {
        let other = SqliteStore::open(&watched).unwrap();
        let there = done(other.load(&keys)).unwrap()[0].is_some();
        log.lock().unwrap().push((phase, there));
    }));
    done(store.commit(&commit(&acme, 1, vec![record.clone()]))).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(Phase::BeforeCommit, false), (Phase::AfterCommit, true)]);
}

/// Starts this test again in a process of its own that ends at the phase, with no chance to tidy up.
#[test]
fn a_process_that_ends_at_the_commit_has_written_all_or_nothing() {
    const TEST: &str = "file::a_process_that_ends_at_the_commit_has_written_all_or_nothing";
    let acme = tenant("acme");
    let record = queued(&acme, 1, "send_email", 1);
    let call = tipstaff::Commit { audit: vec![draft(&acme, 1)], ..commit(&acme, 1, vec![record]) };
    if let (Some(path), Ok(last)) = (std::env::var_os("DRILL_FILE"), std::env::var("DRILL_PHASE")) {
        let end = move |phase| {
            if format!("{phase:?}") == last {
                std::process::abort();
            }
        };
        let _ = done(SqliteStore::open(path).unwrap().on_commit(Box::new(end)).commit(&call));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (phase, records) in [(Phase::BeforeCommit, 0), (Phase::AfterCommit, 1)] {
        let path = folder.path().join(format!("{phase:?}"));
        let drill = Command::new(std::env::current_exe().unwrap())
            .args([TEST, "--exact"])
            .env("DRILL_FILE", &path)
            .env("DRILL_PHASE", format!("{phase:?}"))
            .output()
            .unwrap();
        assert!(!drill.status.success(), "{drill:?}");
        let store = SqliteStore::open(&path).unwrap();
        let found = done(store.load(&[call.put[0].key.clone()])).unwrap();
        assert_eq!(found.iter().flatten().count() as u64, records);
        assert_eq!(verified(&store, &acme, 0), records);
        let repeat = if records == 1 { Committed::AlreadyApplied } else { Committed::Applied };
        assert_eq!(done(store.commit(&call)), Ok(repeat));
        assert_eq!(verified(&store, &acme, 0), 1);
    }
}

#[test]
fn a_panic_in_the_middle_leaves_a_store_that_works() {
    let acme = tenant("acme");
    let store = SqliteStore::in_memory().unwrap().on_commit(Box::new({
        let first = Mutex::new(true);
        move |_| assert!(!std::mem::take(&mut *first.lock().unwrap_or_else(|e| e.into_inner())), "drill")
    }));
    let call = commit(&acme, 1, vec![plain(&acme, "1", 1, &[])]);
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| done(store.commit(&call))));
    assert!(broken.is_err());
    assert_eq!(done(store.load(&[call.put[0].key.clone()])), Ok(vec![None]));
    assert_eq!(done(store.commit(&call)), Ok(Committed::Applied));
    let there: Vec<Option<Record>> = done(store.load(&[call.put[0].key.clone()])).unwrap();
    assert!(there[0].is_some());
}

#[test]
fn what_cannot_be_read_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    is_passed_over(&store, "records", |sql| edit(&path, sql));
}

/// A disk that has flipped a bit, a column at a time: in a text, or in what says that it is one.
#[test]
fn what_is_no_text_any_more_holds_up_no_other() {
    for column in ["tenant", "kind", "id", "channel", "lease_worker", "lease_nonce", "facets", "body"] {
        for (what, due, set) in [
            ("is free", None, ""),
            ("has a timer", Some(at(3)), ""),
            ("was left behind", None, ", lease_worker = 'w', lease_nonce = 'n', lease_until = 0"),
        ] {
            if column.starts_with("lease") && set.is_empty() {
                continue;
            }
            for value in ["CAST(X'61FF' AS TEXT)", "X'61'", "X'7A'"] {
                let what = format!("{column} of what {what} is {value}");
                damaged(column, value, due, set, &what);
            }
        }
    }
}

fn damaged(column: &str, value: &str, due: Option<tipstaff::Time>, set: &str, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let last = Record { due_at: Some(at(3)), ..queued(&tenant("z"), 1, "send_email", 0) };
    let first = Record { due_at: due, ..queued(&tenant("a"), 1, "send_email", 0) };
    done(store.commit(&commit(&tenant("a"), 1, vec![first.clone()]))).unwrap();
    done(store.commit(&commit(&tenant("z"), 1, vec![last.clone()]))).unwrap();
    drop(store);
    // The table itself would not take it.
    edit(
        &path,
        "PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'records'",
    );
    edit(&path, &format!("UPDATE records SET token = 0 {set} WHERE tenant = 'a'"));
    edit(&path, &format!("UPDATE records SET {column} = {value} WHERE tenant = 'a'"));
    // Whoever goes round and round is not waited for.
    let (sender, answer) = std::sync::mpsc::channel();
    let sound = last.clone();
    std::thread::spawn(move || {
        let store = SqliteStore::open(&path).unwrap();
        let seen = seen(&store);
        let _ = sender.send((seen, done(store.load(&[first.key]))));
    });
    let (seen, told) =
        answer.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{what}: no end"));
    assert_eq!(seen, (vec![sound.key.clone()], Some(at(3)), vec![sound.key]), "{what}");
    let gone = ["tenant", "kind", "id"].contains(&column);
    let named = |place: &str| place.starts_with("a/");
    assert!(
        gone || matches!(&told, Err(StoreError::Corrupt { place, .. }) if named(place)),
        "{what}: {told:?}"
    );
}

type Keys = Vec<tipstaff::Key>;

/// What is due, when the next timer is, and what a claim of one takes.
fn seen(store: &SqliteStore) -> (Keys, Option<tipstaff::Time>, Keys) {
    let found = |records: Vec<Record>| records.into_iter().map(|record| record.key).collect::<Vec<_>>();
    let due = found(done(store.due(&tipstaff::DuePage { until: at(3), after: None, limit: 5 })).unwrap());
    let timer = done(store.upcoming(&tipstaff::Ahead { channels: None, after: at(2) })).unwrap().timer;
    (due, timer, found(done(store.claim(&claim(1, 1, 9))).unwrap()))
}
