//! The ready pages, as a browser without scripts uses them: sign-up, sign-in, reset, and who may not use them.

use http::Method;
use mainstay_testing::Project;
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, refusal, refused, session};
use crate::auth_mail::{CLOCK, CONFIRMATIONS, SETTINGS, on_each_engine_in_dev};
use crate::listener::{Heard, Listener};
use crate::oauth::{CHALLENGE, VERIFIER};
use crate::oauth_provider::query;
use crate::page_browser::{APP, Browser, between, encode, given, sent_to, to_app};

const NEXT_PASSWORD: &str = "another horse 8 battery";

pub fn project() -> Project {
    Project::of(CLOCK).config(SETTINGS)
}

fn confirming() -> Project {
    Project::of(CLOCK).config(&format!("{SETTINGS}{CONFIRMATIONS}"))
}

#[tokio::test]
async fn a_password_signs_in_and_the_application_gets_the_session() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let mut browser = Browser::new(&auth);
        let answer = browser.sign_in(&to_app(&[]), "Ann@Example.com", PASSWORD).await;
        let cookie = answer.header("set-cookie").to_owned();
        for part in [
            "; Path=/auth/v1/pages;",
            "; HttpOnly;",
            "; SameSite=Lax;",
            "; Max-Age=3600",
        ] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Secure"), "{cookie}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let given = given(&auth, &answer).await;
        assert_eq!(given.user["email"], "ann@example.com");
        let refreshed = session(&auth.refresh(&given.refresh_token).await);
        assert_eq!(refreshed.claims()["amr"][0]["method"], "password");

        // The browser is signed in on the pages by the very session, and no longer than it.
        assert_eq!(browser.open("account").await.status, 200);
        assert!(browser.page.contains("<strong>ann@example.com</strong>"));
        assert!(!browser.page.contains("<script"));
        let mut stranger = Browser::new(&auth);
        assert_eq!(sent_to(&stranger.open("account").await), "sign-in");
        let token = Some(refreshed.access_token.as_str());
        assert_eq!(
            auth.ask(Method::POST, "/logout?scope=local", token, Value::Null)
                .await
                .status,
            204
        );
        assert_eq!(sent_to(&browser.open("account").await), "sign-in");
    })
    .await;
}

#[tokio::test]
async fn a_challenge_gets_a_code_that_hands_over_the_session() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let before = auth.counts().await["sessions"].as_i64().unwrap();
        let with_challenge = to_app(&[("code_challenge", CHALLENGE), ("code_challenge_method", "s256")]);
        let code_for = async |browser: &mut Browser<'_>| {
            let answer = browser.sign_in(&with_challenge, "ann@example.com", PASSWORD).await;
            assert_eq!(answer.status, 303, "{}", answer.text());
            let to = answer.header("location").to_owned();
            assert!(to.starts_with(&format!("{APP}?code=")) && !to.contains('#'), "{to}");
            query(&to)["code"].clone()
        };
        let redeem = async |code: &str, verifier: &str| {
            let body = json!({"auth_code": code, "code_verifier": verifier});
            auth.post("/token?grant_type=pkce", body).await
        };
        let mut browser = Browser::new(&auth);
        let code = code_for(&mut browser).await;
        let wrong = redeem(&code, &"x".repeat(43)).await;
        assert_eq!(refusal(&wrong), refused(400, "bad_code_verifier"));
        let given = session(&redeem(&code, VERIFIER).await);
        assert_eq!(given.claims()["amr"][0]["method"], "password");
        assert_eq!(
            refusal(&redeem(&code, VERIFIER).await),
            refused(404, "flow_state_not_found")
        );
        // One sign-in is one session: the application's is the browser's.
        assert_eq!(auth.counts().await["sessions"], before + 1);
        session(&auth.refresh(&given.refresh_token).await);
        assert_eq!(browser.open("account").await.status, 200);

        // Whoever signs out before the code is redeemed is signed out.
        let code = code_for(&mut browser).await;
        browser.open("account").await;
        assert_eq!(
            sent_to(&browser.submit("account", &[("action", "sign-out")]).await),
            "sign-in"
        );
        assert_eq!(
            refusal(&redeem(&code, VERIFIER).await),
            refused(404, "flow_state_not_found")
        );
        assert_eq!(auth.counts().await["sessions"], before + 1);

        let half = browser
            .open(&format!("sign-in{}", to_app(&[("code_challenge", CHALLENGE)])))
            .await;
        assert_eq!(half.status, 400);
        assert!(half.text().contains("role=\"alert\""));
    })
    .await;
}

