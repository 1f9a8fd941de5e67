//! Second factors: numbers that codes are sent to.

use futures_util::future::join_all;
use http::Method;
use mainstay_testing::{Answer, Engine, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, Session, on_each_engine, refusal, refused, session};
use crate::auth_mail::on_each_engine_in_dev;

const SCHEMA: &str = "
    create function public.age_challenges(seconds integer) returns void language sql security definer
        set search_path = '' as $$
        update auth.mfa_challenges set created_at = created_at - make_interval(secs => seconds);
        update auth.mfa_factors set last_challenged_at = last_challenged_at - make_interval(secs => seconds);
    $$;
    create function public.rest(seconds integer) returns void language sql security definer set search_path = '' as $$
        update _mainstay.second_factors set failed_at = failed_at - make_interval(secs => seconds);
    $$;
    create function public.kept() returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_agg(c.otp_code) from auth.mfa_challenges c
    $$;
    grant execute on function public.age_challenges, public.rest, public.kept to service_role;";

const OPEN: &str = "[auth.mfa.phone]\nenroll_enabled = true\nverify_enabled = true\notp_length = 8\n\
     template = \"{{ .Code }} is your code\"\nmax_frequency = \"0s\"\n";

fn project() -> Project {
    Project::of(SCHEMA).config(OPEN)
}

async fn try_enroll(auth: &Auth, of: &Session, phone: &str, name: &str) -> Answer {
    let body = json!({"factor_type": "phone", "friendly_name": name, "phone": phone});
    auth.as_user(of, Method::POST, "/factors", body).await
}

async fn enroll(auth: &Auth, of: &Session, phone: &str) -> String {
    let answer = try_enroll(auth, of, phone, phone).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Challenges the factor: the challenge's id, and the code that was sent.
async fn challenge(auth: &Auth, of: &Session, factor: &str, phone: &str) -> (String, String) {
    let answer = auth.challenge(of, factor).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let newest = auth.mails().await.into_iter().next().expect("no message came");
    assert_eq!((newest.to.as_str(), newest.kind.as_str()), (phone, "phone_factor"));
    let (code, rest) = newest.html.split_once(' ').unwrap();
    assert_eq!((code.len(), rest), (8, "is your code"));
    (answer.json()["id"].as_str().unwrap().to_owned(), code.to_owned())
}

fn another(code: &str) -> &'static str {
    if code == "00000000" { "00000001" } else { "00000000" }
}

#[tokio::test]
async fn a_number_is_a_second_factor() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let enrolled = try_enroll(&auth, &ann, "+47 999 99 991", "my phone").await.json();
        let names: Vec<&str> = enrolled.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["id", "type", "friendly_name", "phone"]);
        assert_eq!(
            (&enrolled["type"], &enrolled["phone"]),
            (&json!("phone"), &json!("+47 999 99 991"))
        );
        let factor = enrolled["id"].as_str().unwrap();
        let shown = auth.user(&ann.access_token).await.json()["factors"][0].clone();
        assert_eq!(
            (&shown["factor_type"], &shown["status"], &shown["phone"]),
            (&json!("phone"), &json!("unverified"), &json!("4799999991"))
        );

        // A code holds for its own challenge, once.
        let (first, code) = challenge(&auth, &ann, factor, "4799999991").await;
        let (second, other) = challenge(&auth, &ann, factor, "4799999991").await;
        for (challenge, code) in [
            (&first, another(&code)),
            (&second, code.as_str()),
            (&first, other.as_str()),
        ] {
            let answer = auth.answer(&ann, factor, challenge, code).await;
            assert_eq!(refusal(&answer), refused(422, "mfa_verification_failed"));
            assert_eq!(answer.json()["message"], "Invalid MFA Phone code entered");
        }
        for kept in auth.call("kept", json!({})).await.as_array().unwrap() {
            let kept = kept.as_str().unwrap();
            assert!(
                kept.len() == 56 && !kept.contains(&code) && !kept.contains(&other),
                "{kept}"
            );
        }
        let raised = session(&auth.answer(&ann, factor, &first, &code).await);
        let claims = raised.claims();
        assert_eq!(
            (&claims["aal"], &claims["session_id"]),
            (&json!("aal2"), &ann.claims()["session_id"])
        );
        assert_eq!(claims["amr"][0]["method"], "mfa/phone");
        assert_eq!(raised.user["factors"][0]["status"], "verified");
        assert!(raised.user["factors"][0]["last_challenged_at"].is_string());
        let again = auth.answer(&raised, factor, &first, &code).await;
        assert_eq!(refusal(&again), refused(422, "mfa_ip_address_mismatch"));

        // The next session needs the second step, and the level goes with the factor.
        let next = auth.sign_in("ann@example.com").await;
        assert_eq!(next.claims()["aal"], "aal1");
        let path = format!("/factors/{factor}");
        let low = auth.as_user(&next, Method::DELETE, &path, Value::Null).await;
        assert_eq!(refusal(&low), refused(422, "insufficient_aal"));
        let (id, code) = challenge(&auth, &next, factor, "4799999991").await;
        let raised = session(&auth.answer(&next, factor, &id, &code).await);
        assert_eq!(
            auth.as_user(&raised, Method::DELETE, &path, Value::Null).await.status,
            200
        );
        assert_eq!(
            session(&auth.refresh(&raised.refresh_token).await).claims()["aal"],
            "aal1"
        );
        let log = auth.log().await;
        assert!(!log.contains(&code) && !log.contains("4799999991"), "{log}");
    })
    .await;
}

