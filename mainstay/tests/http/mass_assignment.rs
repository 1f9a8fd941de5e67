//! What a caller may not set stays as it is: columns without the right, generated and identity columns, columns that are
//! not there, by every way that a row can come.

use mainstay_testing::{Client, Project, Server};

use crate::both::{Ask, Both};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// `role` and `credit` may be read by everybody and set by nobody; `owner` is set at the insert alone.
fn project() -> Project {
    Project::of(&format!(
        "create table users (
           id int primary key,
           number bigint generated always as identity,
           name text,
           shout text generated always as (upper(name)) stored,
           owner uuid default auth.uid(),
           role text not null default 'user',
           credit int not null default 0,
           \"Note\" text);
         alter table users enable row level security;
         create policy own on users to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
         grant select, delete on users to authenticated;
         grant insert (id, name, owner), update (name) on users to authenticated;
         grant select, insert, update, delete on users to service_role;
         create view people with (security_invoker = true) as select id, name, owner, role, credit from users;
         grant select, insert (id, name, owner), update (name) on people to authenticated;
         insert into users (id, name, owner) values (1, 'ann', '{A}');"
    ))
}

fn user(server: &Server) -> Client {
    server.user(A)
}

/// Members that nobody may set, as JSON and as CSV have them.
fn protected() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("role", r#""admin""#, "admin"),
        ("credit", "1000", "1000"),
        ("number", "77", "77"),
        ("shout", r#""X""#, "X"),
        ("Note", r#""n""#, "n"),
    ]
}

/// Members that are no columns, some of which engines have of their own.
const MISSING: [&str; 16] = [
    "Role",
    "ROLE",
    "role ",
    " role",
    "\\\"role\\\"",
    "users.role",
    "rowid",
    "_rowid_",
    "oid",
    "ctid",
    "xmin",
    "tableoid",
    "__proto__",
    "constructor",
    "note",
    "role::text",
];

/// The same row by every way that it can be inserted or updated. `member` and `value` are JSON, `cell` is CSV.
fn ways(relation: &str, member: &str, value: &str, cell: &str) -> Vec<Ask> {
    let new = format!(r#"{{"id":9,"name":"new","{member}":{value}}}"#);
    let old = format!(r#"{{"id":1,"name":"old","{member}":{value}}}"#);
    let bare = format!(r#"{{"{member}":{value}}}"#);
    let post = |query: &str| Ask::new(&format!("POST /{relation}{query}"));
    let patch = |query: &str| Ask::new(&format!("PATCH /{relation}{query}"));
    let column = member.replace("\\\"", "\"\"");
    let csv = format!("id,name,\"{column}\"\n9,new,{cell}\n");
    let mut ways = vec![
        post("").json(&new),
        post("").json(&format!("[{new}]")),
        post("").json(&format!(r#"[{{"id":8,"name":"n","{member}":{value}}},{new}]"#)),
        post("").body(&csv).header("content-type", "text/csv"),
        post("").json(&new).prefer("missing=default"),
        post("").json(&new).prefer("return=representation"),
        post("").json(&new).prefer("resolution=merge-duplicates"),
        post("").json(&old).prefer("resolution=merge-duplicates"),
        post("?on_conflict=id").json(&old).prefer("resolution=merge-duplicates"),
        post("").json(&new).prefer("resolution=ignore-duplicates"),
        post("").json(&old).prefer("resolution=ignore-duplicates"),
        patch("?id=eq.1").json(&bare),
        patch("?id=eq.1").json(&old),
        patch("").json(&bare).prefer("return=representation"),
        Ask::new(&format!("PUT /{relation}?id=eq.1")).json(&old),
        Ask::new(&format!("PUT /{relation}?id=eq.9")).json(&new),
    ];
    for (method, path, body) in [
        ("POST", relation.to_owned(), new.as_str()),
        ("PATCH", format!("{relation}?id=eq.1"), bare.as_str()),
        ("PUT", format!("{relation}?id=eq.1"), old.as_str()),
    ] {
        let batch = format!(r#"{{"requests":[{{"method":"{method}","path":"/{path}","body":{body}}}]}}"#);
        ways.push(Ask::new("POST /batch").json(&batch));
    }
    // A value that an earlier answer brings is no better.
    let brought = format!(
        r#"{{"requests":[{{"id":"r","method":"GET","path":"/users?id=eq.1"}},
            {{"method":"PATCH","path":"/{relation}?id=eq.1","body":{{"{member}":{{"$ref":"r.0.role"}}}}}}]}}"#
    );
    ways.push(Ask::new("POST /batch").json(&brought));
    if !member.contains(['\\', ' ', '.', ':']) {
        let form = format!("id=9&name=new&{member}={cell}");
        ways.push(
            post("")
                .body(&form)
                .header("content-type", "application/x-www-form-urlencoded"),
        );
        ways.push(post(&format!("?columns=id,name,{member}")).json(&new));
        ways.push(post(&format!("?columns=id,{member}")).json(&format!("[{new}]")));
        ways.push(patch(&format!("?id=eq.1&columns={member}")).json(&bare));
    }
    ways
}

async fn rows(both: &Both) -> String {
    both.table("users?order=id").await
}

#[tokio::test]
async fn what_may_not_be_set_is_refused_by_every_way() {
    let both = Both::start(project).await;
    let before = rows(&both).await;
    for relation in ["users", "people"] {
        for (member, value, cell) in protected() {
            for ask in ways(relation, member, value, cell) {
                let answer = both.same(user, &ask).await;
                let code = answer.code();
                assert!(
                    answer.status.is_client_error() && !code.is_empty(),
                    "{ask:?}: {} {}",
                    answer.status,
                    answer.text()
                );
            }
            assert_eq!(rows(&both).await, before, "{relation} {member}");
        }
    }
}

#[tokio::test]
async fn columns_that_are_not_there_are_refused_by_every_way() {
    let both = Both::start(project).await;
    let before = rows(&both).await;
    for member in MISSING {
        for ask in ways("users", member, r#""admin""#, "admin") {
            let answer = both.same(user, &ask).await;
            assert!(
                answer.status.is_client_error() && !answer.code().is_empty(),
                "{ask:?}: {} {}",
                answer.status,
                answer.text()
            );
        }
        assert_eq!(rows(&both).await, before, "{member}");
    }
}

#[tokio::test]
async fn members_that_columns_leaves_out_and_defaults_set_nothing() {
    let both = Both::start(project).await;
    let post = |query: &str| Ask::new(&format!("POST /users{query}"));
    for (id, ask) in [
        (
            20,
            post("?columns=id,name").json(r#"{"id":20,"name":"a","role":"admin","credit":5,"number":7}"#),
        ),
        (
            21,
            post("?columns=id,name")
                .json(r#"[{"id":21,"name":"a","role":"admin","shout":"x"}]"#)
                .prefer("missing=default"),
        ),
        (22, post("").json(r#"{"id":22,"name":"a"}"#).prefer("missing=default")),
        (23, post("").json(&format!(r#"{{"id":23,"name":"a","owner":"{A}"}}"#))),
        (24, post("").body("id,name\n24,a\n").header("content-type", "text/csv")),
    ] {
        let answer = both.same(user, &ask).await;
        assert_eq!(answer.status, 201, "{ask:?}: {}", answer.text());
        let row = both
            .table(&format!("users?id=eq.{id}&select=name,shout,owner,role,credit"))
            .await;
        assert_eq!(
            row,
            format!(r#"[{{"name":"a","shout":"A","owner":"{A}","role":"user","credit":0}}]"#),
            "{ask:?}"
        );
    }
    // `columns` also leaves out what else an update would set.
    let update = Ask::new("PATCH /users?id=eq.20&columns=name").json(r#"{"name":"b","role":"admin"}"#);
    assert_eq!(both.same(user, &update).await.status, 204);
    assert_eq!(
        both.table("users?id=eq.20&select=name,role").await,
        r#"[{"name":"b","role":"user"}]"#
    );
}

#[tokio::test]
async fn of_a_member_that_comes_twice_no_reading_passes_the_check() {
    let both = Both::start(project).await;
    let before = rows(&both).await;
    for body in [
        r#"{"id":9,"role":"user","role":"admin"}"#,
        r#"{"id":9,"name":"a","\u0072ole":"admin"}"#,
        r#"[{"id":9,"name":"a"},{"id":10,"role":"admin"}]"#,
        r#"[{"id":9,"role":"admin"},{"id":10,"name":"a"}]"#,
    ] {
        for prefer in ["", "missing=default", "resolution=merge-duplicates"] {
            let answer = both
                .same(user, &Ask::new("POST /users").json(body).prefer(prefer))
                .await;
            assert!(answer.status.is_client_error(), "{body}: {}", answer.text());
        }
    }
    let owner = r#"{"id":9,"name":"a","owner":"bbbbbbbb-0000-4000-8000-000000000002"}"#;
    let answer = both.same(user, &Ask::new("POST /users").json(owner)).await;
    assert_eq!(answer.code(), "42501", "{}", answer.text());
    assert_eq!(rows(&both).await, before);
}
