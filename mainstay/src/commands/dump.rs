//! `mainstay db dump`: the database as SQL text.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};

use mainstay_core::backend::{RowSink, TableRows};
use mainstay_core::definition::Definitions;
use mainstay_core::error::BackendError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_sql::dump;
use mainstay_sql::dump::platform::Selection;
use mainstay_sql::dump::values::Inserts;

use super::CommandError;
use crate::cli::Dump;

/// The schema whose rows are people's accounts.
const AUTH: &str = "auth";

/// Writes the dump.
pub async fn run(command: &Dump) -> Result<(), CommandError> {
    let opened = super::open(&command.target).await?;
    let result = match &command.file {
        Some(path) => match File::create(path) {
            Ok(file) => write(command, &opened, BufWriter::new(file)).await,
            Err(error) => Err(CommandError::Other(format!("cannot write {}: {error}", path.display()))),
        },
        None => write(command, &opened, BufWriter::new(std::io::stdout())).await,
    };
    opened.backend.close().await;
    result
}

/// What `--schema` asks for.
pub fn selection(schemas: &[String]) -> Selection {
    Selection {
        schemas: (!schemas.is_empty()).then(|| schemas.iter().map(Ident::new).collect()),
    }
}

async fn write(command: &Dump, opened: &super::Opened, out: impl Write + Send) -> Result<(), CommandError> {
    let all = opened.backend.definitions().await?;
    for schema in &command.schema {
        if !all.schemas.contains_key(schema.as_str()) {
            return Err(CommandError::Other(format!("there is no schema `{schema}`")));
        }
    }
    let of_auth = match command.auth_rows {
        true => auth_rows(&all),
        false => Default::default(),
    };
    let mut definitions = selection(&command.schema).apply(all);
    if command.no_roles {
        definitions.roles.clear();
    }
    let mut out = Output { out };
    out.comment(&["mainstay db dump"])?;
    for (kind, name) in &definitions.unwritten {
        out.comment(&["left out, because nothing here can write it: ", kind, " ", name])?;
        eprintln!("left out: {kind} {name}");
    }
    out.blank()?;
    out.statements(&dump::settings())?;
    if !command.data_only {
        out.statements(&dump::before_rows(&definitions))?;
    }
    if !command.schema_only {
        if command.data_only && dump::rows_need_replica_role(&definitions) {
            out.comment(&["Foreign keys lead in circles, or triggers would run: needs the rights of a superuser."])?;
            out.statements(&["SET session_replication_role = replica".to_owned()])?;
        }
        let mut tables = of_auth;
        tables.extend(dump::rows(&definitions));
        rows(opened, &definitions, tables, &mut out).await?;
    }
    if !command.data_only {
        out.statements(&dump::after_rows(&definitions))?;
    }
    if !command.schema_only {
        out.statements(&dump::refreshes(&definitions))?;
    }
    out.out.flush().map_err(unwritable)
}

/// The rows of the platform's accounts, which are left out unless they are asked for.
fn auth_rows(all: &Definitions) -> Vec<(TableRows, Inserts)> {
    let only = Selection {
        schemas: Some(BTreeSet::from([Ident::new(AUTH)])),
    };
    dump::rows(&only.apply(all.clone()))
}

async fn rows(
    opened: &super::Opened,
    definitions: &Definitions,
    tables: Vec<(TableRows, Inserts)>,
    out: &mut Output<impl Write + Send>,
) -> Result<(), CommandError> {
    let (wanted, inserts): (Vec<TableRows>, Vec<Inserts>) = tables.into_iter().unzip();
    let mut writer = RowWriter { inserts, at: 0, out };
    let positions = opened.backend.export(&wanted, &mut writer).await?;
    writer.finish()?;
    let ours = |name: &&QualifiedName| definitions.sequences.contains_key(*name);
    let statements: Vec<String> = positions
        .keys()
        .filter(ours)
        .map(|name| dump::position(name, positions[name]))
        .collect();
    out.statements(&statements)
}

/// Rows as they come, into INSERTs.
struct RowWriter<'a, W> {
    inserts: Vec<Inserts>,
    at: usize,
    out: &'a mut Output<W>,
}

impl<W: Write + Send> RowSink for RowWriter<'_, W> {
    fn rows(&mut self, table: usize, rows: Vec<Vec<Option<String>>>) -> Result<(), BackendError> {
        let failed = |error: CommandError| BackendError::Internal(error.to_string());
        if table != self.at {
            self.finish().map_err(failed)?;
            self.at = table;
        }
        for row in &rows {
            if let Some(statement) = self.inserts[table].row(row) {
                self.out.text(&statement).map_err(failed)?;
            }
        }
        Ok(())
    }
}

impl<W: Write> RowWriter<'_, W> {
    /// Writes what is left of the table at hand.
    fn finish(&mut self) -> Result<(), CommandError> {
        if let Some(statement) = self.inserts.get_mut(self.at).and_then(Inserts::finish) {
            self.out.text(&statement)?;
            self.out.blank()?;
        }
        Ok(())
    }
}

struct Output<W> {
    out: W,
}

impl<W: Write> Output<W> {
    fn text(&mut self, text: &str) -> Result<(), CommandError> {
        self.out.write_all(text.as_bytes()).map_err(unwritable)
    }

    fn blank(&mut self) -> Result<(), CommandError> {
        self.text("\n")
    }

    fn comment(&mut self, parts: &[&str]) -> Result<(), CommandError> {
        self.text("-- ")?;
        // A name may hold a line's end, and what follows it would be read.
        self.text(&parts.concat().replace(['\n', '\r'], " "))?;
        self.blank()
    }

    /// One statement after the other, then an empty line.
    fn statements(&mut self, statements: &[String]) -> Result<(), CommandError> {
        for statement in statements {
            self.text(statement)?;
            self.text(";\n")?;
        }
        if statements.is_empty() { Ok(()) } else { self.blank() }
    }
}

fn unwritable(error: std::io::Error) -> CommandError {
    CommandError::Other(format!("cannot write the dump: {error}"))
}
