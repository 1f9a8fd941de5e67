//! Starting Mainstay for a task, on either engine.

use crate::json::Json;
use crate::postgres::Cluster;
use crate::process::{Scratch, Server, bound_command, http_status, output};
use crate::{Context, Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const READY_WAIT: Duration = Duration::from_secs(90);
/// Standard output says so, and where, once requests are accepted.
const READY_LINE: &str = "Mainstay is ready at http://";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    Sqlite,
    Postgres,
}

pub const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        }
    }

    /// As the documents call it.
    pub fn title(self) -> &'static str {
        match self {
            Engine::Sqlite => "embedded engine",
            Engine::Postgres => "PostgreSQL",
        }
    }

    /// `--engine NAME`: that one; without it both.
    pub fn chosen(arguments: &mut crate::Arguments) -> Result<Vec<Engine>> {
        match arguments.value("--engine")?.as_deref() {
            None => Ok(ENGINES.to_vec()),
            Some("sqlite") => Ok(vec![Engine::Sqlite]),
            Some("postgres") => Ok(vec![Engine::Postgres]),
            Some(other) => Err(Error::new(format!(
                "there is no engine `{other}`: `sqlite` or `postgres`"
            ))),
        }
    }
}

/// A project folder outside the repository, and the database that it is served from.
pub struct Project {
    folder: Scratch,
    database_url: String,
    environment: Vec<(String, String)>,
}

impl Project {
    /// An empty folder on `engine`. `cluster` must be there for PostgreSQL; the database is made anew.
    pub fn new(name: &str, engine: Engine, cluster: Option<&Cluster>) -> Result<Self> {
        let folder = Scratch::new(&format!("{name}-{}", engine.name()))?;
        let database_url = match engine {
            Engine::Sqlite => format!("sqlite:{}", folder.path().join(".mainstay").join("data.db").display()),
            Engine::Postgres => {
                let cluster = cluster.ok_or_else(|| Error::new("PostgreSQL was not started"))?;
                cluster.create_database(&format!("xtask_{}", name.replace('-', "_")))?
            }
        };
        Ok(Project {
            folder,
            database_url,
            environment: Vec::new(),
        })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Where a server of this project writes its log.
    pub fn log(&self) -> PathBuf {
        self.path().join("server.log")
    }

    /// Sets an environment variable for every run of the program on this project.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    /// Puts these environment variables in the place of all that were set.
    pub fn set_all(&mut self, settings: Vec<(String, String)>) {
        self.environment = settings;
    }

    /// Writes a file under the project, with its folders.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.path().join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text).context(path.display())
    }

    /// Starts `mainstay <command> PROJECT` on a free port and waits until it answers.
    pub fn serve(&self, binary: &Path, command: &[&str]) -> Result<Mainstay> {
        let mut process = bound_command(binary, None);
        let (verb, options) = command.split_first().ok_or_else(|| Error::new("a command is needed"))?;
        process.arg(verb).arg(self.path()).args(options);
        process.args(["--listen", "127.0.0.1:0", "--database-url", &self.database_url]);
        self.prepare(&mut process);
        let mut server = Server::start("mainstay", &mut process, &self.log())?;
        let address = server.wait_for_line(READY_WAIT, |line| {
            let (_, rest) = line.split_once(READY_LINE)?;
            Some(rest.split(['/', ' ']).next().unwrap_or(rest).to_owned())
        })?;
        server.wait_until(READY_WAIT, || http_status(&address, "/health/ready") == Some(200))?;
        Ok(Mainstay { server, address })
    }

    /// Runs a command of the program on this project and takes what it prints.
    pub fn command(&self, binary: &Path, verb: &[&str], options: &[&str]) -> Result<String> {
        let mut process = Command::new(binary);
        process.args(verb).arg(self.path()).args(options);
        self.prepare(&mut process);
        output(&mut process)
    }

    /// The project's keys.
    pub fn keys(&self, binary: &Path) -> Result<Keys> {
        let text = self.command(binary, &["keys"], &["--json"])?;
        let json = Json::parse(&text).context("mainstay keys --json")?;
        let key = |name: &str| {
            let missing = || Error::new(format!("`mainstay keys --json` has no `{name}`"));
            json.get(name).str().map(str::to_owned).ok_or_else(missing)
        };
        Ok(Keys {
            anon: key("anon_key")?,
            service_role: key("service_role_key")?,
            jwt_secret: key("jwt_secret")?,
        })
    }

    fn prepare(&self, process: &mut Command) {
        // Settings of the person's own shell must not change a test.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["PGRST_", "MAINSTAY_", "SUPABASE_", "DATABASE_URL", "PG"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                process.env_remove(name);
            }
        }
        process
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path());
    }
}

/// The keys of a project that tests need.
pub struct Keys {
    pub anon: String,
    pub service_role: String,
    pub jwt_secret: String,
}

/// A running Mainstay. Dropping it stops it.
pub struct Mainstay {
    server: Server,
    address: String,
}

impl Mainstay {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The last lines of its log, for a failure's message.
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }

    /// Stops it. Errors: it had ended already, or had to be killed: both are bugs of the program.
    pub fn stop(mut self) -> Result<()> {
        if !self.server.is_running() {
            return Err(Error::new(format!(
                "mainstay ended while it was used\n{}",
                self.server.log_tail()
            )));
        }
        self.server.stop()
    }
}
