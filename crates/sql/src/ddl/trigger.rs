//! Triggers: making, renaming, switching on and off.
//!
//! Source: PostgreSQL 15 manual, CREATE TRIGGER, ALTER TRIGGER, ALTER TABLE (ENABLE/DISABLE TRIGGER).

use std::sync::Arc;

use mainstay_core::catalog::{
    Catalog, ColumnIndex, ConstraintKind, Relation, RelationKind, Trigger, TriggerFunction, TriggerTiming,
};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use super::expression::without_position;
use super::{Result, Run, naming, spell, walk};
use crate::analyse::Analyser;
use crate::ast::ddl::{CreateTrigger, TriggerSwitch};
use crate::plpgsql;
use crate::typed::{Expr, ExprKind};

/// What a trigger's WHEN uses of the two rows: (of OLD, column).
type Used = (bool, ColumnIndex);

impl Run<'_> {
    pub(super) fn create_trigger(&mut self, create: &CreateTrigger) -> Result<()> {
        let relation = self.existing_relation(&create.table)?;
        let name = Ident::new(naming::cut(&create.name, naming::NAME_BYTES_MAX));
        check_kind(create, &relation)?;
        let mut columns = Vec::new();
        for column in &create.columns {
            let Some((index, _)) = relation.column(column) else {
                let message = format!(
                    "column \"{column}\" of relation \"{}\" does not exist",
                    relation.name.name
                );
                return Err(DatabaseError::new("42703", message));
            };
            if columns.contains(&index) {
                let message = format!("column \"{column}\" specified more than once");
                return Err(DatabaseError::new("42701", message));
            }
            columns.push(index);
        }
        let condition = match &create.condition {
            Some(text) => Some(self.kept_when(create, &relation, text)?),
            None => None,
        };
        let function = self.trigger_function(create, &relation)?;
        let trigger = Trigger {
            name: name.clone(),
            timing: create.timing,
            on_insert: create.on_insert,
            on_update: create.on_update,
            on_delete: create.on_delete,
            columns,
            for_each_row: create.for_each_row,
            condition,
            function,
            arguments: create.arguments.clone(),
            enabled: true,
            comment: None,
        };
        let existing = relation.triggers.iter().position(|other| other.name == name);
        let changed = self.relation_mut(&relation.name)?;
        match existing {
            Some(index) if create.replace => {
                // What was said of it stays, and so does its switch.
                let old = &changed.triggers[index];
                let (enabled, comment) = (old.enabled, old.comment.clone());
                changed.triggers[index] = Trigger {
                    enabled,
                    comment,
                    ..trigger
                };
            }
            Some(_) => {
                let message = format!(
                    "trigger \"{name}\" for relation \"{}\" already exists",
                    relation.name.name
                );
                return Err(DatabaseError::new("42710", message));
            }
            None => changed.triggers.push(trigger),
        }
        self.in_order(&relation)
    }

    /// Triggers fire by name.
    fn in_order(&mut self, relation: &Arc<Relation>) -> Result<()> {
        let changed = self.relation_mut(&relation.name)?;
        changed.triggers.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        Ok(())
    }

    /// The function, which must return `trigger` and take no arguments.
    fn trigger_function(&mut self, create: &CreateTrigger, relation: &Relation) -> Result<TriggerFunction> {
        let written = &create.function;
        match self.existing_routine(written, Some(&[])) {
            Ok((name, index)) => {
                let Some(routine) = self.catalog.routines.get(&name).and_then(|all| all.get(index)) else {
                    return Err(DatabaseError::new("XX000", "the function has gone"));
                };
                if !plpgsql::is_trigger(&routine.returns.ty) {
                    let message = format!("function {written} must return type trigger");
                    return Err(DatabaseError::new("42P17", message));
                }
                Ok(TriggerFunction::Routine(routine.id))
            }
            Err(error) => match written.name.as_str() {
                "moddatetime" if self.catalog.extensions.contains_key("moddatetime") => {
                    self.check_moddatetime(create, relation)?;
                    Ok(TriggerFunction::Moddatetime)
                }
                "suppress_redundant_updates_trigger" => {
                    let fits = create.timing == TriggerTiming::Before
                        && create.for_each_row
                        && create.on_update
                        && !create.on_insert
                        && !create.on_delete;
                    match fits {
                        true => Ok(TriggerFunction::SuppressRedundantUpdates),
                        false => Err(self.refuse(
                            "suppress_redundant_updates_trigger() other than BEFORE UPDATE FOR EACH ROW",
                            &create.name,
                            None,
                        )),
                    }
                }
                "moddatetime"
                | "tsvector_update_trigger"
                | "tsvector_update_trigger_column"
                | "autoinc"
                | "insert_username"
                | "lo_manage"
                    if error.sqlstate == "42883" && written.name != *"moddatetime" =>
                {
                    let feature = format!("the trigger function {}", written.name);
                    Err(self.refuse(&feature, &create.name, Some("a function in PL/pgSQL")))
                }
                _ => Err(error),
            },
        }
    }

    /// `moddatetime` says at run time what is wrong with how it is used; here it can be said at once.
    fn check_moddatetime(&self, create: &CreateTrigger, relation: &Relation) -> Result<()> {
        let fits = create.timing == TriggerTiming::Before
            && create.for_each_row
            && create.on_update
            && !create.on_insert
            && !create.on_delete;
        let column = match create.arguments.as_slice() {
            [only] => relation.column(only).map(|(_, column)| column),
            _ => None,
        };
        let timed = column.is_some_and(|column| matches!(column.ty, Type::Timestamp | Type::Timestamptz));
        match fits && timed {
            true => Ok(()),
            false => Err(self.refuse(
                "moddatetime() other than BEFORE UPDATE FOR EACH ROW with one timestamp column",
                &create.name,
                Some("a function in PL/pgSQL"),
            )),
        }
    }

    /// Checks WHEN and gives its text.
    fn kept_when(&self, create: &CreateTrigger, relation: &Arc<Relation>, text: &str) -> Result<String> {
        let wrong = |message: &str| DatabaseError::new("42P17", message);
        if create.timing == TriggerTiming::InsteadOf {
            return Err(DatabaseError::new(
                "0A000",
                "INSTEAD OF triggers cannot have WHEN conditions",
            ));
        }
        let text = spell::qualified_expression(self.catalog, &self.session.search_path, text)?;
        let expr = Analyser::new(self.catalog, self.session)
            .with_variables(plpgsql::condition(relation))
            .expression(&text, None, Some((&Type::Bool, TypeModifier::None)))
            .map_err(|error| {
                let message = error.message.replace("argument of WHERE", "argument of WHEN");
                without_position(DatabaseError { message, ..error })
            })?
            .expr;
        let mut has_subquery = false;
        walk::typed_expr(&expr, &mut |place| {
            has_subquery |= matches!(place, walk::Typed::Subquery)
        });
        if has_subquery {
            return Err(DatabaseError::new(
                "0A000",
                "cannot use subquery in trigger WHEN condition",
            ));
        }
        for (of_old, column) in used(&expr, relation.columns.len()) {
            if !create.for_each_row {
                return Err(wrong(
                    "statement trigger's WHEN condition cannot reference column values",
                ));
            }
            if of_old && create.on_insert {
                return Err(wrong("INSERT trigger's WHEN condition cannot reference OLD values"));
            }
            if !of_old && create.on_delete {
                return Err(wrong("DELETE trigger's WHEN condition cannot reference NEW values"));
            }
            if !of_old && create.timing == TriggerTiming::Before && relation.columns[column].generated.is_some() {
                return Err(wrong(
                    "BEFORE trigger's WHEN condition cannot reference NEW generated columns",
                ));
            }
        }
        Ok(text)
    }

    /// `ENABLE` and `DISABLE TRIGGER`. Errors: 42704.
    pub(super) fn switch_triggers(
        &mut self,
        table: &mainstay_core::name::QualifiedName,
        switch: &TriggerSwitch,
    ) -> Result<()> {
        if switch.system && self.in_foreign_keys(table) {
            // Those of foreign keys would be among them.
            let feature = match switch.enabled {
                true => "ENABLE TRIGGER ALL on a table with foreign keys",
                false => "DISABLE TRIGGER ALL on a table with foreign keys",
            };
            return Err(self.refuse(feature, &table.name, Some("the triggers by their names, or USER")));
        }
        let changed = self.relation_mut(table)?;
        match &switch.name {
            None => changed
                .triggers
                .iter_mut()
                .for_each(|trigger| trigger.enabled = switch.enabled),
            Some(name) => match changed.triggers.iter_mut().find(|trigger| trigger.name == *name) {
                Some(trigger) => trigger.enabled = switch.enabled,
                None => return Err(no_trigger(name, &table.name)),
            },
        }
        Ok(())
    }

    /// True if a foreign key leads from or to the table.
    fn in_foreign_keys(&self, table: &mainstay_core::name::QualifiedName) -> bool {
        self.catalog.relations.values().any(|relation| {
            relation.constraints.iter().any(|constraint| match &constraint.kind {
                ConstraintKind::ForeignKey(key) => relation.name == *table || key.target == *table,
                _ => false,
            })
        })
    }

    pub(super) fn rename_trigger(&mut self, relation: &Arc<Relation>, from: &Ident, to: &Ident) -> Result<()> {
        if from != to && relation.triggers.iter().any(|trigger| trigger.name == *to) {
            let message = format!(
                "trigger \"{to}\" for relation \"{}\" already exists",
                relation.name.name
            );
            return Err(DatabaseError::new("42710", message));
        }
        let changed = self.relation_mut(&relation.name)?;
        match changed.triggers.iter_mut().find(|trigger| trigger.name == *from) {
            Some(trigger) => trigger.name = to.clone(),
            None => return Err(no_trigger(from, &relation.name.name)),
        }
        self.in_order(relation)
    }
}

