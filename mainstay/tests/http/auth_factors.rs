//! Second factors: authenticator apps.

use futures_util::future::join_all;
use http::Method;
use mainstay_testing::{Answer, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, on_each_engine, refusal, refused, send, session};
use crate::authenticator::App;

/// Functions with which a test moves time, and a table for the second level alone.
const SCHEMA: &str = "
    create function public.age_challenges(seconds integer) returns void language sql security definer
        set search_path = '' as $$
        update auth.mfa_challenges set created_at = created_at - make_interval(secs => seconds);
        update auth.mfa_factors set created_at = created_at - make_interval(secs => seconds);
    $$;
    create function public.rest(seconds integer) returns void language sql security definer set search_path = '' as $$
        update _mainstay.second_factors set failed_at = failed_at - make_interval(secs => seconds);
    $$;
    create function public.forget_steps() returns void language sql security definer set search_path = '' as $$
        delete from _mainstay.totp_steps
    $$;
    grant execute on function public.age_challenges, public.rest, public.forget_steps to service_role;
    create table public.secrets (id integer primary key, owner uuid not null default auth.uid());
    alter table public.secrets enable row level security;
    grant select, insert on public.secrets to authenticated;
    create policy own on public.secrets for all to authenticated using (owner = auth.uid());
    create policy second_level on public.secrets as restrictive for all to authenticated
        using (auth.jwt() ->> 'aal' = 'aal2');";

pub fn project() -> Project {
    Project::of(SCHEMA)
}

impl Auth {
    pub async fn as_user(&self, of: &Session, method: Method, path: &str, body: Value) -> Answer {
        self.ask(method, path, Some(&of.access_token), body).await
    }

