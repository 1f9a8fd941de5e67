//! Triggers on both engines: the same answers, and the same tables afterwards.

use mainstay_testing::{Project, Server};

use crate::both::{Ask, Both};

fn project() -> Project {
    Project::of(include_str!("triggers.sql"))
}

async fn start() -> Both {
    Both::start(project).await
}

async fn post(both: &Both, path: &str, body: &str) -> String {
    let ask = Ask::new(&format!("POST /{path}")).json(body);
    both.same(Server::anonymous, &ask.prefer("return=representation"))
        .await
        .text()
}

async fn patch(both: &Both, path: &str, body: &str) -> String {
    let ask = Ask::new(&format!("PATCH /{path}")).json(body);
    both.same(Server::anonymous, &ask.prefer("return=representation"))
        .await
        .text()
}

async fn upsert(both: &Both, path: &str, body: &str) -> String {
    let ask = Ask::new(&format!("POST /{path}")).json(body);
    let ask = ask.prefer("return=representation,resolution=merge-duplicates");
    both.same(Server::anonymous, &ask).await.text()
}

async fn delete(both: &Both, path: &str) -> String {
    let ask = Ask::new(&format!("DELETE /{path}")).prefer("return=representation");
    both.same(Server::anonymous, &ask).await.text()
}

#[tokio::test]
async fn updated_at_and_versions() {
    let both = start().await;
    post(&both, "notes", r#"[{"id":1,"body":"a"},{"id":2,"body":"b"}]"#).await;
    let updated = patch(&both, "notes?id=eq.1", r#"{"body":"c"}"#).await;
    assert_eq!(
        updated,
        r#"[{"id":1,"body":"c","updated_at":"2024-05-01T12:00:00+00:00","version":2}]"#
    );
    patch(&both, "notes?order=id", r#"{"body":"all"}"#).await;
    patch(&both, "notes?id=eq.2", r#"{"body":null}"#).await;
    upsert(&both, "notes", r#"[{"id":2,"body":"again"},{"id":3,"body":"new"}]"#).await;
    delete(&both, "notes?id=lt.3&order=id").await;
    both.table("notes?order=id").await;
    both.table("notes_history?order=id,version,gone").await;
}

#[tokio::test]
async fn a_profile_for_each_user() {
    let both = start().await;
    let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let user = format!(r#"{{"id":"{id}","email":"ann@example.org","raw_user_meta_data":{{"full_name":"Ann"}}}}"#);
    post(&both, "users?select=*,profiles(*)", &user).await;
    post(
        &both,
        "users",
        r#"{"id":"b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","email":"bob@example.org"}"#,
    )
    .await;
    post(&both, "users", &user.replace("ann@", "other@")).await;
    let profiles = both.table("profiles?order=id").await;
    assert!(profiles.contains(r#""name":"bob""#), "{profiles}");
    delete(&both, &format!("users?id=eq.{id}")).await;
    both.table("profiles?order=id").await;
}

#[tokio::test]
async fn an_audit_log() {
    let both = start().await;
    post(
        &both,
        "accounts",
        r#"[{"id":1,"owner":"a","balance":10.5},{"id":2,"owner":"b","balance":0}]"#,
    )
    .await;
    patch(&both, "accounts?id=eq.1", r#"{"balance":7}"#).await;
    patch(&both, "accounts?id=eq.1", r#"{"owner":"x"}"#).await;
    upsert(
        &both,
        "accounts",
        r#"[{"id":2,"owner":"b","balance":3},{"id":3,"owner":"c","balance":4}]"#,
    )
    .await;
    delete(&both, "accounts?id=gt.1").await;
    let audit = both.table("audit?order=seq").await;
    assert!(audit.contains(r#""by_role":"postgres""#), "{audit}");
    both.table("accounts?order=id").await;
}

#[tokio::test]
async fn counters_follow_their_rows_and_cascades_fire() {
    let both = start().await;
    post(
        &both,
        "posts",
        r#"[{"id":1,"title":"Hello, World!"},{"id":2,"title":"Hello world"}]"#,
    )
    .await;
    post(
        &both,
        "comments",
        r#"[{"id":1,"post_id":1,"body":"a"},{"id":2,"post_id":1,"body":"b"},{"id":3,"post_id":2,"body":"c"}]"#,
    )
    .await;
    patch(&both, "comments?id=eq.2", r#"{"post_id":2}"#).await;
    post(&both, "comments", r#"{"id":9,"post_id":9,"body":"no post"}"#).await;
    delete(&both, "comments?id=eq.3").await;
    both.table("posts?order=id").await;
    delete(&both, "posts?id=in.(1,2)").await;
    let gone = both.table("gone_comments?order=id").await;
    assert!(gone.contains(r#""parent_there":false"#), "{gone}");
    both.table("comments?order=id").await;
    both.table("posts?order=id").await;
}

#[tokio::test]
async fn slugs_are_made_unique() {
    let both = start().await;
    let rows = r#"[{"id":1,"title":" A b! ","slug":null},{"id":2,"title":"a-B","slug":""},{"id":3,"title":"a  b","slug":null},{"id":4,"title":"x","slug":"own"}]"#;
    let made = post(&both, "posts?select=id,slug&order=id", rows).await;
    assert_eq!(
        made,
        r#"[{"id":1,"slug":"a-b"},{"id":2,"slug":"a-b-1"},{"id":3,"slug":"a-b-2"},{"id":4,"slug":"own"}]"#
    );
    patch(&both, "posts?id=eq.4", r#"{"slug":"","title":"A b"}"#).await;
    patch(&both, "posts?id=eq.4", r#"{"comment_count":3}"#).await;
    both.table("posts?order=id").await;
}

#[tokio::test]
async fn deletes_that_only_mark() {
    let both = start().await;
    post(
        &both,
        "documents",
        r#"[{"id":1,"title":"a","deleted_at":null},{"id":2,"title":"b","deleted_at":"2020-01-01"}]"#,
    )
    .await;
    let deleted = delete(&both, "documents?id=in.(1,2)").await;
    assert!(
        deleted.contains("\"id\":2") && !deleted.contains("\"id\":1"),
        "{deleted}"
    );
    both.table("documents?order=id").await;
}

#[tokio::test]
async fn stock_does_not_go_below_zero() {
    let both = start().await;
    post(&both, "products", r#"{"id":1,"name":"mug","stock":3}"#).await;
    post(&both, "orders", r#"{"id":1,"product_id":1,"quantity":2}"#).await;
    let refused = post(&both, "orders", r#"{"id":2,"product_id":1,"quantity":2}"#).await;
    assert!(refused.contains("not enough mug in stock: 1 of 2 left"), "{refused}");
    post(&both, "orders", r#"{"id":3,"product_id":7,"quantity":1}"#).await;
    post(
        &both,
        "orders",
        r#"[{"id":4,"product_id":1,"quantity":1},{"id":5,"product_id":1,"quantity":1}]"#,
    )
    .await;
    post(&both, "orders", r#"{"id":6,"product_id":1,"quantity":0}"#).await;
    patch(&both, "orders?id=eq.1", r#"{"quantity":1}"#).await;
    for table in ["products?order=id", "orders?order=id", "outbox?order=id"] {
        both.table(table).await;
    }
}

#[tokio::test]
async fn values_are_put_in_one_form_or_refused() {
    let both = start().await;
    post(
        &both,
        "subscribers",
        r#"[{"id":1,"email":"  Ann@Example.ORG ","source":null},{"id":2,"email":"b@x","source":"import"}]"#,
    )
    .await;
    post(&both, "subscribers", r#"{"id":3,"email":"nonsense"}"#).await;
    post(&both, "subscribers", r#"{"id":3,"email":"ANN@example.org"}"#).await;
    upsert(
        &both,
        "subscribers",
        r#"[{"id":1,"email":"New@x.y"},{"id":4,"email":"D@x.y"}]"#,
    )
    .await;
    upsert(
        &both,
        "subscribers",
        r#"[{"id":1,"email":"a@x.y"},{"id":1,"email":"b@x.y"}]"#,
    )
    .await;
    patch(&both, "subscribers?id=gt.100", r#"{"source":"none"}"#).await;
    delete(&both, "subscribers?id=eq.2").await;
    both.table("subscribers?order=id").await;
    let log = both.table("statement_log?order=n").await;
    assert!(log.contains("AFTER STATEMENT DELETE z_after 2"), "{log}");
}

#[tokio::test]
async fn paths_of_a_tree() {
    let both = start().await;
    post(
        &both,
        "folders",
        r#"[{"id":1,"parent_id":null,"name":"a"},{"id":2,"parent_id":1,"name":"b"},{"id":3,"parent_id":2,"name":"c"}]"#,
    )
    .await;
    patch(&both, "folders?id=eq.1", r#"{"name":"z"}"#).await;
    let folders = both.table("folders?order=id").await;
    assert!(folders.contains("/z/b/c"), "{folders}");
    post(&both, "folders", r#"{"id":9,"parent_id":77,"name":"lost"}"#).await;
    delete(&both, "folders?id=eq.1").await;
    both.table("folders?order=id").await;
}

#[tokio::test]
async fn a_text_to_search_in() {
    let both = start().await;
    post(
        &both,
        "articles",
        r#"[{"id":1,"title":"One","body":"Two","tags":null},{"id":2,"title":null,"body":"x","tags":null}]"#,
    )
    .await;
    patch(&both, "articles?id=eq.1", r#"{"search":"mine"}"#).await;
    both.table("articles?order=id").await;
    patch(&both, "articles?id=eq.1", r#"{"tags":"Three"}"#).await;
    both.table("articles?order=id").await;
}

#[tokio::test]
async fn foreign_keys_act_through_triggers() {
    let both = start().await;
    post(
        &both,
        "teams",
        r#"[{"id":1,"name":"one"},{"id":2,"name":"two"},{"id":3,"name":"three"}]"#,
    )
    .await;
    post(
        &both,
        "members",
        r#"[{"id":1,"team_id":2,"name":"a"},{"id":2,"team_id":2,"name":"b"},{"id":3,"team_id":3,"name":"c"}]"#,
    )
    .await;
    post(&both, "guests", r#"[{"id":1,"team_id":2},{"id":2,"team_id":3}]"#).await;
    patch(&both, "teams?id=eq.3", r#"{"name":"III"}"#).await;
    patch(&both, "teams?id=eq.3", r#"{"id":33}"#).await;
    delete(&both, "teams?id=eq.2").await;
    delete(&both, "teams?id=eq.1").await;
    for table in [
        "teams?order=id",
        "members?order=id",
        "guests?order=id",
        "audit?order=seq",
    ] {
        both.table(table).await;
    }
}

#[tokio::test]
async fn row_security_sees_the_row_after_before_triggers() {
    let both = start().await;
    post(&both, "secrets", r#"{"id":1,"owner":"somebody","body":"x"}"#).await;
    post(&both, "locked", r#"{"id":1,"owner":"me"}"#).await;
    both.table("secrets?order=id").await;
    both.table("locked?order=id").await;
}

#[tokio::test]
async fn a_row_changed_behind_the_statements_back_is_an_error() {
    let both = start().await;
    post(&both, "loops", r#"[{"id":1,"n":0},{"id":2,"n":20}]"#).await;
    let refused = patch(&both, "loops?id=eq.1", r#"{"n":5}"#).await;
    assert!(refused.contains("27000"), "{refused}");
    patch(&both, "loops?id=eq.2", r#"{"n":5}"#).await;
    both.table("loops?order=id").await;
}

#[tokio::test]
async fn built_in_trigger_functions() {
    let both = start().await;
    post(&both, "stamps", r#"{"id":1,"body":"a"}"#).await;
    let ask = Ask::new("PATCH /stamps?id=eq.1").json(r#"{"body":"b"}"#);
    both.same(Server::anonymous, &ask).await;
    both.table("stamps?select=id,body&changed=gt.2024-01-01").await;
    post(&both, "quiet", r#"{"id":1,"body":"a"}"#).await;
    patch(&both, "quiet?id=eq.1", r#"{"body":"a"}"#).await;
    patch(&both, "quiet?id=eq.1", r#"{"body":"b"}"#).await;
    both.table("quiet?order=id").await;
}

#[tokio::test]
async fn whole_rows_are_compared_and_copied() {
    let both = start().await;
    post(&both, "pairs", r#"[{"id":1,"b":"x","c":1},{"id":2,"b":null,"c":null}]"#).await;
    patch(&both, "pairs?id=eq.1", r#"{"b":"x"}"#).await;
    patch(&both, "pairs?order=id", r#"{"b":null}"#).await;
    both.table("pair_copies?order=copy").await;
    both.table("outbox?order=id").await;
}

#[tokio::test]
async fn users_of_the_platform_get_a_profile() {
    let both = start().await;
    let members = both.table("members_of").await;
    assert_eq!(
        members,
        r#"[{"id":"c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","email":"cy@example.org","joined":"2024-01-02T03:04:05+00:00"}]"#
    );
}
