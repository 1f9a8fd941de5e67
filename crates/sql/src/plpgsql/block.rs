//! `DO`: a body without a name, run at once by the script that has it.

use mainstay_core::catalog::{Returns, Routine, Volatility};
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::Type;

use super::INLINE;
use super::tree::{Block, Fragment, Function, Statement, StatementKind};
use crate::session::Session;

/// The body as a routine that nobody can call.
pub fn block(session: &Session, body: &str) -> Routine {
    Routine {
        name: QualifiedName::new("", INLINE),
        owner: session.user.clone(),
        arguments: Vec::new(),
        returns: Returns {
            at_most_one: false,
            ty: Type::Void,
            set: false,
            columns: Vec::new(),
            relation: None,
        },
        volatility: Volatility::Volatile,
        strict: false,
        security_definer: false,
        language: Ident::new("plpgsql"),
        body: body.to_owned(),
        search_path: session.search_path.clone(),
        acl: Vec::new(),
        comment: None,
        is_procedure: false,
        id: 0,
    }
}

/// The statements of a body that may change the schema, in order, each with whether it always runs and its errors are
/// not caught.
pub fn schema_changes(function: &Function) -> Vec<(&Fragment, bool)> {
    let mut found = Vec::new();
    of_block(&function.block, true, &mut found);
    found
}

fn of_block<'f>(block: &'f Block, certain: bool, found: &mut Vec<(&'f Fragment, bool)>) {
    of_statements(&block.body, certain && block.handlers.is_none(), found);
    for handler in block.handlers.iter().flat_map(|handlers| &handlers.list) {
        of_statements(&handler.body, false, found);
    }
}

fn of_statements<'f>(list: &'f [Statement], certain: bool, found: &mut Vec<(&'f Fragment, bool)>) {
    for statement in list {
        match &statement.kind {
            StatementKind::Sql(sql) if sql.is_schema_change => found.push((&sql.text, certain)),
            StatementKind::Block(block) => of_block(block, certain, found),
            StatementKind::If { branches, otherwise } => {
                for (_, body) in branches {
                    of_statements(body, false, found);
                }
                of_statements(otherwise, false, found);
            }
            StatementKind::Case(case) => {
                for (_, body) in &case.whens {
                    of_statements(body, false, found);
                }
                of_statements(case.otherwise.as_deref().unwrap_or_default(), false, found);
            }
            StatementKind::Loop(one) => of_statements(&one.body, false, found),
            _ => {}
        }
    }
}
