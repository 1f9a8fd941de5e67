//! `mainstay test`: the project's policy tests, on a database that is made for them.
//!
//! Each test is one request as one caller, and is rolled back: no test sees another. Not here: what a request does
//! (`data`), why one fails ([`why`](mainstay_data::why)).

mod compare;
mod file;
mod matrix;

use std::path::PathBuf;

use mainstay_core::caller::Caller;
use mainstay_core::clock;
use mainstay_data::{DataRoom, TxEnd};
use mainstay_http::{Authenticator, Request};
use mainstay_schema::{Migrator, Project};

use super::scratch::with_scratch;
use super::serve::{authenticator, data_config};
use super::why::Line;
use super::{CommandError, load};
use crate::cli;
use crate::config::Config;
use crate::engine::{self, Database};
use crate::keyring;
use file::{Expected, TestFile};

/// A test that is ready to be run.
struct Case {
    /// `supabase/tests/shop.policy.toml:12`
    place: String,
    name: String,
    who: String,
    line: String,
    caller: Caller,
    request: Request,
    expected: Expected,
}

/// Runs the tests, prints what they say and who may do what. Fails if one of them does.
pub async fn run(command: &cli::Test) -> Result<(), CommandError> {
    let config = load(&command.dir)?;
    let files = file::read_all(&config.root).map_err(CommandError::Other)?;
    let keys = keyring::load(&config)?;
    let authenticator = authenticator(&config, &keys)?;
    let cases = cases(&files, &authenticator, command.only.as_deref())?;
    if cases.is_empty() {
        let only = command.only.as_deref().unwrap_or_default();
        return Err(CommandError::Other(format!("no test has `{only}` in its name")));
    }
    let users = users(&files, &authenticator)?;
    // Never the project's own database: only which engine, and on which server.
    let like = match command.database_url.as_deref() {
        Some(url) => Database::parse(Some(url), &config)?,
        None => Database::Sqlite(PathBuf::new()),
    };
    let failed = with_scratch(&like, async |database| {
        on_database(&config, database, &cases, &users, command.no_matrix).await
    })
    .await?;
    match failed {
        0 => Ok(()),
        failed => Err(CommandError::Other(format!(
            "{failed} of {} test(s) failed",
            cases.len()
        ))),
    }
}

/// Everything that is done on the database; the number of failed tests.
async fn on_database(
    config: &Config,
    database: &Database,
    cases: &[Case],
    users: &[(String, Caller)],
    no_matrix: bool,
) -> Result<usize, CommandError> {
    let backend = engine::open(database, config).await?;
    let result = async {
        let migrator = Migrator::new(backend.clone(), Project::new(&config.root));
        migrator.up(true, |_, _, _| {}).await?;
        migrator.seed_if_empty(&config.seed_paths).await?;
        // A role that is not there is a slip of the pen, and would be refused whatever the policies say.
        let catalog = backend.catalog();
        for case in cases {
            if !catalog.roles.contains_key(&case.caller.role) {
                let problem = format!("`{}` is neither a user of the file nor a role", case.who);
                return Err(CommandError::Other(format!("{}: {problem}", case.place)));
            }
        }
        let room = DataRoom::new(
            backend.clone(),
            mainstay_data::Config {
                tx_end: TxEnd::Rollback,
                slow_query: None,
                ..data_config(config)
            },
        );
        let mut failed = 0;
        for case in cases {
            failed += usize::from(!passes(&room, case).await);
        }
        println!("{} test(s), {failed} failed, on {}", cases.len(), engine_name(database));
        if !no_matrix {
            let schemas = &config.rest.schemas;
            let text = matrix::matrix(&*backend, &room, schemas, users)
                .await
                .map_err(|error| CommandError::Other(format!("who may do what: {error}")))?;
            print!("\nWho may do what: rows reached of all, (columns), - without a grant\n\n{text}");
        }
        Ok(failed)
    }
    .await;
    backend.close().await;
    result
}

fn engine_name(database: &Database) -> &'static str {
    match database {
        Database::Sqlite(_) => "the embedded engine",
        Database::Postgres(_) => "PostgreSQL",
    }
}

/// Runs one test and prints how it went.
async fn passes(room: &DataRoom, case: &Case) -> bool {
    let answer = room.handle(&case.caller, &case.request).await;
    let differences = compare::differences(&case.expected, &answer);
    if differences.is_empty() {
        println!("ok    {}", case.name);
        return true;
    }
    println!("FAIL  {}  ({})", case.name, case.place);
    println!("        {} as {}", case.line, case.who);
    for difference in differences {
        println!("        {difference}");
    }
    println!("        why: {}", room.why(&case.caller, &case.request).await.summary);
    false
}

fn cases(files: &[TestFile], authenticator: &Authenticator, only: Option<&str>) -> Result<Vec<Case>, CommandError> {
    let mut cases = Vec::new();
    for file in files {
        for test in &file.tests {
            if only.is_some_and(|only| !test.name.contains(only)) {
                continue;
            }
            let place = format!("{}:{}", file.path, test.line);
            let at = |problem: String| CommandError::Other(format!("{place}: {problem}"));
            let known = file.users.iter().find(|(name, _, _)| *name == test.who);
            let who = known.map_or(test.who.as_str(), |(_, who, _)| who);
            let caller = stand_in(authenticator, who).map_err(at)?;
            let line = Line {
                text: &test.request,
                body: test.body.as_deref(),
                headers: test
                    .headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect(),
            };
            let request = line.request().map_err(at)?;
            cases.push(Case {
                name: test.name.clone(),
                who: test.who.clone(),
                line: test.request.clone(),
                caller,
                request,
                expected: test.expected.clone(),
                place,
            });
        }
    }
    Ok(cases)
}

/// Everybody that the matrix tells of: the anonymous caller, then the files' users.
fn users(files: &[TestFile], authenticator: &Authenticator) -> Result<Vec<(String, Caller)>, CommandError> {
    let anonymous = authenticator.anon_role.iter();
    let mut users: Vec<(String, Caller)> = anonymous
        .map(|role| (role.to_string(), Caller::of_role(role.clone())))
        .collect();
    for file in files {
        for (name, who, line) in &file.users {
            let caller = stand_in(authenticator, who)
                .map_err(|problem| CommandError::Other(format!("{}:{line}: {problem}", file.path)))?;
            // Several files may name the same person.
            if !users
                .iter()
                .any(|(known, other)| known == name && other.claims == caller.claims)
            {
                users.push((name.clone(), caller));
            }
        }
    }
    Ok(users)
}

fn stand_in(authenticator: &Authenticator, who: &str) -> Result<Caller, String> {
    authenticator
        .stand_in(who, clock::now_seconds())
        .map_err(|_| format!("`{who}` is neither a user of the file, a role, a user's id, claims nor a token"))
}
