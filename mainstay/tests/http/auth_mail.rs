//! Addresses proved by mail: what is sent, what its link and its code do, and what they do not.

use http::{HeaderMap, Method};
use mainstay_testing::{Answer, Engine, Project, Server, engines};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, Session, refusal, refused, refused_start, send, session};
use crate::both::PROGRAM;

/// Where links may lead, no waiting between two mails, and a clock that can be moved.
pub const SETTINGS: &str = "[auth]\nsite_url = \"https://shop.example\"\n\
     additional_redirect_urls = [\"https://app.example/**\", \"com.example.app://**\"]\n\
     [auth.email]\nmax_frequency = \"0s\"\n";
pub const CONFIRMATIONS: &str = "enable_confirmations = true\n";

/// Functions with which a test moves time, and looks where requests may not.
pub const CLOCK: &str = "
    create function public.age(seconds integer) returns void language sql security definer set search_path = '' as $$
        update auth.one_time_tokens set created_at = created_at - make_interval(secs => seconds);
        update auth.flow_state set auth_code_issued_at = auth_code_issued_at - make_interval(secs => seconds);
        update auth.sessions set created_at = created_at - make_interval(secs => seconds);
    $$;
    create function public.counts() returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_build_object('users', (select count(*) from auth.users u),
            'sessions', (select count(*) from auth.sessions s),
            'tokens', (select count(*) from auth.one_time_tokens t),
            'flows', (select count(*) from auth.flow_state f))
    $$;
    create function public.kept() returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_agg(t.token_hash) from auth.one_time_tokens t
    $$;
    grant execute on function public.age, public.counts, public.kept to service_role;";

pub fn project() -> Project {
    Project::of(CLOCK).config(SETTINGS)
}

/// A server of each engine that catches its mail, one after the other.
pub async fn on_each_engine_in_dev(project: impl Fn() -> Project, test: impl AsyncFn(Engine, Auth)) {
    for engine in engines() {
        let server = Server::start_dev(PROGRAM, engine, project()).await;
        test(engine, Auth { server }).await;
    }
}

/// A mail that was caught.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub kind: String,
    pub subject: String,
    pub html: String,
    pub text: String,
}

impl Mail {
    /// The address behind its link, at this server.
    pub fn link(&self) -> String {
        let (_, rest) = self.html.split_once("href=\"").unwrap();
        rest.split('"').next().unwrap().replace("&amp;", "&")
    }

    /// A query parameter of its link.
    pub fn parameter(&self, name: &str) -> String {
        let link = self.link();
        let (_, query) = link.split_once('?').unwrap();
        pair(query, name).unwrap_or_else(|| panic!("no {name} in {link}"))
    }

    pub fn token(&self) -> String {
        self.parameter("token")
    }

    pub fn code(&self) -> String {
        let (_, rest) = self.html.split_once("<strong>").unwrap();
        rest.split('<').next().unwrap().to_owned()
    }
}

pub fn pair(pairs: &str, name: &str) -> Option<String> {
    pairs.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let spaced = value.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&spaced)
            .decode_utf8()
            .unwrap()
            .into_owned();
        (key == name).then_some(decoded)
    })
}

impl Auth {
    /// What was caught, newest first.
    pub async fn mails(&self) -> Vec<Mail> {
        let answer = self
            .server
            .anonymous()
            .send(Method::GET, "/dev/v1/mail/messages", &[], "")
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = |mail: &Value, name: &str| mail[name].as_str().unwrap().to_owned();
        let mails = answer.json();
        let mails = mails.as_array().unwrap().iter();
        mails
            .map(|mail| Mail {
                to: text(mail, "to"),
                kind: text(mail, "kind"),
                subject: text(mail, "subject"),
                html: text(mail, "html"),
                text: text(mail, "text"),
            })
            .collect()
    }

    /// The newest mail, which is to somebody.
    pub async fn mail(&self, to: &str) -> Mail {
        let newest = self.mails().await.into_iter().next().expect("no mail came");
        assert_eq!(newest.to, to);
        newest
    }

