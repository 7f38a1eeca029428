//! The blocks that the last recording left live, and the lines that allocated them; and how long the collector
//! ran meanwhile.
//!
//! They are kept until the next recording begins: 32 bytes each, 65,536 of them at most. No hook is on
//! meanwhile, so a block may have been freed, and its place taken by another one: what is known is where
//! the block at this address was allocated when the recording ended.

use crate::profile::{LineKey, Nanos, Profile};
use crate::report;
use crate::sampling::LiveBlock;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Left {
    /// By address.
    blocks: Vec<LiveBlock>,
    places: BTreeMap<LineKey, String>,
    runs: BTreeMap<u8, Runs>,
}

/// Runs of the collector over one generation, of those that were timed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runs {
    /// How many there were.
    pub count: u64,
    /// How long they took together.
    pub took: Nanos,
    /// How long the longest took.
    pub longest: Nanos,
}

static LEFT: Mutex<Option<Left>> = Mutex::new(None);

fn left() -> MutexGuard<'static, Option<Left>> {
    // Whoever panicked under it has put in or taken out all of it, or nothing.
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what a recording left.
pub(super) fn keep(blocks: Vec<LiveBlock>, profile: &Profile) {
    let mut places = BTreeMap::new();
    for block in &blocks {
        places.entry(block.line).or_insert_with(|| report::lines::place_of(profile, block.line));
    }
    let mut runs: BTreeMap<u8, Runs> = BTreeMap::new();
    for run in &profile.collections {
        let of = runs.entry(run.generation).or_default();
        of.count += 1;
        of.took.0 += run.duration.0;
        of.longest = of.longest.max(run.duration);
    }
    *left() = Some(Left { blocks, places, runs });
}

/// How long the collector ran in the last recording, by generation; `None` without one.
pub fn collector_runs() -> Option<BTreeMap<u8, Runs>> {
    left().as_ref().map(|left| left.runs.clone())
}

/// Forgets it.
pub(super) fn forget() {
    *left() = None;
}

/// Which line allocated the block of `size` bytes that was at an address when the last recording ended, such as
/// `cell [3] line 2`; `None` where that is not known, or where it was a block of another size.
pub fn allocated_at(address: usize, size: u64) -> Option<String> {
    let left = left();
    let left = left.as_ref()?;
    let at = left.blocks.binary_search_by_key(&address, |block| block.address).ok()?;
    let block = left.blocks[at];
    if block.size != size {
        return None;
    }
    left.places.get(&block.line).cloned()
}
