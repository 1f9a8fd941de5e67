//! Sequences. Their values are data and live with the engine; here is what bounds them.

use std::sync::Arc;

use mainstay_core::catalog::{DefaultPrivilegeObject, Sequence};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::QualifiedName;
use mainstay_core::types::Type;

use super::lookup::relation_exists;
use super::{Change, Result, Run, naming};
use crate::ast::ObjectName;
use crate::ast::ddl::SequenceOptions;

impl Run<'_> {
    pub(super) fn create_sequence(
        &mut self,
        written: &ObjectName,
        if_not_exists: bool,
        options: &SequenceOptions,
    ) -> Result<()> {
        let name = self.new_name(written)?;
        if naming::relation_exists(self.catalog, &name.schema, &name.name) {
            if !if_not_exists {
                return Err(relation_exists(&name.name));
            }
            self.notice("42P07", format!("relation \"{}\" already exists, skipping", name.name));
            return Ok(());
        }
        let ty = self.sequence_type(options)?.unwrap_or(Type::Int8);
        let mut sequence = self.new_sequence(name, options, ty)?;
        if let Some(owner) = &options.owned_by {
            sequence.owned_by = self.sequence_owner(owner)?;
        }
        self.add_sequence(sequence);
        Ok(())
    }

    fn sequence_type(&mut self, options: &SequenceOptions) -> Result<Option<Type>> {
        let Some(written) = &options.ty else { return Ok(None) };
        let (ty, _) = self.resolve_type(written, "sequence", self.line)?;
        if !ty.is_integer() {
            return Err(DatabaseError::new(
                "22023",
                "sequence type must be smallint, integer, or bigint",
            ));
        }
        Ok(Some(ty))
    }

    /// `OWNED BY table.column` or `NONE`.
    fn sequence_owner(
        &self,
        owner: &[mainstay_core::name::Ident],
    ) -> Result<Option<(QualifiedName, mainstay_core::name::Ident)>> {
        let Some((column, table)) = owner.split_last() else {
            return Ok(None);
        };
        let Some((name, schema)) = table.split_last() else {
            return Err(DatabaseError::new("42601", "invalid OWNED BY option")
                .hint("Specify OWNED BY table.column or OWNED BY NONE."));
        };
        let relation = self.existing_relation(&ObjectName {
            schema: schema.last().cloned(),
            name: name.clone(),
            position: 0,
        })?;
        if relation.column(column).is_none() {
            let message = format!(
                "column \"{column}\" of relation \"{}\" does not exist",
                relation.name.name
            );
            return Err(DatabaseError::new("42703", message));
        }
        Ok(Some((relation.name.clone(), column.clone())))
    }

    /// A sequence with PostgreSQL's bounds where none are given. Errors: 22023.
    pub(super) fn new_sequence(&self, name: QualifiedName, options: &SequenceOptions, ty: Type) -> Result<Sequence> {
        let (type_min, type_max) = bounds(&ty);
        let increment = options.increment.unwrap_or(1);
        let ascending = increment > 0;
        let min = options.min.flatten().unwrap_or(if ascending { 1 } else { type_min });
        let max = options.max.flatten().unwrap_or(if ascending { type_max } else { -1 });
        let start = options.start.unwrap_or(if ascending { min } else { max });
        let sequence = Sequence {
            name,
            owner: self.session.user.clone(),
            ty,
            start,
            increment,
            min,
            max,
            cycle: options.cycle.unwrap_or(false),
            owned_by: None,
            acl: Vec::new(),
        };
        check(&sequence)?;
        Ok(sequence)
    }

    pub(super) fn add_sequence(&mut self, mut sequence: Sequence) {
        sequence.acl = self.default_acl(DefaultPrivilegeObject::Sequences, &sequence.name.schema);
        let name = sequence.name.clone();
        self.catalog.sequences.insert(name.clone(), Arc::new(sequence));
        self.changes.push(Change::CreateSequence(name));
    }

    pub(super) fn alter_sequence(
        &mut self,
        written: &ObjectName,
        if_exists: bool,
        options: &SequenceOptions,
    ) -> Result<()> {
        let Some(name) = self.find_sequence(written) else {
            if if_exists {
                self.notice(
                    "00000",
                    format!("relation \"{}\" does not exist, skipping", written.name),
                );
                return Ok(());
            }
            if self.find_relation(written).is_some() {
                return Err(DatabaseError::new(
                    "42809",
                    format!("\"{}\" is not a sequence", written.name),
                ));
            }
            return Err(DatabaseError::new(
                "42P01",
                format!("relation \"{written}\" does not exist"),
            ));
        };
        let identity = self.catalog.relations.values().find(|relation| {
            let mut columns = relation.columns.iter();
            columns.any(|column| column.identity.is_some() && column.sequence.as_ref() == Some(&name))
        });
        if let (Some(_), Some(relation)) = (&options.owned_by, identity) {
            let message = "cannot change ownership of identity sequence";
            let detail = format!(
                "Sequence \"{}\" is linked to table \"{}\".",
                name.name, relation.name.name
            );
            return Err(DatabaseError::new("0A000", message).detail(detail));
        }
        let owner = match &options.owned_by {
            Some(owner) => Some(self.sequence_owner(owner)?),
            None => None,
        };
        let ty = self.sequence_type(options)?;
        let Some(entry) = self.catalog.sequences.get_mut(&name) else {
            return Ok(());
        };
        let sequence = Arc::make_mut(entry);
        if let Some(ty) = ty {
            retype(sequence, ty);
        }
        sequence.increment = options.increment.unwrap_or(sequence.increment);
        let (type_min, type_max) = bounds(&sequence.ty);
        let ascending = sequence.increment > 0;
        if let Some(min) = options.min {
            sequence.min = min.unwrap_or(if ascending { 1 } else { type_min });
        }
        if let Some(max) = options.max {
            sequence.max = max.unwrap_or(if ascending { type_max } else { -1 });
        }
        sequence.start = options.start.unwrap_or(sequence.start);
        sequence.cycle = options.cycle.unwrap_or(sequence.cycle);
        if let Some(owner) = owner {
            sequence.owned_by = owner;
        }
        check(sequence)?;
        if let Some(restart) = options.restart {
            let next = restart.unwrap_or(sequence.start);
            for (outside, bound, than, what) in [
                (next < sequence.min, sequence.min, "less", "MINVALUE"),
                (next > sequence.max, sequence.max, "greater", "MAXVALUE"),
            ] {
                if outside {
                    let message = format!("RESTART value ({next}) cannot be {than} than {what} ({bound})");
                    return Err(DatabaseError::new("22023", message));
                }
            }
            self.changes.push(Change::RestartSequence { sequence: name, next });
        }
        Ok(())
    }
}

