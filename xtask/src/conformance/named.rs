//! The cases beyond the portable ones that pass on the embedded engine, by name: none of them may be lost again.

use super::outcome::Outcome;
use crate::json::Json;
use crate::process::say;
use crate::workspace::root;
use crate::{Context, Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const HEAD: &str = "\
# Cases of PostgREST's specs beyond the portable ones that pass on the embedded engine with what migrates of its fixtures.
# Written by `cargo xtask conformance --full --write`; without `--write` each of them must pass.
";

fn path() -> PathBuf {
    root().join("docs/conformance-embedded.txt")
}

/// Writes the names of the cases that passed and are not among the portable ones.
pub fn write(outcome: &Outcome, suite: &Path) -> Result<()> {
    let portable = suite.join("portable-dev.json");
    let text = std::fs::read_to_string(&portable).context(portable.display())?;
    let portable = ids(&Json::parse(&text).context(portable.display())?);
    let names: BTreeSet<String> = outcome.passed_ids.iter().map(|id| one_line(id)).collect();
    let mut text = HEAD.to_owned();
    for name in names.iter().filter(|name| !portable.contains(*name)) {
        text.push_str(name);
        text.push('\n');
    }
    let path = path();
    std::fs::write(&path, text).context(path.display())?;
    say(format_args!("wrote {}", path.display()));
    Ok(())
}

/// Errors: a case of the list did not pass.
pub fn check(outcome: &Outcome) -> Result<()> {
    let path = path();
    let listed = std::fs::read_to_string(&path).context(path.display())?;
    let lost = lost(&listed, outcome);
    match lost.first() {
        None => Ok(()),
        Some(first) => Err(Error::new(format!(
            "{} cases that passed on the embedded engine do not any more; the first: {first}",
            lost.len()
        ))),
    }
}

fn lost(listed: &str, outcome: &Outcome) -> Vec<String> {
    let passed: BTreeSet<String> = outcome.passed_ids.iter().map(|id| one_line(id)).collect();
    let listed = listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    listed
        .filter(|name| !passed.contains(*name))
        .map(str::to_owned)
        .collect()
}

fn ids(json: &Json) -> BTreeSet<String> {
    let list = if json.elements().is_empty() {
        json.get("ids")
    } else {
        json
    };
    list.elements()
        .iter()
        .filter_map(|one| one.str().or_else(|| one.get("id").str()))
        .map(one_line)
        .collect()
}

fn one_line(id: &str) -> String {
    id.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_is_listed_must_pass() {
        let outcome = Outcome {
            passed_ids: vec!["A /  one #0".into()],
            ..Outcome::default()
        };
        assert!(lost("# head\nA / one #0\n", &outcome).is_empty());
        assert_eq!(lost("A / one #0\nA / two #0\n", &outcome), ["A / two #0"]);
        let json = Json::parse(r#"{"ids": ["A / one #0", {"id": "B"}]}"#).unwrap();
        assert_eq!(ids(&json).len(), 2);
    }
}
