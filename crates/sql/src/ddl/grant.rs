//! Roles, grants and default privileges.

use std::sync::Arc;

use mainstay_core::catalog::{
    AclEntry, ColumnIndex, DefaultPrivilege, DefaultPrivilegeObject, Grantee, Privilege, Relation, Role,
};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};

use super::lookup::no_role;
use super::{Result, Run};
use crate::ast::ObjectName;
use crate::ast::ddl::{CreateRole, DefaultPrivileges, Grant, GrantRole, GrantTarget, PrivilegeList, RoleName};

/// What `current_database()` says.
const DATABASE: &str = "postgres";

/// Everything that can be granted on a column.
const COLUMN_PRIVILEGES: &[Privilege] = &[
    Privilege::Select,
    Privilege::Insert,
    Privilege::Update,
    Privilege::References,
];
pub(super) const SEQUENCE_PRIVILEGES: &[Privilege] = &[Privilege::Usage, Privilege::Select, Privilege::Update];
pub(super) const FUNCTION_PRIVILEGES: &[Privilege] = &[Privilege::Execute];
pub(super) const SCHEMA_PRIVILEGES: &[Privilege] = &[Privilege::Usage, Privilege::Create];
const TYPE_PRIVILEGES: &[Privilege] = &[Privilege::Usage];

/// One privilege to give or take: on the object, or on one column.
type Wanted = (Privilege, Option<Ident>);

