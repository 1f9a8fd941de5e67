//! Remembers tokens whose signatures were found good, so that the next request with one computes nothing.
//!
//! Two generations bound it: what is not shown while one fills is forgotten with the next. Only tokens that somebody
//! holding a key has signed get here, so strangers cannot fill it. Not here: whether the claims hold now (`token`).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::token::Verified;

/// Tokens in a generation; at most twice as many are kept.
const GENERATION_MAX: usize = 2_048;
/// Bytes of a token that is kept.
const KEPT_BYTES_MAX: usize = 1_024;

/// A bounded map from tokens to what they say.
#[derive(Default)]
pub struct Recent {
    generations: RwLock<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<Verified>>,
    old: HashMap<Box<str>, Arc<Verified>>,
}

impl Recent {
    /// What `token` says, if its signature was found good not long ago.
    pub fn get(&self, token: &str) -> Option<Arc<Verified>> {
        let found = {
            let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = generations.young.get(token) {
                return Some(found.clone());
            }
            generations.old.get(token).cloned()
        }?;
        self.insert(token, found.clone());
        Some(found)
    }

    /// Keeps a token whose signature is good.
    pub fn insert(&self, token: &str, verified: Arc<Verified>) {
        if token.len() > KEPT_BYTES_MAX {
            return;
        }
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= GENERATION_MAX {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(token.into(), verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified() -> Arc<Verified> {
        Arc::new(Verified::new("{}".into(), serde_json::Map::new()))
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let recent = Recent::default();
        recent.insert("hot", verified());
        for number in 0..5 * GENERATION_MAX {
            recent.insert(&number.to_string(), verified());
            assert!(recent.get("hot").is_some());
        }
        let generations = recent.generations.read().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION_MAX);
    }

    #[test]
    fn long_tokens_are_not_kept() {
        let recent = Recent::default();
        let token = "x".repeat(KEPT_BYTES_MAX + 1);
        recent.insert(&token, verified());
        assert!(recent.get(&token).is_none());
    }
}
