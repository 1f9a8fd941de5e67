//! `CREATE VIEW`.

use std::sync::Arc;

use mainstay_core::catalog::{
    Catalog, Column, ColumnIndex, ColumnSource, DefaultPrivilegeObject, Relation, RelationKind, RowSecurity, View,
};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::expression::without_position;
use super::table::is_system_column;
use super::updatability::Updatability;
use super::{Result, Run, naming, spell, storage, types};
use crate::analyse::Analyser;
use crate::ast;
use crate::ast::ddl::{CreateView, ViewOptions};
use crate::typed;

impl Run<'_> {
    pub(super) fn create_view(&mut self, create: &CreateView) -> Result<()> {
        let text = spell::qualified_query(self.catalog, &self.session.search_path, &create.query)?;
        let query = spell::parse_query(&text)?;
        let mut analyser = Analyser::new(self.catalog, self.session);
        let typed = analyser.query(&query).map_err(without_position)?;
        let definition = spell::without_stars(&text, analyser.stars())?;
        let name = self.new_name(&create.name)?;
        let columns = self.view_columns(&name, create, &typed)?;
        if !self.means(&definition, &typed) {
            let way = Some("the columns' names, each once");
            return Err(self.refuse("a view's * over columns that share their names", &name.name, way));
        }
        let options = &storage::of_view(&create.options)?;
        let sources: Vec<Option<ColumnSource>> = typed.columns.iter().map(|column| column.source.clone()).collect();
        if options.check_option.is_some() {
            may_check(&typed)?;
        }
        let existing = self.catalog.relations.get(&name).cloned();
        match &existing {
            Some(relation) if !create.replace => return Err(super::lookup::relation_exists(&relation.name.name)),
            Some(relation) if relation.kind != RelationKind::View => {
                return Err(DatabaseError::new("42809", format!("\"{}\" is not a view", name.name)));
            }
            Some(_) => {}
            None => {
                self.check_free_relation(&name)?;
                self.check_free_row_type(&name)?;
            }
        }
        let view = View {
            key: view_key(self.catalog, &sources),
            definition,
            search_path: self.session.search_path.clone(),
            security_invoker: options.security_invoker.unwrap_or(false),
            check_option: options.check_option,
            sources,
            is_row_wise: false,
        };
        let relation = match existing {
            Some(old) => {
                check_replacement(&old, &columns)?;
                if names_collation(&query) {
                    let way = Some("DROP VIEW and CREATE VIEW");
                    return Err(self.refuse("COLLATE of a column in CREATE OR REPLACE VIEW", &name.name, way));
                }
                let mut relation = (*old).clone();
                for (index, column) in columns.into_iter().enumerate() {
                    match relation.columns.get_mut(index) {
                        Some(kept) => {
                            *kept = Column {
                                comment: kept.comment.take(),
                                default: kept.default.take(),
                                ..column
                            }
                        }
                        None => relation.columns.push(column),
                    }
                }
                Relation {
                    view: Some(view),
                    ..relation
                }
            }
            None => Relation {
                name: name.clone(),
                kind: RelationKind::View,
                owner: self.session.user.clone(),
                columns,
                constraints: Vec::new(),
                indexes: Vec::new(),
                row_security: RowSecurity::default(),
                policies: Vec::new(),
                triggers: Vec::new(),
                acl: self.default_acl(DefaultPrivilegeObject::Tables, &name.schema),
                view: Some(view),
                insertable: false,
                updatable: false,
                deletable: false,
                comment: None,
                id: self.next_id(),
            },
        };
        self.catalog.relations.insert(name.clone(), Arc::new(relation));
        self.settle_view(&name)
    }

    /// True if the text is a query with the columns of `typed`.
    fn means(&self, definition: &str, typed: &typed::Query) -> bool {
        let Ok(query) = spell::parse_query(definition) else {
            return false;
        };
        let Ok(again) = Analyser::new(self.catalog, self.session).query(&query) else {
            return false;
        };
        again.columns.len() == typed.columns.len()
            && again
                .columns
                .iter()
                .zip(&typed.columns)
                .all(|(left, right)| left.name == right.name && left.ty == right.ty && left.modifier == right.modifier)
    }

    fn view_columns(&self, name: &QualifiedName, create: &CreateView, typed: &typed::Query) -> Result<Vec<Column>> {
        if create.columns.len() > typed.columns.len() {
            return Err(DatabaseError::new(
                "42601",
                "CREATE VIEW specifies more column names than columns",
            ));
        }
        let mut columns: Vec<Column> = Vec::new();
        for (index, output) in typed.columns.iter().enumerate() {
            let column_name = create.columns.get(index).unwrap_or(&output.name);
            let column_name = Ident::new(naming::cut(column_name, naming::NAME_BYTES_MAX));
            if columns.iter().any(|other| other.name == column_name) {
                let message = format!("column \"{column_name}\" specified more than once");
                return Err(DatabaseError::new("42701", message));
            }
            let before = columns.iter().map(|other| &other.name);
            // Views have no system columns, so that the names are free there.
            if !is_system_column(&column_name) {
                self.check_column_name(&name.name, &column_name, before)?;
            }
            let ty = match &output.ty {
                Type::Unknown => Type::Text,
                Type::Record => {
                    return Err(DatabaseError::new(
                        "42P16",
                        format!("column \"{column_name}\" has pseudo-type record"),
                    ));
                }
                other => other.clone(),
            };
            columns.push(Column {
                name: column_name,
                ty,
                modifier: output.modifier,
                not_null: false,
                default: None,
                identity: None,
                generated: None,
                sequence: None,
                comment: None,
            });
        }
        if columns.is_empty() {
            return Err(self.refuse("views without columns", &name.name, Some("a view of a constant")));
        }
        Ok(columns)
    }

    pub(super) fn alter_view_options(&mut self, name: &QualifiedName, options: &ViewOptions) -> Result<()> {
        if options.check_option.is_some()
            && let Some(relation) = self.catalog.relations.get(name)
        {
            may_check(&Analyser::new(self.catalog, self.session).view(relation)?)?;
        }
        if let Some(view) = &mut self.relation_mut(name)?.view {
            view.security_invoker = options.security_invoker.unwrap_or(view.security_invoker);
            view.check_option = options.check_option.or(view.check_option);
        }
        Ok(())
    }
}