    pub async fn prove(&self, body: Value) -> Answer {
        self.post("/verify", body).await
    }

    /// Presses the button of the page that the mail's link opens.
    pub async fn follow(&self, mail: &Mail) -> Landing {
        let link = mail.link();
        let (_, query) = link.split_once("/auth/v1/verify?").unwrap();
        let page = self.browse(Method::GET, &format!("/verify?{query}"), "").await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.header("content-type").starts_with("text/html"));
        let html = page.text();
        let field = |name: &str| {
            let (_, rest) = html.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
            let value = rest.split('"').next().unwrap().replace("&amp;", "&");
            percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let form = format!(
            "token={}&type={}&redirect_to={}",
            field("token"),
            field("type"),
            field("redirect_to")
        );
        Landing::of(&self.press(&form).await)
    }

    /// Sends the page's form.
    pub async fn press(&self, form: &str) -> Answer {
        self.browse(Method::POST, "/verify", form).await
    }

    async fn browse(&self, method: Method, path: &str, form: &str) -> Answer {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "text/html"),
        ];
        self.server
            .anonymous()
            .send(method, &format!("/auth/v1{path}"), &headers, form.to_owned())
            .await
    }

    pub async fn counts(&self) -> Value {
        self.call("counts", json!({})).await
    }
}

/// Where a browser is sent.
#[derive(Debug)]
pub struct Landing {
    pub location: String,
    pub headers: HeaderMap,
}

impl Landing {
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 303, "{}", answer.text());
        Landing {
            location: answer.header("location").to_owned(),
            headers: answer.headers.clone(),
        }
    }

    pub fn page(&self) -> &str {
        self.location.split(['?', '#']).next().unwrap()
    }

    /// A member of the fragment that must be there.
    pub fn told(&self, name: &str) -> String {
        self.fragment(name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.location))
    }

    pub fn fragment(&self, name: &str) -> Option<String> {
        pair(self.location.split_once('#')?.1, name)
    }

    pub fn query(&self, name: &str) -> Option<String> {
        let before = self.location.split('#').next().unwrap();
        pair(before.split_once('?')?.1, name)
    }
}

