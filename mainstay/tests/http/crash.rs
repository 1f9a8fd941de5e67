//! `kill -9` under many writers: no acknowledged row is missing, and the file opens again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay_testing::{Engine, Project, Server};

use crate::both::PROGRAM;

const WRITERS: usize = 64;

/// Kills, unless the variable `MAINSTAY_CRASH_ROUNDS` says otherwise.
const ROUNDS: usize = 100;

/// How long writers write before the kill, in milliseconds, varied so that it hits different moments.
const WRITE_MS: std::ops::Range<u64> = 20..80;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_row_is_lost() {
    let rounds = std::env::var("MAINSTAY_CRASH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(ROUNDS);
    let project = Project::of(
        "create table log (id bigint primary key, writer int not null, twin bigint not null unique);
         grant select, insert on log to anon;",
    )
    .config("log_requests = false");
    let mut server = Server::start(PROGRAM, Engine::Sqlite, project).await;
    let next = Arc::new(AtomicU64::new(1));
    let mut acknowledged: Vec<u64> = Vec::new();
    let mut starts = Vec::new();
    for round in 0..rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, next, stop) = (server.anonymous(), next.clone(), stop.clone());
                tokio::spawn(async move {
                    let mut done = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let id = next.fetch_add(1, Ordering::Relaxed);
                        let body = format!(r#"{{"id":{id},"writer":{writer},"twin":{id}}}"#);
                        let json = [("content-type", "application/json")];
                        match client.try_send(http::Method::POST, "/rest/v1/log", &json, body).await {
                            Ok(answer) if answer.status == 201 => done.push(id),
                            Ok(answer) => panic!("{} {}", answer.status, answer.text()),
                            Err(_) => break,
                        }
                    }
                    done
                })
            })
            .collect();
        let span = WRITE_MS.end - WRITE_MS.start;
        tokio::time::sleep(Duration::from_millis(WRITE_MS.start + (round as u64 * 7) % span)).await;
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        let began = Instant::now();
        server
            .run()
            .unwrap_or_else(|log| panic!("round {round}: the server does not start again:\n{log}"));
        starts.push(began.elapsed());
    }
    let rows = server.anonymous().get("log?select=id,twin&order=id").await.json();
    let stored: std::collections::HashSet<u64> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            assert_eq!(row["id"], row["twin"], "a torn row");
            row["id"].as_u64().unwrap()
        })
        .collect();
    let lost: Vec<&u64> = acknowledged.iter().filter(|id| !stored.contains(id)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged rows are missing: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    starts.sort();
    println!(
        "{rounds} kills, {} rows acknowledged, {} stored; start after a kill: median {:?}, worst {:?}",
        acknowledged.len(),
        stored.len(),
        starts[starts.len() / 2],
        starts[starts.len() - 1]
    );
}
