//! Running programs: commands that must succeed, servers that must be stopped, folders that must go.
//!
//! Invariant: whatever a task starts is ended by its process id, also when the task fails or is interrupted. Servers are
//! started with the kernel's parent-death signal where `setpriv` offers it, and stay in the terminal's process group.

use crate::{Context, Error, Result};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const STOP_GRACE: Duration = Duration::from_secs(15);
const FOLDER_PREFIX: &str = "mainstay-xtask-";

/// Linux's file system in memory.
const IN_MEMORY: &str = "/dev/shm";

/// Memory that a folder in it must find free, in KiB.
const FREE_MEMORY: u64 = 8 << 20;

/// Says one line about what is being done.
pub fn say(line: impl std::fmt::Display) {
    println!("xtask: {line}");
    let _ = std::io::stdout().flush();
}

/// The path of `program`, searched as a shell does.
pub fn find(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Runs a command with its output on the terminal. Errors: it cannot be started, or it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().context(&shown)?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::new(format!("`{shown}` failed ({status})")))
    }
}

/// Runs a command and takes its standard output. Errors: as `run`; the message carries its standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.stdin(Stdio::null()).output().context(&shown)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!(
            "`{shown}` failed ({}): {}",
            output.status,
            stderr.trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as a person would type it, shortened.
pub fn show(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut shown = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    if shown.chars().count() > 160 {
        shown = shown.chars().take(157).collect::<String>() + "…";
    }
    shown
}

/// A port on loopback that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A folder outside the repository that is removed with this value.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub fn new(name: &str) -> Result<Self> {
        Scratch::within(&std::env::temp_dir(), name)
    }

    /// For data that need not last and consist of many files: in memory where there is plenty, else as `new`.
    pub fn of_short_life(name: &str) -> Result<Self> {
        match has_free_memory() {
            true => Scratch::within(Path::new(IN_MEMORY), name),
            false => Scratch::new(name),
        }
    }

    fn within(parent: &Path, name: &str) -> Result<Self> {
        let mut path = parent.join(format!("{FOLDER_PREFIX}{}-{name}", std::process::id()));
        let mut number = 1;
        while path.exists() {
            number += 1;
            path.set_file_name(format!("{FOLDER_PREFIX}{}-{name}-{number}", std::process::id()));
        }
        std::fs::create_dir_all(&path).context(path.display())?;
        Ok(Scratch { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Whether both the machine and its file system in memory have `FREE_MEMORY`.
fn has_free_memory() -> bool {
    let free_for_files = output(Command::new("df").args(["--output=avail", "--block-size=1K", IN_MEMORY]));
    let free_for_files = free_for_files
        .ok()
        .and_then(|text| text.lines().nth(1)?.trim().parse().ok());
    let free_memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    });
    free_for_files
        .min(free_memory)
        .is_some_and(|free: u64| free >= FREE_MEMORY)
}

/// Removes what an interrupted task left: its folders, where its process is gone.
pub fn remove_stale_folders() {
    if !Path::new("/proc/self").exists() {
        return;
    }
    let parents = [std::env::temp_dir(), PathBuf::from(IN_MEMORY)];
    for entry in parents.iter().flat_map(std::fs::read_dir).flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX))
            .and_then(|rest| rest.split('-').next());
        if let Some(Ok(pid)) = owner.map(str::parse::<u32>)
            && !Path::new(&format!("/proc/{pid}")).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A command for `program` that ends with this process, as `user` if one is given.
///
/// Without `setpriv` (util-linux) the program runs as it is, and `user` is an error for root.
pub fn bound_command(program: &Path, user: Option<&str>) -> Command {
    let Some(setpriv) = find("setpriv") else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "INT"]);
    if let Some(user) = user {
        command.args(["--reuid", user, "--regid", user, "--init-groups"]);
    }
    command.arg("--").arg(program);
    command
}

/// A program in the background, with its output in a log file. Dropping it stops it.
pub struct Server {
    child: Child,
    name: &'static str,
    log: PathBuf,
    lines: Receiver<String>,
}

impl Server {
    /// Starts `command`. Must be called on the main thread: the parent-death signal follows the thread that forks.
    pub fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        let shown = show(command);
        let mut file = File::create(log).context(log.display())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file.try_clone()?)
            .spawn();
        let mut child = child.context(&shown)?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stdout);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                    let _ = file.write_all(line.as_bytes());
                    let _ = sender.send(std::mem::take(&mut line));
                }
            });
        }
        Ok(Server {
            child,
            name,
            log: log.to_owned(),
            lines,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of standard output that `read` accepts.
    pub fn wait_for_line<T>(&mut self, wait: Duration, read: impl Fn(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + wait;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    if let Some(found) = read(line.trim_end()) {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Error::new(format!(
                        "{} was not ready after {wait:?}\n{}",
                        self.name,
                        self.log_tail()
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::new(format!(
                        "{} ended before it was ready\n{}",
                        self.name,
                        self.log_tail()
                    )));
                }
            }
        }
    }

    /// Waits until `ready` holds. Errors: the program ends first, or the time is over.
    pub fn wait_until(&mut self, wait: Duration, ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + wait;
        loop {
            if ready() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let tail = self.log_tail();
                return Err(Error::new(format!(
                    "{} ended ({status}) before it was ready\n{tail}",
                    self.name
                )));
            }
            if Instant::now() > deadline {
                return Err(Error::new(format!(
                    "{} was not ready after {wait:?}\n{}",
                    self.name,
                    self.log_tail()
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the program's own end.
    pub fn wait(&mut self) -> Result<std::process::ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// The last lines that the program wrote.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(30)..];
        tail.iter().map(|line| format!("    {line}\n")).collect()
    }

    /// Asks the program to stop, waits, and kills it if it does not.
    pub fn stop(&mut self) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        signal("INT", self.child.id());
        let deadline = Instant::now() + STOP_GRACE;
        while Instant::now() < deadline {
            if !self.is_running() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        Err(Error::new(format!(
            "{} did not stop within {STOP_GRACE:?} and was killed",
            self.name
        )))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            say(error);
        }
    }
}

fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
}

/// The status of `GET path`, or `None` while nobody answers.
pub fn http_status(address: &str, path: &str) -> Option<u16> {
    let socket = address.parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&socket, Duration::from_millis(500)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head[9..12]).ok()?.parse().ok()
}

/// `cargo` as this task was started by it.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    command.current_dir(crate::workspace::root());
    command
}
