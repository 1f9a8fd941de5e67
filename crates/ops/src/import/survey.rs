//! The first reading of a file: what columns it has, of which types, and what could be its key.

use std::collections::BTreeMap;

use mainstay_core::types::Type;

use super::{Format, Guess, Source};
use crate::error::Error;

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Survey {
    pub columns: Vec<Column>,
    pub records: u64,
    /// The columns that tell the records apart, by position; `None`: nothing does, and each record's number will.
    pub key: Option<Vec<usize>>,
}

/// One column of a file.
#[derive(Clone, Debug)]
pub struct Column {
    /// As the file has it.
    pub name: String,
    /// As the database will have it.
    pub ident: String,
    pub ty: Type,
    pub not_null: bool,
    /// The first value.
    pub example: String,
}

/// Reads the whole file. `types`: types that were given, by either name of a column. `progress` hears of every
/// thousandth record.
///
/// Errors: a fault in the file, with its line; a type given for a column that is not there.
pub fn survey(source: &Source, types: &BTreeMap<String, Type>, mut progress: impl FnMut(u64)) -> Result<Survey, Error> {
    let is_typed = source.format == Format::Json;
    let mut records = source.records(&[])?;
    let mut guesses: Vec<Guess> = Vec::new();
    let mut count = 0_u64;
    extend(&mut guesses, &records.columns, count);
    while let Some((line, cells)) = records.next()? {
        extend(&mut guesses, &records.columns, count);
        for (guess, cell) in guesses.iter_mut().zip(&cells) {
            guess.add(cell, line, is_typed);
        }
        count += 1;
        if count.is_multiple_of(1_000) {
            progress(count);
        }
    }
    let unknown = types.keys().find(|name| {
        !guesses
            .iter()
            .any(|guess| guess.name == **name || guess.ident == **name)
    });
    if let Some(name) = unknown {
        return Err(Error::Unfit(format!(
            "a type is given for column {name}, which the file does not have"
        )));
    }
    if guesses.is_empty() {
        return Err(Error::Unfit("the file has no columns".into()));
    }
    let key = key(&guesses);
    let columns = guesses
        .iter()
        .map(|guess| Column {
            name: guess.name.clone(),
            ident: guess.ident.clone(),
            ty: types
                .get(&guess.ident)
                .or_else(|| types.get(&guess.name))
                .cloned()
                .unwrap_or_else(|| guess.ty()),
            not_null: guess.nulls == 0 && count > 0,
            example: guess.example.clone(),
        })
        .collect();
    Ok(Survey {
        columns,
        records: count,
        key,
    })
}

/// Adds columns that were found meanwhile; the records before had none of their values.
fn extend(guesses: &mut Vec<Guess>, names: &[String], records: u64) {
    while let Some(name) = names.get(guesses.len()) {
        let mut guess = Guess::new(name, ident(name, guesses));
        guess.nulls = records;
        guesses.push(guess);
    }
}

/// `First Name` → `first_name`, unlike those before it.
fn ident(name: &str, before: &[Guess]) -> String {
    let mut ident = String::new();
    for character in name.trim().chars() {
        if character.is_alphanumeric() || character == '_' {
            ident.extend(character.to_lowercase());
        } else if !ident.ends_with('_') && !ident.is_empty() {
            ident.push('_');
        }
    }
    let trimmed = ident.trim_end_matches('_');
    let mut ident = if trimmed.is_empty() { "column" } else { trimmed }.to_owned();
    if ident.starts_with(|character: char| character.is_ascii_digit()) {
        ident.insert(0, '_');
    }
    let taken = |ident: &str| before.iter().any(|guess| guess.ident == ident);
    let plain = ident.clone();
    let mut number = 2;
    while taken(&ident) {
        ident = format!("{plain}_{number}");
        number += 1;
    }
    ident
}

/// The column that looks most like a key: unique throughout, and called so, or the first of its kind.
fn key(guesses: &[Guess]) -> Option<Vec<usize>> {
    let is_kind = |guess: &Guess| matches!(guess.ty(), Type::Int4 | Type::Int8 | Type::Uuid | Type::Text);
    let unique = || {
        guesses
            .iter()
            .enumerate()
            .filter(|(_, guess)| guess.is_unique() && is_kind(guess))
    };
    let called = |name: &'static str| unique().find(|(_, guess)| guess.ident == name);
    let by_name = called("id").or_else(|| called("uuid")).or_else(|| called("key"));
    let by_ending = || unique().find(|(_, guess)| guess.ident.ends_with("_id") || guess.ident.ends_with("_key"));
    // Any first column that is unique is a key; a later one that only happens to be is none.
    let first = || unique().next().filter(|(position, _)| *position == 0);
    by_name
        .or_else(first)
        .or_else(by_ending)
        .map(|(position, _)| vec![position])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::encoding::Encoding;

    fn surveyed(text: &str, format: Format) -> Survey {
        let dir = std::env::temp_dir().join(format!("mainstay-survey-{}-{:p}", std::process::id(), text));
        std::fs::write(&dir, text).unwrap();
        let source = Source {
            path: dir.clone(),
            format,
            encoding: Encoding::Utf8,
        };
        let survey = survey(&source, &BTreeMap::new(), |_| {});
        std::fs::remove_file(dir).unwrap();
        survey.unwrap()
    }

    #[test]
    fn names_become_identifiers_and_a_key_is_found() {
        let text = "ID,First Name,First-Name,2nd,Größe\n1,a,b,c,\n2,a,,c,5\n";
        let survey = surveyed(text, Format::Csv { separator: b',' });
        let idents: Vec<&str> = survey.columns.iter().map(|column| column.ident.as_str()).collect();
        assert_eq!(idents, ["id", "first_name", "first_name_2", "_2nd", "größe"]);
        assert_eq!((survey.key, survey.records), (Some(vec![0]), 2));
        let not_null: Vec<bool> = survey.columns.iter().map(|column| column.not_null).collect();
        assert_eq!(not_null, [true, true, false, true, false]);
    }

    #[test]
    fn a_member_that_comes_late_was_null_before() {
        let survey = surveyed("{\"a\":1}\n{\"a\":1,\"b\":\"x\"}", Format::Json);
        assert!(survey.columns[0].not_null && !survey.columns[1].not_null);
        assert_eq!(survey.key, None);
    }
}
