//! The settings of the data API, by PostgREST's names.

use std::time::Duration;

use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::secret::Secret;

/// What the data API is set to. Source: PostgREST documentation, "Configuration".
#[derive(Clone, Debug)]
pub struct Config {
    /// `db-schemas`: the exposed ones; the first is the default. Never empty.
    pub schemas: Vec<Ident>,
    /// `db-extra-search-path`
    pub extra_search_path: Vec<Ident>,
    /// `db-max-rows`: rows at each level of a response.
    pub max_rows: Option<u64>,
    /// `db-tx-end`
    pub tx_end: TxEnd,
    /// `db-anon-role`: a refusal for lack of privilege is a 401 for this role and a 403 for others.
    pub anon_role: Option<Ident>,
    /// `db-pre-request`
    pub pre_request: Option<QualifiedName>,
    /// `db-aggregates-enabled`
    pub aggregates_enabled: bool,
    /// `db-plan-enabled`
    pub plan_enabled: bool,
    /// `db-root-spec`: the routine that answers `GET /`.
    pub root_spec: Option<Ident>,
    pub openapi: OpenApi,
    /// `openapi-security-active`: the document tells of tokens.
    pub openapi_security: bool,
    /// `openapi-server-proxy-uri`: the address that the document names.
    pub openapi_proxy: Option<String>,
    /// `server-timing-enabled`
    pub server_timing: bool,
    /// `client-error-verbosity`
    pub error_verbosity: ErrorVerbosity,
    /// `url-use-legacy-target-names`: filters may name an aliased embed by its relation.
    pub url_use_legacy_target_names: bool,
    pub version: PostgrestVersion,
    /// What cursors are encrypted with; `None`: they end with the process.
    pub cursor_secret: Option<Secret<String>>,
    /// Statements that take as long are logged with their plans; `None`: none are.
    pub slow_query: Option<Duration>,
    /// How long the answer to a request with an `Idempotency-Key` is kept.
    pub idempotency: Duration,
}

/// The time that clients are promised where nobody set another.
const IDEMPOTENCY: Duration = Duration::from_secs(24 * 3600);

impl Default for Config {
    fn default() -> Self {
        Config {
            schemas: vec![Ident::new("public")],
            extra_search_path: vec![Ident::new("public")],
            max_rows: None,
            tx_end: TxEnd::Commit,
            anon_role: None,
            pre_request: None,
            aggregates_enabled: false,
            plan_enabled: false,
            root_spec: None,
            openapi: OpenApi::default(),
            openapi_security: false,
            openapi_proxy: None,
            server_timing: false,
            error_verbosity: ErrorVerbosity::Verbose,
            url_use_legacy_target_names: true,
            version: PostgrestVersion::V14,
            cursor_secret: None,
            slow_query: None,
            idempotency: IDEMPOTENCY,
        }
    }
}

/// How a request's transaction ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TxEnd {
    #[default]
    Commit,
    /// Commits unless `Prefer: tx=rollback`.
    CommitAllowOverride,
    Rollback,
    /// Rolls back unless `Prefer: tx=commit`.
    RollbackAllowOverride,
}

impl TxEnd {
    /// May a request choose for itself?
    pub fn allows_override(self) -> bool {
        matches!(self, TxEnd::CommitAllowOverride | TxEnd::RollbackAllowOverride)
    }
}

/// `openapi-mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenApi {
    #[default]
    FollowPrivileges,
    IgnorePrivileges,
    Disabled,
}

/// How much an error body says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorVerbosity {
    /// Code and message alone.
    Minimal,
    #[default]
    Verbose,
}

/// Whose behaviour counts where PostgREST changed in a way that clients notice (`postgrest_version`).
///
/// From its changelog, after 14 (odd numbers are development versions, so 15 and 17 are no releases):
///
/// | changed in | what | `V14` | `V17` |
/// |---|---|---|---|
/// | 16 | `Prefer: timezone` with an unknown zone | ignored, or PGRST122 with `handling=strict` | 22023 |
/// | 16 | `Vary: Accept, Prefer, Range` | sent all the same: caches need it | sent |
/// | 16 | an aliased embed named by its relation in a filter | works, with a `Warning` header | the same |
/// | 16 | `jwt-role-claim-key` is a JSON path | settled where tokens are verified | the same |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PostgrestVersion {
    #[default]
    V14,
    V17,
}

impl PostgrestVersion {
    /// The version that a setting's number stands for.
    pub fn from_number(number: u32) -> Option<PostgrestVersion> {
        match number {
            14 | 15 => Some(PostgrestVersion::V14),
            16 | 17 => Some(PostgrestVersion::V17),
            _ => None,
        }
    }

    /// The number, as responses name it.
    pub(crate) fn number(self) -> u32 {
        match self {
            PostgrestVersion::V14 => 14,
            PostgrestVersion::V17 => 17,
        }
    }

    /// Is an unknown time zone ignored?
    pub(crate) fn forgives_time_zones(self) -> bool {
        self == PostgrestVersion::V14
    }
}
