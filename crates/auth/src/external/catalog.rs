//! The providers that are known by name: where they are, what is asked of them, and how their answers are read.
//!
//! Source: each provider's published documentation of its OAuth 2 or OpenID Connect endpoints.

/// A provider, as far as it is the same for every project.
#[derive(Debug)]
pub struct Description {
    /// As clients and settings name it.
    pub name: &'static str,
    pub kind: Kind,
    /// Scopes that are always asked for.
    pub scopes: &'static [&'static str],
    pub pkce: Pkce,
    /// The answer is posted by a form (OAuth 2.0 Form Post Response Mode), which browsers send without lax cookies.
    pub is_form_post: bool,
}

/// How a provider is spoken to.
#[derive(Debug)]
pub enum Kind {
    /// OpenID Connect: endpoints and keys are published, somebody is known by an ID token.
    Discovered(Discovered),
    /// OAuth 2: somebody is known by what the provider's own interface says.
    Described(&'static Described),
}

/// An OpenID Connect provider.
#[derive(Debug)]
pub struct Discovered {
    pub issuer: Issuer,
    /// Names of the same issuer that its tokens may have.
    pub also: &'static [&'static str],
    /// The token gives back the nonce that was sent.
    pub has_nonce: bool,
    /// Every address that it names is its user's own, although it does not say so.
    pub vouches: bool,
}

/// Who issues the tokens.
#[derive(Debug)]
pub enum Issuer {
    Fixed(&'static str),
    /// The settings' `url` is the issuer.
    Url,
    /// Microsoft: every tenant is an issuer of its own, and `url` may name one.
    Tenants,
}

/// Proof that whoever brings the code began the flow (RFC 7636), towards the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkce {
    Always,
    Never,
    /// If it says that it understands it.
    IfPublished,
}

/// An OAuth 2 provider.
#[derive(Debug)]
pub struct Described {
    pub authorize: Endpoint,
    pub token: Endpoint,
    pub api: Endpoint,
    /// Where its interface is on a server of one's own, if that is elsewhere than [`Described::api`].
    pub api_on_own: Option<&'static str>,
    pub client: ClientAuth,
    /// Path of what it says of the user, below `api`.
    pub user: &'static str,
    pub quirk: Option<Quirk>,
    pub subject: &'static str,
    pub email: &'static str,
    pub verified: Verified,
    /// A list of all addresses.
    pub emails: Option<Emails>,
    /// Claims with the JSON pointers (RFC 6901) of where they stand.
    pub claims: &'static [(&'static str, &'static str)],
    /// The same for what only this provider has.
    pub custom: &'static [(&'static str, &'static str)],
}

/// A place at a provider. Where the settings name a server of one's own, its address takes the place of `host`.
#[derive(Debug)]
pub struct Endpoint {
    pub host: &'static str,
    pub path: &'static str,
}

/// How the project proves itself where codes are redeemed (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    Basic,
    Body,
}

/// What one provider alone wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// Twitch: the client's id in a header.
    ClientIdHeader,
    /// Facebook: a keyed hash of the token, so that a stolen one is of no use.
    AppSecretProof,
}

/// Whether the address is the user's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The provider gives out no other.
    Always,
    Never,
    /// It says so there: true.
    True(&'static str),
    /// It says when: something stands there.
    Filled(&'static str),
}

/// A list of addresses.
#[derive(Debug)]
pub struct Emails {
    pub path: &'static str,
    /// Where the list stands in the answer.
    pub list: &'static str,
    pub email: &'static str,
    pub verified: &'static str,
    pub primary: &'static str,
}

const fn at(host: &'static str, path: &'static str) -> Endpoint {
    Endpoint { host, path }
}

const fn oidc(issuer: &'static str) -> Discovered {
    Discovered {
        issuer: Issuer::Fixed(issuer),
        also: &[],
        has_nonce: true,
        vouches: false,
    }
}

const fn described(
    name: &'static str,
    scopes: &'static [&'static str],
    pkce: Pkce,
    kind: &'static Described,
) -> Description {
    Description {
        name,
        kind: Kind::Described(kind),
        scopes,
        pkce,
        is_form_post: false,
    }
}

