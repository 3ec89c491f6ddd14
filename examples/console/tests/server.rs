//! Every command on a PostgreSQL server, beside the same on a file: they say the same. The server is
//! `DATABASE_URL`, or one that listens at 127.0.0.1:5432; without one the test is reported as ignored.

mod support;

use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use support::{NOW, fails, inputs, json, run};
use tipstaff_console::store::{Database, block_on};
use tokio_postgres::NoTls;

const HERE: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// Runs statements on a connection of their own.
fn administer(server: &str, sql: &str) -> Result<(), tokio_postgres::Error> {
    block_on(async {
        let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(sql).await
    })
}

/// A schema of its own in the server, gone when it is dropped.
struct Schema<'s> {
    server: &'s str,
    name: String,
}

impl<'s> Schema<'s> {
    fn new(server: &'s str) -> Self {
        let name = format!("tipstaff_console_{}", std::process::id());
        administer(server, &format!("CREATE SCHEMA {name}")).expect("a schema can be made");
        Self { server, name }
    }

    fn url(&self) -> String {
        let sign = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{sign}options=-c%20search_path%3D{}", self.server, self.name)
    }
}

impl Drop for Schema<'_> {
    fn drop(&mut self) {
        administer(self.server, &format!("DROP SCHEMA {} CASCADE", self.name)).expect("it can be dropped");
    }
}

fn call(db: &str, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tipstaff-console"));
    command.current_dir(dir).args(["--db", db, "--now", NOW]).args(args);
    command
}

/// What differs from one run to another: who carried it out, when by the machine's clock, under which
/// salts, and what is hashed over them.
fn same(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            for own in ["worker", "salt", "commitment", "hash", "previous", "head", "actor", "digest"] {
                object.remove(own);
            }
            object.values_mut().for_each(|member| *member = same(member.take()));
        }
        // What comes from the inputs is of 2 March 2026.
        Value::String(text) if text.parse::<tipstaff::Time>().is_ok() && !text.starts_with("2026-03-") => {
            *text = "now".to_owned();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = same(item.take())),
        _ => {}
    }
    value
}

/// The commands, in the order in which somebody would call them.
const CALLS: [&[&str]; 14] = [
    &["replay", "--rules", "rules.json", "--events", "events.ndjson"],
    &["rules", "list"],
    &["schedule", "list"],
    &["log"],
    &["signals"],
    &["explain", "--event", "events.ndjson", "--line", "1"],
    &["start", "rule:leave", "u-5", "--reason", "last day", "--by", "op", "--id", "m-1"],
    &["run"],
    &["approvals", "list"],
    &["log", "--status", "pending", "--subject", "u-2"],
    &["rules", "deactivate", "note"],
    &["bands", "preview", "rules.json"],
    &["audit", "list", "--limit", "500"],
    &["audit", "verify"],
];

fn commands_say_the_same(server: &str) {
    let schema = Schema::new(server);
    let (on_file, on_server) = (inputs(), inputs());
    for args in CALLS {
        let file = same(json(&mut call("test.db", on_file.path(), args)));
        let there = same(json(&mut call(&schema.url(), on_server.path(), args)));
        assert_eq!(there, file, "{args:?}");
    }
    let open = json(&mut call(&schema.url(), on_server.path(), &["approvals", "list"]));
    let id = open["rows"][0]["approval"]["id"].as_str().expect("a request is open").to_owned();
    for (by, state) in [("s2", "open"), ("s3", "granted")] {
        let args = ["approvals", "approve", &id, "--by", by];
        let told = json(&mut call(&schema.url(), on_server.path(), &args));
        assert!(told["approval"]["state"].to_string().contains(state), "{told:#}");
    }
    let ran = json(&mut call(&schema.url(), on_server.path(), &["run"]));
    assert!(ran["succeeded"].as_u64() > Some(0), "{ran:#}");
    assert!(run(&mut call(&schema.url(), on_server.path(), &["audit", "verify"])).contains("is whole"));
    // The demo makes no place for itself where there are records.
    let args = ["demo", "--dir", "demo"];
    let refused = fails(&mut call(&schema.url(), on_server.path(), &args), 1);
    assert!(refused.contains("has records; name another with --tenant"), "{refused}");
    let told =
        run(&mut call(&schema.url(), on_server.path(), &["--tenant", "demo", "demo", "--dir", "demo"]));
    assert!(told.contains("Who is restricted"), "{told}");
    // What it tells to go on with is what it has used, as a shell takes it.
    let Ok(database) = schema.url().parse::<Database>();
    let named = database.without_password();
    let next = format!("tipstaff-console --db '{named}' --outbox demo/outbox --tenant demo --now ");
    assert!(told.contains(&next) && !told.contains("demo.db"), "{next} in\n{told}");
    let refused = fails(&mut call(&schema.url(), on_server.path(), &["load", "due"]), 1);
    assert!(refused.contains("has records of tenant `default`; give `load` a database"), "{refused}");
}

/// A server that cannot be reached is told by its address, without the password.
fn no_server_is_told_without_the_password() {
    let dir = inputs();
    let nobody = "postgres://ana:secret@127.0.0.1:1/none";
    let told = fails(&mut call(nobody, dir.path(), &["log"]), 1);
    assert!(told.contains("cannot be used") && !told.contains("secret"), "{told}");
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let server = std::env::var("DATABASE_URL").ok();
    let server = server.or_else(|| administer(HERE, "SELECT 1").is_ok().then(|| HERE.to_owned()));
    if server.is_none() {
        println!("ignored: DATABASE_URL is not set, and no server listens at {HERE}");
    }
    let skipped = server.is_none();
    let trials = vec![
        Trial::test("commands_say_the_same_on_a_server_as_on_a_file", move || {
            commands_say_the_same(&server.ok_or("there is no server")?);
            Ok(())
        })
        .with_ignored_flag(skipped),
        Trial::test("no_server_is_told_without_the_password", || {
            no_server_is_told_without_the_password();
            Ok(())
        }),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
