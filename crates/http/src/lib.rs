//! Who is calling, and how answers leave: request context, token verification, errors, CORS.
//!
//! Lives here: what every room needs of HTTP, also where the server itself asks ([`outgoing`]).
//! Not here: any room's routes, headers or statuses.

pub mod authenticate;
pub mod cors;
pub mod error;
pub mod foreign;
pub mod issuers;
pub mod keys;
pub mod limits;
pub mod message;
pub mod outgoing;
mod recent;
pub mod signing;
pub mod token;

pub use authenticate::{Authenticated, Authenticator, Credential, STAND_IN, Verifying};
pub use error::{Error, TokenError, codes};
pub use limits::Limits;
pub use message::{Request, Response};
pub use outgoing::Outgoing;
