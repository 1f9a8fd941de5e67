//! What an application may ask for.

/// Every scope that is known (OpenID Connect Core §5.4, §11).
pub const SUPPORTED: &[&str] = &["openid", "profile", "email", "phone", "offline_access"];
/// What is asked for where nothing is named.
pub const USUAL: &str = "email";

/// A set of scopes, each known and named once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(Vec<&'static str>);

impl Scopes {
    /// Reads scopes with blanks between them. Errors: one that is unknown.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let text = if text.trim().is_empty() { USUAL } else { text };
        let mut found = Vec::new();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            let Some(known) = SUPPORTED.iter().find(|known| **known == name) else {
                return Err("unsupported scope");
            };
            if !found.contains(known) {
                found.push(*known);
            }
        }
        Ok(Scopes(found))
    }

    /// Scopes as they are kept. What is not known any more is left out.
    pub fn kept(text: &str) -> Self {
        let known = |name: &str| SUPPORTED.iter().copied().find(|known| *known == name);
        Scopes(text.split(' ').filter_map(known).collect())
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// True if everything of `wanted` is among these.
    pub fn cover(&self, wanted: &Scopes) -> bool {
        wanted.0.iter().all(|name| self.has(name))
    }

    pub fn list(&self) -> &[&'static str] {
        &self.0
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_known_and_named_once() {
        assert_eq!(
            Scopes::read("openid  email openid").unwrap().to_string(),
            "openid email"
        );
        assert_eq!(Scopes::read(" ").unwrap().to_string(), USUAL);
        for bad in ["admin", "openid,email", "openid admin", "OPENID"] {
            assert!(Scopes::read(bad).is_err(), "{bad}");
        }
        let all = Scopes::kept("email openid profile gone");
        assert!(all.cover(&Scopes::read("openid email").unwrap()));
        assert!(!Scopes::read("openid").unwrap().cover(&all));
    }
}
