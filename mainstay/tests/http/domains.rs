//! Columns and arguments of domains through the data API, on both engines.

use mainstay_testing::{Project, Server};

use crate::both::{Ask, Both};

const SCHEMA: &str = "
create domain email as text check (value ~ '^[^@]+@[^@]+$');
create domain posint as int not null default 1 constraint positive check (value > 0);
create domain small as posint constraint below_ten check (value < 10);
create domain price as numeric(6,2);
create domain labels as text[] check (cardinality(value) <= 2);
create table people (
    id int primary key, mail email, age posint, tiny small default 5, cost price, marks labels, name text not null default 'n'
);
create function greet(to_mail email) returns text language sql stable as $$ select 'hello ' || to_mail $$;
create function next_age(age posint) returns int language sql stable as $$ select age + 1 $$;
insert into people (id, mail, age) values (1, 'a@b', 7), (2, 'c@d', 8);
grant select, insert, update, delete on people to anon, authenticated, service_role;
";

fn project() -> Project {
    Project::of(SCHEMA)
}

#[tokio::test]
async fn every_request_on_domains() {
    let both = Both::start(project).await;
    let representation = "return=representation";
    for line in [
        "/people?order=id",
        "/people?mail=eq.a@b&select=id",
        "/people?mail=eq.nonsense&select=id",
        "/people?mail=like.*@d&select=id",
        "/people?age=gt.7&select=id,age",
        "/people?age=in.(7,-1)&select=id",
        "/people?age=eq.x",
        "/people?select=mail::text,age::text&order=id",
        "/rpc/greet?to_mail=x@y",
        "/rpc/greet?to_mail=nope",
        "/rpc/next_age?age=4",
        "/rpc/next_age?age=0",
        "/rpc/next_age?age=x",
    ] {
        both.same(Server::anonymous, &Ask::new(&format!("GET {line}"))).await;
    }
    for body in [
        r#"{"id":10,"mail":"e@f","age":3,"tiny":9,"cost":1.239,"marks":["a"]}"#,
        r#"{"id":11,"mail":"nope"}"#,
        r#"{"id":11,"age":0}"#,
        r#"{"id":11,"age":null}"#,
        r#"{"id":11,"age":"x"}"#,
        r#"{"id":11,"tiny":0}"#,
        r#"{"id":11,"tiny":10}"#,
        r#"{"id":11,"cost":123456}"#,
        r#"{"id":11,"marks":["a","b","c"]}"#,
        r#"{"id":11,"marks":"{a,b}"}"#,
        r#"{"id":12}"#,
        r#"[{"id":13,"mail":"g@h"},{"id":14,"mail":"bad"}]"#,
        r#"{"id":1,"mail":"bad"}"#,
    ] {
        both.same(
            Server::anonymous,
            &Ask::new("POST /people").json(body).prefer(representation),
        )
        .await;
    }
    for ask in [
        Ask::new("PATCH /people?id=eq.1").json(r#"{"mail":"bad"}"#),
        Ask::new("PATCH /people?id=eq.1").json(r#"{"age":null}"#),
        Ask::new("PATCH /people?id=eq.1").json(r#"{"age":-1,"mail":"q@r"}"#),
        Ask::new("PATCH /people?id=eq.1")
            .json(r#"{"age":2,"mail":"q@r"}"#)
            .prefer(representation),
        Ask::new("POST /people")
            .json(r#"{"id":1,"mail":"up@set"}"#)
            .prefer("return=representation, resolution=merge-duplicates"),
        Ask::new("POST /people")
            .json(r#"{"id":1,"mail":"upset"}"#)
            .prefer("return=representation, resolution=merge-duplicates"),
        Ask::new("POST /people")
            .header("content-type", "text/csv")
            .body("id,mail\n30,i@j\n31,bad\n"),
        Ask::new("POST /rpc/greet").json(r#"{"to_mail":"p@q"}"#),
        Ask::new("POST /rpc/greet").json(r#"{"to_mail":"nope"}"#),
        Ask::new("POST /rpc/next_age").json(r#"{"age":null}"#),
    ] {
        both.same(Server::anonymous, &ask).await;
    }
    both.table("people?order=id").await;
}
