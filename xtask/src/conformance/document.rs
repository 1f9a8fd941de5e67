//! `docs/conformance.md`: a table per section, and every failing case with its reason.

use super::fixtures::Lost;
use super::outcome::Outcome;
use crate::process::say;
use crate::workspace::{root, write_section};
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

const EMPTY_DOCUMENT: &str = "\
# Conformance

What PostgREST's own specs say of Mainstay. Kept by `cargo xtask conformance --write`; the reasons come from
`conformance-reasons.txt`. Do not edit the tables.

## Portable cases

The cases that need only what both engines offer, each engine loaded with the same migration.

<!-- portable -->
<!-- /portable -->

## All cases

Every config group but those that need PostGIS or the extension `safeupdate`, with PostgREST's own fixtures: whole on
PostgreSQL, as far as they migrate on the embedded engine. `cargo xtask conformance --full --postgrest-src DIR --write`

<!-- full -->
<!-- /full -->
";

/// A column of a table: the section of the reasons, the title, what came out, and what the fixtures lost.
pub struct Column<'a> {
    pub section: &'a str,
    pub title: &'a str,
    pub outcome: &'a Outcome,
    pub lost: &'a [Lost],
}

/// Writes one section of the document.
pub fn write_document(section: &str, columns: &[Column<'_>]) -> Result<()> {
    let path = root().join("docs/conformance-reasons.txt");
    let reasons = Reasons::parse(&std::fs::read_to_string(&path).unwrap_or_default())?;
    let document: PathBuf = root().join("docs/conformance.md");
    write_section(&document, EMPTY_DOCUMENT, section, &section_text(columns, &reasons))?;
    say(format_args!("wrote {}", document.display()));
    for stale in reasons.stale(columns) {
        say(format_args!(
            "no failing case starts with `{stale}` any more; drop it from docs/conformance-reasons.txt"
        ));
    }
    Ok(())
}

fn section_text(columns: &[Column<'_>], reasons: &Reasons) -> String {
    let mut text = String::from("\n| module |");
    for column in columns {
        let _ = write!(text, " {} |", column.title);
    }
    text.push_str("\n| --- |");
    text.push_str(&" ---: |".repeat(columns.len()));
    let modules: BTreeSet<&String> = columns
        .iter()
        .flat_map(|column| column.outcome.modules.keys())
        .collect();
    for module in modules {
        let _ = write!(text, "\n| {} |", module.strip_prefix("Feature.").unwrap_or(module));
        for column in columns {
            let (passed, total) = column.outcome.modules.get(module).copied().unwrap_or_default();
            let _ = write!(text, " {passed} / {total} |");
        }
    }
    text.push_str("\n| **all** |");
    for Column { outcome, .. } in columns {
        let _ = write!(
            text,
            " **{} / {} ({:.1} %)** |",
            outcome.passed,
            outcome.total,
            outcome.percent()
        );
    }
    text.push('\n');
    for column in columns {
        failures(&mut text, column, reasons);
    }
    text
}

fn failures(text: &mut String, column: &Column<'_>, reasons: &Reasons) {
    let _ = write!(text, "\n### Failing cases: {}\n\n", column.title);
    if column.outcome.failures.is_empty() {
        text.push_str("None.\n");
    }
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut by_loss: BTreeMap<&str, usize> = BTreeMap::new();
    for failure in &column.outcome.failures {
        let reason = reasons.of(column.section, &failure.id);
        match (reason, &failure.lost) {
            (None, Some(lost)) => *by_loss.entry(lost).or_default() += 1,
            (reason, _) => by_reason
                .entry(reason.unwrap_or("Not explained yet"))
                .or_default()
                .push(&failure.id),
        }
    }
    for (reason, ids) in by_reason {
        let _ = write!(text, "{reason} ({}):\n\n", ids.len());
        for id in ids {
            let _ = writeln!(text, "- `{}`", id.replace('`', "'"));
        }
        text.push('\n');
    }
    if !by_loss.is_empty() {
        let count: usize = by_loss.values().sum();
        let _ = write!(
            text,
            "What they ask for is not there, because the engine refuses it ({count}):\n\n"
        );
        for (lost, count) in by_loss {
            let _ = writeln!(text, "- {lost} ({count})");
        }
        text.push('\n');
    }
    if !column.lost.is_empty() {
        let _ = write!(
            text,
            "Statements of the fixtures that are refused ({}):\n\n",
            column.lost.len()
        );
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for lost in column.lost {
            by_reason
                .entry(&lost.why)
                .or_default()
                .push(lost.object.as_deref().unwrap_or("a statement"));
        }
        for (why, mut objects) in by_reason {
            objects.sort_unstable();
            let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
            for object in objects {
                *counted.entry(object).or_default() += 1;
            }
            let named: Vec<String> = counted
                .into_iter()
                .map(|(object, count)| match count {
                    1 => format!("`{object}`"),
                    _ => format!("`{object}` × {count}"),
                })
                .collect();
            let _ = writeln!(text, "- {}: {}", why.replace('`', "'"), named.join(", "));
        }
        text.push('\n');
    }
}

/// The hand-kept reasons: `(section or "", prefix, reason)`.
struct Reasons(Vec<(String, String, String)>);

impl Reasons {
    fn parse(text: &str) -> Result<Self> {
        let mut reasons = Vec::new();
        let mut section = String::new();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = if name == "all" { String::new() } else { name.to_owned() };
            } else {
                let (prefix, reason) = line.split_once(" => ").ok_or_else(|| {
                    Error::new(format!(
                        "docs/conformance-reasons.txt: `{line}` is not `prefix of an id => reason`"
                    ))
                })?;
                reasons.push((section.clone(), prefix.trim().to_owned(), reason.trim().to_owned()));
            }
        }
        Ok(Reasons(reasons))
    }

    /// The reason whose prefix is the longest.
    fn of(&self, engine: &str, id: &str) -> Option<&str> {
        let fitting = self.0.iter().filter(|(section, prefix, _)| {
            (section.is_empty() || section == engine) && id.starts_with(prefix.as_str())
        });
        fitting
            .max_by_key(|(_, prefix, _)| prefix.len())
            .map(|(_, _, reason)| reason.as_str())
    }

    /// The prefixes that explain nothing in `columns`, of those that could.
    fn stale(&self, columns: &[Column<'_>]) -> Vec<&str> {
        let of_columns = self
            .0
            .iter()
            .filter(|(section, _, _)| columns.iter().any(|column| column.section == section));
        let unused = of_columns.filter(|(section, prefix, _)| {
            !columns.iter().any(|column| {
                column.section == section
                    && column
                        .outcome
                        .failures
                        .iter()
                        .any(|failure| failure.id.starts_with(prefix.as_str()))
            })
        });
        unused.map(|(_, prefix, _)| prefix.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_case_gets_its_longest_reason() {
        let reasons =
            "# comment\nQuery.A => general\nQuery.A / one => narrow\n[postgres]\nQuery.A / one / two => elsewhere\n";
        let reasons = Reasons::parse(reasons).unwrap();
        let outcome = Outcome::read(
            r#"{"passed": 3, "total": 4, "modules": {"Feature.Query.A": {"passed": 3, "total": 4}},
                "failures": [{"id": "Query.A / one / two #0", "diffs": ["status: expected 200, got 400"]}]}"#,
        )
        .unwrap();
        let column = |section, outcome| Column {
            section,
            title: "embedded engine",
            outcome,
            lost: &[],
        };
        let text = section_text(&[column("sqlite", &outcome)], &reasons);
        assert!(text.contains("| Query.A | 3 / 4 |"), "{text}");
        assert!(text.contains("narrow (1):\n\n- `Query.A / one / two #0`"), "{text}");
        assert!(Reasons::parse("no arrow").is_err());
        let passed = Outcome::default();
        assert_eq!(reasons.stale(&[column("postgres", &passed)]), ["Query.A / one / two"]);
    }
}