#[tokio::test]
async fn codes_are_guessed_a_few_times_and_redeemed_once() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let factor = enroll(&auth, &ann, "4799999991").await;
        let (id, code) = challenge(&auth, &ann, &factor, "4799999991").await;
        for _ in 0..5 {
            let answer = auth.answer(&ann, &factor, &id, another(&code)).await;
            assert_eq!(refusal(&answer), refused(422, "mfa_verification_failed"));
        }
        // Not even the right one, and not by another challenge.
        let (other, other_code) = challenge(&auth, &ann, &factor, "4799999991").await;
        for (id, code) in [(&id, &code), (&other, &other_code)] {
            let answer = auth.answer(&ann, &factor, id, code).await;
            assert_eq!(refusal(&answer), refused(429, "over_request_rate_limit"));
        }
        auth.call("rest", json!({"seconds": 31})).await;
        auth.call("age_challenges", json!({"seconds": 301})).await;
        let answer = auth.answer(&ann, &factor, &id, &code).await;
        assert_eq!(refusal(&answer), refused(422, "mfa_challenge_expired"));

        let (id, code) = challenge(&auth, &ann, &factor, "4799999991").await;
        let answers = join_all((0..10).map(|_| auth.answer(&ann, &factor, &id, &code))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_number_is_a_factor_once_and_messages_have_a_pause() {
    let slow = OPEN.replace("\"0s\"", "\"60s\"");
    on_each_engine_in_dev(
        || Project::of(SCHEMA).config(&slow),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            for (phone, code) in [("", "validation_failed"), ("nonsense", "validation_failed")] {
                assert_eq!(refusal(&try_enroll(&auth, &ann, phone, "").await), refused(400, code));
            }
            // One that was not finished gives way.
            let given_up = enroll(&auth, &ann, "4799999991").await;
            let factor = enroll(&auth, &ann, "4799999991").await;
            assert_eq!(
                refusal(&auth.challenge(&ann, &given_up).await),
                refused(404, "mfa_factor_not_found")
            );
            let path = format!("/factors/{factor}/challenge");
            let pigeon = auth
                .as_user(&ann, Method::POST, &path, json!({"channel": "pigeon"}))
                .await;
            assert_eq!(refusal(&pigeon), refused(400, "validation_failed"));
            let (id, code) = challenge(&auth, &ann, &factor, "4799999991").await;
            let early = auth.challenge(&ann, &factor).await;
            assert_eq!(refusal(&early), refused(429, "over_sms_send_rate_limit"));
            assert!(early.header("retry-after").parse::<u64>().unwrap() <= 61);
            let raised = session(&auth.answer(&ann, &factor, &id, &code).await);
            let again = try_enroll(&auth, &raised, "+4799999991", "another").await;
            assert_eq!(refusal(&again), refused(422, "mfa_verified_factor_exists"));
            // Somebody else's number may be the same: a family has one.
            let bob = auth.sign_up("bob@example.com").await;
            enroll(&auth, &bob, "4799999991").await;
            // Nobody has another one's factor challenged.
            assert_eq!(
                refusal(&auth.challenge(&bob, &factor).await),
                refused(404, "mfa_factor_not_found")
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_pause_outlives_the_process() {
    let slow = OPEN.replace("\"0s\"", "\"600s\"");
    let hook = "[auth.hook.send_sms]\nenabled = true\nuri = \"pg-functions://postgres/public/nothing\"\n";
    let nothing = "create function public.nothing(event jsonb) returns jsonb language sql as $$ select '{}'::jsonb $$;";
    let project = || Project::of(&format!("{SCHEMA}{nothing}")).config(&format!("{slow}{hook}"));
    on_each_engine(project, async |_, mut auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let factor = enroll(&auth, &ann, "4799999991").await;
        assert_eq!(auth.challenge(&ann, &factor).await.status, 200);
        auth.server.kill();
        auth.server.run().unwrap();
        let early = auth.challenge(&ann, &factor).await;
        assert_eq!(refusal(&early), refused(429, "over_sms_send_rate_limit"));
    })
    .await;
}

#[tokio::test]
async fn it_is_switched_off_unless_it_is_switched_on_and_needs_a_sender() {
    let auth = Auth::start(Engine::Sqlite, Project::of(SCHEMA)).await;
    let ann = auth.sign_up("ann@example.com").await;
    let answer = try_enroll(&auth, &ann, "4799999991", "").await;
    assert_eq!(refusal(&answer), refused(422, "mfa_phone_enroll_not_enabled"));
    let half = "[auth.mfa.phone]\nenroll_enabled = true\n";
    let auth = Auth::start(Engine::Sqlite, Project::of(SCHEMA).config(half)).await;
    let ann = auth.sign_up("ann@example.com").await;
    let factor = enroll(&auth, &ann, "4799999991").await;
    let answer = auth.challenge(&ann, &factor).await;
    assert_eq!(refusal(&answer), refused(422, "mfa_phone_verify_not_enabled"));
    let auth = Auth::start(Engine::Sqlite, project()).await;
    let ann = auth.sign_up("ann@example.com").await;
    let factor = enroll(&auth, &ann, "4799999991").await;
    assert_eq!(
        refusal(&auth.challenge(&ann, &factor).await),
        refused(422, "phone_provider_disabled")
    );
}
