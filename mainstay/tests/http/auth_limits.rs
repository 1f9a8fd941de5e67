//! How often one address, and one account, may try.

use http::Method;
use mainstay_testing::{Answer, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, send, session};

/// Addresses are those that a trusted proxy names; the tests' own is on this machine, and is not counted.
fn project() -> Project {
    Project::new().config(
        "[mainstay.limits]\ntrusted_proxies = [\"127.0.0.1\"]\nexempt = [\"203.0.113.0/24\"]\n\
         [auth]\nenable_anonymous_sign_ins = true\n\
         [auth.rate_limit]\nsign_in_sign_ups = 3\ntoken_refresh = 2\nanonymous_users = 2",
    )
}

async fn from(auth: &Auth, address: &str, path: &str, body: Value) -> Answer {
    let client = auth.client(None).with("x-forwarded-for", address);
    send(&client, Method::POST, path, body).await
}

#[tokio::test]
async fn an_address_signs_in_and_up_so_often() {
    on_each_engine(project, async |_, auth: Auth| {
        let (sign_up, sign_in) = ("/signup", "/token?grant_type=password");
        let body = |email: &str| json!({"email": email, "password": PASSWORD});
        for email in ["a@example.com", "b@example.com"] {
            session(&from(&auth, "192.0.2.1", sign_up, body(email)).await);
        }
        session(&from(&auth, "192.0.2.1", sign_in, body("a@example.com")).await);
        for path in [sign_in, sign_up] {
            let answer = from(&auth, "192.0.2.1", path, body("a@example.com")).await;
            assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
            assert_eq!(answer.json()["message"], "Request rate limit reached");
            let wait: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=101).contains(&wait), "{wait}");
        }
        // Another address, an exempt one, and this machine go on.
        session(&from(&auth, "192.0.2.2", sign_in, body("a@example.com")).await);
        for _ in 0..5 {
            session(&from(&auth, "203.0.113.7", sign_in, body("a@example.com")).await);
            auth.sign_in("a@example.com").await;
        }
        // What somebody behind the proxy says of itself is not believed.
        let client = auth.client(None).with("x-forwarded-for", "192.0.2.99, 192.0.2.1");
        let answer = send(&client, Method::POST, sign_in, body("a@example.com")).await;
        assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
    })
    .await;
}

#[tokio::test]
async fn refreshes_and_anonymous_users_have_limits_of_their_own() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let refresh = "/token?grant_type=refresh_token";
        let mut last = ann.refresh_token.clone();
        for _ in 0..2 {
            last = session(&from(&auth, "192.0.2.1", refresh, json!({"refresh_token": last})).await).refresh_token;
        }
        let answer = from(&auth, "192.0.2.1", refresh, json!({"refresh_token": last})).await;
        assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
        for _ in 0..2 {
            session(&from(&auth, "192.0.2.1", "/signup", json!({})).await);
        }
        let answer = from(&auth, "192.0.2.1", "/signup", json!({})).await;
        assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
        // The token was not used up by the refusal.
        session(&auth.refresh(&last).await);
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        session(&from(&auth, "192.0.2.1", "/token?grant_type=password", body).await);
    })
    .await;
}

#[tokio::test]
async fn an_account_takes_so_many_wrong_passwords_whether_or_not_it_is_one() {
    on_each_engine(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        auth.sign_up("bob@example.com").await;
        let mut answers = Vec::new();
        for email in ["ann@example.com", "nobody@example.com"] {
            for _ in 0..60 {
                let answer = auth.try_sign_in(email, "wrong").await;
                assert_eq!(refusal(&answer), refused(400, "invalid_credentials"));
            }
            // Spelt otherwise it is the same account.
            let answer = auth.try_sign_in(&email.to_uppercase(), PASSWORD).await;
            assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"), "{email}");
            answers.push(answer.text());
        }
        assert_eq!(answers[0], answers[1]);
        auth.sign_in("bob@example.com").await;
    })
    .await;
}
