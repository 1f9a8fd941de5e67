//! Mails that tell a user what has changed of the account.

use http::Method;
use mainstay_testing::Project;
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, refused_start, session};
use crate::auth_factors::project as clock;
use crate::auth_mail::{Mail, on_each_engine_in_dev};

const KINDS: [&str; 7] = [
    "password_changed",
    "email_changed",
    "phone_changed",
    "identity_linked",
    "identity_unlinked",
    "mfa_factor_enrolled",
    "mfa_factor_unenrolled",
];

const SETTINGS: &str = "[auth]\nsite_url = \"https://shop.example\"\nenable_manual_linking = true\n\
     [auth.email]\nmax_frequency = \"0s\"\ndouble_confirm_changes = false\n\
     [auth.sms]\nenable_signup = true\n";

/// The notices that came, newest first, and forgets all mails.
async fn notices(auth: &Auth) -> Vec<Mail> {
    let all = auth.mails().await;
    let dropped = auth
        .server
        .anonymous()
        .send(Method::DELETE, "/dev/v1/mail/messages", &[], "")
        .await;
    assert_eq!(dropped.status, 204);
    all.into_iter()
        .filter(|mail| mail.kind.ends_with("_notification"))
        .collect()
}

async fn only(auth: &Auth, kind: &str, to: &str) -> Mail {
    let found = notices(auth).await;
    let [one] = found.as_slice() else {
        panic!("{kind}: {found:?}");
    };
    assert_eq!(
        (one.kind.as_str(), one.to.as_str()),
        (format!("{kind}_notification").as_str(), to)
    );
    assert!(one.text.contains("https://shop.example"), "{}", one.text);
    one.clone()
}

async fn put(auth: &Auth, token: &str, body: Value) {
    let answer = auth.ask(Method::PUT, "/user", Some(token), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn whoever_has_an_account_learns_what_changes_of_it() {
    let on: String = KINDS
        .iter()
        .map(|kind| format!("[auth.email.notification.{kind}]\nenabled = true\n"))
        .collect();
    let own = "subject = \"{{ .FactorType }} is gone\"\ncontent = \"At https://shop.example: {{ .Data.name }}\"\n";
    let project = || clock().config(&format!("{SETTINGS}{on}{own}"));
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        put(&auth, &ann.access_token, json!({"data": {"name": "<Ann>"}})).await;
        assert!(notices(&auth).await.is_empty());

        put(&auth, &ann.access_token, json!({"password": "another horse 8"})).await;
        only(&auth, "password_changed", "ann@example.com").await;

        put(&auth, &ann.access_token, json!({"email": "anna@example.com"})).await;
        let asked = auth.mail("anna@example.com").await;
        let body = json!({"type": "email_change", "token_hash": asked.token()});
        session(&auth.prove(body).await);
        // The address that it was learns of it.
        let told = only(&auth, "email_changed", "ann@example.com").await;
        assert!(told.text.contains("ann@example.com") && told.text.contains("anna@example.com"));

        put(&auth, &ann.access_token, json!({"phone": "4799999991"})).await;
        only(&auth, "identity_linked", "anna@example.com").await;
        put(&auth, &ann.access_token, json!({"phone": "4799999992"})).await;
        let told = only(&auth, "phone_changed", "anna@example.com").await;
        assert!(told.text.contains("4799999991") && told.text.contains("4799999992"));

        let identities = auth.user(&ann.access_token).await.json()["identities"].clone();
        let phone = identities
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["provider"] == "phone")
            .unwrap()
            .clone();
        let path = format!("/user/identities/{}", phone["identity_id"].as_str().unwrap());
        let answer = auth
            .ask(Method::DELETE, &path, Some(&ann.access_token), Value::Null)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        only(&auth, "identity_unlinked", "anna@example.com").await;

        let app = auth.enroll(&ann, "app").await;
        assert!(notices(&auth).await.is_empty());
        let raised = session(&auth.verify(&ann, &app, &app.code(0)).await);
        only(&auth, "mfa_factor_enrolled", "anna@example.com").await;
        auth.call("forget_steps", json!({})).await;
        let again = session(&auth.try_sign_in("anna@example.com", "another horse 8").await);
        session(&auth.verify(&again, &app, &app.code(0)).await);
        assert!(notices(&auth).await.is_empty());
        // Recovery codes are a factor like others, whichever way they go.
        let codes = async |method: Method, path: &str, kind: &str| {
            let answer = auth.as_user(&raised, method, path, Value::Null).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            only(&auth, kind, "anna@example.com").await
        };
        let path = "/factors/recovery-codes";
        codes(Method::POST, path, "mfa_factor_enrolled").await;
        let told = codes(Method::DELETE, path, "mfa_factor_unenrolled").await;
        assert_eq!(told.subject, "recovery_code is gone");
        let made = codes(Method::POST, path, "mfa_factor_enrolled").await;
        assert!(made.text.contains("recovery_code"), "{}", made.text);
        let set = auth.as_user(&raised, Method::GET, path, Value::Null).await.json();
        let path = format!("/factors/{}", set["id"].as_str().unwrap());
        codes(Method::DELETE, &path, "mfa_factor_unenrolled").await;
        let path = format!("/factors/{}", app.id);
        let answer = auth.as_user(&raised, Method::DELETE, &path, Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let told = only(&auth, "mfa_factor_unenrolled", "anna@example.com").await;
        assert_eq!(
            (told.subject.as_str(), told.html.as_str()),
            ("totp is gone", "At https://shop.example: &lt;Ann&gt;")
        );
    })
    .await;
}

#[tokio::test]
async fn nobody_is_told_unless_it_is_switched_on_and_there_is_an_address() {
    on_each_engine_in_dev(
        || Project::new().config(SETTINGS),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            put(&auth, &ann.access_token, json!({"password": "another horse 8"})).await;
            assert!(notices(&auth).await.is_empty());
        },
    )
    .await;
    let on = format!("{SETTINGS}[auth.email.notification.password_changed]\nenabled = true\n");
    on_each_engine_in_dev(
        || Project::new().config(&on),
        async |_, auth: Auth| {
            let by_phone = session(
                &auth
                    .post("/signup", json!({"phone": "4799999991", "password": PASSWORD}))
                    .await,
            );
            put(&auth, &by_phone.access_token, json!({"password": "another horse 8"})).await;
            assert!(notices(&auth).await.is_empty());
        },
    )
    .await;
}

#[tokio::test]
async fn a_server_does_not_start_without_somebody_who_takes_them() {
    let project = Project::new().config("[auth.email.notification.password_changed]\nenabled = true\n");
    let said = refused_start(project, &[]).await;
    assert!(said.contains("auth.email.notification"), "{said}");
}
