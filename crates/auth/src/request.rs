//! Bodies and parameters as the room's routes take them.
//!
//! Unknown members are ignored, protected ones have no place here: what a body cannot say cannot be stored.

use http::HeaderMap;
use mainstay_http::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::Error;

/// Bytes of a body, at most.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a user's own data, and of an administrator's, as JSON. Two of them fit into a token that is accepted.
pub const METADATA_BYTES_MAX: usize = 5 * 1024;
/// Bytes of a role's name, at most: what PostgreSQL takes.
const ROLE_BYTES_MAX: usize = 63;
/// Bytes of a name that people give to something.
const LABEL_BYTES_MAX: usize = 120;
/// Bytes of an e-mail address, at most (RFC 5321 §4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;
/// Bytes of a user agent that are kept.
const AGENT_BYTES_MAX: usize = 512;

/// `POST /signup`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignUpBody {
    #[serde(deserialize_with = "nullable")]
    pub email: String,
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    #[serde(deserialize_with = "nullable")]
    pub password: String,
    pub data: Option<Map<String, Value>>,
    #[serde(deserialize_with = "nullable")]
    pub channel: String,
    #[serde(deserialize_with = "nullable")]
    pub code_challenge: String,
    #[serde(deserialize_with = "nullable")]
    pub code_challenge_method: String,
}

/// `POST /otp`, `/magiclink`, `/recover` and `/resend`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SendBody {
    /// Of `/resend` alone.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub verification: String,
    #[serde(deserialize_with = "nullable")]
    pub email: String,
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    /// Absent is the same as true.
    pub create_user: Option<bool>,
    pub data: Option<Map<String, Value>>,
    #[serde(deserialize_with = "nullable")]
    pub channel: String,
    #[serde(deserialize_with = "nullable")]
    pub code_challenge: String,
    #[serde(deserialize_with = "nullable")]
    pub code_challenge_method: String,
}

/// `POST /verify`, of an application.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct VerifyBody {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub verification: String,
    #[serde(deserialize_with = "nullable")]
    pub token: String,
    #[serde(deserialize_with = "nullable")]
    pub token_hash: String,
    #[serde(deserialize_with = "nullable")]
    pub email: String,
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    #[serde(deserialize_with = "nullable")]
    pub redirect_to: String,
}

/// `POST /admin/generate_link` and `/invite`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LinkBody {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub verification: String,
    #[serde(deserialize_with = "nullable")]
    pub email: String,
    #[serde(deserialize_with = "nullable")]
    pub new_email: String,
    #[serde(deserialize_with = "nullable")]
    pub password: String,
    pub data: Option<Map<String, Value>>,
    #[serde(deserialize_with = "nullable")]
    pub redirect_to: String,
}

/// `POST /token?grant_type=password`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PasswordBody {
    #[serde(deserialize_with = "nullable")]
    pub email: String,
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    #[serde(deserialize_with = "nullable")]
    pub password: String,
}

/// `POST /token?grant_type=refresh_token`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RefreshBody {
    #[serde(deserialize_with = "nullable")]
    pub refresh_token: String,
}

/// `POST /token?grant_type=pkce`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PkceBody {
    #[serde(deserialize_with = "nullable")]
    pub auth_code: String,
    #[serde(deserialize_with = "nullable")]
    pub code_verifier: String,
}

/// `PUT /user`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct UpdateBody {
    #[serde(deserialize_with = "nullable")]
    pub email: String,
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    pub password: Option<String>,
    /// What `/reauthenticate` has sent.
    #[serde(deserialize_with = "nullable")]
    pub nonce: String,
    #[serde(deserialize_with = "nullable")]
    pub channel: String,
    pub data: Option<Map<String, Value>>,
    #[serde(deserialize_with = "nullable")]
    pub code_challenge: String,
    #[serde(deserialize_with = "nullable")]
    pub code_challenge_method: String,
    /// Only to be refused.
    pub app_metadata: Option<Value>,
}

/// `POST /admin/users` and `PUT /admin/users/{id}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AdminBody {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub role: String,
    #[serde(deserialize_with = "nullable")]
    pub email: String,
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    #[serde(deserialize_with = "nullable")]
    pub password: String,
    #[serde(deserialize_with = "nullable")]
    pub password_hash: String,
    pub email_confirm: Option<bool>,
    pub phone_confirm: Option<bool>,
    pub user_metadata: Option<Map<String, Value>>,
    pub app_metadata: Option<Map<String, Value>>,
    #[serde(deserialize_with = "nullable")]
    pub ban_duration: String,
}

