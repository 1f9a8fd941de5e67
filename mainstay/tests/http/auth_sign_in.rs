//! Sign-up, sign-in by password, and the signed-in user.

use http::Method;
use mainstay_testing::{Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, refused_start, send};

/// Profiles are made by a trigger on `auth.users`, as Supabase's guides have it.
fn project() -> Project {
    Project::of(
        "create table profiles (id uuid primary key references auth.users (id) on delete cascade, name text not null);
         alter table profiles enable row level security;
         create policy own on profiles to authenticated using (id = auth.uid());
         grant select on profiles to authenticated, service_role;
         create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = ''
         as $$
         begin
           if new.email = 'refused@example.com' then
             raise exception 'not this one';
           end if;
           insert into public.profiles (id, name) values (new.id, new.raw_user_meta_data ->> 'name');
           return new;
         end;
         $$;
         create trigger on_auth_user_created after insert on auth.users
           for each row execute function public.handle_new_user();",
    )
}

#[tokio::test]
async fn a_new_user_is_signed_in_and_known() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("Ann@Example.com").await;
        assert_eq!(ann.user["email"], "ann@example.com");
        assert_eq!(ann.user["aud"], "authenticated");
        assert_eq!(ann.user["role"], "authenticated");
        assert_eq!(ann.user["phone"], "");
        assert_eq!(ann.user["is_anonymous"], false);
        assert_eq!(
            ann.user["app_metadata"],
            json!({"provider": "email", "providers": ["email"]})
        );
        assert_eq!(
            ann.user["user_metadata"],
            json!({"name": "Ann", "sub": ann.id(), "email": "ann@example.com", "email_verified": true,
                   "phone_verified": false})
        );
        for name in [
            "email_confirmed_at",
            "confirmed_at",
            "last_sign_in_at",
            "created_at",
            "updated_at",
        ] {
            let time = ann.user[name].as_str().unwrap_or_default();
            assert!(time.ends_with('Z') && time.contains('T'), "{name}: {time}");
        }
        for absent in [
            "banned_until",
            "deleted_at",
            "new_email",
            "invited_at",
            "encrypted_password",
            "factors",
        ] {
            assert!(ann.user.get(absent).is_none(), "{absent}");
        }
        let identity = &ann.user["identities"][0];
        assert_eq!(identity["provider"], "email");
        assert_eq!(identity["id"], ann.id());
        assert_eq!(identity["user_id"], ann.id());
        assert_eq!(identity["email"], "ann@example.com");
        assert_eq!(identity["identity_data"]["sub"], ann.id());

        let claims = ann.claims();
        assert_eq!(claims["iss"], "http://127.0.0.1:54321/auth/v1");
        assert_eq!(claims["sub"], ann.id());
        assert_eq!(claims["aud"], "authenticated");
        assert_eq!(claims["role"], "authenticated");
        assert_eq!(claims["aal"], "aal1");
        assert_eq!(claims["email"], "ann@example.com");
        assert_eq!(claims["phone"], "");
        assert_eq!(claims["is_anonymous"], false);
        assert_eq!(claims["amr"][0]["method"], "password");
        assert!(claims["amr"][0]["timestamp"].as_i64().unwrap() > 1_700_000_000);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
        assert!(claims["session_id"].as_str().unwrap().len() == 36);

        let again = auth.sign_in("ANN@example.com").await;
        assert_eq!(again.id(), ann.id());
        assert_ne!(again.claims()["session_id"], claims["session_id"]);
        assert_ne!(again.refresh_token, ann.refresh_token);
        let known = auth.user(&again.access_token).await;
        assert_eq!(known.status, 200, "{}", known.text());
        assert_eq!(known.json(), again.user);
        assert_eq!(known.header("cache-control"), "no-store");
    })
    .await;
}

#[tokio::test]
async fn a_trigger_on_users_runs_in_the_sign_ups_transaction() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.try_sign_up("bob@example.com", json!({"name": "Bob"})).await;
        assert_eq!(bob.status, 200, "{}", bob.text());
        let own = auth.server.anonymous().bearer(&ann.access_token).get("profiles").await;
        assert_eq!(own.json(), json!([{"id": ann.id(), "name": "Ann"}]));

        for (email, data) in [
            ("refused@example.com", json!({"name": "x"})),
            ("nameless@example.com", json!({})),
        ] {
            let answer = auth.try_sign_up(email, data).await;
            assert_eq!(refusal(&answer), refused(500, "unexpected_failure"));
            assert_eq!(answer.json()["message"], "Database error saving new user");
            let answer = auth.try_sign_in(email, PASSWORD).await;
            assert_eq!(refusal(&answer), refused(400, "invalid_credentials"), "{email}");
        }
        let profiles = auth.server.service().get("profiles?select=name&order=name").await;
        assert_eq!(profiles.text(), r#"[{"name":"Ann"},{"name":"Bob"}]"#);
    })
    .await;
}

