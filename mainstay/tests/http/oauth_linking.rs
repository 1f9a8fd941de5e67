//! Security suite `oauth_linking`: whose account somebody gets who comes by a provider, whoever had it first.

use http::Method;
use mainstay_testing::token;
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, on_each_engine, refusal, refused, session};
use crate::oauth::{Browser, exchange, failed, failure, implicit, landed, pkce, project};
use crate::oauth_provider::{Person, Provider};

const VICTIM: &str = "victim@example.com";

async fn by(auth: &Auth, provider: &Provider, name: &str, person: &Person) -> Result<Session, (String, String)> {
    let end = Browser::default()
        .sign_in(auth, provider, &implicit(name), person)
        .await;
    match end.contains("access_token") {
        true => Ok(landed(auth, &end).await),
        false => Err(failure(&end)),
    }
}

fn owner() -> Person {
    Person::new("the owner", VICTIM, true)
}

fn needs_verification() -> (String, String) {
    failed("access_denied", "provider_email_needs_verification")
}

fn providers(session: &Session) -> Vec<&str> {
    let identities = session.user["identities"].as_array().unwrap();
    identities
        .iter()
        .map(|identity| identity["provider"].as_str().unwrap())
        .collect()
}

async fn admin(auth: &Auth, method: Method, path: &str, body: Value) -> Value {
    let answer = auth.ask(method, path, Some(&token::role("service_role")), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn whoever_only_wrote_the_address_loses_the_account_to_its_owner() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            // By password, without a proof of the address.
            let first = session(
                &auth
                    .try_sign_up(VICTIM, json!({"name": "Mallory", "plan": "evil"}))
                    .await,
            );
            let second = by(&auth, &provider, "custom:acme", &owner()).await.unwrap();
            assert_eq!(second.id(), first.id(), "the address has one account");
            assert_eq!(providers(&second), ["custom:acme"]);
            assert_eq!(
                second.user["app_metadata"],
                json!({"provider": "custom:acme", "providers": ["custom:acme"]})
            );
            assert_eq!(second.user["user_metadata"]["name"], "Ann");
            assert!(second.user["user_metadata"].get("plan").is_none());
            assert_eq!(
                refusal(&auth.try_sign_in(VICTIM, PASSWORD).await),
                refused(400, "invalid_credentials")
            );
            assert_eq!(
                refusal(&auth.user(&first.access_token).await),
                refused(403, "session_not_found")
            );
            assert_eq!(auth.refresh(&first.refresh_token).await.status, 400);
            // The owner stays, and comes back by another provider that vouches for the address, too.
            assert_eq!(
                by(&auth, &provider, "custom:acme", &owner()).await.unwrap().id(),
                first.id()
            );
            let by_github = by(&auth, &provider, "github", &owner()).await.unwrap();
            assert_eq!(
                (by_github.id(), providers(&by_github)),
                (first.id(), vec!["custom:acme", "github"])
            );
            assert_eq!(
                auth.user(&second.access_token).await.status,
                200,
                "nobody else was signed out"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn an_address_that_a_provider_does_not_vouch_for_opens_nothing() {
    let provider = Provider::start().await;
    let unverified = Person::new("mallory", VICTIM, false);
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            // First the owner, by password or by a provider.
            let password = auth.sign_up("by-password@example.com").await;
            let mut mallory = unverified.clone();
            mallory.claims["email"] = json!("by-password@example.com");
            for name in ["discord", "github", "custom:acme"] {
                assert_eq!(
                    by(&auth, &provider, name, &mallory).await.unwrap_err(),
                    needs_verification(),
                    "{name}"
                );
            }
            assert_eq!(auth.sign_in("by-password@example.com").await.id(), password.id());
            assert_eq!(auth.user(&password.access_token).await.status, 200);

            let first = by(&auth, &provider, "custom:acme", &owner()).await.unwrap();
            for name in ["discord", "github"] {
                assert_eq!(
                    by(&auth, &provider, name, &unverified).await.unwrap_err(),
                    needs_verification(),
                    "{name}"
                );
            }
            assert_eq!(
                providers(&by(&auth, &provider, "custom:acme", &owner()).await.unwrap()),
                ["custom:acme"]
            );
            assert_eq!(auth.user(&first.access_token).await.status, 200);

            // No address at all.
            let nameless = Person::new("nobody", "", false);
            for name in ["discord", "custom:acme", "github"] {
                let refused = by(&auth, &provider, name, &nameless).await.unwrap_err();
                assert_eq!(refused, failed("server_error", "unexpected_failure"), "{name}");
            }

            // First somebody whose provider does not vouch, then the owner.
            let other = "other@example.com";
            let mut squatter = unverified.clone();
            squatter.claims["sub"] = json!("squatter");
            squatter.claims["email"] = json!(other);
            let squatted = by(&auth, &provider, "discord", &squatter).await.unwrap();
            assert_eq!(squatted.user["identities"][0]["identity_data"]["email_verified"], false);
            let owner = by(
                &auth,
                &provider,
                "custom:acme",
                &Person::new("other's owner", other, true),
            )
            .await
            .unwrap();
            assert_eq!((owner.id(), providers(&owner)), (squatted.id(), vec!["custom:acme"]));
            assert_eq!(
                refusal(&auth.user(&squatted.access_token).await),
                refused(403, "session_not_found")
            );
            assert_eq!(
                by(&auth, &provider, "discord", &squatter).await.unwrap_err(),
                needs_verification()
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_subject_counts_and_not_its_address() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let ann = by(
                &auth,
                &provider,
                "custom:acme",
                &Person::new("ann", "ann@example.com", true),
            )
            .await
            .unwrap();
            let bob = by(
                &auth,
                &provider,
                "custom:acme",
                &Person::new("bob", "bob@example.com", true),
            )
            .await
            .unwrap();
            // Bob's provider now says that Ann's address is Bob's. He stays who he is.
            let moved = by(
                &auth,
                &provider,
                "custom:acme",
                &Person::new("bob", "ann@example.com", true),
            )
            .await
            .unwrap();
            assert_eq!(moved.id(), bob.id());
            assert_eq!(moved.user["email"], "bob@example.com");
            // The same subject of another provider is somebody else.
            let other = by(
                &auth,
                &provider,
                "github",
                &Person::new("bob", "github-bob@example.com", true),
            )
            .await
            .unwrap();
            assert!(![ann.id(), bob.id()].contains(&other.id()));
            // Two accounts for which the address is vouched for now: nobody is guessed to be one of them.
            let end = by(
                &auth,
                &provider,
                "discord",
                &Person::new("third", "ann@example.com", true),
            )
            .await;
            assert_eq!(end.unwrap_err(), failed("server_error", "unexpected_failure"));

            // An anonymous user is nobody whose account could be taken, or be joined.
            let anonymous = session(&auth.post("/signup", json!({})).await);
            let cat = by(&auth, &provider, "github", &Person::new("cat", "cat@example.com", true))
                .await
                .unwrap();
            assert_ne!(cat.id(), anonymous.id());
        },
    )
    .await;
}

#[tokio::test]
async fn who_may_not_sign_in_does_not_by_a_provider_either() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider, "enable_signup = false\n"),
        async |_, auth: Auth| {
            let new = by(&auth, &provider, "custom:acme", &owner()).await;
            assert_eq!(new.unwrap_err(), failed("access_denied", "signup_disabled"));
            let made = admin(
                &auth,
                Method::POST,
                "/admin/users",
                json!({"email": VICTIM, "email_confirm": true}),
            )
            .await;
            let id = made["id"].as_str().unwrap();
            let known = by(&auth, &provider, "custom:acme", &owner()).await.unwrap();
            assert_eq!(known.id(), id);
            admin(
                &auth,
                Method::PUT,
                &format!("/admin/users/{id}"),
                json!({"ban_duration": "24h"}),
            )
            .await;
            for name in ["custom:acme", "github"] {
                let banned = by(&auth, &provider, name, &owner()).await;
                assert_eq!(banned.unwrap_err(), failed("access_denied", "user_banned"), "{name}");
            }
            admin(
                &auth,
                Method::PUT,
                &format!("/admin/users/{id}"),
                json!({"ban_duration": "none"}),
            )
            .await;
            admin(
                &auth,
                Method::DELETE,
                &format!("/admin/users/{id}"),
                json!({"should_soft_delete": true}),
            )
            .await;
            let gone = by(&auth, &provider, "custom:acme", &owner()).await;
            assert_eq!(gone.unwrap_err(), failed("access_denied", "signup_disabled"));
        },
    )
    .await;
}

