//! `ALTER TABLE` and its kin.

use std::sync::Arc;

use mainstay_core::catalog::ConstraintKind;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};

use super::dependency::{self, Object};
use super::types::qualified_literal;
use super::{Change, Result, Run};
use crate::ast::ddl::{
    AlterAction, AlterTable, ColumnDefinition, ColumnStorage, ConstraintBody, CreateTableAs, DdlStatement, ObjectKind,
};
use crate::ast::{Insert, Statement};
use crate::parse::ParsedStatement;

/// One `ALTER TABLE` with several actions, as one statement per action in the order PostgreSQL takes them: what is
/// dropped first, then columns, then their attributes, then constraints. Other statements stay as they are.
///
/// Engines apply the steps one after the other, so that each change meets a table that is as the catalog says.
pub fn steps(statement: &ParsedStatement) -> Vec<ParsedStatement> {
    let Statement::Ddl(ddl) = &statement.ast else {
        return vec![statement.clone()];
    };
    let alter = match &**ddl {
        DdlStatement::AlterTable(alter) => alter,
        DdlStatement::CreateTableAs(create) if create.with_data => {
            return vec![statement.clone(), rows_of(statement, create)];
        }
        _ => return vec![statement.clone()],
    };
    if alter.actions.len() < 2 {
        return vec![statement.clone()];
    }
    in_passes(&alter.actions)
        .into_iter()
        .map(|actions| {
            let step = AlterTable {
                actions: actions.into_iter().cloned().collect(),
                ..alter.clone()
            };
            ParsedStatement {
                ast: Statement::Ddl(Box::new(DdlStatement::AlterTable(step))),
                ..statement.clone()
            }
        })
        .collect()
}

/// The `INSERT … SELECT` that fills a table made by a query. To be left out where the table was there already.
fn rows_of(statement: &ParsedStatement, create: &CreateTableAs) -> ParsedStatement {
    let insert = Insert {
        with: None,
        table: create.name.clone(),
        alias: None,
        columns: Vec::new(),
        source: Some((*create.query).clone()),
        overriding: None,
        on_conflict: None,
        returning: Vec::new(),
    };
    ParsedStatement {
        ast: Statement::Insert(Box::new(insert)),
        ..statement.clone()
    }
}

/// The actions in PostgreSQL's order, each by itself; new types stand together, because their expressions see one row.
fn in_passes(actions: &[AlterAction]) -> Vec<Vec<&AlterAction>> {
    let mut sorted: Vec<&AlterAction> = actions.iter().collect();
    // An expression of a new type may use a column that the same statement drops.
    let used = |column: &Ident| {
        actions.iter().any(|action| match action {
            AlterAction::SetType { using: Some(text), .. } => text
                .split(|one: char| !(one.is_alphanumeric() || one == '_'))
                .any(|word| *column == *word),
            _ => false,
        })
    };
    sorted.sort_by_key(|action| match action {
        AlterAction::DropColumn { column, .. } if used(column) => 2,
        action => pass(action),
    });
    let is_type = |action: &AlterAction| matches!(action, AlterAction::SetType { .. });
    let mut steps: Vec<Vec<&AlterAction>> = Vec::new();
    for action in sorted {
        match steps.last_mut() {
            Some(last) if is_type(action) && last.iter().all(|other| is_type(other)) => last.push(action),
            _ => steps.push(vec![action]),
        }
    }
    steps
}

