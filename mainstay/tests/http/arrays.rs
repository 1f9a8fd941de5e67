//! Array columns through the data API, on both engines.

use mainstay_testing::{Project, Server};

use crate::both::{Ask, Both};

const SCHEMA: &str = "
create type mood as enum ('sad', 'ok', 'happy');
create table posts (
    id int primary key, tags text[] not null default '{}', scores int[], prices numeric(6,2)[], moods mood[],
    days date[], at timestamptz[], docs jsonb[], flags boolean[]
);
create table keyed (tags text[] primary key, note text);
create function with_tags(wanted text[]) returns bigint language sql stable as $$
    select count(*) from posts where tags && wanted
$$;
create function total(numbers int[]) returns bigint language sql stable as $$
    select sum(n) from unnest(numbers) as n
$$;
create view tag_counts as select t.tag, count(*) as posts from posts, unnest(posts.tags) as t(tag) group by t.tag;
insert into posts (id, tags, scores, prices, moods, days, at, docs, flags) values
    (1, '{a,b}', '{1,2,3}', '{1.5,2}', '{ok,happy}', '{2024-03-01}', '{2024-03-01 10:00+02}',
     array['{\"k\": 1}'::jsonb, '[1]'], '{t,f}'),
    (2, '{\"b c\",\"x,y\"}', '{}', null, '{sad}', null, null, null, '{null}'),
    (3, '{}', '{10,null}', '{NaN,1.50}', null, '{2024-01-01,null}', null, null, null);
grant select, insert, update, delete on posts, keyed to anon, authenticated, service_role;
grant select on tag_counts to anon, authenticated, service_role;
";

fn project() -> Project {
    Project::of(SCHEMA)
}

#[tokio::test]
async fn every_read_of_arrays() {
    let both = Both::start(project).await;
    let lines = [
        "/posts?order=id",
        "/posts?select=id&tags=cs.{a}&order=id",
        "/posts?select=id&tags=cs.{}&order=id",
        "/posts?select=id&tags=cs.{\"b c\"}",
        "/posts?select=id&tags=cd.{a,b,c}&order=id",
        "/posts?select=id&tags=ov.{b,zz}&order=id",
        "/posts?select=id&tags=ov.{\"x,y\",a}&order=id",
        "/posts?select=id&tags=not.ov.{a}&order=id",
        "/posts?select=id&scores=cs.{1,2}",
        "/posts?select=id&scores=ov.{10}",
        "/posts?select=id&scores=cs.{x}",
        "/posts?select=id&scores=cs.1",
        "/posts?select=id&scores=ov.{1,2",
        "/posts?select=id&prices=cs.{1.50}&order=id",
        "/posts?select=id&moods=cs.{happy}",
        "/posts?select=id&moods=cs.{furious}",
        "/posts?select=id&days=ov.{2024-01-01}",
        "/posts?select=id&flags=cs.{true}",
        "/posts?select=id&tags=eq.{a,b}",
        "/posts?select=id&tags=neq.{a,b}&order=id",
        "/posts?select=id&tags=gt.{a}&order=id",
        "/posts?select=id&scores=lt.{2}&order=id",
        "/posts?select=id&prices=eq.{1.50,2.0}",
        "/posts?select=id&tags=in.(\"{a,b}\",\"{}\")&order=id",
        "/posts?select=id&tags=is.null",
        "/posts?select=id&tags=isdistinct.{}&order=id",
        "/posts?select=id&or=(tags.cs.{a},scores.ov.{10})&order=id",
        "/posts?select=id&and=(tags.cs.{a},tags.cs.{b})",
        "/posts?select=id,first:tags->0,second:tags->>1&order=id",
        "/posts?select=id,scores->-1,docs->0->k&order=id",
        "/posts?select=id&tags->>0=eq.a",
        "/posts?select=id&scores->0=eq.1",
        "/posts?select=id&order=tags.desc,id",
        "/posts?select=id&order=scores.asc.nullsfirst,id",
        "/posts?select=id&order=prices.desc.nullslast,id",
        "/posts?select=id&order=moods,id",
        "/posts?select=id,tags::text,scores::text&order=id",
        "/posts?select=id&tags=like.*a*",
        "/posts?select=id&scores=ov.{1}&tags=cs.{a}",
        "/tag_counts?order=tag",
        "/rpc/with_tags?wanted={a}",
        "/rpc/with_tags?wanted={a,\"b c\"}",
        "/rpc/with_tags?wanted=a",
        "/rpc/total?numbers={1,2,3}",
        "/rpc/total?numbers={1,x}",
    ];
    for line in lines {
        let ask = Ask::new(&format!("GET {line}"));
        both.same(Server::anonymous, &ask).await;
        if !line.starts_with("/rpc") {
            both.same(Server::anonymous, &ask.clone().header("accept", "text/csv"))
                .await;
        }
    }
}

