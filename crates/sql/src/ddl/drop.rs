//! `DROP`: what else would have to go, and taking it out of the catalog.

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, ConstraintKind, RelationKind};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::dependency::{self, Object, Place, Stored, Uses};
use super::policy::no_policy;
use super::trigger::{no_trigger, triggers_of};
use super::{Result, Run};
use crate::ast::ObjectName;
use crate::ast::ddl::{Drop, DropTarget, ObjectKind};

/// The most dependants that a message lists one by one, as PostgreSQL does.
const LISTED_MAX: usize = 100;

impl Run<'_> {
    pub(super) fn drop(&mut self, drop: &Drop) -> Result<()> {
        if drop.kind == ObjectKind::Role {
            for target in &drop.targets {
                self.drop_role(&target.name.name, drop.if_exists)?;
            }
            return Ok(());
        }
        let mut objects = Vec::new();
        for target in &drop.targets {
            if let Some(object) = self.drop_target(drop, target)? {
                objects.push(object);
            }
        }
        self.remove(objects, drop.cascade)
    }

    /// The object a name stands for; `None` if it is missing and may be.
    fn drop_target(&mut self, drop: &Drop, target: &DropTarget) -> Result<Option<Object>> {
        let name = &target.name;
        let missing = |run: &mut Self, error: DatabaseError, notice: String| {
            if drop.if_exists {
                run.notice("00000", notice);
                return Ok(None);
            }
            Err(error)
        };
        match drop.kind {
            ObjectKind::Table | ObjectKind::View => {
                let view = drop.kind == ObjectKind::View;
                let word = if view { "view" } else { "table" };
                match self.find_relation(name) {
                    Some(relation) if relation.kind.is_view() == view => {
                        Ok(Some(Object::Relation(relation.name.clone())))
                    }
                    Some(relation) => Err(wrong_kind(&relation.name.name, word, relation.kind)),
                    None => {
                        self.not_of_the_system(name)?;
                        self.missing_relation(drop, name, word)
                    }
                }
            }
            ObjectKind::Index => match (self.find_index(name), self.find_relation(name)) {
                (Some((table, index)), _) => {
                    let is_key =
                        self.catalog.relations.get(&table).is_some_and(|relation| {
                            relation.constraints.iter().any(|constraint| constraint.name == index)
                        });
                    if is_key {
                        let shown = self.described(&table);
                        let message = format!(
                            "cannot drop index {index} because constraint {index} on table {shown} requires it"
                        );
                        return Err(DatabaseError::new("2BP01", message)
                            .hint(format!("You can drop constraint {index} on table {shown} instead.")));
                    }
                    Ok(Some(Object::Index(table, index)))
                }
                (None, Some(relation)) => Err(wrong_kind(&relation.name.name, "index", relation.kind)),
                (None, None) => match name
                    .schema
                    .as_ref()
                    .filter(|schema| !self.catalog.schemas.contains_key(*schema))
                {
                    Some(_) => self.missing_relation(drop, name, "index"),
                    None => missing(
                        self,
                        DatabaseError::new("42704", format!("index \"{name}\" does not exist")),
                        format!("index \"{}\" does not exist, skipping", name.name),
                    ),
                },
            },
            ObjectKind::Sequence => match self.find_sequence(name) {
                Some(sequence) => Ok(Some(Object::Sequence(sequence))),
                None => match self.find_relation(name) {
                    Some(relation) => Err(wrong_kind(&relation.name.name, "sequence", relation.kind)),
                    None => self.missing_relation(drop, name, "sequence"),
                },
            },
            ObjectKind::Domain if self.find_domain(name).is_none() && self.find_enum(name).is_some() => {
                Err(DatabaseError::new("42809", format!("\"{name}\" is not a domain")))
            }
            ObjectKind::Type | ObjectKind::Domain => match self.find_enum(name).or_else(|| self.find_domain(name)) {
                Some(found) => Ok(Some(Object::Type(found))),
                None => missing(
                    self,
                    DatabaseError::new("42704", format!("type \"{name}\" does not exist")),
                    format!("type \"{name}\" does not exist, skipping"),
                ),
            },
            ObjectKind::Schema => match self.catalog.schemas.contains_key(&name.name) {
                true => Ok(Some(Object::Schema(name.name.clone()))),
                false => missing(
                    self,
                    DatabaseError::new("3F000", format!("schema \"{}\" does not exist", name.name)),
                    format!("schema \"{}\" does not exist, skipping", name.name),
                ),
            },
            ObjectKind::Function => match self.existing_routine(name, target.arguments.as_deref()) {
                Ok((found, index)) => {
                    let id = self
                        .catalog
                        .routines
                        .get(&found)
                        .and_then(|all| all.get(index))
                        .map(|entry| entry.id);
                    Ok(id.map(|id| Object::Routine(found, id)))
                }
                Err(error) if drop.if_exists && matches!(error.sqlstate.as_str(), "42704" | "3F000") => {
                    // A type of its arguments, or a schema.
                    self.notice("00000", format!("{}, skipping", error.message));
                    Ok(None)
                }
                Err(error) if error.sqlstate == "42883" => {
                    let shown = match &target.arguments {
                        Some(arguments) => {
                            let list: Vec<String> = arguments
                                .iter()
                                .map(|ty| match &ty.schema {
                                    Some(schema) => format!("{schema}.{}", ty.name),
                                    None => ty.name.to_string(),
                                })
                                .collect();
                            format!("{name}({})", list.join(","))
                        }
                        None => name.to_string(),
                    };
                    missing(self, error, format!("function {shown} does not exist, skipping"))
                }
                Err(error) => Err(error),
            },
            ObjectKind::Policy => {
                let Some(table) = &target.table else { return Ok(None) };
                let Some(relation) = self.find_relation(table) else {
                    return self.missing_relation(drop, table, "relation");
                };
                if relation.policies.iter().any(|policy| policy.name == name.name) {
                    return Ok(Some(Object::Policy(relation.name.clone(), name.name.clone())));
                }
                missing(
                    self,
                    no_policy(&name.name, &relation.name.name),
                    format!(
                        "policy \"{}\" for relation \"{table}\" does not exist, skipping",
                        name.name
                    ),
                )
            }
            ObjectKind::Trigger => {
                let Some(table) = &target.table else { return Ok(None) };
                let Some(relation) = self.find_relation(table) else {
                    return self.missing_relation(drop, table, "relation");
                };
                if relation.triggers.iter().any(|trigger| trigger.name == name.name) {
                    return Ok(Some(Object::Trigger(relation.name.clone(), name.name.clone())));
                }
                missing(
                    self,
                    no_trigger(&name.name, &relation.name.name),
                    format!(
                        "trigger \"{}\" for relation \"{table}\" does not exist, skipping",
                        name.name
                    ),
                )
            }
            ObjectKind::Extension => match self.catalog.extensions.contains_key(&name.name) {
                true => self.drop_extension(&name.name, drop.cascade).map(|()| None),
                false => missing(
                    self,
                    DatabaseError::new("42704", format!("extension \"{}\" does not exist", name.name)),
                    format!("extension \"{}\" does not exist, skipping", name.name),
                ),
            },
            ObjectKind::Role
            | ObjectKind::Column
            | ObjectKind::Constraint
            | ObjectKind::DomainConstraint
            | ObjectKind::Publication => Ok(None),
        }
    }

    fn missing_relation(&mut self, drop: &Drop, name: &ObjectName, word: &str) -> Result<Option<Object>> {
        let unknown_schema = name
            .schema
            .as_ref()
            .filter(|schema| !self.catalog.schemas.contains_key(*schema));
        match (drop.if_exists, unknown_schema) {
            (true, Some(schema)) => {
                self.notice("00000", format!("schema \"{schema}\" does not exist, skipping"));
                Ok(None)
            }
            (true, None) => {
                let shown = if word == "relation" {
                    name.to_string()
                } else {
                    name.name.to_string()
                };
                self.notice("00000", format!("{word} \"{shown}\" does not exist, skipping"));
                Ok(None)
            }
            (false, Some(schema)) => Err(DatabaseError::new(
                "3F000",
                format!("schema \"{schema}\" does not exist"),
            )),
            (false, None) => Err(DatabaseError::new(
                "42P01",
                format!("{word} \"{}\" does not exist", name.name),
            )),
        }
    }

    /// Removes objects and, with `cascade`, all that depends on them. Errors: 2BP01.
    pub(super) fn remove(&mut self, objects: Vec<Object>, cascade: bool) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let dependents = self.dependents(&objects)?;
        if !dependents.is_empty() {
            if !cascade {
                return Err(self.in_the_way(&objects, &dependents));
            }
            match dependents.as_slice() {
                [(only, _)] => {
                    let message = format!("drop cascades to {}", self.shown(only));
                    self.notice("00000", message);
                }
                many => {
                    let message = format!("drop cascades to {} other objects", many.len());
                    self.notice("00000", message);
                }
            }
        }
        // Those who depend go first.
        for object in dependents.iter().rev().map(|(object, _)| object).chain(&objects) {
            self.take_out(object)?;
        }
        Ok(())
    }

    fn in_the_way(&self, objects: &[Object], dependents: &[(Object, Object)]) -> DatabaseError {
        let message = match objects {
            [only] => format!("cannot drop {} because other objects depend on it", self.shown(only)),
            _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
        };
        let mut lines: Vec<String> = dependents
            .iter()
            .take(LISTED_MAX)
            .map(|(object, on)| {
                let cause = match (object, on) {
                    // It is the row type that a function names.
                    (Object::Routine(..), Object::Relation(name)) => format!("type {}", self.described(name)),
                    // A foreign key rests on the index of the key it refers to.
                    (Object::Constraint(..), _) => self.shown_as_cause(on),
                    _ => self.shown(on),
                };
                format!("{} depends on {cause}", self.shown(object))
            })
            .collect();
        if dependents.len() > LISTED_MAX {
            lines.push(format!(
                "and {} other objects (see server log for list)",
                dependents.len() - LISTED_MAX
            ));
        }
        DatabaseError::new("2BP01", message)
            .detail(lines.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too.")
    }

    /// The functions that take or give rows of the relation, oldest first.
    fn routines_over(&self, relation: &QualifiedName) -> Vec<Object> {
        let is_row = |ty: &Type| matches!(ty.base(), Type::Composite(name) if name == relation);
        let routines = self.catalog.routines.values().flatten();
        let mut found: Vec<_> = routines
            .filter(|routine| {
                routine.returns.relation.as_ref() == Some(relation)
                    || is_row(&routine.returns.ty)
                    || routine.arguments.iter().any(|argument| is_row(&argument.ty))
            })
            .collect();
        found.sort_by_key(|routine| routine.id);
        found
            .into_iter()
            .map(|routine| Object::Routine(routine.name.clone(), routine.id))
            .collect()
    }

    /// Everything that must go with `objects`, each with what it depends on; not `objects` themselves nor their parts.
    fn dependents(&self, objects: &[Object]) -> Result<Vec<(Object, Object)>> {
        let mut texts = Vec::new();
        for stored in dependency::stored(self.catalog) {
            let uses = stored.uses(self.catalog)?;
            texts.push((stored, uses));
        }
        let mut met = objects.to_vec();
        let mut found = Vec::new();
        for object in objects {
            self.follow(object, &texts, &mut met, &mut found);
        }
        Ok(found)
    }

    /// Depth first, as PostgreSQL lists them.
    fn follow(
        &self,
        object: &Object,
        texts: &[(Stored, Uses)],
        met: &mut Vec<Object>,
        found: &mut Vec<(Object, Object)>,
    ) {
        let direct = self.direct_dependents(object, texts);
        if let Object::Schema(_) = object {
            // What is in a schema depends on that first of all.
            let inside: Vec<Object> = direct.into_iter().filter(|member| !met.contains(member)).collect();
            met.extend(inside.iter().cloned());
            for member in inside {
                found.push((member.clone(), object.clone()));
                self.follow(&member, texts, met, found);
            }
            return;
        }
        for dependent in direct {
            let known = met.contains(&dependent) || met.iter().any(|whole| is_part(self, &dependent, whole));
            if !known {
                met.push(dependent.clone());
                found.push((dependent.clone(), object.clone()));
                self.follow(&dependent, texts, met, found);
            }
        }
    }

    fn direct_dependents(&self, object: &Object, texts: &[(Stored, Uses)]) -> Vec<Object> {
        let users = |test: &dyn Fn(&Stored, &Uses) -> bool| -> Vec<Object> {
            texts
                .iter()
                .filter(|(stored, uses)| test(stored, uses))
                .filter_map(|(stored, _)| stored.object(self.catalog))
                .collect()
        };
        match object {
            Object::Relation(name) => {
                let mut list = self.routines_over(name);
                list.extend(users(&|stored, uses| {
                    stored.relation != *name && uses.relations.contains(name)
                }));
                list.extend(self.foreign_keys_to(name, None));
                list
            }
            Object::Column(table, column) => {
                let mut list = users(&|stored, uses| {
                    // Checks, indexes and the column's own default go with it quietly.
                    let own_part = stored.relation == *table
                        && matches!(
                            stored.place,
                            Place::Check(_) | Place::IndexKey(..) | Place::Predicate(_) | Place::Default(_)
                        );
                    !own_part && uses.column(table, column)
                });
                list.extend(self.foreign_keys_to(table, Some(std::slice::from_ref(column))));
                if let Some(relation) = self.catalog.relations.get(table)
                    && let Some((position, _)) = relation.column(column)
                {
                    let named = relation
                        .triggers
                        .iter()
                        .filter(|trigger| trigger.columns.contains(&position));
                    for trigger in named {
                        let object = Object::Trigger(table.clone(), trigger.name.clone());
                        if !list.contains(&object) {
                            list.push(object);
                        }
                    }
                }
                list
            }
            Object::Constraint(table, constraint) => {
                let Some(relation) = self.catalog.relations.get(table) else {
                    return Vec::new();
                };
                let key = relation.constraints.iter().find(|entry| entry.name == *constraint);
                let Some(ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns }) =
                    key.map(|entry| &entry.kind)
                else {
                    return Vec::new();
                };
                let names: Vec<Ident> = columns
                    .iter()
                    .map(|index| relation.columns[*index].name.clone())
                    .collect();
                let mut list = match key.map(|entry| &entry.kind) {
                    Some(ConstraintKind::PrimaryKey { .. }) => {
                        let without = self.without_constraint(table, constraint);
                        users(&|stored, uses| {
                            let is_view = stored.place == Place::View && uses.relations.contains(table);
                            is_view && stored.analysed(&without, false).is_err()
                        })
                    }
                    _ => Vec::new(),
                };
                list.extend(
                    self.foreign_keys_to(table, None)
                        .into_iter()
                        .filter(|key| self.target_columns(key).is_some_and(|target| same_set(&target, &names))),
                );
                list
            }
            Object::Type(name) => {
                let mut list = Vec::new();
                for relation in self.relations_by_age() {
                    for column in &relation.columns {
                        if column.ty.is_made_of(name) && relation.view.is_none() {
                            list.push(Object::Column(relation.name.clone(), column.name.clone()));
                        }
                    }
                }
                for routine in self.catalog.routines.values().flatten() {
                    let types = routine
                        .arguments
                        .iter()
                        .map(|argument| &argument.ty)
                        .chain([&routine.returns.ty]);
                    if types.into_iter().any(|ty| ty.is_made_of(name)) {
                        list.push(Object::Routine(routine.name.clone(), routine.id));
                    }
                }
                for domain in self
                    .catalog
                    .domains
                    .values()
                    .filter(|domain| domain.base.is_made_of(name))
                {
                    list.push(Object::Type(domain.name.clone()));
                }
                list.extend(users(&|_, uses| uses.types.contains(name)));
                list
            }
            Object::Sequence(name) => {
                let mut list = users(&|_, uses| uses.sequences.contains(name));
                for relation in self.relations_by_age() {
                    for column in &relation.columns {
                        if column.sequence.as_ref() == Some(name) && column.default.is_some() {
                            let object = Object::Default(relation.name.clone(), column.name.clone());
                            if !list.contains(&object) {
                                list.push(object);
                            }
                        }
                    }
                }
                list
            }
            Object::Routine(_, id) => {
                let mut list = users(&|_, uses| uses.routines.contains(id));
                list.extend(
                    triggers_of(self.catalog, *id)
                        .into_iter()
                        .map(|(table, name)| Object::Trigger(table, name)),
                );
                list
            }
            Object::Schema(schema) => {
                // Relations and routines count their ids together; the others have none.
                let relations = self
                    .catalog
                    .relations
                    .values()
                    .filter(|relation| relation.name.schema == *schema)
                    .map(|relation| (relation.id, Object::Relation(relation.name.clone())));
                let routines = self
                    .catalog
                    .routines
                    .values()
                    .flatten()
                    .filter(|routine| routine.name.schema == *schema)
                    .map(|routine| (routine.id, Object::Routine(routine.name.clone(), routine.id)));
                let mut members: Vec<(u64, Object)> = relations.chain(routines).collect();
                members.sort_by_key(|(id, _)| *id);
                let mut list: Vec<Object> = members.into_iter().map(|(_, object)| object).collect();
                let mut types: Vec<_> = self
                    .catalog
                    .enums
                    .keys()
                    .chain(self.catalog.domains.keys())
                    .filter(|name| name.schema == *schema)
                    .collect();
                types.sort();
                list.extend(types.into_iter().cloned().map(Object::Type));
                let mut sequences: Vec<_> = self
                    .catalog
                    .sequences
                    .values()
                    .filter(|sequence| sequence.name.schema == *schema && sequence.owned_by.is_none())
                    .map(|sequence| sequence.name.clone())
                    .collect();
                sequences.sort();
                list.extend(sequences.into_iter().map(Object::Sequence));
                list
            }
            Object::Policy(..) | Object::Trigger(..) | Object::Default(..) | Object::Index(..) => Vec::new(),
        }
    }

    /// True if a constraint or index of a table uses this column of it, and so goes when it goes.
    fn rests_on(&self, part: &Object, column: &Ident) -> bool {
        let (Object::Constraint(table, name) | Object::Index(table, name)) = part else {
            return false;
        };
        let Some(relation) = self.catalog.relations.get(table) else {
            return false;
        };
        let named = |index: &usize| relation.columns.get(*index).is_some_and(|entry| entry.name == *column);
        let by_position = relation
            .constraints
            .iter()
            .filter(|entry| entry.name == *name)
            .any(|entry| match &entry.kind {
                ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
                    columns.iter().any(named)
                }
                ConstraintKind::ForeignKey(key) => key.columns.iter().any(named),
                ConstraintKind::Check { .. } => false,
            });
        by_position
            || dependency::stored(self.catalog).iter().any(|stored| {
                stored.object(self.catalog).as_ref() == Some(part)
                    && stored.uses(self.catalog).is_ok_and(|uses| uses.column(table, column))
            })
    }

    /// A catalog in which a constraint is missing. A view that groups by a primary key and shows other columns means
    /// nothing there.
    fn without_constraint(&self, table: &QualifiedName, name: &Ident) -> Catalog {
        let mut catalog = self.catalog.clone();
        if let Some(relation) = catalog.relations.get_mut(table) {
            Arc::make_mut(relation).constraints.retain(|entry| entry.name != *name);
        }
        catalog
    }

    fn relations_by_age(&self) -> Vec<Arc<mainstay_core::catalog::Relation>> {
        let mut all: Vec<_> = self.catalog.relations.values().cloned().collect();
        all.sort_by_key(|relation| relation.id);
        all
    }

    /// Foreign keys of any table that point to `target`, or to these columns of it.
    fn foreign_keys_to(&self, target: &QualifiedName, columns: Option<&[Ident]>) -> Vec<Object> {
        let mut list = Vec::new();
        for relation in self.relations_by_age() {
            for constraint in &relation.constraints {
                let ConstraintKind::ForeignKey(key) = &constraint.kind else {
                    continue;
                };
                let hit = columns.is_none_or(|columns| columns.iter().any(|name| key.target_columns.contains(name)));
                if key.target == *target && hit {
                    list.push(Object::Constraint(relation.name.clone(), constraint.name.clone()));
                }
            }
        }
        list
    }

    fn target_columns(&self, key: &Object) -> Option<Vec<Ident>> {
        let Object::Constraint(table, name) = key else {
            return None;
        };
        let relation = self.catalog.relations.get(table)?;
        match &relation.constraints.iter().find(|entry| entry.name == *name)?.kind {
            ConstraintKind::ForeignKey(key) => Some(key.target_columns.clone()),
            _ => None,
        }
    }

    /// An object in a message: `table t`, `column a of table t`, `constraint c on table t`.
    pub(super) fn shown(&self, object: &Object) -> String {
        let kind = |name: &QualifiedName| match self.catalog.relations.get(name) {
            Some(relation) if relation.kind.is_view() => "view",
            _ => "table",
        };
        let of = |name: &QualifiedName| format!("{} {}", kind(name), self.described(name));
        match object {
            Object::Relation(name) => of(name),
            Object::Column(table, column) => format!("column {column} of {}", of(table)),
            Object::Constraint(table, name) => format!("constraint {name} on {}", of(table)),
            Object::Index(table, name) => {
                format!(
                    "index {}",
                    self.described(&QualifiedName::new(table.schema.clone(), name.clone()))
                )
            }
            Object::Policy(table, name) => format!("policy {name} on {}", of(table)),
            Object::Trigger(table, name) => format!("trigger {name} on {}", of(table)),
            Object::Default(table, column) => format!("default value for column {column} of {}", of(table)),
            Object::Sequence(name) => format!("sequence {}", self.described(name)),
            Object::Type(name) => format!("type {}", self.described(name)),
            Object::Routine(name, id) => {
                let routine = self
                    .catalog
                    .routines
                    .get(name)
                    .and_then(|all| all.iter().find(|routine| routine.id == *id));
                let types: Vec<String> = routine
                    .iter()
                    .flat_map(|routine| &routine.arguments)
                    .map(|argument| argument.ty.to_string())
                    .collect();
                format!("function {}({})", self.described(name), types.join(","))
            }
            Object::Schema(name) => format!("schema {name}"),
        }
    }

    /// What is depended on: a key is known by its index.
    fn shown_as_cause(&self, object: &Object) -> String {
        match object {
            Object::Constraint(table, name) => self.shown(&Object::Index(table.clone(), name.clone())),
            other => self.shown(other),
        }
    }
}

