//! Row-level policies: who reads, inserts, upserts, updates and deletes what, with the table as it is afterwards.
//!
//! The scenarios follow PostgreSQL's table of applied policies (CREATE POLICY) and its corners: null checks, restrictive
//! policies, policies over their own table, children behind their parents, views of either kind, cascades.

use mainstay_testing::{Client, Project, Server};

use crate::both::{Ask, Both};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const C: &str = "cccccccc-0000-4000-8000-000000000003";

const SCHEMA: &str = include_str!("policies.sql");

fn project() -> Project {
    // Every write is rolled back, so that scenarios do not see each other; the state afterwards is compared by running
    // a scenario and a read in one server that commits (see `writes_leave_the_same_tables`).
    Project::of(SCHEMA).config("[rest]\ndb_tx_end = \"rollback-allow-override\"")
}

/// Who asks, what, and the code that both engines must answer with (empty: no error).
fn scenarios() -> Vec<(&'static str, Ask, &'static str)> {
    let ask = Ask::new;
    let insert = |body: &str| ask("POST /todos").json(body);
    let representation = "return=representation";
    let upsert = |body: &str| {
        ask("POST /todos?on_conflict=task")
            .prefer("resolution=merge-duplicates")
            .json(body)
    };
    let ignore = |body: &str| {
        ask("POST /todos?on_conflict=task&select=id")
            .prefer("resolution=ignore-duplicates")
            .json(body)
    };
    let mut all = Vec::new();
    for who in [A, B, C, ""] {
        all.push((who, ask("GET /todos?select=id,task&order=id"), ""));
    }
    all.extend([
        (
            A,
            ask("GET /todos?select=id&limit=1&order=id").prefer("count=exact"),
            "",
        ),
        (A, ask("HEAD /todos").prefer("count=exact"), ""),
        (A, ask("GET /notes?select=id,todos(id)&order=id"), ""),
        (B, ask("GET /notes?select=id,todos(id)&order=id"), ""),
        (B, ask("GET /todos?select=id,notes(id)&order=id"), ""),
        (A, ask("GET /todos?select=id,notes!inner(id)&order=id"), ""),
        (A, ask("GET /notes?select=id&todos.task=eq.b2&order=id"), "PGRST108"),
        (A, insert(r#"{"id":10,"task":"x"}"#).prefer(representation), ""),
        (A, insert(&format!(r#"{{"id":10,"owner":"{B}","task":"x"}}"#)), "42501"),
        (
            A,
            insert(&format!(
                r#"[{{"id":10,"owner":"{A}","task":"x"}},{{"id":11,"owner":"{B}","task":"y"}}]"#
            )),
            "42501",
        ),
        (A, insert(r#"{"id":10,"owner":null,"task":"x"}"#), "42501"),
        ("", insert(r#"{"id":10,"task":"x"}"#), "42501"),
        (
            A,
            ask("POST /inbox").json(&format!(r#"{{"id":1,"owner":"{B}","body":"hi"}}"#)),
            "",
        ),
        (
            A,
            ask("POST /inbox")
                .json(&format!(r#"{{"id":1,"owner":"{B}","body":"hi"}}"#))
                .prefer(representation),
            "42501",
        ),
        (
            A,
            ask("POST /inbox?select=id")
                .json(&format!(r#"{{"id":1,"owner":"{A}","body":"hi"}}"#))
                .prefer(representation),
            "",
        ),
        (
            A,
            ask("POST /quota")
                .json(r#"[{"id":1},{"id":2},{"id":3},{"id":4}]"#)
                .prefer(representation),
            "",
        ),
        (A, insert(r#"{"id":10,"task":"b2"}"#), "23505"),
        (
            A,
            ask("PATCH /todos?id=eq.1&select=id,n")
                .json(r#"{"n":1}"#)
                .prefer(representation),
            "",
        ),
        (
            A,
            ask("PATCH /todos?id=eq.3").json(r#"{"n":1}"#).prefer(representation),
            "",
        ),
        (
            A,
            ask("PATCH /todos?id=eq.4").json(r#"{"n":1}"#).prefer(representation),
            "",
        ),
        (
            A,
            ask("PATCH /todos?id=eq.5").json(r#"{"n":1}"#).prefer(representation),
            "",
        ),
        (
            A,
            ask("PATCH /todos?select=id,n&order=id")
                .json(r#"{"n":7}"#)
                .prefer("return=representation, count=exact"),
            "",
        ),
        (
            A,
            ask("PATCH /todos?id=eq.1").json(&format!(r#"{{"owner":"{B}"}}"#)),
            "42501",
        ),
        (A, ask("PATCH /todos?id=eq.1").json(r#"{"locked":true}"#), "42501"),
        (A, ask("DELETE /todos?id=in.(3,4)").prefer(representation), ""),
        (A, ask("DELETE /todos?id=eq.1&select=id").prefer(representation), ""),
        (A, upsert(r#"{"id":10,"task":"new","n":1}"#).prefer(representation), ""),
        (A, upsert(r#"{"id":1,"task":"a1","n":1}"#).prefer(representation), ""),
        (A, upsert(r#"{"id":3,"task":"b1","n":1}"#), "42501"),
        (A, upsert(r#"{"id":4,"task":"b2","n":1}"#), "42501"),
        (A, upsert(r#"{"id":5,"task":"a3","n":1}"#), "42501"),
        (A, upsert(&format!(r#"{{"id":1,"owner":"{B}","task":"a1"}}"#)), "42501"),
        (A, upsert(r#"[{"id":10,"task":"k"},{"id":11,"task":"k"}]"#), "21000"),
        (A, ignore(r#"[{"id":10,"task":"b2"},{"id":11,"task":"zz"}]"#), ""),
        (
            A,
            ignore(r#"[{"id":10,"task":"b2"},{"id":11,"task":"zz"}]"#).prefer(representation),
            "",
        ),
        (A, ask("POST /notes").json(r#"{"id":10,"todo":4,"body":"x"}"#), "42501"),
        (A, ask("POST /notes").json(r#"{"id":10,"todo":99,"body":"x"}"#), "42501"),
        (
            A,
            ask("POST /notes?select=id")
                .json(r#"{"id":10,"todo":3,"body":"x"}"#)
                .prefer(representation),
            "",
        ),
        (C, ask("GET /v_owner?select=id&order=id"), ""),
        (C, ask("GET /v_invoker?select=id&order=id"), ""),
        ("", ask("GET /v_owner"), "42501"),
        (A, ask("GET /closed"), "42501"),
        (A, ask("GET /nothing?select=id"), ""),
        (A, ask("GET /loops?select=id"), "42P17"),
        (A, ask("GET /asking"), "42501"),
        (A, ask("POST /asking").json(r#"{"id":10}"#), "42501"),
        (A, ask("GET /shaded"), ""),
        (A, ask("GET /shaded?n=gt.0").prefer("count=exact"), ""),
        (A, ask("POST /shaded").json(r#"{"id":10}"#).prefer(representation), ""),
        (
            A,
            ask("PATCH /shaded?id=eq.1").json(r#"{"n":2}"#).prefer(representation),
            "",
        ),
        (
            A,
            ask("POST /shaded")
                .json(r#"{"id":1,"n":4}"#)
                .prefer("resolution=merge-duplicates"),
            "",
        ),
        (A, ask("DELETE /shaded?id=eq.1"), ""),
        (A, ask("GET /half_shaded"), "42501"),
        (A, ask("PATCH /half_shaded?id=eq.1").json(r#"{"n":2}"#), "42501"),
        (A, ask("POST /unread_invoker").json(r#"{"id":10}"#), ""),
        (
            A,
            ask("POST /unread_invoker").json(r#"{"id":11}"#).prefer(representation),
            "42501",
        ),
        (
            A,
            ask("POST /unread_invoker?select=n")
                .json(r#"{"id":11}"#)
                .prefer(representation),
            "42501",
        ),
        (A, ask("PATCH /unread_invoker?id=eq.10").json(r#"{"n":2}"#), "42501"),
        (A, ask("DELETE /unread_invoker?id=eq.10"), "42501"),
        (
            A,
            ask("POST /unread_invoker")
                .json(r#"{"id":11}"#)
                .prefer("resolution=ignore-duplicates"),
            "42501",
        ),
        (
            A,
            ask("POST /unread_owner").json(r#"{"id":12}"#).prefer(representation),
            "",
        ),
        (A, ask("PATCH /unread_invoker").json(r#"{"n":3}"#), ""),
        (
            A,
            ask("PATCH /unread_invoker").json(r#"{"n":4}"#).prefer(representation),
            "42501",
        ),
        (A, ask("DELETE /unread_invoker"), ""),
        (A, ask("GET /circular"), "42P17"),
        (A, ask("POST /circular").json(r#"{"id":10}"#), "42P17"),
        (A, ask("GET /hidden_column?select=id"), ""),
        (A, ask("GET /hidden_column?select=id,secret"), "42501"),
        (A, ask("GET /hidden_column?select=id&secret=eq.x"), "42501"),
        (A, ask("GET /hidden_column?select=id&order=secret"), "42501"),
    ]);
    all
}

fn caller(who: &str) -> impl Fn(&Server) -> Client {
    move |server| {
        if who.is_empty() {
            server.anonymous()
        } else {
            server.user(who)
        }
    }
}

#[tokio::test]
async fn both_engines_decide_alike() {
    let both = Both::start(project).await;
    let before = both.table("todos?order=id").await;
    for (who, ask, code) in scenarios() {
        let answer = both.same(caller(who), &ask).await;
        assert_eq!(answer.code(), code, "{ask:?} as {who:?}: {}", answer.text());
        assert_eq!(
            both.table("todos?order=id").await,
            before,
            "{ask:?} was not rolled back"
        );
    }
}

#[tokio::test]
async fn writes_leave_the_same_tables() {
    let both = Both::start(project).await;
    for (who, ask, _) in scenarios() {
        let committed = ask.prefer("tx=commit");
        both.same(caller(who), &committed).await;
        for table in ["notes", "inbox", "quota", "shaded", "todos"] {
            both.table(&format!("{table}?order=id")).await;
            // The next scenario uses the same keys: a statement that fails for two reasons may name either.
            let tidy = Ask::new(&format!("DELETE /{table}?id=gte.10")).prefer("tx=commit");
            both.same(Server::service, &tidy).await;
        }
    }
}

#[tokio::test]
async fn a_denied_write_leaves_nothing() {
    let both = Both::start(project).await;
    let tables = ["todos?order=id", "notes?order=id", "inbox?order=id", "quota?order=id"];
    let mut before = Vec::new();
    for table in tables {
        before.push(both.table(table).await);
    }
    for (who, ask, code) in scenarios().into_iter().filter(|(_, _, code)| !code.is_empty()) {
        let answer = both.same(caller(who), &ask.prefer("tx=commit")).await;
        assert_eq!(answer.code(), code);
    }
    for (table, before) in tables.iter().zip(before) {
        assert_eq!(both.table(table).await, before, "{table}");
    }
}
