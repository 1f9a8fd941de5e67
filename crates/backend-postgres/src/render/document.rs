//! Answers that are one document as it is: a media type's handler over rows, or a routine's value.

use mainstay_core::catalog::MediaHandler;
use mainstay_core::error::BackendError;
use mainstay_core::types::Type;

use super::read::Scope;
use super::sql::Sql;
use super::{Renderer, ResultKind, Variant, part};

type Result<T> = std::result::Result<T, BackendError>;

impl Renderer {
    /// `SELECT aggregate(rows), count(*) FROM (…) AS rows`; `before` is a `WITH` that `source` names.
    pub(super) fn document_of_rows(
        &mut self,
        before: Sql,
        scope: Scope<'_>,
        source: Sql,
        handler: &MediaHandler,
    ) -> Result<Variant> {
        let rows = self.alias('d');
        let mut sql = before;
        sql.push("SELECT ").name(&handler.aggregate).push("(").alias(&rows);
        if let Some(relation) = &handler.relation {
            sql.push("::").name(relation);
        }
        sql.push("), pg_catalog.count(*) FROM (");
        self.named_select(&mut sql, scope, source)?;
        sql.push(") AS ").alias(&rows);
        document(sql, handler.is_binary)
    }

    /// `SELECT value, 1`.
    pub(super) fn document_of_value(&mut self, from: Sql, value: Sql, ty: &Type) -> Result<Variant> {
        let mut sql = Sql::default();
        sql.push("SELECT ")
            .append(value)
            .push(", 1::pg_catalog.int8 FROM ")
            .append(from);
        document(sql, *ty.base() == Type::Bytea)
    }
}

/// Bytes come in binary, anything else in its text form.
fn document(sql: Sql, is_binary: bool) -> Result<Variant> {
    Ok(Variant {
        main: part(sql)?,
        count: None,
        explain: None,
        result: ResultKind::Document,
        formats: vec![i16::from(is_binary), 1],
        location: Vec::new(),
        keys_shown: 0,
        expected_oids: vec![&[], &[20]],
    })
}
