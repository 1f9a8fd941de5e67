//! Token buckets in bounded memory.
//!
//! A bucket is one number: the time at which it will be whole again (GCRA; ITU-T I.371, annex A). A bucket that is
//! whole is the same as none, so forgetting it loses nothing. The table has a fixed size; where too many callers come
//! at once, the bucket that is nearest to whole makes room.

use std::hash::{BuildHasher, Hash, RandomState};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Groups of buckets, each behind a lock of its own. A power of two.
const SETS: usize = 8_192;
/// Buckets of a group, 16 bytes each.
const WAYS: usize = 8;

/// Requests of one window at most; more is no limit.
const QUOTA_MAX: u64 = 1_000_000_000;

/// So many requests in so much time: as a burst, and refilled evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub quota: u64,
    pub window: Duration,
}

/// A text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate: `<number>/second`, `/minute`, `/hour` or `/day`, such as \"300/minute\"")]
pub struct BadRate(String);

impl FromStr for Rate {
    type Err = BadRate;

    /// Reads `300/minute`.
    fn from_str(text: &str) -> Result<Self, BadRate> {
        let bad = || BadRate(text.to_owned());
        let (quota, unit) = text.split_once('/').ok_or_else(bad)?;
        let quota: u64 = quota.trim().parse().map_err(|_| bad())?;
        let seconds = match unit.trim() {
            "second" => 1,
            "minute" => 60,
            "hour" => 3_600,
            "day" => 86_400,
            _ => return Err(bad()),
        };
        if quota == 0 || quota > QUOTA_MAX {
            return Err(bad());
        }
        Ok(Rate {
            quota,
            window: Duration::from_secs(seconds),
        })
    }
}

impl Rate {
    fn window_ns(self) -> u64 {
        u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds in which one request is refilled.
    fn interval_ns(self) -> u64 {
        (self.window_ns() / self.quota).max(1)
    }
}

/// What became of taking one request out of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    Admitted { remaining: u64, whole_in: Duration },
    Refused { retry_in: Duration, whole_in: Duration },
}

impl Drawn {
    /// Taken from a bucket that is whole again after `debt` nanoseconds.
    fn admitted(rate: Rate, debt: u64) -> Self {
        let left = rate.window_ns().saturating_sub(debt) / rate.interval_ns();
        Drawn::Admitted {
            remaining: left.min(rate.quota - 1),
            whole_in: Duration::from_nanos(debt),
        }
    }

    /// Requests that may follow at once.
    pub(super) fn remaining(self) -> u64 {
        match self {
            Drawn::Admitted { remaining, .. } => remaining,
            Drawn::Refused { .. } => 0,
        }
    }

    /// How long the caller is to wait, if it is refused.
    pub fn retry_in(self) -> Option<Duration> {
        match self {
            Drawn::Refused { retry_in, .. } => Some(retry_in),
            Drawn::Admitted { .. } => None,
        }
    }

    /// Until the bucket is whole, if nothing is taken.
    pub(super) fn whole_in(self) -> Duration {
        match self {
            Drawn::Admitted { whole_in, .. } | Drawn::Refused { whole_in, .. } => whole_in,
        }
    }
}

/// Names one caller's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketId(u64);

/// One bucket. An empty place has the tag 0 and is whole since ever.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    tag: u64,
    /// Nanoseconds of the table's clock.
    whole_at: u64,
}

/// The table.
#[derive(Debug)]
pub struct Buckets {
    sets: Box<[Mutex<[Bucket; WAYS]>]>,
    // Seeded per process, so that nobody can choose names that meet in one set.
    hasher: RandomState,
}

