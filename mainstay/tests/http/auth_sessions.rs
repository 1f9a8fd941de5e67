//! Refreshing, signing out, and what ends a session.

use futures_util::future::join_all;
use http::Method;
use mainstay_testing::{Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, on_each_engine, refusal, refused, session};

/// Functions with which a test moves time, and looks where requests may not.
const CLOCK: &str = "
    create function public.age(seconds integer) returns void language sql security definer set search_path = '' as $$
        update auth.refresh_tokens set updated_at = updated_at - make_interval(secs => seconds),
            created_at = created_at - make_interval(secs => seconds);
        update auth.sessions set created_at = created_at - make_interval(secs => seconds),
            refreshed_at = refreshed_at - make_interval(secs => seconds);
    $$;
    create function public.sessions_of(who uuid) returns bigint language sql security definer set search_path = '' as $$
        select count(*) from auth.sessions s where s.user_id = who
    $$;
    create function public.active_tokens(who text) returns bigint language sql security definer set search_path = ''
    as $$
        select count(*) from auth.refresh_tokens t where t.user_id = who and not t.revoked
    $$;
    grant execute on function public.age, public.sessions_of, public.active_tokens to service_role;";

fn project() -> Project {
    Project::of(CLOCK)
}

async fn sessions_of(auth: &Auth, of: &Session) -> i64 {
    auth.call("sessions_of", json!({"who": of.id()}))
        .await
        .as_i64()
        .unwrap()
}

async fn active_tokens(auth: &Auth, of: &Session) -> i64 {
    auth.call("active_tokens", json!({"who": of.id()}))
        .await
        .as_i64()
        .unwrap()
}

#[tokio::test]
async fn a_refresh_rotates_the_token_and_keeps_the_session() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let answer = auth.refresh(&ann.refresh_token).await;
        assert_eq!(answer.header("sb-auth-user-id"), ann.id());
        let next = session(&answer);
        assert_ne!(next.refresh_token, ann.refresh_token);
        assert_eq!(next.claims()["session_id"], ann.claims()["session_id"]);
        assert_eq!(next.claims()["amr"], ann.claims()["amr"]);
        assert_eq!(next.user["id"], ann.user["id"]);
        assert_eq!(answer.header("sb-auth-session-id"), next.claims()["session_id"]);
        assert_eq!(active_tokens(&auth, &ann).await, 1);
        assert_eq!(auth.user(&next.access_token).await.status, 200);
        for (sent, code) in [
            (json!("abcdefghijkl"), "refresh_token_not_found"),
            (json!("x' or '1'='1"), "validation_failed"),
            (json!("x".repeat(256)), "validation_failed"),
            (json!(""), "validation_failed"),
            (Value::Null, "validation_failed"),
            (json!(true), "bad_json"),
            (json!([ann.refresh_token]), "bad_json"),
        ] {
            let answer = auth
                .post("/token?grant_type=refresh_token", json!({"refresh_token": sent}))
                .await;
            assert_eq!(refusal(&answer), refused(400, code), "{sent}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_parent_of_the_active_token_gives_the_active_token_again() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let next = session(&auth.refresh(&ann.refresh_token).await);
        // However late: the client never saw the answer.
        auth.call("age", json!({"seconds": 3600})).await;
        let again = session(&auth.refresh(&ann.refresh_token).await);
        assert_eq!(again.refresh_token, next.refresh_token);
        assert_eq!(active_tokens(&auth, &ann).await, 1);
        session(&auth.refresh(&next.refresh_token).await);
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_used_again_late_ends_its_family() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let other = auth.sign_in("ann@example.com").await;
        let second = session(&auth.refresh(&ann.refresh_token).await);
        let third = session(&auth.refresh(&second.refresh_token).await);
        // Within the interval an older one is taken for a slow tab's.
        let branch = session(&auth.refresh(&ann.refresh_token).await);
        assert_ne!(branch.refresh_token, third.refresh_token);
        auth.call("age", json!({"seconds": 11})).await;
        let stolen = auth.refresh(&ann.refresh_token).await;
        // Its child is active and it is the child's parent: that is no theft yet.
        session(&stolen);
        let fourth = session(&auth.refresh(&branch.refresh_token).await);
        auth.call("age", json!({"seconds": 11})).await;
        let stolen = auth.refresh(&ann.refresh_token).await;
        assert_eq!(refusal(&stolen), refused(400, "refresh_token_already_used"));
        // Nothing of the family goes on, at once and later; the other session does.
        for token in [&ann, &second, &third, &branch, &fourth] {
            let answer = auth.refresh(&token.refresh_token).await;
            assert_eq!(refusal(&answer), refused(400, "refresh_token_already_used"));
        }
        assert_eq!(active_tokens(&auth, &ann).await, 1);
        session(&auth.refresh(&other.refresh_token).await);
    })
    .await;
}

