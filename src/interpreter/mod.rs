//! Looking into a running CPython without calling it.

pub mod frames;
#[cfg(feature = "python")]
pub mod pending;
