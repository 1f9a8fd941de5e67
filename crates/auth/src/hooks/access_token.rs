//! `custom_access_token`: what an access token says.

use mainstay_core::error::BackendError;
use serde_json::{Map, Value as Json, json};

use super::{Hook, HookError, Object, Point};
use crate::error::Error;
use crate::room::AuthRoom;
use crate::sessions::Granted;
use crate::store::Tx;
use crate::users::UserId;

/// Bytes of a token's claims, at most: a token of more would be refused by every room that it is shown to.
const CLAIMS_BYTES_MAX: usize = 11 * 1024;

/// Claims that every token has, each with its kind.
const REQUIRED: &[(&str, Kind)] = &[
    ("aud", Kind::Audience),
    ("exp", Kind::Number),
    ("iat", Kind::Number),
    ("sub", Kind::Text),
    ("email", Kind::Text),
    ("phone", Kind::Text),
    ("role", Kind::Text),
    ("aal", Kind::Text),
    ("session_id", Kind::Text),
    ("is_anonymous", Kind::Any),
];

/// Claims that need not be there, each with its kind.
const OPTIONAL: &[(&str, Kind)] = &[
    ("jti", Kind::Text),
    ("iss", Kind::Text),
    ("nbf", Kind::Number),
    ("app_metadata", Kind::Object),
    ("user_metadata", Kind::Object),
    ("amr", Kind::Methods),
    ("client_id", Kind::Text),
];

/// Whose token it is, and of which session, is not the hook's to say: it would not be ended with its session.
const FIXED: &[&str] = &["sub", "session_id"];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Any,
    Text,
    /// A whole number.
    Number,
    Object,
    /// A text or a list.
    Audience,
    /// A list of texts and objects.
    Methods,
}

impl Kind {
    fn fits(self, value: &Json) -> bool {
        match self {
            Kind::Any => true,
            Kind::Text => value.is_string(),
            Kind::Number => value.is_i64() || value.is_u64(),
            Kind::Object => value.is_object(),
            Kind::Audience => value.is_string() || value.is_array(),
            Kind::Methods => value
                .as_array()
                .is_some_and(|methods| methods.iter().all(|method| method.is_string() || method.is_object())),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Any => "anything",
            Kind::Text => "string",
            Kind::Number => "integer",
            Kind::Object => "object",
            Kind::Audience => "string or array",
            Kind::Methods => "array of strings and objects",
        }
    }
}

/// The claims as the project's hook wants them; without one, as they are. `method`: how the user has just proved to be
/// who it is, or `token_refresh`. Errors end the transaction.
pub async fn customised(tx: &Tx, user: UserId, claims: Object, method: &str) -> Result<Object, BackendError> {
    let hooks = tx.issuing().hooks();
    if !matches!(hooks.0.get(&Point::CustomAccessToken), Some(Hook::Function(_))) {
        return Ok(claims);
    }
    let answer = hooks
        .ask_in(tx, Point::CustomAccessToken, event(user, &claims, method))
        .await;
    let wanted = answer.and_then(|answer| read(answer.unwrap_or_default(), &claims));
    wanted.map_err(HookError::end)
}

/// The same by HTTP, after the transaction: with a hook by HTTP the claims are not yet what they are to be.
pub async fn customised_by_web(room: &AuthRoom, granted: &Granted) -> Result<Object, Error> {
    let hooks = room.store.issuing().hooks();
    if !matches!(hooks.0.get(&Point::CustomAccessToken), Some(Hook::Web(_))) {
        return Ok(granted.claims.clone());
    }
    let event = event(granted.profile.user.id, &granted.claims, &granted.method);
    let answer = hooks.ask(room, Point::CustomAccessToken, event).await?;
    read(answer.unwrap_or_default(), &granted.claims).map_err(Error::Hook)
}

fn event(user: UserId, claims: &Object, method: &str) -> Object {
    Map::from_iter([
        ("user_id".to_owned(), json!(user.to_string())),
        ("claims".to_owned(), Json::Object(claims.clone())),
        ("authentication_method".to_owned(), json!(method)),
    ])
}

fn read(mut answer: Object, given: &Object) -> Result<Object, HookError> {
    let bad = |problem: String| {
        Err(HookError::BadAnswer(format!(
            "output claims do not conform to the expected schema: {problem}"
        )))
    };
    let claims = match answer.remove("claims") {
        None => return Err(HookError::BadAnswer("output claims field is missing".into())),
        Some(Json::Object(claims)) => claims,
        Some(_) => return bad("claims is not an object".into()),
    };
    for (name, kind) in REQUIRED {
        match claims.get(*name) {
            None => return bad(format!("{name} is required")),
            Some(value) if !kind.fits(value) => return bad(format!("{name} is not of type {}", kind.name())),
            Some(_) => {}
        }
    }
    for (name, kind) in OPTIONAL {
        if claims.get(*name).is_some_and(|value| !kind.fits(value)) {
            return bad(format!("{name} is not of type {}", kind.name()));
        }
    }
    for name in FIXED {
        if claims.get(*name) != given.get(*name) {
            return bad(format!("{name} must not be changed"));
        }
    }
    if Json::Object(claims.clone()).to_string().len() > CLAIMS_BYTES_MAX {
        return bad(format!("they are larger than {CLAIMS_BYTES_MAX} bytes"));
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Object {
        let claims = json!({
            "iss": "https://example.com/auth/v1", "sub": "u", "aud": "authenticated", "exp": 2, "iat": 1,
            "email": "", "phone": "", "role": "authenticated", "aal": "aal1", "session_id": "s",
            "is_anonymous": false, "amr": [{"method": "password", "timestamp": 1}],
        });
        claims.as_object().unwrap().clone()
    }

    #[test]
    fn claims_may_be_added_and_changed_but_not_taken_away() {
        let (plain, mut more) = (given(), given());
        more.insert("plan".into(), json!({"a": [1]}));
        more.insert("role".into(), json!("manager"));
        more.remove("amr");
        let answer = |claims: &Object| Map::from_iter([("claims".to_owned(), Json::Object(claims.clone()))]);
        assert_eq!(read(answer(&more), &plain), Ok(more));
        for (name, _) in REQUIRED {
            let mut less = given();
            less.remove(*name);
            assert!(read(answer(&less), &plain).is_err(), "{name}");
        }
        for (name, value) in [
            ("exp", json!("2")),
            ("exp", json!(2.5)),
            ("role", json!(null)),
            ("aud", json!(1)),
            ("amr", json!([1])),
            ("app_metadata", json!([])),
            ("sub", json!("somebody else")),
            ("session_id", json!("another")),
            ("more", json!("x".repeat(CLAIMS_BYTES_MAX))),
        ] {
            let mut bent = given();
            bent.insert(name.into(), value.clone());
            assert!(read(answer(&bent), &plain).is_err(), "{name}: {value}");
        }
        assert!(read(Object::new(), &plain).is_err());
        assert!(read(Map::from_iter([("claims".to_owned(), json!([]))]), &plain).is_err());
    }
}
