//! The room: what its routes share.

use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use mainstay_core::backend::Backend;
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::issuers::Issuers;
use mainstay_http::outgoing::Guard;
use mainstay_http::signing::Signer;
use mainstay_http::{Authenticated, Outgoing, Request, Response};
use serde_json::{Value as Json, json};

use crate::asked::Asked;
use crate::config::{Config, PhoneRules};
use crate::dispatch::Letters;
use crate::error::Error;
use crate::hooks::{self, Point, Teller};
use crate::issuing::Issuing;
use crate::limits::{From, Limits};
use crate::messages::delivery::Delivery;
use crate::messages::postman::Postman;
use crate::one_time_tokens::Codes;
use crate::passwords::Passwords;
use crate::sessions::{self, Granted, Scope};
use crate::standing::Claim;
use crate::store::Store;
use crate::sweep::{self, Swept};
use crate::{leaked, passwords, response, routes};

/// Who asks, as far as `http` could tell.
pub type Who = Result<Authenticated, mainstay_http::Error>;

/// What a session is used with.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub access_token: Secret<String>,
    pub refresh_token: Secret<String>,
    /// Seconds since 1970.
    pub expires_at: i64,
    /// Seconds.
    pub expires_in: i64,
}

/// Users and sessions over HTTP.
pub struct AuthRoom {
    pub(crate) config: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) passwords: Passwords,
    pub(crate) limits: Limits,
    /// Sends the room's own requests.
    pub outgoing: Outgoing,
    pub(crate) issuers: Issuers,
    /// What mails are made with.
    pub(crate) letters: Arc<Letters>,
    pub(crate) phone_rules: Arc<PhoneRules>,
    mail: Option<Arc<dyn Delivery>>,
    texts: Option<Arc<dyn Delivery>>,
    signer: RwLock<Arc<Signer>>,
}

impl AuthRoom {
    /// Opens the room.
    pub fn new(backend: Arc<dyn Backend>, mut config: Config, signer: Signer) -> Self {
        if config.pages.is_some() {
            let page = routes::page_url(&config);
            config.redirects = config.redirects.and_page(&page);
        }
        let issuing = Issuing {
            issuer: config.issuer.clone(),
            expiry_seconds: config.jwt_expiry_seconds,
            hooks: config.hooks.clone(),
            notices: config.notices.clone(),
        };
        let outgoing = Outgoing::new(Guard::default());
        AuthRoom {
            passwords: Passwords::new(),
            store: Store::new(backend, issuing),
            limits: Limits::new(&config.rates, &config.mail, &config.phone),
            letters: Arc::new(Letters {
                rules: config.mail.clone(),
                codes: Codes::new(&config.secret),
                url: config.url.clone(),
                site_url: config.redirects.site().to_owned(),
            }),
            phone_rules: Arc::new(config.phone.clone()),
            mail: None,
            texts: None,
            config: Arc::new(config),
            issuers: Issuers::new(outgoing.clone()),
            outgoing,
            signer: RwLock::new(Arc::new(signer)),
        }
    }

    /// Sends the room's own requests by `outgoing`, which may reach further than the internet.
    pub fn reaching(mut self, outgoing: Outgoing) -> Self {
        self.issuers = Issuers::new(outgoing.clone());
        self.outgoing = outgoing;
        self
    }

    /// Has somebody who takes mails.
    #[must_use]
    pub fn with_mail(mut self, mail: Arc<dyn Delivery>) -> Self {
        self.mail = Some(mail);
        self
    }

    /// Has somebody who takes text messages.
    #[must_use]
    pub fn with_texts(mut self, texts: Arc<dyn Delivery>) -> Self {
        self.texts = Some(texts);
        self
    }

    /// Who hands over the room's messages.
    pub fn postman(&self) -> Postman {
        let (mail, texts) = (self.mail.clone(), self.texts.clone());
        let hooks = Teller {
            store: self.store.clone(),
            outgoing: self.outgoing.clone(),
        };
        Postman::new(self.store.clone(), mail, texts, Arc::new(hooks))
    }

