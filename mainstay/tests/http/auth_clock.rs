//! Clocks that jump in the middle of every way to sign in: what is late has expired, what was used stays used however far
//! the clock is put back, and nothing fails but by a refusal. The program's clock is moved while it runs; the embedded
//! engine's moves with it, PostgreSQL's own stays, as on two machines that do not agree.

use std::path::PathBuf;

use http::Method;
use mainstay_testing::{Engine, Project, Server, engines};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, refused_start, session_by_any_clock};
use crate::auth_crash_flows::{Ask, callback, exchange, has_landed, is_good};
use crate::auth_factors::project as with_factors;
use crate::auth_mail::SETTINGS;
use crate::auth_other_ways::OF_OTHER_WAYS;
use crate::authenticator::App;
use crate::both::PROGRAM;
use crate::oauth::{CHALLENGE, VERIFIER};
use crate::oauth_provider::{Person, Provider, encoded, query};
use crate::oauth_server;

const DAYS: i64 = 86_400;
const HOME: &str = "https://app.example/callback";

/// A server whose clock a test moves.
struct Moved {
    auth: Auth,
    file: PathBuf,
}

impl Moved {
    async fn start(engine: Engine, provider: &Provider) -> Self {
        let settings = SETTINGS.replacen(
            "[auth]\n",
            "[auth]\nenable_manual_linking = true\nenable_anonymous_sign_ins = true\n",
            1,
        );
        let project = with_factors().config(&format!(
            "{}{settings}double_confirm_changes = false\nsecure_password_change = true\n{OF_OTHER_WAYS}\
             [auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\nauthorization_url_path = \"/start/oauth/consent\"\n",
            provider.settings()
        ));
        let file = project.path().join("clock");
        let variable = [(mainstay_core::clock::VARIABLE, file.to_str().unwrap())];
        let server = Server::start_dev_with(PROGRAM, engine, project, &variable).await;
        Moved {
            auth: Auth { server },
            file,
        }
    }

    /// Puts the clock as far from the right time.
    fn jump(&self, seconds: i64) {
        std::fs::write(&self.file, seconds.to_string()).unwrap();
    }

    async fn session_of(&self, path: &str, body: Value) -> Session {
        session_by_any_clock(&self.auth.post(path, body).await)
    }

    async fn sign_up(&self, email: &str) -> Session {
        self.session_of("/signup", json!({"email": email, "password": PASSWORD}))
            .await
    }

    async fn refreshed(&self, of: &Session) -> Session {
        let body = json!({"refresh_token": of.refresh_token});
        self.session_of("/token?grant_type=refresh_token", body).await
    }

