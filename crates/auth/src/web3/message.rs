//! The text that a wallet signs.
//!
//! One grammar for both chains: who asks, for which address, a statement, and fields. A field is there once, and none is
//! unknown, so that what a wallet shows is what counts here. Ethereum's fields stand in their order; wallets on Solana have
//! several. `Nonce` may be missing, for the published clients leave it out: what keeps a message from being used twice is
//! that it is remembered.
//!
//! Source: EIP-4361, "ABNF Message Format"; the wallet standard's `createSignInMessageText`.

use jiff::Timestamp;
use url::Url;

use super::Chain;

/// Letters of a nonce, at least.
const NONCE_LETTERS_MIN: usize = 8;

/// A message, taken apart.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub scheme: Option<&'a str>,
    /// Host, and port where it is another than the scheme's.
    pub domain: &'a str,
    pub address: &'a str,
    pub statement: Option<&'a str>,
    pub uri: Url,
    /// Empty: it names none.
    pub chain_id: &'a str,
    pub issued_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub not_before: Option<Timestamp>,
}

/// Why a text is no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message cannot be read: {0}")]
pub struct BadMessage(&'static str);

fn bad<T>(why: &'static str) -> Result<T, BadMessage> {
    Err(BadMessage(why))
}

/// Fields in the order of EIP-4361.
const FIELDS: [&str; 8] = [
    "URI",
    "Version",
    "Chain ID",
    "Nonce",
    "Issued At",
    "Expiration Time",
    "Not Before",
    "Request ID",
];

impl Chain {
    /// What follows the domain.
    fn asks(self) -> &'static str {
        match self {
            Chain::Ethereum => " wants you to sign in with your Ethereum account:",
            Chain::Solana => " wants you to sign in with your Solana account:",
        }
    }
}

impl<'a> Message<'a> {
    pub fn parse(chain: Chain, text: &'a str) -> Result<Self, BadMessage> {
        if text.chars().any(|letter| letter.is_control() && letter != '\n') {
            return bad("it holds a control character");
        }
        let mut lines = text.split('\n').peekable();
        let first = lines.next().unwrap_or_default();
        let Some(origin) = first.strip_suffix(chain.asks()) else {
            return bad("its first line does not ask to sign in with an account of the chain");
        };
        let (scheme, domain) = match origin.split_once("://") {
            Some((scheme, domain)) => (Some(scheme), domain),
            None => (None, origin),
        };
        let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
        if domain.is_empty() || !domain.bytes().all(is_domain) {
            return bad("domain in its first line is not valid");
        }
        let address = lines.next().unwrap_or_default();
        if lines.next() != Some("") {
            return bad("its third line must be empty");
        }
        let mut statement = None;
        let mut field = lines.next();
        match field {
            Some("") => field = lines.next(),
            Some(said) if lines.peek() == Some(&"") => {
                statement = Some(said);
                lines.next();
                field = lines.next();
            }
            // Where there is no statement, wallets on Solana leave out its line.
            _ if chain == Chain::Solana => {}
            _ => return bad("an empty line is missing before its fields"),
        }
        let found = fields(chain, field.into_iter().chain(lines))?;
        let [uri, version, chain_id, nonce, issued_at, expires_at, not_before, _] = found;
        if version != Some("1") {
            return bad("Version must be 1");
        }
        if nonce.is_some_and(|nonce| {
            nonce.len() < NONCE_LETTERS_MIN || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }) {
            return bad("Nonce must be of at least eight letters and digits");
        }
        let message = Message {
            scheme,
            domain,
            address,
            statement,
            uri: url(uri.ok_or(BadMessage("URI is not specified"))?)?,
            chain_id: network(chain, chain_id)?,
            issued_at: time(issued_at)?.ok_or(BadMessage("Issued At is not specified"))?,
            expires_at: time(expires_at)?,
            not_before: time(not_before)?,
        };
        if message.expires_at.is_some_and(|end| message.issued_at > end) {
            return bad("Issued At is after Expiration Time");
        }
        if let (Some(begin), Some(end)) = (message.not_before, message.expires_at)
            && begin > end
        {
            return bad("Not Before is after Expiration Time");
        }
        Ok(message)
    }
}

fn fields<'a>(
    chain: Chain,
    lines: impl Iterator<Item = &'a str>,
) -> Result<[Option<&'a str>; FIELDS.len()], BadMessage> {
    let mut found = [None; FIELDS.len()];
    let mut last = 0;
    let mut lists_resources = false;
    for line in lines {
        if lists_resources {
            url(line.strip_prefix("- ").ok_or(BadMessage("a resource is none"))?)?;
            continue;
        }
        // The published client leaves out the colon on Solana.
        if line == "Resources:" || (line == "Resources" && chain == Chain::Solana) {
            lists_resources = true;
            continue;
        }
        let Some((name, value)) = line.split_once(": ") else {
            return bad("a line of it is no field");
        };
        let Some(at) = FIELDS.iter().position(|field| *field == name) else {
            return bad("it has a field that nobody knows");
        };
        if found[at].is_some() {
            return bad("it has a field twice");
        }
        if chain == Chain::Ethereum && at < last {
            return bad("its fields are not in their order");
        }
        last = at;
        found[at] = Some(value);
    }
    Ok(found)
}

fn url(text: &str) -> Result<Url, BadMessage> {
    match text.contains(|letter: char| letter.is_whitespace() || letter == '\\') {
        true => bad("a URI is not valid"),
        false => Url::parse(text).map_err(|_| BadMessage("a URI is not valid")),
    }
}

