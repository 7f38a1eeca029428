//! Questions to a graph of objects: how much they reach, who keeps whom, by which path.
//!
//! It knows no Python: an object is a row of an [`crate::profile::ObjectGraph`].

mod census;
mod cycles;
mod dominators;
mod names;
mod paths;
mod reach;
mod roll;

pub use census::{Row, census};
pub use cycles::{Knot, knots};
pub use dominators::{Dominators, NONE};
pub use names::{Share, shares};
pub use paths::{Path, paths};
pub use reach::{Marks, Part, deep, garbage, kept_in_turn, parts, retained, retained_of_many};
pub use roll::{Entry, Fate, Roll};
