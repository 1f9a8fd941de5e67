//! The second step and the account page, as a browser without scripts uses them.

use http::Method;
use mainstay_testing::{Answer, Project};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, refusal, refused, session};
use crate::auth_mail::{CLOCK, SETTINGS, on_each_engine_in_dev};
use crate::authenticator::App;
use crate::oauth::{CHALLENGE, VERIFIER};
use crate::oauth_provider::query;
use crate::page_browser::{Browser, between, given, sent_to, to_app};

const NEXT_PASSWORD: &str = "another horse 8 battery";

/// So that a test need not wait for the next code, nor for the end of a session.
const STEPS: &str = "
    create function public.forget_steps() returns void language sql security definer set search_path = '' as $$
        delete from _mainstay.totp_steps
    $$;
    create function public.expire_pages() returns void language sql security definer set search_path = '' as $$
        update _mainstay.page_sessions set expires_at = expires_at - interval '2 hours'
    $$;
    create function public.pages() returns jsonb language sql security definer set search_path = '' as $$
        select coalesce(jsonb_agg(jsonb_build_object('digest', p.digest, 'ends', s.not_after is not null)), '[]')
            from _mainstay.page_sessions p join auth.sessions s on s.id = p.session_id
    $$;
    create function public.end_session(which uuid) returns void language sql security definer set search_path = '' as $$
        update auth.sessions set not_after = now() - interval '1 minute' where id = which
    $$;
    grant execute on function public.forget_steps, public.expire_pages, public.pages, public.end_session to service_role;";

fn project() -> Project {
    Project::of(CLOCK).migration(STEPS).config(SETTINGS)
}

async fn act(browser: &mut Browser<'_>, action: &str, fields: &[(&str, &str)]) -> Answer {
    let mut all = vec![("action", action)];
    all.extend_from_slice(fields);
    browser.submit(&format!("account{}", to_app(&[])), &all).await
}

/// Does what ends in the account page with a word of what was done.
async fn done(browser: &mut Browser<'_>, action: &str, fields: &[(&str, &str)]) {
    let answer = act(browser, action, fields).await;
    assert_eq!(sent_to(&answer), "account", "{action}: {}", answer.text());
    let to = answer.header("location").to_owned();
    let shown = browser.open(&to).await;
    assert!(
        shown.text().contains("class=\"notice done\" role=\"status\""),
        "{action}: {}",
        shown.text()
    );
}

/// Adds an authenticator app on the account page.
async fn add_app(auth: &Auth, browser: &mut Browser<'_>) -> App {
    let name = between(&browser.page, "type=\"hidden\" name=\"name\" value=\"", "\"").to_owned();
    let page = act(browser, "add-factor", &[("name", &name)]).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let html = page.text();
    assert!(html.contains("src=\"data:image/svg+xml;base64,"));
    assert!(
        page.header("content-security-policy")
            .contains("img-src 'self' https: data:")
    );
    let app = App {
        id: between(&html, "name=\"factor\" value=\"", "\"").to_owned(),
        secret: between(&html, "<code>", "<").to_owned(),
    };
    let wrong = act(browser, "confirm-factor", &[("factor", &app.id), ("code", "000000")]).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    assert!(wrong.text().contains("aria-invalid=\"true\"") && !wrong.text().contains(&app.secret));
    done(
        browser,
        "confirm-factor",
        &[("factor", &app.id), ("code", &app.code(0))],
    )
    .await;
    auth.call("forget_steps", json!({})).await;
    app
}

#[tokio::test]
async fn a_second_step_stands_before_everything_that_a_password_opens() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let mut browser = Browser::new(&auth);
        let first = given(&auth, &browser.sign_in(&to_app(&[]), "ann@example.com", PASSWORD).await).await;
        browser.open("account").await;
        let app = add_app(&auth, &mut browser).await;
        // The application's tokens were of the first level: they are renewed no more, and the page has new ones to give.
        assert_eq!(
            refusal(&auth.refresh(&first.refresh_token).await),
            refused(400, "refresh_token_not_found")
        );
        let raised = given(&auth, &act(&mut browser, "continue", &[]).await).await;
        assert_eq!(raised.claims()["aal"], "aal2");
        session(&auth.refresh(&raised.refresh_token).await);

        let mut other = Browser::new(&auth);
        let answer = other.sign_in(&to_app(&[]), "ann@example.com", PASSWORD).await;
        assert_eq!(sent_to(&answer), "mfa");
        let to = answer.header("location").to_owned();
        for page in ["account", "reset/new"] {
            assert_eq!(sent_to(&other.open(page).await), "mfa", "{page}");
        }
        let token = other.open(&to).await;
        assert_eq!(token.status, 200);
        // Nor by sending the form of a page that is not shown yet.
        let forced = other.submit("reset/new", &[("password", NEXT_PASSWORD)]).await;
        assert_eq!(sent_to(&forced), "mfa");
        session(&auth.try_sign_in("ann@example.com", PASSWORD).await);
        let wrong = other.submit(&to, &[("code", "123")]).await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.text().contains("aria-invalid=\"true\""));
        let before = other.cookie.clone();
        let code = app.code(0);
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        let passed = other.submit(&to, &[("code", &spaced)]).await;
        let second = given(&auth, &passed).await;
        assert_eq!(second.claims()["aal"], "aal2");
        assert_ne!(other.cookie, before, "what may do more has another cookie");
        assert_eq!(other.open("account").await.status, 200);

        // By a code, with a challenge: the session that is handed over is the raised one.
        auth.call("forget_steps", json!({})).await;
        let with_challenge = to_app(&[("code_challenge", CHALLENGE), ("code_challenge_method", "s256")]);
        let mut third = Browser::new(&auth);
        let answer = third.sign_in(&with_challenge, "ann@example.com", PASSWORD).await;
        let to = answer.header("location").to_owned();
        third.open(&to).await;
        let passed = third.submit(&to, &[("code", &app.code(0))]).await;
        let code = query(passed.header("location"))["code"].clone();
        let body = json!({"auth_code": code, "code_verifier": VERIFIER});
        let redeemed = session(&auth.post("/token?grant_type=pkce", body).await);
        assert_eq!(redeemed.claims()["aal"], "aal2");
    })
    .await;
}

