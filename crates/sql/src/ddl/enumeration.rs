//! `ALTER TYPE … ADD VALUE` and `RENAME VALUE`.
//!
//! Source: PostgreSQL 15 manual, ALTER TYPE; messages as a server words them.

use std::sync::Arc;

use mainstay_core::error::DatabaseError;
use mainstay_core::name::QualifiedName;
use mainstay_core::types::Type;

use super::dependency::{self, Stored};
use super::{Change, Result, Run, literal, spell, types, walk};
use crate::ast::ObjectName;
use crate::ast::ddl::EnumChange;
use crate::typed::{Expr, ExprKind, Literal};

impl Run<'_> {
    pub(super) fn alter_enum(&mut self, written: &ObjectName, change: &EnumChange) -> Result<()> {
        let Some(name) = self.find_enum(written) else {
            let message = format!("type \"{written}\" does not exist");
            return Err(DatabaseError::new("42704", message));
        };
        match change {
            EnumChange::Add {
                label,
                if_not_exists,
                place,
            } => self.add_label(name, label, *if_not_exists, place.as_ref()),
            EnumChange::Rename { from, to } => self.rename_label(name, from, to),
        }
    }

    fn add_label(
        &mut self,
        name: QualifiedName,
        label: &str,
        if_not_exists: bool,
        place: Option<&(String, bool)>,
    ) -> Result<()> {
        let label = label.to_owned();
        types::check_labels(std::slice::from_ref(&label))?;
        let Some(entry) = self.catalog.enums.get_mut(&name) else {
            return Ok(());
        };
        if entry.labels.contains(&label) {
            let message = format!("enum label \"{label}\" already exists");
            if if_not_exists {
                self.notice("42710", format!("{message}, skipping"));
                return Ok(());
            }
            return Err(DatabaseError::new("42710", message));
        }
        let position = match place {
            None => entry.labels.len(),
            Some((neighbour, after)) => match entry.labels.iter().position(|other| other == neighbour) {
                Some(position) => position + usize::from(*after),
                None => return Err(no_label(neighbour)),
            },
        };
        let changed = Arc::make_mut(entry);
        changed.labels.insert(position, label.clone());
        changed.uncommitted.push(label);
        self.changes.push(Change::RelabelEnum { name, renamed: None });
        Ok(())
    }

    fn rename_label(&mut self, name: QualifiedName, from: &str, to: &str) -> Result<()> {
        types::check_labels(&[to.to_owned()])?;
        let Some(entry) = self.catalog.enums.get(&name) else {
            return Ok(());
        };
        if !entry.labels.iter().any(|label| label == from) {
            return Err(no_label(from));
        }
        if entry.labels.iter().any(|label| label == to) {
            let message = format!("enum label \"{to}\" already exists");
            return Err(DatabaseError::new("42710", message));
        }
        // Stored texts name the label; they follow, as PostgreSQL's do.
        let mut rewritten = Vec::new();
        for stored in dependency::stored(self.catalog) {
            if let Some(text) = self.relabelled(&stored, &name, from, to)? {
                rewritten.push(Stored { text, ..stored });
            }
        }
        if let Some(entry) = self.catalog.enums.get_mut(&name) {
            let changed = Arc::make_mut(entry);
            for label in changed.labels.iter_mut().chain(&mut changed.uncommitted) {
                if label == from {
                    *label = to.to_owned();
                }
            }
        }
        let what = format!("label \"{from}\" of type {}", name.name);
        self.put_back(rewritten, &what)?;
        self.changes.push(Change::RelabelEnum {
            name,
            renamed: Some((from.to_owned(), to.to_owned())),
        });
        Ok(())
    }

    /// The text with the other label; `None` if it does not name it. Errors: 0A000 where the label is not a constant
    /// of its own.
    fn relabelled(&self, stored: &Stored, name: &QualifiedName, from: &str, to: &str) -> Result<Option<String>> {
        if !stored.text.contains(&literal(from)) {
            return Ok(None);
        }
        let mut positions = Vec::new();
        if let Some(analysed) = stored.analysed(self.catalog, true)? {
            analysed.walk(&mut |place| {
                if let walk::Typed::Expr(expr) = place
                    && is_label(expr, name, from)
                {
                    positions.push(expr.position);
                }
            });
        }
        if positions.is_empty() {
            return Ok(None);
        }
        match spell::replaced_constants(&stored.text, &positions, &literal(from), &literal(to)) {
            Some(text) => Ok(Some(text)),
            None => {
                let feature = format!(
                    "renaming label '{from}' while {} names it in a way that cannot follow",
                    stored.relation.name
                );
                Err(self.refuse(&feature, &name.name, Some("dropping and creating what names it")))
            }
        }
    }
}

fn is_label(expr: &Expr, name: &QualifiedName, label: &str) -> bool {
    let of_type = matches!(expr.ty.base(), Type::Enum(other) if other == name);
    of_type && matches!(&expr.kind, ExprKind::Literal(Literal::Text(text)) if &**text == label)
}

fn no_label(label: &str) -> DatabaseError {
    DatabaseError::new("22023", format!("\"{label}\" is not an existing enum label"))
}