/// True if `part` goes with `whole` without a word: a table's own constraints, policies and columns.
fn is_part(run: &Run<'_>, part: &Object, whole: &Object) -> bool {
    let table = match part {
        Object::Column(table, _)
        | Object::Constraint(table, _)
        | Object::Index(table, _)
        | Object::Policy(table, _)
        | Object::Trigger(table, _)
        | Object::Default(table, _) => table,
        _ => return false,
    };
    match whole {
        Object::Relation(name) => name == table,
        Object::Column(name, column) if name == table => match part {
            Object::Default(_, other) => other == column,
            Object::Constraint(..) | Object::Index(..) => run.rests_on(part, column),
            _ => false,
        },
        _ => false,
    }
}

fn same_set(a: &[Ident], b: &[Ident]) -> bool {
    a.len() == b.len() && a.iter().all(|name| b.contains(name))
}

/// 42809 with the hint that names the right command.
fn wrong_kind(name: &Ident, wanted: &str, is: RelationKind) -> DatabaseError {
    let article = if wanted == "index" { "an" } else { "a" };
    let hint = if is.is_view() {
        "Use DROP VIEW to remove a view."
    } else {
        "Use DROP TABLE to remove a table."
    };
    DatabaseError::new("42809", format!("\"{name}\" is not {article} {wanted}")).hint(hint)
}
