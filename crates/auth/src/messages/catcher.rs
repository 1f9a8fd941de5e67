//! Keeps mails instead of sending them, for development.
//!
//! In memory, the newest of them; `mainstay dev` shows them to its own machine.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use mainstay_core::backend::BoxFuture;
use mainstay_core::clock;

use super::Message;
use super::delivery::{Delivery, Undelivered};

/// Messages that are kept.
const CAUGHT_MAX: usize = 500;

/// A message that was caught.
#[derive(Clone, Debug)]
pub struct Caught {
    /// Counted from 1, in the order in which they came.
    pub number: u64,
    pub at: Timestamp,
    pub message: Message,
}

/// What was caught.
#[derive(Default)]
pub struct Catcher(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    caught: VecDeque<Caught>,
}

impl Catcher {
    /// Everything that is kept, newest first.
    pub fn list(&self) -> Vec<Caught> {
        self.state().caught.iter().rev().cloned().collect()
    }

    /// One message.
    pub fn one(&self, number: u64) -> Option<Caught> {
        self.state()
            .caught
            .iter()
            .find(|caught| caught.number == number)
            .cloned()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.state().caught.clear();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery for Catcher {
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let mut state = self.state();
            state.last += 1;
            let number = state.last;
            if state.caught.len() == CAUGHT_MAX {
                state.caught.pop_front();
            }
            state.caught.push_back(Caught {
                number,
                at: clock::now(),
                message: message.clone(),
            });
            Ok(())
        })
    }
}