    pub async fn enroll(&self, of: &Session, name: &str) -> App {
        let body = json!({"factor_type": "totp", "friendly_name": name});
        let answer = self.as_user(of, Method::POST, "/factors", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        App::of(&answer.json())
    }

    pub async fn challenge(&self, of: &Session, factor: &str) -> Answer {
        let path = format!("/factors/{factor}/challenge");
        self.as_user(of, Method::POST, &path, Value::Null).await
    }

    /// Makes a challenge and answers it.
    pub async fn verify(&self, of: &Session, app: &App, code: &str) -> Answer {
        let challenge = self.challenge(of, &app.id).await;
        assert_eq!(challenge.status, 200, "{}", challenge.text());
        self.answer(of, &app.id, challenge.json()["id"].as_str().unwrap(), code)
            .await
    }

    pub async fn answer(&self, of: &Session, factor: &str, challenge: &str, code: &str) -> Answer {
        let body = json!({"challenge_id": challenge, "code": code});
        self.as_user(of, Method::POST, &format!("/factors/{factor}/verify"), body)
            .await
    }

    /// Somebody new with a verified factor, in a session of the second level.
    pub async fn enrolled(&self, email: &str) -> (Session, App) {
        let first = self.sign_up(email).await;
        let app = self.enroll(&first, "phone").await;
        let raised = session(&self.verify(&first, &app, &app.code(0)).await);
        // So that the test need not wait for the next code.
        self.call("forget_steps", json!({})).await;
        (raised, app)
    }

    async fn unenroll(&self, of: &Session, factor: &str) -> Answer {
        self.as_user(of, Method::DELETE, &format!("/factors/{factor}"), Value::Null)
            .await
    }
}

fn methods(of: &Session) -> Vec<String> {
    let claims = of.claims();
    let methods = claims["amr"].as_array().unwrap();
    methods
        .iter()
        .map(|entry| entry["method"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_factor_raises_the_session_and_ends_the_others() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let other = auth.sign_in("ann@example.com").await;
        let body = json!({"factor_type": "totp", "friendly_name": "phone", "issuer": "Shop"});
        let enrolled = auth.as_user(&ann, Method::POST, "/factors", body).await.json();
        let names: Vec<&str> = enrolled.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["id", "type", "friendly_name", "totp"]);
        let app = App::of(&enrolled);
        let uri = enrolled["totp"]["uri"].as_str().unwrap();
        assert!(uri.starts_with("otpauth://totp/Shop:ann%40example.com?"), "{uri}");
        assert!(uri.contains(&format!("secret={}", enrolled["totp"]["secret"].as_str().unwrap())));
        assert!(enrolled["totp"]["qr_code"].as_str().unwrap().starts_with("<svg "));

        // Not verified, it changes nothing; its secret is shown by nothing else.
        let user = auth.user(&ann.access_token).await;
        let factor = &user.json()["factors"][0];
        assert_eq!(
            (
                &factor["id"],
                &factor["status"],
                &factor["factor_type"],
                &factor["friendly_name"]
            ),
            (&json!(app.id), &json!("unverified"), &json!("totp"), &json!("phone"))
        );
        assert!(!user.text().contains("secret") && !user.text().contains(&app.secret));
        assert_eq!(session(&auth.refresh(&ann.refresh_token).await).claims()["aal"], "aal1");
        let ann = auth.sign_in("ann@example.com").await;

        let challenge = auth.challenge(&ann, &app.id).await.json();
        assert_eq!(challenge["type"], "totp");
        let lifetime = challenge["expires_at"].as_i64().unwrap() - mainstay_testing::token::now();
        assert!((290..=301).contains(&lifetime), "{lifetime}");
        let id = challenge["id"].as_str().unwrap();
        for wrong in ["000000", "12345", "abcdef", &app.code(5)] {
            let answer = auth.answer(&ann, &app.id, id, wrong).await;
            assert_eq!(refusal(&answer), refused(422, "mfa_verification_failed"), "{wrong}");
            assert_eq!(answer.json()["message"], "Invalid TOTP code entered");
        }
        let code = app.code(0);
        let raised = session(&auth.answer(&ann, &app.id, id, &code).await);
        assert_eq!(raised.claims()["aal"], "aal2");
        assert_eq!(methods(&raised), ["totp", "password"]);
        assert_eq!(raised.claims()["session_id"], ann.claims()["session_id"]);
        assert_eq!(raised.user["factors"][0]["status"], "verified");
        assert!(raised.user["factors"][0]["last_challenged_at"].is_string());

        // A refresh token of the lower level gives none of the higher, at once and later.
        let old = auth.refresh(&ann.refresh_token).await;
        assert_eq!(refusal(&old), refused(400, "refresh_token_not_found"));
        let next = session(&auth.refresh(&raised.refresh_token).await);
        assert_eq!((&next.claims()["aal"], methods(&next).len()), (&json!("aal2"), 2));
        for ended in [&other, &ann] {
            let is_own = ended.claims()["session_id"] == raised.claims()["session_id"];
            let answer = auth.user(&ended.access_token).await;
            assert_eq!(answer.status == 200, is_own, "{}", answer.text());
        }

        // The password alone does not reach what is behind the factor.
        let low = auth.sign_in("ann@example.com").await;
        assert_eq!(
            (&low.claims()["aal"], methods(&low)),
            (&json!("aal1"), vec!["password".to_owned()])
        );
        let body = json!({"factor_type": "totp", "friendly_name": "mine"});
        let enroll = auth.as_user(&low, Method::POST, "/factors", body).await;
        assert_eq!(refusal(&enroll), refused(403, "insufficient_aal"));
        assert_eq!(
            refusal(&auth.unenroll(&low, &app.id).await),
            refused(422, "insufficient_aal")
        );
        let body = json!({"password": "another one 8 times"});
        let password = auth.as_user(&low, Method::PUT, "/user", body).await;
        assert_eq!(refusal(&password), refused(401, "insufficient_aal"));

        // A code is used once, in whatever session; the next one is another.
        let replay = auth.verify(&low, &app, &code).await;
        assert_eq!(refusal(&replay), refused(422, "mfa_verification_failed"));
        let high = session(&auth.verify(&low, &app, &app.code(1)).await);
        assert_eq!(high.claims()["aal"], "aal2");
        // Both are of the second level: neither ends the other.
        assert_eq!(auth.user(&next.access_token).await.status, 200);

        let gone = auth.unenroll(&high, &app.id).await;
        assert_eq!((gone.status.as_u16(), gone.json()), (200, json!({"id": app.id})));
        for raised in [&high, &next] {
            let lowered = session(&auth.refresh(&raised.refresh_token).await);
            assert_eq!(
                (&lowered.claims()["aal"], methods(&lowered)),
                (&json!("aal1"), vec!["password".to_owned()])
            );
            assert!(lowered.user.get("factors").is_none());
        }
        assert_eq!(
            refusal(&auth.unenroll(&high, &app.id).await),
            refused(404, "mfa_factor_not_found")
        );
        let log = auth.log().await;
        assert!(
            !log.contains(&app.secret) && !log.contains(&high.refresh_token),
            "{log}"
        );
    })
    .await;
}

