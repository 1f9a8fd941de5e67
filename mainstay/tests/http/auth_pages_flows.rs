//! Flows of applications, and of the pages themselves, that end on a ready page: whose browser is signed in there, and who
//! gets a code.

use http::Method;
use mainstay_testing::{Answer, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, Session, session};
use crate::auth_mail::{CLOCK, SETTINGS, on_each_engine_in_dev};
use crate::oauth::{CHALLENGE, VERIFIER};
use crate::oauth_provider::{Person, Provider, encoded, query};
use crate::page_browser::{APP, Browser, encode, given, page_url, sent_to, to_app};

fn project(provider: &Provider) -> Project {
    let settings = SETTINGS.replace("[auth.email]", "enable_manual_linking = true\n[auth.email]");
    Project::of(CLOCK).config(&format!("{}{settings}", provider.settings()))
}

fn person() -> Person {
    Person::new("ann-1", "ann@example.com", true)
}

/// Comes back from the provider to which `away` leads.
async fn come_back(browser: &mut Browser<'_>, provider: &Provider, away: &str) -> Answer {
    let back = provider.consent(away, &person());
    browser.open(&format!("/auth/v1/callback?{}", encoded(&back))).await
}

/// Where the provider is that the user links, to end on a page.
async fn linking(auth: &Auth, user: &Session, more: &str) -> String {
    let path = format!(
        "/user/identities/authorize?provider=github&skip_http_redirect=true&redirect_to={}{more}",
        encode(&page_url(auth, &to_app(&[])))
    );
    let begun = auth.as_user(user, Method::GET, &path, Value::Null).await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    begun.json()["url"].as_str().unwrap().to_owned()
}

fn with_challenge() -> String {
    format!("&code_challenge={CHALLENGE}&code_challenge_method=s256")
}

/// The session for the code that the application behind the page got.
async fn redeemed(auth: &Auth, answer: &Answer) -> Session {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let to = answer.header("location");
    assert!(to.starts_with(&format!("{APP}?code=")) && !to.contains('#'), "{to}");
    let body = json!({"auth_code": query(to)["code"], "code_verifier": VERIFIER});
    session(&auth.post("/token?grant_type=pkce", body).await)
}

