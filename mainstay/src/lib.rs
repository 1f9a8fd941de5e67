//! The whole back end of a website or app in one program.
//!
//! Lives here: reading the settings, choosing a backend, mounting the rooms, serving, and the command line.
//! Not here: what a room does; what an engine does.

pub mod app;
pub mod cli;
pub mod commands;
pub mod config;
pub mod dev;
pub mod engine;
pub mod keyring;
pub mod log;
pub mod metrics;
pub mod outbox;
pub mod server;
pub mod site;
