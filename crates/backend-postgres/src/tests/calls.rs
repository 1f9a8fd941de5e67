use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::name::QualifiedName;
use mainstay_core::plan::*;
use mainstay_core::policy::Access;

use super::{done, opened, text};
use crate::PostgresBackend;
use crate::testing::plans::{plan, read};
use crate::testing::run_with;

const SCHEMA: &str = r#"
create table t (id int primary key, name text);
insert into t select i, 'n' || i from generate_series(1, 5) i;
create table calls (n serial);
create function add(a int, b int default 10) returns int language sql immutable as 'select a + b';
create function echo(j jsonb) returns jsonb language sql immutable as 'select j';
create function total(variadic xs int[]) returns bigint language sql immutable as 'select sum(x) from unnest(xs) x';
create function noop() returns void language sql as '';
create function days(n int) returns setof date language sql stable as $$select '2020-01-01'::date + i from generate_series(0, n - 1) i$$;
create function list() returns setof t language sql volatile as $$insert into calls default values; select * from t order by id$$;
create function headers() returns text language plpgsql as $$ begin
  perform set_config('response.headers', '[{"X-A": "1"}]', true);
  perform set_config('response.status', '418', true);
  return current_setting('request.method') || ' ' || auth.uid();
end $$;
"#;

async fn call(
    backend: &PostgresBackend,
    name: &str,
    given: &[(usize, Value)],
    result: CallResult,
    options: Options,
) -> Outcome {
    let routine = backend.catalog().routines[&QualifiedName::new("public", name)][0].clone();
    let arguments = given
        .iter()
        .enumerate()
        .map(|(value, (argument, _))| CallArgument {
            argument: *argument,
            value,
        })
        .collect();
    let action = Action::Call(Call {
        routine,
        arguments,
        result,
        access: Access::system(),
    });
    let mut caller = Caller::of_role("anon");
    caller.claims = r#"{"role":"anon","sub":"00000000-0000-0000-0000-00000000000a"}"#.into();
    caller.request.method = "POST".into();
    let values = given.iter().map(|(_, value)| value.clone()).collect();
    let input = Input {
        values,
        payload: None,
        options,
    };
    run_with(backend, &caller, &plan(backend, Format::Json, action), input)
        .await
        .unwrap()
}

#[tokio::test]
async fn arguments_come_as_text_or_json_and_defaults_are_the_databases() {
    let Some((database, backend)) = opened(SCHEMA).await else {
        return;
    };
    let list = Value::List(vec!["1".into(), "2".into()]);
    let cases = [
        ("add", vec![(0, Value::Text("1".into()))], "11"),
        (
            "add",
            vec![(0, Value::Json("1".into())), (1, Value::Json("\"2\"".into()))],
            "3",
        ),
        ("echo", vec![(0, Value::Json(r#"{"a":[1]}"#.into()))], r#"{"a": [1]}"#),
        ("echo", vec![(0, Value::Text("\"x\"".into()))], r#""x""#),
        ("total", vec![(0, list)], "3"),
        ("total", vec![(0, Value::Json("[4,5]".into()))], "9"),
    ];
    for (name, given, expected) in cases {
        let outcome = call(&backend, name, &given, CallResult::Scalar, Options::default()).await;
        assert_eq!(text(&outcome.body), expected, "{name} {given:?}");
    }
    let outcome = call(&backend, "noop", &[], CallResult::Void, Options::default()).await;
    assert_eq!((text(&outcome.body), outcome.rows), ("", 0));
    let outcome = call(
        &backend,
        "days",
        &[(0, Value::Integer(2))],
        CallResult::ScalarSet,
        Options::default(),
    )
    .await;
    assert_eq!(text(&outcome.body), r#""2020-01-01","2020-01-02""#);
    done(database, backend).await;
}

#[tokio::test]
async fn rows_of_a_routine_are_read_like_a_relation_and_it_runs_once() {
    let Some((database, backend)) = opened(SCHEMA).await else {
        return;
    };
    let mut rows = read(&backend, "t", &["name"]);
    (rows.limit, rows.offset, rows.count) = (Some(0), Some(1), Count::Exact);
    let routine = backend.catalog().routines[&QualifiedName::new("public", "list")][0].clone();
    let action = Action::Call(Call {
        routine,
        arguments: vec![],
        result: CallResult::Rows {
            read: Box::new(rows),
            single: false,
        },
        access: Access::system(),
    });
    let plan = plan(&backend, Format::Json, action);
    let values = vec![Value::Integer(2), Value::Integer(1)];
    let outcome = crate::testing::run(&backend, "anon", &plan, values).await.unwrap();
    assert_eq!(text(&outcome.body), r#"{"name":"n2"},{"name":"n3"}"#);
    assert_eq!((outcome.rows, outcome.total), (2, Some(5)));
    let calls = backend
        .query(
            None,
            "select count(*) from calls",
            mainstay_core::backend::QueryMode::ReadOnly,
        )
        .await;
    assert_eq!(calls.unwrap().rows[0][0].as_deref(), Some("1"));
    done(database, backend).await;
}

#[tokio::test]
async fn the_routine_sees_the_request_and_may_set_the_response() {
    let Some((database, backend)) = opened(SCHEMA).await else {
        return;
    };
    let outcome = call(&backend, "headers", &[], CallResult::Scalar, Options::default()).await;
    assert_eq!(text(&outcome.body), r#""POST 00000000-0000-0000-0000-00000000000a""#);
    assert_eq!(outcome.response_headers.as_deref(), Some(r#"[{"X-A": "1"}]"#));
    assert_eq!(outcome.response_status.as_deref(), Some("418"));
    let options = Options {
        pre_request: Some(QualifiedName::new("public", "headers")),
        ..Options::default()
    };
    let outcome = call(&backend, "add", &[(0, Value::Integer(1))], CallResult::Scalar, options).await;
    assert_eq!(outcome.response_status.as_deref(), Some("418"));
    // Nothing of it outlives its transaction.
    let outcome = call(
        &backend,
        "add",
        &[(0, Value::Integer(1))],
        CallResult::Scalar,
        Options::default(),
    )
    .await;
    assert_eq!((outcome.response_headers, outcome.response_status), (None, None));
    done(database, backend).await;
}
