//! Lists of statements that change what is there, live on both engines: the same rows, errors and notices of the catalog.

use mainstay_backend_postgres::{Grants, PostgresBackend};
use mainstay_backend_sqlite::{DefaultGrants, SqliteBackend};
use mainstay_core::backend::{Backend, QueryMode};
use mainstay_core::catalog::{Catalog, ConstraintKind, IndexPart, Relation};
use mainstay_core::error::BackendError;
use mainstay_testing::{Database, Engine, engines};

/// The lists that the crates' own tests have recorded answers of.
const LISTS: [&str; 2] = [
    include_str!("../../../crates/sql/src/ddl/tests/alter.sql"),
    include_str!("../../../crates/backend-sqlite/src/schema/tests/alter.sql"),
];

/// One list's statements under one heading, on an empty database.
fn cases() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut cases: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in LISTS.iter().flat_map(|list| list.lines()) {
        if let Some(name) = line.strip_prefix("-- case ") {
            cases.push((name, Vec::new()));
        } else if !line.is_empty() && !line.starts_with("--") {
            cases.last_mut().unwrap().1.push(line);
        }
    }
    cases
}

/// A statement's rows, or its error as a person sees it.
async fn answer(backend: &dyn Backend, statement: &str) -> String {
    match backend.query(None, statement, QueryMode::ReadWrite).await {
        Ok(result) if statement.starts_with("select") && !statement.contains(" into ") => format!("{:?}", result.rows),
        Ok(_) => "ok".to_owned(),
        Err(BackendError::Refused(error)) => {
            format!(
                "{} {} {:?} {:?}",
                error.sqlstate, error.message, error.detail, error.hint
            )
        }
        Err(error) => format!("{error:?}"),
    }
}

/// What the catalog says of users' objects, in a form that both engines share.
fn facts(catalog: &Catalog) -> Vec<String> {
    let mut lines = Vec::new();
    let own = |schema: &str| ["public", "s2", "s3"].contains(&schema);
    for relation in catalog.relations.values().filter(|relation| own(&relation.name.schema)) {
        let name = &relation.name;
        let security = relation.row_security;
        lines.push(format!("{name} {:?} {security:?}", relation.kind));
        for column in &relation.columns {
            lines.push(format!(
                "{name}.{} {} {} default {} identity {:?} generated {}",
                column.name,
                column.ty.display(column.modifier),
                if column.not_null { "not null" } else { "null" },
                column.default.is_some(),
                column.identity,
                column.generated.is_some(),
            ));
        }
        for constraint in &relation.constraints {
            lines.push(format!(
                "{name} {} {}",
                constraint.name,
                kind(relation, &constraint.kind)
            ));
        }
        for index in &relation.indexes {
            let keys: Vec<String> = index
                .keys
                .iter()
                .map(|key| {
                    let part = match &key.part {
                        IndexPart::Column(column) => relation.columns[*column].name.to_string(),
                        IndexPart::Expression(_) => "(…)".to_owned(),
                    };
                    format!("{part} {} {}", key.descending, key.nulls_first)
                })
                .collect();
            lines.push(format!(
                "{name} index {} unique {} on {keys:?} partial {}",
                index.name,
                index.unique,
                index.predicate.is_some()
            ));
        }
        for policy in &relation.policies {
            lines.push(format!("{name} policy {} {:?}", policy.name, policy.command));
        }
    }
    for entry in catalog.enums.values().filter(|entry| own(&entry.name.schema)) {
        lines.push(format!("type {} {:?}", entry.name, entry.labels));
    }
    for (name, overloads) in catalog.routines.iter().filter(|(name, _)| own(&name.schema)) {
        lines.push(format!("function {name} {}", overloads.len()));
    }
    lines.sort();
    lines
}

fn kind(relation: &Relation, kind: &ConstraintKind) -> String {
    let named = |columns: &[usize]| -> Vec<String> {
        columns
            .iter()
            .map(|index| relation.columns[*index].name.to_string())
            .collect()
    };
    match kind {
        ConstraintKind::PrimaryKey { columns } => format!("primary key {:?}", named(columns)),
        ConstraintKind::Unique { columns } => format!("unique {:?}", named(columns)),
        ConstraintKind::Check { .. } => "check".to_owned(),
        ConstraintKind::ForeignKey(key) => format!(
            "{:?} to {} {:?} {:?} {:?} {} {}",
            named(&key.columns),
            key.target,
            key.target_columns,
            key.on_delete,
            key.on_update,
            key.deferrable,
            key.initially_deferred
        ),
    }
}

#[tokio::test]
async fn changes_leave_the_same_rows_errors_and_catalog() {
    if !engines().contains(&Engine::Postgres) {
        return;
    }
    let mut differences = Vec::new();
    let mut count = 0;
    for (case, statements) in cases() {
        let folder = tempfile::tempdir().unwrap();
        let embedded = SqliteBackend::open(mainstay_backend_sqlite::Options {
            default_grants: Some(DefaultGrants::Closed),
            ..mainstay_backend_sqlite::Options::at(folder.path().join("data.db"))
        })
        .unwrap();
        let database = Database::create().await;
        let postgres = PostgresBackend::open(mainstay_backend_postgres::Options {
            bootstrap: Some(Grants::Closed),
            ..mainstay_backend_postgres::Options::new(database.url())
        })
        .await
        .unwrap();
        for statement in statements {
            count += 1;
            let (here, there) = (answer(&embedded, statement).await, answer(&postgres, statement).await);
            if here != there {
                differences.push(format!(
                    "{case}: {statement}\n  PostgreSQL {there}\n  here       {here}"
                ));
            }
        }
        postgres.reload().await.unwrap();
        let (here, there) = (facts(&embedded.catalog()), facts(&postgres.catalog()));
        let only = |ours: &[String], theirs: &[String]| -> Vec<String> {
            ours.iter().filter(|line| !theirs.contains(line)).cloned().collect()
        };
        if here != there {
            differences.push(format!(
                "{case}: the catalog\n  PostgreSQL {:#?}\n  here       {:#?}",
                only(&there, &here),
                only(&here, &there)
            ));
        }
        embedded.close().await;
        postgres.close().await;
    }
    assert!(count > 350, "{count}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
