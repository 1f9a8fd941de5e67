//! `response.headers`, `response.status` and the pre-request function, the same on both engines.

use mainstay_testing::{Project, Server};

use crate::both::{Ask, Both};

const SCHEMA: &str = r#"
create table notes (id int primary key, tenant text not null, body text);
insert into notes values (1, 'red', 'one'), (2, 'blue', 'two'), (3, 'red', 'three');
alter table notes enable row level security;
create policy tenants on notes using (tenant = current_setting('app.tenant', true));
grant select, insert, update, delete on notes to anon, authenticated, service_role;

create function teapot() returns void language plpgsql as $$
begin
  perform set_config('response.headers', '[{"X-Kind": "tea"}, {"Set-Cookie": "a=1"}, {"Set-Cookie": "b=2"}]', true);
  perform set_config('response.status', '418', true);
end $$;
create function tell(how text) returns text language sql as $$
  select set_config('response.headers', '[{"X-How": "' || how || '"}]', true);
  select 'told ' || how;
$$;
create function of_statement() returns int language sql as $$
  set local "response.status" = '205';
  set local "response.headers" = '[{"Content-Type": "text/plain"}]';
  select 7;
$$;
create function twice() returns text language plpgsql as $$
declare seen text;
begin
  perform set_config('App.Thing', 'a', true);
  perform set_config('app.thing', current_setting('app.thing') || 'b', true);
  select current_setting('app.thing') into seen;
  return seen || coalesce(set_config('app.thing', null, true), 'null') || '.';
exception when feature_not_supported then
  return 'refused';
end $$;
create function thing() returns text language sql stable as $$ select current_setting('app.thing', true) $$;
create function bad_headers() returns void language sql as $$ select set_config('response.headers', '{"a": 1}', true) $$;
create function bad_status() returns void language sql as $$ select set_config('response.status', 'abc', true) $$;
create function stamped() returns trigger language plpgsql as $$
begin
  perform set_config('response.headers', '[{"X-Written": "' || new.id || '"}]', true);
  return new;
end $$;
create trigger stamped before insert or update on notes for each row execute function stamped();

create function before_all() returns void language plpgsql as $$
declare asked text := current_setting('request.headers', true)::json ->> 'x-tenant';
begin
  if asked = 'nobody' then
    raise exception 'no such tenant' using errcode = 'PT402', hint = 'Ask another one.';
  end if;
  perform set_config('app.tenant', coalesce(asked, ''), true);
  perform set_config('response.headers', '[{"X-Tenant": "' || coalesce(asked, 'none') || '"}]', true);
  if asked = 'writer' then
    insert into notes values (100, 'writer', 'by the function');
  end if;
end $$;
"#;

fn project(config: &str) -> impl Fn() -> Project {
    let config = format!("[rest]\ndb_tx_end = \"commit-allow-override\"\n{config}");
    move || Project::of(SCHEMA).config(&config)
}

