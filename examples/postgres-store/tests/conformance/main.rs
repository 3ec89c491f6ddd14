//! The laws of the store's contract on a real server, each in a schema of its own. Without
//! `DATABASE_URL` every law is reported as ignored.
#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod calls;
#[path = "../../../sqlite-store/tests/suite/model.rs"]
mod model;
mod pooler;
mod reference;
mod repeats;
mod schemas;
mod support;

use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use tipstaff::conformance::{Harness, STORE_LAWS, Variant, prove_store};
use tipstaff::{Span, TenantId};
use tipstaff_postgres::{Form, OpenError, PostgresStore};
use tokio::runtime::Runtime;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// Runs statements on a connection of their own.
fn administer(config: &Config, sql: &str) {
    asked(config, sql);
}

/// What the server answers to statements on a connection of their own.
fn asked(config: &Config, sql: &str) -> Vec<SimpleQueryMessage> {
    runtime().block_on(async {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.simple_query(sql).await.unwrap()
    })
}

/// A schema of a test's own, gone with it.
struct Schema {
    server: Config,
    /// The server with nothing else in view; its sessions have the schema's name.
    config: Config,
    name: String,
}

impl Schema {
    fn new(server: &Config) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("tipstaff_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        administer(server, &format!("CREATE SCHEMA {name}"));
        let mut config = server.clone();
        config.options(format!("-c search_path={name}")).application_name(&name);
        Self { server: server.clone(), config, name }
    }

    fn try_open(&self, form: Form) -> Result<PostgresStore, OpenError> {
        let pool = PostgresStore::pool(self.config.clone(), 4)?;
        runtime().block_on(PostgresStore::with_pool(pool, form))
    }

    fn open(&self, form: Form) -> PostgresStore {
        self.try_open(form).unwrap()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        administer(&self.server, &format!("DROP SCHEMA {} CASCADE", self.name));
    }
}

struct Fresh {
    schema: Schema,
    form: Form,
    store: PostgresStore,
}

impl Fresh {
    fn new(server: &Config, form: Form) -> Self {
        let schema = Schema::new(server);
        let store = schema.open(form);
        Self { schema, form, store }
    }
}

impl Harness for Fresh {
    type Store = PostgresStore;

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    fn reopen(&self) -> Option<PostgresStore> {
        Some(self.schema.open(self.form))
    }

    fn advance(&self, span: Span) {
        std::thread::sleep(Duration::from_millis(span.as_millis()));
    }

    fn damage(&self, tenant: &TenantId) -> bool {
        let sql = format!("UPDATE tipstaff_heads SET hash = '\\x00' WHERE tenant = '{tenant}'");
        administer(&self.schema.config, &sql);
        true
    }
}

/// What is of this store alone, beside the laws.
type OfItsOwn = (&'static str, fn(&Config, Form) -> Result<(), String>);
const OF_ITS_OWN: &[OfItsOwn] = &[
    ("it_answers_as_the_reference_does", reference::agrees),
    ("a_database_of_each_earlier_schema_is_brought_up_to_date", schemas::upgrade),
    ("hosts_may_open_a_database_of_any_schema_at_once", schemas::at_once),
    ("whoever_brings_a_database_up_to_date_is_waited_for", schemas::waited_for),
    ("a_newer_database_and_one_of_the_other_form_are_refused", schemas::refused),
    ("a_call_that_is_given_up_keeps_nobody_waiting", calls::given_up),
    ("a_claim_takes_what_is_beside_a_damaged_tenant", calls::half_a_claim),
    ("what_cannot_be_read_holds_up_no_other", calls::unreadable),
    ("a_commit_may_name_very_many_keys", calls::many_keys),
    ("a_filter_with_a_nul_finds_what_else_it_names", calls::with_a_nul),
    ("a_kill_switch_does_not_wait_for_every_decision", calls::hot_records),
    ("a_connection_waits_for_nobody_for_long", calls::settings),
    ("a_commit_whose_loss_a_pooler_names_is_unknown", pooler::names_the_loss),
    ("a_host_of_many_tenants_wakes_up_with_few_round_trips", pooler::few_round_trips),
    ("a_claim_repeated_while_it_commits_is_told_all_that_it_holds", repeats::while_it_commits),
    ("what_it_is_made_of_may_be_spread_over_machines", schemas::spread),
    ("its_statements_are_those_of_its_form", pooler::says),
    ("a_claim_costs_the_same_however_much_is_not_to_be_taken", schemas::flat_claims),
    ("a_look_reads_what_it_asks_for_however_little_the_server_knows", schemas::narrow_looks),
];

/// What is of one form alone.
const OF_ROWS: &[OfItsOwn] = &[
    ("whoever_writes_is_waited_for_by_whoever_brings_it_up_to_date", schemas::writers),
    ("a_claim_passes_over_what_another_transaction_has_in_hand", calls::in_hand),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait for the server.
    arguments.test_threads.get_or_insert(8);
    let server = std::env::var("DATABASE_URL").ok().map(|url| url.parse::<Config>().unwrap());
    let mut trials = Vec::new();
    for (form, name) in [(Form::Rows, "rows"), (Form::Serializable, "serializable")] {
        let skipped = server.is_none();
        let of_form = if form == Form::Rows { OF_ROWS } else { &[] };
        for (what, check) in OF_ITS_OWN.iter().chain(of_form) {
            let server = server.clone();
            let check = move || Ok(check(&server.ok_or("DATABASE_URL is not set")?, form)?);
            trials.push(Trial::test(format!("{name}::{what}"), check).with_ignored_flag(skipped));
        }
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
