//! `CREATE DOMAIN` and `ALTER DOMAIN` as the parser gives them.

use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, ConstrType, Node};

use super::super::context::Context;
use super::read::*;
use super::table::{check_collatable, check_collation};
use super::{Converted, text};
use crate::ast::ddl::*;
use mainstay_core::error::DatabaseError;

pub(super) fn create_domain(ctx: &Context<'_>, statement: &protobuf::CreateDomainStmt) -> Converted<CreateDomain> {
    let name = name_of(&statement.domainname);
    let Some(ty) = &statement.type_name else {
        return Err(ctx_error("the domain has no type"));
    };
    if let Some(clause) = &statement.coll_clause {
        check_collation(&clause.collname, &name.name, ctx.statement_line())?;
        check_collatable(&ctx.type_name(ty)?, &name.name, ctx.statement_line())?;
    }
    let mut constraints = Vec::with_capacity(statement.constraints.len());
    for node in &statement.constraints {
        if let Some(NodeEnum::Constraint(written)) = &node.node {
            constraints.push(constraint(written)?);
        }
    }
    Ok(CreateDomain {
        ty: ctx.type_name(ty)?,
        name,
        constraints,
    })
}

fn constraint(written: &protobuf::Constraint) -> Converted<DomainConstraint> {
    let expression = |node: &Option<Box<Node>>| match node {
        Some(node) => text::of_expression(node),
        None => Ok("NULL".to_owned()),
    };
    let impossible = |what: &str| {
        let message = format!("{what} constraints not possible for domains");
        Err(DatabaseError::new("42601", message))
    };
    match written.contype() {
        ConstrType::ConstrNotnull => Ok(DomainConstraint::NotNull),
        ConstrType::ConstrNull => Ok(DomainConstraint::Null),
        ConstrType::ConstrDefault => Ok(DomainConstraint::Default(expression(&written.raw_expr)?)),
        ConstrType::ConstrCheck => Ok(DomainConstraint::Check {
            name: Some(Ident::new(&written.conname)).filter(|name| !name.is_empty()),
            expression: expression(&written.raw_expr)?,
            not_valid: written.skip_validation,
        }),
        ConstrType::ConstrUnique => impossible("unique"),
        ConstrType::ConstrPrimary => impossible("primary key"),
        ConstrType::ConstrExclusion => impossible("exclusion"),
        ConstrType::ConstrForeign => impossible("foreign key"),
        ConstrType::ConstrGenerated => impossible("specifying GENERATED"),
        _ => Err(DatabaseError::new(
            "0A000",
            "specifying constraint deferrability not supported for domains",
        )),
    }
}

pub(super) fn alter_domain(ctx: &Context<'_>, statement: &protobuf::AlterDomainStmt) -> Converted<AlterDomain> {
    let name = name_of(&statement.type_name);
    let definition = statement.def.as_deref();
    let part = || Ident::new(&statement.name);
    let action = match (statement.subtype.as_str(), definition) {
        ("T", Some(default)) => DomainAction::SetDefault(text::of_expression(default)?),
        ("T", None) => DomainAction::DropDefault,
        ("N", _) => DomainAction::DropNotNull,
        ("O", _) => DomainAction::SetNotNull,
        (
            "C",
            Some(Node {
                node: Some(NodeEnum::Constraint(written)),
            }),
        ) => DomainAction::AddConstraint(constraint(written)?),
        ("X", _) => DomainAction::DropConstraint {
            name: part(),
            if_exists: statement.missing_ok,
        },
        ("V", _) => DomainAction::Validate(part()),
        _ => return Err(refuse(ctx, "this form of ALTER DOMAIN", &name.name, None)),
    };
    Ok(AlterDomain { name, action })
}
