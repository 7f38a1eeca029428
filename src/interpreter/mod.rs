//! Looking into a running CPython without calling it, and having it call us.

#[cfg(feature = "python")]
pub mod arrow;
#[cfg(feature = "python")]
pub mod cells;
pub mod frames;
#[cfg(feature = "python")]
pub mod objects;
#[cfg(feature = "python")]
pub mod pending;
