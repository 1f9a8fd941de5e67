//! Bounds the memory that finished answers hold while slow clients fetch them.
//!
//! Answers are built whole, because their length, their count and their errors must be known before the first byte.
//! So a client that takes minutes over a large one holds its memory for minutes, and a hundred of them would hold all
//! there is: beyond the bound a new large answer is refused until others have been sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Bytes of answers waiting to be sent, all together. One answer may exceed it alone.
pub const WAITING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Smaller answers are not counted: a socket's own buffer takes them.
const COUNTED_BYTES_MIN: usize = 64 * 1024;

/// Counts the bytes of large answers until each has been sent or dropped.
#[derive(Clone, Default)]
pub struct Outbox {
    waiting: Arc<AtomicUsize>,
}

/// Too much is waiting to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

struct Counted {
    body: Bytes,
    waiting: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.body.len(), Ordering::Relaxed);
    }
}

impl Outbox {
    /// Takes an answer's body in. What comes back is the same bytes, counted for as long as they live.
    pub fn admit(&self, body: Bytes) -> Result<Bytes, Full> {
        if body.len() < COUNTED_BYTES_MIN {
            return Ok(body);
        }
        let before = self.waiting.fetch_add(body.len(), Ordering::Relaxed);
        let counted = Counted {
            body,
            waiting: self.waiting.clone(),
        };
        if before > 0 && before + counted.body.len() > WAITING_BYTES_MAX {
            return Err(Full);
        }
        Ok(Bytes::from_owner(counted))
    }

    /// Bytes that wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_until_it_is_gone() {
        let outbox = Outbox::default();
        let body = |bytes: usize| Bytes::from(vec![b'x'; bytes]);
        let small = outbox.admit(body(10)).unwrap();
        assert_eq!(outbox.waiting(), 0);
        let huge = outbox.admit(body(WAITING_BYTES_MAX + 1)).unwrap();
        assert_eq!(outbox.admit(body(COUNTED_BYTES_MIN)), Err(Full));
        assert_eq!(outbox.waiting(), WAITING_BYTES_MAX + 1);
        drop(huge);
        assert_eq!(outbox.waiting(), 0);
        assert!(outbox.admit(body(COUNTED_BYTES_MIN)).is_ok());
        drop(small);
    }
}
