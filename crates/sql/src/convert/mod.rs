//! `pg_query`'s tree → our AST.
//!
//! Lives here: the only reading of `pg_query`'s types besides `parse`. Not here: the meaning of anything.

mod context;
mod ddl;
mod defined;
mod expr;
mod names;
mod parts;
mod query;
mod statement;
mod write;

pub(crate) use context::{Context, newlines};
pub(crate) use defined::defined;
pub(crate) use expr::expression;
pub(crate) use parts::{Leaf, leaves};
pub(crate) use statement::statement;

use mainstay_core::error::DatabaseError;
use pg_query::NodeEnum;
use pg_query::protobuf::Node;

/// The result of every conversion.
pub(crate) type Converted<T> = Result<T, DatabaseError>;

/// What a node is. Errors: XX000 for an empty node, which the parser does not make.
fn kind(node: &Node) -> Converted<&NodeEnum> {
    node.node
        .as_ref()
        .ok_or_else(|| DatabaseError::new("XX000", "the parser gave an empty node"))
}

/// What an optional, boxed node is, where the grammar demands one.
fn required(node: &Option<Box<Node>>) -> Converted<&Node> {
    node.as_deref()
        .ok_or_else(|| DatabaseError::new("XX000", "the parser left out a node"))
}

/// The members of a list node; none for anything else.
fn items(node: &Node) -> &[Node] {
    match &node.node {
        Some(NodeEnum::List(list)) => &list.items,
        _ => &[],
    }
}
