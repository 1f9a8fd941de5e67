//! Keys that sign, as second factors.

use futures_util::future::join_all;
use http::Method;
use mainstay_testing::{Answer, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, Session, on_each_engine, refusal, refused, session};
use crate::security_key::{SecurityKey, encoded, with_client_data};

const SCHEMA: &str = "
    create function public.age_challenges(seconds integer) returns void language sql security definer
        set search_path = '' as $$
        update auth.mfa_challenges set created_at = created_at - make_interval(secs => seconds)
    $$;
    create function public.rest(seconds integer) returns void language sql security definer set search_path = '' as $$
        update _mainstay.second_factors set failed_at = failed_at - make_interval(secs => seconds);
    $$;
    create function public.kept_keys() returns jsonb language sql security definer set search_path = '' as $$
        select coalesce(jsonb_agg(f.web_authn_credential order by f.created_at), '[]') from auth.mfa_factors f
    $$;
    grant execute on function public.age_challenges, public.rest, public.kept_keys to service_role;";
const SETTINGS: &str = "[auth.mfa.web_authn]\nenroll_enabled = true\nverify_enabled = true\n\
     [auth.webauthn]\nrp_id = \"shop.example\"\nrp_display_name = \"The shop\"\n\
     rp_origins = [\"https://shop.example\"]\n";

fn project() -> Project {
    Project::of(SCHEMA).config(SETTINGS)
}

