//! Keys that authenticators hold: asking for one to be made, asking it to sign, and judging what comes back.
//!
//! | module | what |
//! |---|---|
//! | [`credential`] | a public key as the tables keep it |
//! | [`models`] | names of authenticators |
//!
//! Lives here: the ceremonies, for passkeys (which sign in by themselves: found by the authenticator, its user verified)
//! and for second factors (a touch is enough, unless the key was made with more). Not here: rows (`passkeys`, `factors`),
//! who may begin a ceremony (`routes`).
//! Invariant: nothing counts that was not signed for this relying party, on one of its origins, for this very challenge.
//!
//! Source: W3C Web Authentication Level 3, §7.1 and §7.2.

mod credential;
mod models;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use url::Host;
use webauthn_rs::prelude::{
    CreationChallengeResponse, DiscoverableAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, RequestChallengeResponse, SecurityKey, SecurityKeyAuthentication,
    SecurityKeyRegistration, Url, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::error::Error;
use crate::users::{User, UserId};
pub(crate) use credential::Credential;
pub(crate) use models::name_of;

/// Who keys are made for, and where they are used.
#[derive(Clone, Debug)]
pub struct RelyingParty(Webauthn);

impl RelyingParty {
    /// `id`: the domain that keys are bound to for good. `origins`: the addresses of pages (or applications) that may use
    /// them; one at least is on the domain or below it.
    ///
    /// Errors: what is wrong, for whoever wrote it.
    pub fn new(id: &str, name: &str, origins: &[String]) -> Result<Self, String> {
        if id.is_empty() || id.parse::<std::net::IpAddr>().is_ok() {
            return Err(format!(
                "`{id}` is no domain: browsers keep keys for domains only, and for `localhost`"
            ));
        }
        let read = |origin: &String| Url::parse(origin).map_err(|_| format!("`{origin}` is no origin"));
        let origins: Vec<Url> = origins.iter().map(read).collect::<Result<_, _>>()?;
        let own = origins.iter().find_map(|origin| WebauthnBuilder::new(id, origin).ok());
        let Some(mut builder) = own else {
            return Err(format!("none of the origins is on `{id}` or below it"));
        };
        for origin in &origins {
            builder = builder.append_allowed_origin(origin);
        }
        let webauthn = builder.rp_name(name).build();
        webauthn.map(RelyingParty).map_err(|error| error.to_string())
    }

    /// Domain and origin of an application's address. A machine's own address is `localhost`, which browsers keep keys
    /// for. `None`: it has neither.
    pub fn of_site(site: &str) -> Option<(String, String)> {
        let site = Url::parse(site).ok()?;
        let domain = match site.host()? {
            Host::Domain(domain) => domain.to_owned(),
            Host::Ipv4(address) if address.is_loopback() => "localhost".to_owned(),
            Host::Ipv6(address) if address.is_loopback() => "localhost".to_owned(),
            Host::Ipv4(_) | Host::Ipv6(_) => return None,
        };
        let port = site.port().map(|port| format!(":{port}")).unwrap_or_default();
        let origin = format!("{}://{domain}{port}", site.scheme());
        Some((domain, origin))
    }
}

/// What a client is asked for, and what is kept to judge its answer by.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// As `navigator.credentials` takes it, below `publicKey`.
    pub options: Json,
    /// Opaque.
    pub state: Json,
}

/// Why an answer does not count.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is no answer of an authenticator.
    Unreadable,
    /// It is one, and was not signed as it should have been.
    Wrong,
}

/// What a signature tells of the authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub sign_count: u32,
    pub backed_up: bool,
}

/// True if the count of signatures goes on from `before`: one that does not is a copy's. Authenticators that do not count
/// say zero.
pub(crate) fn goes_on(before: u32, after: u32) -> bool {
    after > before || (before == 0 && after == 0)
}

/// A key that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made(RegisterPublicKeyCredential);

/// A challenge that was signed.
#[derive(Clone, Debug)]
pub(crate) struct Assertion(PublicKeyCredential);

impl Made {
    /// Reads `RegistrationResponseJSON`.
    pub fn read(answer: &Json) -> Result<Self, Refused> {
        read(answer).map(Made)
    }
}

impl Assertion {
    /// Reads `AuthenticationResponseJSON`.
    pub fn read(answer: &Json) -> Result<Self, Refused> {
        read(answer).map(Assertion)
    }

    /// Of the key that is said to have signed.
    pub fn credential_id(&self) -> &[u8] {
        &self.0.raw_id
    }

