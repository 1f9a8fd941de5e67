//! `kill -9` in the middle of every way to sign in: what was redeemed before is redeemed, what was not answered is redeemed
//! once at most, and every session that was answered goes on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use http::Method;
use mainstay_testing::{Answer, Client, MailServer, Project, token};
use serde_json::{Value, json};

use crate::auth::{Auth, PASSWORD, on_each_engine, session};
use crate::auth_mail::pair;
use crate::authenticator::App;
use crate::oauth::{CHALLENGE, VERIFIER};
use crate::oauth_provider::{Person, Provider, encoded, query};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const HOME: &str = "https://app.example/callback";
/// Milliseconds after the first answers at which the server is killed.
const MOMENTS: [u64; 3] = [300, 900, 1_700];

/// What takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mail that was being handed over when the server was killed waits for a while.
const HURRY: &str = "
    create function public.hurry() returns void language sql security definer set search_path = '' as $$
        update _mainstay.messages set due_at = now() - interval '1 second'
    $$;
    grant execute on function public.hurry to service_role;";

/// A request, and how one sees that it did what it is for.
#[derive(Clone)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    headers: Vec<(String, String)>,
    body: String,
    pub worked: fn(&Answer) -> bool,
}

pub fn is_good(answer: &Answer) -> bool {
    answer.status == 200
}

/// A browser was sent on with a session or a code.
pub fn has_landed(answer: &Answer) -> bool {
    let to = answer.header("location");
    !to.contains("error_code=") && (to.contains("access_token=") || to.contains("code="))
}

impl Ask {
    pub fn post(path: &str, body: &Value) -> Self {
        Ask {
            method: Method::POST,
            path: path.to_owned(),
            headers: vec![("content-type".into(), JSON.into())],
            body: body.to_string(),
            worked: is_good,
        }
    }

    pub fn get(path: &str) -> Self {
        Ask {
            method: Method::GET,
            body: String::new(),
            ..Ask::post(path, &Value::Null)
        }
    }

    pub fn form(path: &str, fields: &[(&str, &str)]) -> Self {
        let fields: Vec<(String, String)> = fields.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        Ask {
            headers: vec![("content-type".into(), FORM.into())],
            body: encoded(&fields),
            ..Ask::post(path, &Value::Null)
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn by_user(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub fn worked(self, worked: fn(&Answer) -> bool) -> Self {
        Ask { worked, ..self }
    }

    pub async fn send(&self, client: &Client) -> Result<Answer, String> {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let path = format!("/auth/v1{}", self.path);
        client
            .try_send(self.method.clone(), &path, &headers, self.body.clone())
            .await
    }
}

/// A browser comes back from the provider that `away` has sent it to.
pub fn callback(away: &Answer, provider: &Provider, person: &Person) -> Ask {
    let cookie = away.header("set-cookie").split(';').next().unwrap_or_default();
    let back = provider.consent(away.header("location"), person);
    Ask::get(&format!("/callback?{}", encoded(&back)))
        .with("cookie", cookie)
        .worked(has_landed)
}

/// What a client knows when the server is gone.
#[derive(Default)]
pub struct Known {
    /// Redeemed, and answered.
    used: Vec<Ask>,
    /// Sent, and not answered.
    unsure: Vec<Ask>,
    /// The last refresh token of each session that the client counts on.
    sessions: HashMap<String, String>,
    /// Who has which address and password, where both were answered.
    pub accounts: HashMap<String, String>,
    /// The last refresh token of what each application was given.
    pub grants: HashMap<String, String>,
    /// Cookies of browsers that are signed in on the pages.
    pub cookies: Vec<String>,
    /// To whom a mail was promised.
    promised: Vec<String>,
    answers: usize,
}

/// A client that goes one way again and again.
#[derive(Clone)]
pub struct Walker {
    pub client: Client,
    /// Asks with the secret key.
    pub admin: Client,
    mail: Arc<MailServer>,
    pub provider: Provider,
    stop: Arc<AtomicBool>,
    known: Arc<Mutex<Known>>,
    name: String,
}

impl Walker {
    pub fn know<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.lock().unwrap())
    }

    /// `None`: the server is gone.
    pub async fn ask(&self, ask: Ask) -> Option<Answer> {
        let answer = ask.send(&self.client).await.ok()?;
        assert!(
            answer.status.as_u16() < 500,
            "{} {}: {}",
            self.name,
            ask.path,
            answer.text()
        );
        self.know(|known| known.answers += 1);
        Some(answer)
    }

    /// The same for what may work once.
    pub async fn redeem(&self, ask: Ask) -> Option<Answer> {
        let again = ask.clone();
        self.redeem_or(ask, again).await
    }

    /// The same where `again` is what would use the same once more.
    pub async fn redeem_or(&self, ask: Ask, again: Ask) -> Option<Answer> {
        match ask.send(&self.client).await {
            Err(_) => {
                self.know(|known| known.unsure.push(again));
                None
            }
            Ok(answer) => {
                assert!(
                    (ask.worked)(&answer),
                    "{} {}: {} {:?}",
                    self.name,
                    ask.path,
                    answer.text(),
                    answer.headers
                );
                self.know(|known| {
                    known.used.push(again);
                    known.answers += 1;
                });
                Some(answer)
            }
        }
    }

    pub fn holds(&self, session: &str, token: &str) {
        self.know(|known| known.sessions.insert(session.to_owned(), token.to_owned()));
    }

    pub fn lets_go(&self, session: &str) {
        self.know(|known| known.sessions.remove(session));
    }

    /// Waits for the `count`th mail to an address. `None`: the server is gone.
    pub async fn mail(&self, to: &str, count: usize) -> Option<String> {
        let begun = Instant::now();
        loop {
            let received = self.mail.received();
            let mut own = received.iter().filter(|mail| mail.to.iter().any(|own| own == to));
            if let Some(mail) = own.nth(count - 1) {
                return Some(mail.text());
            }
            self.pause(begun, to).await?;
        }
    }

    /// Waits a little for a message that was promised at `begun`. `None`: the server is gone.
    pub async fn pause(&self, begun: Instant, to: &str) -> Option<()> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        assert!(begun.elapsed() < PATIENCE, "{}: no message to {to}", self.name);
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some(())
    }

