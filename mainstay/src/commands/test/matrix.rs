//! Who may do what: users by tables by commands, with the rows that each reaches.

use mainstay_core::backend::Backend;
use mainstay_core::caller::Caller;
use mainstay_core::catalog::RelationKind;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_data::DataRoom;
use mainstay_data::error::Error;
use mainstay_data::why::Reached;

const COMMANDS: [&str; 4] = ["select", "insert", "update", "delete"];

/// The matrix as text: a block per relation of `schemas`, a line per user.
pub async fn matrix(
    backend: &dyn Backend,
    room: &DataRoom,
    schemas: &[String],
    users: &[(String, Caller)],
) -> Result<String, Error> {
    let catalog = backend.catalog();
    let mut names: Vec<QualifiedName> = catalog
        .relations
        .values()
        .filter(|relation| schemas.iter().any(|schema| *relation.name.schema == **schema))
        .filter(|relation| relation.kind != RelationKind::ForeignTable)
        .map(|relation| relation.name.clone())
        .collect();
    names.sort();
    let mut text = String::new();
    for name in names {
        let mut lines: Vec<[String; 5]> = Vec::new();
        let mut total = None;
        for (user, caller) in users {
            let mut caller = caller.clone();
            caller.request.search_path = [name.schema.clone(), Ident::new("public")].into();
            let reach = room.reach(&caller, &name).await?;
            total = reach.total;
            let cell = |reached: &Reached| cell(reached, reach.total);
            lines.push([
                user.clone(),
                cell(&reach.select),
                cell(&reach.insert),
                cell(&reach.update),
                cell(&reach.delete),
            ]);
        }
        let rows = total.map_or_else(String::new, |total| format!(" ({total} rows)"));
        let [select, insert, update, delete] = COMMANDS.map(str::to_owned);
        lines.insert(0, [format!("{name}{rows}"), select, insert, update, delete]);
        for line in &mut lines[1..] {
            line[0].insert_str(0, "  ");
        }
        aligned(&lines, &mut text);
        text.push('\n');
    }
    Ok(text)
}

fn aligned(lines: &[[String; 5]], text: &mut String) {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    for line in lines {
        let padded: Vec<String> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
}

/// `6/30`, `yes (note)`, `-`.
fn cell(reached: &Reached, total: Option<u64>) -> String {
    let with = |text: String, columns: &[String]| match columns {
        [] => text,
        columns => format!("{text} ({})", columns.join(", ")),
    };
    match reached {
        Reached::Denied => "-".to_owned(),
        Reached::NoPolicy => "no policy".to_owned(),
        Reached::Rows { rows, columns } => {
            let of = total.map_or_else(String::new, |total| format!("/{total}"));
            with(format!("{rows}{of}"), columns)
        }
        Reached::New { is_checked, columns } => {
            let text = if *is_checked { "checked" } else { "yes" };
            with(text.to_owned(), columns)
        }
        Reached::Granted { columns } => with("granted".to_owned(), columns),
        Reached::Fails(code) => format!("fails {code}"),
    }
}
