//! Settings: `SET`, `RESET`, and `SELECT set_config(…)`, with which dumps empty the search path.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;

use super::{Result, storage};
use crate::ast::{ExprKind, Query, Set, SetExpression};
use crate::session::Session;

/// Settings that migrations carry and that mean nothing here.
const HARMLESS_SETTINGS: &[&str] = &[
    "application_name",
    "client_encoding",
    "client_min_messages",
    "default_transaction_isolation",
    "default_with_oids",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "row_security",
    "standard_conforming_strings",
    "statement_timeout",
    "transaction_timeout",
    "xmloption",
];

/// Changes the session. Errors: 0A000 for a setting that would change answers.
pub fn set(session: &mut Session, set: &Set, line: u32) -> Result<()> {
    match set.name.as_str() {
        "search_path" => {
            let first = set.values.as_deref().and_then(<[String]>::first);
            if first.is_some_and(|name| name.starts_with("pg_temp")) {
                let way = Some("pg_temp behind the other schemas");
                return Err(DatabaseError::unavailable(
                    "pg_temp before all other schemas",
                    "",
                    line,
                    way,
                ));
            }
            session.search_path = match &set.values {
                None => vec![Ident::new("public")],
                Some(values) => values
                    .iter()
                    .filter(|name| !matches!(name.as_str(), "" | "$user" | "pg_catalog" | "pg_temp"))
                    .map(Ident::new)
                    .collect(),
            };
            Ok(())
        }
        "check_function_bodies" => {
            let value = set.values.as_deref().and_then(<[String]>::first);
            session.check_function_bodies =
                !value.is_some_and(|value| matches!(value.to_lowercase().as_str(), "off" | "false" | "no" | "0"));
            Ok(())
        }
        "session_replication_role" => {
            let value = set.values.as_deref().and_then(<[String]>::first);
            session.is_replica = match value.map(|value| value.to_lowercase()).as_deref() {
                None | Some("origin" | "local") => false,
                Some("replica") => true,
                Some(_) => {
                    let message = format!(
                        "invalid value for parameter \"session_replication_role\": \"{}\"",
                        value.map_or("", String::as_str)
                    );
                    return Err(DatabaseError::new("22023", message).hint("Available values: origin, replica, local."));
                }
            };
            Ok(())
        }
        // A session keeps its role: what a caller may become is decided before it begins.
        "role" | "session_authorization" => {
            let named = set.values.as_deref().and_then(<[String]>::first).map(String::as_str);
            match named {
                None | Some("none") => Ok(()),
                Some(role) if *session.user == *role => Ok(()),
                Some(_) => Err(DatabaseError::unavailable("SET ROLE", "", line, Some("OWNER TO"))),
            }
        }
        "timezone" => match set
            .values
            .as_deref()
            .and_then(<[String]>::first)
            .map(|zone| zone.to_lowercase())
        {
            None => Ok(()),
            Some(zone) if matches!(zone.as_str(), "utc" | "gmt" | "etc/utc") => Ok(()),
            Some(zone) => Err(DatabaseError::unavailable(
                &format!("SET timezone = '{zone}'"),
                "",
                line,
                Some("times with their offset"),
            )),
        },
        "standard_conforming_strings" if is_off(set) => Err(DatabaseError::unavailable(
            "SET standard_conforming_strings = off",
            "",
            line,
            Some("E'…' for strings with escapes"),
        )),
        "default_with_oids" if !is_off(set) && set.values.is_some() => Err(DatabaseError::new(
            "0A000",
            "tables declared WITH OIDS are not supported",
        )),
        "default_table_access_method" | "default_tablespace" => match set.values.as_deref().and_then(<[String]>::first)
        {
            Some(value) => storage_default(&set.name, value, line),
            None => Ok(()),
        },
        "bytea_output" if set.values.as_deref().is_none_or(|values| values == ["hex"]) => Ok(()),
        name if HARMLESS_SETTINGS.contains(&name) => Ok(()),
        // Settings with a dot are the application's own.
        name if name.contains('.') => own_setting(session, set, line),
        name => Err(DatabaseError::unavailable(&format!("SET {name}"), "", line, None)),
    }
}

