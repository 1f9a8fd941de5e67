//! Security suite `passkeys`: whose passkeys there may be, and what becomes of them.

use futures_util::future::join_all;
use http::Method;
use mainstay_testing::Project;
use serde_json::{Value, json};

use crate::auth::{Auth, on_each_engine, refusal, refused, send, session};
use crate::auth_passkeys::{SCHEMA, SETTINGS, project, wrong};
use crate::oauth::{Browser, implicit, landed};
use crate::oauth_provider::{Person, Provider};
use crate::security_key::{SecurityKey, with_client_data};

#[tokio::test]
async fn a_user_has_so_many_and_a_key_one_user() {
    let few = || Project::of(SCHEMA).config(&SETTINGS.replace("true", "true\nmax_passkeys_per_user = 2"));
    on_each_engine(few, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let mut first = SecurityKey::new();
        let asked = auth.ask_passkey(&ann).await.json();
        let made = first.make(&asked["options"]).await;
        assert_eq!(
            auth.make_passkey(&ann, &asked["challenge_id"], made.clone())
                .await
                .status,
            200
        );

        // Nobody vouches for a key, so whoever has seen one can say that it is theirs, too.
        let asked = auth.ask_passkey(&bob).await.json();
        let stolen = with_client_data(&made, "challenge", asked["options"]["challenge"].clone());
        let answer = auth.make_passkey(&bob, &asked["challenge_id"], stolen).await;
        assert_eq!(refusal(&answer), refused(422, "webauthn_credential_exists"));
        assert_eq!(session(&auth.sign_in_by(&mut first).await).id(), ann.id());
        // At once as well.
        let mut asked = Vec::new();
        let mut fresh = SecurityKey::new();
        let mut made = Value::Null;
        for of in [&ann, &bob] {
            let question = auth.ask_passkey(of).await.json();
            if made.is_null() {
                made = fresh.make(&question["options"]).await;
            }
            let own = with_client_data(&made, "challenge", question["options"]["challenge"].clone());
            asked.push((of, question["challenge_id"].clone(), own));
        }
        let answers = join_all(asked.iter().map(|(of, id, own)| auth.make_passkey(of, id, own.clone()))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(refusal(answer), refused(422, "webauthn_credential_exists"));
        }

        // Two and no more, whether one asks before or after.
        let cid = auth.sign_up("cid@example.com").await;
        let mut waiting = Vec::new();
        for _ in 0..5 {
            let question = auth.ask_passkey(&cid).await.json();
            let made = SecurityKey::new().make(&question["options"]).await;
            waiting.push((question["challenge_id"].clone(), made));
        }
        let answers = join_all(
            waiting
                .iter()
                .map(|(id, made)| auth.make_passkey(&cid, id, made.clone())),
        )
        .await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 2);
        let many = refused(422, "too_many_passkeys");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(refusal(answer), many);
        }
        assert_eq!(refusal(&auth.ask_passkey(&cid).await), many);
    })
    .await;
}

#[tokio::test]
async fn who_may_not_sign_in_otherwise_may_not_by_passkey() {
    let settings = "[auth]\nenable_anonymous_sign_ins = true";
    on_each_engine(
        || project().config(settings),
        async |_, auth: Auth| {
            let nobody = session(&auth.post("/signup", json!({})).await);
            assert_eq!(
                refusal(&auth.ask_passkey(&nobody).await),
                refused(403, "no_authorization")
            );
            let answer = auth.make_passkey(&nobody, &json!("x"), json!({})).await;
            assert_eq!(refusal(&answer), refused(403, "no_authorization"));

            let ann = auth.sign_up("ann@example.com").await;
            let mut key = SecurityKey::new();
            auth.add_passkey(&ann, &mut key).await;
            // An ended session makes none.
            let late = auth.ask_passkey(&ann).await.json();
            let made = SecurityKey::new().make(&late["options"]).await;
            auth.ask(
                Method::POST,
                "/logout?scope=global",
                Some(&ann.access_token),
                Value::Null,
            )
            .await;
            let answer = auth.make_passkey(&ann, &late["challenge_id"], made).await;
            assert_eq!(refusal(&answer), refused(403, "session_not_found"));

            let user = format!("/admin/users/{}", ann.id());
            let ban = async |duration: &str| {
                let banned = auth.admin(Method::PUT, &user, json!({"ban_duration": duration})).await;
                assert_eq!(banned.status, 200, "{}", banned.text());
            };
            ban("1h").await;
            let sessions = auth.call("kept", json!({})).await["sessions"].clone();
            assert_eq!(refusal(&auth.sign_in_by(&mut key).await), refused(403, "user_banned"));
            // Without the key nobody is told.
            let asked = auth.ask_to_sign_in().await;
            let mut signed = key.clone().sign(&asked["options"]).await;
            signed["response"]["signature"] = json!("AAAA");
            assert_eq!(
                refusal(&auth.answer_passkey(&asked["challenge_id"], &signed).await),
                wrong()
            );
            ban("none").await;
            auth.call("unconfirm", json!({"who": ann.id()})).await;
            assert_eq!(
                refusal(&auth.sign_in_by(&mut key).await),
                refused(403, "email_not_confirmed")
            );
            assert_eq!(auth.call("kept", json!({})).await["sessions"], sessions);
            let confirmed = auth.admin(Method::PUT, &user, json!({"email_confirm": true})).await;
            assert_eq!(confirmed.status, 200, "{}", confirmed.text());
            session(&auth.sign_in_by(&mut key).await);

            // Whoever leaves a row without a name leaves no passkey.
            let body = json!({"should_soft_delete": true});
            assert_eq!(auth.admin(Method::DELETE, &user, body).await.status, 200);
            assert_eq!(refusal(&auth.sign_in_by(&mut key).await), wrong());
            assert_eq!(auth.call("kept", json!({})).await["passkeys"], json!([]));
            let bob = auth.sign_up("bob@example.com").await;
            auth.add_passkey(&bob, &mut key).await;
            let user = format!("/admin/users/{}", bob.id());
            assert_eq!(auth.admin(Method::DELETE, &user, json!({})).await.status, 200);
            assert_eq!(refusal(&auth.sign_in_by(&mut key).await), wrong());
        },
    )
    .await;
}

