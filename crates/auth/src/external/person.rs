//! What a provider says of somebody, in the words that the protocol keeps it in.

use serde_json::{Map, Value as Json, json};

use super::catalog::{Described, Verified};
use crate::error::Error;
use crate::request;

/// Bytes of a provider's name for somebody.
const SUBJECT_BYTES_MAX: usize = 255;
/// Addresses of one person that are looked at.
const ADDRESSES_MAX: usize = 50;
/// Bytes of what is kept of a person, as JSON: it becomes part of the user's own data, which is in every token.
const CLAIMS_BYTES_MAX: usize = 3 * 1024;

/// Claims of an ID token that say something of the person (OpenID Connect Core §5.1).
const STANDARD: &[&str] = &[
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
];
/// Claims of providers' own that applications decide by.
const OWN: &[&str] = &[
    "hd",
    "is_private_email",
    "tid",
    "oid",
    "https://slack.com/team_id",
    "groups",
    "roles",
];

/// An e-mail address that a provider names, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub email: String,
    /// The provider says that it is the person's own.
    pub is_verified: bool,
    pub is_primary: bool,
}

/// Somebody, as a provider knows them.
#[derive(Clone, Debug)]
pub struct Person {
    pub subject: String,
    pub addresses: Vec<Address>,
    /// What the identity keeps.
    pub claims: Map<String, Json>,
}

impl Person {
    /// Errors: `Provider` without a subject.
    fn new(
        issuer: &str,
        subject: &Json,
        addresses: Vec<Address>,
        mut claims: Map<String, Json>,
    ) -> Result<Self, Error> {
        let subject = match subject {
            Json::String(text) => text.clone(),
            Json::Number(number) if number.is_u64() => number.to_string(),
            _ => String::new(),
        };
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
            return Err(Error::ProviderProfile);
        }
        let mut put = |name: &str, value: Json| claims.insert(name.to_owned(), value);
        put("iss", json!(issuer));
        put("sub", json!(subject));
        put("provider_id", json!(subject));
        let mut person = Person {
            subject,
            addresses,
            claims: Map::new(),
        };
        let main = person.address().cloned();
        if let Some(main) = &main {
            put("email", json!(main.email));
        }
        put("email_verified", json!(main.is_some_and(|main| main.is_verified)));
        put("phone_verified", json!(false));
        person.claims = bounded(claims);
        Ok(person)
    }

    /// The address that counts: the main one, else the first that is the person's own, else the first.
    pub fn address(&self) -> Option<&Address> {
        let first = |wanted: fn(&&Address) -> bool| self.addresses.iter().find(wanted);
        first(|address| address.is_primary)
            .or_else(|| first(|address| address.is_verified))
            .or_else(|| self.addresses.first())
    }

    /// Out of the claims of an ID token that was verified. `vouches`: the issuer's addresses are its users' own, although
    /// it does not say so.
    pub fn of_claims(vouches: bool, issuer: &str, token: &Map<String, Json>) -> Result<Self, Error> {
        let mut claims = Map::new();
        for name in STANDARD {
            if let Some(value) = token.get(*name).filter(|value| is_kept(value)) {
                claims.insert((*name).to_owned(), value.clone());
            }
        }
        let same = [
            ("full_name", "name"),
            ("avatar_url", "picture"),
            ("user_name", "preferred_username"),
        ];
        for (name, other) in same {
            if let Some(value) = claims.get(other).cloned() {
                claims.insert(name.to_owned(), value);
            }
        }
        let custom: Map<String, Json> = OWN
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), token.get(*name)?.clone())))
            .collect();
        if !custom.is_empty() {
            claims.insert("custom_claims".into(), Json::Object(custom));
        }
        let is_verified = match token.get("xms_edov") {
            // Microsoft's word for whether the owner of the domain has confirmed it.
            Some(value) => is_true(value),
            None => vouches || token.get("email_verified").is_some_and(is_true),
        };
        let addresses = address(token.get("email"), is_verified, true).into_iter().collect();
        Person::new(issuer, token.get("sub").unwrap_or(&Json::Null), addresses, claims)
    }

    /// Out of a described provider's answers; `list` is its list of addresses, where it has one.
    pub fn of_profile(described: &Described, issuer: &str, user: &Json, list: Option<&Json>) -> Result<Self, Error> {
        let found = |pointers: &[(&str, &str)]| -> Map<String, Json> {
            let kept = |pointer: &str| user.pointer(pointer).filter(|value| is_kept(value)).cloned();
            pointers
                .iter()
                .filter_map(|(name, pointer)| Some(((*name).to_owned(), kept(pointer)?)))
                .collect()
        };
        let mut claims = found(described.claims);
        let custom = found(described.custom);
        if !custom.is_empty() {
            claims.insert("custom_claims".into(), Json::Object(custom));
        }
        let is_verified = match described.verified {
            Verified::Always => true,
            Verified::Never => false,
            Verified::True(pointer) => user.pointer(pointer).is_some_and(is_true),
            Verified::Filled(pointer) => user
                .pointer(pointer)
                .and_then(Json::as_str)
                .is_some_and(|text| !text.is_empty()),
        };
        let mut addresses = Vec::new();
        if !described.email.is_empty() {
            addresses.extend(address(user.pointer(described.email), is_verified, true));
        }
        if let (Some(emails), Some(list)) = (&described.emails, list) {
            let listed = list.pointer(emails.list).and_then(Json::as_array);
            for entry in listed.into_iter().flatten().take(ADDRESSES_MAX) {
                let flag = |pointer: &str| entry.pointer(pointer).is_some_and(is_true);
                addresses.extend(address(
                    entry.pointer(emails.email),
                    flag(emails.verified),
                    flag(emails.primary),
                ));
            }
        }
        let subject = user.pointer(described.subject).unwrap_or(&Json::Null);
        Person::new(issuer, subject, addresses, claims)
    }

    /// Somebody of whom nothing is known but a wallet: `about` says which.
    pub fn of_wallet(subject: &str, about: Json) -> Self {
        let claims = json!({"sub": subject, "custom_claims": about, "email_verified": false, "phone_verified": false});
        Person {
            subject: subject.to_owned(),
            addresses: Vec::new(),
            claims: bounded(claims.as_object().cloned().unwrap_or_default()),
        }
    }

    /// Adds the name that Apple tells once, beside the token.
    pub fn named(mut self, given: &str, family: &str) -> Self {
        let name = format!("{given} {family}");
        let name = name.trim();
        if !name.is_empty() && name.len() <= SUBJECT_BYTES_MAX && !name.chars().any(char::is_control) {
            for claim in ["name", "full_name"] {
                self.claims.insert(claim.into(), json!(name));
            }
        }
        self
    }
}

