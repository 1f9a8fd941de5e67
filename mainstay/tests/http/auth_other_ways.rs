//! What the ways to sign in leave to be redeemed once, beside links and codes in mails, providers and applications: numbers,
//! invitations, people who were nobody, identities that are linked, passkeys, wallets and the ready pages.

use http::Method;
use mainstay_testing::token;
use serde_json::json;

use crate::auth::{Auth, PASSWORD, Session, session_by_any_clock};
use crate::auth_crash_flows::{Ask, callback, exchange};
use crate::oauth::CHALLENGE;
use crate::oauth_provider::{Person, Provider, encoded, query};
use crate::page_browser::between;
use crate::security_key::SecurityKey;
use crate::wallet::Wallet;

/// The settings that they need.
pub const OF_OTHER_WAYS: &str = "[auth.sms]\nenable_signup = true\nenable_confirmations = true\nmax_frequency = \"0s\"\n\
     template = \"{{ .Code }} is your code\"\n[auth.mfa.phone]\nenroll_enabled = true\nverify_enabled = true\n\
     max_frequency = \"0s\"\ntemplate = \"{{ .Code }} is your code\"\n[auth.passkey]\nenabled = true\n\
     [auth.webauthn]\nrp_id = \"shop.example\"\nrp_display_name = \"The shop\"\nrp_origins = [\"https://shop.example\"]\n\
     [auth.web3.ethereum]\nenabled = true\n[auth.web3.solana]\nenabled = true\n";

/// A number of nobody else's.
fn phone_of(who: &str, kind: &str) -> String {
    let sum = format!("{who} {kind}")
        .bytes()
        .fold(7_u64, |sum, byte| (sum * 131 + u64::from(byte)) % 99_999_989);
    format!("47{sum:08}")
}

impl Auth {
    async fn sign_up_by_any_clock(&self, email: &str) -> Session {
        let body = json!({"email": email, "password": PASSWORD});
        session_by_any_clock(&self.post("/signup", body).await)
    }

    /// The code of the newest message, which is to the number.
    async fn texted(&self, phone: &str) -> String {
        let mail = self.mail(phone).await;
        mail.html.split(' ').next().unwrap().to_owned()
    }

    /// One of each thing that may be redeemed once. `seconds`: how far the clock is moved now.
    pub async fn pending_of_other_ways(
        &self,
        provider: &Provider,
        who: &str,
        seconds: i64,
    ) -> Vec<(&'static str, Ask)> {
        let mut all = self.numbers(who).await;
        all.extend(self.invited_and_linked(provider, who).await);
        all.extend(self.keys(who).await);
        for wallet in [Wallet::ethereum(), Wallet::solana()] {
            let body = wallet.body(&wallet.message(-seconds));
            all.push(("a wallet's message", Ask::post("/token?grant_type=web3", &body)));
        }
        all.push(("a page's code", self.code_of_a_page(who).await));
        all
    }

    async fn numbers(&self, who: &str) -> Vec<(&'static str, Ask)> {
        let phone = phone_of(who, "number");
        self.post("/otp", json!({"phone": phone})).await;
        let proof = json!({"type": "sms", "phone": phone, "token": self.texted(&phone).await});
        let mut all = vec![("a number's code", Ask::post("/verify", &proof))];

        let phone = phone_of(who, "factor");
        let own = self.sign_up_by_any_clock(&format!("number-{who}@example.com")).await;
        let body = json!({"factor_type": "phone", "friendly_name": "number", "phone": phone});
        let made = self.as_user(&own, Method::POST, "/factors", body).await.json();
        let factor = made["id"].as_str().unwrap();
        let challenge = self.challenge(&own, factor).await.json();
        let answer = json!({"challenge_id": challenge["id"], "code": self.texted(&phone).await});
        let verify = Ask::post(&format!("/factors/{factor}/verify"), &answer);
        all.push(("a number's challenge", verify.by_user(&own.access_token)));
        all
    }

    async fn invited_and_linked(&self, provider: &Provider, who: &str) -> Vec<(&'static str, Ask)> {
        let to = format!("invited-{who}@example.com");
        // The secret key: its token has no end that the moved clock could have passed.
        let claims = json!({"role": "service_role", "exp": token::now() + 400 * 86_400});
        let admin = token::sign(&claims);
        let invited = self
            .ask(Method::POST, "/invite", Some(&admin), json!({"email": to}))
            .await;
        assert_eq!(invited.status, 200, "{}", invited.text());
        let proof = json!({"type": "invite", "token_hash": self.mail(&to).await.token()});
        let mut all = vec![("an invitation", Ask::post("/verify", &proof))];

        let nobody = session_by_any_clock(&self.post("/signup", json!({"data": {}})).await);
        let phone = phone_of(who, "somebody");
        let change = json!({"phone": phone});
        let asked = self.ask(Method::PUT, "/user", Some(&nobody.access_token), change).await;
        assert_eq!(asked.status, 200, "{}", asked.text());
        let proof = json!({"type": "phone_change", "phone": phone, "token": self.texted(&phone).await});
        all.push(("a number of nobody's", Ask::post("/verify", &proof)));

        let own = self.sign_up_by_any_clock(&format!("linking-{who}@example.com")).await;
        let asked = Ask::get("/user/identities/authorize?provider=github").by_user(&own.access_token);
        let away = asked.send(&self.client(None)).await.unwrap();
        let person = Person::new(&format!("linked-{who}"), &format!("work-{who}@example.com"), true);
        all.push(("a link to an identity", callback(&away, provider, &person)));
        all
    }

    async fn keys(&self, who: &str) -> Vec<(&'static str, Ask)> {
        let own = self.sign_up_by_any_clock(&format!("key-{who}@example.com")).await;
        let mut key = SecurityKey::new();
        self.add_passkey(&own, &mut key).await;
        let asked = self.ask_to_sign_in().await;
        let signed = key.sign(&asked["options"]).await;
        let body = json!({"challenge_id": asked["challenge_id"], "credential": signed});
        let sign_in = Ask::post("/passkeys/authentication/verify", &body);

        let asked = self.ask_passkey(&own).await.json();
        let made = SecurityKey::new().make(&asked["options"]).await;
        let body = json!({"challenge_id": asked["challenge_id"], "credential": made});
        let register = Ask::post("/passkeys/registration/verify", &body).by_user(&own.access_token);
        vec![("a passkey's challenge", sign_in), ("a passkey to be made", register)]
    }

    async fn code_of_a_page(&self, who: &str) -> Ask {
        let to = format!("page-{who}@example.com");
        self.sign_up_by_any_clock(&to).await;
        let client = self.server.anonymous();
        let asked = [("code_challenge", CHALLENGE), ("code_challenge_method", "s256")];
        let asked = asked.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let path = format!("/pages/sign-in?{}", encoded(&asked));
        let shown = Ask::get(&path).send(&client).await.unwrap();
        let cookie = shown.header("set-cookie").split(';').next().unwrap().to_owned();
        let token = between(&shown.text(), "name=\"form_token\" value=\"", "\"").to_owned();
        let fields = [("form_token", token.as_str()), ("email", &to), ("password", PASSWORD)];
        let sent = Ask::form(&path, &fields).with("cookie", &cookie);
        let sent = sent.send(&client).await.unwrap();
        let code = query(sent.header("location")).get("code").cloned();
        exchange(&code.unwrap_or_else(|| panic!("{} {}", sent.header("location"), sent.text())))
    }
}
