//! `ALTER COLUMN … TYPE … USING`, and what hangs on the column.
//!
//! Source: PostgreSQL 15 manual, ALTER TABLE, "SET DATA TYPE"; its messages as a server words them.

use std::sync::Arc;

use mainstay_core::catalog::{ColumnIndex, ConstraintKind, IndexPart, Relation};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::dependency::{self, Place as Stored};
use super::expression::Place;
use super::types::{self, ColumnType};
use super::{Change, Result, Run, identifier, spell};
use crate::analyse::Analyser;
use crate::ast::ddl::AlterAction;
use crate::ast::{ExprKind as Written, TypeName};
use crate::parse;
use crate::typed::{CastMethod, Expr, ExprKind};

/// A column's new type, and how a value gets there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retyped {
    pub column: Ident,
    /// PostgreSQL text over the row as it was; the column's own name where nothing was written.
    pub using: String,
    /// The stored values stay as they are: the new type only allows more.
    pub keeps_values: bool,
}

/// One `ALTER COLUMN … TYPE` of a statement that may have several: all expressions see the row as it was.
struct Wanted<'a> {
    position: ColumnIndex,
    ty: Type,
    modifier: TypeModifier,
    using: Option<&'a str>,
    line: u32,
}

impl Run<'_> {
    pub(super) fn set_types(&mut self, table: &QualifiedName, actions: &[&AlterAction]) -> Result<()> {
        let Some(before) = self.catalog.relations.get(table).cloned() else {
            return Ok(());
        };
        let mut wanted = Vec::new();
        for action in actions {
            if let AlterAction::SetType {
                column,
                ty,
                using,
                line,
            } = action
            {
                wanted.push(self.wanted_type(&before, column, ty, using.as_deref(), *line)?);
            }
        }
        let mut retyped = Vec::new();
        for change in &wanted {
            retyped.push(self.transform(&before, change)?);
        }
        for change in &wanted {
            self.retype_default(&before, change)?;
            self.check_users(&before, change.position)?;
        }
        let changed = self.relation_mut(table)?;
        for change in &wanted {
            let column = &mut changed.columns[change.position];
            column.ty = change.ty.clone();
            column.modifier = change.modifier;
            if !change.ty.is_integer() {
                column.sequence = None;
            }
        }
        let positions: Vec<ColumnIndex> = wanted.iter().map(|change| change.position).collect();
        self.check_again(
            table,
            &positions,
            wanted.first().map_or(self.line, |change| change.line),
        )?;
        for change in &wanted {
            self.retype_sequence(&before, change);
        }
        self.changes.push(Change::Retype {
            table: table.clone(),
            columns: retyped,
        });
        self.check_keys_again(table, &positions);
        Ok(())
    }

    fn wanted_type<'a>(
        &mut self,
        before: &Relation,
        column: &Ident,
        ty: &TypeName,
        using: Option<&'a str>,
        line: u32,
    ) -> Result<Wanted<'a>> {
        let table = &before.name.name;
        let Some((position, entry)) = before.column(column) else {
            let message = format!("column \"{column}\" of relation \"{table}\" does not exist");
            return Err(DatabaseError::new("42703", message));
        };
        if entry.generated.is_some() && using.is_some() {
            let message = "cannot specify USING when altering type of generated column";
            return Err(
                DatabaseError::new("42611", message).detail(format!("Column \"{column}\" is a generated column."))
            );
        }
        let resolved = self.column_type(ty, &format!("{table}.{column}"), line)?;
        let ColumnType::Plain(ty, modifier) = resolved else {
            return Err(DatabaseError::new(
                "42704",
                format!("type \"{}\" does not exist", ty.name),
            ));
        };
        if entry.identity.is_some() && !ty.is_integer() {
            let message = "identity column type must be smallint, integer, or bigint";
            return Err(DatabaseError::new("22023", message));
        }
        Ok(Wanted {
            position,
            ty,
            modifier,
            using,
            line,
        })
    }

    /// Reads the expression that makes the new value. Errors: 42804 with PostgreSQL's advice.
    fn transform(&self, before: &Arc<Relation>, change: &Wanted<'_>) -> Result<Retyped> {
        let column = &before.columns[change.position];
        let own = identifier(&column.name);
        let using = match change.using {
            Some(text) => spell::qualified_expression(self.catalog, &self.session.search_path, text)?,
            None => own.clone(),
        };
        let expr = self
            .transformed(&using, before, &change.ty, change.modifier)
            .map_err(|error| {
                if !matches!(error.sqlstate.as_str(), "42804" | "42846") {
                    return error;
                }
                let shown = types::shown(&change.ty, change.modifier);
                let what = match change.using {
                    Some(_) => format!("result of USING clause for column \"{}\"", column.name),
                    None => format!("column \"{}\"", column.name),
                };
                let error = DatabaseError::new("42804", format!("{what} cannot be cast automatically to type {shown}"));
                match change.using {
                    Some(_) => error.hint("You might need to add an explicit cast."),
                    None if column.generated.is_some() => error,
                    None => error.hint(format!("You might need to specify \"USING {own}::{shown}\".")),
                }
            })?;
        // A generated column's values are computed anew.
        let keeps_values = column.generated.is_none() && keeps_values(&expr, change.position);
        Ok(Retyped {
            column: column.name.clone(),
            using,
            keeps_values,
        })
    }

    /// The default must reach the new type by itself. Errors: 42804.
    fn retype_default(&mut self, before: &Arc<Relation>, change: &Wanted<'_>) -> Result<()> {
        let column = &before.columns[change.position];
        let Some(text) = &column.default else { return Ok(()) };
        if column.ty.base() == change.ty.base() {
            return Ok(());
        }
        // A constant has become one of the old type when the default was made.
        let literal = matches!(parse::expression(text)?.kind, Written::String(_));
        let typed = match literal {
            true => format!("{text}::{}", self.spelled_type(&column.ty, column.modifier)),
            false => text.clone(),
        };
        let mut analyser = Analyser::new(self.catalog, self.session);
        if let Err(error) = analyser.expression(&typed, None, Some((&change.ty, change.modifier))) {
            if !matches!(error.sqlstate.as_str(), "42804" | "42846") {
                return Err(error);
            }
            let message = format!(
                "default for column \"{}\" cannot be cast automatically to type {}",
                column.name,
                types::shown(&change.ty, change.modifier)
            );
            return Err(DatabaseError::new("42804", message));
        }
        let kept = match literal && !(column.ty.is_textual() && change.ty.is_textual()) {
            true => typed,
            false => text.clone(),
        };
        self.relation_mut(&before.name)?.columns[change.position].default = Some(kept);
        Ok(())
    }

    /// A type as a text that does not depend on the search path.
    pub(super) fn spelled_type(&self, ty: &Type, modifier: TypeModifier) -> String {
        match ty {
            Type::Enum(name) | Type::Domain(name, _) => {
                format!("{}.{}", identifier(&name.schema), identifier(&name.name))
            }
            other => types::shown(other, modifier),
        }
    }

    /// Errors: 0A000 for a view, policy or generated column that uses the column.
    fn check_users(&self, before: &Relation, position: ColumnIndex) -> Result<()> {
        let column = &before.columns[position].name;
        if let Some(trigger) = before
            .triggers
            .iter()
            .find(|trigger| trigger.columns.contains(&position))
        {
            return Err(self.used_by_trigger(&before.name, &trigger.name, column));
        }
        for stored in dependency::stored(self.catalog) {
            let user = match stored.place {
                Stored::When(_) => true,
                Stored::View | Stored::Using(_) | Stored::WithCheck(_) => true,
                Stored::Generated(index) => stored.relation == before.name && index != position,
                _ => false,
            };
            if !user || !stored.uses(self.catalog)?.column(&before.name, column) {
                continue;
            }
            let Some(relation) = self.catalog.relations.get(&stored.relation) else {
                continue;
            };
            let described = self.described(&stored.relation);
            let (message, detail) = match stored.place {
                Stored::View => (
                    "cannot alter type of a column used by a view or rule",
                    format!("rule _RETURN on view {described} depends on column \"{column}\""),
                ),
                Stored::Using(index) | Stored::WithCheck(index) => (
                    "cannot alter type of a column used in a policy definition",
                    format!(
                        "policy {} on table {described} depends on column \"{column}\"",
                        relation.policies[index].name
                    ),
                ),
                Stored::Generated(index) => (
                    "cannot alter type of a column used by a generated column",
                    format!(
                        "Column \"{column}\" is used by generated column \"{}\".",
                        relation.columns[index].name
                    ),
                ),
                Stored::When(index) => {
                    let trigger = &relation.triggers[index].name;
                    return Err(self.used_by_trigger(&stored.relation, trigger, column));
                }
                _ => continue,
            };
            return Err(DatabaseError::new("0A000", message).detail(detail));
        }
        Ok(())
    }

    fn used_by_trigger(&self, table: &QualifiedName, trigger: &Ident, column: &Ident) -> DatabaseError {
        let message = "cannot alter type of a column used in a trigger definition";
        let detail = format!(
            "trigger {trigger} on table {} depends on column \"{column}\"",
            self.described(table)
        );
        DatabaseError::new("0A000", message).detail(detail)
    }

    /// Reads checks, indexes, keys and the columns' own expressions again, with the new types.
    fn check_again(&mut self, table: &QualifiedName, positions: &[ColumnIndex], line: u32) -> Result<()> {
        let Some(relation) = self.catalog.relations.get(table).cloned() else {
            return Ok(());
        };
        for position in positions {
            if let Some(text) = &relation.columns[*position].generated {
                self.kept_generated(text, &relation, *position)?;
            }
        }
        for index in &relation.indexes {
            for key in &index.keys {
                match &key.part {
                    IndexPart::Column(column) if positions.contains(column) => {
                        let column = &relation.columns[*column];
                        if index.method == *"btree" {
                            self.check_key_type(&relation, &column.name, &column.ty, index.unique)?;
                        }
                    }
                    IndexPart::Expression(text) => drop(self.kept(text, &relation, Place::IndexKey)?),
                    IndexPart::Column(_) => {}
                }
            }
            if let Some(text) = &index.predicate {
                self.kept(text, &relation, Place::IndexPredicate)?;
            }
        }
        for constraint in &relation.constraints {
            match &constraint.kind {
                ConstraintKind::Check { expression } => drop(self.kept(expression, &relation, Place::Check)?),
                ConstraintKind::PrimaryKey { columns } | ConstraintKind::Unique { columns } => {
                    for column in columns.iter().filter(|column| positions.contains(column)) {
                        let column = &relation.columns[*column];
                        self.check_key_type(&relation, &column.name, &column.ty, true)?;
                    }
                }
                ConstraintKind::ForeignKey(_) => {}
            }
        }
        for (owner, constraint) in self.keys_on(table, positions) {
            let Some(ConstraintKind::ForeignKey(key)) = kind_of(&owner, &constraint) else {
                continue;
            };
            let Some(target) = self.catalog.relations.get(&key.target).cloned() else {
                continue;
            };
            for (from, to) in key.columns.iter().zip(&key.target_columns) {
                if let Some((_, to)) = target.column(to) {
                    self.check_key_pair(&constraint, &owner.columns[*from], to, line)?;
                }
            }
        }
        Ok(())
    }

    /// The foreign keys that these columns are in, on either side.
    fn keys_on(&self, table: &QualifiedName, positions: &[ColumnIndex]) -> Vec<(Arc<Relation>, Ident)> {
        let Some(relation) = self.catalog.relations.get(table) else {
            return Vec::new();
        };
        let names: Vec<&Ident> = positions.iter().map(|index| &relation.columns[*index].name).collect();
        let mut found = Vec::new();
        for owner in self.catalog.relations.values() {
            for constraint in &owner.constraints {
                let ConstraintKind::ForeignKey(key) = &constraint.kind else {
                    continue;
                };
                let own = owner.name == *table && key.columns.iter().any(|index| positions.contains(index));
                let incoming = key.target == *table && key.target_columns.iter().any(|name| names.contains(&name));
                if own || incoming {
                    found.push((Arc::clone(owner), constraint.name.clone()));
                }
            }
        }
        found.sort_by_key(|(owner, constraint)| (owner.id, constraint.clone()));
        found
    }

    fn check_keys_again(&mut self, table: &QualifiedName, positions: &[ColumnIndex]) {
        for (owner, constraint) in self.keys_on(table, positions) {
            self.changes.push(Change::CheckForeignKey {
                table: owner.name.clone(),
                constraint,
                not_valid: false,
            });
        }
    }

    /// An identity column's sequence has its column's type.
    fn retype_sequence(&mut self, before: &Relation, change: &Wanted<'_>) {
        let column = &before.columns[change.position];
        let (Some(_), Some(sequence)) = (&column.identity, &column.sequence) else {
            return;
        };
        if let Some(entry) = self.catalog.sequences.get_mut(sequence) {
            super::sequence::retype(Arc::make_mut(entry), change.ty.clone());
        }
    }
}

fn kind_of<'a>(relation: &'a Relation, constraint: &Ident) -> Option<&'a ConstraintKind> {
    let entry = relation.constraints.iter().find(|entry| entry.name == *constraint)?;
    Some(&entry.kind)
}

/// True if the expression is the column itself under a type that stores each of its values as it is.
fn keeps_values(expr: &Expr, column: ColumnIndex) -> bool {
    let width = |ty: &Type| match ty {
        Type::Int2 => Some(2),
        Type::Int4 => Some(4),
        Type::Int8 => Some(8),
        _ => None,
    };
    match &expr.kind {
        ExprKind::Column { column: found, .. } => *found == column,
        ExprKind::Cast {
            expr: inner, method, ..
        } => {
            let widens = match (width(&inner.ty), width(&expr.ty)) {
                (Some(from), Some(to)) => from <= to,
                _ => *method == CastMethod::Relabel,
            };
            // A domain may have checks of its own.
            widens && !matches!(expr.ty, Type::Domain(..)) && keeps_values(inner, column)
        }
        _ => false,
    }
}
