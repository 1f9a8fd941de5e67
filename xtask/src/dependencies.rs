//! The dependency rule of the workspace: which of our crates may name which.
//!
//! `ARCHITECTURE.md` draws it. A crate that is in no list here is refused until somebody decides where it stands.

use crate::json::Json;
use crate::process::{cargo, output};
use std::collections::BTreeMap;

/// Rooms: each may name `core` and `http`, and no other room.
const ROOMS: &[&str] = &[
    "mainstay-schema",
    "mainstay-data",
    "mainstay-auth",
    "mainstay-realtime",
    "mainstay-storage",
    "mainstay-functions",
    "mainstay-console",
    "mainstay-ops",
];
const BACKENDS: &[&str] = &["mainstay-backend-sqlite", "mainstay-backend-postgres"];
/// Crates that stand alone: they measure or build the others from outside.
const OUTSIDE: &[&str] = &["xtask", "mainstay-bench-floor", "mainstay-bench-load"];
/// The differential fuzzer.
const FUZZ: &str = "mainstay-fuzz";
/// Who alone may name a library, because the rest of the tree must not know it.
const KEEPERS: &[(&str, &[&str])] = &[
    ("pg_query", &["mainstay-sql"]),
    (
        "rusqlite",
        &["mainstay-backend-sqlite", "mainstay-bench-floor", "mainstay-testing"],
    ),
    (
        "tokio-postgres",
        &[
            "mainstay-backend-postgres",
            "mainstay-bench-floor",
            "mainstay-testing",
            "mainstay-fuzz",
        ],
    ),
];

/// Whether the library code of `from` may name `to`, both ours.
fn may_name(from: &str, to: &str) -> bool {
    const CORE: &str = "mainstay-core";
    const SQL: &str = "mainstay-sql";
    match from {
        "mainstay" => to != "mainstay-testing" && to != FUZZ && !OUTSIDE.contains(&to),
        "mainstay-core" => false,
        "mainstay-sql" | "mainstay-http" => to == CORE,
        // Asks the embedded engine in its own process; only `xtask` starts it.
        FUZZ => to == CORE || to == SQL || BACKENDS.contains(&to),
        "mainstay-testing" => to == CORE || to == SQL || BACKENDS.contains(&to),
        "mainstay-schema" => [CORE, SQL, "mainstay-http"].contains(&to),
        _ if BACKENDS.contains(&from) => [CORE, SQL].contains(&to),
        _ if ROOMS.contains(&from) => [CORE, "mainstay-http"].contains(&to),
        _ => false,
    }
}

/// Whether tests of `from` may name `to`: what the library may, and `testing`, which brings the backends.
fn may_name_in_tests(from: &str, to: &str) -> bool {
    if OUTSIDE.contains(&from) {
        return false;
    }
    may_name(from, to) || to == "mainstay-testing"
}

#[derive(Debug)]
struct Crate {
    name: String,
    library: Vec<String>,
    tests: Vec<String>,
}

fn crates() -> Vec<Crate> {
    let text = output(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--locked"])).unwrap();
    let metadata = Json::parse(&text).unwrap();
    let mut crates = Vec::new();
    for package in metadata.get("packages").elements() {
        let mut found = Crate {
            name: package.get("name").str().unwrap().to_owned(),
            library: vec![],
            tests: vec![],
        };
        for dependency in package.get("dependencies").elements() {
            let name = dependency.get("name").str().unwrap().to_owned();
            let list = if dependency.get("kind").str() == Some("dev") {
                &mut found.tests
            } else {
                &mut found.library
            };
            list.push(name);
        }
        crates.push(found);
    }
    crates
}

#[test]
fn the_tree_keeps_the_dependency_rule() {
    let crates = crates();
    assert!(crates.len() > 5, "{crates:?}");
    let ours: BTreeMap<&str, &Crate> = crates.iter().map(|krate| (krate.name.as_str(), krate)).collect();
    let mut offences = Vec::new();
    for krate in &crates {
        for to in krate.library.iter().filter(|to| ours.contains_key(to.as_str())) {
            if !may_name(&krate.name, to) {
                offences.push(format!("{} must not depend on {to}", krate.name));
            }
        }
        for to in krate.tests.iter().filter(|to| ours.contains_key(to.as_str())) {
            if !may_name_in_tests(&krate.name, to) {
                offences.push(format!("the tests of {} must not depend on {to}", krate.name));
            }
        }
        for (library, keepers) in KEEPERS {
            if krate.library.iter().any(|to| to == library) && !keepers.contains(&krate.name.as_str()) {
                offences.push(format!(
                    "only {} may depend on {library}, not {}",
                    keepers.join(" and "),
                    krate.name
                ));
            }
        }
    }
    assert!(
        offences.is_empty(),
        "{}\nsee the dependency rule in ARCHITECTURE.md",
        offences.join("\n")
    );
}

#[test]
fn rooms_do_not_name_each_other() {
    for from in ROOMS {
        for to in ROOMS {
            assert!(!may_name(from, to), "{from} → {to}");
        }
        assert!(!may_name(from, "mainstay-backend-sqlite"));
        assert!(!may_name("mainstay-core", from));
    }
    assert!(!may_name("mainstay-data", "mainstay-sql"));
    assert!(may_name("mainstay-schema", "mainstay-sql"));
    assert!(!may_name("mainstay-unheard-of", "mainstay-core"));
}
