//! The OpenAPI 3.1 document: who is told what, where it stands, and that both engines say the same.
//!
//! That it is valid, and that answers are as it says, is checked by `cargo xtask schemathesis`.

use http::Method;
use mainstay_testing::{Client, Engine, Project, Server, engines};
use serde_json::{Value, json};

use crate::both::{Ask, Both, PROGRAM};

const CONTRACT: &str = include_str!("../../../e2e/contract/contract.sql");
/// PostgreSQL comments its first schema by itself.
const TITLE: &str = "comment on schema public is 'Work\n\nWho does what';";

fn project() -> Project {
    Project::of(CONTRACT).migration(TITLE)
}

async fn document(client: &Client) -> Value {
    let answer = client.send(Method::GET, "/rest/v1/openapi.json", &[], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    serde_json::from_str(&answer.text()).unwrap()
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn methods(document: &Value, path: &str) -> Vec<String> {
    let mut methods: Vec<String> = names(&document["paths"][path])
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    methods.sort();
    methods
}

#[tokio::test]
async fn both_engines_describe_the_same() {
    let both = Both::start(project).await;
    for who in [Server::anonymous, Server::service] {
        both.same(who, &Ask::new("GET /openapi.json")).await;
        both.same(who, &Ask::new("HEAD /openapi.json")).await;
        both.same(who, &Ask::new("OPTIONS /openapi.json")).await;
        both.same(
            who,
            &Ask::new("GET /").header("accept", "application/vnd.oai.openapi+json"),
        )
        .await;
        both.same(who, &Ask::new("GET /openapi.json").header("accept", "text/csv"))
            .await;
        both.same(who, &Ask::new("GET /openapi.json?select=id")).await;
    }
}

#[tokio::test]
async fn what_the_caller_may_not_do_is_not_told() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project()).await;
        let all = document(&server.service()).await;
        assert_eq!(all["openapi"], "3.1.1");
        assert_eq!(
            (&all["info"]["title"], &all["info"]["description"]),
            (&json!("Work"), &json!("Who does what"))
        );
        assert_eq!(methods(&all, "/tasks"), ["delete", "get", "patch", "post", "put"]);
        assert_eq!(methods(&all, "/team_sizes"), ["get"]);
        assert_eq!(methods(&all, "/rpc/add_note"), ["post"]);
        assert_eq!(methods(&all, "/rpc/find_tasks"), ["get", "post"]);
        assert!(all["paths"]["/rpc/forget_notes"].is_object());

        let told = document(&server.anonymous()).await;
        let text = told.to_string();
        for hidden in [
            "labels",
            "odd names",
            "forget_notes",
            "slug",
            "founded",
            "motto",
            "joined_at",
            "lead_id",
        ] {
            assert!(!text.contains(hidden), "{engine:?}: {hidden}");
        }
        assert!(told["paths"]["/members"].is_null() && told["paths"]["/rpc/forget_notes"].is_null());
        assert_eq!(methods(&told, "/teams"), ["get", "patch"]);
        assert_eq!(methods(&told, "/notes"), ["get", "post"]);
        assert_eq!(methods(&told, "/tasks"), ["get", "patch"]);
        let schemas = &told["components"]["schemas"];
        assert_eq!(names(&schemas["teams.Row"]["properties"]), ["id", "name", "mood"]);
        assert_eq!(names(&schemas["teams.Update"]["properties"]), ["mood"]);
        assert_eq!(names(&schemas["notes.Insert"]["properties"]), ["body"]);
        assert!(schemas["teams.Insert"].is_null() && schemas["tasks.Insert"].is_null());

        // With no right to the schema there is nothing in it.
        let closed = project().migration("revoke usage on schema public from public, anon;");
        let server = Server::start(PROGRAM, engine, closed).await;
        let nothing = document(&server.anonymous()).await;
        assert_eq!(names(&nothing["paths"]), ["/", "/openapi.json"], "{engine:?}");
    }
}