/// `POST /factors`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct EnrollBody {
    #[serde(deserialize_with = "nullable")]
    pub factor_type: String,
    #[serde(deserialize_with = "nullable")]
    pub friendly_name: String,
    #[serde(deserialize_with = "nullable")]
    pub issuer: String,
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
}

/// `POST /factors/{id}/challenge`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChallengeBody {
    #[serde(deserialize_with = "nullable")]
    pub channel: String,
}

/// `POST /factors/{id}/verify`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct VerifyFactorBody {
    #[serde(deserialize_with = "nullable")]
    pub challenge_id: String,
    #[serde(deserialize_with = "nullable")]
    pub code: String,
    /// Of a key.
    pub webauthn: Option<KeyBody>,
}

/// What a key has done, in the answer to a challenge.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct KeyBody {
    /// `create` or `request`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub ceremony: String,
    pub credential_response: Option<Value>,
}

/// `POST /passkeys/registration/verify` and `/passkeys/authentication/verify`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PasskeyBody {
    #[serde(deserialize_with = "nullable")]
    pub challenge_id: String,
    pub credential: Option<Value>,
}

/// `POST /factors/recovery-codes/verify`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RecoveryCodeBody {
    #[serde(deserialize_with = "nullable")]
    pub code: String,
}

/// `PUT /admin/users/{id}/factors/{factor}`, and whatever else takes a name alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NameBody {
    #[serde(deserialize_with = "nullable")]
    pub friendly_name: String,
}

/// `DELETE /admin/users/{id}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DeleteBody {
    pub should_soft_delete: Option<bool>,
}

/// Checks what users or administrators say of a user: all of it is in every access token.
/// Errors: `Validation` above `METADATA_BYTES_MAX`, and for the character that no text in a database may hold.
pub fn metadata(data: &Map<String, Value>) -> Result<(), Error> {
    if data.iter().any(|(name, value)| name.contains('\0') || has_nul(value)) {
        return Err(Error::Validation("metadata must not hold the character U+0000".into()));
    }
    let bytes = Value::Object(data.clone()).to_string().len();
    match bytes <= METADATA_BYTES_MAX {
        true => Ok(()),
        false => Err(Error::Validation(format!(
            "metadata must not be larger than {METADATA_BYTES_MAX} bytes, for it is in every token"
        ))),
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// A name that people give to something. Errors: `Validation` for what is too long or holds control characters.
pub fn label(what: &str, text: &str) -> Result<String, Error> {
    match text.len() <= LABEL_BYTES_MAX && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(Error::Validation(format!(
            "{what} must be text of at most {LABEL_BYTES_MAX} bytes"
        ))),
    }
}

/// The name of a role that users may be given.
pub fn role(text: &str) -> Result<String, Error> {
    let role = text.trim();
    match role.len() <= ROLE_BYTES_MAX && !role.chars().any(char::is_control) {
        true => Ok(role.to_owned()),
        false => Err(Error::Validation("role is no name of a role".into())),
    }
}

/// Reads a JSON body; an empty one counts as `{}`.
///
/// The message never repeats the body: it may hold a password.
pub fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Error> {
    if request.body.len() > BODY_BYTES_MAX {
        return Err(Error::BadJson(format!("it is larger than {BODY_BYTES_MAX} bytes")));
    }
    let bytes: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        // An array would be taken for the members in their order.
        return Err(Error::BadJson("it is no object".into()));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a member has the wrong type",
            _ => "it is not JSON",
        };
        Error::BadJson(format!("{what} (line {}, column {})", error.line(), error.column()))
    })
}

/// Null is the same as absent.
pub fn nullable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// All pairs of the query, decoded.
pub fn parameters(request: &Request) -> Vec<(String, String)> {
    form(request.query.as_deref().unwrap_or_default().as_bytes())
}

