//! Who asks: the role, the claims and the request's context that rules may look at.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::name::Ident;

/// Who asks, as what, and through which request.
///
/// The role decides grants and policies; the claims and the request's context are what `auth.uid()`,
/// `current_setting('request.jwt.claims')` and friends read. All of it is fixed when the request begins.
#[derive(Clone, Debug)]
pub struct Caller {
    pub role: Ident,
    /// The token's claims as JSON text with `role` always present, as PostgREST sets `request.jwt.claims`.
    pub claims: Arc<str>,
    pub request: RequestContext,
}

/// What PostgREST passes to the database as `request.*` settings.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// `GET`, `POST` …
    pub method: Arc<str>,
    /// Path below the API's prefix, such as `/orders`.
    pub path: Arc<str>,
    /// JSON object of lower-case header names; empty text means none.
    pub headers: Arc<str>,
    /// JSON object of cookies; empty text means none.
    pub cookies: Arc<str>,
    /// The schema chosen by the profile header, then the extra search path.
    pub search_path: Arc<[Ident]>,
    /// A time zone from `Prefer: timezone`, if one was accepted.
    pub time_zone: Option<Arc<str>>,
}

/// The role in whose name a room's own statements run.
const SYSTEM: &str = "postgres";

impl Caller {
    /// Mainstay itself: for [`Backend::own`](crate::backend::Backend::own) statements, which no request may write.
    pub fn system() -> Self {
        Caller {
            role: Ident::new(SYSTEM),
            claims: Arc::from(""),
            request: RequestContext::default(),
        }
    }

    /// A caller known by nothing but its role.
    pub fn of_role(role: impl Into<Ident>) -> Self {
        let role = role.into();
        let claims = format!("{{\"role\":{}}}", serde_json::Value::String(role.to_string()));
        Caller {
            role,
            claims: Arc::from(claims),
            request: RequestContext::default(),
        }
    }

    /// One claim's JSON text, or `None` when the claim or the whole object is absent.
    pub fn claim(&self, name: &str) -> Option<String> {
        let claims: std::collections::HashMap<String, &RawValue> = serde_json::from_str(&self.claims).ok()?;
        claims.get(name).map(|raw| raw.get().to_owned())
    }
}
