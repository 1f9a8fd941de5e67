//! Says in one line what to install when libclang is missing, before `pg_query`'s build fails with a page of text.
//!
//! Has no dependencies, so that it runs first. Looks where `clang-sys` looks; a miss here is only reported when
//! nothing was found anywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBCLANG_PATH");
    println!("cargo::rerun-if-env-changed=LIBCLANG_STATIC_PATH");
    println!("cargo::rerun-if-changed=build.rs");
    if !is_installed() {
        // Cargo prints this as one line and ends the build.
        println!(
            "cargo::error=libclang is missing, which the SQL parser needs to build; install it: {}",
            advice()
        );
    }
}

fn advice() -> &'static str {
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("macos") => "brew install llvm",
        Ok("windows") => "winget install LLVM.LLVM",
        _ => "apt-get install libclang-dev",
    }
}

fn is_installed() -> bool {
    if std::env::var_os("LIBCLANG_STATIC_PATH").is_some() {
        return true;
    }
    if let Some(path) = std::env::var_os("LIBCLANG_PATH") {
        let path = PathBuf::from(path);
        return is_libclang(&path) || holds_libclang(&path);
    }
    directories().iter().any(|directory| holds_libclang(directory)) || linker_knows() || llvm_config_knows()
}

fn directories() -> Vec<PathBuf> {
    let plain = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/opt/homebrew/opt/llvm/lib",
        "/usr/local/opt/llvm/lib",
        "/opt/local/libexec/llvm/lib",
        "/Library/Developer/CommandLineTools/usr/lib",
        "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
        "C:\\Program Files\\LLVM\\bin",
    ];
    let mut found: Vec<PathBuf> = plain.iter().map(PathBuf::from).collect();
    // Debian and Nix keep one directory per version.
    for (parent, suffix) in [("/usr/lib", "lib"), ("/usr/lib64", "lib"), ("/usr/local", "lib")] {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        let versions = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm"));
        for entry in versions {
            found.push(entry.path().join(suffix));
            found.push(entry.path().join("lib64"));
        }
    }
    found
}

fn is_libclang(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    names_libclang(&name) && path.exists()
}

/// `libclang.so.1`, `libclang-14.so`, `libclang.dylib`; not `libclang-cpp.so`.
fn names_libclang(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("libclang") else {
        return false;
    };
    let versioned = rest
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    rest.starts_with(".so") || rest == ".dylib" || rest == ".dll" || versioned && rest.contains(".so")
}

fn holds_libclang(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|entries| entries.flatten().any(|entry| is_libclang(&entry.path())))
}

fn linker_knows() -> bool {
    ["ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig"]
        .iter()
        .any(|program| {
            Command::new(program).arg("-p").output().is_ok_and(|output| {
                String::from_utf8_lossy(&output.stdout)
                    .lines()
                    .any(|line| names_libclang(line.trim()))
            })
        })
}

fn llvm_config_knows() -> bool {
    let program = std::env::var("LLVM_CONFIG_PATH").unwrap_or_else(|_| "llvm-config".to_owned());
    Command::new(program).arg("--libdir").output().is_ok_and(|output| {
        output.status.success() && holds_libclang(Path::new(String::from_utf8_lossy(&output.stdout).trim()))
    })
}