#[tokio::test]
async fn a_sign_up_is_confirmed_by_its_mail_and_ends_in_the_application() {
    on_each_engine_in_dev(confirming, async |_, auth: Auth| {
        let mut browser = Browser::new(&auth);
        let path = format!("sign-up{}", to_app(&[]));
        let name = "Ann <script>alert(1)</script>";
        let sign_up = async |browser: &mut Browser<'_>, email: &str, password: &str| {
            assert_eq!(browser.open(&path).await.status, 200);
            browser
                .submit(&path, &[("name", name), ("email", email), ("password", password)])
                .await
        };
        let weak = sign_up(&mut browser, "ann@example.com", "abc").await;
        assert_eq!(weak.status, 422);
        assert!(
            weak.text()
                .contains("id=\"problem\" class=\"notice problem\" role=\"alert\"")
        );
        let password = between(&weak.text(), "<input id=\"password\"", ">").to_owned();
        assert!(
            password.contains("aria-invalid=\"true\" aria-describedby=\"problem\""),
            "{password}"
        );
        assert!(
            weak.text()
                .contains("value=\"Ann &lt;script&gt;alert(1)&lt;/script&gt;\"")
        );
        assert!(!weak.text().contains("abc"), "a password is never sent back");

        let first = sign_up(&mut browser, "ann@example.com", PASSWORD).await;
        assert_eq!(first.status, 200, "{}", first.text());
        assert_eq!(auth.counts().await["sessions"], 0);
        let early = browser.sign_in(&to_app(&[]), "ann@example.com", PASSWORD).await;
        assert_eq!(early.status, 400);
        assert!(early.text().contains("Email not confirmed") && early.text().contains("value=\"resend\""));
        let again = [("action", "resend"), ("email", "ann@example.com")];
        assert_eq!(
            browser.submit(&format!("sign-in{}", to_app(&[])), &again).await.status,
            200
        );
        let mail = auth.mail("ann@example.com").await;
        let used = browser.follow(&mail).await;
        let ann = given(&auth, &used).await;
        assert_eq!(ann.user["user_metadata"]["name"], name);
        assert_eq!(browser.open("account").await.status, 200);
        assert!(browser.page.contains("&lt;script&gt;") && !browser.page.contains("<script"));

        // Nobody learns who is there: the same page, to the letter.
        let taken = sign_up(&mut browser, "ann@example.com", NEXT_PASSWORD).await;
        let new = sign_up(&mut browser, "bob@example.com", NEXT_PASSWORD).await;
        assert_eq!((taken.status, taken.text()), (new.status, new.text()));
        assert_eq!(new.text(), first.text());
        auth.sign_in("ann@example.com").await;
        // A link that was used says so, on a page.
        let twice = browser.follow(&mail).await;
        assert_eq!(twice.status, 403);
        assert!(twice.text().contains("invalid or has expired"));
        assert_eq!(twice.header("set-cookie"), "");
    })
    .await;
}

#[tokio::test]
async fn a_reset_goes_by_mail_to_a_new_password() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let before = auth.sign_up("ann@example.com").await;
        let mut browser = Browser::new(&auth);
        let path = format!("reset{}", to_app(&[]));
        let ask = async |browser: &mut Browser<'_>, email: &str| {
            browser.open(&path).await;
            browser.submit(&path, &[("email", email)]).await
        };
        let unknown = ask(&mut browser, "nobody@example.com").await;
        let known = ask(&mut browser, "ann@example.com").await;
        assert_eq!(known.status, 200, "{}", known.text());
        assert_eq!((known.status, known.text()), (unknown.status, unknown.text()));
        assert_eq!(auth.mails().await.len(), 1);
        let mail = auth.mail("ann@example.com").await;

        // A page of another site cannot sign this browser in by a link of its own.
        let form = format!(
            "token={}&type=recovery&redirect_to={}",
            mail.token(),
            encode(&mail.parameter("redirect_to"))
        );
        for headers in [[("sec-fetch-site", "cross-site")], [("origin", "https://evil.example")]] {
            let answer = browser.send(Method::POST, "/auth/v1/verify", &headers, &form).await;
            assert_eq!(answer.status, 403, "{}", answer.text());
            assert_eq!(answer.header("set-cookie"), "");
        }

        let arrived = browser.follow(&mail).await;
        assert_eq!(sent_to(&arrived), "reset/new");
        let to = arrived.header("location").to_owned();
        assert_eq!(browser.open(&to).await.status, 200);
        let weak = browser.submit(&to, &[("password", "abc")]).await;
        assert_eq!(weak.status, 422);
        assert!(weak.text().contains("aria-invalid=\"true\""));
        let chosen = browser.submit(&to, &[("password", NEXT_PASSWORD)]).await;
        let ann = given(&auth, &chosen).await;
        assert_eq!(ann.id(), before.id());
        session(&auth.refresh(&ann.refresh_token).await);
        assert_eq!(
            refusal(&auth.try_sign_in("ann@example.com", PASSWORD).await),
            refused(400, "invalid_credentials")
        );
        session(&auth.try_sign_in("ann@example.com", NEXT_PASSWORD).await);
        // Sessions of before have ended with the old password.
        assert_eq!(auth.user(&before.access_token).await.status, 403);
    })
    .await;
}

