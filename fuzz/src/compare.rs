//! What counts as the same answer.
//!
//! Lives here: rows in order or in any, SQLSTATEs, the documented differences that a run of random statements meets.
//! Not here: how answers are got (`engines`).

use std::fmt;

use crate::engines::{Answer, Rows};
use crate::generate::schema;

/// What a statement leaves open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// Its ORDER BY decides the place of every row.
    pub is_ordered: bool,
    /// More than one of its parts can fail, so which failure is reported is open (documented difference 7).
    pub may_fail_twice: bool,
    /// It may give a key that one row has to another, in an order that is open (documented difference 8).
    pub passes_keys_on: bool,
    /// Triggers may run for it, also where it meets no row.
    pub is_write: bool,
}

/// The outcome of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// Refused by name, with the feature.
    Refused(String),
    /// A documented difference, by its number in `docs/portability.md`.
    Documented(u8),
    /// A documented difference after which the tables differ: the case ends with it.
    Apart(u8),
    Different(String),
}

/// Compares what the embedded engine and PostgreSQL say.
pub fn compare(terms: Terms, embedded: &Answer, server: &Answer) -> Verdict {
    match (embedded, server) {
        (_, Answer::Broken(text)) => Verdict::Different(text.clone()),
        (Answer::Broken(text), _) => Verdict::Different(format!("the embedded engine breaks: {text}")),
        (Answer::Refused(feature), _) => Verdict::Refused(feature_name(feature)),
        (Answer::Done(ours), Answer::Done(theirs)) => match rows(terms, ours, theirs) {
            None => Verdict::Same,
            Some(_) if rows(terms, &without_negative_zeros(ours), &without_negative_zeros(theirs)).is_none() => {
                Verdict::Documented(13)
            }
            Some(_) if rows(terms, ours, &with_base_arrays(theirs)).is_none() => Verdict::Documented(19),
            Some(text) => Verdict::Different(text),
        },
        (Answer::Error { sqlstate: ours, .. }, Answer::Error { sqlstate: theirs, .. }) if ours == theirs => {
            Verdict::Same
        }
        (Answer::Error { sqlstate: ours, .. }, Answer::Error { sqlstate: theirs, .. })
            if terms.may_fail_twice && is_of_a_value(ours) && is_of_a_value(theirs) =>
        {
            Verdict::Documented(7)
        }
        // A year that only PostgreSQL has, on the way of a computation.
        (Answer::Error { sqlstate, message }, Answer::Done(_))
            if sqlstate == "22008" && matches!(message.as_str(), "timestamp out of range" | "date out of range") =>
        {
            Verdict::Apart(4)
        }
        // The row that has the key is changed before the one that gets it, or after it.
        (Answer::Error { sqlstate, .. }, Answer::Done(done)) | (Answer::Done(done), Answer::Error { sqlstate, .. })
            if terms.passes_keys_on && sqlstate == "23505" && done.count.unwrap_or(0) > 1 =>
        {
            Verdict::Apart(8)
        }
        // PostgreSQL computes constants before it runs anything.
        (Answer::Done(ours), Answer::Error { sqlstate, .. })
            if ours.rows.is_empty() && ours.count.unwrap_or(0) == 0 && sqlstate.starts_with("22") =>
        {
            match terms.is_write {
                true => Verdict::Apart(14),
                false => Verdict::Documented(14),
            }
        }
        (ours, theirs) => Verdict::Different(format!(
            "embedded engine: {}\n    PostgreSQL: {}",
            Shown(ours),
            Shown(theirs)
        )),
    }
}

/// True for the errors that rows cause one by one.
fn is_of_a_value(sqlstate: &str) -> bool {
    sqlstate.starts_with("22")
        || sqlstate.starts_with("23")
        || matches!(
            sqlstate,
            "0A000" | "21000" | "42501" | "42P17" | "44000" | "54000" | "P0001"
        )
}

/// The feature of a refusal without its place: `type point (column b.place, line 2); …` is `type point`.
fn feature_name(text: &str) -> String {
    let end = text.rfind(" (").or_else(|| text.find(';')).unwrap_or(text.len());
    text[..end].to_owned()
}

fn rows(terms: Terms, ours: &Rows, theirs: &Rows) -> Option<String> {
    if ours.names != theirs.names && !(ours.names.is_empty() && theirs.rows.is_empty()) {
        return Some(format!("columns {:?}, PostgreSQL {:?}", ours.names, theirs.names));
    }
    if !ours.types.is_empty() && !theirs.types.is_empty() && ours.types != theirs.types {
        return Some(format!("types {:?}, PostgreSQL {:?}", ours.types, theirs.types));
    }
    if ours.rows.len() != theirs.rows.len() {
        return Some(format!(
            "{} rows, PostgreSQL {}: {:?}, PostgreSQL {:?}",
            ours.rows.len(),
            theirs.rows.len(),
            few(&ours.rows),
            few(&theirs.rows)
        ));
    }
    let (mut left, mut right) = (ours.rows.clone(), theirs.rows.clone());
    if !terms.is_ordered {
        left.sort();
        right.sort();
    }
    if let Some((ours, theirs)) = left.iter().zip(&right).find(|(ours, theirs)| ours != theirs) {
        return Some(format!("row {ours:?}, PostgreSQL {theirs:?}"));
    }
    match (ours.count, theirs.count) {
        (Some(ours), Some(theirs)) if ours != theirs => Some(format!("{ours} rows changed, PostgreSQL {theirs}")),
        _ => None,
    }
}

