//! How many requests one caller may send: who is counted as whom, and the headers that say how much is left.
//!
//! Lives here: the three limits (`address`, `user`, `key`) and their headers. Not here: the buckets (`bucket`), whom a
//! proxy speaks for (`address`), which paths are counted (the server).
//!
//! The count is this process's own: several processes on one database allow as many times the rate.
//!
//! Source: draft-ietf-httpapi-ratelimit-headers-09 (`RateLimit`, `RateLimit-Policy`); RFC 9110, 10.2.3 (`Retry-After`).

mod address;
mod bucket;

use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub use address::{BadNetwork, Network};
pub use bucket::{BadRate, BucketId, Buckets, Drawn, Rate};

use crate::authenticate::Authenticated;
use crate::error::Error;
use address::Client;

/// What is left of the caller's quota (draft, section 4).
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The quota itself (draft, section 3).
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Bits of an IPv6 address that one customer of a provider has; the rest is the customer's to choose.
const IPV6_PREFIX_BITS: u32 = 64;

/// The limits as they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Anonymous callers and broken credentials, by address.
    pub per_address: Option<Rate>,
    /// Callers whose token names a user (`sub`), by user.
    pub per_user: Option<Rate>,
    /// Callers without a user, by the role that their key gives.
    pub per_key: Option<Rate>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Addresses whose callers are not counted.
    pub exempt: Vec<Network>,
}

impl Rates {
    fn are_none(&self) -> bool {
        self.per_address.is_none() && self.per_user.is_none() && self.per_key.is_none()
    }
}

/// Counts requests against the limits.
#[derive(Debug)]
pub struct Limits {
    rates: Rates,
    /// `None`: no rate is set.
    buckets: Option<Buckets>,
    /// A proxy that nobody trusts was reported.
    is_reported: AtomicBool,
}

/// Which limit a quota belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Policy {
    Address,
    User,
    Key,
}

impl Policy {
    /// The policy's name in the headers.
    fn name(self) -> &'static str {
        match self {
            Policy::Address => "address",
            Policy::User => "user",
            Policy::Key => "key",
        }
    }
}

/// Whose bucket it is.
#[derive(Hash)]
enum Owner<'a> {
    Address(IpAddr),
    User(&'a str),
    Key(&'a str),
}

/// What a request was counted against, for its answer's headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    policy: Policy,
    rate: Rate,
    bucket: BucketId,
    drawn: Drawn,
}

impl Quota {
    /// Adds the headers to an answer.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let (mut left, mut policy) = (String::new(), String::new());
        for part in &self.parts {
            if !left.is_empty() {
                left.push_str(", ");
                policy.push_str(", ");
            }
            let name = part.policy.name();
            // Writing to a text cannot fail.
            let _ = write!(
                left,
                "\"{name}\";r={};t={}",
                part.drawn.remaining(),
                seconds(part.drawn.whole_in())
            );
            let _ = write!(
                policy,
                "\"{name}\";q={};w={}",
                part.rate.quota,
                part.rate.window.as_secs()
            );
        }
        if left.is_empty() {
            return;
        }
        for (name, text) in [(RATE_LIMIT, left), (RATE_LIMIT_POLICY, policy)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }

    /// How long the caller is to wait, if the request is refused.
    pub fn refused_for(&self) -> Option<Duration> {
        self.parts
            .iter()
            .filter_map(|part| match part.drawn {
                Drawn::Refused { retry_in, .. } => Some(retry_in),
                Drawn::Admitted { .. } => None,
            })
            .max()
    }

    /// The refusal, if the request is refused.
    pub fn refusal(&self) -> Option<Error> {
        let retry_in = self.refused_for()?;
        Some(Error::TooManyRequests {
            retry_seconds: seconds(retry_in),
        })
    }
}

impl Limits {
    /// Limits that count from nothing.
    pub fn new(rates: Rates) -> Self {
        Limits {
            buckets: (!rates.are_none()).then(Buckets::default),
            rates,
            is_reported: AtomicBool::new(false),
        }
    }