#[tokio::test]
async fn rows_are_described_by_their_types() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project()).await;
        let all = document(&server.service()).await;
        let schemas = &all["components"]["schemas"];
        let row = &schemas["tasks.Row"]["properties"];
        assert_eq!(
            row["small"],
            json!({ "type": ["integer", "null"], "minimum": -32768, "maximum": 32767 })
        );
        assert_eq!(row["done"], json!({ "type": "boolean" }));
        assert_eq!(row["spec"], json!({ "description": "Any JSON" }));
        assert_eq!(row["progress"]["description"], "In percent");
        let mood = json!(["calm", "busy", "on fire", "it's \"fine\", (really)"]);
        assert_eq!(schemas["teams.Row"]["properties"]["mood"]["enum"], mood);
        let moods = &schemas["members.Row"]["properties"]["moods"];
        assert_eq!(
            (&moods["type"], &moods["items"]["type"]),
            (&json!(["array", "null"]), &json!(["string", "null"]))
        );
        // What is needed: not null, and nothing fills it. What takes no value is not there.
        assert_eq!(schemas["tasks.Insert"]["required"], json!(["team_id", "number"]));
        assert!(schemas["tasks.Insert"]["properties"]["title_length"].is_null());
        assert!(schemas["notes.Update"]["properties"]["id"].is_null());
        assert!(schemas["open_tasks.Insert"]["properties"]["loud"].is_null());
        let call = &all["paths"]["/rpc/add_numbers"]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(
            (&call["required"], names(&call["properties"])),
            (&json!(["a"]), vec!["a", "b"])
        );
        let picks = &all["paths"]["/rpc/pick"]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(picks["anyOf"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_relation_of_the_documents_name_is_read_as_any_other() {
    let sql = "create table \"openapi.json\" (id int primary key); insert into \"openapi.json\" values (7);
        grant select on \"openapi.json\" to anon;";
    // The embedded engine refuses names with a dot, so there the name is always the document's.
    for engine in engines().into_iter().filter(|engine| *engine == Engine::Postgres) {
        let server = Server::start(PROGRAM, engine, Project::of(sql)).await;
        let client = server.anonymous();
        let rows = client.send(Method::GET, "/rest/v1/openapi.json", &[], "").await;
        assert_eq!((rows.status.as_u16(), rows.text().as_str()), (200, "[{\"id\":7}]"));
        let accept = [("accept", "application/vnd.oai.openapi+json;version=3.1")];
        let answer = client.send(Method::GET, "/rest/v1/", &accept, "").await;
        assert_eq!(
            answer.header("content-type"),
            "application/vnd.oai.openapi+json;version=3.1"
        );
        let document: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(names(&document["paths"]), ["/", "/openapi.json", "/batch"]);
    }
}

#[tokio::test]
async fn the_document_is_not_sent_twice_and_can_be_switched_off() {
    for engine in engines() {
        let server = Server::start(PROGRAM, engine, project()).await;
        let client = server.anonymous();
        let path = "/rest/v1/openapi.json";
        let first = client.send(Method::GET, path, &[], "").await;
        let tag = first.header("etag").to_owned();
        let again = client.send(Method::GET, path, &[("if-none-match", &tag)], "").await;
        assert_eq!((again.status.as_u16(), again.text().as_str()), (304, ""));
        let other = server
            .service()
            .send(Method::GET, path, &[("if-none-match", &tag)], "")
            .await;
        assert_eq!(other.status, 200);
        let wrong = client.send(Method::GET, path, &[("accept", "text/csv")], "").await;
        assert_eq!(wrong.status, 406);
        assert!(wrong.text().contains("PGRST107"));
        let posted = client.send(Method::POST, path, &[], "{}").await;
        assert_eq!(posted.status, 404);

        let off = Server::start(PROGRAM, engine, project().config("[rest]\nopenapi_mode = \"disabled\"")).await;
        let answer = off.service().send(Method::GET, path, &[], "").await;
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("PGRST126"));
        let open = Server::start(
            PROGRAM,
            engine,
            project().config("[rest]\nopenapi_mode = \"ignore-privileges\""),
        )
        .await;
        assert!(document(&open.anonymous()).await["paths"]["/members"].is_object());
    }
}
