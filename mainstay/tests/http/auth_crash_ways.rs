//! `kill -9` in the middle of the other ways to sign in: codes, numbers, invitations, nonces, people who were nobody,
//! identities that are linked, second factors by text, passkeys, wallets and the ready pages.

use std::time::Instant;

use http::Method;
use mainstay_testing::{Answer, MailServer, Project};
use serde_json::{Value, json};

use crate::auth::PASSWORD;
use crate::auth_crash_flows::{
    Ask, Walker, Way, callback, exchange, has_landed, is_good, kill_9_in, parameter, project_with,
};
use crate::oauth::CHALLENGE;
use crate::oauth_provider::{Person, Provider, encoded, query};
use crate::page_browser::between;
use crate::security_key::SecurityKey;
use crate::wallet::Wallet;

/// Text messages end in a table, and sessions can be made older than a day.
const SCHEMA: &str = "
    create table public.texts (id bigint generated always as identity primary key, phone text, code text);
    create function public.keep_text(event jsonb) returns jsonb language plpgsql security definer set search_path = '' as $$
    begin
      insert into public.texts (phone, code) values (event -> 'sms' ->> 'phone', event -> 'sms' ->> 'otp');
      return '{}'::jsonb;
    end $$;
    create function public.texts_to(number text) returns jsonb language sql security definer set search_path = '' as $$
        select coalesce(jsonb_agg(t.code order by t.id), '[]') from public.texts t where t.phone = number
    $$;
    create function public.age_sessions(who uuid) returns void language sql security definer set search_path = '' as $$
        update auth.sessions set created_at = created_at - interval '25 hours' where user_id = who
    $$;
    grant execute on function public.texts_to, public.age_sessions to service_role;";

const SETTINGS: &str = "[auth.sms]\nenable_signup = true\nenable_confirmations = true\n\
     max_frequency = \"0s\"\n[auth.hook.send_sms]\nenabled = true\nuri = \"pg-functions://postgres/public/keep_text\"\n\
     [auth.mfa.phone]\nenroll_enabled = true\nverify_enabled = true\nmax_frequency = \"0s\"\n\
     [auth.passkey]\nenabled = true\n[auth.webauthn]\nrp_id = \"shop.example\"\nrp_display_name = \"The shop\"\n\
     rp_origins = [\"https://shop.example\"]\n[auth.web3.ethereum]\nenabled = true\n[auth.web3.solana]\nenabled = true\n\
     [mainstay.pages]\nenabled = true\n";

fn with_all(mail: &MailServer, provider: &Provider) -> Project {
    let of_auth = "enable_manual_linking = true\nenable_anonymous_sign_ins = true\n";
    project_with(mail, provider, of_auth, "secure_password_change = true\n")
        .migration(SCHEMA)
        .config(SETTINGS)
}

