//! Hooks: what a project has to say before something happens, by an SQL function or by HTTP.
//!
//! A hook is given one JSON object and answers with one. A function `custom_access_token` runs in the transaction that
//! begins or refreshes the session: if it refuses, nothing has happened. Other functions run in a transaction of their
//! own before the thing itself, so that what they write stays, whatever they answer. Nobody is asked by HTTP while a
//! transaction is open. Hooks that are only told of something are told by the queue of messages ([`told`]).
//! Lives here: which hooks there are, calling functions, reading their answers. Not here: who asks them (`routes`).
//!
//! Source: Supabase Auth, "Auth Hooks".

mod access_token;
mod attempts;
mod error;
mod function;
mod told;
mod web;

use std::collections::BTreeMap;

use mainstay_core::clock;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

pub use access_token::{customised, customised_by_web};
pub use attempts::{factor_tried, password_tried};
pub use error::HookError;
pub use function::{Function, failed};
pub use told::{EmailData, Teller, Telling, tell, user_created};
pub use web::Web;

use crate::asked::Asked;
use crate::error::Error;
use crate::response::time;
use crate::room::AuthRoom;
use crate::store::{Store, Tx};
use crate::users::NewUser;

/// Bytes of a hook's answer, at most.
pub const ANSWER_BYTES_MAX: usize = 200 * 1024;

/// Where a project may have its say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    BeforeUserCreated,
    CustomAccessToken,
    PasswordVerificationAttempt,
    MfaVerificationAttempt,
    SendEmail,
    SendSms,
    AfterUserCreated,
}

impl Point {
    pub const ALL: [Point; 7] = [
        Point::BeforeUserCreated,
        Point::CustomAccessToken,
        Point::PasswordVerificationAttempt,
        Point::MfaVerificationAttempt,
        Point::SendEmail,
        Point::SendSms,
        Point::AfterUserCreated,
    ];

    /// Those that are told of something; the others decide.
    pub const TOLD: [Point; 3] = [Point::SendEmail, Point::SendSms, Point::AfterUserCreated];

    /// As `config.toml` names it, below `auth.hook`.
    pub fn setting(self) -> &'static str {
        match self {
            Point::BeforeUserCreated => "before_user_created",
            Point::CustomAccessToken => "custom_access_token",
            Point::PasswordVerificationAttempt => "password_verification_attempt",
            Point::MfaVerificationAttempt => "mfa_verification_attempt",
            Point::SendEmail => "send_email",
            Point::SendSms => "send_sms",
            Point::AfterUserCreated => "after_user_created",
        }
    }

    /// As the hook is told.
    fn name(self) -> &'static str {
        match self {
            Point::BeforeUserCreated => "before-user-created",
            Point::CustomAccessToken => "customize-access-token",
            Point::PasswordVerificationAttempt => "password-verification",
            Point::MfaVerificationAttempt => "mfa-verification",
            Point::SendEmail => "send-email",
            Point::SendSms => "send-sms",
            Point::AfterUserCreated => "after-user-created",
        }
    }
}

/// Who is asked.
#[derive(Clone, Debug)]
pub enum Hook {
    Function(Function),
    Web(Web),
}

/// The hooks of a project.
#[derive(Clone, Debug, Default)]
pub struct Hooks(BTreeMap<Point, Hook>);

/// A JSON object that a hook is given, or gives.
type Object = Map<String, Json>;

impl Hooks {
    /// Asks `hook` from now on.
    pub fn set(&mut self, point: Point, hook: Hook) {
        self.0.insert(point, hook);
    }

    pub fn has(&self, point: Point) -> bool {
        self.0.contains_key(&point)
    }

    /// Asks a function within a transaction. `None`: there is none. Errors end the transaction.
    async fn ask_in(&self, tx: &Tx, point: Point, event: Object) -> Result<Option<Object>, HookError> {
        let Some(Hook::Function(function)) = self.0.get(&point) else {
            return Ok(None);
        };
        function
            .call(tx, &with_metadata(point, tx.asked(), event))
            .await
            .map(Some)
    }

    /// Asks, outside of any transaction. `None`: there is no such hook.
    async fn ask(&self, room: &AuthRoom, point: Point, event: Object) -> Result<Option<Object>, Error> {
        let Some(hook) = self.0.get(&point) else {
            return Ok(None);
        };
        let event = with_metadata(point, Asked::now(), event);
        let answer = match hook {
            Hook::Function(function) => function.call_alone(&room.store, event).await,
            Hook::Web(web) => {
                let answer = web.call(&room.outgoing, Uuid::new_v4(), &event).await;
                answer.inspect_err(|error| web.log(error))
            }
        };
        answer.map(Some).map_err(Error::Hook)
    }

    /// Tries whether the functions can be called. Errors: why not, one for each.
    pub fn problems(&self, store: &Store) -> Vec<String> {
        let mut problems = Vec::new();
        for (point, hook) in &self.0 {
            if let Hook::Function(function) = hook
                && let Err(reason) = function.check(store)
            {
                problems.push(format!("`[auth.hook.{}]`: {reason}", point.setting()));
            }
        }
        problems
    }
}

/// Reads an answer, which is an object, or null for an empty one. Errors: the hook's own refusal among them.
fn answer(text: &str) -> Result<Object, HookError> {
    if text.len() > ANSWER_BYTES_MAX {
        return Err(HookError::TooLarge);
    }
    let object = match serde_json::from_str(text) {
        Ok(Json::Object(object)) => object,
        Ok(Json::Null) => Object::new(),
        _ => return Err(HookError::BadAnswer("Error unmarshaling JSON output.".into())),
    };
    match HookError::in_answer(&object) {
        Some(error) => Err(error),
        None => Ok(object),
    }
}

/// The event with what every hook is told.
fn with_metadata(point: Point, asked: Asked, event: Object) -> Object {
    let metadata = json!({
        "uuid": Uuid::new_v4().to_string(),
        "time": time(clock::now()),
        "name": point.name(),
        "ip_address": asked.address_text(),
    });
    let mut whole = Map::from_iter([("metadata".to_owned(), metadata)]);
    whole.extend(event);
    whole
}

/// Asks whether the user may be made, before anything of it is written. Every way to become a user asks; users whom an
/// administrator makes are not asked about.
///
/// Errors: `Hook`.
pub async fn before_user_created(room: &AuthRoom, user: &NewUser) -> Result<(), Error> {
    let hooks = room.store.issuing().hooks();
    if !hooks.has(Point::BeforeUserCreated) {
        return Ok(());
    }
    // A time that is not yet, as the protocol writes it.
    const NOT_YET: &str = "0001-01-01T00:00:00Z";
    let shown = json!({
        "id": user.id.to_string(),
        "aud": crate::users::AUDIENCE,
        "role": user.role,
        "email": user.email.clone().unwrap_or_default(),
        "phone": user.phone.clone().unwrap_or_default(),
        "app_metadata": user.app_metadata,
        "user_metadata": user.user_metadata,
        "identities": [],
        "created_at": NOT_YET,
        "updated_at": NOT_YET,
        "is_anonymous": user.is_anonymous,
    });
    let event = Map::from_iter([("user".to_owned(), shown)]);
    hooks.ask(room, Point::BeforeUserCreated, event).await.map(drop)
}
