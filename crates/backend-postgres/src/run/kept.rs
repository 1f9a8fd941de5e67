//! Answers that transactions keep, in the platform's table.
//!
//! Requests run as roles without a right on it, so each of these statements runs as the connection's own role. That is
//! set back at once: triggers that wait for the commit run as whoever is the role then.
//! Not here: the table's text (`mainstay_sql::platform`), when it is made (`bootstrap`).

use std::sync::LazyLock;

use mainstay_core::error::{BackendError, DatabaseError};
use mainstay_core::name::Ident;
use mainstay_core::plan::Outcome;
use mainstay_core::transaction::{Keep, KeptKey, Recall, SWEPT_MAX};

use super::{Attempt, own};
use crate::decode::Fields;
use crate::errors::refused;
use crate::wire::{Connection, Parsed, StatementText, Step};

static OWN_ROLE: LazyLock<StatementText> =
    LazyLock::new(|| StatementText::new("SELECT pg_catalog.set_config('role', 'none', true)"));
static ROLE: LazyLock<StatementText> =
    LazyLock::new(|| StatementText::new("SELECT pg_catalog.set_config('role', $1, true)"));
/// A statement of its own: what is asked after it sees what was committed before the lock was free.
static LOCK: LazyLock<StatementText> =
    LazyLock::new(|| StatementText::new("SELECT pg_catalog.pg_try_advisory_xact_lock($1::pg_catalog.int8)::text"));
static RECALL: LazyLock<StatementText> = LazyLock::new(|| {
    StatementText::new(
        "SELECT answer FROM _mainstay.kept_answers WHERE key = $1::pg_catalog.bytea AND expires_at > $2::pg_catalog.int8",
    )
});
static KEEP: LazyLock<StatementText> = LazyLock::new(|| {
    StatementText::new(
        "INSERT INTO _mainstay.kept_answers AS kept (key, answer, expires_at) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET answer = excluded.answer, expires_at = excluded.expires_at
         WHERE kept.expires_at <= $4::pg_catalog.int8",
    )
});
static SWEEP: LazyLock<StatementText> = LazyLock::new(|| {
    StatementText::new(
        "DELETE FROM _mainstay.kept_answers WHERE key IN (
           SELECT key FROM _mainstay.kept_answers WHERE expires_at <= $1::pg_catalog.int8
           ORDER BY expires_at LIMIT $2::pg_catalog.int8 FOR UPDATE SKIP LOCKED)",
    )
});

/// Looks for an answer, in a transaction that has no role yet.
pub async fn recall(connection: &Connection, recall: &Recall) -> Result<Outcome, Attempt> {
    let lock = lock_of(&recall.key).to_string();
    let (key, now) = (bytea(&recall.key.0), recall.now_s.to_string());
    let lock: [Option<&[u8]>; 1] = [Some(lock.as_bytes())];
    let sought: [Option<&[u8]>; 2] = [Some(key.as_bytes()), Some(now.as_bytes())];
    let steps = [step(&LOCK, &lock, &[]), step(&RECALL, &sought, &[1])];
    let parsed = burst(connection, &steps).await.map_err(|error| match error {
        Attempt::Failed(BackendError::Refused(error)) if own::is_missing(&error.sqlstate) => Attempt::OwnTableMissing,
        error => error,
    })?;
    let first = |step: usize| parsed.steps.get(step).and_then(|step| step.rows.first());
    let field = |step: usize| -> Option<&[u8]> { Fields::of_row(first(step)?).ok()?.next().ok()? };
    if field(0) != Some(b"true") {
        let busy = DatabaseError::new("55P03", "another transaction is about to keep an answer under the key");
        return Err(Attempt::Failed(busy.into()));
    }
    let answer = field(1).map(<[u8]>::to_vec);
    Ok(Outcome {
        rows: u64::from(answer.is_some()),
        body: answer.unwrap_or_default(),
        ..Outcome::default()
    })
}

/// Keeps an answer, removes some that have expired, and goes back to `role`.
pub async fn keep(connection: &Connection, keep: &Keep, role: Option<&Ident>) -> Result<Outcome, Attempt> {
    let (key, answer) = (bytea(&keep.key.0), bytea(&keep.answer));
    let (expires, now, swept) = (
        keep.expires_s.to_string(),
        keep.now_s.to_string(),
        SWEPT_MAX.to_string(),
    );
    let kept: [Option<&[u8]>; 4] = [
        Some(key.as_bytes()),
        Some(answer.as_bytes()),
        Some(expires.as_bytes()),
        Some(now.as_bytes()),
    ];
    let expired: [Option<&[u8]>; 2] = [Some(now.as_bytes()), Some(swept.as_bytes())];
    let role: [Option<&[u8]>; 1] = [Some(role.map_or("none", |role| role.as_str()).as_bytes())];
    let steps = [
        step(&OWN_ROLE, &[], &[]),
        step(&KEEP, &kept, &[]),
        step(&SWEEP, &expired, &[]),
        step(&ROLE, &role, &[]),
    ];
    let parsed = burst(connection, &steps).await?;
    Ok(Outcome {
        affected: parsed.steps.get(1).map_or(0, |step| step.command.rows()),
        ..Outcome::default()
    })
}

fn step<'a>(statement: &'a StatementText, parameters: &'a [Option<&'a [u8]>], formats: &'a [i16]) -> Step<'a> {
    Step {
        statement,
        parameters,
        formats,
    }
}

async fn burst(connection: &Connection, steps: &[Step<'_>]) -> Result<Parsed, Attempt> {
    let reply = connection.send(steps).map_err(|_| Attempt::Lost)?;
    let mut parsed = reply.wait().await.map_err(|_| Attempt::Lost)?;
    let Some(error) = parsed.error.take() else {
        return Ok(parsed);
    };
    let state = error.error.sqlstate.as_str();
    if state == "26000" || (state == "0A000" && error.routine == "RevalidateCachedQuery") {
        for step in steps {
            connection.forget(step.statement.id);
        }
        return Err(Attempt::StatementGone);
    }
    Err(Attempt::Failed(refused(error)))
}

/// Two keys that share a number wait for each other without need, and that is all.
fn lock_of(key: &KeptKey) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn bytea(bytes: &[u8]) -> String {
    let mut hex = Vec::with_capacity(2 + 2 * bytes.len());
    mainstay_core::render::bytea_hex(&mut hex, bytes);
    String::from_utf8_lossy(&hex).into_owned()
}
