//! `mainstay db`: ask the database, or begin it anew.

use std::io::{IsTerminal, Read, Write};

use mainstay_core::backend::{QueryMode, QueryResult};
use serde_json::{Map, Value};

use super::CommandError;
use super::migrate::up;
use crate::cli::Db;

/// Carries out one of the database commands.
pub async fn run(command: &Db) -> Result<(), CommandError> {
    match command {
        Db::Query {
            sql,
            target,
            write,
            json,
        } => {
            let text = if sql == "-" { standard_input()? } else { sql.clone() };
            let opened = super::open(target).await?;
            let mode = if *write {
                QueryMode::ReadWrite
            } else {
                QueryMode::ReadOnly
            };
            let result = opened.backend.query(None, &text, mode).await;
            opened.backend.close().await;
            let result = result?;
            if *json {
                print_json(&result)
            } else {
                print_table(&result)
            }
            Ok(())
        }
        Db::Dump(dump) => super::dump::run(dump).await,
        Db::Diff(diff) => super::diff::run(diff).await,
        Db::Reset { target, yes } => {
            let opened = super::open(target).await?;
            let name = opened.database.describe();
            if !yes && !confirmed(&name)? {
                return Err(CommandError::Other("nothing was changed".into()));
            }
            opened.backend.reset().await?;
            let count = up(&opened.migrator, true).await?;
            let seeds = opened.migrator.seed_if_empty(&opened.config.seed_paths).await?;
            opened.backend.close().await;
            println!("{name} was begun anew: {count} migration(s), {seeds} seed file(s).");
            Ok(())
        }
    }
}

fn standard_input() -> Result<String, CommandError> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| CommandError::Other(format!("standard input: {error}")))?;
    Ok(text)
}

fn confirmed(name: &str) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::Other(
            "reset drops all data: say --yes where nobody can be asked".into(),
        ));
    }
    print!("Drop everything in {name}? [y/N] ");
    // A prompt that cannot be shown is answered with no.
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn print_table(result: &QueryResult) {
    if result.columns.is_empty() {
        println!("{}", result.tag);
        return;
    }
    let cell = |value: &Option<String>| value.clone().unwrap_or_default();
    let widths: Vec<usize> = (0..result.columns.len())
        .map(|column| {
            let longest = result
                .rows
                .iter()
                .map(|row| cell(&row[column]).chars().count())
                .max()
                .unwrap_or(0);
            longest.max(result.columns[column].chars().count())
        })
        .collect();
    let print_line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!(" {text:width$} "))
            .collect();
        println!("{}", padded.join("|").trim_end());
    };
    print_line(&result.columns);
    println!(
        "{}",
        widths
            .iter()
            .map(|width| "-".repeat(width + 2))
            .collect::<Vec<_>>()
            .join("+")
    );
    for row in &result.rows {
        print_line(&row.iter().map(cell).collect::<Vec<_>>());
    }
    println!("({} rows)", result.rows.len());
}

fn print_json(result: &QueryResult) {
    let rows: Vec<Value> = result
        .rows
        .iter()
        .map(|row| {
            let members: Map<String, Value> = result
                .columns
                .iter()
                .zip(row)
                .map(|(name, value)| (name.clone(), value.clone().map_or(Value::Null, Value::String)))
                .collect();
            Value::Object(members)
        })
        .collect();
    println!("{}", Value::Array(rows));
}
