//! Answers that transactions keep, in the platform's table.
//!
//! There is one writer, so nobody else can be about to keep one under the same key.

use mainstay_core::plan::Outcome;
use mainstay_core::transaction::{Keep, Recall, SWEPT_MAX};
use rusqlite::{Connection, OptionalExtension, params};

/// Looks for an answer.
pub fn recall(connection: &Connection, recall: &Recall) -> rusqlite::Result<Outcome> {
    let answer: Option<Vec<u8>> = connection
        .prepare_cached(r#"SELECT answer FROM "_mainstay.kept_answers" WHERE key = ?1 AND expires_at > ?2"#)?
        .query_row(params![recall.key.0, recall.now_s], |row| row.get(0))
        .optional()?;
    Ok(Outcome {
        rows: u64::from(answer.is_some()),
        body: answer.unwrap_or_default(),
        ..Outcome::default()
    })
}

/// Keeps an answer and removes some that have expired.
pub fn keep(connection: &Connection, keep: &Keep) -> rusqlite::Result<Outcome> {
    let kept = connection
        .prepare_cached(
            r#"INSERT INTO "_mainstay.kept_answers" AS kept (key, answer, expires_at) VALUES (?1, ?2, ?3)
               ON CONFLICT (key) DO UPDATE SET answer = excluded.answer, expires_at = excluded.expires_at
               WHERE kept.expires_at <= ?4"#,
        )?
        .execute(params![keep.key.0, keep.answer, keep.expires_s, keep.now_s])?;
    connection
        .prepare_cached(
            r#"DELETE FROM "_mainstay.kept_answers" WHERE rowid IN (
                 SELECT rowid FROM "_mainstay.kept_answers" WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)"#,
        )?
        .execute(params![keep.now_s, SWEPT_MAX])?;
    Ok(Outcome {
        affected: kept as u64,
        ..Outcome::default()
    })
}
