//! `ALTER … RENAME …`: the object, everything that names it, and every stored text.

use std::collections::HashSet;
use std::sync::Arc;

use mainstay_core::catalog::{ConstraintKind, IndexPart};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};

use super::dependency::{self, Place, Stored};
use super::lookup::relation_exists;
use super::policy::no_policy;
use super::spell::{self, Renamed};
use super::types::qualified_literal;
use super::{Change, Result, Run, naming};
use crate::ast::ddl::{ObjectKind, Rename};

impl Run<'_> {
    pub(super) fn rename(&mut self, rename: &Rename) -> Result<()> {
        let to = Ident::new(naming::cut(&rename.to, naming::NAME_BYTES_MAX));
        self.check_name(&to)?;
        match rename.kind {
            ObjectKind::Schema => self.rename_schema(&rename.name.name, &to),
            ObjectKind::Role => self.rename_role(&rename.name.name, &to),
            ObjectKind::Function => self.rename_routine(&rename.name, rename.arguments.as_deref(), &to),
            ObjectKind::Type => self.rename_type(rename, &to),
            ObjectKind::Domain => self.rename_domain(rename, &to),
            ObjectKind::DomainConstraint => self.rename_domain_constraint(rename, &to),
            // `ALTER INDEX` renames tables too.
            ObjectKind::Index if self.find_index(&rename.name).is_none() => self.rename_relation_part(rename, &to),
            ObjectKind::Index => self.rename_index(rename, &to),
            ObjectKind::Sequence => self.rename_sequence(rename, &to),
            _ => self.rename_relation_part(rename, &to),
        }
    }

    fn rename_relation_part(&mut self, rename: &Rename, to: &Ident) -> Result<()> {
        let Some(relation) = self.find_relation(&rename.name) else {
            self.not_of_the_system(&rename.name)?;
            if rename.if_exists {
                self.notice(
                    "00000",
                    format!("relation \"{}\" does not exist, skipping", rename.name),
                );
                return Ok(());
            }
            if rename.part.is_none() {
                // `ALTER TABLE` renames indexes and sequences too.
                if self.find_sequence(&rename.name).is_some() {
                    return self.rename_sequence(rename, to);
                }
                if self.find_index(&rename.name).is_some() {
                    return self.rename_index(rename, to);
                }
            }
            return Err(self.no_relation(&rename.name));
        };
        let name = relation.name.clone();
        match (rename.kind, &rename.part) {
            (ObjectKind::Column, Some(column)) => self.rename_column(&name, column, to),
            (ObjectKind::Constraint, Some(constraint)) => self.rename_constraint(&name, constraint, to),
            (ObjectKind::Policy, Some(policy)) => {
                if relation.policies.iter().any(|other| other.name == *to) {
                    let message = format!("policy \"{to}\" for table \"{}\" already exists", name.name);
                    return Err(DatabaseError::new("42710", message));
                }
                let changed = self.relation_mut(&name)?;
                match changed.policies.iter_mut().find(|other| other.name == *policy) {
                    Some(found) => {
                        found.name = to.clone();
                        Ok(())
                    }
                    None => Err(no_policy(policy, &name.name)),
                }
            }
            (ObjectKind::Trigger, Some(trigger)) => self.rename_trigger(&relation, trigger, to),
            (ObjectKind::View, None) if !relation.kind.is_view() => {
                Err(DatabaseError::new("42809", format!("\"{}\" is not a view", name.name)))
            }
            _ => self.rename_relation(&name, to),
        }
    }

    fn rename_column(&mut self, table: &QualifiedName, from: &Ident, to: &Ident) -> Result<()> {
        let Some(relation) = self.catalog.relations.get(table).cloned() else {
            return Ok(());
        };
        let Some((position, _)) = relation.column(from) else {
            return Err(DatabaseError::new("42703", format!("column \"{from}\" does not exist")));
        };
        if relation.column(to).is_some() {
            let message = format!("column \"{to}\" of relation \"{}\" already exists", table.name);
            return Err(DatabaseError::new("42701", message));
        }
        let others = relation
            .columns
            .iter()
            .map(|column| &column.name)
            .filter(|name| *name != from);
        self.check_column_name(&table.name, to, others)?;

        let mut rewritten = Vec::new();
        for stored in dependency::stored(self.catalog) {
            let uses = stored.uses(self.catalog)?;
            let positions: HashSet<u32> = uses
                .columns
                .iter()
                .filter(|(relation, column, _)| relation == table && column == from)
                .map(|(_, _, position)| *position)
                .collect();
            if !positions.is_empty() {
                if stored.joins_naturally()? {
                    let feature = format!(
                        "renaming a column that the natural join in {} may pair",
                        stored.relation.name
                    );
                    let object = format!("{}.{from}", table.name);
                    return Err(self.refuse(&feature, &object, Some("JOIN … ON")));
                }
                let text = stored.renamed(&Renamed::Column {
                    positions: &positions,
                    from,
                    to,
                })?;
                rewritten.push(Stored { text, ..stored });
            }
        }
        self.relation_mut(table)?.columns[position].name = to.clone();
        for entry in self.catalog.relations.values_mut() {
            let points = entry
                .constraints
                .iter()
                .any(|constraint| matches!(&constraint.kind, ConstraintKind::ForeignKey(key) if key.target == *table));
            let shows = entry.view.is_some();
            if !points && !shows {
                continue;
            }
            let relation = Arc::make_mut(entry);
            for constraint in &mut relation.constraints {
                if let ConstraintKind::ForeignKey(key) = &mut constraint.kind
                    && key.target == *table
                {
                    key.target_columns
                        .iter_mut()
                        .filter(|name| *name == from)
                        .for_each(|name| *name = to.clone());
                }
            }
            for source in relation
                .view
                .iter_mut()
                .flat_map(|view| view.sources.iter_mut().flatten())
            {
                if source.relation == *table && source.column == *from {
                    source.column = to.clone();
                }
            }
        }
        for entry in self.catalog.sequences.values_mut() {
            if entry
                .owned_by
                .as_ref()
                .is_some_and(|(owner, column)| owner == table && column == from)
            {
                Arc::make_mut(entry).owned_by = Some((table.clone(), to.clone()));
            }
        }
        let what = format!("{}.{from}", table.name);
        self.put_back(rewritten, &what)?;
        if relation.view.is_none() {
            self.changes.push(Change::RenameColumn {
                table: table.clone(),
                from: from.clone(),
                to: to.clone(),
            });
        }
        Ok(())
    }

    fn rename_relation(&mut self, from: &QualifiedName, to: &Ident) -> Result<()> {
        let to = QualifiedName::new(from.schema.clone(), to.clone());
        if naming::relation_exists(self.catalog, &to.schema, &to.name) {
            return Err(relation_exists(&to.name));
        }
        if !from.name.eq_ignore_ascii_case(&to.name) {
            self.check_case(&to)?;
        }
        self.check_free_row_type(&to)?;
        self.move_relation(from, &to)
    }

    /// Gives a relation another name, schema or both; its name must be free.
    pub(super) fn move_relation(&mut self, from: &QualifiedName, to: &QualifiedName) -> Result<()> {
        let mut rewritten = Vec::new();
        for mut stored in dependency::stored(self.catalog) {
            let uses = stored.uses(self.catalog)?;
            let own = stored.relation == *from && !uses.own.is_empty();
            if !uses.relations.contains(from) && !own {
                continue;
            }
            let rename = Renamed::Relation {
                from,
                to,
                own: if own { Some(&uses.own) } else { None },
            };
            stored.text = stored.renamed(&rename)?;
            if stored.relation == *from {
                stored.relation = to.clone();
            }
            rewritten.push(stored);
        }
        let Some(mut moved) = self.catalog.relations.remove(from) else {
            return Ok(());
        };
        let is_table = moved.view.is_none();
        Arc::make_mut(&mut moved).name = to.clone();
        self.catalog.relations.insert(to.clone(), moved);
        for entry in self.catalog.relations.values_mut() {
            let relation = Arc::make_mut(entry);
            for constraint in &mut relation.constraints {
                if let ConstraintKind::ForeignKey(key) = &mut constraint.kind
                    && key.target == *from
                {
                    key.target = to.clone();
                }
            }
            for source in relation
                .view
                .iter_mut()
                .flat_map(|view| view.sources.iter_mut().flatten())
            {
                if source.relation == *from {
                    source.relation = to.clone();
                }
            }
        }
        for entry in self.catalog.sequences.values_mut() {
            if let Some((owner, column)) = &entry.owned_by
                && owner == from
            {
                let column = column.clone();
                Arc::make_mut(entry).owned_by = Some((to.clone(), column));
            }
        }
        // Its row type has its name.
        self.retype(from, to)?;
        for routine in self.catalog.routines.values_mut().flatten() {
            if routine.returns.relation.as_ref() == Some(from) {
                Arc::make_mut(routine).returns.relation = Some(to.clone());
            }
        }
        self.put_back(rewritten, &from.name)?;
        let (from, to) = (from.clone(), to.clone());
        match (is_table, from.schema == to.schema) {
            (false, _) => {}
            (true, true) => self.changes.push(Change::RenameTable { from, to }),
            (true, false) => self.changes.push(Change::MoveTable { from, to }),
        }
        Ok(())
    }

    /// Puts rewritten texts in their places and analyses each again. Errors: 0A000 if one cannot follow the rename.
    pub(super) fn put_back(&mut self, rewritten: Vec<Stored>, what: &str) -> Result<()> {
        for stored in &rewritten {
            let relation = self.relation_mut(&stored.relation)?;
            stored.place.put(relation, &stored.text);
        }
        for stored in &rewritten {
            if let Err(error) = stored.uses(self.catalog) {
                let object = &stored.relation.name;
                let feature = format!("renaming {what} while {object} uses it in a way that cannot follow ({error})");
                return Err(self.refuse(&feature, object, Some("dropping and creating what uses it")));
            }
        }
        Ok(())
    }

    fn rename_constraint(&mut self, table: &QualifiedName, from: &Ident, to: &Ident) -> Result<()> {
        let Some(relation) = self.catalog.relations.get(table).cloned() else {
            return Ok(());
        };
        let Some(position) = relation.constraints.iter().position(|entry| entry.name == *from) else {
            let message = format!("constraint \"{from}\" for table \"{}\" does not exist", table.name);
            return Err(DatabaseError::new("42704", message));
        };
        if relation.constraints.iter().any(|entry| entry.name == *to) {
            let message = format!("constraint \"{to}\" for relation \"{}\" already exists", table.name);
            return Err(DatabaseError::new("42710", message));
        }
        let is_key = matches!(
            relation.constraints[position].kind,
            ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. }
        );
        if is_key && naming::relation_exists(self.catalog, &table.schema, to) {
            return Err(relation_exists(to));
        }
        self.relation_mut(table)?.constraints[position].name = to.clone();
        self.changes.push(match is_key {
            true => Change::RenameIndex {
                table: table.clone(),
                from: from.clone(),
                to: to.clone(),
            },
            false => Change::Redefine { table: table.clone() },
        });
        Ok(())
    }

    fn rename_index(&mut self, rename: &Rename, to: &Ident) -> Result<()> {
        let Some((table, from)) = self.find_index(&rename.name) else {
            if rename.if_exists {
                self.notice(
                    "00000",
                    format!("relation \"{}\" does not exist, skipping", rename.name),
                );
                return Ok(());
            }
            return Err(DatabaseError::new(
                "42P01",
                format!("relation \"{}\" does not exist", rename.name),
            ));
        };
        if naming::relation_exists(self.catalog, &table.schema, to) {
            return Err(relation_exists(to));
        }
        let relation = self.relation_mut(&table)?;
        let names = relation
            .indexes
            .iter_mut()
            .map(|index| &mut index.name)
            .chain(relation.constraints.iter_mut().map(|constraint| &mut constraint.name));
        names.filter(|name| **name == from).for_each(|name| *name = to.clone());
        self.changes.push(Change::RenameIndex {
            table,
            from,
            to: to.clone(),
        });
        Ok(())
    }

    fn rename_sequence(&mut self, rename: &Rename, to: &Ident) -> Result<()> {
        let Some(from) = self.find_sequence(&rename.name) else {
            if rename.if_exists {
                self.notice(
                    "00000",
                    format!("relation \"{}\" does not exist, skipping", rename.name),
                );
                return Ok(());
            }
            return Err(DatabaseError::new(
                "42P01",
                format!("relation \"{}\" does not exist", rename.name),
            ));
        };
        let to = QualifiedName::new(from.schema.clone(), to.clone());
        if naming::relation_exists(self.catalog, &to.schema, &to.name) {
            return Err(relation_exists(&to.name));
        }
        self.move_sequence(&from, &to)
    }

    /// Gives a sequence another name, schema or both; its name must be free.
    pub(super) fn move_sequence(&mut self, from: &QualifiedName, to: &QualifiedName) -> Result<()> {
        let Some(mut moved) = self.catalog.sequences.remove(from) else {
            return Ok(());
        };
        Arc::make_mut(&mut moved).name = to.clone();
        self.catalog.sequences.insert(to.clone(), moved);
        let (old, new) = (qualified_literal(from), qualified_literal(to));
        for entry in self.catalog.relations.values_mut() {
            let touched = entry.columns.iter().any(|column| {
                column.sequence.as_ref() == Some(from)
                    || column.default.as_ref().is_some_and(|text| text.contains(&old))
            });
            if !touched {
                continue;
            }
            for column in &mut Arc::make_mut(entry).columns {
                if column.sequence.as_ref() == Some(from) {
                    column.sequence = Some(to.clone());
                }
                if let Some(text) = &mut column.default {
                    *text = text.replace(&old, &new);
                }
            }
        }
        self.changes.push(Change::RenameSequence {
            from: from.clone(),
            to: to.clone(),
        });
        Ok(())
    }

    fn rename_type(&mut self, rename: &Rename, to: &Ident) -> Result<()> {
        let Some(from) = self.find_type(&rename.name) else {
            if let Some(relation) = self.find_relation(&rename.name) {
                let message = format!("{} is a table's row type", relation.name.name);
                return Err(DatabaseError::new("42809", message).hint("Use ALTER TABLE instead."));
            }
            return Err(DatabaseError::new(
                "42704",
                format!("type \"{}\" does not exist", rename.name),
            ));
        };
        let to = QualifiedName::new(from.schema.clone(), to.clone());
        self.check_free_type(&to)?;
        if self.catalog.relations.contains_key(&to) {
            let message = format!("type \"{}\" already exists", to.name);
            return Err(DatabaseError::new("42710", message));
        }
        self.move_type(&from, &to)
    }

    /// Gives an enum or domain another name, schema or both; its name must be free.
    pub(super) fn move_type(&mut self, from: &QualifiedName, to: &QualifiedName) -> Result<()> {
        let mut rewritten = Vec::new();
        for stored in dependency::stored(self.catalog) {
            let text = stored.renamed(&Renamed::Type { from, to })?;
            if text != stored.text {
                rewritten.push(Stored { text, ..stored });
            }
        }
        if let Some(mut moved) = self.catalog.enums.remove(from) {
            Arc::make_mut(&mut moved).name = to.clone();
            self.catalog.enums.insert(to.clone(), moved);
        }
        if let Some(mut moved) = self.catalog.domains.remove(from) {
            Arc::make_mut(&mut moved).name = to.clone();
            self.catalog.domains.insert(to.clone(), moved);
        }
        self.retype(from, to)?;
        let what = from.name.clone();
        self.put_back(rewritten, &what)?;
        self.changes.push(Change::RenameEnum {
            from: from.clone(),
            to: to.clone(),
        });
        Ok(())
    }
}

