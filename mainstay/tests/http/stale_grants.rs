//! A right that is taken away is gone with the commit that takes it: for plans that are cached, for answers that a tag
//! stands for, for requests that wait, in batches and calls. And a name that is made anew has none of the old rights.
//!
//! On the embedded engine the change is a migration that `mainstay dev` applies to the database it serves; on PostgreSQL
//! somebody else's statement.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use mainstay_testing::database::run_at;
use mainstay_testing::{Answer, Client, Engine, Project, Server, engines, token};
use serde_json::json;

use crate::both::{Ask, PROGRAM};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// How long a change may take to be applied.
const DEADLINE: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
    create table notes (id int primary key, owner uuid, body text, secret text default 's');
    create table items (id int primary key, note int references notes (id));
    create view shown with (security_invoker = true) as select id, body from notes;
    create function bodies() returns setof text language sql stable as 'select body from notes order by id';
    create function add_note(id int) returns void language sql as
      'insert into notes (id, owner, body) values (id, auth.uid(), ''added'')';
    alter table notes enable row level security;
    create policy own on notes to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
    insert into notes values (1, 'aaaaaaaa-0000-4000-8000-000000000001', 'a'), (2, null, 'b');
    insert into items values (1, 1);
    grant select, insert, update, delete on notes, items, shown to authenticated;
    grant all on notes, items to service_role;
";

/// A database that is served, and a way to change its schema meanwhile.
enum Served {
    Embedded {
        child: Child,
        url: String,
        project: Option<Project>,
    },
    Postgres(Box<Server>),
}

