//! `/verify`: whoever has what was sent to an address proves it.
//!
//! A link in a mail is looked at by scanners before anybody clicks on it, so `GET` redeems nothing: it shows a page with a
//! button, and the button's `POST` redeems. Applications redeem codes and tokens with a `POST` of JSON.
//! Invariant: the token's row is looked for again once the user's row is held, so a token is redeemed once.

use http::header;
use jiff::{SignedDuration, Timestamp};
use mainstay_core::clock;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use mainstay_core::transaction::Decision;
use mainstay_http::{Request, Response};
use serde_json::{Value as Json, json};

use super::link_page;
use super::pages::{self, Destination};
use super::proofs::{self, Proof};
use crate::audit::{self, Action};
use crate::error::Error;
use crate::flow_state;
use crate::landing::{self, Flow};
use crate::one_time_tokens::{self, Kept, Token, TokenType};
use crate::request::{self, VerifyBody};
use crate::response;
use crate::room::AuthRoom;
use crate::sessions::{self, Client, Granted, Method};
use crate::store::Tx;
use crate::users::{self, User};

/// Said when one of two addresses has consented to a change.
const HALF: &str = "Confirmation link accepted. Please proceed to confirm link sent to the other email";

/// What is to be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    Signup,
    Invite,
    MagicLink,
    Recovery,
    EmailChange,
    /// A sign-up or a sign-in, whichever it is.
    Email,
    Sms,
    PhoneChange,
}

impl Verification {
    /// Errors: `Validation`.
    fn read(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "signup" => Verification::Signup,
            "invite" => Verification::Invite,
            "magiclink" => Verification::MagicLink,
            "recovery" => Verification::Recovery,
            "email_change" => Verification::EmailChange,
            "email" => Verification::Email,
            "sms" => Verification::Sms,
            "phone_change" => Verification::PhoneChange,
            "" => return Err(Error::Validation("Verify requires a verification type".into())),
            _ => return Err(Error::Validation("Unsupported verification type".into())),
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Verification::Signup => "signup",
            Verification::Invite => "invite",
            Verification::MagicLink => "magiclink",
            Verification::Recovery => "recovery",
            Verification::EmailChange => "email_change",
            Verification::Email => "email",
            Verification::Sms => "sms",
            Verification::PhoneChange => "phone_change",
        }
    }

    fn is_by_phone(self) -> bool {
        matches!(self, Verification::Sms | Verification::PhoneChange)
    }

    fn tokens(self) -> &'static [TokenType] {
        match self {
            Verification::Signup | Verification::Invite => &[TokenType::Confirmation],
            Verification::MagicLink | Verification::Recovery => &[TokenType::Recovery],
            Verification::EmailChange => &[TokenType::EmailChangeCurrent, TokenType::EmailChangeNew],
            Verification::Email | Verification::Sms => &[TokenType::Confirmation, TokenType::Recovery],
            Verification::PhoneChange => &[TokenType::PhoneChange],
        }
    }

    /// The way of signing in that a flow begun for it ends in.
    fn method(self, token_type: TokenType) -> Method {
        match (self, token_type) {
            (Verification::Recovery, _) => Method::Recovery,
            (Verification::Invite, _) => Method::Invite,
            (_, TokenType::Recovery) => Method::MagicLink,
            (_, TokenType::Confirmation) => Method::EmailSignup,
            (_, TokenType::EmailChangeNew | TokenType::EmailChangeCurrent) => Method::EmailChange,
            _ => Method::Otp,
        }
    }
}

/// A link, as a mail has it.
pub struct Link {
    pub token: Token,
    pub verification: Verification,
    pub redirect_to: String,
}

impl Link {
    /// Errors: `Validation`: something is missing.
    fn read(room: &AuthRoom, request: &Request, field: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let verification = Verification::read(&field("type").unwrap_or_default())?;
        let token = field("token").filter(|token| !token.is_empty());
        let token = token.and_then(|token| Token::read(&token));
        if verification.is_by_phone() {
            return Err(Error::Validation("Invalid email verification type".into()));
        }
        Ok(Link {
            token: token.ok_or_else(|| Error::Validation("Verify requires a token or a token hash".into()))?,
            verification,
            redirect_to: room
                .config
                .redirects
                .wanted(&field("redirect_to").unwrap_or_default(), request),
        })
    }
}

/// `GET`: the page with the button. Nothing is looked up, so the page says nothing of the token.
pub fn page(room: &AuthRoom, request: &Request) -> Result<Response, Error> {
    let link = Link::read(room, request, |name| request::parameter(request, name))?;
    link_page::show(room, request, &link)
}

