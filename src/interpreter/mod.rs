//! Looking into a running CPython without calling it, and having it call us.

pub mod frames;
pub mod soon;
