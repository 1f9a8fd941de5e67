//! Domains with functions of their own between them and JSON or text.
//!
//! Source: PostgREST documentation, "Domain Representations". PostgreSQL itself never takes a cast of a domain.

use mainstay_core::catalog::{ColumnIndex, Relation, RepresentationKind};
use mainstay_core::name::QualifiedName;
use mainstay_core::plan::{Base, Field};
use mainstay_core::types::Type;

use super::Renderer;
use super::sql::{Param, Sql};

impl Renderer {
    /// The function of that kind that values of `ty` go through.
    pub(super) fn represented(&self, ty: &Type, kind: RepresentationKind) -> Option<QualifiedName> {
        let Type::Domain(domain, _) = ty else { return None };
        self.representations
            .iter()
            .find(|known| known.kind == kind && known.domain == *domain)
            .map(|known| known.function.clone())
    }

    /// A column's value as it is shown, and its type then.
    pub(super) fn shown(&self, value: Sql, field: &Field, ty: Type) -> (Sql, Type) {
        let is_column = matches!(field.base, Base::Column(_)) && field.path.is_empty();
        match self.represented(&ty, RepresentationKind::ToJson).filter(|_| is_column) {
            Some(function) => (call(&function, value), Type::Json),
            None => (value, ty),
        }
    }

    /// A value of the query, read as values of `ty` are.
    pub(super) fn operand(&self, sql: &mut Sql, ty: &Type, param: Param) {
        match self.represented(ty, RepresentationKind::FromText) {
            Some(function) => {
                sql.name(&function).push("(").bind(param).push("::pg_catalog.text)");
            }
            None => {
                sql.bind(param);
            }
        }
    }

    /// A list of the query as an array, its elements read as values of `ty` are.
    pub(super) fn operands(&self, sql: &mut Sql, ty: &Type, param: Param) {
        match self.represented(ty, RepresentationKind::FromText) {
            Some(function) => {
                sql.push("ARRAY(SELECT ")
                    .name(&function)
                    .push("(u.v) FROM pg_catalog.unnest(")
                    .bind(param)
                    .push("::pg_catalog.text[]) AS u(v))");
            }
            None => {
                sql.bind(param);
            }
        }
    }

    /// True if one of the columns is read from JSON by a function.
    pub(super) fn reads_by_functions(&self, relation: &Relation, columns: &[ColumnIndex]) -> bool {
        let mut columns = columns.iter().filter_map(|index| relation.columns.get(*index));
        columns.any(|column| self.represented(&column.ty, RepresentationKind::FromJson).is_some())
    }
}

pub(super) fn call(function: &QualifiedName, value: Sql) -> Sql {
    let mut sql = Sql::default();
    sql.name(function).push("(").append(value).push(")");
    sql
}