#[tokio::test]
async fn a_sign_up_is_confirmed_by_the_button_behind_the_link() {
    let project = || Project::of(CLOCK).config(&format!("{SETTINGS}{CONFIRMATIONS}"));
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let answer = auth.try_sign_up("Ann@example.com", json!({"name": "Ann"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.json().get("access_token").is_none());
        assert_eq!(
            refusal(&auth.try_sign_in("ann@example.com", PASSWORD).await),
            refused(400, "email_not_confirmed")
        );
        let mail = auth.mail("ann@example.com").await;
        assert_eq!(
            (mail.kind.as_str(), mail.parameter("type").as_str()),
            ("confirmation", "signup")
        );
        assert!(
            mail.link()
                .starts_with(&format!("{}/auth/v1/verify?token=", auth.server.url))
        );
        assert_eq!(mail.parameter("redirect_to"), "https://shop.example");
        assert!(mail.text.contains(&mail.code()) && mail.text.contains(&mail.link()));
        assert!(!mail.subject.is_empty());

        let landing = auth.follow(&mail).await;
        assert_eq!(landing.page(), "https://shop.example/");
        assert_eq!(landing.fragment("type").as_deref(), Some("signup"));
        assert_eq!(landing.fragment("token_type").as_deref(), Some("bearer"));
        assert_eq!(landing.fragment("expires_in").as_deref(), Some("3600"));
        assert_eq!(landing.fragment("sb").as_deref(), Some(""));
        assert_eq!(landing.headers["cache-control"], "no-store");
        assert_eq!(landing.headers["referrer-policy"], "no-referrer");
        let token = landing.fragment("access_token").unwrap();
        let ann = auth.user(&token).await.json();
        assert!(ann["email_confirmed_at"].is_string() && ann["confirmed_at"].is_string());
        assert_eq!(ann["user_metadata"]["email_verified"], true);
        assert_eq!(ann["identities"][0]["identity_data"]["email_verified"], true);
        let renewed = session(&auth.refresh(&landing.fragment("refresh_token").unwrap()).await);
        assert_eq!(renewed.claims()["amr"][0]["method"], "otp");
        auth.sign_in("ann@example.com").await;

        // Once.
        let again = auth.follow(&mail).await;
        assert_eq!(again.fragment("error").as_deref(), Some("access_denied"));
        assert_eq!(again.fragment("error_code").as_deref(), Some("otp_expired"));
        assert_eq!(
            again.fragment("error_description").as_deref(),
            Some("Email link is invalid or has expired")
        );
        assert!(again.fragment("access_token").is_none() && again.query("error").is_none());
        assert_eq!(auth.counts().await["tokens"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_code_proves_what_its_link_proves() {
    let project = || Project::of(CLOCK).config(&format!("{SETTINGS}{CONFIRMATIONS}"));
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        for (number, kind) in ["signup", "email"].iter().enumerate() {
            let email = format!("ann{number}@example.com");
            auth.try_sign_up(&email, json!({})).await;
            let code = auth.mail(&email).await.code();
            assert!(
                code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()),
                "{code}"
            );
            let ann = session(&auth.prove(json!({"type": kind, "email": email, "token": code})).await);
            assert_eq!(ann.user["email"], json!(email));
            assert_eq!(ann.claims()["amr"][0]["method"], "otp");
        }
        auth.try_sign_up("hash@example.com", json!({})).await;
        let mail = auth.mail("hash@example.com").await;
        session(&auth.prove(json!({"type": "email", "token_hash": mail.token()})).await);

        // A magic link, for somebody who is there.
        assert_eq!(
            auth.post("/otp", json!({"email": "ann0@example.com"})).await.json(),
            json!({})
        );
        let mail = auth.mail("ann0@example.com").await;
        assert_eq!(mail.kind, "magic_link");
        let landing = auth.follow(&mail).await;
        assert_eq!(landing.fragment("type").as_deref(), Some("magiclink"));
        auth.post("/magiclink", json!({"email": "ann0@example.com"})).await;
        let code = auth.mail("ann0@example.com").await.code();
        session(
            &auth
                .prove(json!({"type": "magiclink", "email": "ann0@example.com", "token": code}))
                .await,
        );
    })
    .await;
}

#[tokio::test]
async fn somebody_new_signs_up_by_a_link_alone_where_it_is_allowed() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let body = json!({"email": "new@example.com", "data": {"name": "New"}});
        assert_eq!(auth.post("/otp", body).await.json(), json!({}));
        let mail = auth.mail("new@example.com").await;
        assert_eq!(mail.kind, "magic_link");
        // Asking for a link proves nothing.
        assert_eq!(
            refusal(&auth.try_sign_in("new@example.com", "").await),
            refused(400, "invalid_credentials")
        );
        let token = auth.follow(&mail).await.fragment("access_token").unwrap();
        let new = auth.user(&token).await.json();
        assert_eq!(new["user_metadata"]["name"], "New");
        assert_eq!(
            new["app_metadata"],
            json!({"provider": "email", "providers": ["email"]})
        );

        // Who may not be made is not: the answer is the same, and nothing is sent.
        let before = (auth.counts().await["users"].clone(), auth.mails().await.len());
        let body = json!({"email": "stranger@example.com", "create_user": false});
        assert_eq!(auth.post("/otp", body).await.json(), json!({}));
        assert_eq!((auth.counts().await["users"].clone(), auth.mails().await.len()), before);
        for bad in [
            json!({}),
            json!({"email": "a@x.example", "phone": "4799999999"}),
            json!({"email": "a@x.example", "channel": "sms"}),
            json!({"email": "nonsense"}),
            json!({"email": "a@x.example", "code_challenge": "short", "code_challenge_method": "s256"}),
            json!({"email": "a@x.example", "code_challenge_method": "s256"}),
        ] {
            let answer = auth.post("/otp", bad.clone()).await;
            assert_eq!(refusal(&answer), refused(400, "validation_failed"), "{bad}");
        }
    })
    .await;
}

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn exchange(auth: &Auth, code: &str, verifier: &str) -> Answer {
    auth.post(
        "/token?grant_type=pkce",
        json!({"auth_code": code, "code_verifier": verifier}),
    )
    .await
}

