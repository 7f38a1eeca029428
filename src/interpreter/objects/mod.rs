//! Python's objects, read without calling them.
//!
//! Everything here happens with the GIL held from its start to its end, and leaves each object as it
//! was: no reference count changes, no attribute is looked up, no code of the user's runs.

mod blocks;
mod buffers;
mod deep;
mod dicts;
mod fingerprint;
mod gather;
mod kinds;
mod labels;
mod measure;
mod namespace;
mod numpy;
mod pages;
mod pieces;
mod referents;
mod running;
mod scope;
mod types;

pub use deep::Deep;
pub use gather::{Gathered, Name};
pub use labels::{argument_is_lent, immortal_and_interned};
pub use measure::{Measure, Shallow};
pub use namespace::{Before, Look, Namespace};
pub use pieces::Stretch;
pub use running::{Running, running};
pub use scope::Scope;