#[tokio::test]
async fn arrays_follow_the_time_zone_and_lose_no_nulls() {
    let both = Both::start(project).await;
    for accept in [
        "application/json",
        "application/vnd.pgrst.array+json;nulls=stripped",
        "text/csv",
    ] {
        let ask = Ask::new("GET /posts?select=id,at,scores,flags,docs&order=id").header("accept", accept);
        both.same(Server::anonymous, &ask).await;
        let ask = ask.prefer("timezone=Asia/Kolkata");
        both.same(Server::anonymous, &ask).await;
    }
}

#[tokio::test]
async fn every_write_of_arrays() {
    let both = Both::start(project).await;
    let representation = "return=representation";
    let bodies = [
        r#"{"id":10,"tags":["n","m o"],"scores":[1,null,3],"prices":[1,"2.345"],"moods":["ok"],"flags":[true,false,null]}"#,
        r#"{"id":11,"tags":"{q,\"r s\"}","scores":"{4,5}","prices":"{9.999}"}"#,
        r#"{"id":12}"#,
        r#"{"id":13,"tags":[]}"#,
        r#"{"id":14,"tags":null}"#,
        r#"{"id":15,"scores":["1","2"]}"#,
        r#"{"id":16,"scores":["x"]}"#,
        r#"{"id":16,"scores":{"a":1}}"#,
        r#"{"id":16,"scores":7}"#,
        r#"{"id":16,"scores":true}"#,
        r#"{"id":16,"scores":"1,2"}"#,
        r#"{"id":16,"prices":[123456]}"#,
        r#"{"id":16,"moods":["furious"]}"#,
        r#"{"id":16,"moods":"{furious}"}"#,
        r#"{"id":17,"tags":["a\"b","c\\d","{}","é",""],"docs":[{"b":1,"a":2},[1],"s",3],"days":["2024-01-01"],"at":["2024-01-01T10:00:00+02:00"]}"#,
        r#"{"id":18,"tags":[1,true,{"a": 1}]}"#,
    ];
    for body in bodies {
        both.same(
            Server::anonymous,
            &Ask::new("POST /posts").json(body).prefer(representation),
        )
        .await;
    }
    let asks = [
        Ask::new("PATCH /posts?id=eq.1")
            .json(r#"{"tags":["z"],"scores":null}"#)
            .prefer(representation),
        Ask::new("PATCH /posts?tags=cs.{z}")
            .json(r#"{"tags":"{y,z}"}"#)
            .prefer(representation),
        Ask::new("POST /posts")
            .json(r#"[{"id":1,"tags":["up"]},{"id":30,"tags":["in"]}]"#)
            .prefer("return=representation, resolution=merge-duplicates"),
        Ask::new("POST /posts")
            .header("content-type", "text/csv")
            .header("prefer", representation)
            .body("id,tags,scores\n40,\"{a,b}\",\"{1,2}\"\n41,{},NULL\n"),
        Ask::new("POST /posts")
            .header("content-type", "text/csv")
            .body("id,tags\n42,a\n"),
        Ask::new("POST /keyed")
            .json(r#"{"tags":["a","b"],"note":"first"}"#)
            .prefer(representation),
        Ask::new("POST /keyed").json(r#"{"tags":["a","b"],"note":"second"}"#),
        Ask::new("POST /keyed")
            .json(r#"{"tags":["a","b"],"note":"third"}"#)
            .prefer("return=representation, resolution=merge-duplicates"),
        Ask::new("PUT /keyed?tags=eq.{a,b}")
            .json(r#"{"tags":["a","b"],"note":"put"}"#)
            .prefer(representation),
        Ask::new("DELETE /posts?tags=ov.{up,in}").prefer(representation),
        Ask::new("POST /rpc/with_tags").json(r#"{"wanted":["n","q"]}"#),
        Ask::new("POST /rpc/with_tags").json(r#"{"wanted":"{n,q}"}"#),
        Ask::new("POST /rpc/total").json(r#"{"numbers":[1,2,null,4]}"#),
        Ask::new("POST /rpc/total").json(r#"{"numbers":["x"]}"#),
    ];
    for ask in asks {
        both.same(Server::anonymous, &ask).await;
    }
    both.table("posts?order=id").await;
    both.table("keyed?order=tags").await;
}

#[tokio::test]
async fn more_dimensions_are_refused_by_name() {
    let server = Server::start(crate::both::PROGRAM, mainstay_testing::Engine::Sqlite, project()).await;
    for body in [
        r#"{"id":20,"scores":[[1,2],[3,4]]}"#,
        r#"{"id":20,"scores":"{{1,2},{3,4}}"}"#,
    ] {
        let answer = Ask::new("POST /posts").json(body).send(&server.anonymous()).await;
        assert!(
            answer
                .text()
                .contains("not available on the embedded engine: arrays of more"),
            "{}",
            answer.text()
        );
    }
}
