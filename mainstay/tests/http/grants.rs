//! Whose rights hold: roles that do not inherit, roles a token may name, base tables under views, what errors show.
//!
//! What roles and memberships do is compared with what PostgreSQL 15 answered, written here: roles belong to a whole
//! cluster, and the tests share one.

use mainstay_testing::{Client, Engine, Project, Server, token};
use serde_json::json;

use crate::both::{Ask, Both, PROGRAM};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

const ROLES: &str = "
    create role staff nologin;
    create role manager nologin;
    create role worker nologin noinherit;
    create role loner nologin;
    create role above nologin bypassrls;
    grant staff to manager, worker, authenticated;
    grant manager, worker to authenticator;
    grant usage on schema public to staff, manager, worker, loner;
    create table papers (id int primary key, t text);
    alter table papers enable row level security;
    create policy p on papers for select to staff using (id = 1);
    grant select on papers to staff;
    create table everyones (id int primary key);
    grant select on everyones to public;
    insert into papers values (1, 'a'), (2, 'b');
";

fn as_role(server: &Server, role: &str) -> Client {
    server.anonymous().bearer(&token::role(role))
}

#[tokio::test]
async fn a_role_that_does_not_inherit_has_no_rights_of_its_groups() {
    let server = Server::start(PROGRAM, Engine::Sqlite, Project::of(ROLES)).await;
    let manager = as_role(&server, "manager").get("papers?select=id").await;
    assert_eq!(manager.json(), json!([{"id": 1}]));
    for role in ["worker", "authenticated"] {
        let answer = as_role(&server, role).get("papers?select=id").await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (403, "42501"),
            "{role}"
        );
    }
}

#[tokio::test]
async fn a_token_names_no_role_that_stands_above_the_rules() {
    let server = Server::start(PROGRAM, Engine::Sqlite, Project::of(ROLES)).await;
    for role in ["postgres", "authenticator", "above"] {
        for path in ["papers?select=id", "everyones"] {
            let answer = as_role(&server, role).get(path).await;
            assert_eq!(answer.code(), "42501", "{role}: {}", answer.text());
            assert!(
                answer.text().contains("permission denied to set role"),
                "{}",
                answer.text()
            );
        }
    }
    for role in ["nobody", "public", "Anon"] {
        let answer = as_role(&server, role).get("everyones").await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (401, "22023"),
            "{role}"
        );
    }
}

fn views() -> Project {
    Project::of(
        "create table docs (id int primary key, code text unique not null, body text);
         create table notes (id int primary key, doc text references docs (code), hidden int default 7 references docs (id));
         create view mine with (security_invoker = true) as select id, body from docs;
         create view bare with (security_invoker = true) as select id, body from docs;
         create table silent (id serial primary key);
         create view over_silent with (security_invoker = true) as select id from silent;
         insert into docs values (1, 'secret-1', 'a'), (2, 'secret-2', 'b');
         insert into notes values (1, 'secret-1', 1);
         grant select (id, body), insert, update (body), delete on docs to authenticated;
         grant insert (id, doc), select (id), update (doc), delete on notes to authenticated;
         grant select, insert, update on mine, over_silent to authenticated;
         alter table docs alter column code set default 'new';",
    )
    .config("[rest]\ndb_tx_end = \"rollback-allow-override\"")
}

#[tokio::test]
async fn an_upsert_through_an_invoker_view_needs_the_rights_on_its_table() {
    let both = Both::start(views).await;
    let user = |server: &Server| server.user(A);
    let upsert = |body: &str| {
        Ask::new("POST /mine?on_conflict=id")
            .prefer("resolution=merge-duplicates, return=representation")
            .json(body)
    };
    for body in [r#"{"id":1,"body":"x"}"#, r#"{"id":9,"body":"x"}"#] {
        let answer = both.same(user, &upsert(body)).await;
        assert_eq!(answer.code(), "42501", "{}", answer.text());
    }
    let answer = both.same(user, &Ask::new("POST /over_silent").json("{}")).await;
    assert_eq!(answer.code(), "42501", "{}", answer.text());
}

#[tokio::test]
async fn a_broken_foreign_key_shows_no_value_that_the_role_may_not_read() {
    let both = Both::start(views).await;
    let user = |server: &Server| server.user(A);
    for ask in [
        Ask::new("DELETE /docs?id=eq.1"),
        Ask::new("POST /notes").json(r#"{"id":2,"doc":"none"}"#),
        Ask::new("POST /notes").json(r#"{"id":2}"#),
        Ask::new("PATCH /notes?id=eq.1").json(r#"{"doc":"none"}"#),
    ] {
        let answer = both.same(user, &ask).await;
        assert_eq!(answer.code(), "23503", "{}", answer.text());
        assert!(!answer.text().contains('('), "{}", answer.text());
        // Who may read all of it sees the values.
        both.same(Server::service, &ask).await;
    }
}

#[tokio::test]
async fn closed_grants_are_closed_to_the_service_role_too() {
    let both = Both::start(|| {
        let project = Project::new().file("supabase/config.toml", "[mainstay]\ngrants = \"closed\"\n");
        project.migration("create table t (id int primary key); create view v as select id from t;")
    })
    .await;
    for line in ["GET /t", "GET /v", "POST /t"] {
        let answer = both.same(Server::service, &Ask::new(line).json(r#"{"id":1}"#)).await;
        assert_eq!(answer.code(), "42501", "{}", answer.text());
    }
}
