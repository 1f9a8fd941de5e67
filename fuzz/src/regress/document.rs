//! The table of the regression files, as `docs/portability.md` shows it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Tally;

/// Features that the document lists, at most.
const FEATURES: usize = 40;

/// The section's text.
pub fn body(tallies: &[Tally]) -> String {
    let mut text = String::new();
    let total = |field: fn(&Tally) -> usize| tallies.iter().map(field).sum::<usize>();
    let documented = |tally: &Tally| tally.documented.iter().map(|(_, count)| count).sum::<usize>();
    let (statements, equal, refused) = (
        total(|tally| tally.statements),
        total(|tally| tally.equal),
        total(|tally| tally.refused),
    );
    let _ = writeln!(
        text,
        "\n{statements} statements of {} files: {equal} answered as PostgreSQL 15 answers them, {refused} refused by name, {} documented differences, {} other differences.\n",
        tallies.len(),
        total(documented),
        total(|tally| tally.different.len()),
    );
    text.push_str("| file | statements | equal | refused | documented | different |\n|---|---|---|---|---|---|\n");
    for tally in tallies {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            tally.file,
            tally.statements,
            tally.equal,
            tally.refused,
            documented(tally),
            tally.different.len()
        );
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut features: BTreeMap<&str, usize> = BTreeMap::new();
    for tally in tallies {
        for (reason, count) in &tally.documented {
            *reasons.entry(reason).or_default() += count;
        }
        for (feature, count) in &tally.features {
            *features.entry(feature).or_default() += count;
        }
    }
    if !reasons.is_empty() {
        text.push_str("\nDocumented differences, by rule:\n\n");
        for (reason, count) in reasons {
            let _ = writeln!(text, "- {reason} ({count})");
        }
    }
    let differences: Vec<_> = tallies
        .iter()
        .flat_map(|tally| tally.different.iter().map(move |difference| (tally, difference)))
        .collect();
    if !differences.is_empty() {
        text.push_str("\nOther differences:\n\n");
        for (tally, difference) in differences {
            let _ = writeln!(text, "- `{}.sql` line {}", tally.file, difference.line);
        }
    }
    let mut features: Vec<_> = features.into_iter().collect();
    features.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    text.push_str("\nWhat is refused most often:\n\n| feature | statements |\n|---|---|\n");
    for (feature, count) in features.iter().take(FEATURES) {
        let _ = writeln!(text, "| {} | {count} |", feature.replace('|', "\\|").replace('\n', " "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Difference;
    use super::*;

    #[test]
    fn the_table_adds_up() {
        let tally = Tally {
            file: "boolean".into(),
            statements: 5,
            equal: 2,
            refused: 1,
            documented: vec![("a rule".into(), 1)],
            different: vec![Difference {
                line: 7,
                statement: "select 1".into(),
                text: "row".into(),
            }],
            features: vec![("type point".into(), 1)],
        };
        let text = body(&[tally]);
        assert!(text.contains("| boolean | 5 | 2 | 1 | 1 | 1 |"), "{text}");
        assert!(
            text.contains("- `boolean.sql` line 7") && text.contains("- a rule (1)"),
            "{text}"
        );
    }
}