#[tokio::test]
async fn sign_ups_that_cannot_be_are_refused() {
    on_each_engine(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let cases = [
            (
                json!({"email": "ann@example.com", "password": PASSWORD}),
                422,
                "user_already_exists",
            ),
            (
                json!({"email": " ANN@example.com", "password": PASSWORD}),
                422,
                "user_already_exists",
            ),
            (
                json!({"email": "w@example.com", "password": "12345"}),
                422,
                "weak_password",
            ),
            (
                json!({"email": "w@example.com", "password": "x".repeat(73)}),
                400,
                "validation_failed",
            ),
            (
                json!({"email": "w@example.com", "password": ""}),
                400,
                "validation_failed",
            ),
            (json!({"email": "w@example.com"}), 400, "validation_failed"),
            (json!({"email": "w@example", "password": ["123456"]}), 400, "bad_json"),
            (json!({"email": 1, "password": PASSWORD}), 400, "bad_json"),
            (
                json!({"email": "w@example.com", "password": PASSWORD, "data": []}),
                400,
                "bad_json",
            ),
            (json!({"email": "w", "password": PASSWORD}), 400, "validation_failed"),
            (
                json!({"email": "w@x", "phone": "1", "password": PASSWORD}),
                400,
                "validation_failed",
            ),
            (
                json!({"phone": "4799999999", "password": PASSWORD}),
                400,
                "phone_provider_disabled",
            ),
            (
                json!({"email": "w@x.y", "password": PASSWORD, "data": {"big": "x".repeat(5120)}}),
                400,
                "validation_failed",
            ),
            (json!({}), 422, "anonymous_provider_disabled"),
            (json!([]), 400, "bad_json"),
        ];
        for (body, status, code) in cases {
            let answer = auth.post("/signup", body.clone()).await;
            assert_eq!(refusal(&answer), refused(status, code), "{body}: {}", answer.text());
            assert_eq!(answer.header("x-supabase-api-version"), "2024-01-01");
            assert_eq!(answer.header("x-sb-error-code"), code);
            assert_eq!(answer.header("access-control-allow-origin"), "*");
        }
        let weak = auth.post("/signup", json!({"email": "w@x.y", "password": "1"})).await;
        assert_eq!(weak.json()["weak_password"], json!({"reasons": ["length"]}));
        let old = send(
            &auth.server.anonymous(),
            Method::POST,
            "/signup",
            json!({"email": "w@x.y", "password": "1"}),
        )
        .await;
        assert_eq!(
            old.json(),
            json!({"code": 422, "error_code": "weak_password", "msg": "Password should be at least 6 characters.",
                   "weak_password": {"reasons": ["length"]}})
        );
        assert_eq!(old.header("x-supabase-api-version"), "");
        let profiles = auth.server.service().get("profiles?select=name").await;
        assert_eq!(profiles.text(), r#"[{"name":"Ann"}]"#);
    })
    .await;
}

#[tokio::test]
async fn of_sign_ups_at_once_one_gets_the_address() {
    on_each_engine(project, async |_, auth: Auth| {
        let all = futures_util::future::join_all((0..6).map(|number| {
            let email = if number % 2 == 0 {
                "ann@example.com"
            } else {
                "ANN@example.com"
            };
            auth.try_sign_up(email, json!({"name": number.to_string()}))
        }))
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = all.iter().partition(|answer| answer.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 5));
        for answer in lost {
            assert_eq!(
                refusal(answer),
                refused(422, "user_already_exists"),
                "{}",
                answer.text()
            );
        }
        let ann = crate::auth::session(won[0]);
        let profiles = auth.server.service().get("profiles").await;
        assert_eq!(
            profiles.json(),
            json!([{"id": ann.id(), "name": ann.user["user_metadata"]["name"]}])
        );
        assert_eq!(auth.sign_in("ann@example.com").await.id(), ann.id());
    })
    .await;
}

