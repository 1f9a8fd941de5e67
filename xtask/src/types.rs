//! `mainstay types` under the TypeScript compiler: programs with the published `supabase-js` that must type-check, and
//! lines of them that must not, each with the error that stands above it.

use crate::postgres::{Cluster, Durability};
use crate::process::{say, show};
use crate::server::{ENGINES, Engine, Project};
use crate::setup::{Need, build_mainstay, ensure, install_client};
use crate::workspace::{copy_folder, link, root};
use crate::{Arguments, Context, Error, Result};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// A line after a comment that begins so must be refused, with the code that follows.
const REFUSED: &str = "// @ts-expect-error ";

const CONFIG: &str = "project_id = \"library\"\n\n[api]\nschemas = [\"public\", \"stacks\"]\n";

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    arguments.finish()?;
    let binary = build_mainstay("dev")?;
    let cluster = Cluster::start(Durability::None)?;
    check(&binary, &cluster)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the types of the shop and of the library on both engines, and compiles the programs with them.
///
/// Errors: the engines' types differ, a program does not compile, or a line compiles that must not.
pub fn check(binary: &Path, cluster: &Cluster) -> Result<()> {
    ensure(&[Need::Node])?;
    install_client()?;
    let mut faults = Vec::new();
    for (name, fill, program) in [
        ("shop", shop as fn(&Project) -> Result<()>, "shop.ts"),
        ("library", library, "library.ts"),
    ] {
        let mut texts = Vec::new();
        for engine in ENGINES {
            let project = Project::new(&format!("types-{name}"), engine, Some(cluster))?;
            fill(&project)?;
            texts.push(types(binary, &project)?);
        }
        if texts.windows(2).any(|pair| pair[0] != pair[1]) {
            faults.push(format!("the types of the {name} are not the same on both engines"));
        }
        for text in texts.iter().collect::<BTreeSet<_>>() {
            faults.extend(compile(text, program)?);
        }
        say(format_args!("{program} with the types of the {name}"));
    }
    // Composite types, materialised views: what only PostgreSQL has.
    let project = Project::new("types-postgres", Engine::Postgres, Some(cluster))?;
    library(&project)?;
    project.write(
        "supabase/migrations/20260101000001_postgres.sql",
        &source("library.postgres.sql")?,
    )?;
    let text = types(binary, &project)?;
    for program in ["library.ts", "library.postgres.ts"] {
        faults.extend(compile(&text, program)?);
        say(format_args!(
            "{program} with the types of the library on PostgreSQL alone"
        ));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::new(faults.join("\n"))),
    }
}

fn shop(project: &Project) -> Result<()> {
    copy_folder(&root().join("examples/shop"), project.path(), &|name| {
        name != ".mainstay"
    })
}

fn library(project: &Project) -> Result<()> {
    project.write("supabase/config.toml", CONFIG)?;
    project.write(
        "supabase/migrations/20260101000000_library.sql",
        &source("library.sql")?,
    )
}

fn source(name: &str) -> Result<String> {
    let path = root().join("e2e/types").join(name);
    std::fs::read_to_string(&path).context(path.display())
}

/// Applies the project's migrations and takes its types.
fn types(binary: &Path, project: &Project) -> Result<String> {
    let database = ["--database-url", project.database_url()];
    project.command(binary, &["migrate", "up"], &database)?;
    project.command(binary, &["types"], &database)
}

/// What is wrong with `program` under these types.
fn compile(types: &str, program: &str) -> Result<Vec<String>> {
    let text = source(program)?;
    let folder = crate::process::Scratch::new("tsc")?;
    link(&root().join("e2e/node_modules"), &folder.path().join("node_modules"))?;
    std::fs::write(folder.path().join("database.types.ts"), types)?;
    // As it stands: every error is one that is expected, and none that is expected is missing.
    std::fs::write(folder.path().join("program.ts"), &text)?;
    let mut faults: Vec<String> = compiler(folder.path())?
        .into_iter()
        .map(|error| format!("{program}: {error}"))
        .collect();
    // Without the comments: they are the errors that the comments name.
    std::fs::write(folder.path().join("program.ts"), text.replace(REFUSED, "// "))?;
    let found: BTreeSet<(usize, String)> = compiler(folder.path())?.iter().filter_map(|line| place(line)).collect();
    let wanted = expected(&text);
    for (line, code) in wanted.difference(&found) {
        faults.push(format!("{program}:{line}: not refused with {code}"));
    }
    for (line, code) in found.difference(&wanted) {
        faults.push(format!("{program}:{line}: refused with {code}"));
    }
    if wanted.is_empty() {
        faults.push(format!("{program} has no line that must be refused"));
    }
    Ok(faults)
}

/// The compiler's errors on `program.ts`, a line for each.
fn compiler(folder: &Path) -> Result<Vec<String>> {
    let mut command = Command::new("node");
    command
        .arg(root().join("e2e/node_modules/typescript/bin/tsc"))
        .args(["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"])
        .args([
            "--module",
            "esnext",
            "--moduleResolution",
            "bundler",
            "--pretty",
            "false",
        ])
        .arg("program.ts")
        .current_dir(folder)
        .stdin(Stdio::null());
    let shown = show(&command);
    let output = command.output().context(&shown)?;
    let text = String::from_utf8_lossy(&output.stdout);
    // What explains an error is indented below it.
    let errors: Vec<String> = text
        .lines()
        .filter(|line| line.contains(": error TS"))
        .map(str::to_owned)
        .collect();
    match output.status.success() == errors.is_empty() {
        true => Ok(errors),
        false => Err(Error::new(format!(
            "`{shown}` ({}): {text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}

/// Line and code of `program.ts(12,3): error TS2345: …`.
fn place(error: &str) -> Option<(usize, String)> {
    let (line, rest) = error.strip_prefix("program.ts(")?.split_once(',')?;
    let (_, rest) = rest.split_once(": error ")?;
    let (code, _) = rest.split_once(':')?;
    Some((line.parse().ok()?, code.to_owned()))
}

/// Line and code of every error that a program announces on the line before.
fn expected(program: &str) -> BTreeSet<(usize, String)> {
    program
        .lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let (code, _) = line.trim_start().strip_prefix(REFUSED)?.split_once(':')?;
            Some((index + 2, code.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{expected, place};

    #[test]
    fn errors_are_found_by_line_and_code() {
        let program = "one()\n  // @ts-expect-error TS2345: why\n  two()\n";
        assert_eq!(
            expected(program).into_iter().collect::<Vec<_>>(),
            [(3, "TS2345".to_owned())]
        );
        assert_eq!(
            place("program.ts(3,5): error TS2345: Argument of type"),
            Some((3, "TS2345".to_owned()))
        );
        assert_eq!(place("error TS5023: Unknown compiler option"), None);
    }
}
