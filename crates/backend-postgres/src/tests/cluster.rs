//! What needs a server of one's own: restarts, TLS, passwords.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mainstay_core::backend::{Backend, QueryMode};
use mainstay_core::caller::Caller;
use mainstay_core::error::BackendError;
use mainstay_core::name::QualifiedName;
use mainstay_core::plan::*;

use super::text;
use crate::console::simple;
use crate::testing::connect;
use crate::testing::plans::{plan, read, read_plan};
use crate::{OpenError, Options, PostgresBackend};

/// A throw-away cluster; stopped and removed when dropped.
struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    encrypted: bool,
}

impl Cluster {
    /// Makes and starts one, or says why not. Only where the other database tests run too.
    fn start() -> Option<Self> {
        std::env::var_os("MAINSTAY_TEST_POSTGRES")?;
        let bin = std::env::var("PG_BINDIR").unwrap_or_else(|_| "/usr/lib/postgresql/15/bin".into());
        let bin = PathBuf::from(bin);
        if !bin.join("initdb").exists() {
            crate::testing::say_skipped("restart, TLS and password tests, because there is no initdb (set PG_BINDIR)");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = std::env::temp_dir().join(format!("ms_cluster_{}_{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder));
        }
        let mut cluster = Cluster {
            bin,
            port,
            encrypted: false,
            folder,
        };
        cluster.server(
            "initdb",
            &[
                "--no-locale",
                "--encoding=UTF8",
                "--no-sync",
                "-U",
                "postgres",
                "--auth=trust",
            ],
        );
        cluster.encrypted = cluster.make_certificate();
        let encrypted = cluster.encrypted;
        let ssl = if encrypted {
            "ssl = on\nssl_cert_file = 'c.pem'\nssl_key_file = 'k.pem'\n"
        } else {
            ""
        };
        let settings = format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nfsync = off\n\
             shared_buffers = '16MB'\n{ssl}"
        );
        append(&cluster.data().join("postgresql.conf"), &settings);
        let hba = "hostssl all scram all scram-sha-256\nhostnossl all scram all reject\nhost all md5 all md5\n\
                   host all postgres all trust\n";
        std::fs::write(cluster.data().join("pg_hba.conf"), hba).unwrap();
        cluster.up();
        Some(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn up(&self) {
        let log = self.folder.join("log");
        self.server("pg_ctl", &["-l", log.to_str().unwrap(), "-w", "start"]);
    }

    /// `fast` ends sessions politely, `immediate` as a crash does.
    fn down(&self, mode: &str) {
        self.server("pg_ctl", &["-m", mode, "-w", "stop"]);
    }

    fn server(&self, program: &str, arguments: &[&str]) {
        let mut command = as_server();
        command
            .arg(self.bin.join(program))
            .arg("-D")
            .arg(self.data())
            .args(arguments)
            .current_dir("/");
        run(&mut command);
    }

    /// A certificate nobody signed; false without `openssl`.
    fn make_certificate(&self) -> bool {
        let arguments = "openssl req -new -x509 -nodes -days 2 -subj /CN=localhost -keyout k.pem -out c.pem";
        let mut command = as_server();
        command
            .args(arguments.split(' '))
            .current_dir(self.data())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut command = as_server();
        command
            .arg(self.bin.join("pg_ctl"))
            .arg("-D")
            .arg(self.data())
            .args(["-m", "immediate", "stop"]);
        let _ = command
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout == b"0\n")
}

/// The server's programs refuse to run as root.
fn as_server() -> Command {
    if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        return command;
    }
    Command::new("env")
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
}

fn append(path: &Path, content: &str) {
    let before = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, before + content).unwrap();
}

#[tokio::test]
async fn a_restart_is_survived_and_what_was_missed_is_read() {
    let Some(cluster) = Cluster::start() else { return };
    let backend = PostgresBackend::open(Options::new(cluster.url())).await.unwrap();
    let setup =
        "create role anon; create table t (id int); insert into t values (1); grant select, insert on t to anon";
    backend.query(None, setup, QueryMode::ReadWrite).await.unwrap();
    let caller = Caller::of_role("anon");
    let plans = read_plan(&backend, read(&backend, "t", &["id"]));
    let statement = backend.render(&plans).unwrap();
    for mode in ["fast", "immediate"] {
        backend.run(&caller, &statement, Input::default()).await.unwrap();
        cluster.down(mode);
        for _ in 0..3 {
            let result = backend.run(&caller, &statement, Input::default()).await;
            assert!(
                matches!(result, Err(BackendError::Unavailable { .. })),
                "{mode}: {result:?}"
            );
        }
        assert!(backend.health().await.is_err());
        cluster.up();
        let outcome = eventually(|| backend.run(&caller, &statement, Input::default())).await;
        assert_eq!(text(&outcome.body), r#"{"id":1}"#, "{mode}");
    }

    // Made while nobody listened: found by the reload that follows the reconnection.
    cluster.down("fast");
    cluster.up();
    let other = connect(&cluster.url()).await;
    simple(&other, "create table later (id int)").await.unwrap();
    let name = QualifiedName::new("public", "later");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !backend.catalog().relations.contains_key(&name) {
        assert!(
            Instant::now() < deadline,
            "the catalog was not reloaded after the restart"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    backend.close().await;
}

async fn eventually<F, T>(mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, BackendError>>,
{
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(BackendError::Unavailable { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn passwords_and_certificates_are_demanded_and_checked() {
    let Some(cluster) = Cluster::start() else { return };
    let admin = connect(&cluster.url()).await;
    let roles = "create role scram login password 'pässword'; set password_encryption = 'md5'; create role md5 login password 'other'";
    simple(&admin, roles).await.unwrap();
    let open = |user: &'static str, rest: &'static str| {
        let url = format!("postgres://{user}@127.0.0.1:{}/postgres{rest}", cluster.port);
        async move {
            PostgresBackend::open(Options {
                channel: None,
                ..Options::new(url)
            })
            .await
        }
    };
    open("md5:other", "").await.unwrap().close().await;
    let wrong = open("md5:wrong", "").await;
    assert!(
        matches!(&wrong, Err(OpenError::Refused(error)) if error.sqlstate == "28P01"),
        "{:?}",
        wrong.err()
    );
    assert!(matches!(open("md5", "").await, Err(OpenError::BadUrl(text)) if text.contains("password")));

    if !cluster.encrypted {
        return;
    }
    let backend = open("scram:p%C3%A4ssword", "?sslmode=require").await.unwrap();
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let result = backend.query(None, sql, QueryMode::ReadOnly).await.unwrap();
    assert_eq!(result.rows[0][0].as_deref(), Some("t"));
    backend.close().await;
    assert!(
        open("scram:p%C3%A4ssword", "").await.is_ok(),
        "sslmode=prefer encrypts where it can"
    );
    let plain = open("scram:p%C3%A4ssword", "?sslmode=disable").await;
    assert!(matches!(plain, Err(OpenError::Refused(_))));
    for mode in ["verify-full", "verify-ca"] {
        let url = if mode == "verify-full" {
            "?sslmode=verify-full"
        } else {
            "?sslmode=verify-ca"
        };
        let unsigned = open("scram:p%C3%A4ssword", url).await;
        assert!(
            matches!(unsigned, Err(OpenError::Tls(_))),
            "{mode}: {:?}",
            unsigned.err()
        );
    }
}

#[tokio::test]
async fn a_transaction_pooler_gets_no_prepared_statements_and_no_listener() {
    let Some((database, backend)) =
        super::opened("create view prepared as select count(*) as n from pg_prepared_statements").await
    else {
        return;
    };
    backend.close().await;
    drop(backend);
    let options = Options {
        transaction_pooler: true,
        ..Options::new(&database.url)
    };
    let backend = PostgresBackend::open(options).await.unwrap();
    let caller = Caller::of_role("anon");
    let counted = read(&backend, "prepared", &["n"]);
    let statement = backend
        .render(&plan(&backend, Format::Json, Action::Read(counted)))
        .unwrap();
    for _ in 0..3 {
        let outcome = backend.run(&caller, &statement, Input::default()).await.unwrap();
        assert_eq!(text(&outcome.body), r#"{"n":0}"#);
    }
    let admin = connect(&database.url).await;
    let listening =
        "select count(*)::text from pg_stat_activity where datname = current_database() and query like 'LISTEN%'";
    let steps = simple(&admin, listening).await.unwrap();
    assert_eq!(crate::decode::text_field(&steps[0].rows[0], 0).unwrap(), Some("0"));
    super::done(database, backend).await;
}

#[tokio::test]
async fn a_reload_without_a_change_keeps_plans_good() {
    // Roles belong to the whole cluster and to the catalog, and other tests make some.
    let Some(cluster) = Cluster::start() else { return };
    let backend = PostgresBackend::open(Options::new(cluster.url())).await.unwrap();
    backend
        .query(None, "create table t (id int)", QueryMode::ReadWrite)
        .await
        .unwrap();
    let version = backend.catalog().version;
    backend.reload().await.unwrap();
    backend
        .query(None, "insert into t values (2)", QueryMode::ReadWrite)
        .await
        .unwrap();
    assert_eq!(backend.catalog().version, version);
    for change in [
        "alter table t add column x int",
        "comment on table t is 'c'",
        "alter table t enable row level security",
    ] {
        let before = backend.catalog().version;
        backend.query(None, change, QueryMode::ReadWrite).await.unwrap();
        assert!(backend.catalog().version > before, "{change}");
    }
    backend.close().await;
}
