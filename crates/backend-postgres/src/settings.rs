//! The settings that a transaction begins with: role, claims, request context, search path, time zone.
//!
//! Source: PostgREST documentation, "Transactions" (`request.*`, hoisted role settings, application settings).

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_core::caller::Caller;
use mainstay_core::name::Ident;

use crate::introspect::Surroundings;
use crate::options::Options;
use crate::render::sql::quoted;
use crate::wire::StatementText;

/// Names and values, in the order they are set.
pub type Settings<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Settings of one transaction as `caller`. Those of the role go first, with the rights of the connection's own role.
pub fn of_caller<'a>(
    caller: &'a Caller,
    surroundings: &'a Surroundings,
    options: &'a Options,
    read_only: bool,
) -> Settings<'a> {
    let mut settings: Settings<'a> = Vec::with_capacity(12);
    let path = search_path(&caller.request.search_path, options);
    if !path.is_empty() {
        settings.push((Cow::Borrowed("search_path"), Cow::Owned(path)));
    }
    if let Some(timeout) = options.statement_timeout {
        settings.push((
            Cow::Borrowed("statement_timeout"),
            Cow::Owned(timeout.as_millis().to_string()),
        ));
    }
    for (name, value) in surroundings.role_settings.get(&caller.role).into_iter().flatten() {
        settings.push((Cow::Borrowed(name), Cow::Borrowed(value)));
    }
    if read_only {
        settings.push((Cow::Borrowed("transaction_read_only"), Cow::Borrowed("on")));
    }
    settings.push((Cow::Borrowed("role"), Cow::Borrowed(caller.role.as_str())));
    settings.push((Cow::Borrowed("request.jwt.claims"), Cow::Borrowed(&*caller.claims)));
    let request = &caller.request;
    for (name, value) in [
        ("request.method", &request.method),
        ("request.path", &request.path),
        ("request.headers", &request.headers),
        ("request.cookies", &request.cookies),
    ] {
        if !value.is_empty() {
            settings.push((Cow::Borrowed(name), Cow::Borrowed(&**value)));
        }
    }
    if let Some(zone) = &request.time_zone {
        settings.push((Cow::Borrowed("timezone"), Cow::Borrowed(&**zone)));
    }
    settings.extend(
        options
            .app_settings
            .iter()
            .map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))),
    );
    settings
}

/// Settings of a room's own statement: the connection's own role, no claims, values written in one way.
pub fn of_owner(options: &Options, read_only: bool) -> Settings<'_> {
    let mut settings: Settings<'_> = Vec::with_capacity(8);
    let path = search_path(&Arc::default(), options);
    if !path.is_empty() {
        settings.push((Cow::Borrowed("search_path"), Cow::Owned(path)));
    }
    if let Some(timeout) = options.statement_timeout {
        let milliseconds = timeout.as_millis().to_string();
        settings.push((Cow::Borrowed("statement_timeout"), Cow::Owned(milliseconds)));
    }
    if read_only {
        settings.push((Cow::Borrowed("transaction_read_only"), Cow::Borrowed("on")));
    }
    for (name, value) in [
        ("role", "none"),
        ("request.jwt.claims", ""),
        ("timezone", "UTC"),
        ("datestyle", "ISO"),
    ] {
        settings.push((Cow::Borrowed(name), Cow::Borrowed(value)));
    }
    settings.extend(
        options
            .app_settings
            .iter()
            .map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))),
    );
    settings
}

/// True if the transaction's time zone is certainly UTC, given the connection's.
pub fn is_utc(caller: &Caller, surroundings: &Surroundings, connection_is_utc: bool) -> bool {
    if let Some(zone) = &caller.request.time_zone {
        return names_utc(zone);
    }
    let mut of_role = surroundings.role_settings.get(&caller.role).into_iter().flatten();
    match of_role.rfind(|(name, _)| name.eq_ignore_ascii_case("timezone")) {
        Some((_, zone)) => names_utc(zone),
        None => connection_is_utc,
    }
}

/// True for the names under which PostgreSQL shows `+00:00` all year.
pub fn names_utc(zone: &str) -> bool {
    let short = zone.strip_prefix("Etc/").unwrap_or(zone);
    ["UTC", "GMT", "UCT", "Zulu", "Universal", "Greenwich"]
        .iter()
        .any(|name| short.eq_ignore_ascii_case(name))
}

fn search_path(request: &Arc<[Ident]>, options: &Options) -> String {
    let schemas: Vec<String> = if request.is_empty() {
        options
            .schemas
            .iter()
            .take(1)
            .chain(&options.extra_search_path)
            .map(|name| quoted(name))
            .collect()
    } else {
        request.iter().map(|name| quoted(name)).collect()
    };
    schemas.join(", ")
}

/// `SELECT set_config($1, $2, true), …`, one text for each number of settings.
#[derive(Debug, Default)]
pub struct SettingsTexts {
    by_count: Mutex<Vec<Option<StatementText>>>,
}

impl SettingsTexts {
    /// The statement that sets `count` settings for the transaction.
    pub fn get(&self, count: usize) -> StatementText {
        let mut texts = self.by_count.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() <= count {
            texts.resize(count + 1, None);
        }
        texts[count]
            .get_or_insert_with(|| {
                let calls: Vec<String> = (0..count)
                    .map(|index| format!("pg_catalog.set_config(${}, ${}, true)", index * 2 + 1, index * 2 + 2))
                    .collect();
                StatementText::new(format!("SELECT {}", calls.join(", ")))
            })
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_comes_after_its_settings_and_the_path_is_quoted() {
        let mut options = Options::new("postgres://x");
        options.schemas = vec![Ident::new("a\"b"), Ident::new("other")];
        options.extra_search_path = vec![Ident::new("ext")];
        let mut surroundings = Surroundings::default();
        surroundings.role_settings.insert(
            Ident::new("anon"),
            vec![
                ("statement_timeout".into(), "3s".into()),
                ("TimeZone".into(), "Asia/Tokyo".into()),
            ],
        );
        let caller = Caller::of_role("anon");
        let settings = of_caller(&caller, &surroundings, &options, true);
        let text: Vec<String> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            text,
            [
                "search_path=\"a\"\"b\", \"ext\"",
                "statement_timeout=3s",
                "TimeZone=Asia/Tokyo",
                "transaction_read_only=on",
                "role=anon",
                "request.jwt.claims={\"role\":\"anon\"}",
            ]
        );
        assert!(!is_utc(&caller, &surroundings, true));
        assert!(is_utc(&Caller::of_role("other"), &surroundings, true));
        assert!(names_utc("Etc/UTC") && names_utc("utc") && !names_utc("Europe/London"));
    }
}
