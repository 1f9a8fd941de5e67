use std::time::Duration;

use mainstay_core::backend::{Backend, Migration, MigrationError, QueryMode};
use mainstay_core::caller::Caller;
use mainstay_core::error::{BackendError, PublicError};
use mainstay_core::name::QualifiedName;

use super::{done, opened};
use crate::testing::{TestDatabase, connect};
use crate::{Grants, OpenError, Options, PostgresBackend};

fn migration(version: &str, sql: &str) -> Migration {
    Migration {
        version: version.into(),
        name: "x".into(),
        sql: sql.into(),
    }
}

#[tokio::test]
async fn a_bare_database_is_prepared_once_and_closed_unless_asked() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let options = Options {
        bootstrap: Some(Grants::Closed),
        ..Options::new(&database.url)
    };
    let backend = PostgresBackend::open(options.clone()).await.unwrap();
    backend
        .query(
            None,
            "create table t (id int); insert into t values (1)",
            QueryMode::ReadWrite,
        )
        .await
        .unwrap();
    let read = |role: &'static str| {
        let backend = &backend;
        async move {
            backend
                .query(
                    Some(&Caller::of_role(role)),
                    "select auth.role(), id from t",
                    QueryMode::ReadOnly,
                )
                .await
        }
    };
    for role in ["anon", "service_role"] {
        assert!(matches!(read(role).await, Err(BackendError::Refused(error)) if error.sqlstate == "42501"));
    }
    backend
        .query(None, "grant select on t to service_role", QueryMode::ReadWrite)
        .await
        .unwrap();
    assert_eq!(
        read("service_role").await.unwrap().rows[0][0].as_deref(),
        Some("service_role")
    );
    let again = PostgresBackend::open(options).await.unwrap();
    assert!(
        again
            .catalog()
            .relations
            .contains_key(&QualifiedName::new("public", "t"))
    );
    again.close().await;
    done(database, backend).await;
}

#[tokio::test]
async fn a_role_without_rights_gets_a_clear_error() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let admin = connect(&database.url).await;
    let role = format!("{}_plain", database.name);
    crate::console::simple(&admin, &format!("create role {role} login"))
        .await
        .unwrap();
    let url = database.url.replace("postgres@", &format!("{role}@"));
    let Err(error) = PostgresBackend::open(Options {
        bootstrap: Some(Grants::Classic),
        ..Options::new(&url)
    })
    .await
    else {
        panic!("a role without rights prepared the database")
    };
    assert!(
        matches!(&error, OpenError::MissingRights { role: named, .. } if *named == role),
        "{error}"
    );
    assert_eq!(error.code().as_str(), "MS-PG-006");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("GRANT anon, authenticated, service_role")
    );
    // Without bootstrap the same role may read what is there.
    let backend = PostgresBackend::open(Options::new(&url)).await.unwrap();
    backend.close().await;
    crate::console::simple(&admin, &format!("drop role {role}"))
        .await
        .unwrap();
    let unreachable = PostgresBackend::open(Options::new("postgres://x@127.0.0.1:1/x")).await;
    assert!(matches!(unreachable, Err(OpenError::Unreachable(_))));
    database.drop().await;
}

#[tokio::test]
async fn migrations_are_whole_or_nothing_and_recorded() {
    let Some((database, backend)) = opened("").await else {
        return;
    };
    let good = migration(
        "20240101000000",
        "create table a (id int);\n\ninsert into a values (1);\n",
    );
    let bad = migration(
        "20240102000000",
        "create table b (id int);\n-- é\n\ninsert into b\n  values (1/0);\nselect 1;",
    );
    let unknown = migration("20240103000000", "create table c (id int);\n\nselect nope\n  from a;");
    let syntax = migration("20240104000000", "create table d (id int);\ncreat table e ();");
    backend.migrate(&good).await.unwrap();
    for (migration, statement, line, state) in [
        (&bad, 2, 4, "22012"),
        (&unknown, 2, 3, "42703"),
        (&syntax, 1, 2, "42601"),
    ] {
        let error = backend.migrate(migration).await.unwrap_err();
        let MigrationError::Statement {
            statement: at,
            line: at_line,
            error,
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((at_line, error.sqlstate.as_str()), (line, state), "{error:?}");
        assert!(at == statement || state == "42601", "{at}");
    }
    let applied = backend.migrations().await.unwrap();
    assert_eq!(applied.len(), 1);
    assert_eq!(
        (applied[0].version.as_str(), applied[0].sql.as_deref()),
        ("20240101000000", Some(good.sql.as_str()))
    );
    assert!(
        backend
            .catalog()
            .relations
            .contains_key(&QualifiedName::new("public", "a"))
    );
    assert!(
        !backend
            .catalog()
            .relations
            .contains_key(&QualifiedName::new("public", "b"))
    );

    // Their own COMMIT ends neither the migration nor the check.
    let ends = migration(
        "20240106000000",
        "begin;\ncreate table g (id int);\ncommit;\nselect nope;",
    );
    let leaves = migration("20240107000000", "create table g (id int);\n\nrollback;");
    for (migration, line, state) in [(&ends, 4, "42703"), (&leaves, 3, "2D000")] {
        let checked = backend.check(std::slice::from_ref(migration)).await;
        let problem = &checked[0].problems[0];
        assert_eq!((problem.line, problem.error.sqlstate.as_str()), (line, state));
        backend.migrate(migration).await.unwrap_err();
        let left = backend
            .query(None, "select to_regclass('g')", QueryMode::ReadOnly)
            .await
            .unwrap();
        assert_eq!(left.rows[0][0], None);
    }

    let next = migration("20240105000000", "create table f (id int references a);");
    let checked = backend.check(&[good, bad, next]).await;
    assert_eq!(checked[0].problems.len(), 0);
    assert_eq!(
        (
            checked[1].problems[0].line,
            checked[1].problems[0].error.sqlstate.as_str()
        ),
        (4, "22012")
    );
    assert_eq!(checked[2].problems[0].error.sqlstate, "42704");

    assert!(!backend.is_empty().await.unwrap());
    backend.reset().await.unwrap();
    assert!(backend.is_empty().await.unwrap());
    assert!(backend.migrations().await.unwrap().is_empty());
    assert!(
        !backend
            .catalog()
            .relations
            .contains_key(&QualifiedName::new("public", "a"))
    );
    done(database, backend).await;
}

#[tokio::test]
async fn the_console_returns_text_and_read_only_is_read_only() {
    let Some((database, backend)) = opened("create table t (id int)").await else {
        return;
    };
    let result = backend
        .query(
            None,
            "insert into t values (1), (2); select id, null as n from t",
            QueryMode::ReadWrite,
        )
        .await
        .unwrap();
    assert_eq!(
        (result.columns, result.tag),
        (vec!["id".into(), "n".into()], "SELECT 2".into())
    );
    assert_eq!(
        result.rows,
        [vec![Some("1".into()), None], vec![Some("2".into()), None]]
    );
    for sql in ["delete from t", "commit; delete from t"] {
        let error = backend.query(None, sql, QueryMode::ReadOnly).await.unwrap_err();
        assert!(
            matches!(error, BackendError::Refused(error) if error.sqlstate == "25006"),
            "{sql}"
        );
    }
    let error = backend
        .query(None, "copy t from stdin", QueryMode::ReadWrite)
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Refused(_)));
    let health = backend.health().await.unwrap();
    assert!(health.engine.starts_with("PostgreSQL 1"));
    assert!(health.warnings.iter().any(|text| text.contains("superuser")));
    assert!(health.warnings.iter().any(|text| text.contains("public.t")));
    done(database, backend).await;
}

