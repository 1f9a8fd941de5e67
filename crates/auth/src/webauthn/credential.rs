//! A public key as the tables keep it: the key itself in COSE's encoding, and what the authenticator said of itself.
//!
//! Both forms are Supabase Auth's: the columns of `auth.webauthn_credentials`, and the JSON of
//! `auth.mfa_factors.web_authn_credential`. A key that it has registered is read here, and the other way round.
//!
//! Source: W3C Web Authentication Level 3, §6.1 and §6.5; RFC 9052 §7.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_cbor_2::Value as Cbor;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use webauthn_rs::prelude::{self, COSEKey, RegisterPublicKeyCredential};

use super::Refused;

/// Bytes of authenticator data before the model's id: a digest, flags, the count (§6.1).
const HEAD_BYTES: usize = 37;
const AAGUID_BYTES: usize = 16;
/// Bytes of a credential's id, at most (§4).
const ID_BYTES_MAX: usize = 1023;

/// A key of somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub id: Vec<u8>,
    /// A COSE key.
    pub public_key: Vec<u8>,
    /// `none`, or how the authenticator vouched for the key, which nobody asked for.
    pub attestation: String,
    /// What model of authenticator it is.
    pub aaguid: Option<Uuid>,
    pub sign_count: u32,
    /// How browsers reach the authenticator.
    pub transports: Vec<String>,
    /// The user was verified when it was made.
    pub is_verified: bool,
    pub backup_eligible: bool,
    pub backed_up: bool,
}

impl Credential {
    /// What is to be kept of a key whose making was judged: `known` is the library's view, `made` the client's answer.
    pub(super) fn made(known: prelude::Credential, made: &RegisterPublicKeyCredential) -> Result<Self, Refused> {
        if known.cred_id.len() > ID_BYTES_MAX {
            return Err(Refused::Wrong);
        }
        let attested = Attested::read(&made.response.attestation_object).ok_or(Refused::Wrong)?;
        // Two readers of the same bytes must agree on them.
        if COSEKey::try_from(&attested.key).ok().as_ref() != Some(&known.cred) {
            return Err(Refused::Wrong);
        }
        let transports = made.response.transports.iter().flatten();
        let transports = transports.map(|transport| transport.as_ref().to_owned());
        Ok(Credential {
            public_key: serde_cbor_2::to_vec(&attested.key).map_err(|_| Refused::Wrong)?,
            id: known.cred_id,
            attestation: attested.format,
            aaguid: Some(attested.aaguid),
            sign_count: known.counter,
            transports: transports.filter(|name| name != "unknown").collect(),
            is_verified: known.user_verified,
            backup_eligible: known.backup_eligible,
            backed_up: known.backup_state,
        })
    }

    /// The library's view. `policy`: whether the user had to be verified when it was made. Errors: the key is none, or of
    /// a kind that nobody here can verify.
    pub(super) fn known(&self, policy: &str) -> Result<prelude::Credential, Refused> {
        let key: Cbor = serde_cbor_2::from_slice(&self.public_key).map_err(|_| Refused::Wrong)?;
        let key = COSEKey::try_from(&key).map_err(|_| Refused::Wrong)?;
        let known = json!({
            "cred_id": URL_SAFE_NO_PAD.encode(&self.id),
            "cred": key,
            "counter": self.sign_count,
            "transports": null,
            "user_verified": self.is_verified,
            "backup_eligible": self.backup_eligible,
            "backup_state": self.backed_up,
            "registration_policy": policy,
            "extensions": {},
            "attestation": {"data": "None", "metadata": "None"},
            "attestation_format": "none",
        });
        serde_json::from_value(known).map_err(|_| Refused::Wrong)
    }

    /// As `auth.mfa_factors` has it.
    pub fn json(&self) -> Json {
        json!({
            "id": STANDARD.encode(&self.id),
            "publicKey": STANDARD.encode(&self.public_key),
            "attestationType": self.attestation,
            "transport": self.transports,
            "flags": {
                "userPresent": true,
                "userVerified": self.is_verified,
                "backupEligible": self.backup_eligible,
                "backupState": self.backed_up,
            },
            "authenticator": {
                "AAGUID": STANDARD.encode(self.aaguid.unwrap_or_default().as_bytes()),
                "signCount": self.sign_count,
                "cloneWarning": false,
                "attachment": "",
            },
        })
    }

