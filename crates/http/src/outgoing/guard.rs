//! Which addresses a request of the server's own may reach.
//!
//! Whoever can make the server ask for a URL must not reach what only the server can: its own machine, the network
//! behind it, the addresses at which clouds tell machines their secrets. Only addresses that IANA lists as globally
//! reachable are, and those that the settings allow. An IPv4 address inside an IPv6 one counts as what it is.
//!
//! Source: IANA's special-purpose address registries (RFC 6890); RFC 4291 (mapped addresses), RFC 6052 (NAT64).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::Network;

/// IPv4 networks that no host on the internet has: first address and bits.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    // Azure's platform speaks to its machines from this one, which looks like any other.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// IPv6 networks within 2000::/3, where hosts are, that no host on the internet has.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    // Teredo, ORCHID and other protocols' own.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4: an IPv4 address in disguise.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Where hosts on the internet have their IPv6 addresses.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// NAT64: the last 32 bits are an IPv4 address that is reached through it.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// The rule.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Vec<Network>,
}

impl Guard {
    /// Permits the internet and `allowed`.
    pub fn new(allowed: Vec<Network>) -> Self {
        Guard { allowed }
    }

    /// True if `address` may be connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        self.allows(address) || is_global(address)
    }

    /// True if the settings name the address: it may be asked without encryption, too.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(address))
    }
}

fn is_global(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| in_v4(address, *network)),
        IpAddr::V6(address) if in_v6(address, NAT64) => {
            let [.., a, b, c, d] = address.octets();
            is_global(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(address) => in_v6(address, GLOBAL_V6) && !SPECIAL_V6.iter().any(|network| in_v6(address, *network)),
    }
}

fn in_v4(address: Ipv4Addr, (network, bits): (Ipv4Addr, u32)) -> bool {
    (u32::from(address) ^ u32::from(network)) >> (32 - bits) == 0
}

fn in_v6(address: Ipv6Addr, (network, bits): (Ipv6Addr, u32)) -> bool {
    (u128::from(address) ^ u128::from(network)) >> (128 - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_reached() {
        let guard = Guard::default();
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.8.9.10",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!guard.permits(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.0.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(guard.permits(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn the_settings_allow_more() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for allowed in ["127.0.0.1", "::ffff:127.0.0.1", "fd00::1"] {
            assert!(guard.permits(allowed.parse().unwrap()), "{allowed}");
            assert!(guard.allows(allowed.parse().unwrap()), "{allowed}");
        }
        for refused in ["10.0.0.1", "::1", "169.254.169.254"] {
            assert!(!guard.permits(refused.parse().unwrap()), "{refused}");
        }
        assert!(!guard.allows("8.8.8.8".parse().unwrap()));
    }
}
