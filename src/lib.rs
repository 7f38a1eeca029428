//! memprofile: what a notebook cell really costs in memory.
//!
//! The rooms, from the ground up. A room imports from lower floors only, and rooms on one
//! floor do not know each other; `tests/rust/layers.rs` keeps it so.

pub mod error;
pub mod profile;
pub mod render;
pub mod report;
