//! Links and invitations by an administrator.

use http::Method;
use mainstay_testing::{Answer, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, refusal, refused, session};
use crate::auth_mail::{Landing, on_each_engine_in_dev, project};

async fn generate(auth: &Auth, body: Value) -> Answer {
    let key = token::role("service_role");
    auth.ask(Method::POST, "/admin/generate_link", Some(&key), body).await
}

fn link_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn an_administrator_makes_links_of_every_type() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let made = link_of(&generate(&auth, json!({"type": "magiclink", "email": "Ann@example.com"})).await);
        assert_eq!(
            (made["id"].as_str(), made["verification_type"].as_str()),
            (Some(ann.id()), Some("magiclink"))
        );
        assert_eq!(made["redirect_to"], "https://shop.example");
        let hash = made["hashed_token"].as_str().unwrap();
        let action = made["action_link"].as_str().unwrap();
        let expected = format!(
            "{}/auth/v1/verify?token={hash}&type=magiclink&redirect_to=",
            auth.server.url
        );
        assert!(action.starts_with(&expected), "{action}");
        let in_by_hash = session(&auth.prove(json!({"type": "email", "token_hash": hash})).await);
        assert_eq!(in_by_hash.claims()["amr"][0]["method"], "otp");

        let made = link_of(&generate(&auth, json!({"type": "recovery", "email": "ann@example.com"})).await);
        let by_code = json!({"type": "recovery", "email": "ann@example.com", "token": made["email_otp"]});
        session(&auth.prove(by_code).await);

        // Somebody new.
        let made = link_of(&generate(&auth, json!({"type": "magiclink", "email": "bea@example.com"})).await);
        assert_eq!(made["verification_type"], "signup");
        let form = format!("token={}&type=signup", made["hashed_token"].as_str().unwrap());
        assert!(Landing::of(&auth.press(&form).await).fragment("access_token").is_some());
        let body = json!({"type": "signup", "email": "cid@example.com", "password": PASSWORD, "data": {"name": "Cid"},
                          "redirect_to": "https://app.example/welcome"});
        let made = link_of(&generate(&auth, body).await);
        assert_eq!(made["user_metadata"]["name"], "Cid");
        assert_eq!(made["redirect_to"], "https://app.example/welcome");
        assert_eq!(
            refusal(&auth.try_sign_in("cid@example.com", PASSWORD).await),
            refused(400, "email_not_confirmed")
        );
        let by_code = json!({"type": "signup", "email": "cid@example.com", "token": made["email_otp"]});
        session(&auth.prove(by_code).await);
        auth.sign_in("cid@example.com").await;
        let made = link_of(&generate(&auth, json!({"type": "invite", "email": "dan@example.com"})).await);
        assert!(made["invited_at"].is_string());
        session(
            &auth
                .prove(json!({"type": "invite", "token_hash": made["hashed_token"]}))
                .await,
        );

        // Both halves of a change of address.
        let change = |half: &str| json!({"type": half, "email": "ann@example.com", "new_email": "anna@example.com"});
        let current = link_of(&generate(&auth, change("email_change_current")).await);
        let new = link_of(&generate(&auth, change("email_change_new")).await);
        let half = auth
            .prove(json!({"type": "email_change", "token_hash": current["hashed_token"]}))
            .await;
        assert_eq!(half.json()["code"], "200", "{}", half.text());
        let changed = session(
            &auth
                .prove(json!({"type": "email_change", "token_hash": new["hashed_token"]}))
                .await,
        );
        assert_eq!(
            (changed.user["email"].as_str(), changed.id()),
            (Some("anna@example.com"), ann.id())
        );

        // Nothing of it was sent.
        assert_eq!(auth.mails().await.len(), 0);
        let refusals = [
            (
                json!({"type": "recovery", "email": "nobody@example.com"}),
                404,
                "user_not_found",
            ),
            (
                json!({"type": "email_change_new", "email": "nobody@example.com", "new_email": "x@example.com"}),
                404,
                "user_not_found",
            ),
            (
                json!({"type": "signup", "email": "cid@example.com", "password": PASSWORD}),
                422,
                "email_exists",
            ),
            (
                json!({"type": "invite", "email": "cid@example.com"}),
                422,
                "email_exists",
            ),
            (change_to_taken(), 422, "email_exists"),
            (
                json!({"type": "signup", "email": "eve@example.com"}),
                400,
                "validation_failed",
            ),
            (
                json!({"type": "signup", "email": "eve@example.com", "password": "x"}),
                422,
                "weak_password",
            ),
            (
                json!({"type": "sms", "email": "cid@example.com"}),
                400,
                "validation_failed",
            ),
            (
                json!({"type": "magiclink", "email": "nonsense"}),
                400,
                "validation_failed",
            ),
            (
                json!({"type": "magiclink", "email": ["cid@example.com"]}),
                400,
                "bad_json",
            ),
        ];
        for (body, status, code) in refusals {
            assert_eq!(
                refusal(&generate(&auth, body.clone()).await),
                refused(status, code),
                "{body}"
            );
        }
    })
    .await;
}

fn change_to_taken() -> Value {
    json!({"type": "email_change_new", "email": "cid@example.com", "new_email": "dan@example.com"})
}

#[tokio::test]
async fn an_invitation_is_sent_and_accepted() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let key = token::role("service_role");
        let invite = async |email: &str, data: Value| {
            let path = "/invite?redirect_to=https%3A%2F%2Fapp.example%2Fjoin";
            auth.ask(Method::POST, path, Some(&key), json!({"email": email, "data": data}))
                .await
        };
        let invited = link_of(&invite("bea@example.com", json!({"team": "red"})).await);
        assert!(invited["invited_at"].is_string() && invited["confirmation_sent_at"].is_string());
        let mail = auth.mail("bea@example.com").await;
        assert_eq!(
            (mail.kind.as_str(), mail.parameter("type").as_str()),
            ("invite", "invite")
        );
        // Again, and the first one is void.
        invite("bea@example.com", json!({})).await;
        assert_eq!(
            auth.follow(&mail).await.fragment("error_code").as_deref(),
            Some("otp_expired")
        );
        let landing = auth.follow(&auth.mail("bea@example.com").await).await;
        assert_eq!(landing.page(), "https://app.example/join");
        assert_eq!(landing.fragment("type").as_deref(), Some("invite"));
        let bea = auth.user(&landing.fragment("access_token").unwrap()).await.json();
        assert_eq!(
            (&bea["user_metadata"]["team"], &bea["id"]),
            (&json!("red"), &invited["id"])
        );
        assert_eq!(
            refusal(&invite("bea@example.com", json!({})).await),
            refused(422, "email_exists")
        );
        assert_eq!(
            refusal(&invite("bea", json!({})).await),
            refused(400, "validation_failed")
        );
    })
    .await;
}
