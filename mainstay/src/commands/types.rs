//! `mainstay types`: the database's types for typed clients, and the file that `mainstay dev` keeps in step with them.

use std::io::Write;
use std::path::{Path, PathBuf};

use mainstay_core::catalog::Catalog;
use mainstay_core::name::Ident;
use mainstay_data::typescript;
use mainstay_schema::{Migrator, Project};

use super::CommandError;
use crate::cli::{Language, Types};
use crate::config::Config;
use crate::engine::{self, Database};

/// Writes the types. Reads the database alone, so a server may have it meanwhile.
pub async fn run(command: &Types) -> Result<(), CommandError> {
    let config = super::load(&command.target.dir)?;
    let database = Database::parse(command.target.database_url.as_deref(), &config)?;
    let backend = engine::open_source(&database, &config).await?;
    let migrator = Migrator::new(backend.clone(), Project::new(&config.root));
    let pending = migrator.pending(true).await.map_or(0, |pending| pending.len());
    let catalog = backend.catalog();
    let text = match command.lang {
        Language::Typescript => {
            asked(&catalog, &config, &command.schema).map(|schemas| typescript::declare(&catalog, &schemas))
        }
    };
    backend.close().await;
    if pending > 0 {
        eprintln!("warning: {pending} migration(s) have not been applied, and what they make is not in the types");
    }
    let text = text?;
    match &command.out {
        Some(path) => {
            write(path, &text)?;
        }
        None => {
            let mut out = std::io::stdout().lock();
            let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            written.map_err(|error| CommandError::Other(format!("cannot write the types: {error}")))?;
        }
    }
    Ok(())
}

/// The schemas to write: those that were named, which must be there, or those of the API that are there.
fn asked(catalog: &Catalog, config: &Config, named: &[String]) -> Result<Vec<Ident>, CommandError> {
    let is_there = |schema: &str| catalog.schemas.contains_key(schema);
    if let Some(missing) = named.iter().find(|schema| !is_there(schema)) {
        return Err(CommandError::Other(format!("there is no schema `{missing}`")));
    }
    let schemas = match named.is_empty() {
        true => &config.rest.schemas,
        false => named,
    };
    let there = schemas.iter().filter(|schema| is_there(schema));
    Ok(there.map(Ident::new).collect())
}

/// The file of `[mainstay] types_file`, rewritten when what it says has changed.
#[derive(Clone, Debug)]
pub struct TypesFile {
    path: PathBuf,
    schemas: Vec<Ident>,
}

impl TypesFile {
    /// The project's, if it has one.
    pub fn of(config: &Config) -> Option<Self> {
        let path = config.types_file.as_ref()?;
        Some(TypesFile {
            path: config.root.join(path),
            schemas: config.rest.schemas.iter().map(Ident::new).collect(),
        })
    }

    /// Brings the file in step with `catalog`. A file that cannot be written is a warning: the server serves all the same.
    pub fn keep(&self, catalog: &Catalog) {
        let there = self
            .schemas
            .iter()
            .filter(|schema| catalog.schemas.contains_key(*schema));
        let schemas: Vec<Ident> = there.cloned().collect();
        match write(&self.path, &typescript::declare(catalog, &schemas)) {
            Ok(true) => tracing::info!(file = %self.path.display(), "types written"),
            Ok(false) => {}
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

/// Writes the file whole or not at all, and leaves it alone where it says the same: tools that watch it would start.
/// True if it was written.
fn write(path: &Path, text: &str) -> Result<bool, CommandError> {
    if std::fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(false);
    }
    let failed = |error: std::io::Error| CommandError::Other(format!("cannot write {}: {error}", path.display()));
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // What is left of it is of no use; the reason is told below.
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(failed)?;
    Ok(true)
}