#[tokio::test]
async fn a_flow_with_a_challenge_ends_in_a_code_for_whoever_began_it() {
    let project = || Project::of(CLOCK).config(&format!("{SETTINGS}{CONFIRMATIONS}"));
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let with_challenge = |email: &str| {
            json!({"email": email, "password": PASSWORD, "code_challenge": CHALLENGE, "code_challenge_method": "s256"})
        };
        let back = "redirect_to=https%3A%2F%2Fapp.example%2Fin%3Fa%3Db";
        auth.post(&format!("/signup?{back}"), with_challenge("ann@example.com")).await;
        let mail = auth.mail("ann@example.com").await;
        assert!(mail.token().starts_with("pkce_"));
        let landing = auth.follow(&mail).await;
        let code = landing.query("code").unwrap();
        assert_eq!(landing.location, format!("https://app.example/in?a=b&code={code}"));
        for (sent, verifier, status, name) in [
            ("", VERIFIER, 400, "validation_failed"),
            (code.as_str(), "", 400, "validation_failed"),
            ("aaaaaaaa-0000-4000-8000-000000000001", VERIFIER, 404, "flow_state_not_found"),
            (code.as_str(), CHALLENGE, 400, "bad_code_verifier"),
        ] {
            assert_eq!(refusal(&exchange(&auth, sent, verifier).await), refused(status, name), "{name}");
        }
        let ann = session(&exchange(&auth, &code, VERIFIER).await);
        assert_eq!(ann.claims()["amr"][0]["method"], "email/signup");
        assert_eq!(
            refusal(&exchange(&auth, &code, VERIFIER).await),
            refused(404, "flow_state_not_found")
        );

        // Errors stand in the query, too.
        let again = auth.follow(&mail).await;
        assert_eq!(again.query("error_code").as_deref(), Some("otp_expired"));
        assert_eq!(again.fragment("error_code").as_deref(), Some("otp_expired"));
        assert_eq!(again.query("a").as_deref(), Some("b"));

        // The other ways; a code that waits too long is void.
        for (path, method) in [("/otp", "magiclink"), ("/recover", "recovery")] {
            auth.post(path, with_challenge("ann@example.com")).await;
            let landing = auth.follow(&auth.mail("ann@example.com").await).await;
            let got = session(&exchange(&auth, &landing.query("code").unwrap(), VERIFIER).await);
            assert_eq!(got.claims()["amr"][0]["method"], method);
        }
        auth.post("/otp", with_challenge("ann@example.com")).await;
        let mail = auth.mail("ann@example.com").await;
        // The code itself needs no flow.
        let typed = json!({"type": "email", "email": "ann@example.com", "token": mail.code()});
        session(&auth.prove(typed).await);
        auth.post("/otp", with_challenge("ann@example.com")).await;
        let code = auth.follow(&auth.mail("ann@example.com").await).await.query("code").unwrap();
        auth.call("age", json!({"seconds": 301})).await;
        assert_eq!(
            refusal(&exchange(&auth, &code, VERIFIER).await),
            refused(422, "flow_state_expired")
        );
    })
    .await;
}

