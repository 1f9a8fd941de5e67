//! Full text search: filters on every kind of column, the functions, and what is refused.

use mainstay_testing::{Project, Server};

use crate::both::{Ask, Both};

fn project() -> Project {
    Project::of(include_str!("full_text.sql")).config("[rest]\ndb_tx_end = \"commit-allow-override\"")
}

/// An index is asked for candidates behind a policy, by a filter and by a function, and where every row must match.
#[tokio::test]
async fn an_index_is_asked_behind_policies() {
    let schema = "
        create table papers (id integer primary key, open boolean not null, body text not null,
          search tsvector generated always as (to_tsvector('english', body)) stored);
        create index papers_search on papers using gin (search);
        create index papers_body on papers using gin (to_tsvector('simple', body));
        insert into papers (id, open, body) select i, i % 3 > 0, case when i % 50 = 0 then 'a rare word' else 'common words' end
          from generate_series(1, 1000) i;
        alter table papers enable row level security;
        create policy open on papers for select using (open);
        grant select on papers to anon;
        create function found(words text) returns setof papers language sql stable as
          $$ select * from papers where to_tsvector('simple', body) @@ plainto_tsquery('simple', words) and id < 900 $$;
        grant execute on function found to anon;";
    let project =
        || Project::of(schema).config("[rest]\ndb_plan_enabled = true\ndb_tx_end = \"commit-allow-override\"");
    let both = Both::start(project).await;
    let asked = [
        ("GET /papers?select=id&search=fts.rare&order=id", true),
        (
            "GET /papers?select=id&search=wfts(english).rare&id=gt.100&order=id",
            true,
        ),
        (
            "GET /papers?select=id&search=fts.rare%20%26%20!common&search=fts.word&order=id",
            true,
        ),
        ("GET /papers?select=id&search=not.fts.rare&order=id&limit=5", false),
        ("GET /papers?select=id&or=(search.fts.rare,id.eq.7)&order=id", false),
        ("GET /rpc/found?words=rare&select=id&order=id", true),
    ];
    for (line, _) in asked {
        let answer = both
            .same(Server::anonymous, &Ask::new(line).prefer("count=exact"))
            .await;
        assert!(answer.text().len() > 20, "{line}: {}", answer.text());
    }
    for (line, is_asked) in asked {
        let ask = Ask::new(line).header("accept", "application/vnd.pgrst.plan");
        let plan = both.embedded(Server::anonymous, &ask).await.text();
        assert_eq!(plan.contains("_ms_words:papers_"), is_asked, "{line}: {plan}");
    }
}

#[tokio::test]
async fn every_filter_on_every_kind_of_column() {
    let both = Both::start(project).await;
    const WORDS: [&str; 14] = [
        "fox",
        "foxes",
        "cat & rat",
        "fat <-> cat",
        "!fox",
        "run:*",
        "jump | sat",
        "\"lazy dogs\" -cat",
        "the",
        "",
        "a &",
        "fox or cat",
        "example.com",
        "fox:A",
    ];
    for column in ["search", "title", "body", "meta", "notes", "meta->>a", "own"] {
        for filter in [
            "fts",
            "plfts",
            "phfts",
            "wfts",
            "not.fts",
            "fts(english)",
            "wfts(simple)",
            "fts(klingon)",
        ] {
            for words in WORDS {
                let words = words.replace('&', "%26").replace(' ', "%20");
                let line = format!("GET /articles?select=id&order=id&{column}={filter}.{words}");
                both.same(Server::anonymous, &Ask::new(&line)).await;
            }
        }
    }
    for line in [
        "GET /notes?select=id&or=(body.plfts(german).Art%20Spass,body.plfts(french).amusant%20impossible,body.fts(english).fun)&order=id",
        "GET /notes?select=id&and=(body.fts.possible,body.fts(english).fun)",
        "GET /articles?select=id&search=fts(any).{fox,cat}",
        "GET /articles?select=id&search=fts(all).{fox,cat}",
        "GET /articles?select=id,search::text&search=wfts.fox&order=id",
        "GET /articles?select=*&order=id",
        "GET /articles?select=id&search=is.null",
        "GET /articles?select=id&own=is.null&order=id",
        "GET /articles?select=id&own=eq.a",
    ] {
        both.same(Server::anonymous, &Ask::new(line)).await;
    }
    // The messages differ: our statements for PostgreSQL call functions by their schema, and it says so.
    for column in ["query", "id"] {
        for server in &both.servers {
            let refused = server.anonymous().get(&format!("articles?{column}=fts.fox")).await;
            assert_eq!((refused.status.as_u16(), refused.code()), (404, "42883".to_owned()));
        }
    }
}

#[tokio::test]
async fn functions_and_writes() {
    let both = Both::start(project).await;
    both.same(Server::anonymous, &Ask::new("GET /ranked?select=*&order=id"))
        .await;
    for body in [
        r#"{"id":10,"title":"New foxes","body":"jumping","own":"z:3B b:1","query":"z & (y | x)"}"#,
        r#"{"id":11,"title":"Bad","own":"a:0"}"#,
        r#"{"id":12,"title":"Bad","query":"a &"}"#,
        r#"{"id":13,"title":"Bad","config":"klingon"}"#,
        r#"{"id":14,"title":"Good","config":"pg_catalog.french","own":"'it''s':1"}"#,
        r#"{"id":15,"title":"Generated","search":"a"}"#,
    ] {
        let ask = Ask::new("POST /articles").json(body).prefer("return=representation");
        both.same(Server::service, &ask).await;
    }
    let ask = Ask::new("PATCH /articles?search=fts.fox").json(r#"{"body":"changed words"}"#);
    both.same(Server::service, &ask.prefer("return=representation")).await;
    both.same(Server::service, &Ask::new("DELETE /articles?search=fts.fox"))
        .await;
    both.table("articles?order=id").await;
}
