//! What a request fixes before its first statement: the time, the role, the claims.
//!
//! Functions such as `now()` and `auth.uid()` are bound from here, so that every row sees the same value and an index
//! can be used.
//!
//! Source: PostgreSQL manual, 9.9.5 (current date and time), 9.27.1 (`current_setting`); PostgREST, "Transaction
//! settings"; Supabase's definitions of `auth.uid()`, `auth.role()`, `auth.email()` and `auth.jwt()`.

use std::cell::OnceCell;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mainstay_core::caller::Caller;
use mainstay_core::catalog::Catalog;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_sql::ast::Set;
use mainstay_sql::session::Session;
pub use mainstay_sql::typed::ContextValue;
use rusqlite::types::Value as Scalar;

use super::input;
use crate::read::zone::time_zone;
use crate::routine::running;
use crate::values::{json, jsonb, uuid};

/// The zone that times are written and read in unless the request chose another.
const DEFAULT_ZONE: &str = "UTC";

/// The role in whose name statements without a caller run.
const OWNER: &str = "postgres";

/// Where names are looked up when the request names no schema.
const DEFAULT_SCHEMA: &str = "public";

/// What `current_database()` answers.
const DATABASE: &str = "postgres";

/// The role that `session_user` names while a request runs.
const CONNECTION_ROLE: &str = "authenticator";

/// Who asks and when: one per transaction.
pub struct Context<'a> {
    caller: Option<&'a Caller>,
    role: Ident,
    now: Timestamp,
    /// What `SET` gave the application's own settings.
    settings: Vec<(String, String)>,
    /// What `SET search_path` has made the current schema, which may be none.
    schema: Option<Option<String>>,
    /// `auth.uid()`, once it was asked for: policies ask for each row.
    uid: OnceCell<Option<String>>,
}

impl<'a> Context<'a> {
    /// The context of a request that began at `now`.
    pub fn of_caller(caller: &'a Caller, now: Timestamp) -> Self {
        Context {
            caller: Some(caller),
            role: caller.role.clone(),
            now,
            settings: Vec::new(),
            schema: None,
            uid: OnceCell::new(),
        }
    }

    /// The context of a migration, a seed or the console.
    pub fn of_owner(now: Timestamp) -> Self {
        Context {
            caller: None,
            role: Ident::new(OWNER),
            now,
            settings: Vec::new(),
            schema: None,
            uid: OnceCell::new(),
        }
    }

    /// The same with the settings that a script has made.
    pub fn with_settings(mut self, session: &Session) -> Self {
        self.settings.clone_from(&session.settings);
        self
    }