    /// Errors: `NoProvider`, where nobody takes mails. `what` needs one.
    pub(crate) fn needs_mail(&self, what: &'static str) -> Result<(), Error> {
        match self.mail.is_some() || self.config.hooks.has(Point::SendEmail) {
            true => Ok(()),
            false => Err(Error::NoProvider(what)),
        }
    }

    /// Errors: `NoTexts`, where nobody takes text messages. `what` needs one.
    pub(crate) fn needs_texts(&self, what: &'static str) -> Result<(), Error> {
        match self.texts.is_some() || self.config.hooks.has(Point::SendSms) {
            true => Ok(()),
            false => Err(Error::NoTexts(what)),
        }
    }

    /// Tries whether the tables can be used. Errors: why not, for an operator.
    pub async fn check(&self) -> Result<(), String> {
        match crate::users::by_email(&self.store, "").await {
            Ok(_) => Ok(()),
            Err(BackendError::Refused(error)) => Err(format!("{} ({})", error.message, error.sqlstate)),
            Err(BackendError::Internal(reason) | BackendError::Unavailable { reason }) => Err(reason),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Hooks that cannot be called, and why, for an operator.
    pub fn hook_problems(&self) -> Vec<String> {
        self.config.hooks.problems(&self.store)
    }

    /// Refuses a token whose session has ended, whose user was banned or deleted, or has another role by now. Every room
    /// asks before it answers. A caller without a session of this room's passes. Cheap: one look into memory, but for a
    /// session that this process has not seen.
    ///
    /// Errors: `Token`; `SessionUnread` if the database cannot be asked.
    pub async fn admits(&self, who: &Authenticated) -> Result<(), mainstay_http::Error> {
        let decides_alone = !self.config.hooks.has(Point::CustomAccessToken);
        let Some(claim) = Claim::of(who, decides_alone) else {
            return Ok(());
        };
        match self.store.standing().admits(&self.store, &claim).await {
            Ok(verdict) => verdict.map_err(mainstay_http::Error::Token),
            Err(error) => {
                tracing::warn!(%error, "auth: a session could not be looked up");
                Err(mainstay_http::Error::SessionUnread)
            }
        }
    }

    /// Looks again at the sessions that are in use: other processes may have ended them. To be called every second.
    pub async fn look_again(&self) {
        if let Err(error) = self.store.standing().look_again(&self.store).await {
            tracing::debug!(%error, "auth: sessions could not be looked at again");
        }
    }

    /// Takes away what nobody can use any more. To be called every hour.
    pub async fn sweep(&self) {
        match sweep::sweep(&self.store, &self.config.sessions, clock::now()).await {
            Ok(swept) if swept == Swept::default() => {}
            Ok(swept) => tracing::info!(
                sessions = swept.sessions,
                refresh_tokens = swept.refresh_tokens,
                unfinished = swept.unfinished,
                "auth: what had ended was swept"
            ),
            Err(error) => tracing::warn!(%error, "auth: nothing was swept"),
        }
    }

    /// Signs with other keys from now on.
    pub fn sign_with(&self, signer: Signer) {
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(signer);
    }

    pub(crate) fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.signer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer to a request of which no body needs to be read, because whoever sends it may not. `None`: read on.
    pub fn turned_away(&self, who: &Who, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
        let refused = routes::turned_away(who, method, path).err()?;
        Some(finished(Err(refused), headers))
    }

    /// Answers one request below the room's prefix.
    pub async fn handle(&self, who: &Who, request: &Request, from: From) -> Response {
        let asked = Asked {
            address: Some(from.address),
        };
        let answer = asked.during(routes::answer(self, who, request, from)).await;
        finished(answer, &request.headers)
    }

    /// True if the ready pages are served.
    pub fn has_pages(&self) -> bool {
        self.config.pages.is_some()
    }

    /// Passwords that were hashed so far, to be stored or to be compared.
    pub fn hashes(&self) -> u64 {
        self.passwords.computed()
    }

    /// Checks a new password. Errors: `WeakPassword` with everything that speaks against it, `Validation`, `LeaksUnknown`.
    pub(crate) async fn check_password(&self, password: &str) -> Result<(), Error> {
        let checked = passwords::check(password, &self.config.passwords);
        if matches!(checked, Err(Error::Validation(_))) {
            return checked;
        }
        if !leaked::is_leaked(password, &self.config.leaked, &self.outgoing).await? {
            return checked;
        }
        let known = "Password is known to be weak and easy to guess, please choose a different one.";
        Err(match checked {
            Err(Error::WeakPassword { message, mut reasons }) => {
                reasons.push("pwned");
                Error::WeakPassword {
                    message: format!("{message} {known}"),
                    reasons,
                }
            }
            _ => Error::WeakPassword {
                message: known.into(),
                reasons: vec!["pwned"],
            },
        })
    }

    /// Ends a session that was just begun and whose tokens nobody gets. One that is refreshed or raised goes on: its client
    /// may try again.
    async fn take_back(&self, granted: &Granted) {
        if granted.method == sessions::REFRESHED_BY || granted.methods.len() > 1 {
            return;
        }
        let (user, session) = (granted.profile.user.id, granted.session);
        let ended = self.store.transact(move |tx| async move {
            sessions::end(&tx, user, Scope::Local(session)).await?;
            Ok(Decision::Commit(()))
        });
        if let Err(error) = ended.await {
            tracing::warn!(%error, "auth: a session that nobody was told of stays");
        }
    }

    /// The tokens of a session.
    pub(crate) async fn tokens(&self, granted: &Granted) -> Result<Tokens, Error> {
        let claims = match hooks::customised_by_web(self, granted).await {
            Ok(claims) => claims,
            Err(error) => {
                self.take_back(granted).await;
                return Err(error);
            }
        };
        let access_token = self
            .signer()
            .sign(&Json::Object(claims), granted.issued_at)
            .map_err(|error| Error::Unexpected(error.to_string()))?;
        Ok(Tokens {
            access_token,
            refresh_token: granted.refresh_token.clone(),
            expires_at: granted.expires_at,
            expires_in: self.config.jwt_expiry_seconds,
        })
    }

    /// The answer that signs somebody in: tokens and the user.
    pub(crate) async fn signed_in(&self, granted: &Granted) -> Result<Response, Error> {
        self.signed_in_with(granted, []).await
    }

    /// The same with more tokens, as far as there are any.
    pub(crate) async fn signed_in_with<const N: usize>(
        &self,
        granted: &Granted,
        more: [(&str, Option<Secret<String>>); N],
    ) -> Result<Response, Error> {
        let tokens = self.tokens(granted).await?;
        let mut body: Json = json!({
            "access_token": tokens.access_token.expose(),
            "token_type": "bearer",
            "expires_in": tokens.expires_in,
            "expires_at": tokens.expires_at,
            "refresh_token": tokens.refresh_token.expose(),
            "user": granted.profile.json(),
        });
        for (name, token) in more {
            if let Some(token) = token {
                body[name] = json!(token.expose());
            }
        }
        let mut response = response::json(StatusCode::OK, &body);
        for (name, id) in [
            ("sb-auth-user-id", granted.profile.user.id.to_string()),
            ("sb-auth-session-id", granted.session.to_string()),
        ] {
            if let Ok(value) = HeaderValue::from_str(&id) {
                response.headers.insert(HeaderName::from_static(name), value);
            }
        }
        Ok(response)
    }
}

fn finished(answer: Result<Response, routes::Refused>, asked: &HeaderMap) -> Response {
    let mut response = match answer {
        Ok(response) => response,
        Err(routes::Refused::Here(error)) => response::error(&error, asked),
        Err(routes::Refused::Before(error)) => error.response(),
    };
    response::keep_private(&mut response.headers);
    response
}
