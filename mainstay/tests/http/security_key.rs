//! An authenticator with one key, and the browser in front of it: 1Password's, in software.

use std::future::Future;
use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::aws_lc_rs::AwsLcRsBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use passkey::types::webauthn::{CredentialCreationOptions, CredentialRequestOptions};
use serde_json::{Value, json};
use url::Url;

pub const ORIGIN: &str = "https://shop.example";

/// Somebody touches it, and shows who it is if it asks for that.
struct Hand {
    verifies: bool,
}

impl UserValidationMethod for Hand {
    type PasskeyItem = Passkey;

    fn check_user<'a, 'life0, 'async_trait>(
        &'life0 self,
        _: UiHint<'a, Passkey>,
        presence: bool,
        verification: bool,
    ) -> Pin<Box<dyn Future<Output = Result<UserCheck, Ctap2Error>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let verification = verification && self.verifies;
        Box::pin(async move { Ok(UserCheck { presence, verification }) })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        self.verifies.then_some(true)
    }
}

/// An authenticator with room for one key. A clone is a copy of the key, with the count as it was.
#[derive(Clone)]
pub struct SecurityKey {
    pub origin: String,
    pub aaguid: [u8; 16],
    pub verifies: bool,
    /// `None`: none was made yet.
    pub key: Option<Passkey>,
}

impl SecurityKey {
    /// One that asks who touches it.
    pub fn new() -> Self {
        SecurityKey {
            origin: ORIGIN.into(),
            aaguid: [0; 16],
            verifies: true,
            key: None,
        }
    }

    /// One that is content with a touch.
    pub fn plain() -> Self {
        SecurityKey {
            verifies: false,
            ..SecurityKey::new()
        }
    }

    fn authenticator(&self) -> Authenticator<Option<Passkey>, Hand, AwsLcRsBackend> {
        let hand = Hand {
            verifies: self.verifies,
        };
        let aaguid = Aaguid::from(self.aaguid);
        let mut made = Authenticator::new(aaguid, self.key.clone(), hand, AwsLcRsBackend);
        made.set_make_credentials_with_signature_counter(true);
        made
    }

    fn origin(&self) -> Url {
        Url::parse(&self.origin).unwrap()
    }

    /// Makes a key, as `navigator.credentials.create({ publicKey: options })` does. The answer is its `toJSON()`.
    pub async fn make(&mut self, options: &Value) -> Value {
        let request = json!({ "publicKey": options }).to_string();
        let request: CredentialCreationOptions = serde_json::from_str(&request).unwrap();
        let mut browser = Client::new(self.authenticator()).user_verification_when_preferred(self.verifies);
        let made = browser
            .register(self.origin(), request, DefaultClientData)
            .await
            .unwrap();
        self.key = browser.authenticator().store().clone();
        json!({
            "id": made.id,
            "rawId": encoded(&made.raw_id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(&made.response.client_data_json),
                "attestationObject": encoded(&made.response.attestation_object),
                "transports": ["internal", "a kind to come"],
            },
        })
    }

    /// Signs, as `navigator.credentials.get({ publicKey: options })` does. `None`: it has no key of the wanted.
    pub async fn try_sign(&mut self, options: &Value) -> Option<Value> {
        let request = json!({ "publicKey": options }).to_string();
        let request: CredentialRequestOptions = serde_json::from_str(&request).unwrap();
        let mut browser = Client::new(self.authenticator()).user_verification_when_preferred(self.verifies);
        let signed = browser
            .authenticate(self.origin(), request, DefaultClientData)
            .await
            .ok()?;
        self.key = browser.authenticator().store().clone();
        let mut answer = json!({
            "id": signed.id,
            "rawId": encoded(&signed.raw_id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(&signed.response.client_data_json),
                "authenticatorData": encoded(&signed.response.authenticator_data),
                "signature": encoded(&signed.response.signature),
            },
        });
        if let Some(handle) = &signed.response.user_handle {
            answer["response"]["userHandle"] = json!(encoded(handle));
        }
        Some(answer)
    }

    pub async fn sign(&mut self, options: &Value) -> Value {
        self.try_sign(options).await.unwrap()
    }
}

pub fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decoded(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

/// An answer with another member of its client data, which is signed where it is a signature's.
pub fn with_client_data(answer: &Value, name: &str, value: Value) -> Value {
    let mut data: Value = serde_json::from_slice(&decoded(&answer["response"]["clientDataJSON"])).unwrap();
    data[name] = value;
    let mut answer = answer.clone();
    answer["response"]["clientDataJSON"] = json!(encoded(data.to_string().as_bytes()));
    answer
}
