//! The public error codes: every code of ours that the source can answer with is explained in `docs/errors.md`.
//!
//! Only codes of the form `MS-ROOM-NUMBER` are looked at; those of protocols we speak are explained by their owners.

use crate::workspace::root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every `MS-ROOM-000` in `text`.
fn codes_in(text: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for (at, _) in text.match_indices("MS-") {
        let rest = &text[at + 3..];
        let room: String = rest.chars().take_while(char::is_ascii_uppercase).collect();
        let Some(digits) = rest[room.len()..].strip_prefix('-') else {
            continue;
        };
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        if !room.is_empty() && digits.len() == 3 {
            codes.insert(format!("MS-{room}-{digits}"));
        }
    }
    codes
}

/// The part of a source file that is neither a comment nor a test at its end.
fn code_of(source: &str) -> String {
    let library = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    library
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn sources(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn codes_are_found_outside_comments_and_tests() {
    let source = "//! MS-DATA-001\nconst A: Code = Code(\"MS-DATA-014\"); // MS-DATA-014\n#[cfg(test)]\nmod tests {\n\"MS-DATA-099\" }";
    assert_eq!(codes_in(&code_of(source)), BTreeSet::from(["MS-DATA-014".to_owned()]));
    assert!(codes_in("MS-DATA-1 MS--001 MS-data-001 MS-DATA-0001").is_empty());
}

#[test]
fn every_code_is_documented_and_every_documented_code_exists() {
    let mut files = BTreeMap::new();
    sources(&root().join("mainstay/src"), &mut files);
    for entry in std::fs::read_dir(root().join("crates")).unwrap().flatten() {
        sources(&entry.path().join("src"), &mut files);
    }
    assert!(files.len() > 5, "the sources were not found");

    let mut in_source: BTreeMap<String, String> = BTreeMap::new();
    for (path, source) in &files {
        for code in codes_in(&code_of(source)) {
            in_source.entry(code).or_insert_with(|| path.clone());
        }
    }
    let document = std::fs::read_to_string(root().join("docs/errors.md")).unwrap_or_default();
    // Retired codes stay listed, under this heading, so that nobody uses one again.
    let (current, retired) = document.split_once("## Retired").unwrap_or((&document, ""));
    let (current, retired) = (codes_in(current), codes_in(retired));

    let mut offences = Vec::new();
    for (code, path) in &in_source {
        if retired.contains(code) {
            offences.push(format!("{code} ({path}) is retired in docs/errors.md"));
        } else if !current.contains(code) {
            offences.push(format!("{code} ({path}) is not explained in docs/errors.md"));
        }
    }
    for code in current.iter().filter(|code| !in_source.contains_key(*code)) {
        offences.push(format!(
            "{code} is in docs/errors.md but no source answers with it; move it under `## Retired`"
        ));
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}
