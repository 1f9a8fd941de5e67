//! `kill -9` while 64 writers write: no acknowledged row is missing, the file is whole.
//!
//! The test starts itself as a child process that prints each acknowledged id, kills it, and looks into the file.
//! `MAINSTAY_CRASH_ROUNDS` sets the rounds (5 unless told otherwise).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::{insert, number, open};

const WRITERS: i64 = 64;
const ROUNDS: u32 = 5;

/// Set for the child process: the data file.
const CHILD: &str = "MAINSTAY_CRASH_FILE";

/// Acknowledged rows to wait for before the kill; more in later rounds, so that kills fall into checkpoints too.
fn rows_before_kill(round: u32) -> usize {
    300 + 700 * (round as usize % 7)
}

#[test]
fn acknowledged_rows_survive_kill_9() {
    let rounds = std::env::var("MAINSTAY_CRASH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(ROUNDS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.db");
    let mut acknowledged: Vec<i64> = Vec::new();
    for round in 0..rounds {
        acknowledged.extend(kill_a_child(&path, rows_before_kill(round)));
        let begun = Instant::now();
        let engine = open(&path);
        let opened = begun.elapsed();
        println!(
            "round {round}: {} rows acknowledged, open again in {opened:?}",
            acknowledged.len()
        );
        let reader = rusqlite::Connection::open(&path).unwrap();
        let whole: String = reader
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(whole, "ok");
        let mut find = reader.prepare("SELECT who FROM t WHERE id = ?1").unwrap();
        for id in &acknowledged {
            let who: String = find
                .query_row([id], |row| row.get(0))
                .unwrap_or_else(|_| panic!("row {id} is missing"));
            assert_eq!(who, format!("writer of {id}"));
        }
        let rows = usize::try_from(number(&engine, "SELECT count(*) FROM t")).unwrap();
        assert!(rows >= acknowledged.len());
        assert!(opened < Duration::from_secs(5));
    }
}

fn kill_a_child(path: &Path, rows: usize) -> Vec<i64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_child_that_is_killed", "--ignored", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut killed = false;
    for line in output.lines() {
        // The last line may be torn; a torn number would be another row's.
        let Ok(line) = line else { break };
        let Some(id) = line.strip_prefix("ack ").and_then(|rest| rest.strip_suffix(" .")) else {
            continue;
        };
        acknowledged.push(id.parse().unwrap());
        if acknowledged.len() >= rows && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself after {} rows", acknowledged.len());
    acknowledged
}

#[test]
#[ignore = "runs as the child of acknowledged_rows_survive_kill_9"]
fn the_child_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let engine = Arc::new(open(Path::new(&path)));
        let first = number(&engine, "SELECT coalesce(max(id), 0) + 1 FROM t");
        let mut tasks = Vec::new();
        for writer in 0..WRITERS {
            let engine = Arc::clone(&engine);
            tasks.push(tokio::spawn(async move {
                for step in 0..100_000 {
                    let id = first + step * WRITERS + writer;
                    insert(&engine, id, &format!("writer of {id}")).await.unwrap();
                    let mut out = std::io::stdout().lock();
                    let _ = writeln!(out, "ack {id} .");
                    let _ = out.flush();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}
