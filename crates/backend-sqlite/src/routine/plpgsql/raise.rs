//! `RAISE` and `ASSERT`.

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_sql::plpgsql::conditions;
use mainstay_sql::plpgsql::tree::{Fragment, Level, Raise, RaiseOption};

use super::interpret::Interpreter;

type Result<T> = std::result::Result<T, BackendError>;

impl Interpreter<'_> {
    pub(super) fn raise(&mut self, raise: &Raise) -> Result<()> {
        let again = raise.format.is_none() && raise.condition.is_none() && raise.options.is_empty();
        if again {
            let Some(error) = self.handled.last() else {
                let message = "RAISE without parameters cannot be used outside an exception handler";
                return Err(DatabaseError::new("0Z002", message).into());
            };
            return Err(error.clone().into());
        }
        let mut error = DatabaseError::default();
        let mut message = None;
        if let Some((code, name)) = &raise.condition {
            error.sqlstate = code.clone();
            message = name.as_ref().map(Ident::to_string);
        }
        if let Some(format) = &raise.format {
            message = Some(self.formatted(format, &raise.parameters)?);
        }
        let mut code_given = raise.condition.is_some();
        let mut message_given = raise.format.is_some();
        for (option, value) in &raise.options {
            let Some(value) = self.text(value)? else {
                return Err(DatabaseError::new("22004", "RAISE statement option cannot be null").into());
            };
            let given_twice = |option: &str| -> BackendError {
                DatabaseError::new("42601", format!("RAISE option already specified: {option}")).into()
            };
            match option {
                RaiseOption::Errcode => {
                    if std::mem::replace(&mut code_given, true) {
                        return Err(given_twice("ERRCODE"));
                    }
                    error.sqlstate = code_of(&value)?;
                }
                RaiseOption::Message => {
                    if std::mem::replace(&mut message_given, true) {
                        return Err(given_twice("MESSAGE"));
                    }
                    message = Some(value);
                }
                RaiseOption::Detail => match error.detail {
                    None => error.detail = Some(value),
                    Some(_) => return Err(given_twice("DETAIL")),
                },
                RaiseOption::Hint => match error.hint {
                    None => error.hint = Some(value),
                    Some(_) => return Err(given_twice("HINT")),
                },
                RaiseOption::Column => error.column = Some(Ident::new(value)),
                RaiseOption::Constraint => error.constraint = Some(Ident::new(value)),
                RaiseOption::Table => error.table = Some(Ident::new(value)),
                RaiseOption::Schema => error.schema = Some(Ident::new(value)),
                RaiseOption::Datatype => {}
            }
        }
        if error.sqlstate.is_empty() && raise.level == Level::Exception {
            error.sqlstate = "P0001".to_owned();
        }
        error.message = message.unwrap_or_else(|| error.sqlstate.clone());
        match raise.level {
            Level::Exception => return Err(error.into()),
            Level::Warning => tracing::warn!(routine = %self.name(), "{}", error.message),
            Level::Notice | Level::Info => tracing::info!(routine = %self.name(), "{}", error.message),
            Level::Log => tracing::info!(routine = %self.name(), "{}", error.message),
            Level::Debug => tracing::debug!(routine = %self.name(), "{}", error.message),
        }
        Ok(())
    }

    /// The format with each `%` replaced by a parameter.
    fn formatted(&mut self, format: &str, parameters: &[Fragment]) -> Result<String> {
        let mut made = String::with_capacity(format.len());
        let mut parameters = parameters.iter();
        let mut characters = format.chars().peekable();
        while let Some(character) = characters.next() {
            if character != '%' {
                made.push(character);
                continue;
            }
            if characters.next_if_eq(&'%').is_some() {
                made.push('%');
                continue;
            }
            let Some(parameter) = parameters.next() else {
                return Err(DatabaseError::new("42601", "too few parameters specified for RAISE").into());
            };
            match self.text(parameter)? {
                Some(text) => made.push_str(&text),
                None => made.push_str("<NULL>"),
            }
        }
        Ok(made)
    }

    pub(super) fn assert(&mut self, condition: &Fragment, message: Option<&Fragment>) -> Result<()> {
        if self.condition(condition)? {
            return Ok(());
        }
        let text = match message {
            Some(message) => self.text(message)?,
            None => None,
        };
        let text = text.unwrap_or_else(|| "assertion failed".to_owned());
        Err(DatabaseError::new("P0004", text).into())
    }
}

/// What `ERRCODE` names: five characters, or a condition. Errors: 42704.
fn code_of(given: &str) -> Result<String> {
    let is_code = given.len() == 5
        && given
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    if is_code {
        return Ok(given.to_owned());
    }
    match conditions::codes_of(given).first() {
        Some(code) => Ok((*code).to_owned()),
        None => Err(DatabaseError::new("42704", format!("unrecognized exception condition \"{given}\"")).into()),
    }
}
