//! Spells expressions and queries as PostgreSQL text, by the parser's own printer.

use mainstay_core::error::DatabaseError;
use pg_query::NodeEnum;
use pg_query::protobuf::{LimitOption, Node, ResTarget, SelectStmt, SetOperation};

/// The text of an expression. Errors: XX000 if the printer cannot spell it.
pub(in crate::convert) fn of_expression(node: &Node) -> Result<String, DatabaseError> {
    const HEAD: &str = "SELECT ";
    let target = ResTarget {
        val: Some(Box::new(node.clone())),
        ..Default::default()
    };
    let select = SelectStmt {
        target_list: vec![Node {
            node: Some(NodeEnum::ResTarget(Box::new(target))),
        }],
        limit_option: LimitOption::Default as i32,
        op: SetOperation::SetopNone as i32,
        ..Default::default()
    };
    let text = of_query(&NodeEnum::SelectStmt(Box::new(select)))?;
    match text.strip_prefix(HEAD) {
        Some(expression) => Ok(expression.to_owned()),
        None => Err(DatabaseError::new("XX000", "the expression could not be spelled")),
    }
}

/// The text of a query. Errors: XX000 if the printer cannot spell it.
pub(super) fn of_query(node: &NodeEnum) -> Result<String, DatabaseError> {
    node.deparse(pg_query::DeparseOptions::default())
        .map_err(|error| DatabaseError::new("XX000", format!("the query could not be spelled: {error}")))
}