#[tokio::test]
async fn a_notification_reloads_the_catalog() {
    let Some((database, backend)) = opened("").await else {
        return;
    };
    let name = QualifiedName::new("public", "made_elsewhere");
    let other = connect(&database.url).await;
    crate::console::simple(&other, "create table made_elsewhere (id int)")
        .await
        .unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !backend.catalog().relations.contains_key(&name) {
        assert!(std::time::Instant::now() < deadline, "the catalog was not reloaded");
        crate::console::simple(&other, "notify pgrst, 'reload schema'")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done(database, backend).await;
}

/// What a Supabase project's migrations name without making it.
const ON_THE_PLATFORM: &str = "
    create table public.profiles (id uuid primary key references auth.users on delete cascade, email text);
    insert into auth.users (id, email) values ('6b1a7c1e-0000-4000-8000-000000000001', 'a@example.com');
    insert into public.profiles select id, email from auth.users;
    insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true);
    create policy see on storage.objects for select using (bucket_id = 'avatars' and storage.extension(name) = 'png');
    create policy listen on realtime.messages for select to authenticated using (realtime.topic() = 'room');
    grant select on public.profiles to supabase_auth_admin, dashboard_user;
    delete from auth.users; delete from storage.buckets;";

async fn ask(backend: &PostgresBackend, sql: &str) -> Vec<Vec<Option<String>>> {
    backend.query(None, sql, QueryMode::ReadWrite).await.unwrap().rows
}

#[tokio::test]
async fn the_platform_is_made_once_and_only_where_it_is_missing() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    let options = Options {
        bootstrap: Some(Grants::Classic),
        ..Options::new(&database.url)
    };
    let backend = PostgresBackend::open(options.clone()).await.unwrap();
    backend
        .migrate(&migration("20240101000000", ON_THE_PLATFORM))
        .await
        .unwrap();
    // The policies stand on tables that stay, and go all the same.
    backend.reset().await.unwrap();
    backend
        .migrate(&migration("20240101000000", ON_THE_PLATFORM))
        .await
        .unwrap();
    let open = "select has_table_privilege('authenticated', 'auth.users', 'select'),
                       has_table_privilege('anon', 'storage.objects', 'insert')";
    assert_eq!(ask(&backend, open).await, [[Some("f".into()), Some("t".into())]]);

    // Made by an older program, or by hand: what is there stays, what is missing is made.
    ask(
        &backend,
        "drop schema storage cascade; create schema storage; drop table realtime.messages;
        drop schema auth cascade; create schema auth; create table auth.users (id uuid primary key);
        create function auth.uid() returns uuid language sql as 'select null::uuid'",
    )
    .await;
    backend.close().await;
    let backend = PostgresBackend::open(options.clone()).await.unwrap();
    let found = "select to_regclass('storage.objects') is not null, to_regclass('realtime.messages') is not null,
                        (select count(*) from information_schema.columns where table_schema = 'auth')";
    assert_eq!(
        ask(&backend, found).await,
        [[Some("t".into()), Some("t".into()), Some("1".into())]]
    );

    // Supabase's own is left alone.
    ask(
        &backend,
        "drop table realtime.messages; alter schema auth owner to supabase_admin",
    )
    .await;
    backend.close().await;
    let backend = PostgresBackend::open(options).await.unwrap();
    assert_eq!(ask(&backend, "select to_regclass('realtime.messages')").await, [[None]]);
    done(database, backend).await;
}
