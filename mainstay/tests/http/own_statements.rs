//! Statements of rooms' own (`Backend::own`), on both engines.

use std::sync::{Arc, Mutex};

use mainstay::config::Config;
use mainstay::engine::{self, Database};
use mainstay_core::backend::{Backend, Migration};
use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::plan::{Input, Outcome, Value};
use mainstay_core::transaction::{Decision, Ended, Isolation, Step, Steps, Written};
use mainstay_testing::{Engine, Project, engines};

const SCHEMA: &str = "
    create table notes (id uuid primary key, body text, data jsonb, at timestamptz, n bigint, ok boolean,
        owner text default current_user);
    create table log (id bigserial primary key, note uuid);
    alter table notes enable row level security;
    create function logged() returns trigger language plpgsql as $$
    begin insert into log (note) values (new.id); return new; end; $$;
    create trigger logged after insert on notes for each row execute function logged();";
const INSERT: &str = "INSERT INTO public.notes (id, body, data, at, n, ok) \
     VALUES ($1, $2, $3::jsonb, $4::timestamptz, $5, $6::boolean) RETURNING id, at";
const SELECT: &str = "SELECT n.id, n.body, n.data ->> 'a', n.at, n.n, n.ok FROM public.notes n WHERE n.id = $1::uuid";
const LOGGED: &str = "SELECT count(*) FROM public.log l";
const ID: &str = "aaaaaaaa-0000-4000-8000-000000000001";

async fn on_each_backend(test: impl AsyncFn(Arc<dyn Backend>)) {
    on_each_database(SCHEMA, async |backend, _| test(backend).await).await;
}

/// A database of each engine with one migration, and the settings of its project.
pub async fn on_each_database(schema: &str, test: impl AsyncFn(Arc<dyn Backend>, Config)) {
    for engine in engines() {
        let project = Project::new();
        let config = Config::load(project.path()).unwrap();
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(mainstay_testing::Database::create().await),
        };
        let url = database.as_ref().map(mainstay_testing::Database::url);
        let chosen = Database::parse(url.as_deref(), &config).unwrap();
        let backend = engine::open(&chosen, &config).await.unwrap();
        let migration = Migration {
            version: "20240101000000".into(),
            name: "m".into(),
            sql: schema.into(),
        };
        backend.migrate(&migration).await.unwrap();
        test(backend.clone(), config).await;
        backend.close().await;
    }
}

fn input(values: &[Option<&str>]) -> Input {
    let value = |text: &Option<&str>| text.map_or(Value::Null, |text| Value::Text(text.into()));
    Input {
        values: values.iter().map(value).collect(),
        ..Input::default()
    }
}

