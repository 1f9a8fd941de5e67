//! PostgREST's settings, by their names.

use std::collections::HashMap;

use mainstay_core::secret::Secret;
use mainstay_sql::platform::OWN_SCHEMA;

use super::{ConfigError, Reader, secret, split_list};

/// How a request's transaction ends (`db-tx-end`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxEnd {
    Commit,
    CommitAllowOverride,
    Rollback,
    RollbackAllowOverride,
}

/// Whose objects the root's document lists (`openapi-mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenApiMode {
    FollowPrivileges,
    IgnorePrivileges,
    Disabled,
}

/// The settings of `[rest]`.
#[derive(Clone, Debug)]
pub struct Rest {
    /// `db-schemas`: exposed, the first is the default.
    pub schemas: Vec<String>,
    pub extra_search_path: Vec<String>,
    /// `None`: no anonymous access.
    pub anon_role: Option<String>,
    /// The roles are the operator's own: a database is not given Supabase's.
    pub own_roles: bool,
    pub max_rows: Option<u64>,
    pub pre_request: Option<String>,
    pub tx_end: TxEnd,
    pub aggregates_enabled: bool,
    pub plan_enabled: bool,
    /// The routine that answers for the root.
    pub root_spec: Option<String>,
    pub openapi_mode: OpenApiMode,
    pub openapi_security: bool,
    /// The address that the root's document names.
    pub openapi_proxy: Option<String>,
    pub jwt_secret: Option<Secret<String>>,
    pub jwt_secret_is_base64: bool,
    pub jwt_audience: Option<String>,
    /// Claim names on the way to the role.
    pub jwt_role_claim: Vec<String>,
    pub cors_origins: Vec<String>,
    pub server_timing: bool,
    /// A request header that is echoed.
    pub trace_header: Option<String>,
    pub minimal_errors: bool,
    pub legacy_target_names: bool,
    /// `app.settings.*`
    pub app_settings: Vec<(String, String)>,
    /// Which PostgREST to follow where versions differ.
    pub postgrest_version: u32,
    pub database_url: Option<Secret<String>>,
}

struct Source<'a> {
    reader: &'a Reader<'a>,
    environment: &'a HashMap<String, String>,
}

impl Source<'_> {
    fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match self.environment.get(&format!("PGRST_{}", name.to_uppercase())) {
            Some(value) => Ok(Some(value.clone())),
            None => self.reader.text(&format!("rest.{name}")),
        }
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, ConfigError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("true" | "1" | "on" | "yes") => Ok(Some(true)),
            Some("false" | "0" | "off" | "no" | "") => Ok(Some(false)),
            Some(other) => Err(ConfigError::setting(
                name,
                format!("`{other}` is neither true nor false"),
            )),
        }
    }

    fn list(&self, name: &str) -> Result<Option<Vec<String>>, ConfigError> {
        match self.environment.get(&format!("PGRST_{}", name.to_uppercase())) {
            Some(value) => Ok(Some(split_list(value))),
            None => self.reader.list(&format!("rest.{name}")),
        }
    }
}

