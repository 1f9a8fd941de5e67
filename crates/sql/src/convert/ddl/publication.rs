//! `CREATE`, `ALTER` and `DROP PUBLICATION`.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node};

use super::super::context::Context;
use super::Converted;
use super::read::*;
use crate::ast::ObjectName;
use crate::ast::ddl::*;

pub(super) fn create(ctx: &Context<'_>, statement: &protobuf::CreatePublicationStmt) -> Converted<DdlStatement> {
    check_options(ctx, &statement.pubname, &statement.options)?;
    Ok(DdlStatement::Publication(Publication {
        name: Ident::new(&statement.pubname),
        action: PublicationAction::Create,
        tables: published(ctx, &statement.pubobjects)?,
        all_tables: statement.for_all_tables,
    }))
}

pub(super) fn alter(ctx: &Context<'_>, statement: &protobuf::AlterPublicationStmt) -> Converted<DdlStatement> {
    check_options(ctx, &statement.pubname, &statement.options)?;
    Ok(DdlStatement::Publication(Publication {
        name: Ident::new(&statement.pubname),
        action: match protobuf::AlterPublicationAction::try_from(statement.action) {
            Ok(protobuf::AlterPublicationAction::ApDropObjects) => PublicationAction::Remove,
            // `SET (option = …)` comes as this too, and leaves the tables.
            Ok(protobuf::AlterPublicationAction::ApSetObjects) if statement.options.is_empty() => {
                PublicationAction::Replace
            }
            _ => PublicationAction::Add,
        },
        tables: published(ctx, &statement.pubobjects)?,
        all_tables: statement.for_all_tables,
    }))
}

/// The publications of `DROP PUBLICATION`.
pub(super) fn dropped(statement: &protobuf::DropStmt) -> DdlStatement {
    DdlStatement::DropPublication {
        names: identifiers(&statement.objects),
        if_exists: statement.missing_ok,
    }
}

/// Everything is published: options may say so, and nothing else. Errors: 42601 for what PostgreSQL does not know.
fn check_options(ctx: &Context<'_>, publication: &str, options: &[Node]) -> Converted<()> {
    for element in definitions(options) {
        match element.defname.as_str() {
            "publish" => {
                let listed = option_text(element).unwrap_or_default();
                let mut left = vec!["insert", "update", "delete"];
                for word in listed.split(',').map(|word| word.trim().to_ascii_lowercase()) {
                    if !matches!(word.as_str(), "insert" | "update" | "delete" | "truncate") {
                        let message = format!("unrecognized value for publication option \"publish\": \"{word}\"");
                        return Err(DatabaseError::new("42601", message));
                    }
                    left.retain(|other| *other != word);
                }
                if !left.is_empty() {
                    let way = Some("a publication of inserts, updates and deletes");
                    return Err(refuse(ctx, "publications of some kinds of change", publication, way));
                }
            }
            // There are no partitions.
            "publish_via_partition_root" => drop(option_bool(element)?),
            other => {
                let message = format!("unrecognized publication parameter: \"{other}\"");
                return Err(DatabaseError::new("42601", message));
            }
        }
    }
    Ok(())
}

fn published(ctx: &Context<'_>, nodes: &[Node]) -> Converted<Vec<ObjectName>> {
    let mut tables = Vec::new();
    for node in nodes {
        let Some(NodeEnum::PublicationObjSpec(object)) = &node.node else {
            continue;
        };
        match object.pubtable.as_ref() {
            Some(table) if table.where_clause.is_some() => {
                return Err(refuse(ctx, "row filters of a publication", "", None));
            }
            Some(table) if !table.columns.is_empty() => {
                return Err(refuse(ctx, "column lists of a publication", "", None));
            }
            Some(table) => tables.push(relation(ctx, table.relation.as_ref())?),
            None => {
                let way = Some("each table by name");
                return Err(refuse(ctx, "TABLES IN SCHEMA of a publication", "", way));
            }
        }
    }
    Ok(tables)
}
