//! The requests of the walk over sign-in: each route once at least, with what it needs.

use http::Method;
use serde_json::{Value, json};

use crate::auth::{PASSWORD, Session};
use crate::auth_walk::{By, Sent, Walk};
use crate::authenticator::App;
use crate::oauth::{CHALLENGE, VERIFIER};
use crate::oauth_provider::{Person, encoded, query};
use crate::security_key::SecurityKey;
use crate::wallet::Wallet;

pub const ANN: &str = "ann@example.com";
pub const APP: &str = "https://app.example/welcome";
const PHONE: &str = "4799999991";
pub const NEXT_PASSWORD: &str = "another horse 8 battery";

pub fn text(of: &Value, name: &str) -> String {
    let found = of[name].as_str();
    found.unwrap_or_else(|| panic!("no {name} in {of}")).to_owned()
}

fn session(of: &Value) -> Session {
    Session {
        access_token: text(of, "access_token"),
        refresh_token: text(of, "refresh_token"),
        user: of["user"].clone(),
    }
}

fn by(of: &Session) -> By {
    By::User(of.access_token.clone())
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

impl Walk {
    /// Goes the whole way.
    pub async fn go(&mut self) {
        self.sent.extend([PASSWORD, NEXT_PASSWORD, VERIFIER].map(str::to_owned));
        for path in ["/health", "/.well-known/jwks.json", "/settings"] {
            self.get(path, "", By::Nobody).await;
        }
        for path in [
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
        ] {
            self.get(path, "", By::Nobody).await;
        }
        let ann = self.sessions().await;
        self.proofs(&ann).await;
        self.provider(&ann).await;
        self.wallets().await;
        self.passkeys(&ann).await;
        self.application(&ann).await;
        self.pages().await;
        let high = self.factors(&ann).await;
        self.administration(&high).await;
        self.post("/logout", "?scope=local", by(&high), json!({})).await;
    }

    async fn sessions(&mut self) -> Session {
        let with_password = json!({"email": ANN, "password": PASSWORD, "data": {"name": "Ann"}});
        self.post("/signup", "", By::Nobody, with_password.clone()).await;
        self.post("/signup", "", By::Nobody, json!({"data": {}})).await;
        let by_phone = json!({"phone": PHONE, "password": PASSWORD, "data": {}});
        self.post("/signup", "", By::Nobody, by_phone).await;
        let code = self.texted(PHONE).await;
        let proof = json!({"type": "sms", "phone": PHONE, "token": code});
        self.post("/verify", "", By::Nobody, proof).await;
        let answer = self
            .post("/token", "?grant_type=password", By::Nobody, with_password)
            .await;
        let first = session(&answer.json());
        let refresh = json!({"refresh_token": first.refresh_token});
        let answer = self
            .post("/token", "?grant_type=refresh_token", By::Nobody, refresh)
            .await;
        let ann = session(&answer.json());
        self.get("/user", "", by(&ann)).await;
        let change = Sent::Json(json!({"data": {"name": "Anna"}}));
        self.ask(Method::PUT, "/user", &[], "", by(&ann), change).await;
        ann
    }

    async fn proofs(&mut self, ann: &Session) {
        let email = json!({"email": ANN, "data": {}});
        self.post("/otp", "", By::Nobody, email.clone()).await;
        let token = self.mailed(ANN).await;
        self.get("/verify", &format!("?token={token}&type=magiclink"), By::Nobody)
            .await;
        let link = Sent::Form(pairs(&[("token", &token), ("type", "magiclink")]));
        self.ask(Method::POST, "/verify", &[], "", By::Nobody, link).await;
        self.post("/magiclink", "", By::Nobody, email).await;
        let proof = json!({"type": "magiclink", "token_hash": self.mailed(ANN).await});
        self.post("/verify", "", By::Nobody, proof).await;
        let with_challenge = json!({"email": ANN, "code_challenge": CHALLENGE, "code_challenge_method": "s256"});
        self.post("/recover", &format!("?redirect_to={APP}"), By::Nobody, with_challenge)
            .await;
        let token = self.mailed(ANN).await;
        let link = Sent::Form(pairs(&[("token", &token), ("type", "recovery"), ("redirect_to", APP)]));
        let landed = self.ask(Method::POST, "/verify", &[], "", By::Nobody, link).await;
        self.exchange(landed.header("location")).await;
        let again = json!({"type": "signup", "email": ANN});
        self.post("/resend", "", By::Nobody, again).await;
        self.get("/reauthenticate", "", by(ann)).await;
        let nonce = self.auth.mail(ANN).await.code();
        let body = Sent::Json(json!({"password": NEXT_PASSWORD, "nonce": nonce}));
        self.ask(Method::PUT, "/user", &[], "", by(ann), body).await;
    }

    async fn exchange(&mut self, location: &str) -> Session {
        let code = query(location)["code"].clone();
        let body = json!({"auth_code": code, "code_verifier": VERIFIER});
        session(&self.post("/token", "?grant_type=pkce", By::Nobody, body).await.json())
    }

    async fn provider(&mut self, ann: &Session) {
        let person = Person::new("eve-1", "eve@example.com", true);
        let challenge = format!("&code_challenge={CHALLENGE}&code_challenge_method=s256");
        for more in ["", challenge.as_str()] {
            let asked = format!("?provider=custom:acme&redirect_to={APP}{more}");
            let away = self.get("/authorize", &asked, By::Nobody).await;
            let back = self.provider.consent(away.header("location"), &person);
            let landed = match more.is_empty() {
                true => {
                    self.get("/callback", &format!("?{}", encoded(&back)), By::Browser)
                        .await
                }
                false => {
                    let sent = Sent::Form(back);
                    self.ask(Method::POST, "/callback", &[], "", By::Browser, sent).await
                }
            };
            if !more.is_empty() {
                self.exchange(landed.header("location")).await;
            }
        }
        let token = self.provider.id_token(&person, None, None);
        let body = json!({"provider": "custom:acme", "id_token": token});
        self.post("/token", "?grant_type=id_token", By::Nobody, body).await;
        let asked = format!("?provider=github&redirect_to={APP}&skip_http_redirect=true");
        let away = self.get("/user/identities/authorize", &asked, by(ann)).await;
        let other = Person::new("ann-at-github", "ann.at.github@example.com", true);
        let back = self.provider.consent(&text(&away.json(), "url"), &other);
        self.get("/callback", &format!("?{}", encoded(&back)), By::Browser)
            .await;
        let known = self.get("/user", "", by(ann)).await.json();
        let mut linked = known["identities"].as_array().unwrap().iter();
        let linked = linked.rfind(|identity| identity["provider"] == "github");
        let id = text(linked.unwrap(), "identity_id");
        self.ask(
            Method::DELETE,
            "/user/identities/{id}",
            &[&id],
            "",
            by(ann),
            Sent::Nothing,
        )
        .await;
    }

    async fn wallets(&mut self) {
        for wallet in [Wallet::ethereum(), Wallet::solana()] {
            let body = wallet.body(&wallet.message(0));
            self.sent.push(text(&body, "signature"));
            self.post("/token", "?grant_type=web3", By::Nobody, body).await;
        }
    }

    async fn passkeys(&mut self, ann: &Session) {
        let mut key = SecurityKey::new();
        let asked = self
            .post("/passkeys/registration/options", "", by(ann), json!({}))
            .await
            .json();
        let made = key.make(&asked["options"]).await;
        let body = json!({"challenge_id": asked["challenge_id"], "credential": made});
        let made = self
            .post("/passkeys/registration/verify", "", by(ann), body)
            .await
            .json();
        let asked = self
            .post("/passkeys/authentication/options", "", By::Nobody, json!({}))
            .await
            .json();
        let signed = key.sign(&asked["options"]).await;
        self.sent.push(text(&signed["response"], "signature"));
        let body = json!({"challenge_id": asked["challenge_id"], "credential": signed});
        self.post("/passkeys/authentication/verify", "", By::Nobody, body).await;
        self.get("/passkeys", "", by(ann)).await;
        let id = text(&made, "id");
        let name = Sent::Json(json!({"friendly_name": "My phone"}));
        self.ask(Method::PATCH, "/passkeys/{id}", &[&id], "", by(ann), name)
            .await;
        self.ask(Method::DELETE, "/passkeys/{id}", &[&id], "", by(ann), Sent::Nothing)
            .await;
    }

    async fn application(&mut self, ann: &Session) {
        let body = json!({"redirect_uris": [APP], "token_endpoint_auth_method": "client_secret_post", "client_name": "Theirs"});
        let made = self.post("/oauth/clients/register", "", By::Nobody, body).await.json();
        let (client, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
        let asked = pairs(&[
            ("client_id", &client),
            ("redirect_uri", APP),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("scope", "openid email"),
        ]);
        let asked = format!("?{}", encoded(&asked));
        let away = self.get("/oauth/authorize", &asked, By::Nobody).await;
        let id = query(away.header("location"))["authorization_id"].clone();
        let (pattern, answer) = ("/oauth/authorizations/{id}", "/oauth/authorizations/{id}/consent");
        self.ask(Method::GET, pattern, &[&id], "", by(ann), Sent::Nothing).await;
        let agreed = Sent::Json(json!({"action": "approve"}));
        let agreed = self.ask(Method::POST, answer, &[&id], "", by(ann), agreed).await.json();
        let code = query(&text(&agreed, "redirect_url"))["code"].clone();
        let redeemed = pairs(&[
            ("grant_type", "authorization_code"),
            ("client_id", &client),
            ("client_secret", &secret),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", APP),
        ]);
        let granted = self.form("/oauth/token", redeemed).await;
        let refresh = pairs(&[
            ("grant_type", "refresh_token"),
            ("client_id", &client),
            ("client_secret", &secret),
            ("refresh_token", &text(&granted, "refresh_token")),
        ]);
        let granted = self.form("/oauth/token", refresh).await;
        let acting = By::User(text(&granted, "access_token"));
        self.get("/oauth/userinfo", "", acting.clone()).await;
        self.ask(Method::POST, "/oauth/userinfo", &[], "", acting, Sent::Nothing)
            .await;
        let token = pairs(&[
            ("client_id", &client),
            ("client_secret", &secret),
            ("token", &text(&granted, "refresh_token")),
        ]);
        self.form("/oauth/introspect", token.clone()).await;
        self.ask(Method::POST, "/oauth/revoke", &[], "", By::Nobody, Sent::Form(token))
            .await;
        self.get("/user/oauth/grants", "", by(ann)).await;
        self.ask(
            Method::DELETE,
            "/user/oauth/grants",
            &[],
            &format!("?client_id={client}"),
            by(ann),
            Sent::Nothing,
        )
        .await;
    }

    async fn form(&mut self, pattern: &'static str, fields: Vec<(String, String)>) -> Value {
        self.ask(Method::POST, pattern, &[], "", By::Nobody, Sent::Form(fields))
            .await
            .json()
    }

    async fn pages(&mut self) {
        let nora = "nora@example.com";
        self.open("style.css", "").await;
        self.open("sign-up", "").await;
        self.submit(
            "sign-up",
            "",
            &[("name", "Nora"), ("email", nora), ("password", PASSWORD)],
        )
        .await;
        self.open("account", "").await;
        self.submit("account", "", &[("action", "name"), ("name", "N")]).await;
        self.open("account", "").await;
        self.submit("account", "", &[("action", "sign-out")]).await;
        self.open("reset", "").await;
        self.submit("reset", "", &[("email", nora)]).await;
        let token = self.mailed(nora).await;
        let back = self.auth.mail(nora).await.parameter("redirect_to");
        let mut link = pairs(&[("token", &token), ("type", "recovery"), ("redirect_to", &back)]);
        self.get("/verify", &format!("?{}", encoded(&link)), By::Browser).await;
        link.push(("form_token".to_owned(), self.form_token.clone()));
        self.ask(Method::POST, "/verify", &[], "", By::Browser, Sent::Form(link))
            .await;
        self.open("reset/new", "").await;
        self.submit("reset/new", "", &[("password", NEXT_PASSWORD)]).await;
        self.open("sign-in", "?next=account").await;
        let known = [("email", nora), ("password", NEXT_PASSWORD)];
        self.submit("sign-in", "?next=account", &known).await;
    }

    /// Gives the session that was raised.
    async fn factors(&mut self, ann: &Session) -> Session {
        let body = json!({"factor_type": "totp", "friendly_name": "app"});
        let app = App::of(&self.post("/factors", "", by(ann), body).await.json());
        self.sent.push(app.secret.clone());
        let mut high = self.prove(ann, &app.id, |_| app.code(0)).await;
        let body = json!({"factor_type": "webauthn", "friendly_name": "key"});
        let factor = text(&self.post("/factors", "", by(&high), body).await.json(), "id");
        let challenged = self.challenge(&high, &factor).await;
        let options = &challenged["webauthn"]["credential_options"]["publicKey"];
        let made = SecurityKey::plain().make(options).await;
        let body =
            json!({"challenge_id": challenged["id"], "webauthn": {"type": "create", "credential_response": made}});
        high = session(&self.verify(&high, &factor, body).await);
        // The factor that raised a session last takes its level along: this is another one.
        let body = json!({"factor_type": "phone", "friendly_name": "number", "phone": PHONE});
        let number = text(&self.post("/factors", "", by(&high), body).await.json(), "id");
        let challenged = self.challenge(&high, &number).await;
        let code = self.texted(PHONE).await;
        let body = json!({"challenge_id": challenged["id"], "code": code});
        high = session(&self.verify(&high, &number, body).await);
        self.ask(
            Method::DELETE,
            "/factors/{id}",
            &[&factor],
            "",
            by(&high),
            Sent::Nothing,
        )
        .await;
        let path = "/factors/recovery-codes";
        self.post(path, "", by(&high), json!({})).await;
        self.get(path, "", by(&high)).await;
        let made = self
            .post("/factors/recovery-codes/regenerate", "", by(&high), json!({}))
            .await;
        let code = json!({"code": made.json()["codes"][0]});
        let body = json!({"email": ANN, "password": NEXT_PASSWORD});
        let low = self.post("/token", "?grant_type=password", By::Nobody, body).await;
        let low = session(&low.json());
        self.post("/factors/recovery-codes/verify", "", by(&low), code).await;
        self.ask(Method::DELETE, path, &[], "", by(&high), Sent::Nothing).await;
        high
    }

    async fn challenge(&mut self, of: &Session, factor: &str) -> Value {
        let asked = Sent::Json(json!({}));
        self.ask(Method::POST, "/factors/{id}/challenge", &[factor], "", by(of), asked)
            .await
            .json()
    }

    async fn verify(&mut self, of: &Session, factor: &str, body: Value) -> Value {
        let sent = Sent::Json(body);
        self.ask(Method::POST, "/factors/{id}/verify", &[factor], "", by(of), sent)
            .await
            .json()
    }

    async fn prove(&mut self, of: &Session, factor: &str, code: impl Fn(&Value) -> String) -> Session {
        let challenged = self.challenge(of, factor).await;
        let body = json!({"challenge_id": challenged["id"], "code": code(&challenged)});
        session(&self.verify(of, factor, body).await)
    }
}
