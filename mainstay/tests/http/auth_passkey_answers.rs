//! Security suite `passkeys`: which answers of an authenticator count.

use futures_util::future::join_all;
use mainstay_testing::Answer;
use serde_json::{Value, json};

use crate::auth::{Auth, on_each_engine, refusal, refused, session};
use crate::auth_passkeys::{project, wrong};
use crate::security_key::{SecurityKey, decoded, encoded, with_client_data};

#[tokio::test]
async fn a_challenge_is_answered_once_in_time_and_by_whom_it_was_made_for() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let mut key = SecurityKey::new();
        let missing = refused(400, "webauthn_challenge_not_found");

        // Somebody else's question, answered by one's own key.
        let asked = auth.ask_passkey(&ann).await.json();
        let made = SecurityKey::new().make(&asked["options"]).await;
        let answer = auth.make_passkey(&bob, &asked["challenge_id"], made).await;
        assert_eq!(refusal(&answer), missing);
        assert_eq!(auth.passkeys(&bob).await, json!([]));
        // It is still there for whom it was made; a second answer is none.
        let made = key.make(&asked["options"]).await;
        let answer = auth.make_passkey(&ann, &asked["challenge_id"], made.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = auth.make_passkey(&ann, &asked["challenge_id"], made).await;
        assert_eq!(refusal(&answer), missing);

        let asked = auth.ask_to_sign_in().await;
        let signed = key.sign(&asked["options"]).await;
        session(&auth.answer_passkey(&asked["challenge_id"], &signed).await);
        let replay = auth.answer_passkey(&asked["challenge_id"], &signed).await;
        assert_eq!(refusal(&replay), missing);
        assert_eq!(replay.json()["message"], "Challenge not found or already used");

        // An answer to another question, and a question of the other kind.
        let (one, other) = (auth.ask_to_sign_in().await, auth.ask_to_sign_in().await);
        let signed = key.sign(&one["options"]).await;
        assert_eq!(
            refusal(&auth.answer_passkey(&other["challenge_id"], &signed).await),
            wrong()
        );
        // Wrong or not, it was the one answer.
        let signed = key.sign(&other["options"]).await;
        assert_eq!(
            refusal(&auth.answer_passkey(&other["challenge_id"], &signed).await),
            missing
        );
        let registration = auth.ask_passkey(&ann).await.json();
        let answer = auth.answer_passkey(&registration["challenge_id"], &signed).await;
        assert_eq!(refusal(&answer), missing);
        let made = SecurityKey::new().make(&registration["options"]).await;
        let answer = auth.make_passkey(&ann, &one["challenge_id"], made).await;
        assert_eq!(refusal(&answer), missing);

        // Too late.
        let late = auth.ask_to_sign_in().await;
        let late_passkey = auth.ask_passkey(&ann).await.json();
        auth.call("age_passkey_challenges", json!({"seconds": 299})).await;
        let signed = key.sign(&late["options"]).await;
        auth.call("age_passkey_challenges", json!({"seconds": 2})).await;
        let answer = auth.answer_passkey(&late["challenge_id"], &signed).await;
        assert_eq!(refusal(&answer), refused(400, "webauthn_challenge_expired"));
        let answer = auth.answer_passkey(&late["challenge_id"], &signed).await;
        assert_eq!(refusal(&answer), missing);
        let made = SecurityKey::new().make(&late_passkey["options"]).await;
        let answer = auth.make_passkey(&ann, &late_passkey["challenge_id"], made).await;
        assert_eq!(refusal(&answer), refused(400, "webauthn_challenge_expired"));

        let fresh = auth.ask_to_sign_in().await;
        for (challenge, credential, code) in [
            (Value::Null, signed.clone(), "validation_failed"),
            (json!(""), signed.clone(), "validation_failed"),
            (json!("x"), signed.clone(), "validation_failed"),
            (fresh["challenge_id"].clone(), Value::Null, "validation_failed"),
            (
                json!("aaaaaaaa-0000-4000-8000-000000000009"),
                signed.clone(),
                "webauthn_challenge_not_found",
            ),
            (
                fresh["challenge_id"].clone(),
                json!({"id": "x"}),
                "webauthn_verification_failed",
            ),
        ] {
            let answer = auth.answer_passkey(&challenge, &credential).await;
            assert_eq!(refusal(&answer), refused(400, code), "{challenge} {credential}");
        }
        assert_eq!(auth.passkeys(&ann).await.as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_signed_elsewhere_otherwise_or_by_somebody_else_does_not_count() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let (mut key, mut bobs) = (SecurityKey::new(), SecurityKey::new());
        auth.add_passkey(&ann, &mut key).await;
        auth.add_passkey(&bob, &mut bobs).await;
        let refuse = async |what: &str, change: &dyn Fn(Value) -> Value| {
            let asked = auth.ask_to_sign_in().await;
            let signed = key.clone().sign(&asked["options"]).await;
            let answer = auth.answer_passkey(&asked["challenge_id"], &change(signed)).await;
            assert_eq!(refusal(&answer), wrong(), "{what}");
            assert!(
                answer.json()["message"].as_str().unwrap().len() < 40,
                "it says no more than that"
            );
        };
        refuse("not a signature", &|mut signed| {
            signed["response"]["signature"] = json!("AAAA");
            signed
        })
        .await;
        refuse("another origin than was signed", &|signed| {
            with_client_data(&signed, "origin", json!("https://app.shop.example"))
        })
        .await;
        refuse("another ceremony", &|signed| {
            with_client_data(&signed, "type", json!("webauthn.create"))
        })
        .await;
        refuse("within another site's page", &|signed| {
            with_client_data(&signed, "crossOrigin", json!(true))
        })
        .await;
        refuse("the user not verified", &|mut signed| {
            let mut data = decoded(&signed["response"]["authenticatorData"]);
            data[32] &= !4;
            signed["response"]["authenticatorData"] = json!(encoded(&data));
            signed
        })
        .await;
        refuse("somebody else named", &|mut signed| {
            signed["response"]["userHandle"] = json!(encoded(bob.id().as_bytes()));
            signed
        })
        .await;
        refuse("nobody named", &|mut signed| {
            signed["response"].as_object_mut().unwrap().remove("userHandle");
            signed
        })
        .await;
        refuse("the id of another's key", &|mut signed| {
            signed["rawId"] = json!(encoded(&[7; 16]));
            signed
        })
        .await;

        // Signed as it should be, on a page that is not one of the shop's, and for a name that is not the shop's.
        for (origin, party) in [
            ("https://evil.shop.example", "shop.example"),
            ("https://shop.example:8443", "shop.example"),
            ("https://app.shop.example", "app.shop.example"),
            ("https://other.example", "other.example"),
        ] {
            let mut copy = key.clone();
            origin.clone_into(&mut copy.origin);
            let mut asked = auth.ask_to_sign_in().await;
            asked["options"]["rpId"] = json!(party);
            let signed = copy.sign(&asked["options"]).await;
            let answer = auth.answer_passkey(&asked["challenge_id"], &signed).await;
            assert_eq!(refusal(&answer), wrong(), "{origin} {party}");

            let mut asked = auth.ask_passkey(&ann).await.json();
            asked["options"]["rp"]["id"] = json!(party);
            let mut other = SecurityKey {
                origin: origin.into(),
                ..SecurityKey::new()
            };
            let made = other.make(&asked["options"]).await;
            let answer = auth.make_passkey(&ann, &asked["challenge_id"], made).await;
            assert_eq!(refusal(&answer), wrong(), "{origin} {party}");
        }
        // The application's other page is one of its own.
        let mut on_app = key.clone();
        "https://app.shop.example".clone_into(&mut on_app.origin);
        session(&auth.sign_in_by(&mut on_app).await);

        // A key that is content with a touch is none that signs in by itself.
        let mut asked = auth.ask_passkey(&ann).await.json();
        asked["options"]["authenticatorSelection"]["userVerification"] = json!("discouraged");
        let made = SecurityKey::plain().make(&asked["options"]).await;
        let answer = auth.make_passkey(&ann, &asked["challenge_id"], made).await;
        assert_eq!(refusal(&answer), wrong());
        let mut asked = auth.ask_to_sign_in().await;
        asked["options"]["userVerification"] = json!("discouraged");
        let mut touched = on_app.clone();
        touched.verifies = false;
        let signed = touched.sign(&asked["options"]).await;
        assert_eq!(
            refusal(&auth.answer_passkey(&asked["challenge_id"], &signed).await),
            wrong()
        );
        assert_eq!(auth.passkeys(&ann).await.as_array().unwrap().len(), 1);
        let log = auth.log().await;
        assert!(!log.contains("panicked"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn a_copy_of_a_key_is_found_by_its_count() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let mut key = SecurityKey::new();
        auth.add_passkey(&ann, &mut key).await;
        session(&auth.sign_in_by(&mut key).await);
        let mut copy = key.clone();
        session(&auth.sign_in_by(&mut key).await);
        session(&auth.sign_in_by(&mut key).await);
        // It counts from where it was taken.
        for _ in 0..2 {
            assert_eq!(refusal(&auth.sign_in_by(&mut copy).await), wrong());
        }
        assert_eq!(auth.call("kept", json!({})).await["passkeys"][0]["count"], 3);
        session(&auth.sign_in_by(&mut key).await);

        // Two at once with one count, each with a question of its own: one of them is right.
        let mut answers = Vec::new();
        for _ in 0..5 {
            let asked = auth.ask_to_sign_in().await;
            let signed = key.clone().sign(&asked["options"]).await;
            answers.push((asked["challenge_id"].clone(), signed));
        }
        let answers = join_all(answers.iter().map(|(id, signed)| auth.answer_passkey(id, signed))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(refusal(answer), wrong());
        }
    })
    .await;
}

#[tokio::test]
async fn of_many_answers_to_one_challenge_one_counts() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let mut key = SecurityKey::new();
        let asked = auth.ask_passkey(&ann).await.json();
        let made = key.make(&asked["options"]).await;
        let answers = join_all((0..20).map(|_| auth.make_passkey(&ann, &asked["challenge_id"], made.clone()))).await;
        let right = |answers: &[Answer]| answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(right(&answers), 1);
        let before = auth.call("kept", json!({})).await;
        assert_eq!(before["passkeys"].as_array().unwrap().len(), 1);

        let asked = auth.ask_to_sign_in().await;
        let signed = key.sign(&asked["options"]).await;
        let answers = join_all((0..20).map(|_| auth.answer_passkey(&asked["challenge_id"], &signed))).await;
        assert_eq!(right(&answers), 1);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(refusal(answer), refused(400, "webauthn_challenge_not_found"));
        }
        let after = auth.call("kept", json!({})).await;
        assert_eq!(
            after["sessions"].as_i64().unwrap(),
            before["sessions"].as_i64().unwrap() + 1
        );
        assert_eq!(after["challenges"], 0);
    })
    .await;
}
