//! Conditions.

use mainstay_core::error::BackendError;
use mainstay_core::plan::{FullTextQuery, IsValue, Operator, Predicate, Quantifier};
use mainstay_core::types::Type;

use super::Renderer;
use super::read::{Scope, embed_at};
use super::sql::{Param, Sql};

type Result<T> = std::result::Result<T, BackendError>;

impl Renderer {
    /// Writes a condition that stands safely between `AND`s.
    pub(super) fn predicate(&mut self, sql: &mut Sql, scope: Scope<'_>, predicate: &Predicate) -> Result<()> {
        let relation = &scope.read.source.relation;
        match predicate {
            Predicate::And(parts) => self.joined(sql, scope, parts, " AND ", "TRUE")?,
            Predicate::Or(parts) => self.joined(sql, scope, parts, " OR ", "FALSE")?,
            Predicate::Not(inner) => match &**inner {
                // Spelled plainly: PostgreSQL makes a semi-join of EXISTS, but not of a negation negated.
                Predicate::EmbedIsNull(index) => self.exists(sql, scope, embed_at(scope.read, *index)?)?,
                inner => {
                    sql.push("NOT (");
                    self.predicate(sql, scope, inner)?;
                    sql.push(")");
                }
            },
            Predicate::Compare { field, operator, value } => {
                let ty = self.field(sql, scope.alias, relation, field)?;
                sql.push(" ").push(operator.sql()).push(" ");
                // A pattern is no value of the type.
                if matches!(operator, Operator::Like | Operator::Ilike) {
                    sql.bind(Param::Value(*value));
                } else {
                    self.operand(sql, &ty, Param::Value(*value));
                }
            }
            Predicate::Quantified {
                field,
                operator,
                quantifier,
                values,
            } => {
                self.field(sql, scope.alias, relation, field)?;
                sql.push(" ").push(operator.sql());
                sql.push(match quantifier {
                    Quantifier::Any => " ANY(",
                    Quantifier::All => " ALL(",
                });
                sql.bind(Param::List(*values)).push(")");
            }
            Predicate::In { field, values } => {
                let ty = self.field(sql, scope.alias, relation, field)?;
                sql.push(" = ANY(");
                self.operands(sql, &ty, Param::List(*values));
                sql.push(")");
            }
            Predicate::Is { field, what } => {
                self.field(sql, scope.alias, relation, field)?;
                sql.push(match what {
                    IsValue::Null => " IS NULL",
                    IsValue::NotNull => " IS NOT NULL",
                    IsValue::True => " IS TRUE",
                    IsValue::False => " IS FALSE",
                    IsValue::Unknown => " IS UNKNOWN",
                });
            }
            Predicate::IsDistinct { field, value } => {
                let ty = self.field(sql, scope.alias, relation, field)?;
                sql.push(" IS DISTINCT FROM ");
                self.operand(sql, &ty, Param::Value(*value));
            }
            Predicate::FullText {
                field,
                query,
                language,
                value,
            } => {
                let mut document = Sql::default();
                let ty = self.field(&mut document, scope.alias, relation, field)?;
                if is_tsvector(&ty) {
                    sql.append(document);
                } else {
                    // Text and JSON are searched through the vector PostgreSQL makes of them.
                    sql.push("pg_catalog.to_tsvector(");
                    if let Some(language) = language {
                        sql.bind(Param::Value(*language)).push("::pg_catalog.regconfig, ");
                    }
                    sql.append(document).push(")");
                }
                sql.push(match query {
                    FullTextQuery::Plain => " @@ pg_catalog.to_tsquery(",
                    FullTextQuery::PlainTo => " @@ pg_catalog.plainto_tsquery(",
                    FullTextQuery::PhraseTo => " @@ pg_catalog.phraseto_tsquery(",
                    FullTextQuery::WebSearch => " @@ pg_catalog.websearch_to_tsquery(",
                });
                if let Some(language) = language {
                    sql.bind(Param::Value(*language)).push("::pg_catalog.regconfig, ");
                }
                sql.bind(Param::Value(*value)).push("::pg_catalog.text)");
            }
            Predicate::EmbedIsNull(index) => {
                let embed = embed_at(scope.read, *index)?;
                sql.push("NOT ");
                self.exists(sql, scope, embed)?;
            }
        }
        Ok(())
    }

    fn joined(
        &mut self,
        sql: &mut Sql,
        scope: Scope<'_>,
        parts: &[Predicate],
        separator: &'static str,
        empty: &'static str,
    ) -> Result<()> {
        if parts.is_empty() {
            sql.push(empty);
            return Ok(());
        }
        sql.push("(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                sql.push(separator);
            }
            self.predicate(sql, scope, part)?;
        }
        sql.push(")");
        Ok(())
    }
}

fn is_tsvector(ty: &Type) -> bool {
    *ty.base() == Type::Tsvector
}
