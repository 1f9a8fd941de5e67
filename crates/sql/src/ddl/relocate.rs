//! `ALTER … SET SCHEMA`, and what moves with it: whole schemas and functions under another name.
//!
//! Not here: the texts that name what moves (`spell`, `rename`).

use std::sync::Arc;

use mainstay_core::catalog::{DefaultPrivilege, Grantee};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::dependency::{self, Stored};
use super::spell::Renamed;
use super::{Result, Run, initial, naming};
use crate::ast::ObjectName;
use crate::ast::TypeName;
use crate::ast::ddl::{ObjectKind, SetSchema};

impl Run<'_> {
    pub(super) fn set_schema(&mut self, set: &SetSchema) -> Result<()> {
        match set.kind {
            ObjectKind::Type => {
                let Some(from) = self.find_type(&set.name) else {
                    let message = format!("type \"{}\" does not exist", set.name);
                    return Err(DatabaseError::new("42704", message));
                };
                let to = QualifiedName::new(self.existing_schema(&set.schema)?, from.name.clone());
                if from == to {
                    return Ok(());
                }
                if self.has_type(&to) {
                    let message = format!("type \"{}\" already exists in schema \"{}\"", to.name, to.schema);
                    return Err(DatabaseError::new("42710", message));
                }
                self.move_type(&from, &to)
            }
            ObjectKind::Function => {
                let (name, index) = self.existing_routine(&set.name, set.arguments.as_deref())?;
                let to = QualifiedName::new(self.existing_schema(&set.schema)?, name.name.clone());
                self.move_routine(&name, index, &to)
            }
            ObjectKind::Extension => {
                let schema = self.existing_schema(&set.schema)?;
                match self.catalog.extensions.get_mut(&set.name.name) {
                    Some(entry) => {
                        *entry = schema;
                        Ok(())
                    }
                    None => {
                        let message = format!("extension \"{}\" does not exist", set.name.name);
                        Err(DatabaseError::new("42704", message))
                    }
                }
            }
            _ => self.set_relation_schema(set),
        }
    }

    fn set_relation_schema(&mut self, set: &SetSchema) -> Result<()> {
        let relation = self.find_relation(&set.name);
        let sequence = self.find_sequence(&set.name);
        let free = |run: &Self, to: &QualifiedName| match naming::relation_exists(run.catalog, &to.schema, &to.name) {
            true => {
                let message = format!("relation \"{}\" already exists in schema \"{}\"", to.name, to.schema);
                Err(DatabaseError::new("42P07", message))
            }
            false => run.check_case(to),
        };
        match (relation, sequence) {
            (Some(relation), _) => {
                let word = match set.kind {
                    ObjectKind::View => "view",
                    ObjectKind::Sequence => "sequence",
                    _ => "table",
                };
                if (set.kind == ObjectKind::View && !relation.kind.is_view()) || set.kind == ObjectKind::Sequence {
                    let message = format!("\"{}\" is not a {word}", relation.name.name);
                    return Err(DatabaseError::new("42809", message));
                }
                let from = relation.name.clone();
                let to = QualifiedName::new(self.existing_schema(&set.schema)?, from.name.clone());
                if from == to {
                    return Ok(());
                }
                free(self, &to)?;
                self.move_relation(&from, &to)?;
                self.move_owned_sequences(&to)
            }
            (None, Some(from)) => {
                let owner = self
                    .catalog
                    .sequences
                    .get(&from)
                    .and_then(|sequence| sequence.owned_by.as_ref());
                if let Some((table, _)) = owner {
                    let message = "cannot move an owned sequence into another schema";
                    let detail = format!("Sequence \"{}\" is linked to table \"{}\".", from.name, table.name);
                    return Err(DatabaseError::new("0A000", message).detail(detail));
                }
                let to = QualifiedName::new(self.existing_schema(&set.schema)?, from.name.clone());
                if from == to {
                    return Ok(());
                }
                free(self, &to)?;
                self.move_sequence(&from, &to)
            }
            (None, None) if set.if_exists => {
                let message = format!("relation \"{}\" does not exist, skipping", set.name);
                self.notice("00000", message);
                Ok(())
            }
            (None, None) => Err(self.no_relation(&set.name)),
        }
    }

    /// A table's own sequences go where it went.
    fn move_owned_sequences(&mut self, table: &QualifiedName) -> Result<()> {
        let mut owned: Vec<QualifiedName> = self
            .catalog
            .sequences
            .values()
            .filter(|sequence| sequence.owned_by.as_ref().is_some_and(|(owner, _)| owner == table))
            .map(|sequence| sequence.name.clone())
            .collect();
        owned.sort();
        for from in owned {
            let to = QualifiedName::new(table.schema.clone(), from.name.clone());
            if from != to {
                self.move_sequence(&from, &to)?;
            }
        }
        Ok(())
    }

    pub(super) fn find_type(&self, name: &ObjectName) -> Option<QualifiedName> {
        self.find(name, |qualified| self.has_type(qualified).then(|| qualified.clone()))
    }

    fn has_type(&self, name: &QualifiedName) -> bool {
        self.catalog.enums.contains_key(name) || self.catalog.domains.contains_key(name)
    }

    pub(super) fn rename_routine(
        &mut self,
        written: &ObjectName,
        arguments: Option<&[TypeName]>,
        to: &Ident,
    ) -> Result<()> {
        let (name, index) = self.existing_routine(written, arguments)?;
        let to = QualifiedName::new(name.schema.clone(), to.clone());
        self.move_routine(&name, index, &to)
    }

    fn move_routine(&mut self, from: &QualifiedName, index: usize, to: &QualifiedName) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let overloads = self.catalog.routines.get(from).cloned().unwrap_or_default();
        let Some(routine) = overloads.get(index) else {
            return Ok(());
        };
        let types: Vec<&Type> = routine.arguments.iter().map(|argument| &argument.ty).collect();
        let taken = self.catalog.routines.get(to).is_some_and(|others| {
            others.iter().any(|other| {
                other
                    .arguments
                    .iter()
                    .map(|argument| &argument.ty)
                    .eq(types.iter().copied())
            })
        });
        if taken {
            let list: Vec<String> = types.iter().map(|ty| ty.to_string()).collect();
            let message = format!(
                "function {}({}) already exists in schema \"{}\"",
                to.name,
                list.join(", "),
                to.schema
            );
            return Err(DatabaseError::new("42723", message));
        }
        let mut rewritten = Vec::new();
        for stored in dependency::stored(self.catalog) {
            if !stored.uses(self.catalog)?.routines.contains(&routine.id) {
                continue;
            }
            if overloads.len() > 1 {
                let object = stored.relation.name.clone();
                let feature = format!(
                    "renaming function {} of several of its name while {object} calls it",
                    from.name
                );
                return Err(self.refuse(&feature, &object, Some("dropping and creating what calls it")));
            }
            let text = stored.renamed(&Renamed::Routine { from, to })?;
            rewritten.push(Stored { text, ..stored });
        }
        let mut moved = Arc::clone(routine);
        Arc::make_mut(&mut moved).name = to.clone();
        if let Some(left) = self.catalog.routines.get_mut(from) {
            left.remove(index);
            if left.is_empty() {
                self.catalog.routines.remove(from);
            }
        }
        self.catalog.routines.entry(to.clone()).or_default().push(moved);
        self.put_back(rewritten, &from.name)
    }

    /// `ALTER SCHEMA … RENAME`: everything in it goes to a schema of the new name.
    pub(super) fn rename_schema(&mut self, from: &Ident, to: &Ident) -> Result<()> {
        let from = self.existing_schema(from)?;
        if self.catalog.schemas.contains_key(to) {
            return Err(DatabaseError::new("42P06", format!("schema \"{to}\" already exists")));
        }
        if to.starts_with("pg_") {
            return Err(
                DatabaseError::new("42939", format!("unacceptable schema name \"{to}\""))
                    .detail("The prefix \"pg_\" is reserved for system schemas."),
            );
        }
        if initial::is_built_in_schema(&from) {
            return Err(self.refuse("renaming a built-in schema", &from, Some("a new schema")));
        }
        let Some(entry) = self.catalog.schemas.get(&from).cloned() else {
            return Ok(());
        };
        self.catalog.schemas.insert(to.clone(), entry);
        let in_it = |name: &QualifiedName| name.schema == from;
        let there = |name: &QualifiedName| QualifiedName::new(to.clone(), name.name.clone());
        let mut relations: Vec<(u64, QualifiedName)> = self
            .catalog
            .relations
            .values()
            .filter(|relation| in_it(&relation.name))
            .map(|relation| (relation.id, relation.name.clone()))
            .collect();
        relations.sort();
        for (_, name) in relations {
            self.move_relation(&name, &there(&name))?;
            self.move_owned_sequences(&there(&name))?;
        }
        let mut sequences: Vec<QualifiedName> = self
            .catalog
            .sequences
            .keys()
            .filter(|name| in_it(name))
            .cloned()
            .collect();
        sequences.sort();
        for name in sequences {
            self.move_sequence(&name, &there(&name))?;
        }
        let mut types: Vec<QualifiedName> = self
            .catalog
            .enums
            .keys()
            .chain(self.catalog.domains.keys())
            .filter(|name| in_it(name))
            .cloned()
            .collect();
        types.sort();
        for name in types {
            self.move_type(&name, &there(&name))?;
        }
        let mut routines: Vec<QualifiedName> = self
            .catalog
            .routines
            .keys()
            .filter(|name| in_it(name))
            .cloned()
            .collect();
        routines.sort();
        for name in routines {
            while self.catalog.routines.contains_key(&name) {
                self.move_routine(&name, 0, &there(&name))?;
            }
        }
        for relation in self.catalog.relations.values_mut() {
            let looks_there = relation
                .view
                .as_ref()
                .is_some_and(|view| view.search_path.contains(&from));
            if looks_there && let Some(view) = &mut Arc::make_mut(relation).view {
                replace(&mut view.search_path, &from, to);
            }
        }
        for entry in &mut self.catalog.default_privileges {
            if entry.schema.as_ref() == Some(&from) {
                entry.schema = Some(to.clone());
            }
        }
        for schema in self.catalog.extensions.values_mut().filter(|schema| **schema == from) {
            *schema = to.clone();
        }
        self.catalog.schemas.remove(&from);
        Ok(())
    }

    /// `ALTER ROLE … RENAME`: every owner, grant and policy follows.
    pub(super) fn rename_role(&mut self, from: &Ident, to: &Ident) -> Result<()> {
        self.existing_role(from)?;
        if self.catalog.roles.contains_key(to) {
            return Err(DatabaseError::new("42710", format!("role \"{to}\" already exists")));
        }
        if to.starts_with("pg_") || matches!(to.as_str(), "public" | "none") {
            return Err(DatabaseError::new("42939", format!("role name \"{to}\" is reserved")));
        }
        if initial::is_built_in_role(from) {
            return Err(self.refuse("renaming a built-in role", from, Some("a new role")));
        }
        if let Some(mut role) = self.catalog.roles.remove(from) {
            role.name = to.clone();
            self.catalog.roles.insert(to.clone(), role);
        }
        let owner = |name: &mut Ident| {
            if name == from {
                *name = to.clone();
            }
        };
        let grantee = |grantee: &mut Grantee| {
            if *grantee == Grantee::Role(from.clone()) {
                *grantee = Grantee::Role(to.clone());
            }
        };
        for role in self.catalog.roles.values_mut() {
            replace(&mut role.member_of, from, to);
        }
        for schema in self.catalog.schemas.values_mut() {
            owner(&mut schema.owner);
            schema.acl.iter_mut().for_each(|entry| grantee(&mut entry.grantee));
        }
        for relation in self.catalog.relations.values_mut() {
            let relation = Arc::make_mut(relation);
            owner(&mut relation.owner);
            relation.acl.iter_mut().for_each(|entry| grantee(&mut entry.grantee));
            for policy in &mut relation.policies {
                policy.roles.iter_mut().for_each(grantee);
            }
        }
        for sequence in self.catalog.sequences.values_mut() {
            let sequence = Arc::make_mut(sequence);
            owner(&mut sequence.owner);
            sequence.acl.iter_mut().for_each(|entry| grantee(&mut entry.grantee));
        }
        for routine in self.catalog.routines.values_mut().flatten() {
            let routine = Arc::make_mut(routine);
            owner(&mut routine.owner);
            routine.acl.iter_mut().for_each(|entry| grantee(&mut entry.grantee));
        }
        for entry in self.catalog.enums.values_mut() {
            owner(&mut Arc::make_mut(entry).owner);
        }
        for entry in self.catalog.domains.values_mut() {
            owner(&mut Arc::make_mut(entry).owner);
        }
        for DefaultPrivilege {
            owner: whose, grant, ..
        } in &mut self.catalog.default_privileges
        {
            owner(whose);
            grantee(&mut grant.grantee);
        }
        Ok(())
    }
}

fn replace(list: &mut [Ident], from: &Ident, to: &Ident) {
    for name in list.iter_mut().filter(|name| *name == from) {
        *name = to.clone();
    }
}
