//! Where things are: the repository's root, the shared folder beside it, the target folder, documents kept by a task.

use crate::{Context, Error, Result};
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The folder beside the repository that holds the conformance suites, if it is there.
pub fn shared() -> Option<PathBuf> {
    let shared = root().parent()?.join("shared").join("conformance");
    shared.is_dir().then_some(shared)
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root().join(target),
        None => root().join("target"),
    }
}

/// The program as cargo names it.
pub fn binary(profile: &str, name: &str) -> PathBuf {
    let folder = if profile == "dev" { "debug" } else { profile };
    target()
        .join(folder)
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Makes `to` stand for the folder `from`.
#[cfg(unix)]
pub fn link(from: &Path, to: &Path) -> Result<()> {
    std::os::unix::fs::symlink(from, to).context(to.display())
}

/// Makes `to` stand for the folder `from`.
#[cfg(not(unix))]
pub fn link(from: &Path, to: &Path) -> Result<()> {
    copy_folder(from, to, &|_| true)
}

/// Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a document and keeps the rest.
///
/// Errors: the document has no such pair.
pub fn replace_section(document: &str, name: &str, body: &str) -> Result<String> {
    let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let missing = || Error::new(format!("the document has no section between `{open}` and `{close}`"));
    let start = document.find(&open).ok_or_else(missing)? + open.len();
    let end = start + document[start..].find(&close).ok_or_else(missing)?;
    Ok(format!(
        "{}\n{}\n{}",
        &document[..start],
        body.trim_end(),
        &document[end..]
    ))
}

/// Replaces a section of the document at `path`; a document that is not there yet starts as `empty`.
pub fn write_section(path: &Path, empty: &str, name: &str, body: &str) -> Result<()> {
    let document = if path.exists() {
        std::fs::read_to_string(path)?
    } else {
        empty.to_owned()
    };
    let document = replace_section(&document, name, body).context(path.display())?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, document).context(path.display())
}

/// Copies a folder with everything in it, leaving out names that `keep` refuses.
pub fn copy_folder(from: &Path, to: &Path, keep: &dyn Fn(&str) -> bool) -> Result<()> {
    std::fs::create_dir_all(to).context(to.display())?;
    for entry in std::fs::read_dir(from).context(from.display())? {
        let entry = entry?;
        let name = entry.file_name();
        if !keep(&name.to_string_lossy()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to.join(name), keep)?;
        } else {
            std::fs::copy(entry.path(), to.join(name)).context(entry.path().display())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let document = "# Title\n<!-- table -->\nold\n<!-- /table -->\nafter\n";
        let replaced = replace_section(document, "table", "new\n").unwrap();
        assert_eq!(replaced, "# Title\n<!-- table -->\nnew\n<!-- /table -->\nafter\n");
        assert_eq!(replace_section(&replaced, "table", "new").unwrap(), replaced);
        assert!(replace_section(document, "other", "").is_err());
    }
}
