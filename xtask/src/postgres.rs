//! A private PostgreSQL for the length of a task: its own folder, its own port, nothing of the machine's own server.

use crate::process::{Scratch, Server, bound_command, free_port, output, say};
use crate::server::Engine;
use crate::setup::{Need, ensure, is_root, postgres_folder};
use crate::{Arguments, Error, Result};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

const READY_WAIT: Duration = Duration::from_secs(60);

/// How a cluster treats its disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As a production server: every commit reaches the disk.
    Full,
    /// For tests: a power cut may lose everything.
    None,
}

/// A running cluster. Dropping it stops the server and removes its data.
pub struct Cluster {
    server: Server,
    programs: PathBuf,
    port: u16,
    // After `server`: fields drop in order, and the folder must outlive the process.
    _folder: Scratch,
}

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    arguments.finish()?;
    let mut cluster = Cluster::start(Durability::None)?;
    println!("{}", cluster.url("postgres"));
    say("this PostgreSQL goes away with Ctrl-C");
    cluster.server.wait()?;
    Ok(ExitCode::SUCCESS)
}

impl Cluster {
    /// A cluster that need not last, if one of the engines is PostgreSQL.
    pub fn of(engines: &[Engine]) -> Result<Option<Self>> {
        match engines.contains(&Engine::Postgres) {
            true => Cluster::start(Durability::None).map(Some),
            false => Ok(None),
        }
    }

    /// Creates a cluster (C locale, UTF-8, UTC, logical WAL) and starts it on a free loopback port.
    pub fn start(durability: Durability) -> Result<Self> {
        ensure(&[Need::Postgres])?;
        let programs = postgres_folder().ok_or_else(|| Error::new("PostgreSQL's programs are not found"))?;
        // The server refuses to run as root, so root lends its folder to the account that the package made.
        let user = is_root().then_some("postgres");
        let folder = match durability {
            Durability::Full => Scratch::new("postgres")?,
            Durability::None => Scratch::of_short_life("postgres")?,
        };
        let data = folder.path().join("data");
        if let Some(user) = user {
            output(Command::new("chown").arg(user).arg(folder.path()))?;
        }

        let port = free_port()?;
        let mut initdb = bound_command(&programs.join("initdb"), user);
        initdb.args([
            "--no-locale",
            "--encoding=UTF8",
            "--no-sync",
            "--username=postgres",
            "--auth=trust",
        ]);
        initdb.arg("--pgdata").arg(&data).current_dir("/").env("TZ", "UTC");
        output(&mut initdb)?;

        let fsync = if durability == Durability::Full { "on" } else { "off" };
        let mut command = bound_command(&programs.join("postgres"), user);
        command.arg("-D").arg(&data).current_dir("/").env("TZ", "UTC");
        for (name, value) in [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port.to_string()),
            ("unix_socket_directories", ""),
            ("max_connections", "200"),
            ("wal_level", "logical"),
            ("timezone", "utc"),
            ("log_timezone", "utc"),
            ("fsync", fsync),
            ("synchronous_commit", "on"),
            ("shared_buffers", "256MB"),
        ] {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let server = Server::start("PostgreSQL", &mut command, &folder.path().join("server.log"))?;
        let mut cluster = Cluster {
            server,
            programs,
            port,
            _folder: folder,
        };
        let psql = cluster.programs.clone();
        cluster.server.wait_until(READY_WAIT, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
                && Command::new(psql.join("pg_isready"))
                    .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
                    .status()
                    .is_ok_and(|s| s.success())
        })?;
        Ok(cluster)
    }

    /// A superuser's URL for a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Makes an empty database and returns its URL; one of the same name goes.
    pub fn create_database(&self, name: &str) -> Result<String> {
        self.execute("postgres", &format!("drop database if exists {name} with (force)"))?;
        self.execute(
            "postgres",
            &format!("create database {name} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'"),
        )?;
        Ok(self.url(name))
    }

    /// Runs one statement.
    pub fn execute(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = self.psql(database);
        psql.args(["-At", "-c", statement]);
        output(&mut psql)
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]);
        psql
    }
}
