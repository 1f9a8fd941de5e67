//! A walk over every route of sign-in, each asked as it is meant to be: what suites go by that must not miss a route.
//!
//! Lives here: how a request of the walk is made, bent and kept. Not here: which requests there are (`auth_walk_steps`).

use std::collections::BTreeSet;

use http::Method;
use mainstay_testing::{Answer, Client, Engine, Project, Server, token};
use serde_json::{Map, Value, json};

use crate::auth::Auth;
use crate::both::PROGRAM;
use crate::oauth_provider::{Provider, encoded, fragment, query};
use crate::page_browser::{between, set_cookies};

/// Everything that can be switched on.
const SETTINGS: &str = "[auth]\nsite_url = \"https://shop.example\"\nadditional_redirect_urls = [\"https://app.example/**\"]\n\
     enable_manual_linking = true\nenable_anonymous_sign_ins = true\n[auth.email]\nmax_frequency = \"0s\"\n\
     [auth.sms]\nenable_signup = true\nenable_confirmations = true\nmax_frequency = \"0s\"\n\
     template = \"{{ .Code }} is your code\"\n[auth.mfa]\nmax_enrolled_factors = 90\n\
     [auth.mfa.phone]\nenroll_enabled = true\nverify_enabled = true\nmax_frequency = \"0s\"\n\
     template = \"{{ .Code }} is your code\"\n[auth.mfa.web_authn]\nenroll_enabled = true\nverify_enabled = true\n\
     [auth.passkey]\nenabled = true\n[auth.webauthn]\nrp_id = \"shop.example\"\nrp_display_name = \"The shop\"\n\
     rp_origins = [\"https://shop.example\"]\n[auth.web3.ethereum]\nenabled = true\n[auth.web3.solana]\nenabled = true\n\
     [auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\n";

/// All that nobody may set of themselves, without what differs between two walks.
const LOOK: &str = "
    create function public.standing() returns jsonb language sql security definer set search_path = '' as $$
        select jsonb_build_object(
            'users', (select jsonb_agg(jsonb_build_object('email', u.email, 'aud', u.aud, 'role', u.role,
                'phone', u.phone, 'super', u.is_super_admin, 'app', u.raw_app_meta_data, 'instance', u.instance_id,
                'email_confirmed', u.email_confirmed_at is not null, 'phone_confirmed', u.phone_confirmed_at is not null,
                'invited', u.invited_at is not null, 'banned', u.banned_until is not null,
                'deleted', u.deleted_at is not null, 'anonymous', u.is_anonymous, 'sso', u.is_sso_user,
                'new_email', u.email_change, 'new_phone', u.phone_change,
                'fresh', u.created_at > now() - interval '1 hour',
                'identities', (select count(*) from auth.identities i where i.user_id = u.id),
                'factors', (select count(*) from auth.mfa_factors f where f.user_id = u.id),
                'verified', (select count(*) from auth.mfa_factors f where f.user_id = u.id and f.status = 'verified'),
                'passkeys', (select count(*) from auth.webauthn_credentials c where c.user_id = u.id),
                'sessions', (select count(*) from auth.sessions s where s.user_id = u.id),
                'high', (select count(*) from auth.sessions s where s.user_id = u.id and s.aal <> 'aal1'),
                'timed', (select count(*) from auth.sessions s where s.user_id = u.id and s.not_after is not null),
                'methods', (select count(*) from auth.mfa_amr_claims m join auth.sessions s on s.id = m.session_id
                    where s.user_id = u.id),
                'consents', (select count(*) from auth.oauth_consents c where c.user_id = u.id),
                'applications', (select count(*) from auth.sessions s where s.user_id = u.id
                    and s.oauth_client_id is not null)) order by u.created_at) from auth.users u),
            'clients', (select jsonb_agg(jsonb_build_object('how', c.registration_type, 'name', c.client_name,
                'deleted', c.deleted_at is not null, 'secret', length(c.client_secret_hash),
                'fresh', c.created_at > now() - interval '1 hour') order by c.created_at) from auth.oauth_clients c),
            'scopes', (select jsonb_agg(c.scopes order by c.granted_at) from auth.oauth_consents c),
            'names', (select jsonb_agg(f.friendly_name order by f.created_at) from auth.mfa_factors f),
            'keys', (select jsonb_agg(jsonb_build_array(c.friendly_name, c.sign_count) order by c.created_at)
                from auth.webauthn_credentials c))
    $$;
    create function public.forget_steps() returns void language sql security definer set search_path = '' as $$
        delete from _mainstay.totp_steps
    $$;
    grant execute on function public.standing, public.forget_steps to service_role;";

/// Who asks.
#[derive(Clone, Debug)]
pub enum By {
    Nobody,
    User(String),
    Admin,
    /// A browser on the ready pages.
    Browser,
}