#[tokio::test]
async fn a_recovery_lets_its_user_set_a_new_password() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let before = auth.sign_up("ann@example.com").await;
        assert_eq!(
            auth.post(
                "/recover?redirect_to=com.example.app%3A%2F%2Freset",
                json!({"email": "ANN@example.com"})
            )
            .await
            .json(),
            json!({})
        );
        let mail = auth.mail("ann@example.com").await;
        assert_eq!(
            (mail.kind.as_str(), mail.parameter("type").as_str()),
            ("recovery", "recovery")
        );
        let landing = auth.follow(&mail).await;
        assert!(
            landing.location.starts_with("com.example.app://reset#access_token="),
            "{}",
            landing.location
        );
        let token = landing.fragment("access_token").unwrap();
        let changed = auth
            .ask(
                Method::PUT,
                "/user",
                Some(&token),
                json!({"password": "another horse 8"}),
            )
            .await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        assert_eq!(
            refusal(&auth.user(&before.access_token).await),
            refused(403, "session_not_found")
        );
        session(&auth.try_sign_in("ann@example.com", "another horse 8").await);
        assert_eq!(
            refusal(&auth.post("/recover", json!({})).await),
            refused(400, "validation_failed")
        );
    })
    .await;
}

async fn change_email(auth: &Auth, who: &Session, email: &str) -> Answer {
    auth.ask(Method::PUT, "/user", Some(&who.access_token), json!({"email": email}))
        .await
}

#[tokio::test]
async fn a_new_address_needs_the_consent_of_both() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        for order in [["new", "old"], ["old", "new"]] {
            let (old, new) = (
                format!("a-{}@example.com", order[0]),
                format!("b-{}@example.com", order[0]),
            );
            let ann = auth.sign_up(&old).await;
            let answer = change_email(&auth, &ann, &new).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(
                (answer.json()["email"].clone(), answer.json()["new_email"].clone()),
                (json!(old), json!(new))
            );
            let mails = auth.mails().await;
            let to = |address: &str| mails[..2].iter().find(|mail| mail.to == address).unwrap();
            let [first, second] = order.map(|which| to(if which == "new" { &new } else { &old }));
            // By link, then by code.
            let half = auth.follow(first).await;
            assert!(half.told("message").starts_with("Confirmation link accepted."));
            assert!(half.fragment("access_token").is_none());
            assert_eq!(auth.user(&ann.access_token).await.json()["email"], json!(old));
            // The same one twice is not both.
            assert_eq!(
                auth.follow(first).await.fragment("error_code").as_deref(),
                Some("otp_expired")
            );
            let code = json!({"type": "email_change", "email": second.to, "token": second.code()});
            let changed = session(&auth.prove(code).await);
            assert_eq!(changed.user["email"], json!(new));
            assert!(changed.user.get("new_email").is_none());
            assert_eq!(changed.user["identities"][0]["identity_data"]["email"], json!(new));
            assert_eq!(
                refusal(&auth.try_sign_in(&old, PASSWORD).await),
                refused(400, "invalid_credentials")
            );
            auth.sign_in(&new).await;
        }
        // An address that is taken meanwhile stays with whoever has it.
        let ann = auth.sign_in("b-new@example.com").await;
        change_email(&auth, &ann, "wanted@example.com").await;
        let mails = auth.mails().await;
        auth.sign_up("wanted@example.com").await;
        auth.follow(&mails[0]).await;
        let taken = auth.follow(&mails[1]).await;
        assert_eq!(taken.fragment("error_code").as_deref(), Some("email_exists"));
        assert_eq!(
            refusal(&change_email(&auth, &ann, "wanted@example.com").await),
            refused(422, "email_exists")
        );
        // With half of it accepted by JSON, no session is given.
        change_email(&auth, &ann, "later@example.com").await;
        auth.post("/resend", json!({"type": "email_change", "email": "b-new@example.com"}))
            .await;
        let mails = auth.mails().await;
        assert_eq!(mails[0].kind, "email_change");
        let half = auth
            .prove(json!({"type": "email_change", "token_hash": mails[0].token()}))
            .await;
        assert_eq!(half.status, 200);
        assert_eq!(half.json()["code"], "200");
        // What was sent before it was sent again is void.
        let old = json!({"type": "email_change", "token_hash": mails[2].token()});
        assert_eq!(refusal(&auth.prove(old).await), refused(403, "otp_expired"));
    })
    .await;
    let single = || project().config("double_confirm_changes = false");
    on_each_engine_in_dev(single, async |_, auth: Auth| {
        let ann = auth.sign_up("ann@example.com").await;
        change_email(&auth, &ann, "anna@example.com").await;
        let landing = auth.follow(&auth.mail("anna@example.com").await).await;
        assert!(landing.fragment("access_token").is_some(), "{}", landing.location);
        assert_eq!(auth.user(&ann.access_token).await.json()["email"], "anna@example.com");
    })
    .await;
}

