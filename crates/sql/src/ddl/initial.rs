//! The catalog of a new database: the schemas, roles and grants that a Supabase project finds there.
//!
//! Source: `reference/supabase-surface.md` and the platform fixture of the conformance suite. `auth.uid()` and its
//! sisters are known to the analyser itself and usable by everyone.

use mainstay_core::catalog::{
    AclEntry, Catalog, DefaultPrivilege, DefaultPrivilegeObject, Enforcement, Grantee, Privilege, Role, Schema,
};
use mainstay_core::name::Ident;

use super::grant::{FUNCTION_PRIVILEGES, SEQUENCE_PRIVILEGES, TABLE_PRIVILEGES};

/// The role that migrations run as and that owns what they make.
const OWNER: &str = "postgres";
/// The roles that requests run as.
const API_ROLES: &[&str] = &["anon", "authenticated", "service_role"];
const SCHEMAS: &[&str] = &["public", "auth", "extensions", "storage", "realtime", "graphql_public"];

/// `[mainstay] grants`: what a new object in `public` is granted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultGrants {
    /// Nothing: a migration must say it.
    Closed,
    /// Everything to the three API roles, as on Supabase.
    Classic,
}

/// The catalog before the first migration.
pub fn initial_catalog(grants: DefaultGrants) -> Catalog {
    let mut catalog = Catalog::empty(Enforcement::Catalog);
    for (name, superuser, bypass_rls, login) in [
        (OWNER, true, true, true),
        ("anon", false, false, false),
        ("authenticated", false, false, false),
        ("service_role", false, true, false),
        ("authenticator", false, false, true),
    ] {
        let member_of = if name == "authenticator" {
            API_ROLES.iter().map(Ident::new).collect()
        } else {
            Vec::new()
        };
        let role = Role {
            name: Ident::new(name),
            superuser,
            bypass_rls,
            login,
            inherit: name == OWNER,
            member_of,
            statement_timeout_ms: None,
            comment: None,
        };
        catalog.roles.insert(role.name.clone(), role);
    }
    for name in SCHEMAS {
        let usage = |grantee| AclEntry {
            grantee,
            privilege: Privilege::Usage,
            column: None,
            grantable: false,
        };
        let mut acl: Vec<AclEntry> = API_ROLES
            .iter()
            .map(|role| usage(Grantee::Role(Ident::new(role))))
            .collect();
        if *name == "public" {
            acl.push(usage(Grantee::Public));
        }
        catalog.schemas.insert(
            Ident::new(name),
            Schema {
                owner: Ident::new(OWNER),
                comment: None,
                acl,
            },
        );
    }
    // PostgreSQL lets everyone call a new function; a global REVOKE takes this entry away.
    catalog.default_privileges.push(DefaultPrivilege {
        owner: Ident::new(OWNER),
        schema: None,
        object: DefaultPrivilegeObject::Functions,
        grant: AclEntry {
            grantee: Grantee::Public,
            privilege: Privilege::Execute,
            column: None,
            grantable: false,
        },
    });
    set_default_grants(&mut catalog, grants);
    catalog
}

/// Brings the default privileges of schema `public` in line with the project's setting. Objects that exist keep theirs.
pub fn set_default_grants(catalog: &mut Catalog, grants: DefaultGrants) {
    let classic = classic_entries();
    match grants {
        DefaultGrants::Classic => {
            for entry in classic {
                if !catalog.default_privileges.iter().any(|other| same(other, &entry)) {
                    catalog.default_privileges.push(entry);
                }
            }
        }
        DefaultGrants::Closed => {
            catalog
                .default_privileges
                .retain(|entry| !classic.iter().any(|other| same(other, entry)));
        }
    }
}

/// True for the roles that every database has.
pub(super) fn is_built_in_role(name: &str) -> bool {
    name == OWNER || name == "authenticator" || API_ROLES.contains(&name)
}

fn classic_entries() -> Vec<DefaultPrivilege> {
    let mut entries = Vec::new();
    for (object, privileges) in [
        (DefaultPrivilegeObject::Tables, TABLE_PRIVILEGES),
        (DefaultPrivilegeObject::Sequences, SEQUENCE_PRIVILEGES),
        (DefaultPrivilegeObject::Functions, FUNCTION_PRIVILEGES),
    ] {
        for role in API_ROLES {
            for privilege in privileges {
                entries.push(DefaultPrivilege {
                    owner: Ident::new(OWNER),
                    schema: Some(Ident::new("public")),
                    object,
                    grant: AclEntry {
                        grantee: Grantee::Role(Ident::new(role)),
                        privilege: *privilege,
                        column: None,
                        grantable: false,
                    },
                });
            }
        }
    }
    entries
}

fn same(a: &DefaultPrivilege, b: &DefaultPrivilege) -> bool {
    a.owner == b.owner && a.schema == b.schema && a.object == b.object && a.grant == b.grant
}

/// True for the schemas that every database has.
pub(super) fn is_built_in_schema(name: &str) -> bool {
    SCHEMAS.contains(&name)
}
