//! Public projects' migrations on the embedded engine: how many of them it takes whole, and what stops the others.
//!
//! The projects are obtained for the run and stay outside the repository: a folder that holds one folder per project,
//! each with `supabase/migrations`. `--write` keeps the table in `docs/portability.md`.

use crate::process::say;
use crate::server::{Engine, Project};
use crate::setup::build_mainstay;
use crate::workspace::{copy_folder, root, write_section};
use crate::{Arguments, Context, Error, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What became of one project.
struct Outcome {
    name: String,
    migrations: usize,
    lines: usize,
    /// What stopped it, in the program's words.
    refusal: Option<String>,
}

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let from = arguments.value("--from")?;
    let write = arguments.switch("--write");
    arguments.finish()?;
    let from = from.ok_or_else(|| Error::new("`--from DIR` is needed: a folder of projects"))?;
    let binary = build_mainstay("dev")?;
    let mut outcomes = Vec::new();
    for folder in projects(Path::new(&from))? {
        let outcome = apply(&binary, &folder)?;
        let verdict = outcome.refusal.as_deref().unwrap_or("whole");
        say(format_args!("{}: {verdict}", outcome.name));
        outcomes.push(outcome);
    }
    if outcomes.is_empty() {
        return Err(Error::new(format!("{from} holds no project with supabase/migrations")));
    }
    let whole = outcomes.iter().filter(|outcome| outcome.refusal.is_none()).count();
    say(format_args!("{whole} of {} projects migrate whole", outcomes.len()));
    if write {
        let path = root().join("docs/portability.md");
        write_section(&path, "", "schemas", &table(&outcomes, whole))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The folders below `from` that are projects, in the order of their names.
fn projects(from: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(from).context(from.display())? {
        let path = entry?.path();
        if path.join("supabase/migrations").is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Applies a project's migrations, as they are, to an embedded database of its own.
fn apply(binary: &Path, folder: &Path) -> Result<Outcome> {
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let project = Project::new("schemas", Engine::Sqlite, None)?;
    let migrations = project.path().join("supabase/migrations");
    copy_folder(&folder.join("supabase/migrations"), &migrations, &|name| {
        name.ends_with(".sql")
    })?;
    project.write("supabase/config.toml", "project_id = \"schemas\"\n")?;
    let (mut count, mut lines) = (0, 0);
    for entry in std::fs::read_dir(&migrations)? {
        count += 1;
        lines += std::fs::read_to_string(entry?.path())?.lines().count();
    }
    let refusal = project
        .command(binary, &["migrate", "up"], &["--database-url", project.database_url()])
        .err()
        .map(|error| last_words(&error.to_string()));
    Ok(Outcome {
        name,
        migrations: count,
        lines,
        refusal,
    })
}

/// The line in which the program says what stopped it.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = lines
        .iter()
        .find_map(|line| line.split_once("error: ").map(|(_, said)| said));
    said.or(lines.last().copied()).unwrap_or_default().to_owned()
}

fn table(outcomes: &[Outcome], whole: usize) -> String {
    let mut text = String::from("| project | migrations | lines | on the embedded engine |\n|---|---:|---:|---|\n");
    for outcome in outcomes {
        let verdict = outcome.refusal.as_deref().unwrap_or("whole").replace('|', "\\|");
        // A string takes every write.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {verdict} |",
            outcome.name, outcome.migrations, outcome.lines
        );
    }
    let _ = writeln!(text, "\n{whole} of {} whole.", outcomes.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_stopped_a_project() {
        let outcomes = [("a", None), ("b", Some("line 3: not available"))].map(|(name, refusal)| Outcome {
            name: name.to_owned(),
            migrations: 2,
            lines: 30,
            refusal: refusal.map(str::to_owned),
        });
        let text = table(&outcomes, 1);
        assert!(
            text.contains("| a | 2 | 30 | whole |\n| b | 2 | 30 | line 3: not available |"),
            "{text}"
        );
        assert!(text.ends_with("1 of 2 whole.\n"), "{text}");
        assert_eq!(last_words("it failed: error: line 3\n    hint"), "line 3");
        assert_eq!(last_words("it failed\nwithout a word"), "without a word");
    }
}
