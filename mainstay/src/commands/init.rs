//! `mainstay init`: a new project.

use std::fs;
use std::path::Path;

use super::CommandError;
use crate::cli::{Init, Template};

const CONFIG: &str = r#"# Settings of this project, in the format of the Supabase command line.
# Keys under [mainstay] are Mainstay's own; [rest] takes PostgREST's settings with `_` for `-`.
project_id = "PROJECT"

[api]
port = 54321
schemas = ["public"]
extra_search_path = ["public"]
max_rows = 1000

[db]
major_version = 15

[db.seed]
enabled = true
sql_paths = ["./seed.sql"]

[mainstay]
# "closed": nothing is readable until a migration grants it. "classic": Supabase's automatic grants.
grants = "closed"
"#;

const SEED: &str = "-- Rows for development; run once, when the database is empty.\n";

const GITIGNORE: &str = ".mainstay/\n.env\n";

/// The shop's files, carried in the program: path below the project, text.
const SHOP: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/shop_template.rs"));

/// Makes the project.
pub fn run(init: &Init) -> Result<(), CommandError> {
    let dir = &init.dir;
    if dir.join("supabase").exists() {
        return Err(CommandError::Other(format!(
            "{} already holds a project",
            dir.display()
        )));
    }
    match init.template {
        Template::Empty => {
            let name = fs::canonicalize(dir)
                .unwrap_or_else(|_| dir.clone())
                .file_name()
                .map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned());
            let name: String = name
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
                .collect();
            write(dir, "supabase/config.toml", &CONFIG.replace("PROJECT", &name))?;
            write(dir, "supabase/seed.sql", SEED)?;
            let migrations = dir.join("supabase/migrations");
            fs::create_dir_all(&migrations).map_err(|error| cannot(&migrations, &error))?;
        }
        Template::Shop => {
            for (path, text) in SHOP {
                write(dir, path, text)?;
            }
        }
    }
    if !dir.join(".gitignore").exists() {
        write(dir, ".gitignore", GITIGNORE)?;
    }
    println!("Made a project in {}.", dir.display());
    println!("Next: mainstay dev {}", dir.display());
    Ok(())
}

fn write(dir: &Path, path: &str, text: &str) -> Result<(), CommandError> {
    let path = dir.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| cannot(parent, &error))?;
    }
    fs::write(&path, text).map_err(|error| cannot(&path, &error))
}

fn cannot(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::Other(format!("cannot write {}: {error}", path.display()))
}