fn is_off(set: &Set) -> bool {
    let value = set.values.as_deref().and_then(<[String]>::first);
    value.is_some_and(|value| matches!(value.to_lowercase().as_str(), "off" | "f" | "false" | "n" | "no" | "0"))
}

/// Sets what `current_setting` then answers. Errors: 42602 for what is no name, 22023 for several values; 0A000 for what
/// the request has set.
fn own_setting(session: &mut Session, set: &Set, line: u32) -> Result<()> {
    let name = set.name.as_str();
    if name.starts_with("plpgsql.") || name.starts_with("request.") {
        return Err(DatabaseError::unavailable(&format!("SET {name}"), "", line, None));
    }
    let is_word = |part: &str| {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        part.starts_with(first) && part.chars().all(|c| first(c) || c.is_ascii_digit() || c == '$')
    };
    if !name.split('.').all(is_word) {
        return Err(
            DatabaseError::new("42602", format!("invalid configuration parameter name \"{name}\""))
                .detail("Custom parameter names must be two or more simple identifiers separated by dots."),
        );
    }
    let at = session.settings.iter().position(|(known, _)| known == name);
    let value = match set.values.as_deref() {
        // What was set once is empty from then on, not unknown.
        None if at.is_none() => return Ok(()),
        None => String::new(),
        Some([value]) => value.clone(),
        Some(_) => {
            return Err(DatabaseError::new(
                "22023",
                format!("SET {name} takes only one argument"),
            ));
        }
    };
    match at {
        Some(at) => session.settings[at].1 = value,
        None => session.settings.push((name.to_owned(), value)),
    }
    Ok(())
}

/// What new tables are made in and with: there is one of each. Errors: 55000, 22023.
fn storage_default(name: &str, value: &str, line: u32) -> Result<()> {
    let is_method = name == "default_table_access_method";
    match value {
        "heap" if is_method => Ok(()),
        "" | "pg_default" if !is_method => Ok(()),
        "pg_global" if !is_method => Err(DatabaseError::unavailable(
            "tablespaces",
            value,
            line,
            Some("pg_default"),
        )),
        "btree" | "hash" | "gin" | "gist" | "spgist" | "brin" if is_method => storage::check_table_method(Some(value)),
        _ => {
            let what = if is_method { "Table access method" } else { "Tablespace" };
            let detail = match value {
                "" => format!("{name} cannot be empty."),
                _ => format!("{what} \"{value}\" does not exist."),
            };
            let message = format!("invalid value for parameter \"{name}\": \"{value}\"");
            Err(DatabaseError::new("22023", message).detail(detail))
        }
    }
}

/// `SELECT set_config('name', 'value', …)` by itself, as the SET that it is.
pub fn setting_of(query: &Query) -> Option<Set> {
    let SetExpression::Select(select) = &query.body else {
        return None;
    };
    let [item] = select.target.as_slice() else { return None };
    let ExprKind::Function(call) = &item.expr.kind else {
        return None;
    };
    if *call.name.name != *"set_config" || !select.from.is_empty() {
        return None;
    }
    let [name, value, local] = call.arguments.as_slice() else {
        return None;
    };
    let (ExprKind::String(name), ExprKind::String(value)) = (&name.value.kind, &value.value.kind) else {
        return None;
    };
    let name = name.to_lowercase();
    let values = if name.contains('.') {
        vec![value.clone()]
    } else {
        value
            .split(',')
            .map(|part| part.trim().trim_matches('"').to_owned())
            .collect()
    };
    Some(Set {
        name,
        values: Some(values),
        local: matches!(local.value.kind, ExprKind::Bool(true)),
    })
}
