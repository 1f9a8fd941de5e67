//! `mainstay users import`: users of another system, with their hashes.

use http::Method;
use serde_json::{Value, json};

use super::super::CommandError;
use super::way::Way;
use super::{read, sources};
use crate::cli::UsersImport;

/// Users of one request.
const BATCH: usize = 100;
/// Refusals that are printed; the rest are counted.
const REFUSALS_SHOWN_MAX: usize = 20;

/// Reads the file, shows what it has in it, and brings it in.
pub async fn run(command: &UsersImport) -> Result<(), CommandError> {
    let text = read(&command.source)?;
    let users = sources::users(&text, &command.firebase).map_err(CommandError::Other)?;
    let with = |name: &str| users.iter().filter(|user| user[name].is_string()).count();
    println!(
        "{} users: {} with an address, {} with a number, {} with a password",
        users.len(),
        with("email"),
        with("phone"),
        with("encrypted_password"),
    );
    if command.dry_run {
        return Ok(());
    }
    let way = Way::open(&command.target).await?;
    let done = bring_in(&way, &users).await;
    way.close().await;
    done
}

async fn bring_in(way: &Way, users: &[Value]) -> Result<(), CommandError> {
    let (mut imported, mut there, mut refused) = (0, 0, 0);
    for (number, batch) in users.chunks(BATCH).enumerate() {
        let answer = way
            .ask(Method::POST, "/admin/users/import", json!({ "users": batch }))
            .await;
        let answer = answer.map_err(|error| {
            CommandError::Other(format!(
                "{error}; {imported} users were imported, and a second import goes on from there"
            ))
        })?;
        for (at, one) in answer["users"].as_array().into_iter().flatten().enumerate() {
            match one["status"].as_str() {
                Some("imported") => imported += 1,
                Some("exists") => there += 1,
                _ => {
                    refused += 1;
                    if refused <= REFUSALS_SHOWN_MAX {
                        let place = number * BATCH + at + 1;
                        println!(
                            "user {place} was not imported: {}",
                            one["reason"].as_str().unwrap_or("?")
                        );
                    }
                }
            }
        }
    }
    println!("{imported} imported, {there} were there already, {refused} refused");
    match refused {
        0 => Ok(()),
        _ => Err(CommandError::Other("some users were not imported".into())),
    }
}
