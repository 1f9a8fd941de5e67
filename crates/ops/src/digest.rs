//! A sum over rows that does not depend on their order.
//!
//! Each row is hashed by SHA-256 over its values' texts, each with its length (a null has a mark of its own); the
//! hashes are added. Two tables with the same rows have the same sum in whatever order they are read; a row more, a row
//! less, a row twice or one other byte changes it.

use std::fmt;

use mainstay_core::transfer::Rows;
use sha2::{Digest as _, Sha256};

/// Counts rows and adds up their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    rows: u64,
    high: u128,
    low: u128,
}

/// Stands before a value instead of its length.
const NULL: [u8; 8] = u64::MAX.to_le_bytes();

impl Digest {
    /// Adds rows.
    pub fn add(&mut self, rows: &Rows) {
        let Ok(()) = rows.each(|row| {
            let (high, low) = hash(row);
            self.rows = self.rows.wrapping_add(1);
            self.high = self.high.wrapping_add(high);
            self.low = self.low.wrapping_add(low);
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// Takes rows out that were added before.
    pub fn remove(&mut self, rows: &Rows) {
        let Ok(()) = rows.each(|row| {
            let (high, low) = hash(row);
            self.rows = self.rows.wrapping_sub(1);
            self.high = self.high.wrapping_sub(high);
            self.low = self.low.wrapping_sub(low);
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// Rows counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

fn hash(row: &[Option<&[u8]>]) -> (u128, u128) {
    let mut hash = Sha256::new();
    for value in row {
        match value {
            None => hash.update(NULL),
            Some(bytes) => {
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            }
        }
    }
    let hash = hash.finalize();
    let (high, low) = hash.split_at(16);
    (number(high), number(low))
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}{:032x}", self.high, self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Option<&str>]]) -> Digest {
        let mut digest = Digest::default();
        for row in rows {
            let mut chunk = Rows::new(row.len());
            for value in *row {
                chunk.push(value.map(str::as_bytes));
            }
            chunk.end_row();
            digest.add(&chunk);
        }
        digest
    }

    #[test]
    fn the_order_does_not_matter_and_everything_else_does() {
        let (a, b): (&[_], &[_]) = (&[Some("1"), Some("x")], &[Some("2"), None]);
        assert_eq!(digest(&[a, b]), digest(&[b, a]));
        assert_ne!(digest(&[a, b]), digest(&[a, a]));
        assert_ne!(digest(&[a]), digest(&[a, a]));
        assert_ne!(digest(&[b]), digest(&[&[Some("2"), Some("")]]));
        assert_ne!(digest(&[&[Some("ab"), Some("c")]]), digest(&[&[Some("a"), Some("bc")]]));
        assert_ne!(digest(&[a]).to_string(), digest(&[b]).to_string());
        assert_eq!(digest(&[a, b]).rows(), 2);
    }

    #[test]
    fn what_was_added_can_be_taken_out() {
        let row = |text: &str| {
            let mut rows = Rows::new(1);
            rows.push(Some(text.as_bytes()));
            rows.end_row();
            rows
        };
        let mut sum = digest(&[&[Some("old")], &[Some("stays")]]);
        sum.remove(&row("old"));
        assert_eq!(sum, digest(&[&[Some("stays")]]));
        sum.add(&row("new"));
        assert_eq!(sum, digest(&[&[Some("new")], &[Some("stays")]]));
    }
}