/// The rows with 0 for -0 where a column is a float.
pub fn without_negative_zeros(answer: &Rows) -> Rows {
    let mut answer = answer.clone();
    for row in &mut answer.rows {
        for (cell, ty) in row.iter_mut().zip(&answer.types) {
            if matches!(ty.as_str(), "real" | "double precision") && cell.as_deref() == Some("-0") {
                *cell = Some("0".into());
            }
        }
    }
    answer
}

/// The answer with arrays of the base type where a column is an array of one of the generator's domains.
fn with_base_arrays(answer: &Rows) -> Rows {
    let mut answer = answer.clone();
    for ty in &mut answer.types {
        let base = ty.strip_suffix("[]").and_then(schema::base_of);
        if let Some(base) = base {
            *ty = format!("{base}[]");
        }
    }
    answer
}

fn few(rows: &[Vec<Option<String>>]) -> &[Vec<Option<String>>] {
    &rows[..rows.len().min(4)]
}

/// An answer in one line.
pub struct Shown<'a>(pub &'a Answer);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Answer::Done(rows) => write!(f, "{} rows {:?}", rows.rows.len(), few(&rows.rows)),
            Answer::Error { sqlstate, message } => write!(f, "{sqlstate} {message}"),
            Answer::Refused(text) => write!(f, "refused: {text}"),
            Answer::Broken(text) => write!(f, "broken: {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(rows: &[&str]) -> Answer {
        Answer::Done(Rows {
            names: vec!["a".into()],
            rows: rows.iter().map(|value| vec![Some((*value).to_owned())]).collect(),
            ..Rows::default()
        })
    }

    fn error(sqlstate: &str) -> Answer {
        Answer::Error {
            sqlstate: sqlstate.into(),
            message: String::new(),
        }
    }

    #[test]
    fn only_what_is_left_open_is_forgiven() {
        let open = Terms::default();
        let ordered = Terms {
            is_ordered: true,
            ..open
        };
        assert_eq!(compare(open, &done(&["1", "2"]), &done(&["2", "1"])), Verdict::Same);
        let different = |verdict| matches!(verdict, Verdict::Different(_));
        assert!(different(compare(ordered, &done(&["1", "2"]), &done(&["2", "1"]))));
        assert!(different(compare(open, &done(&["1", "1"]), &done(&["1"]))));
        assert!(different(compare(open, &done(&["1.0"]), &done(&["1"]))));
        assert!(different(compare(open, &error("22003"), &done(&["1"]))));
        assert!(different(compare(open, &error("22003"), &error("22012"))));
        let zero = |text: &str| match done(&[text]) {
            Answer::Done(rows) => Answer::Done(Rows {
                types: vec!["real".into()],
                ..rows
            }),
            other => other,
        };
        assert_eq!(compare(open, &zero("0"), &zero("-0")), Verdict::Documented(13));
        assert!(different(compare(open, &done(&["0"]), &done(&["-0"]))));
        let typed = |ty: &str| {
            Answer::Done(Rows {
                types: vec![ty.into()],
                ..Rows::default()
            })
        };
        assert_eq!(
            compare(open, &typed("integer[]"), &typed("tiny[]")),
            Verdict::Documented(19)
        );
        assert!(different(compare(open, &typed("integer[]"), &typed("short[]"))));
        let twice = Terms {
            may_fail_twice: true,
            ..open
        };
        let update = Terms {
            passes_keys_on: true,
            ..open
        };
        let changed = |count| {
            Answer::Done(Rows {
                count: Some(count),
                ..Rows::default()
            })
        };
        assert_eq!(compare(update, &error("23505"), &changed(2)), Verdict::Apart(8));
        assert_eq!(compare(update, &changed(2), &error("23505")), Verdict::Apart(8));
        assert!(different(compare(update, &error("23505"), &changed(1))));
        assert!(different(compare(update, &error("23514"), &changed(2))));
        assert!(different(compare(open, &error("23505"), &changed(2))));
        assert_eq!(compare(twice, &error("22003"), &error("22012")), Verdict::Documented(7));
        assert!(different(compare(twice, &error("42883"), &error("22012"))));
        assert!(different(compare(
            open,
            &Answer::Broken("panic".into()),
            &error("22012")
        )));
        assert_eq!(
            compare(
                open,
                &Answer::Refused("type point (b.place, line 2); use".into()),
                &done(&[])
            ),
            Verdict::Refused("type point".into())
        );
    }
}
