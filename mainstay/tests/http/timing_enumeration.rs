//! Nothing tells whether an address has an account: the same status, headers and text, and the same work. Work is
//! counted, not timed: the hashes that are computed are what takes the time.

use http::Method;
use mainstay_testing::{Answer, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, send};

/// Hashes of passwords that the server has computed.
pub async fn hashes(auth: &Auth) -> u64 {
    let text = auth
        .server
        .service()
        .send(Method::GET, "/metrics", &[], "")
        .await
        .text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("mainstay_password_hashes_total "));
    line.unwrap_or_else(|| panic!("no such counter: {text}"))
        .parse()
        .unwrap()
}

/// What an attacker sees of an answer: all but what no two answers have alike.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let (status, mut headers, text) = answer.comparable();
    headers.retain(|(name, _)| !name.starts_with("ratelimit"));
    (status, headers, text)
}

#[tokio::test]
async fn a_sign_in_tells_nothing_of_the_account() {
    on_each_engine(Project::new, async |_, auth: Auth| {
        let admin = auth.client(Some(&token::role("service_role")));
        let make = async |body: Value| {
            let made = send(&admin, Method::POST, "/admin/users", body).await;
            assert_eq!(made.status, 200, "{}", made.text());
            made.json()["id"].as_str().unwrap().to_owned()
        };
        auth.sign_up("known@example.com").await;
        let with = |email: &str| json!({"email": email, "password": PASSWORD, "email_confirm": true});
        make(json!({"email": "bare@example.com", "email_confirm": true})).await;
        make(json!({"email": "unconfirmed@example.com", "password": PASSWORD})).await;
        let banned = make(with("banned@example.com")).await;
        let body = json!({"ban_duration": "1h"});
        send(&admin, Method::PUT, &format!("/admin/users/{banned}"), body).await;
        let buried = make(with("buried@example.com")).await;
        let body = json!({"should_soft_delete": true});
        send(&admin, Method::DELETE, &format!("/admin/users/{buried}"), body).await;
        let deleted = make(with("deleted@example.com")).await;
        send(&admin, Method::DELETE, &format!("/admin/users/{deleted}"), json!({})).await;

        let mut first = None;
        for who in [
            "nobody@example.com",
            "known@example.com",
            "KNOWN@example.com ",
            "bare@example.com",
            "unconfirmed@example.com",
            "banned@example.com",
            "buried@example.com",
            "deleted@example.com",
            "no address",
        ] {
            let before = hashes(&auth).await;
            let answer = auth.try_sign_in(who, "wrong horse").await;
            assert_eq!(hashes(&auth).await - before, 1, "{who}");
            let seen = seen(&answer);
            assert_eq!((seen.0, answer.code()), (400, "invalid_credentials".to_owned()));
            match &first {
                None => first = Some(seen),
                Some(first) => assert_eq!(*first, seen, "{who}"),
            }
        }
        // Only the right password learns that the account is closed.
        for (who, code) in [
            ("unconfirmed@example.com", "email_not_confirmed"),
            ("banned@example.com", "user_banned"),
        ] {
            assert_eq!(auth.try_sign_in(who, PASSWORD).await.code(), code);
        }
    })
    .await;
}

#[tokio::test]
async fn a_sign_up_computes_as_much_whether_or_not_the_address_is_taken() {
    on_each_engine(Project::new, async |_, auth: Auth| {
        auth.sign_up("known@example.com").await;
        for who in ["known@example.com", "new@example.com"] {
            let before = hashes(&auth).await;
            auth.try_sign_up(who, json!({})).await;
            assert_eq!(hashes(&auth).await - before, 1, "{who}");
        }
        // What is refused for its form costs nothing, for whomever.
        for who in ["known@example.com", "other@example.com"] {
            let before = hashes(&auth).await;
            let answer = auth.post("/signup", json!({"email": who, "password": "x"})).await;
            assert_eq!(answer.code(), "weak_password");
            assert_eq!(hashes(&auth).await, before);
        }
    })
    .await;
}
