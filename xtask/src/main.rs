//! The project's own tasks: `cargo xtask <task>`.
//!
//! Lives here: installing what tests need, running them in order, the demo, the conformance and benchmark runs,
//! and checks of the tree itself (allowed dependencies, licences, error codes).
//! Not here: anything the program needs at run time. This crate depends on nothing, so that it builds in seconds.

mod bench;
#[cfg(test)]
mod codes;
mod conformance;
mod demo;
#[cfg(test)]
mod dependencies;
mod e2e;
mod fuzz;
mod http;
mod json;
mod licences;
mod postgres;
mod process;
mod python;
mod schemas;
mod schemathesis;
mod server;
mod setup;
mod shop_data;
mod smoke;
mod test;
mod timing;
mod types;
mod workspace;

use std::fmt;
use std::process::ExitCode;

const HELP: &str = "\
Mainstay's tasks.

  cargo xtask demo [--database-url URL] [--listen ADDR]
      Brings the browser client, builds Mainstay and serves the shop until Ctrl-C.
  cargo xtask test [STEP…] [--list]
      Everything CI runs: format, lints, licences, all tests on both engines, browser, real client, conformance.
  cargo xtask conformance [--engine sqlite|postgres] [--write] [--verbose]
      The portable conformance cases on both engines; --write updates docs/conformance.md.
  cargo xtask conformance --full --postgrest-src DIR [--engine sqlite|postgres] [--write] [--verbose]
      All cases with the fixtures of a PostgREST checkout: whole on PostgreSQL, what migrates on the embedded engine.
  cargo xtask fuzz [--cases N] [--seed S] [--seconds T] [--threads N] [--failures N] [--no-shrink] [--verbose]
      Generated statements on both engines; any difference is printed, made small, with its seed.
  cargo xtask regress --postgres-src DIR [--only NAME] [--write] [--verbose]
      PostgreSQL 15's own regression files on both engines; --write updates docs/portability.md.
  cargo xtask smoke [--engine sqlite|postgres]
      The check with the published supabase-js.
  cargo xtask types
      Typed programs with supabase-js under the TypeScript compiler, with the types that `mainstay types` writes.
  cargo xtask python [--engine sqlite|postgres]
      The check with the published client of supabase-py.
  cargo xtask schemathesis [--engine sqlite|postgres] [--examples N] [--no-coverage] [--seed S]
      Requests generated from the OpenAPI 3.1 document: no 5xx, no answer that the document does not describe.
  cargo xtask bench [--seconds N] [--rounds N] [--orders N] [--only OPERATIONS] [--engine sqlite|postgres] [--write]
      The shop beside the same work written by hand; --write updates docs/benchmarks.md. With --features [--rows N]
      what the API offers beside the plain way: 304, cursors, batches, estimated counts.
      With --auth [--accounts N] sign-in, beside PocketBase on the embedded engine.
  cargo xtask timing [--samples N] [--engine sqlite|postgres] [--write]
      Whether the time of an answer tells if an address has an account; --write updates docs/security.md.
  cargo xtask schemas --from DIR [--write]
      Public projects' migrations on the embedded engine; --write updates docs/portability.md.
  cargo xtask shop-data --orders N [--out FILE]
      Writes SQL that fills the shop with N orders; the same N gives the same bytes.
  cargo xtask setup
      Installs what the tests need and stops.
  cargo xtask postgres
      Starts a private, empty PostgreSQL, prints its URL and keeps it until Ctrl-C.

What is installed, and how, is in DEVELOPERS.md.
";

/// What stopped a task, in words for the person who ran it.
#[derive(Debug)]
pub struct Error(String);

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(message: impl Into<String>) -> Self {
        Error(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error(error.to_string())
    }
}

/// Adds what was being done to an error.
pub trait Context<T> {
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error(format!("{doing}: {error}")))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let Some((task, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(ExitCode::from(2));
    };
    process::remove_stale_folders();
    let mut arguments = Arguments::new(rest);
    match task.as_str() {
        "demo" => demo::run(&mut arguments),
        "test" => test::run(&mut arguments),
        "conformance" => conformance::run(&mut arguments),
        "fuzz" => fuzz::run(&mut arguments),
        "regress" => fuzz::regress(&mut arguments),
        "smoke" => smoke::run(&mut arguments),
        "types" => types::run(&mut arguments),
        "python" => python::run(&mut arguments),
        "schemathesis" => schemathesis::run(&mut arguments),
        "bench" => bench::run(&mut arguments),
        "timing" => timing::run(&mut arguments),
        "schemas" => schemas::run(&mut arguments),
        "shop-data" => shop_data::run(&mut arguments),
        "setup" => setup::run(&mut arguments),
        "postgres" => postgres::run(&mut arguments),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(Error(format!(
            "there is no task `{other}`; `cargo xtask help` lists them"
        ))),
    }
}

/// The words after the task: `--name value`, `--name=value`, `--switch` and plain words.
pub struct Arguments {
    rest: Vec<String>,
}

impl Arguments {
    fn new(rest: &[String]) -> Self {
        Arguments { rest: rest.to_vec() }
    }

    /// Takes `--name value` or `--name=value`.
    pub fn value(&mut self, name: &str) -> Result<Option<String>> {
        let prefix = format!("{name}=");
        if let Some(at) = self.rest.iter().position(|word| word.starts_with(&prefix)) {
            return Ok(Some(self.rest.remove(at)[prefix.len()..].to_owned()));
        }
        let Some(at) = self.rest.iter().position(|word| word == name) else {
            return Ok(None);
        };
        if at + 1 >= self.rest.len() {
            return Err(Error(format!("`{name}` needs a value")));
        }
        self.rest.remove(at);
        Ok(Some(self.rest.remove(at)))
    }

    /// Takes `--name N`.
    pub fn number(&mut self, name: &str) -> Result<Option<u64>> {
        match self.value(name)? {
            None => Ok(None),
            Some(text) => text.parse().map(Some).context(format_args!("`{name} {text}`")),
        }
    }

    /// Takes `--name`, if it is there.
    pub fn switch(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|word| word != name);
        self.rest.len() != before
    }

    /// Takes every word that is left and is not an option.
    pub fn words(&mut self) -> Vec<String> {
        let (words, options) = std::mem::take(&mut self.rest)
            .into_iter()
            .partition(|word| !word.starts_with("--"));
        self.rest = options;
        words
    }

    /// Refuses what nobody took.
    pub fn finish(&self) -> Result<()> {
        match self.rest.first() {
            None => Ok(()),
            Some(word) => Err(Error(format!(
                "`{word}` is not understood here; `cargo xtask help` lists the options"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments {
            rest: words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn options_are_taken_in_any_order() {
        let mut given = arguments(&["--write", "--engine=sqlite", "fmt", "--rounds", "3"]);
        assert!(given.switch("--write"));
        assert_eq!(given.number("--rounds").unwrap(), Some(3));
        assert_eq!(given.value("--engine").unwrap().as_deref(), Some("sqlite"));
        assert_eq!(given.words(), ["fmt"]);
        assert!(given.finish().is_ok());
    }

    #[test]
    fn an_unknown_option_is_refused() {
        let mut given = arguments(&["--wriet"]);
        assert!(!given.switch("--write"));
        assert!(given.finish().is_err());
        assert!(arguments(&["--rounds"]).number("--rounds").is_err());
        assert!(arguments(&["--rounds", "x"]).number("--rounds").is_err());
    }
}
