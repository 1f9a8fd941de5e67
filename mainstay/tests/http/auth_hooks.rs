//! Hooks: functions of the project that decide who becomes a user, what tokens say, and whether a password counts.

use http::Method;
use mainstay_testing::{Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, send, session};
use crate::oauth::{self, Browser};
use crate::oauth_provider::{Person, Provider};

const FUNCTIONS: &str = r#"
    create table log (id serial primary key, hook text, event jsonb);
    create table plans (who uuid primary key, plan text, manages boolean default false);
    create table failures (who uuid primary key, count int not null default 0);
    grant select, insert, update, delete on log, plans, failures to service_role;

    create function public.only_us(event jsonb) returns jsonb language plpgsql as $$
    begin
      insert into public.log (hook, event) values ('user', event);
      if event -> 'user' ->> 'email' like '%@elsewhere.example' then
        return jsonb_build_object('error', jsonb_build_object('http_code', 403, 'message', 'Only our own people.'));
      elsif event -> 'user' ->> 'email' like 'broken@%' then
        raise exception 'a secret of the function';
      elsif event -> 'user' ->> 'email' like 'plain@%' then
        return jsonb_build_object('error', jsonb_build_object('message', 'Something is wrong.'));
      elsif event -> 'user' ->> 'email' like 'list@%' then
        return '[]'::jsonb;
      elsif event -> 'user' ->> 'email' like 'long@%' then
        return jsonb_build_object('x', repeat('x', 210000));
      end if;
      return '{}'::jsonb;
    end $$;

    create function public.with_plan(event jsonb) returns jsonb language plpgsql as $$
    declare
      claims jsonb := event -> 'claims';
      found_plan text;
    begin
      insert into public.log (hook, event) values ('token', event);
      select p.plan into found_plan from public.plans p where p.who = (event ->> 'user_id')::uuid;
      if found_plan = 'refused' then
        return jsonb_build_object('error', jsonb_build_object('http_code', 402, 'message', 'Pay first.'));
      elsif found_plan = 'broken' then
        raise exception 'a secret of the function';
      elsif found_plan = 'bare' then
        return jsonb_build_object('claims', claims - 'aal');
      elsif found_plan = 'none' then
        return '{}'::jsonb;
      elsif found_plan = 'other' then
        return jsonb_build_object('claims', jsonb_set(claims, '{sub}', '"00000000-0000-4000-8000-000000000000"'));
      elsif found_plan = 'manager' then
        return jsonb_build_object('claims', jsonb_set(claims, '{role}', '"service_role"'));
      end if;
      return jsonb_build_object('claims', jsonb_set(claims, '{plan}', coalesce(to_jsonb(found_plan), 'null'::jsonb)));
    end $$;

    create function public.count_failures(event jsonb) returns jsonb language plpgsql as $$
    declare
      user_id uuid := (event ->> 'user_id')::uuid;
      failed int;
    begin
      if (event ->> 'valid')::boolean then
        select f.count into failed from public.failures f where f.who = user_id;
        if failed >= 3 then
          return jsonb_build_object('decision', 'reject', 'should_logout_user', true);
        end if;
        return jsonb_build_object('decision', 'continue');
      end if;
      insert into public.failures (who, count) values (user_id, 1)
        on conflict (who) do update set count = failures.count + 1;
      select f.count into failed from public.failures f where f.who = user_id;
      if failed = 2 then
        return jsonb_build_object('decision', 'reject', 'message', 'One more and that was it.');
      elsif failed = 4 then
        return '{}'::jsonb;
      end if;
      return jsonb_build_object('decision', 'continue');
    end $$;"#;

fn hook(name: &str, function: &str) -> String {
    format!("[auth.hook.{name}]\nenabled = true\nuri = \"pg-functions://postgres/public/{function}\"\n")
}

fn with(hooks: &[(&str, &str)]) -> Project {
    let settings: String = hooks.iter().map(|(name, function)| hook(name, function)).collect();
    Project::of(FUNCTIONS).config(&format!("[auth]\nenable_anonymous_sign_ins = true\n{settings}"))
}

async fn rows(auth: &Auth, path: &str) -> Vec<Value> {
    let answer = auth.server.service().get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().as_array().unwrap().clone()
}

