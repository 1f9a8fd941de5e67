//! `POST /token?grant_type=web3`: sign-in by a message that a wallet has signed.
//!
//! Source: Supabase Auth's published interface.

use mainstay_core::clock;
use mainstay_http::{Request, Response};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::entering::{self, Entering};
use crate::error::Error;
use crate::external::linking::{Rules, Visitor};
use crate::external::person::Person;
use crate::request::{self, nullable};
use crate::room::AuthRoom;
use crate::sessions::{Client, Method};
use crate::users::UserId;
use crate::web3::{self, Chain};

/// The provider of an account that is reached by a wallet, whatever its chain.
const PROVIDER: &str = "web3";

/// The body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Web3Body {
    #[serde(deserialize_with = "nullable")]
    chain: String,
    #[serde(deserialize_with = "nullable")]
    message: String,
    #[serde(deserialize_with = "nullable")]
    signature: String,
}

/// Signs in; a wallet that nobody knows becomes a user without an address.
pub async fn sign_in(room: &AuthRoom, request: &Request, client: &Client) -> Result<Response, Error> {
    let rules = room.config.web3;
    if !rules.ethereum && !rules.solana {
        return Err(Error::Web3Disabled("Web3 provider is disabled"));
    }
    room.limits.web3(client)?;
    let body: Web3Body = request::body(request)?;
    let chain = match Chain::of_name(&body.chain) {
        None => return Err(Error::Web3Unsupported),
        Some(Chain::Ethereum) if !rules.ethereum => {
            return Err(Error::Web3Disabled("Ethereum Web3 provider is disabled"));
        }
        Some(Chain::Solana) if !rules.solana => {
            return Err(Error::Web3Disabled("Solana Web3 provider is disabled"));
        }
        Some(chain) => chain,
    };
    let redirects = &room.config.redirects;
    let proof = web3::prove(chain, &body.message, &body.signature, redirects, clock::now())?;
    let chain = chain.name();
    let entering = Entering {
        visitor: Visitor {
            new_id: UserId(Uuid::new_v4()),
            provider: PROVIDER.into(),
            person: Person::of_wallet(
                &format!("{PROVIDER}:{chain}:{}", proof.address),
                json!({
                    "address": proof.address,
                    "chain": chain,
                    "network": proof.network,
                    "domain": proof.domain,
                    "statement": proof.statement,
                }),
            ),
            rules: Rules {
                signup_enabled: room.config.signup_enabled,
                confirmations: room.config.confirmations,
                email_optional: true,
            },
        },
        linking: None,
        method: Method::Web3,
        once: Some(proof.used),
        traits: json!({
            "provider": PROVIDER,
            "chain": chain,
            "network": proof.network,
            "address": proof.address,
            "domain": proof.domain,
            "uri": proof.uri,
        }),
        client: client.clone(),
    };
    let granted = entering::enter(room, entering).await?;
    room.signed_in(&granted).await
}