/// All pairs of a form, decoded. What is no text, or too large, has none.
pub fn form(body: &[u8]) -> Vec<(String, String)> {
    let text = Some(body).filter(|body| body.len() <= BODY_BYTES_MAX);
    let text = text.and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default();
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// The first value of a query parameter, decoded.
pub fn parameter(request: &Request, name: &str) -> Option<String> {
    pair(request.query.as_deref()?, name)
}

/// The first value of a field of a form that was sent, decoded.
pub fn form_field(request: &Request, name: &str) -> Option<String> {
    let body = Some(&request.body).filter(|body| body.len() <= BODY_BYTES_MAX)?;
    pair(std::str::from_utf8(body).ok()?, name)
}

fn pair(pairs: &str, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(pairs.as_bytes());
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// An e-mail address as it is stored: lower case, one `@`, no blanks.
pub fn email(text: &str) -> Result<String, Error> {
    let address = text.trim().to_lowercase();
    let parts = address.rsplit_once('@');
    let is_address = parts.is_some_and(|(local, domain)| {
        !local.is_empty()
            && !local.contains('@')
            && !domain.is_empty()
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !domain.contains("..")
    }) && address.len() <= EMAIL_BYTES_MAX
        && !address
            .chars()
            .any(|letter| letter.is_whitespace() || letter.is_control());
    if is_address {
        Ok(address)
    } else {
        Err(Error::EmailInvalid)
    }
}

/// A phone number as it is stored: E.164 without the plus.
pub fn phone(text: &str) -> Result<String, Error> {
    let number: String = text.chars().filter(|letter| *letter != ' ').collect();
    let number = number.strip_prefix('+').unwrap_or(&number);
    let is_number = (2..=15).contains(&number.len())
        && !number.starts_with('0')
        && number.bytes().all(|byte| byte.is_ascii_digit());
    match is_number {
        true => Ok(number.to_owned()),
        false => Err(Error::Validation("Invalid phone number format (E.164 required)".into())),
    }
}

/// The value of a cookie.
pub fn cookie<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let lines = request.headers.get_all(http::header::COOKIE).iter();
    let cookies = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(own, value)| (own == name).then_some(value))
}

/// The client's own name for itself, cut.
pub fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(http::header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(AGENT_BYTES_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folded_and_nonsense_is_refused() {
        assert_eq!(email(" Ann@Example.COM ").unwrap(), "ann@example.com");
        for bad in [
            "", "ann", "@x", "ann@", "a b@x", "a@b@c", "a@.x", "a@x.", "a@x..y", "a\0@x",
        ] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
        assert!(email(&format!("{}@x", "a".repeat(300))).is_err());
    }

    #[test]
    fn metadata_is_bounded_and_can_be_stored() {
        let data = |value: Value| metadata(value.as_object().unwrap());
        assert!(data(serde_json::json!({"a": [{"b": "c"}, 1, null]})).is_ok());
        for bad in [
            serde_json::json!({"a\0": 1}),
            serde_json::json!({"a": [{"b": "c\0"}]}),
            serde_json::json!({"a": {"\0": 1}}),
            serde_json::json!({"a": "x".repeat(METADATA_BYTES_MAX)}),
        ] {
            assert!(data(bad).is_err());
        }
        assert!(role("a\0").is_err() && role(&"x".repeat(64)).is_err() && role(" clerk ").unwrap() == "clerk");
    }

    #[test]
    fn phone_numbers_are_bare_digits() {
        assert_eq!(phone("+47 999 99 999").unwrap(), "4799999999");
        for bad in ["", "+", "0799999999", "12a", "1", "1234567890123456"] {
            assert!(phone(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_broken_body_is_not_repeated() {
        let request = |body: &'static str| Request {
            method: http::Method::POST,
            path: "/signup".into(),
            query: Some("grant_type=pass%77ord&x=a+b".into()),
            headers: HeaderMap::new(),
            body: bytes::Bytes::from_static(body.as_bytes()),
            authentication: std::time::Duration::ZERO,
        };
        for broken in [
            r#"{"password":"hunter2""#,
            r#"{"password":["hunter2"]}"#,
            r#"["hunter2"]"#,
            r#" "hunter2""#,
        ] {
            let error = body::<PasswordBody>(&request(broken)).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(
            body::<PasswordBody>(&request(r#"{"password":null}"#)).unwrap().password,
            ""
        );
        assert_eq!(parameter(&request(""), "grant_type").as_deref(), Some("password"));
        assert_eq!(parameter(&request(""), "x").as_deref(), Some("a b"));
    }
}
