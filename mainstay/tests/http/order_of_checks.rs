//! Who asks is settled before what is asked is read; a denial leaves nothing behind, and no refusal tells what is hidden.

use http::Method;
use mainstay_testing::{Client, Project, Server};

use crate::both::{Ask, Both};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// What must never be seen.
const CANARY: &str = "canary";

fn project() -> Project {
    Project::of(&format!(
        "create table closed (id bigserial primary key, secret text default '{CANARY}', n int not null check (n > 0));
         create table notes (
           id bigserial primary key, owner uuid not null default auth.uid(), body text,
           secret text default '{CANARY}', n int not null default 1 check (n > 0), code text unique,
           kept text not null default '{CANARY}', even int check (even % 2 = 0),
           constraint plain check (body <> secret));
         create table log (id bigserial primary key, what text);
         create function note_it() returns trigger language plpgsql security definer as $$
           begin insert into log (what) values (tg_op || ' ' || tg_table_name); return coalesce(new, old); end $$;
         create trigger t before insert or update or delete on notes for each row execute function note_it();
         create trigger s before insert or update or delete on closed for each statement execute function note_it();
         create function work() returns int language sql volatile as 'insert into log (what) values (''work''); select 1';
         revoke execute on function work() from public;
         alter table notes enable row level security;
         create policy own on notes to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
         insert into notes (owner, body, code) values ('{A}', 'mine', 'm'), ('{B}', 'theirs', '{CANARY}-code');
         delete from log;
         grant select (id, owner, body, n, code, even), insert, update, delete on notes to authenticated;
         grant usage on sequence notes_id_seq to authenticated, service_role;
         grant usage on sequence closed_id_seq to authenticated;
         grant select on notes, log, closed to service_role;
         grant insert on closed to service_role; grant usage on sequence closed_id_seq to service_role;"
    ))
}

fn user(server: &Server) -> Client {
    server.user(A)
}

async fn state(both: &Both) -> String {
    let mut all = String::new();
    for table in ["notes?order=id", "closed?order=id", "log?order=id"] {
        all.push_str(&both.table(table).await);
    }
    all
}