/// What the timing, the level and the kind of relation allow together. Errors: 42809, 0A000.
fn check_kind(create: &CreateTrigger, relation: &Relation) -> Result<()> {
    let name = &relation.name.name;
    let wrong =
        |kind: &str, detail: &str| Err(DatabaseError::new("42809", format!("\"{name}\" is a {kind}")).detail(detail));
    let is_view = relation.kind == RelationKind::View;
    match (is_view, create.timing) {
        (false, TriggerTiming::InsteadOf) => return wrong("table", "Tables cannot have INSTEAD OF triggers."),
        (true, TriggerTiming::Before | TriggerTiming::After) if create.for_each_row => {
            return wrong("view", "Views cannot have row-level BEFORE or AFTER triggers.");
        }
        _ => {}
    }
    if create.timing == TriggerTiming::InsteadOf {
        if !create.for_each_row {
            return Err(DatabaseError::new("0A000", "INSTEAD OF triggers must be FOR EACH ROW"));
        }
        if !create.columns.is_empty() {
            return Err(DatabaseError::new(
                "0A000",
                "INSTEAD OF triggers cannot have column lists",
            ));
        }
    }
    Ok(())
}

/// What an analysed condition uses of NEW and OLD.
fn used(expr: &Expr, width: usize) -> Vec<Used> {
    let mut found = Vec::new();
    walk::typed_expr(expr, &mut |place| {
        if let walk::Typed::Expr(Expr {
            kind: ExprKind::Parameter(number),
            ..
        }) = place
        {
            found.push((*number >= width, *number % width.max(1)));
        }
    });
    found
}

/// Every trigger that runs the routine: its relation and its name, oldest relation first.
pub(super) fn triggers_of(catalog: &Catalog, routine: u64) -> Vec<(mainstay_core::name::QualifiedName, Ident)> {
    let mut relations: Vec<&Arc<Relation>> = catalog.relations.values().collect();
    relations.sort_by_key(|relation| relation.id);
    relations
        .iter()
        .flat_map(|relation| {
            relation
                .triggers
                .iter()
                .filter(|trigger| trigger.function == TriggerFunction::Routine(routine))
                .map(|trigger| (relation.name.clone(), trigger.name.clone()))
        })
        .collect()
}

pub(super) fn no_trigger(trigger: &str, table: &str) -> DatabaseError {
    DatabaseError::new(
        "42704",
        format!("trigger \"{trigger}\" for table \"{table}\" does not exist"),
    )
}