    /// True if the answer names the user. `None`: it names nobody.
    pub fn names(&self, user: UserId) -> Option<bool> {
        let handle = self.0.get_user_unique_id().filter(|handle| !handle.is_empty());
        handle.map(|handle| handle == handle_of(user))
    }
}

fn read<T: DeserializeOwned>(answer: &Json) -> Result<T, Refused> {
    T::deserialize(answer).map_err(|_| Refused::Unreadable)
}

/// What authenticators keep of a user: the id's text, as Supabase Auth has it.
fn handle_of(user: UserId) -> Vec<u8> {
    user.to_string().into_bytes()
}

/// How authenticators show a user: the account, and the person.
fn names_of(user: &User) -> (String, String) {
    let account = user.account();
    let person = user.user_metadata.get("name").and_then(Json::as_str);
    let person = person.filter(|name| !name.is_empty()).unwrap_or(&account).to_owned();
    (account, person)
}

fn failed(error: WebauthnError) -> Error {
    Error::Unexpected(format!("no ceremony can be begun: {error}"))
}

fn refused(error: WebauthnError) -> Refused {
    tracing::debug!(%error, "auth: an authenticator's answer does not count");
    Refused::Wrong
}

fn state_of(state: &impl Serialize) -> Result<Json, Error> {
    serde_json::to_value(state).map_err(|error| Error::Unexpected(error.to_string()))
}

/// What was kept. What another program keeps is none of ours.
fn kept<T: DeserializeOwned>(state: &Json) -> Result<T, Refused> {
    T::deserialize(state).map_err(|_| Refused::Wrong)
}

/// The options for making a key. Extensions and hints are left to the application.
fn creation(mut challenge: CreationChallengeResponse, user: &User, is_discoverable: bool) -> Result<Json, Error> {
    let options = &mut challenge.public_key;
    options.user.id = handle_of(user.id);
    options.extensions = None;
    options.hints = None;
    let mut options = state_of(&options)?;
    if is_discoverable {
        options["authenticatorSelection"]["requireResidentKey"] = json!(true);
        options["authenticatorSelection"]["residentKey"] = json!("required");
    }
    Ok(options)
}

/// The options for signing.
fn request(mut challenge: RequestChallengeResponse) -> Result<Json, Error> {
    challenge.public_key.extensions = None;
    challenge.public_key.hints = None;
    state_of(&challenge.public_key)
}

/// Ids of keys that the authenticator is not to make another one beside.
fn excluded(known: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    Some(known).filter(|known| !known.is_empty())
}

/// Passkeys.
impl RelyingParty {
    /// Asks for a passkey to be made. `known`: ids of those that the user has.
    pub(crate) fn ask_passkey(&self, user: &User, known: Vec<Vec<u8>>) -> Result<Asked, Error> {
        let (account, person) = names_of(user);
        let begun = self
            .0
            .start_passkey_registration(user.id.0, &account, &person, excluded(known));
        let (challenge, state) = begun.map_err(failed)?;
        Ok(Asked {
            options: creation(challenge, user, true)?,
            state: state_of(&state)?,
        })
    }

    /// Judges a passkey that was made.
    pub(crate) fn made_passkey(&self, state: &Json, made: &Made) -> Result<Credential, Refused> {
        let state: PasskeyRegistration = kept(state)?;
        let passkey = self.0.finish_passkey_registration(&made.0, &state).map_err(refused)?;
        Credential::made(passkey.into(), &made.0)
    }

    /// Asks whichever passkey there is to sign somebody in.
    pub(crate) fn ask_anybody(&self) -> Result<Asked, Error> {
        let (challenge, state) = self.0.start_discoverable_authentication().map_err(failed)?;
        Ok(Asked {
            options: request(challenge)?,
            state: state_of(&state)?,
        })
    }

    /// Judges a signature of `credential`, of which the user was verified.
    pub(crate) fn signed_in(
        &self,
        state: &Json,
        assertion: &Assertion,
        credential: &Credential,
    ) -> Result<Signed, Refused> {
        let state: DiscoverableAuthentication = kept(state)?;
        let known = credential.known("required")?;
        let signed = self
            .0
            .finish_discoverable_authentication_v2(&assertion.0, state, &known)
            .map_err(refused)?;
        Ok(Signed {
            sign_count: signed.counter(),
            backed_up: signed.backup_state(),
        })
    }
}

/// Second factors.
impl RelyingParty {
    /// Asks for a key to be made.
    pub(crate) fn ask_factor(&self, user: &User, known: Vec<Vec<u8>>) -> Result<Asked, Error> {
        let (account, person) = names_of(user);
        let begun = self
            .0
            .start_securitykey_registration(user.id.0, &account, &person, excluded(known), None, None);
        let (challenge, state) = begun.map_err(failed)?;
        Ok(Asked {
            options: creation(challenge, user, false)?,
            state: state_of(&state)?,
        })
    }

