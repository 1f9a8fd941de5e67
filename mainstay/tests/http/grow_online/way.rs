//! One direction of a move, and how its state is looked at.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_testing::database::{postgres_value, sqlite_value};
use mainstay_testing::{Database, Engine, Server};

use super::load::project;
use crate::both::PROGRAM;

pub fn grow(server: &Server, to: &str) -> Command {
    let mut command = server.command(&["grow"]);
    command.args(["--to", to]);
    command
}

/// What a command prints.
pub fn out(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), text)
}

pub fn finished(mut command: Command) -> String {
    let (is_done, text) = out(&mut command);
    assert!(is_done, "{text}");
    text
}

pub fn begun(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Waits for something that happens during a move.
pub async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    for _ in 0..60_000 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what} did not happen");
}

/// One direction of a move, and how its state is looked at.
pub struct Way {
    pub server: Server,
    pub to: String,
    /// The data file, whichever side it is.
    pub file: PathBuf,
    /// The PostgreSQL database, whichever side it is.
    pub url: String,
    _database: Option<Database>,
}

impl Way {
    pub async fn up() -> Way {
        let server = Server::start(PROGRAM, Engine::Sqlite, project()).await;
        let database = Database::create().await;
        Way {
            to: database.url(),
            file: server.project.path().join(".mainstay/data.db"),
            url: database.url(),
            server,
            _database: Some(database),
        }
    }

    pub async fn back() -> Way {
        let server = Server::start(PROGRAM, Engine::Postgres, project()).await;
        let file = server.project.path().join("back.db");
        Way {
            to: format!("sqlite:{}", file.display()),
            url: server.database_url().unwrap(),
            file,
            server,
            _database: None,
        }
    }

    pub fn is_up(&self) -> bool {
        self.server.engine == Engine::Sqlite
    }

    /// `recording`, `held` or `moved`.
    pub async fn phase(&self) -> Option<String> {
        match self.is_up() {
            true => sqlite_value(&self.file, "select phase from _ms_departure"),
            false => postgres_value(&self.url, "select phase from mainstay_leaving.state").await,
        }
    }

    /// Whether all rows of the first copy have been carried; `None` before a thousand have.
    async fn carried(&self) -> Option<bool> {
        let case = "select case when todo = 0 then 'all' when rows > 1000 then 'some' end from";
        let found = match self.is_up() {
            true => {
                let of = "(select case when count(*) > 0 then count(*) filter (where not complete) end as todo, max(rows) as rows from mainstay_move.progress) x";
                postgres_value(&self.url, &format!("{case} {of}")).await
            }
            // A table is written down with its first chunk. The last one to be carried is the last by name.
            false => {
                let of = "(select 1 - count(*) filter (where name = 'objects' and complete) as todo, max(rows) as rows from _ms_move_progress) as x";
                sqlite_value(&self.file, &format!("{case} {of}"))
            }
        };
        found.map(|text| text == "all")
    }

    pub async fn until_phase(&self, phase: &str) {
        until(phase, async || self.phase().await.as_deref() == Some(phase)).await;
    }

    pub async fn until_carried(&self, all: bool) {
        until("the copy", async || {
            self.carried().await.is_some_and(|is_all| is_all || !all)
        })
        .await;
    }

    /// A move that is killed when it has come so far.
    pub async fn killed(&self, when: &str) {
        let mut child = begun(grow(&self.server, &self.to));
        match when {
            "copy" => self.until_carried(false).await,
            "rounds" => self.until_carried(true).await,
            held => self.until_phase(held).await,
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn path(&self) -> PathBuf {
        self.server.project.path().to_owned()
    }
}
