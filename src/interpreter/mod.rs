//! Looking into a running CPython without calling it, and having it call us.

#[cfg(feature = "python")]
pub mod arrow;
#[cfg(feature = "python")]
pub mod cells;
#[cfg(feature = "python")]
pub mod frames;
#[cfg(feature = "python")]
pub mod objects;
#[cfg(feature = "python")]
pub mod pending;

// What knows no Python is tested without one; not all of it is then used.
#[cfg(all(test, not(feature = "python")))]
#[allow(dead_code)]
#[path = "objects/blocks.rs"]
mod blocks;
#[cfg(all(test, not(feature = "python")))]
#[path = "frames/line_table.rs"]
mod line_table;
#[cfg(all(test, not(feature = "python")))]
#[allow(dead_code)]
#[path = "objects/pages.rs"]
mod pages;
#[cfg(all(test, not(feature = "python")))]
#[allow(dead_code)]
#[path = "objects/pieces.rs"]
mod pieces;
