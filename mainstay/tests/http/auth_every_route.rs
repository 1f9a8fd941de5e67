//! Suites over every route of sign-in, by one walk over all of them: `mass_assignment`, `headers` and `secrets_nowhere`.
//! A route that is new in the table and has no place in the walk fails here.

use std::collections::BTreeSet;

use http::Method;
use mainstay_testing::{Answer, engines};
use serde_json::Map;

use crate::auth_mass_assignment::protected;
use crate::auth_walk::{Heard, Walk};

type Known = BTreeSet<(String, &'static str)>;

fn heard(walk: &Walk) -> Known {
    let all = walk.heard.iter();
    all.map(|heard| (heard.method.to_string(), heard.pattern)).collect()
}

fn table() -> Known {
    mainstay_auth::table()
        .map(|(method, pattern, _)| (method.to_string(), pattern))
        .collect()
}

/// What says that it takes no such member, rather than to look past it.
/// Member by member, `auth_mass_assignment` asks it.
const REFUSES: &[&str] = &["PUT /user: not_admin"];

#[tokio::test]
async fn no_member_of_any_body_gives_more_than_its_route() {
    for engine in engines() {
        let mut plain = Walk::start(engine, Map::new(), &[]).await;
        plain.go().await;
        let missing: Vec<_> = table().difference(&heard(&plain)).cloned().collect();
        assert!(missing.is_empty(), "no step of the walk asks {missing:?}");
        let members = protected().into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut bent = Walk::start(engine, members.collect(), &[]).await;
        bent.go().await;
        assert_eq!(plain.heard.len(), bent.heard.len());
        let refused: Vec<&str> = bent.refused.iter().map(String::as_str).collect();
        assert_eq!(refused, REFUSES);
        for (plain, bent) in plain.heard.iter().zip(&bent.heard) {
            let what = format!("{engine:?} {} {}", plain.method, plain.pattern);
            assert_eq!(plain.answer.status, bent.answer.status, "{what}");
            assert_eq!(plain.standing, bent.standing, "{what}: {}", bent.answer.text());
        }
    }
}

/// What may be kept by everybody.
const KEPT: &[&str] = &[
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
];
/// What browsers are given cookies by.
const GIVES_COOKIES: &[&str] = &[
    "/authorize",
    "/user/identities/authorize",
    "/callback",
    "/verify",
    "/pages/{id}",
    "/pages/{id}/{id}",
];

fn holds(heard: &Heard, own: &str, provider: &str) {
    let Heard { pattern, answer, .. } = heard;
    let what = format!("{} {pattern} {}", heard.method, answer.status);
    let is_style = answer.header("content-type").starts_with("text/css");
    match KEPT.contains(pattern) || is_style {
        true => assert!(answer.header("cache-control").starts_with("public, max-age="), "{what}"),
        false => assert_eq!(answer.header("cache-control"), "no-store", "{what}"),
    }
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(answer.header("referrer-policy"), "no-referrer", "{what}");
    for name in ["server", "x-powered-by", "access-control-allow-credentials"] {
        assert_eq!(answer.header(name), "", "{what}: {name}");
    }
    for cookie in answer.headers.get_all("set-cookie") {
        let cookie = cookie.to_str().unwrap();
        assert!(GIVES_COOKIES.contains(pattern), "{what}: {cookie}");
        for part in ["; HttpOnly", "; SameSite=", "; Path=/auth/v1/"] {
            assert!(cookie.contains(part), "{what}: {cookie}");
        }
        assert!(!cookie.contains("Domain="), "{what}: {cookie}");
    }
    let to = answer.header("location");
    // A host may end there, and not go on.
    let is_below = |place: &str| {
        let rest = to.strip_prefix(place);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    };
    let places = [own, provider, "https://shop.example", "https://app.example", "/auth/v1"];
    assert!(to.is_empty() || places.into_iter().any(is_below), "{what}: {to}");
    match answer.header("content-type") {
        "" => assert!(answer.body.is_empty(), "{what}: {}", answer.text()),
        "application/json" => {}
        kind if kind.starts_with("text/html") => is_guarded(answer, &what),
        kind => assert!(is_style, "{what}: {kind}"),
    }
}

fn is_guarded(page: &Answer, what: &str) {
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action "] {
        assert!(policy.contains(part), "{what}: {policy}");
    }
    for part in ["unsafe", "script-src", "form-action *", "default-src *"] {
        assert!(!policy.contains(part), "{what}: {policy}");
    }
    assert_eq!(page.header("x-frame-options"), "DENY", "{what}");
    assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{what}");
    assert!(!page.text().contains("<script"), "{what}");
}

#[tokio::test]
async fn every_answer_is_for_its_caller_alone_and_leads_nowhere_else() {
    for engine in engines() {
        let mut walk = Walk::start(engine, Map::new(), &[]).await;
        walk.go().await;
        let (own, provider) = (walk.auth.server.url.clone(), walk.provider.url().to_owned());
        for heard in &walk.heard {
            holds(heard, &own, &provider);
        }
        // What may be read from the pages of other origins is no page of ours, and no way to or from a provider.
        for heard in walk.heard.iter().filter(|heard| heard.pattern.starts_with("/pages/")) {
            assert_eq!(
                heard.answer.header("access-control-allow-origin"),
                "",
                "{}",
                heard.pattern
            );
        }
        assert!(walk.heard.iter().any(|heard| heard.method == Method::DELETE));
    }
}

#[tokio::test]
async fn what_any_route_takes_or_gives_is_in_no_line_of_the_log() {
    for engine in engines() {
        let mut walk = Walk::start(engine, Map::new(), &[("RUST_LOG", "trace")]).await;
        walk.go().await;
        let log = walk.auth.log().await;
        assert!(
            log.contains("TRACE") || log.contains("DEBUG"),
            "the log says too little"
        );
        let given = walk.given();
        assert!(given.len() > 60, "{}", given.len());
        for secret in &given {
            // What a token says is nobody's secret, but its signature is. A code of six digits may be part of a number.
            let part = secret.rsplit('.').next().unwrap();
            let is_word = |line: &str| match part.len() > 8 {
                true => line.contains(part),
                false => line
                    .split(|letter: char| !letter.is_ascii_alphanumeric())
                    .any(|word| word == part),
            };
            let line = log.lines().find(|line| is_word(line));
            assert_eq!(line, None, "{engine:?}: the log has {secret}");
        }
    }
}
