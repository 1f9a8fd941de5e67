//! Computed columns on both engines: functions of a row, selected, filtered and ordered by.

use mainstay_testing::{Project, Server};

use crate::both::{Ask, Both};

const SCHEMA: &str = "
create table people (id int primary key, first text, last text, born date);
insert into people values (1, 'Ann', 'Lee', '2000-01-02'), (2, 'Bob', null, null), (3, null, 'Ito', '1999-12-31');
create table pets (id int primary key, owner int references people, name text);
insert into pets values (1, 1, 'Rex'), (2, 1, 'Tom'), (3, 3, 'Kit');
create function full_name(people) returns text stable language sql as $$ select concat_ws(' ', $1.first, $1.last) $$;
create function pet_count(p people) returns bigint stable language sql as $$ select count(*) from pets where owner = p.id $$;
create function details(p people) returns jsonb stable language sql as $$ select jsonb_build_object('born', p.born, 'n', p.id) $$;
create function full_name(pets) returns text stable language sql as $$ select $1.name || ' the pet' $$;
create function hidden(p people) returns text stable language sql as $$ select p.first $$;
revoke execute on function hidden(people) from public, anon;
create view known as select * from people where first is not null;
create function greeting(k known) returns text stable language sql as $$ select 'Hi ' || k.first $$;
create function all_people() returns setof people stable language sql as $$ select * from people $$;
create function owned(p people) returns setof pets stable language sql as $$ select * from pets where owner = p.id $$;
create function keeper(p pets) returns setof people rows 1 stable language sql as $$ select * from people where id = p.owner $$;
create function elder(p people) returns setof people stable language sql as $$ select * from people where born < p.born $$;
alter function elder(people) rows 1;
create function watched(k known) returns setof pets stable language sql as $$ select p.* from pets p where p.owner >= k.id order by p.id desc $$;
create function all_pets() returns setof pets stable language sql as $$ select * from pets $$;
alter table pets enable row level security;
create policy small on pets using (id < 3);
grant select, insert, update, delete on people, pets, known to anon;
";

async fn start() -> Both {
    Both::start(|| Project::of(SCHEMA)).await
}

async fn ask(both: &Both, ask: Ask) -> String {
    both.same(Server::anonymous, &ask).await.text()
}

#[tokio::test]
async fn functions_of_a_row_are_read_as_columns() {
    let both = start().await;
    let named = ask(&both, Ask::new("GET /people?select=id,full_name&order=full_name.desc")).await;
    assert_eq!(
        named,
        r#"[{"id":3,"full_name":"Ito"},{"id":2,"full_name":"Bob"},{"id":1,"full_name":"Ann Lee"}]"#
    );
    for line in [
        "GET /people?select=*,full_name,pet_count&order=id",
        "GET /people?select=n:full_name,pet_count::text&order=pet_count.desc,id",
        "GET /people?select=id&full_name=like.A*",
        "GET /people?select=id&pet_count=gt.0&order=id",
        "GET /people?select=id&or=(pet_count.eq.0,full_name.eq.Ann Lee)&order=id",
        "GET /people?select=details->born,details->>n&order=id",
        "GET /people?select=id&details->>n=eq.2",
        "GET /people?select=full_name,pets(full_name)&order=id",
        "GET /pets?select=full_name,people!inner(full_name)&people.full_name=eq.Ann Lee&order=id",
        "GET /people?select=id,nosuch",
        "GET /people?select=hidden",
        "GET /people?hidden=eq.Ann",
        "GET /known?select=id,greeting&order=greeting",
        "GET /known?select=full_name",
        "GET /rpc/all_people?select=id,full_name&order=full_name&pet_count=gte.0",
        "GET /people?select=full_name&limit=1&order=id",
    ] {
        ask(&both, Ask::new(line).prefer("count=exact")).await;
    }
}

#[tokio::test]
async fn what_is_written_shows_them_too() {
    let both = start().await;
    let shown = |line: &str| Ask::new(line).prefer("return=representation");
    ask(
        &both,
        shown("POST /people?select=full_name,pet_count").json(r#"{"id":4,"first":"Dee","last":"Day"}"#),
    )
    .await;
    ask(
        &both,
        shown("PATCH /people?full_name=eq.Bob&select=id,full_name").json(r#"{"last":"Fox"}"#),
    )
    .await;
    ask(&both, shown("DELETE /people?full_name=eq.Dee Day&select=full_name")).await;
    both.table("people?select=id,full_name&order=id").await;
}

#[tokio::test]
async fn functions_of_a_row_are_embedded() {
    let both = start().await;
    let embedded = ask(&both, Ask::new("GET /pets?select=name,keeper(first)&order=id&limit=1")).await;
    assert_eq!(embedded, r#"[{"name":"Rex","keeper":{"first":"Ann"}}]"#);
    for line in [
        "GET /people?select=id,owned(name)&order=id",
        "GET /people?select=id,owned!inner(name)&owned.name=eq.Tom&order=id",
        "GET /people?select=id,owned(id)&owned.order=name.desc&owned.limit=1&order=id",
        "GET /people?select=id,owned(id,keeper(first,full_name))&order=id",
        "GET /people?select=id,owned()&owned=not.is.null&order=id",
        "GET /people?select=id,elder(id,first)&order=id",
        "GET /people?select=id&elder=is.null&order=id",
        "GET /pets?select=name,...keeper(first,last)&order=id",
        "GET /pets?select=name,k:keeper!inner(first)&k.first=not.is.null&order=k(first),id",
        "GET /pets?select=name,keeper(id)&order=keeper(first).desc,id",
        "GET /known?select=first,watched(name)&order=id",
        "GET /people?select=id,watched(name)",
        "GET /rpc/all_pets?select=name,keeper(first)&order=id",
        "GET /rpc/all_people?select=id,owned(name)&order=id",
        "GET /people?select=first,pets(name,keeper(first))&order=id",
    ] {
        ask(&both, Ask::new(line).prefer("count=exact")).await;
    }
    let shown = |line: &str| Ask::new(line).prefer("return=representation");
    ask(
        &both,
        shown("PATCH /people?id=eq.1&select=first,owned(name)").json(r#"{"first":"Eve"}"#),
    )
    .await;
    ask(
        &both,
        shown("POST /pets?select=name,keeper(first)").json(r#"{"id":0,"owner":2,"name":"Pip"}"#),
    )
    .await;
    ask(&both, shown("DELETE /pets?id=eq.0&select=name,keeper(first)")).await;
}
