//! The keys of `config.toml`: ours and the Supabase command line's. Others are reported, because a misspelt key that
//! is silently ignored is a setting that silently does not hold.

use toml::{Table, Value};

/// Sections in which any key may stand: what they configure belongs to rooms or tools that read them whole.
const OPEN: &[&str] = &[
    "analytics",
    "db.network_restrictions",
    "db.pooler",
    "db.settings",
    "db.vault",
    "edge_runtime",
    "experimental",
    "functions",
    "inbucket",
    "local_smtp",
    "realtime",
    "remotes",
    "storage",
    "studio",
    "auth.captcha",
    "auth.email",
    "auth.external",
    "auth.hook",
    "auth.mfa",
    "auth.oauth_server",
    "auth.passkey",
    "auth.passkeys",
    "auth.rate_limit",
    "auth.sessions",
    "auth.sms",
    "auth.third_party",
    "auth.web3",
    "auth.webauthn",
    "rest.app_settings",
    "mainstay.encryption",
    "mainstay.external",
    "mainstay.limits.query_cost_by_role",
    "mainstay.third_party",
];

const KEYS: &[&str] = &[
    "project_id",
    "api.enabled",
    "api.port",
    "api.schemas",
    "api.extra_search_path",
    "api.max_rows",
    "api.external_url",
    "api.auto_expose_new_tables",
    "api.tls.enabled",
    "api.tls.cert_path",
    "api.tls.key_path",
    "db.port",
    "db.shadow_port",
    "db.major_version",
    "db.health_timeout",
    "db.root_key",
    "db.ssl_enforcement.enabled",
    "db.migrations.enabled",
    "db.migrations.schema_paths",
    "db.seed.enabled",
    "db.seed.sql_paths",
    "auth.enabled",
    "auth.site_url",
    "auth.additional_redirect_urls",
    "auth.jwt_expiry",
    "auth.jwt_issuer",
    "auth.jwt_secret",
    "auth.anon_key",
    "auth.service_role_key",
    "auth.publishable_key",
    "auth.secret_key",
    "auth.signing_keys_path",
    "auth.external_url",
    "auth.enable_refresh_token_rotation",
    "auth.refresh_token_reuse_interval",
    "auth.enable_signup",
    "auth.enable_anonymous_sign_ins",
    "auth.enable_manual_linking",
    "auth.minimum_password_length",
    "auth.password_requirements",
    "mainstay.grants",
    "mainstay.require_key",
    "mainstay.allow_demo_secret",
    "mainstay.signing_algorithm",
    "mainstay.sms_url",
    "mainstay.smtp_encryption",
    "mainstay.synchronous",
    "mainstay.body_bytes_max",
    "mainstay.statement_timeout_ms",
    "mainstay.log_requests",
    "mainstay.idempotency_seconds",
    "mainstay.postgrest_version",
    "mainstay.slow_query_ms",
    "mainstay.types_file",
    "mainstay.limits.query_cost_max",
    "mainstay.limits.per_address",
    "mainstay.limits.per_user",
    "mainstay.limits.per_key",
    "mainstay.limits.trusted_proxies",
    "mainstay.limits.exempt",
    "mainstay.outgoing.allow",
    "mainstay.passwords.refuse_common",
    "mainstay.passwords.hibp",
    "mainstay.passwords.hibp_url",
    "mainstay.passwords.hibp_fail_closed",
    "mainstay.captcha.url",
    "rest.db_schemas",
    "rest.db_anon_role",
    "rest.db_extra_search_path",
    "rest.db_max_rows",
    "rest.db_pre_request",
    "rest.db_tx_end",
    "rest.db_aggregates_enabled",
    "rest.db_plan_enabled",
    "rest.db_uri",
    "rest.db_pool",
    "rest.db_prepared_statements",
    "rest.db_root_spec",
    "rest.db_hoisted_tx_settings",
    "rest.db_channel",
    "rest.db_channel_enabled",
    "rest.db_config",
    "rest.db_pre_config",
    "rest.db_pool_acquisition_timeout",
    "rest.db_pool_max_idletime",
    "rest.db_pool_max_lifetime",
    "rest.db_pool_automatic_recovery",
    "rest.jwt_secret",
    "rest.jwt_secret_is_base64",
    "rest.jwt_aud",
    "rest.jwt_role_claim_key",
    "rest.jwt_cache_max_entries",
    "rest.jwt_cache_max_lifetime",
    "rest.log_level",
    "rest.log_query",
    "rest.openapi_mode",
    "rest.openapi_security_active",
    "rest.openapi_server_proxy_uri",
    "rest.server_cors_allowed_origins",
    "rest.server_host",
    "rest.server_port",
    "rest.server_timing_enabled",
    "rest.server_trace_header",
    "rest.server_unix_socket",
    "rest.server_unix_socket_mode",
    "rest.admin_server_host",
    "rest.admin_server_port",
    "rest.client_error_verbosity",
    "rest.url_use_legacy_target_names",
];

/// Dotted names of the keys that nobody knows, in the file's order. A whole unknown section is named once.
pub fn unknown(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    collect("", table, &mut found);
    found
}

fn collect(prefix: &str, table: &Table, found: &mut Vec<String>) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        if KEYS.contains(&name.as_str()) || OPEN.contains(&name.as_str()) {
            continue;
        }
        let below = format!("{name}.");
        let is_section = KEYS.iter().chain(OPEN).any(|known| known.starts_with(&below));
        match value {
            Value::Table(inner) if is_section => collect(&name, inner, found),
            _ => found.push(name),
        }
    }
}