    /// The same read again. `None`: it is no key.
    pub fn of_json(json: &Json) -> Option<Self> {
        let bytes = |value: &Json| STANDARD.decode(value.as_str()?).ok();
        let flag = |name: &str| json["flags"][name].as_bool().unwrap_or(false);
        let aaguid = bytes(&json["authenticator"]["AAGUID"]).and_then(|bytes| Uuid::from_slice(&bytes).ok());
        Some(Credential {
            id: bytes(&json["id"])?,
            public_key: bytes(&json["publicKey"])?,
            attestation: json["attestationType"].as_str().unwrap_or_default().to_owned(),
            aaguid,
            sign_count: json["authenticator"]["signCount"].as_u64()?.try_into().ok()?,
            transports: texts(&json["transport"]),
            is_verified: flag("userVerified"),
            backup_eligible: flag("backupEligible"),
            backed_up: flag("backupState"),
        })
    }
}

/// The texts of a JSON list.
fn texts(list: &Json) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Json::as_str).map(str::to_owned).collect()
}

/// What stands in an attestation object of the key and its authenticator.
struct Attested {
    format: String,
    aaguid: Uuid,
    key: Cbor,
}

impl Attested {
    /// `None`: it is no attestation object, or has no key.
    fn read(object: &[u8]) -> Option<Self> {
        let Cbor::Map(object) = serde_cbor_2::from_slice(object).ok()? else {
            return None;
        };
        let member = |name: &str| object.get(&Cbor::Text(name.to_owned()));
        let (Cbor::Text(format), Cbor::Bytes(data)) = (member("fmt")?, member("authData")?) else {
            return None;
        };
        let (aaguid, rest) = data.get(HEAD_BYTES..)?.split_at_checked(AAGUID_BYTES)?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let after_id = rest.get(usize::from(u16::from_be_bytes(*length))..)?;
        // Extensions may stand behind the key.
        let mut reader = serde_cbor_2::Deserializer::from_slice(after_id);
        let key = serde::Deserialize::deserialize(&mut reader).ok()?;
        Some(Attested {
            format: format.clone(),
            aaguid: Uuid::from_slice(aaguid).ok()?,
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The point that P-256 is built on: RFC 9052's labels around a key that is known to lie on the curve.
    fn key() -> Vec<u8> {
        let hex = |text: &str| crate::secrets::unhex(text).unwrap();
        let (x, y) = (
            hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
            hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
        );
        let mut cose = hex("a5010203262001215820");
        cose.extend(x);
        cose.extend(hex("225820"));
        cose.extend(y);
        cose
    }

    fn credential() -> Credential {
        Credential {
            id: vec![1, 2, 3, 250],
            public_key: key(),
            attestation: "none".into(),
            aaguid: Some(Uuid::from_u128(7)),
            sign_count: 9,
            transports: vec!["usb".into(), "smart-card".into()],
            is_verified: true,
            backup_eligible: true,
            backed_up: false,
        }
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let written = credential();
        assert_eq!(Credential::of_json(&written.json()), Some(written.clone()));
        let known = written.known("required").unwrap();
        assert_eq!((known.cred_id, known.counter), (written.id.clone(), 9));
        assert_eq!((known.backup_eligible, known.backup_state), (true, false));
        for broken in [json!(null), json!({}), json!({"id": "AQ==", "publicKey": "!"})] {
            assert_eq!(Credential::of_json(&broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_no_key_verifies_nothing() {
        let mut off_the_curve = key();
        *off_the_curve.last_mut().unwrap() ^= 1;
        for bytes in [vec![], vec![0xa0], key()[..20].to_vec(), off_the_curve] {
            let broken = Credential {
                public_key: bytes,
                ..credential()
            };
            assert!(broken.known("required").is_err());
        }
    }

    #[test]
    fn an_attestation_object_is_taken_apart() {
        let mut data = vec![0_u8; HEAD_BYTES];
        data.extend(Uuid::from_u128(7).as_bytes());
        data.extend([0, 3, 1, 2, 3]);
        data.extend(key());
        // An empty map of extensions.
        data.push(0xa0);
        let object = |data: Vec<u8>| {
            let members = [
                (Cbor::Text("fmt".into()), Cbor::Text("none".into())),
                (Cbor::Text("attStmt".into()), Cbor::Map(Default::default())),
                (Cbor::Text("authData".into()), Cbor::Bytes(data)),
            ];
            serde_cbor_2::to_vec(&Cbor::Map(members.into_iter().collect())).unwrap()
        };
        let attested = Attested::read(&object(data.clone())).unwrap();
        assert_eq!(
            (attested.format.as_str(), attested.aaguid),
            ("none", Uuid::from_u128(7))
        );
        assert_eq!(serde_cbor_2::to_vec(&attested.key).unwrap(), key());
        for length in 0..data.len() - 1 {
            assert!(Attested::read(&object(data[..length].to_vec())).is_none(), "{length}");
        }
        assert!(Attested::read(b"").is_none() && Attested::read(&[0xff; 40]).is_none());
    }
}
