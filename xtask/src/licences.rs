//! Checks what `deny.toml` says about dependencies: licences, banned crates, sources.
//!
//! `cargo deny check` is the full tool; building it takes longer than all our tests, so this module checks the same three
//! lists from `cargo metadata` and needs nothing installed. Both read one file.
//!
//! Source: SPDX specification, annex "License expressions"; `/` for OR is what old manifests wrote.

use crate::json::Json;
use crate::process::{cargo, output};
use crate::workspace::root;
use crate::{Context, Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The lists of `deny.toml` that are checked here.
#[derive(Debug, Default, PartialEq)]
pub struct Rules {
    /// Licences that may stand in an expression, as `id` or `id WITH exception`.
    allow: BTreeSet<String>,
    /// More licences for one crate, by the crate's name.
    exceptions: BTreeMap<String, BTreeSet<String>>,
    /// Crates that must not be in the tree.
    deny: BTreeSet<String>,
}

/// Checks every crate that a build of the workspace can reach. Returns how many; the error lists each offence.
pub fn check() -> Result<usize> {
    let rules = Rules::parse(&std::fs::read_to_string(root().join("deny.toml")).context("deny.toml")?)?;
    let metadata = output(cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata = Json::parse(&metadata).context("cargo metadata")?;
    // The resolve graph of `cargo metadata` also holds optional crates that no feature turns on; the tree does not.
    let tree = [
        "tree",
        "--workspace",
        "--locked",
        "--target",
        "all",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
    ];
    let tree = output(cargo().args(tree).args(["--format", "{p}"]))?;
    let (checked, offences) = offences(&metadata, &built(&tree), &rules)?;
    if offences.is_empty() {
        Ok(checked)
    } else {
        Err(Error::new(offences.join("\n")))
    }
}

fn offences(metadata: &Json, built: &BTreeSet<String>, rules: &Rules) -> Result<(usize, Vec<String>)> {
    let mut checked = 0;
    let mut offences = Vec::new();
    let mut registry = None;
    for package in metadata.get("packages").elements() {
        let (Some(name), Some(version)) = (package.get("name").str(), package.get("version").str()) else {
            continue;
        };
        if !built.contains(&format!("{name} {version}")) {
            continue;
        }
        checked += 1;
        if rules.deny.contains(name) {
            offences.push(format!("{name} {version} is banned by deny.toml"));
        }
        match package.get("source").str() {
            None => {}
            Some(source) if source.starts_with("registry+") && *registry.get_or_insert(source) == source => {}
            Some(_) => offences.push(format!(
                "{name} {version} does not come from the one registry that all others come from"
            )),
        }
        let Some(licence) = package.get("license").str() else {
            offences.push(format!("{name} {version} names no licence"));
            continue;
        };
        match Expression::parse(licence) {
            Err(reason) => offences.push(format!("{name} {version}: cannot read `{licence}`: {reason}")),
            Ok(expression) => {
                let extra = rules.exceptions.get(name);
                let allowed =
                    |licence: &str| rules.allow.contains(licence) || extra.is_some_and(|e| e.contains(licence));
                if !expression.is_satisfied(&allowed) {
                    offences.push(format!("{name} {version}: `{licence}` is not allowed by deny.toml"));
                }
            }
        }
    }
    if checked < built.len() || checked == 0 {
        return Err(Error::new(format!(
            "`cargo metadata` describes {checked} of the {} crates that are built",
            built.len()
        )));
    }
    Ok((checked, offences))
}

/// `name version` of each crate in the output of `cargo tree --prefix none --format {p}`.
fn built(tree: &str) -> BTreeSet<String> {
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some(format!("{name} {version}"))
    });
    crates.collect()
}

/// A licence expression.
#[derive(Debug, PartialEq)]
enum Expression {
    /// `MIT`, or `Apache-2.0 WITH LLVM-exception`.
    Licence(String),
    Any(Vec<Expression>),
    All(Vec<Expression>),
}

