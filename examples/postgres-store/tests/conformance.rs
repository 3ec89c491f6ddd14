//! The laws of the store's contract on a real server, each in a schema of its own. Without
//! `DATABASE_URL` every law is reported as ignored.
#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use tipstaff::Span;
use tipstaff::conformance::{Harness, STORE_LAWS, Variant, prove_store};
use tipstaff_postgres::{Form, PostgresStore};
use tokio::runtime::Runtime;
use tokio_postgres::{Config, NoTls};

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// Runs statements on a connection of their own.
fn administer(config: &Config, sql: &str) {
    runtime().block_on(async {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    });
}

struct Fresh {
    server: Config,
    schema: String,
    form: Form,
    store: PostgresStore,
}

impl Fresh {
    fn new(server: &Config, form: Form) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let schema = format!("tipstaff_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        administer(server, &format!("CREATE SCHEMA {schema}"));
        let store = open(server, &schema, form);
        Self { server: server.clone(), schema, form, store }
    }
}

fn open(server: &Config, schema: &str, form: Form) -> PostgresStore {
    let mut config = server.clone();
    config.options(format!("-c search_path={schema}"));
    runtime().block_on(PostgresStore::with_pool(PostgresStore::pool(config, 4).unwrap(), form)).unwrap()
}

impl Drop for Fresh {
    fn drop(&mut self) {
        administer(&self.server, &format!("DROP SCHEMA {} CASCADE", self.schema));
    }
}

impl Harness for Fresh {
    type Store = PostgresStore;

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    fn reopen(&self) -> Option<PostgresStore> {
        Some(open(&self.server, &self.schema, self.form))
    }

    fn advance(&self, span: Span) {
        std::thread::sleep(Duration::from_millis(span.as_millis()));
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait for the server.
    arguments.test_threads.get_or_insert(8);
    let server = std::env::var("DATABASE_URL").ok().map(|url| url.parse::<Config>().unwrap());
    let mut trials = Vec::new();
    for (form, name) in [(Form::Rows, "rows"), (Form::Serializable, "serializable")] {
        for law in STORE_LAWS {
            for variant in Variant::ALL {
                let (law, server) = (law.test, server.clone());
                let skipped = server.is_none();
                let check = move || {
                    // Run in spite of being ignored: without a server it cannot hold.
                    let server = server.ok_or("DATABASE_URL is not set")?;
                    let make = || Fresh::new(&server, form);
                    prove_store(law, *variant, make, |future| runtime().block_on(future))
                        .map_err(|broken| broken.to_string().into())
                };
                trials
                    .push(Trial::test(format!("{name}::{variant}::{law}"), check).with_ignored_flag(skipped));
            }
        }
    }
    if server.is_none() {
        println!("ignored: DATABASE_URL is not set, so no law is checked on a server");
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
