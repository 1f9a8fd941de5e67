//! Tries conditions on rows that are given, by asking the database: `SELECT condition FROM (SELECT 'a'::uuid AS id) AS t`.
//!
//! Both engines read the same text, as the caller: what a condition looks up in other tables is guarded as it is when
//! the condition guards a table. Not here: whose rows they are, which conditions apply.

use std::collections::HashSet;

use mainstay_core::backend::{Backend, QueryMode, QueryResult};
use mainstay_core::caller::Caller;
use mainstay_core::catalog::{ColumnIndex, Relation};
use mainstay_core::error::BackendError;
use mainstay_core::name::Ident;
use mainstay_core::trial::{Part, Trial, Verdict};
use mainstay_core::types::{Type, TypeModifier};

use crate::convert::Leaf;
use crate::dump::text::SqlText;
use crate::parse;

/// Members of one condition that are tried by themselves.
const LEAVES_MAX: usize = 20;
/// The column that says which row it is.
const ROW: &str = "mainstay row";

/// Answers [`Backend::judge`] by [`Backend::query`].
pub async fn judge(backend: &dyn Backend, caller: &Caller, trial: &Trial) -> Result<Vec<Vec<Verdict>>, BackendError> {
    let mut verdicts = Vec::with_capacity(trial.conditions.len());
    for text in &trial.conditions {
        let condition = Condition::new(&trial.relation, text);
        verdicts.push(condition.judge(backend, caller, trial).await?);
    }
    Ok(verdicts)
}

/// Answers [`Backend::compared`]: a condition that cannot be read compares nothing.
pub fn compared(relation: &Relation, condition: &str) -> Vec<ColumnIndex> {
    let mut found = Vec::new();
    for column in parse::leaves(condition)
        .unwrap_or_default()
        .iter()
        .filter_map(|leaf| leaf.equals.as_ref())
    {
        let is_own = column
            .names
            .iter()
            .rev()
            .nth(1)
            .is_none_or(|qualifier| *qualifier == relation.name.name);
        let named = column.names.last().and_then(|name| relation.column(name));
        if let (true, Some((index, _))) = (is_own, named)
            && !found.contains(&index)
        {
            found.push(index);
        }
    }
    found
}

/// A condition with what it is made of.
struct Condition<'a> {
    relation: &'a Relation,
    text: &'a str,
    leaves: Vec<Leaf>,
    /// Calls of all leaves, each once.
    calls: Vec<String>,
    /// The columns that it may look at.
    columns: Vec<ColumnIndex>,
}

impl<'a> Condition<'a> {
    fn new(relation: &'a Relation, text: &'a str) -> Self {
        // What cannot be taken apart is tried as a whole, on whole rows.
        let read = parse::leaves(text);
        let is_read = read.is_ok();
        let mut leaves = read.unwrap_or_default();
        leaves.truncate(LEAVES_MAX);
        let named: HashSet<&Ident> = leaves
            .iter()
            .flat_map(|leaf| leaf.columns.iter().filter_map(|column| column.names.last()))
            .collect();
        let is_whole = !is_read || leaves.len() == LEAVES_MAX || named.contains(&relation.name.name);
        let columns = (0..relation.columns.len())
            .filter(|column| is_whole || named.contains(&relation.columns[*column].name))
            .collect();
        let mut calls: Vec<String> = Vec::new();
        for call in leaves.iter().flat_map(|leaf| &leaf.calls) {
            if !calls.contains(call) {
                calls.push(call.clone());
            }
        }
        Condition {
            relation,
            text,
            leaves,
            calls,
            columns,
        }
    }

