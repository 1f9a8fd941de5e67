//! Tokens that prove an address: sent to it, used once.
//!
//! A message has a short code, for typing, and a long token, for its link; the token is made of address and code with a
//! key that only this project has, so nobody can try out the tokens of all codes. What is kept is a digest of the token:
//! who reads the table can redeem nothing.
//! Not here: what a token is good for (`routes::verify`), how often one may be tried (`limits`).
//!
//! Source: Supabase Auth's table `one_time_tokens`; NIST SP 800-63B §5.1.3.2 (codes by another channel).

use aws_lc_rs::digest::{SHA224, digest};
use aws_lc_rs::hmac;
use jiff::Timestamp;
use mainstay_core::error::BackendError;
use mainstay_core::secret::Secret;
use uuid::Uuid;

use crate::error::Error;
use crate::landing::Flow;
use crate::secrets;
use crate::store::{Row, Tx, text};
use crate::users::UserId;

/// What stands before a token whose flow has a challenge.
const PKCE_PREFIX: &str = "pkce_";
/// Bytes of a digest that a token is made of.
const TOKEN_BYTES: usize = 28;
/// Bytes of a token as it is sent here, at most.
pub const TOKEN_TEXT_BYTES_MAX: usize = 255;

const DELETE: &str =
    "DELETE FROM auth.one_time_tokens WHERE user_id = $1::uuid AND token_type = $2::auth.one_time_token_type";
const DELETE_ALL: &str = "DELETE FROM auth.one_time_tokens WHERE user_id = $1::uuid";
const INSERT: &str = "INSERT INTO auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, \
     updated_at) SELECT $1::uuid, u.id, $3::auth.one_time_token_type, $4::text, $5::text, $6::timestamp, $6::timestamp \
     FROM auth.users u WHERE u.id = $2::uuid";
const BY_HASH: &str = "SELECT t.user_id, t.token_type::text, t.token_hash, t.relates_to, t.created_at \
     FROM auth.one_time_tokens t WHERE t.token_hash IN ($1::text, $2::text)";
const OF_USER: &str = "SELECT t.user_id, t.token_type::text, t.token_hash, t.relates_to, t.created_at \
     FROM auth.one_time_tokens t WHERE t.user_id = $1::uuid";

/// What a token is kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    Confirmation,
    Reauthentication,
    Recovery,
    EmailChangeNew,
    EmailChangeCurrent,
    PhoneChange,
}

impl TokenType {
    const ALL: [TokenType; 6] = [
        TokenType::Confirmation,
        TokenType::Reauthentication,
        TokenType::Recovery,
        TokenType::EmailChangeNew,
        TokenType::EmailChangeCurrent,
        TokenType::PhoneChange,
    ];

    fn name(self) -> &'static str {
        match self {
            TokenType::Confirmation => "confirmation_token",
            TokenType::Reauthentication => "reauthentication_token",
            TokenType::Recovery => "recovery_token",
            TokenType::EmailChangeNew => "email_change_token_new",
            TokenType::EmailChangeCurrent => "email_change_token_current",
            TokenType::PhoneChange => "phone_change_token",
        }
    }
}

/// What a link carries.
#[derive(Clone, Debug)]
pub struct Token(Secret<String>);

impl Token {
    /// As a request brings it. `None`: no token is as long.
    pub fn read(text: &str) -> Option<Self> {
        (text.len() <= TOKEN_TEXT_BYTES_MAX).then(|| Token(Secret::new(text.to_owned())))
    }

    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// How its flow ends.
    pub fn flow(&self) -> Flow {
        match self.expose().starts_with(PKCE_PREFIX) {
            true => Flow::Pkce,
            false => Flow::Implicit,
        }
    }

    /// As it is kept.
    fn digest(&self) -> String {
        let bare = self.expose().strip_prefix(PKCE_PREFIX);
        let made = secrets::hex(digest(&SHA224, bare.unwrap_or(self.expose()).as_bytes()).as_ref());
        match bare {
            Some(_) => format!("{PKCE_PREFIX}{made}"),
            None => made,
        }
    }
}

/// Makes codes and tokens.
pub struct Codes {
    key: hmac::Key,
}

impl Codes {
    /// `secret` is the project's own; what is derived from it says nothing of it. Without one, tokens hold for as long as
    /// this value lives.
    pub fn new(secret: &Secret<String>) -> Self {
        let lonely = Uuid::new_v4();
        let secret = match secret.expose().as_bytes() {
            [] => lonely.as_bytes().as_slice(),
            secret => secret,
        };
        let from = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = hmac::sign(&from, b"mainstay: one-time tokens");
        Codes {
            key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
        }
    }

    /// A code of as many digits, each as likely as any other.
    pub fn fresh(&self, digits: usize) -> Result<Secret<String>, Error> {
        secrets::letters(b"0123456789", digits)
    }

