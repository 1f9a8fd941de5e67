//! Wallets: signing in by a message that a key on a chain has signed.
//!
//! | module | what |
//! |---|---|
//! | [`message`] | the text that is signed |
//! | [`ethereum`] [`solana`] | addresses and signatures of each chain |
//! | [`used`] | each message is good for one session |
//!
//! Lives here: what a message must say to count at this server, and now.
//! Not here: whose account it is (`external::linking`), who may ask (`routes::web3`).
//! Invariant: a message that was signed for another site, for another time, or that was used before, signs nobody in.
//!
//! Source: EIP-4361 "Sign-In with Ethereum"; "Sign In With Solana" of the Solana wallet standard; Supabase Auth's rules.

mod ethereum;
mod message;
mod solana;
pub mod used;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::error::Error;
use crate::redirect::{self, Redirects};
use message::Message;

/// Bytes of a message.
const MESSAGE_BYTES: std::ops::RangeInclusive<usize> = 64..=20 * 1024;
/// How long a message holds from when it says that it was issued, and how far a wallet's clock may be ahead.
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Whose keys sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    Ethereum,
    Solana,
}

impl Chain {
    /// As requests and accounts name it.
    pub fn name(self) -> &'static str {
        match self {
            Chain::Ethereum => "ethereum",
            Chain::Solana => "solana",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        [Chain::Ethereum, Chain::Solana]
            .into_iter()
            .find(|chain| chain.name() == name)
    }
}

/// A message whose signature is its address's, and that counts here and now.
#[derive(Clone, Debug)]
pub struct Proof {
    /// One spelling for each key: lower case on Ethereum, base 58 on Solana.
    pub address: String,
    pub network: String,
    pub domain: String,
    pub statement: Option<String>,
    pub uri: String,
    pub used: used::Once,
}

fn refused<T>(why: &'static str) -> Result<T, Error> {
    Err(Error::OAuth("invalid_grant", why))
}

/// Reads a message and its signature.
///
/// Errors: `Validation` for what is none; `OAuth` `invalid_grant` for one of another key, site or time.
pub fn prove(chain: Chain, text: &str, signature: &str, redirects: &Redirects, now: Timestamp) -> Result<Proof, Error> {
    if text.len() < *MESSAGE_BYTES.start() {
        return Err(Error::Validation("message is too short".into()));
    }
    if text.len() > *MESSAGE_BYTES.end() {
        return Err(Error::Validation("message must not exceed 20KB".into()));
    }
    let message = Message::parse(chain, text).map_err(|bad| Error::Validation(bad.to_string()))?;
    let (address, is_signed) = match chain {
        Chain::Ethereum => {
            let signature = ethereum::signature(signature)?;
            let address = ethereum::Address::read(message.address).map_err(|bad| Error::Validation(bad.into()))?;
            (address.to_string(), address.has_signed(text, &signature))
        }
        Chain::Solana => {
            let signature = solana::signature(signature)?;
            let address = solana::Address::read(message.address).map_err(|bad| Error::Validation(bad.into()))?;
            let is_signed = address.has_signed(message.domain, text, &signature);
            (address.to_string(), is_signed)
        }
    };
    if !is_signed {
        return refused("Signature does not match address in message");
    }
    check_site(&message, redirects)?;
    check_time(&message, now)?;
    Ok(Proof {
        address,
        network: message.chain_id.to_owned(),
        domain: message.domain.to_owned(),
        statement: message.statement.map(str::to_owned),
        uri: message.uri.to_string(),
        used: used::Once::of(
            chain,
            text,
            message.issued_at.checked_add(LIFETIME).unwrap_or(Timestamp::MAX),
        ),
    })
}

