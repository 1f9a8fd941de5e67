//! pgvector's type on the embedded engine. The answers are those of pgvector's documentation and regression tests: the
//! server for tests has no such extension.

use mainstay_testing::{Engine, Project, Server};
use serde_json::json;

use crate::both::PROGRAM;

const ITEMS: &str = "
create extension if not exists vector with schema extensions;
create table items (id bigint primary key, embedding extensions.vector(3), loose vector);
insert into items values (1, '[1,2,3]', '[1]'), (2, '[4,5,6]', '[1,2]'), (3, null, null);
create index on items using hnsw (embedding vector_l2_ops);
create index on items using ivfflat (embedding vector_cosine_ops) with (lists = 100);
create function similarity_of(a vector(3), b vector) returns double precision
  language sql immutable as $$ select 1 - (a <=> b) $$;
create view nearest as
  select id, embedding <-> '[3,4,5]' as distance from items where embedding is not null order by embedding <-> '[3,4,5]' limit 1;
create view measured as
  select id, embedding <-> '[3,1,2]' as l2, embedding <#> '[3,1,2]' as negative, 1 - (embedding <=> '[3,1,2]') as similarity,
    embedding <+> '[3,1,2]' as l1, inner_product(embedding, '[3,1,2]') as product, vector_dims(loose) as dims,
    vector_norm(embedding) as norm, embedding + '[1,1,1]' as plus, embedding * embedding as times,
    embedding = '[1,2,3]' as same, embedding < '[1,3]' as less, embedding::real[]::text as list, array[1,2,3]::vector as made,
    l2_normalize('[3,4]') as unit, subvector(embedding, 2, 2) as part, embedding::text as written
  from items;
create view totals as select avg(embedding) as mean, sum(embedding) as total from items;
grant select, insert on items to anon;
grant select on measured, totals, nearest to anon;
";

#[tokio::test]
async fn vectors_are_kept_measured_and_ordered() {
    let server = Server::start(PROGRAM, Engine::Sqlite, Project::of(ITEMS)).await;
    let anonymous = server.anonymous();
    let items = anonymous.get("items?order=id").await;
    assert_eq!(
        items.text(),
        concat!(
            r#"[{"id":1,"embedding":"[1,2,3]","loose":"[1]"},{"id":2,"embedding":"[4,5,6]","loose":"[1,2]"},"#,
            r#"{"id":3,"embedding":null,"loose":null}]"#
        )
    );
    let nearest = anonymous.get("nearest").await;
    assert_eq!(
        nearest.json(),
        json!([{ "id": 2, "distance": 1.732_050_807_568_877_2 }]),
        "{}",
        nearest.text()
    );
    let similarity = anonymous.get("rpc/similarity_of?a=[1,2,3]&b=[2,4,6]").await;
    assert_eq!(similarity.text(), "1");
    let measured = anonymous.get("measured?id=eq.1").await;
    assert_eq!(
        measured.text(),
        concat!(
            r#"[{"id":1,"l2":2.449489742783178,"negative":-11,"similarity":0.7857142857142857,"l1":4,"product":11,"#,
            r#""dims":1,"norm":3.7416573867739413,"plus":"[2,3,4]","times":"[1,4,9]","same":true,"less":true,"#,
            r#""list":"{1,2,3}","made":"[1,2,3]","unit":"[0.6,0.8]","part":"[2,3]","written":"[1,2,3]"}]"#
        )
    );
    let totals = anonymous.get("totals").await.json();
    assert_eq!(totals, json!([{ "mean": "[2.5,3.5,4.5]", "total": "[5,7,9]" }]));
}

#[tokio::test]
async fn what_pgvector_refuses_is_refused() {
    let server = Server::start(PROGRAM, Engine::Sqlite, Project::of(ITEMS)).await;
    let anonymous = server.anonymous();
    let taken = anonymous
        .insert("items", &json!({ "id": 10, "embedding": [1, 2.5, 3] }))
        .await;
    assert_eq!(taken.status, 201, "{}", taken.text());
    for (embedding, code, message) in [
        (json!([1, 2]), "22000", "expected 3 dimensions, not 2"),
        (
            json!("[1,2,x]"),
            "22P02",
            "invalid input syntax for type vector: \"[1,2,x]\"",
        ),
        (json!("[]"), "22000", "vector must have at least 1 dimension"),
        (json!("[NaN,1,2]"), "22000", "NaN not allowed in vector"),
    ] {
        let refused = anonymous
            .insert("items", &json!({ "id": 11, "embedding": embedding }))
            .await
            .json();
        assert_eq!(
            (refused["code"].as_str(), refused["message"].as_str()),
            (Some(code), Some(message))
        );
    }
}
