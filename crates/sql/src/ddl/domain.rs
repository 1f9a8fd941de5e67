//! `CREATE DOMAIN`, `ALTER DOMAIN`, and domains under the commands that any type knows.
//!
//! Source: PostgreSQL 15 manual, CREATE DOMAIN, ALTER DOMAIN; messages as the server words them.

use std::sync::Arc;

use mainstay_core::catalog::DomainType;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::expression::Place;
use super::spell::{self, Renamed};
use super::{Change, Result, Run, naming};
use crate::ast::ObjectName;
use crate::ast::ddl::{AlterDomain, CreateDomain, DomainAction, DomainConstraint, Rename};

impl Run<'_> {
    pub(super) fn find_domain(&self, name: &ObjectName) -> Option<QualifiedName> {
        self.find(name, |qualified| {
            self.catalog.domains.contains_key(qualified).then(|| qualified.clone())
        })
    }

    /// A domain. Errors: 42704, 42809 for another type.
    pub(super) fn existing_domain(&self, name: &ObjectName) -> Result<QualifiedName> {
        if let Some(found) = self.find_domain(name) {
            return Ok(found);
        }
        let other =
            self.find_enum(name).is_some() || name.schema.is_none() && Type::from_builtin_name(&name.name).is_some();
        Err(if other {
            DatabaseError::new("42809", format!("\"{name}\" is not a domain"))
        } else {
            DatabaseError::new("42704", format!("type \"{name}\" does not exist"))
        })
    }

    fn domain_mut(&mut self, name: &QualifiedName) -> Result<&mut DomainType> {
        match self.catalog.domains.get_mut(name) {
            Some(domain) => Ok(Arc::make_mut(domain)),
            None => Err(DatabaseError::new("XX000", format!("domain {name} has gone"))),
        }
    }

    pub(super) fn create_domain(&mut self, create: &CreateDomain) -> Result<()> {
        let name = self.new_name(&create.name)?;
        let (base, modifier) = self.resolve_type(&create.ty, &name.name, self.line)?;
        if matches!(base, Type::Void | Type::Composite(_)) {
            let message = format!("\"{}\" is not a valid base type for a domain", base.internal_name());
            return Err(DatabaseError::new("42804", message));
        }
        self.check_free_type(&name)?;
        if self.catalog.relations.contains_key(&name) {
            let message = format!("type \"{}\" already exists", name.name);
            return Err(DatabaseError::new("42710", message));
        }
        let mut domain = DomainType {
            name: name.clone(),
            base,
            modifier,
            not_null: false,
            default: None,
            checks: Vec::new(),
            owner: self.session.user.clone(),
            comment: None,
        };
        let mut nullability = None;
        for constraint in &create.constraints {
            match constraint {
                DomainConstraint::NotNull | DomainConstraint::Null => {
                    let not_null = *constraint == DomainConstraint::NotNull;
                    if nullability.is_some_and(|known| known != not_null) {
                        return Err(DatabaseError::new("42601", "conflicting NULL/NOT NULL constraints"));
                    }
                    nullability = Some(not_null);
                    domain.not_null = not_null;
                }
                DomainConstraint::Default(text) => {
                    if domain.default.is_some() {
                        return Err(DatabaseError::new("42601", "multiple default expressions"));
                    }
                    domain.default = self.domain_default(&domain, text)?;
                }
                DomainConstraint::Check { .. } => {}
            }
        }
        // The default of the domain below becomes this one's own.
        if let (None, Type::Domain(below, _)) = (&domain.default, &domain.base) {
            domain.default = self.catalog.domains.get(below).and_then(|below| below.default.clone());
        }
        for constraint in &create.constraints {
            if let DomainConstraint::Check { name, expression, .. } = constraint {
                let check = self.domain_check(&domain, name.as_ref(), expression)?;
                domain.checks.push(check);
            }
        }
        self.catalog.domains.insert(name, Arc::new(domain));
        Ok(())
    }

    /// A default's text; `NULL` is no default.
    fn domain_default(&self, domain: &DomainType, text: &str) -> Result<Option<String>> {
        let kept = self.kept_default(text, &domain.name.name, &domain.base, domain.modifier)?;
        Ok(Some(kept).filter(|kept| !kept.eq_ignore_ascii_case("null")))
    }

    /// A check with its name. Errors: 42710 for a name that the domain has already.
    fn domain_check(&self, domain: &DomainType, name: Option<&Ident>, text: &str) -> Result<(Ident, String)> {
        let name = match name {
            Some(name) => {
                let name = Ident::new(naming::cut(name, naming::NAME_BYTES_MAX));
                if domain.checks.iter().any(|(other, _)| *other == name) {
                    return Err(constraint_exists(&name, &domain.name.name));
                }
                name
            }
            None => self.check_name_for(domain),
        };
        let kept = self.kept(text, &domain.value_row(), Place::Check)?;
        Ok((name, kept.text))
    }

    /// `<domain>_check`, numbered until no constraint of the schema has it.
    fn check_name_for(&self, domain: &DomainType) -> Ident {
        let schema = &domain.name.schema;
        let taken = |name: &str| {
            let of_domain = |domain: &DomainType| domain.checks.iter().any(|(other, _)| *other == *name);
            of_domain(domain)
                || (self.catalog.domains.values()).any(|other| other.name.schema == *schema && of_domain(other))
                || (self.catalog.relations.values())
                    .filter(|relation| relation.name.schema == *schema)
                    .any(|relation| relation.constraints.iter().any(|constraint| constraint.name == *name))
        };
        let mut number = 0_u32;
        loop {
            let label = match number {
                0 => "check".to_owned(),
                number => format!("check{number}"),
            };
            let room = naming::NAME_BYTES_MAX - label.len() - 1;
            let name = format!("{}_{label}", naming::cut(&domain.name.name, room));
            if !taken(&name) {
                return Ident::from(name);
            }
            number += 1;
        }
    }

    pub(super) fn alter_domain(&mut self, alter: &AlterDomain) -> Result<()> {
        let name = self
            .existing_domain(&alter.name)
            .map_err(|error| match error.sqlstate.as_str() {
                "42809" => DatabaseError::new("42809", format!("{} is not a domain", alter.name)),
                _ => error,
            })?;
        let Some(domain) = self.catalog.domains.get(&name).cloned() else {
            return Err(DatabaseError::new("XX000", format!("domain {name} has gone")));
        };
        match &alter.action {
            DomainAction::SetDefault(text) => {
                let default = self.domain_default(&domain, text)?;
                self.domain_mut(&name)?.default = default;
            }
            DomainAction::DropDefault => self.domain_mut(&name)?.default = None,
            DomainAction::DropNotNull => self.domain_mut(&name)?.not_null = false,
            DomainAction::SetNotNull => {
                if !domain.not_null {
                    self.domain_mut(&name)?.not_null = true;
                    self.changes.push(Change::CheckDomain {
                        domain: name,
                        check: None,
                    });
                }
            }
            DomainAction::AddConstraint(DomainConstraint::Check {
                name: given,
                expression,
                not_valid,
            }) => {
                let check = self.domain_check(&domain, given.as_ref(), expression)?;
                let constraint = check.0.clone();
                self.domain_mut(&name)?.checks.push(check);
                if !not_valid {
                    self.changes.push(Change::CheckDomain {
                        domain: name,
                        check: Some(constraint),
                    });
                }
            }
            DomainAction::AddConstraint(_) => {
                return Err(DatabaseError::new("XX000", "unrecognized constraint subtype: 1"));
            }
            DomainAction::DropConstraint { name: gone, if_exists } => {
                if !domain.checks.iter().any(|(other, _)| other == gone) {
                    let message = format!("constraint \"{gone}\" of domain \"{}\" does not exist", name.name);
                    if !if_exists {
                        return Err(DatabaseError::new("42704", message));
                    }
                    self.notice("00000", format!("{message}, skipping"));
                    return Ok(());
                }
                self.domain_mut(&name)?.checks.retain(|(other, _)| other != gone);
            }
            DomainAction::Validate(constraint) => {
                if !domain.checks.iter().any(|(other, _)| other == constraint) {
                    let message = format!("constraint \"{constraint}\" of domain \"{}\" does not exist", name.name);
                    return Err(DatabaseError::new("42704", message));
                }
                self.changes.push(Change::CheckDomain {
                    domain: name,
                    check: Some(constraint.clone()),
                });
            }
            DomainAction::SetSchema(schema) => {
                let schema = self.existing_schema(schema)?;
                let to = QualifiedName::new(schema, name.name.clone());
                if to == name {
                    return Ok(());
                }
                if self.catalog.domains.contains_key(&to) || self.catalog.enums.contains_key(&to) {
                    let message = format!("type \"{}\" already exists in schema \"{}\"", to.name, to.schema);
                    return Err(DatabaseError::new("42710", message));
                }
                self.move_type(&name, &to)?;
            }
        }
        Ok(())
    }

    pub(super) fn rename_domain(&mut self, rename: &Rename, to: &Ident) -> Result<()> {
        let from = self.existing_domain(&rename.name)?;
        let to = QualifiedName::new(from.schema.clone(), to.clone());
        self.check_free_type(&to)?;
        self.move_type(&from, &to)
    }

    pub(super) fn rename_domain_constraint(&mut self, rename: &Rename, to: &Ident) -> Result<()> {
        let name = self.existing_domain(&rename.name)?;
        let from = rename.part.clone().unwrap_or_else(|| Ident::new(""));
        let shown = self.described(&name);
        let domain = self.domain_mut(&name)?;
        let Some(at) = domain.checks.iter().position(|(other, _)| *other == from) else {
            let message = format!("constraint \"{from}\" for domain {shown} does not exist");
            return Err(DatabaseError::new("42704", message));
        };
        if domain.checks.iter().any(|(other, _)| other == to) {
            let message = format!("constraint \"{to}\" for domain {shown} already exists");
            return Err(DatabaseError::new("42710", message));
        }
        domain.checks[at].0 = to.clone();
        Ok(())
    }

    /// Gives every column, argument, result and domain of a type its new name, in domains' texts too.
    pub(super) fn retype(&mut self, from: &QualifiedName, to: &QualifiedName) -> Result<()> {
        for entry in self.catalog.relations.values_mut() {
            if entry.columns.iter().any(|column| column.ty.is_made_of(from)) {
                for column in &mut Arc::make_mut(entry).columns {
                    column.ty = column.ty.with_renamed(from, to);
                }
            }
        }
        for routine in self.catalog.routines.values_mut().flatten() {
            let routine = Arc::make_mut(routine);
            for argument in &mut routine.arguments {
                argument.ty = argument.ty.with_renamed(from, to);
            }
            for (_, ty) in &mut routine.returns.columns {
                *ty = ty.with_renamed(from, to);
            }
            routine.returns.ty = routine.returns.ty.with_renamed(from, to);
        }
        let rename = Renamed::Type { from, to };
        for domain in self.catalog.domains.values_mut() {
            let domain = Arc::make_mut(domain);
            domain.base = domain.base.with_renamed(from, to);
            if let Some(text) = &mut domain.default {
                *text = spell::renamed_in_expression(text, &rename)?;
            }
            for (_, text) in &mut domain.checks {
                *text = spell::renamed_in_expression(text, &rename)?;
            }
        }
        Ok(())
    }

    /// True if adding a column of the type to rows that are there must look at each: it has a default, or demands.
    pub(super) fn fills_by_domain(&self, ty: &Type) -> bool {
        let mut fills = false;
        ty.each_named(&mut |name| {
            fills |= (self.catalog.domains.get(name))
                .is_some_and(|domain| domain.default.is_some() || domain.is_constrained());
        });
        fills
    }
}

fn constraint_exists(constraint: &Ident, domain: &Ident) -> DatabaseError {
    let message = format!("constraint \"{constraint}\" for domain \"{domain}\" already exists");
    DatabaseError::new("42710", message)
}
