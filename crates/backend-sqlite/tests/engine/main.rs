//! The engine's threads with plain SQL: no plan, no catalog.

mod crash;
mod durability;
mod harness;
mod snapshots;