impl Expression {
    /// Reads OR, AND, WITH and parentheses; AND binds tighter than OR, WITH tighter than both.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
        let expression = Self::any(&mut words)?;
        match words.pop() {
            None => Ok(expression),
            Some(word) => Err(format!("`{word}` is not expected")),
        }
    }

    fn any(words: &mut Vec<&str>) -> std::result::Result<Self, String> {
        let mut terms = vec![Self::all(words)?];
        while words.pop_if(|word| word.eq_ignore_ascii_case("OR")).is_some() {
            terms.push(Self::all(words)?);
        }
        Ok(Self::one_or(terms, Expression::Any))
    }

    fn all(words: &mut Vec<&str>) -> std::result::Result<Self, String> {
        let mut terms = vec![Self::term(words)?];
        while words.pop_if(|word| word.eq_ignore_ascii_case("AND")).is_some() {
            terms.push(Self::term(words)?);
        }
        Ok(Self::one_or(terms, Expression::All))
    }

    fn term(words: &mut Vec<&str>) -> std::result::Result<Self, String> {
        match words.pop() {
            Some("(") => {
                let inner = Self::any(words)?;
                match words.pop() {
                    Some(")") => Ok(inner),
                    _ => Err("`)` is missing".to_owned()),
                }
            }
            Some(word) if is_id(word) => {
                if words.pop_if(|next| next.eq_ignore_ascii_case("WITH")).is_none() {
                    return Ok(Expression::Licence(word.to_owned()));
                }
                match words.pop() {
                    Some(exception) if is_id(exception) => Ok(Expression::Licence(format!("{word} WITH {exception}"))),
                    _ => Err("`WITH` needs an exception".to_owned()),
                }
            }
            Some(word) => Err(format!("`{word}` is not a licence")),
            None => Err("a licence is missing".to_owned()),
        }
    }

    fn one_or(mut terms: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
        match terms.pop() {
            Some(only) if terms.is_empty() => only,
            last => {
                terms.extend(last);
                many(terms)
            }
        }
    }

    fn is_satisfied(&self, allowed: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Expression::Licence(licence) => allowed(licence),
            Expression::Any(terms) => terms.iter().any(|term| term.is_satisfied(allowed)),
            Expression::All(terms) => terms.iter().all(|term| term.is_satisfied(allowed)),
        }
    }
}

fn is_id(word: &str) -> bool {
    let reserved = ["OR", "AND", "WITH"]
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword));
    !reserved
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+' | ':'))
}

impl Rules {
    /// Reads the few keys of `deny.toml` named in this type. Errors: `licenses.allow` is missing or empty.
    fn parse(text: &str) -> Result<Self> {
        let mut rules = Rules::default();
        for (section, key, value) in entries(text) {
            match (section.as_str(), key.as_str()) {
                ("licenses", "allow") => rules.allow = strings(&value).into_iter().collect(),
                ("licenses", "exceptions") => {
                    for table in value.split('{').skip(1) {
                        let (Some(name), Some((_, allow))) = (strings(table).into_iter().next(), table.split_once('['))
                        else {
                            return Err(Error::new(format!(
                                "deny.toml: cannot read the exception `{}`",
                                table.trim()
                            )));
                        };
                        rules.exceptions.insert(name, strings(allow).into_iter().collect());
                    }
                }
                ("bans", "deny") => rules.deny = strings(&value).into_iter().collect(),
                _ => {}
            }
        }
        if rules.allow.is_empty() {
            return Err(Error::new("deny.toml: `licenses.allow` is empty"));
        }
        Ok(rules)
    }
}