#[tokio::test]
async fn a_password_is_changed_late_with_a_code_that_was_just_sent() {
    on_each_engine_in_dev(
        || project().config("secure_password_change = true"),
        async |_, auth: Auth| {
            let ann = auth.sign_up("ann@example.com").await;
            auth.call("age", json!({"seconds": 25 * 3600})).await;
            let change = async |nonce: &str, password: &str| {
                let body = json!({"password": password, "nonce": nonce});
                auth.ask(Method::PUT, "/user", Some(&ann.access_token), body).await
            };
            assert_eq!(
                refusal(&change("", "another horse 8").await),
                refused(400, "reauthentication_needed")
            );
            let asked = auth
                .ask(Method::GET, "/reauthenticate", Some(&ann.access_token), Value::Null)
                .await;
            assert_eq!((asked.status.as_u16(), asked.json()), (200, json!({})));
            let code = auth.mail("ann@example.com").await.code();
            let wrong = if code == "000000" { "000001" } else { "000000" };
            assert_eq!(
                refusal(&change(wrong, "another horse 8").await),
                refused(422, "reauthentication_not_valid")
            );
            assert_eq!(change(&code, "another horse 8").await.status, 200);
            session(&auth.try_sign_in("ann@example.com", "another horse 8").await);
            assert_eq!(
                refusal(&change(&code, "third horse 9").await),
                refused(422, "reauthentication_not_valid")
            );
            // It signs nobody in.
            auth.ask(Method::GET, "/reauthenticate", Some(&ann.access_token), Value::Null)
                .await;
            let code = auth.mail("ann@example.com").await.code();
            let as_sign_in = json!({"type": "email", "email": "ann@example.com", "token": code});
            assert_eq!(refusal(&auth.prove(as_sign_in).await), refused(403, "otp_expired"));
        },
    )
    .await;
}

#[tokio::test]
async fn a_browser_is_sent_nowhere_but_where_the_settings_allow() {
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        auth.sign_up("ann@example.com").await;
        for evil in [
            "https%3A%2F%2Fevil.example%2F",
            "%2F%2Fevil.example",
            "javascript%3Aalert(1)",
            "https%3A%2F%2Fshop.example%40evil.example",
        ] {
            let path = format!("/otp?redirect_to={evil}");
            auth.post(&path, json!({"email": "ann@example.com"})).await;
            let mail = auth.mail("ann@example.com").await;
            assert_eq!(mail.parameter("redirect_to"), "https://shop.example", "{evil}");
            // Nor by another address in the link, or in the form.
            let page = auth
                .server
                .anonymous()
                .send(
                    Method::GET,
                    &format!(
                        "/auth/v1/verify?token={}&type=magiclink&redirect_to={evil}",
                        mail.token()
                    ),
                    &[],
                    "",
                )
                .await;
            assert!(
                !page.text().contains("evil") && !page.text().contains("javascript"),
                "{}",
                page.text()
            );
            let form = format!("token={}&type=magiclink&redirect_to={evil}", mail.token());
            assert_eq!(Landing::of(&auth.press(&form).await).page(), "https://shop.example/");
        }
        // A page of the application that asks is where it ends.
        let client = auth.client(None).with("referer", "https://app.example/from/here");
        send(&client, Method::POST, "/otp", json!({"email": "ann@example.com"})).await;
        let mail = auth.mail("ann@example.com").await;
        assert_eq!(mail.parameter("redirect_to"), "https://app.example/from/here");
    })
    .await;
}