/// What is sent.
pub enum Sent {
    Nothing,
    Json(Value),
    Form(Vec<(String, String)>),
}

/// One answer of the walk.
pub struct Heard {
    pub method: Method,
    pub pattern: &'static str,
    pub answer: Answer,
    /// What stands in the tables afterwards.
    pub standing: Value,
}

/// A walk that goes on.
pub struct Walk {
    pub auth: Auth,
    pub provider: Provider,
    pub heard: Vec<Heard>,
    /// Added to every body.
    bent_by: Map<String, Value>,
    /// Routes that refused what was added.
    pub refused: BTreeSet<String>,
    /// What was sent and must be told nobody.
    pub sent: Vec<String>,
    /// The browser's: name, value.
    cookies: Vec<(String, String)>,
    /// The form of the last page.
    pub form_token: String,
}

/// The members of `/admin` that are an administrator's to set.
const OF_ADMINISTRATORS: &[&str] = &[
    "id",
    "role",
    "app_metadata",
    "user_metadata",
    "email_confirm",
    "phone_confirm",
    "ban_duration",
    "password_hash",
];

impl Walk {
    pub async fn start(engine: Engine, bent_by: Map<String, Value>, environment: &[(&str, &str)]) -> Self {
        let provider = Provider::start().await;
        let project = Project::of(LOOK).config(&format!("{}{SETTINGS}", provider.settings()));
        let server = Server::start_dev_with(PROGRAM, engine, project, environment).await;
        Walk {
            auth: Auth { server },
            provider,
            heard: Vec::new(),
            bent_by,
            refused: BTreeSet::new(),
            sent: Vec::new(),
            cookies: Vec::new(),
            form_token: String::new(),
        }
    }

    fn client(&self, by: &By) -> Client {
        match by {
            By::Nobody => self.auth.client(None),
            By::User(token) => self.auth.client(Some(token)),
            By::Admin => self.auth.client(Some(&token::role("service_role"))),
            By::Browser => self.auth.server.anonymous(),
        }
    }

    async fn send(&self, method: &Method, path: &str, by: &By, sent: &Sent) -> Answer {
        let mut headers = Vec::new();
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies: String = cookies.collect::<Vec<_>>().join("; ");
        if matches!(by, By::Browser) {
            headers.extend([("cookie", cookies.as_str()), ("sec-fetch-site", "same-origin")]);
        }
        let (kind, body) = match sent {
            Sent::Nothing => ("", String::new()),
            Sent::Json(body) => ("application/json", body.to_string()),
            Sent::Form(fields) => ("application/x-www-form-urlencoded", encoded(fields)),
        };
        if !kind.is_empty() {
            headers.push(("content-type", kind));
        }
        let path = format!("/auth/v1{path}");
        self.client(by).send(method.clone(), &path, &headers, body).await
    }

    /// Asks a route of the table, which has to answer well. `ids` stand in its places; `query` begins with a `?`, if at all.
    ///
    /// In a walk that is bent the same is asked with more members first. If it is refused it has changed nothing, and is
    /// asked as it should be.
    pub async fn ask(
        &mut self,
        method: Method,
        pattern: &'static str,
        ids: &[&str],
        query: &str,
        by: By,
        sent: Sent,
    ) -> Answer {
        let path = ids
            .iter()
            .fold(pattern.to_owned(), |path, id| path.replacen("{id}", id, 1));
        let path = format!("{path}{query}");
        let mut answer = None;
        if let Some(bent) = self.bent(&method, pattern, &sent) {
            let before = self.auth.call("standing", json!({})).await;
            let tried = self.send(&method, &path, &by, &bent).await;
            assert!(tried.status.as_u16() < 500, "{method} {path}: {}", tried.text());
            if is_good(&tried) {
                answer = Some(tried);
            } else {
                let after = self.auth.call("standing", json!({})).await;
                assert_eq!(after, before, "{method} {path} was refused: {}", tried.text());
                self.refused.insert(format!("{method} {pattern}: {}", tried.code()));
            }
        }
        let answer = match answer {
            Some(answer) => answer,
            None => self.send(&method, &path, &by, &sent).await,
        };
        assert!(
            is_good(&answer),
            "{method} {path}: {} {} {}",
            answer.status,
            answer.header("location"),
            answer.text()
        );
        for (name, value, _) in set_cookies(&answer) {
            self.cookies.retain(|(known, _)| *known != name);
            if !value.is_empty() {
                self.cookies.push((name, value));
            }
        }
        if answer.text().contains("name=\"form_token\"") {
            self.form_token = between(&answer.text(), "name=\"form_token\" value=\"", "\"").to_owned();
        }
        self.heard.push(Heard {
            method,
            pattern,
            answer: answer.clone(),
            standing: self.auth.call("standing", json!({})).await,
        });
        answer
    }

