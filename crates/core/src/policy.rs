//! Decides what a role may do with a relation: grants first, then the policies that apply.
//!
//! Every transport asks here. A [`Source`](crate::plan::Source) holds an [`Access`], an [`Access`] can only be made by
//! [`authorize`] or [`Access::system`], and so a statement without its policies cannot be written.
//! Not here: compiling a policy's expression (the embedded engine's backend does, PostgreSQL enforces its own).
//!
//! Source: PostgreSQL 15 manual, 5.7 (privileges), 5.8 (row security), CREATE POLICY (table of applied policies).

use crate::catalog::{
    AclEntry, Catalog, ColumnIndex, Enforcement, Grantee, Policy, PolicyCommand, Privilege, Relation, Routine,
};
use crate::error::DatabaseError;
use crate::name::Ident;

/// What a statement wants to do with one relation.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Columns read anywhere: output, filter, order, join, `RETURNING`.
    pub select: Vec<ColumnIndex>,
    /// A read that names no column (`count(*)`, an empty embed) still needs SELECT on at least one.
    pub select_any: bool,
    pub insert: Option<Vec<ColumnIndex>>,
    pub update: Option<Vec<ColumnIndex>>,
    pub delete: bool,
}

/// Leave to use a relation as a role. Cannot be made but by asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    role: Ident,
    guard: Guard,
}

/// Who filters the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The database itself, from the role that the transaction runs as.
    Database,
    /// Nobody: row security is off for this relation or this role.
    Open,
    /// The relation's policies for `role`; see [`applicable`].
    Policies,
}

impl Access {
    /// The role that asked.
    pub fn role(&self) -> &Ident {
        &self.role
    }

    /// Who filters the rows.
    pub fn guard(&self) -> Guard {
        self.guard
    }

    /// Access to a room's own tables, spelled out where it happens.
    pub fn system() -> Self {
        Access {
            role: Ident::new("postgres"),
            guard: Guard::Open,
        }
    }
}

/// Checks `role`'s grants on `relation` and says how its rows are to be guarded.
///
/// Errors: 42501 `permission denied for table t`, as PostgreSQL words it.
pub fn authorize(catalog: &Catalog, role: &Ident, relation: &Relation, needs: &Needs) -> Result<Access, DatabaseError> {
    if catalog.enforcement == Enforcement::Database {
        return Ok(Access {
            role: role.clone(),
            guard: Guard::Database,
        });
    }
    check_grants(catalog, role, relation, needs)?;
    let guard = if row_security_applies(catalog, role, relation) {
        Guard::Policies
    } else {
        Guard::Open
    };
    Ok(Access {
        role: role.clone(),
        guard,
    })
}

/// The role that a request's role is taken from, as a connection's would be by `SET ROLE`.
const SWITCHER: &str = "authenticator";

/// Checks that a request may run as `role`: a role granted to `authenticator`, or one that nobody signs in as and that
/// stands above no rule. The latter is what a connection that may switch to any role gives PostgREST's users.
///
/// Errors: 22023 for a role that is not there, 42501 `permission denied to set role "r"`.
pub fn authorize_role(catalog: &Catalog, role: &Ident) -> Result<(), DatabaseError> {
    if catalog.enforcement == Enforcement::Database {
        return Ok(());
    }
    let Some(entry) = catalog.roles.get(role) else {
        return Err(DatabaseError::new("22023", format!("role \"{role}\" does not exist")));
    };
    let is_plain = !(entry.superuser || entry.bypass_rls || entry.login);
    let switcher = Ident::new(SWITCHER);
    if *role != switcher && (is_plain || catalog.memberships(&switcher).contains(role)) {
        return Ok(());
    }
    Err(DatabaseError::new(
        "42501",
        format!("permission denied to set role \"{role}\""),
    ))
}

/// Checks that a request may be tried as `role`, whoever asks for that: no superuser's, on either engine.
///
/// Errors: 22023 for a role that is not there, 42501 `permission denied to set role "r"`.
pub fn authorize_stand_in(catalog: &Catalog, role: &Ident) -> Result<(), DatabaseError> {
    match catalog.roles.get(role) {
        None => Err(DatabaseError::new("22023", format!("role \"{role}\" does not exist"))),
        Some(entry) if entry.superuser => Err(DatabaseError::new(
            "42501",
            format!("permission denied to set role \"{role}\""),
        )),
        Some(_) => Ok(()),
    }
}

/// True if `role` reads `relation` through policies: row security is on and the role neither bypasses it nor owns the
/// relation without FORCE.
pub fn row_security_applies(catalog: &Catalog, role: &Ident, relation: &Relation) -> bool {
    if !relation.row_security.enabled {
        return false;
    }
    if catalog
        .roles
        .get(role)
        .is_some_and(|entry| entry.superuser || entry.bypass_rls)
    {
        return false;
    }
    relation.row_security.forced || !catalog.effective_roles(role).contains(&relation.owner)
}

/// The policies of `relation` for a command and a role, split as PostgreSQL combines them:
/// `(any permissive) AND (every restrictive)`; without a permissive one nothing passes, and no restrictive one is asked
/// (nor its subqueries' privileges).
#[derive(Debug)]
pub struct Applicable<'a> {
    pub permissive: Vec<&'a Policy>,
    pub restrictive: Vec<&'a Policy>,
}

