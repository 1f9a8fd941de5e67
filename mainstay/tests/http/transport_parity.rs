//! One decision by every way that a request can come: for each table of rights, each caller and each row, REST, bulk, CSV,
//! forms, upserts, batches, views, routines, conditional and repeatable writes agree, and leave the same table.

use std::fmt;

use mainstay_testing::{Answer, Client, Project, Server};

use crate::both::{Ask, Both};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// What a table's rules are, in SQL in which `{t}` is the table and `{v}` the view over it.
const RULES: [(&str, &str); 12] = [
    (
        "open",
        "grant select, insert, update, delete on {t}, {v} to anon, authenticated;",
    ),
    ("closed", ""),
    ("reads", "grant select on {t}, {v} to anon, authenticated;"),
    ("blind", "grant insert, update, delete on {t}, {v} to authenticated;"),
    (
        "no_policy",
        "alter table {t} enable row level security;
         grant select, insert, update, delete on {t}, {v} to anon, authenticated;",
    ),
    (
        "own",
        "alter table {t} enable row level security;
         create policy own on {t} using (owner = auth.uid()) with check (owner = auth.uid());
         grant select, insert, update, delete on {t}, {v} to anon, authenticated;",
    ),
    (
        "shared",
        "alter table {t} enable row level security;
         create policy s on {t} for select using (true);
         create policy i on {t} for insert with check (owner = auth.uid());
         create policy u on {t} for update using (owner = auth.uid()) with check (body <> 'banned');
         create policy d on {t} for delete using (owner = auth.uid() and id < 10);
         grant select, insert, update, delete on {t}, {v} to anon, authenticated;",
    ),
    (
        "strict",
        "alter table {t} enable row level security;
         create policy p on {t} using (true) with check (true);
         create policy r on {t} as restrictive for all to authenticated using (owner = auth.uid());
         grant select, insert, update, delete on {t}, {v} to anon, authenticated;",
    ),
    (
        "write_only",
        "alter table {t} enable row level security;
         create policy i on {t} for insert with check (true);
         create policy u on {t} for update using (true) with check (true);
         grant select, insert, update, delete on {t}, {v} to anon, authenticated;",
    ),
    (
        "columns",
        "grant select (id, owner, body), insert (id, owner, body), update (body), delete on {t} to authenticated;
         grant select, insert, update (body), delete on {v} to authenticated;",
    ),
    (
        "half",
        "grant select (id, owner), insert (id, owner, body), update (id, owner, body), delete on {t} to authenticated;
         grant select (id, owner), insert, update, delete on {v} to authenticated;",
    ),
    (
        "by_role",
        "alter table {t} enable row level security;
         create policy a on {t} to authenticated using (id <> 2) with check (id <> 11);
         create policy b on {t} for select to anon using (id = 2);
         grant select, insert, update, delete on {t}, {v} to anon, authenticated;",
    ),
];

fn project() -> Project {
    let mut sql = String::new();
    for (name, rules) in RULES {
        let view = format!("v_{name}");
        sql.push_str(&format!(
            "create table {name} (id int primary key, owner uuid, body text, secret text default 's');
             create view {view} with (security_invoker = true) as select id, owner, body from {name};
             create function fill_{name}() returns void language sql security definer as
               'delete from {name}; insert into {name} values (1, ''{A}'', ''a'', ''s''), (2, ''{B}'', ''b'', ''s'')';
             create function insert_{name}(id int, owner uuid, body text) returns void language sql as
               'insert into {name} (id, owner, body) values (id, owner, body)';
             create function update_{name}(of int, body text) returns void language sql as
               'update {name} set body = update_{name}.body where id = of';
             create function merge_{name}(id int, owner uuid, body text) returns void language sql as
               'insert into {name} (id, owner, body) values (id, owner, body)
                on conflict (id) do update set id = excluded.id, owner = excluded.owner, body = excluded.body';
             create function merge_v_{name}(id int, owner uuid, body text) returns void language sql as
               'insert into v_{name} (id, owner, body) values (id, owner, body)
                on conflict (id) do update set id = excluded.id, owner = excluded.owner, body = excluded.body';
             create function delete_{name}(of int) returns void language sql as 'delete from {name} where id = of';
             create function read_{name}() returns table (id int) language sql stable as 'select id from {name}';
             grant select on {name} to service_role;
             {}\n",
            rules.replace("{t}", name).replace("{v}", &view)
        ));
    }
    sql.push_str("revoke execute on all functions in schema public from anon, authenticated, public;");
    for (name, _) in RULES {
        sql.push_str(&format!(
            "grant execute on function fill_{name} to service_role;
             grant execute on function insert_{name}, update_{name}, merge_{name}, merge_v_{name}, delete_{name},
               read_{name} to anon, authenticated;"
        ));
    }
    Project::of(&sql)
}