#[tokio::test]
async fn another_app_has_a_name_that_is_free() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let mut browser = Browser::new(&auth);
        browser.sign_in("?next=account", "ann@example.com", PASSWORD).await;
        browser.open("account").await;
        let first = add_app(&auth, &mut browser).await;
        add_app(&auth, &mut browser).await;
        done(&mut browser, "remove-factor", &[("factor", &first.id)]).await;
        assert!(!browser.page.contains("App 1</p>") && browser.page.contains("App 2</p>"));
        add_app(&auth, &mut browser).await;
        assert!(browser.page.contains("App 1</p>") && browser.page.contains("App 2</p>"));

        // Nor does an app that was begun and left stand in the way of the next.
        for _ in 0..2 {
            let name = between(&browser.page, "type=\"hidden\" name=\"name\" value=\"", "\"").to_owned();
            let begun = act(&mut browser, "add-factor", &[("name", &name)]).await;
            assert_eq!(begun.status, 200, "{}", begun.text());
            browser.open("account").await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_recovery_code_is_a_second_step_once() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let mut browser = Browser::new(&auth);
        browser.sign_in("?next=account", "ann@example.com", PASSWORD).await;
        browser.open("account").await;
        assert!(
            !browser.page.contains("value=\"codes\""),
            "without an app there is nothing to recover"
        );
        add_app(&auth, &mut browser).await;
        let made = act(&mut browser, "codes", &[]).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let html = made.text();
        let list = between(&html, "<ol class=\"codes\">", "</ol>");
        let codes: Vec<&str> = list
            .split("<li>")
            .skip(1)
            .map(|item| item.split('<').next().unwrap())
            .collect();
        assert_eq!(codes.len(), list.matches("<li>").count());

        let by_recovery = async |code: &str| {
            let mut other = Browser::new(&auth);
            let answer = other.sign_in(&to_app(&[]), "ann@example.com", PASSWORD).await;
            let to = format!("{}&by=recovery", answer.header("location"));
            other.open(&to).await;
            other.submit(&to, &[("action", "recovery"), ("code", code)]).await
        };
        let wrong = by_recovery("wrong").await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.text().contains("The recovery code is wrong"));
        assert_eq!(given(&auth, &by_recovery(codes[0]).await).await.claims()["aal"], "aal2");
        assert_eq!(by_recovery(codes[0]).await.status, 422, "used once");
    })
    .await;
}

