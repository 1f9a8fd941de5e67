//! The example shop with its rows, as a project of tests.

use std::path::{Path, PathBuf};

use mainstay_testing::Project;

pub const ADA: &str = "00000001-0000-4000-8000-000000000001";
pub const BRUNO: &str = "00000002-0000-4000-8000-000000000002";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop/supabase")
}

/// One of the shop's files, below `supabase/`.
pub fn text(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap()
}

/// The shop's migrations, and its rows as one more: a server that is no `dev` does not seed.
pub fn project() -> Project {
    let mut project = Project::new();
    for name in ["20260105090000_shop.sql", "20260105090100_access.sql"] {
        project = project.file(
            &format!("supabase/migrations/{name}"),
            &text(&format!("migrations/{name}")),
        );
    }
    project
        .file("supabase/config.toml", &text("config.toml"))
        .file("supabase/migrations/20260105090200_rows.sql", &text("seed.sql"))
}