    /// The request's caller; `None` for the owner.
    pub fn caller(&self) -> Option<&'a Caller> {
        self.caller
    }

    /// The role that statements run as.
    pub fn role(&self) -> &Ident {
        &self.role
    }

    /// When the transaction began.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// `now()` in its stored form: `2024-03-01T10:00:00.5+00:00`.
    pub fn now_text(&self) -> String {
        let mut text = self.local_text("%Y-%m-%dT%H:%M:%S", &TimeZone::UTC);
        text.push_str("+00:00");
        text
    }

    /// The value of one of the request's constants in its stored form.
    ///
    /// Errors: 22P02 for an `auth.uid()` that is no uuid; 42704 for a setting that nobody made.
    pub fn value(&self, value: &ContextValue) -> Result<Scalar, DatabaseError> {
        Ok(match value {
            ContextValue::Now => Scalar::Text(self.now_text()),
            ContextValue::CurrentDate => Scalar::Text(self.now.to_zoned(self.zone()).strftime("%Y-%m-%d").to_string()),
            ContextValue::LocalTimestamp => Scalar::Text(self.local_text("%Y-%m-%dT%H:%M:%S", &self.zone())),
            ContextValue::LocalTime => Scalar::Text(self.local_text("%H:%M:%S", &self.zone())),
            ContextValue::CurrentDatabase => Scalar::Text(DATABASE.to_owned()),
            ContextValue::CurrentSchema => self.first_schema().map_or(Scalar::Null, Scalar::Text),
            ContextValue::CurrentUser => Scalar::Text(self.role.to_string()),
            ContextValue::SessionUser => Scalar::Text(match self.caller {
                Some(_) => CONNECTION_ROLE.to_owned(),
                None => OWNER.to_owned(),
            }),
            ContextValue::Uid => self.uid()?.map_or(Scalar::Null, Scalar::Text),
            ContextValue::Role => self.claim_text("role").map_or(Scalar::Null, Scalar::Text),
            ContextValue::Email => self.claim_text("email").map_or(Scalar::Null, Scalar::Text),
            ContextValue::Jwt => match self.caller.filter(|caller| !caller.claims.is_empty()) {
                Some(caller) => Scalar::Text(jsonb::canonical(&caller.claims).map_err(input::refused)?),
                None => Scalar::Null,
            },
            ContextValue::Setting { name, missing_ok } => match self.setting(name) {
                Some(text) => Scalar::Text(text),
                None if *missing_ok => Scalar::Null,
                // The server's own have no dot.
                None if !name.contains('.') => {
                    return Err(DatabaseError::unavailable(&format!("the setting {name}"), "", 1, None));
                }
                None => {
                    let message = format!("unrecognized configuration parameter \"{name}\"");
                    return Err(DatabaseError::new("42704", message));
                }
            },
        })
    }

    /// `current_setting(name, true)`. Names are matched without regard to case, as PostgreSQL does.
    pub fn setting(&self, name: &str) -> Option<String> {
        let name = name.to_ascii_lowercase();
        let fixed = match name.as_str() {
            "timezone" => Some(self.zone_name().to_owned()),
            // Nobody has said SET ROLE for the owner.
            "role" => Some(match self.caller {
                Some(_) => self.role.to_string(),
                None => "none".to_owned(),
            }),
            "server_version" => Some("15.0".to_owned()),
            "server_version_num" => Some("150000".to_owned()),
            "server_encoding" | "client_encoding" => Some("UTF8".to_owned()),
            "standard_conforming_strings" => Some("on".to_owned()),
            "search_path" => Some(self.search_path().join(", ")),
            "transaction_isolation" => Some("serializable".to_owned()),
            _ => None,
        };
        if let Some(value) = running::setting(&name) {
            return Some(value);
        }
        let own = self.settings.iter().find(|(known, _)| *known == name);
        if let Some(value) = fixed.or_else(|| own.map(|(_, value)| value.clone())) {
            return Some(value);
        }
        let caller = self.caller?;
        let request = &caller.request;
        match name.strip_prefix("request.")? {
            "jwt.claims" => Some(caller.claims.to_string()),
            "method" => Some(request.method.to_string()),
            "path" => Some(request.path.to_string()),
            "headers" => Some(request.headers.to_string()),
            "cookies" => Some(request.cookies.to_string()),
            // One setting per claim is PostgREST's form of before version 9; it sets none now.
            _ => None,
        }
    }

    /// Errors: 22P02.
    fn uid(&self) -> Result<Option<String>, DatabaseError> {
        if let Some(known) = self.uid.get() {
            return Ok(known.clone());
        }
        let text = self.claim_text("sub");
        let uid = text
            .map(|text| uuid::parse(&text))
            .transpose()
            .map_err(input::refused)?;
        Ok(self.uid.get_or_init(|| uid).clone())
    }

    /// `claims ->> name`.
    fn claim_text(&self, name: &str) -> Option<String> {
        let claims = self.caller.map(|caller| &*caller.claims)?;
        let member = json::field(claims, name)?;
        // A string without escapes, as ids and roles are, is its own text.
        let plain = member.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        if let Some(plain) = plain.filter(|plain| !plain.contains(['"', '\\'])) {
            return Some(plain.to_owned());
        }
        // As `jsonb` prints it, because `auth.jwt()` is one. A token's claims were read as JSON when it was verified.
        json::as_text(&jsonb::canonical(member).ok()?).ok()?
    }

    /// The same after `SET`: the current schema is the first of a search path that exists.
    pub fn after(mut self, set: &Set, catalog: &Catalog) -> Self {
        if *set.name == *"search_path" {
            let exists = |schema: &&String| catalog.schemas.contains_key(schema.as_str()) || *schema == "pg_catalog";
            self.schema = set.values.as_ref().map(|path| path.iter().find(exists).cloned());
        }
        self
    }

    fn search_path(&self) -> Vec<&str> {
        let path = self
            .caller
            .map(|caller| &*caller.request.search_path)
            .unwrap_or_default();
        if path.is_empty() {
            vec![DEFAULT_SCHEMA]
        } else {
            path.iter().map(Ident::as_str).collect()
        }
    }

    fn first_schema(&self) -> Option<String> {
        match &self.schema {
            Some(schema) => schema.clone(),
            None => self.search_path().first().map(|schema| (*schema).to_owned()),
        }
    }

    fn zone_name(&self) -> &str {
        self.caller
            .and_then(|caller| caller.request.time_zone.as_deref())
            .unwrap_or(DEFAULT_ZONE)
    }

    fn zone(&self) -> TimeZone {
        time_zone(self.zone_name()).unwrap_or(TimeZone::UTC)
    }

    /// The time in `zone` by `format`, with microseconds when there are some, trailing zeros trimmed.
    fn local_text(&self, format: &str, zone: &TimeZone) -> String {
        let mut text = self.now.to_zoned(zone.clone()).strftime(format).to_string();
        let micros = self.now.subsec_microsecond();
        if micros != 0 {
            let digits = format!(".{micros:06}");
            text.push_str(digits.trim_end_matches('0'));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn caller(claims: &str) -> Caller {
        let mut caller = Caller::of_role("authenticated");
        caller.claims = Arc::from(claims);
        caller
    }

    fn value(claims: &str, value: ContextValue) -> Result<Scalar, String> {
        let caller = caller(claims);
        let now: Timestamp = "2024-03-01T10:00:00.5Z".parse().unwrap();
        Context::of_caller(&caller, now)
            .value(&value)
            .map_err(|error| error.sqlstate)
    }

    #[test]
    fn the_users_id_comes_from_the_subject() {
        let id = "AAAAAAAA-0000-4000-8000-000000000001";
        let stored = Scalar::Text(id.to_lowercase());
        assert_eq!(value(&format!("{{\"sub\":\"{id}\"}}"), ContextValue::Uid), Ok(stored));
        assert_eq!(value("{}", ContextValue::Uid), Ok(Scalar::Null));
        assert_eq!(value("{\"sub\":null}", ContextValue::Uid), Ok(Scalar::Null));
        assert_eq!(value("{\"sub\":\"\"}", ContextValue::Uid), Err("22P02".into()));
        assert_eq!(value("{\"sub\":\"bob\"}", ContextValue::Uid), Err("22P02".into()));
    }

    #[test]
    fn the_time_is_written_as_it_is_stored() {
        assert_eq!(
            value("{}", ContextValue::Now),
            Ok(Scalar::Text("2024-03-01T10:00:00.5+00:00".into()))
        );
        assert_eq!(
            value("{}", ContextValue::CurrentDate),
            Ok(Scalar::Text("2024-03-01".into()))
        );
    }

    #[test]
    fn settings_answer_as_postgresql_does() {
        let setting = |name: &str, missing_ok| ContextValue::Setting {
            name: Arc::from(name),
            missing_ok,
        };
        assert_eq!(
            value("{\"a\":1}", setting("request.jwt.claims", false)),
            Ok(Scalar::Text("{\"a\":1}".into()))
        );
        assert_eq!(value("{}", setting("request.nosuch", true)), Ok(Scalar::Null));
        assert_eq!(value("{}", setting("app.nosuch", false)), Err("42704".into()));
    }
}