/// `(section, key, value text)` of each key; an array over several lines is one value.
fn entries(text: &str) -> Vec<(String, String, String)> {
    let mut entries: Vec<(String, String, String)> = Vec::new();
    let mut section = String::new();
    let mut open = 0;
    for line in text.lines() {
        let line = without_comment(line);
        let brackets = line.matches('[').count() as i32 - line.matches(']').count() as i32;
        if open > 0 {
            if let Some((_, _, value)) = entries.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
            open += brackets;
        } else if let Some((key, value)) = line.split_once('=') {
            entries.push((section.clone(), key.trim().to_owned(), value.to_owned()));
            open = brackets;
        } else if let Some(name) = line.trim().strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        }
    }
    entries
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

/// The texts between double quotes.
fn strings(text: &str) -> Vec<String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(expression: &str, allowed: &[&str]) -> bool {
        Expression::parse(expression)
            .unwrap()
            .is_satisfied(&|licence| allowed.contains(&licence))
    }

    #[test]
    fn an_expression_is_read_as_spdx_says() {
        assert!(allows("MIT OR Apache-2.0", &["MIT"]));
        assert!(!allows("MIT AND Apache-2.0", &["MIT"]));
        // AND binds tighter: MIT OR (GPL AND ISC).
        assert!(allows("MIT OR GPL-3.0 AND ISC", &["MIT"]));
        assert!(!allows("(MIT OR GPL-3.0) AND ISC", &["MIT"]));
        assert!(allows("(MIT OR Apache-2.0) AND Unicode-3.0", &["MIT", "Unicode-3.0"]));
        assert!(allows("Apache-2.0 / MIT", &["MIT"]));
        assert!(allows("Unlicense/MIT", &["MIT"]));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(!allows("Apache-2.0 WITH LLVM-exception", &["Apache-2.0"]));
        assert!(allows("Apache-2.0 WITH LLVM-exception OR MIT", &["MIT"]));
        assert!(allows(
            "Apache-2.0 WITH LLVM-exception",
            &["Apache-2.0 WITH LLVM-exception"]
        ));
    }

    #[test]
    fn a_broken_expression_is_refused() {
        for text in [
            "",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT Apache-2.0",
            "AND MIT",
            "MIT WITH",
            "M!T",
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_rules_are_read() {
        let rules = Rules::parse(
            "[graph]\nall-features = true\n[licenses]\nallow = [\n  \"MIT\", # a comment, \"not this\"\n  \"ISC\",\n]\n\
             exceptions = [\n  { crate = \"odd\", allow = [\"CC0-1.0\"] },\n]\n[bans]\ndeny = [{ crate = \"openssl\" }, { crate = \"ring\" }]\n",
        )
        .unwrap();
        assert_eq!(rules.allow, BTreeSet::from(["MIT".to_owned(), "ISC".to_owned()]));
        assert!(rules.exceptions["odd"].contains("CC0-1.0"));
        assert_eq!(rules.deny, BTreeSet::from(["openssl".to_owned(), "ring".to_owned()]));
        assert!(Rules::parse("[licenses]\nallow = []").is_err());
    }

    #[test]
    fn an_offence_is_found_in_what_is_built() {
        let metadata = Json::parse(
            r#"{"packages": [
                  {"name": "ours", "version": "1.0", "license": "MIT", "source": null},
                  {"name": "gpl", "version": "2.0", "license": "GPL-3.0", "source": "registry+x"},
                  {"name": "git", "version": "3.0", "license": "MIT", "source": "git+x"},
                  {"name": "none", "version": "4.0", "license": null, "source": "registry+x"},
                  {"name": "unused", "version": "5.0", "license": "GPL-3.0", "source": "registry+x"}]}"#,
        )
        .unwrap();
        let tree = "ours v1.0 (/here)\ngpl v2.0\n\ngit v3.0 (x)\nnone v4.0 (proc-macro)\ngpl v2.0 (*)\n";
        let rules = Rules {
            allow: BTreeSet::from(["MIT".to_owned()]),
            ..Rules::default()
        };
        let (checked, found) = offences(&metadata, &built(tree), &rules).unwrap();
        assert_eq!(checked, 4);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(offences(&metadata, &built("other v1.0"), &rules).is_err());
    }
}