#[tokio::test]
async fn without_rotation_a_late_token_is_refused_and_the_family_lives() {
    let relaxed =
        || project().config("[auth]\nenable_refresh_token_rotation = false\nrefresh_token_reuse_interval = 0");
    on_each_engine(relaxed, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let second = session(&auth.refresh(&ann.refresh_token).await);
        let third = session(&auth.refresh(&second.refresh_token).await);
        auth.call("age", json!({"seconds": 1})).await;
        let late = auth.refresh(&ann.refresh_token).await;
        assert_eq!(refusal(&late), refused(400, "refresh_token_already_used"));
        session(&auth.refresh(&third.refresh_token).await);
    })
    .await;
}

#[tokio::test]
async fn tokens_used_long_ago_are_forgotten_and_refused() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let second = session(&auth.refresh(&ann.refresh_token).await);
        let third = session(&auth.refresh(&second.refresh_token).await);
        auth.call("age", json!({"seconds": 8 * 24 * 3600})).await;
        let fourth = session(&auth.refresh(&third.refresh_token).await);
        let old = auth.refresh(&ann.refresh_token).await;
        assert_eq!(refusal(&old), refused(400, "refresh_token_not_found"));
        // The one before the active token is no old one, and what is active goes on.
        assert_eq!(
            session(&auth.refresh(&third.refresh_token).await).refresh_token,
            fourth.refresh_token
        );
        session(&auth.refresh(&fourth.refresh_token).await);
    })
    .await;
}

#[tokio::test]
async fn two_tabs_that_refresh_at_once_both_go_on() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let answers = join_all((0..8).map(|_| auth.refresh(&ann.refresh_token))).await;
        let tokens: std::collections::HashSet<String> =
            answers.iter().map(|answer| session(answer).refresh_token).collect();
        assert_eq!(tokens.len(), 1, "{tokens:?}");
        assert!(!tokens.contains(&ann.refresh_token));
        assert_eq!(active_tokens(&auth, &ann).await, 1);
    })
    .await;
}

#[tokio::test]
async fn signing_out_ends_what_the_scope_names() {
    on_each_engine(project, async |_, auth: Auth| {
        let first = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let out = async |scope: &str, token: &str| {
            auth.ask(Method::POST, &format!("/logout{scope}"), Some(token), Value::Null)
                .await
        };
        let alive = async |of: &Session| auth.user(&of.access_token).await.status == 200;
        let over = async |of: &Session| {
            let user = auth.user(&of.access_token).await;
            assert_eq!(refusal(&user), refused(403, "session_not_found"));
            assert_eq!(user.header("x-supabase-api-version"), "2024-01-01");
            let refresh = auth.refresh(&of.refresh_token).await;
            assert_eq!(refusal(&refresh), refused(400, "refresh_token_not_found"));
        };

        let second = auth.sign_in("ann@example.com").await;
        let answer = out("?scope=local", &second.access_token).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (204, String::new()));
        over(&second).await;
        assert!(alive(&first).await);

        let third = auth.sign_in("ann@example.com").await;
        assert_eq!(out("?scope=others", &third.access_token).await.status, 204);
        over(&first).await;
        assert!(alive(&third).await);

        let fourth = auth.sign_in("ann@example.com").await;
        for bad in ["?scope=", "?scope=global"] {
            // The empty scope is the whole one.
            let one = auth.sign_in("ann@example.com").await;
            assert_eq!(out(bad, &one.access_token).await.status, 204);
            over(&one).await;
        }
        over(&third).await;
        over(&fourth).await;
        assert_eq!(sessions_of(&auth, &first).await, 0);
        assert!(alive(&bob).await, "somebody else's session was ended");

        let answer = out("?scope=all", &bob.access_token).await;
        assert_eq!(refusal(&answer), refused(400, "validation_failed"));
        let answer = out("", &fourth.access_token).await;
        assert_eq!(refusal(&answer), refused(403, "session_not_found"));
        let answer = auth.ask(Method::POST, "/logout", None, Value::Null).await;
        assert_eq!(refusal(&answer), refused(401, "no_authorization"));
        assert!(alive(&bob).await);
    })
    .await;
}

