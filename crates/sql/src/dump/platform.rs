//! What belongs to the platform and not to a project, and what of a project hangs on it.

use std::collections::BTreeSet;

use mainstay_core::definition::{Definitions, TableDefinition};
use mainstay_core::name::{Ident, QualifiedName};

/// Schemas that Supabase makes beside those that Mainstay has (its command line leaves out the same).
const SCHEMAS: &[&str] = &[
    "_analytics",
    "_supavisor",
    "cron",
    "dbdev",
    "information_schema",
    "net",
    "pgmq",
    "pgsodium_masks",
    "pgtle",
    "repack",
    "supabase_migrations",
    "tiger",
    "tiger_data",
    "topology",
];

/// Roles that every database of the platform has.
const ROLES: &[&str] = &[
    "anon",
    "authenticated",
    "authenticator",
    "cli_login_postgres",
    "dashboard_user",
    "pgbouncer",
    "pgsodium_keyholder",
    "pgsodium_keyiduser",
    "pgsodium_keymaker",
    "pgtle_admin",
    "postgres",
    "service_role",
];

/// Extensions that a database of the platform comes with.
const EXTENSIONS: &[&str] = &[
    "pg_graphql",
    "pg_stat_statements",
    "pg_tle",
    "pgjwt",
    "pgsodium",
    "plpgsql",
    "supabase_vault",
];

/// The roles that requests run as.
pub const API_ROLES: &[&str] = &["anon", "authenticated", "service_role"];

/// True for the platform's own schemas and PostgreSQL's.
pub fn is_platform_schema(name: &str) -> bool {
    crate::platform::is_platform_schema(name) || SCHEMAS.contains(&name) || name.starts_with("pg_")
}

/// True for the publication that realtime listens to, which every database has.
pub fn is_platform_publication(name: &str) -> bool {
    name == "supabase_realtime"
}

/// True for the platform's own roles and PostgreSQL's.
pub fn is_platform_role(name: &str) -> bool {
    ROLES.contains(&name) || name.starts_with("pg_") || name.starts_with("supabase_")
}

/// Which objects are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these schemas; else every one that is not the platform's.
    pub schemas: Option<BTreeSet<Ident>>,
}

impl Selection {
    fn takes(&self, schema: &Ident) -> bool {
        match &self.schemas {
            Some(schemas) => schemas.contains(schema),
            None => !is_platform_schema(schema),
        }
    }

    /// What is asked for. Of the platform's tables that is what a project hangs on them: triggers that call its
    /// functions (`handle_new_user` on `auth.users`), and policies of storage and realtime.
    pub fn apply(&self, all: Definitions) -> Definitions {
        let takes = |name: &QualifiedName| self.takes(&name.schema);
        let mut kept = all;
        kept.routines.retain(|name, _| takes(&name.name));
        let calls_ours = |text: &str| {
            super::references::references(text).iter().any(|reference| {
                reference.qualifier.as_ref().is_some_and(|schema| {
                    let name = QualifiedName::new(schema.clone(), reference.name.clone());
                    kept.routines.keys().any(|routine| routine.name == name)
                })
            })
        };
        kept.hung = kept
            .tables
            .iter()
            .filter(|(name, _)| !takes(name) && self.schemas.is_none())
            .filter_map(|(name, table)| Some((name.clone(), hung(name, table, &calls_ours)?)))
            .collect();
        kept.schemas.retain(|name, _| self.takes(name));
        kept.types.retain(|name, _| takes(name));
        kept.sequences.retain(|name, _| takes(name));
        kept.tables.retain(|name, _| takes(name));
        kept.views.retain(|name, _| takes(name));
        kept.others.retain(|_, other| self.takes(&other.schema));
        kept.default_rights.retain(|entry| {
            let ours = entry.owner == kept.owner || !is_platform_role(&entry.owner);
            ours && match &entry.schema {
                Some(schema) => self.takes(schema),
                None => self.schemas.is_none(),
            }
        });
        let (tables, hung) = (&kept.tables, &kept.hung);
        for listed in kept.publications.values_mut() {
            listed.retain(|name| tables.contains_key(name) || hung.contains_key(name));
        }
        if self.schemas.is_some() {
            kept.extensions.clear();
            kept.roles.clear();
            kept.publications.clear();
        }
        kept.extensions.retain(|name, _| !EXTENSIONS.contains(&name.as_str()));
        for (name, role) in &mut kept.roles {
            if is_platform_role(name) {
                role.member_of.retain(|other| !is_platform_role(other));
            }
        }
        kept.roles
            .retain(|name, role| !is_platform_role(name) || !role.member_of.is_empty());
        kept
    }
}

/// A platform table's policies and triggers that are the project's.
fn hung(name: &QualifiedName, table: &TableDefinition, calls_ours: &dyn Fn(&str) -> bool) -> Option<TableDefinition> {
    let mut parts = TableDefinition::new(table.facts.clone());
    parts.triggers = table.triggers.clone();
    parts.triggers.retain(|_, trigger| calls_ours(&trigger.text));
    if matches!(name.schema.as_str(), "storage" | "realtime") {
        parts.policies = table.policies.clone();
    }
    let any = !parts.triggers.is_empty() || !parts.policies.is_empty();
    any.then_some(parts)
}