/// `POST`: of the page's form, or of an application's JSON.
pub async fn post(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    room.limits.verification(client)?;
    let is_form = request
        .header(header::CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    match is_form {
        true => followed(room, request, client).await,
        false => redeemed(room, request, client).await,
    }
}

/// The button was pressed: the browser goes back to the application, whatever came of it.
async fn followed(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let link = Link::read(room, request, |name| request::form_field(request, name))?;
    let (to, flow) = (link.redirect_to.as_str(), link.token.flow());
    let page = Destination::of_page(room, to);
    if let Some(page) = &page
        && let Err(error) = pages::check_link(room, request)
    {
        return pages::arrive(room, request, client, page.clone(), Err(error)).await;
    }
    let asked = Asked {
        address: None,
        is_link: flow == Flow::Pkce,
        ..asked(room, link.verification, vec![link.token.clone()], client)?
    };
    match (prove(room, asked).await, page) {
        // The pages cannot redeem it: the application behind them has the verifier.
        (Ok(Proved::Code(code)), Some(page)) => landing::code(&page.redirect_to, &code),
        (Ok(Proved::Code(code)), None) => landing::code(to, &code),
        (Ok(Proved::Session(granted)), Some(page)) => {
            pages::arrive(room, request, client, page, Ok(Some(granted))).await
        }
        (Ok(Proved::Half), Some(page)) => pages::arrive(room, request, client, page, Ok(None)).await,
        (Err(error), Some(page)) => pages::arrive(room, request, client, page, Err(error)).await,
        (Ok(Proved::Session(granted)), None) => match room.tokens(&granted).await {
            Ok(tokens) => landing::tokens(to, &tokens, &[("type", link.verification.name())]),
            Err(error) => landing::error(to, flow, &error),
        },
        (Ok(Proved::Half), None) => landing::message(to, flow, HALF),
        (Err(error), None) => landing::error(to, flow, &error),
    }
}

/// A code with its address, or a token.
async fn redeemed(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let body: VerifyBody = request::body(request)?;
    let verification = Verification::read(&body.verification)?;
    let (tokens, address) = match (body.token.is_empty(), body.token_hash.is_empty()) {
        (true, true) | (false, false) => {
            return Err(Error::Validation(
                "Verify requires either a token or a token hash".into(),
            ));
        }
        (true, false) => {
            if !body.email.is_empty() || !body.phone.is_empty() || !body.redirect_to.is_empty() {
                return Err(Error::Validation(
                    "Only the token_hash and type should be provided".into(),
                ));
            }
            let token = Token::read(&body.token_hash).filter(|_| !verification.is_by_phone());
            (vec![token.ok_or(Error::LinkExpired)?], None)
        }
        (false, true) => {
            let address = match (body.email.is_empty(), body.phone.is_empty()) {
                (false, true) if !verification.is_by_phone() => request::email(&body.email)?,
                (true, false) if verification.is_by_phone() => request::phone(&body.phone)?,
                _ => {
                    let message = "Only an email address or phone number should be provided on verify";
                    return Err(Error::Validation(message.into()));
                }
            };
            room.limits.codes(&address)?;
            let codes = &room.letters.codes;
            let token = |flow| codes.token(&address, body.token.trim(), flow);
            (vec![token(Flow::Implicit), token(Flow::Pkce)], Some(address))
        }
    };
    let asked = Asked {
        address: address.clone(),
        ..asked(room, verification, tokens, client)?
    };
    match prove(room, asked).await {
        Ok(Proved::Session(granted)) => room.signed_in(&granted).await,
        Ok(Proved::Half | Proved::Code(_)) => Ok(response::json(
            http::StatusCode::OK,
            &json!({"msg": HALF, "code": "200"}),
        )),
        Err(error) => {
            if let (Some(address), Error::CodeExpired) = (&address, &error) {
                room.limits.wrong_code(address);
            }
            Err(error)
        }
    }
}

#[derive(Clone)]
struct Asked {
    verification: Verification,
    tokens: Vec<Token>,
    /// The address that was named with a code.
    address: Option<String>,
    /// What is handed over is a flow's code.
    is_link: bool,
    refresh_token: Secret<String>,
    client: Client,
    confirms_both: bool,
    expiry: SignedDuration,
    now: Timestamp,
}

fn asked(room: &AuthRoom, verification: Verification, tokens: Vec<Token>, client: &Client) -> Result<Asked, Error> {
    let rules = &room.config.mail;
    let expiry = match verification.is_by_phone() {
        true => room.config.phone.expiry,
        false => rules.expiry,
    };
    Ok(Asked {
        verification,
        tokens,
        address: None,
        is_link: false,
        refresh_token: sessions::refresh_token()?,
        client: client.clone(),
        confirms_both: rules.confirms_both,
        expiry,
        now: clock::now(),
    })
}

/// What a proof comes to.
enum Proved {
    Session(Box<Granted>),
    Code(Secret<String>),
    /// The other address has to consent, too.
    Half,
}

async fn prove(room: &AuthRoom, asked: Asked) -> Result<Proved, Error> {
    let proved = room.store.transact(move |tx| redeem(tx, asked.clone())).await;
    match proved {
        Ok(proved) => proved,
        Err(error) if super::sign_up::is_taken(&error) => Err(Error::EmailExists),
        Err(error) if super::sign_up::is_phone_taken(&error) => Err(Error::PhoneExists),
        Err(error) => Err(Error::of_database("Error confirming user", error)),
    }
}

type Redeemed = Decision<Result<Proved, Error>>;

async fn redeem(tx: Tx, asked: Asked) -> Result<Redeemed, BackendError> {
    let refused = |error| Ok(Decision::Rollback(Err(error)));
    let unknown = || match asked.address {
        Some(_) => Error::CodeExpired,
        None => Error::LinkExpired,
    };
    let Some((kept, user)) = held(&tx, &asked).await? else {
        return refused(unknown());
    };
    let age = kept.created_at.map(|made| asked.now.duration_since(made));
    if age.is_none_or(|age| age > asked.expiry) {
        return refused(unknown());
    }
    if user.is_banned(asked.now) {
        return refused(Error::TokenUserBanned);
    }
    let id = user.id;
    let proof = Proof {
        token_type: kept.token_type,
        is_by_phone: asked.verification.is_by_phone(),
        confirms_both: asked.confirms_both,
    };
    if !proofs::accept(&tx, &user, proof).await? {
        return Ok(Decision::Commit(Ok(Proved::Half)));
    }
    if asked.is_link {
        let method = asked.verification.method(kept.token_type);
        return match flow_state::issue(&tx, id, method).await? {
            Some(code) => Ok(Decision::Commit(Ok(Proved::Code(code)))),
            None => refused(Error::FlowStateNotFound),
        };
    }
    let action = match user.confirmed_at {
        Some(_) => Action::Login,
        None => Action::SignedUp,
    };
    audit::record_own(&tx, id, action, Json::Null).await?;
    users::signed_in(&tx, id).await?;
    let session = sessions::begin(&tx, id, Method::Otp, &asked.client, &asked.refresh_token).await?;
    match sessions::granted(&tx, id, session, asked.refresh_token.clone()).await? {
        Some(granted) => Ok(Decision::Commit(Ok(Proved::Session(Box::new(granted))))),
        None => refused(unknown()),
    }
}

/// The token's row and its user, whose row is held. `None`: there is no such token, or it was sent to an address that is
/// not the user's any more.
async fn held(tx: &Tx, asked: &Asked) -> Result<Option<(Kept, User)>, BackendError> {
    let Some(found) = one_time_tokens::find(tx, &asked.tokens, asked.verification.tokens()).await? else {
        return Ok(None);
    };
    let user = users::lock(tx, found.user).await?;
    let Some(kept) = one_time_tokens::again(tx, &found).await? else {
        return Ok(None);
    };
    let Some(user) = user.filter(|user| user.id == kept.user && user.deleted_at.is_none()) else {
        return Ok(None);
    };
    let address = match (kept.token_type, asked.verification.is_by_phone()) {
        (TokenType::EmailChangeNew, _) => &user.new_email,
        (TokenType::PhoneChange, _) => &user.new_phone,
        (_, true) => &user.phone,
        (_, false) => &user.email,
    };
    let is_own = !address.is_empty() && address.to_lowercase() == kept.relates_to.to_lowercase();
    let is_named = asked
        .address
        .as_ref()
        .is_none_or(|named| *named == kept.relates_to.to_lowercase());
    Ok((is_own && is_named).then_some((kept, user)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verification_is_read_by_its_name() {
        for one in [
            Verification::Signup,
            Verification::Invite,
            Verification::MagicLink,
            Verification::Recovery,
            Verification::EmailChange,
            Verification::Email,
            Verification::Sms,
            Verification::PhoneChange,
        ] {
            assert_eq!(Verification::read(one.name()).ok(), Some(one));
            assert_eq!(
                one.is_by_phone(),
                matches!(one, Verification::Sms | Verification::PhoneChange)
            );
        }
        for bad in ["", "Signup", "reauthentication", "email_change_new"] {
            assert!(Verification::read(bad).is_err(), "{bad}");
        }
    }
}