#[tokio::test]
async fn a_link_in_a_mail_signs_in() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let mut browser = Browser::new(&auth);
        let path = format!("sign-in{}&by=mail", to_app(&[]));
        let ask = async |browser: &mut Browser<'_>, email: &str| {
            browser.open(&path).await;
            browser.submit(&path, &[("action", "link"), ("email", email)]).await
        };
        let (unknown, known) = (
            ask(&mut browser, "nobody@example.com").await,
            ask(&mut browser, "ann@example.com").await,
        );
        assert_eq!((known.status.as_u16(), known.text()), (200, unknown.text()));
        assert_eq!(auth.mails().await.len(), 1);
        let arrived = browser.follow(&auth.mail("ann@example.com").await).await;
        assert_eq!(given(&auth, &arrived).await.claims()["amr"][0]["method"], "otp");
        let bad = ask(&mut browser, "no address").await;
        assert_eq!(bad.status, 400);
        assert!(bad.text().contains("aria-invalid=\"true\""));
    })
    .await;
}

#[tokio::test]
async fn a_form_is_taken_from_the_browser_it_was_made_for_alone() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        let sessions = auth.counts().await["sessions"].clone();
        let (mut own, mut other) = (Browser::new(&auth), Browser::new(&auth));
        own.open("sign-in").await;
        other.open("sign-in").await;
        let (token, others) = (own.form_token(), other.form_token());
        assert_ne!(token, others);
        let fields = "email=ann@example.com&password=correct+horse+7+battery";
        let form = |token: &str| format!("{fields}&form_token={token}");
        let here = ("sec-fetch-site", "same-origin");
        let refusals = [
            ("no token", vec![here], fields.to_owned()),
            ("an empty token", vec![here], form("")),
            ("another browser's token", vec![here], form(&others)),
            ("another site", vec![("sec-fetch-site", "cross-site")], form(&token)),
            ("a sister site", vec![("sec-fetch-site", "same-site")], form(&token)),
            ("typed in", vec![("sec-fetch-site", "none")], form(&token)),
            ("another origin", vec![("origin", "https://evil.example")], form(&token)),
            ("an origin that is none", vec![("origin", "evil")], form(&token)),
        ];
        for (what, headers, form) in &refusals {
            let cookie = own.cookie.clone();
            let answer = own.send(Method::POST, "sign-in", headers, form).await;
            assert_eq!(answer.status, 403, "{what}: {}", answer.text());
            assert!(answer.text().contains("role=\"alert\""), "{what}");
            // The form is there again, with what was typed but the password.
            assert!(answer.text().contains("value=\"ann@example.com\""), "{what}");
            assert!(!answer.text().contains("horse"), "{what}");
            assert_eq!(own.cookie, cookie, "{what}");
        }
        // Without the cookie the token says nothing.
        let mut bare = Browser::new(&auth);
        assert_eq!(
            bare.send(Method::POST, "sign-in", &[here], &form(&token)).await.status,
            403
        );
        // Whoever puts a cookie of their own choice there knows the token to it: a sister site can, and sends no form.
        let mut made_up = Browser::new(&auth);
        made_up.cookie = Some("A".repeat(43));
        made_up.open("sign-in").await;
        let known = form(&made_up.form_token());
        let sister = ("sec-fetch-site", "same-site");
        let answer = made_up.send(Method::POST, "sign-in", &[sister], &known).await;
        assert_eq!(answer.status, 403);
        assert_eq!(auth.counts().await["sessions"], sessions);

        // What browsers say that do not tell where a page is, and an origin that is this server.
        let origin = auth.server.url.clone();
        for header in [("origin", "null"), ("origin", origin.as_str()), here] {
            let mut browser = Browser::new(&auth);
            browser.open("sign-in").await;
            let form = form(&browser.form_token());
            let before = browser.cookie.clone();
            let answer = browser.send(Method::POST, "sign-in", &[header], &form).await;
            assert_eq!(answer.status, 303, "{header:?} {}", answer.text());
            // A cookie that somebody has put there before does not become a session.
            assert_ne!(browser.cookie, before);
            let mut planted = Browser::new(&auth);
            planted.cookie = before;
            assert_eq!(sent_to(&planted.open("account").await), "sign-in");
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_is_sent_where_the_settings_do_not_allow_it() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        for foreign in [
            "https://evil.example/",
            "//evil.example",
            "https://app.example.evil.example/",
            "https://app.example@evil.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/auth/v1/pages/account",
            &format!(
                "{}/auth/v1/pages/sign-in?redirect_to=https://evil.example",
                auth.server.url
            ),
            &format!("{}/auth/v1/pages/account", auth.server.url),
        ] {
            let mut browser = Browser::new(&auth);
            let answer = browser
                .sign_in(
                    &format!("?redirect_to={}", encode(foreign)),
                    "ann@example.com",
                    PASSWORD,
                )
                .await;
            let to = answer.header("location");
            assert!(to.starts_with("https://shop.example/#access_token="), "{foreign}: {to}");
            assert!(!browser.page.contains("evil.example"), "{foreign}: {}", browser.page);
        }
    })
    .await;
}

