//! Values of domains: what is checked when a value becomes one.
//!
//! A cast to a domain is its value, unless the value is one that the domain does not allow; then it raises what
//! PostgreSQL raises. A domain over a domain is a cast within a cast: one question to both, the inner one first.
//!
//! Source: PostgreSQL 15 manual, CREATE DOMAIN; constraints are tried NOT NULL first, then by name.

use std::rc::Rc;
use std::sync::Arc;

use mainstay_core::catalog::DomainType;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;
use mainstay_sql::ddl::identifier;
use mainstay_sql::typed::{Expr, ExprKind};

use super::emitter::{Emitter, Result, Rte, Scope};
use super::walk::{self, Visitor};

impl Emitter<'_> {
    /// `inner`, of the domain's base type, as a value of the domain.
    pub(super) fn domain(&mut self, inner: &Expr, name: &QualifiedName) -> Result<()> {
        let Some(domain) = self.catalog().domains.get(name).cloned() else {
            return Err(DatabaseError::new(
                "42704",
                format!("type \"{}\" does not exist", name.name),
            ));
        };
        // A domain over a domain asks both, and speaks of itself.
        let mut chain = vec![domain];
        let mut inner = inner;
        while let (Type::Domain(below, _), ExprKind::Cast { expr, .. }) = (&inner.ty, &inner.kind) {
            let Some(below) = self.catalog().domains.get(below).filter(|_| expr.ty != inner.ty) else {
                break;
            };
            chain.push(Arc::clone(below));
            inner = expr;
        }
        if !chain.iter().any(|domain| domain.is_constrained()) {
            return self.expr(inner);
        }
        let plain = matches!(
            inner.kind,
            ExprKind::Literal(_) | ExprKind::Column { .. } | ExprKind::Parameter(_) | ExprKind::Context(_)
        );
        if plain || self.for_schema || belongs_to_its_query(inner) {
            return self.checked(&chain, inner);
        }
        // Computed once; an OFFSET keeps SQLite from putting the expression where its name stands.
        let alias = self.fresh_alias();
        self.sql("(SELECT ");
        self.with_elements(Rte::Numbered { alias }, &inner.ty, |emitter, value| {
            emitter.checked(&chain, value)
        })?;
        self.sql(" FROM (SELECT ");
        self.expr(inner)?;
        self.sql(" AS c1 LIMIT 1 OFFSET 0) AS ").alias(alias).sql(")");
        Ok(())
    }

    /// `chain`: the domain, the one below it, and so on.
    fn checked(&mut self, chain: &[Arc<DomainType>], value: &Expr) -> Result<()> {
        let name = chain.first().map(|domain| shown(&domain.name)).unwrap_or_default();
        self.sql("(CASE");
        if chain.iter().any(|domain| domain.not_null) {
            self.sql(" WHEN ");
            self.expr(value)?;
            self.sql(" IS NULL THEN pg_raise('23502', ");
            let message = format!("domain {name} does not allow null values");
            self.writer.literal(&message);
            self.sql(")");
        }
        for domain in chain.iter().rev() {
            let mut checks: Vec<&(Ident, String)> = domain.checks.iter().collect();
            checks.sort();
            for (constraint, text) in checks {
                self.sql(" WHEN NOT ");
                self.domain_condition(domain, text, value)?;
                self.sql(" THEN pg_raise('23514', ");
                let message = format!("value for domain {name} violates check constraint \"{constraint}\"");
                self.writer.literal(&message);
                self.sql(")");
            }
        }
        self.sql(" ELSE ");
        self.expr(value)?;
        self.sql(" END)");
        Ok(())
    }

    /// What a check says of a value.
    pub fn domain_condition(&mut self, domain: &DomainType, check: &str, value: &Expr) -> Result<()> {
        let bound = self.compiled.condition(&domain.value_row(), check)?;
        let row = Rte::Mapped {
            scope: Rc::new(self.scope.clone()),
            columns: Rc::from([value.clone()]),
        };
        self.sql("(");
        self.fragment(Scope::of(bound.rte, row), |emitter| emitter.expr(&bound.expr))?;
        self.sql(")");
        Ok(())
    }
}

/// A domain's name in a message: with its schema where a request's search path would not find it.
fn shown(name: &QualifiedName) -> String {
    match name.schema.as_str() {
        "public" | "extensions" => identifier(&name.name),
        schema => format!("{}.{}", identifier(schema), identifier(&name.name)),
    }
}

/// True if the expression means something only in the query it was written for: aggregates and windows.
fn belongs_to_its_query(expr: &Expr) -> bool {
    struct Found(bool);
    impl Visitor for Found {
        fn expr(&mut self, expr: &Expr) {
            self.0 |= matches!(expr.kind, ExprKind::Aggregate(_) | ExprKind::Window(_));
        }
    }
    let mut found = Found(false);
    walk::expr(&mut found, expr);
    found.0
}
