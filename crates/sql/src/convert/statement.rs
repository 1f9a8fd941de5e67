//! Whole statements: which kind, and the small ones.

use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node, TransactionStmtKind, VariableSetKind};

use super::{Context, Converted, ddl, query, write};
use crate::ast::{Set, Statement, Transaction};

/// Reads one statement.
pub(crate) fn statement(node: &NodeEnum, ctx: &Context<'_>) -> Converted<Statement> {
    Ok(match node {
        NodeEnum::SelectStmt(select) => match ddl::select_into(ctx, select)? {
            Some(made) => Statement::Ddl(Box::new(made)),
            None => Statement::Query(Box::new(query::query(select, ctx)?)),
        },
        NodeEnum::InsertStmt(insert) => Statement::Insert(Box::new(write::insert(insert, ctx)?)),
        NodeEnum::UpdateStmt(update) => Statement::Update(Box::new(write::update(update, ctx)?)),
        NodeEnum::DeleteStmt(delete) => Statement::Delete(Box::new(write::delete(delete, ctx)?)),
        NodeEnum::VariableSetStmt(set) => Statement::Set(set_statement(set)),
        NodeEnum::TransactionStmt(transaction) => match transaction_statement(transaction) {
            Some(transaction) => Statement::Transaction(transaction),
            None => Statement::Unsupported(ctx.unsupported("prepared transactions", "", None)),
        },
        NodeEnum::DoStmt(block) => do_block(block, ctx),
        other => match ddl::convert(other, ctx)? {
            Some(statement) => Statement::Ddl(Box::new(statement)),
            None => unsupported(other, ctx),
        },
    })
}

fn do_block(block: &protobuf::DoStmt, ctx: &Context<'_>) -> Statement {
    let (mut body, mut language) = (String::new(), String::from("plpgsql"));
    for argument in &block.args {
        let Some(NodeEnum::DefElem(element)) = &argument.node else {
            continue;
        };
        if let Some(NodeEnum::String(text)) = element.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
            match element.defname.as_str() {
                "as" => body = text.sval.clone(),
                _ => language = text.sval.to_lowercase(),
            }
        }
    }
    match language.as_str() {
        "plpgsql" => Statement::Do(body),
        other => Statement::Unsupported(ctx.unsupported(&format!("DO in language {other}"), "", Some("plpgsql"))),
    }
}

fn set_statement(set: &protobuf::VariableSetStmt) -> Set {
    let values = match set.kind() {
        VariableSetKind::VarSetValue | VariableSetKind::VarSetMulti => {
            Some(set.args.iter().filter_map(setting_value).collect())
        }
        _ => None,
    };
    let name = match set.kind() {
        VariableSetKind::VarResetAll => "all".to_owned(),
        _ => set.name.to_lowercase(),
    };
    Set {
        name,
        values,
        local: set.is_local,
    }
}

fn setting_value(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => Some(match constant.val.as_ref()? {
            protobuf::a_const::Val::Ival(value) => value.ival.to_string(),
            protobuf::a_const::Val::Fval(value) => value.fval.clone(),
            protobuf::a_const::Val::Boolval(value) => value.boolval.to_string(),
            protobuf::a_const::Val::Sval(value) => value.sval.clone(),
            protobuf::a_const::Val::Bsval(value) => value.bsval.clone(),
        }),
        NodeEnum::TypeCast(cast) => setting_value(cast.arg.as_deref()?),
        _ => None,
    }
}

fn transaction_statement(statement: &protobuf::TransactionStmt) -> Option<Transaction> {
    let name = || Ident::new(&statement.savepoint_name);
    Some(match statement.kind() {
        TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => Transaction::Begin,
        TransactionStmtKind::TransStmtCommit => Transaction::Commit,
        TransactionStmtKind::TransStmtRollback => Transaction::Rollback,
        TransactionStmtKind::TransStmtSavepoint => Transaction::Savepoint(name()),
        TransactionStmtKind::TransStmtRelease => Transaction::Release(name()),
        TransactionStmtKind::TransStmtRollbackTo => Transaction::RollbackTo(name()),
        _ => return None,
    })
}

/// Names a statement that is outside the subset.
fn unsupported(node: &NodeEnum, ctx: &Context<'_>) -> Statement {
    let relation = |var: Option<&protobuf::RangeVar>| var.map(|var| var.relname.clone()).unwrap_or_default();
    let (feature, object, alternative): (&str, String, Option<&str>) = match node {
        NodeEnum::MergeStmt(merge) => (
            "MERGE",
            relation(merge.relation.as_ref()),
            Some("INSERT … ON CONFLICT DO UPDATE"),
        ),
        NodeEnum::CopyStmt(copy) => ("COPY", relation(copy.relation.as_ref()), Some("INSERT … VALUES")),
        NodeEnum::DoStmt(_) => ("DO blocks", String::new(), Some("plain statements")),
        NodeEnum::RefreshMatViewStmt(refresh) => (
            "materialised views",
            relation(refresh.relation.as_ref()),
            Some("a view"),
        ),
        NodeEnum::RuleStmt(rule) => ("rules", rule.rulename.clone(), Some("a policy or a trigger")),
        NodeEnum::CreateEventTrigStmt(trigger) => ("event triggers", trigger.trigname.clone(), None),
        NodeEnum::CreateTrigStmt(trigger) => ("triggers", trigger.trigname.clone(), None),
        NodeEnum::CompositeTypeStmt(create) => (
            "composite types",
            relation(create.typevar.as_ref()),
            Some("a table or a jsonb column"),
        ),
        NodeEnum::CreateRangeStmt(_) => ("range types", String::new(), Some("two columns")),
        NodeEnum::CreateForeignTableStmt(_) => ("foreign tables", String::new(), None),
        NodeEnum::CreateCastStmt(_) => ("casts of one's own", String::new(), None),
        NodeEnum::CreateStatsStmt(_) => ("extended statistics", String::new(), None),
        NodeEnum::ListenStmt(_) | NodeEnum::NotifyStmt(_) | NodeEnum::UnlistenStmt(_) => {
            ("LISTEN and NOTIFY", String::new(), Some("realtime channels"))
        }
        NodeEnum::LockStmt(_) => (
            "LOCK",
            String::new(),
            Some("leave it out: there is one writer at a time"),
        ),
        NodeEnum::DeclareCursorStmt(_) | NodeEnum::FetchStmt(_) | NodeEnum::ClosePortalStmt(_) => {
            ("cursors", String::new(), None)
        }
        NodeEnum::SecLabelStmt(_) => ("SECURITY LABEL", String::new(), None),
        NodeEnum::CallStmt(_) => ("CALL", String::new(), Some("SELECT of a function")),
        _ => return Statement::Unsupported(ctx.unsupported(&leading_words(ctx.text()), "", None)),
    };
    Statement::Unsupported(ctx.unsupported(feature, &object, alternative))
}

/// The first two words of a statement in upper case: a name for what has no better one.
fn leading_words(text: &str) -> String {
    let word = |word: &&str| word.chars().all(|c| c.is_ascii_alphabetic());
    text.split_whitespace()
        .take(2)
        .take_while(word)
        .map(str::to_ascii_uppercase)
        .collect::<Vec<_>>()
        .join(" ")
}
