//! The real program, run as a child on a free port with a database of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::client::Client;
use crate::database::run_at;
use crate::engine::{Engine, postgres_url};
use crate::project::Project;
use crate::token;

/// A running server. Dropping it kills the process; its PostgreSQL database is dropped too.
pub struct Server {
    pub engine: Engine,
    pub url: String,
    pub project: Project,
    program: PathBuf,
    /// `serve`, or `dev`.
    mode: &'static str,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    log: Arc<Mutex<String>>,
    database: Option<String>,
}

impl Server {
    /// Starts `program` (`env!("CARGO_BIN_EXE_mainstay")`) on `project`, applying its migrations; panics with the
    /// server's log if it does not come up.
    pub async fn start(program: &str, engine: Engine, project: Project) -> Self {
        Server::start_with(program, engine, project, &[]).await
    }

    /// Like [`Server::start`], as `mainstay dev`, which keeps the mails that it would send.
    pub async fn start_dev(program: &str, engine: Engine, project: Project) -> Self {
        Server::start_as("dev", program, engine, project, &[]).await
    }

    /// Like [`Server::start_dev`], with environment variables.
    pub async fn start_dev_with(program: &str, engine: Engine, project: Project, environment: &[(&str, &str)]) -> Self {
        Server::start_as("dev", program, engine, project, environment).await
    }

    /// Like [`Server::start_dev`] on PostgreSQL, in a database in which `sql` was run before.
    pub async fn start_dev_after(program: &str, project: Project, sql: &str) -> Self {
        let server = Server::prepared("dev", program, Engine::Postgres, project, &[]).await;
        run_at(&server.database_url().unwrap(), sql).await;
        server.up()
    }

    /// Like [`Server::start_with`], for settings that may be refused. Errors: the server's log.
    pub async fn try_start(
        program: &str,
        engine: Engine,
        project: Project,
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        let mut server = Server::prepared("serve", program, engine, project, environment).await;
        server.run().map(|()| server)
    }

    /// Like [`Server::start`], with environment variables.
    pub async fn start_with(program: &str, engine: Engine, project: Project, environment: &[(&str, &str)]) -> Self {
        Server::start_as("serve", program, engine, project, environment).await
    }

    async fn start_as(
        mode: &'static str,
        program: &str,
        engine: Engine,
        project: Project,
        environment: &[(&str, &str)],
    ) -> Self {
        Server::prepared(mode, program, engine, project, environment).await.up()
    }

    fn up(mut self) -> Self {
        self.run()
            .unwrap_or_else(|log| panic!("the server did not start:\n{log}"));
        self
    }

    async fn prepared(
        mode: &'static str,
        program: &str,
        engine: Engine,
        project: Project,
        environment: &[(&str, &str)],
    ) -> Self {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(create_database().await),
        };
        Server {
            engine,
            url: String::new(),
            project,
            program: Path::new(program).to_owned(),
            mode,
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            child: None,
            log: Arc::default(),
            database,
        }
    }

    /// Starts the process again after [`Server::kill`], on the same data. Errors: the server's log.
    pub fn run(&mut self) -> Result<(), String> {
        let mut command = self.command(&[self.mode]);
        command
            .args(["--listen", "127.0.0.1:0", "--migrate"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = self.log.clone();
        let mut errors = child.stderr.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut chunk = [0_u8; 8192];
            while let Ok(count) = errors.read(&mut chunk) {
                if count == 0 {
                    break;
                }
                log.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..count]));
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        loop {
            line.clear();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                let ended = child.wait();
                let _ = reader.join();
                let log = self.log();
                assert!(
                    ended.is_ok_and(|status| !status.success()),
                    "it ended as if all were well:\n{log}"
                );
                return Err(log);
            }
            if let Some(url) = line.trim().strip_prefix("Mainstay is ready at ") {
                self.url = url.to_owned();
                break;
            }
        }
        // The pipe is drained to its end, so that the server never blocks on it.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut lines, &mut std::io::sink());
        });
        self.child = Some(child);
        Ok(())
    }

    /// A command line of the program on this project and database, with the test's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg(self.project.path()).stdin(Stdio::null());
        if let Some(url) = self.database_url() {
            command.args(["--database-url", &url]);
        }
        command.env("PGRST_JWT_SECRET", token::SECRET);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What the server has logged, once that has `text` in it; after ten seconds without it, as it is. The log is written
    /// beside the answers, not before them.
    pub async fn log_with(&self, text: &str) -> String {
        for _ in 0..1000 {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        self.log()
    }

    /// What `mainstay keys --json` says of the project.
    pub fn keys(&self) -> serde_json::Value {
        let mut command = Command::new(&self.program);
        command.args(["keys", "--json"]).arg(self.project.path());
        let output = command
            .env("PGRST_JWT_SECRET", token::SECRET)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The process, while it runs.
    pub fn process_id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// True while the process runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A caller without credentials: role `anon`.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.url)
    }

    /// A signed-in user.
    pub fn user(&self, id: &str) -> Client {
        self.anonymous().bearer(&token::user(id))
    }

    /// A caller that passes row security.
    pub fn service(&self) -> Client {
        self.anonymous().bearer(&token::role("service_role"))
    }

    /// The URL of this server's PostgreSQL database.
    pub fn database_url(&self) -> Option<String> {
        let name = self.database.as_ref()?;
        let url = postgres_url()?;
        let (server, _) = url.rsplit_once('/').unwrap();
        Some(format!("{server}/{name}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let Some(name) = self.database.take() else { return };
        // Dropping happens inside a runtime, which must not be blocked: a thread with its own does it.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(drop_database(&name));
        })
        .join();
    }
}

async fn administer(sql: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(postgres_url().unwrap(), tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    let result = client.batch_execute(sql).await;
    drop(client);
    let _ = driver.await;
    result
}

pub(crate) async fn create_database() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!(
        "mainstay_test_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    // Creating databases at once fails on the template's lock, so one tries again.
    for attempt in 0..20 {
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'");
        match administer(&sql).await {
            Ok(()) => return name,
            Err(error) if attempt == 19 => panic!("no database for the test: {error:?}"),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
    unreachable!("the loop returns or panics");
}

pub(crate) async fn drop_database(name: &str) {
    // What is left of a failed run goes with the throw-away server.
    let _ = administer(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
}
