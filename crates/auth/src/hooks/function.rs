//! Hooks that are SQL functions: `pg-functions://postgres/<schema>/<function>`.

use mainstay_core::error::BackendError;
use mainstay_core::transaction::Decision;
use serde_json::Value as Json;

use super::{HookError, Object};
use crate::store::{Store, Tx, text};

/// What the URI of a function begins with.
const SCHEME: &str = "pg-functions://";
/// Bytes of a name, at most: what PostgreSQL takes.
const NAME_BYTES_MAX: usize = 63;

/// A function that is called with a JSON object.
#[derive(Clone, Debug)]
pub struct Function {
    uri: String,
    sql: &'static str,
}

impl Function {
    /// Reads the URI of a setting. Errors: what is wrong with it.
    pub fn of_uri(uri: &str) -> Result<Self, String> {
        let wrong = || format!("`{uri}` is not of the form pg-functions://postgres/<schema>/<function>");
        let path = uri.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let mut parts = path.split('/');
        let (Some(_), Some(schema), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        if !is_name(schema) || !is_name(name) {
            return Err(wrong());
        }
        let sql = format!("SELECT \"{schema}\".\"{name}\"($1)");
        Ok(Function {
            uri: uri.to_owned(),
            // Statements of a room are constants; this one is a constant of the settings, read once.
            sql: sql.leak(),
        })
    }

    /// Calls it within a transaction. Whatever is wrong ends the transaction.
    pub(super) async fn call(&self, tx: &Tx, event: &Object) -> Result<Object, HookError> {
        let event = Json::Object(event.clone()).to_string();
        let rows = tx.run_hook(self.sql, vec![text(event)], &self.uri).await;
        let answer = rows
            .and_then(|rows| rows.first(|row| row.maybe()))
            .map_err(|error| failed(&self.uri, &error))?;
        super::answer(answer.flatten().as_deref().unwrap_or("null"))
    }

    /// Calls it in a transaction of its own, which stands whatever the answer is.
    pub(super) async fn call_alone(&self, store: &Store, event: Object) -> Result<Object, HookError> {
        let function = self.clone();
        let answered = store
            .transact(move |tx| {
                let (function, event) = (function.clone(), event.clone());
                async move { Ok(Decision::Commit(function.call(&tx, &event).await)) }
            })
            .await;
        match answered {
            Ok(answer) => answer,
            Err(error) => Err(HookError::ended(&error).unwrap_or_else(|| failed(&self.uri, &error))),
        }
    }

    /// Tries whether it is there. Errors: why not.
    pub(super) fn check(&self, store: &Store) -> Result<(), String> {
        store.check(self.sql).map_err(|error| error.to_string())
    }
}

/// A hook that could not be run, and why not.
pub fn failed(uri: &str, error: &BackendError) -> HookError {
    let (sqlstate, reason) = match error {
        BackendError::Refused(error) => (error.sqlstate.clone(), error.message.clone()),
        other => (String::new(), other.to_string()),
    };
    HookError::Failed {
        uri: uri.to_owned(),
        sqlstate,
        reason,
    }
}

/// A name as settings may give it.
fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_schema_and_a_function() {
        let function = Function::of_uri("pg-functions://postgres/public/custom_access_token_hook").unwrap();
        assert_eq!(function.sql, r#"SELECT "public"."custom_access_token_hook"($1)"#);
        for bad in [
            "",
            "pg-functions://postgres/public",
            "pg-functions://postgres/public/a/b",
            "pg-functions://postgres/public/",
            "pg-functions://postgres/public/a-b",
            "pg-functions://postgres/public/a\"b",
            "pg-functions://postgres/1a/b",
            "postgres/public/a",
            "https://example.com",
        ] {
            assert!(Function::of_uri(bad).is_err(), "{bad}");
        }
        assert!(Function::of_uri(&format!("pg-functions://postgres/public/{}", "a".repeat(64))).is_err());
    }
}