/// What PostgreSQL calls an action that a view cannot have.
fn not_for_views(action: &AlterAction) -> Option<&'static str> {
    Some(match action {
        AlterAction::AddColumn { .. } => "ADD COLUMN",
        AlterAction::DropColumn { .. } => "DROP COLUMN",
        AlterAction::SetNotNull { .. } => "ALTER COLUMN ... SET NOT NULL",
        AlterAction::DropNotNull { .. } => "ALTER COLUMN ... DROP NOT NULL",
        AlterAction::AddIdentity { .. } => "ALTER COLUMN ... ADD IDENTITY",
        AlterAction::DropIdentity { .. } => "ALTER COLUMN ... DROP IDENTITY",
        AlterAction::SetIdentity { .. } => "ALTER COLUMN ... SET",
        AlterAction::SetType { .. } => "ALTER COLUMN ... SET DATA TYPE",
        AlterAction::DropExpression { .. } => "ALTER COLUMN ... DROP EXPRESSION",
        AlterAction::AlterConstraint { .. } => "ALTER CONSTRAINT",
        AlterAction::AddConstraint(_) => "ADD CONSTRAINT",
        AlterAction::DropConstraint { .. } => "DROP CONSTRAINT",
        AlterAction::ValidateConstraint { .. } => "VALIDATE CONSTRAINT",
        AlterAction::RowSecurity {
            enabled: Some(true), ..
        } => "ENABLE ROW SECURITY",
        AlterAction::RowSecurity {
            enabled: Some(false), ..
        } => "DISABLE ROW SECURITY",
        AlterAction::RowSecurity { forced: Some(true), .. } => "FORCE ROW SECURITY",
        AlterAction::RowSecurity { .. } => "NO FORCE ROW SECURITY",
        AlterAction::Triggers(switch) => match (switch.enabled, &switch.name, switch.system) {
            (true, Some(_), _) => "ENABLE TRIGGER",
            (true, None, true) => "ENABLE TRIGGER ALL",
            (true, None, false) => "ENABLE TRIGGER USER",
            (false, Some(_), _) => "DISABLE TRIGGER",
            (false, None, true) => "DISABLE TRIGGER ALL",
            (false, None, false) => "DISABLE TRIGGER USER",
        },
        AlterAction::SetDefault { .. } | AlterAction::Owner(_) | AlterAction::Options { .. } => return None,
        AlterAction::ColumnStorage { storage, .. } => match storage {
            ColumnStorage::Statistics(_) => "ALTER COLUMN ... SET STATISTICS",
            ColumnStorage::Options { reset: false, .. } => "ALTER COLUMN ... SET",
            ColumnStorage::Options { reset: true, .. } => "ALTER COLUMN ... RESET",
            ColumnStorage::Storage(_) => "ALTER COLUMN ... SET STORAGE",
            ColumnStorage::Compression(_) => "ALTER COLUMN ... SET COMPRESSION",
        },
        AlterAction::ClusterOn(_) => "CLUSTER ON",
        // It stands for several; each has its own words, and the same code.
        AlterAction::Nothing => "REPLICA IDENTITY",
    })
}

fn pass(action: &AlterAction) -> u8 {
    match action {
        AlterAction::DropColumn { .. }
        | AlterAction::DropConstraint { .. }
        | AlterAction::DropNotNull { .. }
        | AlterAction::DropIdentity { .. }
        | AlterAction::DropExpression { .. }
        | AlterAction::SetDefault { default: None, .. } => 0,
        AlterAction::SetType { .. } => 1,
        AlterAction::AddColumn { .. } => 2,
        AlterAction::SetDefault { .. }
        | AlterAction::SetNotNull { .. }
        | AlterAction::AddIdentity { .. }
        | AlterAction::SetIdentity { .. } => 3,
        AlterAction::AddConstraint(definition) => match definition.body {
            ConstraintBody::ForeignKey(_) => 5,
            _ => 4,
        },
        _ => 6,
    }
}