/// Requests that are wrong in every way that a request can be, each with the status that it has from who may ask.
fn broken() -> Vec<(Method, &'static str, &'static str, String)> {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        (Method::POST, "/notes", "application/json", "{".into()),
        (Method::POST, "/notes", "application/json", deep),
        (
            Method::POST,
            "/notes",
            "application/json",
            format!(r#"{{"body":"{}"}}"#, "x".repeat(9 * 1024 * 1024)),
        ),
        (Method::POST, "/notes", "application/xml", "<a/>".into()),
        (Method::POST, "/notes", "text/csv", "\"".into()),
        (Method::POST, "/batch", "application/json", r#"{"requests":[]}"#.into()),
        (Method::POST, "/batch", "application/json", "nonsense".into()),
        (Method::POST, "/rpc/work", "application/json", "[".into()),
        (Method::POST, "/nothing", "application/json", "{}".into()),
        (Method::GET, "/notes?select=((", "", String::new()),
        (Method::GET, "/notes?id=nonsense", "", String::new()),
        (Method::GET, "/nothing", "", String::new()),
        (Method::PUT, "/notes", "application/json", "{".into()),
        (Method::from_bytes(b"BREW").unwrap(), "/notes", "", String::new()),
    ]
}

#[tokio::test]
async fn a_credential_is_refused_before_anything_else_is_read() {
    let both = Both::start(project).await;
    for server in &both.servers {
        let refused = server.anonymous().bearer("broken");
        let plain = refused.get("notes").await;
        assert_eq!(plain.status, 401);
        for (method, path, kind, body) in broken() {
            let headers = [("content-type", kind)];
            let path = format!("/rest/v1{path}");
            // The answer may come while the body is being sent, and close the connection.
            let Ok(answer) = refused.try_send(method.clone(), &path, &headers, body).await else {
                continue;
            };
            assert_eq!(
                answer.comparable(),
                plain.comparable(),
                "{:?} {method} {path}",
                server.engine
            );
        }
        for path in ["/rest/v1/notes", "/rest/v1/batch", "/rest/v1/rpc/work"] {
            let answer = refused.send_head(Method::POST, path, &[], 1_000).await;
            assert_eq!(answer.comparable(), plain.comparable(), "{:?} {path}", server.engine);
        }
    }
    assert!(state(&both).await.ends_with("[][]"));
}

#[tokio::test]
async fn a_denial_leaves_no_row_no_number_and_no_trigger_behind() {
    let both = Both::start(project).await;
    let before = state(&both).await;
    let theirs = format!(r#"{{"owner":"{B}","body":"x"}}"#);
    let denied = |line: &str, body: &str| Ask::new(line).json(body);
    let batch = |line: &str, body: &str| {
        let (method, path) = line.split_once(' ').unwrap();
        Ask::new("POST /batch").json(&format!(
            r#"{{"requests":[{{"method":"PATCH","path":"/notes?id=eq.1","body":{{"body":"changed"}}}},
                {{"method":"{method}","path":"{path}","body":{body}}}]}}"#
        ))
    };
    for (line, body) in [
        ("POST /closed", r#"{"n":1}"#),
        ("POST /closed", r#"[{"n":1},{"n":0}]"#),
        ("POST /closed?columns=n", r#"[{"n":1}]"#),
        ("PATCH /closed", r#"{"n":2}"#),
        ("PATCH /closed?n=gt.0", r#"{"n":2}"#),
        ("DELETE /closed", "null"),
        ("POST /rpc/work", "{}"),
        ("POST /log", r#"{"what":"x"}"#),
    ] {
        for ask in [denied(line, body), batch(line, body)] {
            let answer = both.same(user, &ask).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (403, "42501"),
                "{ask:?}: {}",
                answer.text()
            );
            assert_eq!(state(&both).await, before, "{ask:?}");
        }
    }
    for ask in [
        denied("POST /notes", &theirs),
        denied("POST /notes", &format!(r#"[{{"owner":"{A}","body":"x"}},{theirs}]"#)),
        batch("POST /notes", &theirs),
        denied("PATCH /notes?id=eq.1", &format!(r#"{{"owner":"{B}"}}"#)),
    ] {
        let answer = both.same(user, &ask).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (403, "42501"),
            "{ask:?}: {}",
            answer.text()
        );
        assert_eq!(state(&both).await, before, "{ask:?}");
    }
    // What is denied by a grant takes no number. What a policy denies does on PostgreSQL, as any failure there.
    let closed = Ask::new("POST /closed?select=id")
        .json(r#"{"n":1}"#)
        .prefer("return=representation");
    assert_eq!(both.same(Server::service, &closed).await.text(), r#"[{"id":1}]"#);
}

#[tokio::test]
async fn rights_are_looked_at_before_values_and_rows() {
    let both = Both::start(project).await;
    let single = "application/vnd.pgrst.object+json";
    // Values that could not be read, rows that are not there: all the same to who may not ask.
    for ask in [
        Ask::new("GET /closed?id=eq.1"),
        Ask::new("GET /closed?id=eq.777"),
        Ask::new("GET /closed?secret=eq.canary"),
        Ask::new("GET /closed?id=eq.1").header("accept", single),
        Ask::new("GET /closed?limit=0"),
        Ask::new("GET /closed?offset=5").prefer("count=exact"),
        Ask::new("HEAD /closed").prefer("count=exact"),
        Ask::new("PATCH /closed?id=eq.1").json(r#"{"n":1}"#),
        Ask::new("PATCH /closed?id=eq.777").json(r#"{"n":0}"#),
        Ask::new("DELETE /closed?id=eq.777"),
        Ask::new("DELETE /closed?id=eq.777").header("if-match", "*"),
        Ask::new("POST /closed").json(r#"{"n":0}"#),
        Ask::new("POST /closed").json(r#"{"n":null}"#),
        Ask::new("POST /closed")
            .json(r#"{"id":1,"n":1}"#)
            .prefer("resolution=merge-duplicates"),
        Ask::new("GET /notes?secret=eq.canary"),
        Ask::new("GET /notes?id=eq.777&secret=eq.canary"),
        Ask::new("GET /notes?order=secret&limit=0"),
        Ask::new("PATCH /notes?id=eq.777&secret=eq.x").json(r#"{"n":0}"#),
    ] {
        let answer = both.same(user, &ask).await;
        assert_eq!(answer.status, 403, "{ask:?}: {}", answer.text());
        assert!(
            ask.method == Method::HEAD || answer.code() == "42501",
            "{ask:?}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn no_refusal_shows_what_is_hidden() {
    let both = Both::start(project).await;
    let representation = "return=representation";
    let mut asks = Vec::new();
    let bodies = [
        r#"{"n":0}"#,
        r#"{"n":null}"#,
        r#"{"n":"x"}"#,
        r#"{"even":3}"#,
        r#"{"kept":null}"#,
        r#"{"body":"canary","secret":"canary"}"#,
        r#"{"code":"m"}"#,
        r#"{"code":"canary-code"}"#,
        r#"{"id":1}"#,
        r#"{"id":2,"body":"x"}"#,
        r#"{"nothing":1}"#,
        r#"{"owner":"bbbbbbbb-0000-4000-8000-000000000002"}"#,
        r#"{"owner":"x"}"#,
        r#"{"owner":null}"#,
    ];
    for body in bodies {
        for query in [
            "",
            "?on_conflict=id",
            "?on_conflict=code",
            "?columns=n,body",
            "?select=id",
        ] {
            for prefer in [
                "",
                representation,
                "resolution=merge-duplicates",
                "resolution=ignore-duplicates",
                "missing=default",
            ] {
                asks.push((body, Ask::new(&format!("POST /notes{query}")).json(body).prefer(prefer)));
            }
        }
        asks.push((body, Ask::new("PATCH /notes").json(body)));
        asks.push((
            body,
            Ask::new("PATCH /notes?select=id").json(body).prefer(representation),
        ));
        // Whether a value that cannot be read is looked at where there is no row to set it in, is the engine's choice.
        if !body.contains(r#""x"}"#) {
            asks.push((body, Ask::new("PATCH /notes?id=eq.2").json(body)));
        }
        asks.push((body, Ask::new("PUT /notes?id=eq.2").json(body)));
    }
    for line in [
        "GET /notes?select=secret",
        "GET /notes?secre=eq.a",
        "GET /notes?select=secre",
        "GET /notes?order=secre",
        "GET /notes?select=*,closed(*)",
        "GET /notes?select=*,close(*)",
        "GET /close",
        "GET /rpc/wor",
        "GET /rpc/work?x=1",
        "POST /notes?columns=secre",
        "POST /notes?on_conflict=secre",
        "GET /notes?select=id,secret.max()",
    ] {
        asks.push(("", Ask::new(line).json("{}")));
    }
    for (sent, ask) in asks {
        let answer = both.same(user, &ask).await;
        let heard = answer.text();
        // Who sends the word may hear it again.
        let told = match sent.contains(CANARY) {
            true => heard.replace("canary-code", "").replace(r#"Key (code)=()"#, ""),
            false => heard.clone(),
        };
        assert!(!told.contains(CANARY), "{ask:?}: {heard}");
        assert!(answer.status.as_u16() < 500, "{ask:?}: {} {heard}", answer.status);
    }
}