#[tokio::test]
async fn two_who_come_at_once_are_one() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let new = owner();
            let ways = ["custom:acme", "github", "discord", "custom:acme"];
            let came = futures_util::future::join_all(ways.map(|name| by(&auth, &provider, name, &new))).await;
            let ids: std::collections::HashSet<String> = came
                .into_iter()
                .map(|session| session.unwrap().id().to_owned())
                .collect();
            assert_eq!(ids.len(), 1);
        },
    )
    .await;
}

async fn link(auth: &Auth, provider: &Provider, user: &Session, name: &str, person: &Person) -> String {
    let path = format!("/user/identities{}&skip_http_redirect=true", pkce(name));
    let begun = auth
        .ask(Method::GET, &path, Some(&user.access_token), Value::Null)
        .await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let back = provider.consent(begun.json()["url"].as_str().unwrap(), person);
    Browser::default().come_back(auth, &back).await
}

async fn unlink(auth: &Auth, user: &Session, identity: &str) -> mainstay_testing::Answer {
    let path = format!("/user/identities/{identity}");
    auth.ask(Method::DELETE, &path, Some(&user.access_token), Value::Null)
        .await
}

#[tokio::test]
async fn identities_are_linked_and_taken_away_by_their_user_alone() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            let bob = auth.sign_up("bob@example.com").await;
            // Another address than the account's: the user asked for it.
            let own = Person::new("ann's", "elsewhere@example.com", true);
            let end = link(&auth, &provider, &ann, "custom:acme", &own).await;
            let linked = session(&exchange(&auth, &end, crate::oauth::VERIFIER).await);
            assert_eq!(
                (linked.id(), providers(&linked)),
                (ann.id(), vec!["email", "custom:acme"])
            );
            assert_eq!(linked.user["email"], "ann@example.com");
            assert_eq!(by(&auth, &provider, "custom:acme", &own).await.unwrap().id(), ann.id());
            assert_eq!(
                auth.sign_in("ann@example.com").await.id(),
                ann.id(),
                "the password still holds"
            );
            for user in [&ann, &bob] {
                let end = link(&auth, &provider, user, "custom:acme", &own).await;
                assert_eq!(failure(&end).1, "identity_already_exists");
            }

            let identity = |session: &Session, provider: &str| {
                let identities = session.user["identities"].as_array().unwrap();
                let found = identities
                    .iter()
                    .find(|identity| identity["provider"] == provider)
                    .unwrap();
                found["identity_id"].as_str().unwrap().to_owned()
            };
            let (by_mail, by_acme) = (identity(&linked, "email"), identity(&linked, "custom:acme"));
            assert_eq!(
                refusal(&unlink(&auth, &bob, &by_acme).await),
                refused(422, "single_identity_not_deletable")
            );
            assert_eq!(
                refusal(&unlink(&auth, &ann, &identity(&bob, "email")).await),
                refused(422, "identity_not_found")
            );
            assert_eq!(
                refusal(&unlink(&auth, &ann, "x").await),
                refused(404, "validation_failed")
            );
            let gone = unlink(&auth, &ann, &by_mail).await;
            assert_eq!((gone.status.as_u16(), gone.text().as_str()), (200, "{}"));
            let now = auth.user(&ann.access_token).await.json();
            assert_eq!(now["email"], "elsewhere@example.com");
            assert_eq!(
                now["app_metadata"],
                json!({"provider": "custom:acme", "providers": ["custom:acme"]})
            );
            assert_eq!(
                refusal(&unlink(&auth, &ann, &by_acme).await),
                refused(422, "single_identity_not_deletable")
            );

            let nobody = auth
                .ask(
                    Method::GET,
                    "/user/identities/authorize?provider=github",
                    None,
                    Value::Null,
                )
                .await;
            assert_eq!(refusal(&nobody), refused(401, "no_authorization"));
        },
    )
    .await;
}

