//! Entity tags, `If-None-Match` and `If-Match` on both engines.

use std::time::{Duration, Instant};

use mainstay_testing::{Answer, Client, Project, Server};

use crate::both::{Ask, Both};

const ANN: &str = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
const BOB: &str = "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

fn project() -> Project {
    Project::of(
        "create table notes (id bigint primary key, owner uuid not null, body text not null default '');
         alter table notes enable row level security;
         create policy own on notes to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
         grant select, insert, update, delete on notes to authenticated;
         grant select, insert, update, delete on notes to service_role;
         create table counters (id int primary key, n int not null);
         insert into counters values (1, 0), (2, 0);
         grant select, update, delete, insert on counters to anon, authenticated, service_role;
         create table offers (id int primary key, until timestamptz not null);
         create view open_offers as select id from offers where until > now();
         grant select, insert on offers to service_role;
         grant select on open_offers to anon, service_role;
         create function offer() returns void language sql
           as 'insert into offers values (1, now() + interval ''1500 milliseconds'')';
         create function total() returns bigint language sql stable as 'select sum(n) from counters';",
    )
}

async fn start() -> Both {
    Both::start(project).await
}

fn ann(server: &Server) -> Client {
    server.user(ANN)
}

fn bob(server: &Server) -> Client {
    server.user(BOB)
}

async fn read(both: &Both, who: fn(&Server) -> Client, path: &str, tag: &str) -> Answer {
    both.same(who, &Ask::new(&format!("GET {path}")).header("if-none-match", tag))
        .await
}

