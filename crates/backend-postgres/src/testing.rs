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
            static SAID: std::sync::Once = std::sync::Once::new();
            SAID.call_once(|| {
                say_skipped("every test that needs PostgreSQL, because MAINSTAY_TEST_POSTGRES is not set");
            });
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

/// Says that tests were skipped. Written past the test harness, which would swallow it: a skipped test counts as passed,
/// and nobody should take it for one.
pub fn say_skipped(what: &str) {
    let line = format!("skipped: {what}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}

/// A database with PostgREST's own fixtures, or `None` where `MAINSTAY_TEST_PGRST` names none.
pub fn conformance_url() -> Option<String> {
    let url = std::env::var("MAINSTAY_TEST_PGRST").ok();
    if url.is_none() {
        say_skipped("a test over PostgREST's fixtures, because MAINSTAY_TEST_PGRST is not set");
    }
    url
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

/// Plans, in as few words as the tests need.
pub mod plans {
    use std::sync::Arc;

    use mainstay_core::backend::Backend;
    use mainstay_core::catalog::Relation;
    use mainstay_core::name::{Ident, QualifiedName};
    use mainstay_core::plan::*;
    use mainstay_core::policy::Access;

    use crate::PostgresBackend;

    /// The relation of that name in `public`.
    pub fn relation(backend: &PostgresBackend, name: &str) -> Arc<Relation> {
        backend.catalog().relations[&QualifiedName::new("public", name)].clone()
    }

    /// Reads `columns` of a relation, all where there are none.
    pub fn read(backend: &PostgresBackend, name: &str, columns: &[&str]) -> Read {
        let relation = relation(backend, name);
        let all: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
        let columns = if columns.is_empty() { &all[..] } else { columns };
        Read {
            output: columns
                .iter()
                .map(|name| Output::Column {
                    name: Ident::new(name),
                    field: field(&relation, name),
                    cast: None,
                })
                .collect(),
            source: Source {
                relation: relation.clone(),
                access: Access::system(),
            },
            embeds: Vec::new(),
            filter: None,
            order: Vec::new(),
            limit: None,
            offset: None,
            count: Count::None,
            grouping: None,
            paging: None,
        }
    }

    /// A column of `relation`.
    pub fn field(relation: &Relation, name: &str) -> Field {
        Field::column(relation.column(name).unwrap().0)
    }

    /// `column = value n`.
    pub fn equals(relation: &Relation, name: &str, value: ValueRef) -> Predicate {
        Predicate::Compare {
            field: field(relation, name),
            operator: Operator::Eq,
            value,
        }
    }

    /// Embeds `child` into `parent` over their first relationship that leads there.
    pub fn embed(backend: &PostgresBackend, parent: &mut Read, name: &str, child: Read, inner: bool) {
        let catalog = backend.catalog();
        let relationship = catalog
            .relationships_of(&parent.source.relation.name)
            .iter()
            .find(|relationship| relationship.to == child.source.relation.name)
            .unwrap()
            .clone();
        let cardinality = if relationship.is_to_one() {
            Cardinality::One
        } else {
            Cardinality::Many
        };
        parent.embeds.push(Embed {
            name: Ident::new(name),
            relationship,
            junction: None,
            cardinality,
            inner,
            read: child,
        });
        parent.output.push(Output::Embed {
            name: Ident::new(name),
            embed: parent.embeds.len() - 1,
        });
    }

    /// A plan for the catalog as it is.
    pub fn plan(backend: &PostgresBackend, format: Format, action: Action) -> Plan {
        Plan {
            catalog_version: backend.catalog().version,
            role: Ident::new("anon"),
            format,
            handler: None,
            explain: None,
            action,
        }
    }

    /// A JSON read.
    pub fn read_plan(backend: &PostgresBackend, read: Read) -> Plan {
        plan(backend, Format::Json, Action::Read(read))
    }

    /// An insert of `columns` that returns `returned`.
    pub fn insert(backend: &PostgresBackend, name: &str, columns: &[&str], returned: Option<Read>) -> Insert {
        let relation = relation(backend, name);
        Insert {
            columns: columns.iter().map(|name| relation.column(name).unwrap().0).collect(),
            source: Source {
                relation,
                access: Access::system(),
            },
            missing: Missing::Null,
            conflict: None,
            returning: Returning {
                read: returned,
                location: Vec::new(),
            },
            must_match: Vec::new(),
        }
    }
}
