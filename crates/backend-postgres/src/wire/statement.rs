//! Statement texts with an identity, and each connection's record of the ones it has prepared.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Prepared statements kept per connection; the one unused for longest makes room.
const PREPARED_MAX: usize = 400;

/// SQL with an identity: it is prepared once per connection, under this identity.
#[derive(Clone, Debug)]
pub struct StatementText {
    pub id: u64,
    pub sql: Arc<str>,
}

impl StatementText {
    /// Gives `sql` an identity of its own.
    pub fn new(sql: impl Into<Arc<str>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        StatementText {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            sql: sql.into(),
        }
    }
}

/// What a burst must send for one statement.
#[derive(Debug, PartialEq, Eq)]
pub enum Preparation {
    /// It is there: bind it by this name.
    Ready(String),
    /// Send Parse under this name first; `close` makes room for it. An empty name is the unnamed statement.
    Parse { name: String, close: Option<String> },
}

/// The statements one connection has prepared.
#[derive(Debug, Default)]
pub struct StatementCache {
    slots: HashMap<u64, Slot>,
    clock: u64,
    /// Numbers in names are never used twice, so a failed Parse leaves no trap.
    names: u64,
    /// Named statements do not survive a transaction-mode pooler.
    unnamed_only: bool,
}

#[derive(Debug)]
struct Slot {
    name: u64,
    ready: bool,
    used: u64,
}

impl StatementCache {
    /// An empty cache; with `unnamed_only` nothing is ever kept.
    pub fn new(unnamed_only: bool) -> Self {
        StatementCache {
            unnamed_only,
            ..Default::default()
        }
    }

    /// Says how statement `id` is to be bound now. While another burst's Parse is under way the unnamed statement serves.
    pub fn prepare(&mut self, id: u64) -> Preparation {
        self.clock += 1;
        if self.unnamed_only {
            return Preparation::Parse {
                name: String::new(),
                close: None,
            };
        }
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.used = self.clock;
            if slot.ready {
                return Preparation::Ready(name_of(slot.name));
            }
            return Preparation::Parse {
                name: String::new(),
                close: None,
            };
        }
        let close = if self.slots.len() >= PREPARED_MAX {
            self.evict()
        } else {
            None
        };
        self.names += 1;
        self.slots.insert(
            id,
            Slot {
                name: self.names,
                ready: false,
                used: self.clock,
            },
        );
        Preparation::Parse {
            name: name_of(self.names),
            close,
        }
    }

    /// Records whether the Parse of `id` was accepted.
    pub fn parsed(&mut self, id: u64, accepted: bool) {
        if accepted {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.ready = true;
            }
        } else {
            self.slots.remove(&id);
        }
    }

    /// Forgets `id`, so that its next use prepares it anew; the old one stays on the server until the connection ends.
    pub fn forget(&mut self, id: u64) {
        if self.slots.get(&id).is_some_and(|slot| slot.ready) {
            self.slots.remove(&id);
        }
    }

    fn evict(&mut self) -> Option<String> {
        let (id, name) = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.ready)
            .min_by_key(|(_, slot)| slot.used)
            .map(|(id, slot)| (*id, slot.name))?;
        self.slots.remove(&id);
        Some(name_of(name))
    }
}

fn name_of(number: u64) -> String {
    format!("m{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_parsed_once_and_unnamed_while_under_way() {
        let mut cache = StatementCache::new(false);
        assert_eq!(
            cache.prepare(7),
            Preparation::Parse {
                name: "m1".into(),
                close: None
            }
        );
        assert_eq!(
            cache.prepare(7),
            Preparation::Parse {
                name: String::new(),
                close: None
            }
        );
        cache.parsed(7, true);
        assert_eq!(cache.prepare(7), Preparation::Ready("m1".into()));
        cache.forget(7);
        assert_eq!(
            cache.prepare(7),
            Preparation::Parse {
                name: "m2".into(),
                close: None
            }
        );
    }

    #[test]
    fn a_full_cache_closes_the_statement_unused_for_longest() {
        let mut cache = StatementCache::new(false);
        for id in 0..PREPARED_MAX as u64 {
            cache.prepare(id);
            cache.parsed(id, true);
        }
        cache.prepare(0);
        assert!(matches!(cache.prepare(9_999), Preparation::Parse { close: Some(name), .. } if name == "m2"));
    }
}