impl Served {
    async fn start(engine: Engine) -> Self {
        let project = Project::of(SCHEMA);
        if engine == Engine::Postgres {
            return Served::Postgres(Box::new(Server::start(PROGRAM, engine, project).await));
        }
        let mut child = Command::new(PROGRAM)
            .args(["dev", project.path().to_str().unwrap(), "--listen", "127.0.0.1:0"])
            .env("PGRST_JWT_SECRET", token::SECRET)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("Mainstay is ready at ").unwrap().to_owned();
        // The pipe is drained to its end, so that the server never blocks on it.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Served::Embedded {
            child,
            url,
            project: Some(project),
        }
    }

    fn client(&self, bearer: &str) -> Client {
        let url = match self {
            Served::Embedded { url, .. } => url,
            Served::Postgres(server) => &server.url,
        };
        Client::new(url).bearer(bearer)
    }

    fn user(&self) -> Client {
        self.client(&token::user(A))
    }

    /// Changes the schema, and returns once the change is committed. `marker` is a name that was not used before.
    async fn change(&mut self, sql: &str, marker: &str) {
        let marked = format!("{sql}; create table {marker} (id int); grant select on {marker} to service_role;");
        match self {
            Served::Postgres(server) => {
                run_at(&server.database_url().unwrap(), &format!("begin; {sql}; commit;")).await;
            }
            Served::Embedded { project, .. } => {
                *project = project.take().map(|project| project.migration(&marked));
                let service = self.client(&token::role("service_role"));
                let end = Instant::now() + DEADLINE;
                // The marker is of the same transaction.
                while service.get(marker).await.status != 200 {
                    assert!(Instant::now() < end, "not applied: {sql}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Served::Embedded { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn batch(method: &str, path: &str, body: &str) -> Ask {
    let body = if body.is_empty() {
        String::new()
    } else {
        format!(r#","body":{body}"#)
    };
    Ask::new("POST /batch").json(&format!(
        r#"{{"requests":[{{"method":"{method}","path":"{path}"{body}}}]}}"#
    ))
}

/// What a request is afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// 42501.
    Denied,
    /// No row is shown or changed.
    Empty,
}

struct Case {
    name: &'static str,
    /// What takes the right away, and what gives it back.
    revoke: &'static str,
    restore: &'static str,
    asks: Vec<(Ask, After)>,
}

fn cases() -> Vec<Case> {
    let read = || Ask::new("GET /notes?select=id,body&order=id");
    vec![
        Case {
            name: "SELECT on a table",
            revoke: "revoke select on notes from authenticated",
            restore: "grant select on notes to authenticated",
            asks: vec![
                (read(), After::Denied),
                (
                    Ask::new("GET /notes?select=id").header("accept", "text/csv"),
                    After::Denied,
                ),
                (Ask::new("GET /items?select=id,notes(body)"), After::Denied),
                (Ask::new("GET /shown"), After::Denied),
                (Ask::new("GET /rpc/bodies"), After::Denied),
                (Ask::new("POST /rpc/bodies"), After::Denied),
                (batch("GET", "/notes?select=body", ""), After::Denied),
                (Ask::new("PATCH /notes?id=eq.1").json(r#"{"body":"x"}"#), After::Denied),
                (Ask::new("DELETE /notes?id=eq.77"), After::Denied),
            ],
        },
        Case {
            name: "SELECT on a column",
            revoke: "revoke select on notes from authenticated; grant select (id, owner) on notes to authenticated",
            restore: "grant select on notes to authenticated",
            asks: vec![
                (read(), After::Denied),
                (Ask::new("GET /notes"), After::Denied),
                (Ask::new("GET /notes?select=id&body=eq.a"), After::Denied),
                (Ask::new("GET /notes?select=id&order=body"), After::Denied),
                (Ask::new("GET /rpc/bodies"), After::Denied),
                (batch("GET", "/notes?select=body", ""), After::Denied),
            ],
        },
        Case {
            name: "INSERT",
            revoke: "revoke insert on notes from authenticated",
            restore: "grant insert on notes to authenticated",
            asks: vec![
                (
                    Ask::new("POST /notes")
                        .json(&format!(r#"{{"id":1,"owner":"{A}"}}"#))
                        .prefer("resolution=ignore-duplicates"),
                    After::Denied,
                ),
                (
                    Ask::new("POST /notes")
                        .json(&format!(r#"{{"id":1,"owner":"{A}","body":"a"}}"#))
                        .prefer("resolution=merge-duplicates"),
                    After::Denied,
                ),
                (
                    Ask::new("PUT /notes?id=eq.1").json(&format!(r#"{{"id":1,"owner":"{A}","body":"a"}}"#)),
                    After::Denied,
                ),
                (Ask::new("POST /notes?columns=id,body").json("[]"), After::Denied),
            ],
        },
        Case {
            name: "UPDATE on a column",
            revoke: "revoke update on notes from authenticated; grant update (secret) on notes to authenticated",
            restore: "grant update on notes to authenticated",
            asks: vec![
                (Ask::new("PATCH /notes?id=eq.1").json(r#"{"body":"a"}"#), After::Denied),
                (batch("PATCH", "/notes?id=eq.1", r#"{"body":"a"}"#), After::Denied),
                (
                    Ask::new("POST /notes")
                        .json(&format!(r#"{{"id":1,"owner":"{A}","body":"a"}}"#))
                        .prefer("resolution=merge-duplicates"),
                    After::Denied,
                ),
            ],
        },
        Case {
            name: "the policy",
            revoke: "drop policy own on notes",
            restore: "create policy own on notes to authenticated using (owner = auth.uid()) with check (owner = auth.uid())",
            asks: vec![
                (read(), After::Empty),
                (Ask::new("GET /shown?select=id"), After::Empty),
                (Ask::new("GET /rpc/bodies"), After::Empty),
                (batch("GET", "/notes?select=id", ""), After::Empty),
                (
                    Ask::new("PATCH /notes?id=eq.1&select=id")
                        .json(r#"{"body":"a"}"#)
                        .prefer("return=representation"),
                    After::Empty,
                ),
            ],
        },
        Case {
            name: "the rows of a policy",
            revoke: "alter policy own on notes using (owner = auth.uid() and id > 1)",
            restore: "alter policy own on notes using (owner = auth.uid())",
            asks: vec![
                (read(), After::Empty),
                (Ask::new("GET /rpc/bodies"), After::Empty),
                (batch("GET", "/shown", ""), After::Empty),
            ],
        },
        Case {
            name: "a restrictive policy",
            revoke: "create policy no on notes as restrictive using (false)",
            restore: "drop policy no on notes",
            asks: vec![
                (read(), After::Empty),
                (Ask::new("GET /shown"), After::Empty),
                (batch("GET", "/notes", ""), After::Empty),
            ],
        },
        Case {
            name: "EXECUTE",
            revoke: "revoke execute on function bodies() from public, authenticated, anon, service_role",
            restore: "grant execute on function bodies() to public",
            asks: vec![
                (Ask::new("GET /rpc/bodies"), After::Denied),
                (Ask::new("POST /rpc/bodies"), After::Denied),
                (batch("POST", "/rpc/bodies", ""), After::Denied),
            ],
        },
        Case {
            name: "USAGE on the schema",
            revoke: "revoke usage on schema public from authenticated, public",
            restore: "grant usage on schema public to authenticated, public",
            asks: vec![(read(), After::Denied), (batch("GET", "/notes", ""), After::Denied)],
        },
        Case {
            name: "a table of the same name",
            revoke: "drop view shown; drop table items; drop table notes cascade;
                create table notes (id int primary key, owner uuid, body text, secret text);
                insert into notes values (1, 'aaaaaaaa-0000-4000-8000-000000000001', 'a')",
            restore: "select 1",
            asks: vec![
                (read(), After::Denied),
                (batch("GET", "/notes", ""), After::Denied),
                (Ask::new("PATCH /notes?id=eq.1").json(r#"{"body":"a"}"#), After::Denied),
            ],
        },
    ]
}

fn is_after(answer: &Answer, after: After) -> bool {
    match after {
        After::Denied => matches!(answer.status.as_u16(), 401 | 403) && answer.code() == "42501",
        After::Empty => {
            answer.status.is_success() && (answer.text() == "[]" || answer.json()["responses"][0]["body"] == json!([]))
        }
    }
}

#[tokio::test]
async fn the_next_request_after_the_commit_obeys() {
    for engine in engines() {
        let mut served = Served::start(engine).await;
        for (number, case) in cases().into_iter().enumerate() {
            let client = served.user();
            let mut tags = Vec::new();
            for (ask, after) in &case.asks {
                let mut answer = ask.send(&client).await;
                for _ in 0..3 {
                    answer = ask.send(&client).await;
                }
                assert!(
                    answer.status.is_success(),
                    "{engine:?} {}: {ask:?}: {}",
                    case.name,
                    answer.text()
                );
                assert!(
                    !is_after(&answer, *after),
                    "{engine:?} {}: {ask:?} shows nothing before",
                    case.name
                );
                let tag = match ask.method {
                    Method::GET => answer.header("etag").to_owned(),
                    _ => String::new(),
                };
                if !tag.is_empty() {
                    let again = ask.clone().header("if-none-match", &tag).send(&client).await;
                    assert_eq!(again.status, 304, "{engine:?} {}: {ask:?}", case.name);
                }
                tags.push(tag);
            }
            served.change(case.revoke, &format!("revoked_{number}")).await;
            for ((ask, after), tag) in case.asks.iter().zip(&tags) {
                let asked = match tag.is_empty() {
                    true => ask.clone(),
                    false => ask.clone().header("if-none-match", tag),
                };
                for ask in [&asked, ask] {
                    let answer = ask.send(&client).await;
                    assert!(
                        is_after(&answer, *after),
                        "{engine:?} {}: {ask:?}: {} {}",
                        case.name,
                        answer.status,
                        answer.text()
                    );
                }
            }
            served.change(case.restore, &format!("restored_{number}")).await;
        }
    }
}

/// Clients that ask without a pause while the right is taken away.
const CLIENTS: usize = 12;

#[tokio::test]
async fn no_request_that_begins_after_the_commit_has_the_old_right() {
    for engine in engines() {
        for after in [After::Denied, After::Empty] {
            let mut served = Served::start(engine).await;
            let (revoke, marker) = match after {
                After::Denied => ("revoke select on notes from authenticated", "denied"),
                After::Empty => ("drop policy own on notes", "emptied"),
            };
            let (is_committed, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let mut tasks = tokio::task::JoinSet::new();
            for number in 0..CLIENTS {
                let client = served.user();
                let (is_committed, is_over) = (is_committed.clone(), is_over.clone());
                let ask = match number % 3 {
                    0 => Ask::new("GET /notes?select=id,body"),
                    1 => Ask::new("GET /rpc/bodies"),
                    _ => batch("GET", "/notes?select=id,body", ""),
                };
                tasks.spawn(async move {
                    let (mut before, mut later) = (0_u32, 0_u32);
                    while later < 5 && !is_over.load(Ordering::SeqCst) {
                        let begins_after = is_committed.load(Ordering::SeqCst);
                        let answer = ask.send(&client).await;
                        if begins_after {
                            later += 1;
                            assert!(
                                is_after(&answer, after),
                                "{engine:?} {ask:?}: {} {}",
                                answer.status,
                                answer.text()
                            );
                        } else {
                            before += 1;
                            let is_whole = answer.status.is_success() && answer.text().contains('a');
                            assert!(
                                is_whole || is_after(&answer, after),
                                "{engine:?} {ask:?}: {}",
                                answer.text()
                            );
                        }
                    }
                    (before, later)
                });
            }
            served.change(revoke, marker).await;
            is_committed.store(true, Ordering::SeqCst);
            let counts = tasks.join_all().await;
            is_over.store(true, Ordering::SeqCst);
            assert!(counts.iter().all(|(_, later)| *later == 5), "{counts:?}");
            assert!(counts.iter().any(|(before, _)| *before > 0), "{counts:?}");
        }
    }
}

#[tokio::test]
async fn a_column_and_a_role_of_the_same_name_have_no_old_rights() {
    // Roles belong to a whole cluster of PostgreSQL, which the tests share; there PostgreSQL itself keeps rights by id.
    let mut served = Served::start(Engine::Sqlite).await;
    let made = "create role partner nologin; grant partner to authenticator; grant usage on schema public to partner;
        grant select (id, secret) on notes to partner; create policy p on notes to partner using (true)";
    served.change(made, "made").await;
    let partner = served.client(&token::role("partner"));
    let read = Ask::new("GET /notes?select=secret&order=id");
    for _ in 0..3 {
        assert_eq!(read.send(&partner).await.text(), r#"[{"secret":"s"},{"secret":"s"}]"#);
    }
    let anew = "alter table notes drop column secret; alter table notes add column secret text default 'new'";
    served.change(anew, "column_anew").await;
    assert_eq!(read.send(&partner).await.code(), "42501");
    assert_eq!(Ask::new("GET /notes?select=id").send(&partner).await.status, 200);
    let anew = "drop policy p on notes; revoke all on notes from partner; revoke usage on schema public from partner;
        revoke partner from authenticator; drop role partner; create role partner nologin";
    served.change(anew, "role_anew").await;
    let answer = Ask::new("GET /notes?select=id").send(&partner).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    served.change("grant partner to authenticator", "member").await;
    let answer = Ask::new("GET /notes?select=id").send(&partner).await;
    assert_eq!(answer.code(), "42501", "{}", answer.text());
}