#[tokio::test]
async fn a_read_is_not_answered_twice() {
    let both = start().await;
    let notes = format!(r#"[{{"id":1,"owner":"{ANN}","body":"a"}},{{"id":2,"owner":"{BOB}","body":"b"}}]"#);
    both.same(Server::service, &Ask::new("POST /notes").json(&notes)).await;
    let path = "/notes?select=id,body&order=id";
    let first = both.same(ann, &Ask::new(&format!("GET {path}"))).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.len() > 40 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_eq!(first.header("cache-control"), "private, no-cache");
    for _ in 0..3 {
        let again = read(&both, ann, path, &tag).await;
        assert_eq!((again.status.as_u16(), again.text()), (304, String::new()));
        assert_eq!(again.header("etag"), tag);
        assert_eq!(again.header("content-range"), first.header("content-range"));
        assert_eq!(again.header("vary"), first.header("vary"));
        assert_eq!(again.header("content-type"), "");
        assert_eq!(
            read(&both, ann, path, &format!("\"x\", W/{tag}")).await.status.as_u16(),
            304
        );
        assert_eq!(
            both.same(ann, &Ask::new(&format!("HEAD {path}")).header("if-none-match", &tag))
                .await
                .status
                .as_u16(),
            304
        );
    }
    // Other rows, another form of the same rows, another question.
    let other = read(&both, bob, path, &tag).await;
    assert_eq!(
        (other.status.as_u16(), other.text().as_str()),
        (200, r#"[{"id":2,"body":"b"}]"#)
    );
    assert_eq!(
        read(&both, ann, "/notes?select=id&order=id", &tag)
            .await
            .status
            .as_u16(),
        200
    );
    for (name, value) in [("accept", "text/csv"), ("prefer", "count=exact")] {
        let ask = Ask::new(&format!("GET {path}")).header("if-none-match", &tag);
        assert_eq!(
            both.same(ann, &ask.header(name, value)).await.status.as_u16(),
            200,
            "{value}"
        );
    }
    assert_eq!(read(&both, ann, path, "no tag").await.status.as_u16(), 200);

    // A write that another caller's policy hides changes nothing here; one's own does.
    both.same(bob, &Ask::new("PATCH /notes?id=eq.2").json(r#"{"body":"c"}"#))
        .await;
    assert_eq!(read(&both, ann, path, &tag).await.status.as_u16(), 304);
    both.same(ann, &Ask::new("PATCH /notes?id=eq.1").json(r#"{"body":"d"}"#))
        .await;
    let changed = read(&both, ann, path, &tag).await;
    assert_eq!(
        (changed.status.as_u16(), changed.text().as_str()),
        (200, r#"[{"id":1,"body":"d"}]"#)
    );
    both.same(ann, &Ask::new("PATCH /notes?id=eq.1").json(r#"{"body":"a"}"#))
        .await;
    assert_eq!(read(&both, ann, path, &tag).await.status.as_u16(), 304);
    // What one may no longer see is gone, whatever tag one has.
    both.same(Server::service, &Ask::new("DELETE /notes?id=eq.1")).await;
    let gone = read(&both, ann, path, &tag).await;
    assert_eq!((gone.status.as_u16(), gone.text().as_str()), (200, "[]"));
}

#[tokio::test]
async fn calls_are_tagged_too_and_errors_are_not() {
    let both = start().await;
    let first = both.same(Server::service, &Ask::new("GET /rpc/total")).await;
    let tag = first.header("etag").to_owned();
    assert_eq!(
        read(&both, Server::service, "/rpc/total", &tag).await.status.as_u16(),
        304
    );
    both.same(Server::service, &Ask::new("PATCH /counters?id=eq.1").json(r#"{"n":5}"#))
        .await;
    assert_eq!(read(&both, Server::service, "/rpc/total", &tag).await.text(), "5");
    let missing = read(&both, Server::service, "/nothing", &tag).await;
    assert_eq!((missing.status.as_u16(), missing.header("etag")), (404, ""));
    let posted = both.same(Server::service, &Ask::new("POST /rpc/total")).await;
    assert_eq!(posted.header("etag"), "");
}

#[tokio::test]
async fn the_time_makes_answers_old() {
    let both = start().await;
    for server in &both.servers {
        Ask::new("POST /rpc/offer").send(&server.service()).await;
        let ask = |tag: &str| Ask::new("GET /open_offers").header("if-none-match", tag);
        let first = ask("\"none\"").send(&server.anonymous()).await;
        let tag = first.header("etag").to_owned();
        let begun = Instant::now();
        loop {
            let answer = ask(&tag).send(&server.anonymous()).await;
            if answer.status.as_u16() == 200 {
                assert_eq!(answer.text(), "[]");
                break;
            }
            assert_eq!(answer.status.as_u16(), 304);
            assert!(begun.elapsed() < Duration::from_secs(60), "the offer never ends");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn write(line: &str, tag: &str, body: &str) -> Ask {
    Ask::new(line).header("if-match", tag).json(body)
}

#[tokio::test]
async fn two_editors_do_not_overwrite_each_other() {
    let both = start().await;
    let row = "/counters?id=eq.1";
    let tag = both.same(Server::anonymous, &Ask::new(&format!("GET {row}"))).await;
    let tag = tag.header("etag").to_owned();
    let one = write(&format!("PATCH {row}"), &tag, r#"{"n":10}"#).prefer("return=representation");
    let first = both.same(Server::anonymous, &one).await;
    assert_eq!(
        (first.status.as_u16(), first.text().as_str()),
        (200, r#"[{"id":1,"n":10}]"#)
    );
    let second = both
        .same(Server::anonymous, &write(&format!("PATCH {row}"), &tag, r#"{"n":20}"#))
        .await;
    assert_eq!((second.status.as_u16(), second.code().as_str()), (412, "MS-DATA-003"));
    assert_eq!(
        both.table("counters?order=id").await,
        r#"[{"id":1,"n":10},{"id":2,"n":0}]"#
    );

    // The tag of the representation is that of the rows as they are now.
    let tag = first.header("etag").to_owned();
    let next = both
        .same(Server::anonymous, &write(&format!("PATCH {row}"), &tag, r#"{"n":11}"#))
        .await;
    assert_eq!(next.status.as_u16(), 204);
    assert_eq!(
        both.same(Server::anonymous, &write(&format!("DELETE {row}"), &tag, ""))
            .await
            .status
            .as_u16(),
        412
    );
    assert_eq!(
        both.same(
            Server::anonymous,
            &write(&format!("PUT {row}"), &tag, r#"{"id":1,"n":7}"#)
        )
        .await
        .status
        .as_u16(),
        412
    );
    let now = both.same(Server::anonymous, &Ask::new(&format!("GET {row}"))).await;
    let now = now.header("etag").to_owned();
    let several = format!("\"x\", {now}");
    assert_eq!(
        both.same(
            Server::anonymous,
            &write(&format!("PUT {row}"), &several, r#"{"id":1,"n":7}"#)
        )
        .await
        .status
        .as_u16(),
        204
    );
    assert_eq!(
        both.same(Server::anonymous, &write(&format!("DELETE {row}"), "*", ""))
            .await
            .status
            .as_u16(),
        204
    );
    assert_eq!(
        both.same(Server::anonymous, &write(&format!("DELETE {row}"), "*", ""))
            .await
            .status
            .as_u16(),
        412
    );
    assert_eq!(both.table("counters?order=id").await, r#"[{"id":2,"n":0}]"#);
}

#[tokio::test]
async fn what_cannot_be_guarded_is_refused_and_limits_still_hold() {
    let both = start().await;
    let ask = write("PATCH /counters?id=eq.1", "not a tag", r#"{"n":1}"#);
    let bad = both.same(Server::anonymous, &ask).await;
    assert_eq!((bad.status.as_u16(), bad.code().as_str()), (400, "MS-DATA-004"));
    for line in ["POST /counters", "POST /rpc/total"] {
        let refused = both.same(Server::service, &write(line, "\"a\"", r#"{}"#)).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, "MS-DATA-005"),
            "{line}"
        );
    }
    let all = both.same(Server::anonymous, &Ask::new("GET /counters")).await;
    let tag = all.header("etag").to_owned();
    let limited = write("PATCH /counters", &tag, r#"{"n":1}"#).prefer("handling=strict,max-affected=1");
    let limited = both.same(Server::anonymous, &limited).await;
    assert_eq!((limited.status.as_u16(), limited.code().as_str()), (400, "PGRST124"));
    let singular = write("PATCH /counters", &tag, r#"{"n":1}"#)
        .header("accept", "application/vnd.pgrst.object+json")
        .prefer("return=representation");
    assert_eq!(both.same(Server::anonymous, &singular).await.status.as_u16(), 406);
    let broken = both
        .same(Server::anonymous, &write("PATCH /counters", &tag, r#"{"n":null}"#))
        .await;
    assert_eq!((broken.status.as_u16(), broken.code().as_str()), (400, "23502"));
    let nothing = both
        .same(Server::anonymous, &write("PATCH /counters", &tag, "{}"))
        .await;
    assert_eq!(nothing.status.as_u16(), 204);
    assert_eq!(
        both.same(Server::anonymous, &write("PATCH /counters", "\"x.y\"", "{}"))
            .await
            .status
            .as_u16(),
        412
    );
    assert_eq!(
        both.table("counters?order=id").await,
        r#"[{"id":1,"n":0},{"id":2,"n":0}]"#
    );

    // Another caller's rows are no rows: the tag does not help to reach them.
    let note = format!(r#"{{"id":1,"owner":"{ANN}","body":"a"}}"#);
    both.same(ann, &Ask::new("POST /notes").json(&note)).await;
    let tag = both
        .same(ann, &Ask::new("GET /notes?id=eq.1"))
        .await
        .header("etag")
        .to_owned();
    let other = both
        .same(bob, &write("PATCH /notes?id=eq.1", &tag, r#"{"body":"b"}"#))
        .await;
    assert_eq!(other.status.as_u16(), 412);
    let anonymous = both
        .same(
            Server::anonymous,
            &write("PATCH /notes?id=eq.1", &tag, r#"{"body":"b"}"#),
        )
        .await;
    assert_eq!((anonymous.status.as_u16(), anonymous.code().as_str()), (401, "42501"));
}

/// Editors at once, and the writes of each.
const EDITORS: usize = 12;
const EDITS: usize = 4;

#[tokio::test]
async fn no_update_is_lost_under_concurrent_editors() {
    let both = start().await;
    for server in &both.servers {
        // Without a condition: both read 0, both write 1.
        for _ in 0..2 {
            let write = Ask::new("PATCH /counters?id=eq.2").json(r#"{"n":1}"#);
            write.send(&server.anonymous()).await;
        }
        let lost = Ask::new("GET /counters?id=eq.2&select=n")
            .send(&server.anonymous())
            .await;
        assert_eq!(lost.text(), r#"[{"n":1}]"#);

        let mut editors = tokio::task::JoinSet::new();
        (0..EDITORS).for_each(|_| {
            editors.spawn(edit(server.anonymous()));
        });
        editors.join_all().await;
        let kept = Ask::new("GET /counters?id=eq.1&select=n")
            .send(&server.anonymous())
            .await;
        assert_eq!(kept.text(), format!(r#"[{{"n":{}}}]"#, EDITORS * EDITS));
    }
}

/// Raises the counter as often as it should, each time from what it read.
async fn edit(client: Client) {
    for _ in 0..EDITS {
        loop {
            let row = Ask::new("GET /counters?id=eq.1").send(&client).await;
            let n = row.json()[0]["n"].as_i64().unwrap();
            let body = format!(r#"{{"n":{}}}"#, n + 1);
            let written = write("PATCH /counters?id=eq.1", row.header("etag"), &body)
                .send(&client)
                .await;
            match written.status.as_u16() {
                204 => break,
                412 => {}
                other => panic!("{other}: {}", written.text()),
            }
        }
    }
}

#[tokio::test]
async fn a_compressed_answer_has_a_tag_of_its_own() {
    let both = start().await;
    let notes: Vec<String> = (0..40)
        .map(|id| format!(r#"{{"id":{id},"owner":"{ANN}","body":"the same words again"}}"#))
        .collect();
    let body = format!("[{}]", notes.join(","));
    both.same(Server::service, &Ask::new("POST /notes").json(&body)).await;
    for server in &both.servers {
        let plain = Ask::new("GET /notes?order=id").send(&server.user(ANN)).await;
        let client = server.user(ANN).with("accept-encoding", "gzip");
        let packed = Ask::new("GET /notes?order=id").send(&client).await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        let tag = packed.header("etag");
        assert_eq!(tag.replace("-gzip", ""), plain.header("etag"));
        assert!(tag.ends_with("-gzip\""), "{tag}");
        let again = Ask::new("GET /notes?order=id")
            .header("if-none-match", tag)
            .send(&client)
            .await;
        assert_eq!(again.status.as_u16(), 304);
        let written = write("PATCH /notes?order=id", tag, r#"{"body":"other"}"#)
            .send(&client)
            .await;
        assert_eq!(written.status.as_u16(), 204, "{}", written.text());
    }
}
