//! Installing what the tests need: Debian packages where they are missing, npm packages in `e2e/`.
//!
//! Everything comes from the system's own package managers, and each installation is announced in one line.
//! What is installed and why is written down in DEVELOPERS.md; keep both in step.

use crate::process::{find, run as run_command, say};
use crate::workspace::{root, target};
use crate::{Arguments, Context, Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// One thing that must be on the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// libclang, which generates the bindings to PostgreSQL's parser.
    Libclang,
    /// PostgreSQL 15 or newer: the server's programs, not a running server.
    Postgres,
    /// PostGIS, which the full fixtures of PostgREST use.
    Postgis,
    /// A browser for the tests of pages.
    Chromium,
    /// Node.js and npm: browser tests and the published client.
    Node,
    /// Python 3: the conformance runner.
    Python,
    /// Python's environments: the Python scripts of `e2e/`.
    PythonVenv,
}

/// What `cargo xtask test` needs.
pub const ALL: [Need; 6] = [
    Need::Libclang,
    Need::Postgres,
    Need::Chromium,
    Need::Node,
    Need::Python,
    Need::PythonVenv,
];

impl Need {
    fn is_met(self) -> bool {
        match self {
            Need::Libclang => has_libclang(),
            Need::Postgres => postgres_folder().is_some(),
            Need::Postgis => has_postgis(),
            Need::Chromium => chromium().is_some(),
            Need::Node => find("node").is_some() && find("npm").is_some(),
            Need::Python => find("python3").is_some(),
            Need::PythonVenv => has_venv(),
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Need::Libclang => &["libclang-dev"],
            Need::Postgres => &["postgresql-15"],
            Need::Postgis => &["postgresql-15-postgis-3"],
            Need::Chromium => &["chromium"],
            Need::Node => &["nodejs", "npm"],
            Need::Python => &["python3"],
            Need::PythonVenv => &["python3", "python3-venv"],
        }
    }
}

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    arguments.finish()?;
    ensure(&ALL)?;
    install_client()?;
    crate::python::environment()?;
    say("everything the tests need is here");
    Ok(ExitCode::SUCCESS)
}

/// Installs what is missing among `needs`. Errors: a missing part cannot be installed here; says what to install.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| !need.is_met()).collect();
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages()).copied().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let Some(apt) = find("apt-get") else {
        return Err(Error::new(format!(
            "please install (Debian's names): {list}; DEVELOPERS.md says what for"
        )));
    };
    say(format_args!("installing with apt-get: {list}"));
    apt_get(&apt, &["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&packages);
    apt_get(&apt, &install)?;
    match missing.iter().find(|need| !need.is_met()) {
        None => Ok(()),
        Some(need) => Err(Error::new(format!(
            "{} was installed but is not found",
            need.packages().join(" ")
        ))),
    }
}

fn apt_get(apt: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = if is_root() {
        Command::new(apt)
    } else {
        let sudo = find("sudo").ok_or_else(|| Error::new("installing needs root or sudo"))?;
        let mut command = Command::new(sudo);
        command.arg("DEBIAN_FRONTEND=noninteractive").arg(apt);
        command
    };
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    run_command(&mut command)
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Debian ships `venv` without what it installs pip from.
fn has_venv() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import venv, ensurepip"]).stdin(Stdio::null());
    command.output().is_ok_and(|output| output.status.success())
}

fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let folder_has_it = |folder: &Path| {
        std::fs::read_dir(folder).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| names_libclang(&entry.file_name().to_string_lossy()) && entry.path().exists())
        })
    };
    let versions = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let llvm = versions
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("/llvm"));
    let fixed = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ];
    let macos = ["/opt/homebrew/opt/llvm", "/Library/Developer/CommandLineTools/usr"];
    llvm.map(|path| path.join("lib"))
        .chain(fixed.iter().map(PathBuf::from))
        .chain(macos.iter().map(|path| Path::new(path).join("lib")))
        .any(|folder| folder_has_it(&folder))
}

/// `libclang.so.1`, `libclang-14.so`, `libclang.dylib`; not `libclang-cpp.so`, which comes with other packages.
fn names_libclang(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("libclang") else {
        return false;
    };
    let versioned = rest
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    rest.starts_with(".so") || rest == ".dylib" || versioned && rest.contains(".so")
}