impl Rest {
    /// Reads `PGRST_*` over `[rest]` over `[api]`.
    pub fn read(reader: &Reader<'_>, environment: &HashMap<String, String>) -> Result<Self, ConfigError> {
        let source = Source { reader, environment };
        let max_rows = match source.text("db_max_rows")? {
            Some(text) if text.is_empty() => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| ConfigError::setting("db_max_rows", "must be a whole number"))?,
            ),
            None => reader.integer("api.max_rows")?,
        };
        let tx_end = match source.text("db_tx_end")?.as_deref() {
            None | Some("commit") => TxEnd::Commit,
            Some("commit-allow-override") => TxEnd::CommitAllowOverride,
            Some("rollback") => TxEnd::Rollback,
            Some("rollback-allow-override") => TxEnd::RollbackAllowOverride,
            Some(other) => {
                return Err(ConfigError::setting(
                    "db_tx_end",
                    format!("`{other}` is not one of PostgREST's"),
                ));
            }
        };
        let openapi_mode = match source.text("openapi_mode")?.as_deref() {
            None | Some("follow-privileges") => OpenApiMode::FollowPrivileges,
            Some("ignore-privileges") => OpenApiMode::IgnorePrivileges,
            Some("disabled") => OpenApiMode::Disabled,
            Some(other) => {
                return Err(ConfigError::setting(
                    "openapi_mode",
                    format!("`{other}` is not one of PostgREST's"),
                ));
            }
        };
        let schemas = match source.list("db_schemas")? {
            Some(list) => list,
            None => reader.list("api.schemas")?.unwrap_or_else(|| vec!["public".into()]),
        };
        if schemas.is_empty() {
            return Err(ConfigError::setting("db_schemas", "must name at least one schema"));
        }
        if schemas.iter().any(|schema| schema == OWN_SCHEMA) {
            return Err(ConfigError::setting(
                "db_schemas",
                format!("`{OWN_SCHEMA}` is Mainstay's own and is never exposed"),
            ));
        }
        let mut app_settings: Vec<(String, String)> = environment
            .iter()
            .filter_map(|(name, value)| {
                let name = name.strip_prefix("PGRST_APP_SETTINGS_")?;
                Some((name.to_lowercase(), value.clone()))
            })
            .collect();
        app_settings.sort();
        let postgrest_version: u32 = match reader.integer("mainstay.postgrest_version")? {
            Some(version) => version,
            None => environment
                .get("MAINSTAY_POSTGREST_VERSION")
                .and_then(|text| text.parse().ok())
                .unwrap_or(14),
        };
        if !(14..=17).contains(&postgrest_version) {
            return Err(ConfigError::setting(
                "mainstay.postgrest_version",
                "must be 14, 15, 16 or 17",
            ));
        }
        Ok(Rest {
            schemas,
            extra_search_path: match source.list("db_extra_search_path")? {
                Some(list) => list,
                None => reader
                    .list("api.extra_search_path")?
                    .unwrap_or_else(|| vec!["public".into()]),
            },
            own_roles: source.text("db_anon_role")?.is_some_and(|role| role != "anon"),
            anon_role: match source.text("db_anon_role")? {
                Some(role) if role.is_empty() => None,
                Some(role) => Some(role),
                None => Some("anon".into()),
            },
            max_rows,
            pre_request: source.text("db_pre_request")?.filter(|text| !text.is_empty()),
            tx_end,
            aggregates_enabled: source.flag("db_aggregates_enabled")?.unwrap_or(false),
            plan_enabled: source.flag("db_plan_enabled")?.unwrap_or(false),
            root_spec: source.text("db_root_spec")?.filter(|text| !text.is_empty()),
            openapi_mode,
            openapi_security: source.flag("openapi_security_active")?.unwrap_or(false),
            openapi_proxy: source.text("openapi_server_proxy_uri")?.filter(|text| !text.is_empty()),
            jwt_secret: match secret(source.text("jwt_secret")?) {
                Some(secret) => Some(secret),
                None => secret(reader.text("auth.jwt_secret")?),
            },
            jwt_secret_is_base64: source.flag("jwt_secret_is_base64")?.unwrap_or(false),
            jwt_audience: source.text("jwt_aud")?.filter(|text| !text.is_empty()),
            jwt_role_claim: role_claim(source.text("jwt_role_claim_key")?.as_deref().unwrap_or(".role")),
            cors_origins: source.list("server_cors_allowed_origins")?.unwrap_or_default(),
            server_timing: source.flag("server_timing_enabled")?.unwrap_or(false),
            trace_header: source.text("server_trace_header")?.filter(|text| !text.is_empty()),
            minimal_errors: source.text("client_error_verbosity")?.as_deref() == Some("minimal"),
            legacy_target_names: source.flag("url_use_legacy_target_names")?.unwrap_or(true),
            app_settings,
            postgrest_version,
            database_url: secret(source.text("db_uri")?),
        })
    }
}

/// Reads `.realm_access.roles[0]`, `$.role` and `."a.b"` as a list of names and positions.
fn role_claim(text: &str) -> Vec<String> {
    let mut path = Vec::new();
    let mut name = String::new();
    let mut quoted = false;
    for character in text.trim_start_matches('$').chars() {
        match character {
            '"' => quoted = !quoted,
            '.' | '[' | ']' if !quoted => {
                if !name.is_empty() {
                    path.push(std::mem::take(&mut name));
                }
            }
            other => name.push(other),
        }
    }
    if !name.is_empty() {
        path.push(name);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::role_claim;

    #[test]
    fn role_claims_are_paths() {
        assert_eq!(role_claim(".role"), ["role"]);
        assert_eq!(role_claim("$.role"), ["role"]);
        assert_eq!(role_claim(".realm.roles[0]"), ["realm", "roles", "0"]);
        assert_eq!(role_claim(".\"https://a.b/role\""), ["https://a.b/role"]);
    }
}