    /// The same with more members: beside the body's own, and within those whose content is the sender's.
    fn bent(&self, method: &Method, pattern: &str, sent: &Sent) -> Option<Sent> {
        // An import names its columns: `auth_mass_assignment` has them one by one.
        if self.bent_by.is_empty() || *method == Method::GET || pattern == "/admin/users/import" {
            return None;
        }
        let mut members = self.bent_by.clone();
        if pattern.starts_with("/admin/") {
            members.retain(|name, _| !OF_ADMINISTRATORS.contains(&name.as_str()));
        }
        Some(match sent {
            Sent::Form(fields) => {
                let own = |name: &String| !fields.iter().any(|(known, _)| known == name);
                let more = members.iter().filter(|(name, _)| own(name));
                let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
                let more = more.map(|(name, value)| (name.clone(), text(value)));
                Sent::Form(fields.iter().cloned().chain(more).collect())
            }
            Sent::Json(body) => Sent::Json(more_of(body, &members)),
            Sent::Nothing => Sent::Json(more_of(&json!({}), &members)),
        })
    }

    pub async fn get(&mut self, pattern: &'static str, query: &str, by: By) -> Answer {
        self.ask(Method::GET, pattern, &[], query, by, Sent::Nothing).await
    }

    pub async fn post(&mut self, pattern: &'static str, query: &str, by: By, body: Value) -> Answer {
        self.ask(Method::POST, pattern, &[], query, by, Sent::Json(body)).await
    }

    /// Opens a ready page.
    pub async fn open(&mut self, page: &str, query: &str) -> Answer {
        self.page(Method::GET, page, query, Sent::Nothing).await
    }

    /// Sends the form of the page that was opened last.
    pub async fn submit(&mut self, page: &str, query: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token.clone();
        let fields = fields.iter().copied().chain([("form_token", token.as_str())]);
        let fields = fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        self.page(Method::POST, page, query, Sent::Form(fields)).await
    }

    async fn page(&mut self, method: Method, page: &str, query: &str, sent: Sent) -> Answer {
        let ids: Vec<&str> = page.split('/').collect();
        let pattern = match ids.len() {
            1 => "/pages/{id}",
            _ => "/pages/{id}/{id}",
        };
        self.ask(method, pattern, &ids, query, By::Browser, sent).await
    }

    /// The code that the newest text message to the number brought.
    pub async fn texted(&mut self, phone: &str) -> String {
        let newest = self.auth.mail(phone).await;
        let code = newest.html.split(' ').next().unwrap().to_owned();
        self.sent.push(code.clone());
        code
    }

    /// The token of the newest mail's link.
    pub async fn mailed(&mut self, to: &str) -> String {
        let token = self.auth.mail(to).await.token();
        self.sent.push(token.clone());
        token
    }

    /// What was given to a browser or a client and must be told nobody else.
    pub fn given(&self) -> Vec<String> {
        const NAMES: &[&str] = &[
            "access_token",
            "refresh_token",
            "id_token",
            "provider_token",
            "provider_refresh_token",
            "client_secret",
            "hashed_token",
            "secret",
            "code",
        ];
        let mut all = Vec::new();
        for heard in &self.heard {
            let body: Value = serde_json::from_slice(&heard.answer.body).unwrap_or_default();
            let to = heard.answer.header("location");
            let addresses = [
                fragment(to),
                query(to),
                query(body["redirect_url"].as_str().unwrap_or_default()),
            ];
            for name in NAMES {
                all.extend(body[*name].as_str().map(str::to_owned));
                all.extend(addresses.iter().filter_map(|pairs| pairs.get(*name).cloned()));
            }
            all.extend(body["totp"]["secret"].as_str().map(str::to_owned));
            let codes = body["codes"].as_array().into_iter().flatten();
            all.extend(codes.filter_map(Value::as_str).map(str::to_owned));
            for cookie in heard.answer.headers.get_all("set-cookie") {
                let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
                all.push(cookie.split_once('=').unwrap().1.to_owned());
            }
        }
        all.retain(|secret| !secret.is_empty());
        all.extend(self.sent.iter().cloned());
        all.sort();
        all.dedup();
        all
    }
}

fn more_of(body: &Value, members: &Map<String, Value>) -> Value {
    let mut bent = body.clone();
    for (name, value) in members {
        if bent.get(name).is_none() {
            bent[name] = value.clone();
        }
        for within in ["data", "options", "user", "gotrue_meta_security"] {
            if bent.get(within).is_none_or(|own| !own.is_object()) {
                bent[within] = json!({});
            }
            if bent[within].get(name).is_none() {
                bent[within][name] = value.clone();
            }
        }
    }
    bent
}

/// True for what did what it is for.
fn is_good(answer: &Answer) -> bool {
    let to = answer.header("location");
    (answer.status.is_success() || answer.status.is_redirection()) && !to.contains("error=")
}
