//! A throw-away project folder.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The settings that tests start from.
const CONFIG: &str = "project_id = \"test\"\n[mainstay]\ngrants = \"closed\"\n";

/// A project in a folder that goes with it.
pub struct Project {
    dir: TempDir,
    migrations: u64,
}

impl Default for Project {
    fn default() -> Self {
        Project::new()
    }
}

impl Project {
    /// A project without migrations.
    pub fn new() -> Self {
        let project = Project {
            dir: tempfile::tempdir().unwrap(),
            migrations: 0,
        };
        fs::create_dir_all(project.path().join("supabase/migrations")).unwrap();
        project.file("supabase/config.toml", CONFIG)
    }

    /// A project with one migration.
    pub fn of(sql: &str) -> Self {
        Project::new().migration(sql)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Adds the next migration.
    pub fn migration(mut self, sql: &str) -> Self {
        self.migrations += 1;
        let name = format!("supabase/migrations/2024010100{:04}_m.sql", self.migrations);
        self.file(&name, sql)
    }

    /// Writes a file, in place of one that is there.
    pub fn file(self, path: &str, text: &str) -> Self {
        let path: PathBuf = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Adds lines to `config.toml`.
    pub fn config(self, lines: &str) -> Self {
        let text = fs::read_to_string(self.path().join("supabase/config.toml")).unwrap();
        self.file("supabase/config.toml", &format!("{text}{lines}\n"))
    }
}