impl Default for Buckets {
    fn default() -> Self {
        Buckets {
            sets: (0..SETS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Buckets {
    /// Which bucket is `owner`'s.
    pub fn of(&self, owner: &impl Hash) -> BucketId {
        // 0 is the tag of empty places.
        BucketId(self.hasher.hash_one(owner).max(1))
    }

    /// Until there is a request in the bucket; `None`: there is one. Nothing is taken.
    pub fn wait(&self, bucket: BucketId, rate: Rate, now: Duration) -> Option<Duration> {
        let drawn = self.change(bucket, now, |before, now| {
            let debt = before.saturating_add(rate.interval_ns()) - now;
            let drawn = match debt.checked_sub(rate.window_ns()) {
                Some(over @ 1..) => Drawn::Refused {
                    retry_in: Duration::from_nanos(over),
                    whole_in: Duration::from_nanos(before - now),
                },
                _ => Drawn::admitted(rate, debt),
            };
            (None, drawn)
        });
        drawn.retry_in()
    }

    /// Takes one request out of a bucket at `now`; a refusal takes nothing.
    pub fn draw(&self, bucket: BucketId, rate: Rate, now: Duration) -> Drawn {
        self.change(bucket, now, |before, now| {
            let debt = before.saturating_add(rate.interval_ns()) - now;
            if debt > rate.window_ns() {
                let refused = Drawn::Refused {
                    retry_in: Duration::from_nanos(debt - rate.window_ns()),
                    whole_in: Duration::from_nanos(before - now),
                };
                return (None, refused);
            }
            (Some(now.saturating_add(debt)), Drawn::admitted(rate, debt))
        })
    }

    /// Takes `count` requests out of a bucket, also where there are not so many in it.
    pub(super) fn owe(&self, bucket: BucketId, rate: Rate, count: u32, now: Duration) -> Drawn {
        self.change(bucket, now, |before, now| {
            let more = rate.interval_ns().saturating_mul(u64::from(count));
            let debt = before.saturating_add(more) - now;
            (Some(now.saturating_add(debt)), Drawn::admitted(rate, debt))
        })
    }

    /// Replaces the time at which a bucket is whole, in nanoseconds; it is never before `now`.
    fn change(
        &self,
        BucketId(tag): BucketId,
        now: Duration,
        change: impl FnOnce(u64, u64) -> (Option<u64>, Drawn),
    ) -> Drawn {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let place = usize::try_from(tag % SETS as u64).unwrap_or(0);
        let mut set = self.sets[place].lock().unwrap_or_else(PoisonError::into_inner);
        let found = set.iter().position(|bucket| bucket.tag == tag);
        let (after, drawn) = change(found.map_or(now, |at| set[at].whole_at.max(now)), now);
        if let Some(whole_at) = after {
            let at = found.unwrap_or_else(|| {
                let places = set.iter().enumerate();
                places.min_by_key(|(_, bucket)| bucket.whole_at).map_or(0, |(at, _)| at)
            });
            set[at] = Bucket { tag, whole_at };
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn is_admitted(buckets: &Buckets, owner: &str, rate: Rate, now: Duration) -> bool {
        matches!(buckets.draw(buckets.of(&owner), rate, now), Drawn::Admitted { .. })
    }

    #[test]
    fn looking_takes_nothing() {
        let (buckets, rate) = (Buckets::default(), "2/minute".parse().unwrap());
        let bucket = buckets.of(&"x");
        for _ in 0..3 {
            assert_eq!(buckets.wait(bucket, rate, at(0)), None);
        }
        assert!(is_admitted(&buckets, "x", rate, at(0)) && is_admitted(&buckets, "x", rate, at(0)));
        assert_eq!(buckets.wait(bucket, rate, at(0)), Some(at(30_000)));
        assert_eq!(buckets.wait(bucket, rate, at(29_999)), Some(at(1)));
        assert_eq!(buckets.wait(bucket, rate, at(30_000)), None);
        assert!(is_admitted(&buckets, "x", rate, at(30_000)));
    }

    #[test]
    fn rates_are_read_and_nonsense_is_refused() {
        let rate: Rate = "300/minute".parse().unwrap();
        assert_eq!((rate.quota, rate.window.as_secs()), (300, 60));
        for text in [
            "",
            "300",
            "0/second",
            "-1/second",
            "1.5/second",
            "300/fortnight",
            "/day",
            "1/",
            "10000000000/second",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_burst_is_the_quota_and_the_refill_is_even() {
        for quota in [1, 3, 7, 10, 1_000] {
            let rate = Rate {
                quota,
                window: Duration::from_secs(60),
            };
            let buckets = Buckets::default();
            for taken in 1..=quota {
                let drawn = buckets.draw(buckets.of(&"a"), rate, at(0));
                assert_eq!(drawn.remaining(), quota - taken, "{quota}");
                assert!(matches!(drawn, Drawn::Admitted { .. }), "{quota}");
            }
            let refused = buckets.draw(buckets.of(&"a"), rate, at(0));
            let Drawn::Refused { retry_in, .. } = refused else {
                panic!("{quota}: {refused:?}")
            };
            assert!(!is_admitted(&buckets, "a", rate, retry_in - Duration::from_nanos(1)));
            assert!(is_admitted(&buckets, "a", rate, retry_in));
            assert!(!is_admitted(&buckets, "a", rate, retry_in), "one was refilled");
            let later = retry_in + 2 * rate.window;
            let admitted = (0..2 * quota).filter(|_| is_admitted(&buckets, "a", rate, later));
            assert_eq!(admitted.count() as u64, quota, "a bucket is never more than whole");
        }
    }

    #[test]
    fn refusals_take_nothing() {
        let rate: Rate = "2/second".parse().unwrap();
        let buckets = Buckets::default();
        assert!(is_admitted(&buckets, "a", rate, at(0)) && is_admitted(&buckets, "a", rate, at(0)));
        for _ in 0..1_000 {
            assert!(!is_admitted(&buckets, "a", rate, at(499)));
        }
        assert!(is_admitted(&buckets, "a", rate, at(500)));
    }

    #[test]
    fn what_is_owed_is_waited_for() {
        let rate: Rate = "10/second".parse().unwrap();
        let buckets = Buckets::default();
        let bucket = buckets.of(&"a");
        buckets.draw(bucket, rate, at(0));
        let owed = buckets.owe(bucket, rate, 19, at(0));
        assert_eq!((owed.remaining(), owed.whole_in()), (0, at(2_000)));
        assert!(!is_admitted(&buckets, "a", rate, at(1_099)));
        assert!(is_admitted(&buckets, "a", rate, at(1_100)));
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing_away() {
        let rate: Rate = "1/second".parse().unwrap();
        let buckets = Buckets::default();
        assert!(is_admitted(&buckets, "a", rate, at(10_000)));
        assert!(!is_admitted(&buckets, "a", rate, at(0)));
        assert!(!is_admitted(&buckets, "a", rate, at(10_000)));
    }

    #[test]
    fn a_crowd_does_not_free_who_is_at_the_limit() {
        let rate: Rate = "100/minute".parse().unwrap();
        let buckets = Buckets::default();
        while is_admitted(&buckets, "greedy", rate, at(0)) {}
        for stranger in 0..4 * SETS * WAYS {
            assert!(is_admitted(&buckets, &stranger.to_string(), rate, at(0)));
        }
        assert!(!is_admitted(&buckets, "greedy", rate, at(0)));
    }
}
