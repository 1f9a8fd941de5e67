//! CSV, JSON and NDJSON into one table.

use indicatif::{HumanCount, ProgressBar};
use mainstay_core::name::QualifiedName;
use mainstay_core::types::{Type, TypeModifier};
use mainstay_ops::Error;
use mainstay_ops::import::{Destination, Format, Source, Survey, load, survey, table};

use super::super::{CommandError, Opened};
use super::{is_agreed, make, rows_bar, table_name, types};
use crate::cli::Import;

/// Shows what the file holds and, if that is agreed to, brings it into its table.
pub async fn import(command: &Import, opened: &Opened, source: &Source) -> Result<(), CommandError> {
    let catalog = opened.backend.catalog();
    let types = types(command, &catalog)?;
    let bar = ProgressBar::new_spinner();
    bar.set_message("reading the file");
    let found = survey(source, &types, |records| bar.set_position(records));
    bar.finish_and_clear();
    let mut found = found?;
    let key = command
        .key
        .as_deref()
        .map(|key| key_positions(key, &found))
        .transpose()?;
    let name = command.into.as_deref().map_or_else(|| name_of(source), table_name);
    let is_new = catalog.relation(&name).is_none();
    if is_new {
        if let Some(key) = &key {
            found.key = Some(key.clone());
            for position in key {
                if let Some(column) = found.columns.get_mut(*position) {
                    column.not_null = true;
                }
            }
        }
        let columns: Vec<(String, Type)> = found
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.ty.clone()))
            .collect();
        check(source, &found, &columns, found.key.as_deref().unwrap_or_default())?;
        show(source, &found, &name, None);
        let sql = table::create(&name, &found, &file_name(source));
        println!("\n{sql}");
        if !is_agreed(command)? {
            return Ok(());
        }
        make(opened, &format!("import {}", name.name), &sql).await?;
    } else {
        let destination = Destination::fit(&catalog, &name, &found, key.as_deref())?;
        let columns: Vec<(String, Type)> = destination
            .columns
            .iter()
            .filter_map(|position| destination.relation.columns.get(*position))
            .map(|column| (column.name.to_string(), column.ty.clone()))
            .collect();
        let key: Vec<usize> = (0..destination.columns.len())
            .filter(|position| destination.key.contains(&destination.columns[*position]))
            .collect();
        check(source, &found, &columns, &key)?;
        show(source, &found, &name, Some(&destination));
        if !is_agreed(command)? {
            return Ok(());
        }
    }
    let destination = Destination::fit(&opened.backend.catalog(), &name, &found, key.as_deref())?;
    let bar = rows_bar(found.records, &name.to_string());
    let loaded = load::load(&opened.backend, source, &found, &destination, |rows| {
        bar.set_position(rows)
    })
    .await;
    bar.finish_and_clear();
    let loaded = loaded?;
    println!(
        "{} rows of {} are in {name} in {}.",
        HumanCount(loaded.rows),
        file_name(source),
        opened.database.describe()
    );
    if is_new {
        println!(
            "Row security is on and nothing is granted yet: a migration with grants and policies opens the table to the API."
        );
    }
    Ok(())
}

fn check(source: &Source, found: &Survey, columns: &[(String, Type)], key: &[usize]) -> Result<(), Error> {
    let bar = ProgressBar::new_spinner();
    bar.set_message("checking the values");
    let checked = load::check(source, found, columns, key);
    bar.finish_and_clear();
    checked
}

fn key_positions(key: &str, found: &Survey) -> Result<Vec<usize>, CommandError> {
    key.split(',')
        .map(|name| {
            let name = name.trim();
            let position = found
                .columns
                .iter()
                .position(|column| column.name == name || column.ident == name);
            position.ok_or_else(|| CommandError::Other(format!("--key: the file has no column {name}")))
        })
        .collect()
}

fn file_name(source: &Source) -> String {
    source
        .path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The table is called as the file is: `Price list.csv` → `public.price_list`.
fn name_of(source: &Source) -> QualifiedName {
    let stem = source.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut name = String::new();
    for character in stem.unwrap_or_default().chars() {
        if character.is_alphanumeric() || character == '_' {
            name.extend(character.to_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    QualifiedName::new("public", if name.is_empty() { "imported" } else { name })
}

fn show(source: &Source, found: &Survey, name: &QualifiedName, destination: Option<&Destination>) {
    let format = match source.format {
        Format::Csv { separator: b'\t' } => "CSV, separated by tabs".to_owned(),
        Format::Csv { separator } => format!("CSV, separated by `{}`", char::from(separator)),
        Format::Json => "JSON".to_owned(),
    };
    println!(
        "{}: {format}, {}, {} records → {}{name}",
        file_name(source),
        source.encoding.name(),
        HumanCount(found.records),
        if destination.is_some() { "" } else { "the new table " },
    );
    let width = |texts: &mut dyn Iterator<Item = usize>, title: &str| texts.max().unwrap_or(0).max(title.len());
    let names = width(
        &mut found.columns.iter().map(|column| column.name.chars().count()),
        "in the file",
    );
    let idents = width(
        &mut found.columns.iter().map(|column| column.ident.chars().count()),
        "column",
    );
    println!(
        "  {:names$}  {:idents$}  {:26}  {:8}  for example",
        "in the file", "column", "type", ""
    );
    for (position, column) in found.columns.iter().enumerate() {
        let (ident, ty, is_key, not_null) = match destination {
            Some(destination) => {
                let place = destination.columns[position];
                let known = &destination.relation.columns[place];
                let ty = known.ty.display(known.modifier);
                (
                    known.name.to_string(),
                    ty,
                    destination.key.contains(&place),
                    known.not_null,
                )
            }
            None => {
                let is_key = found.key.as_ref().is_some_and(|key| key.contains(&position));
                (
                    column.ident.clone(),
                    column.ty.display(TypeModifier::None),
                    is_key,
                    column.not_null,
                )
            }
        };
        let mark = match (is_key, not_null) {
            (true, _) => "key",
            (false, true) => "not null",
            (false, false) => "",
        };
        println!(
            "  {:names$}  {ident:idents$}  {ty:26}  {mark:8}  {}",
            column.name, column.example
        );
    }
    let numbered = match destination {
        Some(destination) => destination.number.is_some(),
        None => found.key.is_none(),
    };
    if numbered {
        println!(
            "  No column is a key: {} takes each record's number.",
            table::NUMBER_COLUMN
        );
    }
}
