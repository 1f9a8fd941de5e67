//! Which address asks: the peer, or whom a trusted proxy says that it speaks for.
//!
//! `X-Forwarded-For` is a list that every proxy adds its peer to, so only its end can be believed, and only as far as
//! the proxies are ours: it is read from the right, past trusted proxies, to the first address that is none.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Addresses that begin with the same bits: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address or network, such as \"10.0.0.0/8\"")]
pub struct BadNetwork(String);

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let bits_max = bits(address).1;
        let prefix_bits = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| bad())?,
            None => bits_max,
        };
        if prefix_bits > bits_max {
            return Err(bad());
        }
        Ok(Network { address, prefix_bits })
    }
}

impl From<IpAddr> for Network {
    /// The network of this address alone.
    fn from(address: IpAddr) -> Self {
        Network {
            address,
            prefix_bits: bits(address).1,
        }
    }
}

impl Network {
    /// True if `address` is in the network. An IPv4 address is the same in IPv6's clothes.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((own, own_bits), (other, other_bits)) = (bits(self.address), bits(address.to_canonical()));
        let differing = own ^ other;
        own_bits == other_bits && differing.checked_shr(own_bits - self.prefix_bits).unwrap_or(0) == 0
    }
}

/// The address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    /// The peer says that it speaks for somebody, and is not trusted.
    pub(super) is_forwarded_by_stranger: bool,
}

impl Client {
    /// Follows the proxies in `trusted`, from `peer` on.
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
        let peer = peer.to_canonical();
        if !is_trusted(peer) {
            return Client {
                address: peer,
                is_forwarded_by_stranger: headers.contains_key(FORWARDED_FOR),
            };
        }
        let mut address = peer;
        // Lines of one header are one list.
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for entry in entries {
            // Nonsense was written by somebody before the last trusted proxy: that proxy's own word is all there is.
            let Some(before) = std::str::from_utf8(entry).ok().and_then(|text| read(text.trim())) else {
                break;
            };
            address = before;
            if !is_trusted(address) {
                break;
            }
        }
        Client {
            address,
            is_forwarded_by_stranger: false,
        }
    }
}

/// An address with or without a port.
fn read(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare.unwrap_or(text).parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
            ("10.1.2.3", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::1", "::1", "::2"),
        ] {
            assert!(network(text).contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network(text).contains(outside.parse().unwrap()), "{text} {outside}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0/8",
            "localhost",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    fn client(peer: &str, lines: &[&str]) -> (String, bool) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let trusted = [network("10.0.0.0/8"), network("::1")];
        let client = Client::of(peer.parse().unwrap(), &headers, &trusted);
        (client.address.to_string(), client.is_forwarded_by_stranger)
    }

    #[test]
    fn only_the_word_of_trusted_proxies_counts() {
        let found = |peer, lines: &[&str]| client(peer, lines).0;
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), ("192.0.2.1".into(), true));
        assert_eq!(client("192.0.2.1", &[]), ("192.0.2.1".into(), false));
        assert_eq!(found("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(found("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            found("10.0.0.1", &["203.0.113.9, 198.51.100.7"]),
            "198.51.100.7",
            "the left is a claim"
        );
        assert_eq!(
            found("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.2.2.2"]),
            "198.51.100.7"
        );
        assert_eq!(
            found("10.0.0.1", &["198.51.100.7", "10.2.2.2"]),
            "198.51.100.7",
            "lines are one list"
        );
        assert_eq!(found("10.0.0.1", &["198.51.100.7", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(found("10.0.0.1", &["198.51.100.7, nonsense"]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &["nonsense, 10.2.2.2"]), "10.2.2.2");
        assert_eq!(found("10.0.0.1", &[""]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &["198.51.100.7:4000"]), "198.51.100.7");
        assert_eq!(found("::1", &["[2001:db8::5]:4000"]), "2001:db8::5");
        assert_eq!(found("::1", &["[2001:db8::5]"]), "2001:db8::5");
        assert_eq!(found("::1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }
}