#[tokio::test]
async fn policies_see_the_level() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let insert = async |of: &Session, id: u32| {
            let client = auth.server.anonymous().bearer(&of.access_token);
            client.insert("secrets", &json!({"id": id})).await.status.as_u16()
        };
        let read = async |of: &Session| {
            let client = auth.server.anonymous().bearer(&of.access_token);
            client.get("secrets?select=id").await.text()
        };
        assert_eq!(insert(&ann, 1).await, 403);
        let app = auth.enroll(&ann, "phone").await;
        let raised = session(&auth.verify(&ann, &app, &app.code(0)).await);
        assert_eq!(insert(&raised, 1).await, 201);
        assert_eq!(read(&raised).await, r#"[{"id":1}]"#);
        assert_eq!(read(&auth.sign_in("ann@example.com").await).await, "[]");
        let (bob, _) = auth.enrolled("bob@example.com").await;
        assert_eq!(read(&bob).await, "[]");
    })
    .await;
}

#[tokio::test]
async fn guesses_are_bounded_for_all_factors_alike_and_a_restart_forgets_none() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let (ann, app) = auth.enrolled("ann@example.com").await;
        let second = auth.enroll(&ann, "tablet").await;
        session(&auth.verify(&ann, &second, &second.code(0)).await);
        auth.call("forget_steps", json!({})).await;
        let (bob, bobs) = auth.enrolled("bob@example.com").await;
        for guess in 0..5 {
            let which = if guess % 2 == 0 { &app } else { &second };
            let answer = auth.verify(&ann, which, "000000").await;
            assert_eq!(refusal(&answer), refused(422, "mfa_verification_failed"));
        }
        for which in [&app, &second] {
            let answer = auth.verify(&ann, which, &which.code(0)).await;
            assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
            let wait: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=31).contains(&wait), "{wait}");
        }
        assert_eq!(session(&auth.verify(&bob, &bobs, &bobs.code(0)).await).id(), bob.id());
        auth.server.kill();
        auth.server.run().unwrap();
        let answer = auth.verify(&ann, &app, &app.code(0)).await;
        assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
        // After the wait one more, and twice the wait.
        auth.call("rest", json!({"seconds": 31})).await;
        let answer = auth.verify(&ann, &app, "000000").await;
        assert_eq!(refusal(&answer), refused(422, "mfa_verification_failed"));
        auth.call("rest", json!({"seconds": 31})).await;
        let answer = auth.verify(&ann, &app, &app.code(0)).await;
        assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
        auth.call("rest", json!({"seconds": 30})).await;
        session(&auth.verify(&ann, &app, &app.code(0)).await);
        // A right code clears the count.
        let answer = auth.verify(&ann, &second, "000000").await;
        assert_eq!(refusal(&answer), refused(422, "mfa_verification_failed"));
        session(&auth.verify(&ann, &second, &second.code(0)).await);
    })
    .await;
}

