//! The project's SQL files.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_core::backend::Migration;

use crate::error::Error;

/// The digits of a migration's version: `YYYYMMDDhhmmss`.
const VERSION_DIGITS: usize = 14;

/// A project folder's `supabase/` part.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
}

/// A migration that is for one kind of engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    Postgres,
    Embedded,
}

impl Project {
    /// The project in `root` (the folder that holds `supabase/`).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Project { root: root.into() }
    }

    /// Where migrations are.
    pub fn migrations_dir(&self) -> PathBuf {
        self.root.join("supabase").join("migrations")
    }

    /// A migration's file, relative to the project's folder.
    pub fn file_of(migration: &Migration) -> String {
        match migration.name.as_str() {
            "" => format!("supabase/migrations/{}.sql", migration.version),
            name => format!("supabase/migrations/{}_{name}.sql", migration.version),
        }
    }

    /// Reads all migrations in order of version. A project without the folder has none.
    pub fn migrations(&self) -> Result<Vec<Migration>, Error> {
        let dir = self.migrations_dir();
        if !dir.exists() {
            return Ok(Vec::new());
        }
        let mut found: Vec<Migration> = Vec::new();
        for entry in fs::read_dir(&dir).map_err(|source| Error::File {
            path: dir.clone(),
            source,
        })? {
            let path = entry
                .map_err(|source| Error::File {
                    path: dir.clone(),
                    source,
                })?
                .path();
            if path.extension().is_none_or(|extension| extension != "sql") {
                continue;
            }
            let file = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let (version, name) = split_name(&file).ok_or_else(|| Error::BadName(file.clone()))?;
            let sql = read(&path)?;
            found.push(Migration { version, name, sql });
        }
        found.sort_by(|a, b| a.version.cmp(&b.version));
        if let Some(pair) = found.windows(2).find(|pair| pair[0].version == pair[1].version) {
            return Err(Error::Duplicate(pair[0].version.clone()));
        }
        Ok(found)
    }

    /// Writes an empty migration and returns its path. `version`: 14 digits.
    pub fn new_migration(&self, version: &str, name: &str) -> Result<PathBuf, Error> {
        let slug: String = name
            .trim()
            .chars()
            .map(|c| {
                if c.is_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '_'
                }
            })
            .collect();
        if slug.chars().all(|letter| letter == '_') {
            return Err(Error::NoName);
        }
        let dir = self.migrations_dir();
        fs::create_dir_all(&dir).map_err(|source| Error::File {
            path: dir.clone(),
            source,
        })?;
        let is_taken = self.migrations()?.iter().any(|migration| migration.version == version);
        if is_taken {
            return Err(Error::Duplicate(version.to_owned()));
        }
        let path = dir.join(format!("{version}_{slug}.sql"));
        let text = format!("-- {}\n", name.trim());
        fs::write(&path, text).map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    /// Reads the seed files that exist, in the order given (relative to `supabase/`).
    pub fn seeds(&self, paths: &[String]) -> Result<Vec<(PathBuf, String)>, Error> {
        let base = self.root.join("supabase");
        paths
            .iter()
            .map(|path| base.join(path))
            .filter(|path| path.exists())
            .map(|path| read(&path).map(|text| (path, text)))
            .collect()
    }
}

/// Which engine a migration is for: its first line may say `-- mainstay: only postgres` or `only embedded`.
pub fn only(sql: &str) -> Option<Only> {
    let line = sql
        .lines()
        .next()?
        .trim()
        .strip_prefix("--")?
        .trim()
        .strip_prefix("mainstay:")?
        .trim();
    match line {
        "only postgres" => Some(Only::Postgres),
        "only embedded" => Some(Only::Embedded),
        _ => None,
    }
}

fn split_name(file: &str) -> Option<(String, String)> {
    let stem = file.strip_suffix(".sql")?;
    let (version, name) = stem.split_once('_').unwrap_or((stem, ""));
    let good = version.len() == VERSION_DIGITS && version.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| (version.to_owned(), name.to_owned()))
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// False for a text of blanks, comments and semicolons.
pub fn has_statement(sql: &str) -> bool {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ';');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if rest.starts_with("/*") {
            match after_comment(rest) {
                Some(after) => rest = after,
                // It has no end: PostgreSQL says so.
                None => return true,
            }
        } else {
            return !rest.is_empty();
        }
    }
}

/// What follows the block comment that `text` begins with; they nest (PostgreSQL manual, 4.1.5).
fn after_comment(text: &str) -> Option<&str> {
    let (mut depth, mut rest) = (0, text);
    loop {
        match (rest.find("/*"), rest.find("*/")) {
            (Some(open), Some(close)) if open < close => (depth, rest) = (depth + 1, &rest[open + 2..]),
            (_, Some(close)) => (depth, rest) = (depth - 1, &rest[close + 2..]),
            (_, None) => return None,
        }
        if depth <= 0 {
            return Some(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_come_in_order_and_bad_names_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::new(dir.path());
        assert!(project.migrations().unwrap().is_empty());
        let second = project.new_migration("20240102000000", "Add orders").unwrap();
        assert!(second.ends_with("20240102000000_add_orders.sql"));
        project.new_migration("20240101000000", "first").unwrap();
        let versions: Vec<String> = project.migrations().unwrap().into_iter().map(|m| m.version).collect();
        assert_eq!(versions, ["20240101000000", "20240102000000"]);
        fs::write(project.migrations_dir().join("1_short.sql"), "").unwrap();
        assert!(matches!(project.migrations(), Err(Error::BadName(_))));
    }

    #[test]
    fn the_first_line_may_choose_the_engine() {
        assert_eq!(only("-- mainstay: only postgres\nselect 1"), Some(Only::Postgres));
        assert_eq!(only("--mainstay: only embedded"), Some(Only::Embedded));
        assert_eq!(only("select 1 -- mainstay: only postgres"), None);
    }

    #[test]
    fn a_text_without_a_statement_is_told() {
        for empty in ["", "-- notes\n", " ;; \n", "/* a /* b */ c */ -- d", "-- a"] {
            assert!(!has_statement(empty), "{empty:?}");
        }
        for full in [
            "select 1",
            "-- a\nselect 1",
            "/* a */ create table t ()",
            "/* no end",
            "/* a /* b */",
        ] {
            assert!(has_statement(full), "{full:?}");
        }
    }
}