fn note(id: &str) -> Input {
    input(&[
        Some(id),
        Some("it's \"so\""),
        Some(r#"{"a":"é"}"#),
        Some("2026-01-01 12:00:00.5+02"),
        Some("7"),
        Some("true"),
    ])
}

async fn run(backend: &Arc<dyn Backend>, sql: &'static str, input: Input) -> Result<Outcome, BackendError> {
    backend.run(&Caller::system(), &backend.own(sql)?, input).await
}

fn texts(outcome: &Outcome) -> Vec<Vec<Option<&str>>> {
    let rows = outcome.cells.iter();
    rows.map(|row| row.iter().map(|cell| cell.as_deref()).collect())
        .collect()
}

#[tokio::test]
async fn values_are_typed_by_where_they_stand_and_rows_are_texts() {
    on_each_backend(async |backend| {
        let made = run(&backend, INSERT, note(ID)).await.unwrap();
        assert_eq!(texts(&made), [[Some(ID), Some("2026-01-01 10:00:00.5+00")]]);
        assert_eq!(made.affected, 1);
        let read = run(&backend, SELECT, input(&[Some(ID)])).await.unwrap();
        let expected = [
            Some(ID),
            Some("it's \"so\""),
            Some("é"),
            Some("2026-01-01 10:00:00.5+00"),
            Some("7"),
            Some("t"),
        ];
        assert_eq!(texts(&read), [expected]);
        assert_eq!((read.rows, read.affected), (1, 0));
        let nulls = "aaaaaaaa-0000-4000-8000-000000000002";
        run(&backend, INSERT, input(&[Some(nulls), None, None, None, None, None]))
            .await
            .unwrap();
        let read = run(&backend, SELECT, input(&[Some(nulls)])).await.unwrap();
        assert_eq!(texts(&read), [[Some(nulls), None, None, None, None, None]]);
        // Triggers have fired for both.
        assert_eq!(texts(&run(&backend, LOGGED, input(&[])).await.unwrap()), [[Some("2")]]);
    })
    .await;
}

#[tokio::test]
async fn what_the_database_refuses_is_refused_with_its_code() {
    on_each_backend(async |backend| {
        run(&backend, INSERT, note(ID)).await.unwrap();
        let state = |result: Result<Outcome, BackendError>| match result {
            Err(BackendError::Refused(error)) => {
                (error.sqlstate.clone(), error.constraint.map(|name| name.to_string()))
            }
            other => panic!("{other:?}"),
        };
        let twice = state(run(&backend, INSERT, note(ID)).await);
        assert_eq!(twice, ("23505".into(), Some("notes_pkey".into())));
        assert_eq!(state(run(&backend, SELECT, input(&[Some("x")])).await).0, "22P02");
        let nowhere = "SELECT 1 FROM public.nowhere";
        assert_eq!(state(run(&backend, nowhere, input(&[])).await).0, "42P01");
        assert_eq!(texts(&run(&backend, LOGGED, input(&[])).await.unwrap()), [[Some("1")]]);
    })
    .await;
}

async fn transact(
    backend: &Arc<dyn Backend>,
    keep: bool,
    second: &'static str,
) -> (Result<Ended, BackendError>, Option<usize>) {
    let own = backend.clone();
    let body = move |steps: Steps| {
        let own = own.clone();
        async move {
            let step = |sql, input| -> Result<Step, BackendError> {
                Ok(Step {
                    caller: Caller::system(),
                    statement: own.own(sql)?,
                    input,
                })
            };
            steps.run(step(INSERT, note(ID))?).await;
            steps.run(step(INSERT, note(second))?).await;
            let seen = steps.run(step(SELECT, input(&[Some(ID)]))?).await.cells.len();
            Ok(match keep {
                true => Decision::Commit(seen),
                false => Decision::Rollback(seen),
            })
        }
    };
    let script = Arc::new(Mutex::new(Written::new(body)));
    let ended = backend
        .transact(&Caller::system().role, Isolation::ReadCommitted, script.clone())
        .await;
    let seen = script.lock().unwrap().take();
    (ended, seen)
}

#[tokio::test]
async fn a_written_transaction_is_kept_whole_or_not_at_all() {
    on_each_backend(async |backend| {
        let other = "aaaaaaaa-0000-4000-8000-000000000002";
        let count = async || run(&backend, LOGGED, input(&[])).await.unwrap().cells[0][0].clone();
        let (ended, seen) = transact(&backend, false, other).await;
        assert_eq!((ended.unwrap(), seen), (Ended::RolledBack, Some(1)));
        assert_eq!(count().await.as_deref(), Some("0"));
        // The second statement is refused: the first goes with it.
        let (ended, seen) = transact(&backend, true, ID).await;
        assert!(matches!(ended, Err(BackendError::Refused(error)) if error.sqlstate == "23505"));
        assert_eq!(seen, None);
        assert_eq!(count().await.as_deref(), Some("0"));
        let (ended, seen) = transact(&backend, true, other).await;
        assert_eq!((ended.unwrap(), seen), (Ended::Committed, Some(1)));
        assert_eq!(count().await.as_deref(), Some("2"));
    })
    .await;
}