#[tokio::test]
async fn functions_and_triggers_say_how_the_response_is() {
    let both = Both::start(project("")).await;
    for line in [
        "POST /rpc/teapot",
        "GET /rpc/tell?how=loud",
        "POST /rpc/of_statement",
        "POST /rpc/thing",
        "POST /rpc/bad_headers",
        "POST /rpc/bad_status",
    ] {
        both.same(Server::anonymous, &Ask::new(line)).await;
    }
    let told = both
        .same(Server::anonymous, &Ask::new("POST /rpc/tell").json(r#"{"how":"low"}"#))
        .await;
    assert_eq!((told.header("x-how"), told.text().as_str()), ("low", "\"told low\""));
    let tea = both.same(Server::anonymous, &Ask::new("POST /rpc/teapot")).await;
    assert_eq!((tea.status.as_u16(), tea.header("x-kind")), (418, "tea"));
    // What one request has set, the next one does not find.
    let after = both.same(Server::anonymous, &Ask::new("POST /rpc/thing")).await;
    assert_eq!((after.status.as_u16(), after.header("x-kind")), (200, ""));
    let written = both
        .same(
            Server::service,
            &Ask::new("POST /notes").json(r#"[{"id":10,"tenant":"red"},{"id":11,"tenant":"blue"}]"#),
        )
        .await;
    assert_eq!(written.header("x-written"), "11", "{written:?}");
}

#[tokio::test]
async fn a_setting_is_read_where_it_can_be_or_refused_by_name() {
    let both = Both::start(project("")).await;
    let twice = Ask::new("POST /rpc/twice");
    let here = both.embedded(Server::anonymous, &twice).await;
    // `set_config(…, current_setting(…))` reads and sets in one statement, which the embedded engine refuses.
    assert_eq!(here.code(), "0A000", "{}", here.text());
    assert!(
        here.text().contains("set_config and current_setting in one statement"),
        "{}",
        here.text()
    );
}

#[tokio::test]
async fn the_pre_request_function_comes_first() {
    let both = Both::start(project("db_pre_request = \"before_all\"")).await;
    let of = |line: &str, tenant: &str| Ask::new(line).header("x-tenant", tenant);
    let red = both
        .same(Server::anonymous, &of("GET /notes?select=id&order=id", "red"))
        .await;
    assert_eq!(
        (red.header("x-tenant"), red.text().as_str()),
        ("red", r#"[{"id":1},{"id":3}]"#)
    );
    for tenant in ["red", "blue", "green", "nobody", "writer"] {
        for ask in [
            of("GET /notes?order=id", tenant),
            of("HEAD /notes?order=id", tenant).prefer("count=exact"),
            of("GET /notes?order=id", tenant).header("if-none-match", "\"x\""),
            of("PATCH /notes?id=eq.1&select=id,tenant", tenant)
                .prefer("return=representation")
                .json(r#"{"body":"changed"}"#),
            of("POST /notes?select=id", tenant)
                .prefer("return=representation, tx=rollback")
                .json(r#"{"id":50,"tenant":"red"}"#),
            of("DELETE /notes?id=eq.2", tenant).prefer("return=representation, tx=rollback"),
            of("POST /rpc/thing", tenant),
            of("GET /rpc/thing", tenant),
            of("POST /rpc/teapot", tenant),
            of("PATCH /notes?id=eq.1", tenant)
                .header("if-match", "*")
                .json(r#"{"body":"matched"}"#),
            of("POST /notes", tenant)
                .header("idempotency-key", &format!("once-{tenant}"))
                .json(r#"{"id":70,"tenant":"blue"}"#),
            of("POST /batch", tenant)
                .json(r#"{"requests":[{"method":"PATCH","path":"/notes?id=eq.3","body":{"body":"batch"}}]}"#),
        ] {
            both.same(Server::anonymous, &ask).await;
        }
    }
    let batch = r#"{"requests":[{"method":"PATCH","path":"/notes?id=eq.3","body":{"body":"by nobody"}}]}"#;
    for ask in [
        of("GET /notes", "nobody"),
        of("PATCH /notes?id=eq.1", "nobody")
            .header("if-match", "*")
            .json("{\"body\":\"by nobody\"}"),
        of("POST /notes", "nobody")
            .header("idempotency-key", "nobody")
            .json("{\"id\":80,\"tenant\":\"by nobody\"}"),
        of("POST /batch", "nobody").json(batch),
    ] {
        let refused = both.same(Server::anonymous, &ask).await;
        assert_eq!(refused.code(), "PT402", "{ask:?}: {}", refused.text());
    }
    let kept = both
        .same(Server::anonymous, &of("POST /batch", "red").json(batch))
        .await;
    assert_eq!(kept.status.as_u16(), 200, "{}", kept.text());
    let written = both
        .same(
            Server::anonymous,
            &of("GET /notes?body=eq.by%20nobody&select=id", "red"),
        )
        .await;
    assert_eq!(written.text(), r#"[{"id":3}]"#);
}

#[tokio::test]
async fn a_pre_request_function_that_cannot_be_called_lets_nothing_through() {
    for (function, status) in [
        ("nowhere.nothing", 400),
        ("public.nothing", 404),
        ("public.hidden", 401),
    ] {
        let config = format!("db_pre_request = \"{function}\"");
        let config = format!("[rest]\ndb_tx_end = \"commit-allow-override\"\n{config}");
        let both = Both::start(|| {
            let schema = format!(
                "{SCHEMA} create function hidden() returns void language sql as 'select 1'; revoke execute on function hidden() from public;"
            );
            Project::of(&schema).config(&config)
        })
        .await;
        let ask = Ask::new("GET /notes");
        let here = both.embedded(Server::anonymous, &ask).await;
        assert_eq!(here.status, status, "{}", here.text());
        both.same(Server::anonymous, &Ask::new("POST /rpc/thing")).await;
        both.same(
            Server::anonymous,
            &Ask::new("PATCH /notes?id=eq.1").json(r#"{"body":"x"}"#),
        )
        .await;
    }
}