    /// Counts one request from `peer` at `now` (since a moment of the process's own). `who` is what became of its
    /// credentials; `anon_role` is the role of strangers.
    pub fn count(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        who: Result<&Authenticated, &Error>,
        anon_role: Option<&str>,
        now: Duration,
    ) -> Quota {
        let Some(buckets) = &self.buckets else {
            return Quota::default();
        };
        let client = self.client(peer, headers);
        if self.is_exempt(client) {
            return Quota::default();
        }
        let mut quota = Quota::default();
        let role = who.ok().map(|who| who.caller.role.as_str());
        let user = who.ok().and_then(Authenticated::user);
        let is_stranger = user.is_none() && (role.is_none() || role == anon_role);
        let owners = [
            is_stranger.then(|| (Policy::Address, Owner::Address(prefix(client)))),
            user.map(|user| (Policy::User, Owner::User(user))),
            role.filter(|_| user.is_none())
                .map(|role| (Policy::Key, Owner::Key(role))),
        ];
        for (policy, owner) in owners.into_iter().flatten() {
            let rate = match policy {
                Policy::Address => self.rates.per_address,
                Policy::User => self.rates.per_user,
                Policy::Key => self.rates.per_key,
            };
            let Some(rate) = rate else { continue };
            let bucket = buckets.of(&owner);
            let drawn = buckets.draw(bucket, rate, now);
            quota.parts.push(Part {
                policy,
                rate,
                bucket,
                drawn,
            });
            // What one limit refuses is no load on the next.
            if matches!(drawn, Drawn::Refused { .. }) {
                break;
            }
        }
        quota
    }

    /// True for an address whose callers are not counted.
    pub fn is_exempt(&self, client: IpAddr) -> bool {
        self.rates.exempt.iter().any(|network| network.contains(client))
    }

    /// Counts `more` requests of the same caller that have been carried out already: the next ones wait for them.
    pub fn count_more(&self, quota: &mut Quota, more: u32, now: Duration) {
        if let (Some(buckets), 1..) = (&self.buckets, more) {
            for part in &mut quota.parts {
                part.drawn = buckets.owe(part.bucket, part.rate, more, now);
            }
        }
    }

    /// The address that asks, behind the proxies that are trusted.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let client = Client::of(peer, headers, &self.rates.trusted_proxies);
        if client.is_forwarded_by_stranger && !self.is_reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "a proxy that `limits.trusted_proxies` does not name sends X-Forwarded-For: its callers are counted as one"
            );
        }
        client.address
    }
}

/// Whole seconds, rounded up, so that who waits them has waited long enough.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The part of an address that names the caller's line.
pub fn prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let kept = u128::from(address) >> (Ipv6Addr::BITS - IPV6_PREFIX_BITS);
            IpAddr::V6(Ipv6Addr::from(kept << (Ipv6Addr::BITS - IPV6_PREFIX_BITS)))
        }
    }
}

