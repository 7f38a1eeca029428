//! How much memory the process holds, above what it held at the start.
//!
//! footprint = native blocks by usable size
//!           + anonymous mappings that are in use
//!           + what allocators have that no hook sees (`foreign`)
//!           + memory from before the start that was written to for the first time (`earlier`)
//!           + Python's small objects: the arenas they are in, or the objects themselves where these
//!             fit into arenas that were there before.
//!
//! The last rule is what makes a small cell say something: ten thousand points that fit into free
//! places of old arenas cost no new arena, and are still what the cell holds. Their bytes are
//! known exactly while everything is recorded; where they are sampled, the lower end of their 95%
//! interval is taken, so that chance alone never raises a peak. Arenas from before that go are less,
//! whatever came: `del` of a million objects gives back what their arenas took.

use crate::profile::Estimate;
use std::collections::{BTreeMap, BTreeSet};

/// See the module. All numbers are bytes above the start, and may be negative.
#[derive(Debug, Default)]
pub struct Footprint {
    native: i64,
    /// What of it is no block's size: what blocks from before the start never had in use, or had then.
    corrected: i64,
    /// Arenas that were taken since the start: bytes, and their addresses.
    arenas: i64,
    taken: BTreeSet<usize>,
    /// Arenas from before the start that were given back.
    given_back: i64,
    mapped: i64,
    /// Of allocators that no hook sees.
    foreign: i64,
    /// Of memory from before the start.
    earlier: i64,
    /// Live bytes of small objects allocated since the start.
    objects: Estimate,
    /// The anonymous mappings made since the start: length by address.
    mappings: BTreeMap<usize, usize>,
    /// The largest [`Footprint::of_the_kernel`] since [`Footprint::begin_most`].
    most: i64,
}

/// What new memory went into, in bytes above the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Small objects, as far as they need the arenas that were taken since.
    pub objects: i64,
    /// What is left of these arenas.
    pub arenas: i64,
    /// Native blocks and anonymous mappings.
    pub blocks: i64,
    /// In use of allocators that no hook sees.
    pub foreign: i64,
    /// Resident in their regions beyond that; below 0 where they use pages that they had kept.
    pub foreign_free: i64,
    /// Memory from before the start that was written to for the first time.
    pub earlier: i64,
    /// Of the blocks those of malloc, as it counts them: in use or not, from before the start or not.
    pub native: i64,
}

impl Footprint {
    /// Native blocks grew by this many usable bytes.
    pub fn add_native(&mut self, bytes: i64) {
        self.native += bytes;
        self.keep_most();
    }

    /// What native blocks take is so much more than what malloc says by their sizes.
    pub fn correct_native(&mut self, bytes: i64) {
        self.corrected += bytes;
        self.add_native(bytes);
    }

    /// CPython took an arena (positive) or gave one back.
    pub fn add_arena(&mut self, address: usize, bytes: i64) {
        if bytes >= 0 {
            self.taken.insert(address);
            self.arenas += bytes;
            self.keep_most();
        } else if self.taken.remove(&address) {
            self.arenas += bytes;
        } else {
            self.given_back -= bytes;
        }
    }

    /// What the allocators have that no hook sees.
    pub fn set_foreign(&mut self, bytes: i64) {
        self.foreign = bytes;
    }

    /// What of memory from before the start was written to for the first time.
    pub fn set_earlier(&mut self, bytes: i64) {
        self.earlier = bytes;
    }

    /// What was taken from the kernel, beside [`Footprint::set_foreign`] and [`Footprint::set_earlier`].
    pub fn of_the_kernel(&self) -> i64 {
        self.native + self.mapped + self.arenas - self.given_back
    }

    /// The largest [`Footprint::of_the_kernel`] since this was last begun anew: what went since then may still be
    /// resident.
    pub fn most_of_the_kernel(&self) -> i64 {
        self.most
    }

    /// From now on.
    pub fn begin_most(&mut self) {
        self.most = self.of_the_kernel();
    }

    fn keep_most(&mut self) {
        self.most = self.most.max(self.of_the_kernel());
    }

    /// Small objects that are recorded came (positive) or went.
    pub fn add_objects(&mut self, bytes: f64, variance: f64) {
        self.objects.value += bytes;
        self.objects.variance = (self.objects.variance + variance).max(0.0);
    }

    /// A mapping was made.
    pub fn map(&mut self, start: usize, length: usize) {
        self.unmap(start, length);
        self.mappings.insert(start, length);
        self.mapped += length as i64;
        self.keep_most();
    }

