//! The catalog of a new database: the schemas, roles and grants that a Supabase project finds there.
//!
//! Source: `reference/supabase-surface.md` and the platform fixture of the conformance suite. `auth.uid()` and its
//! sisters are known to the analyser itself and usable by everyone.

use mainstay_core::catalog::{
    AclEntry, Catalog, DefaultPrivilege, DefaultPrivilegeObject, Enforcement, Grantee, Privilege, Role, Schema,
};
use mainstay_core::name::Ident;

use super::grant::{FUNCTION_PRIVILEGES, SEQUENCE_PRIVILEGES};
use crate::platform;

/// The role that migrations run as and that owns what they make.
const OWNER: &str = "postgres";
/// The roles that requests run as.
const API_ROLES: &[&str] = &["anon", "authenticated", "service_role"];
/// Schemas whose objects the roles of requests may name, as on Supabase.
const USABLE_SCHEMAS: &[&str] = &["public", "auth", "extensions", "storage", "realtime", "graphql_public"];

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
    complete(&mut catalog);
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

/// Adds the roles and schemas of the platform that the catalog lacks: an older program made the file without them.
pub fn complete(catalog: &mut Catalog) {
    let built_in = [
        (OWNER, true, true, true),
        ("anon", false, false, false),
        ("authenticated", false, false, false),
        ("service_role", false, true, false),
        ("authenticator", false, false, true),
    ];
    // A service's role counts as one that signs in, so that no token can name it.
    let services = platform::SERVICE_ROLES.iter().map(|name| (*name, false, false, true));
    for (name, superuser, bypass_rls, login) in built_in.into_iter().chain(services) {
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
        catalog.roles.entry(role.name.clone()).or_insert(role);
    }
    for name in std::iter::once(&"public").chain(platform::SCHEMAS) {
        catalog.schemas.entry(Ident::new(name)).or_insert_with(|| Schema {
            owner: Ident::new(OWNER),
            // What `initdb` says of it, and PostgREST's document with it.
            comment: (*name == "public").then(|| "standard public schema".into()),
            acl: schema_acl(name),
        });
    }
}

fn schema_acl(name: &str) -> Vec<AclEntry> {
    let usage = |grantee| AclEntry {
        grantee,
        privilege: Privilege::Usage,
        column: None,
        grantable: false,
    };
    let mut acl: Vec<AclEntry> = Vec::new();
    if USABLE_SCHEMAS.contains(&name) {
        acl.extend(API_ROLES.iter().map(|role| usage(Grantee::Role(Ident::new(role)))));
    }
    if name == "public" {
        acl.push(usage(Grantee::Public));
    }
    acl
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
    name == OWNER || name == "authenticator" || API_ROLES.contains(&name) || platform::SERVICE_ROLES.contains(&name)
}

fn classic_entries() -> Vec<DefaultPrivilege> {
    let mut entries = Vec::new();
    for (object, privileges) in [
        (DefaultPrivilegeObject::Tables, Privilege::OF_TABLES),
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
    name == "public" || platform::is_platform_schema(name)
}