#[tokio::test]
async fn linking_takes_the_second_factor_of_a_user_who_has_one() {
    let provider = Provider::start().await;
    on_each_engine(
        || {
            project(
                &provider,
                "[auth.mfa.totp]\nenroll_enabled = true\nverify_enabled = true\n",
            )
        },
        async |_, auth: Auth| {
            let first = auth.sign_up("ann@example.com").await;
            let app = auth.enroll(&first, "phone").await;
            let raised = session(&auth.verify(&first, &app, &app.code(0)).await);
            let low = auth.sign_in("ann@example.com").await;
            let own = Person::new("ann's", "ann@example.com", true);
            let id_token = provider.id_token(&own, None, None);
            let body = json!({"provider": "custom:acme", "id_token": id_token, "link_identity": true});
            let identity = low.user["identities"][0]["identity_id"].as_str().unwrap();
            for (method, path, body) in [
                (
                    Method::GET,
                    "/user/identities/authorize?provider=github".to_owned(),
                    Value::Null,
                ),
                (Method::POST, "/token?grant_type=id_token".to_owned(), body.clone()),
                (Method::DELETE, format!("/user/identities/{identity}"), Value::Null),
            ] {
                let answer = auth.as_user(&low, method, &path, body).await;
                assert_eq!(refusal(&answer), refused(401, "insufficient_aal"), "{path}");
            }
            let user = auth.user(&raised.access_token).await.json();
            assert_eq!(user["identities"].as_array().unwrap().len(), 1);
            let end = link(&auth, &provider, &raised, "github", &own).await;
            let linked = session(&exchange(&auth, &end, crate::oauth::VERIFIER).await);
            assert_eq!(providers(&linked), ["email", "github"]);
            let answer = auth
                .as_user(&raised, Method::POST, "/token?grant_type=id_token", body)
                .await;
            assert_eq!(providers(&session(&answer)), ["email", "github", "custom:acme"]);
            assert_eq!(unlink(&auth, &raised, identity).await.status, 200);
        },
    )
    .await;
}

