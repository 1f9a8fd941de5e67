//! Keeps what was prepared for a shape of request, so that the next one of the shape parses, plans and renders nothing.
//!
//! The key holds everything a plan depends on: what is asked (values aside), of which relation, as which role, under
//! which catalog. Two generations bound it: what is not asked for while one fills is forgotten with the next.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Entries in a generation; at most twice as many are kept.
const GENERATION_MAX: usize = 512;
/// Bytes of a key that is kept; longer requests are not worth the memory they could take.
const KEY_BYTES_MAX: usize = 4_096;

/// A bounded map from shapes to what was prepared for them.
#[derive(Debug)]
pub struct Cache<T> {
    generations: RwLock<Generations<T>>,
}

#[derive(Debug)]
struct Generations<T> {
    young: HashMap<Box<[u8]>, Arc<T>>,
    old: HashMap<Box<[u8]>, Arc<T>>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Cache {
            generations: RwLock::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
            }),
        }
    }
}

impl<T> Cache<T> {
    /// What was prepared for `key`.
    pub fn get(&self, key: &[u8]) -> Option<Arc<T>> {
        let found = {
            let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = generations.young.get(key) {
                return Some(found.clone());
            }
            generations.old.get(key).cloned()
        }?;
        self.insert(key, found.clone());
        Some(found)
    }

    /// Keeps `value` for `key`.
    pub fn insert(&self, key: &[u8], value: Arc<T>) {
        if key.len() > KEY_BYTES_MAX {
            return;
        }
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= GENERATION_MAX {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_not_kept() {
        let cache = Cache::default();
        let key = vec![b'x'; KEY_BYTES_MAX + 1];
        cache.insert(&key, Arc::new(0));
        assert!(cache.get(&key).is_none());
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let cache = Cache::default();
        cache.insert(b"hot", Arc::new(0));
        for number in 0..10 * GENERATION_MAX {
            cache.insert(number.to_string().as_bytes(), Arc::new(number));
            assert!(cache.get(b"hot").is_some());
        }
        let generations = cache.generations.read().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION_MAX);
    }
}