const fn discovered(name: &'static str, scopes: &'static [&'static str], pkce: Pkce, kind: Discovered) -> Description {
    Description {
        name,
        kind: Kind::Discovered(kind),
        scopes,
        pkce,
        is_form_post: false,
    }
}

/// What every OpenID Connect issuer is asked for.
const OPENID: &[&str] = &["openid", "email", "profile"];

/// Any OpenID Connect issuer that the settings name.
pub static ANY_ISSUER: Description = discovered(
    "custom",
    OPENID,
    Pkce::IfPublished,
    Discovered {
        issuer: Issuer::Url,
        also: &[],
        has_nonce: true,
        vouches: false,
    },
);

/// All that are known by name.
pub static CATALOG: &[Description] = &[
    Description {
        name: "apple",
        kind: Kind::Discovered(Discovered {
            issuer: Issuer::Fixed("https://appleid.apple.com"),
            also: &["https://account.apple.com"],
            has_nonce: true,
            vouches: true,
        }),
        scopes: &["email", "name"],
        pkce: Pkce::Never,
        is_form_post: true,
    },
    discovered(
        "azure",
        &["openid"],
        Pkce::Always,
        Discovered {
            issuer: Issuer::Tenants,
            also: &[],
            has_nonce: true,
            vouches: false,
        },
    ),
    described("discord", &["email", "identify"], Pkce::Always, &DISCORD),
    described("facebook", &["email"], Pkce::Never, &FACEBOOK),
    described("github", &["user:email"], Pkce::Always, &GITHUB),
    described("gitlab", &["read_user"], Pkce::Always, &GITLAB),
    discovered(
        "google",
        OPENID,
        Pkce::IfPublished,
        Discovered {
            also: &["accounts.google.com"],
            ..oidc("https://accounts.google.com")
        },
    ),
    discovered(
        "keycloak",
        OPENID,
        Pkce::IfPublished,
        Discovered {
            issuer: Issuer::Url,
            also: &[],
            has_nonce: true,
            vouches: false,
        },
    ),
    discovered(
        "linkedin_oidc",
        OPENID,
        Pkce::Never,
        Discovered {
            has_nonce: false,
            ..oidc("https://www.linkedin.com/oauth")
        },
    ),
    described("slack", OPENID, Pkce::Never, &SLACK),
    discovered("slack_oidc", OPENID, Pkce::Never, oidc("https://slack.com")),
    described("spotify", &["user-read-email"], Pkce::Always, &SPOTIFY),
    described("twitch", &["user:read:email"], Pkce::Never, &TWITCH),
    described("twitter", X_SCOPES, Pkce::Always, &X),
    described("x", X_SCOPES, Pkce::Always, &X),
];

/// The provider of this name.
pub fn by_name(name: &str) -> Option<&'static Description> {
    CATALOG.iter().find(|description| description.name == name)
}

static DISCORD: Described = Described {
    authorize: at("discord.com", "/api/oauth2/authorize"),
    token: at("discord.com", "/api/oauth2/token"),
    api: at("discord.com", "/api"),
    api_on_own: None,
    client: ClientAuth::Body,
    user: "/users/@me",
    quirk: None,
    subject: "/id",
    email: "/email",
    verified: Verified::True("/verified"),
    emails: None,
    claims: &[("name", "/username"), ("full_name", "/username")],
    custom: &[("global_name", "/global_name")],
};

static FACEBOOK: Described = Described {
    authorize: at("www.facebook.com", "/dialog/oauth"),
    token: at("graph.facebook.com", "/oauth/access_token"),
    api: at("graph.facebook.com", ""),
    api_on_own: None,
    client: ClientAuth::Body,
    user: "/me?fields=email,first_name,last_name,name,picture",
    quirk: Some(Quirk::AppSecretProof),
    subject: "/id",
    email: "/email",
    // An account's address is confirmed before it is given to applications.
    verified: Verified::Always,
    emails: None,
    claims: &[
        ("name", "/name"),
        ("full_name", "/name"),
        ("nickname", "/name"),
        ("slug", "/name"),
        ("given_name", "/first_name"),
        ("family_name", "/last_name"),
        ("picture", "/picture/data/url"),
        ("avatar_url", "/picture/data/url"),
    ],
    custom: &[],
};

static GITHUB: Described = Described {
    authorize: at("github.com", "/login/oauth/authorize"),
    token: at("github.com", "/login/oauth/access_token"),
    api: at("api.github.com", ""),
    api_on_own: Some("/api/v3"),
    client: ClientAuth::Body,
    user: "/user",
    quirk: None,
    subject: "/id",
    // The public address is what its user likes to show; the list has those that are confirmed.
    email: "",
    verified: Verified::Never,
    emails: Some(Emails {
        path: "/user/emails",
        list: "",
        email: "/email",
        verified: "/verified",
        primary: "/primary",
    }),
    claims: &[
        ("name", "/name"),
        ("full_name", "/name"),
        ("preferred_username", "/login"),
        ("user_name", "/login"),
        ("avatar_url", "/avatar_url"),
    ],
    custom: &[],
};

