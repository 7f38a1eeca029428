//! Python's objects, read without calling them.
//!
//! Everything here happens with the GIL held from its start to its end, and leaves each object as it
//! was: no reference count changes, no attribute is looked up, no code of the user's runs.

mod blocks;
mod dicts;
mod gather;
mod labels;
mod measure;
mod numpy;

pub use gather::{Gathered, Name, Scope};
pub use labels::immortal_and_interned;
pub use measure::{Measure, Shallow};
