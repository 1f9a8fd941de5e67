//! `mainstay users`: the people who sign in, for operators.
//!
//! Everything is asked of the room of sign-in through its admin API ([`Way`]), so a command can do what the API can, and
//! the audit log has it.

mod import;
mod sources;
mod way;

use std::io::{IsTerminal, Read, Write};

use http::Method;
use serde_json::{Map, Value, json};

use super::CommandError;
use crate::cli::{Target, Users};
use way::Way;

pub use way::announce;

/// Carries out one of the commands.
pub async fn run(command: &Users) -> Result<(), CommandError> {
    match command {
        Users::List {
            target,
            search,
            page,
            per_page,
            json,
        } => {
            let query = format!(
                "?page={page}&per_page={per_page}&filter={}",
                encoded(search.as_deref().unwrap_or_default())
            );
            let found = ask(target, Method::GET, format!("/admin/users{query}"), Value::Null).await?;
            list(&found, *json)
        }
        Users::Show { who, target } => {
            let way = Way::open(target).await?;
            let found = way.user(who).await;
            way.close().await;
            println!("{:#}", found?);
        }
        Users::Create(create) => {
            let mut body = json!({"email_confirm": !create.unconfirmed});
            if create.who.contains('@') {
                body["email"] = json!(create.who);
            } else {
                body["phone"] = json!(create.who);
                body["phone_confirm"] = json!(!create.unconfirmed);
            }
            if create.password {
                body["password"] = json!(password()?);
            }
            if let Some(role) = &create.role {
                body["role"] = json!(role);
            }
            if let Some(data) = &create.data {
                body["user_metadata"] = Value::Object(object(data)?);
            }
            let made = ask(&create.target, Method::POST, "/admin/users".into(), body).await?;
            println!("{} is {}.", create.who, text(&made, "id"));
        }
        Users::Invite {
            who,
            target,
            data,
            redirect_to,
        } => {
            let mut body = json!({"email": who, "redirect_to": redirect_to});
            if let Some(data) = data {
                body["data"] = Value::Object(object(data)?);
            }
            let way = Way::open(target).await?;
            let invited = way.ask(Method::POST, "/invite", body).await;
            if invited.is_ok() {
                way.deliver().await;
            }
            way.close().await;
            println!("{who} is invited, as {}.", text(&invited?, "id"));
        }
        Users::Ban { who, target, duration } => {
            change(target, who, json!({"ban_duration": duration})).await?;
            println!("{who} cannot sign in any more, and is refused everywhere.");
        }
        Users::Unban { who, target } => {
            change(target, who, json!({"ban_duration": "none"})).await?;
            println!("{who} may sign in again.");
        }
        Users::SignOut { who, target } => {
            with_user(target, who, Method::POST, "/logout", Value::Null).await?;
            println!("{who} is signed out everywhere.");
        }
        Users::Link {
            who,
            target,
            kind,
            redirect_to,
        } => {
            let body = json!({"type": kind, "email": who, "redirect_to": redirect_to});
            let made = ask(target, Method::POST, "/admin/generate_link".into(), body).await?;
            println!("{}", text(&made, "action_link"));
        }
        Users::Factors { who, target, delete } => {
            let (method, below) = match delete {
                None => (Method::GET, "/factors".to_owned()),
                Some(id) => (Method::DELETE, format!("/factors/{}", encoded(id))),
            };
            let found = with_user(target, who, method, &below, Value::Null).await?;
            match delete {
                None => println!("{found:#}"),
                Some(id) => println!("{id} is no factor of {who} any more."),
            }
        }
        Users::Delete { who, target, soft, yes } => {
            if !yes && !confirmed(who)? {
                return Err(CommandError::Other("nothing was changed".into()));
            }
            with_user(target, who, Method::DELETE, "", json!({"should_soft_delete": soft})).await?;
            println!("{who} is deleted.");
        }
        Users::Import(command) => import::run(command).await?,
    }
    Ok(())
}

async fn ask(target: &Target, method: Method, path: String, body: Value) -> Result<Value, CommandError> {
    let way = Way::open(target).await?;
    let answer = way.ask(method, &path, body).await;
    way.close().await;
    answer
}

/// Asks about one user, whom `who` names by id, address or number.
async fn with_user(
    target: &Target,
    who: &str,
    method: Method,
    below: &str,
    body: Value,
) -> Result<Value, CommandError> {
    let way = Way::open(target).await?;
    let answer = async {
        let user = way.user(who).await?;
        let path = format!("/admin/users/{}{below}", text(&user, "id"));
        way.ask(method, &path, body).await
    };
    let answer = answer.await;
    way.close().await;
    answer
}

async fn change(target: &Target, who: &str, body: Value) -> Result<Value, CommandError> {
    with_user(target, who, Method::PUT, "", body).await
}

/// One line for each user.
fn list(found: &Value, as_json: bool) {
    let users = found["users"].as_array().cloned().unwrap_or_default();
    if as_json {
        println!("{:#}", Value::Array(users));
        return;
    }
    for user in &users {
        let known = ["email", "phone"]
            .map(|name| text(user, name))
            .into_iter()
            .find(|text| !text.is_empty());
        let mut marks = Vec::new();
        if user["is_anonymous"] == true {
            marks.push("anonymous".to_owned());
        } else if user["email_confirmed_at"].is_null() && user["phone_confirmed_at"].is_null() {
            marks.push("unconfirmed".to_owned());
        }
        if let Some(until) = user["banned_until"].as_str() {
            marks.push(format!("banned until {until}"));
        }
        if user["deleted_at"].is_string() {
            marks.push("deleted".to_owned());
        }
        let role = text(user, "role");
        if role != "authenticated" {
            marks.push(format!("role {role}"));
        }
        let last = user["last_sign_in_at"].as_str().unwrap_or("never");
        let marks = marks.join(", ");
        println!(
            "{}  {}  last sign-in {last}  {marks}",
            text(user, "id"),
            known.unwrap_or_else(|| "-".into())
        );
    }
    println!("({} users)", users.len());
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn object(text: &str) -> Result<Map<String, Value>, CommandError> {
    serde_json::from_str(text).map_err(|_| CommandError::Other("--data takes a JSON object".into()))
}

/// A password: the first line of standard input, so that it is in no list of processes.
fn password() -> Result<String, CommandError> {
    if std::io::stdin().is_terminal() {
        print!("Password: ");
        // A prompt that cannot be shown changes nothing.
        let _ = std::io::stdout().flush();
    }
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| CommandError::Other(format!("standard input: {error}")))?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    match password.is_empty() {
        true => Err(CommandError::Other(
            "--password reads a password from standard input".into(),
        )),
        false => Ok(password),
    }
}

fn confirmed(who: &str) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::Other("say --yes where nobody can be asked".into()));
    }
    print!("Delete {who} with everything that goes with the user? [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A file, or standard input for `-`.
fn read(source: &str) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = match source {
        "-" => std::io::stdin().read_to_string(&mut text).map(drop),
        path => std::fs::read_to_string(path).map(|found| text = found),
    };
    read.map_err(|error| CommandError::Other(format!("{source}: {error}")))?;
    Ok(text)
}

/// A value of a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
