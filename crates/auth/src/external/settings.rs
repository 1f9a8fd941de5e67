//! Which providers the project uses, and as whom.

use mainstay_core::secret::Secret;

use super::catalog::{self, ANY_ISSUER, Described, Description, Discovered, Endpoint, Issuer, Kind};

/// What the names of issuers that the settings alone know begin with.
pub const CUSTOM: &str = "custom:";
/// Where Microsoft's tenants are.
const MICROSOFT: &str = "https://login.microsoftonline.com/";

/// A provider that is switched on.
#[derive(Clone, Debug)]
pub struct Provider {
    /// As clients name it, and as identities keep it.
    pub name: String,
    pub description: &'static Description,
    /// The first is sent; tokens made for any of them are taken.
    pub client_ids: Vec<String>,
    pub secret: Secret<String>,
    /// Where the provider sends browsers back to, if not to the room's own callback.
    pub redirect_uri: Option<String>,
    /// A server of one's own, a tenant, an issuer; without a slash at its end.
    pub url: Option<String>,
    /// ID tokens that clients bring need no nonce.
    pub skip_nonce_check: bool,
    /// Somebody without an address may sign in.
    pub email_optional: bool,
    /// Scopes that are asked for beside those of the description.
    pub scopes: Vec<String>,
}

impl Provider {
    /// The client's id towards the provider.
    pub fn client_id(&self) -> &str {
        self.client_ids.first().map_or("", String::as_str)
    }

    /// Checks what the settings must hold. Errors: what is missing, for operators.
    pub fn check(&self) -> Result<(), String> {
        if self.client_id().is_empty() {
            return Err("needs a `client_id`".into());
        }
        if let Some(url) = &self.url
            && !url.starts_with("https://")
            && !url.starts_with("http://")
        {
            return Err(format!("`url` is `{url}`, which is no URL"));
        }
        match &self.description.kind {
            Kind::Discovered(Discovered {
                issuer: Issuer::Url, ..
            }) if self.url.is_none() => Err("needs a `url`: the issuer's".into()),
            _ => Ok(()),
        }
    }

    /// True if the browser flow can be begun: codes are redeemed with a secret.
    pub fn has_secret(&self) -> bool {
        !self.secret.expose().is_empty()
    }

    /// The address of a place at a provider that is described.
    pub fn at(&self, endpoint: &Endpoint) -> String {
        match &self.url {
            Some(url) => format!("{url}{}", endpoint.path),
            None => format!("https://{}{}", endpoint.host, endpoint.path),
        }
    }

    /// Where a described provider's interface is.
    pub fn api(&self, described: &Described) -> String {
        match (&self.url, described.api_on_own) {
            (Some(url), Some(path)) => format!("{url}{path}"),
            _ => self.at(&described.api),
        }
    }

    /// The issuer whose endpoints and keys count. Where every tenant is one, `claimed` is what a token says of itself:
    /// `None` if such a token is not taken.
    pub fn issuer(&self, discovered: &Discovered, claimed: Option<&str>) -> Option<String> {
        let own = match discovered.issuer {
            Issuer::Fixed(issuer) => issuer.to_owned(),
            Issuer::Url => self.url.clone()?,
            Issuer::Tenants => return self.tenant(claimed),
        };
        Some(own)
    }

    fn tenant(&self, claimed: Option<&str>) -> Option<String> {
        let own = self.url.as_ref().map(|url| format!("{url}/v2.0"));
        // These two are places at which anybody signs in, and no issuers of anything.
        let own = own.filter(|url| {
            !["common", "organizations"]
                .iter()
                .any(|any| url.ends_with(&format!("/{any}/v2.0")))
        });
        match (own, claimed) {
            (Some(own), None) => Some(own),
            (Some(own), Some(claimed)) => (claimed.trim_end_matches('/') == own).then_some(own),
            (None, None) => None,
            (None, Some(claimed)) => {
                let tenant = claimed
                    .strip_prefix(MICROSOFT)?
                    .trim_end_matches('/')
                    .strip_suffix("/v2.0")?;
                let is_tenant = tenant.len() == 36 && tenant.parse::<uuid::Uuid>().is_ok();
                is_tenant.then(|| format!("{MICROSOFT}{tenant}/v2.0"))
            }
        }
    }

    /// True if every address that its tokens name is its user's own, although they do not say so. A tenant that the
    /// settings name is the project's own; in others anybody may write what they like.
    pub fn vouches(&self, discovered: &Discovered) -> bool {
        match discovered.issuer {
            Issuer::Tenants => self.tenant(None).is_some(),
            _ => discovered.vouches,
        }
    }

    /// Where Microsoft's tenants sign in and redeem codes: a path below its place.
    pub fn at_tenant(&self, path: &str) -> String {
        match &self.url {
            Some(url) => format!("{url}/oauth2/v2.0/{path}"),
            None => format!("{MICROSOFT}common/oauth2/v2.0/{path}"),
        }
    }
}

/// The description that a name of the settings means: one of the catalog's, or `custom:…`.
pub fn described(name: &str) -> Option<&'static Description> {
    match name.strip_prefix(CUSTOM) {
        Some(own) => is_name(own).then_some(&ANY_ISSUER),
        None => catalog::by_name(name),
    }
}

/// Lower case letters, digits and hyphens.
fn is_name(text: &str) -> bool {
    (1..=50).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, url: Option<&str>) -> Provider {
        Provider {
            name: name.into(),
            description: described(name).unwrap(),
            client_ids: vec!["id".into()],
            secret: Secret::new("s".into()),
            redirect_uri: None,
            url: url.map(str::to_owned),
            skip_nonce_check: false,
            email_optional: false,
            scopes: Vec::new(),
        }
    }

    #[test]
    fn a_server_of_ones_own_takes_the_place_of_the_providers() {
        let endpoints = |url| {
            let provider = provider("github", url);
            let Kind::Described(described) = provider.description.kind else {
                panic!("it is described")
            };
            (provider.at(&described.token), provider.api(described))
        };
        assert_eq!(
            endpoints(None),
            (
                "https://github.com/login/oauth/access_token".into(),
                "https://api.github.com".into()
            )
        );
        assert_eq!(
            endpoints(Some("https://git.example")),
            (
                "https://git.example/login/oauth/access_token".into(),
                "https://git.example/api/v3".into()
            )
        );
    }

    #[test]
    fn tenants_are_told_apart() {
        let issuer = |url, claimed| {
            let provider = provider("azure", url);
            let Kind::Discovered(discovered) = &provider.description.kind else {
                panic!("it is discovered")
            };
            provider.issuer(discovered, claimed)
        };
        let (one, other) = (
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
            "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001/v2.0",
        );
        let own = one.strip_suffix("/v2.0");
        assert_eq!(issuer(None, Some(one)).as_deref(), Some(one));
        assert_eq!(issuer(own, Some(one)).as_deref(), Some(one));
        assert_eq!(issuer(own, Some(other)), None);
        assert_eq!(
            issuer(Some("https://login.microsoftonline.com/common"), Some(other)).as_deref(),
            Some(other)
        );
        for bad in [
            "https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com.evil.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
            "https://evil.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/../x/v2.0",
            "",
        ] {
            assert_eq!(issuer(None, Some(bad)), None, "{bad}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(provider("google", None).check().is_ok());
        assert!(provider("custom:acme", None).check().unwrap_err().contains("url"));
        assert!(provider("keycloak", Some("sso.example")).check().is_err());
        for name in ["custom:", "custom:Acme", "custom:a/b", "nobody"] {
            assert!(described(name).is_none(), "{name}");
        }
    }
}