static GITLAB: Described = Described {
    authorize: at("gitlab.com", "/oauth/authorize"),
    token: at("gitlab.com", "/oauth/token"),
    api: at("gitlab.com", "/api/v4"),
    api_on_own: None,
    client: ClientAuth::Body,
    user: "/user",
    quirk: None,
    subject: "/id",
    email: "/email",
    verified: Verified::Filled("/confirmed_at"),
    emails: None,
    claims: &[
        ("name", "/name"),
        ("full_name", "/name"),
        ("picture", "/avatar_url"),
        ("avatar_url", "/avatar_url"),
    ],
    custom: &[],
};

static SLACK: Described = Described {
    authorize: at("slack.com", "/oauth/authorize"),
    token: at("slack.com", "/api/oauth.access"),
    api: at("slack.com", "/api"),
    api_on_own: None,
    client: ClientAuth::Body,
    user: "/openid.connect.userInfo",
    quirk: None,
    subject: "/https:~1~1slack.com~1user_id",
    email: "/email",
    verified: Verified::True("/email_verified"),
    emails: None,
    claims: &[
        ("name", "/name"),
        ("full_name", "/name"),
        ("picture", "/picture"),
        ("avatar_url", "/picture"),
    ],
    custom: &[("https://slack.com/team_id", "/https:~1~1slack.com~1team_id")],
};

static SPOTIFY: Described = Described {
    authorize: at("accounts.spotify.com", "/authorize"),
    token: at("accounts.spotify.com", "/api/token"),
    api: at("api.spotify.com", "/v1"),
    api_on_own: None,
    client: ClientAuth::Basic,
    user: "/me",
    quirk: None,
    subject: "/id",
    email: "/email",
    // "Unverified: there is no proof that it actually belongs to the user", says its documentation.
    verified: Verified::Never,
    emails: None,
    claims: &[
        ("name", "/display_name"),
        ("full_name", "/display_name"),
        ("picture", "/images/0/url"),
        ("avatar_url", "/images/0/url"),
    ],
    custom: &[],
};

static TWITCH: Described = Described {
    authorize: at("id.twitch.tv", "/oauth2/authorize"),
    token: at("id.twitch.tv", "/oauth2/token"),
    api: at("api.twitch.tv", "/helix"),
    api_on_own: None,
    client: ClientAuth::Body,
    user: "/users",
    quirk: Some(Quirk::ClientIdHeader),
    subject: "/data/0/id",
    email: "/data/0/email",
    // "The user's verified email address", says its documentation.
    verified: Verified::Always,
    emails: None,
    claims: &[
        ("name", "/data/0/login"),
        ("full_name", "/data/0/login"),
        ("nickname", "/data/0/display_name"),
        ("slug", "/data/0/display_name"),
        ("picture", "/data/0/profile_image_url"),
        ("avatar_url", "/data/0/profile_image_url"),
    ],
    custom: &[
        ("broadcaster_type", "/data/0/broadcaster_type"),
        ("description", "/data/0/description"),
        ("type", "/data/0/type"),
    ],
};

const X_SCOPES: &[&str] = &["users.email", "tweet.read", "users.read", "offline.access"];

static X: Described = Described {
    authorize: at("x.com", "/i/oauth2/authorize"),
    token: at("api.x.com", "/2/oauth2/token"),
    api: at("api.x.com", "/2"),
    api_on_own: None,
    client: ClientAuth::Basic,
    user: "/users/me?user.fields=id,name,username,confirmed_email,profile_image_url,url,created_at",
    quirk: None,
    subject: "/data/id",
    email: "/data/confirmed_email",
    verified: Verified::Always,
    emails: None,
    claims: &[
        ("name", "/data/name"),
        ("full_name", "/data/name"),
        ("preferred_username", "/data/username"),
        ("user_name", "/data/username"),
        ("picture", "/data/profile_image_url"),
        ("avatar_url", "/data/profile_image_url"),
        ("website", "/data/url"),
    ],
    custom: &[("created_at", "/data/created_at")],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_places_are_places() {
        for (index, one) in CATALOG.iter().enumerate() {
            assert!(
                CATALOG[index + 1..].iter().all(|other| other.name != one.name),
                "{}",
                one.name
            );
            let Kind::Described(described) = one.kind else { continue };
            for endpoint in [&described.authorize, &described.token, &described.api] {
                assert!(
                    endpoint.path.is_empty() || endpoint.path.starts_with('/'),
                    "{}",
                    one.name
                );
                assert!(!endpoint.host.contains('/'), "{}", one.name);
            }
            assert!(
                described.user.starts_with('/') && described.subject.starts_with('/'),
                "{}",
                one.name
            );
            for (_, pointer) in described.claims.iter().chain(described.custom) {
                assert!(pointer.starts_with('/'), "{}", one.name);
            }
        }
    }
}
