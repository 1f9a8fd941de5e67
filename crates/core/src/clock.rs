//! The time, which every room and engine asks for here, so that a test can move it while the program runs.
//!
//! Not here: how long something takes (`std::time::Instant`, which no clock's jump touches), and until when a move holds
//! writes, which another process sets.
//! Invariant: nothing moves the clock unless [`follow`] was called, which `mainstay dev` does for tests alone; `serve`
//! refuses to start with the variable.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};

/// The variable that names the file of [`follow`].
pub const VARIABLE: &str = "MAINSTAY_TEST_CLOCK";

static MOVED_BY: OnceLock<PathBuf> = OnceLock::new();

/// Now.
pub fn now() -> Timestamp {
    // A machine whose clock is off by millennia is at the end.
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX);
    match MOVED_BY.get() {
        None => now,
        Some(file) => moved(now, file),
    }
}

/// Now, in seconds since 1970.
pub fn now_seconds() -> i64 {
    now().as_second()
}

/// Moves the clock from now on by as many seconds as stand in the file, whenever it is read; by none while there is no
/// number in it.
pub fn follow(file: PathBuf) {
    // The first one is followed: there is one test to a process.
    let _ = MOVED_BY.set(file);
}

fn moved(now: Timestamp, file: &Path) -> Timestamp {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let seconds = text.trim().parse().unwrap_or(0);
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_moves_the_clock_both_ways() {
        let dir = std::env::temp_dir().join(format!("mainstay-clock-{}", std::process::id()));
        let now = now();
        for (text, seconds) in [
            ("7200\n", 7200),
            ("-86400", -86_400),
            ("", 0),
            ("soon", 0),
            ("99999999999999", 0),
        ] {
            std::fs::write(&dir, text).unwrap();
            assert_eq!(moved(now, &dir).as_second() - now.as_second(), seconds, "{text}");
        }
        std::fs::remove_file(&dir).unwrap();
        assert_eq!(moved(now, &dir), now);
        assert!(now.as_second() > 1_700_000_000);
    }
}
