//! The embedded engine as its users see it: threads with plain SQL, reads from plans, constraints from the console.

#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect; clippy only spares functions marked as tests"
)]

mod constraints;
mod crash;
mod departure;
mod dialect;
mod documents;
mod durability;
mod harness;
mod plans;
mod reads;
mod shop;
mod snapshots;