#[tokio::test]
async fn protected_members_of_a_sign_up_are_not_stored() {
    on_each_engine(project, async |_, auth: Auth| {
        let body = json!({
            "email": "eve@example.com", "password": PASSWORD, "data": {"name": "Eve"},
            "id": "aaaaaaaa-0000-4000-8000-000000000001", "role": "service_role", "aud": "other",
            "app_metadata": {"admin": true}, "raw_app_meta_data": {"admin": true}, "is_super_admin": true,
            "email_confirmed_at": "2020-01-01T00:00:00Z", "user_metadata": {"x": 1}, "is_anonymous": true,
        });
        let eve = crate::auth::session(&auth.post("/signup", body).await);
        assert_ne!(eve.id(), "aaaaaaaa-0000-4000-8000-000000000001");
        assert_eq!(eve.user["role"], "authenticated");
        assert_eq!(eve.user["aud"], "authenticated");
        assert_eq!(eve.user["is_anonymous"], false);
        assert_eq!(eve.user["app_metadata"]["admin"], Value::Null);
        assert_eq!(eve.user["user_metadata"]["x"], Value::Null);
        assert!(!eve.user["email_confirmed_at"].as_str().unwrap().starts_with("2020"));
    })
    .await;
}

#[tokio::test]
async fn wrong_and_unknown_are_told_apart_by_nothing() {
    on_each_engine(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let wrong = auth.try_sign_in("ann@example.com", "wrong").await;
        assert_eq!(refusal(&wrong), refused(400, "invalid_credentials"));
        assert_eq!(
            wrong.text(),
            r#"{"code":"invalid_credentials","message":"Invalid login credentials"}"#
        );
        for (email, password) in [
            ("nobody@example.com", PASSWORD),
            ("nobody@example.com", ""),
            ("ann@example.com", ""),
            ("no address", PASSWORD),
            ("ann@example.com'--", PASSWORD),
            ("%", PASSWORD),
        ] {
            let answer = auth.try_sign_in(email, password).await;
            assert_eq!(answer.comparable(), wrong.comparable(), "{email} {password}");
        }
        for (path, body, code) in [
            (
                "/token?grant_type=password",
                json!({"password": PASSWORD}),
                "validation_failed",
            ),
            (
                "/token?grant_type=password",
                json!({"phone": "1", "password": "x"}),
                "phone_provider_disabled",
            ),
            (
                "/token?grant_type=password",
                json!({"email": {}, "password": "x"}),
                "bad_json",
            ),
            ("/token?grant_type=magic", json!({}), "invalid_credentials"),
            ("/token", json!({}), "invalid_credentials"),
        ] {
            let answer = auth.post(path, body).await;
            assert_eq!(refusal(&answer), refused(400, code), "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_user_of_a_token_must_be_there() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.try_sign_up("bob@example.com", json!({"name": "Bob"})).await;
        let bob = crate::auth::session(&bob);
        let claims = |sub: Value, session: Value| {
            token::sign(
                &json!({"sub": sub, "session_id": session, "role": "authenticated", "aud": "authenticated",
                                "exp": token::now() + 60}),
            )
        };
        let session = ann.claims()["session_id"].clone();
        let stranger = json!("aaaaaaaa-0000-4000-8000-000000000001");
        let mut forged = ann.access_token.clone();
        forged.replace_range(forged.len() - 3.., "AAA");
        let expired = token::sign(&json!({"sub": ann.id(), "role": "authenticated", "exp": token::now() - 60}));
        for (token, status, code) in [
            (claims(json!(ann.id()), session.clone()), 200, ""),
            (claims(json!(ann.id()), Value::Null), 200, ""),
            (claims(stranger.clone(), session.clone()), 403, "user_not_found"),
            (claims(json!(ann.id()), stranger), 403, "session_not_found"),
            (claims(json!(bob.id()), session), 403, "session_not_found"),
            (claims(json!("ann"), Value::Null), 403, "bad_jwt"),
            (claims(json!(7), Value::Null), 403, "bad_jwt"),
            (claims(json!(ann.id()), json!("x")), 403, "bad_jwt"),
            (claims(Value::Null, Value::Null), 403, "bad_jwt"),
            (token::role("service_role"), 403, "bad_jwt"),
            (forged, 403, "bad_jwt"),
            (expired, 403, "bad_jwt"),
            ("nonsense".into(), 403, "bad_jwt"),
        ] {
            let answer = auth.user(&token).await;
            assert_eq!(refusal(&answer), refused(status, code), "{}", answer.text());
        }
        let nobody = auth.ask(Method::GET, "/user", None, Value::Null).await;
        assert_eq!(refusal(&nobody), refused(401, "no_authorization"));
        let wrong = auth
            .ask(Method::DELETE, "/user", Some(&ann.access_token), Value::Null)
            .await;
        assert_eq!(wrong.status, 405);
        let nowhere = auth.ask(Method::GET, "/nowhere", None, Value::Null).await;
        assert_eq!(nowhere.status, 404);
    })
    .await;
}

#[tokio::test]
async fn a_last_token_that_is_over_does_not_keep_anybody_from_signing_in() {
    on_each_engine(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let expired = token::sign(&json!({"sub": "x", "role": "authenticated", "exp": token::now() - 60}));
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let answer = auth
            .ask(Method::POST, "/token?grant_type=password", Some(&expired), body)
            .await;
        crate::auth::session(&answer);
        let wrong_key = auth.client(None).with("apikey", "sb_publishable_wrong");
        let answer = send(&wrong_key, Method::GET, "/settings", Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, "MS-HTTP-002".into()));
        let settings = auth.ask(Method::GET, "/settings", None, Value::Null).await;
        let settings = settings.json();
        assert_eq!(settings["external"]["email"], true);
        assert_eq!(settings["external"]["google"], false);
        for (name, value) in [
            ("disable_signup", false),
            ("mailer_autoconfirm", true),
            ("phone_autoconfirm", false),
        ] {
            assert_eq!(settings[name], value, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_of_the_schema_is_open_to_requests_and_no_secret_reaches_the_log() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        auth.try_sign_in("ann@example.com", "a wrong password of mine").await;
        for table in ["users", "sessions", "refresh_tokens", "identities"] {
            let client = auth
                .server
                .anonymous()
                .bearer(&ann.access_token)
                .with("accept-profile", "auth");
            let answer = client.get(table).await;
            assert_eq!(answer.status, 406, "{table}: {}", answer.text());
        }
        let log = auth.log().await;
        let written = |what: &str| log.matches(what).count();
        assert!(
            written("/auth/v1/signup") >= 1 && written("/auth/v1/token") >= 1 && written("/rest/v1/") >= 4,
            "{log}"
        );
        for secret in [
            PASSWORD,
            "a wrong password of mine",
            &ann.access_token,
            &ann.refresh_token,
            "argon2id",
        ] {
            assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_protects_and_cannot_be_kept_keeps_the_server_from_starting() {
    let project = Project::new().config("[auth.email]\nenable_confirmations = true");
    let said = refused_start(project, &[]).await;
    assert!(said.contains("enable_confirmations"), "{said}");
    assert!(said.contains("enabled = false"), "{said}");
}

#[tokio::test]
async fn settings_close_what_they_name() {
    let closed = || Project::new().config("[auth]\nenable_signup = false\n[auth.email]\nenable_signup = false");
    on_each_engine(closed, async |_, auth: Auth| {
        let answer = auth.try_sign_up("ann@example.com", json!({})).await;
        assert_eq!(refusal(&answer), refused(422, "signup_disabled"));
        let answer = auth.try_sign_in("ann@example.com", PASSWORD).await;
        assert_eq!(refusal(&answer), refused(400, "email_provider_disabled"));
    })
    .await;
    on_each_engine(
        || Project::new().config("[auth]\nenabled = false"),
        async |_, auth: Auth| {
            let answer = auth.ask(Method::GET, "/settings", None, Value::Null).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (404, "MS-HTTP-005".into()));
        },
    )
    .await;
    on_each_engine(
        || {
            Project::new().config(
                "[auth]\nenable_anonymous_sign_ins = true\nminimum_password_length = 10\n\
                 password_requirements = \"letters_digits\"",
            )
        },
        async |_, auth: Auth| {
            let somebody = crate::auth::session(&auth.post("/signup", json!({"data": {"theme": "dark"}})).await);
            assert_eq!(somebody.user["is_anonymous"], true);
            assert_eq!(somebody.user["email"], "");
            assert_eq!(somebody.user["user_metadata"], json!({"theme": "dark"}));
            assert_eq!(somebody.claims()["is_anonymous"], true);
            assert_eq!(somebody.claims()["amr"][0]["method"], "anonymous");
            let other = crate::auth::session(&auth.post("/signup", json!({})).await);
            assert_ne!(other.id(), somebody.id());
            let weak = auth
                .post("/signup", json!({"email": "a@b.c", "password": "short"}))
                .await;
            assert_eq!(weak.json()["weak_password"]["reasons"], json!(["length", "characters"]));
        },
    )
    .await;
}
