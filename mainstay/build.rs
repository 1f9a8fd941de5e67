//! Packs the shop example into the program, for `mainstay init --template shop`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let shop = manifest.join("../examples/shop");
    let mut files = Vec::new();
    collect(&shop, &mut files)?;
    files.sort();
    let mut source = String::from("[\n");
    for file in &files {
        let name = file
            .strip_prefix(&shop)
            .map_err(io::Error::other)?
            .to_string_lossy()
            .replace('\\', "/");
        let path = fs::canonicalize(file)?;
        writeln!(
            source,
            "    ({name:?}, include_str!({:?})),",
            path.display().to_string()
        )
        .map_err(io::Error::other)?;
    }
    source.push_str("]\n");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("shop_template.rs"), source)?;
    println!("cargo:rerun-if-changed={}", shop.display());
    Ok(())
}

/// The text files of the example: neither data nor what a package registry brings.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if path.is_dir() {
            if !matches!(name.as_str(), ".mainstay" | "vendor" | "node_modules") {
                collect(&path, files)?;
            }
        } else if matches!(
            path.extension().and_then(|extension| extension.to_str()),
            Some("toml" | "sql" | "html" | "css" | "js" | "json" | "svg" | "md" | "txt")
        ) {
            files.push(path);
        }
    }
    Ok(())
}
