//! Moving a database while it is served and written to: every acknowledged write is on the target exactly once, reads
//! are answered throughout, and whatever is killed, the move goes on or is taken back.

mod load;
mod way;

use std::sync::atomic::Ordering;

use mainstay_testing::engine::postgres_url;

use self::load::{Load, assert_complete, count, query};
use self::way::{Way, finished, grow, out, until};

/// A move under load from its beginning to its end.
async fn moved_under_load(way: Way) {
    let load = Load::start(&way.server);
    let seen = load.seen.clone();
    until("a write", async || seen.acknowledged.load(Ordering::SeqCst) > 50).await;
    let command = grow(&way.server, &way.to);
    let printed = tokio::task::spawn_blocking(move || finished(command)).await.unwrap();
    assert!(printed.contains("are the same in"), "{printed}");
    stays_moved(&way, load, &printed).await;
}

/// From now on no write is taken, and reads go on; what was acknowledged is on the target.
async fn stays_moved(way: &Way, load: Load, printed: &str) {
    let seen = load.seen.clone();
    assert_eq!(way.phase().await.as_deref(), Some("moved"));
    let refused = seen.refused.load(Ordering::SeqCst);
    let (acknowledged, reads) = (
        seen.acknowledged.load(Ordering::SeqCst),
        seen.reads.load(Ordering::SeqCst),
    );
    until("a refusal", async || seen.refused.load(Ordering::SeqCst) > refused + 20).await;
    until("a read", async || seen.reads.load(Ordering::SeqCst) > reads + 20).await;
    assert_eq!(acknowledged, seen.acknowledged.load(Ordering::SeqCst));
    let seen = load.end().await;
    assert_complete(&way.path(), &way.to, &seen);
    let held = printed.lines().find(|line| line.contains("writes were held for"));
    println!(
        "{} Acknowledged {acknowledged}, refused {}, reads {}.",
        held.unwrap_or("The last attempt found all done."),
        seen.refused.load(Ordering::SeqCst),
        seen.reads.load(Ordering::SeqCst)
    );
    let (_, again) = out(&mut grow(&way.server, &way.to));
    assert!(
        again.contains("MS-OPS-010") && again.contains("has been moved to"),
        "{again}"
    );
}

/// The mover is killed in the copy, in the rounds and while writes are held, and goes on each time.
async fn moved_in_spite_of_kills(way: Way) {
    let load = Load::start(&way.server);
    let seen = load.seen.clone();
    until("a write", async || seen.acknowledged.load(Ordering::SeqCst) > 50).await;
    for when in ["copy", "rounds", "held"] {
        way.killed(when).await;
        let acknowledged = seen.acknowledged.load(Ordering::SeqCst);
        // A hold that nobody renews ends by itself.
        until("a write", async || {
            seen.acknowledged.load(Ordering::SeqCst) > acknowledged + 20
        })
        .await;
    }
    let command = grow(&way.server, &way.to);
    let printed = tokio::task::spawn_blocking(move || finished(command)).await.unwrap();
    stays_moved(&way, load, &printed).await;
}

/// The server is killed in the copy, in the rounds and while writes are held; the mover goes on beside the next one.
async fn moved_in_spite_of_crashes(mut way: Way) {
    let load = Load::start(&way.server);
    let seen = load.seen.clone();
    until("a write", async || seen.acknowledged.load(Ordering::SeqCst) > 50).await;
    let command = grow(&way.server, &way.to);
    let mover = tokio::task::spawn_blocking(move || finished(command));
    for when in ["copy", "rounds", "held"] {
        match when {
            "copy" => way.until_carried(false).await,
            "rounds" => way.until_carried(true).await,
            held => way.until_phase(held).await,
        }
        load.may_be_down.store(true, Ordering::SeqCst);
        way.server.kill();
        way.server
            .run()
            .unwrap_or_else(|log| panic!("the server does not start again {when}:\n{log}"));
        load.moved_to(&way.server);
    }
    let printed = mover.await.unwrap();
    load.may_be_down.store(true, Ordering::SeqCst);
    way.server.kill();
    way.server.run().unwrap();
    load.moved_to(&way.server);
    stays_moved(&way, load, &printed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_served_file_moves_up_under_load() {
    if postgres_url().is_some() {
        moved_under_load(Way::up().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_served_postgres_moves_back_under_load() {
    if postgres_url().is_some() {
        moved_under_load(Way::back().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_move_up_goes_on() {
    if postgres_url().is_some() {
        moved_in_spite_of_kills(Way::up().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_move_back_goes_on() {
    if postgres_url().is_some() {
        moved_in_spite_of_kills(Way::back().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_on_a_file_loses_nothing() {
    if postgres_url().is_some() {
        moved_in_spite_of_crashes(Way::up().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_on_postgres_loses_nothing() {
    if postgres_url().is_some() {
        moved_in_spite_of_crashes(Way::back().await).await;
    }
}

/// A move is killed, taken back, and made again to the same place; what it had left there is of no use.
async fn taken_back(mut way: Way) {
    let load = Load::start(&way.server);
    let seen = load.seen.clone();
    until("a write", async || seen.acknowledged.load(Ordering::SeqCst) > 50).await;
    way.killed("rounds").await;
    // Changes of the schema are refused although nobody is at work, and the server does not start with one to make.
    let add = "alter table orders add column more int";
    load.may_be_down.store(true, Ordering::SeqCst);
    way.server.kill();
    let file = way.path().join("supabase/migrations/20990101000000_more.sql");
    std::fs::write(&file, add).unwrap();
    let (is_done, refused) = out(&mut way.server.command(&["migrate", "up"]));
    assert!(
        !is_done && refused.contains("55006") && refused.contains("is being moved to"),
        "{refused}"
    );
    std::fs::remove_file(&file).unwrap();
    way.server.run().unwrap();
    load.moved_to(&way.server);
    let (is_done, printed) = out(&mut way.server.command(&["grow", "--abandon"]));
    assert!(is_done && printed.contains("takes writes again"), "{printed}");
    assert_eq!(way.phase().await, None);
    let acknowledged = seen.acknowledged.load(Ordering::SeqCst);
    until("a write", async || {
        seen.acknowledged.load(Ordering::SeqCst) > acknowledged + 50
    })
    .await;
    let (is_done, printed) = out(&mut way.server.command(&["grow", "--abandon"]));
    assert!(is_done && printed.contains("is not being moved"), "{printed}");
    // A copy leaves the source open, and is whole.
    let command = {
        let mut command = grow(&way.server, &way.to);
        command.arg("--copy");
        command
    };
    let printed = tokio::task::spawn_blocking(move || finished(command)).await.unwrap();
    assert!(printed.contains("takes writes as before"), "{printed}");
    let acknowledged = seen.acknowledged.load(Ordering::SeqCst);
    until("a write", async || {
        seen.acknowledged.load(Ordering::SeqCst) > acknowledged + 50
    })
    .await;
    assert_eq!(way.phase().await, None);
    load.end().await;
    let orders = "select count(*) as n from orders";
    assert!(count(&query(&way.path(), &way.to, orders)) > 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_up_is_taken_back_and_made_again() {
    if postgres_url().is_some() {
        taken_back(Way::up().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_back_is_taken_back_and_made_again() {
    if postgres_url().is_some() {
        taken_back(Way::back().await).await;
    }
}