    /// Addresses were unmapped: whatever of them was a mapping made since the start.
    /// Returns whether any was.
    pub fn unmap(&mut self, start: usize, length: usize) -> bool {
        let end = start.saturating_add(length);
        let first = self.mappings.range(..=start).next_back().map_or(start, |(&at, _)| at);
        let hit: Vec<(usize, usize)> = self
            .mappings
            .range(first..end)
            .map(|(&at, &len)| (at, len))
            .filter(|&(at, len)| at + len > start && at < end)
            .collect();
        for &(at, len) in &hit {
            self.mappings.remove(&at);
            let (cut_from, cut_to) = (start.max(at), end.min(at + len));
            self.mapped -= (cut_to - cut_from) as i64;
            if at < cut_from {
                self.mappings.insert(at, cut_from - at);
            }
            if cut_to < at + len {
                self.mappings.insert(cut_to, at + len - cut_to);
            }
        }
        !hit.is_empty()
    }

    /// The footprint now.
    pub fn bytes(&self) -> i64 {
        let small = self.arenas.max(self.certain()) - self.given_back;
        self.native + self.mapped + self.foreign + self.earlier + small
    }

    fn certain(&self) -> i64 {
        (self.objects.value - self.doubt()) as i64
    }

    /// Whether it falls when a small object goes: in new arenas it does not.
    pub fn falls_with_objects(&self) -> bool {
        self.certain() > self.arenas
    }

    /// What it is made of now.
    pub fn parts(&self) -> Parts {
        let objects = (self.objects.value as i64).clamp(0, self.arenas);
        Parts {
            objects,
            arenas: self.arenas - objects - self.given_back,
            blocks: self.native + self.mapped,
            foreign: self.foreign,
            foreign_free: 0,
            earlier: self.earlier,
            native: self.native - self.corrected,
        }
    }

    /// Half of the 95% interval of the small objects, in bytes; 0 while everything is recorded.
    pub fn doubt(&self) -> f64 {
        1.96 * self.objects.variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_count_until_their_arenas_are_larger() {
        let mut footprint = Footprint::default();
        footprint.add_objects(1000.0, 0.0);
        assert_eq!(footprint.bytes(), 1000);
        assert!(footprint.falls_with_objects());
        footprint.add_arena(0x100000, 1 << 20);
        assert_eq!(footprint.bytes(), 1 << 20);
        assert!(!footprint.falls_with_objects());
        footprint.add_native(-300);
        assert_eq!(footprint.bytes(), (1 << 20) - 300);
    }

    #[test]
    fn an_arena_from_before_is_given_back_whatever_came() {
        let mut footprint = Footprint::default();
        footprint.add_arena(0x100000, -(1 << 20));
        assert_eq!(footprint.bytes(), -(1 << 20));
        footprint.add_objects(1000.0, 0.0);
        assert_eq!(footprint.bytes(), 1000 - (1 << 20));
        footprint.add_arena(0x100000, 1 << 20);
        assert_eq!(footprint.bytes(), 0);
        footprint.add_objects(-1000.0, 0.0);
        footprint.add_arena(0x100000, -(1 << 20));
        assert_eq!(footprint.bytes(), -(1 << 20));
        assert_eq!(footprint.parts().arenas, -(1 << 20));
    }

    #[test]
    fn sampled_objects_count_by_their_certain_part() {
        let mut footprint = Footprint::default();
        footprint.add_objects(1000.0, 100.0 * 100.0);
        assert_eq!(footprint.bytes(), 804);
    }

    #[test]
    fn what_came_and_went_is_remembered() {
        let mut footprint = Footprint::default();
        footprint.add_native(900);
        footprint.add_native(-900);
        footprint.map(0x10000, 0x100);
        assert_eq!(footprint.most_of_the_kernel(), 900);
        footprint.begin_most();
        assert_eq!(footprint.most_of_the_kernel(), 0x100);
        footprint.add_arena(0x100000, 1000);
        footprint.add_arena(0x100000, -1000);
        assert_eq!(footprint.most_of_the_kernel(), 0x100 + 1000);
    }

    #[test]
    fn a_mapping_may_be_unmapped_in_pieces() {
        let mut footprint = Footprint::default();
        footprint.map(0x10000, 0x4000);
        assert!(footprint.unmap(0x11000, 0x1000));
        assert_eq!(footprint.bytes(), 0x3000);
        assert!(!footprint.unmap(0x11000, 0x1000));
        assert!(footprint.unmap(0x0, 0x20000));
        assert_eq!(footprint.bytes(), 0);
        assert!(!footprint.unmap(0x900_0000, 0x1000));
    }

    #[test]
    fn a_mapping_over_another_replaces_it() {
        let mut footprint = Footprint::default();
        footprint.map(0x10000, 0x4000);
        footprint.map(0x12000, 0x4000);
        assert_eq!(footprint.bytes(), 0x6000);
    }
}