async fn put(auth: &Auth, table: &str, row: Value) {
    let headers = [("prefer", "resolution=merge-duplicates")];
    let answer = auth.server.service().write(Method::POST, table, &headers, &row).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

#[tokio::test]
async fn before_user_created_decides_who_becomes_a_user() {
    let project = || with(&[("before_user_created", "only_us")]);
    on_each_engine(project, async |_, auth: Auth| {
        let refused_as = async |email: &str, status: u16, code: &str, message: &str| {
            let answer = auth.try_sign_up(email, json!({})).await;
            assert_eq!(refusal(&answer), refused(status, code), "{email}: {}", answer.text());
            assert_eq!(answer.json()["message"], message);
            assert_eq!(auth.try_sign_in(email, PASSWORD).await.code(), "invalid_credentials");
        };
        refused_as("ann@elsewhere.example", 403, "unknown", "Only our own people.").await;
        refused_as("plain@example.com", 500, "unexpected_failure", "Something is wrong.").await;
        let failed = "Error running hook URI: pg-functions://postgres/public/only_us";
        refused_as("broken@example.com", 500, "unexpected_failure", failed).await;
        refused_as(
            "list@example.com",
            500,
            "unexpected_failure",
            "Error unmarshaling JSON output.",
        )
        .await;
        let too_large = "Payload size exceeded size limit of 204800 bytes";
        refused_as("long@example.com", 422, "hook_payload_over_size_limit", too_large).await;
        // What a function writes before it refuses stays; what it writes before it fails does not.
        let told: Vec<Value> = rows(&auth, "log?hook=eq.user&order=id").await;
        let addresses: Vec<&str> = told
            .iter()
            .map(|row| row["event"]["user"]["email"].as_str().unwrap())
            .collect();
        assert_eq!(
            addresses,
            [
                "ann@elsewhere.example",
                "plain@example.com",
                "list@example.com",
                "long@example.com"
            ]
        );

        let answer = auth.try_sign_up("Ann@Example.com", json!({"name": "Ann"})).await;
        let ann = session(&answer);
        let told = rows(&auth, "log?hook=eq.user&order=id.desc&limit=1").await.remove(0)["event"].clone();
        let user = &told["user"];
        assert_eq!(user["id"], ann.id());
        assert_eq!(
            (&user["email"], &user["is_anonymous"]),
            (&json!("ann@example.com"), &json!(false))
        );
        assert_eq!(user["user_metadata"]["name"], "Ann");
        assert_eq!(
            user["app_metadata"],
            json!({"provider": "email", "providers": ["email"]})
        );
        assert_eq!(told["metadata"]["name"], "before-user-created");
        assert_eq!(told["metadata"]["ip_address"], "127.0.0.1");
        assert!(!told.to_string().contains(PASSWORD));
        // Somebody who is there already is not asked about, nor is whom an administrator makes.
        let asked = rows(&auth, "log").await.len();
        auth.try_sign_up("ann@example.com", json!({})).await;
        let admin = auth.client(Some(&token::role("service_role")));
        let body = json!({"email": "eve@elsewhere.example", "password": PASSWORD, "email_confirm": true});
        let made = send(&admin, Method::POST, "/admin/users", body).await;
        assert_eq!(made.status, 200, "{}", made.text());
        assert_eq!(rows(&auth, "log").await.len(), asked);
        session(&auth.post("/signup", json!({})).await);
        let told = rows(&auth, "log?order=id.desc&limit=1").await.remove(0)["event"].clone();
        assert_eq!(
            (&told["user"]["is_anonymous"], &told["user"]["email"]),
            (&json!(true), &json!(""))
        );
        let log = auth.server.log_with("a secret of the function").await;
        assert!(log.contains("a secret of the function"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn custom_access_token_says_what_a_token_says() {
    let project = || with(&[("custom_access_token", "with_plan")]);
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        assert_eq!(ann.claims()["plan"], Value::Null);
        put(&auth, "plans", json!({"who": ann.id(), "plan": "gold"})).await;
        let gold = auth.sign_in("ann@example.com").await;
        assert_eq!(gold.claims()["plan"], "gold");
        assert_eq!(gold.claims()["sub"], ann.id());
        let event = async || rows(&auth, "log?order=id.desc&limit=1").await.remove(0)["event"].clone();
        let told = event().await;
        assert_eq!(
            (&told["user_id"], &told["authentication_method"]),
            (&json!(ann.id()), &json!("password"))
        );
        assert_eq!(told["metadata"]["name"], "customize-access-token");
        assert_eq!(told["claims"]["session_id"], gold.claims()["session_id"]);
        assert_eq!(auth.user(&gold.access_token).await.status, 200);

        // A refusal leaves nothing behind: the refresh token is as good as before.
        for (plan, status, code, message) in [
            ("refused", 402, "unknown", "Pay first."),
            (
                "broken",
                500,
                "unexpected_failure",
                "Error running hook URI: pg-functions://postgres/public/with_plan",
            ),
            ("none", 500, "unexpected_failure", "output claims field is missing"),
            (
                "bare",
                500,
                "unexpected_failure",
                "output claims do not conform to the expected schema: aal is required",
            ),
            (
                "other",
                500,
                "unexpected_failure",
                "output claims do not conform to the expected schema: sub must not be changed",
            ),
        ] {
            put(&auth, "plans", json!({"who": ann.id(), "plan": plan})).await;
            for answer in [
                auth.refresh(&gold.refresh_token).await,
                auth.try_sign_in("ann@example.com", PASSWORD).await,
            ] {
                assert_eq!(refusal(&answer), refused(status, code), "{plan}");
                assert_eq!(answer.json()["message"], message);
            }
        }
        assert!(!auth.log().await.contains(&gold.refresh_token));
        put(&auth, "plans", json!({"who": ann.id(), "plan": "silver"})).await;
        let silver = session(&auth.refresh(&gold.refresh_token).await);
        assert_eq!(silver.claims()["plan"], "silver");
        assert_eq!(event().await["authentication_method"], "token_refresh");

        // The role is the hook's to give.
        put(&auth, "plans", json!({"who": ann.id(), "plan": "manager"})).await;
        let manager = auth.sign_in("ann@example.com").await;
        assert_eq!(manager.claims()["role"], "service_role");
        let notes = auth.client(Some(&manager.access_token)).get("plans").await;
        assert_eq!(notes.status, 200, "{}", notes.text());

        let nobody = session(&auth.post("/signup", json!({})).await);
        assert_eq!(nobody.claims()["plan"], Value::Null);
        assert_eq!(event().await["authentication_method"], "anonymous");
    })
    .await;
}

#[tokio::test]
async fn password_verification_attempt_may_reject_the_right_password() {
    let project = || with(&[("password_verification_attempt", "count_failures")]);
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let attempt = async |password: &str| {
            let answer = auth.try_sign_in("ann@example.com", password).await;
            (
                answer.status.as_u16(),
                answer.json()["message"].as_str().unwrap_or_default().to_owned(),
            )
        };
        let wrong = (400, "Invalid login credentials".to_owned());
        assert_eq!(attempt("wrong horse").await, wrong);
        assert_eq!(attempt(PASSWORD).await.0, 200);
        assert_eq!(attempt("wrong horse").await, (400, "One more and that was it.".into()));
        assert_eq!(attempt("wrong horse").await, wrong);
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
        let answer = auth.try_sign_in("ann@example.com", PASSWORD).await;
        assert_eq!(refusal(&answer), refused(400, "invalid_credentials"));
        assert_eq!(
            answer.json()["message"],
            "Further password verification attempts will be rejected."
        );
        assert_eq!(
            refusal(&auth.user(&ann.access_token).await),
            refused(403, "session_not_found")
        );
        // An answer that says nothing is no consent.
        assert_eq!(attempt("wrong horse").await.0, 500);
        // Nobody is asked about who is not there.
        let answer = auth.try_sign_in("eve@example.com", PASSWORD).await;
        assert_eq!(refusal(&answer), refused(400, "invalid_credentials"));
        assert_eq!(rows(&auth, "failures").await, [json!({"who": ann.id(), "count": 4})]);
    })
    .await;
}

#[tokio::test]
async fn a_hook_that_is_not_there_is_told_at_start_and_fails_closed() {
    let project = || with(&[("before_user_created", "nowhere")]);
    on_each_engine(project, async |engine, auth: Auth| {
        let answer = auth.try_sign_up("ann@example.com", json!({})).await;
        assert_eq!(refusal(&answer), refused(500, "unexpected_failure"));
        if engine == mainstay_testing::Engine::Sqlite {
            let log = auth.server.log_with("a hook cannot be called").await;
            assert!(log.contains("a hook cannot be called"), "{log}");
        }
    })
    .await;
}

#[tokio::test]
async fn before_user_created_is_asked_of_numbers_and_of_whoever_comes_by_a_provider() {
    let provider = Provider::start().await;
    let functions = "
        create function public.nobody_new(event jsonb) returns jsonb language plpgsql as $$
        begin
          if event -> 'user' ->> 'email' = 'friend@example.com' then
            return '{}'::jsonb;
          end if;
          return jsonb_build_object('error', jsonb_build_object('http_code', 403, 'message', 'Nobody new.'));
        end $$;
        create function public.users() returns bigint language sql security definer set search_path = '' as $$
            select count(*) from auth.users u
        $$;
        grant execute on function public.users to service_role;";
    let settings = "[auth.sms]\nenable_signup = true\nenable_confirmations = true\n\
         [auth.sms.test_otp]\n4799999991 = \"123456\"\n";
    let project = || {
        let hook = hook("before_user_created", "nobody_new");
        oauth::project(&provider, &format!("{settings}{hook}")).migration(functions)
    };
    on_each_engine(project, async |_, auth: Auth| {
        let by_phone = json!({"phone": "4799999991", "password": PASSWORD});
        for path in ["/signup", "/otp"] {
            assert_eq!(
                refusal(&auth.post(path, by_phone.clone()).await),
                refused(403, "unknown"),
                "{path}"
            );
        }
        let (stranger, friend) = (
            Person::new("1", "stranger@example.com", true),
            Person::new("2", "friend@example.com", true),
        );
        for flow in [oauth::implicit("custom:acme"), oauth::pkce("custom:acme")] {
            let end = Browser::default().sign_in(&auth, &provider, &flow, &stranger).await;
            assert_eq!(oauth::failure(&end).1, "unknown");
        }
        let token = provider.id_token(&stranger, None, None);
        let body = json!({"provider": "custom:acme", "id_token": token});
        let answer = auth.post("/token?grant_type=id_token", body).await;
        assert_eq!(refusal(&answer), refused(403, "unknown"));
        assert_eq!(auth.call("users", json!({})).await, json!(0));
        let end = Browser::default()
            .sign_in(&auth, &provider, &oauth::implicit("custom:acme"), &friend)
            .await;
        assert_eq!(oauth::landed(&auth, &end).await.user["email"], "friend@example.com");
    })
    .await;
}
