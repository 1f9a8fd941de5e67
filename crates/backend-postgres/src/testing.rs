//! Throw-away databases for this crate's tests.
//!
//! `MAINSTAY_TEST_POSTGRES` names a server and a superuser, such as `postgres://postgres@127.0.0.1:5432/postgres`.
//! Without it the tests that need a server say so in one line and pass; with `CI=true` its absence fails.

use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Input, Outcome, Plan, Value};

use crate::console::simple;
use crate::wire::{Connection, Target};
use crate::{Grants, Options, PostgresBackend};

/// A database of one test's own; dropped by the next run's clean-up if the test fails half way.
pub struct TestDatabase {
    admin: String,
    pub name: String,
    pub url: String,
}

impl TestDatabase {
    /// A new, empty database, or `None` without a server.
    pub async fn create() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let Ok(admin) = std::env::var("MAINSTAY_TEST_POSTGRES") else {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "MAINSTAY_TEST_POSTGRES is not set"
            );
            eprintln!("skipped: MAINSTAY_TEST_POSTGRES is not set");
            return None;
        };
        let name = format!(
            "ms_test_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let connection = connect(&admin).await;
        simple(
            &connection,
            &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"),
        )
        .await
        .unwrap();
        let (head, _) = admin.rsplit_once('/').unwrap();
        Some(TestDatabase {
            url: format!("{head}/{name}"),
            admin,
            name,
        })
    }

    /// Opens a backend on it, prepared for Supabase projects.
    pub async fn backend(&self) -> PostgresBackend {
        let options = Options {
            bootstrap: Some(Grants::Classic),
            ..Options::new(&self.url)
        };
        PostgresBackend::open(options).await.unwrap()
    }

    /// Drops it.
    pub async fn drop(self) {
        let connection = connect(&self.admin).await;
        simple(&connection, &format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .await
            .unwrap();
    }
}

/// A plain connection to `url`.
pub async fn connect(url: &str) -> std::sync::Arc<Connection> {
    Connection::open(&Target::parse(url).unwrap(), false, None)
        .await
        .unwrap()
}

/// Plans for one statement and runs it as `role`.
pub async fn run(
    backend: &PostgresBackend,
    role: &str,
    plan: &Plan,
    values: Vec<Value>,
) -> Result<Outcome, BackendError> {
    run_with(
        backend,
        &Caller::of_role(role),
        plan,
        Input {
            values,
            ..Default::default()
        },
    )
    .await
}

/// The same with everything spelled out.
pub async fn run_with(
    backend: &PostgresBackend,
    caller: &Caller,
    plan: &Plan,
    input: Input,
) -> Result<Outcome, BackendError> {
    let statement = backend.render(plan)?;
    backend.run(caller, &statement, input).await
}