/// The folder of PostgreSQL's server programs: the oldest version from 15 on, since that is the one promised.
pub fn postgres_folder() -> Option<PathBuf> {
    let complete = |folder: &Path| ["postgres", "initdb"].iter().all(|name| folder.join(name).is_file());
    if let Some(folder) = std::env::var_os("MAINSTAY_PG_BIN").map(PathBuf::from) {
        return complete(&folder).then_some(folder);
    }
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(version, folder)| *version >= 15 && complete(folder))
        .collect();
    versions.sort();
    if let Some((_, folder)) = versions.into_iter().next() {
        return Some(folder);
    }
    let program = std::fs::canonicalize(find("postgres")?).ok()?;
    program.parent().filter(|folder| complete(folder)).map(Path::to_owned)
}

fn has_postgis() -> bool {
    let Some(folder) = postgres_folder() else { return false };
    let shared = Command::new(folder.join("pg_config")).arg("--sharedir").output();
    let shared = shared.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    shared.is_ok_and(|shared| Path::new(&shared).join("extension/postgis.control").is_file())
}

/// The browser.
pub fn chromium() -> Option<PathBuf> {
    match std::env::var_os("MAINSTAY_CHROMIUM") {
        Some(path) => Some(PathBuf::from(path)),
        None => ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find_map(find),
    }
}

/// Installs the npm packages of `e2e/`, as its lock file says, unless they are there already.
pub fn install_client() -> Result<()> {
    let folder = root().join("e2e");
    let lock = std::fs::read(folder.join("package-lock.json")).context("e2e/package-lock.json")?;
    // npm has no quick "is it all there": a copy of the lock file inside node_modules tells.
    let mark = folder.join("node_modules").join(".mainstay-lock");
    if std::fs::read(&mark).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    ensure(&[Need::Node])?;
    say(
        "installing the npm packages of e2e/ (supabase-js, playwright-core, typescript, ws, oidc-provider, openid-client)",
    );
    let mut command = Command::new("npm");
    command
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&folder);
    run_command(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
    std::fs::write(&mark, lock).context(mark.display())
}

/// Puts the client's browser bundle where the shop's page loads it: `public/vendor/supabase.js` under `project`.
pub fn place_client(project: &Path) -> Result<()> {
    install_client()?;
    let bundle = root().join("e2e/node_modules/@supabase/supabase-js/dist/umd/supabase.js");
    let vendor = project.join("public").join("vendor");
    std::fs::create_dir_all(&vendor).context(vendor.display())?;
    std::fs::copy(&bundle, vendor.join("supabase.js")).context(bundle.display())?;
    Ok(())
}

/// Builds the program in `profile`, unless `MAINSTAY_PROGRAM` names one that is built. Returns its path.
pub fn build_mainstay(profile: &str) -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("MAINSTAY_PROGRAM") {
        return std::fs::canonicalize(&program).context("MAINSTAY_PROGRAM");
    }
    ensure(&[Need::Libclang])?;
    let mut command = crate::process::cargo();
    // In the dev profile the dependencies get the features that the workspace's tests give them, so that they are built once.
    match profile {
        "dev" => command.args(["build", "--workspace", "--bin", "mainstay"]),
        _ => command.args([
            "build",
            "--package",
            "mainstay",
            "--bin",
            "mainstay",
            "--profile",
            profile,
        ]),
    };
    run_command(&mut command)?;
    let built = crate::workspace::binary(profile, "mainstay");
    if built.is_file() {
        Ok(built)
    } else {
        Err(Error::new(format!(
            "cargo built no {} in {}",
            built.display(),
            target().display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::names_libclang;

    #[test]
    fn the_c_interface_is_told_from_its_neighbours() {
        for name in [
            "libclang.so",
            "libclang.so.1",
            "libclang-14.so.1",
            "libclang-14.so",
            "libclang.dylib",
        ] {
            assert!(names_libclang(name), "{name}");
        }
        for name in ["libclang-cpp.so.14", "libclang-cpp.so", "libclang.a", "libclangAST.so"] {
            assert!(!names_libclang(name), "{name}");
        }
    }
}