/// Gives a sequence another type; bounds that were the old type's own become the new one's.
pub(super) fn retype(sequence: &mut Sequence, ty: Type) {
    let (old_min, old_max) = bounds(&sequence.ty);
    let (new_min, new_max) = bounds(&ty);
    if sequence.max == old_max {
        sequence.max = new_max;
    }
    if sequence.min == old_min {
        sequence.min = new_min;
    }
    sequence.ty = ty;
}

fn bounds(ty: &Type) -> (i64, i64) {
    match ty {
        Type::Int2 => (i16::MIN.into(), i16::MAX.into()),
        Type::Int4 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

/// Errors: 22023, as PostgreSQL words them.
fn check(sequence: &Sequence) -> Result<()> {
    let invalid = |message: String| Err(DatabaseError::new("22023", message));
    let (type_min, type_max) = bounds(&sequence.ty);
    let shown = sequence.ty.to_string();
    if sequence.increment == 0 {
        return invalid("INCREMENT must not be zero".into());
    }
    if sequence.max > type_max {
        return invalid(format!(
            "MAXVALUE ({}) is out of range for sequence data type {shown}",
            sequence.max
        ));
    }
    if sequence.min < type_min {
        return invalid(format!(
            "MINVALUE ({}) is out of range for sequence data type {shown}",
            sequence.min
        ));
    }
    if sequence.min >= sequence.max {
        return invalid(format!(
            "MINVALUE ({}) must be less than MAXVALUE ({})",
            sequence.min, sequence.max
        ));
    }
    if sequence.start < sequence.min {
        return invalid(format!(
            "START value ({}) cannot be less than MINVALUE ({})",
            sequence.start, sequence.min
        ));
    }
    if sequence.start > sequence.max {
        return invalid(format!(
            "START value ({}) cannot be greater than MAXVALUE ({})",
            sequence.start, sequence.max
        ));
    }
    Ok(())
}