    /// Judges a key that was made.
    pub(crate) fn made_factor(&self, state: &Json, made: &Made) -> Result<Credential, Refused> {
        let state: SecurityKeyRegistration = kept(state)?;
        let key = self
            .0
            .finish_securitykey_registration(&made.0, &state)
            .map_err(refused)?;
        Credential::made(key.into(), &made.0)
    }

    /// Asks a key to sign. Errors: it cannot be read.
    pub(crate) fn ask_key(&self, credential: &Credential) -> Result<Asked, Error> {
        let unreadable = |_| Error::Unexpected("the key of a second factor cannot be read".into());
        let known: SecurityKey = credential.known("preferred").map_err(unreadable)?.into();
        let (challenge, state) = self.0.start_securitykey_authentication(&[known]).map_err(failed)?;
        Ok(Asked {
            options: request(challenge)?,
            state: state_of(&state)?,
        })
    }

    /// Judges a signature of the key that was asked.
    pub(crate) fn signed(&self, state: &Json, assertion: &Assertion) -> Result<Signed, Refused> {
        let state: SecurityKeyAuthentication = kept(state)?;
        let signed = self
            .0
            .finish_securitykey_authentication(&assertion.0, &state)
            .map_err(refused)?;
        Ok(Signed {
            sign_count: signed.counter(),
            backed_up: signed.backup_state(),
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn origins(list: &[&str]) -> Vec<String> {
        list.iter().map(|origin| (*origin).to_owned()).collect()
    }

    #[test]
    fn a_relying_party_is_a_domain_with_a_page_on_it() {
        for (id, list) in [
            ("shop.example", &["https://shop.example"][..]),
            ("shop.example", &["https://www.shop.example", "https://shop.example"]),
            ("localhost", &["http://localhost:3000"]),
            ("shop.example", &["android:apk-key-hash:AbC_1", "https://shop.example"]),
        ] {
            RelyingParty::new(id, "Shop", &origins(list)).unwrap();
        }
        for (id, list) in [
            ("", &["https://shop.example"][..]),
            ("127.0.0.1", &["http://127.0.0.1:3000"]),
            ("shop.example", &[]),
            ("shop.example", &["https://other.example"]),
            ("shop.example", &["https://badshop.example"]),
            ("shop.example", &["shop.example"]),
            ("www.shop.example", &["https://shop.example"]),
        ] {
            assert!(RelyingParty::new(id, "Shop", &origins(list)).is_err(), "{id} {list:?}");
        }
    }

    #[test]
    fn an_applications_address_has_a_domain_and_an_origin() {
        let of = |site: &str| RelyingParty::of_site(site).map(|(domain, origin)| format!("{domain} {origin}"));
        for (site, expected) in [
            ("https://shop.example/app?x#y", "shop.example https://shop.example"),
            ("https://Shop.example:8443", "shop.example https://shop.example:8443"),
            ("http://127.0.0.1:3000", "localhost http://localhost:3000"),
            ("http://[::1]:3000/", "localhost http://localhost:3000"),
        ] {
            assert_eq!(of(site).as_deref(), Some(expected));
        }
        assert_eq!((of("http://192.0.2.1"), of("shop"), of("")), (None, None, None));
    }

    #[test]
    fn a_count_goes_on_or_is_not_kept_at_all() {
        for (before, after, expected) in [
            (0, 0, true),
            (0, 1, true),
            (7, 8, true),
            (7, 7, false),
            (7, 6, false),
            (7, 0, false),
            (u32::MAX, u32::MAX, false),
        ] {
            assert_eq!(goes_on(before, after), expected, "{before} {after}");
        }
    }

    #[test]
    fn a_passkey_is_asked_for_as_one_that_signs_in_by_itself() {
        let party = RelyingParty::new("shop.example", "Shop", &origins(&["https://shop.example"])).unwrap();
        let asked = party.ask_anybody().unwrap().options;
        assert_eq!(asked["rpId"], "shop.example");
        assert_eq!(asked["userVerification"], "required");
        assert_eq!(asked["allowCredentials"], json!([]));
        assert_ne!(asked["challenge"], party.ask_anybody().unwrap().options["challenge"]);
        let user = Uuid::nil();
        assert_eq!(handle_of(UserId(user)), b"00000000-0000-0000-0000-000000000000");
    }
}
