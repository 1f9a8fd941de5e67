//! Security suite `one_time_tokens`, continued: everything else that is good once, redeemed by many at the same moment.

use futures_util::future::join_all;
use http::Method;
use mainstay_testing::{Answer, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, session};
use crate::auth_crash_flows::{Ask, callback, exchange, has_landed};
use crate::auth_mail::{CLOCK, SETTINGS, on_each_engine_in_dev, project};
use crate::auth_other_ways::OF_OTHER_WAYS;
use crate::oauth::CHALLENGE;
use crate::oauth_provider::{Person, Provider, query};

const REDEEMERS: usize = 20;

/// The answers of many who redeem the same at once: one of them works, and the others are refused.
async fn one_of(auth: &Auth, what: &str, ask: &Ask) -> Answer {
    let answers = join_all((0..REDEEMERS).map(|_| {
        // A connection each, so that nothing but the server puts them in a row.
        let client = auth.client(None);
        async move { ask.send(&client).await.unwrap() }
    }))
    .await;
    let (worked, refused): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| (ask.worked)(answer));
    assert_eq!(
        worked.len(),
        1,
        "{what}: {:?}",
        refused.iter().map(|answer| answer.text()).collect::<Vec<_>>()
    );
    for answer in refused {
        assert!(answer.status.as_u16() < 500, "{what}: {}", answer.text());
    }
    worked[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_mails_bring_is_redeemed_by_one_of_many() {
    let project = || project().config("secure_password_change = true");
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let service = token::role("service_role");
        let proof = |kind: &str, token: &str| Ask::post("/verify", &json!({"type": kind, "token_hash": token}));
        let ann = auth.sign_up("ann@example.com").await;
        let sessions = async || auth.counts().await["sessions"].as_i64().unwrap();

        auth.post("/recover", json!({"email": "ann@example.com"})).await;
        one_of(
            &auth,
            "recovery",
            &proof("recovery", &auth.mail("ann@example.com").await.token()),
        )
        .await;

        // A flow's code: of the link, and of the code that it gives.
        let body = json!({"email": "ann@example.com", "code_challenge": CHALLENGE, "code_challenge_method": "s256"});
        auth.post("/otp", body).await;
        let token = auth.mail("ann@example.com").await.token();
        let link = Ask::form("/verify", &[("token", &token), ("type", "magiclink")]).worked(has_landed);
        let landed = one_of(&auth, "a link of a flow", &link).await;
        let before = sessions().await;
        one_of(
            &auth,
            "a flow's code",
            &exchange(&query(landed.header("location"))["code"]),
        )
        .await;
        assert_eq!(sessions().await, before + 1);

        // Both halves of a change, each by many; the halves at once.
        let change = json!({"email": "anna@example.com"});
        auth.ask(Method::PUT, "/user", Some(&ann.access_token), change).await;
        let mails = auth.mails().await;
        let halves = [&mails[0], &mails[1]].map(|mail| proof("email_change", &mail.token()));
        let (one, other) = tokio::join!(
            one_of(&auth, "one half of a change", &halves[0]),
            one_of(&auth, "the other half", &halves[1])
        );
        // The one that came first has consented to, the other one has signed in.
        let signed = [&one, &other]
            .iter()
            .filter(|answer| answer.json()["access_token"].is_string())
            .count();
        assert_eq!(signed, 1, "{} {}", one.text(), other.text());
        assert_eq!(auth.user(&ann.access_token).await.json()["email"], "anna@example.com");

        let invite = auth
            .ask(
                Method::POST,
                "/invite",
                Some(&service),
                json!({"email": "new@example.com"}),
            )
            .await;
        assert_eq!(invite.status, 200, "{}", invite.text());
        one_of(
            &auth,
            "an invitation",
            &proof("invite", &auth.mail("new@example.com").await.token()),
        )
        .await;

        let body = json!({"type": "magiclink", "email": "anna@example.com"});
        let made = auth
            .ask(Method::POST, "/admin/generate_link", Some(&service), body)
            .await;
        let token = made.json()["hashed_token"].as_str().unwrap().to_owned();
        one_of(&auth, "a link that was made", &proof("magiclink", &token)).await;

        // A nonce changes one password, to one of what was asked for.
        let own = auth.sign_in("anna@example.com").await;
        auth.call("age", json!({"seconds": 25 * 3600})).await;
        auth.ask(Method::GET, "/reauthenticate", Some(&own.access_token), Value::Null)
            .await;
        let nonce = auth.mail("anna@example.com").await.code();
        let answers = join_all((0..5).map(|number| {
            let body = json!({"password": format!("horse number {number}"), "nonce": nonce});
            auth.ask(Method::PUT, "/user", Some(&own.access_token), body)
        }))
        .await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        let mut good = 0;
        for number in 0..5 {
            let answer = auth
                .try_sign_in("anna@example.com", &format!("horse number {number}"))
                .await;
            good += usize::from(answer.status == 200);
        }
        assert_eq!(
            (
                good,
                auth.try_sign_in("anna@example.com", PASSWORD).await.status.as_u16()
            ),
            (1, 400)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_from_a_provider_comes_once() {
    let provider = Provider::start().await;
    on_each_engine(
        || crate::oauth::project(&provider, ""),
        async |_, auth: Auth| {
            let challenge = format!("&code_challenge={CHALLENGE}&code_challenge_method=s256");
            for more in ["", challenge.as_str()] {
                let away = Ask::get(&format!("/authorize?provider=custom:acme{more}"));
                let away = away.send(&auth.client(None)).await.unwrap();
                let person = Person::new("ann-1", "ann@example.com", true);
                let landed = one_of(&auth, "a callback", &callback(&away, &provider, &person)).await;
                if !more.is_empty() {
                    let code = exchange(&query(landed.header("location"))["code"]);
                    session(&one_of(&auth, "a provider's code", &code).await);
                }
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_refreshes_with_one_token_all_get_the_same_next_one() {
    on_each_engine(mainstay_testing::Project::new, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        let answers = join_all((0..REDEEMERS).map(|_| auth.refresh(&ann.refresh_token))).await;
        let next: std::collections::BTreeSet<String> =
            answers.iter().map(|answer| session(answer).refresh_token).collect();
        // Whoever came while the first was answered gets its successor; nobody is signed out, and no second family grows.
        assert_eq!(next.len(), 1, "{next:?}");
        session(&auth.refresh(next.first().unwrap()).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_every_other_way_leaves_is_redeemed_by_one_of_many() {
    let provider = Provider::start().await;
    let open = "[auth]\nenable_manual_linking = true\nenable_anonymous_sign_ins = true\n";
    let project = || {
        let settings = SETTINGS.replacen("[auth]\n", open, 1);
        let settings = format!(
            "{}{settings}double_confirm_changes = false\n{OF_OTHER_WAYS}",
            provider.settings()
        );
        mainstay_testing::Project::of(CLOCK).config(&settings)
    };
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        for (what, ask) in auth.pending_of_other_ways(&provider, "many", 0).await {
            one_of(&auth, what, &ask).await;
        }
    })
    .await;
}