fn providers(user: &Value) -> Vec<&str> {
    let identities = user["identities"].as_array().unwrap();
    identities.iter().map(|one| one["provider"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_provider_signs_in_the_browser_that_went_there_and_no_other() {
    let provider = Provider::start().await;
    on_each_engine_in_dev(
        || project(&provider),
        async |_, auth: Auth| {
            let path = format!(
                "/auth/v1/authorize?provider=github&redirect_to={}",
                encode(&page_url(&auth, &to_app(&[])))
            );
            let (mut own, mut other) = (Browser::new(&auth), Browser::new(&auth));
            let away = own.open(&path).await.header("location").to_owned();
            let end = come_back(&mut own, &provider, &away).await;
            assert_eq!(given(&auth, &end).await.user["email"], "ann@example.com");
            assert_eq!(own.open("account").await.status, 200);

            let away = own.open(&path).await.header("location").to_owned();
            let end = come_back(&mut other, &provider, &away).await;
            assert_eq!(end.status, 400, "{}", end.text());
            assert_eq!(other.cookie, None);
            assert_eq!(sent_to(&other.open("account").await), "sign-in");
        },
    )
    .await;
}

#[tokio::test]
async fn linking_a_provider_signs_no_browser_in() {
    let provider = Provider::start().await;
    on_each_engine_in_dev(
        || project(&provider),
        async |_, auth: Auth| {
            let mallory = auth.sign_up("mallory@example.com").await;
            let sessions = auth.counts().await["sessions"].clone();
            let away = linking(&auth, &mallory, "").await;
            let mut victim = Browser::new(&auth);
            let end = come_back(&mut victim, &provider, &away).await;
            assert_eq!(sent_to(&end), "account");
            assert!(!end.header("location").contains("token"), "{}", end.header("location"));
            assert_eq!(victim.cookie, None);
            assert_eq!(sent_to(&victim.open("account").await), "sign-in");
            assert_eq!(auth.counts().await["sessions"], sessions, "no session has begun");
            let user = auth.user(&mallory.access_token).await.json();
            assert_eq!(providers(&user), ["email", "github"]);

            // Who is signed in on the pages stays so, as whoever that is.
            let bob = auth.sign_up("bob@example.com").await;
            let mut browser = Browser::new(&auth);
            browser
                .sign_in(&to_app(&[]), "bob@example.com", crate::auth::PASSWORD)
                .await;
            let cookie = browser.cookie.clone();
            let away = linking(&auth, &bob, "").await;
            let back = provider.consent(&away, &Person::new("bob-1", "bob@example.com", true));
            let end = browser.open(&format!("/auth/v1/callback?{}", encoded(&back))).await;
            let to = end.header("location").to_owned();
            assert_eq!((sent_to(&end).as_str(), &browser.cookie), ("account", &cookie));
            assert!(
                browser
                    .open(&to)
                    .await
                    .text()
                    .contains("<strong>bob@example.com</strong>")
            );
            assert!(browser.page.contains("GitHub"));
        },
    )
    .await;
}

#[tokio::test]
async fn a_code_goes_to_the_application_behind_the_page() {
    let provider = Provider::start().await;
    on_each_engine_in_dev(
        || project(&provider),
        async |_, auth: Auth| {
            let page = encode(&page_url(&auth, &to_app(&[])));
            let mut browser = Browser::new(&auth);
            let path = format!(
                "/auth/v1/authorize?provider=github&redirect_to={page}{}",
                with_challenge()
            );
            let away = browser.open(&path).await.header("location").to_owned();
            let end = come_back(&mut browser, &provider, &away).await;
            let ann = redeemed(&auth, &end).await;
            assert_eq!(
                (ann.user["email"].as_str(), &browser.cookie),
                (Some("ann@example.com"), &None)
            );

            let bob = auth.sign_up("bob@example.com").await;
            let away = linking(&auth, &bob, &with_challenge()).await;
            let back = provider.consent(&away, &Person::new("bob-1", "bob@example.com", true));
            let end = browser.open(&format!("/auth/v1/callback?{}", encoded(&back))).await;
            let linked = redeemed(&auth, &end).await;
            assert_eq!(providers(&linked.user), ["email", "github"]);

            let body =
                json!({"email": "bob@example.com", "code_challenge": CHALLENGE, "code_challenge_method": "s256"});
            for (path, method) in [("recover", "recovery"), ("otp", "magiclink")] {
                auth.post(&format!("/{path}?redirect_to={page}"), body.clone()).await;
                let end = browser.follow(&auth.mail("bob@example.com").await).await;
                let bob = redeemed(&auth, &end).await;
                assert_eq!(bob.claims()["amr"][0]["method"], method);
            }
            assert_eq!(browser.cookie, None);
        },
    )
    .await;
}

#[tokio::test]
async fn a_link_signs_in_the_browser_alone_in_which_it_was_opened() {
    on_each_engine_in_dev(
        || Project::of(CLOCK).config(SETTINGS),
        async |_, auth: Auth| {
            auth.sign_up("mallory@example.com").await;
            auth.sign_up("ann@example.com").await;
            let page = encode(&page_url(&auth, &to_app(&[])));
            let ask = async |email: &str| {
                let asked = auth
                    .post(&format!("/otp?redirect_to={page}"), json!({"email": email}))
                    .await;
                assert_eq!(asked.status, 200, "{}", asked.text());
                auth.mail(email).await
            };
            let sessions = auth.counts().await["sessions"].clone();
            let (mut mallory, mut victim) = (Browser::new(&auth), Browser::new(&auth));
            let mail = ask("mallory@example.com").await;
            let form = mallory.open_link(&mail).await;
            let bare = form.split("&form%5Ftoken=").next().unwrap().to_owned();
            assert_ne!(bare, form);
            // A page of another site that says nothing of itself: old browsers, and any browser without https, send no more.
            for opens_own in [false, true] {
                if opens_own {
                    victim.open_link(&ask("ann@example.com").await).await;
                }
                for headers in [&[][..], &[("origin", "null")], &[("sec-fetch-site", "same-origin")]] {
                    for form in [&form, &bare] {
                        let answer = victim.send(Method::POST, "/auth/v1/verify", headers, form).await;
                        assert_eq!(answer.status, 403, "{headers:?} {}", answer.text());
                        assert!(answer.text().contains("role=\"alert\""), "{}", answer.text());
                        assert_eq!(victim.cookie, None);
                    }
                }
            }
            assert_eq!(auth.counts().await["sessions"], sessions);

            // What was refused is not used up, and another link that is opened meanwhile does not get in the way.
            mallory.open_link(&ask("ann@example.com").await).await;
            let headers = [("sec-fetch-site", "same-origin")];
            let end = mallory.send(Method::POST, "/auth/v1/verify", &headers, &form).await;
            assert_eq!(given(&auth, &end).await.user["email"], "mallory@example.com");
            assert_eq!(mallory.open("account").await.status, 200);
        },
    )
    .await;
}
