//! The embedded engine as its users see it: threads with plain SQL, reads from plans, constraints from the console.

mod constraints;
mod crash;
mod durability;
mod harness;
mod plans;
mod reads;
mod snapshots;