/// Errors: 0A000 for a query whose rows WITH CHECK OPTION cannot be asked of.
fn may_check(query: &typed::Query) -> Result<()> {
    let hint = match Updatability::of(query) {
        Updatability::Yes { columns: true } => return Ok(()),
        Updatability::Yes { columns: false } => "Views that have no updatable columns are not automatically updatable.",
        Updatability::No(reason) => reason,
    };
    let message = "WITH CHECK OPTION is supported only on automatically updatable views";
    Err(DatabaseError::new("0A000", message).hint(hint))
}

/// True if a column of the result is given a collation, which the catalog does not keep.
fn names_collation(query: &ast::Query) -> bool {
    let ast::SetExpression::Select(select) = &query.body else {
        return false;
    };
    let is_collate = |item: &ast::SelectItem| matches!(item.expr.kind, ast::ExprKind::Collate { .. });
    select.target.iter().any(is_collate)
}

/// What `CREATE OR REPLACE VIEW` may not do. Errors: 42P16.
fn check_replacement(old: &Relation, new: &[Column]) -> Result<()> {
    let refused = |message: String| Err(DatabaseError::new("42P16", message));
    if new.len() < old.columns.len() {
        return refused("cannot drop columns from view".into());
    }
    for (before, after) in old.columns.iter().zip(new) {
        if before.name != after.name {
            let message = format!(
                "cannot change name of view column \"{}\" to \"{}\"",
                before.name, after.name
            );
            return Err(DatabaseError::new("42P16", message)
                .hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
        }
        if before.ty != after.ty || before.modifier != after.modifier {
            return refused(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                before.name,
                types::shown(&before.ty, before.modifier),
                types::shown(&after.ty, after.modifier)
            ));
        }
    }
    Ok(())
}

/// The positions of every base table's primary key that the view shows whole.
fn view_key(catalog: &Catalog, sources: &[Option<ColumnSource>]) -> Vec<ColumnIndex> {
    let mut seen: Vec<&QualifiedName> = Vec::new();
    let mut key = Vec::new();
    for source in sources.iter().flatten() {
        if seen.contains(&&source.relation) {
            continue;
        }
        seen.push(&source.relation);
        let Some(base) = catalog.relations.get(&source.relation) else {
            continue;
        };
        let primary = base.primary_key();
        let positions: Option<Vec<ColumnIndex>> = primary
            .iter()
            .map(|index| {
                let wanted = &base.columns[*index].name;
                sources.iter().position(|candidate| {
                    candidate
                        .as_ref()
                        .is_some_and(|candidate| candidate.relation == base.name && candidate.column == *wanted)
                })
            })
            .collect();
        if !primary.is_empty() {
            key.extend(positions.unwrap_or_default());
        }
    }
    key
}
