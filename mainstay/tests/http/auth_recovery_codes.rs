//! Recovery codes: what raises a session when the second factor is lost.

use futures_util::future::join_all;
use http::Method;
use mainstay_testing::Answer;
use serde_json::{Value, json};

use crate::auth::{Auth, Session, on_each_engine, refusal, refused, session};
use crate::auth_factors::project;

const PATH: &str = "/factors/recovery-codes";

impl Auth {
    async fn codes(&self, of: &Session, method: Method, end: &str, body: Value) -> Answer {
        self.as_user(of, method, &format!("{PATH}{end}"), body).await
    }

    async fn redeem(&self, of: &Session, code: &str) -> Answer {
        self.codes(of, Method::POST, "/verify", json!({"code": code})).await
    }
}

fn codes_of(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["type"], &body["total"]), (&json!("recovery_code"), &json!(10)));
    let codes = body["codes"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_code_raises_a_session_once() {
    on_each_engine(project, async |_, mut auth: Auth| {
        let (ann, app) = auth.enrolled("ann@example.com").await;
        let none = auth.codes(&ann, Method::GET, "", Value::Null).await;
        assert_eq!(refusal(&none), refused(404, "mfa_factor_not_found"));
        let made = auth.codes(&ann, Method::POST, "", Value::Null).await;
        let codes = codes_of(&made);
        assert_eq!((codes.len(), codes[0].len()), (10, 16));
        assert_eq!(made.json()["friendly_name"], "Recovery codes");
        let status = async |of: &Session| auth.codes(of, Method::GET, "", Value::Null).await.json();
        assert_eq!(
            status(&ann).await,
            json!({"id": made.json()["id"], "type": "recovery_code", "total": 10, "remaining": 10})
        );
        // It stands among the factors, and no answer but its own has the codes.
        let user = auth.user(&ann.access_token).await;
        assert_eq!(user.json()["factors"][1]["factor_type"], "recovery_code");
        assert!(!codes.iter().any(|code| user.text().contains(code)));
        let again = auth
            .codes(&ann, Method::POST, "", json!({"friendly_name": "more"}))
            .await;
        assert_eq!(refusal(&again), refused(422, "mfa_verified_factor_exists"));

        let low = auth.sign_in("ann@example.com").await;
        for (method, end) in [(Method::POST, "/regenerate"), (Method::DELETE, ""), (Method::POST, "")] {
            let answer = auth.codes(&low, method, end, Value::Null).await;
            assert_eq!(refusal(&answer), refused(403, "insufficient_aal"), "{end}");
        }
        assert_eq!(status(&low).await["remaining"], 10);
        // However it is typed.
        let typed = format!(" {}-{} ", codes[0][..8].to_uppercase(), &codes[0][8..]);
        let raised = session(&auth.redeem(&low, &typed).await);
        let claims = raised.claims();
        assert_eq!(
            (&claims["aal"], &claims["amr"][0]["method"]),
            (&json!("aal2"), &json!("mfa/recovery_code"))
        );
        let old = auth.refresh(&low.refresh_token).await;
        assert_eq!(refusal(&old), refused(400, "refresh_token_not_found"));
        assert_eq!(status(&raised).await["remaining"], 9);
        auth.server.kill();
        auth.server.run().unwrap();
        let low = auth.sign_in("ann@example.com").await;
        let again = auth.redeem(&low, &codes[0]).await;
        assert_eq!(refusal(&again), refused(422, "mfa_verification_failed"));
        session(&auth.redeem(&low, &codes[1]).await);

        let next = codes_of(&auth.codes(&raised, Method::POST, "/regenerate", Value::Null).await);
        assert!(next.iter().all(|code| !codes.contains(code)));
        let low = auth.sign_in("ann@example.com").await;
        let old = auth.redeem(&low, &codes[2]).await;
        assert_eq!(refusal(&old), refused(422, "mfa_verification_failed"));
        let answers = join_all((0..8).map(|_| auth.redeem(&low, &next[0]))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);

        // They go with the last other factor, and lower what they raised.
        let (refresh, id) = (raised.refresh_token.clone(), &app.id);
        let gone = auth
            .as_user(&raised, Method::DELETE, &format!("/factors/{id}"), Value::Null)
            .await;
        assert_eq!(gone.status, 200, "{}", gone.text());
        let lowered = session(&auth.refresh(&refresh).await);
        assert_eq!(lowered.claims()["aal"], "aal1");
        assert!(lowered.user.get("factors").is_none());
        let none = auth.codes(&lowered, Method::GET, "", Value::Null).await;
        assert_eq!(refusal(&none), refused(404, "mfa_factor_not_found"));
        let log = auth.log().await;
        assert!(!codes.iter().chain(&next).any(|code| log.contains(code)), "{log}");
    })
    .await;
}

#[tokio::test]
async fn codes_stand_beside_a_factor_and_belong_to_one_user() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let sole = auth.codes(&ann, Method::POST, "", Value::Null).await;
        assert_eq!(refusal(&sole), refused(403, "insufficient_aal"));
        let (bob, _) = auth.enrolled("bob@example.com").await;
        let made = auth
            .codes(&bob, Method::POST, "", json!({"friendly_name": "drawer"}))
            .await;
        let bobs = codes_of(&made);
        let (eve, app) = auth.enrolled("eve@example.com").await;
        codes_of(&auth.codes(&eve, Method::POST, "", Value::Null).await);
        let low = auth.sign_in("eve@example.com").await;
        let foreign = auth.redeem(&low, &bobs[0]).await;
        assert_eq!(refusal(&foreign), refused(422, "mfa_verification_failed"));
        // Whoever has no codes is answered the same.
        let none = auth.redeem(&ann, &bobs[0]).await;
        assert_eq!((none.status, none.text()), (foreign.status, foreign.text()));
        for (body, code) in [(json!({}), "validation_failed"), (json!({"code": [1]}), "bad_json")] {
            let answer = auth.codes(&low, Method::POST, "/verify", body).await;
            assert_eq!(refusal(&answer), refused(400, code));
        }
        // Guesses end, and leave the app as it is.
        for _ in 0..4 {
            let answer = auth.redeem(&low, "0000000000000000").await;
            assert_eq!(refusal(&answer), refused(422, "mfa_verification_failed"));
        }
        let locked = auth.redeem(&low, "0000000000000000").await;
        assert_eq!(refusal(&locked), refused(429, "mfa_recovery_codes_locked"));
        assert!(!locked.header("retry-after").is_empty());
        session(&auth.verify(&low, &app, &app.code(0)).await);
        session(&auth.redeem(&auth.sign_in("bob@example.com").await, &bobs[0]).await);

        let id = made.json()["id"].as_str().unwrap().to_owned();
        let low = auth.sign_in("bob@example.com").await;
        let high = session(&auth.redeem(&low, &bobs[1]).await);
        let wire = auth.challenge(&high, &id).await;
        assert_eq!(refusal(&wire), refused(400, "validation_failed"));
        let gone = auth.codes(&high, Method::DELETE, "", Value::Null).await;
        assert_eq!(gone.json(), json!({"id": id}));
        assert_eq!(
            session(&auth.refresh(&high.refresh_token).await).claims()["aal"],
            "aal1"
        );
    })
    .await;
    let off = || project().config("[auth.mfa.recovery_codes]\nenroll_enabled = false\nverify_enabled = false");
    on_each_engine(off, async |_, auth: Auth| {
        let (ann, _) = auth.enrolled("ann@example.com").await;
        let make = auth.codes(&ann, Method::POST, "", Value::Null).await;
        assert_eq!(refusal(&make), refused(422, "mfa_recovery_codes_enroll_not_enabled"));
        let redeem = auth.redeem(&ann, "0000000000000000").await;
        assert_eq!(refusal(&redeem), refused(422, "mfa_recovery_codes_verify_not_enabled"));
    })
    .await;
}