#[tokio::test]
async fn sessions_end_by_age_and_by_idleness() {
    let bounded = || project().config("[auth.sessions]\ntimebox = \"24h\"\ninactivity_timeout = \"1h\"");
    on_each_engine(bounded, async |_, auth: Auth| {
        let hour = 3600;
        let ann = auth.sign_up("ann@example.com").await;
        auth.call("age", json!({"seconds": hour - 60})).await;
        let mut last = session(&auth.refresh(&ann.refresh_token).await);
        for _ in 0..22 {
            auth.call("age", json!({"seconds": hour - 60})).await;
            last = session(&auth.refresh(&last.refresh_token).await);
        }
        let bob = auth.sign_up("bob@example.com").await;
        auth.call("age", json!({"seconds": hour + 1})).await;
        let idle = auth.refresh(&bob.refresh_token).await;
        assert_eq!(refusal(&idle), refused(400, "session_expired"));
        assert_eq!(
            idle.json()["message"],
            "Invalid Refresh Token: Session Expired (Inactivity)"
        );
        let old = auth.sign_up("old@example.com").await;
        auth.call("age", json!({"seconds": hour - 60})).await;
        let mut last = session(&auth.refresh(&old.refresh_token).await);
        for _ in 0..23 {
            auth.call("age", json!({"seconds": hour - 60})).await;
            last = session(&auth.refresh(&last.refresh_token).await);
        }
        auth.call("age", json!({"seconds": hour - 60})).await;
        let over = auth.refresh(&last.refresh_token).await;
        assert_eq!(refusal(&over), refused(400, "session_expired"));
        assert_eq!(over.json()["message"], "Invalid Refresh Token: Session Expired");
    })
    .await;
}

#[tokio::test]
async fn where_one_session_is_allowed_the_last_one_goes_on() {
    let single = || project().config("[auth.sessions]\nsingle_per_user = true");
    on_each_engine(single, async |_, auth: Auth| {
        let first = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let first = session(&auth.refresh(&first.refresh_token).await);
        auth.call("age", json!({"seconds": 60})).await;
        let second = auth.sign_in("ann@example.com").await;
        let late = auth.refresh(&first.refresh_token).await;
        assert_eq!(refusal(&late), refused(400, "session_expired"));
        session(&auth.refresh(&second.refresh_token).await);
        session(&auth.refresh(&bob.refresh_token).await);
    })
    .await;
}

#[tokio::test]
async fn a_user_changes_what_is_the_users_own() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let update =
            async |of: &Session, body: Value| auth.ask(Method::PUT, "/user", Some(&of.access_token), body).await;
        let answer = update(
            &ann,
            json!({"data": {"city": "Oslo", "name": null, "nested": {"a": [1]}}}),
        )
        .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let metadata = &answer.json()["user_metadata"];
        assert_eq!(metadata["city"], "Oslo");
        assert_eq!(metadata["nested"], json!({"a": [1]}));
        assert!(metadata.get("name").is_none());
        assert_eq!(metadata["email"], "ann@example.com");
        assert_eq!(auth.user(&ann.access_token).await.json(), answer.json());
        assert_eq!(
            auth.user(&bob.access_token).await.json()["user_metadata"]["name"],
            "Ann"
        );

        let body = json!({"data": {}, "role": "service_role", "id": bob.id(), "user_metadata": {"x": 1},
                          "email_confirmed_at": null, "banned_until": "2099-01-01"});
        let same = update(&ann, body).await.json();
        assert_eq!(same["role"], "authenticated");
        assert_eq!(same["id"], ann.id());
        assert_eq!(same["user_metadata"]["x"], Value::Null);

        for (body, status, code) in [
            (json!({"app_metadata": {"admin": true}}), 403, "not_admin"),
            (json!({"password": "short"}), 422, "weak_password"),
            (json!({"password": PASSWORD}), 422, "same_password"),
            (json!({"email": "bob@example.com"}), 422, "email_exists"),
            (json!({"email": "no address"}), 400, "validation_failed"),
            (json!({"email": "new@example.com"}), 422, "email_provider_disabled"),
            (json!({"phone": "4799999999"}), 400, "phone_provider_disabled"),
            (json!({"data": "x"}), 400, "bad_json"),
            (json!({"data": {"big": "x".repeat(5120)}}), 400, "validation_failed"),
            (json!({"password": 123_456}), 400, "bad_json"),
        ] {
            let answer = update(&ann, body.clone()).await;
            assert_eq!(refusal(&answer), refused(status, code), "{body}: {}", answer.text());
        }
        assert_eq!(auth.user(&ann.access_token).await.json()["email"], "ann@example.com");
    })
    .await;
}

