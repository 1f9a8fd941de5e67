//! Whatever a request names, it stays a name or a value: nothing in it becomes SQL.

use mainstay_testing::{Project, Server};

use crate::both::{Ask, Both};

fn project() -> Project {
    Project::of(
        "create table t (id int primary key, \"na\"\"me\" text, j jsonb, \"a.b\" text, n int);
         create table u (id int primary key, t int references t (id));
         insert into t values (1, 'x', '{\"k\": {\"l\": 1}}', 'dot', 1), (2, 'y', '{}', null, 2);
         insert into u values (1, 1), (2, 2);
         grant select, insert, update, delete on t, u to anon, service_role;",
    )
    .config("[rest]\ndb_tx_end = \"rollback\"")
}

/// Texts that close quotes, comments, parentheses and statements in one dialect or another.
const PAYLOADS: &[&str] = &[
    "'",
    "''",
    "\"",
    "\"\"",
    "`",
    "\\",
    "\\'",
    ";",
    "--",
    "/*",
    "*/",
    "#",
    "$1",
    "?1",
    ":1",
    "@x",
    "%",
    "%s",
    "{}",
    "[]",
    "()",
    ")",
    "(",
    "' OR '1'='1",
    "\" OR \"1\"=\"1",
    "1; DROP TABLE t",
    "1); DELETE FROM t; --",
    "' UNION SELECT 1 --",
    "id) OR (1=1",
    "x' || (SELECT 1) || 'x",
    "pg_sleep(10)",
    "$$",
    "$tag$",
    "\u{0}",
    "\u{202e}",
    "é",
    "𝒳",
    "a\nb",
    "a\tb",
    " ",
    "",
    ".",
    "..",
    "->",
    "->>",
    "::",
    "::text",
    "id::text",
    "*",
    "t.id",
    "public.t",
    "NULL",
    "DEFAULT",
    "CURRENT_USER",
    "rowid",
    "_rowid_",
    "oid",
    "ctid",
    "xmin",
    "sqlite_master",
    "pg_catalog.pg_user",
    "1e999",
    "0x41",
    "E'\\x41'",
    "U&'\\0041'",
];

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn asks(payload: &str) -> Vec<Ask> {
    let p = encode(payload);
    let q = encode(&format!("\"{}\"", payload.replace('\\', "\\\\").replace('"', "\\\"")));
    let mut asks: Vec<Ask> = [
        format!("/t?na%22me=eq.{p}"),
        format!("/t?na%22me=like.{p}"),
        format!("/t?na%22me=ilike.{p}"),
        format!("/t?na%22me=match.{p}"),
        format!("/t?na%22me=in.({q})"),
        format!("/t?id=eq.{p}"),
        format!("/t?id=in.({q},1)"),
        format!("/t?j=eq.{p}"),
        format!("/t?j=cs.{p}"),
        format!("/t?j-%3E{p}=eq.1"),
        format!("/t?j-%3E%3E{p}=eq.1"),
        format!("/t?{p}=eq.1"),
        format!("/t?select={p}"),
        format!("/t?select=id,{p}:n"),
        format!("/t?select=x:{q}"),
        format!("/t?select=id::{p}"),
        format!("/t?select=j-%3E{p}"),
        format!("/t?select=id,{p}(id)"),
        format!("/t?select=id,u!{p}(id)"),
        format!("/t?order={p}"),
        format!("/t?order=id.{p}"),
        format!("/t?order=j-%3E%3E{p}"),
        format!("/t?limit={p}"),
        format!("/t?offset={p}"),
        format!("/t?or=({q}.eq.1)"),
        format!("/t?or=(id.eq.{q})"),
        format!("/t?id={p}.1"),
        format!("/t?and={p}"),
        format!("/t?select=u({p})"),
        format!("/t?select=id,u(id)&u.{p}=eq.1"),
        format!("/t?select=id,u(id)&u.order={p}"),
        format!("/{p}"),
        format!("/rpc/{p}"),
        format!("/t?id=not.{p}.1"),
        format!("/t?na%22me=eq(any).{{{q}}}"),
        format!("/t?na%22me=fts({p}).x"),
    ]
    .iter()
    .map(|path| Ask::new(&format!("GET {path}")))
    .collect();
    let text = serde_json::Value::String(payload.to_owned()).to_string();
    asks.extend([
        Ask::new("POST /t").json(&format!("{{\"id\":9,{text}:1}}")),
        Ask::new("POST /t")
            .json(&format!("{{\"id\":9,\"na\\\"me\":{text}}}"))
            .prefer("return=representation"),
        Ask::new("POST /t").json(&format!("{{\"id\":{text}}}")),
        Ask::new("POST /t")
            .json(&format!("{{\"id\":9,\"j\":{{{text}:{text}}}}}"))
            .prefer("return=representation"),
        Ask::new(&format!("POST /t?columns={p}")).json("{\"id\":9}"),
        Ask::new(&format!("POST /t?on_conflict={p}"))
            .json("{\"id\":1}")
            .prefer("resolution=merge-duplicates"),
        Ask::new(&format!("PATCH /t?na%22me=eq.{p}"))
            .json("{\"n\":5}")
            .prefer("return=representation"),
        Ask::new("PATCH /t?id=eq.1")
            .json(&format!("{{\"na\\\"me\":{text}}}"))
            .prefer("return=representation"),
        Ask::new(&format!("DELETE /t?na%22me=eq.{p}")).prefer("return=representation"),
        Ask::new("POST /t")
            .header("content-type", "text/csv")
            .body(&format!("id,{payload}\n9,x\n")),
    ]);
    if payload.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        for name in ["accept-profile", "prefer", "range", "accept"] {
            asks.push(Ask::new("GET /t").header(name, payload));
        }
    }
    asks
}

#[tokio::test]
async fn names_and_values_never_become_sql() {
    let both = Both::start(project).await;
    let before = both.table("t?order=id").await;
    for payload in PAYLOADS {
        for ask in asks(payload) {
            for server in &both.servers {
                let answer = ask.send(&server.anonymous()).await;
                let internal = matches!(answer.code().as_str(), "42601" | "XX000" | "MS-HTTP-008");
                assert!(
                    answer.status.as_u16() < 500 && !internal,
                    "{:?}: {payload:?} in {ask:?}: {} {}\n{}",
                    server.engine,
                    answer.status,
                    answer.text(),
                    server.log()
                );
            }
        }
        assert_eq!(both.table("t?order=id").await, before, "after {payload:?}");
    }
}

#[tokio::test]
async fn odd_names_are_reached_by_quoting() {
    let both = Both::start(project).await;
    let answer = both
        .same(
            Server::anonymous,
            &Ask::new("GET /t?select=id,%22a.b%22&%22a.b%22=eq.dot"),
        )
        .await;
    assert_eq!(answer.json(), serde_json::json!([{"id": 1, "a.b": "dot"}]));
}
