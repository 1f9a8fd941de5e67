//! A beat on which answers leave, so that their time does not tell whether an account exists.
//!
//! The work for an address that has a user and for one that has none is not the same (a mail is queued, a row is read).
//! What is left is the number of beats, which is one for both where the machine is not overloaded.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Longer than the work of a question takes, a password's hash among it.
const BEAT: Duration = Duration::from_millis(25);

/// Waits for the next beat since `begun`.
pub async fn wait(begun: Instant) {
    sleep_until(next(begun, Instant::now())).await;
}

fn next(begun: Instant, now: Instant) -> Instant {
    let beats = now.duration_since(begun).as_nanos() / BEAT.as_nanos() + 1;
    begun + BEAT * u32::try_from(beats).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_on_the_beat_after_their_work() {
        let begun = Instant::now();
        for (work, beats) in [(0, 1), (1, 1), (24, 1), (25, 2), (49, 2), (60, 3)] {
            let left = next(begun, begun + Duration::from_millis(work));
            assert_eq!(left, begun + BEAT * beats, "{work} ms");
        }
    }
}
