//! Calls of routines: arguments by their types, whose rights hold inside, what comes back.

use std::sync::Arc;

use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::{Action, Call, CallArgument, CallResult, Format, Input, Plan, Value};
use mainstay_core::policy;

use super::Database;
use crate::write::{compile, execute};

const SCHEMA: &str = r"
create table notes (id int primary key, owner uuid, body text);
alter table notes enable row level security;
create policy own on notes to authenticated using (owner = auth.uid());
grant all on notes to authenticated;
insert into notes values (1, 'aaaaaaaa-0000-4000-8000-000000000001', 'mine'), (2, 'bbbbbbbb-0000-4000-8000-000000000002', 'theirs');
create function add(a int, b int default 10) returns int language sql immutable as 'select a + b';
create function add_strict(a int, b int) returns int language sql immutable strict as 'select coalesce(a, 0) + coalesce(b, 0)';
create function count_notes() returns bigint language sql stable as 'select count(*) from notes';
create function count_all_notes() returns bigint language sql stable security definer as 'select count(*) from notes';
create function note(note_id int) returns text language sql stable as 'select body from notes where id = note_id';
create function wrap(j jsonb, price numeric) returns jsonb language sql immutable as 'select jsonb_build_object(''j'', j, ''p'', price)';
create function private_one() returns int language sql as 'select 1';
create function who() returns text language sql stable security definer as 'select current_user::text';
revoke execute on function private_one() from public;
grant execute on function add(int, int), add_strict(int, int), count_notes(), count_all_notes(), note(int), wrap(jsonb, numeric), who() to authenticated;
";

fn call(database: &Database, name: &str, arguments: &[(usize, Value)]) -> Result<String, BackendError> {
    let catalog = database.compiled.catalog();
    let routine = Arc::clone(&catalog.routines[&QualifiedName::new("public", name)][0]);
    let role = Ident::new("authenticated");
    let access = policy::authorize_routine(catalog, &role, &routine)?;
    let (places, values): (Vec<usize>, Vec<Value>) = arguments.iter().cloned().unzip();
    let arguments = places
        .into_iter()
        .enumerate()
        .map(|(value, argument)| CallArgument { argument, value })
        .collect();
    let action = Action::Call(Call {
        routine,
        arguments,
        result: CallResult::Scalar,
        access,
    });
    let plan = Plan {
        catalog_version: catalog.version,
        role,
        format: Format::Json,
        handler: None,
        explain: None,
        action,
    };
    let program = compile(&database.compiled, &plan)?;
    assert!(!program.needs_writer());
    let mut caller = Caller::of_role("authenticated");
    caller.claims = Arc::from(r#"{"role":"authenticated","sub":"aaaaaaaa-0000-4000-8000-000000000001"}"#);
    let input = Input {
        values,
        ..Input::default()
    };
    let outcome = execute(&database.conn, &database.compiled, &program, &caller, &input)?;
    Ok(String::from_utf8(outcome.body).unwrap())
}

fn json(text: &str) -> Value {
    Value::Json(text.to_owned())
}

#[test]
fn arguments_are_read_by_their_types() {
    let database = Database::with(SCHEMA);
    let add = |arguments: &[(usize, Value)]| call(&database, "add", arguments).unwrap();
    assert_eq!(add(&[(0, json("1")), (1, json("2"))]), "3");
    assert_eq!(add(&[(0, json("\"1\""))]), "11");
    assert_eq!(add(&[(1, Value::Text("5".into())), (0, Value::Text("6".into()))]), "11");
    assert_eq!(add(&[(0, json("null"))]), "null");
    assert_eq!(
        call(
            &database,
            "wrap",
            &[(0, json(r#"{"b":1,"a":[1.0]}"#)), (1, json("1.50"))]
        )
        .unwrap(),
        r#"{"j": {"a": [1.0], "b": 1}, "p": 1.50}"#
    );
    match call(&database, "add", &[(0, json("\"x\""))]) {
        Err(BackendError::Refused(error)) => {
            assert_eq!(error.message, "invalid input syntax for type integer: \"x\"");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_strict_routine_is_not_run_on_nulls() {
    let database = Database::with(SCHEMA);
    assert_eq!(
        call(&database, "add_strict", &[(0, json("1")), (1, json("2"))]).unwrap(),
        "3"
    );
    assert_eq!(
        call(&database, "add_strict", &[(0, json("1")), (1, json("null"))]).unwrap(),
        "null"
    );
}

#[test]
fn the_callers_policies_hold_inside_unless_it_is_a_definers() {
    let database = Database::with(SCHEMA);
    assert_eq!(call(&database, "count_notes", &[]).unwrap(), "1");
    assert_eq!(call(&database, "count_all_notes", &[]).unwrap(), "2");
    assert_eq!(call(&database, "note", &[(0, json("1"))]).unwrap(), "\"mine\"");
    assert_eq!(call(&database, "note", &[(0, json("2"))]).unwrap(), "null");
    assert_eq!(call(&database, "who", &[]).unwrap(), "\"postgres\"");
}

#[test]
fn a_call_needs_execute() {
    let database = Database::with(SCHEMA);
    match call(&database, "private_one", &[]) {
        Err(BackendError::Refused(error)) => assert_eq!(error.message, "permission denied for function private_one"),
        other => panic!("{other:?}"),
    }
}