impl Run<'_> {
    pub(super) fn create_role(&mut self, create: &CreateRole) -> Result<()> {
        let name = &create.name;
        if matches!(name.as_str(), "public" | "none") {
            return Err(DatabaseError::new("42939", format!("role name \"{name}\" is reserved")));
        }
        if name.starts_with("pg_") {
            return Err(DatabaseError::new("42939", format!("role name \"{name}\" is reserved"))
                .detail("Role names starting with \"pg_\" are reserved."));
        }
        if self.catalog.roles.contains_key(name) {
            return Err(DatabaseError::new("42710", format!("role \"{name}\" already exists")));
        }
        let mut member_of = Vec::new();
        for role in &create.member_of {
            member_of.push(self.role(role)?);
        }
        let role = Role {
            name: name.clone(),
            superuser: false,
            bypass_rls: create.bypass_rls,
            login: false,
            inherit: create.inherit,
            member_of,
            statement_timeout_ms: None,
            comment: None,
        };
        self.catalog.roles.insert(name.clone(), role);
        for member in &create.members {
            let member = self.role(member)?;
            self.add_member(name, &member)?;
        }
        Ok(())
    }

    fn add_member(&mut self, role: &Ident, member: &Ident) -> Result<()> {
        if role == member {
            return Err(DatabaseError::new(
                "0LP01",
                format!("role \"{role}\" is a member of role \"{role}\""),
            ));
        }
        if self.catalog.memberships(role).contains(member) {
            return Err(DatabaseError::new(
                "0LP01",
                format!("role \"{role}\" is a member of role \"{member}\""),
            ));
        }
        let already = self
            .catalog
            .roles
            .get(member)
            .is_some_and(|entry| entry.member_of.contains(role));
        if already {
            self.notice(
                "00000",
                format!("role \"{member}\" is already a member of role \"{role}\""),
            );
        } else if let Some(entry) = self.catalog.roles.get_mut(member) {
            entry.member_of.push(role.clone());
        }
        Ok(())
    }

    pub(super) fn grant_role(&mut self, grant: &GrantRole) -> Result<()> {
        if let Some(grantor) = &grant.grantor {
            self.role(grantor)?;
        }
        for role in &grant.roles {
            self.existing_role(role)?;
            for member in &grant.members {
                let member = self.role(member)?;
                if grant.grant {
                    self.add_member(role, &member)?;
                } else if let Some(entry) = self.catalog.roles.get_mut(&member).filter(|_| !grant.only_admin) {
                    entry.member_of.retain(|other| other != role);
                }
            }
        }
        Ok(())
    }

    fn grantees(&self, roles: &[RoleName]) -> Result<Vec<Grantee>> {
        roles
            .iter()
            .map(|role| match role {
                RoleName::Public => Ok(Grantee::Public),
                named => self.role(named).map(Grantee::Role),
            })
            .collect()
    }

    pub(super) fn grant(&mut self, grant: &Grant) -> Result<()> {
        if let Some(grantor) = &grant.grantor
            && self.role(grantor)? != self.session.user
        {
            return Err(DatabaseError::new("0A000", "grantor must be current user"));
        }
        if grant.grant && grant.grant_option && grant.grantees.contains(&RoleName::Public) {
            return Err(DatabaseError::new(
                "0LP01",
                "grant options can only be granted to roles",
            ));
        }
        match &grant.target {
            // Nobody but the owner makes objects here, and everybody may connect: there is nothing that the grant
            // would change, but what it names must be there.
            GrantTarget::Databases(names) => {
                for name in names {
                    existing_database(name)?;
                }
                self.grantees(&grant.grantees)?;
                whole(&grant.privileges, &[Privilege::Create], "database").map(drop)
            }
            GrantTarget::Languages(names) => {
                for name in names {
                    existing_language(name)?;
                }
                self.grantees(&grant.grantees)?;
                whole(&grant.privileges, TYPE_PRIVILEGES, "language")?;
                match names.iter().find(|name| !matches!(name.as_str(), "sql" | "plpgsql")) {
                    None => Ok(()),
                    Some(name) => Err(DatabaseError::new("42809", format!("language \"{name}\" is not trusted"))
                        .detail("GRANT and REVOKE are not allowed on untrusted languages, because only superusers can use untrusted languages.")),
                }
            }
            GrantTarget::Types(names) => {
                // Types are usable by everyone; the catalog keeps no list for them.
                for name in names {
                    if self.find_enum(name).is_none()
                        && self.find_domain(name).is_none()
                        && mainstay_core::types::Type::from_builtin_name(&name.name).is_none()
                    {
                        return Err(DatabaseError::new("42704", format!("type \"{name}\" does not exist")));
                    }
                }
                let grantees = self.grantees(&grant.grantees)?;
                whole(&grant.privileges, TYPE_PRIVILEGES, "type")?;
                if !grant.grant && grantees.contains(&Grantee::Public) {
                    return Err(self.refuse("REVOKE on types", "", None));
                }
                Ok(())
            }
            GrantTarget::Tables(names) => {
                let mut targets = Vec::new();
                for name in names {
                    targets.push(self.table_or_sequence(name)?);
                }
                for target in targets {
                    match target {
                        Ok(relation) => self.grant_on_relation(grant, &relation)?,
                        Err(sequence) => self.grant_on_sequence(grant, &sequence)?,
                    }
                }
                Ok(())
            }
            GrantTarget::Sequences(names) => {
                let mut targets = Vec::new();
                for name in names {
                    let Some(sequence) = self.find_sequence(name) else {
                        let relation = self.existing_relation(name)?;
                        let message = format!("\"{}\" is not a sequence", relation.name.name);
                        return Err(DatabaseError::new("42809", message));
                    };
                    targets.push(sequence);
                }
                for sequence in targets {
                    self.grant_on_sequence(grant, &sequence)?;
                }
                Ok(())
            }
            GrantTarget::Functions(functions) => {
                let mut targets = Vec::new();
                for function in functions {
                    targets.push(self.existing_routine(&function.name, function.arguments.as_deref())?);
                }
                for (name, index) in targets {
                    self.grant_on_routine(grant, &name, index)?;
                }
                Ok(())
            }
            GrantTarget::Schemas(schemas) => {
                let mut targets = Vec::new();
                for schema in schemas {
                    targets.push(self.existing_schema(schema)?);
                }
                let grantees = self.grantees(&grant.grantees)?;
                let wanted = whole(&grant.privileges, SCHEMA_PRIVILEGES, "schema")?;
                for schema in targets {
                    if let Some(entry) = self.catalog.schemas.get_mut(&schema) {
                        change_acl(&mut entry.acl, grant, &grantees, &wanted, &[]);
                    }
                }
                Ok(())
            }
            GrantTarget::AllTablesIn(schemas) => {
                for name in self.in_schemas(schemas, |run| run.catalog.relations.keys().cloned().collect())? {
                    self.grant_on_relation(grant, &name)?;
                }
                Ok(())
            }
            GrantTarget::AllSequencesIn(schemas) => {
                for name in self.in_schemas(schemas, |run| run.catalog.sequences.keys().cloned().collect())? {
                    self.grant_on_sequence(grant, &name)?;
                }
                Ok(())
            }
            GrantTarget::AllFunctionsIn(schemas) => {
                for name in self.in_schemas(schemas, |run| run.catalog.routines.keys().cloned().collect())? {
                    let overloads = self.catalog.routines.get(&name).map_or(0, Vec::len);
                    for index in 0..overloads {
                        self.grant_on_routine(grant, &name, index)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn in_schemas(&self, schemas: &[Ident], all: impl Fn(&Self) -> Vec<QualifiedName>) -> Result<Vec<QualifiedName>> {
        for schema in schemas {
            self.existing_schema(schema)?;
        }
        let mut names: Vec<QualifiedName> = all(self)
            .into_iter()
            .filter(|name| schemas.contains(&name.schema))
            .collect();
        names.sort();
        Ok(names)
    }

    /// `GRANT … ON name` may mean a sequence.
    fn table_or_sequence(&self, name: &ObjectName) -> Result<std::result::Result<QualifiedName, QualifiedName>> {
        if let Some(relation) = self.find_relation(name) {
            return Ok(Ok(relation.name.clone()));
        }
        match self.find_sequence(name) {
            Some(sequence) => Ok(Err(sequence)),
            None => Err(self
                .existing_relation(name)
                .err()
                .unwrap_or_else(|| DatabaseError::new("42P01", format!("relation \"{name}\" does not exist")))),
        }
    }

    fn grant_on_relation(&mut self, grant: &Grant, name: &QualifiedName) -> Result<()> {
        let grantees = self.grantees(&grant.grantees)?;
        let relation = self.relation_mut(name)?;
        let wanted = match &grant.privileges {
            PrivilegeList::Wrong(error) => return Err(error.clone()),
            PrivilegeList::All => Privilege::OF_TABLES
                .iter()
                .map(|privilege| (*privilege, None))
                .collect(),
            PrivilegeList::AllOnColumns(columns) => columns
                .iter()
                .flat_map(|column| {
                    COLUMN_PRIVILEGES
                        .iter()
                        .map(|privilege| (*privilege, Some(column.clone())))
                })
                .collect(),
            PrivilegeList::Some(items) => {
                let mut wanted: Vec<Wanted> = Vec::new();
                for item in items {
                    if !Privilege::OF_TABLES.contains(&item.privilege) {
                        return Err(invalid_privilege(item.privilege, "table"));
                    }
                    if !item.columns.is_empty() && !COLUMN_PRIVILEGES.contains(&item.privilege) {
                        return Err(invalid_privilege(item.privilege, "column"));
                    }
                    match item.columns.as_slice() {
                        [] => wanted.push((item.privilege, None)),
                        columns => wanted.extend(columns.iter().map(|column| (item.privilege, Some(column.clone())))),
                    }
                }
                wanted
            }
        };
        let positions = positions(relation, &wanted)?;
        change_acl(&mut relation.acl, grant, &grantees, &wanted, &positions);
        Ok(())
    }

    fn grant_on_sequence(&mut self, grant: &Grant, name: &QualifiedName) -> Result<()> {
        let grantees = self.grantees(&grant.grantees)?;
        let wanted = whole(&grant.privileges, SEQUENCE_PRIVILEGES, "sequence")?;
        if let Some(sequence) = self.catalog.sequences.get_mut(name) {
            change_acl(&mut Arc::make_mut(sequence).acl, grant, &grantees, &wanted, &[]);
        }
        Ok(())
    }

    fn grant_on_routine(&mut self, grant: &Grant, name: &QualifiedName, index: usize) -> Result<()> {
        let grantees = self.grantees(&grant.grantees)?;
        let wanted = whole(&grant.privileges, FUNCTION_PRIVILEGES, "function")?;
        if let Some(routine) = self
            .catalog
            .routines
            .get_mut(name)
            .and_then(|overloads| overloads.get_mut(index))
        {
            change_acl(&mut Arc::make_mut(routine).acl, grant, &grantees, &wanted, &[]);
        }
        Ok(())
    }

    pub(super) fn default_privileges(&mut self, change: &DefaultPrivileges) -> Result<()> {
        let mut owners = Vec::new();
        for owner in &change.owners {
            owners.push(self.role(owner)?);
        }
        if owners.is_empty() {
            owners.push(self.session.user.clone());
        }
        let mut schemas: Vec<Option<Ident>> = Vec::new();
        for schema in &change.schemas {
            schemas.push(Some(self.existing_schema(schema)?));
        }
        if schemas.is_empty() {
            schemas.push(None);
        }
        let (all, kind) = match change.object {
            DefaultPrivilegeObject::Tables => (Privilege::OF_TABLES, "relation"),
            DefaultPrivilegeObject::Sequences => (SEQUENCE_PRIVILEGES, "sequence"),
            DefaultPrivilegeObject::Functions => (FUNCTION_PRIVILEGES, "function"),
            DefaultPrivilegeObject::Types => (TYPE_PRIVILEGES, "type"),
            DefaultPrivilegeObject::Schemas => (SCHEMA_PRIVILEGES, "schema"),
        };
        let grantees = self.grantees(&change.grantees)?;
        let wanted = whole(&change.privileges, all, kind)?;
        // What an owner may do with its own objects is no entry here, so that it cannot be taken away.
        if !change.grant
            && let Some(owner) = owners
                .iter()
                .find(|owner| grantees.contains(&Grantee::Role((*owner).clone())))
        {
            return Err(self.refuse("REVOKE of an owner's own default privileges", owner, None));
        }
        for owner in &owners {
            for schema in &schemas {
                for grantee in &grantees {
                    for (privilege, _) in &wanted {
                        self.default_privilege(change, owner, schema.as_ref(), grantee, *privilege);
                    }
                }
            }
        }
        Ok(())
    }

    fn default_privilege(
        &mut self,
        change: &DefaultPrivileges,
        owner: &Ident,
        schema: Option<&Ident>,
        grantee: &Grantee,
        privilege: Privilege,
    ) {
        let same = |entry: &DefaultPrivilege| {
            entry.owner == *owner
                && entry.schema.as_ref() == schema
                && entry.object == change.object
                && entry.grant.grantee == *grantee
                && entry.grant.privilege == privilege
        };
        let entries = &mut self.catalog.default_privileges;
        match (change.grant, change.grant_option) {
            (false, true) => {
                entries
                    .iter_mut()
                    .filter(|entry| same(entry))
                    .for_each(|entry| entry.grant.grantable = false);
            }
            (false, false) => entries.retain(|entry| !same(entry)),
            (true, grantable) => match entries.iter_mut().find(|entry| same(entry)) {
                Some(entry) => entry.grant.grantable |= grantable,
                None => entries.push(DefaultPrivilege {
                    owner: owner.clone(),
                    schema: schema.cloned(),
                    object: change.object,
                    grant: AclEntry {
                        grantee: grantee.clone(),
                        privilege,
                        column: None,
                        grantable,
                    },
                }),
            },
        }
    }

    /// What a new object of the current role is granted at once.
    pub(super) fn default_acl(&self, object: DefaultPrivilegeObject, schema: &Ident) -> Vec<AclEntry> {
        let mut acl: Vec<AclEntry> = Vec::new();
        for entry in &self.catalog.default_privileges {
            let here = entry.schema.as_ref().is_none_or(|only| only == schema);
            if entry.object == object && entry.owner == self.session.user && here && !acl.contains(&entry.grant) {
                acl.push(entry.grant.clone());
            }
        }
        acl
    }

    pub(super) fn drop_role(&mut self, name: &Ident, if_exists: bool) -> Result<()> {
        if !self.catalog.roles.contains_key(name) {
            if if_exists {
                self.notice("00000", format!("role \"{name}\" does not exist, skipping"));
                return Ok(());
            }
            return Err(no_role(name));
        }
        let dependents = self.role_dependents(name);
        if !dependents.is_empty() || super::initial::is_built_in_role(name) {
            let message = format!("role \"{name}\" cannot be dropped because some objects depend on it");
            let error = DatabaseError::new("2BP01", message);
            return Err(match dependents.is_empty() {
                true => error,
                false => error.detail(dependents.join("\n")),
            });
        }
        self.catalog.roles.remove(name);
        for role in self.catalog.roles.values_mut() {
            role.member_of.retain(|other| other != name);
        }
        Ok(())
    }

    fn role_dependents(&self, name: &Ident) -> Vec<String> {
        let mut lines = Vec::new();
        let named = |acl: &[AclEntry]| acl.iter().any(|entry| entry.grantee == Grantee::Role(name.clone()));
        let mut relations: Vec<_> = self.catalog.relations.values().collect();
        relations.sort_by_key(|relation| relation.id);
        for relation in relations {
            let kind = if relation.kind.is_view() { "view" } else { "table" };
            let described = self.described(&relation.name);
            if relation.owner == *name {
                lines.push(format!("owner of {kind} {described}"));
            }
            if named(&relation.acl) {
                lines.push(format!("privileges for {kind} {described}"));
            }
            for policy in &relation.policies {
                if policy.roles.contains(&Grantee::Role(name.clone())) {
                    lines.push(format!("target of policy {} on table {described}", policy.name));
                }
            }
        }
        for (schema, entry) in &self.catalog.schemas {
            if named(&entry.acl) {
                lines.push(format!("privileges for schema {schema}"));
            }
            if entry.owner == *name {
                lines.push(format!("owner of schema {schema}"));
            }
        }
        for sequence in self.catalog.sequences.values().filter(|sequence| named(&sequence.acl)) {
            lines.push(format!("privileges for sequence {}", self.described(&sequence.name)));
        }
        for routine in self
            .catalog
            .routines
            .values()
            .flatten()
            .filter(|routine| named(&routine.acl))
        {
            lines.push(format!("privileges for function {}", self.described(&routine.name)));
        }
        let defaults = self.catalog.default_privileges.iter();
        if defaults
            .filter(|entry| entry.owner == *name || entry.grant.grantee == Grantee::Role(name.clone()))
            .count()
            > 0
        {
            lines.push("default privileges".to_owned());
        }
        lines
    }
}

/// The one database there is. Errors: 3D000 for another.
fn existing_database(name: &Ident) -> Result<()> {
    match name.as_str() {
        DATABASE => Ok(()),
        other => Err(DatabaseError::new(
            "3D000",
            format!("database \"{other}\" does not exist"),
        )),
    }
}

/// A language that a server has without extensions. Errors: 42704.
pub(super) fn existing_language(name: &Ident) -> Result<()> {
    match name.as_str() {
        "sql" | "plpgsql" | "c" | "internal" => Ok(()),
        other => Err(DatabaseError::new(
            "42704",
            format!("language \"{other}\" does not exist"),
        )),
    }
}

/// The column positions of what is wanted, in the same order. Errors: 42703.
fn positions(relation: &Relation, wanted: &[Wanted]) -> Result<Vec<Option<ColumnIndex>>> {
    wanted
        .iter()
        .map(|(_, column)| match column {
            None => Ok(None),
            Some(column) => match relation.column(column) {
                Some((index, _)) => Ok(Some(index)),
                None => {
                    let message = format!(
                        "column \"{column}\" of relation \"{}\" does not exist",
                        relation.name.name
                    );
                    Err(DatabaseError::new("42703", message))
                }
            },
        })
        .collect()
}

/// Privileges on an object that has no columns. Errors: 0LP01.
fn whole(list: &PrivilegeList, all: &[Privilege], kind: &str) -> Result<Vec<Wanted>> {
    match list {
        PrivilegeList::Wrong(error) => Err(error.clone()),
        PrivilegeList::All => Ok(all.iter().map(|privilege| (*privilege, None)).collect()),
        PrivilegeList::AllOnColumns(_) => Err(DatabaseError::new(
            "0LP01",
            "column privileges are only valid for relations",
        )),
        PrivilegeList::Some(items) => items
            .iter()
            .map(|item| match (all.contains(&item.privilege), item.columns.is_empty()) {
                (true, true) => Ok((item.privilege, None)),
                (_, false) => Err(DatabaseError::new(
                    "0LP01",
                    "column privileges are only valid for relations",
                )),
                (false, _) => Err(invalid_privilege(item.privilege, kind)),
            })
            .collect(),
    }
}

fn invalid_privilege(privilege: Privilege, kind: &str) -> DatabaseError {
    let name = format!("{privilege:?}").to_uppercase();
    DatabaseError::new("0LP01", format!("invalid privilege type {name} for {kind}"))
}

/// Gives or takes what is wanted. `positions`: the columns, parallel to `wanted`; empty if there are none.
fn change_acl(
    acl: &mut Vec<AclEntry>,
    grant: &Grant,
    grantees: &[Grantee],
    wanted: &[Wanted],
    positions: &[Option<ColumnIndex>],
) {
    for grantee in grantees {
        for (index, (privilege, _)) in wanted.iter().enumerate() {
            let column = positions.get(index).copied().flatten();
            let same = |entry: &AclEntry| entry.grantee == *grantee && entry.privilege == *privilege;
            match (grant.grant, grant.grant_option) {
                (true, grantable) => match acl.iter_mut().find(|entry| same(entry) && entry.column == column) {
                    Some(entry) => entry.grantable |= grantable,
                    None => {
                        acl.push(AclEntry {
                            grantee: grantee.clone(),
                            privilege: *privilege,
                            column,
                            grantable,
                        });
                    }
                },
                // Taking a privilege from the whole relation takes it from its columns too.
                (false, false) => {
                    acl.retain(|entry| !(same(entry) && (column.is_none() || entry.column == column)));
                }
                (false, true) => acl
                    .iter_mut()
                    .filter(|entry| same(entry) && (column.is_none() || entry.column == column))
                    .for_each(|entry| entry.grantable = false),
            }
        }
    }
}
