//! Runs statements of rooms' own: the text as it is, with the rights of the connection's own role.

use mainstay_core::error::BackendError;
use mainstay_core::plan::{Input, Outcome, Value};
use mainstay_sql::platform::OWN_SCHEMA;

use super::{Attempt, Context, Failure};
use crate::bootstrap;
use crate::decode::Fields;
use crate::errors::refused;
use crate::pool::Lane;
use crate::settings;
use crate::wire::{Connection, StatementText, Step, StepReply};

/// A statement of a room's own.
#[derive(Debug)]
pub struct Own {
    text: StatementText,
    reads_only: bool,
    /// It names a table of Mainstay's own, which a database that was left as it is has not from the beginning.
    names_own_table: bool,
}

/// `undefined_table` and `invalid_schema_name`.
const MISSING: [&str; 2] = ["42P01", "3F000"];

/// True for the SQLSTATE of a table that is not there.
pub(super) fn is_missing(sqlstate: &str) -> bool {
    MISSING.contains(&sqlstate)
}

impl Own {
    /// One statement. PostgreSQL judges its text when it is first run.
    pub fn new(sql: &'static str) -> Self {
        let verb = sql.split_whitespace().next().unwrap_or_default();
        Own {
            text: StatementText::new(sql),
            reads_only: verb.eq_ignore_ascii_case("select"),
            names_own_table: sql.contains(OWN_SCHEMA),
        }
    }
}

/// Runs it in a transaction of its own; queries are tried again on other connections when theirs is lost.
pub async fn run(ctx: &Context<'_>, own: &Own, input: &Input) -> Result<Outcome, BackendError> {
    let lane = if own.reads_only { Lane::Read } else { Lane::Write };
    let mut attempts_left = ctx.options.read_connections_max + 1;
    loop {
        let connection = ctx.pool.shared(lane).await?;
        attempts_left -= 1;
        let again = |wanted: bool| wanted && attempts_left > 0;
        match attempt(ctx, &connection, own, input, own.reads_only).await {
            Ok(outcome) => return Ok(outcome),
            Err(Attempt::Lost) if again(own.reads_only) => {}
            Err(Attempt::StatementGone | Attempt::CatalogChanged) if again(true) => {}
            Err(Attempt::OwnTableMissing) if again(true) => {
                drop(connection);
                let exclusive = ctx.pool.exclusive().await?;
                bootstrap::make_own_tables(exclusive.connection()).await?;
                exclusive.release();
            }
            Err(error) => {
                return Err(match Failure::from(error) {
                    Failure::Backend(error) => error,
                    Failure::CatalogChanged => BackendError::StaleCatalog,
                });
            }
        }
    }
}

/// Runs it as one of several statements of the transaction that is open.
pub(super) async fn within(
    ctx: &Context<'_>,
    connection: &Connection,
    own: &Own,
    input: &Input,
) -> Result<Outcome, Attempt> {
    // A transaction that was read-only for one statement stays so.
    attempt(ctx, connection, own, input, false).await
}

async fn attempt(
    ctx: &Context<'_>,
    connection: &Connection,
    own: &Own,
    input: &Input,
    read_only: bool,
) -> Result<Outcome, Attempt> {
    let settings = settings::of_owner(ctx.options, read_only);
    let settings_text = ctx.texts.settings.get(settings.len());
    let settings: Vec<Option<&[u8]>> = settings
        .iter()
        .flat_map(|(name, value)| [Some(name.as_bytes()), Some(value.as_bytes())])
        .collect();
    let texts = input.values.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let values: Vec<Option<&[u8]>> = texts
        .iter()
        .map(|text| text.as_ref().map(|text| text.as_bytes()))
        .collect();
    let steps = [
        Step {
            statement: &settings_text,
            parameters: &settings,
            formats: &[],
        },
        Step {
            statement: &own.text,
            parameters: &values,
            formats: &[],
        },
    ];
    let reply = connection.send(&steps).map_err(|_| Attempt::Lost)?;
    let parsed = reply.wait().await.map_err(|_| Attempt::Lost)?;
    if let Some(error) = parsed.error {
        let state = error.error.sqlstate.as_str();
        // "cached plan must not change result type" has no code of its own, and its text may be in any language.
        if state == "26000" || (state == "0A000" && error.routine == "RevalidateCachedQuery") {
            connection.forget(own.text.id);
            connection.forget(settings_text.id);
            return Err(Attempt::StatementGone);
        }
        if own.names_own_table && is_missing(state) {
            return Err(Attempt::OwnTableMissing);
        }
        return Err(match refused(error) {
            BackendError::Unavailable { .. } => Attempt::Lost,
            error => Attempt::Failed(error),
        });
    }
    outcome(own, parsed.steps.get(1).ok_or(Attempt::Lost)?)
}

fn outcome(own: &Own, step: &StepReply) -> Result<Outcome, Attempt> {
    let torn = |_| Attempt::Failed(BackendError::Internal("a row of the wire is torn".into()));
    let mut cells = Vec::with_capacity(step.rows.len());
    for row in &step.rows {
        let mut fields = Fields::of_row(row).map_err(torn)?;
        let count = row.first_chunk::<2>().map_or(0, |head| u16::from_be_bytes(*head));
        let values = (0..count).map(|_| {
            let value = fields.next().map_err(torn)?;
            Ok(value.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
        });
        cells.push(values.collect::<Result<_, Attempt>>()?);
    }
    Ok(Outcome {
        rows: cells.len() as u64,
        affected: if own.reads_only { 0 } else { step.command.rows() },
        cells,
        ..Outcome::default()
    })
}

/// A value as PostgreSQL's text input.
fn text(value: &Value) -> Result<Option<String>, BackendError> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) | Value::Json(text) => Ok(Some(text.clone())),
        Value::Integer(number) => Ok(Some(number.to_string())),
        Value::List(_) => Err(BackendError::Internal("a list is bound as one value".into())),
    }
}