fn ways() -> [(&'static str, Way); 9] {
    [
        ("code", |walker, email| Box::pin(code(walker, email))),
        ("number", |walker, email| Box::pin(number(walker, email))),
        ("invitation", |walker, email| Box::pin(invitation(walker, email))),
        ("nonce", |walker, email| Box::pin(nonce(walker, email))),
        ("nobody", |walker, email| Box::pin(nobody(walker, email))),
        ("linking", |walker, email| Box::pin(linking(walker, email))),
        ("passkey", |walker, email| Box::pin(passkey(walker, email))),
        ("wallet", |walker, email| Box::pin(wallet(walker, email))),
        ("page", |walker, email| Box::pin(page(walker, email))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_every_other_flow_loses_nothing_and_redeems_nothing_twice() {
    kill_9_in(&ways(), with_all).await;
}

fn text(of: &Value, name: &str) -> String {
    let found = of[name].as_str();
    found.unwrap_or_else(|| panic!("no {name} in {of}")).to_owned()
}

fn put(path: &str, body: &Value) -> Ask {
    let mut ask = Ask::post(path, body);
    ask.method = Method::PUT;
    ask
}

impl Walker {
    /// Runs a function with the secret key. `None`: the server is gone.
    async fn call(&self, function: &str, arguments: Value) -> Option<Value> {
        let headers = [("content-type", "application/json")];
        let path = format!("/rest/v1/rpc/{function}");
        let answer = self
            .admin
            .try_send(Method::POST, &path, &headers, arguments.to_string())
            .await
            .ok()?;
        assert!(answer.status.is_success(), "{}", answer.text());
        serde_json::from_slice(&answer.body).ok().or(Some(Value::Null))
    }

    /// Waits for the `count`th text message to a number. `None`: the server is gone.
    async fn text(&self, to: &str, count: usize) -> Option<String> {
        let begun = Instant::now();
        loop {
            let all = self.call("texts_to", json!({"number": to})).await?;
            if let Some(code) = all[count - 1].as_str() {
                return Some(code.to_owned());
            }
            self.pause(begun, to).await?;
        }
    }
}

/// A number of nobody else's.
fn phone_of(email: &str) -> String {
    let sum = email
        .bytes()
        .fold(7_u64, |sum, byte| (sum * 131 + u64::from(byte)) % 99_999_989);
    format!("47{sum:08}")
}

async fn code(walker: Walker, email: String) -> Option<()> {
    walker.sign_up(&email).await?;
    for count in [2, 3] {
        walker.ask(Ask::post("/otp", &json!({"email": email}))).await?;
        let mail = walker.mail(&email, count).await?;
        let code = between(&mail, "<strong>", "<").to_owned();
        let proof = json!({"type": "email", "email": email, "token": code});
        let answer = walker.redeem(Ask::post("/verify", &proof)).await?;
        walker.signed_in(&format!("{email} {count}"), &answer);
    }
    Some(())
}

/// By a number, and with it as a second factor.
async fn number(walker: Walker, email: String) -> Option<()> {
    let phone = phone_of(&email);
    let prove = |code: String| Ask::post("/verify", &json!({"type": "sms", "phone": phone, "token": code}));
    let body = json!({"phone": phone, "password": PASSWORD});
    walker.ask(Ask::post("/signup", &body)).await?;
    let answer = walker.redeem(prove(walker.text(&phone, 1).await?)).await?;
    walker.signed_in(&email, &answer);
    walker.ask(Ask::post("/otp", &json!({"phone": phone}))).await?;
    let answer = walker.redeem(prove(walker.text(&phone, 2).await?)).await?;
    let again = format!("{email} again");
    let access = walker.signed_in(&again, &answer);
    let body = json!({"factor_type": "phone", "friendly_name": "number", "phone": phone});
    let factor = walker.ask(Ask::post("/factors", &body).by_user(&access)).await?;
    let path = format!("/factors/{}", text(&factor.json(), "id"));
    let challenge = Ask::post(&format!("{path}/challenge"), &json!({})).by_user(&access);
    let challenge = text(&walker.ask(challenge).await?.json(), "id");
    let code = walker.text(&phone, 3).await?;
    // Refresh tokens from before a session was raised are dead, and the other sessions end.
    walker.lets_go(&email);
    walker.lets_go(&again);
    let body = json!({"challenge_id": challenge, "code": code});
    let answer = walker
        .redeem(Ask::post(&format!("{path}/verify"), &body).by_user(&access))
        .await?;
    walker.signed_in(&again, &answer);
    Some(())
}

async fn invitation(walker: Walker, email: String) -> Option<()> {
    let invite = Ask::post("/invite", &json!({"email": email}));
    let invited = invite.send(&walker.admin).await.ok()?;
    assert_eq!(invited.status, 200, "{}", invited.text());
    let token = parameter(&walker.mail(&email, 1).await?, "token");
    let proof = json!({"type": "invite", "token_hash": token});
    let answer = walker.redeem(Ask::post("/verify", &proof)).await?;
    let access = walker.signed_in(&email, &answer);
    let chosen = walker
        .ask(put("/user", &json!({"password": PASSWORD})).by_user(&access))
        .await?;
    assert_eq!(chosen.status, 200, "{}", chosen.text());
    walker.know(|known| known.accounts.insert(email.clone(), PASSWORD.to_owned()));
    walker.refreshed(&email).await?;
    Some(())
}

async fn nonce(walker: Walker, email: String) -> Option<()> {
    let access = walker.sign_up(&email).await?;
    let user = walker.ask(Ask::get("/user").by_user(&access)).await?;
    walker.call("age_sessions", json!({"who": user.json()["id"]})).await?;
    walker.ask(Ask::get("/reauthenticate").by_user(&access)).await?;
    let mail = walker.mail(&email, 2).await?;
    let nonce = between(&mail, "<strong>", "<").to_owned();
    let change = |password: &str| put("/user", &json!({"password": password, "nonce": nonce})).by_user(&access);
    walker.know(|known| known.accounts.remove(&email));
    let (next, another) = ("another horse 8", "a third horse 9");
    walker.redeem_or(change(next), change(another)).await?;
    walker.know(|known| known.accounts.insert(email.clone(), next.to_owned()));
    Some(())
}

/// Somebody without an address becomes somebody with one.
async fn nobody(walker: Walker, email: String) -> Option<()> {
    let answer = walker.ask(Ask::post("/signup", &json!({"data": {}}))).await?;
    let access = walker.signed_in(&email, &answer);
    let id = answer.json()["user"]["id"].clone();
    let asked = walker
        .ask(put("/user", &json!({"email": email})).by_user(&access))
        .await?;
    assert_eq!(asked.status, 200, "{}", asked.text());
    let token = parameter(&walker.mail(&email, 1).await?, "token");
    let proof = json!({"type": "email_change", "token_hash": token});
    let answer = walker.redeem(Ask::post("/verify", &proof)).await?;
    let user = &answer.json()["user"];
    assert_eq!((&user["id"], &user["is_anonymous"]), (&id, &json!(false)));
    walker.signed_in(&format!("{email} by mail"), &answer);
    walker.refreshed(&email).await?;
    Some(())
}

async fn linking(walker: Walker, email: String) -> Option<()> {
    let access = walker.sign_up(&email).await?;
    let asked = Ask::get("/user/identities/authorize?provider=custom:acme").by_user(&access);
    let away = walker.ask(asked).await?;
    let person = Person::new(&email, &format!("work-{email}"), true);
    let landed = walker.redeem(callback(&away, &walker.provider, &person)).await?;
    assert!(has_landed(&landed));
    let known = walker.ask(Ask::get("/user").by_user(&access)).await?.json();
    assert_eq!(known["app_metadata"]["providers"], json!(["email", "custom:acme"]));
    walker.refreshed(&email).await?;
    Some(())
}

async fn passkey(walker: Walker, email: String) -> Option<()> {
    let access = walker.sign_up(&email).await?;
    let mut key = SecurityKey::new();
    let asked = Ask::post("/passkeys/registration/options", &json!({})).by_user(&access);
    let asked = walker.ask(asked).await?.json();
    let made = key.make(&asked["options"]).await;
    let body = json!({"challenge_id": asked["challenge_id"], "credential": made});
    walker
        .redeem(Ask::post("/passkeys/registration/verify", &body).by_user(&access))
        .await?;
    for count in 0..2 {
        let asked = walker
            .ask(Ask::post("/passkeys/authentication/options", &json!({})))
            .await?
            .json();
        let signed = key.sign(&asked["options"]).await;
        let body = json!({"challenge_id": asked["challenge_id"], "credential": signed});
        let answer = walker
            .redeem(Ask::post("/passkeys/authentication/verify", &body))
            .await?;
        walker.signed_in(&format!("{email} by key {count}"), &answer);
    }
    Some(())
}

async fn wallet(walker: Walker, email: String) -> Option<()> {
    for wallet in [Wallet::ethereum(), Wallet::solana()] {
        for count in 0..2 {
            let body = wallet.body(&wallet.message(0));
            let answer = walker.redeem(Ask::post("/token?grant_type=web3", &body)).await?;
            walker.signed_in(&format!("{email} {} {count}", wallet.chain()), &answer);
        }
    }
    Some(())
}

fn is_shown(answer: &Answer) -> bool {
    is_good(answer) || answer.status == 303
}

/// A browser signs in on the ready pages, and its application takes the session over by a code.
async fn page(walker: Walker, email: String) -> Option<()> {
    walker.sign_up(&email).await?;
    let asked = [("code_challenge", CHALLENGE), ("code_challenge_method", "s256")];
    let asked = asked.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let path = format!("/pages/sign-in?{}", encoded(&asked));
    let shown = walker.ask(Ask::get(&path)).await?;
    let cookie = shown.header("set-cookie").split(';').next().unwrap().to_owned();
    let token = between(&shown.text(), "name=\"form_token\" value=\"", "\"").to_owned();
    let fields = [
        ("form_token", token.as_str()),
        ("email", &email),
        ("password", PASSWORD),
    ];
    let sent = walker.ask(Ask::form(&path, &fields).with("cookie", &cookie)).await?;
    assert!(is_shown(&sent), "{}", sent.text());
    let cookie = sent.header("set-cookie").split(';').next().unwrap().to_owned();
    walker.know(|known| known.cookies.push(cookie));
    let code = query(sent.header("location"))["code"].clone();
    let answer = walker.redeem(exchange(&code)).await?;
    walker.signed_in(&format!("{email} by page"), &answer);
    Some(())
}