/// EIP-155 numbers chains from 1; Solana's clusters have names.
fn network(chain: Chain, id: Option<&str>) -> Result<&str, BadMessage> {
    let is_one = match (chain, id) {
        (Chain::Ethereum, Some(id)) => {
            id.bytes().all(|byte| byte.is_ascii_digit()) && id.parse().is_ok_and(|id: u64| id > 0)
        }
        (Chain::Ethereum, None) => false,
        (Chain::Solana, Some(id)) => {
            let cluster = id.strip_prefix("solana:").unwrap_or(id);
            ["mainnet", "devnet", "testnet", "localnet"].contains(&cluster)
        }
        (Chain::Solana, None) => true,
    };
    match is_one {
        true => Ok(id.unwrap_or_default()),
        false => bad("Chain ID is not valid"),
    }
}

/// RFC 3339.
fn time(text: Option<&str>) -> Result<Option<Timestamp>, BadMessage> {
    text.map(|text| text.parse().map_err(|_| BadMessage("a time is not valid")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of EIP-4361, its address's capitals as EIP-55 has them.
    const EXAMPLE: &str = "service.invalid wants you to sign in with your Ethereum account:\n\
        0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n\
        I accept the ServiceOrg Terms of Service: https://service.invalid/tos\n\n\
        URI: https://service.invalid/login\nVersion: 1\nChain ID: 1\nNonce: 32891756\n\
        Issued At: 2021-09-30T16:25:24Z\nResources:\n\
        - ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n\
        - https://example.com/my-web2-claim.json";

    #[test]
    fn the_example_of_the_standard_is_read() {
        let message = Message::parse(Chain::Ethereum, EXAMPLE).unwrap();
        assert_eq!(message.domain, "service.invalid");
        assert_eq!(message.address, "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2");
        assert_eq!(
            message.statement,
            Some("I accept the ServiceOrg Terms of Service: https://service.invalid/tos")
        );
        assert_eq!(
            (message.uri.as_str(), message.chain_id),
            ("https://service.invalid/login", "1")
        );
        assert_eq!(message.issued_at.to_string(), "2021-09-30T16:25:24Z");
        let with_scheme = EXAMPLE.replacen("service.invalid", "https://service.invalid", 1);
        assert_eq!(
            Message::parse(Chain::Ethereum, &with_scheme).unwrap().scheme,
            Some("https")
        );
    }

    #[test]
    fn what_a_wallet_would_show_otherwise_is_refused() {
        for (from, to) in [
            ("Ethereum account", "Solana account"),
            ("service.invalid wants", "service.invalid@evil.example wants"),
            ("service.invalid wants", " wants"),
            ("Cc2\n\nI", "Cc2\nI"),
            ("tos\n\nURI", "tos\nURI"),
            ("Version: 1", "Version: 2"),
            ("Version: 1\n", ""),
            ("Chain ID: 1", "Chain ID: 0"),
            ("Chain ID: 1", "Chain ID: +1"),
            ("Chain ID: 1\n", ""),
            ("Nonce: 32891756", "Nonce: 3289175"),
            ("Nonce: 32891756", "Nonce: 3289-1756"),
            ("Nonce: 32891756", "Nonce: 32891756\nNonce: 32891757"),
            ("Version: 1\nChain ID: 1", "Chain ID: 1\nVersion: 1"),
            ("Nonce: 32891756", "Color: 32891756"),
            ("Issued At: 2021-09-30T16:25:24Z", "Issued At: yesterday"),
            ("Issued At: 2021-09-30T16:25:24Z\n", ""),
            ("24Z\n", "24Z\nExpiration Time: 2021-09-30T16:25:23Z\n"),
            (
                "24Z\n",
                "24Z\nExpiration Time: 2021-10-30T16:25:23Z\nNot Before: 2021-11-30T16:25:23Z\n",
            ),
            ("24Z\n", "24Z\n\n"),
            ("URI: https://service.invalid/login", "URI: /login"),
            ("URI: https://service.invalid/login\n", ""),
            ("- ipfs", "ipfs"),
            ("I accept", "I\raccept"),
        ] {
            let text = EXAMPLE.replacen(from, to, 1);
            assert_ne!(text, EXAMPLE);
            assert!(Message::parse(Chain::Ethereum, &text).is_err(), "{text}");
        }
    }

    #[test]
    fn both_spellings_of_wallets_on_solana_are_read() {
        let address = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin";
        let head = format!("app.example wants you to sign in with your Solana account:\n{address}\n\n");
        let plain = format!("{head}Version: 1\nURI: https://app.example/\nIssued At: 2026-01-01T10:00:00.000Z");
        let message = Message::parse(Chain::Solana, &plain).unwrap();
        assert_eq!((message.statement, message.chain_id), (None, ""));
        let said = format!(
            "{head}Hello\n\nURI: https://app.example/\nVersion: 1\nChain ID: solana:mainnet\nIssued At: 2026-01-01T10:00:00Z\n\
             Resources\n- https://app.example/x"
        );
        let message = Message::parse(Chain::Solana, &said).unwrap();
        assert_eq!((message.statement, message.chain_id), (Some("Hello"), "solana:mainnet"));
        assert!(Message::parse(Chain::Solana, &said.replace("mainnet", "othernet")).is_err());
        // On Ethereum the line of a missing statement stays.
        assert!(Message::parse(Chain::Ethereum, &plain.replace("Solana", "Ethereum")).is_err());
    }
}
