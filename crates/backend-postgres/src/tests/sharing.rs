//! Many callers on few connections: nobody may see another's role, claims or transaction.

use std::sync::Arc;

use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::plan::*;

use super::{done, opened, text};
use crate::testing::plans::{equals, insert, plan, read, read_plan, relation};

const SCHEMA: &str = "
create table notes (id int primary key, owner uuid default auth.uid());
insert into notes select i, ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid from generate_series(0, 63) i;
alter table notes enable row level security;
create policy own on notes using (owner = auth.uid()) with check (owner = auth.uid());
";

fn caller(number: usize) -> Caller {
    let mut caller = Caller::of_role("anon");
    caller.claims = format!(r#"{{"role":"anon","sub":"00000000-0000-0000-0000-{number:012}"}}"#).into();
    caller
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_of_many_callers_never_mix() {
    let Some((database, backend)) = opened(SCHEMA).await else {
        return;
    };
    let backend = Arc::new(backend);
    let all = Arc::new(
        backend
            .render(&read_plan(&backend, read(&backend, "notes", &["id"])))
            .unwrap(),
    );
    let mut by_id = read(&backend, "notes", &["id"]);
    by_id.filter = Some(equals(&relation(&backend, "notes"), "id", 0));
    let by_id = Arc::new(backend.render(&read_plan(&backend, by_id)).unwrap());
    let write = plan(
        &backend,
        Format::Json,
        Action::Insert(insert(&backend, "notes", &["id"], None)),
    );
    let write = Arc::new(backend.render(&write).unwrap());

    let tasks = (0..64_usize).map(|number| {
        let (backend, all, by_id, write) = (backend.clone(), all.clone(), by_id.clone(), write.clone());
        tokio::spawn(async move {
            let caller = caller(number);
            for round in 0..40_usize {
                match (number + round) % 4 {
                    // An error in the middle of the burst.
                    0 => {
                        let input = Input {
                            values: vec![Value::Text("x".into())],
                            ..Default::default()
                        };
                        let error = backend.run(&caller, &by_id, input).await.unwrap_err();
                        assert!(matches!(error, BackendError::Refused(error) if error.sqlstate == "22P02"));
                    }
                    // A row of another owner: unique violation, whose transaction must not touch its neighbours'.
                    1 => {
                        let body = format!(r#"{{"id":{}}}"#, (number + 1) % 64);
                        let input = Input {
                            payload: Some(body.into()),
                            ..Default::default()
                        };
                        let error = backend.run(&caller, &write, input).await.unwrap_err();
                        assert!(matches!(error, BackendError::Refused(error) if error.sqlstate == "23505"));
                    }
                    _ => {
                        let outcome = backend.run(&caller, &all, Input::default()).await.unwrap();
                        assert_eq!(text(&outcome.body), format!("{{\"id\":{number}}}"));
                    }
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let Ok(backend) = Arc::try_unwrap(backend) else {
        panic!("a task still holds the backend")
    };
    done(database, backend).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_read_does_not_hold_up_the_others() {
    let Some((database, backend)) =
        opened("create view slow as select pg_sleep(1)::text as x; create view fast as select 1 as x").await
    else {
        return;
    };
    let backend = Arc::new(backend);
    let statement = |name: &str| {
        backend
            .render(&read_plan(&backend, read(&backend, name, &["x"])))
            .unwrap()
    };
    let (slow, fast) = (Arc::new(statement("slow")), statement("fast"));
    let caller = Caller::of_role("anon");
    backend.run(&caller, &fast, Input::default()).await.unwrap();
    let long: Vec<_> = (0..3)
        .map(|_| {
            let (backend, slow) = (backend.clone(), slow.clone());
            tokio::spawn(async move {
                backend
                    .run(&Caller::of_role("anon"), &slow, Input::default())
                    .await
                    .map(|_| ())
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    for _ in 0..5 {
        backend.run(&caller, &fast, Input::default()).await.unwrap();
    }
    assert!(
        long.iter().all(|task| !task.is_finished()),
        "the long queries were over before"
    );
    for task in long {
        task.await.unwrap().unwrap();
    }
    let Ok(backend) = Arc::try_unwrap(backend) else {
        panic!("a task still holds the backend")
    };
    done(database, backend).await;
}

#[tokio::test]
async fn lost_connections_are_replaced_and_reads_do_not_notice() {
    let Some((database, backend)) = opened("create table t (id int); insert into t values (1)").await else {
        return;
    };
    let plan = read_plan(&backend, read(&backend, "t", &["id"]));
    let statement = backend.render(&plan).unwrap();
    let caller = Caller::of_role("anon");
    backend.run(&caller, &statement, Input::default()).await.unwrap();
    let admin = crate::testing::connect(&database.url).await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    for _ in 0..5 {
        crate::console::simple(&admin, kill).await.unwrap();
        let outcome = backend.run(&caller, &statement, Input::default()).await.unwrap();
        assert_eq!(text(&outcome.body), r#"{"id":1}"#);
    }
    done(database, backend).await;
}

#[tokio::test]
async fn a_role_has_its_own_statement_timeout() {
    let Some((database, backend)) = opened("create view slow as select pg_sleep(5)::text as x").await else {
        return;
    };
    let name = database.name.clone();
    let sql = format!("alter role anon in database {name} set statement_timeout = '50ms'");
    backend
        .query(None, &sql, mainstay_core::backend::QueryMode::ReadWrite)
        .await
        .unwrap();
    let plan = read_plan(&backend, read(&backend, "slow", &["x"]));
    let error = crate::testing::run(&backend, "anon", &plan, vec![]).await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(error) if error.sqlstate == "57014"));
    assert_eq!(backend.catalog().roles["anon"].statement_timeout_ms, Some(50));
    let sql = format!("alter role anon in database {name} reset statement_timeout");
    backend
        .query(None, &sql, mainstay_core::backend::QueryMode::ReadWrite)
        .await
        .unwrap();
    done(database, backend).await;
}
