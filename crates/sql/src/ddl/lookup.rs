//! Names as written → objects of the catalog, and new names → places for them.

use std::sync::Arc;

use mainstay_core::catalog::{Relation, RelationKind, Role, Schema};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};

use super::naming::{self, NAME_BYTES_MAX};
use super::{Result, Run, types};
use crate::analyse::server;
use crate::ast::ObjectName;
use crate::ast::ddl::RoleName;
use crate::system;

/// Beginnings of names that the engine keeps for itself.
const KEPT_PREFIXES: &[&str] = &["sqlite_", "_ms_"];

impl Run<'_> {
    /// The schema in which an object is created: the one written, or the first of the search path that exists.
    pub(super) fn creation_schema(&self, written: Option<&Ident>) -> Result<Ident> {
        match written {
            Some(schema) => self.existing_schema(schema),
            None => self
                .session
                .search_path
                .iter()
                .find(|schema| self.catalog.schemas.contains_key(*schema))
                .cloned()
                .ok_or_else(|| DatabaseError::new("3F000", "no schema has been selected to create in")),
        }
    }

    pub(super) fn existing_schema(&self, schema: &Ident) -> Result<Ident> {
        if system::is_kept_schema(schema) {
            let (feature, way) = match schema.starts_with("pg_temp") {
                true => ("temporary objects", Some("an object that stays")),
                false => ("changes in a system schema", None),
            };
            return Err(self.refuse(feature, schema, way));
        }
        match self.catalog.schemas.contains_key(schema) {
            true => Ok(schema.clone()),
            false => Err(DatabaseError::new(
                "3F000",
                format!("schema \"{schema}\" does not exist"),
            )),
        }
    }

    /// The place of a new object. Errors: 3F000, and 0A000 for names that one file cannot keep apart.
    pub(super) fn new_name(&self, written: &ObjectName) -> Result<QualifiedName> {
        let schema = self.creation_schema(written.schema.as_ref())?;
        self.check_name(&written.name)?;
        Ok(QualifiedName::new(schema, naming::cut(&written.name, NAME_BYTES_MAX)))
    }

    /// Refuses names that the embedded engine's one file cannot keep apart (study, §6).
    pub(super) fn check_name(&self, name: &str) -> Result<()> {
        if name.contains('.') {
            return Err(self.refuse("names with a dot", name, Some("an underscore")));
        }
        let folded = name.to_ascii_lowercase();
        if KEPT_PREFIXES.iter().any(|prefix| folded.starts_with(prefix)) {
            return Err(self.refuse("names that begin with sqlite_ or _ms_", name, Some("another name")));
        }
        Ok(())
    }

    /// Refuses a table or index whose name differs from another's only by case.
    pub(super) fn check_case(&self, name: &QualifiedName) -> Result<()> {
        let in_schema = self
            .catalog
            .relations
            .values()
            .filter(|relation| relation.name.schema == name.schema);
        let names = in_schema.flat_map(|relation| {
            std::iter::once(&relation.name.name)
                .chain(relation.indexes.iter().map(|index| &index.name))
                .chain(relation.constraints.iter().map(|constraint| &constraint.name))
        });
        for other in names {
            if *other != name.name && other.eq_ignore_ascii_case(&name.name) {
                let feature = format!("names that differ only by case (\"{other}\")");
                return Err(self.refuse(&feature, &name.name, Some("another name")));
            }
        }
        Ok(())
    }

    /// Errors: 42P07 `relation "t" already exists`.
    pub(super) fn check_free_relation(&self, name: &QualifiedName) -> Result<()> {
        if naming::relation_exists(self.catalog, &name.schema, &name.name) {
            return Err(relation_exists(&name.name));
        }
        self.check_case(name)
    }

    /// The relation a name stands for. Errors: 42P01.
    pub(super) fn existing_relation(&self, name: &ObjectName) -> Result<Arc<Relation>> {
        self.find_relation(name).ok_or_else(|| self.no_relation(name))
    }

    /// 42P01 for a relation that is not there, 3F000 if its schema is not, 0A000 for a system catalog.
    pub(super) fn no_relation(&self, name: &ObjectName) -> DatabaseError {
        if server::has_relation(name.schema.as_deref(), &name.name) || server::may_have_index(name) {
            return self.refuse("the system catalogs", &written(name), None);
        }
        if let Some(Err(error)) = name.schema.as_ref().map(|schema| self.existing_schema(schema)) {
            return error;
        }
        DatabaseError::new("42P01", format!("relation \"{}\" does not exist", written(name)))
    }

    /// Nothing, if the name is not one of the system catalogs'. Errors: 42501, 0A000.
    pub(super) fn not_of_the_system(&self, name: &ObjectName) -> Result<()> {
        if !server::has_relation(name.schema.as_deref(), &name.name) {
            return Ok(());
        }
        let in_information_schema = name
            .schema
            .as_ref()
            .is_some_and(|schema| *schema == *"information_schema");
        match !in_information_schema && server::is_system_table(&name.name) {
            true => Err(DatabaseError::new(
                "42501",
                format!("permission denied: \"{}\" is a system catalog", name.name),
            )),
            false => Err(self.refuse("changes in a system schema", &written(name), None)),
        }
    }

    /// As [`Run::existing_relation`], and it must be a table. Errors: 42809.
    pub(super) fn existing_table(&self, name: &ObjectName) -> Result<Arc<Relation>> {
        let relation = self.existing_relation(name)?;
        match relation.kind {
            RelationKind::Table => Ok(relation),
            _ => Err(DatabaseError::new(
                "42809",
                format!("\"{}\" is not a table", relation.name.name),
            )),
        }
    }

    pub(super) fn find_relation(&self, name: &ObjectName) -> Option<Arc<Relation>> {
        self.find(name, |qualified| self.catalog.relations.get(qualified).cloned())
    }

    pub(super) fn find_sequence(&self, name: &ObjectName) -> Option<QualifiedName> {
        self.find(name, |qualified| {
            self.catalog
                .sequences
                .contains_key(qualified)
                .then(|| qualified.clone())
        })
    }

    pub(super) fn find_enum(&self, name: &ObjectName) -> Option<QualifiedName> {
        self.find(name, |qualified| {
            self.catalog.enums.contains_key(qualified).then(|| qualified.clone())
        })
    }

    /// The table and the name of an index (or of a key's index).
    pub(super) fn find_index(&self, name: &ObjectName) -> Option<(QualifiedName, Ident)> {
        self.find(name, |qualified| {
            naming::index_table(self.catalog, &qualified.schema, &qualified.name)
                .map(|table| (table, qualified.name.clone()))
        })
    }

    /// Looks a name up in its schema, or in those of the search path.
    pub(super) fn find<T>(&self, name: &ObjectName, look: impl Fn(&QualifiedName) -> Option<T>) -> Option<T> {
        let cut = naming::cut(&name.name, NAME_BYTES_MAX);
        match &name.schema {
            Some(schema) => look(&QualifiedName::new(schema.clone(), cut)),
            None => self
                .session
                .search_path
                .iter()
                .find_map(|schema| look(&QualifiedName::new(schema.clone(), cut))),
        }
    }

    /// A role. Errors: 42704.
    pub(super) fn role(&self, role: &RoleName) -> Result<Ident> {
        match role {
            RoleName::Current => Ok(self.session.user.clone()),
            RoleName::Named(name) => self.existing_role(name).map(|role| role.name.clone()),
            RoleName::Public => Err(DatabaseError::new("42704", "role \"public\" does not exist")),
        }
    }

    pub(super) fn existing_role(&self, name: &Ident) -> Result<&Role> {
        self.catalog.roles.get(name).ok_or_else(|| {
            if PREDEFINED_ROLES.contains(&name.as_str()) {
                return self.refuse("this predefined role", name, None);
            }
            no_role(name)
        })
    }

    /// An object's name in a message: with its schema where the search path does not find it.
    pub(super) fn described(&self, name: &QualifiedName) -> String {
        let visible = self.session.search_path.iter().find(|schema| {
            let candidate = QualifiedName::new((*schema).clone(), name.name.clone());
            naming::relation_exists(self.catalog, schema, &name.name)
                || self.catalog.enums.contains_key(&candidate)
                || self.catalog.domains.contains_key(&candidate)
                || self.catalog.routines.contains_key(&candidate)
        });
        if visible == Some(&name.schema) {
            super::identifier(&name.name)
        } else {
            format!("{}.{}", super::identifier(&name.schema), super::identifier(&name.name))
        }
    }

    pub(super) fn create_schema(&mut self, name: &Ident, owner: Option<&RoleName>, if_not_exists: bool) -> Result<()> {
        let owner = match owner {
            Some(role) => self.role(role)?,
            None => self.session.user.clone(),
        };
        if self.catalog.schemas.contains_key(name) {
            let message = format!("schema \"{name}\" already exists");
            if !if_not_exists {
                return Err(DatabaseError::new("42P06", message));
            }
            self.notice("42P06", format!("{message}, skipping"));
            return Ok(());
        }
        if name.starts_with("pg_") {
            return Err(
                DatabaseError::new("42939", format!("unacceptable schema name \"{name}\""))
                    .detail("The prefix \"pg_\" is reserved for system schemas."),
            );
        }
        self.check_name(name)?;
        if let Some(other) = self
            .catalog
            .schemas
            .keys()
            .find(|other| other.eq_ignore_ascii_case(name))
        {
            let feature = format!("names that differ only by case (\"{other}\")");
            return Err(self.refuse(&feature, name, Some("another name")));
        }
        let schema = Schema {
            owner,
            comment: None,
            acl: Vec::new(),
        };
        self.catalog.schemas.insert(name.clone(), schema);
        Ok(())
    }

    /// Errors: 42710 if a type of that name is there: a relation has a row type of its own name.
    pub(super) fn check_free_row_type(&self, name: &QualifiedName) -> Result<()> {
        self.check_free_type(name).map_err(|error| {
            error.hint(
                "A relation has an associated type of the same name, so you must use a name that doesn't conflict \
                 with any existing type.",
            )
        })
    }

    /// Errors: 42710 if a type of that name is there.
    pub(super) fn check_free_type(&self, name: &QualifiedName) -> Result<()> {
        let taken = self.catalog.enums.contains_key(name) || self.catalog.domains.contains_key(name);
        if taken {
            return Err(DatabaseError::new(
                "42710",
                format!("type \"{}\" already exists", name.name),
            ));
        }
        Ok(())
    }

    pub(super) fn create_enum(&mut self, written: &ObjectName, labels: &[String]) -> Result<()> {
        let name = self.new_name(written)?;
        self.check_free_type(&name)?;
        if self.catalog.relations.contains_key(&name) {
            return Err(
                DatabaseError::new("42710", format!("type \"{}\" already exists", name.name)).hint(
                    "A relation has an associated type of the same name, so you must use a name that doesn't conflict \
                 with any existing type.",
                ),
            );
        }
        types::check_labels(labels)?;
        let entry = mainstay_core::catalog::EnumType {
            name: name.clone(),
            labels: labels.to_vec(),
            owner: self.session.user.clone(),
            comment: None,
            uncommitted: Vec::new(),
        };
        self.catalog.enums.insert(name.clone(), Arc::new(entry));
        self.changes.push(super::Change::CreateEnum(name));
        Ok(())
    }
}

/// 42P07, for tables, views, indexes and sequences alike.
pub(super) fn relation_exists(name: &str) -> DatabaseError {
    DatabaseError::new("42P07", format!("relation \"{name}\" already exists"))
}

/// Roles that every PostgreSQL 15 server has (manual, 22.5).
const PREDEFINED_ROLES: [&str; 14] = [
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_read_all_settings",
    "pg_read_all_stats",
    "pg_stat_scan_tables",
    "pg_monitor",
    "pg_database_owner",
    "pg_signal_backend",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
    "pg_checkpoint",
    "pg_maintain",
    "pg_use_reserved_connections",
];

pub(super) fn no_role(name: &str) -> DatabaseError {
    DatabaseError::new("42704", format!("role \"{name}\" does not exist"))
}

/// A name in a message as the statement had it.
pub(super) fn written(name: &ObjectName) -> String {
    name.to_string()
}