    /// One of each thing that may be redeemed once. `seconds`: how far the clock is moved now.
    async fn pending(&self, provider: &Provider, who: &str, seconds: i64) -> Vec<(&'static str, Ask)> {
        let auth = &self.auth;
        let mut all = Vec::new();
        let email = |kind: &str| format!("{kind}-{who}@example.com");
        let link = |token: &str| Ask::form("/verify", &[("token", token), ("type", "magiclink")]).worked(has_landed);

        let to = email("code");
        self.sign_up(&to).await;
        auth.post("/otp", json!({"email": to})).await;
        let proof = json!({"type": "email", "email": to, "token": auth.mail(&to).await.code()});
        all.push(("a code", Ask::post("/verify", &proof)));

        let to = email("link");
        self.sign_up(&to).await;
        auth.post("/recover", json!({"email": to})).await;
        all.push(("a link", link(&auth.mail(&to).await.token())));

        let to = email("old");
        let own = self.sign_up(&to).await;
        let wanted = email("new");
        auth.ask(Method::PUT, "/user", Some(&own.access_token), json!({"email": wanted}))
            .await;
        let proof = json!({"type": "email_change", "token_hash": auth.mail(&wanted).await.token()});
        all.push(("a change of address", Ask::post("/verify", &proof)));

        let to = email("pkce");
        self.sign_up(&to).await;
        let body = json!({"email": to, "code_challenge": CHALLENGE, "code_challenge_method": "s256"});
        auth.post("/otp", body).await;
        let landed = link(&auth.mail(&to).await.token())
            .send(&auth.client(None))
            .await
            .unwrap();
        let code = query(landed.header("location"))
            .get("code")
            .cloned()
            .unwrap_or_default();
        all.push(("a link's code", exchange(&code)));

        let challenge = format!("&code_challenge={CHALLENGE}&code_challenge_method=s256");
        for (name, more) in [("a state", ""), ("a provider's code", challenge.as_str())] {
            let ask = Ask::get(&format!("/authorize?provider=github{more}"));
            let away = ask.send(&auth.client(None)).await.unwrap();
            let to = email(if more.is_empty() { "state" } else { "coded" });
            let callback = callback(&away, provider, &Person::new(&to, &to, true));
            if more.is_empty() {
                all.push((name, callback));
                continue;
            }
            let landed = callback.send(&auth.client(None)).await.unwrap();
            let code = query(landed.header("location"))
                .get("code")
                .cloned()
                .unwrap_or_default();
            all.push((name, exchange(&code)));
        }

        let own = self.sign_up(&email("app")).await;
        let body = json!({"redirect_uris": [HOME], "token_endpoint_auth_method": "none"});
        let client = auth.post("/oauth/clients/register", body).await.json();
        let id = client["client_id"].as_str().unwrap();
        for is_code in [false, true] {
            let asked: Vec<(String, String)> = [
                ("client_id", id),
                ("redirect_uri", HOME),
                ("response_type", "code"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
                ("scope", if is_code { "openid email" } else { "openid email phone" }),
            ]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .into();
            let sent = Ask::get(&format!("/oauth/authorize?{}", encoded(&asked)));
            let sent = sent.send(&auth.client(None)).await.unwrap();
            assert_eq!(sent.status, 302, "{}", sent.text());
            let path = format!(
                "/oauth/authorizations/{}",
                query(sent.header("location"))["authorization_id"]
            );
            Ask::get(&path)
                .by_user(&own.access_token)
                .send(&auth.client(None))
                .await
                .unwrap();
            let consent =
                Ask::post(&format!("{path}/consent"), &json!({"action": "approve"})).by_user(&own.access_token);
            if !is_code {
                all.push(("a question", consent));
                continue;
            }
            let decided = consent.send(&auth.client(None)).await.unwrap();
            assert_eq!(decided.status, 200, "{}", decided.text());
            let decided = decided.json();
            let code = query(decided["redirect_url"].as_str().unwrap())["code"].clone();
            let fields = [
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("code_verifier", VERIFIER),
                ("redirect_uri", HOME),
                ("client_id", id),
            ];
            all.push(("an application's code", Ask::form("/oauth/token", &fields)));
        }

        let own = self.sign_up(&email("factor")).await;
        let body = json!({"factor_type": "totp", "friendly_name": "phone"});
        let app = App::of(&auth.as_user(&own, Method::POST, "/factors", body).await.json());
        let challenge = auth.challenge(&own, &app.id).await.json();
        let answer = json!({"challenge_id": challenge["id"], "code": app.code(seconds / 30)});
        let verify = Ask::post(&format!("/factors/{}/verify", app.id), &answer).by_user(&own.access_token);
        all.push(("a challenge", verify));
        all.extend(auth.pending_of_other_ways(provider, who, seconds).await);
        all
    }

    /// Redeems all of it. `must`: it has to work; else it may be refused, and nothing else.
    async fn redeem(&self, all: &[(&'static str, Ask)], must: bool, when: &str) {
        for (name, ask) in all {
            let answer = ask.send(&self.auth.client(None)).await.unwrap();
            assert!(answer.status.as_u16() < 500, "{when}: {name}: {}", answer.text());
            assert!(
                (ask.worked)(&answer) || !must,
                "{when}: {name}: {} {} {}",
                answer.status,
                answer.text(),
                answer.header("location")
            );
        }
    }

    /// Nothing of it works.
    async fn refuses(&self, all: &[(&'static str, Ask)], when: &str) {
        for (name, ask) in all {
            let answer = ask.send(&self.auth.client(None)).await.unwrap();
            assert!(answer.status.as_u16() < 500, "{when}: {name}: {}", answer.text());
            assert!(
                !(ask.worked)(&answer),
                "{when}: {name} works: {} {}",
                answer.text(),
                answer.header("location")
            );
        }
    }

    /// The same of the tokens that an application was given.
    async fn refreshes_of_an_application(&self) {
        self.jump(7_200);
        let auth = &self.auth;
        let ann = self.sign_up("ann-of-the-application@example.com").await;
        let app = oauth_server::public(auth).await;
        let code = oauth_server::code(auth, &app, &ann, &[]).await;
        let refreshed = async |token: &str| {
            let answer = oauth_server::refresh(auth, &app, token).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()["refresh_token"].as_str().unwrap().to_owned()
        };
        let given = oauth_server::redeem(auth, &app, &code, VERIFIER).await.json();
        let first = given["refresh_token"].as_str().unwrap();
        let second = refreshed(first).await;
        self.jump(-7_200);
        assert_eq!(refreshed(first).await, second);
        let third = refreshed(&second).await;
        self.jump(0);
        let fourth = refreshed(&third).await;
        self.jump(14_400);
        for token in [first, &fourth] {
            let answer = oauth_server::refresh(auth, &app, token).await;
            assert_eq!(answer.status, 400, "{}", answer.text());
        }
    }

    async fn status_of(&self, token: &str) -> u16 {
        self.auth.user(token).await.status.as_u16()
    }
}

#[tokio::test]
async fn a_clock_that_jumps_expires_what_is_late_and_revives_nothing_that_was_used() {
    let provider = Provider::start().await;
    for engine in engines() {
        let moved = Moved::start(engine, &provider).await;
        // Where both clocks jump, a flow that begins after the jump comes to its end. Two machines that differ by days end
        // some flows with a refusal.
        let must = engine == Engine::Sqlite;
        let (used, open) = (
            moved.pending(&provider, "used", 0).await,
            moved.pending(&provider, "open", 0).await,
        );
        moved.redeem(&used, true, "now").await;
        let ann = moved.sign_up("ann@example.com").await;
        assert_eq!(moved.status_of(&ann.access_token).await, 200);

        moved.jump(3 * DAYS);
        moved.refuses(&used, "three days on").await;
        moved.refuses(&open, "three days on").await;
        assert!(
            matches!(moved.status_of(&ann.access_token).await, 401 | 403),
            "{engine:?}"
        );
        let later = moved.refreshed(&ann).await;
        assert_eq!(moved.status_of(&later.access_token).await, 200);
        let on = moved.pending(&provider, "on", 3 * DAYS).await;
        moved.redeem(&on, must, "three days on").await;

        moved.jump(0);
        moved.refuses(&used, "and back").await;
        if must {
            moved.refuses(&on, "and back").await;
        }
        // A token from the future is none yet; its session goes on.
        assert!(
            matches!(moved.status_of(&later.access_token).await, 401 | 403),
            "{engine:?}"
        );
        let again = moved.refreshed(&later).await;
        assert_eq!(moved.status_of(&again.access_token).await, 200);

        moved.jump(-3 * DAYS);
        moved.refuses(&used, "three days ago").await;
        let back = moved.pending(&provider, "back", -3 * DAYS).await;
        moved.redeem(&back, must, "three days ago").await;
        if must {
            moved.refuses(&back, "three days ago, again").await;
        }
        let earlier = moved.refreshed(&again).await;
        assert_eq!(moved.status_of(&earlier.access_token).await, 200);
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let signed = moved.session_of("/token?grant_type=password", body).await;
        assert_eq!(moved.status_of(&signed.access_token).await, 200);

        // Small steps back and forth in the middle of flows: of each thing that was used nothing is left.
        for (number, (before, after)) in [(0, 90), (90, -90), (-90, 30), (3_000, -3_000)].into_iter().enumerate() {
            moved.jump(before);
            let all = moved.pending(&provider, &format!("step{number}"), before).await;
            moved.jump(after);
            moved.redeem(&all, false, "a step").await;
            for then in [before, after, 0] {
                moved.jump(then);
                for (name, ask) in &all {
                    let answer = ask.send(&moved.auth.client(None)).await.unwrap();
                    assert!(
                        answer.status.as_u16() < 500,
                        "{name} {before} {after}: {}",
                        answer.text()
                    );
                }
            }
            moved.refuses(&all, "after steps").await;
        }
        // Refresh tokens: the one before the last gives the last one again, whatever the clock says; an older one ends all.
        moved.jump(7_200);
        let bob = moved.sign_up("bob@example.com").await;
        let second = moved.refreshed(&bob).await;
        moved.jump(-7_200);
        let lost = moved.refreshed(&bob).await;
        assert_eq!(lost.refresh_token, second.refresh_token);
        let third = moved.refreshed(&second).await;
        moved.jump(0);
        let fourth = moved.refreshed(&third).await;
        moved.jump(14_400);
        let stolen = moved.auth.refresh(&bob.refresh_token).await;
        assert_eq!(stolen.code(), "refresh_token_already_used", "{}", stolen.text());
        assert_ne!(moved.auth.refresh(&fourth.refresh_token).await.status, 200);
        moved.refreshes_of_an_application().await;

        let log = moved.auth.log().await;
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[tokio::test]
async fn a_code_of_an_app_that_was_used_is_no_good_when_the_clock_is_put_back() {
    let provider = Provider::start().await;
    let moved = Moved::start(Engine::Sqlite, &provider).await;
    let auth = &moved.auth;
    let ann = moved.sign_up("ann@example.com").await;
    let app = auth.enroll(&ann, "phone").await;
    let first = auth.verify(&ann, &app, &app.code(0)).await;
    assert!(is_good(&first), "{}", first.text());
    moved.jump(-3_600);
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let low = moved.session_of("/token?grant_type=password", body).await;
    // The same code, and those of the hour that comes once more: somebody may have looked over her shoulder.
    for offset in [0, -120, -121, -60] {
        let answer = auth.verify(&low, &app, &app.code(offset)).await;
        assert_eq!(answer.status, 422, "{offset}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_nonce_that_was_used_or_is_late_changes_no_password_whatever_the_clock_says() {
    const HOUR: i64 = 3_600;
    let provider = Provider::start().await;
    for engine in engines() {
        let moved = Moved::start(engine, &provider).await;
        let began = moved.sign_up("ann@example.com").await;
        // Old enough that a password alone does not change the password.
        moved.jump(40 * HOUR);
        let ann = moved.refreshed(&began).await;
        let auth = &moved.auth;
        let sent = async || {
            auth.ask(Method::GET, "/reauthenticate", Some(&ann.access_token), Value::Null)
                .await;
            auth.mail("ann@example.com").await.code()
        };
        let change = async |nonce: &str, by: &Session, password: &str| {
            let body = json!({"password": password, "nonce": nonce});
            let answer = auth.ask(Method::PUT, "/user", Some(&by.access_token), body).await;
            (answer.status.as_u16(), answer.code())
        };
        let refused = (422, "reauthentication_not_valid".to_owned());
        let changed = (200, String::new());

        let late = sent().await;
        moved.jump(40 * HOUR + 3 * DAYS);
        let then = moved.refreshed(&ann).await;
        assert_eq!(
            change(&late, &then, "horse of three days on").await,
            refused,
            "{engine:?}"
        );

        moved.jump(40 * HOUR);
        let used = sent().await;
        assert_eq!(change(&used, &ann, "horse of now").await, changed, "{engine:?}");
        assert_eq!(change(&used, &ann, "horse of now, again").await, refused, "{engine:?}");
        for hours in [39, 26, 40, 41] {
            moved.jump(hours * HOUR);
            let then = moved.refreshed(&then).await;
            let answer = change(&used, &then, &format!("horse of hour {hours}")).await;
            assert_eq!(answer, refused, "{engine:?}: {hours}");
        }
        let signed = auth.try_sign_in("ann@example.com", "horse of now").await;
        assert_eq!(signed.status, 200, "{}", signed.text());
    }
}

#[tokio::test]
async fn only_dev_has_a_clock_that_can_be_moved() {
    let project = Project::new();
    let clock = project.path().join("clock");
    let moved = (mainstay_core::clock::VARIABLE, clock.to_str().unwrap());
    let said = refused_start(project, &[moved]).await;
    assert!(said.contains("MAINSTAY_TEST_CLOCK"), "{said}");
}