#[tokio::test]
async fn text_stays_text_and_the_policy_holds() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let mut browser = Browser::new(&auth);
        let hostile = "com.example.app://x/\"><script>alert(1)</script>";
        let answer = browser.open(&format!("sign-in?redirect_to={}", encode(hostile))).await;
        assert_eq!(answer.status, 200);
        let page = answer.text();
        assert!(!page.contains("<script") && !page.contains("alert(1)"), "{page}");
        assert!(page.contains("<html lang=\"en\">") && page.contains("<h1>Sign in</h1>"));
        assert!(page.contains("<label for=\"email\">") && page.contains("<label for=\"password\">"));
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "style-src 'self'",
            "form-action 'self' com.example.app:",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
            ("access-control-allow-origin", ""),
            ("access-control-allow-credentials", ""),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
        // The host cannot put more than its own origin into the policy.
        let spaced = "https://app.example/a b;script-src 'unsafe-inline'";
        let answer = browser.open(&format!("sign-in?redirect_to={}", encode(spaced))).await;
        assert!(
            answer
                .header("content-security-policy")
                .contains("form-action 'self' https://app.example")
        );
        assert!(!answer.header("content-security-policy").contains("unsafe"));

        browser.open("sign-in").await;
        let email = "\"><img src=x onerror=alert(1)>@example.com";
        let answer = browser.submit("sign-in", &[("email", email), ("password", "x")]).await;
        assert_eq!(answer.status, 400);
        assert!(!answer.text().contains("<img"), "{}", answer.text());
        let wrong = answer.text();
        assert_eq!(wrong.matches("aria-invalid=\"true\"").count(), 2);
        assert!(wrong.contains("The address or the password is wrong."));
        for bad in ["%ff", "a\u{0}b", &"x".repeat(100_000)] {
            let answer = browser.submit("sign-in", &[("email", bad), ("password", bad)]).await;
            assert!((400..500).contains(&answer.status.as_u16()), "{}", answer.status);
        }
    })
    .await;
}