#[tokio::test]
async fn a_person_changes_their_own_account_and_nobody_elses() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let app_session = auth.sign_up("ann@example.com").await;
        let bob = auth.sign_up("bob@example.com").await;
        let mut browser = Browser::new(&auth);
        let answer = browser
            .sign_in(&format!("{}&next=account", to_app(&[])), "ann@example.com", PASSWORD)
            .await;
        assert_eq!(sent_to(&answer), "account");
        let to = answer.header("location").to_owned();
        browser.open(&to).await;

        done(&mut browser, "name", &[("name", "Ann <b>B</b>")]).await;
        assert!(browser.page.contains("value=\"Ann &lt;b&gt;B&lt;/b&gt;\""));
        let told = auth.user(&app_session.access_token).await.json();
        assert_eq!(told["user_metadata"]["name"], "Ann <b>B</b>");

        // Sessions: the other one of her own ends, somebody else's is none.
        let claims = |of: &Session| of.claims()["session_id"].as_str().unwrap().to_owned();
        let foreign = act(&mut browser, "end-session", &[("session", &claims(&bob))]).await;
        assert_eq!(foreign.status, 403, "{}", foreign.text());
        assert_eq!(auth.user(&bob.access_token).await.status, 200);
        assert!(!browser.page.contains(&claims(&bob)) && browser.page.contains(&claims(&app_session)));
        done(&mut browser, "end-session", &[("session", &claims(&app_session))]).await;
        assert_eq!(auth.user(&app_session.access_token).await.status, 403);
        let tab = auth.sign_in("ann@example.com").await;
        browser.open("account").await;
        assert!(browser.page.contains(&claims(&tab)) && browser.page.contains("value=\"end-others\""));
        done(&mut browser, "end-others", &[]).await;
        assert_eq!(auth.user(&tab.access_token).await.status, 403);
        // What has ended by itself is there still, and nobody is signed in by it.
        let ended = auth.sign_in("ann@example.com").await;
        auth.call("end_session", json!({"which": claims(&ended)})).await;
        browser.open("account").await;
        assert!(!browser.page.contains(&claims(&ended)) && !browser.page.contains("value=\"end-others\""));

        let taken = act(&mut browser, "email", &[("email", "bob@example.com")]).await;
        assert_eq!(taken.status, 422);
        done(&mut browser, "email", &[("email", "anna@example.com")]).await;
        assert!(browser.page.contains("Waits to be confirmed: anna@example.com"));
        // Both addresses have to consent: the first link says so on a page, the second ends on the account page.
        let mails = auth.mails().await;
        assert_eq!(mails.len(), 2);
        let half = browser.follow(&mails[0]).await;
        assert_eq!(half.status, 200);
        assert!(half.text().contains("has to confirm the change, too"));
        assert_eq!(sent_to(&browser.follow(&mails[1]).await), "account");
        browser.open("account").await;
        assert!(browser.page.contains("<strong>anna@example.com</strong>"));

        let weak = act(&mut browser, "password", &[("password", "abc")]).await;
        assert_eq!(weak.status, 422);
        done(&mut browser, "password", &[("password", NEXT_PASSWORD)]).await;
        session(&auth.try_sign_in("anna@example.com", NEXT_PASSWORD).await);
        assert_eq!(
            refusal(&auth.try_sign_in("anna@example.com", PASSWORD).await),
            refused(400, "invalid_credentials")
        );

        // Bob's factor is none of hers.
        let factor = auth
            .ask(
                Method::POST,
                "/factors",
                Some(&bob.access_token),
                json!({"factor_type": "totp"}),
            )
            .await;
        let id = factor.json()["id"].as_str().unwrap().to_owned();
        for action in ["remove-factor", "confirm-factor"] {
            let answer = act(&mut browser, action, &[("factor", &id), ("code", "000000")]).await;
            assert_eq!(answer.status, 404, "{action}: {}", answer.text());
        }
        for action in ["", "no-such-button"] {
            assert_eq!(act(&mut browser, action, &[]).await.status, 400, "{action}");
        }
        let app = add_app(&auth, &mut browser).await;
        done(&mut browser, "remove-factor", &[("factor", &app.id)]).await;

        let out = act(&mut browser, "sign-out", &[]).await;
        assert_eq!(sent_to(&out), "sign-in");
        assert_eq!(sent_to(&browser.open("account").await), "sign-in");
        assert_eq!(auth.user(&bob.access_token).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_page_session_is_kept_hashed_and_ends() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let mut browser = Browser::new(&auth);
        browser.sign_in("?next=account", "ann@example.com", PASSWORD).await;
        let cookie = browser.cookie.clone().unwrap();
        let kept = auth.call("pages", json!({})).await;
        assert_eq!(kept.as_array().unwrap().len(), 1);
        // No application has the session, so it ends with its page.
        assert_eq!(kept[0]["ends"], true);
        assert!(!kept.to_string().contains(&cookie));
        let digest = kept[0]["digest"].as_str().unwrap().to_owned();
        for made_up in [digest.as_str(), "", "x", &cookie[..42], &format!("{cookie}x")] {
            let mut other = Browser::new(&auth);
            other.cookie = Some(made_up.to_owned());
            assert_eq!(sent_to(&other.open("account").await), "sign-in", "{made_up}");
        }
        // Signing in anew takes the place of what the browser had.
        browser.sign_in(&to_app(&[]), "ann@example.com", PASSWORD).await;
        let kept = auth.call("pages", json!({})).await;
        assert_eq!(kept.as_array().unwrap().len(), 1);
        assert_eq!(kept[0]["ends"], false);
        let mut old = Browser::new(&auth);
        old.cookie = Some(cookie);
        assert_eq!(sent_to(&old.open("account").await), "sign-in");

        auth.call("expire_pages", json!({})).await;
        assert_eq!(sent_to(&browser.open("account").await), "sign-in");
        let user = auth.ask(Method::GET, "/user", None, Value::Null).await;
        assert_eq!(user.status, 401);
        let log = auth.log().await;
        assert!(!log.contains(browser.cookie.as_ref().unwrap()));
    })
    .await;
}
