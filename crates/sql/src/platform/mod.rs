//! The platform: roles, schemas and tables that a Supabase project finds there and its migrations refer to.
//!
//! Lives here: one text for both engines, in PostgreSQL's dialect, as numbered steps. Each engine carries out the steps
//! that a database has not had; they are no migrations of the user's, are not listed with them and outlive a reset.
//! Not here: what reads and writes these tables (the rooms `auth`, `storage`, `realtime`), `auth.uid()` and its sisters
//! (known to the analyser).
//!
//! Source: `reference/supabase-surface.md` §2; the platform fixture of the conformance suite.

use mainstay_core::name::QualifiedName;

/// Schemas that are the platform's: users' migrations neither make nor drop them.
pub const SCHEMAS: &[&str] = &[
    "auth",
    "extensions",
    "storage",
    "realtime",
    "_realtime",
    "graphql",
    "graphql_public",
    "vault",
    "pgsodium",
    "pgbouncer",
    "supabase_functions",
    OWN_SCHEMA,
];

/// Where Mainstay's own rooms have their tables. Never exposed, whatever the settings say.
pub const OWN_SCHEMA: &str = "_mainstay";

/// Roles of Supabase's services: migrations name them in `OWNER TO` and `GRANT`, nobody signs in as them here.
pub const SERVICE_ROLES: &[&str] = &[
    "supabase_admin",
    "supabase_auth_admin",
    "supabase_functions_admin",
    "supabase_read_only_user",
    "supabase_realtime_admin",
    "supabase_replication_admin",
    "supabase_storage_admin",
    "dashboard_user",
    "pgbouncer",
];

/// One step of the platform.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What it brings; unique.
    pub name: &'static str,
    /// Schema, relation and perhaps a column: a database that has this is taken to have had the step, whoever made it.
    pub marker: (&'static str, &'static str, Option<&'static str>),
    /// Made where this is: a database whose `auth.users` is a stand-in of the user's own has no sign-in to add to.
    pub needs: Option<(&'static str, &'static str)>,
    /// PostgreSQL text.
    pub sql: &'static str,
}

/// A table of the platform's own `auth`.
const SIGN_IN: Option<(&str, &str)> = Some(("auth", "mfa_factors"));

impl Step {
    /// The relation of the marker.
    pub fn relation(&self) -> QualifiedName {
        QualifiedName::new(self.marker.0, self.marker.1)
    }

    /// The relation that it needs.
    pub fn needed(&self) -> Option<QualifiedName> {
        self.needs.map(|(schema, name)| QualifiedName::new(schema, name))
    }

    /// True if it makes tables of Mainstay's own: a database that was left as it is gets those when they are needed.
    pub fn is_own(&self) -> bool {
        self.marker.0 == OWN_SCHEMA
    }
}

/// All steps in order. A step that has been released never changes; what is new is a new step.
pub const STEPS: &[Step] = &[
    Step {
        name: "auth",
        marker: ("auth", "users", None),
        needs: None,
        sql: include_str!("auth.sql"),
    },
    Step {
        name: "storage",
        marker: ("storage", "objects", None),
        needs: None,
        sql: include_str!("storage.sql"),
    },
    Step {
        name: "realtime",
        marker: ("realtime", "messages", None),
        needs: None,
        sql: include_str!("realtime.sql"),
    },
    Step {
        name: "kept answers",
        marker: (OWN_SCHEMA, "kept_answers", None),
        needs: None,
        sql: include_str!("kept_answers.sql"),
    },
    Step {
        name: "challenges of second factors",
        marker: ("auth", "mfa_challenges", None),
        needs: SIGN_IN,
        sql: include_str!("mfa.sql"),
    },
    Step {
        name: "second factors",
        marker: (OWN_SCHEMA, "second_factors", None),
        needs: SIGN_IN,
        sql: include_str!("second_factors.sql"),
    },
    Step {
        name: "flow state",
        marker: ("auth", "flow_state", None),
        needs: SIGN_IN,
        sql: include_str!("flow_state.sql"),
    },
    Step {
        name: "one-time tokens",
        marker: ("auth", "one_time_tokens", None),
        needs: SIGN_IN,
        sql: include_str!("one_time_tokens.sql"),
    },
    Step {
        name: "messages",
        marker: (OWN_SCHEMA, "messages", None),
        needs: None,
        sql: include_str!("messages.sql"),
    },
    Step {
        name: "OAuth client states",
        marker: ("auth", "oauth_client_states", None),
        needs: SIGN_IN,
        sql: include_str!("oauth_client_states.sql"),
    },
    Step {
        name: "OAuth server",
        marker: ("auth", "oauth_clients", None),
        needs: SIGN_IN,
        sql: include_str!("oauth_server.sql"),
    },
    Step {
        name: "page sessions",
        marker: (OWN_SCHEMA, "page_sessions", None),
        needs: SIGN_IN,
        sql: include_str!("page_sessions.sql"),
    },
    Step {
        name: "messages of wallets",
        marker: (OWN_SCHEMA, "wallet_messages", None),
        needs: SIGN_IN,
        sql: include_str!("wallet_messages.sql"),
    },
    Step {
        name: "codes that were redeemed",
        marker: (OWN_SCHEMA, "redeemed_codes", None),
        needs: Some(("auth", "oauth_clients")),
        sql: include_str!("redeemed_codes.sql"),
    },
    Step {
        name: "passkeys",
        marker: ("auth", "webauthn_credentials", None),
        needs: SIGN_IN,
        sql: include_str!("webauthn.sql"),
    },
];

/// True for schemas that are the platform's.
pub fn is_platform_schema(name: &str) -> bool {
    SCHEMAS.contains(&name)
}