#[tokio::test]
async fn mails_say_what_the_settings_say() {
    let project = || {
        project()
            .config(
                "[auth.email.template.magic_link]\nsubject = \"{{ .Data.name }}, sign in\"\n\
                 content_path = \"./supabase/templates/link.html\"\n",
            )
            .file(
                "supabase/templates/link.html",
                "{{ if eq .Data.lang \"de\" }}Hallo{{ else }}Hello{{ end }} {{ .Data.name }} <{{ .Email }}>\
                 <a href=\"{{ .SiteURL }}/in?h={{ .TokenHash }}&to={{ .RedirectTo }}\"><strong>{{ .Token }}</strong>",
            )
    };
    on_each_engine_in_dev(project, async |_, auth: Auth| {
        let data = json!({"name": "Ann\r\nBcc: x@example.com <b>", "lang": "de"});
        auth.try_sign_up("ann@example.com", data).await;
        auth.post("/otp", json!({"email": "ann@example.com"})).await;
        let mail = auth.mail("ann@example.com").await;
        assert_eq!(mail.subject, "Ann Bcc: x@example.com <b>, sign in");
        assert!(
            mail.html
                .starts_with("Hallo Ann\r\nBcc: x@example.com &lt;b&gt; <ann@example.com>"),
            "{}",
            mail.html
        );
        let hash = mail
            .html
            .split_once("in?h=")
            .unwrap()
            .1
            .split('&')
            .next()
            .unwrap()
            .to_owned();
        session(&auth.prove(json!({"type": "email", "token_hash": hash})).await);
    })
    .await;
    // A template that cannot be read keeps the server from starting, and is named.
    let broken = Project::new()
        .config("[auth.email.template.invite]\ncontent_path = \"./supabase/t.html\"\n")
        .file("supabase/t.html", "one\n{{ if .Data.x }}two");
    let said = refused_start(broken, &[]).await;
    assert!(said.contains("content of `invite`: line 2"), "{said}");
}

#[tokio::test]
async fn caught_mail_is_shown_to_its_own_machine_alone() {
    let server = Server::start_dev(PROGRAM, Engine::Sqlite, project()).await;
    let auth = Auth { server };
    auth.sign_up("ann@example.com").await;
    auth.post("/otp", json!({"email": "ann@example.com"})).await;
    let get =
        async |path: &str, headers: &[(&str, &str)]| auth.server.anonymous().send(Method::GET, path, headers, "").await;
    let list = get("/dev/v1/mail", &[]).await;
    assert!(list.text().contains("ann@example.com") && list.text().contains("/dev/v1/mail/1"));
    let one = get("/dev/v1/mail/1", &[]).await;
    assert!(one.text().contains("Sign in"));
    for page in [&list, &one] {
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("access-control-allow-origin"), "");
    }
    assert_eq!(get("/dev/v1/mail/2", &[]).await.status, 404);
    for foreign in [
        [("origin", "http://evil.example")],
        [("x-forwarded-for", "192.0.2.1")],
        [("host", "rebound.example")],
    ] {
        for path in ["/dev/v1/mail", "/dev/v1/mail/1", "/dev/v1/mail/messages"] {
            let answer = get(path, &foreign).await;
            assert!(
                answer.status == 403 && !answer.text().contains("ann@"),
                "{foreign:?} {path}"
            );
        }
    }
    // Nothing of it in production, where mail without a server is refused.
    let auth = Auth::start(Engine::Sqlite, project()).await;
    auth.sign_up("ann@example.com").await;
    let answer = auth
        .server
        .anonymous()
        .send(Method::GET, "/dev/v1/mail/messages", &[], "")
        .await;
    assert_eq!(answer.status, 404);
    for (path, email) in [
        ("/otp", "ann@example.com"),
        ("/recover", "ann@example.com"),
        ("/recover", "bob@example.com"),
    ] {
        let answer = auth.post(path, json!({"email": email})).await;
        assert_eq!(refusal(&answer), refused(422, "email_provider_disabled"), "{path}");
    }
}
