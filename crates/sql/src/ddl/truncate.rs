//! `TRUNCATE`, and the roles that scripts change beside it.

use mainstay_core::catalog::{ConstraintKind, RelationKind};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::QualifiedName;

use super::{Change, Result, Run, initial};
use crate::ast::ddl::{AlterRole, Truncate};

impl Run<'_> {
    pub(super) fn truncate(&mut self, truncate: &Truncate) -> Result<()> {
        let mut tables: Vec<QualifiedName> = Vec::new();
        for written in &truncate.tables {
            let relation = self.existing_relation(written)?;
            if relation.kind != RelationKind::Table {
                let message = format!("\"{}\" is not a table", relation.name.name);
                return Err(DatabaseError::new("42809", message));
            }
            if !tables.contains(&relation.name) {
                tables.push(relation.name.clone());
            }
        }
        while let Some((table, target)) = self.refers_to_one_of(&tables) {
            if !truncate.cascade {
                let message = "cannot truncate a table referenced in a foreign key constraint";
                return Err(DatabaseError::new("0A000", message)
                    .detail(format!("Table \"{}\" references \"{}\".", table.name, target.name))
                    .hint(format!(
                        "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                        table.name
                    )));
            }
            self.notice("00000", format!("truncate cascades to table \"{}\"", table.name));
            tables.push(table);
        }
        if truncate.restart_identity {
            let mut owned: Vec<_> = self
                .catalog
                .sequences
                .values()
                .filter(|sequence| {
                    sequence
                        .owned_by
                        .as_ref()
                        .is_some_and(|(table, _)| tables.contains(table))
                })
                .map(|sequence| (sequence.name.clone(), sequence.start))
                .collect();
            owned.sort();
            for (sequence, next) in owned {
                self.changes.push(Change::RestartSequence { sequence, next });
            }
        }
        self.changes.push(Change::Truncate(tables));
        Ok(())
    }

    /// A table outside of `tables` with a key to one of them, and which.
    fn refers_to_one_of(&self, tables: &[QualifiedName]) -> Option<(QualifiedName, QualifiedName)> {
        let mut found: Vec<_> = self
            .catalog
            .relations
            .values()
            .filter(|relation| !tables.contains(&relation.name))
            .filter_map(|relation| {
                let target = relation
                    .constraints
                    .iter()
                    .find_map(|constraint| match &constraint.kind {
                        ConstraintKind::ForeignKey(key) if tables.contains(&key.target) => Some(key.target.clone()),
                        _ => None,
                    });
                target.map(|target| (relation.id, relation.name.clone(), target))
            })
            .collect();
        found.sort();
        found.into_iter().next().map(|(_, table, target)| (table, target))
    }

    pub(super) fn alter_role(&mut self, alter: &AlterRole) -> Result<()> {
        let name = self.role(&alter.role)?;
        let options = alter.inherit.is_some() || alter.bypass_rls.is_some();
        if options && initial::is_built_in_role(&name) {
            return Err(self.refuse("ALTER ROLE of a built-in role", &name, None));
        }
        if let Some(role) = self.catalog.roles.get_mut(&name) {
            role.inherit = alter.inherit.unwrap_or(role.inherit);
            role.bypass_rls = alter.bypass_rls.unwrap_or(role.bypass_rls);
            role.statement_timeout_ms = alter.statement_timeout_ms.unwrap_or(role.statement_timeout_ms);
        }
        Ok(())
    }
}
