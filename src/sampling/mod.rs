//! Which allocations matter, and what was live at the peak.
//!
//! A [`Recorder`] is told of blocks that were allocated and freed and of the process' footprint,
//! and keeps, in bounded memory, what a profile needs. It knows neither Python nor hooks nor a
//! clock: addresses, sizes, stacks and times are given to it, so that its tests replay any
//! history exactly.
//!
//! - [`sampler`]: which blocks are recorded, and what one stands for;
//! - [`live_set`]: the recorded blocks that are live, by address;
//! - [`sites`]: what each stack holds, and held at the peak;
//! - [`stacks`]: the stacks, as a prefix tree;
//! - [`footprint`]: how much memory the process holds;
//! - [`large`] and [`in_use`]: large blocks, by what of them is in use;
//! - [`pace`]: when a recording goes over to samples;
//! - [`regions`] and [`foreign`]: allocators that no hook sees;
//! - [`earlier`]: memory from before the start that is written to;
//! - [`curve`]: memory over time;
//! - [`sizes`]: allocations by the size of their blocks;
//! - [`copies`]: what lines make on the way to their results.

mod copies;
mod curve;
mod earlier;
mod footprint;
mod foreign;
mod in_use;
mod large;
mod live_set;
mod now;
mod pace;
mod recorded;
mod recorder;
mod regions;
mod sampler;
mod sites;
mod sizes;
mod stacks;

pub use curve::{Curve, keep_extremes};
pub use footprint::{Footprint, Parts};
pub use foreign::Reading;
pub use large::{Filled, LARGE, LargeBlocks, Partial};
pub use live_set::{LiveSet, Sample};
pub use recorded::{LiveBlock, Recorded};
pub use recorder::{Block, Freed, Memory, Moved, Origin, Recorder, Settings};
pub use regions::{Owner, Region, Regions};
pub use sampler::{Draw, Sampler};
pub use sites::Sites;
pub use stacks::{Frames, Line, Names, Paths, Place};