#[tokio::test]
async fn pages_are_there_where_they_are_asked_for_and_look_as_the_project_says() {
    on_each_engine(project, async |_, auth: Auth| {
        let mut browser = Browser::new(&auth);
        for page in ["sign-in", "sign-up", "reset", "account", "style.css"] {
            let answer = browser.open(page).await;
            assert_eq!(answer.status, 404, "{page}");
            assert_eq!(answer.header("set-cookie"), "");
        }
    })
    .await;
    let themed = || {
        Project::new()
            .file("supabase/pages.css", "h1 { letter-spacing: 1px }")
            .config(
                "[auth]\nenable_signup = false\nexternal_url = \"https://api.shop.example/auth/v1\"\n\
                 [mainstay.pages]\nenabled = true\nname = \"Shop & <Sons>\"\naccent = \"#ffcc00\"\n\
                 logo_url = \"https://shop.example/logo.svg\"\nstylesheet = \"pages.css\"\n",
            )
    };
    on_each_engine(themed, async |_, auth: Auth| {
        let mut browser = Browser::new(&auth);
        let answer = browser.open("sign-in").await;
        assert_eq!(answer.status, 200);
        let page = answer.text();
        assert!(
            page.contains("<title>Sign in – Shop &amp; &lt;Sons&gt;</title>"),
            "{page}"
        );
        assert!(page.contains("<img src=\"https://shop.example/logo.svg\" alt=\"Shop &amp; &lt;Sons&gt;\""));
        assert!(!page.contains("Create an account"));
        let cookie = answer.header("set-cookie");
        assert!(
            cookie.starts_with("__Secure-mainstay-pages=") && cookie.contains("; Secure"),
            "{cookie}"
        );
        let style = browser.open("style.css").await;
        assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
        assert!(
            style.text().contains("--accent:#ffcc00;--on-accent:#000")
                && style.text().ends_with("letter-spacing: 1px }")
        );
        let closed = browser.open("sign-up").await.text();
        assert!(closed.contains("cannot be made here") && !closed.contains("<form"));
        assert_eq!(browser.open("nothing").await.status, 404);
        assert_eq!(browser.open("reset/old").await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn a_captcha_that_is_switched_off_is_not_loaded() {
    let project = || {
        Project::new().config(
            "[auth.captcha]\nenabled = false\nprovider = \"turnstile\"\nsecret = \"captcha-secret-7\"\n\
             [mainstay.pages]\nenabled = true\ncaptcha_site_key = \"site-key-7\"\n",
        )
    };
    on_each_engine(project, async |_, auth: Auth| {
        let mut browser = Browser::new(&auth);
        for page in ["sign-in", "sign-up", "reset"] {
            let shown = browser.open(page).await;
            assert_eq!(shown.status, 200, "{page}");
            for part in ["<script", "turnstile"] {
                assert!(!shown.text().contains(part), "{page}");
            }
            assert!(
                !shown.header("content-security-policy").contains("cloudflare"),
                "{page}"
            );
        }
    })
    .await;
}

/// Good for the token `person`.
fn captcha(heard: &Heard) -> (u16, &'static str, String) {
    let is_person = heard.body.split('&').any(|pair| pair == "response=person");
    (200, "application/json", json!({"success": is_person}).to_string())
}

#[tokio::test]
async fn a_captcha_is_asked_for_on_the_pages_too() {
    let service = Listener::start(captcha).await;
    let project = || {
        Project::new().config(&format!(
            "[auth.captcha]\nenabled = true\nprovider = \"turnstile\"\nsecret = \"captcha-secret-7\"\n\
             [mainstay.captcha]\nurl = \"{}/siteverify\"\n[mainstay.outgoing]\nallow = [\"127.0.0.1\"]\n\
             [mainstay.pages]\nenabled = true\ncaptcha_site_key = \"site-key-7\"\n",
            service.url
        ))
    };
    on_each_engine(project, async |_, auth: Auth| {
        let mut browser = Browser::new(&auth);
        let shown = browser.open("sign-up").await;
        let (page, policy) = (shown.text(), shown.header("content-security-policy"));
        assert!(
            page.contains("class=\"cf-turnstile\" data-sitekey=\"site-key-7\""),
            "{page}"
        );
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains("<script src=\"https://challenges.cloudflare.com/turnstile/v0/api.js\""));
        assert!(
            policy.contains("script-src https://challenges.cloudflare.com;"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
        for bad in ["", "machine"] {
            let mut all = fields.to_vec();
            all.push(("cf-turnstile-response", bad));
            let answer = browser.submit("sign-up", &all).await;
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert!(answer.text().contains("role=\"alert\""));
        }
        let mut all = fields.to_vec();
        all.push(("cf-turnstile-response", "person"));
        assert_eq!(browser.submit("sign-up", &all).await.status, 303);
        // The account page asks nobody: it has no script, and its policy allows none.
        let account = browser.open("account").await;
        assert_eq!(account.status, 200);
        assert!(
            !account.text().contains("<script") && !account.header("content-security-policy").contains("script-src")
        );
        browser.open("sign-in").await;
        assert_eq!(browser.submit("sign-in", &fields).await.status, 400);
        browser.open("reset").await;
        assert_eq!(
            browser.submit("reset", &[("email", "ann@example.com")]).await.status,
            400
        );
    })
    .await;
}