#[tokio::test]
async fn a_new_password_ends_the_users_other_sessions() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let other = auth.sign_in("ann@example.com").await;
        let body = json!({"password": "another one 8 times"});
        let answer = auth.ask(Method::PUT, "/user", Some(&ann.access_token), body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains("password"), "{}", answer.text());
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
        session(&auth.refresh(&ann.refresh_token).await);
        let gone = auth.user(&other.access_token).await;
        assert_eq!(refusal(&gone), refused(403, "session_not_found"));
        let gone = auth.refresh(&other.refresh_token).await;
        assert_eq!(refusal(&gone), refused(400, "refresh_token_not_found"));
        let old = auth.try_sign_in("ann@example.com", PASSWORD).await;
        assert_eq!(refusal(&old), refused(400, "invalid_credentials"));
        session(&auth.try_sign_in("ann@example.com", "another one 8 times").await);
        assert_eq!(auth.user(&bob.access_token).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_password_is_changed_soon_after_signing_in_where_that_is_asked_for() {
    let secure = || project().config("[auth.email]\nsecure_password_change = true");
    on_each_engine(secure, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        auth.call("age", json!({"seconds": 24 * 3600 + 1})).await;
        let body = json!({"password": "another one 8 times"});
        let late = auth
            .ask(Method::PUT, "/user", Some(&ann.access_token), body.clone())
            .await;
        assert_eq!(refusal(&late), refused(400, "reauthentication_needed"));
        let anew = auth.sign_in("ann@example.com").await;
        let soon = auth.ask(Method::PUT, "/user", Some(&anew.access_token), body).await;
        assert_eq!(soon.status, 200, "{}", soon.text());
    })
    .await;
}

#[tokio::test]
async fn somebody_anonymous_becomes_somebody() {
    let open = || project().config("[auth]\nenable_anonymous_sign_ins = true");
    on_each_engine(open, async |_, auth: Auth| {
        let somebody = session(&auth.post("/signup", json!({"data": {"cart": 1}})).await);
        let update = async |body: Value| auth.ask(Method::PUT, "/user", Some(&somebody.access_token), body).await;
        let answer = update(json!({"password": PASSWORD})).await;
        assert_eq!(refusal(&answer), refused(400, "validation_failed"));
        let answer = update(json!({"email": "Ann@Example.com", "password": PASSWORD})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let user = answer.json();
        assert_eq!(
            (&user["is_anonymous"], &user["email"]),
            (&json!(false), &json!("ann@example.com"))
        );
        assert_eq!(user["user_metadata"]["cart"], 1);
        assert_eq!(user["identities"][0]["provider"], "email");
        assert_eq!(user["app_metadata"]["provider"], "email");
        let ann = auth.sign_in("ann@example.com").await;
        assert_eq!(ann.id(), somebody.id());
    })
    .await;
}

#[tokio::test]
async fn one_user_learns_nothing_of_another() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let foreign = token::sign(&json!({"sub": bob.id(), "session_id": ann.claims()["session_id"],
            "role": "authenticated", "aud": "authenticated", "exp": token::now() + 60}));
        for (method, path) in [
            (Method::GET, "/user"),
            (Method::PUT, "/user"),
            (Method::POST, "/logout"),
        ] {
            let answer = auth.ask(method, path, Some(&foreign), json!({"data": {}})).await;
            assert_eq!(refusal(&answer), refused(403, "session_not_found"), "{path}");
            assert!(!answer.text().contains("example.com"));
        }
        assert_eq!(auth.user(&ann.access_token).await.status, 200);
        assert_eq!(auth.user(&bob.access_token).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_was_answered_survives_kill_9() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let next = session(&auth.refresh(&ann.refresh_token).await);
        let gone = auth.sign_in("ann@example.com").await;
        let out = auth
            .ask(
                Method::POST,
                "/logout?scope=local",
                Some(&gone.access_token),
                Value::Null,
            )
            .await;
        assert_eq!(out.status, 204);
        auth.server.kill();
        auth.server.run().unwrap();
        assert_eq!(auth.user(&next.access_token).await.status, 200);
        let again = session(&auth.refresh(&ann.refresh_token).await);
        assert_eq!(again.refresh_token, next.refresh_token);
        let answer = auth.user(&gone.access_token).await;
        assert_eq!(refusal(&answer), refused(403, "session_not_found"));
        auth.sign_in("ann@example.com").await;
    })
    .await;
}
