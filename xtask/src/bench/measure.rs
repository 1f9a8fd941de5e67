//! One run of the load, and what the kernel says about the processes under it.

use crate::json::Json;
use crate::process::{Server, output};
use crate::{Context, Error, Result};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds after its time that the load may take to end.
const PATIENCE: u64 = 60;

/// What the load program needs to know.
pub struct Load<'a> {
    pub program: &'a Path,
    pub url: String,
    pub operation: &'static str,
    pub pairs: &'a Path,
    pub secret: &'a str,
    pub anon: &'a str,
}

/// One measured interval.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub per_second: f64,
    /// How long was measured.
    pub seconds: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// CPU time of the server, in seconds per 1,000 requests.
    pub server_cpu: f64,
    /// CPU time of the database's processes, likewise.
    pub database_cpu: f64,
    /// Answers that told a client to come again later (429), per second.
    pub waits_per_second: f64,
}

impl Tally {
    pub fn cpu(&self) -> f64 {
        self.server_cpu + self.database_cpu
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} req/s, {:.4} CPU s/1k, p50 {:.0} µs, p99 {:.0} µs",
            self.per_second,
            self.cpu(),
            self.p50_us,
            self.p99_us
        )
    }
}

/// A load that has begun.
pub struct Loading {
    server: Server,
    log: PathBuf,
}

impl Load<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.args([
            "--url",
            &self.url,
            "--operation",
            self.operation,
            "--secret",
            self.secret,
            "--anon-key",
            self.anon,
        ]);
        command.arg("--pairs").arg(self.pairs);
        command
    }

    /// One request. Returns its status and body.
    pub fn once(&self) -> Result<(String, String)> {
        let text = output(self.command().arg("--once"))?;
        let (status, body) = text.split_once('\n').unwrap_or((&text, ""));
        Ok((status.to_owned(), body.trim_end().to_owned()))
    }

    /// Loads for `warmup` and then `seconds`; measures the process `pid` and the trees below `databases` meanwhile.
    ///
    /// Errors: any request that was not answered with success.
    pub fn run(&self, connections: u64, warmup: u64, seconds: u64, pid: u32, databases: &[u32]) -> Result<Tally> {
        let mut load = self.start(connections, warmup, seconds)?;
        let wait = Duration::from_secs(warmup + seconds + PATIENCE);
        let sample = || -> Result<(f64, f64)> {
            let databases = databases
                .iter()
                .map(|root| tree_cpu_seconds(*root))
                .sum::<Result<f64>>()?;
            Ok((cpu_seconds(pid)?, databases))
        };
        load.server
            .wait_for_line(wait, |line| (line == "measuring").then_some(()))?;
        let before = sample()?;
        load.server
            .wait_for_line(wait, |line| (line == "measured").then_some(()))?;
        let after = sample()?;
        let tally = self.end(load, wait)?;
        let per_request = 1_000.0 / (tally.per_second * tally.seconds);
        Ok(Tally {
            server_cpu: (after.0 - before.0) * per_request,
            database_cpu: (after.1 - before.1) * per_request,
            ..tally
        })
    }

    /// Begins to load; [`Load::end`] waits for the end.
    pub fn start(&self, connections: u64, warmup: u64, seconds: u64) -> Result<Loading> {
        let mut command = self.command();
        command.args([
            "--connections",
            &connections.to_string(),
            "--warmup",
            &warmup.to_string(),
            "--seconds",
            &seconds.to_string(),
        ]);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mainstay-xtask-{}-load-{number}.log", std::process::id());
        let log = std::env::temp_dir().join(name);
        let server = Server::start("load", &mut command, &log)?;
        Ok(Loading { server, log })
    }

    /// What the load says at its end, without what the kernel knows.
    ///
    /// Errors: any request that was not answered with success, or with 429.
    pub fn end(&self, loading: Loading, wait: Duration) -> Result<Tally> {
        let Loading { server: mut load, log } = loading;
        let result = load.wait_for_line(wait, |line| line.starts_with('{').then(|| line.to_owned()))?;
        load.wait()?;
        let tail = load.log_tail();
        drop(load);
        let _ = std::fs::remove_file(&log);
        let result = Json::parse(&result).context("the load's result")?;
        let number = |name: &str| result.get(name).number().unwrap_or_default();
        let (requests, errors) = (number("requests"), number("errors"));
        if errors > 0.0 || requests < 1.0 {
            return Err(Error::new(format!(
                "{}: {errors} of {requests} requests failed\n{tail}",
                self.operation
            )));
        }
        Ok(Tally {
            per_second: requests / number("seconds"),
            seconds: number("seconds"),
            p50_us: number("p50_us"),
            p99_us: number("p99_us"),
            waits_per_second: number("waits") / number("seconds"),
            ..Tally::default()
        })
    }
}

/// The middle of `values`, which are sorted on the way.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(values[even / 2 - 1], values[even / 2]),
        odd => values[odd / 2],
    }
}

/// The fields of `/proc/PID/stat` after the program's name: state, parent, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and parentheses itself.
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], at: usize) -> f64 {
    fields.get(at).and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// Kernel ticks in a second.
fn ticks_per_second() -> f64 {
    static TICKS: std::sync::OnceLock<f64> = std::sync::OnceLock::new();
    *TICKS.get_or_init(|| {
        let text = output(Command::new("getconf").arg("CLK_TCK")).unwrap_or_default();
        text.trim().parse().unwrap_or(100.0)
    })
}

/// User and system time of one process with all its threads.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let fields = stat(pid).ok_or_else(|| Error::new(format!("process {pid} is gone")))?;
    Ok((ticks(&fields, 11) + ticks(&fields, 12)) / ticks_per_second())
}

/// The same for a process, its children, and the children that have ended.
fn tree_cpu_seconds(root: u32) -> Result<f64> {
    let fields = stat(root).ok_or_else(|| Error::new(format!("process {root} is gone")))?;
    let mut total: f64 = (11..=14).map(|at| ticks(&fields, at)).sum();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(fields) = stat(pid)
            && ticks(&fields, 1) as u32 == root
        {
            total += ticks(&fields, 11) + ticks(&fields, 12);
        }
    }
    Ok(total / ticks_per_second())
}

/// Resident memory of a process.
pub fn rss_kib(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).context(format_args!("process {pid}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::new("VmRSS is not told"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_knows_its_own_time_and_memory() {
        let pid = std::process::id();
        // The clock goes on between the two readings.
        let own = cpu_seconds(pid).unwrap();
        assert!(own >= 0.0);
        assert!(tree_cpu_seconds(pid).unwrap() >= own);
        assert!(rss_kib(pid).unwrap() > 100);
    }
}