impl Run<'_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Result<()> {
        if matches!(alter.kind, ObjectKind::Sequence | ObjectKind::Index) || self.names_a_sequence(alter) {
            let known = match alter.kind {
                ObjectKind::Index => {
                    self.find_index(&alter.name).is_some() || self.find_sequence(&alter.name).is_some()
                }
                _ => self.find_sequence(&alter.name).is_some(),
            };
            if !known {
                let message = format!("relation \"{}\" does not exist", alter.name);
                if alter.if_exists {
                    self.notice("00000", format!("{message}, skipping"));
                    return Ok(());
                }
                return Err(DatabaseError::new("42P01", message));
            }
            for action in &alter.actions {
                match action {
                    AlterAction::Owner(owner) if alter.kind == ObjectKind::Index => drop(self.role(owner)?),
                    AlterAction::Owner(owner) => self.owner(ObjectKind::Sequence, &alter.name, None, owner)?,
                    AlterAction::Options { options, reset } if alter.kind == ObjectKind::Index => {
                        self.set_index_options(&alter.name, options, *reset)?;
                    }
                    _ => return Err(self.refuse("this form of ALTER", &alter.name.name, None)),
                }
            }
            return Ok(());
        }
        let Some(relation) = self.find_relation(&alter.name) else {
            self.not_of_the_system(&alter.name)?;
            if alter.if_exists {
                self.notice("00000", format!("relation \"{}\" does not exist, skipping", alter.name));
                return Ok(());
            }
            if let Some(schema) = &alter.name.schema {
                self.existing_schema(schema)?;
            }
            return Err(DatabaseError::new(
                "42P01",
                format!("relation \"{}\" does not exist", alter.name),
            ));
        };
        let name = relation.name.clone();
        if alter.kind == ObjectKind::View && !relation.kind.is_view() {
            return Err(DatabaseError::new("42809", format!("\"{}\" is not a view", name.name)));
        }
        if relation.kind.is_view() {
            for action in &alter.actions {
                if let Some(action) = not_for_views(action) {
                    let message = format!(
                        "ALTER action {action} cannot be performed on relation \"{}\"",
                        name.name
                    );
                    return Err(
                        DatabaseError::new("42809", message).detail("This operation is not supported for views.")
                    );
                }
            }
        }
        for step in in_passes(&alter.actions) {
            match step.as_slice() {
                [AlterAction::SetType { .. }, ..] => self.set_types(&name, &step)?,
                step => {
                    for action in step {
                        self.alter_action(&name, action)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn names_a_sequence(&self, alter: &AlterTable) -> bool {
        self.find_relation(&alter.name).is_none() && self.find_sequence(&alter.name).is_some()
    }

    fn alter_action(&mut self, table: &QualifiedName, action: &AlterAction) -> Result<()> {
        match action {
            AlterAction::AddColumn { column, if_not_exists } => self.add_column(table, column, *if_not_exists),
            AlterAction::DropColumn {
                column,
                if_exists,
                cascade,
            } => {
                if super::table::is_system_column(column) {
                    return Err(DatabaseError::new(
                        "0A000",
                        format!("cannot drop system column \"{column}\""),
                    ));
                }
                if self.column_position(table, column).is_err() {
                    let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
                    if *if_exists {
                        self.notice("00000", format!("{message}, skipping"));
                        return Ok(());
                    }
                    return Err(DatabaseError::new("42703", message));
                }
                if self
                    .catalog
                    .relations
                    .get(table)
                    .is_some_and(|relation| relation.columns.len() == 1)
                {
                    let way = Some("DROP TABLE");
                    return Err(self.refuse("dropping a table's last column", &table.name, way));
                }
                self.remove(vec![Object::Column(table.clone(), column.clone())], *cascade)
            }
            AlterAction::SetDefault { column, default } => self.set_default(table, column, default.as_deref()),
            AlterAction::SetNotNull { column } => {
                let position = self.column_position(table, column)?;
                let entry = &mut self.relation_mut(table)?.columns[position];
                if !entry.not_null {
                    entry.not_null = true;
                    self.changes.push(Change::CheckNotNull {
                        table: table.clone(),
                        column: column.clone(),
                    });
                    self.changes.push(Change::Redefine { table: table.clone() });
                }
                Ok(())
            }
            AlterAction::DropNotNull { column } => self.drop_not_null(table, column),
            AlterAction::SetType { .. } => self.set_types(table, &[action]),
            AlterAction::SetIdentity { column, mode, options } => self.set_identity(table, column, *mode, options),
            AlterAction::DropExpression { column, if_exists } => self.drop_expression(table, column, *if_exists),
            AlterAction::AlterConstraint {
                name,
                deferrable,
                initially_deferred,
            } => self.alter_constraint(table, name, *deferrable, *initially_deferred),
            AlterAction::AddIdentity { column, mode, options } => {
                let position = self.column_position(table, column)?;
                let Some(relation) = self.catalog.relations.get(table).cloned() else {
                    return Ok(());
                };
                let entry = &relation.columns[position];
                let about = |what: &str| {
                    DatabaseError::new(
                        "55000",
                        format!("column \"{column}\" of relation \"{}\" {what}", table.name),
                    )
                };
                if !entry.ty.is_integer() {
                    return Err(DatabaseError::new(
                        "22023",
                        "identity column type must be smallint, integer, or bigint",
                    ));
                }
                if entry.identity.is_some() {
                    return Err(about("is already an identity column"));
                }
                if entry.default.is_some() {
                    return Err(about("already has a default value"));
                }
                if !entry.not_null {
                    return Err(about("must be declared NOT NULL before identity can be added"));
                }
                let sequence = self.owned_sequence(table, entry, options, &[])?;
                let changed = &mut self.relation_mut(table)?.columns[position];
                changed.identity = Some(*mode);
                changed.sequence = Some(sequence.name.clone());
                self.add_sequence(sequence);
                Ok(())
            }
            AlterAction::DropIdentity { column, if_exists } => {
                let position = self.column_position(table, column)?;
                let entry = &mut self.relation_mut(table)?.columns[position];
                let sequence = entry.sequence.take();
                if entry.identity.take().is_none() {
                    entry.sequence = sequence;
                    let message = format!(
                        "column \"{column}\" of relation \"{}\" is not an identity column",
                        table.name
                    );
                    if *if_exists {
                        self.notice("00000", format!("{message}, skipping"));
                        return Ok(());
                    }
                    return Err(DatabaseError::new("55000", message));
                }
                match sequence {
                    Some(name) => self.take_out(&Object::Sequence(name)),
                    None => Ok(()),
                }
            }
            AlterAction::AddConstraint(definition) => {
                self.add_constraints(table, std::slice::from_ref(definition), false)
            }
            AlterAction::DropConstraint {
                name,
                if_exists,
                cascade,
            } => {
                let known = self
                    .catalog
                    .relations
                    .get(table)
                    .is_some_and(|relation| relation.constraints.iter().any(|entry| entry.name == *name));
                if !known {
                    let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
                    if *if_exists {
                        self.notice("00000", format!("{message}, skipping"));
                        return Ok(());
                    }
                    return Err(DatabaseError::new("42704", message));
                }
                self.remove(vec![Object::Constraint(table.clone(), name.clone())], *cascade)
            }
            AlterAction::ValidateConstraint { name } => {
                if matches!(
                    self.constraint_kind(table, name)?,
                    ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. }
                ) {
                    let message = format!(
                        "constraint \"{name}\" of relation \"{}\" is not a foreign key or check constraint",
                        table.name
                    );
                    return Err(DatabaseError::new("42809", message));
                }
                // Its rows were looked at when it was made.
                for entry in &mut self.relation_mut(table)?.constraints {
                    entry.not_valid &= entry.name != *name;
                }
                Ok(())
            }
            AlterAction::RowSecurity { enabled, forced } => {
                let security = &mut self.relation_mut(table)?.row_security;
                security.enabled = enabled.unwrap_or(security.enabled);
                security.forced = forced.unwrap_or(security.forced);
                Ok(())
            }
            AlterAction::Triggers(switch) => self.switch_triggers(table, switch),
            AlterAction::Owner(owner) => {
                let name = crate::ast::ObjectName {
                    schema: Some(table.schema.clone()),
                    name: table.name.clone(),
                    position: 0,
                };
                self.owner(ObjectKind::Table, &name, None, owner)
            }
            AlterAction::Options { options, reset } => self.set_options(table, options, *reset),
            AlterAction::ColumnStorage { column, storage } => self.column_storage(table, column, storage),
            AlterAction::ClusterOn(index) => self.cluster_on(table, index),
            AlterAction::Nothing => Ok(()),
        }
    }

    /// Errors: 42703.
    pub(super) fn column_position(&self, table: &QualifiedName, column: &Ident) -> Result<usize> {
        self.catalog
            .relations
            .get(table)
            .and_then(|relation| relation.column(column))
            .map(|(position, _)| position)
            .ok_or_else(|| {
                let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
                DatabaseError::new("42703", message)
            })
    }

    fn add_column(&mut self, table: &QualifiedName, definition: &ColumnDefinition, if_not_exists: bool) -> Result<()> {
        let Some(relation) = self.catalog.relations.get(table).cloned() else {
            return Ok(());
        };
        if relation.column(&definition.name).is_some() {
            let message = format!(
                "column \"{}\" of relation \"{}\" already exists",
                definition.name, table.name
            );
            if if_not_exists {
                self.notice("42701", format!("{message}, skipping"));
                return Ok(());
            }
            return Err(DatabaseError::new("42701", message));
        }
        let others = relation.columns.iter().map(|column| &column.name);
        self.check_column_name(&table.name, &definition.name, others)?;
        let new = self.new_column(table, definition, &[])?;
        let position = relation.columns.len();
        let name = new.column.name.clone();
        let not_null = new.column.not_null;
        let before = self.catalog.clone();
        self.relation_mut(table)?.columns.push(new.column);
        if let Some(stored) = dependency::misread(&before, self.catalog, &table.name)? {
            let feature = format!("a column of this name, which {} would read", stored.relation.name);
            let object = format!("{}.{name}", table.name);
            return Err(self.refuse(&feature, &object, Some("columns with their table's name in its text")));
        }
        if let Some(sequence) = new.sequence {
            self.add_sequence(sequence);
        }
        self.fill_texts(table, position, new.default.as_deref(), new.generated.as_deref())?;
        let column = self
            .catalog
            .relations
            .get(table)
            .map(|relation| relation.columns[position].clone());
        let Some(column) = column else { return Ok(()) };
        if column.generated.is_some() {
            self.changes.push(Change::Rebuild { table: table.clone() });
        } else {
            self.changes.push(Change::AddColumn {
                table: table.clone(),
                column: name.clone(),
            });
            if column.default.is_some() || column.identity.is_some() || self.fills_by_domain(&column.ty) {
                self.changes.push(Change::FillColumn {
                    table: table.clone(),
                    column: name.clone(),
                });
            }
        }
        if not_null {
            self.changes.push(Change::CheckNotNull {
                table: table.clone(),
                column: name,
            });
        }
        self.changes.push(Change::Redefine { table: table.clone() });
        self.add_constraints(table, &new.constraints, false)
    }

    fn set_default(&mut self, table: &QualifiedName, column: &Ident, default: Option<&str>) -> Result<()> {
        let position = self.column_position(table, column)?;
        let Some(relation) = self.catalog.relations.get(table).cloned() else {
            return Ok(());
        };
        let entry = &relation.columns[position];
        if relation.view.is_some() && default.is_some() {
            let object = format!("{}.{column}", table.name);
            return Err(self.refuse(
                "a default of a view's column",
                &object,
                Some("the default of its table's column"),
            ));
        }
        if entry.identity.is_some() {
            let message = format!(
                "column \"{column}\" of relation \"{}\" is an identity column",
                table.name
            );
            return Err(match default {
                Some(_) => DatabaseError::new("42601", message),
                None => DatabaseError::new("42601", message)
                    .hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead."),
            });
        }
        if entry.generated.is_some() {
            let message = format!(
                "column \"{column}\" of relation \"{}\" is a generated column",
                table.name
            );
            return Err(DatabaseError::new("42601", message));
        }
        let text = match default {
            Some(text) => Some(self.kept_default(text, column, &entry.ty, entry.modifier)?)
                .filter(|text| !text.eq_ignore_ascii_case("null")),
            None => None,
        };
        // The sequence of a serial column stays, but gives its values only while the default says so.
        let sequence = entry.sequence.clone().filter(|sequence| {
            let wanted = format!("nextval({}", qualified_literal(sequence));
            text.as_deref().is_some_and(|text| text.starts_with(&wanted))
        });
        let changed = &mut self.relation_mut(table)?.columns[position];
        changed.default = text;
        changed.sequence = sequence;
        // `ON DELETE SET DEFAULT` needs the constant in the engine's own definition.
        let in_key = relation.constraints.iter().any(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => key.columns.contains(&position),
            _ => false,
        });
        if in_key {
            self.changes.push(Change::Redefine { table: table.clone() });
        }
        Ok(())
    }

    /// Errors: 42704.
    fn constraint_kind(&self, table: &QualifiedName, name: &Ident) -> Result<ConstraintKind> {
        let relation = self.catalog.relations.get(table);
        relation
            .and_then(|relation| relation.constraints.iter().find(|entry| entry.name == *name))
            .map(|entry| entry.kind.clone())
            .ok_or_else(|| {
                let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
                DatabaseError::new("42704", message)
            })
    }

    fn alter_constraint(
        &mut self,
        table: &QualifiedName,
        name: &Ident,
        deferrable: bool,
        initially_deferred: bool,
    ) -> Result<()> {
        if !matches!(self.constraint_kind(table, name)?, ConstraintKind::ForeignKey(_)) {
            let message = format!(
                "constraint \"{name}\" of relation \"{}\" is not a foreign key constraint",
                table.name
            );
            return Err(DatabaseError::new("42809", message));
        }
        for entry in &mut self.relation_mut(table)?.constraints {
            if entry.name == *name
                && let ConstraintKind::ForeignKey(key) = &mut entry.kind
            {
                key.deferrable = deferrable;
                key.initially_deferred = initially_deferred;
            }
        }
        self.changes.push(Change::Redefine { table: table.clone() });
        Ok(())
    }

    fn set_identity(
        &mut self,
        table: &QualifiedName,
        column: &Ident,
        mode: Option<mainstay_core::catalog::Identity>,
        options: &crate::ast::ddl::SequenceOptions,
    ) -> Result<()> {
        let position = self.column_position(table, column)?;
        let entry = &mut self.relation_mut(table)?.columns[position];
        let (Some(before), Some(sequence)) = (entry.identity, entry.sequence.clone()) else {
            let message = format!(
                "column \"{column}\" of relation \"{}\" is not an identity column",
                table.name
            );
            return Err(DatabaseError::new("55000", message));
        };
        entry.identity = Some(mode.unwrap_or(before));
        let name = crate::ast::ObjectName {
            schema: Some(sequence.schema),
            name: sequence.name,
            position: 0,
        };
        self.alter_sequence(&name, false, options)
    }

    fn drop_expression(&mut self, table: &QualifiedName, column: &Ident, if_exists: bool) -> Result<()> {
        let position = self.column_position(table, column)?;
        let entry = &mut self.relation_mut(table)?.columns[position];
        if entry.generated.take().is_some() {
            self.changes.push(Change::Rebuild { table: table.clone() });
            return Ok(());
        }
        let message = format!(
            "column \"{column}\" of relation \"{}\" is not a stored generated column",
            table.name
        );
        if if_exists {
            self.notice("00000", format!("{message}, skipping"));
            return Ok(());
        }
        Err(DatabaseError::new("55000", message))
    }

    fn drop_not_null(&mut self, table: &QualifiedName, column: &Ident) -> Result<()> {
        let position = self.column_position(table, column)?;
        let relation = Arc::make_mut(match self.catalog.relations.get_mut(table) {
            Some(relation) => relation,
            None => return Ok(()),
        });
        let entry = &relation.columns[position];
        if entry.identity.is_some() {
            let message = format!(
                "column \"{column}\" of relation \"{}\" is an identity column",
                table.name
            );
            return Err(DatabaseError::new("42601", message));
        }
        if relation.primary_key().contains(&position) {
            return Err(DatabaseError::new(
                "42P16",
                format!("column \"{column}\" is in a primary key"),
            ));
        }
        if entry.not_null {
            relation.columns[position].not_null = false;
            self.changes.push(Change::Redefine { table: table.clone() });
        }
        Ok(())
    }
}