/// What a caller wants to do with one row.
#[derive(Clone, Debug)]
enum Wish {
    Insert {
        id: u32,
        owner: &'static str,
        body: &'static str,
    },
    /// Insert, or else leave what is there.
    InsertNew {
        id: u32,
        owner: &'static str,
        body: &'static str,
    },
    /// Insert, or else update.
    Merge {
        id: u32,
        owner: &'static str,
        body: &'static str,
    },
    Update {
        id: u32,
        body: &'static str,
    },
    Delete {
        id: u32,
    },
}

fn wishes() -> Vec<Wish> {
    let mut all = Vec::new();
    for owner in [A, B] {
        for (id, body) in [(10, "x"), (11, "x"), (10, "banned")] {
            all.push(Wish::Insert { id, owner, body });
        }
        for id in [1, 2, 10] {
            all.push(Wish::InsertNew { id, owner, body: "x" });
            all.push(Wish::Merge { id, owner, body: "x" });
        }
    }
    for id in [1, 2, 7] {
        all.push(Wish::Update { id, body: "x" });
        all.push(Wish::Update { id, body: "banned" });
        all.push(Wish::Delete { id });
    }
    all
}

fn batch(method: &str, path: &str, prefer: &str, body: &str) -> Ask {
    let body = match body.is_empty() {
        true => String::new(),
        false => format!(r#","body":{body}"#),
    };
    Ask::new("POST /batch").json(&format!(
        r#"{{"requests":[{{"method":"{method}","path":"{path}","headers":{{"Prefer":"{prefer}"}}{body}}}]}}"#
    ))
}

impl Wish {
    /// The ways to ask for it. `key` is a fresh idempotency key.
    fn ways(&self, table: &str, key: &str) -> Vec<Ask> {
        let view = format!("v_{table}");
        let row = |id: &u32, owner: &str, body: &str| format!(r#"{{"id":{id},"owner":"{owner}","body":"{body}"}}"#);
        let csv = |id: &u32, owner: &str, body: &str| format!("id,owner,body\n{id},{owner},{body}\n");
        match self {
            Wish::Insert { id, owner, body } => {
                let one = row(id, owner, body);
                let post = |query: &str| Ask::new(&format!("POST /{table}{query}"));
                vec![
                    post("").json(&one),
                    post("").json(&format!("[{one}]")),
                    post("?columns=id,owner,body").json(&format!("[{one}]")),
                    post("").body(&csv(id, owner, body)).header("content-type", "text/csv"),
                    post("")
                        .body(&format!("id={id}&owner={owner}&body={body}"))
                        .header("content-type", "application/x-www-form-urlencoded"),
                    post("").json(&one).prefer("missing=default, count=exact"),
                    post("").json(&one).header("idempotency-key", key),
                    Ask::new(&format!("POST /{view}")).json(&one),
                    batch("POST", &format!("/{table}"), "return=minimal", &one),
                    batch("POST", &format!("/{view}"), "", &format!("[{one}]")),
                    Ask::new(&format!("POST /rpc/insert_{table}")).json(&one),
                    batch("POST", &format!("/rpc/insert_{table}"), "", &one),
                ]
            }
            Wish::InsertNew { id, owner, body } => {
                let (one, prefer) = (row(id, owner, body), "resolution=ignore-duplicates");
                let post = |query: &str| Ask::new(&format!("POST /{table}{query}")).prefer(prefer);
                vec![
                    post("").json(&one),
                    post("?on_conflict=id").json(&format!("[{one}]")),
                    post("").body(&csv(id, owner, body)).header("content-type", "text/csv"),
                    post("").json(&one).header("idempotency-key", key),
                    batch("POST", &format!("/{table}"), prefer, &one),
                ]
            }
            Wish::Merge { id, owner, body } => {
                let (one, prefer) = (row(id, owner, body), "resolution=merge-duplicates");
                let post = |query: &str| Ask::new(&format!("POST /{table}{query}")).prefer(prefer);
                vec![
                    post("").json(&one),
                    post("?on_conflict=id").json(&format!("[{one}]")),
                    post("?columns=id,owner,body").json(&one),
                    post("").body(&csv(id, owner, body)).header("content-type", "text/csv"),
                    post("").json(&one).header("idempotency-key", key),
                    batch("POST", &format!("/{table}"), prefer, &one),
                    Ask::new(&format!("PUT /{table}?id=eq.{id}")).json(&one),
                    batch("PUT", &format!("/{table}?id=eq.{id}"), "", &one),
                    Ask::new(&format!("POST /{view}?on_conflict=id"))
                        .prefer(prefer)
                        .json(&one),
                    Ask::new(&format!("POST /rpc/merge_{table}")).json(&one),
                    Ask::new(&format!("POST /rpc/merge_{view}")).json(&one),
                ]
            }
            Wish::Update { id, body } => {
                let one = format!(r#"{{"body":"{body}"}}"#);
                let path = format!("/{table}?id=eq.{id}");
                let patch = || Ask::new(&format!("PATCH {path}"));
                vec![
                    patch().json(&one),
                    patch().json(&format!("[{one}]")),
                    Ask::new(&format!("PATCH {path}&columns=body")).json(&one),
                    patch()
                        .body(&format!("body\n{body}\n"))
                        .header("content-type", "text/csv"),
                    patch().json(&one).prefer("count=exact"),
                    patch().json(&one).header("idempotency-key", key),
                    Ask::new(&format!("PATCH /{view}?id=eq.{id}")).json(&one),
                    batch("PATCH", &path, "", &one),
                    Ask::new(&format!("POST /rpc/update_{table}")).json(&format!(r#"{{"of":{id},"body":"{body}"}}"#)),
                ]
            }
            Wish::Delete { id } => {
                let path = format!("/{table}?id=eq.{id}");
                vec![
                    Ask::new(&format!("DELETE {path}")),
                    Ask::new(&format!("DELETE {path}")).prefer("count=exact"),
                    Ask::new(&format!("DELETE {path}")).header("idempotency-key", key),
                    Ask::new(&format!("DELETE /{view}?id=eq.{id}")),
                    batch("DELETE", &path, "", ""),
                    Ask::new(&format!("POST /rpc/delete_{table}")).json(&format!(r#"{{"of":{id}}}"#)),
                ]
            }
        }
    }
}

/// The ways that ask for the same rights. A view with its caller's rights reads all its columns, whichever are asked for,
/// and of one of them `half` gives no right to read.
fn comparable(table: &str, mut ways: Vec<Ask>) -> Vec<Ask> {
    ways.retain(|ask| !format!("{} {}", ask.path, ask.body).contains("v_half") || table != "half");
    ways
}

/// What became of a wish.
#[derive(PartialEq, Eq)]
struct Decision {
    code: String,
    table: String,
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.code, self.table)
    }
}

/// A batch names its request beside the same code.
fn code(answer: &Answer) -> String {
    match answer.status.is_success() {
        true => String::new(),
        false => answer.code(),
    }
}

/// What a caller is called, and its client.
type Named = (&'static str, fn(&Server) -> Client);

fn callers() -> [Named; 3] {
    [
        ("anon", Server::anonymous),
        ("a", |server| server.user(A)),
        ("b", |server| server.user(B)),
    ]
}

#[tokio::test]
async fn every_way_to_write_is_decided_alike() {
    let both = Both::start(project).await;
    let mut keys = 0;
    let mut decisions: Vec<(bool, bool)> = Vec::new();
    for (table, _) in RULES {
        let fill = Ask::new(&format!("POST /rpc/fill_{table}"));
        let rows = format!("{table}?order=id");
        both.same(Server::service, &fill).await;
        let full = both.table(&rows).await;
        for (who, client) in callers() {
            for wish in wishes() {
                let mut first: Option<(Ask, Decision)> = None;
                let count = comparable(table, wish.ways(table, "")).len();
                for way in 0..count {
                    keys += 1;
                    let ask = comparable(table, wish.ways(table, &format!("key-{keys}"))).swap_remove(way);
                    let answer = both.same(client, &ask).await;
                    let decision = Decision {
                        code: code(&answer),
                        table: both.table(&rows).await,
                    };
                    if decision.table != full {
                        both.same(Server::service, &fill).await;
                    }
                    assert!(
                        decision.code.is_empty() || decision.table == full,
                        "{who}: {ask:?}: {decision:?}"
                    );
                    match &first {
                        None => first = Some((ask, decision)),
                        Some((other, expected)) => {
                            assert_eq!(
                                &decision,
                                expected,
                                "{table}, {who}: {ask:?} against {other:?}: {}",
                                answer.text()
                            );
                        }
                    }
                }
                let (_, decision) = first.unwrap();
                decisions.push((decision.code.is_empty(), decision.table != full));
            }
        }
    }
    // The tables of rights are no good test if they allow all or nothing.
    for kind in [(true, true), (true, false), (false, false)] {
        assert!(
            decisions.iter().filter(|decision| **decision == kind).count() > 50,
            "{kind:?}"
        );
    }
}

/// The ids that an answer shows, in order.
fn ids(answer: &Answer) -> String {
    if !answer.status.is_success() {
        return answer.code();
    }
    let text = answer.text();
    let mut found: Vec<u32> = match answer.header("content-type").starts_with("text/csv") {
        true => text.lines().skip(1).filter_map(|line| line.parse().ok()).collect(),
        false => {
            let json = answer.json();
            let rows = match json["responses"][0]["body"].as_array() {
                Some(rows) => rows.clone(),
                None => json.as_array().cloned().unwrap_or_default(),
            };
            rows.iter()
                .filter_map(|row| row["id"].as_u64()?.try_into().ok())
                .collect()
        }
    };
    found.sort_unstable();
    format!("{found:?}")
}

#[tokio::test]
async fn every_way_to_read_shows_the_same_rows() {
    let both = Both::start(project).await;
    for (table, _) in RULES {
        both.same(Server::service, &Ask::new(&format!("POST /rpc/fill_{table}")))
            .await;
        for (who, client) in callers() {
            let ways = vec![
                Ask::new(&format!("GET /{table}?select=id")),
                Ask::new(&format!("GET /{table}?select=id&id=gt.0&order=id.desc")),
                Ask::new(&format!("GET /{table}?select=id&or=(id.eq.1,id.eq.2)")),
                Ask::new(&format!("GET /{table}?select=id")).header("accept", "text/csv"),
                Ask::new(&format!("GET /{table}?select=id")).prefer("count=exact"),
                Ask::new(&format!("GET /{table}?select=id")).header("if-none-match", "\"x.y\""),
                Ask::new(&format!("GET /v_{table}?select=id")),
                batch("GET", &format!("/{table}?select=id"), "", ""),
                batch("GET", &format!("/v_{table}?select=id"), "", ""),
                Ask::new(&format!("GET /rpc/read_{table}")),
                Ask::new(&format!("POST /rpc/read_{table}")),
                batch("POST", &format!("/rpc/read_{table}"), "", ""),
            ];
            let mut first: Option<String> = None;
            for ask in &comparable(table, ways) {
                let answer = both.same(client, ask).await;
                let shown = ids(&answer);
                let expected = first.get_or_insert_with(|| shown.clone());
                assert_eq!(&shown, expected, "{table}, {who}: {ask:?}: {}", answer.text());
            }
            let count = both
                .same(
                    client,
                    &Ask::new(&format!("HEAD /{table}?select=id")).prefer("count=exact"),
                )
                .await;
            if count.status.is_success() {
                let total = count.header("content-range").rsplit('/').next().unwrap().to_owned();
                let shown = first.unwrap().matches(char::is_numeric).count();
                assert_eq!(total, shown.to_string(), "{table}, {who}");
            }
        }
    }
}