    /// The token of a code that was sent to an address or a number.
    pub fn token(&self, address: &str, code: &str, flow: Flow) -> Token {
        // The address's length keeps the end of one apart from the beginning of the other.
        let made = hmac::sign(&self.key, format!("{}:{address}:{code}", address.len()).as_bytes());
        let made = secrets::hex(&made.as_ref()[..TOKEN_BYTES]);
        Token(Secret::new(match flow {
            Flow::Pkce => format!("{PKCE_PREFIX}{made}"),
            Flow::Implicit => made,
        }))
    }

    /// As a code is kept that holds for one challenge alone, and is typed.
    pub fn digest_of(&self, challenge: &str, code: &str) -> String {
        self.token(challenge, code, Flow::Implicit).digest()
    }
}

/// A row of `auth.one_time_tokens`.
#[derive(Clone, Debug)]
pub struct Kept {
    pub user: UserId,
    pub token_type: TokenType,
    hash: String,
    /// The address or number that it was sent to.
    pub relates_to: String,
    pub created_at: Option<Timestamp>,
}

impl Kept {
    fn read(row: &mut Row) -> Result<Self, BackendError> {
        let user = UserId(row.uuid()?);
        let name = row.text()?;
        let token_type = TokenType::ALL.into_iter().find(|own| own.name() == name);
        Ok(Kept {
            user,
            token_type: token_type.ok_or_else(|| BackendError::Internal(format!("a one-time token of type {name}")))?,
            hash: row.text()?,
            relates_to: row.text()?,
            created_at: row.time()?,
        })
    }
}

/// Keeps a token in the place of the user's last one of the type. Nothing is kept for a user who is not there.
/// Returns its digest.
pub async fn put(
    tx: &Tx,
    user: UserId,
    token_type: TokenType,
    address: &str,
    token: &Token,
    now: Timestamp,
) -> Result<String, BackendError> {
    clear(tx, user, token_type).await?;
    let digest = token.digest();
    let values = vec![
        text(Uuid::new_v4()),
        text(user),
        text(token_type.name()),
        text(&digest),
        text(address),
        // The column has no zone: UTC by convention.
        text(now.strftime("%Y-%m-%d %H:%M:%S%.6f")),
    ];
    tx.run(INSERT, values).await?;
    Ok(digest)
}

/// The token of one of the types. A code may stand for a token of either flow.
pub async fn find(tx: &Tx, tokens: &[Token], types: &[TokenType]) -> Result<Option<Kept>, BackendError> {
    let digests: Vec<String> = tokens.iter().map(Token::digest).collect();
    let (Some(first), Some(last)) = (digests.first(), digests.last()) else {
        return Ok(None);
    };
    let found = tx.run(BY_HASH, vec![text(first), text(last)]).await?.all(Kept::read)?;
    Ok(found.into_iter().find(|kept| types.contains(&kept.token_type)))
}

/// The same row again, once the user is held. `None`: somebody else was faster.
pub async fn again(tx: &Tx, kept: &Kept) -> Result<Option<Kept>, BackendError> {
    let found = tx.run(OF_USER, vec![text(kept.user)]).await?.all(Kept::read)?;
    let is_same = |other: &Kept| other.token_type == kept.token_type && other.hash == kept.hash;
    Ok(found.into_iter().find(is_same))
}

pub async fn clear(tx: &Tx, user: UserId, token_type: TokenType) -> Result<(), BackendError> {
    tx.run(DELETE, vec![text(user), text(token_type.name())])
        .await
        .map(drop)
}

/// Voids whatever was sent to the user.
pub async fn clear_all(tx: &Tx, user: UserId) -> Result<(), BackendError> {
    tx.run(DELETE_ALL, vec![text(user)]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(secret: &str) -> Codes {
        Codes::new(&Secret::new(secret.to_owned()))
    }

    #[test]
    fn codes_are_digits_and_differ() {
        let codes = codes("x");
        let made: std::collections::HashSet<String> =
            (0..200).map(|_| codes.fresh(8).unwrap().expose().clone()).collect();
        assert!(made.len() > 190);
        assert!(
            made.iter()
                .all(|code| code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit()))
        );
    }

    #[test]
    fn a_token_is_of_its_address_its_code_and_its_project() {
        let own = codes("secret");
        let token = own.token("a@x", "123456", Flow::Implicit);
        assert_eq!(token.expose().len(), 56);
        assert_eq!(token.expose(), own.token("a@x", "123456", Flow::Implicit).expose());
        for other in [
            own.token("a@y", "123456", Flow::Implicit),
            own.token("a@x", "123457", Flow::Implicit),
            own.token("a@x1", "23456", Flow::Implicit),
            own.token("a@x", "123456", Flow::Pkce),
            codes("another").token("a@x", "123456", Flow::Implicit),
        ] {
            assert_ne!(other.expose(), token.expose());
            assert_ne!(other.digest(), token.digest());
        }
        assert_ne!(token.digest(), token.expose());
        let pkce = own.token("a@x", "123456", Flow::Pkce);
        assert_eq!((pkce.flow(), token.flow()), (Flow::Pkce, Flow::Implicit));
        assert_eq!(pkce.digest(), format!("pkce_{}", token.digest()));
        assert!(Token::read(&"a".repeat(TOKEN_TEXT_BYTES_MAX + 1)).is_none());
    }
}
