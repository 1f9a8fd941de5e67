//! PostgreSQL's wire protocol, as far as we speak it: one connection that many requests share.
//!
//! Lives here: connecting and signing in ([`startup`]), bursts and their replies ([`connection`]), copying rows in bulk
//! ([`copy`]), reading replies ([`reply`]). Message framing, SCRAM and MD5 come from `postgres-protocol`.
//! Not here: what is sent and why (`run`), how many connections there are (`pool`).
//!
//! Why not `tokio-postgres`'s client: it prepares statements in a round trip of its own, outside the transaction and so
//! under another search path, and it ends every query with a Sync, so that a transaction is not one unit on a shared
//! connection. A burst here is one contiguous run of messages with one Sync: nothing can come between them, and after
//! an error the server skips the rest by itself.
//!
//! Source: PostgreSQL 15 manual, chapter 55 (frontend/backend protocol), 55.2.4 (pipelining).

mod connection;
mod copy;
mod reply;
mod startup;
mod statement;

pub use connection::{Connection, Notification, Step};
pub use copy::CopyConnection;
pub use reply::{Parsed, ReplyReader, ServerError, StepReply};
pub use startup::{ConnectError, Target};
pub use statement::StatementText;

/// The connection is gone; what was not answered may or may not have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;