/// What the wallet has shown must be this server's application: else a page of somebody else's could have it signed.
fn check_site(message: &Message<'_>, redirects: &Redirects) -> Result<(), Error> {
    let uri = &message.uri;
    let is_here = uri.host().is_some_and(|host| redirect::is_here(&host));
    if uri.scheme() != "https" && !(uri.scheme() == "http" && is_here) {
        return refused("Signed message is using URI which does not use HTTPS");
    }
    if !redirects.allows(uri.as_str()) {
        return refused(
            "Signed message is using URI which is not allowed on this server, message was signed for another app",
        );
    }
    let not_its_own =
        "Signed message is using a Domain that does not match the one in URI which is not allowed on this server";
    // As browsers read it: an authority without a user, in lower case, without the scheme's own port.
    let Ok(origin) = Url::parse(&format!("{}://{}/", uri.scheme(), message.domain)) else {
        return refused(not_its_own);
    };
    let is_same = origin.host() == uri.host() && origin.port_or_known_default() == uri.port_or_known_default();
    let is_other_scheme = message.scheme.is_some_and(|scheme| scheme != uri.scheme());
    if !is_same || is_other_scheme || !redirects.allows(origin.as_str()) {
        return refused(not_its_own);
    }
    Ok(())
}

fn check_time(message: &Message<'_>, now: Timestamp) -> Result<(), Error> {
    if message.not_before.is_some_and(|begin| now < begin) {
        return refused("Signed message becomes valid in the future");
    }
    if message.expires_at.is_some_and(|end| now > end) {
        return refused("Signed message is expired");
    }
    let age = now.duration_since(message.issued_at);
    if age > LIFETIME {
        return refused("Message was issued too long ago");
    }
    if age < -LIFETIME {
        return refused("Message was issued too far in the future");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(domain: &str, uri: &str, more: &str) -> String {
        format!(
            "{domain} wants you to sign in with your Ethereum account:\n\
             0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\n\n\nURI: {uri}\nVersion: 1\nChain ID: 1\n{more}"
        )
    }

    const ISSUED: &str = "Issued At: 2026-01-01T10:00:00Z";

    fn site(domain: &str, uri: &str) -> Result<(), Error> {
        let redirects = Redirects::new("https://shop.example", &["https://app.example/in".to_owned()]).unwrap();
        let text = message(domain, uri, ISSUED);
        check_site(&Message::parse(Chain::Ethereum, &text).unwrap(), &redirects)
    }

    #[test]
    fn a_message_of_another_site_does_not_count() {
        for (domain, uri) in [
            ("shop.example", "https://shop.example"),
            ("SHOP.example:443", "https://shop.example/cart?a=b"),
            ("https://shop.example", "https://shop.example/"),
            ("127.0.0.1:3000", "http://127.0.0.1:3000/"),
        ] {
            assert!(site(domain, uri).is_ok(), "{domain} {uri}");
        }
        for (domain, uri) in [
            ("evil.example", "https://evil.example/"),
            ("evil.example", "https://shop.example/"),
            ("shop.example", "https://evil.example/"),
            ("shop.example.evil.example", "https://shop.example/"),
            ("shop.example:8443", "https://shop.example/"),
            ("http://shop.example", "https://shop.example/"),
            ("shop.example", "http://shop.example/"),
            // A pattern that allows a page allows no whole site.
            ("app.example", "https://app.example/in"),
            ("127.0.0.1:3000", "http://127.0.0.1:4000/"),
            ("localhost", "http://127.0.0.1/"),
        ] {
            assert!(site(domain, uri).is_err(), "{domain} {uri}");
        }
    }

    #[test]
    fn a_message_holds_for_ten_minutes_and_for_as_long_as_it_says() {
        let check = |more: &str, now: &str| {
            let text = message("shop.example", "https://shop.example", &format!("{ISSUED}{more}"));
            check_time(&Message::parse(Chain::Ethereum, &text).unwrap(), now.parse().unwrap()).is_ok()
        };
        for (more, now, holds) in [
            ("", "2026-01-01T10:10:00Z", true),
            ("", "2026-01-01T10:10:01Z", false),
            ("", "2026-01-01T09:50:00Z", true),
            ("", "2026-01-01T09:49:59Z", false),
            ("\nExpiration Time: 2026-01-01T10:01:00Z", "2026-01-01T10:01:00Z", true),
            ("\nExpiration Time: 2026-01-01T10:01:00Z", "2026-01-01T10:01:01Z", false),
            ("\nNot Before: 2026-01-01T10:01:00Z", "2026-01-01T10:00:59Z", false),
            ("\nNot Before: 2026-01-01T10:01:00Z", "2026-01-01T10:01:00Z", true),
        ] {
            assert_eq!(check(more, now), holds, "{more} {now}");
        }
    }
}
