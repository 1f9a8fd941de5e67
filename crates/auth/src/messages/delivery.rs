//! Who takes messages.

use mainstay_core::backend::BoxFuture;

use super::Message;

/// Hands messages over.
pub trait Delivery: Send + Sync + 'static {
    /// Hands one message over. It may be asked for the same message twice.
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Undelivered>>;
}

/// Why a message was not taken, for an operator. Never the message's own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// Worth another try.
    Later(String),
    /// It will never be taken.
    Never(String),
}
