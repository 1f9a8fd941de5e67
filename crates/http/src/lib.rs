//! Who is calling, and how answers leave: request context, token verification, errors, limits, CORS.
//!
//! Lives here: what every room needs of HTTP. Not here: any room's routes, headers or statuses.

pub mod message;

pub use message::{Request, Response};
