//! Keys as a relation of typed columns, to join a table with.

use mainstay_core::catalog::{Column, ColumnIndex, Relation};
use mainstay_core::error::BackendError;
use mainstay_core::transfer::Rows;

use crate::render::sql::Sql;

/// The columns at these positions.
pub fn chosen<'a>(relation: &'a Relation, columns: &'a [ColumnIndex]) -> impl Iterator<Item = &'a Column> {
    columns.iter().filter_map(|position| relation.columns.get(*position))
}

/// `json_to_recordset('[…]') AS k("0" type, …)`.
pub fn recordset(sql: &mut Sql, relation: &Relation, key: &[ColumnIndex], keys: &Rows) -> Result<(), BackendError> {
    let mut json: Vec<serde_json::Map<String, serde_json::Value>> = Vec::with_capacity(keys.len());
    let Ok(()) = keys.each::<std::convert::Infallible>(|row| {
        let member = |(position, value): (usize, &Option<&[u8]>)| {
            let value = value.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            (position.to_string(), value.into())
        };
        json.push(row.iter().enumerate().map(member).collect());
        Ok(())
    });
    let json = serde_json::to_string(&json).map_err(|error| BackendError::Internal(error.to_string()))?;
    sql.push("json_to_recordset(").literal(&json).push(") AS k(");
    for (position, column) in chosen(relation, key).enumerate() {
        sql.push(if position > 0 { ", " } else { "" });
        sql.ident(&position.to_string()).push(" ").type_name(column.ty.base());
    }
    sql.push(")");
    Ok(())
}

/// `t."a" = k."0" AND …`.
pub fn matches(sql: &mut Sql, relation: &Relation, key: &[ColumnIndex]) {
    for (position, column) in chosen(relation, key).enumerate() {
        sql.push(if position > 0 { " AND t." } else { "t." });
        sql.ident(&column.name).push(" = k.").ident(&position.to_string());
    }
}

/// `(SELECT DISTINCT (w.latter ->> 0)::type AS "0", … FROM mainstay_leaving.written w WHERE …) AS k`: keys of rows as
/// they were after they were written, since a mark.
pub fn written(sql: &mut Sql, relation: &Relation, key: &[ColumnIndex], mark: &str) {
    sql.push("(SELECT DISTINCT ");
    for (position, column) in chosen(relation, key).enumerate() {
        sql.push(if position > 0 {
            ", (w.latter ->> "
        } else {
            "(w.latter ->> "
        });
        sql.literal(&position.to_string())
            .push("::int4)::")
            .type_name(column.ty.base());
        sql.push(" AS ").ident(&position.to_string());
    }
    sql.push(" FROM mainstay_leaving.written w WHERE w.latter IS NOT NULL AND ");
    since(sql, relation, mark);
    sql.push(") AS k");
}

/// The condition on `w`, a row of the record, that it is of a relation and later than a mark.
pub fn since(sql: &mut Sql, relation: &Relation, mark: &str) {
    sql.push("w.schema = ").literal(&relation.name.schema);
    sql.push(" AND w.name = ").literal(&relation.name.name).push(" AND ");
    later(sql, mark);
}

/// The condition on `w` that it is later than a mark. Whatever is before the oldest transaction that was open then is
/// found by the index to be none of it.
pub fn later(sql: &mut Sql, mark: &str) {
    sql.push("w.xid >= pg_snapshot_xmin(")
        .literal(mark)
        .push("::pg_snapshot)");
    sql.push(" AND NOT pg_visible_in_snapshot(w.xid, ")
        .literal(mark)
        .push("::pg_snapshot)");
}
