//! A hidden column cannot be guessed: whatever names it, the answer does not depend on its values.
//!
//! Two servers hold the same rows but for the hidden values. Every entrance that can name a column is generated, and the
//! two must answer byte for byte alike.

use mainstay_testing::{Client, Engine, Project, Server, engines};

use crate::both::{Ask, PROGRAM};

const USER: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn project(hidden: [&str; 3]) -> Project {
    let rows: Vec<String> = hidden
        .iter()
        .enumerate()
        .map(|(index, value)| format!("({index}, 'seen {index}', '{value}', '{{\"k\":\"{value}\"}}', 0)"))
        .collect();
    Project::of(&format!(
        "create table vault (id int primary key, seen text, hidden text, hidden_json jsonb, parent int references vault (id));
         create table boxes (id int primary key, vault int references vault (id), hidden text);
         create view vault_view with (security_invoker = true) as select id, seen from vault;
         insert into vault values {};
         insert into boxes values (1, 0, '{}'), (2, 1, '{}');
         grant select (id, seen, parent), insert (id, seen), update (seen), delete on vault to authenticated;
         grant select (id, vault) on boxes to authenticated;
         grant select on vault_view to authenticated;",
        rows.join(","),
        hidden[0],
        hidden[1],
    ))
    .config("[rest]\ndb_tx_end = \"rollback\"")
}

/// Every request that could learn something of `hidden`.
fn entrances() -> Vec<Ask> {
    let mut lines: Vec<String> = Vec::new();
    let operators = [
        "eq.a",
        "neq.a",
        "gt.a",
        "gte.a",
        "lt.a",
        "lte.a",
        "like.a*",
        "ilike.A*",
        "match.^a",
        "imatch.^A",
        "in.(a,b)",
        "is.null",
        "is.true",
        "isdistinct.a",
        "not.eq.a",
        "not.is.null",
        "not.in.(a,b)",
        "like(any).{a*,b*}",
        "eq(any).{a,b}",
        "eq(all).{a}",
        "cs.{a}",
        "fts.a",
        "eq.1",
        "gt.0",
    ];
    for column in ["hidden", "hidden_json", "hidden_json->k", "hidden_json->>k"] {
        for operator in operators {
            lines.push(format!("/vault?select=id&{column}={operator}"));
            lines.push(format!("/vault?select=id&or=(id.eq.99,{column}.{operator})"));
            lines.push(format!(
                "/vault?select=id&and=(id.gte.0,not.or({column}.{operator},id.eq.99))"
            ));
            lines.push(format!("/vault?select=id&limit=1&{column}={operator}"));
            lines.push(format!("/boxes?select=id,vault(id)&vault.{column}={operator}"));
            lines.push(format!("/boxes?select=id,vault!inner(id)&vault.{column}={operator}"));
            lines.push(format!(
                "/boxes?select=id,vault(id)&vault.or=({column}.{operator},id.eq.99)"
            ));
        }
        for path in ["asc", "desc", "asc.nullsfirst", "desc.nullslast"] {
            lines.push(format!("/vault?select=id&order={column}.{path}"));
            lines.push(format!("/boxes?select=id,vault(id)&order=vault({column}).{path}"));
            lines.push(format!("/vault?select=id,boxes(id)&boxes.order={column}.{path}"));
        }
        for select in [
            "{}",
            "id,{}",
            "x:{}",
            "x:{}::text",
            "{}::int",
            "*,{}",
            "count(),{}",
            "{}.max()",
            "id,boxes({})",
            "parent(id,{})",
            "...parent({})",
        ] {
            lines.push(format!("/vault?select={}", select.replace("{}", column)));
        }
    }
    lines.push("/vault".into());
    lines.push("/vault?select=*".into());
    lines.push("/vault_view?hidden=eq.a".into());
    lines.push("/vault_view?select=hidden".into());
    let mut asks = Vec::new();
    for line in &lines {
        let read = Ask::new(&format!("GET {line}"));
        asks.push(read.clone().prefer("count=exact"));
        asks.push(read.clone().header("accept", "text/csv"));
        asks.push(
            Ask {
                method: http::Method::HEAD,
                ..read.clone()
            }
            .prefer("count=exact"),
        );
        if line.starts_with("/vault?") {
            let write = "return=representation, count=exact";
            asks.push(
                Ask {
                    method: http::Method::PATCH,
                    ..read.clone()
                }
                .json(r#"{"seen":"x"}"#)
                .prefer(write),
            );
            asks.push(
                Ask {
                    method: http::Method::DELETE,
                    ..read.clone()
                }
                .prefer("return=minimal, count=exact"),
            );
            asks.push(
                Ask {
                    method: http::Method::POST,
                    ..read
                }
                .json(r#"{"id":50,"seen":"x"}"#)
                .prefer(write),
            );
        }
    }
    for body in [
        r#"{"id":60,"hidden":"a"}"#,
        r#"{"id":0,"hidden":"a"}"#,
        r#"[{"id":61,"seen":"s","hidden":"b"}]"#,
    ] {
        asks.push(Ask::new("POST /vault").json(body));
        asks.push(Ask::new("POST /vault").json(body).prefer("resolution=merge-duplicates"));
        asks.push(
            Ask::new("POST /vault?on_conflict=hidden")
                .json(body)
                .prefer("resolution=ignore-duplicates"),
        );
        asks.push(Ask::new("PATCH /vault?id=eq.0").json(body));
        asks.push(Ask::new("POST /vault?columns=id,hidden").json(body));
        asks.push(Ask::new("PUT /vault?id=eq.0").json(body));
    }
    asks
}

#[tokio::test]
async fn no_answer_depends_on_a_hidden_column() {
    for engine in engines() {
        let one = Server::start(PROGRAM, engine, project(["a", "b", "c"])).await;
        let two = Server::start(PROGRAM, engine, project(["zzz", "1", "a"])).await;
        compare(engine, &one, &two, |server| server.user(USER)).await;
    }
}

async fn compare(engine: Engine, one: &Server, two: &Server, who: impl Fn(&Server) -> Client) {
    let (first, second) = (who(one), who(two));
    for ask in entrances() {
        let (left, right) = (ask.send(&first).await, ask.send(&second).await);
        assert_eq!(left.comparable(), right.comparable(), "{engine:?}: {ask:?}");
        assert!(
            left.status.as_u16() < 500,
            "{engine:?}: {ask:?}: {}\n{}",
            left.text(),
            one.log()
        );
        assert!(!right.text().contains("zzz"), "{engine:?}: {ask:?}: {}", right.text());
    }
}
