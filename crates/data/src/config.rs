//! The settings of the data API, by PostgREST's names.

use mainstay_core::name::{Ident, QualifiedName};

/// The version that clients in use were written for.
const POSTGREST_VERSION: u32 = 14;
/// From this version on an unknown time zone is the database's business.
const STRICT_TIME_ZONES_SINCE: u32 = 16;

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
    /// `server-timing-enabled`
    pub server_timing: bool,
    /// `client-error-verbosity = minimal`: errors say code and message alone.
    pub minimal_errors: bool,
    /// `url-use-legacy-target-names`: filters may name an aliased embed by its relation.
    pub legacy_target_names: bool,
    /// Whose behaviour counts where PostgREST changed in a way that clients notice (`postgrest_version`).
    ///
    /// From its changelog, after 14 (odd numbers are development versions, so 15 and 17 are no releases):
    ///
    /// | changed in | what | 14 | 16 and later |
    /// |---|---|---|---|
    /// | 16 | `Prefer: timezone` with an unknown zone | ignored, or PGRST122 with `handling=strict` | 22023 |
    /// | 16 | `Vary: Accept, Prefer, Range` | sent all the same: caches need it | sent |
    /// | 16 | an aliased embed named by its relation in a filter | works, with a `Warning` header | the same |
    /// | 16 | `jwt-role-claim-key` is a JSON path | settled where tokens are verified | the same |
    pub postgrest_version: u32,
}

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
            server_timing: false,
            minimal_errors: false,
            legacy_target_names: true,
            postgrest_version: POSTGREST_VERSION,
        }
    }
}

impl Config {
    /// Is an unknown time zone ignored?
    pub(crate) fn is_lenient_with_time_zones(&self) -> bool {
        self.postgrest_version < STRICT_TIME_ZONES_SINCE
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