impl Auth {
    async fn enroll_key(&self, of: &Session, name: &str) -> String {
        let body = json!({"factor_type": "webauthn", "friendly_name": name});
        let answer = self.as_user(of, Method::POST, "/factors", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn ask_key(&self, of: &Session, factor: &str) -> Value {
        let answer = self.challenge(of, factor).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn answer_key(&self, of: &Session, factor: &str, challenge: &Value, answer: &Value) -> Answer {
        let body = json!({
            "challenge_id": challenge["id"],
            "webauthn": {
                "type": challenge["webauthn"]["type"],
                "rpId": "shop.example",
                "rpOrigins": ["https://shop.example"],
                "credential_response": answer,
            },
        });
        self.as_user(of, Method::POST, &format!("/factors/{factor}/verify"), body)
            .await
    }

    /// Makes a key for a new factor and raises the session.
    async fn add_key(&self, of: &Session, name: &str, key: &mut SecurityKey) -> (String, Session) {
        let factor = self.enroll_key(of, name).await;
        let challenge = self.ask_key(of, &factor).await;
        let made = key
            .make(&challenge["webauthn"]["credential_options"]["publicKey"])
            .await;
        let raised = session(&self.answer_key(of, &factor, &challenge, &made).await);
        (factor, raised)
    }

    async fn touch(&self, of: &Session, factor: &str, key: &mut SecurityKey) -> Answer {
        let challenge = self.ask_key(of, factor).await;
        let signed = key
            .sign(&challenge["webauthn"]["credential_options"]["publicKey"])
            .await;
        self.answer_key(of, factor, &challenge, &signed).await
    }
}

fn wrong() -> (u16, String) {
    refused(422, "mfa_verification_failed")
}

#[tokio::test]
async fn a_key_raises_a_session_and_is_asked_again() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let body = json!({"factor_type": "webauthn", "friendly_name": "blue key"});
        let enrolled = auth.as_user(&ann, Method::POST, "/factors", body).await.json();
        let factor = enrolled["id"].as_str().unwrap().to_owned();
        assert_eq!(
            enrolled,
            json!({"id": factor, "type": "webauthn", "friendly_name": "blue key"})
        );

        let challenge = auth.ask_key(&ann, &factor).await;
        let names: Vec<&str> = challenge.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["id", "type", "expires_at", "webauthn"]);
        assert_eq!(
            (&challenge["type"], &challenge["webauthn"]["type"]),
            (&json!("webauthn"), &json!("create"))
        );
        let options = &challenge["webauthn"]["credential_options"]["publicKey"];
        assert_eq!(options["rp"]["id"], "shop.example");
        assert_eq!(options["user"]["id"], json!(encoded(ann.id().as_bytes())));
        assert_eq!(options["authenticatorSelection"]["userVerification"], "preferred");
        // A touch is enough: the password was the other thing.
        let mut key = SecurityKey {
            aaguid: [9; 16],
            ..SecurityKey::plain()
        };
        let made = key.make(options).await;
        let raised = session(&auth.answer_key(&ann, &factor, &challenge, &made).await);
        let amr = raised.claims()["amr"].clone();
        assert_eq!(
            (&raised.claims()["aal"], &amr[0]["method"], &amr[1]["method"]),
            (&json!("aal2"), &json!("mfa/webauthn"), &json!("password"))
        );
        let shown = &raised.user["factors"][0];
        assert_eq!(
            (&shown["status"], &shown["factor_type"], &shown["web_authn_aaguid"]),
            (
                &json!("verified"),
                &json!("webauthn"),
                &json!("09090909-0909-0909-0909-090909090909")
            )
        );
        assert!(shown.get("web_authn_credential").is_none());
        // As Supabase Auth keeps it.
        let kept = auth.call("kept_keys", json!({})).await[0].clone();
        assert_eq!(kept["authenticator"]["signCount"], 0);
        assert!(kept["id"].is_string() && kept["publicKey"].is_string());
        assert_eq!(kept["flags"]["userVerified"], false);

        let low = auth.sign_in("ann@example.com").await;
        let challenge = auth.ask_key(&low, &factor).await;
        assert_eq!(challenge["webauthn"]["type"], "request");
        let options = &challenge["webauthn"]["credential_options"]["publicKey"];
        assert_eq!(
            (&options["rpId"], &options["userVerification"]),
            (&json!("shop.example"), &json!("preferred"))
        );
        assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
        let signed = key.sign(options).await;
        // What an answer may leave out it leaves out.
        let mut bare = signed.clone();
        bare["response"].as_object_mut().unwrap().remove("userHandle");
        let high = session(&auth.answer_key(&low, &factor, &challenge, &bare).await);
        assert_eq!(high.claims()["aal"], "aal2");
        assert_eq!(
            auth.call("kept_keys", json!({})).await[0]["authenticator"]["signCount"],
            1
        );
        let replay = auth.answer_key(&high, &factor, &challenge, &signed).await;
        assert_eq!(refusal(&replay), refused(422, "mfa_ip_address_mismatch"));

        // A second one beside it; the first is not asked to make another.
        let mut other = SecurityKey::new();
        let (second, high) = auth.add_key(&high, "grey key", &mut other).await;
        session(&auth.touch(&high, &second, &mut other).await);
        // One does not answer for the other.
        let challenge = auth.ask_key(&high, &second).await;
        let options = &challenge["webauthn"]["credential_options"]["publicKey"];
        assert!(key.try_sign(options).await.is_none());

        let gone = auth
            .as_user(&high, Method::DELETE, &format!("/factors/{factor}"), Value::Null)
            .await;
        assert_eq!(gone.status, 200);
        let log = auth.log().await;
        assert!(!log.contains("panicked"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn wrong_answers_wait_and_use_their_challenge_up() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let mut key = SecurityKey::new();
        let (factor, ann) = auth.add_key(&ann, "key", &mut key).await;
        let bob = auth.sign_up("bob@example.com").await;
        let mut bobs = SecurityKey::new();
        let (bobs_factor, bob) = auth.add_key(&bob, "key", &mut bobs).await;
        let copy = key.clone();
        session(&auth.touch(&ann, &factor, &mut key).await);

        // A copy's count, another's page, a broken signature, somebody else named, another challenge's answer.
        assert_eq!(refusal(&auth.touch(&ann, &factor, &mut copy.clone()).await), wrong());
        let mut elsewhere = key.clone();
        "https://evil.shop.example".clone_into(&mut elsewhere.origin);
        assert_eq!(refusal(&auth.touch(&ann, &factor, &mut elsewhere).await), wrong());
        let challenge = auth.ask_key(&ann, &factor).await;
        let options = challenge["webauthn"]["credential_options"]["publicKey"].clone();
        let mut signed = key.clone().sign(&options).await;
        signed["response"]["userHandle"] = json!(encoded(bob.id().as_bytes()));
        let answer = auth.answer_key(&ann, &factor, &challenge, &signed).await;
        assert_eq!(refusal(&answer), wrong());
        assert_eq!(answer.json()["message"], "Failed to validate WebAuthn MFA response");
        // The right answer comes too late for it.
        let signed = key.clone().sign(&options).await;
        let answer = auth.answer_key(&ann, &factor, &challenge, &signed).await;
        assert_eq!(refusal(&answer), refused(422, "mfa_ip_address_mismatch"));
        for _ in 0..2 {
            let challenge = auth.ask_key(&ann, &factor).await;
            let mut signed = key
                .clone()
                .sign(&challenge["webauthn"]["credential_options"]["publicKey"])
                .await;
            signed["response"]["signature"] = json!("AAAA");
            let answer = auth.answer_key(&ann, &factor, &challenge, &signed).await;
            assert_eq!(refusal(&answer), wrong());
        }
        let answer = auth.touch(&ann, &factor, &mut key).await;
        assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
        assert!(!answer.header("retry-after").is_empty());
        session(&auth.touch(&bob, &bobs_factor, &mut bobs).await);
        auth.call("rest", json!({"seconds": 31})).await;
        session(&auth.touch(&ann, &factor, &mut key).await);

        // Somebody else's factor, and a challenge of it.
        let theirs = auth.challenge(&bob, &factor).await;
        assert_eq!(refusal(&theirs), refused(404, "mfa_factor_not_found"));
        let challenge = auth.ask_key(&ann, &factor).await;
        let signed = bobs
            .clone()
            .try_sign(&challenge["webauthn"]["credential_options"]["publicKey"])
            .await;
        assert!(signed.is_none());
        let own = auth.ask_key(&bob, &bobs_factor).await;
        let signed = bobs.sign(&own["webauthn"]["credential_options"]["publicKey"]).await;
        let mut mixed = challenge.clone();
        mixed["id"] = own["id"].clone();
        let answer = auth.answer_key(&ann, &factor, &mixed, &signed).await;
        assert_eq!(refusal(&answer), refused(422, "mfa_factor_not_found"));
        auth.call("age_challenges", json!({"seconds": 301})).await;
        let signed = key
            .sign(&challenge["webauthn"]["credential_options"]["publicKey"])
            .await;
        let answer = auth.answer_key(&ann, &factor, &challenge, &signed).await;
        assert_eq!(refusal(&answer), refused(422, "mfa_challenge_expired"));
    })
    .await;
}

#[tokio::test]
async fn of_many_answers_to_one_challenge_one_is_right() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let mut key = SecurityKey::new();
        let (factor, ann) = auth.add_key(&ann, "key", &mut key).await;
        let challenge = auth.ask_key(&ann, &factor).await;
        let signed = key
            .sign(&challenge["webauthn"]["credential_options"]["publicKey"])
            .await;
        let answers = join_all((0..10).map(|_| auth.answer_key(&ann, &factor, &challenge, &signed))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(refusal(answer), refused(422, "mfa_ip_address_mismatch"));
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_of_the_kind_that_was_asked_for() {
    on_each_engine(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let factor = auth.enroll_key(&ann, "key").await;
        let challenge = auth.ask_key(&ann, &factor).await;
        let options = &challenge["webauthn"]["credential_options"]["publicKey"];
        let mut key = SecurityKey::new();
        let made = key.make(options).await;
        let send = async |of: &Session, webauthn: Value| {
            let body = json!({"challenge_id": challenge["id"], "webauthn": webauthn});
            auth.as_user(of, Method::POST, &format!("/factors/{factor}/verify"), body)
                .await
        };
        for bad in [
            Value::Null,
            json!({}),
            json!({"type": "create"}),
            json!({"type": "other", "credential_response": made}),
            json!({"type": "request", "credential_response": made}),
            json!({"type": "create", "credential_response": {"id": "x"}}),
            json!({"type": "create", "credential_response": "x"}),
        ] {
            let answer = send(&ann, bad.clone()).await;
            assert_eq!(refusal(&answer), refused(400, "validation_failed"), "{bad}");
        }
        // None of it was an answer.
        let raised = session(&send(&ann, json!({"type": "create", "credential_response": made})).await);
        let answer = send(&raised, json!({"type": "create", "credential_response": made})).await;
        assert_eq!(refusal(&answer), refused(400, "validation_failed"));
        // A code opens nothing here.
        let challenge = auth.ask_key(&raised, &factor).await;
        let answer = auth
            .answer(&raised, &factor, challenge["id"].as_str().unwrap(), "123456")
            .await;
        assert_eq!(refusal(&answer), refused(400, "validation_failed"));
        // Two factors of one key would be one.
        let second = auth.enroll_key(&raised, "again").await;
        let challenge = auth.ask_key(&raised, &second).await;
        let options = &challenge["webauthn"]["credential_options"]["publicKey"];
        let copied = with_client_data(&made, "challenge", options["challenge"].clone());
        let answer = auth.answer_key(&raised, &second, &challenge, &copied).await;
        assert_eq!(refusal(&answer), wrong());
    })
    .await;
}

#[tokio::test]
async fn keys_are_factors_where_the_settings_say_so() {
    on_each_engine(Project::new, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let body = json!({"factor_type": "webauthn", "friendly_name": "key"});
        let answer = auth.as_user(&ann, Method::POST, "/factors", body).await;
        assert_eq!(refusal(&answer), refused(422, "mfa_webauthn_enroll_not_enabled"));
        assert_eq!(answer.json()["message"], "MFA enroll is disabled for WebAuthn");
    })
    .await;
    let closed = || Project::of(SCHEMA).config(&SETTINGS.replace("verify_enabled = true", "verify_enabled = false"));
    on_each_engine(closed, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let factor = auth.enroll_key(&ann, "key").await;
        let answer = auth.challenge(&ann, &factor).await;
        assert_eq!(refusal(&answer), refused(422, "mfa_webauthn_verify_not_enabled"));
    })
    .await;
}