/// Finds the policies of `relation` for `command` (never `All`) that `role` falls under.
pub fn applicable<'a>(
    catalog: &Catalog,
    role: &Ident,
    relation: &'a Relation,
    command: PolicyCommand,
) -> Applicable<'a> {
    let roles = catalog.effective_roles(role);
    let applies = |policy: &&Policy| is_for(policy, command) && is_for_any(policy, &roles);
    let (permissive, mut restrictive): (Vec<&Policy>, Vec<&Policy>) = relation
        .policies
        .iter()
        .filter(applies)
        .partition(|policy| policy.permissive);
    if permissive.is_empty() {
        restrictive.clear();
    }
    Applicable {
        permissive,
        restrictive,
    }
}

/// True if the policy is for the command (never `All`).
pub fn is_for(policy: &Policy, command: PolicyCommand) -> bool {
    policy.command == PolicyCommand::All || policy.command == command
}

/// True if the policy is for one of the roles.
pub fn is_for_any(policy: &Policy, roles: &[Ident]) -> bool {
    policy.roles.iter().any(|grantee| match grantee {
        Grantee::Public => true,
        Grantee::Role(name) => roles.contains(name),
    })
}

/// True if one of `roles` holds `privilege` in `acl` on the whole object.
pub fn acl_allows(catalog: &Catalog, role: &Ident, owner: &Ident, acl: &[AclEntry], privilege: Privilege) -> bool {
    let roles = catalog.effective_roles(role);
    is_superuser(catalog, role)
        || roles.contains(owner)
        || acl
            .iter()
            .any(|entry| entry.column.is_none() && entry.privilege == privilege && grants_to(entry, &roles))
}

/// True if `role` may use (`privilege`) this one column, by a grant on it or on the whole relation.
pub fn column_allows(
    catalog: &Catalog,
    role: &Ident,
    relation: &Relation,
    column: ColumnIndex,
    privilege: Privilege,
) -> bool {
    acl_allows(catalog, role, &relation.owner, &relation.acl, privilege) || {
        let roles = catalog.effective_roles(role);
        relation
            .acl
            .iter()
            .any(|entry| entry.column == Some(column) && entry.privilege == privilege && grants_to(entry, &roles))
    }
}

/// True if `role` may do `privilege` on the relation or on any one of its columns.
pub fn any_column_allows(catalog: &Catalog, role: &Ident, relation: &Relation, privilege: Privilege) -> bool {
    (0..relation.columns.len()).any(|column| column_allows(catalog, role, relation, column, privilege))
        || acl_allows(catalog, role, &relation.owner, &relation.acl, privilege)
}

/// Checks that `role` may use names in `schema`. Errors: 42501 `permission denied for schema s`.
pub fn authorize_schema(catalog: &Catalog, role: &Ident, schema: &Ident) -> Result<(), DatabaseError> {
    let allowed = catalog
        .schemas
        .get(schema)
        .is_some_and(|entry| acl_allows(catalog, role, &entry.owner, &entry.acl, Privilege::Usage));
    if catalog.enforcement == Enforcement::Database || allowed {
        return Ok(());
    }
    Err(DatabaseError::new(
        "42501",
        format!("permission denied for schema {schema}"),
    ))
}

/// Checks that `role` may call `routine`; its result is not guarded by any relation's policies.
///
/// Errors: 42501 `permission denied for function f`.
pub fn authorize_routine(catalog: &Catalog, role: &Ident, routine: &Routine) -> Result<Access, DatabaseError> {
    if catalog.enforcement == Enforcement::Database {
        return Ok(Access {
            role: role.clone(),
            guard: Guard::Database,
        });
    }
    authorize_schema(catalog, role, &routine.name.schema)?;
    if acl_allows(catalog, role, &routine.owner, &routine.acl, Privilege::Execute) {
        return Ok(Access {
            role: role.clone(),
            guard: Guard::Open,
        });
    }
    let kind = if routine.is_procedure { "procedure" } else { "function" };
    Err(DatabaseError::new(
        "42501",
        format!("permission denied for {kind} {}", routine.name.name),
    ))
}

fn is_superuser(catalog: &Catalog, role: &Ident) -> bool {
    catalog.roles.get(role).is_some_and(|entry| entry.superuser)
}

fn grants_to(entry: &AclEntry, roles: &[Ident]) -> bool {
    match &entry.grantee {
        Grantee::Public => true,
        Grantee::Role(name) => roles.contains(name),
    }
}

fn check_grants(catalog: &Catalog, role: &Ident, relation: &Relation, needs: &Needs) -> Result<(), DatabaseError> {
    authorize_schema(catalog, role, &relation.name.schema)?;
    let denied = || {
        let kind = if relation.kind.is_view() { "view" } else { "table" };
        DatabaseError::new("42501", format!("permission denied for {kind} {}", relation.name.name))
    };
    let holds = |columns: &[ColumnIndex], privilege| {
        columns
            .iter()
            .all(|column| column_allows(catalog, role, relation, *column, privilege))
    };
    if needs.select_any && needs.select.is_empty() && !any_column_allows(catalog, role, relation, Privilege::Select) {
        return Err(denied());
    }
    if !holds(&needs.select, Privilege::Select) {
        return Err(denied());
    }
    for (columns, privilege) in [(&needs.insert, Privilege::Insert), (&needs.update, Privilege::Update)] {
        let Some(columns) = columns else { continue };
        if columns.is_empty() && !any_column_allows(catalog, role, relation, privilege) || !holds(columns, privilege) {
            return Err(denied());
        }
    }
    if needs.delete && !acl_allows(catalog, role, &relation.owner, &relation.acl, Privilege::Delete) {
        return Err(denied());
    }
    Ok(())
}