/// What is no address is none, and no reason to refuse the person.
fn address(value: Option<&Json>, is_verified: bool, is_primary: bool) -> Option<Address> {
    let email = request::email(value?.as_str()?).ok()?;
    Some(Address {
        email,
        is_verified,
        is_primary,
    })
}

/// True, as JSON has it, or as providers write it in texts.
fn is_true(value: &Json) -> bool {
    match value {
        Json::Bool(flag) => *flag,
        Json::String(text) => matches!(text.as_str(), "true" | "1"),
        _ => false,
    }
}

/// Texts that say something, and flags; what a database can hold.
fn is_kept(value: &Json) -> bool {
    match value {
        Json::String(text) => !text.is_empty() && !text.contains('\0'),
        Json::Bool(_) | Json::Number(_) => true,
        _ => false,
    }
}

/// Leaves out what is too much, the least important first.
fn bounded(mut claims: Map<String, Json>) -> Map<String, Json> {
    let fits = |claims: &Map<String, Json>| Json::Object(claims.clone()).to_string().len() <= CLAIMS_BYTES_MAX;
    let has_nul = |claims: &Map<String, Json>| Json::Object(claims.clone()).to_string().contains("\\u0000");
    if has_nul(&claims) || !fits(&claims) {
        claims.remove("custom_claims");
    }
    for name in ["profile", "website", "slug", "picture", "avatar_url"] {
        if fits(&claims) {
            return claims;
        }
        claims.remove(name);
    }
    if !fits(&claims) {
        claims.retain(|name, _| {
            ["iss", "sub", "provider_id", "email", "email_verified", "phone_verified"].contains(&name.as_str())
        });
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{Kind, by_name};
    use super::*;

    fn described(name: &str) -> &'static Described {
        match by_name(name).unwrap().kind {
            Kind::Described(described) => described,
            Kind::Discovered(_) => panic!("{name} is discovered"),
        }
    }

    fn profile(name: &str, user: &Json, list: Option<&Json>) -> Person {
        Person::of_profile(described(name), "https://p.example", user, list).unwrap()
    }

    fn main(person: &Person) -> (&str, bool) {
        let address = person.address().unwrap();
        (&address.email, address.is_verified)
    }

    #[test]
    fn answers_are_read_as_their_documentation_has_them() {
        let user =
            json!({"id": 7, "login": "ann", "name": "Ann", "email": "public@example.com", "avatar_url": "https://a/7"});
        let list = json!([
            {"email": "old@example.com", "verified": true, "primary": false},
            {"email": "Ann@Example.com", "verified": true, "primary": true},
        ]);
        let github = profile("github", &user, Some(&list));
        assert_eq!(
            (github.subject.as_str(), main(&github)),
            ("7", ("ann@example.com", true))
        );
        assert_eq!(github.claims["user_name"], "ann");
        assert_eq!(github.claims["email"], "ann@example.com");
        assert!(
            github
                .addresses
                .iter()
                .all(|address| address.email != "public@example.com")
        );

        let discord =
            json!({"id": "80", "username": "ann", "global_name": "Ann", "email": "a@example.com", "verified": false});
        let discord = profile("discord", &discord, None);
        assert_eq!(
            (main(&discord), &discord.claims["custom_claims"]["global_name"]),
            (("a@example.com", false), &json!("Ann"))
        );

        let gitlab = |confirmed: Json| {
            profile(
                "gitlab",
                &json!({"id": 3, "email": "a@example.com", "confirmed_at": confirmed}),
                None,
            )
        };
        assert!(main(&gitlab(json!("2026-01-01T00:00:00Z"))).1);
        assert!(!main(&gitlab(Json::Null)).1);

        let twitch = json!({"data": [{"id": "44", "login": "ann", "display_name": "Ann", "email": "a@example.com"}]});
        assert_eq!(profile("twitch", &twitch, None).subject, "44");
        let x = json!({"data": {"id": "5", "name": "Ann", "username": "ann"}});
        assert!(profile("x", &x, None).address().is_none());
        let slack = json!({"https://slack.com/user_id": "U1", "https://slack.com/team_id": "T1", "email": "a@example.com", "email_verified": true});
        let slack = profile("slack", &slack, None);
        assert_eq!(
            (
                slack.subject.as_str(),
                &slack.claims["custom_claims"]["https://slack.com/team_id"]
            ),
            ("U1", &json!("T1"))
        );
        let spotify = json!({"id": "ann", "email": "a@example.com", "images": [{"url": "https://i"}]});
        assert_eq!(main(&profile("spotify", &spotify, None)), ("a@example.com", false));
        let facebook =
            json!({"id": "9", "name": "Ann B", "email": "a@example.com", "picture": {"data": {"url": "https://p"}}});
        assert_eq!(profile("facebook", &facebook, None).claims["picture"], "https://p");
    }

    #[test]
    fn an_address_is_its_users_own_only_if_the_issuer_says_so() {
        let verified = |vouches: bool, more: Json| {
            let mut token = json!({"sub": "1", "email": "a@example.com"});
            token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let person = Person::of_claims(vouches, "https://i", token.as_object().unwrap()).unwrap();
            assert_eq!(person.claims["email_verified"], json!(main(&person).1));
            main(&person).1
        };
        assert!(verified(false, json!({"email_verified": true})));
        assert!(verified(false, json!({"email_verified": "true"})));
        for no in [
            json!({}),
            json!({"email_verified": false}),
            json!({"email_verified": "no"}),
            json!({"email_verified": 1}),
        ] {
            assert!(!verified(false, no.clone()), "{no}");
        }
        assert!(verified(true, json!({})));
        assert!(!verified(false, json!({})));
        assert!(!verified(false, json!({"xms_edov": false, "email_verified": true})));
        assert!(verified(false, json!({"xms_edov": "1"})));
    }

    #[test]
    fn nobody_is_nobody() {
        for subject in [
            Json::Null,
            json!(""),
            json!("x".repeat(256)),
            json!({"a": 1}),
            json!("a\0"),
            json!(-1),
            json!(true),
        ] {
            let token = json!({"sub": subject});
            assert!(
                Person::of_claims(false, "https://i", token.as_object().unwrap()).is_err(),
                "{token}"
            );
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let token = json!({"sub": "1", "email": "a@example.com", "name": "n".repeat(5000), "picture": "p".repeat(5000),
            "groups": ["g".repeat(5000)]});
        let person = Person::of_claims(false, "https://i", token.as_object().unwrap()).unwrap();
        assert!(Json::Object(person.claims.clone()).to_string().len() <= CLAIMS_BYTES_MAX);
        assert_eq!(
            (&person.claims["sub"], &person.claims["email"]),
            (&json!("1"), &json!("a@example.com"))
        );
    }
}
