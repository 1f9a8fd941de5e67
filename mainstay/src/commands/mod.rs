//! Carries out what the command line asks.

mod check;
mod database;
mod diff;
mod doctor;
mod dump;
mod grow;
mod import;
mod init;
mod keys;
mod migrate;
mod scratch;
mod serve;
mod test;
mod types;
mod users;
mod why;

use std::path::Path;
use std::process::ExitCode;

use mainstay_core::error::{BackendError, PublicError};
use mainstay_schema::{Migrator, Project};

use crate::app::reason;
use crate::cli::{Cli, Command, Target};
use crate::config::{Config, ConfigError};
use crate::engine::{self, BadDatabaseUrl, Database};
use crate::keyring::KeyringError;

/// What a command can fail with. Printed once, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Keys(#[from] KeyringError),
    #[error(transparent)]
    Database(#[from] BadDatabaseUrl),
    #[error(transparent)]
    Schema(#[from] mainstay_schema::Error),
    #[error(transparent)]
    Ops(#[from] mainstay_ops::Error),
    #[error(transparent)]
    Open(#[from] engine::OpenError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Token(#[from] mainstay_http::token::KeyError),
    #[error(transparent)]
    Caller(#[from] mainstay_http::Error),
    #[error("{0}")]
    Other(String),
}

/// Runs the command; the exit code is 0, or 1 when it failed.
pub fn run(cli: Cli) -> ExitCode {
    // Two providers may be linked in; one must be chosen before any TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Init(init) => init::run(&init),
            Command::Dev(serve) => serve::run(&serve, serve::Mode::Dev).await,
            Command::Serve(serve) => serve::run(&serve, serve::Mode::Production).await,
            Command::Migrate(command) => migrate::run(&command).await,
            Command::Db(command) => database::run(&command).await,
            Command::Grow(grow) => grow::run(&grow).await,
            Command::Import(import) => import::run(&import).await,
            Command::Test(test) => test::run(&test).await,
            Command::Why(why) => why::run(&why).await,
            Command::Users(command) => users::run(&command).await,
            Command::Keys(keys) => keys::run(&keys),
            Command::Types(types) => types::run(&types).await,
            Command::Doctor(target) => doctor::run(&target).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            explain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Prints an error with its code, its details and what to do.
fn explain(error: &CommandError) {
    match error {
        CommandError::Schema(error) => explain_public(error),
        CommandError::Ops(error) => explain_public(error),
        CommandError::Backend(BackendError::Refused(error)) => {
            eprintln!("error: {} [{}]", error.message, error.sqlstate);
            for line in [&error.detail, &error.hint].into_iter().flatten() {
                eprintln!("  {line}");
            }
        }
        CommandError::Backend(error) => eprintln!("error: {error}: {}", reason(error)),
        other => eprintln!("error: {other}"),
    }
}

fn explain_public(error: &dyn PublicError) {
    eprintln!("error: {error} [{}]", error.code());
    if let Some(details) = error.details() {
        eprintln!("  {details}");
    }
    if let Some(hint) = error.hint() {
        eprintln!("  hint: {hint}");
    }
}

/// A project that has been opened.
struct Opened {
    config: Config,
    database: Database,
    backend: std::sync::Arc<dyn mainstay_core::backend::Backend>,
    migrator: Migrator,
}

async fn open(target: &Target) -> Result<Opened, CommandError> {
    let config = load(&target.dir)?;
    let database = Database::parse(target.database_url.as_deref(), &config)?;
    let backend = engine::open(&database, &config).await?;
    Ok(Opened::new(config, database, backend))
}

impl Opened {
    fn new(config: Config, database: Database, backend: std::sync::Arc<dyn mainstay_core::backend::Backend>) -> Self {
        let migrator = Migrator::new(backend.clone(), Project::new(&config.root));
        Opened {
            config,
            database,
            backend,
            migrator,
        }
    }
}

/// Reads a project's settings and reports keys that nobody knows.
fn load(dir: &Path) -> Result<Config, CommandError> {
    if !dir.join("supabase").is_dir() {
        return Err(CommandError::Other(format!(
            "{} is not a project: it has no folder supabase/; `mainstay init` makes one",
            dir.display()
        )));
    }
    let config = Config::load(dir)?;
    for key in &config.unknown_keys {
        eprintln!(
            "warning: {}: unknown key `{key}` has no effect",
            crate::config::CONFIG_PATH
        );
    }
    Ok(config)
}