impl Stored {
    /// True if a NATURAL JOIN pairs columns by their names of the day.
    fn joins_naturally(&self) -> Result<bool> {
        match self.place {
            Place::View => spell::joins_naturally(&self.text),
            _ => Ok(false),
        }
    }

    pub(super) fn renamed(&self, rename: &Renamed<'_>) -> Result<String> {
        match self.place {
            Place::View => spell::renamed_in_query(&self.text, rename),
            _ => spell::renamed_in_expression(&self.text, rename),
        }
    }
}

impl Place {
    fn put(&self, relation: &mut mainstay_core::catalog::Relation, text: &str) {
        let text = text.to_owned();
        match *self {
            Place::View => {
                if let Some(view) = &mut relation.view {
                    view.definition = text;
                }
            }
            Place::Using(index) => relation.policies[index].using = Some(text),
            Place::WithCheck(index) => relation.policies[index].check = Some(text),
            Place::Check(index) => relation.constraints[index].kind = ConstraintKind::Check { expression: text },
            Place::Default(index) => relation.columns[index].default = Some(text),
            Place::Generated(index) => relation.columns[index].generated = Some(text),
            Place::IndexKey(index, key) => relation.indexes[index].keys[key].part = IndexPart::Expression(text),
            Place::Predicate(index) => relation.indexes[index].predicate = Some(text),
            Place::When(index) => relation.triggers[index].condition = Some(text),
        }
    }
}