    /// Makes a user who has proved the address. Gives the access token.
    pub async fn sign_up(&self, email: &str) -> Option<String> {
        let body = json!({"email": email, "password": PASSWORD});
        self.ask(Ask::post("/signup", &body)).await?;
        self.know(|known| known.promised.push(email.to_owned()));
        let token = parameter(&self.mail(email, 1).await?, "token");
        let proof = json!({"type": "signup", "token_hash": token});
        let answer = self.redeem(Ask::post("/verify", &proof)).await?;
        self.know(|known| known.accounts.insert(email.to_owned(), PASSWORD.to_owned()));
        Some(self.signed_in(email, &answer))
    }

    pub fn signed_in(&self, name: &str, answer: &Answer) -> String {
        let body = answer.json();
        self.holds(name, body["refresh_token"].as_str().unwrap());
        body["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn refreshed(&self, name: &str) -> Option<String> {
        let token = self.know(|known| known.sessions[name].clone());
        let body = json!({"refresh_token": token});
        let answer = self.ask(Ask::post("/token?grant_type=refresh_token", &body)).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Some(self.signed_in(name, &answer))
    }
}

/// A parameter of the first link of a mail.
pub fn parameter(mail: &str, name: &str) -> String {
    let (_, rest) = mail.split_once("href=\"").unwrap();
    let link = rest.split('"').next().unwrap().replace("&amp;", "&");
    pair(link.split_once('?').unwrap().1, name).unwrap()
}

pub type Way = fn(Walker, String) -> BoxFuture<'static, Option<()>>;

/// Every way, by its name.
fn ways() -> [(&'static str, Way); 8] {
    [
        ("sign-up", |walker, email| Box::pin(sign_up(walker, email))),
        ("link", |walker, email| Box::pin(link(walker, email))),
        ("recovery", |walker, email| Box::pin(recovery(walker, email))),
        ("change", |walker, email| Box::pin(change(walker, email))),
        ("pkce", |walker, email| Box::pin(pkce(walker, email))),
        ("factors", |walker, email| Box::pin(factors(walker, email))),
        ("provider", |walker, email| Box::pin(provider(walker, email))),
        ("application", |walker, email| Box::pin(application(walker, email))),
    ]
}

async fn sign_up(walker: Walker, email: String) -> Option<()> {
    walker.sign_up(&email).await?;
    for _ in 0..3 {
        walker.refreshed(&email).await?;
    }
    Some(())
}

async fn link(walker: Walker, email: String) -> Option<()> {
    walker.sign_up(&email).await?;
    for count in [2, 3] {
        walker.ask(Ask::post("/otp", &json!({"email": email}))).await?;
        let token = parameter(&walker.mail(&email, count).await?, "token");
        let form = Ask::form("/verify", &[("token", &token), ("type", "magiclink")]).worked(has_landed);
        let landed = walker.redeem(form).await?;
        let fragment = landed.header("location").split_once('#').unwrap().1.to_owned();
        walker.holds(&format!("{email} {count}"), &pair(&fragment, "refresh_token").unwrap());
    }
    Some(())
}

async fn recovery(walker: Walker, email: String) -> Option<()> {
    walker.sign_up(&email).await?;
    walker.ask(Ask::post("/recover", &json!({"email": email}))).await?;
    let token = parameter(&walker.mail(&email, 2).await?, "token");
    let proof = json!({"type": "recovery", "token_hash": token});
    let answer = walker.redeem(Ask::post("/verify", &proof)).await?;
    let name = format!("{email} again");
    let access = walker.signed_in(&name, &answer);
    // The change ends the other session; whether it has, is not known until it is answered.
    walker.lets_go(&email);
    walker.know(|known| known.accounts.remove(&email));
    let mut change = Ask::post("/user", &json!({"password": "another horse 8"})).by_user(&access);
    change.method = Method::PUT;
    let changed = walker.ask(change).await?;
    assert_eq!(changed.status, 200, "{}", changed.text());
    walker.know(|known| known.accounts.insert(email.clone(), "another horse 8".to_owned()));
    walker.refreshed(&name).await?;
    Some(())
}

async fn change(walker: Walker, email: String) -> Option<()> {
    let access = walker.sign_up(&email).await?;
    let wanted = format!("new-{email}");
    walker.know(|known| known.accounts.remove(&email));
    let mut ask = Ask::post("/user", &json!({"email": wanted})).by_user(&access);
    ask.method = Method::PUT;
    assert_eq!(walker.ask(ask).await?.status, 200);
    let proof = |token: String| Ask::post("/verify", &json!({"type": "email_change", "token_hash": token}));
    let old = parameter(&walker.mail(&email, 2).await?, "token");
    walker.redeem(proof(old)).await?;
    let new = parameter(&walker.mail(&wanted, 1).await?, "token");
    let answer = walker.redeem(proof(new)).await?;
    assert_eq!(answer.json()["user"]["email"], json!(wanted));
    walker.signed_in(&wanted, &answer);
    walker.know(|known| known.accounts.insert(wanted, PASSWORD.to_owned()));
    Some(())
}

pub fn exchange(code: &str) -> Ask {
    Ask::post(
        "/token?grant_type=pkce",
        &json!({"auth_code": code, "code_verifier": VERIFIER}),
    )
}

async fn pkce(walker: Walker, email: String) -> Option<()> {
    walker.sign_up(&email).await?;
    let body = json!({"email": email, "code_challenge": CHALLENGE, "code_challenge_method": "s256"});
    walker.ask(Ask::post("/otp", &body)).await?;
    let token = parameter(&walker.mail(&email, 2).await?, "token");
    let form = Ask::form("/verify", &[("token", &token), ("type", "magiclink")]).worked(has_landed);
    let landed = walker.redeem(form).await?;
    let code = query(landed.header("location"))["code"].clone();
    let answer = walker.redeem(exchange(&code)).await?;
    walker.signed_in(&format!("{email} by code"), &answer);
    Some(())
}

async fn factors(walker: Walker, email: String) -> Option<()> {
    let access = walker.sign_up(&email).await?;
    let body = json!({"factor_type": "totp", "friendly_name": "phone"});
    let enrolled = walker.ask(Ask::post("/factors", &body).by_user(&access)).await?;
    let app = App::of(&enrolled.json());
    let path = format!("/factors/{}/challenge", app.id);
    let challenge = walker.ask(Ask::post(&path, &json!({})).by_user(&access)).await?.json();
    // Refresh tokens from before a session was raised are dead, so while it is not known whether it was, none counts.
    walker.lets_go(&email);
    let answer = json!({"challenge_id": challenge["id"], "code": app.code(0)});
    let path = format!("/factors/{}/verify", app.id);
    let raised = walker.redeem(Ask::post(&path, &answer).by_user(&access)).await?;
    let access = walker.signed_in(&email, &raised);
    let made = walker
        .ask(Ask::post("/factors/recovery-codes", &json!({})).by_user(&access))
        .await?;
    let body = json!({"email": email, "password": PASSWORD});
    let low = walker.ask(Ask::post("/token?grant_type=password", &body)).await?.json();
    let code = json!({"code": made.json()["codes"][0]});
    let path = "/factors/recovery-codes/verify";
    let by_code = Ask::post(path, &code).by_user(low["access_token"].as_str().unwrap());
    let raised = walker.redeem(by_code).await?;
    walker.signed_in(&format!("{email} by code"), &raised);
    Some(())
}

async fn provider(walker: Walker, email: String) -> Option<()> {
    let person = Person::new(&email, &email, true);
    for is_pkce in [false, true, true] {
        let more = match is_pkce {
            true => format!("&code_challenge={CHALLENGE}&code_challenge_method=s256"),
            false => String::new(),
        };
        let away = walker
            .ask(Ask::get(&format!("/authorize?provider=custom:acme{more}")))
            .await?;
        let callback = callback(&away, &walker.provider, &person);
        let landed = walker.redeem(callback).await?;
        let to = landed.header("location").to_owned();
        if is_pkce {
            let answer = walker.redeem(exchange(&query(&to)["code"])).await?;
            walker.signed_in(&format!("{email} by code"), &answer);
        } else {
            let fragment = to.split_once('#').unwrap().1;
            walker.holds(&email, &pair(fragment, "refresh_token").unwrap());
        }
    }
    Some(())
}

async fn application(walker: Walker, email: String) -> Option<()> {
    let access = walker.sign_up(&email).await?;
    let body = json!({"redirect_uris": [HOME], "token_endpoint_auth_method": "none"});
    let app = walker.ask(Ask::post("/oauth/clients/register", &body)).await?.json();
    let id = app["client_id"].as_str().unwrap();
    for _ in 0..2 {
        let asked: Vec<(String, String)> = [
            ("client_id", id),
            ("redirect_uri", HOME),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("scope", "openid email"),
        ]
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .into();
        let sent = walker
            .ask(Ask::get(&format!("/oauth/authorize?{}", encoded(&asked))))
            .await?;
        let question = query(sent.header("location"))["authorization_id"].clone();
        let path = format!("/oauth/authorizations/{question}");
        let seen = walker.ask(Ask::get(&path).by_user(&access)).await?.json();
        let to = match seen["redirect_url"].as_str() {
            Some(to) => to.to_owned(),
            None => {
                let consent = Ask::post(&format!("{path}/consent"), &json!({"action": "approve"})).by_user(&access);
                let decided = walker.redeem(consent).await?.json();
                decided["redirect_url"].as_str().unwrap().to_owned()
            }
        };
        let code = query(&to)["code"].clone();
        let token = Ask::form(
            "/oauth/token",
            &[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("code_verifier", VERIFIER),
                ("redirect_uri", HOME),
                ("client_id", id),
            ],
        );
        let given = walker.redeem(token).await?.json();
        let mut refresh = given["refresh_token"].as_str().unwrap().to_owned();
        let of = format!("{id} {question}");
        for _ in 0..2 {
            walker.know(|known| known.grants.insert(of.clone(), format!("{id} {refresh}")));
            let next = walker.ask(refreshing(id, &refresh)).await?;
            assert_eq!(next.status, 200, "{}", next.text());
            refresh = next.json()["refresh_token"].as_str().unwrap().to_owned();
        }
        walker.know(|known| known.grants.insert(of, format!("{id} {refresh}")));
    }
    Some(())
}

fn refreshing(client: &str, token: &str) -> Ask {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", client),
    ];
    Ask::form("/oauth/token", &fields)
}

fn project(mail: &MailServer, provider: &Provider) -> Project {
    project_with(mail, provider, "", "")
}

/// A project whose mail goes to `mail`, with more settings of `[auth]` and `[auth.email]`.
pub fn project_with(mail: &MailServer, provider: &Provider, of_auth: &str, of_email: &str) -> Project {
    Project::of(HURRY).config(&format!(
        "{}[auth]\nsite_url = \"https://shop.example\"\n{of_auth}[auth.rate_limit]\nemail_sent = 1000000\n\
         [auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\nauthorization_url_path = \"/consent\"\n\
         [auth.email]\nmax_frequency = \"0s\"\nenable_confirmations = true\n{of_email}\
         [auth.email.smtp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"u\"\npass = \"p\"\nadmin_email = \"shop@example.com\"\n",
        provider.settings(),
        mail.port()
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_every_flow_loses_nothing_and_redeems_nothing_twice() {
    kill_9_in(&ways(), project).await;
}

/// Clients go these ways until the server is killed. What they know of is looked at when it runs again.
pub async fn kill_9_in(ways: &[(&'static str, Way)], project: impl Fn(&MailServer, &Provider) -> Project) {
    let provider = Provider::start().await;
    let mail = Arc::new(MailServer::start().await);
    let counts = Mutex::new([0_usize; 3]);
    on_each_engine(
        || project(&mail, &provider),
        async |engine, mut auth: Auth| {
            for moment in MOMENTS {
                let stop = Arc::new(AtomicBool::new(false));
                let mut lives = Vec::new();
                let mut walkers = Vec::new();
                for &(name, way) in ways {
                    let walker = Walker {
                        client: auth.client(None),
                        admin: auth.client(Some(&token::role("service_role"))),
                        mail: mail.clone(),
                        provider: provider.clone(),
                        stop: stop.clone(),
                        known: Arc::default(),
                        name: name.to_owned(),
                    };
                    walkers.push(walker.clone());
                    lives.push(tokio::spawn(async move {
                        for round in 0.. {
                            let email = format!("{name}-{engine:?}-{moment}-{round}@example.com").to_lowercase();
                            if way(walker.clone(), email).await.is_none() {
                                return;
                            }
                        }
                    }));
                }
                while walkers.iter().any(|walker| walker.know(|known| known.answers < 2)) {
                    let is_asking = lives.iter().all(|life| !life.is_finished());
                    assert!(is_asking, "a client stopped: {}", auth.server.log());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::time::sleep(Duration::from_millis(moment)).await;
                auth.server.kill();
                stop.store(true, Ordering::Relaxed);
                for life in lives {
                    life.await.unwrap();
                }
                auth.server.run().unwrap();
                for walker in &walkers {
                    let known = walker.know(std::mem::take);
                    after(&auth, &walker.name, &known, &mail, &counts).await;
                }
            }
            let log = auth.log().await;
            assert!(!log.contains("panicked"), "{log}");
        },
    )
    .await;
    let [used, unsure, sessions] = *counts.lock().unwrap();
    assert!(used > 40 && sessions > 20, "{used} {unsure} {sessions}");
    println!("{used} redemptions answered, {unsure} not answered, {sessions} sessions went on");
}

/// What holds once the server runs again.
async fn after(auth: &Auth, name: &str, known: &Known, mail: &MailServer, counts: &Mutex<[usize; 3]>) {
    let client = auth.client(None);
    // Before its code comes again, which ends what it gave.
    for (of, grant) in &known.grants {
        let (id, token) = grant.split_once(' ').unwrap();
        let answer = refreshing(id, token).send(&client).await.unwrap();
        assert_eq!(answer.status, 200, "{name}: {of}: {}", answer.text());
    }
    for ask in &known.used {
        let again = ask.send(&client).await.unwrap();
        assert!(
            !(ask.worked)(&again),
            "{name}: {} worked twice: {}",
            ask.path,
            again.text()
        );
    }
    for ask in &known.unsure {
        let mut worked = 0;
        for _ in 0..2 {
            let answer = ask.send(&client).await.unwrap();
            assert!(answer.status.as_u16() < 500, "{name}: {}", answer.text());
            worked += usize::from((ask.worked)(&answer));
        }
        assert!(worked <= 1, "{name}: {} worked {worked} times", ask.path);
    }
    for (of, token) in &known.sessions {
        let answer = auth.refresh(token).await;
        assert_eq!(answer.status, 200, "{name}: {of}: {}", answer.text());
        session(&answer);
    }
    for (email, password) in &known.accounts {
        let answer = auth.try_sign_in(email, password).await;
        assert_eq!(answer.status, 200, "{name}: {email}: {}", answer.text());
    }
    for cookie in &known.cookies {
        let page = Ask::get("/pages/account")
            .with("cookie", cookie)
            .send(&client)
            .await
            .unwrap();
        assert_eq!(page.status, 200, "{name}: {}", page.header("location"));
    }
    auth.call("hurry", json!({})).await;
    for email in &known.promised {
        mail.wait(|mail| mail.received().iter().any(|mail| mail.to.contains(email)))
            .await;
    }
    let mut counts = counts.lock().unwrap();
    counts[0] += known.used.len();
    counts[1] += known.unsure.len();
    counts[2] += known.sessions.len();
}
