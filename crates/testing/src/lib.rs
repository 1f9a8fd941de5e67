//! What tests stand on: throw-away projects, servers on either engine, requests and their answers.
//!
//! Lives here: fixtures and the real program run as a child process on a free port with its own database.
//! Not here: any test. Only tests name this crate; a panic here is a failed test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed fixture is a failed test"
)]

pub mod answer;
pub mod client;
pub mod database;
pub mod engine;
pub mod project;
pub mod server;
pub mod smtp;
pub mod token;

pub use answer::Answer;
pub use client::Client;
pub use database::Database;
pub use engine::{Engine, engines, postgres_url};
pub use project::Project;
pub use server::Server;
pub use smtp::MailServer;