    async fn judge(&self, backend: &dyn Backend, caller: &Caller, trial: &Trial) -> Result<Vec<Verdict>, BackendError> {
        let rows: Vec<&[Option<String>]> = trial.rows.iter().map(Vec::as_slice).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let all = backend
            .query(Some(caller), &self.question(&rows, true), QueryMode::ReadOnly)
            .await;
        match all {
            Ok(answer) => return Ok(self.with_parts(&rows, &answer)),
            Err(BackendError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        // A member that is not reached may fail where the whole does not, and one row where another does not.
        let mut verdicts = Vec::with_capacity(rows.len());
        for row in rows {
            let question = self.question(&[row], false);
            let value = match backend.query(Some(caller), &question, QueryMode::ReadOnly).await {
                Ok(answer) => Ok(answer.rows.first().and_then(|cells| truth(cells.get(1)))),
                Err(BackendError::Refused(error)) => Err(*error),
                Err(error) => return Err(error),
            };
            verdicts.push(Verdict {
                value,
                parts: Vec::new(),
            });
        }
        Ok(verdicts)
    }

    /// The row's number, the whole condition, and with `parts` its members and calls.
    fn question(&self, rows: &[&[Option<String>]], parts: bool) -> String {
        let mut sql = SqlText::new();
        sql.sql("SELECT ").ident(&Ident::new(ROW));
        sql.sql(", (").kept(self.text).sql("\n)");
        if parts {
            for leaf in &self.leaves {
                sql.sql(", (").kept(&leaf.text).sql("\n)");
            }
            for call in &self.calls {
                sql.sql(", (").kept(call).sql("\n)::text");
            }
        }
        sql.sql(" FROM (");
        for (number, row) in rows.iter().enumerate() {
            sql.sql(if number > 0 { " UNION ALL SELECT " } else { "SELECT " });
            sql.number(number as i64).sql(" AS ").ident(&Ident::new(ROW));
            for column in &self.columns {
                let definition = &self.relation.columns[*column];
                sql.sql(", ");
                match row.get(*column).and_then(Option::as_ref) {
                    Some(value) => sql.literal(value),
                    None => sql.sql("NULL"),
                };
                sql.sql("::");
                type_name(&mut sql, &definition.ty);
                sql.sql(" AS ").ident(&definition.name);
            }
        }
        sql.sql(") AS ").ident(&self.relation.name.name).sql(" ORDER BY 1");
        sql.finish()
    }

    fn with_parts(&self, rows: &[&[Option<String>]], answer: &QueryResult) -> Vec<Verdict> {
        let of_row = |(row, cells): (&&[Option<String>], &Vec<Option<String>>)| {
            let first_call = 2 + self.leaves.len();
            let part = |(index, leaf): (usize, &Leaf)| {
                let mut saw = self.columns_of(leaf, row);
                for call in &leaf.calls {
                    let place = self.calls.iter().position(|known| known == call);
                    let value = place.and_then(|place| cells.get(first_call + place).cloned().flatten());
                    saw.push((call.clone(), value));
                }
                Part {
                    text: leaf.text.clone(),
                    value: truth(cells.get(2 + index)),
                    saw,
                }
            };
            Verdict {
                value: Ok(truth(cells.get(1))),
                parts: self.leaves.iter().enumerate().map(part).collect(),
            }
        };
        rows.iter().zip(&answer.rows).map(of_row).collect()
    }

    /// The row's columns that a member certainly looks at, with their values.
    fn columns_of(&self, leaf: &Leaf, row: &[Option<String>]) -> Vec<(String, Option<String>)> {
        let mut saw: Vec<(String, Option<String>)> = Vec::new();
        for column in &leaf.columns {
            let (Some(name), qualifier) = (column.names.last(), column.names.iter().rev().nth(1)) else {
                continue;
            };
            let is_own = match qualifier {
                Some(qualifier) => *qualifier == self.relation.name.name,
                None => !column.is_inside,
            };
            if let (true, Some((index, _))) = (is_own, self.relation.column(name))
                && !saw.iter().any(|(known, _)| **known == **name)
            {
                saw.push((name.to_string(), row.get(index).cloned().flatten()));
            }
        }
        saw
    }
}

fn truth(cell: Option<&Option<String>>) -> Option<bool> {
    match cell?.as_deref()? {
        "t" | "true" => Some(true),
        _ => Some(false),
    }
}

fn type_name(sql: &mut SqlText, ty: &Type) {
    match ty {
        Type::Enum(name) | Type::Domain(name, _) | Type::Composite(name) | Type::Other(name) => {
            sql.name(name);
        }
        Type::Array(element) => {
            type_name(sql, element);
            sql.sql("[]");
        }
        // Without a length `character` would be of one.
        Type::Bpchar => {
            sql.sql("bpchar");
        }
        other => {
            sql.kept(&other.display(TypeModifier::None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_apart(text: &str) -> Vec<(String, Vec<String>, Vec<String>)> {
        let shown = |leaf: Leaf| {
            let columns = leaf.columns.iter().map(|column| {
                let names: Vec<&str> = column.names.iter().map(Ident::as_str).collect();
                format!("{}{}", names.join("."), if column.is_inside { " inside" } else { "" })
            });
            (leaf.text, columns.collect(), leaf.calls)
        };
        parse::leaves(text).unwrap().into_iter().map(shown).collect()
    }

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_condition_is_taken_apart_at_its_ands_and_ors() {
        let found = taken_apart("customer_id = (select auth.uid()) and (status = 'pending' or not paid)");
        assert_eq!(
            found,
            [
                (
                    "customer_id = (SELECT auth.uid())".to_owned(),
                    owned(&["customer_id"]),
                    owned(&["auth.uid()"])
                ),
                ("status = 'pending'".to_owned(), owned(&["status"]), owned(&[])),
                ("NOT paid".to_owned(), owned(&["paid"]), owned(&[])),
            ]
        );
    }

    #[test]
    fn calls_are_as_large_as_they_can_be_without_a_column() {
        let calls = |text| taken_apart(text).remove(0).2;
        assert_eq!(
            calls("(auth.jwt() -> 'app_metadata' ->> 'org')::int = org_id"),
            ["(auth.jwt() -> 'app_metadata' ->> 'org')::int"]
        );
        assert_eq!(
            calls("exists (select 1 from members m where m.org = t.org and m.member = (select auth.uid()))"),
            ["auth.uid()"]
        );
        assert_eq!(calls("auth.uid() = any (editors)"), ["auth.uid()"]);
        assert_eq!(
            calls("role = current_setting('app.role', true)"),
            ["current_setting('app.role', true)"]
        );
        assert_eq!(calls("is_member(org_id)"), owned(&[]));
        assert_eq!(calls("is_admin()"), owned(&[]), "the member itself says it");
        assert_eq!(
            calls("case when auth.role() = 'x' then a else b end"),
            ["auth.role() = 'x'"]
        );
    }

    #[test]
    fn a_column_that_must_equal_one_value_is_found() {
        let equals = |text: &str| {
            let leaves = parse::leaves(text).unwrap();
            let names = leaves
                .into_iter()
                .filter_map(|leaf| leaf.equals)
                .map(|column| column.names.last().cloned());
            names.flatten().map(|name| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            equals("(t.owner = (select auth.uid())) and 'open' = status and a = b and c <> 1"),
            ["owner", "status"]
        );
        assert_eq!(
            equals("id in (select id from members where who = auth.uid())"),
            owned(&[])
        );
        assert_eq!(equals("(auth.jwt() ->> 'org')::int = org"), ["org"]);
    }

    #[test]
    fn columns_in_subqueries_are_told_apart() {
        let found = taken_apart("exists (select 1 from orders o where o.id = order_items.order_id)");
        assert_eq!(found[0].1, ["o.id inside", "order_items.order_id inside"]);
    }
}