#[tokio::test]
async fn with_a_second_factor_passkeys_change_at_the_second_level() {
    on_each_engine(
        || Project::of(SCHEMA).config(SETTINGS),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            let mut key = SecurityKey::new();
            let passkey = auth.add_passkey(&ann, &mut key).await;
            let early = auth.ask_passkey(&ann).await.json();
            let app = auth.enroll(&ann, "phone").await;
            let raised = session(&auth.verify(&ann, &app, &app.code(0)).await);

            // A passkey is a first factor: the second one is still asked for.
            let low = session(&auth.sign_in_by(&mut key).await);
            assert_eq!(low.claims()["aal"], "aal1");
            let needs = refused(403, "insufficient_aal");
            assert_eq!(refusal(&auth.ask_passkey(&low).await), needs);
            let made = SecurityKey::new().make(&early["options"]).await;
            let answer = auth.make_passkey(&low, &early["challenge_id"], made).await;
            assert_eq!(refusal(&answer), needs);
            let own = format!("/passkeys/{}", passkey["id"].as_str().unwrap());
            let answer = auth
                .ask(Method::DELETE, &own, Some(&low.access_token), Value::Null)
                .await;
            assert_eq!(refusal(&answer), needs);
            assert_eq!(auth.passkeys(&low).await.as_array().unwrap().len(), 1);

            let high = session(&auth.verify(&low, &app, &app.code(1)).await);
            let amr = high.claims()["amr"].clone();
            assert_eq!(
                (&amr[0]["method"], &amr[1]["method"]),
                (&json!("totp"), &json!("passkey"))
            );
            auth.add_passkey(&raised, &mut SecurityKey::new()).await;
            let answer = auth
                .ask(Method::DELETE, &own, Some(&high.access_token), Value::Null)
                .await;
            assert_eq!(answer.status, 204);
        },
    )
    .await;
}

#[tokio::test]
async fn whoever_only_wrote_the_address_keeps_no_passkey_of_its_owners_account() {
    let provider = Provider::start().await;
    on_each_engine(
        || crate::oauth::project(&provider, "").migration(SCHEMA).config(SETTINGS),
        async |_, auth: Auth| {
            let mallory = auth.sign_up("victim@example.com").await;
            let mut planted = SecurityKey::new();
            auth.add_passkey(&mallory, &mut planted).await;
            let waiting = auth.ask_passkey(&mallory).await.json();
            let owner = Person::new("the owner", "victim@example.com", true);
            let end = Browser::default()
                .sign_in(&auth, &provider, &implicit("custom:acme"), &owner)
                .await;
            let owned = landed(&auth, &end).await;
            assert_eq!(owned.id(), mallory.id());
            assert_eq!(auth.passkeys(&owned).await, json!([]));
            assert_eq!(refusal(&auth.sign_in_by(&mut planted).await), wrong());
            // Nor is a question left open, even in a session of the owner's.
            let made = SecurityKey::new().make(&waiting["options"]).await;
            let answer = auth.make_passkey(&owned, &waiting["challenge_id"], made).await;
            assert_eq!(refusal(&answer), refused(400, "webauthn_challenge_not_found"));
        },
    )
    .await;
}

#[tokio::test]
async fn an_address_asks_and_answers_so_often() {
    let proxied = || project().config("[mainstay.limits]\ntrusted_proxies = [\"127.0.0.1\"]");
    on_each_engine(proxied, async |_, auth: Auth| {
        let there = auth.client(None).with("x-forwarded-for", "192.0.2.8");
        for path in ["/passkeys/authentication/options", "/passkeys/authentication/verify"] {
            for _ in 0..30 {
                let answer = send(&there, Method::POST, path, json!({})).await;
                assert_ne!(answer.status, 429);
            }
            let answer = send(&there, Method::POST, path, json!({})).await;
            assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
            assert!(!answer.header("retry-after").is_empty());
        }
        auth.ask_to_sign_in().await;
    })
    .await;
}