/// Adds the header that tells a refused caller when to come back.
pub(crate) fn retry_after(headers: &mut HeaderMap, seconds: u64) {
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mainstay_core::caller::Caller;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::authenticate::Credential;
    use crate::token::Verified;

    fn rates(per: &str) -> Rates {
        let rate = Some(per.parse().unwrap());
        Rates {
            per_address: rate,
            per_user: rate,
            per_key: None,
            ..Rates::default()
        }
    }

    fn who(role: &str, user: Option<&str>) -> Authenticated {
        let verified = user.map(|user| {
            let mut claims = Map::new();
            claims.insert("sub".into(), Value::from(user));
            Arc::new(Verified::new(json!(claims).to_string().into(), claims))
        });
        Authenticated {
            caller: Caller::of_role(role),
            credential: Credential::Token,
            verified,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_admitted(limits: &Limits, peer: &str, who: Result<&Authenticated, &Error>, now: u64) -> bool {
        let quota = limits.count(ip(peer), &HeaderMap::new(), who, Some("anon"), Duration::from_secs(now));
        quota.refusal().is_none()
    }

    #[test]
    fn strangers_are_counted_by_address_and_users_by_who_they_are() {
        let limits = Limits::new(rates("2/minute"));
        let (anon, ann, bob) = (
            who("anon", None),
            who("authenticated", Some("ann")),
            who("x", Some("bob")),
        );
        for _ in 0..2 {
            assert!(is_admitted(&limits, "10.0.0.1", Ok(&anon), 0));
            assert!(is_admitted(&limits, "10.0.0.1", Ok(&ann), 0));
        }
        assert!(!is_admitted(&limits, "10.0.0.1", Ok(&anon), 0));
        assert!(
            !is_admitted(&limits, "10.0.0.1", Err(&Error::BadKey), 0),
            "a bad key is a stranger's"
        );
        assert!(
            !is_admitted(&limits, "10.0.0.9", Ok(&ann), 0),
            "a user is the same everywhere"
        );
        assert!(is_admitted(&limits, "10.0.0.1", Ok(&bob), 0));
        assert!(is_admitted(&limits, "10.0.0.2", Ok(&anon), 0));
        assert!(is_admitted(&limits, "10.0.0.1", Ok(&who("service_role", None)), 0));
        assert!(
            is_admitted(&limits, "10.0.0.1", Ok(&anon), 30),
            "half a window gives half a quota"
        );
        assert!(!is_admitted(&limits, "10.0.0.1", Ok(&anon), 30));
    }

    #[test]
    fn a_user_and_a_role_of_one_name_are_two() {
        let rate = Some("1/minute".parse().unwrap());
        let limits = Limits::new(Rates {
            per_user: rate,
            per_key: rate,
            ..Rates::default()
        });
        assert!(is_admitted(
            &limits,
            "::1",
            Ok(&who("authenticated", Some("partner"))),
            0
        ));
        assert!(is_admitted(&limits, "::1", Ok(&who("partner", None)), 0));
        assert!(!is_admitted(&limits, "::2", Ok(&who("partner", None)), 0));
    }

    #[test]
    fn one_ipv6_line_is_one_caller() {
        let limits = Limits::new(rates("1/hour"));
        let anon = who("anon", None);
        assert!(is_admitted(&limits, "2001:db8:0:1::1", Ok(&anon), 0));
        assert!(!is_admitted(&limits, "2001:db8:0:1:ffff::2", Ok(&anon), 0));
        assert!(is_admitted(&limits, "2001:db8:0:2::1", Ok(&anon), 0));
    }

    #[test]
    fn exempt_addresses_are_not_counted_and_loopback_is_not_exempt_by_itself() {
        let anon = who("anon", None);
        let limits = Limits::new(rates("1/hour"));
        assert!(is_admitted(&limits, "127.0.0.1", Ok(&anon), 0));
        assert!(!is_admitted(&limits, "127.0.0.1", Ok(&anon), 0));
        let limits = Limits::new(Rates {
            exempt: vec!["127.0.0.0/8".parse().unwrap()],
            ..rates("1/hour")
        });
        for _ in 0..3 {
            assert!(is_admitted(&limits, "127.0.0.1", Ok(&anon), 0));
        }
    }

    #[test]
    fn headers_name_the_policy_what_is_left_and_when_to_come_back() {
        let limits = Limits::new(Rates {
            per_key: Some("100/hour".parse().unwrap()),
            ..rates("2/minute")
        });
        let anon = who("anon", None);
        let mut texts = Vec::new();
        for _ in 0..3 {
            let quota = limits.count(
                ip("10.0.0.1"),
                &HeaderMap::new(),
                Ok(&anon),
                Some("anon"),
                Duration::ZERO,
            );
            let mut headers = HeaderMap::new();
            quota.apply(&mut headers);
            let text = |name: HeaderName| headers[name].to_str().unwrap().to_owned();
            texts.push((text(RATE_LIMIT), text(RATE_LIMIT_POLICY), quota.refusal()));
        }
        let both = "\"address\";q=2;w=60, \"key\";q=100;w=3600";
        assert_eq!(
            texts,
            [
                ("\"address\";r=1;t=30, \"key\";r=99;t=36".into(), both.into(), None),
                ("\"address\";r=0;t=60, \"key\";r=98;t=72".into(), both.into(), None),
                (
                    "\"address\";r=0;t=60".into(),
                    "\"address\";q=2;w=60".into(),
                    Some(Error::TooManyRequests { retry_seconds: 30 })
                ),
            ]
        );
    }

    #[test]
    fn without_a_rate_there_is_nothing_to_count() {
        let limits = Limits::new(Rates::default());
        for _ in 0..100 {
            let quota = limits.count(
                ip("10.0.0.1"),
                &HeaderMap::new(),
                Ok(&who("anon", None)),
                Some("anon"),
                Duration::ZERO,
            );
            assert_eq!(quota, Quota::default());
        }
    }
}
