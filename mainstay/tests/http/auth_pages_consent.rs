//! The page on which people are asked what applications of others may, where the project has none of its own.

use http::Method;
use mainstay_testing::{Answer, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session};
use crate::auth_mail::on_each_engine_in_dev;
use crate::oauth::{CHALLENGE, VERIFIER};
use crate::oauth_provider::{encoded, query};
use crate::page_browser::{Browser, between, sent_to};

const HOME: &str = "https://client.example/callback";

fn project() -> Project {
    Project::new().config(
        "[auth]\nsite_url = \"https://shop.example\"\n\
         [auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\n",
    )
}

async fn register(auth: &Auth) -> String {
    let body = json!({"redirect_uris": [HOME], "token_endpoint_auth_method": "none",
                      "client_name": "Reader <script>alert(1)</script>"});
    let made = auth.post("/oauth/clients/register", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["client_id"].as_str().unwrap().to_owned()
}

/// Goes to where the application sends its users. The answer leads to the page.
async fn begin(auth: &Auth, client: &str) -> String {
    let pairs = [
        ("client_id", client),
        ("redirect_uri", HOME),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "the state"),
        ("scope", "openid email"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = auth
        .ask(
            Method::GET,
            &format!("/oauth/authorize?{}", encoded(&pairs)),
            None,
            Value::Null,
        )
        .await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    let to = answer.header("location");
    let prefix = format!("{}/auth/v1/pages/consent?authorization_id=", auth.server.url);
    assert!(to.starts_with(&prefix), "{to}");
    to.strip_prefix(&auth.server.url).unwrap().to_owned()
}

async fn redeem(auth: &Auth, client: &str, code: &str) -> Answer {
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", HOME),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let client = auth.server.anonymous();
    client
        .send(Method::POST, "/auth/v1/oauth/token", &headers, encoded(&pairs))
        .await
}

#[tokio::test]
async fn somebody_signs_in_is_asked_and_answers() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let client = register(&auth).await;
        let consent = begin(&auth, &client).await;
        let mut browser = Browser::new(&auth);
        let away = browser.open(&consent).await;
        assert_eq!(sent_to(&away), "sign-in");
        let sign_in = away.header("location").to_owned();
        browser.open(&sign_in).await;
        let signed = browser
            .submit(&sign_in, &[("email", "ann@example.com"), ("password", PASSWORD)])
            .await;
        assert_eq!(sent_to(&signed), "consent");
        let to = signed.header("location").to_owned();
        let asked = browser.open(&to).await;
        assert_eq!(asked.status, 200, "{}", asked.text());
        let html = asked.text();
        assert!(
            html.contains("Reader &lt;script&gt;") && !html.contains("<script"),
            "{html}"
        );
        for part in [
            "ann@example.com",
            "see your e-mail address",
            "know which account is yours",
            "client.example",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(
            asked
                .header("content-security-policy")
                .contains("form-action 'self' https://client.example;")
        );
        assert_eq!(browser.submit(&to, &[("action", "perhaps")]).await.status, 400);
        browser.open(&to).await;

        // Another browser, another user: the question is not theirs.
        auth.sign_up("bob@example.com").await;
        let mut other = Browser::new(&auth);
        other.sign_in("?next=account", "bob@example.com", PASSWORD).await;
        assert_eq!(other.open(&to).await.status, 404);
        // Nor does a form of another site answer for her.
        let form = format!("action=approve&form_token={}", browser.form_token());
        let forged = browser
            .send(Method::POST, &to, &[("sec-fetch-site", "cross-site")], &form)
            .await;
        assert_eq!(forged.status, 403);

        let agreed = browser.submit(&to, &[("action", "approve")]).await;
        assert_eq!(agreed.status, 303, "{}", agreed.text());
        let told = query(agreed.header("location"));
        assert!(agreed.header("location").starts_with(HOME));
        assert_eq!(told["state"], "the state");
        let tokens = redeem(&auth, &client, &told["code"]).await;
        assert_eq!(tokens.status, 200, "{}", tokens.text());
        let access = tokens.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(auth.user(&access).await.json()["email"], "ann@example.com");

        // Agreed before: nobody is asked again.
        let again = begin(&auth, &client).await;
        let known = browser.open(&again).await;
        assert_eq!(known.status, 200);
        let go = between(&known.text(), "http-equiv=\"refresh\" content=\"0; url=", "\"").replace("&amp;", "&");
        assert_eq!(redeem(&auth, &client, &query(&go)["code"]).await.status, 200);

        // Taken back on the account page, the application's tokens are worth nothing.
        browser.open("account").await;
        assert!(browser.page.contains("Reader &lt;script&gt;"));
        // Its session is told by that, and not as a place where she is signed in.
        let acting = Session {
            access_token: access.clone(),
            refresh_token: String::new(),
            user: Value::Null,
        };
        let id = acting.claims()["session_id"].as_str().unwrap().to_owned();
        assert!(!browser.page.contains(&id) && browser.page.contains("This browser"));
        let revoked = browser
            .submit("account", &[("action", "revoke"), ("client", &client)])
            .await;
        assert_eq!(sent_to(&revoked), "account");
        assert_eq!(auth.user(&access).await.status, 403);

        let third = begin(&auth, &client).await;
        browser.open(&third).await;
        let denied = browser.submit(&third, &[("action", "deny")]).await;
        assert_eq!(query(denied.header("location"))["error"], "access_denied");
        assert_eq!(browser.open(&third).await.status, 400, "answered already");
        assert_eq!(browser.open("consent?authorization_id=x").await.status, 404);
        assert_eq!(browser.open("consent").await.status, 404);
    })
    .await;
}
