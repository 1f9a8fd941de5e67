//! What the runner's cases gave.

use super::fixtures::Lost;
use crate::json::Json;
use crate::{Context, Error, Result};
use std::collections::BTreeMap;

/// What one run gave.
#[derive(Debug, Default)]
pub struct Outcome {
    pub passed: u64,
    pub total: u64,
    /// Module → (passed, total).
    pub modules: BTreeMap<String, (u64, u64)>,
    pub failures: Vec<Failure>,
    /// Ids of the cases that passed.
    pub passed_ids: Vec<String>,
}

/// A case that failed.
#[derive(Debug)]
pub struct Failure {
    pub id: String,
    /// The first thing that differed.
    pub why: String,
    /// The statement of the fixtures that the engine refused and that the case's path names.
    pub lost: Option<String>,
    /// The first segments of its paths: relations and routines.
    pub objects: Vec<String>,
}

impl Outcome {
    pub fn percent(&self) -> f64 {
        100.0 * self.passed as f64 / self.total.max(1) as f64
    }

    pub fn summary(&self) -> String {
        format!("{} of {} cases ({:.1} %)", self.passed, self.total, self.percent())
    }

    /// Errors: fewer than `percent_min` of the cases passed.
    pub fn require(&self, percent_min: f64) -> Result<()> {
        if self.total > 0 && self.percent() >= percent_min {
            return Ok(());
        }
        let first: Vec<String> = self
            .failures
            .iter()
            .take(10)
            .map(|failure| format!("    {}\n        {}", failure.id, failure.why))
            .collect();
        let summary = self.summary();
        Err(Error::new(format!(
            "{summary}, {percent_min} % are needed; the first failures:\n{}",
            first.join("\n")
        )))
    }

    /// Adds another group's run.
    pub fn add(&mut self, other: Outcome) {
        self.passed += other.passed;
        self.total += other.total;
        for (module, (passed, total)) in other.modules {
            let row = self.modules.entry(module).or_default();
            *row = (row.0 + passed, row.1 + total);
        }
        self.failures.extend(other.failures);
        self.passed_ids.extend(other.passed_ids);
    }

    /// Names for each failure the refused statement that made what its path asks for.
    pub fn explain(&mut self, lost: &[Lost]) {
        for failure in &mut self.failures {
            let named = |lost: &&Lost| lost.object.as_ref().is_some_and(|name| failure.objects.contains(name));
            let gone = lost.iter().filter(named).find(|lost| !lost.replaced);
            failure.lost = gone.or_else(|| lost.iter().find(named)).map(|lost| {
                let form = if lost.replaced {
                    " (there in its portable form)"
                } else {
                    ""
                };
                format!("`{}`{form}: {}", lost.object.as_deref().unwrap_or(""), lost.why)
            });
        }
    }

    /// Reads the runner's result.
    pub fn read(text: &str) -> Result<Self> {
        let json = Json::parse(text).context("the conformance runner's result")?;
        let count = |json: &Json, name: &str| json.get(name).number().unwrap_or_default() as u64;
        let modules = json.get("modules").members().iter();
        let failures = json.get("failures").elements().iter().map(|failure| Failure {
            id: failure.get("id").str().unwrap_or("").to_owned(),
            why: failure
                .get("diffs")
                .elements()
                .first()
                .and_then(Json::str)
                .unwrap_or("")
                .to_owned(),
            lost: None,
            objects: failure
                .get("requests")
                .elements()
                .iter()
                .filter_map(|request| request.get("path").str())
                .map(object_of)
                .collect(),
        });
        let passed_ids = json.get("passed_ids").elements().iter().filter_map(Json::str);
        Ok(Outcome {
            passed: count(&json, "passed"),
            total: count(&json, "total"),
            modules: modules
                .map(|(name, row)| (name.clone(), (count(row, "passed"), count(row, "total"))))
                .collect(),
            failures: failures.collect(),
            passed_ids: passed_ids.map(str::to_owned).collect(),
        })
    }
}

/// `/rpc/search?id=1` asks for `search`, `/items?id=eq.1` for `items`.
fn object_of(path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path).trim_start_matches('/');
    path.strip_prefix("rpc/").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_add_up() {
        let one = r#"{"passed": 1, "total": 2, "modules": {"A": {"passed": 1, "total": 2}}, "passed_ids": ["A #0"],
            "failures": [{"id": "A #1", "diffs": [], "requests": [{"path": "/rpc/search?id=1"}]}]}"#;
        let mut sum = Outcome::default();
        sum.add(Outcome::read(one).unwrap());
        sum.add(Outcome::read(one).unwrap());
        assert_eq!((sum.passed, sum.total, sum.modules["A"]), (2, 4, (2, 4)));
        sum.explain(&[Lost {
            line: 1,
            object: Some("search".into()),
            why: "refused".into(),
            replaced: false,
        }]);
        assert_eq!(sum.failures[1].lost.as_deref(), Some("`search`: refused"));
    }

    #[test]
    fn a_result_below_the_threshold_is_refused() {
        let outcome = Outcome::read(r#"{"passed": 3, "total": 4, "failures": [{"id": "A / one #0", "diffs": ["x"]}]}"#);
        let outcome = outcome.unwrap();
        assert!(outcome.require(75.0).is_ok());
        let refused = outcome.require(75.1).unwrap_err().to_string();
        assert!(refused.contains("A / one #0"), "{refused}");
        let empty = Outcome::read("{}").unwrap();
        assert!(empty.require(0.0).is_err(), "no case is no success");
    }
}
