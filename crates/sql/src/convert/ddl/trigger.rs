//! `CREATE TRIGGER`.

use mainstay_core::catalog::TriggerTiming;
use mainstay_core::name::Ident;
use pg_query::protobuf;

use super::super::context::Context;
use super::read::*;
use super::{Converted, text};
use crate::ast::ddl::CreateTrigger;

/// PostgreSQL's bits (`pg_trigger.tgtype`).
const BEFORE: i32 = 1 << 1;
const INSERT: i32 = 1 << 2;
const DELETE: i32 = 1 << 3;
const UPDATE: i32 = 1 << 4;
const TRUNCATE: i32 = 1 << 5;
const INSTEAD: i32 = 1 << 6;

pub(super) fn create_trigger(ctx: &Context<'_>, statement: &protobuf::CreateTrigStmt) -> Converted<CreateTrigger> {
    let refused = if statement.isconstraint {
        Some(("constraint triggers", "an AFTER trigger"))
    } else if !statement.transition_rels.is_empty() {
        Some(("transition tables (REFERENCING)", "a row trigger"))
    } else if statement.events & TRUNCATE != 0 {
        Some(("TRUNCATE triggers", "a DELETE trigger"))
    } else {
        None
    };
    if let Some((feature, way)) = refused {
        return Err(refuse(ctx, feature, &statement.trigname, Some(way)));
    }
    let table = relation(ctx, statement.relation.as_ref())?;
    Ok(CreateTrigger {
        name: Ident::new(&statement.trigname),
        replace: statement.replace,
        table,
        timing: match statement.timing {
            timing if timing & INSTEAD != 0 => TriggerTiming::InsteadOf,
            timing if timing & BEFORE != 0 => TriggerTiming::Before,
            _ => TriggerTiming::After,
        },
        on_insert: statement.events & INSERT != 0,
        on_update: statement.events & UPDATE != 0,
        on_delete: statement.events & DELETE != 0,
        columns: identifiers(&statement.columns),
        for_each_row: statement.row,
        condition: statement.when_clause.as_deref().map(text::of_expression).transpose()?,
        function: name_of(&statement.funcname),
        arguments: statement.args.iter().filter_map(string_of).map(str::to_owned).collect(),
    })
}
