//! What a statement makes, by name alone: even of statements that cannot be read any further.

use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableType, Node, RangeVar};

/// Names of relations, types, functions, schemas, roles and columns that a statement makes, without their schema.
pub(crate) fn defined(node: &NodeEnum) -> Vec<Ident> {
    let relation = |name: Option<&RangeVar>| name.map(|name| name.relname.clone()).into_iter().collect::<Vec<_>>();
    let last = |names: &[Node]| last_name(names).into_iter().collect::<Vec<_>>();
    let names: Vec<String> = match node {
        NodeEnum::CreateStmt(statement) => relation(statement.relation.as_ref()),
        NodeEnum::CreateForeignTableStmt(statement) => {
            relation(statement.base_stmt.as_ref().and_then(|base| base.relation.as_ref()))
        }
        NodeEnum::CreateTableAsStmt(statement) => relation(statement.into.as_ref().and_then(|into| into.rel.as_ref())),
        NodeEnum::ViewStmt(statement) => relation(statement.view.as_ref()),
        NodeEnum::CreateSeqStmt(statement) => relation(statement.sequence.as_ref()),
        NodeEnum::IndexStmt(statement) => vec![statement.idxname.clone()],
        NodeEnum::CreateFunctionStmt(statement) => last(&statement.funcname),
        NodeEnum::CreateEnumStmt(statement) => last(&statement.type_name),
        NodeEnum::CreateDomainStmt(statement) => last(&statement.domainname),
        NodeEnum::CreateRangeStmt(statement) => last(&statement.type_name),
        NodeEnum::CompositeTypeStmt(statement) => relation(statement.typevar.as_ref()),
        NodeEnum::DefineStmt(statement) => last(&statement.defnames),
        NodeEnum::CreateSchemaStmt(statement) => vec![statement.schemaname.clone()],
        NodeEnum::CreateRoleStmt(statement) => vec![statement.role.clone()],
        NodeEnum::CreatePolicyStmt(statement) => vec![statement.policy_name.clone()],
        NodeEnum::CreateTrigStmt(statement) => vec![statement.trigname.clone()],
        NodeEnum::RenameStmt(statement) => vec![statement.newname.clone()],
        NodeEnum::AlterTableStmt(statement) => statement
            .cmds
            .iter()
            .filter_map(|command| match command.node.as_ref() {
                Some(NodeEnum::AlterTableCmd(command)) if command.subtype == AlterTableType::AtAddColumn as i32 => {
                    match command.def.as_ref().and_then(|node| node.node.as_ref()) {
                        Some(NodeEnum::ColumnDef(column)) => Some(column.colname.clone()),
                        _ => None,
                    }
                }
                Some(NodeEnum::AlterTableCmd(command)) if command.subtype == AlterTableType::AtAddConstraint as i32 => {
                    match command.def.as_ref().and_then(|node| node.node.as_ref()) {
                        Some(NodeEnum::Constraint(constraint)) => Some(constraint.conname.clone()),
                        _ => None,
                    }
                }
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(Ident::from)
        .collect()
}

fn last_name(names: &[Node]) -> Option<String> {
    match names.last()?.node.as_ref()? {
        NodeEnum::String(name) => Some(name.sval.clone()),
        _ => None,
    }
}