#[tokio::test]
async fn of_many_answers_with_one_code_one_is_right() {
    on_each_engine(project, async |_, auth: Auth| {
        let (ann, app) = auth.enrolled("ann@example.com").await;
        let code = app.code(0);
        // Few enough that the wait for wrong codes plays no part.
        let answers = join_all((0..5).map(|_| auth.verify(&ann, &app, &code))).await;
        let right: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(right.len(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(refusal(answer), refused(422, "mfa_verification_failed"));
        }
        session(&auth.refresh(&session(right[0]).refresh_token).await);
    })
    .await;
}

#[tokio::test]
async fn a_challenge_is_answered_once_in_time_from_where_it_was_asked_for() {
    let proxied = || project().config("[mainstay.limits]\ntrusted_proxies = [\"127.0.0.1\"]");
    on_each_engine(proxied, async |_, auth: Auth| {
        let (ann, app) = auth.enrolled("ann@example.com").await;
        let new = async || {
            auth.challenge(&ann, &app.id).await.json()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let first = new().await;
        let raised = session(&auth.answer(&ann, &app.id, &first, &app.code(0)).await);
        let again = auth.answer(&raised, &app.id, &first, &app.code(1)).await;
        assert_eq!(refusal(&again), refused(422, "mfa_ip_address_mismatch"));

        let second = new().await;
        let elsewhere = auth
            .client(Some(&ann.access_token))
            .with("x-forwarded-for", "192.0.2.7");
        let body = json!({"challenge_id": second, "code": app.code(1)});
        let path = format!("/factors/{}/verify", app.id);
        let answer = send(&elsewhere, Method::POST, &path, body).await;
        assert_eq!(refusal(&answer), refused(422, "mfa_ip_address_mismatch"));

        auth.call("age_challenges", json!({"seconds": 301})).await;
        let late = auth.answer(&ann, &app.id, &second, &app.code(1)).await;
        assert_eq!(refusal(&late), refused(422, "mfa_challenge_expired"));
        let gone = auth.answer(&ann, &app.id, &second, &app.code(1)).await;
        assert_eq!(refusal(&gone), refused(422, "mfa_factor_not_found"));

        // A challenge of another factor, and none at all.
        let other = auth.enroll(&ann, "tablet").await;
        let others = auth.challenge(&ann, &other.id).await.json();
        for id in [others["id"].as_str().unwrap(), "aaaaaaaa-0000-4000-8000-000000000009"] {
            let answer = auth.answer(&ann, &app.id, id, &app.code(1)).await;
            assert_eq!(refusal(&answer), refused(422, "mfa_factor_not_found"));
        }
        for bad in ["", "x", "' or 1=1"] {
            let answer = auth.answer(&ann, &app.id, bad, &app.code(1)).await;
            assert_eq!(refusal(&answer), refused(400, "validation_failed"));
        }
        // None of it has used the code up.
        session(&auth.answer(&ann, &app.id, &new().await, &app.code(1)).await);

        // So many from one address in a minute.
        let there = auth
            .client(Some(&ann.access_token))
            .with("x-forwarded-for", "192.0.2.8");
        let path = format!("/factors/{}/challenge", app.id);
        for _ in 0..15 {
            let answer = send(&there, Method::POST, &path, Value::Null).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let answer = send(&there, Method::POST, &path, Value::Null).await;
        assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_factor_is_like_none() {
    on_each_engine(project, async |_, auth: Auth| {
        let (ann, app) = auth.enrolled("ann@example.com").await;
        let (bob, _) = auth.enrolled("bob@example.com").await;
        let none = "aaaaaaaa-0000-4000-8000-000000000009";
        for (method, end) in [
            (Method::POST, "/challenge"),
            (Method::POST, "/verify"),
            (Method::DELETE, ""),
        ] {
            let ask = async |id: &str| {
                let body = json!({"challenge_id": none, "code": app.code(0)});
                let answer = auth
                    .as_user(&bob, method.clone(), &format!("/factors/{id}{end}"), body)
                    .await;
                (answer.status.as_u16(), answer.text())
            };
            let (status, text) = ask(&app.id).await;
            assert_eq!((status, &text), (404, &ask(none).await.1));
            assert!(text.contains("mfa_factor_not_found"), "{text}");
            assert_eq!(ask("x").await.0, 404);
        }
        // With a challenge of the owner's.
        let challenge = auth.challenge(&ann, &app.id).await.json();
        let answer = auth
            .answer(&bob, &app.id, challenge["id"].as_str().unwrap(), &app.code(0))
            .await;
        assert_eq!(refusal(&answer), refused(404, "mfa_factor_not_found"));
        session(&auth.verify(&ann, &app, &app.code(0)).await);
    })
    .await;
}

#[tokio::test]
async fn enrolment_has_rules() {
    let few = || {
        project().config(
            "[auth]\nenable_anonymous_sign_ins = true\nsite_url = \"https://shop.example/app\"\n\
             [auth.mfa]\nmax_enrolled_factors = 3",
        )
    };
    on_each_engine(few, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let ask = async |of: &Session, body: Value| auth.as_user(of, Method::POST, "/factors", body).await;
        for (body, status, code) in [
            (json!({}), 400, "validation_failed"),
            (json!({"factor_type": "sms"}), 400, "validation_failed"),
            (json!({"factor_type": null}), 400, "validation_failed"),
            (json!({"factor_type": 1}), 400, "bad_json"),
            (
                json!({"factor_type": "phone", "phone": "+4799999999"}),
                422,
                "mfa_phone_enroll_not_enabled",
            ),
            (
                json!({"factor_type": "totp", "friendly_name": "x".repeat(121)}),
                400,
                "validation_failed",
            ),
            (
                json!({"factor_type": "totp", "issuer": "a\u{0}b"}),
                400,
                "validation_failed",
            ),
        ] {
            let answer = ask(&ann, body.clone()).await;
            assert_eq!(refusal(&answer), refused(status, code), "{body}: {}", answer.text());
        }
        let somebody = session(&auth.post("/signup", json!({})).await);
        let answer = ask(&somebody, json!({"factor_type": "totp"})).await;
        assert_eq!(refusal(&answer), refused(403, "no_authorization"));

        let totp = |name: &str| json!({"factor_type": "totp", "friendly_name": name});
        let first = ask(&ann, totp("phone")).await.json();
        assert!(
            first["totp"]["uri"]
                .as_str()
                .unwrap()
                .starts_with("otpauth://totp/shop.example:")
        );
        for name in ["phone", " phone "] {
            let taken = ask(&ann, totp(name)).await;
            let expected = if name == "phone" { 422 } else { 200 };
            assert_eq!(taken.status, expected, "{name}: {}", taken.text());
        }
        // Without a name there may be several.
        assert_eq!(ask(&ann, totp("")).await.status, 200);
        let many = ask(&ann, totp("tablet")).await;
        assert_eq!(refusal(&many), refused(422, "too_many_enrolled_mfa_factors"));
        // Enrolments that were given up are forgotten; verifying one forgets the others.
        auth.call("age_challenges", json!({"seconds": 301})).await;
        let app = auth.enroll(&ann, "phone").await;
        auth.enroll(&ann, "tablet").await;
        let raised = session(&auth.verify(&ann, &app, &app.code(0)).await);
        assert_eq!(raised.user["factors"].as_array().unwrap().len(), 1);
    })
    .await;
    let closed = || project().config("[auth.mfa.totp]\nenroll_enabled = false\nverify_enabled = false");
    on_each_engine(closed, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let answer = auth
            .as_user(&ann, Method::POST, "/factors", json!({"factor_type": "totp"}))
            .await;
        assert_eq!(refusal(&answer), refused(422, "mfa_totp_enroll_not_enabled"));
        assert_eq!(answer.json()["message"], "MFA enroll is disabled for TOTP");
    })
    .await;
}

/// Enrolled with the password alone, before there was a factor that guards enrolment.
#[tokio::test]
async fn an_old_enrolment_is_no_way_around_a_factor() {
    on_each_engine(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let thief = auth.sign_in("ann@example.com").await;
        let planted = auth.enroll(&thief, "planted").await;
        let ann = auth.sign_in("ann@example.com").await;
        let app = auth.enroll(&ann, "phone").await;
        let challenge = auth.challenge(&thief, &planted.id).await.json();
        let raised = session(&auth.verify(&ann, &app, &app.code(0)).await);
        let answer = auth
            .answer(&thief, &planted.id, challenge["id"].as_str().unwrap(), &planted.code(0))
            .await;
        assert_eq!(refusal(&answer), refused(403, "session_not_found"));
        let thief = auth.sign_in("ann@example.com").await;
        let answer = auth.challenge(&thief, &planted.id).await;
        assert_eq!(refusal(&answer), refused(404, "mfa_factor_not_found"));
        assert_eq!(auth.user(&raised.access_token).await.status, 200);

        // One that is begun at the second level is finished there alone.
        let second = auth.enroll(&raised, "tablet").await;
        let answer = auth.verify(&thief, &second, &second.code(0)).await;
        assert_eq!(refusal(&answer), refused(403, "insufficient_aal"));
        session(&auth.verify(&raised, &second, &second.code(0)).await);
    })
    .await;
}

#[tokio::test]
async fn administrators_see_rename_and_remove_factors() {
    on_each_engine(project, async |_, auth: Auth| {
        let (ann, app) = auth.enrolled("ann@example.com").await;
        let (bob, bobs) = auth.enrolled("bob@example.com").await;
        let service = mainstay_testing::token::role("service_role");
        let ask = async |method: Method, path: &str, body: Value| {
            auth.ask(method, &format!("/admin/users/{path}"), Some(&service), body)
                .await
        };
        let own = format!("{}/factors/{}", ann.id(), app.id);
        let listed = ask(Method::GET, &format!("{}/factors", ann.id()), Value::Null).await;
        assert_eq!(listed.json()[0]["id"], app.id);
        assert!(!listed.text().contains(&app.secret));
        let page = auth.ask(Method::GET, "/admin/users", Some(&service), Value::Null).await;
        assert_eq!(page.json()["users"][1]["factors"][0]["id"], app.id);
        let renamed = ask(Method::PUT, &own, json!({"friendly_name": "old phone"})).await;
        assert_eq!(renamed.json()["friendly_name"], "old phone");
        for (path, code) in [
            (format!("{}/factors/{}", ann.id(), bobs.id), "mfa_factor_not_found"),
            (format!("{}/factors/x", ann.id()), "validation_failed"),
            (
                format!("aaaaaaaa-0000-4000-8000-000000000009/factors/{}", app.id),
                "user_not_found",
            ),
        ] {
            let answer = ask(Method::DELETE, &path, Value::Null).await;
            assert_eq!(refusal(&answer), refused(404, code), "{path}");
        }
        let removed = ask(Method::DELETE, &own, Value::Null).await;
        assert_eq!((removed.status.as_u16(), &removed.json()["id"]), (200, &json!(app.id)));
        assert_eq!(session(&auth.refresh(&ann.refresh_token).await).claims()["aal"], "aal1");
        assert_eq!(session(&auth.refresh(&bob.refresh_token).await).claims()["aal"], "aal2");
        // The password is enough again.
        let low = auth.sign_in("ann@example.com").await;
        let body = json!({"password": "another one 8 times"});
        assert_eq!(auth.as_user(&low, Method::PUT, "/user", body).await.status, 200);
        // Whoever leaves a row without a name leaves no factor.
        let body = json!({"should_soft_delete": true});
        assert_eq!(ask(Method::DELETE, bob.id(), body).await.status, 200);
        let listed = ask(Method::GET, &format!("{}/factors", bob.id()), Value::Null).await;
        assert_eq!(listed.json(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_raised_session_survives_kill_9_and_a_code_stays_used() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let app = auth.enroll(&ann, "phone").await;
        let code = app.code(0);
        let ann = session(&auth.verify(&ann, &app, &code).await);
        auth.server.kill();
        auth.server.run().unwrap();
        assert_eq!(
            auth.user(&ann.access_token).await.json()["factors"][0]["status"],
            "verified"
        );
        let next = session(&auth.refresh(&ann.refresh_token).await);
        assert_eq!(next.claims()["aal"], "aal2");
        let low = session(&auth.try_sign_in("ann@example.com", PASSWORD).await);
        let replay = auth.verify(&low, &app, &code).await;
        assert_eq!(refusal(&replay), refused(422, "mfa_verification_failed"));
        session(&auth.verify(&low, &app, &app.code(1)).await);
        auth.call("forget_steps", json!({})).await;
        session(&auth.verify(&low, &app, &app.code(0)).await);
    })
    .await;
}

#[tokio::test]
async fn secrets_are_sealed_where_there_is_a_key_and_old_ones_are_still_opened() {
    let schema = "create function public.kept() returns text language sql security definer set search_path = '' as $$
            select string_agg(f.secret, ' ' order by f.created_at) from auth.mfa_factors f
        $$;
        grant execute on function public.kept to service_role;";
    // 32 bytes of 7 and of 8.
    let keys = "\n[mainstay.encryption.keys]\none = \"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\"\n\
                two = \"CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg\"";
    let sealed_by = |key: &str| {
        let settings = format!("[mainstay.encryption]\nkey_id = \"{key}\"{keys}");
        project().migration(schema).config(&settings)
    };
    on_each_engine(
        || sealed_by("one"),
        async |_, mut auth: Auth| {
            let (ann, app) = auth.enrolled("ann@example.com").await;
            let kept = auth.call("kept", json!({})).await;
            let kept = kept.as_str().unwrap();
            assert!(kept.contains("aes-gcm-hkdf") && !kept.contains(&app.secret), "{kept}");
            // Another key seals from now on.
            auth.server.kill();
            let path = "supabase/config.toml";
            let text = std::fs::read_to_string(auth.server.project.path().join(path)).unwrap();
            let text = text.replace("key_id = \"one\"", "key_id = \"two\"");
            std::fs::write(auth.server.project.path().join(path), text).unwrap();
            auth.server.run().unwrap();
            let second = auth.enroll(&ann, "tablet").await;
            session(&auth.verify(&ann, &second, &second.code(0)).await);
            session(&auth.verify(&ann, &app, &app.code(0)).await);
        },
    )
    .await;
}

#[tokio::test]
async fn the_project_has_its_say_and_the_log_its_entries() {
    let function = "create function public.enough(event jsonb) returns jsonb language plpgsql as $$
        begin
          if (event ->> 'valid')::boolean or event ->> 'factor_type' <> 'totp' then
            return jsonb_build_object('decision', 'continue');
          end if;
          return jsonb_build_object('decision', 'reject', 'message', 'Enough.');
        end $$;";
    let hook = "[auth.hook.mfa_verification_attempt]\nenabled = true\n\
                uri = \"pg-functions://postgres/public/enough\"";
    on_each_engine(
        || project().migration(function).config(hook),
        async |_, auth: Auth| {
            let (ann, app) = auth.enrolled("ann@example.com").await;
            let answer = auth.verify(&ann, &app, "000000").await;
            assert_eq!(refusal(&answer), refused(403, "mfa_verification_rejected"));
            assert_eq!(answer.json()["message"], "Enough.");
            let over = auth.user(&ann.access_token).await;
            assert_eq!(refusal(&over), refused(403, "session_not_found"));
            let ann = auth.sign_in("ann@example.com").await;
            let raised = session(&auth.verify(&ann, &app, &app.code(0)).await);
            auth.unenroll(&raised, &app.id).await;
            let service = mainstay_testing::token::role("service_role");
            let log = auth
                .ask(
                    Method::GET,
                    "/admin/audit?query=type:factor",
                    Some(&service),
                    Value::Null,
                )
                .await;
            let mut actions: Vec<String> = log
                .json()
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| {
                    let payload = &entry["payload"];
                    assert_eq!(
                        (&payload["actor_id"], &payload["traits"]["factor_id"]),
                        (&json!(ann.id()), &json!(app.id))
                    );
                    payload["action"].as_str().unwrap().to_owned()
                })
                .collect();
            actions.sort_unstable();
            let (challenge, verified) = ("challenge_created", "verification_attempted");
            let expected = [
                challenge,
                challenge,
                challenge,
                "factor_in_progress",
                "factor_unenrolled",
                verified,
                verified,
            ];
            assert_eq!(actions, expected);
        },
    )
    .await;
}
