//! Rows outside the policy cannot be guessed: no filter, count, embed or order depends on them.
//!
//! Two servers hold the same visible rows and different hidden ones. What a unique key or a foreign key tells is
//! PostgreSQL's own behaviour and is left out.

use mainstay_testing::{Project, Server, engines};

use crate::both::{Ask, PROGRAM};

const USER: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn project(hidden: &str) -> Project {
    Project::of(&format!(
        "create table teams (id int primary key, name text);
         create table docs (id int primary key, owner uuid default auth.uid(), team int references teams (id), title text, score int);
         create table lines (id int primary key, doc int references docs (id), body text);
         alter table docs enable row level security;
         alter table lines enable row level security;
         create policy own on docs to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
         create policy with_doc on lines for select to authenticated
           using (exists (select 1 from docs d where d.id = lines.doc));
         create view doc_scores with (security_invoker = true) as
           select t.id, t.name, count(d.id) as docs, sum(d.score) as score from teams t left join docs d on d.team = t.id group by t.id, t.name;
         insert into teams values (1, 'red'), (2, 'blue');
         insert into docs values (1, '{USER}', 1, 'mine', 5), (2, '{USER}', 2, 'also mine', 7);
         insert into lines values (1, 1, 'x'), (2, 2, 'y');
         {hidden}
         grant select on teams, lines, doc_scores to authenticated;
         grant select, insert, update, delete on docs to authenticated;"
    ))
    .config("[rest]\ndb_tx_end = \"rollback\"")
}

const NONE: &str = "";
const MANY: &str = "
  insert into docs values
    (10, 'bbbbbbbb-0000-4000-8000-000000000002', 1, 'theirs', 100),
    (11, 'bbbbbbbb-0000-4000-8000-000000000002', 1, 'secret plan', -3),
    (12, null, 2, 'mine', 5);
  insert into lines values (10, 10, 'hidden'), (11, 11, 'hidden'), (12, 12, 'z');";

fn entrances() -> Vec<Ask> {
    let mut asks = Vec::new();
    let filters = [
        "",
        "title=eq.theirs",
        "title=like.*secret*",
        "title=neq.mine",
        "score=gt.50",
        "score=lt.0",
        "score=not.is.null",
        "id=in.(10,11,12)",
        "or=(id.eq.10,id.eq.1)",
        "not.or=(id.eq.10,id.eq.1)",
        "owner=is.null",
        "owner=neq.aaaaaaaa-0000-4000-8000-000000000001",
        "id=eq.10",
        "score=isdistinct.5",
        "title=match.^s",
    ];
    let reads = [
        "docs?select=id,title",
        "docs?select=*",
        "docs?select=id&order=score.desc",
        "docs?select=id&limit=1",
        "docs?select=id&offset=1&order=id",
        "docs?select=id,lines(body)&lines.order=id",
        "docs?select=id,teams(name)&order=teams(name).desc,id",
        "docs?select=id,lines!inner(id)",
        "docs?select=id,lines(id)&lines=is.null",
        "docs?select=count()",
    ];
    for read in reads {
        for filter in filters {
            let glue = if filter.is_empty() { "" } else { "&" };
            let ask = Ask::new(&format!("GET /{read}{glue}{filter}"));
            for count in ["exact", "planned", "estimated"] {
                // PostgreSQL's own estimates know the whole table; that is its documented behaviour.
                if count == "exact" {
                    asks.push(ask.clone().prefer(&format!("count={count}")));
                    asks.push(
                        Ask {
                            method: http::Method::HEAD,
                            ..ask.clone()
                        }
                        .prefer("count=exact"),
                    );
                }
            }
            asks.push(ask.clone().header("accept", "text/csv"));
            asks.push(ask.header("accept", "application/vnd.pgrst.object+json"));
        }
    }
    for read in [
        "teams?select=id,docs(id)&order=id&docs.order=id",
        "teams?select=id,docs!inner(id)&order=id",
        "teams?select=id,docs(id)&docs=is.null",
        "teams?select=id,docs(id)&docs.score=gt.50",
        "teams?select=id,docs!inner(id)&docs.title=like.*secret*",
        "teams?select=id,...docs(title)&order=id&docs.order=id",
        "lines?select=id,body&order=id",
        "lines?select=id,docs(title)&order=id",
        "doc_scores?order=id",
        "doc_scores?score=gt.50",
        "doc_scores?docs=gt.1",
        "teams?select=id,docs(count())",
    ] {
        asks.push(Ask::new(&format!("GET /{read}")).prefer("count=exact"));
    }
    for order in ["id", "score", "score.desc", "title.nullsfirst", "owner", "teams(name)"] {
        for filter in filters {
            let glue = if filter.is_empty() { "" } else { "&" };
            let line = format!("GET /docs?select=id,teams(name)&order={order}&limit=1{glue}{filter}");
            asks.push(Ask::new(&line).prefer("paging=cursor, count=exact"));
        }
    }
    for filter in filters {
        let write = "return=representation, count=exact";
        asks.push(
            Ask::new(&format!("PATCH /docs?{filter}"))
                .json(r#"{"score":1}"#)
                .prefer(write),
        );
        asks.push(
            Ask::new(&format!(
                "DELETE /docs?{filter}{}select=id",
                if filter.is_empty() { "" } else { "&" }
            ))
            .prefer(write),
        );
    }
    asks
}

#[tokio::test]
async fn no_answer_depends_on_hidden_rows() {
    for engine in engines() {
        let few = Server::start(PROGRAM, engine, project(NONE)).await;
        let many = Server::start(PROGRAM, engine, project(MANY)).await;
        let mut pages = 0;
        let mut asks = entrances();
        while let Some(ask) = asks.pop() {
            let left = ask.send(&few.user(USER)).await;
            let right = ask.send(&many.user(USER)).await;
            assert_eq!(left.comparable(), right.comparable(), "{engine:?}: {ask:?}");
            assert!(
                left.status.as_u16() < 500,
                "{engine:?}: {ask:?}: {}\n{}",
                left.text(),
                few.log()
            );
            let cursor = left.header("next-cursor");
            if !cursor.is_empty() {
                pages += 1;
                let (path, _) = ask.path.split_once("&cursor=").unwrap_or((&ask.path, ""));
                asks.push(Ask {
                    path: format!("{path}&cursor={cursor}"),
                    ..ask.clone()
                });
            }
        }
        assert!(pages > 10, "{engine:?}: only {pages} pages led to another");
    }
}
