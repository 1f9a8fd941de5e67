//! Routines called over HTTP on both engines: what they take and give, whose rights hold inside, what they leave behind.

use mainstay_testing::{Client, Project, Server};

use crate::both::{Ask, Both};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn project() -> Project {
    Project::of(include_str!("routines.sql"))
}

fn user(server: &Server) -> Client {
    server.user(A)
}

/// Requests that leave nothing behind.
const READS: &[&str] = &[
    "GET /rpc/add?a=1",
    "GET /rpc/add?a=1&b=2",
    "GET /rpc/add?a=x",
    "GET /rpc/add",
    "GET /rpc/add?a=1&c=2",
    "GET /rpc/add_strict?a=1&b=2",
    "GET /rpc/hello",
    "GET /rpc/hello?name=Zo%C3%AB",
    "GET /rpc/json_of?data={\"a\":[1,2]}",
    "GET /rpc/nothing",
    "GET /rpc/null_text",
    "GET /rpc/numbers?n=3",
    "GET /rpc/numbers?n=0",
    "GET /rpc/all_books",
    "GET /rpc/all_books?select=id,title&order=id.desc",
    "GET /rpc/all_books?select=id&price=gt.9&order=id",
    "GET /rpc/all_books?select=id,authors(name)&order=id&limit=1&offset=1",
    "GET /rpc/all_books?select=id,authors!inner(name)&authors.name=eq.Ada&order=id",
    "GET /rpc/all_books?select=title,...authors(author:name)&order=id",
    "GET /rpc/all_books?select=nope",
    "GET /rpc/all_books?nope=eq.1",
    "GET /rpc/all_books?title=like.*o*&order=title",
    "GET /rpc/every_book?select=id,price&order=price.desc.nullslast",
    "GET /rpc/books_from?low=9&select=id,price&order=id",
    "GET /rpc/one_book?book=101",
    "GET /rpc/one_book?book=101&select=id,title,authors(name)",
    "GET /rpc/one_book?book=999",
    "GET /rpc/priced?low=0",
    "GET /rpc/priced?low=0&select=title,cost&cost=gte.10",
    "GET /rpc/priced?low=0&order=cost.desc&limit=1",
    "GET /rpc/totals",
    "GET /rpc/totals?select=dearest",
    "GET /rpc/one_out",
    "GET /rpc/swapped?x=1&y=2",
    "GET /rpc/whoami",
    "GET /rpc/private",
    "GET /rpc/nosuch",
    "GET /rpc/add_book?id=1&title=x",
    "GET /rpc/note?id=1&said=x",
    "GET /rpc/stable_write?id=1",
    "GET /rpc/broken?a=0",
    "GET /rpc/broken?a=2",
    "HEAD /rpc/all_books",
    "HEAD /rpc/add?a=1",
];

#[tokio::test]
async fn every_call_that_reads() {
    let both = Both::start(project).await;
    for line in READS {
        for who in [Server::anonymous as fn(&Server) -> Client, user] {
            let ask = Ask::new(line);
            both.same(who, &ask).await;
            both.same(who, &ask.clone().prefer("count=exact")).await;
            both.same(who, &ask.clone().header("accept", "application/vnd.pgrst.object+json"))
                .await;
        }
    }
    for line in [
        "GET /rpc/all_books?select=id,title,price&order=id",
        "GET /rpc/numbers?n=2",
        "GET /rpc/add?a=1",
    ] {
        both.same(user, &Ask::new(line).header("accept", "text/csv")).await;
        both.same(user, &Ask::new(line).header("range", "0-0")).await;
    }
}

#[tokio::test]
async fn every_call_that_writes() {
    let both = Both::start(project).await;
    let call = |name: &str, body: &str| Ask::new(&format!("POST /rpc/{name}")).json(body);
    let asks = [
        call("add", r#"{"a":1}"#),
        call("add", r#"{"a":"1","b":null}"#),
        call("add_strict", r#"{"a":1,"b":null}"#),
        call("add", r#"{"a":1.5}"#),
        call("json_of", r#"{"data":{"a":{"b":[1.50,null]}}}"#),
        call("whole", r#"{"x": [1, 2], "a": null}"#),
        call("nothing", "{}"),
        call("null_text", "{}"),
        call("hello", "{}"),
        call("numbers", r#"{"n":2}"#),
        call("all_books?select=id&order=id", "{}"),
        call("one_book?select=title", r#"{"book":102}"#),
        call("totals", "{}"),
        call("add_book", r#"{"id":201,"title":"New"}"#),
        call(
            "add_book?select=id,title,authors(name)",
            r#"{"id":202,"title":"Newer","price":5.5}"#,
        ),
        call("add_book", r#"{"id":202,"title":"Again"}"#),
        call("add_book", r#"{"id":203,"title":null}"#),
        call("add_two?select=id,title&order=id.desc", r#"{"first":210}"#),
        call("add_two?title=eq.two&select=id", r#"{"first":220}"#),
        call("raise_prices", r#"{"factor":1.1}"#),
        call("raise_all", r#"{"factor":2}"#),
        call("note", r#"{"id":1,"said":"hi"}"#),
        call("note", r#"{"id":1,"said":"again"}"#),
        call("note_as_owner", r#"{"id":10,"said":"owner"}"#),
        call("note_inner", r#"{"id":20}"#),
        call("remove_book", r#"{"book":201}"#),
        call("remove_book", r#"{"book":103}"#),
        call("remove_book", r#"{"book":999}"#),
        call("stable_write", r#"{"id":30}"#),
        call("broken", r#"{"a":0}"#),
        call("private", "{}"),
        call("nosuch", "{}"),
        call("note", r#"{"id":40,"said":"undone"}"#).prefer("tx=rollback"),
        call("numbers", r#"{"n":2}"#).header("accept", "application/vnd.pgrst.object+json"),
        call("one_book", r#"{"book":102}"#).header("accept", "application/vnd.pgrst.object+json"),
    ];
    for ask in asks {
        for who in [user as fn(&Server) -> Client, Server::anonymous] {
            both.same(who, &ask).await;
            both.table("books?order=id").await;
            both.table("journal?order=id").await;
        }
    }
}