#[tokio::test]
async fn an_anonymous_user_becomes_somebody() {
    let provider = Provider::start().await;
    on_each_engine(
        || project(&provider, ""),
        async |_, auth: Auth| {
            let taken = auth.sign_up("taken@example.com").await;
            let anonymous = session(&auth.post("/signup", json!({})).await);
            let end = link(
                &auth,
                &provider,
                &anonymous,
                "custom:acme",
                &Person::new("a", "taken@example.com", true),
            )
            .await;
            assert_eq!(failure(&end).1, "email_exists");
            let before = auth.user(&anonymous.access_token).await.json();
            assert_eq!(
                (&before["is_anonymous"], &before["identities"]),
                (&json!(true), &json!([]))
            );
            let end = link(&auth, &provider, &anonymous, "custom:acme", &owner()).await;
            let now = session(&exchange(&auth, &end, crate::oauth::VERIFIER).await);
            assert_eq!(now.id(), anonymous.id());
            assert_eq!(
                (&now.user["is_anonymous"], &now.user["email"]),
                (&json!(false), &json!(VICTIM))
            );
            assert_eq!(
                by(&auth, &provider, "custom:acme", &owner()).await.unwrap().id(),
                anonymous.id()
            );
            assert_ne!(taken.id(), anonymous.id());
        },
    )
    .await;
}

#[tokio::test]
async fn linking_is_a_setting() {
    let provider = Provider::start().await;
    let without = || {
        let project = project(&provider, "");
        let path = project.path().join("supabase/config.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        project.file(
            "supabase/config.toml",
            &text.replace("enable_manual_linking = true", ""),
        )
    };
    on_each_engine(without, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        for (method, path) in [
            (Method::GET, "/user/identities/authorize?provider=github"),
            (Method::DELETE, "/user/identities/aaaaaaaa-0000-4000-8000-000000000001"),
        ] {
            let answer = auth.ask(method, path, Some(&ann.access_token), Value::Null).await;
            assert_eq!(refusal(&answer), refused(404, "manual_linking_disabled"), "{path}");
        }
    })
    .await;
}
